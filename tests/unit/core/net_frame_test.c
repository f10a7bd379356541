/* Ethernet frames: checksums, the Toeplitz hash against its published vectors, segmentation. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/net_frame.h"
#include "core/nic.h"

static const uint8_t key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint8_t bytes[70000];

static void put16(size_t at, unsigned int value)
{
	bytes[at] = (uint8_t)(value >> 8);
	bytes[at + 1] = (uint8_t)value;
}

/* An IPv4 frame with 20 bytes of TCP header, or 8 of UDP; lengths are right, checksums are not. */
static size_t make_ipv4(bool tcp, size_t payload)
{
	static const uint8_t addresses[] = { 66, 9, 149, 187, 161, 142, 100, 80 };
	size_t l4 = tcp ? 20 : 8, len = 14 + 20 + l4 + payload;

	memset(bytes, 0, 14 + 20 + l4);
	for (size_t i = 0; i < payload; i++)
		bytes[34 + l4 + i] = (uint8_t)(i * 31 + 7);
	bytes[12] = 8;
	bytes[14] = 0x45;
	put16(16, (unsigned int)(len - 14));
	put16(18, 0x1234);
	bytes[22] = 64;
	bytes[23] = tcp ? 6 : 17;
	memcpy(&bytes[26], addresses, 8);
	put16(34, 2794);
	put16(36, 1766);
	if (tcp)
		bytes[46] = 5 << 4;
	else
		put16(38, (unsigned int)(8 + payload));
	return len;
}

static size_t make_ipv6_tcp(size_t payload)
{
	size_t len = 14 + 40 + 20 + payload;

	memset(bytes, 0, 74);
	for (size_t i = 0; i < payload; i++)
		bytes[74 + i] = (uint8_t)(i * 13);
	bytes[12] = 0x86;
	bytes[13] = 0xDD;
	bytes[14] = 0x60;
	put16(18, (unsigned int)(20 + payload));
	bytes[20] = 6;
	for (unsigned int i = 0; i < 32; i++)
		bytes[22 + i] = (uint8_t)i;
	bytes[66] = 5 << 4;
	return len;
}

static void sums_are_those_of_rfc_1071(void **state)
{
	/* The example of section 3. */
	static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	assert_int_equal(net_sum(0, example, 8), 0xddf2);
	assert_int_equal(net_sum(0, example, 7), 0xdcfb);
	assert_int_equal(net_sum(net_sum(0, example, 4), example + 4, 4), 0xddf2);
	for (size_t len = 0; len < 100; len++) {
		uint32_t slow = 0;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)(i * 201 + 3);
		for (size_t i = 0; i < len; i++)
			slow += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
		while (slow >> 16)
			slow = (slow & 0xFFFF) + (slow >> 16);
		assert_int_equal(net_sum(0, bytes, len) % 0xFFFF, slow % 0xFFFF);
	}
}

static void filled_checksums_verify(void **state)
{
	struct net_frame frame;

	(void)state;
	for (size_t payload = 0; payload < 300; payload += 7)
		for (int kind = 0; kind < 3; kind++) {
			size_t len =
				kind == 2 ? make_ipv6_tcp(payload) : make_ipv4(kind == 0, payload);
			uint16_t ok = kind == 1 ? NIC_RX_UDP_CHECKSUM_OK : NIC_RX_TCP_CHECKSUM_OK;

			net_frame_parse(bytes, len, &frame);
			assert_true(frame.l4 != 0);
			if (kind != 2)
				assert_true(net_frame_fill_ip(bytes, &frame));
			assert_true(net_frame_fill_l4(bytes, &frame));
			assert_int_equal(net_frame_verify(bytes, &frame),
					 ok | (kind == 2 ? 0 : NIC_RX_IP_CHECKSUM_OK));
			bytes[len - 1] ^= 0x10;
			assert_int_equal(net_frame_verify(bytes, &frame) & ok, 0);
		}
}

static void what_is_not_ip_is_left_alone(void **state)
{
	struct net_frame frame;

	(void)state;
	for (size_t len = 0; len < 60; len++) {
		make_ipv4(true, 20);
		net_frame_parse(bytes, len, &frame);
		assert_true(!frame.l4 || frame.l4 + frame.l4_len <= len);
	}
	make_ipv4(true, 20);
	bytes[20] = 0x20; /* more fragments */
	net_frame_parse(bytes, 74, &frame);
	assert_int_equal(frame.l4, 0);
	assert_int_equal(frame.l3, 14);
	make_ipv4(true, 20);
	put16(16, 61); /* longer than the frame */
	net_frame_parse(bytes, 74, &frame);
	assert_int_equal(frame.l4, 0);
	make_ipv4(true, 20);
	bytes[14] = 0x44; /* a header of 16 bytes */
	net_frame_parse(bytes, 74, &frame);
	assert_int_equal(frame.l3, 0);
}

