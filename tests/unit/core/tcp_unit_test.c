/* Segments of TCP that become one, and what keeps them from it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "core/tcp_unit.h"
#include "tests/unit/devices/net/tcp_frame.h"

static struct tcp_frame first, second;
static struct tcp_segment a, b;
static struct tcp_unit unit;

static bool parse(const struct tcp_frame *frame, struct tcp_segment *segment)
{
	memset(segment, 0xAA, sizeof(*segment));
	memcpy(segment->headers, frame->bytes,
	       frame->len < TCP_UNIT_HEADERS ? frame->len : TCP_UNIT_HEADERS);
	return tcp_segment_parse(segment, frame->len);
}

/* Two segments in a row, as tcp_frame_make() makes them. */
static void make_two(bool ipv6, bool timestamps)
{
	tcp_frame_make(&first, ipv6, timestamps, 0, 1000);
	tcp_frame_make(&second, ipv6, timestamps, 1000, 1000);
}

/* Does the second become part of the first's unit? */
static bool joins(void)
{
	assert_true(parse(&first, &a));
	assert_int_not_equal(a.header_len, 0);
	tcp_unit_begin(&unit, &a);
	assert_true(parse(&second, &b));
	assert_true(tcp_segment_same_flow(&a, &b));
	return tcp_unit_join(&unit, &b);
}

/* The unit as a whole frame, whose checksums the receiver finds good. */
static const uint8_t *whole(uint32_t payload)
{
	static uint8_t bytes[70000];
	struct net_frame frame;
	uint32_t header = unit.head.header_len;
	uint16_t flags;

	assert_int_equal(unit.payload, payload);
	tcp_unit_finish(&unit);
	memcpy(bytes, unit.head.headers, header);
	for (uint32_t i = 0; i < payload; i++)
		bytes[header + i] = tcp_frame_byte(i);
	net_frame_parse(bytes, header + payload, &frame);
	assert_true(frame.tcp);
	assert_int_equal(frame.l4_len, header - frame.l4 + payload);
	flags = net_frame_verify(bytes, &frame);
	assert_int_equal(flags, NIC_RX_TCP_CHECKSUM_OK | (frame.ipv6 ? 0 : NIC_RX_IP_CHECKSUM_OK));
	return bytes;
}

/* --- What becomes one */

static void segments_become_one(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < 4; kind++) {
		const uint8_t *bytes;

		make_two(kind & 1, kind & 2);
		assert_true(joins());
		bytes = whole(2000);
		assert_memory_equal(bytes, first.bytes, 14);
		assert_int_equal(load_be32(bytes + a.l4 + 4), 0xFFFFFF00);
		if (!(kind & 1))
			assert_int_equal(load_be16(bytes + 18), 0); /* the first's */
	}
}

static void odd_lengths_sum_right(void **state)
{
	static const uint32_t lens[] = { 1, 7, 100, 333, 64, 1, 1, 1021 };

	(void)state;
	for (unsigned int from = 0; from < 8; from++) {
		uint32_t at = lens[from];

		tcp_frame_make(&first, from & 1, true, 0, at);
		assert_true(parse(&first, &a));
		tcp_unit_begin(&unit, &a);
		for (unsigned int i = 1; i < 8; i++) {
			tcp_frame_make(&second, from & 1, true, at, lens[(from + i) % 8]);
			assert_true(parse(&second, &b));
			assert_true(tcp_unit_join(&unit, &b));
			at += lens[(from + i) % 8];
		}
		assert_int_equal(unit.segments, 8);
		whole(at);
	}
}

