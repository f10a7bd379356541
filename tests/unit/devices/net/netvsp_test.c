/* A guest's network driver against the card, over a nic that gives back what it is sent. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/netvsp_card.h"

#define HEAD(i)  (NETVSC_FRAMES + (i)*0x4000ul)
#define FRAME(i) (NETVSC_FRAMES + (i)*0x4000ul + 0x1000)

struct machine {
	struct client client;
	struct netvsc net;
	struct netvsp_card card;

	/* Sent, as the nic saw it. */
	struct nic_tx sent;
	struct nic_segment sent_segments[NIC_TX_SEGMENTS];
	unsigned int sent_count, sent_queue;
	bool swallow;

	/* Received. */
	uint8_t frame[10000];
	struct netvsc_rx rx;
	unsigned int received, rx_channel;
	bool to_vf;
	unsigned int switches;
	bool refuses;
};

static struct machine m;

static bool sent(void *ctx, unsigned int queue, const struct nic_tx *tx, const uint8_t *frame)
{
	(void)ctx;
	(void)frame;
	m.sent = *tx;
	memcpy(m.sent_segments, tx->segments, tx->segment_count * sizeof(tx->segments[0]));
	m.sent_count++;
	m.sent_queue = queue;
	return m.swallow;
}

static void received(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	(void)ctx;
	m.rx = *rx;
	m.rx_channel = channel;
	m.received++;
	memcpy(m.frame, rx->bytes, rx->len < sizeof(m.frame) ? rx->len : sizeof(m.frame));
}

static bool data_path(void *ctx, bool to_vf)
{
	(void)ctx;
	m.switches++;
	if (m.refuses)
		return false;
	m.to_vf = to_vf;
	return true;
}

static int setup(void **state)
{
	struct netvsp_config config = { .max_sub_channels = 3, .data_path = data_path };
	struct loopback_nic_config nic = { .queues = 8, .sent = sent };

	(void)state;
	log_set_level(LOG_ERROR);
	memset(&m, 0, sizeof(m));
	if (client_init(&m.client, 0, 0))
		return -1;
	m.net.received = received;
	return netvsp_card_create(&m.card, &m.net, &m.client, config, nic);
}

static int setup_started(void **state)
{
	return setup(state) || netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500);
}

static int teardown(void **state)
{
	(void)state;
	netvsp_card_destroy(&m.card, &m.client);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 3; i++) {
		client_run(&m.client);
		netvsc_poll(&m.net, 0);
	}
}

/* A frame of `len` bytes in guest memory: to a unicast address, IPv4, TCP at 34. */
static uint64_t make_frame(unsigned int slot, uint32_t len)
{
	static const uint8_t head[] = { 0x02, 0x15, 0x5D, 1, 2, 3, 2, 0, 0, 0, 0, 1, 8, 0, 0x45 };
	uint8_t *frame = m.client.ram + FRAME(slot);

	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + slot);
	memcpy(frame, head, sizeof(head));
	if (len > 47)
		frame[46] = 5 << 4;
	return FRAME(slot);
}

static void send_frame(uint32_t len, const uint32_t *infos, unsigned int count)
{
	struct netvsc_tx tx = { make_frame(0, len), len, infos, count };

	assert_int_equal(netvsc_send(&m.net, 0, 7, HEAD(0), &tx), 0);
	run();
}

static uint32_t query32(uint32_t oid)
{
	uint32_t value = 0, len = sizeof(value);

	assert_int_equal(netvsc_query(&m.net, oid, NULL, 0, &value, &len), 0);
	assert_int_equal(len, 4);
	return value;
}

static uint64_t query64(uint32_t oid)
{
	uint64_t value = 0;
	uint32_t len = sizeof(value);

	assert_int_equal(netvsc_query(&m.net, oid, NULL, 0, &value, &len), 0);
	assert_int_equal(len, 8);
	return value;
}

/* --- Start and end */

static void every_version_works_and_closes(void **state)
{
	static const uint32_t versions[] = { NVSP_PROTOCOL_VERSION_1, NVSP_PROTOCOL_VERSION_2,
					     NVSP_PROTOCOL_VERSION_4, NVSP_PROTOCOL_VERSION_5,
					     NVSP_PROTOCOL_VERSION_6, NVSP_PROTOCOL_VERSION_61 };
	struct nvsp_message init = { .msg_type = NVSP_MSG_TYPE_INIT, .init = { 0x70000, 0x70000 } };

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(netvsc_open(&m.net), 0);
		assert_int_equal(netvsc_call(&m.net, &init), 0);
		assert_int_not_equal(m.net.reply.init_complete.status, NVSP_STAT_SUCCESS);
		assert_int_equal(netvsc_init(&m.net, versions[i], 1500), 0);
		assert_int_equal(m.net.reply_len,
				 versions[i] >= NVSP_PROTOCOL_VERSION_61 ? 40 : 32);
		assert_int_equal(netvsc_rndis_init(&m.net), 0);
		assert_int_equal(netvsc_filter(&m.net, 0xF), 0);
		send_frame(60, NULL, 0);
		assert_int_equal(m.received, i + 1);
		assert_int_equal(netvsc_stop(&m.net, 0), 0);
	}
}

