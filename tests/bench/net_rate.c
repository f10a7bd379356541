/*
 * What a frame costs the paravisor's thread, from the guest's ring to the MANA function and back, beside
 * the least that can drive the same function: its driver with prepared frames. One thread; the emulated
 * function's own work, which a card would do, is given by itself, the guest's is not counted. Best of
 * several slices, for other processes take time too.
 *   net_rate [SLICES [ROW]]    ROW: only the rows with that in their names, for a profile of one
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "core/nic.h"
#include "devices/mana/mana_function.h"
#include "devices/net/mana_nic.h"
#include "devices/net/netvsp.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/mana_machine.h"
#include "tests/unit/devices/net/tcp_frame.h"

#define BATCH    32u
#define MESSAGES 8u  /* in a packet, as the card says */
#define ROUNDS   60u /* of batches in a slice */
#define LARGE    (62u * 1024)
#define RAW      1u /* queue of the driver alone */
#define RX_SLOTS 256u

#define check(condition)                                                  \
	do {                                                              \
		if (!(condition)) {                                       \
			fprintf(stderr, "net_rate: line %d\n", __LINE__); \
			exit(EXIT_FAILURE);                               \
		}                                                         \
	} while (0)

struct cost {
	double paravisor, function; /* ns a frame */
};

static struct mana_machine m;
static unsigned int taken; /* frames that came, or were sent, in this batch */
static const uint8_t *incoming[BATCH];
static const char *only = ""; /* rows */

/* --- The clock: loop 0 is the paravisor's, the last the function's */

static void run(struct cost *cost)
{
	int some;

	do {
		uint64_t start = event_loop_now_ns(), middle;

		some = event_loop_run_once(m.client.loops[0], 0);
		middle = event_loop_now_ns();
		cost->paravisor += (double)(middle - start);
		some += event_loop_run_once(m.client.loops[CLIENT_VPS - 1], 0);
		cost->function += (double)(event_loop_now_ns() - middle);
	} while (some > 0);
}

/* --- Through netvsp */

static void on_frame(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	(void)ctx;
	(void)channel;
	taken += rx->parts;
}

static void send_batch(struct cost *cost, uint32_t len)
{
	const uint32_t lso[] = { TCP_LARGESEND_PKTINFO, 1448 | 34u << 20 | NDIS_LSO_V2 };
	struct netvsc_tx tx = { NETVSC_FRAMES + 0x1000, len, lso, len == LARGE };
	uint64_t before = m.net.completed[0];

	for (unsigned int i = 0; i < BATCH; i++)
		check(!netvsc_send(&m.net, 0, i, NETVSC_FRAMES, &tx));
	run(cost);
	netvsc_poll(&m.net, 0);
	check(m.net.completed[0] == before + BATCH);
}

/*
 * As drivers send under load: frames copied into sections of the send buffer, as many as fit or the card takes in a
 * packet.
 */
static void send_sections(struct cost *cost, uint32_t len)
{
	struct netvsc_tx tx[MESSAGES];
	uint64_t before = m.net.completed[0];
	unsigned int fit = m.net.send_section_size / (len + 48), sent = 0, packets = 0;

	if (fit > MESSAGES)
		fit = MESSAGES;
	for (unsigned int i = 0; i < MESSAGES; i++)
		tx[i] = (struct netvsc_tx){ NETVSC_FRAMES + 0x1000, len, NULL, 0 };
	for (; sent < BATCH; packets++) {
		unsigned int count = BATCH - sent < fit ? BATCH - sent : fit;

		check(!netvsc_send_section(&m.net, 0, packets, packets, tx, count));
		sent += count;
	}
	run(cost);
	netvsc_poll(&m.net, 0);
	check(m.net.completed[0] == before + packets);
}

static void receive_batch(struct cost *cost, uint32_t len)
{
	uint64_t start = event_loop_now_ns();

	taken = 0;
	for (unsigned int i = 0; i < BATCH; i++)
		memory_backend_deliver(&m.network, incoming[i], len);
	cost->function += (double)(event_loop_now_ns() - start);
	run(cost);
	netvsc_poll(&m.net, 0);
	check(taken == BATCH);
	run(cost); /* the sections come back */
}

/* Of the sends in a batch so many at a time, for which there are buffers. */
#define SENDS 4u

static void deliver_sends(struct cost *cost, uint32_t len)
{
	uint64_t start = event_loop_now_ns();

	for (unsigned int i = 0; i < SENDS; i++)
		check(memory_backend_deliver_send(&m.network, incoming[0], len, 66, 1448) ==
		      len - 66);
	cost->function += (double)(event_loop_now_ns() - start);
	run(cost);
}

