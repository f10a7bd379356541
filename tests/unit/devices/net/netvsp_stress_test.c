/*
 * The card with its loops on threads of their own: four channels send and receive at once while the
 * link goes up and down, segments are coalesced or not, and everything is revoked and closed under load and started again, many
 * times over. For the thread sanitizer (make tsan).
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/bytes.h"
#include "core/log.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/netvsp_card.h"

#define WAIT_SECONDS 30
#define ROUNDS       6
#define FRAMES       400
#define IN_FLIGHT    16

struct machine {
	struct client client;
	struct netvsc net;
	struct netvsp_card card;
	uint64_t received[NETVSC_CHANNELS];
	uint32_t sequence[NETVSC_CHANNELS];      /* of the next segment sent */
	unsigned int coalesced[NETVSC_CHANNELS]; /* frames */
	bool wrong[NETVSC_CHANNELS];
};

static struct machine m;

/* Frames are TCP segments over IPv6, of no checksum that anybody looks at. */
#define HEADERS 74u

static uint32_t payload_len(uint64_t number)
{
	return 12 + (uint32_t)(number % 1000);
}

/* Segments come back in order, alone or several in a frame, each with its number and channel inside. */
static void received(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	uint32_t at = HEADERS;

	(void)ctx;
	for (unsigned int i = 0; i < rx->parts; i++) {
		if (!range_within(at, payload_len(m.received[channel]), rx->len) ||
		    load_le32(rx->bytes + at) != channel ||
		    load_le64(rx->bytes + at + 4) != m.received[channel])
			m.wrong[channel] = true;
		at += payload_len(m.received[channel]++);
	}
	if (at != rx->len)
		m.wrong[channel] = true;
	m.coalesced[channel] += rx->parts > 1;
}

static uint64_t slot_gpa(unsigned int channel, uint64_t number)
{
	return NETVSC_FRAMES + channel * 0x20000ul + number % IN_FLIGHT * 0x2000;
}

static int send_one(unsigned int channel, uint64_t number)
{
	uint64_t gpa = slot_gpa(channel, number);
	uint32_t len = payload_len(number);
	struct netvsc_tx tx = { gpa + 0x1000, HEADERS + len, NULL, 0 };
	uint8_t *frame = m.client.ram + tx.gpa;
	int err;

	memset(frame, 0, HEADERS);
	frame[0] = 2;
	store_be16(frame + 12, 0x86DD);
	frame[14] = 0x60;
	store_be16(frame + 18, (uint16_t)(20 + len));
	frame[20] = 6;
	store_be32(frame + 58, m.sequence[channel]);
	store_be16(frame + 66, 0x5010);
	store_le32(frame + HEADERS, channel);
	store_le64(frame + HEADERS + 4, number);
	err = netvsc_send(&m.net, channel, number, gpa, &tx);
	if (!err)
		m.sequence[channel] += len;
	return err;
}

/* The driver enables coalescing, and disables it, now and then. */
static void change_mind(unsigned int channel, uint64_t number)
{
	if (!channel && number % 50 < 2)
		netvsc_rsc(&m.net, 0,
			   number % 50 ? NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED
				       : NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED);
}

static void *worker(void *ctx)
{
	unsigned int channel = (unsigned int)(uintptr_t)ctx;
	uint64_t first = m.net.completed[channel], number = 0;

	m.received[channel] = 0;
	while (m.received[channel] < FRAMES) {
		uint32_t seen = client_events(&m.client, m.net.relids[channel]);

		netvsc_poll(&m.net, channel);
		if (number < FRAMES && number + first < m.net.completed[channel] + IN_FLIGHT &&
		    number - m.received[channel] < IN_FLIGHT && !send_one(channel, number)) {
			number++;
			change_mind(channel, number);
			continue;
		}
		if (!netvsc_poll(&m.net, channel) && m.received[channel] < FRAMES &&
		    !client_wait_event(&m.client, m.net.relids[channel], seen, WAIT_SECONDS))
			fail_msg("channel %u: %lu sent, %lu came back", channel, number,
				 m.received[channel]);
	}
	assert_false(m.wrong[channel]);
	return NULL;
}

static void *flapper(void *ctx)
{
	for (int i = 0; i < 20; i++)
		loopback_nic_set_link(ctx, i & 1);
	return NULL;
}

static void channels_work_at_once_and_end_under_load(void **state)
{
	const struct netvsc_load load = {
		.rounds = ROUNDS,
		.in_flight = IN_FLIGHT,
		.worker = worker,
		.other = flapper,
		.ctx = m.card.nic,
		.send = send_one,
	};

	(void)state;
	assert_int_equal(netvsc_run_load(&m.net, &load), 0);
	assert_int_equal(m.net.bad_parts, 0);
	for (unsigned int i = 0; i < NETVSC_CHANNELS; i++)
		assert_int_not_equal(m.coalesced[i], 0);
}

static int setup(void **state)
{
	struct netvsp_config config = { .max_sub_channels = 3 };
	struct loopback_nic_config nic = { .queues = 4 };

	(void)state;
	log_set_level(LOG_ERROR);
	if (client_init(&m.client, 0, 0))
		return -1;
	m.net.received = received;
	m.net.ring_pages = 6;
	return netvsp_card_create(&m.card, &m.net, &m.client, config, nic);
}

static int teardown(void **state)
{
	(void)state;
	netvsp_card_destroy(&m.card, &m.client);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(channels_work_at_once_and_end_under_load, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
