/* The life of channels, with a client on the other side: offers to rescinds, GPADLs, packets. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_channel.h"
#include "devices/vmbus/vmbus_server.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

/* A device that answers every packet with its payload and counts what happens to it. */
struct echo {
	struct vmbus_channel *channel;
	unsigned int opens, closes, gones, packets, moves;
	int refuse; /* error for open() */
	bool hold_close, may_move;
	uint8_t user_byte;
	struct event_loop *open_loop, *ready_loop;
	struct vmbus_packet last;
	int last_error;
	uint8_t pending[4096]; /* an answer that did not fit */
	size_t pending_len;
	uint64_t pending_id;
	bool has_pending;
	void (*full)(void);      /* called when an answer did not fit */
	const uint32_t *watched; /* by the end of ready(): */
	uint32_t seen;
};

static int echo_open(void *dev, struct vmbus_channel *channel, const uint8_t *user_data)
{
	struct echo *echo = dev;

	assert_ptr_equal(channel, echo->channel);
	if (echo->refuse)
		return echo->refuse;
	echo->opens++;
	echo->user_byte = user_data[0];
	echo->open_loop = vmbus_channel_loop(channel);
	return 0;
}

static void echo_close(void *dev, struct vmbus_channel *channel)
{
	struct echo *echo = dev;

	echo->closes++;
	echo->has_pending = false;
	assert_int_equal(vmbus_channel_send(channel, false, 0, "x", 1), -EPIPE);
	if (!echo->hold_close)
		vmbus_channel_closed(channel);
}

static bool echo_flush(struct echo *echo)
{
	if (!echo->has_pending)
		return true;
	if (vmbus_channel_complete(echo->channel, echo->pending_id, echo->pending,
				   echo->pending_len) == -EAGAIN)
		return false;
	echo->has_pending = false;
	vmbus_channel_resume(echo->channel);
	return true;
}

static void echo_ready(void *dev, struct vmbus_channel *channel)
{
	struct echo *echo = dev;
	struct vmbus_packet packet;
	int err;

	echo->ready_loop = vmbus_channel_loop(channel);
	if (!echo_flush(echo))
		return;
	while (!(err = vmbus_channel_receive(channel, &packet))) {
		echo->packets++;
		echo->last = packet;
		if (vmbus_channel_complete(channel, packet.trans_id, packet.payload,
					   packet.payload_len) != -EAGAIN)
			continue;
		assert_in_range(packet.payload_len, 0, sizeof(echo->pending));
		memcpy(echo->pending, packet.payload, packet.payload_len);
		echo->pending_len = packet.payload_len;
		echo->pending_id = packet.trans_id;
		echo->has_pending = true;
		if (echo->full)
			echo->full();
		vmbus_channel_pause(channel);
		return;
	}
	echo->last_error = err;
	if (echo->watched)
		echo->seen = *echo->watched;
}

static void echo_gone(void *dev, struct vmbus_channel *channel)
{
	struct echo *echo = dev;

	(void)channel;
	echo->gones++;
}

static bool echo_may_move(void *dev, struct vmbus_channel *channel)
{
	struct echo *echo = dev;

	(void)channel;
	echo->moves++;
	return echo->may_move;
}

static const struct vmbus_channel_ops echo_ops = {
	.name = "echo",
	.max_packet = 4096,
	.open = echo_open,
	.close = echo_close,
	.ready = echo_ready,
	.gone = echo_gone,
	.may_move = echo_may_move,
};

static const struct vmbus_offer echo_offer = {
	.interface = { 0x11223344, 0x5566, 0x7788, { 1, 2, 3, 4, 5, 6, 7, 8 } },
	.instance = { .data1 = 1 },
	.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE | VMBUS_OFFER_CONFIDENTIAL_RING_BUFFER,
	.mmio_megabytes = 8,
	.user_defined = { 0xAB },
};

static struct client client;
static struct echo echo;
static struct client_channel chan;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	memset(&echo, 0, sizeof(echo));
	return client_init(&client, 0, 0);
}

static int teardown(void **state)
{
	(void)state;
	echo.hold_close = false;
	client_fini(&client);
	return 0;
}

static void offer(void)
{
	assert_int_equal(
		vmbus_server_offer(client.server, &echo_offer, &echo_ops, &echo, &echo.channel), 0);
}

static void request_offers(void)
{
	struct vmbus_channel_message_header header = { .msgtype = CHANNELMSG_REQUESTOFFERS };

	client_post(&client, &header, sizeof(header));
}

/* Connects and receives the one offer. */
static struct vmbus_channel_offer_channel connect(uint32_t version)
{
	const struct vmbus_channel_offer_channel *msg;
	struct vmbus_channel_offer_channel copy;

	assert_true(client_connect(&client, version));
	request_offers();
	msg = client_take(&client, CHANNELMSG_OFFERCHANNEL);
	assert_non_null(msg);
	copy = *msg;
	assert_non_null(client_take(&client, CHANNELMSG_ALLOFFERS_DELIVERED));
	return copy;
}

