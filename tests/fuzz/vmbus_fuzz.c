/*
 * A guest that does what the input says: posts messages, writes ring memory, signals, runs loops.
 * The input is a list of operations, a byte each with its arguments; a well-behaved prologue opens a
 * channel so that the fuzzer starts where it matters. The device echoes and checks nothing: what the
 * sanitizers see is what counts, and that the server comes to rest at the end.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_channel.h"
#include "devices/vmbus/vmbus_server.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/restless_memory.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct device {
	struct vmbus_channel *channel;
	struct vmbus_gpadl *gpadl;
	bool closing, hold_close;
};

static int dev_open(void *ctx, struct vmbus_channel *channel, const uint8_t *user_data)
{
	struct device *dev = ctx;

	dev->gpadl = vmbus_channel_gpadl_get(channel, user_data[0]);
	dev->hold_close = user_data[1];
	return user_data[2] ? -EBUSY : 0;
}

static void finish_close(struct device *dev)
{
	dev->closing = false;
	if (dev->gpadl)
		vmbus_channel_gpadl_put(dev->channel, dev->gpadl);
	dev->gpadl = NULL;
	vmbus_channel_closed(dev->channel);
}

static void dev_close(void *ctx, struct vmbus_channel *channel)
{
	struct device *dev = ctx;

	(void)channel;
	dev->closing = true;
	if (!dev->hold_close)
		finish_close(dev);
}

/* Touches all that a packet and a GPADL refer to. */
static void dev_ready(void *ctx, struct vmbus_channel *channel)
{
	const struct guest_memory *memory = vmbus_channel_memory(channel);
	struct device *dev = ctx;
	struct vmbus_packet packet;
	uint8_t buf[256];

	vmbus_channel_resume(channel);
	while (!vmbus_channel_receive(channel, &packet)) {
		vmbus_gpa_read(&packet.buffer, memory, packet.trans_id, buf, sizeof(buf));
		vmbus_gpa_write(&packet.buffer, memory, 0, buf, packet.trans_id % sizeof(buf));
		if (dev->gpadl)
			vmbus_gpa_read(vmbus_channel_gpadl_list(dev->gpadl), memory,
				       packet.trans_id, buf, sizeof(buf));
		if (vmbus_channel_complete(channel, packet.trans_id, packet.payload,
					   packet.payload_len) == -EAGAIN)
			vmbus_channel_pause(channel);
	}
}

static bool dev_may_move(void *ctx, struct vmbus_channel *channel)
{
	(void)ctx;
	(void)channel;
	return true;
}

static const struct vmbus_channel_ops ops = {
	.name = "fuzz",
	.max_packet = 2048,
	.open = dev_open,
	.close = dev_close,
	.ready = dev_ready,
	.may_move = dev_may_move,
};

#define RING_GPA   0x10000
#define RING_PAGES 3

static struct client client;
static struct device devices[2];
static struct client_channel channel;

static void prologue(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };

	memset(devices, 0, sizeof(devices));
	for (int i = 0; i < 2; i++) {
		struct vmbus_offer offer = { .instance.data1 = (uint32_t)i };

		if (vmbus_server_offer(client.server, &offer, &ops, &devices[i],
				       &devices[i].channel))
			abort();
	}
	if (!client_connect(&client, VMBUS_VERSION_5_3))
		abort();
	client_post(&client, &request, sizeof(request));
	client_drop_messages(&client);
	/* Channel n has number n + 1; connections are composed as on Hyper-V. */
	if (client_open(&client, &channel, 1, 0x2001, 0, RING_GPA, RING_PAGES))
		abort();
}

static void post_raw(struct fuzz_input *in)
{
	uint8_t buf[VMBUS_MESSAGE_MAX] = { 0 };
	size_t len = fuzz_take(in, 1);

	fuzz_take_bytes(in, buf + 8, len < 8 ? 0 : len - 8 < 232 ? len - 8 : 232);
	buf[0] = (uint8_t)fuzz_take(in, 1) % 30;
	vmbus_server_handle_message(client.server, VMBUS_MESSAGE_CONNECTION_ID_4,
				    VMBUS_HV_MESSAGE_TYPE, buf, len <= 240 ? len : 240);
}

static void write_ram(struct fuzz_input *in, uint32_t base, uint32_t mask)
{
	uint32_t offset = (uint32_t)fuzz_take(in, 2) & mask;

	fuzz_take_bytes(in, client.ram + base + offset, 1 + fuzz_take(in, 1) % 64);
}

static void send_packet(struct fuzz_input *in)
{
	uint8_t ext[96] = { 0 }, payload[64] = { 0 };
	uint16_t type = (uint16_t)(fuzz_take(in, 1) % 13);
	size_t ext_len = fuzz_take(in, 1) % 13 * 8;

	fuzz_take_bytes(in, ext, ext_len);
	client_send(&channel, type, (uint16_t)(fuzz_take(in, 1) & 1), fuzz_take(in, 2), ext,
		    ext_len, payload, fuzz_take(in, 1) % sizeof(payload));
}

static void step(struct fuzz_input *in)
{
	uint8_t buf[4096];

	switch (fuzz_take(in, 1) % 11) {
	case 0:
		post_raw(in);
		break;
	case 1:
		write_ram(in, RING_GPA, 0x3F);
		break;
	case 2:
		write_ram(in, RING_GPA, 0x7FFF);
		break;
	case 3:
		vmbus_server_handle_signal(client.server, 0x2000 + (uint32_t)fuzz_take(in, 1) % 4,
					   0);
		break;
	case 4:
		client_run(&client);
		break;
	case 5:
		send_packet(in);
		break;
	case 6:
		client_receive(&channel, buf, sizeof(buf));
		break;
	case 7:
		client_drop_messages(&client);
		break;
	case 8:
		for (int i = 0; i < 2; i++)
			if (devices[i].closing)
				finish_close(&devices[i]);
		break;
	case 9:
		if (!devices[1].closing && in->size & 1)
			vmbus_server_reset(client.server);
		break;
	case 10:
		restless_memory_start(client.ram, CLIENT_RAM, (uint32_t)fuzz_take(in, 1));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	log_set_level(LOG_ERROR);
	if (client_init(&client, 0, 0))
		abort();
	prologue();
	while (in.size)
		step(&in);

	vmbus_server_reset(client.server);
	client_run(&client);
	for (int i = 0; i < 2; i++) {
		devices[i].hold_close = false;
		if (devices[i].closing)
			finish_close(&devices[i]);
	}
	client_run(&client);
	if (!vmbus_server_is_idle(client.server))
		abort();
	restless_memory_start(NULL, 0, 0);
	client_fini(&client);
	return 0;
}