static void receive_sends(struct cost *cost, uint32_t len)
{
	for (unsigned int i = 0; i < BATCH; i += SENDS) {
		taken = 0;
		deliver_sends(cost, len);
		netvsc_poll(&m.net, 0);
		check(taken == SENDS * ((len + 1919) / 1920));
		run(cost); /* the sections come back */
	}
}

/* --- The driver alone */

static struct nic_rx raw_rx[RX_SLOTS];

static void raw_tx_done(void *ctx, struct nic_tx *tx, int err)
{
	(void)ctx;
	(void)tx;
	check(!err);
	taken++;
}

static void raw_rx_done(void *ctx, struct nic_rx *rx, int err)
{
	(void)ctx;
	if (err)
		return;
	if (!(rx->flags & NIC_RX_UNCUT))
		rx->next = NULL;
	for (; rx; rx = rx->next) {
		taken++;
		check(!mana_nic_nic(m.driver)->ops->rx_post(mana_nic_nic(m.driver), RAW, rx));
	}
}

static void raw_batch_end(void *ctx)
{
	(void)ctx;
	mana_nic_nic(m.driver)->ops->kick(mana_nic_nic(m.driver), RAW);
}

static const struct nic_queue_client raw_client = { raw_tx_done, raw_rx_done, raw_batch_end };

static void open_raw(void)
{
	struct nic *nic = mana_nic_nic(m.driver);

	check(!nic->ops->queue_open(nic, RAW, m.client.loops[0], &raw_client, NULL));
	for (unsigned int i = 0; i < RX_SLOTS; i++) {
		raw_rx[i].segments[0] = (struct nic_segment){ 0x700000 + i * 2048ul + 128, 1920 };
		raw_rx[i].segment_count = 1;
		check(!nic->ops->rx_post(nic, RAW, &raw_rx[i]));
	}
	nic->ops->kick(nic, RAW);
}

/* Everything that is received goes to that queue. */
static void steer_raw(bool raw)
{
	struct nic *nic = mana_nic_nic(m.driver);
	struct nic_receive receive = {
		.enabled = true, .rss = raw, .hash_types = NIC_HASH_IPV4, .entries = 64
	};

	memset(receive.table, RAW, sizeof(receive.table));
	check(!nic->ops->set_receive(nic, &receive));
}

static void raw_send_batch(struct cost *cost, uint32_t len)
{
	static struct nic_segment segment;
	static struct nic_tx frames[BATCH];
	struct nic *nic = mana_nic_nic(m.driver);
	uint64_t start;

	segment = (struct nic_segment){ NETVSC_FRAMES + 0x1000, len };
	for (unsigned int i = 0; i < BATCH; i++) {
		frames[i] = (struct nic_tx){ .segments = &segment, .segment_count = 1, .len = len };
		if (len == LARGE) {
			frames[i].flags = NIC_TX_LSO | NIC_TX_IPV4;
			frames[i].l4_offset = 34;
			frames[i].header_len = 54;
			frames[i].mss = 1448;
		}
	}
	taken = 0;
	start = event_loop_now_ns();
	for (unsigned int i = 0; i < BATCH; i++)
		check(!nic->ops->tx(nic, RAW, &frames[i]));
	nic->ops->kick(nic, RAW);
	cost->paravisor += (double)(event_loop_now_ns() - start);
	run(cost);
	check(taken == BATCH);
}

static void raw_receive_batch(struct cost *cost, uint32_t len)
{
	uint64_t start = event_loop_now_ns();

	taken = 0;
	for (unsigned int i = 0; i < BATCH; i++)
		memory_backend_deliver(&m.network, incoming[i], len);
	cost->function += (double)(event_loop_now_ns() - start);
	run(cost);
	check(taken == BATCH);
}

static void raw_receive_sends(struct cost *cost, uint32_t len)
{
	for (unsigned int i = 0; i < BATCH; i += SENDS) {
		taken = 0;
		deliver_sends(cost, len);
		check(taken == SENDS * ((len + 1919) / 1920));
	}
}

/* --- Measuring */

static struct cost slice(void (*batch)(struct cost *cost, uint32_t len), uint32_t len)
{
	struct cost cost = { 0 };

	for (unsigned int i = 0; i < ROUNDS; i++)
		batch(&cost, len);
	cost.paravisor /= BATCH * ROUNDS;
	cost.function /= BATCH * ROUNDS;
	return cost;
}

