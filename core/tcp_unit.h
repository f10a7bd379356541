#ifndef CORE_TCP_UNIT_H
#define CORE_TCP_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Receive segment coalescing: headers of TCP segments that follow each other become those of one, as
 * NDIS's rules have it ("Rules for Coalescing TCP/IP Segments", "Exception Conditions that Terminate
 * Coalescing"). Only headers are looked at, in copies; whose checksums were good is for the caller to
 * know. The unit's TCP checksum is made of its segments', so a payload that did not fit its own does not fit
 * the unit's either.
 */

/* Ethernet, IPv6, TCP with timestamps: the largest that are coalesced. */
#define TCP_UNIT_HEADERS 86u

/* A received frame's. */
struct tcp_segment {
	uint8_t headers[TCP_UNIT_HEADERS];
	uint8_t addresses;  /* offsets: of both IP addresses, */
	uint8_t l4;         /* of the TCP header, where they end, */
	uint8_t header_len; /* of the payload; 0: it is not one to be coalesced */
	uint16_t payload;   /* bytes */
	bool ipv6;
};

/*
 * `headers` holds the first bytes of a frame of `len`, as many as there are up to TCP_UNIT_HEADERS;
 * fills in the rest. False: it is not TCP, or cannot be told whose. Else the addresses and ports are
 * right, and header_len says whether it is data that may be coalesced.
 */
bool tcp_segment_parse(struct tcp_segment *segment, uint32_t len);

/* Of the same connection and direction, both as parsed? */
bool tcp_segment_same_flow(const struct tcp_segment *a, const struct tcp_segment *b);

/*
 * The frame that a unit becomes is at most so large: in a Linux guest, with what that puts around it (about 500
 * bytes), one allocation of 64 KiB.
 */
#define TCP_UNIT_BYTES 65024u

struct tcp_unit {
	struct tcp_segment head; /* the first's headers, and what later ones changed in them */
	unsigned int segments;
	uint32_t payload; /* bytes */
	uint32_t next;    /* sequence number */
	uint16_t sum;     /* of the payload, when there are two segments and more */
	bool complete;    /* nothing is to follow: the sender pushed */
};

/* The segment is to be coalesced. */
void tcp_unit_begin(struct tcp_unit *unit, const struct tcp_segment *segment);

/* Is the unit with that segment, too, which is to be coalesced, no larger than it may be? */
static inline bool tcp_unit_fits(const struct tcp_unit *unit, const struct tcp_segment *segment)
{
	return unit->head.header_len + unit->payload + segment->payload <= TCP_UNIT_BYTES;
}

/*
 * Takes a segment of the same flow at the end of the unit, if it is the next, and nothing is lost by it. False: it is not
 * taken.
 */
bool tcp_unit_join(struct tcp_unit *unit, const struct tcp_segment *segment);

/* Of two segments and more: lengths and checksums in the headers become the unit's. */
void tcp_unit_finish(struct tcp_unit *unit);

#endif
