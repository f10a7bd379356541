/* The MANA driver against the emulated function, from a guest's ring to the network and back. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "core/pci_device.h"
#include "devices/mana/mana_internal.h"
#include "devices/net/mana_nic.h"
#include "devices/net/mana_nic_internal.h"
#include "devices/net/netvsp.h"
#include "devices/pci/pci_inproc.h"
#include "devices/pci/pci_relay.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/mana_machine.h"

#define HEAD(i)  (NETVSC_FRAMES + (i)*0x4000ul)
#define FRAME(i) (NETVSC_FRAMES + (i)*0x4000ul + 0x1000)

static struct mana_machine m;
static uint8_t last_frame[10000];
static struct netvsc_rx last_rx;
static unsigned int received[NETVSC_CHANNELS], received_total;

static const uint8_t rss_key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static void on_frame(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	(void)ctx;
	last_rx = *rx;
	memcpy(last_frame, rx->bytes, rx->len < sizeof(last_frame) ? rx->len : sizeof(last_frame));
	received[channel]++;
	received_total++;
}

static int start(int (*init)(struct mana_machine *m, uint16_t mtu, uint16_t queues), uint16_t mtu)
{
	log_set_level(LOG_ERROR);
	memset(received, 0, sizeof(received));
	received_total = 0;
	if (init(&m, mtu, 4))
		return -1;
	m.net.received = on_frame;
	return netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, mtu);
}

static int setup_with(uint16_t mtu)
{
	return start(mana_machine_init, mtu);
}

static int setup(void **state)
{
	(void)state;
	return setup_with(1500);
}

/* The driver has the function through a relay. */
static int setup_relayed(void **state)
{
	(void)state;
	return start(mana_machine_init_relayed, 1500);
}

/* Whoever rings a doorbell sends, as in vtlhost. */
static int setup_in_place(void **state)
{
	(void)state;
	return start(mana_machine_init_in_place, 1500);
}

static int setup_jumbo(void **state)
{
	(void)state;
	return setup_with(9000);
}

static int teardown(void **state)
{
	(void)state;
	return mana_machine_fini(&m);
}

static void run(void)
{
	mana_machine_run(&m, m.net.relids[3] ? 4 : 1);
}

static struct mana_nic_counters counters(void)
{
	struct mana_nic_counters now;

	mana_nic_counters(m.driver, &now);
	return now;
}

/* An IPv4 frame of `len` bytes to our address; ports by which flows differ. */
static void make_frame(uint8_t *frame, uint32_t len, bool tcp, uint16_t port)
{
	static const uint8_t head[] = { 2, 0x15, 0x5D, 1, 2, 3, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0 };

	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 11 + port);
	memcpy(frame, head, sizeof(head));
	frame[16] = (uint8_t)((len - 14) >> 8);
	frame[17] = (uint8_t)(len - 14);
	memset(frame + 18, 0, 8);
	frame[22] = 64;
	frame[23] = tcp ? 6 : 17;
	memset(frame + 26, 10, 8);
	frame[34] = (uint8_t)(port >> 8);
	frame[35] = (uint8_t)port;
	if (tcp) {
		frame[46] = 5 << 4;
		frame[47] = 0x18;
	} else {
		frame[38] = (uint8_t)((len - 34) >> 8);
		frame[39] = (uint8_t)(len - 34);
	}
}

static void fill_checksums(uint8_t *frame, uint32_t len)
{
	struct net_frame parsed;

	net_frame_parse(frame, len, &parsed);
	net_frame_fill_ip(frame, &parsed);
	net_frame_fill_l4(frame, &parsed);
}

static void send_frame(unsigned int channel, uint32_t len, const uint32_t *infos,
		       unsigned int count)
{
	struct netvsc_tx tx = { FRAME(0), len, infos, count };

	assert_int_equal(netvsc_send(&m.net, channel, 7, HEAD(0), &tx), 0);
	run();
}

static uint16_t checksum_flags(const struct memory_frame *frame)
{
	struct net_frame parsed;

	net_frame_parse(frame->bytes, frame->len, &parsed);
	return net_frame_verify(frame->bytes, &parsed);
}

/* --- Frames */

static void a_frame_goes_out_untouched(void **state)
{
	uint64_t dma = mana_function_dma_bytes(m.function);

	(void)state;
	make_frame(m.client.ram + FRAME(0), 1514, true, 1);
	send_frame(0, 1514, NULL, 0);
	assert_int_equal(m.network.count, 1);
	assert_int_equal(m.network.frames[0].len, 1514);
	assert_memory_equal(m.network.frames[0].bytes, m.client.ram + FRAME(0), 1514);
	assert_int_equal(m.net.failed[0], 0);
	assert_int_equal(counters().bounced, 0);
	assert_true(mana_function_dma_bytes(m.function) - dma < 1514 + 300);
}

static void a_frame_comes_in_with_what_is_known_of_it(void **state)
{
	uint8_t frame[1000];

	(void)state;
	make_frame(frame, sizeof(frame), true, 5);
	fill_checksums(frame, sizeof(frame));
	memory_backend_deliver(&m.network, frame, sizeof(frame));
	run();
	assert_int_equal(received_total, 1);
	assert_int_equal(last_rx.len, sizeof(frame));
	assert_memory_equal(last_frame, frame, sizeof(frame));
	assert_true(last_rx.has_checksum);
	assert_int_equal(last_rx.checksum,
			 NDIS_RX_CHECKSUM_IP_SUCCEEDED | NDIS_RX_CHECKSUM_TCP_SUCCEEDED);
	frame[500] ^= 1;
	memory_backend_deliver(&m.network, frame, sizeof(frame));
	run();
	assert_int_equal(last_rx.checksum,
			 NDIS_RX_CHECKSUM_IP_SUCCEEDED | NDIS_RX_CHECKSUM_TCP_FAILED);
	frame[0] = 6; /* somebody else's */
	memory_backend_deliver(&m.network, frame, sizeof(frame));
	run();
	assert_int_equal(received_total, 2);
}