static void make_frame(uint32_t len)
{
	static const uint8_t head[] = { 2,    0x15, 0x5D, 1, 2,    3, 2,    0, 0,    0,
					0,    9,    8,    0, 0x45, 0, 0,    0, 0x12, 0x34,
					0x40, 0,    64,   6, 0,    0, 10,   0, 0,    1,
					10,   0,    0,    2, 0x10, 1, 0x20, 2 };
	uint8_t *frame = m.client.ram + NETVSC_FRAMES + 0x1000;

	memset(frame, 0x5A, len);
	memcpy(frame, head, sizeof(head));
	if (len <= 1514) {
		frame[16] = (uint8_t)((len - 14) >> 8);
		frame[17] = (uint8_t)(len - 14);
	}
	frame[46] = 5 << 4;
	for (unsigned int i = 0; i < BATCH; i++)
		incoming[i] = frame;
}

/* TCP segments that follow each other; or the same again and again, so that none joins another. */
static void make_segments(uint32_t len, bool joined)
{
	static struct tcp_frame segments[BATCH];

	for (unsigned int i = 0; i < BATCH; i++) {
		tcp_frame_make(&segments[i], false, true, joined ? i * (len - 66) : 0, len - 66);
		incoming[i] = segments[i].bytes;
	}
}

static void make_joined(uint32_t len)
{
	make_segments(len, true);
}

static void make_single(uint32_t len)
{
	make_segments(len, false);
}

static void make_uncut(uint32_t len)
{
	static uint8_t bytes[LARGE];

	tcp_send_make(bytes, false, true, 0, len - 66);
	incoming[0] = bytes;
}

static void (*make)(uint32_t len) = make_frame;

static void keep_least(struct cost *least, struct cost cost)
{
	if (cost.paravisor < least->paravisor)
		least->paravisor = cost.paravisor;
	if (cost.function < least->function)
		least->function = cost.function;
}

static void compare(const char *what, uint32_t len, unsigned int slices,
		    void (*through)(struct cost *cost, uint32_t len),
		    void (*raw)(struct cost *cost, uint32_t len), bool receiving)
{
	struct cost best = { 1e12, 1e12 }, least = { 1e12, 1e12 };

	if (!strstr(what, only))
		return;
	make(len);
	for (unsigned int i = 0; i < slices; i++) {
		keep_least(&best, slice(through, len));
		if (receiving)
			steer_raw(true);
		keep_least(&least, slice(raw, len));
		if (receiving)
			steer_raw(false);
	}
	if (least.function < best.function)
		best.function = least.function; /* it does the same for both */
	printf("  %-16s %8.0f ns, driver alone %6.0f ns; with the card's %8.0f ns: %5.2f of its "
	       "rate\n",
	       what, best.paravisor, least.paravisor, best.function,
	       (least.paravisor + best.function) / (best.paravisor + best.function));
}

static void report_memory(void)
{
	struct netvsp_counters card;
	struct mana_nic_counters driver;

	netvsp_counters(m.netvsp, &card);
	mana_nic_counters(m.driver, &driver);
	printf("  copied: %.4f bytes a byte sent or received (heads of messages), %llu bytes of "
	       "frames\n",
	       (double)card.copied_bytes / (double)(card.tx_bytes + card.rx_bytes),
	       (unsigned long long)driver.bounced_bytes);
}

int main(int argc, char *argv[])
{
	unsigned int slices = argc > 1 ? (unsigned int)atoi(argv[1]) : 20;

	if (argc > 2)
		only = argv[2];
	log_set_level(LOG_ERROR);
	check(!mana_machine_init(&m, 1500, 4));
	m.net.received = on_frame;
	m.net.ring_pages = 16;
	m.network.discard = true;
	check(!netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500));
	open_raw();
	printf("net: a frame through netvsp and the MANA driver, beside the driver alone\n");
	compare("64 bytes out", 64, slices, send_batch, raw_send_batch, false);
	compare("64, 8 a packet", 64, slices, send_sections, raw_send_batch, false);
	compare("64 bytes in", 64, slices, receive_batch, raw_receive_batch, true);
	compare("1514 bytes out", 1514, slices, send_batch, raw_send_batch, false);
	compare("1514, 3 a packet", 1514, slices, send_sections, raw_send_batch, false);
	compare("1514 bytes in", 1514, slices, receive_batch, raw_receive_batch, true);
	compare("62 KiB LSO out", LARGE, slices, send_batch, raw_send_batch, false);
	make = make_single;
	compare("TCP in", 1514, slices, receive_batch, raw_receive_batch, true);
	check(!netvsc_rsc(&m.net, NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED,
			  NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED));
	compare("TCP, none joined", 1514, slices, receive_batch, raw_receive_batch, true);
	make = make_joined;
	compare("TCP, coalesced", 1514, slices, receive_batch, raw_receive_batch, true);
	make = make_uncut;
	compare("62 KiB in, uncut", LARGE, slices, receive_sends, raw_receive_sends, true);
	report_memory();
	return 0;
}
