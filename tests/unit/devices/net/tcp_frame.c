#include "tests/unit/devices/net/tcp_frame.h"

#include <string.h>

#include "core/big_endian.h"
#include "core/net_frame.h"

#define TIMESTAMPS 12u

uint8_t tcp_frame_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

void tcp_frame_fill(struct tcp_frame *frame)
{
	struct net_frame parsed;

	net_frame_parse(frame->bytes, frame->len, &parsed);
	net_frame_fill_ip(frame->bytes, &parsed);
	net_frame_fill_l4(frame->bytes, &parsed);
}

void tcp_frame_make(struct tcp_frame *frame, bool ipv6, bool timestamps, uint32_t at,
		    uint32_t payload)
{
	uint32_t l4 = ipv6 ? 54 : 34, tcp = 20 + (timestamps ? TIMESTAMPS : 0);

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, "\x02\x15\x5D\x01\x02\x03\x02\0\0\0\0\x09", 12);
	store_be16(frame->bytes + 12, ipv6 ? 0x86DD : 0x0800);
	frame->ip = frame->bytes + 14;
	frame->tcp = frame->bytes + l4;
	frame->len = l4 + tcp + payload;
	if (ipv6) {
		store_be32(frame->ip, 0x60012345);
		store_be16(frame->ip + 4, (uint16_t)(tcp + payload));
		frame->ip[6] = 6;
		frame->ip[7] = 64;
		memset(frame->ip + 8, 0xFD, 16);
		memset(frame->ip + 24, 0xFE, 16);
	} else {
		store_be16(frame->ip, 0x4500);
		store_be16(frame->ip + 2, (uint16_t)(20 + tcp + payload));
		store_be16(frame->ip + 4, (uint16_t)(at / 100)); /* the identification differs */
		store_be16(frame->ip + 6, 0x4000);
		frame->ip[8] = 64;
		frame->ip[9] = 6;
		store_be32(frame->ip + 12, 0x0A4D0001);
		store_be32(frame->ip + 16, 0x0A4D0002);
	}
	store_be16(frame->tcp, 5201);
	store_be16(frame->tcp + 2, 40000);
	store_be32(frame->tcp + 4, 0xFFFFFF00 + at); /* sequence numbers wrap */
	store_be32(frame->tcp + 8, 7000);
	frame->tcp[12] = (uint8_t)(tcp / 4 << 4);
	frame->tcp[13] = 0x10;
	store_be16(frame->tcp + 14, 502);
	if (timestamps) {
		store_be32(frame->tcp + 20, 0x0101080A);
		store_be32(frame->tcp + 24, 1000);
		store_be32(frame->tcp + 28, 2000);
	}
	for (uint32_t i = 0; i < payload; i++)
		frame->bytes[l4 + tcp + i] = tcp_frame_byte(at + i);
	tcp_frame_fill(frame);
}
