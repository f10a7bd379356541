/*
 * Frames with work left: what goes to a TAP device, given back as if it came from one, must be the frames that the
 * card would have made by itself.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/net_backend.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "host/net_offload.h"

#define FRAMES    50u
#define FRAME_MAX 2048u

static uint8_t send[70000], cut[FRAME_MAX];
static struct list {
	unsigned int count;
	size_t len[FRAMES];
	uint8_t bytes[FRAMES][FRAME_MAX];
} wanted, got;

static void add(struct list *list, const uint8_t *frame, size_t len)
{
	assert_true(list->count < FRAMES && len <= FRAME_MAX);
	memcpy(list->bytes[list->count], frame, len);
	list->len[list->count++] = len;
}

static void add_got(void *ctx, const uint8_t *frame, size_t len)
{
	add(ctx, frame, len);
}

static void add_wanted(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
		       size_t payload_len)
{
	uint8_t frame[FRAME_MAX];

	memcpy(frame, header, header_len);
	memcpy(frame + header_len, payload, payload_len);
	add(ctx, frame, header_len + payload_len);
}

/* TCP with 12 bytes of options, as a driver leaves it: no lengths, no checksums. The header's length. */
static size_t make_send(bool ipv6, size_t payload)
{
	size_t l4 = ipv6 ? 54 : 34;

	memset(send, 0, l4 + 32);
	for (size_t i = 0; i < payload; i++)
		send[l4 + 32 + i] = (uint8_t)(i * 31 + i / 256);
	memset(send, 0x42, 12);
	memcpy(send + 12, ipv6 ? "\x86\xDD\x60" : "\x08\x00\x45", 3);
	if (ipv6) {
		send[20] = 6;
		memset(send + 22, 0xFD, 32);
	} else {
		memcpy(send + 18, "\xFF\xFE", 2); /* the number goes around */
		memcpy(send + 22, "\x40\x06", 2);
		memset(send + 26, 10, 8);
	}
	memcpy(send + l4, "\x12\x34\x14\x51\xFF\xFF\xFF\x00", 8);
	memcpy(send + l4 + 12, "\x80\x19", 2); /* FIN, PSH and ACK */
	return l4 + 32;
}

static void insert_tag(size_t *len, size_t *header_len)
{
	memmove(send + 16, send + 12, *len - 12);
	memcpy(send + 12, "\x81\x00\x60\x05", 4);
	*len += 4;
	*header_len += 4;
}

/* The wanted frames get the tag, too. */
static void tag_wanted(void)
{
	for (unsigned int i = 0; i < wanted.count; i++) {
		memmove(wanted.bytes[i] + 16, wanted.bytes[i] + 12, wanted.len[i] - 12);
		memcpy(wanted.bytes[i] + 12, "\x81\x00\x60\x05", 4);
		wanted.len[i] += 4;
	}
}

/* What the card takes of a send: so many bytes, which are at its beginning. */
static size_t takes, taken;

static size_t take(void *ctx, const struct net_send *whole, size_t mss)
{
	(void)ctx;
	assert_int_equal(mss, 1448);
	assert_int_equal(got.count, 0); /* it is asked first */
	taken = whole->len - whole->header_len;
	if (takes < taken)
		taken = takes;
	return taken;
}

static void finish(const struct virtio_net_hdr *header, size_t len)
{
	static const struct net_backend_client client = { .receive = add_got };
	static const struct net_backend_client taking = { .receive = add_got,
							  .receive_send = take };

	got.count = 0;
	taken = 0;
	net_offload_finish(header, send, len, cut, sizeof(cut), takes ? &taking : &client, &got);
}

/* All but those that were taken. */
static void check_got(void)
{
	unsigned int first = (unsigned int)((taken + 1447) / 1448);

	assert_int_equal(got.count, wanted.count - first);
	for (unsigned int i = 0; i < got.count; i++) {
		assert_int_equal(got.len[i], wanted.len[first + i]);
		assert_memory_equal(got.bytes[i], wanted.bytes[first + i], got.len[i]);
	}
}