static void sections_hold_a_frame_of_any_mtu(void **state)
{
	static const uint32_t mtus[] = { 576, 1500, 4000, 9000 };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, mtus[i]), 0);
		assert_true(m.net.section_size >= mtus[i] + 18 + 44 + 48);
		assert_true(m.net.section_size * m.net.sections <= NETVSC_RECEIVE_BYTES);
		assert_int_equal(query32(OID_GEN_MAXIMUM_FRAME_SIZE), mtus[i]);
		send_frame(mtus[i] + 14, NULL, 0);
		assert_int_equal(m.received, i + 1);
		assert_int_equal(m.rx.len, mtus[i] + 14);
		assert_memory_equal(m.frame, m.client.ram + FRAME(0), mtus[i] + 14);
		send_frame(mtus[i] + 19, NULL, 0);
		assert_int_equal(m.net.failed[0], i + 1);
		assert_int_equal(netvsc_stop(&m.net, 0), 0);
	}
}

static void nothing_works_before_its_time(void **state)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_RECV_BUF };
	struct nvsp_message sub = { .msg_type = NVSP_MSG5_TYPE_SUBCHANNEL,
				    .subchannel = { NVSP_SUBCHANNEL_ALLOCATE, 1 } };

	(void)state;
	assert_int_equal(netvsc_open(&m.net), 0);
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.net.reply.send_recv_buf_complete.status, NVSP_STAT_FAIL);
	assert_int_equal(netvsc_call(&m.net, &sub), 0);
	assert_int_equal(m.net.reply.subchannel_complete.status, NVSP_STAT_FAIL);
	send_frame(60, NULL, 0);
	assert_int_equal(m.net.failed[0], 1);
	assert_int_equal(m.sent_count, 0);
}

static void a_buffer_that_is_not_fit_is_refused(void **state)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG_TYPE_INIT,
					.init = { NVSP_PROTOCOL_VERSION_61,
						  NVSP_PROTOCOL_VERSION_61 } };
	/* Not page-aligned; too small for its sections; not there. */
	uint64_t offset[] = {
		UINT64_C(8) << 32 | 0xFFF8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
	};
	uint64_t small[] = { 0x2000, 1, 2 };

	(void)state;
	assert_int_equal(netvsc_open(&m.net), 0);
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(client_gpadl_words(&m.client, m.net.relids[0], 0x112, 1, offset, 17), 0);
	assert_int_equal(client_gpadl_words(&m.client, m.net.relids[0], 0x113, 1, small, 3), 0);
	for (uint32_t gpadl = 0x112; gpadl < 0x115; gpadl++) {
		message = (struct nvsp_message){ .msg_type = NVSP_MSG1_TYPE_SEND_RECV_BUF };
		message.send_buffer.gpadl_handle = gpadl;
		assert_int_equal(netvsc_call(&m.net, &message), 0);
		assert_int_equal(m.net.reply.send_recv_buf_complete.status, NVSP_STAT_FAIL);
	}
	/* And so nothing keeps them. */
	for (uint32_t gpadl = 0x112; gpadl < 0x114; gpadl++)
		assert_true(client_gpadl_teardown(&m.client, m.net.relids[0], gpadl));
}

static void a_revoked_buffer_is_let_go_under_load(void **state)
{
	(void)state;
	assert_int_equal(netvsc_sub_channels(&m.net, 3), 0);
	run();
	loopback_nic_hold(m.card.nic, 0, true);
	for (unsigned int i = 0; i < 8; i++) {
		struct netvsc_tx tx = { make_frame(i, 100), 100, NULL, 0 };

		assert_int_equal(netvsc_send(&m.net, 0, i, HEAD(i), &tx), 0);
	}
	client_run(&m.client);
	assert_true(loopback_nic_posted(m.card.nic, 2) > 0);
	assert_int_equal(netvsc_stop(&m.net, 3), 0);
	assert_int_equal(loopback_nic_posted(m.card.nic, 2), 0);
	assert_int_equal(m.received, 0);
}

/* Without a word before: the card stops, by itself, and can be started again. */
static void a_buffer_revoked_alone_stops_the_card(void **state)
{
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_REVOKE_RECV_BUF,
		.revoke_buffer = { .id = NETVSC_RECEIVE_ID + 1 },
	};
	uint32_t value, len = sizeof(value);

	(void)state;
	assert_int_equal(netvsc_sub_channels(&m.net, 1), 0);
	run();
	assert_int_equal(netvsc_call(&m.net, &message), 0); /* of another number */
	assert_true(loopback_nic_posted(m.card.nic, 1) > 0);
	message.revoke_buffer.id = NETVSC_RECEIVE_ID;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	run();
	assert_false(loopback_nic_receive(m.card.nic)->enabled);
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), 0);
	assert_int_equal(loopback_nic_posted(m.card.nic, 1), 0);
	client_drop_messages(&m.client);
	assert_true(client_gpadl_teardown(&m.client, m.net.relids[0], m.net.receive_gpadl));
	send_frame(60, NULL, 0);
	assert_int_equal(m.sent_count, 0);
	assert_int_equal(m.net.failed[0], 1);
	assert_int_equal(netvsc_query(&m.net, OID_GEN_XMIT_OK, NULL, 0, &value, &len), UINT32_MAX);
	message.msg_type = NVSP_MSG1_TYPE_REVOKE_SEND_BUF;
	message.revoke_buffer.id = 0;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	run();
	client_drop_messages(&m.client);
	assert_true(client_gpadl_teardown(&m.client, m.net.relids[0], m.net.send_gpadl));
}

