#include "core/net_frame.h"

#include <string.h>

#include "core/big_endian.h"
#include "core/nic.h"
#include "proto/inet.h"

/* --- Headers */

static void parse_l4(size_t len, uint8_t protocol, size_t l4, size_t end, struct net_frame *frame)
{
	size_t minimum = protocol == PROTOCOL_TCP ? TCP_HEADER_MIN : UDP_HEADER;

	if ((protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) || end > len ||
	    l4 + minimum > end)
		return;
	frame->l4 = (uint16_t)l4;
	frame->l4_len = (uint16_t)(end - l4);
	frame->tcp = protocol == PROTOCOL_TCP;
	frame->udp = protocol == PROTOCOL_UDP;
}

static void parse_ipv4(const uint8_t *bytes, size_t len, struct net_frame *frame)
{
	const uint8_t *ip = bytes + ETHERNET_HEADER;
	size_t header, total;

	if (len < ETHERNET_HEADER + IPV4_HEADER_MIN || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 0xFu) * 4;
	total = load_be16(ip + 2);
	if (header < IPV4_HEADER_MIN || ETHERNET_HEADER + header > len)
		return;
	frame->l3 = ETHERNET_HEADER;
	/* A length of 0: a send that is to be segmented. A fragment has no checksum of its own. */
	if (!total)
		total = len - ETHERNET_HEADER;
	if (!(load_be16(ip + 6) & 0x3FFF))
		parse_l4(len, ip[9], ETHERNET_HEADER + header, ETHERNET_HEADER + total, frame);
}

/* Extension headers are rare, and left to the receiver. */
static void parse_ipv6(const uint8_t *bytes, size_t len, struct net_frame *frame)
{
	const uint8_t *ip = bytes + ETHERNET_HEADER;
	size_t payload;

	if (len < ETHERNET_HEADER + IPV6_HEADER || ip[0] >> 4 != 6)
		return;
	payload = load_be16(ip + 4);
	frame->l3 = ETHERNET_HEADER;
	frame->ipv6 = true;
	if (!payload)
		payload = len - ETHERNET_HEADER - IPV6_HEADER;
	parse_l4(len, ip[6], ETHERNET_HEADER + IPV6_HEADER, ETHERNET_HEADER + IPV6_HEADER + payload,
		 frame);
}

void net_frame_parse(const uint8_t *bytes, size_t len, struct net_frame *frame)
{
	*frame = (struct net_frame){ 0 };
	if (len < ETHERNET_HEADER || len > UINT16_MAX)
		return;
	if (load_be16(bytes + 12) == ETHERTYPE_IPV4)
		parse_ipv4(bytes, len, frame);
	else if (load_be16(bytes + 12) == ETHERTYPE_IPV6)
		parse_ipv6(bytes, len, frame);
}

/* --- Checksums */

/* Eight bytes at a time: the sum is the same whatever the width it is taken in (RFC 1071, 2). */
uint16_t net_sum(uint32_t start, const uint8_t *bytes, size_t len)
{
	unsigned __int128 sum = 0;
	uint64_t low;

	for (; len >= 8; bytes += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		sum += word;
	}
	if (len) {
		uint64_t word = 0;

		memcpy(&word, bytes, len);
		sum += word;
	}
	low = (uint64_t)sum;
	sum = (unsigned __int128)(low & 0xFFFFFFFF) + (low >> 32) + (uint64_t)(sum >> 64);
	low = (uint64_t)sum;
	while (low >> 16)
		low = (low & 0xFFFF) + (low >> 16);
	low = __builtin_bswap16((uint16_t)low) + (uint64_t)start;
	while (low >> 16)
		low = (low & 0xFFFF) + (low >> 16);
	return (uint16_t)low;
}

static uint16_t pseudo_sum(const uint8_t *bytes, const struct net_frame *frame)
{
	const uint8_t *ip = bytes + frame->l3;
	uint32_t start = (frame->tcp ? PROTOCOL_TCP : PROTOCOL_UDP) + frame->l4_len;

	return frame->ipv6 ? net_sum(start, ip + 8, 32) : net_sum(start, ip + 12, 8);
}

static size_t ipv4_header_len(const uint8_t *bytes, const struct net_frame *frame)
{
	return (bytes[frame->l3] & 0xFu) * 4;
}