static void checksums_are_filled_in(void **state)
{
	const uint32_t tcp[] = { TCPIP_CHKSUM_PKTINFO,
				 NDIS_TX_CHECKSUM_IS_IPV4 | NDIS_TX_CHECKSUM_TCP |
					 NDIS_TX_CHECKSUM_IP_HEADER | 34 << 16 };
	const uint32_t udp[] = { TCPIP_CHKSUM_PKTINFO,
				 NDIS_TX_CHECKSUM_IS_IPV4 | NDIS_TX_CHECKSUM_UDP |
					 NDIS_TX_CHECKSUM_IP_HEADER | 34 << 16 };

	(void)state;
	make_frame(m.client.ram + FRAME(0), 777, true, 1);
	send_frame(0, 777, tcp, 1);
	assert_int_equal(checksum_flags(&m.network.frames[0]),
			 NIC_RX_IP_CHECKSUM_OK | NIC_RX_TCP_CHECKSUM_OK);
	make_frame(m.client.ram + FRAME(0), 333, false, 1);
	send_frame(0, 333, udp, 1);
	assert_int_equal(checksum_flags(&m.network.frames[1]),
			 NIC_RX_IP_CHECKSUM_OK | NIC_RX_UDP_CHECKSUM_OK);
}

static void a_large_send_is_segmented(void **state)
{
	const uint32_t lso[] = { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 };
	uint8_t *frame = m.client.ram + FRAME(0);
	size_t payload = 0;

	(void)state;
	make_frame(frame, 0x2800, true, 1);
	frame[16] = frame[17] = 0; /* as Linux leaves the length */
	send_frame(0, 0x2800, lso, 1);
	assert_int_equal(m.network.count, (0x2800 - 54 + 1447) / 1448);
	for (unsigned int i = 0; i < m.network.count; i++) {
		const struct memory_frame *out = &m.network.frames[i];

		assert_int_equal(checksum_flags(out),
				 NIC_RX_IP_CHECKSUM_OK | NIC_RX_TCP_CHECKSUM_OK);
		assert_memory_equal(out->bytes + 54, frame + 54 + payload, out->len - 54);
		payload += out->len - 54;
	}
	assert_int_equal(payload, 0x2800 - 54);
}

/* Where the network does what is left: the same, summed and cut by it. */
static void a_network_may_do_the_rest(void **state)
{
	const uint32_t lso[] = { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 };
	const uint32_t udp[] = { TCPIP_CHKSUM_PKTINFO,
				 NDIS_TX_CHECKSUM_IS_IPV4 | NDIS_TX_CHECKSUM_UDP |
					 NDIS_TX_CHECKSUM_IP_HEADER | 34 << 16 };
	const struct memory_frame *out = m.network.frames;
	uint8_t *frame = m.client.ram + FRAME(0);
	struct net_frame parsed;

	(void)state;
	m.network.backend.offloads = true;
	make_frame(frame, 5000, true, 1);
	frame[16] = frame[17] = 0;
	send_frame(0, 5000, lso, 1);
	assert_int_equal(m.network.count, 1);
	assert_int_equal(out->len, 5000);
	assert_int_equal(out->bytes[16] << 8 | out->bytes[17], 5000 - 14);
	assert_memory_equal(out->bytes + 54, frame + 54, 5000 - 54);
	assert_int_equal(m.network.offload.mss, 1448);
	assert_int_equal(m.network.offload.header_len, 54);
	assert_int_equal(m.network.offload.sum_start, 34);
	assert_int_equal(m.network.offload.sum_field, 50);
	make_frame(frame, 333, false, 1);
	send_frame(0, 333, udp, 1);
	out++;
	assert_int_equal(out->len, 333);
	assert_int_equal(m.network.offload.mss, 0);
	assert_int_equal(m.network.offload.sum_start, 34);
	assert_int_equal(m.network.offload.sum_field, 40);
	net_frame_parse(out->bytes, out->len, &parsed);
	assert_int_equal(net_frame_verify(out->bytes, &parsed),
			 NIC_RX_IP_CHECKSUM_OK | NIC_RX_UDP_CHECKSUM_BAD);
}

static void tags_go_both_ways(void **state)
{
	const uint32_t vlan[] = { IEEE_8021Q_INFO, 3 | 0x456 << 4 };
	const uint8_t tag[] = { 0x81, 0, 0x64, 0x56 };
	uint8_t frame[104];

	(void)state;
	make_frame(m.client.ram + FRAME(0), 100, true, 1);
	send_frame(0, 100, vlan, 1);
	assert_int_equal(m.network.frames[0].len, 104);
	assert_memory_equal(m.network.frames[0].bytes + 12, tag, 4);
	assert_memory_equal(m.network.frames[0].bytes + 16, m.client.ram + FRAME(0) + 12, 88);
	make_frame(frame, 100, true, 2);
	memmove(frame + 16, frame + 12, 88);
	memcpy(frame + 12, tag, 4);
	memory_backend_deliver(&m.network, frame, 104);
	run();
	assert_int_equal(last_rx.len, 100);
	assert_true(last_rx.has_vlan);
	assert_int_equal(last_rx.vlan >> 4, 0x456);
}

static void jumbo_frames_go_both_ways(void **state)
{
	uint8_t *frame = m.client.ram + FRAME(0);
	static uint8_t in[9014];

	(void)state;
	make_frame(frame, 9014, true, 1);
	send_frame(0, 9014, NULL, 0);
	assert_int_equal(m.network.frames[0].len, 9014);
	assert_memory_equal(m.network.frames[0].bytes, frame, 9014);
	make_frame(in, 9014, false, 3);
	for (int i = 0; i < 300; i++) {
		in[100] = (uint8_t)i;
		memory_backend_deliver(&m.network, in, sizeof(in));
		run();
		assert_int_equal(last_rx.len, 9014);
		assert_memory_equal(last_frame, in, sizeof(in));
	}
	assert_int_equal(received_total, 300);
}

/* More pieces than a work queue entry has SGEs: the last are copied. */
static void many_pieces_are_few_enough(void **state)
{
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_DATA, NVSP_SEND_BUFFER_NONE, 0 },
	};
	struct netvsc_tx tx = { 0, 36 * 40, NULL, 0 };
	uint64_t ext[1 + 2 * 37] = { UINT64_C(37) << 32 };
	uint8_t expected[36 * 40];

	(void)state;
	ext[1] = netvsc_head(m.client.ram + HEAD(0), &tx);
	ext[2] = HEAD(0) >> 12;
	for (unsigned int i = 0; i < 36; i++) {
		uint8_t *piece = m.client.ram + NETVSC_FRAMES + 0x8000 + i * 0x2000 + 8;

		memset(piece, (int)i, 40);
		if (!i)
			make_frame(piece, 40, true, 1);
		memcpy(&expected[i * 40], piece, 40);
		ext[3 + 2 * i] = UINT64_C(8) << 32 | 40;
		ext[4 + 2 * i] = (NETVSC_FRAMES + 0x8000 + i * 0x2000) >> 12;
	}
	for (int round = 0; round < 5; round++) {
		client_send(&m.net.channels[0], VM_PKT_DATA_USING_GPA_DIRECT, 1, 9, ext,
			    sizeof(ext), &message, sizeof(message));
		run();
		assert_int_equal(m.network.count, round + 1);
		assert_int_equal(m.network.frames[round].len, sizeof(expected));
		assert_memory_equal(m.network.frames[round].bytes, expected, sizeof(expected));
	}
	assert_int_equal(counters().bounced, 5);
	assert_int_equal(counters().bounced_bytes, 5 * 7 * 40);
}