/* As a guest goes that crashes: nothing is revoked, and the next one starts anew. */
static void a_guest_that_just_closes_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(netvsc_sub_channels(&m.net, 2), 0);
	loopback_nic_hold(m.card.nic, 0, true);
	send_frame(100, NULL, 0);
	m.net.keep = true;
	loopback_nic_deliver(m.card.nic, 1, m.client.ram + FRAME(0), 100, NULL);
	run();
	client_close(&m.net.channels[0]);
	client_run(&m.client);
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), 0);
	assert_int_equal(loopback_nic_posted(m.card.nic, 1), 0);
	assert_false(loopback_nic_receive(m.card.nic)->enabled);
	client_drop_messages(&m.client);
	assert_true(client_gpadl_teardown(&m.client, m.net.relids[0], m.net.channels[0].gpadl));
	assert_true(client_gpadl_teardown(&m.client, m.net.relids[0], m.net.receive_gpadl));
	assert_true(client_gpadl_teardown(&m.client, m.net.relids[0], m.net.send_gpadl));
	m.net.keep = false;
	m.net.kept_count = 0;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_6, 1500), 0);
	m.received = 0;
	send_frame(100, NULL, 0);
	assert_int_equal(m.received, 1);
}

/* --- Sending */

static void a_frame_goes_without_a_copy(void **state)
{
	struct netvsp_counters counters;

	(void)state;
	send_frame(1514, NULL, 0);
	assert_int_equal(m.sent_count, 1);
	assert_int_equal(m.sent.segment_count, 1);
	assert_int_equal(m.sent_segments[0].gpa, FRAME(0));
	assert_int_equal(m.net.completed[0] - m.net.failed[0], 3); /* with the control messages' */
	assert_int_equal(m.received, 1);
	assert_int_equal(m.rx.len, 1514);
	assert_memory_equal(m.frame, m.client.ram + FRAME(0), 1514);
	netvsp_counters(m.card.netvsp, &counters);
	assert_int_equal(counters.tx_frames, 1);
	assert_int_equal(counters.rx_frames, 1);
	assert_true(counters.copied_bytes <= 44 + 92);
}

static void offloads_reach_the_nic(void **state)
{
	const uint32_t checksum[] = { TCPIP_CHKSUM_PKTINFO,
				      NDIS_TX_CHECKSUM_IS_IPV4 | NDIS_TX_CHECKSUM_TCP |
					      NDIS_TX_CHECKSUM_IP_HEADER | 34 << 16,
				      IEEE_8021Q_INFO, 5 | 8 | 0x123 << 4 };
	const uint32_t unplaced[] = { TCPIP_CHKSUM_PKTINFO,
				      NDIS_TX_CHECKSUM_IS_IPV4 | NDIS_TX_CHECKSUM_UDP };
	const uint32_t lso[] = { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 };

	(void)state;
	send_frame(200, checksum, 2);
	assert_int_equal(m.sent.flags,
			 NIC_TX_IPV4 | NIC_TX_TCP_CHECKSUM | NIC_TX_IP_CHECKSUM | NIC_TX_VLAN);
	assert_int_equal(m.sent.l4_offset, 34);
	assert_int_equal(m.sent.vlan_tci, 5 << 13 | 1 << 12 | 0x123);
	assert_true(m.rx.has_vlan);
	assert_int_equal(m.rx.vlan, 5 | 8 | 0x123 << 4);
	assert_true(m.rx.has_checksum);
	assert_int_equal(m.rx.checksum, NDIS_RX_CHECKSUM_TCP_SUCCEEDED);

	send_frame(200, unplaced, 1);
	assert_int_equal(m.sent.flags, NIC_TX_IPV4 | NIC_TX_UDP_CHECKSUM);
	assert_int_equal(m.sent.l4_offset, 34);

	m.swallow = true;
	send_frame(9000, lso, 1);
	assert_int_equal(m.sent.flags, NIC_TX_IPV4 | NIC_TX_LSO);
	assert_int_equal(m.sent.mss, 1448);
	assert_int_equal(m.sent.header_len, 54);
	assert_int_equal(m.net.failed[0], 0);
}

static void a_section_carries_several_frames(void **state)
{
	struct netvsc_tx tx[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		tx[i] = (struct netvsc_tx){ make_frame(i, 100 + i * 33), 100 + i * 33, NULL, 0 };
	assert_int_equal(netvsc_send_section(&m.net, 0, 55, 3, tx, 4), 0);
	run();
	assert_int_equal(m.sent_count, 4);
	assert_int_equal(m.received, 4);
	assert_int_equal(m.net.last_completed[0], 55);
	assert_int_equal(m.net.failed[0], 0);
	assert_memory_equal(m.frame, m.client.ram + FRAME(3), 199);
}

static void a_message_may_start_in_a_section_and_end_in_pages(void **state)
{
	struct netvsc_tx tx = { make_frame(0, 1000), 1000, NULL, 0 };
	uint8_t *section = m.client.ram + NETVSC_SEND_BUFFER;
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_DATA, 0, 0 },
	};
	uint64_t ext[3] = { UINT64_C(1) << 32, 1000, FRAME(0) >> 12 };

	(void)state;
	message.send_rndis_pkt.send_buf_section_size = netvsc_head(section, &tx);
	client_send(&m.net.channels[0], VM_PKT_DATA_USING_GPA_DIRECT, 1, 9, ext, sizeof(ext),
		    &message, sizeof(message));
	run();
	assert_int_equal(m.received, 1);
	assert_memory_equal(m.frame, m.client.ram + FRAME(0), 1000);
}