/* Offers, connects and opens the channel on `vp`, with rings of four pages at 1 MiB. */
static void open_on(uint32_t vp)
{
	struct vmbus_channel_offer_channel msg;

	offer();
	msg = connect(VMBUS_VERSION_5_3);
	assert_int_equal(
		client_open(&client, &chan, msg.child_relid, msg.connection_id, vp, 0x100000, 4),
		VMBUS_STATUS_SUCCESS);
}

static void post_id(uint32_t msgtype, uint32_t relid)
{
	struct vmbus_channel_id_message msg = { .header.msgtype = msgtype, .child_relid = relid };

	client_post(&client, &msg, sizeof(msg));
	client_run(&client);
}

/* Sends an in-band packet and expects it back. */
static void expect_echo(uint64_t id, const char *text)
{
	struct {
		struct vmpacket_descriptor desc;
		char payload[64];
	} packet;
	size_t len = strlen(text) + 1;

	assert_int_equal(client_send(&chan, VM_PKT_DATA_INBAND,
				     VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED, id, NULL, 0, text,
				     len),
			 0);
	client_run(&client);
	assert_int_equal(client_receive(&chan, &packet, sizeof(packet)), 16 + ((len + 7) & ~7u));
	assert_int_equal(packet.desc.type, VM_PKT_COMP);
	assert_int_equal(packet.desc.trans_id, id);
	assert_string_equal(packet.payload, text);
}

static void offers_carry_what_the_device_said(void **state)
{
	struct vmbus_channel_offer_channel msg;

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_2);
	assert_memory_equal(&msg.if_type, &echo_offer.interface, sizeof(struct guid));
	assert_memory_equal(&msg.if_instance, &echo_offer.instance, sizeof(struct guid));
	assert_int_equal(msg.chn_flags, VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE);
	assert_int_equal(msg.mmio_megabytes, 8);
	assert_int_equal(msg.user_defined[0], 0xAB);
	assert_int_equal(msg.is_dedicated_interrupt, 1);
	assert_int_equal(msg.monitor_allocated, 0);
	assert_int_not_equal(msg.child_relid, 0);
	assert_int_equal(msg.connection_id & 0xFFF, msg.child_relid);
}

static void a_late_offer_comes_by_itself(void **state)
{
	(void)state;
	assert_true(client_connect(&client, VMBUS_VERSION_5_3));
	offer();
	assert_int_equal(client_message_count(&client), 0);
	request_offers();
	assert_non_null(client_take(&client, CHANNELMSG_OFFERCHANNEL));
	assert_non_null(client_take(&client, CHANNELMSG_ALLOFFERS_DELIVERED));
	vmbus_channel_rescind(echo.channel);
	client_drop_messages(&client);
	offer();
	assert_non_null(client_take(&client, CHANNELMSG_OFFERCHANNEL));
}

static void packets_are_answered(void **state)
{
	(void)state;
	open_on(2);
	assert_int_equal(echo.opens, 1);
	assert_ptr_equal(echo.open_loop, client.loops[2]);
	for (uint64_t i = 0; i < 2000; i++)
		expect_echo(i, i % 3 ? "hello" : "a longer text that wraps elsewhere");
	assert_ptr_equal(echo.ready_loop, client.loops[2]);
	assert_int_equal(echo.packets, 2000);
	assert_int_equal(client.event_vp[chan.relid], 2);
	assert_int_equal(client.events[chan.relid], 2000);
}

/* The guest's side of a full ring: pending_send_sz, and a signal when that much fits; for nothing else. */
static void a_guest_that_waits_for_room_is_signalled(void **state)
{
	uint64_t buf[64] = { 0 };

	(void)state;
	open_on(0);
	chan.in.control->interrupt_mask = 1; /* it does not want to hear of answers */
	while (!client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, buf, 300))
		;
	assert_true(chan.out.control->pending_send_sz > 300);
	assert_int_equal(client.events[chan.relid], 0);
	client_run(&client);
	assert_int_equal(client.events[chan.relid], 1);

	/* There was room all the time. */
	while (client_receive(&chan, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, buf, 300), 0);
	chan.out.control->pending_send_sz = 64;
	client_run(&client);
	assert_int_equal(client.events[chan.relid], 1);
	/* And nobody waits. */
	chan.out.control->pending_send_sz = 0;
	assert_int_equal(client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, buf, 300), 0);
	client_run(&client);
	assert_int_equal(client.events[chan.relid], 1);
}

static void a_burst_is_signalled_once(void **state)
{
	(void)state;
	open_on(0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, "burst", 6),
				 0);
	client_run(&client);
	assert_int_equal(echo.packets, 10);
	assert_int_equal(client.events[chan.relid], 1);
}

/* What one run of the loop sends, the guest sees at once; what is sent otherwise, immediately. */
static void answers_appear_together(void **state)
{
	uint32_t before, after;

	(void)state;
	open_on(0);
	echo.watched = &chan.in.control->write_index;
	before = *echo.watched;
	for (int i = 0; i < 5; i++)
		client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, "packet", 7);
	client_run(&client);
	after = chan.in.control->write_index;
	assert_int_equal(echo.seen, before);
	assert_int_equal(after - before, 5 * (16 + 8 + 8));
	vmbus_channel_send(echo.channel, false, 0, "packet", 7);
	assert_int_equal(chan.in.control->write_index - after, 16 + 8 + 8);
}