static void flows_spread_over_queues(void **state)
{
	static struct net_hash hash;
	uint8_t frame[100], type;

	(void)state;
	net_hash_init(&hash, rss_key);
	assert_int_equal(netvsc_sub_channels(&m.net, 3), 0);
	run();
	assert_int_equal(netvsc_rss(&m.net, 4, 64, rss_key), 0);
	for (uint16_t port = 0; port < 64; port++) {
		struct net_frame parsed;
		uint32_t value;
		unsigned int queue, before;

		make_frame(frame, sizeof(frame), true, port);
		fill_checksums(frame, sizeof(frame));
		net_frame_parse(frame, sizeof(frame), &parsed);
		value = net_frame_hash(&hash, frame, &parsed, NIC_HASH_TCP_IPV4, &type);
		queue = value % 64 % 4;
		before = received[queue];
		memory_backend_deliver(&m.network, frame, sizeof(frame));
		run();
		assert_int_equal(received[queue], before + 1);
		assert_true(last_rx.has_hash);
		assert_int_equal(last_rx.hash, value);
	}
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(received[i] > 4);
		make_frame(m.client.ram + FRAME(0), 100, true, (uint16_t)i);
		send_frame(i, 100, NULL, 0);
		assert_int_equal(m.network.count, i + 1);
	}
	assert_int_equal(netvsc_stop(&m.net, 3), 0);
}

/* --- Bursts */

static void bursts_arrive_in_order(void **state)
{
	unsigned int sent = 0;

	(void)state;
	m.network.reflect = true;
	while (received_total < 2000) {
		for (int i = 0; i < 40; i++) {
			struct netvsc_tx tx = { FRAME(sent % 16), 64 + sent % 1000, NULL, 0 };

			make_frame(m.client.ram + tx.gpa, tx.len, false, 1);
			memcpy(m.client.ram + tx.gpa, m.client.ram + tx.gpa + 6,
			       6); /* to us again */
			m.client.ram[tx.gpa + 1] = 0x15;
			memcpy(m.client.ram + tx.gpa + 6, (uint8_t[]){ 2, 0x15, 0x5D, 1, 2, 3 }, 6);
			store_le32(m.client.ram + tx.gpa + 50, sent);
			if (sent % 16 == 0 && i)
				run();
			if (netvsc_send(&m.net, 0, sent, HEAD(sent % 16), &tx))
				break;
			sent++;
		}
		run();
		assert_int_equal(load_le32(last_frame + 50), received_total - 1);
	}
	assert_int_equal(m.net.failed[0], 0);
	assert_int_equal(counters().resets, 0);
}

/* What it does not take stays in the queue, and goes in order when it does. */
static void a_full_network_is_waited_for(void **state)
{
	uint64_t completed = m.net.completed[0];

	(void)state;
	memory_backend_set_full(&m.network, true);
	for (unsigned int i = 0; i < 100; i++) {
		struct netvsc_tx tx = { FRAME(i % 16), 64 + i, NULL, 0 };

		make_frame(m.client.ram + tx.gpa, tx.len, false, 1);
		assert_int_equal(netvsc_send(&m.net, 0, i, HEAD(i % 16), &tx), 0);
		if (i % 16 == 15)
			run();
	}
	run();
	assert_int_equal(m.network.count, 0);
	assert_int_equal(m.net.completed[0], completed);
	memory_backend_set_full(&m.network, false);
	run();
	assert_int_equal(m.network.count, 100);
	assert_int_equal(m.net.completed[0], completed + 100);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(m.network.frames[i].len, 64 + i);
}

/* Sends `count` frames of 200 bytes; nobody runs yet. */
static void give_frames(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct netvsc_tx tx = { FRAME(i), 200, NULL, 0 };

		make_frame(m.client.ram + tx.gpa, tx.len, false, 1);
		assert_int_equal(netvsc_send(&m.net, 0, i, HEAD(i), &tx), 0);
	}
}

static void what_is_sent_in_place_needs_no_interrupt(void **state)
{
	uint64_t completed = m.net.completed[0], interrupts = counters().interrupts;

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		give_frames(3);
		run();
	}
	assert_int_equal(m.network.count, 60);
	assert_int_equal(m.net.completed[0], completed + 60);
	assert_int_equal(counters().interrupts, interrupts);
}

/* Sends that wait are interrupted for; also again, when the interrupt for the last ones found nothing any more. */
static void what_waits_is_interrupted_for(void **state)
{
	uint64_t completed = m.net.completed[0];

	(void)state;
	for (unsigned int i = 1; i <= 3; i++) {
		uint64_t interrupts = counters().interrupts;

		memory_backend_set_full(&m.network, true);
		give_frames(2);
		run();
		assert_int_equal(m.net.completed[0], completed);
		memory_backend_set_full(&m.network, false);
		if (i == 2)
			give_frames(
				1); /* its doorbell sends all three: the device has time to tell of them */
		do
			run();
		while (counters().interrupts == interrupts);
		completed += i == 2 ? 3 : 2;
		assert_int_equal(m.net.completed[0], completed);
		assert_int_equal(counters().interrupts, interrupts + 1);
	}
}

/* --- Link and reset */

static void the_link_goes_down_and_up(void **state)
{
	(void)state;
	mana_function_set_link(m.function, false);
	run();
	assert_int_equal(m.net.indicated, RNDIS_STATUS_MEDIA_DISCONNECT);
	mana_function_set_link(m.function, true);
	run();
	assert_int_equal(m.net.indicated, RNDIS_STATUS_MEDIA_CONNECT);
}

static const struct pci_device_ops *plain;

