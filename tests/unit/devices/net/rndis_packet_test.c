/* RNDIS data messages: what is taken, what is refused, and what ours look like. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/nic.h"
#include "devices/net/rndis_packet.h"
#include "proto/rndis.h"

static uint8_t head[RNDIS_HEAD_MAX];

/* A message of 1000 bytes of frame after `infos` bytes of per-packet information. */
static void make(uint32_t infos)
{
	memset(head, 0, sizeof(head));
	store_le32(head, RNDIS_MSG_PACKET);
	store_le32(head + 4, 44 + infos + 1000);
	store_le32(head + 8, 36 + infos);
	store_le32(head + 12, 1000);
	store_le32(head + 28, infos ? 36 : 0);
	store_le32(head + 32, infos);
}

/* Of no more bytes than are to be read. */
static int parse(struct rndis_frame *frame, uint64_t total)
{
	size_t len;
	int err = rndis_packet_parse(head, total, frame, &len);
	uint8_t *copy;

	if (err)
		return err;
	assert_true(len >= RNDIS_HEAD_MIN && len <= RNDIS_HEAD_MAX);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, head, len);
	err = rndis_packet_parse_info(copy, len, frame);
	free(copy);
	return err;
}

static void a_plain_message_is_taken(void **state)
{
	struct rndis_frame frame;

	(void)state;
	make(0);
	assert_int_equal(parse(&frame, 1044), 0);
	assert_int_equal(frame.msg_len, 1044);
	assert_int_equal(frame.data_offset, 44);
	assert_int_equal(frame.data_len, 1000);
	assert_int_equal(frame.flags, 0);
	assert_int_equal(parse(&frame, 1043), -EINVAL);
	assert_int_equal(parse(&frame, 43), -EINVAL);
	/* Lengths that a subtraction would make large. */
	for (uint32_t len = 0; len < 44; len++) {
		store_le32(head + 4, len);
		assert_int_equal(parse(&frame, 1044), -EINVAL);
	}
}

static void lengths_and_offsets_are_checked(void **state)
{
	/* Field, value. */
	static const uint32_t bad[][2] = {
		{ 0, 2 },   { 4, 43 },          { 4, 0xFFFFFFFF },  { 8, 35 },
		{ 8, 53 },  { 8, 0xFFFFFFF0 },  { 12, 1001 },       { 12, 0xFFFFFFFF },
		{ 28, 35 }, { 28, 0xFFFFFFF0 }, { 32, 0xFFFFFFFF }, { 32, 1020 },
		{ 32, 13 },
	};
	struct rndis_frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(16);
		store_le32(head + 44, 16);
		store_le32(head + 52, 12);
		assert_int_equal(parse(&frame, 1060), 0);
		store_le32(head + bad[i][0], bad[i][1]);
		if (parse(&frame, 1060) != -EINVAL)
			fail_msg("field %u, value %x was taken", bad[i][0], bad[i][1]);
	}
}

/* The head is as long as its per-packet information says: within the message, and what is copied of it. */
static void heads_end_where_they_may(void **state)
{
	struct rndis_frame frame;
	size_t len;

	(void)state;
	make(16);
	assert_int_equal(rndis_packet_parse(head, 1060, &frame, &len), 0);
	assert_int_equal(len, 60);
	store_le32(head + 32, RNDIS_HEAD_MAX - 44);
	assert_int_equal(rndis_packet_parse(head, 1060, &frame, &len), 0);
	assert_int_equal(len, RNDIS_HEAD_MAX);
	store_le32(head + 32, RNDIS_HEAD_MAX - 43);
	assert_int_equal(rndis_packet_parse(head, 1060, &frame, &len), -EINVAL);
	make(16);
	store_le32(head + 28, 35);
	assert_int_equal(rndis_packet_parse(head, 1060, &frame, &len), -EINVAL);
	/* A message of 100 bytes. */
	make(16);
	store_le32(head + 4, 100);
	store_le32(head + 12, 40);
	store_le32(head + 32, 56);
	assert_int_equal(rndis_packet_parse(head, 1060, &frame, &len), 0);
	store_le32(head + 32, 57);
	assert_int_equal(rndis_packet_parse(head, 1060, &frame, &len), -EINVAL);
}