static unsigned int noted;

static void note(void *ctx)
{
	(void)ctx;
	noted = echo.packets;
}

/* What else its loop has to do has its turn in between; nobody reads at other times. */
static void a_channel_takes_turns(void **state)
{
	struct vmbus_packet packet;

	(void)state;
	open_on(0);
	for (int i = 0; i < 100; i++)
		client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, "packet", 7);
	assert_int_equal(vmbus_channel_receive(echo.channel, &packet), -EAGAIN);
	assert_int_equal(event_loop_post(client.loops[0], note, NULL), 0);
	client_run(&client);
	assert_in_range(noted, 1, 99);
	assert_int_equal(echo.packets, 100);
}

#define OLD_ANSWERS 300

static void read_old_answers(void)
{
	uint64_t buf[64];

	for (int i = 0; i < OLD_ANSWERS; i++)
		assert_true(client_receive(&chan, buf, sizeof(buf)) > 0);
	echo.full = NULL;
}

/*
 * The ring is full of old answers and of new ones that the guest has not seen, when it takes the old
 * ones. Whether it signals for that depends on what it knows to be in the ring.
 */
static void room_is_signalled_in_the_middle_of_a_run(void **state)
{
	uint64_t buf[64];
	int sent = 0;

	(void)state;
	open_on(0);
	for (int i = 0; i < OLD_ANSWERS; i++)
		assert_int_equal(vmbus_channel_send(echo.channel, false, 0, buf, 8), 0);
	echo.full = read_old_answers;
	while (!client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, buf, 320))
		sent++;
	client_run(&client);
	assert_null(echo.full);
	assert_int_equal(echo.packets, sent);
	while (client_receive(&chan, buf, sizeof(buf)) > 0)
		sent--;
	client_run(&client);
	while (client_receive(&chan, buf, sizeof(buf)) > 0)
		sent--;
	assert_int_equal(sent, 0);
	assert_false(echo.has_pending);
}

/* The client reads slower than it writes: everything must come through, by signals alone. */
static void full_rings_recover(void **state)
{
	uint64_t sent = 0, received = 0, buf[64];
	unsigned int stalls = 0;

	(void)state;
	open_on(1);
	while (received < 20000) {
		while (sent < 20000 && !client_send(&chan, VM_PKT_DATA_INBAND, 0, sent, NULL, 0,
						    buf, 8 + sent % 200))
			sent++;
		client_run(&client);
		stalls += echo.has_pending;
		for (int i = 0; i < 5 && client_receive(&chan, buf, sizeof(buf)) > 0; i++) {
			assert_int_equal(((struct vmpacket_descriptor *)buf)->trans_id, received);
			received++;
		}
	}
	assert_true(stalls > 10);
	assert_int_equal(echo.packets, 20000);
}

static void gpa_direct_packets_describe_memory(void **state)
{
	uint64_t ext[8] = { 0 }, gpa, len;
	struct vmdata_gpa_direct_header header = { .reserved = 0xDEAD, .range_cnt = 2 };
	struct gpa_range first = { .byte_count = 0x1800, .byte_offset = 0xF00 };
	struct gpa_range second = { .byte_count = 16, .byte_offset = 8 };
	struct vmbus_gpa_cursor cursor;

	(void)state;
	open_on(0);
	memcpy(&ext[0], &header, 8);
	memcpy(&ext[1], &first, 8);
	ext[2] = 0x300;
	ext[3] = 0x301;
	ext[4] = 0x320;
	memcpy(&ext[5], &second, 8);
	ext[6] = 0x400;
	assert_int_equal(
		client_send(&chan, VM_PKT_DATA_USING_GPA_DIRECT, 1, 7, ext, 7 * 8, "req", 4), 0);
	client_run(&client);
	assert_int_equal(echo.packets, 1);
	assert_true(echo.last.wants_completion);
	assert_int_equal(echo.last.buffer.byte_count, 0x1810);
	vmbus_gpa_cursor_init(&cursor, &echo.last.buffer);
	assert_true(vmbus_gpa_next(&cursor, UINT64_MAX, &gpa, &len));
	assert_int_equal(gpa, 0x300F00);
	assert_int_equal(len, 0x1100);
	assert_true(vmbus_gpa_next(&cursor, UINT64_MAX, &gpa, &len));
	assert_int_equal(gpa, 0x320000);
	assert_int_equal(len, 0x700);
	assert_true(vmbus_gpa_next(&cursor, UINT64_MAX, &gpa, &len));
	assert_int_equal(gpa, 0x400008);
	assert_int_equal(len, 16);
	assert_false(vmbus_gpa_next(&cursor, UINT64_MAX, &gpa, &len));

	/* More ranges than the packet holds. */
	header.range_cnt = 3;
	memcpy(&ext[0], &header, 8);
	client_send(&chan, VM_PKT_DATA_USING_GPA_DIRECT, 1, 7, ext, 7 * 8, "req", 4);
	client_run(&client);
	assert_int_equal(echo.packets, 1);
	assert_int_equal(echo.last_error, -EPROTO);
}