/* The function asks for a reset, which is done by that. */
static void be_reset_by(int (*reset)(struct pci_device_access *pci))
{
	struct pci_device_access *pci = pci_inproc_device(m.bus);
	struct pci_device_ops hooked = *pci->ops;

	plain = pci->ops;
	hooked.reset = reset;
	pci->ops = &hooked;
	mana_function_request_reset(m.function);
	run();
	pci->ops = plain;
}

static bool link_then;

/* When nobody can be told. */
static int reset_and_set_link(struct pci_device_access *pci)
{
	int err = plain->reset(pci);

	assert_false(mana_of(m.function)->hwc_up);
	mana_function_set_link(m.function, link_then);
	return err;
}

/* The status that the guest is told by a reset in which the link goes there; 0: none. */
static uint32_t told_by_reset(bool up)
{
	link_then = up;
	m.net.indicated = 0;
	be_reset_by(reset_and_set_link);
	return m.net.indicated;
}

static void a_link_that_changes_during_a_reset_is_told(void **state)
{
	(void)state;
	assert_int_equal(told_by_reset(false), RNDIS_STATUS_MEDIA_DISCONNECT);
	assert_int_equal(told_by_reset(false), 0);
	assert_int_equal(told_by_reset(true), RNDIS_STATUS_MEDIA_CONNECT);
	assert_int_equal(told_by_reset(true), 0);
	assert_int_equal(told_by_reset(false), RNDIS_STATUS_MEDIA_DISCONNECT);
	mana_function_set_link(m.function, true);
	run();
	assert_int_equal(m.net.indicated, RNDIS_STATUS_MEDIA_CONNECT);
	assert_int_equal(counters().resets, 5);
}

/* Nor is what the device says while somebody is busy with it, though there is one interrupt only. */
static void events_are_left_to_who_is_busy(void **state)
{
	struct nic *nic = mana_nic_nic(m.driver);
	struct nic_info info;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		m.net.indicated = 0;
		pthread_mutex_lock(&m.driver->control);
		mana_function_set_link(m.function, i & 1);
		run();
		assert_int_equal(m.net.indicated, 0);
		pthread_mutex_unlock(&m.driver->control);
		nic->ops->get_info(nic, &info); /* sends no command */
		run();
		assert_int_equal(m.net.indicated, i & 1 ? RNDIS_STATUS_MEDIA_CONNECT
							: RNDIS_STATUS_MEDIA_DISCONNECT);
	}
}

static void both_ways_work(unsigned int channel)
{
	unsigned int before = received_total, sent = m.network.count;
	uint8_t frame[90];

	make_frame(m.client.ram + FRAME(0), 100, true, 1);
	send_frame(channel, 100, NULL, 0);
	assert_int_equal(m.network.count, sent + 1);
	make_frame(frame, sizeof(frame), true, 1);
	memory_backend_deliver(&m.network, frame, sizeof(frame));
	run();
	assert_int_equal(received_total, before + 1);
}

/* More than there are buffers, while the guest looks at nothing; their ports count them. */
static void deliver_too_many(unsigned int count)
{
	uint8_t frame[90];

	for (unsigned int i = 0; i < count; i++) {
		make_frame(frame, sizeof(frame), true, (uint16_t)i);
		memory_backend_deliver(&m.network, frame, sizeof(frame));
		if (i % 64 == 63)
			client_run(&m.client);
	}
}

static void in_order(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	uint8_t frame[90];

	(void)ctx;
	(void)channel;
	make_frame(frame, sizeof(frame), true, (uint16_t)received_total);
	assert_int_equal(rx->len, sizeof(frame));
	assert_memory_equal(rx->bytes, frame, sizeof(frame));
	received_total++;
}

static void frames_wait_for_buffers(void **state)
{
	(void)state;
	m.net.received = in_order;
	for (unsigned int round = 0; round < 3; round++) {
		received_total = 0;
		deliver_too_many(900);
		assert_true(m.network.paused);
		run();
		assert_false(m.network.paused);
		assert_int_equal(received_total, 900);
	}
	assert_int_equal(mana_of(m.function)->stats.rx_no_wqe, 0);
}

static void a_queue_that_stays_without_is_not_waited_for(void **state)
{
	struct mana_stats *stats = &mana_of(m.function)->stats;
	uint64_t lost;

	(void)state;
	deliver_too_many(520);
	assert_true(m.network.paused);
	while (!stats->rx_no_wqe)
		client_run(&m.client);
	assert_false(m.network.paused);
	deliver_too_many(3);
	assert_false(m.network.paused);
	lost = stats->rx_no_wqe;
	run();
	assert_int_equal(received_total + lost, 523);
	both_ways_work(0);
	deliver_too_many(520);
	assert_true(m.network.paused); /* it has had buffers since */
	run();
	assert_int_equal(stats->rx_no_wqe, lost);
}

static void a_reset_is_a_pause(void **state)
{
	(void)state;
	assert_int_equal(netvsc_sub_channels(&m.net, 3), 0);
	both_ways_work(2);
	for (uint64_t i = 1; i < 4; i++) {
		mana_function_request_reset(m.function);
		run();
		assert_int_equal(counters().resets, i);
		both_ways_work(i % 4);
		both_ways_work(0);
	}
	assert_int_equal(netvsc_stop(&m.net, 3), 0);
}

static void send_now(void *ctx)
{
	struct netvsc_tx tx = { FRAME(0), 100, NULL, 0 };

	(void)ctx;
	assert_false(m.driver->queues[0].live);
	assert_int_equal(netvsc_send(&m.net, 0, 7, HEAD(0), &tx), 0);
}

/* Behind what the recovery has posted: the queue has let go by then. */
static void send_soon(void *ctx)
{
	event_loop_post(m.client.loops[0], send_now, ctx);
}

static int reset_and_send(struct pci_device_access *pci)
{
	event_loop_post(m.client.loops[0], send_soon, NULL);
	return plain->reset(pci);
}

/* It waits, and nobody else comes for it. */
static void what_is_sent_during_a_reset_arrives(void **state)
{
	uint64_t completed = m.net.completed[0];

	(void)state;
	make_frame(m.client.ram + FRAME(0), 100, true, 1);
	be_reset_by(reset_and_send);
	assert_int_equal(counters().resets, 1);
	assert_int_equal(m.network.count, 1);
	assert_int_equal(m.net.completed[0], completed + 1);
}

