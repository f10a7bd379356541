#include "tests/unit/devices/net/tcp_frame.h"

#include <string.h>

#include "core/big_endian.h"
#include "core/net_frame.h"

#define TIMESTAMPS 12u

uint8_t tcp_frame_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

static void fill(uint8_t *bytes, uint32_t len)
{
	struct net_frame parsed;

	net_frame_parse(bytes, len, &parsed);
	net_frame_fill_ip(bytes, &parsed);
	net_frame_fill_l4(bytes, &parsed);
}

void tcp_frame_fill(struct tcp_frame *frame)
{
	fill(frame->bytes, frame->len);
}

static void make_ip(uint8_t *ip, bool ipv6, uint32_t at, uint32_t len)
{
	if (ipv6) {
		store_be32(ip, 0x60012345);
		store_be16(ip + 4, (uint16_t)len);
		ip[6] = 6;
		ip[7] = 64;
		memset(ip + 8, 0xFD, 16);
		memset(ip + 24, 0xFE, 16);
	} else {
		store_be16(ip, 0x4500);
		store_be16(ip + 2, (uint16_t)(20 + len));
		store_be16(ip + 4, (uint16_t)(at / 100)); /* the identification differs */
		store_be16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = 6;
		store_be32(ip + 12, 0x0A4D0001);
		store_be32(ip + 16, 0x0A4D0002);
	}
}

static void make_tcp(uint8_t *tcp, uint32_t header, uint32_t at)
{
	store_be16(tcp, 5201);
	store_be16(tcp + 2, 40000);
	store_be32(tcp + 4, 0xFFFFFF00 + at); /* sequence numbers wrap */
	store_be32(tcp + 8, 7000);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = 0x10;
	store_be16(tcp + 14, 502);
	if (header > 20) {
		store_be32(tcp + 20, 0x0101080A);
		store_be32(tcp + 24, 1000);
		store_be32(tcp + 28, 2000);
	}
}

uint32_t tcp_send_make(uint8_t *bytes, bool ipv6, bool timestamps, uint32_t at, uint32_t payload)
{
	uint32_t l4 = ipv6 ? 54 : 34, tcp = 20 + (timestamps ? TIMESTAMPS : 0);

	memset(bytes, 0, l4 + tcp);
	memcpy(bytes, "\x02\x15\x5D\x01\x02\x03\x02\0\0\0\0\x09", 12);
	store_be16(bytes + 12, ipv6 ? 0x86DD : 0x0800);
	make_ip(bytes + 14, ipv6, at, tcp + payload);
	make_tcp(bytes + l4, tcp, at);
	for (uint32_t i = 0; i < payload; i++)
		bytes[l4 + tcp + i] = tcp_frame_byte(at + i);
	fill(bytes, l4 + tcp + payload);
	return l4 + tcp + payload;
}

void tcp_frame_make(struct tcp_frame *frame, bool ipv6, bool timestamps, uint32_t at,
		    uint32_t payload)
{
	memset(frame, 0, sizeof(*frame));
	frame->len = tcp_send_make(frame->bytes, ipv6, timestamps, at, payload);
	frame->ip = frame->bytes + 14;
	frame->tcp = frame->bytes + (ipv6 ? 54 : 34);
}