/* "Verifying the RSS Hash Calculation" in Microsoft's driver documentation. */
static void hashes_are_the_published_ones(void **state)
{
	static const uint8_t second[] = { 199, 92, 111, 2, 65, 69, 140, 83 };
	static struct net_hash hash;
	struct net_frame frame;
	uint8_t type;

	(void)state;
	net_hash_init(&hash, key);
	net_frame_parse(bytes, make_ipv4(true, 10), &frame);
	assert_int_equal(
		net_frame_hash(&hash, bytes, &frame, NIC_HASH_TCP_IPV4 | NIC_HASH_IPV4, &type),
		0x51ccc178);
	assert_int_equal(type, NIC_HASH_TCP_IPV4);
	assert_int_equal(net_frame_hash(&hash, bytes, &frame, NIC_HASH_IPV4, &type), 0x323e8fc2);
	assert_int_equal(type, NIC_HASH_IPV4);
	memcpy(&bytes[26], second, 8);
	put16(34, 14230);
	put16(36, 4739);
	assert_int_equal(net_frame_hash(&hash, bytes, &frame, NIC_HASH_TCP_IPV4, &type),
			 0xc626b0ea);
	net_frame_hash(&hash, bytes, &frame, NIC_HASH_IPV6, &type);
	assert_int_equal(type, 0);
}

struct collected {
	size_t payload, header_len, frames;
	uint32_t sequence;
	bool last_has_push;
};

static void collect(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
		    size_t payload_len)
{
	static uint8_t copy[70000];
	struct collected *collected = ctx;
	struct net_frame frame;
	uint16_t flags;

	memcpy(copy, header, header_len);
	memcpy(copy + header_len, payload, payload_len);
	net_frame_parse(copy, header_len + payload_len, &frame);
	assert_int_equal(frame.l4 + frame.l4_len, header_len + payload_len);
	flags = net_frame_verify(copy, &frame);
	assert_true(flags & NIC_RX_TCP_CHECKSUM_OK);
	assert_false(flags & NIC_RX_IP_CHECKSUM_BAD);
	assert_ptr_equal(payload, bytes + collected->header_len + collected->payload);
	if (!frame.ipv6) /* a number of its own */
		assert_int_equal(load_be16(copy + 18),
				 (uint16_t)(load_be16(bytes + 18) + collected->frames));
	collected->last_has_push = copy[frame.l4 + 13] & 8;
	collected->payload += payload_len;
	collected->frames++;
}

static void segments_are_whole(void **state)
{
	struct collected collected = { .header_len = 54 };
	size_t len = make_ipv4(true, 10000);

	(void)state;
	bytes[47] = 0x18;
	put16(16, 0); /* as drivers leave it */
	assert_true(net_frame_segment(bytes, len, 54, 1448, collect, &collected));
	assert_int_equal(collected.frames, 7);
	assert_int_equal(collected.payload, 10000);
	assert_true(collected.last_has_push);
	collected = (struct collected){ .header_len = 74 };
	len = make_ipv6_tcp(60001);
	put16(18, 0);
	assert_true(net_frame_segment(bytes, len, 74, 1440, collect, &collected));
	assert_int_equal(collected.payload, 60001);
	/* What is not such a send. */
	len = make_ipv4(false, 1000);
	assert_false(net_frame_segment(bytes, len, 42, 500, collect, &collected));
	len = make_ipv4(true, 1000);
	assert_false(net_frame_segment(bytes, len, 58, 500, collect, &collected));
	assert_false(net_frame_segment(bytes, len, 54, 0, collect, &collected));
	assert_false(net_frame_segment(bytes, len, 13, 500, collect, &collected));
}

/* One packet of what is to be cut: who completes the sum over it gets a frame that verifies. */
static void a_send_is_prepared(size_t len, size_t header_len, uint16_t ok)
{
	struct net_frame frame;
	uint16_t field, sum;

	assert_true(net_frame_prepare_send(bytes, len, header_len, &frame));
	assert_int_equal(frame.l4 + frame.l4_len, len);
	field = net_frame_sum_field(&frame);
	sum = (uint16_t)~net_sum(0, bytes + frame.l4, frame.l4_len);
	put16(field, sum);
	net_frame_parse(bytes, len, &frame);
	assert_int_equal(frame.l4 + frame.l4_len, len);
	assert_int_equal(net_frame_verify(bytes, &frame), ok);
}

static void sends_are_prepared(void **state)
{
	const uint16_t ipv4 = NIC_RX_TCP_CHECKSUM_OK | NIC_RX_IP_CHECKSUM_OK;
	struct net_frame frame;

	(void)state;
	for (size_t payload = 1; payload < 65000; payload += 5949) {
		a_send_is_prepared(make_ipv4(true, payload), 54, ipv4);
		a_send_is_prepared(make_ipv6_tcp(payload - 1), 74, NIC_RX_TCP_CHECKSUM_OK);
	}
	assert_true(net_frame_prepare_send(bytes, make_ipv4(true, 65535 - 40), 54, &frame));
	assert_int_equal(frame.l4_len, 65535 - 20);
	assert_false(net_frame_prepare_send(bytes, make_ipv4(true, 65535 - 39), 54, &frame));
	assert_false(net_frame_prepare_send(bytes, make_ipv4(true, 10) - 11, 54, &frame));
	assert_false(net_frame_prepare_send(bytes, make_ipv4(false, 100), 42, &frame));
	make_ipv4(true, 10);
	memcpy(bytes + 12, "\x88\xCC", 2);
	assert_false(net_frame_prepare_send(bytes, 64, 54, &frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_those_of_rfc_1071),
		cmocka_unit_test(filled_checksums_verify),
		cmocka_unit_test(what_is_not_ip_is_left_alone),
		cmocka_unit_test(hashes_are_the_published_ones),
		cmocka_unit_test(segments_are_whole),
		cmocka_unit_test(sends_are_prepared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