static void the_filter_moves_and_stays_moved(void **state)
{
	(void)state;
	assert_int_equal(mana_nic_move_filter(m.driver, true), 0);
	assert_true(m.to_vtl0);
	m.to_vtl0 = false; /* as if the reset had lost it */
	mana_function_request_reset(m.function);
	run();
	assert_int_equal(counters().resets, 1);
	assert_true(m.to_vtl0);
	assert_int_equal(m.moves, 2);
	assert_int_equal(mana_nic_move_filter(m.driver, false), 0);
	assert_false(m.to_vtl0);
	mana_function_request_reset(m.function);
	run();
	assert_int_equal(m.moves, 3);
	both_ways_work(0);
	/* VTL0's own function has no say. */
	mana_of(m.function)->config.move_filter = NULL;
	assert_int_equal(mana_nic_move_filter(m.driver, true), -EOPNOTSUPP);
	both_ways_work(0);
	mana_function_request_reset(m.function); /* nor is it asked again */
	run();
	both_ways_work(0);
}

/* Afterwards it is like new: with MSI-X off, and no bus mastering, also for the function itself. */
static void a_relay_gives_back_what_it_had(void **state)
{
	struct pci_function *relay;
	uint32_t command;

	(void)state;
	both_ways_work(0);
	relay = pci_relay_function(m.relay);
	assert_int_equal(relay->ops->config_read(relay, PCI_VENDOR_ID, 4),
			 GDMA_PCI_VENDOR | GDMA_PCI_DEVICE_VF << 16);
	assert_true(mana_is_master(mana_of(m.function)));
	assert_true(mana_of(m.function)->hwc_up);
	relay->ops->reset(relay);
	assert_false(mana_is_master(mana_of(m.function)));
	assert_false(mana_of(m.function)->hwc_up);
	command = relay->ops->config_read(relay, PCI_COMMAND, 2);
	assert_int_equal(command, 0);
}

/* --- A device that is not well */

static struct mana_wq *queue_of_type(uint32_t type)
{
	struct mana *mana = mana_of(m.function);

	for (unsigned int i = 2; i < MANA_WQS; i++)
		if (mana->wqs[i].used && mana->wqs[i].type == type)
			return &mana->wqs[i];
	fail_msg("no queue");
	return NULL;
}

static void lies_are_answered_with_a_reset(void **state)
{
	const uint32_t okay = MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT;
	uint64_t resets = 0;

	(void)state;
	for (unsigned int lie = 0; lie < 10; lie++) {
		struct mana *mana = mana_of(m.function);
		struct mana_rx_comp rx = { .header = okay | MANA_CQE_RX_OKAY };
		struct mana_tx_comp tx = { .header = okay | MANA_CQE_TX_OKAY };
		struct mana_wq *rq = queue_of_type(GDMA_RQ), *sq = queue_of_type(GDMA_SQ);

		mana->cqs[sq->cq].armed = true; /* as while a send is under way */
		switch (lie) {
		case 0: /* a frame longer than its buffer */
			rx.packets[0].len = 5000;
			rx.wqe_offset = rq->head % rq->ring.size;
			mana_complete(mana, rq, &rx);
			break;
		case 1: /* another buffer than the next */
			rx.packets[0].len = 60;
			rx.wqe_offset = (rq->head + 64) % rq->ring.size;
			mana_complete(mana, rq, &rx);
			break;
		case 2: /* a frame that was not sent */
			mana_complete(mana, sq, &tx);
			break;
		case 3: /* what was not asked for */
			rx.header = okay | MANA_CQE_RX_COALESCED_4;
			mana_complete(mana, rq, &rx);
			break;
		case 4: /* of no client */
			rx.header = MANA_CQE_RX_OKAY;
			mana_complete(mana, rq, &rx);
			break;
		case 5: /* more entries than the queue has */
			for (int i = 0; i < 600; i++)
				mana_complete(mana, sq, &tx);
			break;
		case 6: /* events for nothing are looked through */
			for (int i = 0; i < 5; i++)
				mana_event(mana, mana->cqs[rq->cq].eq, 200, 77);
			break;
		case 7: /* unless they are more than their queue has */
			for (int i = 0; i < 300; i++)
				mana_event(mana, mana->cqs[rq->cq].eq, 200, 77);
			break;
		case 8: /* an event that cannot be seen, for which it interrupts whenever it is asked to */
		case 9:
			mana->eqs[lie == 8 ? mana->cqs[rq->cq].eq : 0].head++;
			mana_event(mana, lie == 8 ? mana->cqs[rq->cq].eq : 0, 200, 77);
			break;
		}
		run();
		resets += lie != 6;
		if (counters().resets != resets)
			fail_msg("lie %u: %lu resets", lie, counters().resets);
		both_ways_work(0);
	}
}

/* A queue that only this test uses, to which frames and buffers can be given without a kick. */
#define RAW_QUEUE 3

static struct {
	struct nic_segment segment;
	struct nic_tx tx;
	struct nic_rx rx;
	int tx_err, rx_err;
	unsigned int ends;
} raw;

static void raw_tx_done(void *ctx, struct nic_tx *tx, int err)
{
	(void)ctx;
	assert_ptr_equal(tx, &raw.tx);
	raw.tx_err = err;
}

static void raw_rx(void *ctx, struct nic_rx *rx, int err)
{
	(void)ctx;
	assert_ptr_equal(rx, &raw.rx);
	raw.rx_err = err;
}

static void raw_batch_end(void *ctx)
{
	(void)ctx;
	raw.ends++;
}

static void raw_open(struct nic *nic)
{
	static const struct nic_queue_client client = { raw_tx_done, raw_rx, raw_batch_end };

	raw.segment = (struct nic_segment){ FRAME(0), 100 };
	raw.tx = (struct nic_tx){ .segments = &raw.segment, .segment_count = 1, .len = 100 };
	raw.rx = (struct nic_rx){ .segments = { { FRAME(1), 2000 } }, .segment_count = 1 };
	raw.tx_err = raw.rx_err = 1;
	raw.ends = 0;
	assert_int_equal(nic->ops->queue_open(nic, RAW_QUEUE, m.client.loops[0], &client, NULL), 0);
}