static uint16_t verify_l4(const uint8_t *bytes, const struct net_frame *frame)
{
	bool ok;

	/* UDP over IPv4 may do without. */
	if (frame->udp && !frame->ipv6 && !load_be16(bytes + frame->l4 + 6))
		return 0;
	ok = net_sum(pseudo_sum(bytes, frame), bytes + frame->l4, frame->l4_len) == 0xFFFF;
	if (frame->tcp)
		return ok ? NIC_RX_TCP_CHECKSUM_OK : NIC_RX_TCP_CHECKSUM_BAD;
	return ok ? NIC_RX_UDP_CHECKSUM_OK : NIC_RX_UDP_CHECKSUM_BAD;
}

uint16_t net_frame_verify(const uint8_t *bytes, const struct net_frame *frame)
{
	uint16_t flags = 0;

	if (frame->l3 && !frame->ipv6)
		flags |= net_sum(0, bytes + frame->l3, ipv4_header_len(bytes, frame)) == 0xFFFF
				 ? NIC_RX_IP_CHECKSUM_OK
				 : NIC_RX_IP_CHECKSUM_BAD;
	if (frame->l4)
		flags |= verify_l4(bytes, frame);
	return flags;
}

bool net_frame_fill_ip(uint8_t *bytes, const struct net_frame *frame)
{
	uint8_t *ip = bytes + frame->l3;

	if (!frame->l3 || frame->ipv6)
		return false;
	store_be16(ip + 10, 0);
	store_be16(ip + 10, (uint16_t)~net_sum(0, ip, ipv4_header_len(bytes, frame)));
	return true;
}

uint16_t net_frame_sum_field(const struct net_frame *frame)
{
	return (uint16_t)(frame->l4 + (frame->tcp ? 16 : 6));
}

bool net_frame_fill_l4(uint8_t *bytes, const struct net_frame *frame)
{
	uint8_t *field = bytes + net_frame_sum_field(frame);
	uint16_t sum;

	if (!frame->l4)
		return false;
	store_be16(field, 0);
	sum = (uint16_t)~net_sum(pseudo_sum(bytes, frame), bytes + frame->l4, frame->l4_len);
	store_be16(field, frame->udp && !sum ? 0xFFFF : sum); /* 0 means none (RFC 768) */
	return true;
}

bool net_frame_start_l4(uint8_t *bytes, const struct net_frame *frame)
{
	if (!frame->l4)
		return false;
	store_be16(bytes + net_frame_sum_field(frame), pseudo_sum(bytes, frame));
	return true;
}

/* --- Toeplitz */

static uint32_t key_window(const uint8_t key[40], unsigned int bit)
{
	uint64_t word = 0;

	for (unsigned int i = 0; i < 5; i++)
		word = word << 8 | (bit / 8 + i < 40 ? key[bit / 8 + i] : 0);
	return (uint32_t)(word >> (8 - bit % 8));
}

void net_hash_init(struct net_hash *hash, const uint8_t key[40])
{
	for (unsigned int i = 0; i < NET_HASH_INPUT; i++)
		for (unsigned int byte = 0; byte < 256; byte++) {
			uint32_t value = 0;

			for (unsigned int bit = 0; bit < 8; bit++)
				if (byte & 0x80u >> bit)
					value ^= key_window(key, i * 8 + bit);
			hash->table[i][byte] = value;
		}
}

static uint32_t hash_bytes(const struct net_hash *hash, unsigned int at, const uint8_t *bytes,
			   unsigned int len)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < len; i++)
		value ^= hash->table[at + i][bytes[i]];
	return value;
}

static uint8_t hash_type(const struct net_frame *frame, uint8_t wanted)
{
	uint8_t tcp = frame->ipv6 ? NIC_HASH_TCP_IPV6 : NIC_HASH_TCP_IPV4;
	uint8_t udp = frame->ipv6 ? NIC_HASH_UDP_IPV6 : NIC_HASH_UDP_IPV4;

	if (frame->tcp && (wanted & tcp))
		return tcp;
	if (frame->udp && (wanted & udp))
		return udp;
	return frame->l3 ? wanted & (frame->ipv6 ? NIC_HASH_IPV6 : NIC_HASH_IPV4) : 0;
}

