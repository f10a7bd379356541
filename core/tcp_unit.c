#include "core/tcp_unit.h"

#include <string.h>

#include "core/big_endian.h"
#include "core/net_frame.h"
#include "proto/inet.h"

#define IPV4_FRAGMENT 0x3FFFu /* more to come, or an offset */

/* TCP header (RFC 9293, 3.1) */
#define TCP_PORTS     4u
#define TCP_SEQUENCE  4u
#define TCP_ACK       8u
#define TCP_OFFSET    12u
#define TCP_FLAGS     13u
#define TCP_WINDOW    14u
#define TCP_CHECKSUM  16u
#define TCP_TIMESTAMP 24u /* with the options below */
#define TCP_FLAG_PSH  0x08u
#define TCP_FLAG_ACK  0x10u

/* The one layout of options: two of no meaning, and timestamps (RFC 7323, appendix A). */
#define TIMESTAMP_OPTIONS 0x0101080Au
#define TIMESTAMP_HEADER  32u

/* --- A segment */

/* Length of the IP packet from its header on; 0: not TCP in a whole IPv4 packet without options. */
static uint32_t parse_ipv4(struct tcp_segment *segment)
{
	const uint8_t *ip = segment->headers + ETHERNET_HEADER;

	if (ip[0] != 0x45 || (load_be16(ip + 6) & IPV4_FRAGMENT) || ip[9] != PROTOCOL_TCP)
		return 0;
	segment->ipv6 = false;
	segment->addresses = ETHERNET_HEADER + 12;
	segment->l4 = ETHERNET_HEADER + IPV4_HEADER_MIN;
	return load_be16(ip + 2);
}

static uint32_t parse_ipv6(struct tcp_segment *segment)
{
	const uint8_t *ip = segment->headers + ETHERNET_HEADER;

	if (ip[0] >> 4 != 6 || ip[6] != PROTOCOL_TCP)
		return 0;
	segment->ipv6 = true;
	segment->addresses = ETHERNET_HEADER + 8;
	segment->l4 = ETHERNET_HEADER + IPV6_HEADER;
	return IPV6_HEADER + load_be16(ip + 4);
}

static uint32_t parse_ip(struct tcp_segment *segment, uint32_t len)
{
	uint16_t type;

	if (len < ETHERNET_HEADER + IPV4_HEADER_MIN + TCP_HEADER_MIN)
		return 0;
	type = load_be16(segment->headers + 12);
	if (type == ETHERTYPE_IPV4)
		return parse_ipv4(segment);
	if (type == ETHERTYPE_IPV6 && len >= ETHERNET_HEADER + IPV6_HEADER + TCP_HEADER_MIN)
		return parse_ipv6(segment);
	return 0;
}

/* Bytes of the TCP header; 0: with flags or options that a unit cannot have. */
static uint32_t tcp_header(const uint8_t *tcp, uint32_t room)
{
	uint32_t header = (tcp[TCP_OFFSET] >> 4) * 4u;

	if ((tcp[TCP_OFFSET] & 0xF) || (tcp[TCP_FLAGS] & ~TCP_FLAG_PSH) != TCP_FLAG_ACK)
		return 0;
	if (header == TCP_HEADER_MIN)
		return header;
	if (header != TIMESTAMP_HEADER || room < header ||
	    load_be32(tcp + TCP_HEADER_MIN) != TIMESTAMP_OPTIONS)
		return 0;
	return header;
}

bool tcp_segment_parse(struct tcp_segment *segment, uint32_t len)
{
	uint32_t packet = parse_ip(segment, len), header;

	segment->header_len = 0;
	if (!packet)
		return false;
	/* Behind the packet there is nothing: a padded frame is no data worth the trouble. */
	if (packet != len - ETHERNET_HEADER)
		return true;
	header = tcp_header(segment->headers + segment->l4, len - segment->l4);
	if (!header || len == segment->l4 + header)
		return true;
	segment->header_len = (uint8_t)(segment->l4 + header);
	segment->payload = (uint16_t)(len - segment->header_len);
	return true;
}

bool tcp_segment_same_flow(const struct tcp_segment *a, const struct tcp_segment *b)
{
	const uint8_t *x = a->headers + a->addresses, *y = b->headers + b->addresses;

	if (a->ipv6 != b->ipv6)
		return false;
	/* Lengths that the compiler knows: a few words. */
	return a->ipv6 ? !memcmp(x, y, 32 + TCP_PORTS) : !memcmp(x, y, 8 + TCP_PORTS);
}

/* Sum of the pseudo-header and the TCP header: addresses and header are in a row. */
static uint16_t header_sum(const struct tcp_segment *segment, uint32_t payload)
{
	uint32_t tcp = segment->header_len - segment->l4 + payload;

	return net_sum(PROTOCOL_TCP + tcp, segment->headers + segment->addresses,
		       segment->header_len - segment->addresses);
}