/* Of memory that the device cannot reach. The client waits for the end of a batch, then as ever. */
static void a_frame_that_is_not_there_is_an_error(void **state)
{
	struct nic *nic = mana_nic_nic(m.driver);

	(void)state;
	raw_open(nic);
	raw.segment.gpa = UINT64_C(1) << 45;
	assert_int_equal(nic->ops->tx(nic, RAW_QUEUE, &raw.tx), 0);
	assert_int_equal(raw.tx_err, 1);
	nic->ops->kick(nic, RAW_QUEUE);
	assert_int_equal(raw.tx_err, -EFAULT);
	assert_int_equal(raw.ends, 1);
	nic->ops->kick(nic, RAW_QUEUE);
	assert_int_equal(raw.ends, 1);
	raw.segment.gpa = FRAME(0);
	assert_int_equal(nic->ops->tx(nic, RAW_QUEUE, &raw.tx), 0);
	nic->ops->kick(nic, RAW_QUEUE);
	run();
	assert_int_equal(raw.tx_err, 0);
	nic->ops->queue_close(nic, RAW_QUEUE);
}

/* The last of its type that was made. */
static struct mana_wq *newest_of_type(uint32_t type)
{
	struct mana *mana = mana_of(m.function);
	unsigned int i = MANA_WQS - 1;

	while (!mana->wqs[i].used || mana->wqs[i].type != type)
		i--;
	return &mana->wqs[i];
}

/* Completions of what is there, but which the device has not been told of, or of another kind. */
static void what_is_told_too_early_is_not_believed(void **state)
{
	const uint32_t okay = MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT;
	struct mana_rx_comp rx = { .header = okay | MANA_CQE_RX_OKAY, .packets = { { 60, 0, 0 } } };
	struct mana_tx_comp tx = { .header = okay | MANA_CQE_TX_OKAY };
	struct mana *mana = mana_of(m.function);
	struct nic *nic = mana_nic_nic(m.driver);

	(void)state;
	for (unsigned int lie = 0; lie < 4; lie++) {
		struct mana_wq *sq, *rq;

		raw_open(nic);
		sq = newest_of_type(GDMA_SQ);
		rq = newest_of_type(GDMA_RQ);
		switch (lie) {
		case 0: /* nothing to receive into */
			mana_complete(mana, rq, &rx);
			break;
		case 1: /* a buffer that it does not know */
			assert_int_equal(nic->ops->rx_post(nic, RAW_QUEUE, &raw.rx), 0);
			mana_complete(mana, rq, &rx);
			break;
		case 2: /* a frame that it does not know */
			assert_int_equal(nic->ops->tx(nic, RAW_QUEUE, &raw.tx), 0);
			mana->cqs[sq->cq].armed = true; /* as while a send is under way */
			mana_complete(mana, sq, &tx);
			break;
		case 3: /* a frame that it knows, as if it were a buffer */
			memory_backend_set_full(&m.network, true);
			assert_int_equal(nic->ops->tx(nic, RAW_QUEUE, &raw.tx), 0);
			nic->ops->kick(nic, RAW_QUEUE);
			sq->type = GDMA_RQ;
			mana_complete(mana, sq, &tx);
			sq->type = GDMA_SQ;
			break;
		}
		run();
		memory_backend_set_full(&m.network, false);
		if (counters().resets != lie + 1)
			fail_msg("lie %u: %lu resets", lie, counters().resets);
		nic->ops->queue_close(nic, RAW_QUEUE);
		/* What was given came back, and not as done. */
		assert_int_equal(raw.rx_err, lie == 1 ? -ECANCELED : 1);
		assert_true(lie < 2 ? raw.tx_err == 1 : raw.tx_err < 0);
		both_ways_work(0);
	}
}

/* --- What the device is told of */

#define OWN_BUFFERS 100

static struct {
	struct nic_rx rx[OWN_BUFFERS];
	unsigned int posted, back;
} own;

static void own_rx(void *ctx, struct nic_rx *rx, int err)
{
	(void)ctx;
	assert_ptr_equal(rx, &own.rx[own.back]); /* in order */
	assert_true(!err || err == -ECANCELED);
	own.back++;
}

static void own_tx_done(void *ctx, struct nic_tx *tx, int err)
{
	(void)ctx;
	(void)err;
	fail_msg("%p was not sent", (void *)tx);
}

/* With a kick, as whoever gives buffers does. */
static void own_post(struct nic *nic, unsigned int count)
{
	while (count--) {
		struct nic_rx *rx = &own.rx[own.posted++];

		*rx = (struct nic_rx){ .segments = { { FRAME(0), 2000 } }, .segment_count = 1 };
		assert_int_equal(nic->ops->rx_post(nic, RAW_QUEUE, rx), 0);
	}
	nic->ops->kick(nic, RAW_QUEUE);
}

/* Buffers of one SGE that the device has and knows of. */
static unsigned int known(const struct mana_wq *rq)
{
	struct mana *mana = mana_of(m.function);

	return (mana->tails[rq - mana->wqs] - rq->head) / GDMA_WQE_UNIT;
}

/* As many frames as that, for which nobody gives new buffers. */
static void own_frames(unsigned int count)
{
	uint8_t frame[90];

	make_frame(frame, sizeof(frame), true, 1);
	while (count--)
		memory_backend_deliver(&m.network, frame, sizeof(frame));
	client_run(&m.client);
}

/* All frames come to it. */
static void own_open(struct nic *nic)
{
	static const struct nic_queue_client client = { own_tx_done, own_rx, raw_batch_end };
	struct nic_receive receive = { .enabled = true, .rss = true, .entries = NIC_RSS_ENTRIES };
	struct nic_info info;

	memset(&own, 0, sizeof(own));
	nic->ops->get_info(nic, &info);
	receive.entries = info.rss_entries;
	receive.hash_types = NIC_HASH_TCP_IPV4;
	memset(receive.table, RAW_QUEUE, sizeof(receive.table));
	assert_int_equal(nic->ops->queue_open(nic, RAW_QUEUE, m.client.loops[0], &client, NULL), 0);
	assert_int_equal(nic->ops->set_receive(nic, &receive), 0);
}

/* Its segments hold the frame together, and none of them alone. */
static void a_frame_fills_a_buffer_of_several_segments(void **state)
{
	struct nic *nic = mana_nic_nic(m.driver);
	uint8_t frame[90];

	(void)state;
	own_open(nic);
	own.rx[own.posted++] = (struct nic_rx){ .segments = { { FRAME(0), 64 }, { FRAME(1), 32 } },
						.segment_count = 2 };
	assert_int_equal(nic->ops->rx_post(nic, RAW_QUEUE, &own.rx[0]), 0);
	nic->ops->kick(nic, RAW_QUEUE);
	make_frame(frame, sizeof(frame), true, 1);
	own_frames(1);
	assert_int_equal(own.back, 1);
	assert_int_equal(own.rx[0].len, sizeof(frame));
	assert_memory_equal(m.client.ram + FRAME(0), frame, 64);
	assert_memory_equal(m.client.ram + FRAME(1), frame + 64, sizeof(frame) - 64);
	nic->ops->queue_close(nic, RAW_QUEUE);
	client_run(&m.client);
}