static void info_without_offloads(struct nic *nic, struct nic_info *info)
{
	(void)nic;
	*info = (struct nic_info){ .max_mtu = 1500, .max_queues = 8, .link_up = true };
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		uint32_t len, infos[4];
		unsigned int count;
	} bad[] = {
		{ 13, { 0 }, 0 }, /* not a frame */
		{ 200, { TCPIP_CHKSUM_PKTINFO, NDIS_TX_CHECKSUM_TCP | 34 << 16 }, 1 },
		{ 200, { TCPIP_CHKSUM_PKTINFO, 3 | NDIS_TX_CHECKSUM_TCP | 34 << 16 }, 1 },
		{ 200, { TCPIP_CHKSUM_PKTINFO, 1 | 4 | 8 | 34 << 16 }, 1 },
		{ 200, { TCPIP_CHKSUM_PKTINFO, 1 | 4 | 190 << 16 }, 1 },
		{ 200, { TCPIP_CHKSUM_PKTINFO, 1 | 4 | 10 << 16 }, 1 },
		{ 200, { TCPIP_CHKSUM_PKTINFO, 3 | 4 | 54 << 16 }, 1 }, /* of two versions */
		{ 200, { TCPIP_CHKSUM_PKTINFO, 1 | 16 | 10 << 16 }, 1 },
		{ 41, { TCPIP_CHKSUM_PKTINFO, 1 | 8 | 34 << 16 }, 1 }, /* a byte is missing */
		/* The TCP header: of no length; ending too far in. */
		{ 2000, { TCP_LARGESEND_PKTINFO, 1000 | 62u << 20 | NDIS_LSO_V2 }, 1 },
		{ 2000, { TCP_LARGESEND_PKTINFO, 1000 | 238u << 20 | NDIS_LSO_V2 }, 1 },
		{ 65537, { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 }, 1 },
		/* Two places, each possible. */
		{ 2000,
		  { TCP_LARGESEND_PKTINFO, 1000 | 34u << 20 | NDIS_LSO_V2, TCPIP_CHKSUM_PKTINFO,
		    1 | 4 | 40 << 16 },
		  2 },
		{ 2000, { TCP_LARGESEND_PKTINFO, 1 | 34u << 20 | NDIS_LSO_V2 }, 1 },
		{ 2000, { TCP_LARGESEND_PKTINFO, 1461 | 34u << 20 | NDIS_LSO_V2 }, 1 },
		{ 2000, { TCP_LARGESEND_PKTINFO, 0xFFFFFu | 34u << 20 | NDIS_LSO_V2 }, 1 },
		{ 2000, { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 }, 1 }, /* version 1 */
		{ 54, { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 }, 1 },
		{ 2000,
		  { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2, TCPIP_CHKSUM_PKTINFO,
		    1 | 4 | 54 << 16 },
		  2 },
		{ 2000,
		  { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 | NDIS_LSO_IPV6 },
		  1 },
		{ 1519, { 0 }, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_frame(bad[i].len, bad[i].infos, bad[i].count);
		if (m.net.failed[0] != i + 1)
			fail_msg("%u was sent", i);
	}
	assert_int_equal(m.sent_count, 0);
	assert_int_equal(query64(OID_GEN_XMIT_ERROR), sizeof(bad) / sizeof(bad[0]));
}

/* What was not offered is not for a guest to ask. */
static void offloads_that_there_are_not_are_refused(void **state)
{
	static const uint32_t infos[][2] = {
		{ TCPIP_CHKSUM_PKTINFO, 1 | 4 | 34 << 16 },
		{ TCPIP_CHKSUM_PKTINFO, 1 | 8 | 34 << 16 },
		{ TCPIP_CHKSUM_PKTINFO, 1 | 16 | 34 << 16 },
		{ TCP_LARGESEND_PKTINFO, 1000 | 34u << 20 | NDIS_LSO_V2 },
		{ IEEE_8021Q_INFO, 5 << NDIS_VLAN_ID_SHIFT },
	};
	struct nic *nic = loopback_nic_nic(m.card.nic);
	struct nic_ops plain = *nic->ops;
	const struct nic_ops *own = nic->ops;

	(void)state;
	plain.get_info = info_without_offloads;
	nic->ops = &plain;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	nic->ops = own;
	for (unsigned int i = 0; i < sizeof(infos) / sizeof(infos[0]); i++) {
		send_frame(200, infos[i], 1);
		if (m.net.failed[0] != i + 1)
			fail_msg("%u was sent", i);
	}
	send_frame(200, NULL, 0);
	assert_int_equal(m.sent_count, 1);
}

static void a_full_nic_holds_frames_back_in_order(void **state)
{
	unsigned int total = 2 * LOOPBACK_RING;

	(void)state;
	m.net.ring_pages = 8;
	loopback_nic_hold(m.card.nic, 0, true);
	for (unsigned int i = 0; i < total; i++) {
		struct netvsc_tx tx = { make_frame(0, 100), 100, NULL, 0 };

		while (netvsc_send(&m.net, 0, i, HEAD(0), &tx))
			client_run(&m.client);
	}
	client_run(&m.client);
	assert_int_equal(m.sent_count, 0);
	loopback_nic_hold(m.card.nic, 0, false);
	for (int i = 0; i < 20; i++)
		run();
	assert_int_equal(m.sent_count, total);
	assert_int_equal(m.net.last_completed[0], total - 1);
	assert_int_equal(m.net.failed[0], 0);
	assert_int_equal(query64(OID_GEN_XMIT_OK), total);
}