/* With its checksum all of a segment sums to 0xFFFF, so what the headers lack of that is the payload's sum. */
static uint16_t payload_sum(const struct tcp_segment *segment)
{
	return (uint16_t)~header_sum(segment, segment->payload);
}

/* --- A unit */

void tcp_unit_begin(struct tcp_unit *unit, const struct tcp_segment *segment)
{
	const uint8_t *tcp = segment->headers + segment->l4;

	unit->head = *segment;
	unit->segments = 1;
	unit->payload = segment->payload;
	unit->next = load_be32(tcp + TCP_SEQUENCE) + segment->payload;
	unit->complete = tcp[TCP_FLAGS] & TCP_FLAG_PSH;
}

/* What a packet has one of: type of service, lifetime, flow label, whether it may be cut; Ethernet's addresses. */
static bool same_kind(const struct tcp_segment *a, const struct tcp_segment *b)
{
	const uint8_t *x = a->headers + ETHERNET_HEADER, *y = b->headers + ETHERNET_HEADER;

	if (a->header_len != b->header_len || memcmp(a->headers, b->headers, ETHERNET_HEADER))
		return false;
	if (a->ipv6)
		return !memcmp(x, y, 4) && x[7] == y[7];
	return x[1] == y[1] && x[6] == y[6] && x[7] == y[7] && x[8] == y[8];
}

/* Sequence numbers, timestamps: is it the same or later? */
static bool not_before(const uint8_t *a, const uint8_t *b)
{
	return (int32_t)(load_be32(b) - load_be32(a)) >= 0;
}

static bool follows(const struct tcp_unit *unit, const struct tcp_segment *segment)
{
	const uint8_t *tcp = segment->headers + segment->l4;
	const uint8_t *old = unit->head.headers + unit->head.l4;

	if (unit->complete || load_be32(tcp + TCP_SEQUENCE) != unit->next ||
	    !not_before(old + TCP_ACK, tcp + TCP_ACK))
		return false;
	return segment->header_len == segment->l4 + TCP_HEADER_MIN ||
	       not_before(old + TCP_TIMESTAMP, tcp + TCP_TIMESTAMP);
}

static uint16_t add_sums(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum + (sum >> 16));
}

/* Behind an odd number of bytes, all of a segment's are in the other halves of their words. */
static void add_payload(struct tcp_unit *unit, const struct tcp_segment *segment)
{
	uint16_t sum = payload_sum(segment);

	if (unit->segments == 1)
		unit->sum = payload_sum(&unit->head);
	unit->sum = add_sums(unit->sum, unit->payload & 1 ? __builtin_bswap16(sum) : sum);
	unit->payload += segment->payload;
	unit->next += segment->payload;
	unit->segments++;
}

bool tcp_unit_join(struct tcp_unit *unit, const struct tcp_segment *segment)
{
	const uint8_t *tcp = segment->headers + segment->l4;
	uint8_t *head = unit->head.headers + unit->head.l4;

	if (!segment->header_len || !same_kind(&unit->head, segment) || !follows(unit, segment) ||
	    !tcp_unit_fits(unit, segment))
		return false;
	add_payload(unit, segment);
	/* What a segment says of the other direction the last has said best; of its own, it pushed or not. */
	memcpy(head + TCP_ACK, tcp + TCP_ACK, 4);
	memcpy(head + TCP_WINDOW, tcp + TCP_WINDOW, 2);
	if (segment->header_len > segment->l4 + TCP_HEADER_MIN)
		memcpy(head + TCP_TIMESTAMP, tcp + TCP_TIMESTAMP, 8); /* and its echo */
	head[TCP_FLAGS] = tcp[TCP_FLAGS];
	unit->complete = tcp[TCP_FLAGS] & TCP_FLAG_PSH;
	return true;
}

void tcp_unit_finish(struct tcp_unit *unit)
{
	struct tcp_segment *head = &unit->head;
	const struct net_frame frame = { .l3 = ETHERNET_HEADER, .ipv6 = head->ipv6 };
	uint8_t *ip = head->headers + ETHERNET_HEADER, *checksum;

	if (head->ipv6)
		store_be16(ip + 4, (uint16_t)(head->header_len - head->l4 + unit->payload));
	else
		store_be16(ip + 2, (uint16_t)(head->header_len - ETHERNET_HEADER + unit->payload));
	net_frame_fill_ip(head->headers, &frame);
	checksum = head->headers + head->l4 + TCP_CHECKSUM;
	store_be16(checksum, 0);
	store_be16(checksum, (uint16_t)~add_sums(header_sum(head, unit->payload), unit->sum));
}