static void a_channel_can_be_opened_again(void **state)
{
	(void)state;
	open_on(0);
	expect_echo(1, "one");
	client_close(&chan);
	client_run(&client);
	assert_int_equal(echo.closes, 1);
	assert_true(client_gpadl_teardown(&client, chan.relid, chan.gpadl));
	assert_int_equal(
		client_open(&client, &chan, chan.relid, chan.connection_id, 3, 0x200000, 2), 0);
	assert_ptr_equal(echo.open_loop, client.loops[3]);
	expect_echo(2, "two");
}

/* What was sent before is the guest's, though it may not look. */
static void a_close_comes_last(void **state)
{
	uint64_t buf[64];

	(void)state;
	open_on(0);
	client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, "last", 5);
	client_close(&chan);
	client_run(&client);
	assert_int_equal(echo.closes, 1);
	assert_true(client_receive(&chan, buf, sizeof(buf)) > 0);
}

/* Closed while the device did not want to hear of more, which it does when it is opened again. */
static void a_pause_ends_with_the_channel(void **state)
{
	uint64_t buf[64] = { 0 };

	(void)state;
	open_on(0);
	while (!echo.has_pending) {
		while (!client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, buf, 300))
			;
		client_run(&client);
	}
	client_close(&chan);
	client_run(&client);
	assert_true(client_gpadl_teardown(&client, chan.relid, chan.gpadl));
	assert_int_equal(
		client_open(&client, &chan, chan.relid, chan.connection_id, 0, 0x200000, 2), 0);
	expect_echo(1, "again");
}

/* There is no answer to a close: the client tears down and opens while the device still closes. */
static void teardown_and_reopen_wait_for_the_device(void **state)
{
	struct client_channel old;

	(void)state;
	open_on(0);
	old = chan;
	echo.hold_close = true;
	client_close(&chan);
	assert_false(client_gpadl_teardown(&client, old.relid, old.gpadl));
	client_open_start(&client, &chan, old.relid, old.connection_id, 1, 0x200000, 4);
	client_run(&client);
	assert_int_equal(client_message_count(&client), 0);
	assert_int_equal(echo.opens, 1);

	echo.hold_close = false;
	vmbus_channel_closed(echo.channel);
	client_run(&client);
	assert_non_null(client_take(&client, CHANNELMSG_GPADL_TORNDOWN));
	assert_non_null(client_take(&client, CHANNELMSG_OPENCHANNEL_RESULT));
	assert_int_equal(echo.opens, 2);
	assert_ptr_equal(echo.open_loop, client.loops[1]);
	expect_echo(1, "again");
}

static void a_device_may_refuse(void **state)
{
	struct vmbus_channel_offer_channel msg;

	(void)state;
	echo.refuse = -EBUSY;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	assert_int_equal(
		client_open(&client, &chan, msg.child_relid, msg.connection_id, 0, 0x100000, 4),
		VMBUS_STATUS_UNSUCCESSFUL);
	echo.refuse = 0;
	assert_true(client_gpadl_teardown(&client, chan.relid, chan.gpadl));
	assert_int_equal(
		client_open(&client, &chan, msg.child_relid, msg.connection_id, 0, 0x100000, 4),
		VMBUS_STATUS_SUCCESS);
}

static uint32_t open_raw(uint32_t relid, uint32_t gpadl, uint32_t split, uint32_t vp)
{
	struct vmbus_channel_open_channel msg = {
		.header.msgtype = CHANNELMSG_OPENCHANNEL,
		.child_relid = relid,
		.ringbuffer_gpadlhandle = gpadl,
		.target_vp = vp,
		.downstream_ringbuffer_pageoffset = split,
	};
	const struct vmbus_channel_open_result *result;

	client_post(&client, &msg, sizeof(msg));
	client_run(&client);
	result = client_take(&client, CHANNELMSG_OPENCHANNEL_RESULT);
	return result ? result->status : UINT32_MAX;
}

static void bad_opens_are_refused(void **state)
{
	struct vmbus_channel_offer_channel msg;
	uint32_t relid;

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	relid = msg.child_relid;
	assert_int_equal(client_gpadl(&client, relid, 1, 0x100000, 8 * 4096), 0);
	assert_int_equal(client_gpadl(&client, relid, 2, 0x100010, 8 * 4096), 0);
	assert_int_equal(client_gpadl(&client, relid, 3, 0x100000, 8 * 4096 - 8), 0);
	assert_int_equal(open_raw(relid, 1, 4, CLIENT_VPS), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 9, 4, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 2, 4, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 3, 4, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 1, 0, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 1, 1, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 1, 7, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 1, 8, 0), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(open_raw(relid, 1, 0xFFFFFFFF, 0), VMBUS_STATUS_UNSUCCESSFUL);
	memset(client.ram + 0x100000, 0xFF, 64); /* wild indices from the start */
	assert_int_equal(open_raw(relid, 1, 4, 0), VMBUS_STATUS_UNSUCCESSFUL);
	memset(client.ram + 0x100000, 0, 64);
	assert_int_equal(echo.opens, 0);
	assert_int_equal(open_raw(relid, 1, 4, 0), VMBUS_STATUS_SUCCESS);
	assert_int_equal(open_raw(relid, 1, 4, 0), VMBUS_STATUS_UNSUCCESSFUL); /* twice */
	assert_int_equal(open_raw(relid + 1, 1, 4, 0), UINT32_MAX);
	assert_int_equal(open_raw(0, 1, 4, 0), UINT32_MAX);
	assert_int_equal(open_raw(0xFFFFFFFF, 1, 4, 0), UINT32_MAX);
}