static void a_device_is_told_of_buffers_in_time(void **state)
{
	struct nic *nic = mana_nic_nic(m.driver);
	struct mana_wq *rq;

	(void)state;
	own_open(nic);
	rq = newest_of_type(GDMA_RQ);
	own_post(nic, 1);
	assert_int_equal(known(rq), 1); /* of any, when it has few */
	own_post(nic, 47);
	assert_int_equal(known(rq), 48);
	own_post(nic, 15);
	assert_int_equal(known(rq), 48); /* of a quarter */
	own_post(nic, 1);
	assert_int_equal(known(rq), 64);
	own_post(nic, 10);
	own_frames(16);
	assert_int_equal(known(rq), 48);
	own_frames(1);
	assert_int_equal(known(rq), 57); /* without a kick: it had become few */
	own_frames(57);
	assert_int_equal(known(rq), 0);
	own_frames(2);
	assert_int_equal(own.back, 74);
	own_post(nic, 3);
	client_run(&m.client);
	assert_int_equal(own.back, 76); /* those that had waited */
	assert_int_equal(known(rq), 1);
	nic->ops->queue_close(nic, RAW_QUEUE);
	assert_int_equal(own.back, own.posted);
}

/* A frame a visit, whose buffer the guest gives back at once: a quarter of them at a time. */
static void many_buffers_need_few_doorbells(void **state)
{
	struct mana_wq *rq = queue_of_type(GDMA_RQ);
	unsigned int all = known(rq), before = all, told = 0;

	(void)state;
	assert_true(all > 200);
	for (unsigned int i = 0; i < 1000; i++) {
		own_frames(1);
		run();
		told += known(rq) > before;
		before = known(rq);
		assert_true(before >= all / 4 * 3 && before <= all);
	}
	assert_int_equal(received_total, 1000);
	assert_in_range(told, 3000 / all, 1000 / (all / 4));
}

/* A register that says something else, once. */
static struct {
	const struct pci_device_ops *ops; /* that tell the truth */
	uint64_t offset, value;
	bool told;
	unsigned int outside; /* accesses beyond the BAR */
} lie;

static void watch_access(unsigned int bar, uint64_t offset, unsigned int size)
{
	if (!bar && (offset % size || offset > MANA_BAR_SIZE - size))
		lie.outside++;
}

static uint64_t lying_read(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			   unsigned int size)
{
	watch_access(bar, offset, size);
	if (lie.told || bar || offset != lie.offset)
		return lie.ops->read(pci, bar, offset, size);
	lie.told = true;
	return size == 4 ? (uint32_t)lie.value : lie.value;
}

static void watched_write(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value)
{
	watch_access(bar, offset, size);
	lie.ops->write(pci, bar, offset, size, value);
}

/* What a function says of itself when it is brought up again is not believed either; the next attempt may do. */
static void registers_that_lie_are_not_believed(void **state)
{
	static const struct {
		uint64_t offset, value;
	} lies[] = {
		{ GDMA_REG_DB_PAGE_OFFSET, UINT64_MAX - 7 },
		{ GDMA_REG_DB_PAGE_OFFSET, MANA_BAR_SIZE },
		{ GDMA_REG_DB_PAGE_OFFSET, MANA_BAR_SIZE - 8 },
		{ GDMA_REG_DB_PAGE_OFFSET, MANA_DOORBELLS + 4 },
		{ GDMA_REG_DB_PAGE_SIZE, 0 },
		{ GDMA_REG_DB_PAGE_SIZE, 8 },
		{ GDMA_REG_SHM_OFFSET, UINT64_MAX - 3 },
		{ GDMA_REG_SHM_OFFSET, MANA_BAR_SIZE - 4 },
		{ GDMA_REG_SHM_OFFSET, MANA_SHM + 1 },
	};
	struct pci_device_access *pci = pci_inproc_device(m.bus);
	struct pci_device_ops lying = *pci->ops;

	(void)state;
	lie.ops = pci->ops;
	lying.read = lying_read;
	lying.write = watched_write;
	pci->ops = &lying;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint64_t resets = counters().resets;

		lie.offset = lies[i].offset;
		lie.value = lies[i].value;
		lie.told = false;
		mana_function_request_reset(m.function);
		run();
		assert_true(lie.told);
		for (int wait = 0; wait < 20 && counters().resets < resets + 2; wait++)
			event_loop_run_once(m.client.loops[0], 100);
		run();
		if (counters().resets < resets + 2)
			fail_msg("lie %zu: %lu resets", i, counters().resets - resets);
		assert_int_equal(lie.outside, 0);
		both_ways_work(0);
	}
	pci->ops = lie.ops;
	assert_false(counters().dead);
}

/* Commands that are not answered: the function's send queue is stuck. */
static void a_silent_channel_is_given_up_at_last(void **state)
{
	struct mana *mana = mana_of(m.function);
	struct mana_nic_counters now;

	(void)state;
	/* Without bus mastering it reads no request, and the driver's own reset keeps that. */
	pci_inproc_device(m.bus)->ops->config_write(pci_inproc_device(m.bus), 4, 2, 2);
	assert_false(mana_is_master(mana));
	mana->config.queues = 0; /* and brought up again it has nothing to offer */
	netvsc_filter(&m.net, 0);
	for (int i = 0; i < 100 && !counters().dead; i++)
		event_loop_run_once(m.client.loops[0], 100);
	now = counters();
	assert_true(now.dead);
	assert_true(now.resets >= 2);
	run();
	assert_int_equal(m.net.indicated, RNDIS_STATUS_MEDIA_DISCONNECT);
	/* Frames are taken and lost, as by a card without a cable. */
	make_frame(m.client.ram + FRAME(0), 100, true, 1);
	send_frame(0, 100, NULL, 0);
	assert_int_equal(m.network.count, 0);
	assert_int_equal(m.net.failed[0], 0);
}

/* --- Statistics */