static void the_last_has_the_word(void **state)
{
	const uint8_t *tcp;

	(void)state;
	make_two(false, true);
	store_be32(first.tcp + 24, 0xFFFFFFFF); /* timestamps wrap */
	store_be32(second.tcp + 24, 3);
	store_be32(second.tcp + 28, 2001);
	store_be32(second.tcp + 8, 7500);
	store_be16(second.tcp + 14, 600);
	second.tcp[13] = 0x18;
	tcp_frame_fill(&first);
	tcp_frame_fill(&second);
	assert_true(joins());
	tcp = whole(2000) + 34;
	assert_int_equal(load_be32(tcp + 8), 7500);
	assert_int_equal(tcp[13], 0x18);
	assert_int_equal(load_be16(tcp + 14), 600);
	assert_int_equal(load_be32(tcp + 24), 3);
	assert_int_equal(load_be32(tcp + 28), 2001);
}

/* The sum is made of what the segments' own checksums say: bytes that do not fit them do not fit the unit's. */
static void a_wrong_payload_stays_wrong(void **state)
{
	uint8_t bytes[4096];
	struct net_frame frame;

	(void)state;
	make_two(false, false);
	assert_true(joins());
	tcp_unit_finish(&unit);
	memcpy(bytes, unit.head.headers, 54);
	memcpy(bytes + 54, first.bytes + 54, 1000);
	memcpy(bytes + 1054, second.bytes + 54, 1000);
	net_frame_parse(bytes, 2054, &frame);
	assert_true(net_frame_verify(bytes, &frame) & NIC_RX_TCP_CHECKSUM_OK);
	bytes[1500] ^= 0x10;
	assert_true(net_frame_verify(bytes, &frame) & NIC_RX_TCP_CHECKSUM_BAD);
}

static void a_unit_is_not_too_large(void **state)
{
	uint32_t at = 1400;

	(void)state;
	tcp_frame_make(&first, true, true, 0, 1400);
	assert_true(parse(&first, &a));
	tcp_unit_begin(&unit, &a);
	for (;; at += 1400) {
		tcp_frame_make(&second, true, true, at, 1400);
		assert_true(parse(&second, &b));
		if (!tcp_unit_join(&unit, &b))
			break;
	}
	assert_int_equal(at, (TCP_UNIT_BYTES - 86) / 1400 * 1400);
	assert_int_equal(unit.payload, at);
	whole(at);
}

/* --- What does not */