/* As many as fit, until the card takes no more: how many. None is looked at when it is complete. */
static unsigned int fill_with_bad_frames(void)
{
	struct netvsc_tx tx = { make_frame(0, 1519), 1519, NULL, 0 }; /* too long */
	unsigned int sent = 0;

	for (unsigned int idle = 0; idle < 2; idle++) {
		while (!netvsc_send(&m.net, 0, sent, HEAD(0), &tx)) {
			sent++;
			idle = 0;
		}
		client_run(&m.client);
	}
	return sent;
}

/* Completions find the ring full, and the card reads no further. When there is room it does, though no nic says so. */
static void completions_that_nobody_reads_hold_the_guest_back(void **state)
{
	(void)state;
	for (unsigned int total = 0, round = 0; round < 3; round++) {
		total += fill_with_bad_frames();
		for (unsigned int i = 0; i < 10; i++)
			run();
		assert_int_equal(m.net.failed[0], total);
	}
}

/* Frames that wait for the nic when the driver starts anew are lost with the rest, and no later one with them. */
static void a_full_nic_is_not_waited_for_after_a_restart(void **state)
{
	static const uint32_t halt[] = { RNDIS_MSG_HALT, 12, 1 };
	unsigned int before, total = LOOPBACK_RING + 20;

	(void)state;
	for (unsigned int restart = 0; restart < 2; restart++) {
		m.net.ring_pages = 8;
		loopback_nic_hold(m.card.nic, 0, true);
		before = m.sent_count;
		for (unsigned int i = 0; i < total; i++) {
			struct netvsc_tx tx = { make_frame(0, 100), 100, NULL, 0 };

			while (netvsc_send(&m.net, 0, i, HEAD(0), &tx))
				client_run(&m.client);
		}
		client_run(&m.client);
		assert_int_equal(m.sent_count, before);
		if (restart)
			break;
		assert_int_equal(netvsc_rndis(&m.net, halt, sizeof(halt), false), 0);
		run();
		assert_int_equal(netvsc_rndis_init(&m.net), 0);
	}
	loopback_nic_hold(m.card.nic, 0, false);
	for (int i = 0; i < 20; i++)
		run();
	assert_int_equal(m.sent_count, before + total);
}

/* --- Receiving */

static void deliver(const uint8_t *address, bool arrives)
{
	uint8_t frame[64] = { 0 };
	unsigned int before = m.received;

	memcpy(frame, address, 6);
	loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL);
	run();
	assert_int_equal(m.received, before + arrives);
}

static void filters_filter(void **state)
{
	static const uint8_t unicast[] = { 2, 0x15, 0x5D, 1, 2, 3 },
			     group[] = { 1, 0, 0x5E, 0, 0, 1 }, other[] = { 1, 0, 0x5E, 0, 0, 2 };
	static const uint8_t all[] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

	(void)state;
	assert_int_equal(netvsc_filter(&m.net, NDIS_PACKET_TYPE_DIRECTED), 0);
	deliver(unicast, true);
	deliver(group, false);
	deliver(all, false);
	assert_int_equal(netvsc_set(&m.net, OID_802_3_MULTICAST_LIST, group, 6), 0);
	assert_int_equal(netvsc_filter(&m.net, NDIS_PACKET_TYPE_MULTICAST), 0);
	deliver(unicast, false);
	deliver(group, true);
	deliver(other, false);
	assert_int_equal(netvsc_filter(&m.net, NDIS_PACKET_TYPE_BROADCAST), 0);
	deliver(all, true);
	deliver(group, false);
	assert_int_equal(netvsc_filter(&m.net, NDIS_PACKET_TYPE_PROMISCUOUS), 0);
	deliver(unicast, true);
	deliver(other, true);
	assert_int_equal(netvsc_filter(&m.net, 0), 0);
	assert_false(loopback_nic_receive(m.card.nic)->enabled);
	deliver(unicast, false);
	assert_int_equal(netvsc_set(&m.net, OID_802_3_MULTICAST_LIST, all, 5),
			 RNDIS_STATUS_INVALID_LENGTH);
}

static void sections_come_back(void **state)
{
	static const uint8_t frame[60] = { 2 };
	unsigned int per_queue, sent_frames = 0;

	(void)state;
	per_queue = (m.net.sections - 16) / 4;
	m.net.keep = true;
	while (loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL)) {
		run();
		sent_frames++;
		if (m.net.kept_count == 64) {
			m.net.keep = false; /* the rest goes back at once */
			break;
		}
	}
	assert_int_equal(sent_frames, 64);
	assert_int_equal(m.received, 64);
	netvsc_give_back(&m.net);
	run();
	for (unsigned int i = 0; i < 3 * per_queue; i++) {
		assert_true(loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL));
		run();
	}
	assert_int_equal(m.received, 64 + 3 * per_queue);
	/* What was never sent completes nothing. */
	client_send(&m.net.channels[0], VM_PKT_COMP, 0, 5, NULL, 0, frame, 8);
	client_send(&m.net.channels[0], VM_PKT_COMP, 0, 0, NULL, 0, frame, 8);
	client_send(&m.net.channels[0], VM_PKT_COMP, 0, 0x7FFFFFFF, NULL, 0, frame, 8);
	client_send(&m.net.channels[0], VM_PKT_COMP, 0, 0x800000FF, NULL, 0, frame, 8);
	run();
	send_frame(60, NULL, 0);
	assert_int_equal(m.received, 65 + 3 * per_queue);
}