/* Information that is part of the frame as well is read once, from the copy; of two elements that say the same, the last counts. */
static void overlaps_do_no_harm(void **state)
{
	struct rndis_frame frame;

	(void)state;
	make(0);
	store_le32(head + 28, 36); /* where the frame begins */
	store_le32(head + 32, 32);
	for (unsigned int i = 0; i < 2; i++) {
		store_le32(head + 44 + 16 * i, 16);
		store_le32(head + 48 + 16 * i, IEEE_8021Q_INFO);
		store_le32(head + 52 + 16 * i, 12);
		store_le32(head + 56 + 16 * i, (i + 1) << NDIS_VLAN_ID_SHIFT);
	}
	assert_int_equal(parse(&frame, 1044), 0);
	assert_int_equal(frame.data_offset, 44);
	assert_int_equal(frame.data_len, 1000);
	assert_int_equal(frame.vlan_tci, 2);
	/* The second begins inside the first, and is none then: what follows the first is looked at. */
	store_le32(head + 44, 20);
	assert_int_equal(parse(&frame, 1044), -EINVAL);
}

static void elements_are_checked(void **state)
{
	/* size, offset of the value */
	static const uint32_t bad[][2] = { { 0, 12 },          { 11, 11 }, { 17, 12 },
					   { 0xFFFFFFFF, 12 }, { 16, 11 }, { 16, 17 },
					   { 16, 0xFFFFFFFF } };
	struct rndis_frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(16);
		store_le32(head + 44, bad[i][0]);
		store_le32(head + 52, bad[i][1]);
		assert_int_equal(parse(&frame, 1060), -EINVAL);
	}
	/* Four bytes are no element. */
	make(20);
	store_le32(head + 44, 16);
	store_le32(head + 52, 12);
	store_le32(head + 60, 4);
	assert_int_equal(parse(&frame, 1064), -EINVAL);
	/* Without a value there is nothing to go by. */
	make(16);
	store_le32(head + 44, 16);
	store_le32(head + 48, IEEE_8021Q_INFO);
	store_le32(head + 52, 16);
	assert_int_equal(parse(&frame, 1060), 0);
	assert_int_equal(frame.flags, 0);
	/* An internal number is of another space. */
	store_le32(head + 48, IEEE_8021Q_INFO | RNDIS_PPI_INTERNAL);
	store_le32(head + 52, 12);
	assert_int_equal(parse(&frame, 1060), 0);
	assert_int_equal(frame.flags, 0);
}

static void what_is_written_can_be_read(void **state)
{
	struct nic_rx rx = { .len = 1000,
			     .flags = NIC_RX_VLAN | NIC_RX_HASH | NIC_RX_TCP_CHECKSUM_OK,
			     .vlan_tci = 0xB123,
			     .hash = 7 };
	const struct rndis_fragment middle = { .offset = 66, .id = 0x1234 };
	const struct rndis_fragment ends = { .id = 7, .first = true, .last = true };
	struct rndis_frame frame;
	size_t len;

	(void)state;
	memset(head, 0, sizeof(head));
	len = rndis_packet_write_head(head, &rx, NULL);
	assert_int_equal(len, RNDIS_RX_HEAD_MAX - 16);
	assert_int_equal(parse(&frame, RNDIS_RX_HEADROOM + 1000), 0);
	assert_int_equal(frame.data_offset, RNDIS_RX_HEADROOM);
	assert_int_equal(frame.data_len, 1000);
	assert_true(frame.flags & NIC_TX_VLAN);
	assert_int_equal(frame.vlan_tci, 0xB123);
	/* A part says the same, and which it is. */
	len = rndis_packet_write_head(head, &rx, &middle);
	assert_int_equal(len, RNDIS_RX_HEAD_MAX);
	assert_int_equal(parse(&frame, RNDIS_RX_HEADROOM + 1000), 0);
	assert_int_equal(frame.data_offset, RNDIS_RX_HEADROOM + 66);
	assert_int_equal(frame.data_len, 1000 - 66);
	assert_int_equal(frame.vlan_tci, 0xB123);
	assert_int_equal(load_le32(head + len - 12), RNDIS_PKTINFO_ID);
	assert_int_equal(load_le32(head + len - 4),
			 RNDIS_PKTINFO_ID_V1 | RNDIS_PKTINFO_SUBALLOC << 8 | 0x1234 << 16);
	rx.flags = 0;
	assert_int_equal(rndis_packet_write_head(head, &rx, NULL), RNDIS_HEAD_MIN);
	assert_int_equal(rndis_packet_write_head(head, &rx, &ends), RNDIS_HEAD_MIN + 16);
	assert_int_equal(load_le32(head + RNDIS_HEAD_MIN + 12), 1 | 7 << 8 | 7 << 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_message_is_taken),
		cmocka_unit_test(lengths_and_offsets_are_checked),
		cmocka_unit_test(heads_end_where_they_may),
		cmocka_unit_test(overlaps_do_no_harm),
		cmocka_unit_test(elements_are_checked),
		cmocka_unit_test(what_is_written_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
