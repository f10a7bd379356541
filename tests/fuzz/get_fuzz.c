/*
 * VTL2's end of GET, doing what the input says: packets with any pipe header and message, reading
 * answers or not. Afterwards everything must be given back.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"
#include "devices/vmbus/vmbus_server.h"
#include "host/get.h"
#include "host/vmgs.h"
#include "proto/get.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct client client;
static struct client_channel channel;
static struct host_get *get;
static struct vmgs *vmgs;
static char settings[10000];

/* A reason is one line of printable characters, whatever VTL2 sends. */
static void ended(void *ctx, enum host_get_end how, const char *reason)
{
	(void)ctx;
	if (how > HOST_GET_FAILURE)
		abort();
	for (; *reason; reason++)
		if (*reason < ' ' || *reason > '~')
			abort();
}

static uint64_t reference_time(void *ctx)
{
	(void)ctx;
	return 0;
}

static const struct host_get_ops ops = { .ended = ended, .reference_time = reference_time };

/* Once: a memory file that all inputs share. */
static struct vmgs *open_state(void)
{
	char path[64];
	int fd = memfd_create("vmgs", 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return vmgs_open(path);
}

static void prologue(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	struct host_get_config config = { .ops = &ops,
					  .settings = settings,
					  .settings_len = sizeof(settings) };
	const struct vmbus_channel_offer_channel *offer;
	uint32_t relid;

	if (!vmgs)
		vmgs = open_state();
	if (!vmgs || client_init(&client, 0, 0))
		abort();
	config.server = client.server;
	config.vmgs = vmgs;
	if (host_get_create(&config, &get) || !client_connect(&client, VMBUS_VERSION_5_3))
		abort();
	client_post(&client, &request, sizeof(request));
	offer = client_take(&client, CHANNELMSG_OFFERCHANNEL);
	if (!offer)
		abort();
	relid = offer->child_relid;
	client_drop_messages(&client);
	if (client_open(&client, &channel, relid, 0x2000 + relid, 0, 0x100000, 8))
		abort();
}

/* As far as it comes by itself, with the answers that the disk is waited for. */
static void run(void)
{
	client_run(&client);
	vmgs_wait(vmgs);
	client_run(&client);
}

static void send_message(struct fuzz_input *in, bool whole)
{
	_Alignas(8) uint8_t packet[600] = { 0 };
	struct vmbus_pipe_header *pipe = (void *)packet;
	struct get_header *header = (void *)(pipe + 1);
	size_t len = sizeof(*pipe) + sizeof(*header) + fuzz_take(in, 2) % 580;

	pipe->packet_type = whole ? VMBUS_PIPE_PACKET_DATA : (uint32_t)fuzz_take(in, 1);
	pipe->len = whole ? (uint32_t)(len - sizeof(*pipe)) : (uint32_t)fuzz_take(in, 4);
	header->message_version = whole ? GET_HEADER_VERSION_1 : (uint8_t)fuzz_take(in, 1);
	header->message_type = (uint8_t)fuzz_take(in, 1);
	header->message_id = (uint16_t)fuzz_take(in, 1);
	fuzz_take_bytes(in, header + 1, len - sizeof(*pipe) - sizeof(*header));
	client_send(&channel, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, packet, len);
	run();
}

static void drain(void)
{
	uint8_t buf[GET_MESSAGE_MAX + 64];

	while (client_receive(&channel, buf, sizeof(buf)) > 0)
		;
	run();
}

static void negotiate(void)
{
	struct {
		struct vmbus_pipe_header pipe;
		struct get_version_request request;
	} message = { { VMBUS_PIPE_PACKET_DATA, sizeof(message.request) },
		      { { GET_HEADER_VERSION_1, GET_HOST_REQUEST, GET_VERSION },
			GET_VERSION_NICKEL_REV2 } };

	client_send(&channel, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, &message, sizeof(message));
	client_run(&client);
}

static void step(struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 8) {
	case 0:
		send_message(in, false);
		break;
	case 1:
		drain();
		break;
	case 2:
		host_get_modify(get, settings, fuzz_take(in, 2) % sizeof(settings));
		client_run(&client);
		break;
	default:
		send_message(in, true);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	log_set_level(LOG_ERROR);
	prologue();
	negotiate();
	while (in.size)
		step(&in);
	vmbus_server_reset(client.server);
	client_run(&client);
	host_get_destroy(get);
	client_fini(&client);
	return 0;
}