static void send_something(void *ctx)
{
	(void)ctx;
	assert_int_equal(vmbus_channel_send(echo.channel, false, 0, "packet", 7), 0);
}

static void modify_moves_the_interrupts(void **state)
{
	struct vmbus_channel_modifychannel msg = { .header.msgtype = CHANNELMSG_MODIFYCHANNEL };
	const struct vmbus_channel_modifychannel_response *response;

	(void)state;
	open_on(0);
	msg.child_relid = chan.relid;
	msg.target_vp = 3;
	client_post(&client, &msg, sizeof(msg));
	client_run(&client);
	response = client_take(&client, CHANNELMSG_MODIFYCHANNEL_RESPONSE);
	assert_non_null(response);
	assert_int_equal(response->status, 0);
	expect_echo(1, "moved");
	assert_int_equal(client.event_vp[chan.relid], 3);
	assert_ptr_equal(echo.ready_loop, client.loops[0]); /* the device stayed */
	assert_int_equal(echo.moves, 1);

	echo.may_move = true;
	msg.target_vp = 2;
	client_post(&client, &msg, sizeof(msg));
	client_run(&client);
	assert_non_null(client_take(&client, CHANNELMSG_MODIFYCHANNEL_RESPONSE));
	expect_echo(2, "moved too");
	assert_int_equal(client.event_vp[chan.relid], 2);
	assert_ptr_equal(echo.ready_loop, client.loops[2]);

	/* What was sent before is still signalled where it was. */
	event_loop_post(client.loops[2], send_something, NULL);
	msg.target_vp = 1;
	client_post(&client, &msg, sizeof(msg));
	client_run(&client);
	assert_non_null(client_take(&client, CHANNELMSG_MODIFYCHANNEL_RESPONSE));
	assert_int_equal(client.event_vp[chan.relid], 2);

	msg.target_vp = CLIENT_VPS;
	client_post(&client, &msg, sizeof(msg));
	response = client_take(&client, CHANNELMSG_MODIFYCHANNEL_RESPONSE);
	assert_int_equal(response->status, VMBUS_STATUS_UNSUCCESSFUL);
}

static void gpadls_of_many_messages_and_ranges(void **state)
{
	uint64_t words[64];
	struct gpa_range range = { .byte_count = 100, .byte_offset = 4000 };
	struct vmbus_channel_offer_channel msg;
	struct vmbus_gpadl *gpadl;
	const struct vmbus_gpa_list *list;
	uint8_t pattern[100], buf[300];

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	/* Twenty ranges of 100 bytes, each over the end of one page and the start of another. */
	for (size_t i = 0; i < 20; i++) {
		memcpy(&words[3 * i], &range, 8);
		words[3 * i + 1] = 0x100 + 2 * i;
		words[3 * i + 2] = 0x200 + 3 * i;
	}
	assert_int_equal(client_gpadl_words(&client, msg.child_relid, 77, 20, words, 60), 0);
	gpadl = vmbus_channel_gpadl_get(echo.channel, 77);
	assert_non_null(gpadl);
	list = vmbus_channel_gpadl_list(gpadl);
	assert_int_equal(list->byte_count, 2000);

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7);
	assert_int_equal(vmbus_gpa_write(list, client.memory, 950, buf, sizeof(buf)), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(vmbus_gpa_read(list, client.memory, 950, buf, sizeof(buf)), 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], (uint8_t)(i * 7));
	/* Bytes 1000 to 1099 are the tenth range: 96 in its first page, 4 in its second. */
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)((i + 50) * 7);
	assert_memory_equal(client.ram + 0x114000 + 4000, pattern, 96);
	assert_memory_equal(client.ram + 0x21E000, pattern + 96, 4);
	assert_int_equal(vmbus_gpa_read(list, client.memory, 1999, buf, 2), -EFAULT);
	assert_int_equal(vmbus_gpa_read(list, client.memory, UINT64_MAX, buf, 2), -EFAULT);

	/* The guest's tear-down waits for the device, then the number is free again. */
	assert_false(client_gpadl_teardown(&client, msg.child_relid, 77));
	vmbus_channel_gpadl_put(echo.channel, gpadl);
	assert_non_null(client_take(&client, CHANNELMSG_GPADL_TORNDOWN));
	assert_null(vmbus_channel_gpadl_get(echo.channel, 77));
	assert_int_equal(client_gpadl_words(&client, msg.child_relid, 77, 20, words, 60), 0);
}