/* A section that is given back twice would be two frames' at once. */
static void sections_come_back_once(void **state)
{
	unsigned int per_queue = (m.net.sections - 16) / 4;
	uint8_t frame[60] = { 2 };

	(void)state;
	m.net.keep = true;
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL));
		run();
	}
	m.net.keep = false;
	for (unsigned int again = 0; again < 3; again++)
		for (unsigned int i = 0; i < 3; i++)
			client_send(&m.net.channels[0], VM_PKT_COMP, 0, m.net.kept[i], NULL, 0,
				    frame, 8);
	run();
	/* All of them wait for the guest at once, each with its own frame. */
	for (unsigned int i = 0; i < per_queue; i++) {
		frame[20] = (uint8_t)i;
		assert_true(loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL));
		client_run(&m.client);
	}
	assert_false(loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL));
	for (unsigned int i = 0; i < 10; i++)
		run();
	assert_int_equal(m.received, 3 + per_queue);
}

static void a_ring_that_nobody_reads_loses_no_frame(void **state)
{
	static const uint8_t frame[60] = { 2 };
	unsigned int delivered = 0;

	(void)state;
	while (delivered < 240 && loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), NULL)) {
		delivered++;
		client_run(&m.client);
	}
	for (int i = 0; i < 10; i++)
		run();
	assert_int_equal(m.received, delivered);
	assert_int_equal(query64(OID_GEN_RCV_OK), delivered);
	assert_int_equal(query64(OID_GEN_BYTES_RCV), delivered * 60);
}

static void what_is_no_frame_does_not_arrive(void **state)
{
	static const uint8_t frame[14] = { 2 };

	(void)state;
	loopback_nic_deliver(m.card.nic, 0, frame, 13, NULL);
	run();
	assert_int_equal(m.received, 0);
	assert_int_equal(query64(OID_GEN_RCV_ERROR), 1);
	loopback_nic_deliver(m.card.nic, 0, frame, 14, NULL);
	run();
	assert_int_equal(m.received, 1);
}

static void received_metadata_reaches_the_guest(void **state)
{
	static const uint8_t frame[60] = { 2 };
	struct nic_rx meta = { .flags = NIC_RX_HASH | NIC_RX_VLAN | NIC_RX_IP_CHECKSUM_OK |
					NIC_RX_UDP_CHECKSUM_BAD,
			       .hash = 0xABCD1234,
			       .vlan_tci = 0xE005 };
	struct ndis_offload_parameters off = { .tcp_ip_v4_checksum = 1,
					       .udp_ip_v4_checksum = 1,
					       .tcp_ip_v6_checksum = 1,
					       .udp_ip_v6_checksum = 2 };

	(void)state;
	loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), &meta);
	run();
	assert_true(m.rx.has_hash && m.rx.has_vlan && m.rx.has_checksum);
	assert_int_equal(m.rx.hash, 0xABCD1234);
	assert_int_equal(m.rx.vlan, 7 | 5 << 4);
	assert_int_equal(m.rx.checksum,
			 NDIS_RX_CHECKSUM_IP_SUCCEEDED | NDIS_RX_CHECKSUM_UDP_FAILED);
	assert_int_equal(netvsc_set(&m.net, OID_TCP_OFFLOAD_PARAMETERS, &off, sizeof(off)), 0);
	loopback_nic_deliver(m.card.nic, 0, frame, sizeof(frame), &meta);
	run();
	assert_false(m.rx.has_checksum);
	assert_true(m.rx.has_vlan);
}

/* --- Control */

static void capabilities_are_told(void **state)
{
	struct ndis_offload offload = { .header = { NDIS_OBJECT_TYPE_OFFLOAD, 3,
						    sizeof(offload) } };
	struct ndis_receive_scale_capabilities rss;
	uint32_t oids[128], len = sizeof(offload);
	uint8_t mac[6];

	(void)state;
	assert_int_equal(netvsc_query(&m.net, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &offload,
				      sizeof(offload), &offload, &len),
			 0);
	assert_int_equal(len, 156);
	assert_int_equal(offload.header.size, 156);
	assert_int_equal(offload.checksum.ip4_tx & 0x54, 0x54); /* what Linux asks for */
	assert_int_equal(offload.checksum.ip6_tx & 0x55, 0x55);
	assert_int_equal(offload.lsov2.ip4_encap, 2);
	assert_int_equal(offload.lsov2.ip6_options, 5);
	offload.header.size = 112;
	len = sizeof(offload);
	assert_int_equal(netvsc_query(&m.net, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &offload, 112,
				      &offload, &len),
			 0);
	assert_int_equal(len, 112);
	len = sizeof(rss);
	assert_int_equal(
		netvsc_query(&m.net, OID_GEN_RECEIVE_SCALE_CAPABILITIES, NULL, 0, &rss, &len), 0);
	assert_int_equal(rss.receive_queues, 4);
	assert_int_equal(rss.table_entries, 128);
	len = sizeof(mac);
	assert_int_equal(netvsc_query(&m.net, OID_802_3_PERMANENT_ADDRESS, NULL, 0, mac, &len), 0);
	assert_memory_equal(mac, ((uint8_t[]){ 2, 0x15, 0x5D, 1, 2, 3 }), 6);
	assert_int_equal(query32(OID_GEN_LINK_SPEED), 100000000);
	/* Every OID of the list has an answer, but for those that are only set. */
	len = sizeof(oids);
	assert_int_equal(netvsc_query(&m.net, OID_GEN_SUPPORTED_LIST, NULL, 0, oids, &len), 0);
	for (uint32_t i = 0; i < len / 4; i++) {
		uint8_t info[512];
		uint32_t info_len = sizeof(info), status;

		status = netvsc_query(&m.net, oids[i], NULL, 0, info, &info_len);
		if (oids[i] != OID_GEN_RECEIVE_SCALE_PARAMETERS &&
		    oids[i] != OID_TCP_OFFLOAD_PARAMETERS)
			assert_int_equal(status, 0);
	}
	assert_int_equal(netvsc_set(&m.net, OID_GEN_RNDIS_CONFIG_PARAMETER, mac, 6),
			 RNDIS_STATUS_NOT_SUPPORTED);
}

