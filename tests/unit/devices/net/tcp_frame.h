#ifndef TESTS_UNIT_DEVICES_NET_TCP_FRAME_H
#define TESTS_UNIT_DEVICES_NET_TCP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* A TCP segment in its frame, and where things are in it. */
struct tcp_frame {
	uint8_t bytes[9100];
	uint32_t len;
	uint8_t *ip, *tcp;
};

/*
 * One of a connection's: `at` is where its payload is in a stream of known bytes, whose sequence numbers wrap early.
 * Without padding; checksums are right.
 */
void tcp_frame_make(struct tcp_frame *frame, bool ipv6, bool timestamps, uint32_t at,
		    uint32_t payload);
/* The same of any length up to IP's, a send that is not cut, into room for it. Its length. */
uint32_t tcp_send_make(uint8_t *bytes, bool ipv6, bool timestamps, uint32_t at, uint32_t payload);
/* The checksums, after a change. */
void tcp_frame_fill(struct tcp_frame *frame);

uint8_t tcp_frame_byte(uint32_t at);

#endif