/* Of the second segment: a byte that is another. The flow stays the same, and its data data. */
static void what_differs_is_not_joined(void **state)
{
	static const struct {
		bool ipv6;
		uint8_t at, bits;
	} bytes[] = {
		{ false, 5, 1 },     { false, 6, 1 },     { true, 0, 1 },   /* Ethernet */
		{ false, 15, 4 },    { false, 15, 3 },                      /* type of service */
		{ false, 20, 0x40 }, { false, 20, 0x80 }, { false, 22, 1 }, /* may be cut; lifetime */
		{ true, 14, 1 },     { true, 15, 0x30 },  { true, 17, 1 },  { true, 21, 1 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		make_two(bytes[i].ipv6, true);
		second.bytes[bytes[i].at] ^= bytes[i].bits;
		if (joins())
			fail_msg("%u was joined", i);
	}
}

static void only_the_next_is_joined(void **state)
{
	(void)state;
	make_two(false, true);
	store_be32(second.tcp + 4, load_be32(second.tcp + 4) + 1);
	assert_false(joins());
	make_two(false, true);
	store_be32(second.tcp + 4, load_be32(first.tcp + 4)); /* once more */
	assert_false(joins());
	make_two(false, true);
	store_be32(second.tcp + 8, 6999); /* acknowledges less */
	assert_false(joins());
	make_two(false, true);
	store_be32(second.tcp + 24, 999); /* is older */
	assert_false(joins());
	make_two(false, true);
	tcp_frame_make(&second, false, false, 1000, 1000); /* has no timestamp any more */
	assert_false(joins());
	make_two(false, true);
	first.tcp[13] |= 8; /* pushed */
	assert_false(joins());
}

/* Of the flow, but not data that may be coalesced. */
static void what_is_special_goes_by_itself(void **state)
{
	static const uint8_t flags[] = { 0x00, 0x08, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x04 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(flags); i++) {
		tcp_frame_make(&first, false, false, 0, 100);
		first.tcp[13] = flags[i];
		assert_true(parse(&first, &a));
		assert_int_equal(a.header_len, 0);
	}
	tcp_frame_make(&first, false, false, 0, 100);
	first.tcp[12] |= 1; /* accurate ECN */
	assert_true(parse(&first, &a));
	assert_int_equal(a.header_len, 0);
	tcp_frame_make(&first, false, false, 0, 0); /* acknowledges only */
	assert_true(parse(&first, &a));
	assert_int_equal(a.header_len, 0);
	tcp_frame_make(&first, false, true, 0, 0);
	assert_true(parse(&first, &a));
	assert_int_equal(a.header_len, 0);
	tcp_frame_make(&first, false, true, 0, 100);
	first.tcp[20] = 5; /* SACK, say */
	assert_true(parse(&first, &a));
	assert_int_equal(a.header_len, 0);
	for (uint8_t words = 0; words < 16; words++) { /* any length of the header */
		tcp_frame_make(&first, false, true, 0, 100);
		first.tcp[12] = (uint8_t)(words << 4);
		assert_true(parse(&first, &a));
		assert_int_equal(a.header_len, words == 5 ? 54 : words == 8 ? 66 : 0);
	}
	tcp_frame_make(&first, false, false, 0, 5);
	first.len = 60; /* padded */
	assert_true(parse(&first, &a));
	assert_int_equal(a.header_len, 0);
	tcp_frame_make(&first, true, false, 0, 100);
	store_be16(first.ip + 4, 121); /* says more than there is */
	assert_true(parse(&first, &a));
	assert_int_equal(a.header_len, 0);
}

/* Nobody can tell whose it is. */
static void what_is_not_plain_tcp_is_of_no_flow(void **state)
{
	static const struct {
		bool ipv6;
		uint8_t at, value;
	} bytes[] = {
		{ false, 12, 0x81 }, { false, 14, 0x46 }, { false, 14, 0x65 }, { false, 20, 0x20 },
		{ false, 21, 1 },    { false, 23, 17 },   { true, 20, 17 },    { true, 20, 0 },
		{ true, 20, 44 },    { true, 14, 0x45 },  { true, 12, 8 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		tcp_frame_make(&first, bytes[i].ipv6, true, 0, 100);
		first.bytes[bytes[i].at] = bytes[i].value;
		if (parse(&first, &a))
			fail_msg("%u has a flow", i);
		assert_int_equal(a.header_len, 0);
	}
	for (uint32_t len = 14; len < 86; len++)
		for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
			tcp_frame_make(&first, ipv6, true, 0, 100);
			first.len = len;
			assert_int_equal(parse(&first, &a), len >= (ipv6 ? 74 : 54));
			assert_int_equal(a.header_len, 0);
		}
}

static void flows_are_told_apart(void **state)
{
	(void)state;
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		uint8_t from = ipv6 ? 22 : 26, to = ipv6 ? 58 : 38;

		for (uint8_t at = from; at < to; at++) {
			make_two(ipv6, false);
			second.bytes[at] ^= 0x20;
			assert_true(parse(&first, &a) && parse(&second, &b));
			assert_false(tcp_segment_same_flow(&a, &b));
		}
	}
	tcp_frame_make(&second, false, false, 0, 100);
	assert_true(parse(&second, &b));
	assert_false(tcp_segment_same_flow(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_become_one),
		cmocka_unit_test(odd_lengths_sum_right),
		cmocka_unit_test(the_last_has_the_word),
		cmocka_unit_test(a_wrong_payload_stays_wrong),
		cmocka_unit_test(a_unit_is_not_too_large),
		cmocka_unit_test(what_differs_is_not_joined),
		cmocka_unit_test(only_the_next_is_joined),
		cmocka_unit_test(what_is_special_goes_by_itself),
		cmocka_unit_test(what_is_not_plain_tcp_is_of_no_flow),
		cmocka_unit_test(flows_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