static void statistics_add_up(void **state)
{
	struct ndis_statistics_info info;
	uint64_t value = 0;
	uint32_t len = sizeof(value);
	uint8_t frame[90];

	(void)state;
	make_frame(m.client.ram + FRAME(0), 100, true, 1);
	for (int i = 0; i < 5; i++)
		send_frame(0, 100, NULL, 0);
	assert_int_equal(netvsc_query(&m.net, OID_GEN_XMIT_OK, NULL, 0, &value, &len), 0);
	assert_int_equal(value, 5);
	m.net.keep = true; /* until there is no buffer */
	make_frame(frame, sizeof(frame), true, 1);
	for (int i = 0; i < 600; i++) {
		memory_backend_deliver(&m.network, frame, sizeof(frame));
		if (i % 64 == 63)
			client_run(&m.client);
	}
	while (!mana_of(m.function)->stats.rx_no_wqe)
		client_run(&m.client); /* they wait a while */
	m.net.keep = false;
	run();
	len = sizeof(value);
	assert_int_equal(netvsc_query(&m.net, OID_GEN_RCV_NO_BUFFER, NULL, 0, &value, &len), 0);
	assert_int_equal(value + received_total, 600);
	assert_true(value > 0);
	len = sizeof(info);
	assert_int_equal(netvsc_query(&m.net, OID_GEN_STATISTICS, NULL, 0, &info, &len), 0);
	assert_int_equal(len, 152);
	assert_int_equal(info.header.size, 152);
	assert_int_equal(info.in_discards, value);
	assert_int_equal(info.in_octets, 90 * received_total);
	assert_int_equal(info.out_octets, 500);
	assert_int_equal(info.in_errors + info.out_errors, 0);
}

static uint64_t query64(uint32_t oid)
{
	uint64_t value = 0;
	uint32_t len = sizeof(value);

	assert_int_equal(netvsc_query(&m.net, oid, NULL, 0, &value, &len), 0);
	assert_int_equal(len, sizeof(value));
	return value;
}

/* Frames go to this address, 100 bytes each. */
static void frames_to(const uint8_t address[6], unsigned int out, unsigned int in)
{
	uint8_t frame[100];

	make_frame(frame, sizeof(frame), true, 1);
	memcpy(frame, address, 6);
	while (in--)
		memory_backend_deliver(&m.network, frame, sizeof(frame));
	memcpy(m.client.ram + FRAME(0), frame, sizeof(frame));
	while (out--)
		send_frame(0, sizeof(frame), NULL, 0);
	run();
}

static void statistics_tell_for_whom_frames_are(void **state)
{
	static const uint8_t mac[6] = { 2, 0x15, 0x5D, 1, 2, 3 };
	static const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t all[6] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
	static const uint64_t frames[] = { 1, 2, 3, 4, 5, 6 };
	struct mana *mana = mana_of(m.function);
	struct ndis_statistics_info info;
	uint32_t len = sizeof(info);

	(void)state;
	frames_to(mac, 1, 4);
	frames_to(group, 2, 0);
	/* What a function that begins anew had counted is not forgotten. */
	assert_int_equal(query64(OID_GEN_DIRECTED_FRAMES_RCV), 4);
	memset(&mana->stats, 0, sizeof(mana->stats));
	frames_to(group, 0, 5);
	frames_to(all, 3, 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(query64(OID_GEN_DIRECTED_FRAMES_XMIT + 2 * i), frames[i]);
		assert_int_equal(query64(OID_GEN_DIRECTED_BYTES_XMIT + 2 * i), 100 * frames[i]);
	}
	assert_int_equal(netvsc_query(&m.net, OID_GEN_STATISTICS, NULL, 0, &info, &len), 0);
	assert_int_equal(info.out_unicast, 1);
	assert_int_equal(info.out_multicast, 2);
	assert_int_equal(info.out_broadcast, 3);
	assert_int_equal(info.in_unicast, 4);
	assert_int_equal(info.in_multicast, 5);
	assert_int_equal(info.in_broadcast, 6);
	assert_int_equal(info.in_broadcast_octets, 600);
	assert_int_equal(info.supported, 0x3F07FF);
}

#define TEST(test)     cmocka_unit_test_setup_teardown(test, setup, teardown)
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup_in_place, teardown)
#define RELAYED(test)  cmocka_unit_test_setup_teardown(test, setup_relayed, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_goes_out_untouched),
		TEST(a_frame_comes_in_with_what_is_known_of_it),
		TEST(checksums_are_filled_in),
		TEST(a_large_send_is_segmented),
		TEST(a_network_may_do_the_rest),
		TEST(tags_go_both_ways),
		cmocka_unit_test_setup_teardown(jumbo_frames_go_both_ways, setup_jumbo, teardown),
		TEST(many_pieces_are_few_enough),
		TEST(flows_spread_over_queues),
		TEST(bursts_arrive_in_order),
		TEST(a_full_network_is_waited_for),
		TEST(frames_wait_for_buffers),
		TEST(a_queue_that_stays_without_is_not_waited_for),
		TEST(the_link_goes_down_and_up),
		TEST(a_link_that_changes_during_a_reset_is_told),
		TEST(events_are_left_to_who_is_busy),
		TEST(a_reset_is_a_pause),
		TEST(what_is_sent_during_a_reset_arrives),
		TEST(lies_are_answered_with_a_reset),
		TEST(a_frame_that_is_not_there_is_an_error),
		TEST(what_is_told_too_early_is_not_believed),
		TEST(a_frame_fills_a_buffer_of_several_segments),
		TEST(a_device_is_told_of_buffers_in_time),
		TEST(many_buffers_need_few_doorbells),
		TEST(registers_that_lie_are_not_believed),
		TEST(a_silent_channel_is_given_up_at_last),
		TEST(statistics_add_up),
		TEST(statistics_tell_for_whom_frames_are),
		TEST(the_filter_moves_and_stays_moved),
		IN_PLACE(what_is_sent_in_place_needs_no_interrupt),
		IN_PLACE(what_waits_is_interrupted_for),
		IN_PLACE(a_full_network_is_waited_for),
		IN_PLACE(a_reset_is_a_pause),
		IN_PLACE(lies_are_answered_with_a_reset),
		RELAYED(a_frame_goes_out_untouched),
		RELAYED(a_frame_comes_in_with_what_is_known_of_it),
		RELAYED(flows_spread_over_queues),
		RELAYED(bursts_arrive_in_order),
		RELAYED(the_link_goes_down_and_up),
		RELAYED(a_link_that_changes_during_a_reset_is_told),
		RELAYED(a_reset_is_a_pause),
		RELAYED(lies_are_answered_with_a_reset),
		RELAYED(a_relay_gives_back_what_it_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