static void bad_gpadls_are_refused(void **state)
{
	struct vmbus_channel_offer_channel msg;
	struct gpa_range range = { .byte_count = 4096 };
	uint64_t words[4] = { 0 };
	uint32_t relid;

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	relid = msg.child_relid;
	memcpy(words, &range, 8);
	words[1] = CLIENT_RAM / 4096; /* the first page that is not RAM */
	assert_int_equal(client_gpadl_words(&client, relid, 5, 1, words, 2),
			 VMBUS_STATUS_UNSUCCESSFUL);
	words[1] = UINT64_MAX;
	assert_int_equal(client_gpadl_words(&client, relid, 5, 1, words, 2),
			 VMBUS_STATUS_UNSUCCESSFUL);
	words[1] = 1ull << 52 | 1; /* whose address would be that of page 1 */
	assert_int_equal(client_gpadl_words(&client, relid, 5, 1, words, 2),
			 VMBUS_STATUS_UNSUCCESSFUL);
	words[1] = 1;
	assert_int_equal(client_gpadl_words(&client, relid, 5, 0, words, 2),
			 VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(client_gpadl_words(&client, relid, 5, 3, words, 2),
			 VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(client_gpadl_words(&client, relid, 5, 1, words, 1),
			 VMBUS_STATUS_UNSUCCESSFUL);
	range.byte_offset = 4096;
	memcpy(words, &range, 8);
	assert_int_equal(client_gpadl_words(&client, relid, 5, 1, words, 4),
			 VMBUS_STATUS_UNSUCCESSFUL);
	range = (struct gpa_range){ .byte_count = 0xFFFFFFFF, .byte_offset = 4095 };
	memcpy(words, &range, 8);
	assert_int_equal(client_gpadl_words(&client, relid, 5, 1, words, 4),
			 VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(client_gpadl_words(&client, 999, 5, 1, words, 2),
			 VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(client_gpadl(&client, relid, 5, 0x1000, 4096), 0);
	assert_int_equal(client_gpadl(&client, relid, 5, 0x1000, 4096), VMBUS_STATUS_UNSUCCESSFUL);
	assert_false(client_gpadl_teardown(&client, relid, 6));
	assert_true(client_gpadl_teardown(&client, relid, 5));
}

/* What a message has beyond the length that it names is not the GPADL's. */
static void a_gpadl_message_may_be_too_long(void **state)
{
	struct {
		struct vmbus_channel_gpadl_header header;
		struct gpa_range range;
		uint64_t pages[24];
	} msg = {
		.header = { .header.msgtype = CHANNELMSG_GPADL_HEADER,
			    .gpadl = 5,
			    .rangecount = 1,
			    .range_buflen = 16 },
		.range = { .byte_count = 4096 },
	};
	const struct vmbus_channel_gpadl_created *created;

	(void)state;
	offer();
	msg.header.child_relid = connect(VMBUS_VERSION_5_3).child_relid;
	client_post(&client, &msg, sizeof(msg));
	created = client_take(&client, CHANNELMSG_GPADL_CREATED);
	assert_non_null(created);
	assert_int_equal(created->creation_status, VMBUS_STATUS_SUCCESS);
	assert_true(client_gpadl_teardown(&client, msg.header.child_relid, 5));
}

/* A guest cannot make the server hold more than its share of memory. */
static void gpadls_are_bounded(void **state)
{
	static uint64_t words[8000];
	struct gpa_range range = { .byte_count = 7999u * 4096 };
	struct vmbus_channel_offer_channel msg;
	uint32_t id;

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	memcpy(words, &range, 8);
	for (id = 1; id < 1000; id++)
		if (client_gpadl_words(&client, msg.child_relid, id, 1, words, 8000))
			break;
	assert_in_range(id, 10, 200);
	client_drop_messages(&client);
	assert_true(client_gpadl_teardown(&client, msg.child_relid, 1));
	assert_int_equal(client_gpadl_words(&client, msg.child_relid, id, 1, words, 8000), 0);
}

static void rescind_closes_first(void **state)
{
	(void)state;
	open_on(0);
	echo.hold_close = true;
	vmbus_channel_rescind(echo.channel);
	client_run(&client);
	/* The guest frees its memory when it hears of this, so it must not hear yet. */
	assert_int_equal(client_message_count(&client), 0);
	assert_int_equal(echo.closes, 1);
	vmbus_channel_closed(echo.channel);
	client_run(&client);
	assert_non_null(client_take(&client, CHANNELMSG_RESCIND_CHANNELOFFER));
	assert_int_equal(echo.gones, 1);
	/* A client that is behind. */
	assert_int_equal(open_raw(chan.relid, chan.gpadl, 4, 0), VMBUS_STATUS_UNSUCCESSFUL);
	post_id(CHANNELMSG_RELID_RELEASED, chan.relid);
	assert_int_equal(open_raw(chan.relid, chan.gpadl, 4, 0), UINT32_MAX);

	/* The number is free for the next offer. */
	memset(&echo, 0, sizeof(echo));
	offer();
	assert_int_equal(((const struct vmbus_channel_offer_channel *)client_take(
				  &client, CHANNELMSG_OFFERCHANNEL))
				 ->child_relid,
			 chan.relid);
	assert_int_equal(
		client_open(&client, &chan, chan.relid, chan.connection_id, 0, 0x100000, 4), 0);
	expect_echo(9, "new");
}

static void rescind_of_what_the_guest_never_saw(void **state)
{
	(void)state;
	offer();
	vmbus_channel_rescind(echo.channel);
	client_run(&client);
	assert_int_equal(echo.gones, 1);
	assert_true(client_connect(&client, VMBUS_VERSION_5_3));
	request_offers();
	assert_non_null(client_take(&client, CHANNELMSG_ALLOFFERS_DELIVERED));
}

static void unload_waits_for_devices(void **state)
{
	(void)state;
	open_on(0);
	echo.hold_close = true;
	post_id(CHANNELMSG_UNLOAD, 0);
	assert_int_equal(client_message_count(&client), 0);
	assert_false(vmbus_server_is_idle(client.server));
	assert_int_equal(echo.closes, 1);
	vmbus_channel_closed(echo.channel);
	assert_non_null(client_take(&client, CHANNELMSG_UNLOAD_RESPONSE));
	assert_true(vmbus_server_is_idle(client.server));
	assert_int_equal(client_message_count(&client), 0);
}

/* kexec into a crash kernel: it knows nothing of the old channels. */
static void a_new_contact_closes_everything(void **state)
{
	struct vmbus_channel_initiate_contact msg = {
		.header.msgtype = CHANNELMSG_INITIATE_CONTACT,
		.vmbus_version_requested = VMBUS_VERSION_5_2,
		.msg_sint = VMBUS_MESSAGE_SINT,
		.target_vcpu = 1,
	};
	struct vmbus_channel_offer_channel offered;
	const struct vmbus_channel_version_response *response;

	(void)state;
	open_on(0);
	expect_echo(1, "before");
	echo.hold_close = true;
	client_post(&client, &msg, sizeof(msg));
	client_run(&client);
	assert_int_equal(client_message_count(&client), 0);
	/* The crash kernel cannot wait that long and tries again, with another version. */
	msg.vmbus_version_requested = VMBUS_VERSION_5_1;
	client_post(&client, &msg, sizeof(msg));
	echo.hold_close = false;
	vmbus_channel_closed(echo.channel);
	response = client_take(&client, CHANNELMSG_VERSION_RESPONSE);
	assert_non_null(response);
	assert_int_equal(client_message_count(&client), 0);
	assert_int_equal(vmbus_server_version(client.server), VMBUS_VERSION_5_1);

	/* Stale signals and numbers do nothing. */
	assert_int_equal(vmbus_server_handle_signal(client.server, chan.connection_id, 0), -ENXIO);
	client_close(&chan);
	client_run(&client);
	assert_int_equal(echo.closes, 1);

	request_offers();
	offered = *(const struct vmbus_channel_offer_channel *)client_take(&client,
									   CHANNELMSG_OFFERCHANNEL);
	client_drop_messages(&client);
	assert_int_equal(client_open(&client, &chan, offered.child_relid, offered.connection_id, 0,
				     0x300000, 4),
			 0);
	expect_echo(2, "after");
}

static void a_reset_while_opening_closes_again(void **state)
{
	struct vmbus_channel_offer_channel msg;

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	client_open_start(&client, &chan, msg.child_relid, msg.connection_id, 0, 0x100000, 4);
	vmbus_server_reset(client.server);
	assert_false(vmbus_server_is_idle(client.server));
	client_run(&client);
	assert_int_equal(echo.opens, 1);
	assert_int_equal(echo.closes, 1);
	assert_true(vmbus_server_is_idle(client.server));
}

/* Each of these kills the channel, for its device, and nothing else. */
static void wild_rings_break_the_channel_only(void **state)
{
	static const struct {
		uint32_t write;
		struct vmpacket_descriptor desc;
	} bad[] = {
		{ 4, { 0 } }, /* not a multiple of 8 */
		{ 36, { .type = 6, .offset8 = 2, .len8 = 3 } },
		{ 3 * 4096, { .type = 6, .offset8 = 2, .len8 = 3 } },   /* beyond the ring */
		{ 0xFFFFFFF8, { .type = 6, .offset8 = 2, .len8 = 3 } }, /* far beyond it */
		{ 8, { 0 } },                                           /* less than a packet */
		{ 32, { .type = 6, .offset8 = 2, .len8 = 0 } },
		{ 32, { .type = 6, .offset8 = 1, .len8 = 3 } },
		{ 32, { .type = 6, .offset8 = 4, .len8 = 3 } },
		{ 32, { .type = 6, .offset8 = 2, .len8 = 4 } }, /* its trailer is not there */
		{ 32, { .type = 6, .offset8 = 2, .len8 = 0xFFFF } },
		{ 32, { .type = 6, .offset8 = 2, .len8 = 3, .flags = 2 } },
		{ 32, { .type = 0, .offset8 = 2, .len8 = 3 } },
		{ 32, { .type = 9, .offset8 = 2, .len8 = 3 } }, /* no room for its header */
		{ 32, { .type = 7, .offset8 = 2, .len8 = 3 } },
		{ 8192, { .type = 6, .offset8 = 2, .len8 = 1000 } }, /* larger than max_packet */
	};

	(void)state;
	open_on(0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(chan.out.data, &bad[i].desc, sizeof(bad[i].desc));
		chan.out.control->write_index = bad[i].write;
		vmbus_server_handle_signal(client.server, chan.connection_id, 0);
		client_run(&client);
		assert_int_equal(echo.packets, 0);
		assert_int_equal(echo.last_error, -EPROTO);
		echo.last_error = 0;
		client_close(&chan);
		client_run(&client);
		assert_true(client_gpadl_teardown(&client, chan.relid, chan.gpadl));
		assert_int_equal(
			client_open(&client, &chan, chan.relid, chan.connection_id, 0, 0x100000, 4),
			0);
	}
	expect_echo(1, "healthy");
}

static void a_wild_read_index_breaks_the_channel_only(void **state)
{
	(void)state;
	open_on(0);
	chan.in.control->read_index = 12345;
	assert_int_equal(client_send(&chan, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, "x", 1), 0);
	client_run(&client);
	assert_int_equal(client.events[chan.relid], 0);
	client_close(&chan);
	assert_true(client_gpadl_teardown(&client, chan.relid, chan.gpadl));
	assert_int_equal(echo.closes, 1);
}

static void no_interrupts_when_none_are_wanted(void **state)
{
	struct vmbus_channel_offer_channel msg;

	(void)state;
	offer();
	msg = connect(VMBUS_VERSION_5_3);
	assert_int_equal(client_open(&client, &chan, msg.child_relid, msg.connection_id,
				     VMBUS_VP_NO_INTERRUPT, 0x100000, 4),
			 0);
	expect_echo(1, "quiet");
	assert_int_equal(client.events[chan.relid], 0);
}

static void sub_channels_share_the_instance(void **state)
{
	struct vmbus_offer sub = echo_offer;
	struct echo sub_echo = { 0 };
	const struct vmbus_channel_offer_channel *msg;
	uint32_t relid;

	(void)state;
	open_on(0);
	sub.sub_channel_index = 1;
	assert_int_equal(
		vmbus_server_offer(client.server, &sub, &echo_ops, &sub_echo, &sub_echo.channel),
		0);
	msg = client_take(&client, CHANNELMSG_OFFERCHANNEL);
	assert_non_null(msg);
	assert_int_equal(msg->sub_channel_index, 1);
	assert_memory_equal(&msg->if_instance, &echo_offer.instance, sizeof(struct guid));
	relid = msg->child_relid;
	assert_int_not_equal(relid, chan.relid);
	assert_int_equal(client_open(&client, &chan, relid, msg->connection_id, 1, 0x200000, 4), 0);
	assert_ptr_equal(sub_echo.open_loop, client.loops[1]);
	vmbus_channel_rescind(sub_echo.channel);
	client_run(&client);
	assert_int_equal(sub_echo.gones, 1);
}

static void channel_numbers_run_out(void **state)
{
	struct vmbus_channel *channel;
	int err = 0, count;

	(void)state;
	assert_true(client_connect(&client, VMBUS_VERSION_5_3));
	request_offers();
	for (count = 0; count < 3000 && !err; count++) {
		err = vmbus_server_offer(client.server, &echo_offer, &echo_ops, &echo, &channel);
		client_drop_messages(&client);
	}
	assert_int_equal(err, -ENOSPC);
	assert_in_range(count, 1000, 2048);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(offers_carry_what_the_device_said),
		test(a_late_offer_comes_by_itself),
		test(packets_are_answered),
		test(a_guest_that_waits_for_room_is_signalled),
		test(a_burst_is_signalled_once),
		test(a_channel_takes_turns),
		test(answers_appear_together),
		test(room_is_signalled_in_the_middle_of_a_run),
		test(full_rings_recover),
		test(gpa_direct_packets_describe_memory),
		test(a_channel_can_be_opened_again),
		test(a_close_comes_last),
		test(a_pause_ends_with_the_channel),
		test(teardown_and_reopen_wait_for_the_device),
		test(a_device_may_refuse),
		test(bad_opens_are_refused),
		test(modify_moves_the_interrupts),
		test(gpadls_of_many_messages_and_ranges),
		test(bad_gpadls_are_refused),
		test(a_gpadl_message_may_be_too_long),
		test(gpadls_are_bounded),
		test(rescind_closes_first),
		test(rescind_of_what_the_guest_never_saw),
		test(unload_waits_for_devices),
		test(a_new_contact_closes_everything),
		test(a_reset_while_opening_closes_again),
		test(wild_rings_break_the_channel_only),
		test(a_wild_read_index_breaks_the_channel_only),
		test(no_interrupts_when_none_are_wanted),
		test(sub_channels_share_the_instance),
		test(channel_numbers_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
