/*
 * Netvsp, the MANA driver and the emulated function with their loops on threads of their own: four
 * channels send at once and get back what they sent, while the link flaps, sends come uncut or not, and the function
 * asks for resets, and everything is revoked and closed under load and started again. For the thread sanitizer
 * (make tsan). Frames may be lost, as on a wire; completions and buffers may not.
 */

#include <errno.h>
#include <sched.h>
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
#include "core/pci_function.h"
#include "core/tcp_unit.h"
#include "devices/mana/mana_function.h"
#include "devices/net/mana_nic.h"
#include "devices/net/netvsp.h"
#include "tests/unit/devices/net/mana_machine.h"
#include "tests/unit/devices/net/tcp_frame.h"

#define WAIT_SECONDS 30
#define ROUNDS       4
#define FRAMES       300
#define IN_FLIGHT    16
#define RESETS       2
#define SENDS        20 /* before each reset */

static struct mana_machine m;
static unsigned int received[NETVSC_CHANNELS];
static bool wrong[NETVSC_CHANNELS];
static uint8_t bytes[30000]; /* a send from the network */
static uint32_t bytes_len;

/* Its frames, or all of it. */
static bool is_good_tcp(const struct netvsc_rx *rx)
{
	struct net_frame frame;

	net_frame_parse(rx->bytes, rx->len, &frame);
	return frame.tcp && net_frame_verify(rx->bytes, &frame) & NIC_RX_TCP_CHECKSUM_OK;
}

/* Whole or not at all. */
static void on_frame(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	(void)ctx;
	received[channel]++;
	if (rx->len > 60 && rx->bytes[12] == 8)
		wrong[channel] |= !is_good_tcp(rx);
	else if (rx->len < 60 || rx->bytes[rx->len - 1] != rx->bytes[40])
		wrong[channel] = true;
}

static int send_one(unsigned int channel, uint64_t number)
{
	static const uint8_t us[] = { 0x02, 0x15, 0x5D, 1, 2, 3 };
	uint64_t gpa = NETVSC_FRAMES + channel * 0x20000ul + number % IN_FLIGHT * 0x2000;
	struct netvsc_tx tx = { gpa + 0x1000, 60 + number % 1000, NULL, 0 };
	uint8_t *frame = m.client.ram + tx.gpa;

	memcpy(frame, us, sizeof(us)); /* exchanged on the way back */
	memcpy(frame + 6, us, sizeof(us));
	frame[40] = (uint8_t)number;
	frame[tx.len - 1] = (uint8_t)number;
	return netvsc_send(&m.net, channel, number, gpa, &tx);
}

static void *worker(void *ctx)
{
	unsigned int channel = (unsigned int)(uintptr_t)ctx;
	uint64_t first = m.net.completed[channel], number = 0;

	while (m.net.completed[channel] - first < FRAMES) {
		uint32_t seen = client_events(&m.client, m.net.relids[channel]);

		netvsc_poll(&m.net, channel);
		if (number < FRAMES && number - (m.net.completed[channel] - first) < IN_FLIGHT &&
		    !send_one(channel, number)) {
			number++;
			continue;
		}
		if (!netvsc_poll(&m.net, channel) && m.net.completed[channel] - first < FRAMES &&
		    !client_wait_event(&m.client, m.net.relids[channel], seen, WAIT_SECONDS))
			fail_msg("channel %u: %lu sent, %lu completed", channel, number,
				 m.net.completed[channel] - first);
	}
	assert_false(wrong[channel]);
	return NULL;
}

/* On the network's thread. */
static void deliver_send(void *ctx)
{
	(void)ctx;
	memory_backend_deliver_send(&m.network, bytes, bytes_len, 66, 1400);
}

static void change_uncut(uint8_t versions)
{
	struct nic *nic = mana_nic_nic(m.driver);

	nic->ops->set_uncut(nic, versions, TCP_UNIT_BYTES);
}

static void deliver_sends(void)
{
	for (int i = 0; i < SENDS; i++) {
		change_uncut(i % 4 ? NIC_UNCUT_IPV4 : 0);
		event_loop_post(m.client.loops[CLIENT_VPS - 1], deliver_send, NULL);
	}
}

static void *disturber(void *ctx)
{
	struct mana_nic_counters counters;
	uint64_t before;

	(void)ctx;
	mana_nic_counters(m.driver, &counters);
	before = counters.resets;
	for (int i = 0; i < 10; i++)
		mana_function_set_link(m.function, i & 1);
	for (unsigned int i = 1; i <= RESETS; i++) {
		deliver_sends();
		/* One asked for while the last is under way is the same one. */
		while (counters.resets < before + i) {
			mana_function_request_reset(m.function);
			sched_yield();
			mana_nic_counters(m.driver, &counters);
		}
	}
	return NULL;
}

static void channels_work_through_resets(void **state)
{
	const struct netvsc_load load = {
		.rounds = ROUNDS,
		.in_flight = IN_FLIGHT,
		.worker = worker,
		.other = disturber,
		.send = send_one,
	};
	struct mana_nic_counters counters;

	(void)state;
	assert_int_equal(netvsc_run_load(&m.net, &load), 0);
	mana_nic_counters(m.driver, &counters);
	assert_true(counters.resets >= ROUNDS * RESETS);
	assert_false(counters.dead);
	assert_true(received[0] > 0);
}

static int start(int (*init)(struct mana_machine *m, uint16_t mtu, uint16_t queues))
{
	log_set_level(LOG_ERROR);
	if (init(&m, 1500, 4))
		return -1;
	m.net.received = on_frame;
	m.net.ring_pages = 6;
	m.network.reflect = true;
	bytes_len = tcp_send_make(bytes, false, true, 0, sizeof(bytes) - 66);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return start(mana_machine_init);
}

/* The driver has the function through a relay. */
static int setup_relayed(void **state)
{
	(void)state;
	memset(received, 0, sizeof(received));
	return start(mana_machine_init_relayed);
}

static int setup_in_place(void **state)
{
	(void)state;
	memset(received, 0, sizeof(received));
	return start(mana_machine_init_in_place);
}

static int teardown(void **state)
{
	(void)state;
	return mana_machine_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(channels_work_through_resets, setup, teardown),
		cmocka_unit_test_setup_teardown(channels_work_through_resets, setup_relayed,
						teardown),
		cmocka_unit_test_setup_teardown(channels_work_through_resets, setup_in_place,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
