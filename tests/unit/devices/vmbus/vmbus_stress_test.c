/*
 * Rings under load: the server's loop on one thread, the client on another, small rings, so that
 * every race between "full", "empty", mask and signal is met. A lost wake-up shows as a time-out,
 * a missing barrier as a wrong byte, or as a report of the thread sanitizer (make tsan).
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_channel.h"
#include "devices/vmbus/vmbus_server.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

#ifdef __SANITIZE_THREAD__
#define PACKETS 40000u
#else
#define PACKETS 200000u
#endif
#define PAYLOAD_MAX   1500 /* more than a batch of the ring (VMBUS_RING_BATCH) */
#define WAIT_SECONDS  30
#define RING_PAGES    2
#define CHANNEL_COUNT 2

/* Answers each packet; keeps one answer that found the ring full, and pauses. */
struct echo {
	struct vmbus_channel *channel;
	uint8_t pending[PAYLOAD_MAX + 8];
	size_t pending_len;
	uint64_t pending_id;
	bool has_pending;
	unsigned int full; /* how often */
};

static int echo_open(void *dev, struct vmbus_channel *channel, const uint8_t *user_data)
{
	(void)dev;
	(void)channel;
	(void)user_data;
	return 0;
}

static void echo_close(void *dev, struct vmbus_channel *channel)
{
	(void)dev;
	vmbus_channel_closed(channel);
}

static void echo_ready(void *dev, struct vmbus_channel *channel)
{
	struct echo *echo = dev;
	struct vmbus_packet packet;

	if (echo->has_pending) {
		if (vmbus_channel_complete(channel, echo->pending_id, echo->pending,
					   echo->pending_len))
			return;
		echo->has_pending = false;
		vmbus_channel_resume(channel);
	}
	while (!vmbus_channel_receive(channel, &packet)) {
		if (!vmbus_channel_complete(channel, packet.trans_id, packet.payload,
					    packet.payload_len))
			continue;
		memcpy(echo->pending, packet.payload, packet.payload_len);
		echo->pending_len = packet.payload_len;
		echo->pending_id = packet.trans_id;
		echo->has_pending = true;
		echo->full++;
		vmbus_channel_pause(channel);
		return;
	}
}

static const struct vmbus_channel_ops echo_ops = {
	.name = "echo",
	.max_packet = 4096,
	.open = echo_open,
	.close = echo_close,
	.ready = echo_ready,
};

static struct client client;
static struct echo echoes[CHANNEL_COUNT];
static struct client_channel channels[CHANNEL_COUNT];

static size_t length_of(uint64_t id)
{
	return (id * 2654435761u >> 7) % PAYLOAD_MAX;
}

static uint8_t byte_of(uint64_t id, size_t i)
{
	return (uint8_t)(id * 31 + i * 7 + 3);
}

static bool try_send(struct client_channel *channel, uint64_t id)
{
	uint8_t payload[PAYLOAD_MAX];
	size_t len = length_of(id);

	for (size_t i = 0; i < len; i++)
		payload[i] = byte_of(id, i);
	return !client_send(channel, VM_PKT_DATA_INBAND, 1, id, NULL, 0, payload, len);
}

/* True when there was a packet, which must be the one expected. */
static bool try_receive(struct client_channel *channel, uint64_t id)
{
	struct {
		struct vmpacket_descriptor desc;
		uint8_t payload[PAYLOAD_MAX + 8];
	} packet;
	int len = client_receive(channel, &packet, sizeof(packet));

	if (len == -EAGAIN)
		return false;
	assert_int_equal(len, sizeof(packet.desc) + ((length_of(id) + 7) & ~7u));
	assert_int_equal(packet.desc.trans_id, id);
	for (size_t i = 0; i < length_of(id); i++)
		if (packet.payload[i] != byte_of(id, i))
			fail_msg("packet %lu differs at byte %zu", (unsigned long)id, i);
	return true;
}

static void open_channels(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };

	for (uint32_t i = 0; i < CHANNEL_COUNT; i++) {
		struct vmbus_offer offer = { .instance.data1 = i };

		assert_int_equal(vmbus_server_offer(client.server, &offer, &echo_ops, &echoes[i],
						    &echoes[i].channel),
				 0);
	}
	assert_true(client_connect(&client, VMBUS_VERSION_5_3));
	client_post(&client, &request, sizeof(request));
	for (uint32_t i = 0; i < CHANNEL_COUNT; i++) {
		struct vmbus_channel_offer_channel msg;
		const void *taken = client_take(&client, CHANNELMSG_OFFERCHANNEL);

		assert_non_null(taken);
		memcpy(&msg, taken, sizeof(msg));
		channels[i].relid = msg.child_relid;
		channels[i].connection_id = msg.connection_id;
	}
	client_drop_messages(&client);
	for (uint32_t i = 0; i < CHANNEL_COUNT; i++)
		assert_int_equal(client_open(&client, &channels[i], channels[i].relid,
					     channels[i].connection_id, i,
					     0x100000 + i * 0x100000ul, RING_PAGES),
				 0);
}

/* Per channel: send what fits, read what came, and sleep only when neither is possible. */
static void *client_thread(void *ctx)
{
	struct client_channel *channel = ctx;
	uint64_t sent = 0, received = 0;

	while (received < PACKETS) {
		uint32_t seen = client_events(&client, channel->relid);
		bool progress = false;

		while (sent < PACKETS && try_send(channel, sent)) {
			sent++;
			progress = true;
		}
		/* Not always all of it, or the server never meets a full ring. */
		for (unsigned int i = 0; i < 3 && try_receive(channel, received); i++) {
			received++;
			progress = true;
		}
		if (!progress && !client_wait_event(&client, channel->relid, seen, WAIT_SECONDS))
			fail_msg("no signal: %lu sent, %lu received", (unsigned long)sent,
				 (unsigned long)received);
	}
	return NULL;
}

static void stressed_rings_lose_nothing(void **state)
{
	pthread_t second;
	unsigned int full = 0;

	(void)state;
	open_channels();
	assert_int_equal(client_start_loops(&client), 0);
	assert_int_equal(pthread_create(&second, NULL, client_thread, &channels[1]), 0);
	client_thread(&channels[0]);
	pthread_join(second, NULL);
	client_stop_loops(&client);
	for (unsigned int i = 0; i < CHANNEL_COUNT; i++)
		full += echoes[i].full;
	print_message("full rings met: %u; signals: %u\n", full,
		      client_events(&client, channels[0].relid));
	assert_true(full > 0);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return client_init(&client, 0, 0);
}

static int teardown(void **state)
{
	(void)state;
	client_fini(&client);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stressed_rings_lose_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