static void control_messages_are_validated(void **state)
{
	uint32_t query[16] = { RNDIS_MSG_QUERY, 28, 1, OID_GEN_SUPPORTED_LIST, 8, 0xFFFFFFF0, 0 };
	uint32_t keepalive[] = { RNDIS_MSG_KEEPALIVE, 12, 0x55 };
	uint32_t cut[] = { RNDIS_MSG_QUERY, 5000, 1, 2, 3 };

	(void)state;
	assert_int_equal(netvsc_rndis(&m.net, query, 28, true), 0);
	assert_int_equal(load_le32(m.net.response + 12), RNDIS_STATUS_INVALID_DATA);
	query[5] = 4; /* inside the request itself */
	assert_int_equal(netvsc_rndis(&m.net, query, 28, true), 0);
	assert_int_equal(load_le32(m.net.response + 12), RNDIS_STATUS_INVALID_DATA);
	netvsc_rndis(&m.net, cut, sizeof(cut), false);
	run();
	assert_false(m.net.responded);
	assert_int_equal(netvsc_rndis(&m.net, keepalive, sizeof(keepalive), true), 0);
	assert_int_equal(load_le32(m.net.response + 8), 0x55);
}

/* Of a section that there is, and no larger than that. */
static void control_messages_come_from_the_send_buffer(void **state)
{
	static const uint32_t keepalive[] = { RNDIS_MSG_KEEPALIVE, 12, 0x66 };
	static const uint32_t bad[][2] = { { 0, 6145 },
					   { NETVSC_SEND_BYTES / 6144, 12 },
					   { 0xFFFFFFFE, 12 } };
	struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT };
	struct nvsp_send_rndis_packet *rndis = &message.send_rndis_pkt;

	(void)state;
	memcpy(m.client.ram + NETVSC_SEND_BUFFER, keepalive, sizeof(keepalive));
	rndis->channel_type = NVSP_CHANNEL_CONTROL;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rndis->send_buf_section_index = bad[i][0];
		rndis->send_buf_section_size = bad[i][1];
		client_send(&m.net.channels[0], VM_PKT_DATA_INBAND, 1, 7, NULL, 0, &message,
			    sizeof(message));
		run();
		assert_int_equal(m.net.failed[0], i + 1);
	}
	rndis->send_buf_section_index = 0;
	rndis->send_buf_section_size = 12;
	client_send(&m.net.channels[0], VM_PKT_DATA_INBAND, 1, 7, NULL, 0, &message,
		    sizeof(message));
	run();
	assert_int_equal(m.net.failed[0], sizeof(bad) / sizeof(bad[0]));
	assert_int_equal(load_le32(m.net.response + 8), 0x66);
}

static void link_changes_are_indicated(void **state)
{
	(void)state;
	assert_int_equal(query32(OID_GEN_MEDIA_CONNECT_STATUS), 0);
	loopback_nic_set_link(m.card.nic, false);
	run();
	assert_int_equal(m.net.indications, 1);
	assert_int_equal(m.net.indicated, RNDIS_STATUS_MEDIA_DISCONNECT);
	assert_int_equal(query32(OID_GEN_MEDIA_CONNECT_STATUS), 1);
	loopback_nic_set_link(m.card.nic, true);
	run();
	assert_int_equal(m.net.indicated, RNDIS_STATUS_MEDIA_CONNECT);
}

static void the_guest_learns_of_a_vf_and_switches(void **state)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG4_TYPE_SWITCH_DATA_PATH };

	(void)state;
	netvsp_set_vf(m.card.netvsp, true, 42);
	run();
	assert_int_equal(m.net.inbands, 1);
	assert_int_equal(m.net.inband.msg_type, NVSP_MSG4_TYPE_SEND_VF_ASSOCIATION);
	assert_int_equal(m.net.inband.vf_association.allocated, 1);
	assert_int_equal(m.net.inband.vf_association.serial, 42);
	message.switch_data_path.active_datapath = NVSP_DATAPATH_VF;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.net.reply_len, 0);
	assert_true(m.to_vf);
	send_frame(60, NULL, 0); /* the synthetic path stays usable */
	assert_int_equal(m.received, 1);
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.switches, 1); /* said twice, done once */
	message.switch_data_path.active_datapath = NVSP_DATAPATH_SYNTHETIC;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_false(m.to_vf);
	assert_int_equal(m.switches, 2);
	netvsp_set_vf(m.card.netvsp, false, 42);
	run();
	assert_int_equal(m.net.inband.vf_association.allocated, 0);
	/* A driver that starts anew is told again. */
	netvsp_set_vf(m.card.netvsp, true, 43);
	message.switch_data_path.active_datapath = NVSP_DATAPATH_VF;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_true(m.to_vf);
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_true(m.to_vf); /* a driver that opens the card anew does not switch again */
	m.net.inbands = 0;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	run();
	assert_int_equal(m.net.inbands, 1);
	assert_int_equal(m.net.inband.vf_association.serial, 43);
	assert_true(m.to_vf);
}