static void crosses(bool ipv6, bool tagged, size_t payload)
{
	size_t header_len = make_send(ipv6, payload), len = header_len + payload;
	struct net_offload offload = { .mss = 1448, .ipv6 = ipv6 };
	struct virtio_net_hdr header;
	struct net_frame frame;

	wanted.count = 0;
	assert_true(net_frame_segment(send, len, header_len, 1448, add_wanted, &wanted));
	assert_int_equal(wanted.count, (payload + 1447) / 1448);
	assert_true(net_frame_prepare_send(send, len, header_len, &frame));
	if (!ipv6)
		assert_true(net_frame_verify(send, &frame) & NIC_RX_IP_CHECKSUM_OK);
	if (tagged) {
		insert_tag(&len, &header_len);
		tag_wanted();
	}
	offload.sum_start = (uint16_t)(frame.l4 + (tagged ? 4 : 0));
	offload.sum_field = offload.sum_start + 16;
	offload.header_len = (uint16_t)header_len;
	net_offload_header(&offload, &header);
	finish(&header, len);
	check_got();
}

static const size_t payloads[] = { 1, 1448, 1449, 2896, 20000, 65000 };

static void sends_are_cut(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		for (unsigned int kind = 0; kind < 4; kind++)
			crosses(kind & 1, kind & 2, payloads[i]);
}

/* The rest of a send of which the card has taken frames is what it would have been. Of tagged ones it is not asked. */
static void what_is_not_taken_is_cut(void **state)
{
	static const size_t amounts[] = { 1448, 13 * 1448, 70000 };

	(void)state;
	for (unsigned int i = 0; i < 18; i++)
		for (unsigned int kind = 0; kind < 4; kind++) {
			takes = amounts[i / 6];
			crosses(kind & 1, kind & 2, payloads[i % 6]);
			assert_int_equal(taken, kind & 2                  ? 0
						: payloads[i % 6] < takes ? payloads[i % 6]
									  : takes);
		}
	takes = 0;
}

/* A frame of a size that a wire takes, its checksum left. */
static void sums_are_completed(void **state)
{
	struct net_offload offload = { 0 };
	struct virtio_net_hdr header;
	struct net_frame frame;
	size_t len;

	(void)state;
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		len = make_send(ipv6, 1001) + 1001;
		net_frame_parse(send, len, &frame);
		net_frame_fill_l4(send, &frame);
		wanted.count = 0;
		add(&wanted, send, len);
		assert_true(net_frame_start_l4(send, &frame));
		offload.sum_start = frame.l4;
		offload.sum_field = frame.l4 + 16;
		net_offload_header(&offload, &header);
		finish(&header, len);
		check_got();
	}
	net_offload_header(NULL, &header);
	send[50] ^= 1; /* nothing is left: nothing is touched */
	wanted.count = 0;
	add(&wanted, send, len);
	finish(&header, len);
	check_got();
}

/* One that sums up to nothing is not "none" (RFC 768). */
static void a_sum_is_never_zero(void **state)
{
	const struct virtio_net_hdr header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .csum_start = 34,
					       .csum_offset = 6 };

	(void)state;
	memset(send, 0, 60);
	memset(send + 34, 0xFF, 2);
	finish(&header, 60);
	assert_int_equal(got.count, 1);
	assert_memory_equal(got.bytes[0] + 40, "\xFF\xFF", 2);
}

/* Segments that are larger than any frame. */
static void segments_fit(void **state)
{
	const struct virtio_net_hdr header = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					       .gso_size = FRAME_MAX,
					       .csum_start = 34 };

	(void)state;
	finish(&header, make_send(false, 5000) + 5000);
	assert_true(got.count <= 1); /* the last is a small one */
	for (unsigned int i = 0; i < got.count; i++)
		assert_true(got.len[i] < 1000);
}

static void what_cannot_be_is_lost(void **state)
{
	static const struct virtio_net_hdr headers[] = {
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 90, .csum_offset = 9 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .csum_start = 0xFFFF,
		  .csum_offset = 0xFFFF },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 0, .csum_start = 34 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 10, .csum_start = 81 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 10, .csum_start = 0 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 10, .csum_start = 35 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 10, .csum_start = 14 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		make_send(false, 34);
		finish(&headers[i], 100);
		assert_int_equal(got.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_are_cut),      cmocka_unit_test(what_is_not_taken_is_cut),
		cmocka_unit_test(sums_are_completed), cmocka_unit_test(a_sum_is_never_zero),
		cmocka_unit_test(segments_fit),       cmocka_unit_test(what_cannot_be_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