uint32_t net_frame_hash(const struct net_hash *hash, const uint8_t *bytes,
			const struct net_frame *frame, uint8_t wanted, uint8_t *type)
{
	unsigned int addresses = frame->ipv6 ? 32 : 8;
	uint32_t value;

	*type = hash_type(frame, wanted);
	if (!*type)
		return 0;
	value = hash_bytes(hash, 0, bytes + frame->l3 + (frame->ipv6 ? 8 : 12), addresses);
	if (*type != NIC_HASH_IPV4 && *type != NIC_HASH_IPV6)
		value ^= hash_bytes(hash, addresses, bytes + frame->l4, 4);
	return value;
}

/* --- Segmentation */

/* Of a send that is to be cut. The lengths inside may be anything, so only the headers are looked at. */
static bool parse_send(uint8_t *header, size_t header_len, struct net_frame *frame)
{
	if (header_len >= ETHERNET_HEADER + 20 && load_be16(header + 12) == ETHERTYPE_IPV4)
		store_be16(header + ETHERNET_HEADER + 2, 0);
	else if (header_len >= ETHERNET_HEADER + IPV6_HEADER)
		store_be16(header + ETHERNET_HEADER + 4, 0);
	net_frame_parse(header, header_len, frame);
	return frame->tcp && frame->l4 + (header[frame->l4 + 12] >> 4) * 4u == header_len;
}

bool net_send_parse(struct net_send *send, const uint8_t *bytes, size_t len, size_t header_len)
{
	if (header_len >= sizeof(send->headers) || header_len > len)
		return false;
	send->bytes = bytes;
	send->len = len;
	send->header_len = header_len;
	memcpy(send->headers, bytes, header_len);
	return parse_send(send->headers, header_len, &send->frame);
}

void net_send_headers(const struct net_send *send, size_t at, size_t payload_len, size_t mss,
		      uint8_t *headers)
{
	struct net_frame frame = send->frame;
	uint8_t *ip = headers + frame.l3, *tcp = headers + frame.l4;
	uint16_t sum;

	memcpy(headers, send->headers, send->header_len);
	frame.l4_len = (uint16_t)(send->header_len - frame.l4 + payload_len);
	if (frame.ipv6) {
		store_be16(ip + 4, frame.l4_len);
	} else {
		store_be16(ip + 2, (uint16_t)(send->header_len - frame.l3 + payload_len));
		store_be16(ip + 4, (uint16_t)(load_be16(ip + 4) + at / mss));
		net_frame_fill_ip(headers, &frame);
	}
	store_be32(tcp + 4, load_be32(tcp + 4) + (uint32_t)at);
	if (send->header_len + at + payload_len < send->len)
		tcp[13] &= (uint8_t)~0x09; /* FIN and PSH belong to the last byte */
	store_be16(tcp + 16, 0);
	sum = net_sum(pseudo_sum(headers, &frame), tcp, send->header_len - frame.l4);
	/* the header's length is even */
	sum = net_sum(sum, send->bytes + send->header_len + at, payload_len);
	store_be16(tcp + 16, (uint16_t)~sum);
}

void net_send_cut(const struct net_send *send, size_t at, size_t mss,
		  void (*out)(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
			      size_t payload_len),
		  void *ctx)
{
	size_t payload = send->len - send->header_len;
	uint8_t headers[NET_SEND_HEADERS];

	while (at < payload) {
		size_t chunk = payload - at < mss ? payload - at : mss;

		net_send_headers(send, at, chunk, mss, headers);
		out(ctx, headers, send->header_len, send->bytes + send->header_len + at, chunk);
		at += chunk;
	}
}

bool net_frame_segment(const uint8_t *bytes, size_t len, size_t header_len, size_t mss,
		       void (*out)(void *ctx, uint8_t *header, size_t header_len,
				   const uint8_t *payload, size_t payload_len),
		       void *ctx)
{
	struct net_send send;

	if (!mss || !net_send_parse(&send, bytes, len, header_len))
		return false;
	net_send_cut(&send, 0, mss, out, ctx);
	return true;
}

bool net_frame_prepare_send(uint8_t *bytes, size_t len, size_t header_len, struct net_frame *frame)
{
	uint8_t *ip = bytes + ETHERNET_HEADER;

	if (header_len > len || len > ETHERNET_HEADER + UINT16_MAX ||
	    !parse_send(bytes, header_len, frame))
		return false;
	frame->l4_len = (uint16_t)(len - frame->l4);
	if (frame->ipv6) {
		store_be16(ip + 4, frame->l4_len);
	} else {
		store_be16(ip + 2, (uint16_t)(len - frame->l3));
		net_frame_fill_ip(bytes, frame);
	}
	return net_frame_start_l4(bytes, frame);
}