static void a_vf_that_is_driven_no_more_has_no_traffic(void **state)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG4_TYPE_SWITCH_DATA_PATH };

	(void)state;
	message.switch_data_path.active_datapath = NVSP_DATAPATH_VF;
	m.refuses = true;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.switches, 1);
	netvsp_vf_left(m.card.netvsp); /* nothing to take back */
	assert_int_equal(m.switches, 1);
	m.refuses = false;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_true(m.to_vf);
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	netvsp_vf_left(m.card.netvsp); /* of a guest that is gone, too */
	assert_false(m.to_vf);
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_true(m.to_vf);
}

/* --- Sub-channels */

static void sub_channels_have_queues_of_their_own(void **state)
{
	static const uint8_t frame[60] = { 2 };
	uint8_t key[40];

	(void)state;
	memset(key, 0x6D, sizeof(key));
	assert_int_equal(netvsc_rss(&m.net, 2, 128, key), -1); /* queue 1 is not open */
	assert_int_equal(netvsc_sub_channels(&m.net, 3), 0);
	run();
	assert_int_equal(m.net.inband.msg_type, NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE);
	assert_int_equal(m.net.inband.send_table.offset, 40);
	for (uint32_t i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		assert_int_equal(m.net.inband_table[i], i % 4);
	assert_int_equal(netvsc_rss(&m.net, 4, 128, key), 0);
	assert_true(loopback_nic_receive(m.card.nic)->rss);
	assert_int_equal(loopback_nic_receive(m.card.nic)->table[6], 2);
	assert_memory_equal(loopback_nic_receive(m.card.nic)->key, key, 40);
	for (unsigned int i = 0; i < 4; i++) {
		struct netvsc_tx tx = { make_frame(i, 100), 100, NULL, 0 };

		assert_int_equal(netvsc_send(&m.net, i, 70 + i, HEAD(i), &tx), 0);
		client_run(&m.client);
		netvsc_poll(&m.net, i);
		assert_int_equal(m.sent_queue, i);
		assert_int_equal(m.rx_channel, i);
		assert_int_equal(m.received, i + 1);
		assert_int_equal(m.net.last_completed[i], 70 + i);
	}
	/* Their sections do not overlap: a frame on each, looked at afterwards. */
	for (unsigned int i = 0; i < 4; i++)
		assert_true(loopback_nic_deliver(m.card.nic, i, frame, sizeof(frame), NULL));
	assert_int_equal(netvsc_stop(&m.net, 3), 0);
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_5, 1500), 0);
	assert_int_equal(netvsc_sub_channels(&m.net, 1), 0);
}

static void sub_channel_storms_are_refused(void **state)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG5_TYPE_SUBCHANNEL,
					.subchannel = { NVSP_SUBCHANNEL_ALLOCATE, 1000000 } };

	(void)state;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.net.reply.subchannel_complete.status, NVSP_STAT_FAIL);
	message.subchannel.num_subchannels = 3;
	message.subchannel.op = NVSP_SUBCHANNEL_ALLOCATE + 1;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.net.reply.subchannel_complete.status, NVSP_STAT_FAIL);
	message.subchannel.op = NVSP_SUBCHANNEL_ALLOCATE;
	assert_int_equal(netvsc_call(&m.net, &message), 0);
	assert_int_equal(m.net.reply.subchannel_complete.status, NVSP_STAT_SUCCESS);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(netvsc_call(&m.net, &message), 0);
		assert_int_equal(m.net.reply.subchannel_complete.status, NVSP_STAT_FAIL);
	}
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, setup_started, teardown)
#define CLOSED(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLOSED(every_version_works_and_closes),
		CLOSED(sections_hold_a_frame_of_any_mtu),
		CLOSED(nothing_works_before_its_time),
		CLOSED(a_buffer_that_is_not_fit_is_refused),
		STARTED(a_revoked_buffer_is_let_go_under_load),
		STARTED(a_buffer_revoked_alone_stops_the_card),
		STARTED(a_guest_that_just_closes_leaves_nothing),
		STARTED(a_frame_goes_without_a_copy),
		STARTED(offloads_reach_the_nic),
		STARTED(a_section_carries_several_frames),
		STARTED(a_message_may_start_in_a_section_and_end_in_pages),
		STARTED(what_cannot_be_is_refused),
		CLOSED(offloads_that_there_are_not_are_refused),
		STARTED(a_full_nic_holds_frames_back_in_order),
		STARTED(completions_that_nobody_reads_hold_the_guest_back),
		STARTED(a_full_nic_is_not_waited_for_after_a_restart),
		STARTED(filters_filter),
		STARTED(sections_come_back),
		STARTED(sections_come_back_once),
		STARTED(a_ring_that_nobody_reads_loses_no_frame),
		STARTED(what_is_no_frame_does_not_arrive),
		STARTED(received_metadata_reaches_the_guest),
		STARTED(capabilities_are_told),
		STARTED(control_messages_are_validated),
		STARTED(control_messages_come_from_the_send_buffer),
		STARTED(link_changes_are_indicated),
		STARTED(the_guest_learns_of_a_vf_and_switches),
		STARTED(a_vf_that_is_driven_no_more_has_no_traffic),
		STARTED(sub_channels_have_queues_of_their_own),
		STARTED(sub_channel_storms_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
