#include "host/get.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "devices/vmbus/vmbus_channel.h"
#include "devices/vmbus/vmbus_server.h"
#include "host/vmgs.h"
#include "proto/get.h"

/* Of a packet: a message, the pipe's header and the packet's own. */
#define MAX_PACKET (GET_MESSAGE_MAX + 64u)

/* The text that comes with a failure, as much of it as a line is worth. */
#define MAX_REASON 200u

/* 1601-01-01 to 1970-01-01, units of 100 ns. */
#define UNIX_EPOCH 116444736000000000ll

/* A message on its way to VTL2. */
struct outgoing {
	struct outgoing *next;
	size_t len; /* with the pipe's header */
	_Alignas(8) uint8_t bytes[];
};

struct host_get {
	struct host_get_config config;
	struct vmbus_channel *channel;

	pthread_mutex_t lock; /* of the queue, `open` and `syncing` */
	struct outgoing *queue, **queue_end;
	bool open;
	bool syncing; /* the answer to that comes first: requests wait in the ring */

	/* The channel's loop's. */
	bool negotiated;
	uint16_t sync_id;                 /* the request that syncs */
	uint8_t payload[GET_PAYLOAD_MAX]; /* of an answer in the making */
};

/* A message of VTL2's: the copy that the channel made. */
struct message {
	const uint8_t *bytes;
	size_t len;
};

/* --- to VTL2 --- */

static int enqueue(struct host_get *get, const void *head, size_t head_len, const void *tail,
		   size_t tail_len)
{
	struct vmbus_pipe_header pipe = {
		.packet_type = VMBUS_PIPE_PACKET_DATA,
		.len = (uint32_t)(head_len + tail_len),
	};
	struct outgoing *entry = malloc(sizeof(*entry) + sizeof(pipe) + head_len + tail_len);
	bool open;

	if (!entry)
		return -ENOMEM;
	entry->next = NULL;
	entry->len = sizeof(pipe) + head_len + tail_len;
	memcpy(entry->bytes, &pipe, sizeof(pipe));
	memcpy(entry->bytes + sizeof(pipe), head, head_len);
	if (tail_len)
		memcpy(entry->bytes + sizeof(pipe) + head_len, tail, tail_len);
	pthread_mutex_lock(&get->lock);
	open = get->open;
	if (open) {
		*get->queue_end = entry;
		get->queue_end = &entry->next;
	}
	pthread_mutex_unlock(&get->lock);
	if (!open)
		free(entry);
	return open ? 0 : -ENOTCONN;
}

static void answer_with(struct host_get *get, const void *head, size_t head_len, const void *tail,
			size_t tail_len)
{
	if (enqueue(get, head, head_len, tail, tail_len) == -ENOMEM)
		log_error("get: out of memory, VTL2 gets no answer");
}

static void answer(struct host_get *get, const void *message, size_t len)
{
	answer_with(get, message, len, NULL, 0);
}

static struct get_header response(uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION_1, GET_HOST_RESPONSE, id };
}

static struct outgoing *first(struct host_get *get)
{
	struct outgoing *entry;

	pthread_mutex_lock(&get->lock);
	entry = get->queue;
	pthread_mutex_unlock(&get->lock);
	return entry;
}

static void drop_first(struct host_get *get)
{
	struct outgoing *entry;

	pthread_mutex_lock(&get->lock);
	entry = get->queue;
	get->queue = entry->next;
	if (!get->queue)
		get->queue_end = &get->queue;
	pthread_mutex_unlock(&get->lock);
	free(entry);
}

/* False while the ring has no room. Only the loop takes from the queue. */
static bool flush(struct host_get *get)
{
	struct outgoing *entry;
	int ret;

	while ((entry = first(get))) {
		ret = vmbus_channel_send(get->channel, false, 0, entry->bytes, entry->len);
		if (ret == -EAGAIN)
			return false;
		if (ret == -EMSGSIZE)
			log_error("get: VTL2's ring is too small for a message of %zu bytes",
				  entry->len);
		drop_first(get);
	}
	return true;
}

/* --- requests --- */

static void on_version(struct host_get *get, const struct message *message)
{
	struct get_version_response reply = { .header = response(GET_VERSION) };
	struct get_version_request request;

	memcpy(&request, message->bytes, sizeof(request));
	reply.version_accepted = request.version == GET_VERSION_NICKEL_REV2;
	get->negotiated = reply.version_accepted;
	answer(get, &reply, sizeof(reply));
}

static void on_time(struct host_get *get, const struct message *message)
{
	struct get_time_response reply = { .header = response(GET_TIME) };
	struct timespec now;

	(void)message;
	clock_gettime(CLOCK_REALTIME, &now);
	reply.vm_reference_time = get->config.ops->reference_time(get->config.ctx);
	reply.utc = now.tv_sec * 10000000ll + now.tv_nsec / 100 + UNIX_EPOCH;
	answer(get, &reply, sizeof(reply)); /* the guest's clock is UTC: time zone 0 */
}

static void on_boot_finalize(struct host_get *get, const struct message *message)
{
	struct get_header reply = response(GET_BIOS_BOOT_FINALIZE);

	(void)message;
	answer(get, &reply, sizeof(reply));
}

static void on_settings(struct host_get *get, const struct message *message)
{
	size_t left = get->config.settings_len, offset = 0;

	(void)message;
	do {
		size_t len = left < GET_PAYLOAD_MAX ? left : GET_PAYLOAD_MAX;
		struct get_device_platform_settings_rev1 reply = {
			.header = response(GET_DEVICE_PLATFORM_SETTINGS_V2_REV1),
			.size = (uint32_t)len,
			.payload_state = len < left ? GET_PAYLOAD_MORE : GET_PAYLOAD_END,
		};

		answer_with(get, &reply, sizeof(reply), get->config.settings + offset, len);
		offset += len;
		left -= len;
	} while (left);
}

static uint32_t vmgs_status(int err)
{
	return !err             ? GET_VMGS_SUCCESS
	       : err == -EINVAL ? GET_VMGS_INVALID_COMMAND
				: GET_VMGS_DEVICE_ERROR;
}

static void on_vmgs_info(struct host_get *get, const struct message *message)
{
	struct vmgs *vmgs = get->config.vmgs;
	struct get_vmgs_device_info reply = {
		.header = response(GET_VMGS_GET_DEVICE_INFO),
		.status = vmgs ? GET_VMGS_SUCCESS : GET_VMGS_DEVICE_ERROR,
		.capacity = vmgs ? vmgs_sectors(vmgs) : 0,
		.bytes_per_logical_sector = VMGS_SECTOR,
		.bytes_per_physical_sector = VMGS_SECTOR,
		.maximum_transfer_size_bytes = GET_PAYLOAD_MAX,
	};

	(void)message;
	answer(get, &reply, sizeof(reply));
}

static void on_vmgs_read(struct host_get *get, const struct message *message)
{
	struct get_vmgs_response reply = { .header = response(GET_VMGS_READ) };
	struct get_vmgs_io io;
	int err = -EIO;

	memcpy(&io, message->bytes, sizeof(io));
	if (io.sector_count > GET_PAYLOAD_MAX / VMGS_SECTOR)
		err = -EINVAL;
	else if (get->config.vmgs)
		err = vmgs_read(get->config.vmgs, io.sector_offset, io.sector_count, get->payload);
	reply.status = vmgs_status(err);
	answer_with(get, &reply, sizeof(reply), get->payload,
		    err ? 0 : (size_t)io.sector_count * VMGS_SECTOR);
}

static void answer_vmgs(struct host_get *get, uint16_t id, int err)
{
	struct get_vmgs_response reply = { .header = response(id), .status = vmgs_status(err) };

	answer(get, &reply, sizeof(reply));
}

/* On the state's thread. */
static void synced(void *ctx, int err)
{
	struct host_get *get = ctx;

	answer_vmgs(get, get->sync_id, err);
	pthread_mutex_lock(&get->lock);
	get->syncing = false;
	pthread_mutex_unlock(&get->lock);
	vmbus_channel_wake(get->channel);
}

static void sync_state(struct host_get *get, uint16_t id)
{
	get->sync_id = id;
	pthread_mutex_lock(&get->lock);
	get->syncing = true;
	pthread_mutex_unlock(&get->lock);
	vmgs_sync(get->config.vmgs, synced, get);
}

static void on_vmgs_write(struct host_get *get, const struct message *message)
{
	struct get_vmgs_io io;
	int err = -EIO;

	memcpy(&io, message->bytes, sizeof(io));
	if (io.sector_count > (message->len - sizeof(io)) / VMGS_SECTOR)
		err = -EINVAL;
	else if (get->config.vmgs)
		err = vmgs_write(get->config.vmgs, io.sector_offset, io.sector_count,
				 message->bytes + sizeof(io));
	if (!err && io.flags & GET_VMGS_WRITE_THROUGH)
		sync_state(get, GET_VMGS_WRITE);
	else
		answer_vmgs(get, GET_VMGS_WRITE, err);
}

static void on_vmgs_flush(struct host_get *get, const struct message *message)
{
	(void)message;
	if (get->config.vmgs)
		sync_state(get, GET_VMGS_FLUSH);
	else
		answer_vmgs(get, GET_VMGS_FLUSH, -EIO);
}

/* Every function is offered from the start: there is nothing to offer or to take back. */
static void on_vpci_control(struct host_get *get, const struct message *message)
{
	struct get_vpci_control_response reply = {
		.header = response(GET_VPCI_DEVICE_CONTROL),
		.status = GET_VPCI_INVALID_REQUEST,
	};

	(void)message;
	answer(get, &reply, sizeof(reply));
}

static void on_vpci_binding(struct host_get *get, const struct message *message)
{
	struct get_vpci_binding_response reply = {
		.header = response(GET_VPCI_DEVICE_BINDING_CHANGE),
		.status = GET_VPCI_SUCCESS,
	};

	memcpy(&reply.bus_instance_id, message->bytes + sizeof(struct get_header),
	       sizeof(reply.bus_instance_id));
	answer(get, &reply, sizeof(reply));
}

/* --- notifications --- */

/* A text of VTL2's as one line for people. */
static void make_line(char *line, const uint8_t *text, size_t len)
{
	size_t i;

	if (len > MAX_REASON - 1)
		len = MAX_REASON - 1;
	for (i = 0; i < len; i++)
		line[i] = text[i] >= ' ' && text[i] <= '~' ? (char)text[i] : '?';
	line[len] = 0;
}

static void end(struct host_get *get, enum host_get_end how, const char *reason)
{
	get->config.ops->ended(get->config.ctx, how, reason);
}

static void on_power_off(struct host_get *get, const struct message *message)
{
	struct get_power_off notice;

	memcpy(&notice, message->bytes, sizeof(notice));
	end(get, HOST_GET_POWER_OFF, notice.hibernate ? "hibernated" : "");
}

static void on_reset(struct host_get *get, const struct message *message)
{
	(void)message;
	end(get, HOST_GET_RESET, "");
}

static void on_event(struct host_get *get, const struct message *message)
{
	static const char *const names[] = {
		[GET_EVENT_BOOT_SUCCESS] = "boot success",
		[GET_EVENT_BOOT_SUCCESS_SECURE_BOOT_FAILED] = "boot success, secure boot failed",
		[GET_EVENT_BOOT_FAILURE] = "boot failure",
		[GET_EVENT_BOOT_FAILURE_SECURE_BOOT_FAILED] = "boot failure, secure boot failed",
		[GET_EVENT_NO_BOOT_DEVICE] = "no boot device",
		[GET_EVENT_ATTESTATION_FAILED] = "attestation failed",
		[GET_EVENT_VMGS_FILE_CLEAR] = "guest state cleared",
		[GET_EVENT_VMGS_INIT_FAILED] = "guest state not usable",
		[GET_EVENT_VMGS_INVALID_FORMAT] = "guest state of an unknown format",
		[GET_EVENT_VMGS_CORRUPT_FORMAT] = "guest state is corrupt",
		[GET_EVENT_KEY_NOT_RELEASED] = "key not released",
		[GET_EVENT_DEK_DECRYPTION_FAILED] = "guest state's key cannot be decrypted",
		[GET_EVENT_WATCHDOG_TIMEOUT_RESET] = "watchdog reset",
		[GET_EVENT_BOOT_ATTEMPT] = "boot attempt",
		[GET_EVENT_VMGS_ACCESS_FAILED] = "guest state cannot be accessed",
		[GET_EVENT_TPM_INVALID_STATE] = "TPM state invalid",
		[GET_EVENT_TPM_IDENTITY_CHANGE_FAILED] = "TPM identity change failed",
	};
	struct get_event_log event;
	const char *name = NULL;

	(void)get;
	memcpy(&event, message->bytes, sizeof(event));
	if (event.event_log_id < sizeof(names) / sizeof(names[0]))
		name = names[event.event_log_id];
	log_info("get: event %u: %s", event.event_log_id, name ? name : "unknown");
}

static void on_started(struct host_get *get, const struct message *message)
{
	struct get_result result;
	char reason[MAX_REASON];

	memcpy(&result, message->bytes, sizeof(result));
	make_line(reason, message->bytes + sizeof(result), message->len - sizeof(result));
	if (result.status == GET_RESULT_SUCCESS)
		log_info("get: VTL0 was started");
	else
		end(get, HOST_GET_FAILURE, reason);
}

static void on_modified(struct host_get *get, const struct message *message)
{
	struct get_result result;
	char reason[MAX_REASON];

	memcpy(&result, message->bytes, sizeof(result));
	make_line(reason, message->bytes + sizeof(result), message->len - sizeof(result));
	if (get->config.ops->modified)
		get->config.ops->modified(get->config.ctx,
					  result.status == GET_RESULT_SUCCESS ? NULL : reason);
}

static void on_crash(struct host_get *get, const struct message *message)
{
	struct get_vtl_crash crash;
	char what[160] = "", reason[MAX_REASON];

	memcpy(&crash, message->bytes, sizeof(crash));
	if (get->config.ops->crash_reason)
		get->config.ops->crash_reason(get->config.ctx, crash.control, crash.parameters,
					      what, sizeof(what));
	snprintf(reason, sizeof(reason), "%s%sreported by VP %u", what, what[0] ? ", " : "crash ",
		 crash.vp_index);
	end(get, HOST_GET_CRASH, reason);
}

static void on_triple_fault(struct host_get *get, const struct message *message)
{
	struct get_triple_fault fault;
	char reason[MAX_REASON];

	memcpy(&fault, message->bytes, sizeof(fault));
	snprintf(reason, sizeof(reason), "VP %u had a triple fault", fault.vp_index);
	end(get, HOST_GET_TRIPLE_FAULT, reason);
}

/* --- dispatch --- */

static const struct handler {
	uint8_t type;
	uint16_t id;
	uint16_t min_len; /* bytes, header included */
	void (*handle)(struct host_get *get, const struct message *message);
} handlers[] = {
	{ GET_HOST_REQUEST, GET_VERSION, sizeof(struct get_version_request), on_version },
	{ GET_HOST_REQUEST, GET_TIME, 4, on_time },
	{ GET_HOST_REQUEST, GET_BIOS_BOOT_FINALIZE, 4, on_boot_finalize },
	{ GET_HOST_REQUEST, GET_DEVICE_PLATFORM_SETTINGS_V2, 4, on_settings },
	{ GET_HOST_REQUEST, GET_VMGS_GET_DEVICE_INFO, 4, on_vmgs_info },
	{ GET_HOST_REQUEST, GET_VMGS_READ, sizeof(struct get_vmgs_io), on_vmgs_read },
	{ GET_HOST_REQUEST, GET_VMGS_WRITE, sizeof(struct get_vmgs_io), on_vmgs_write },
	{ GET_HOST_REQUEST, GET_VMGS_FLUSH, 4, on_vmgs_flush },
	{ GET_HOST_REQUEST, GET_VPCI_DEVICE_CONTROL, 4, on_vpci_control },
	{ GET_HOST_REQUEST, GET_VPCI_DEVICE_BINDING_CHANGE, GET_VPCI_BINDING_SIZE,
	  on_vpci_binding },
	{ GET_HOST_NOTIFICATION, GET_POWER_OFF, sizeof(struct get_power_off), on_power_off },
	{ GET_HOST_NOTIFICATION, GET_RESET, 4, on_reset },
	{ GET_HOST_NOTIFICATION, GET_EVENT_LOG, sizeof(struct get_event_log), on_event },
	{ GET_HOST_NOTIFICATION, GET_START_VTL0_COMPLETED, sizeof(struct get_result), on_started },
	{ GET_HOST_NOTIFICATION, GET_MODIFY_VTL2_SETTINGS_COMPLETED, sizeof(struct get_result),
	  on_modified },
	{ GET_HOST_NOTIFICATION, GET_VTL_CRASH, sizeof(struct get_vtl_crash), on_crash },
	{ GET_HOST_NOTIFICATION, GET_TRIPLE_FAULT, sizeof(struct get_triple_fault),
	  on_triple_fault },
};

static const struct handler *find(const struct get_header *header)
{
	size_t i;

	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == header->message_type &&
		    handlers[i].id == header->message_id)
			return &handlers[i];
	return NULL;
}

/* The packet's copy is ours; its pipe header says how much of it is the message. */
static bool unwrap(const struct vmbus_packet *packet, struct message *message)
{
	struct vmbus_pipe_header pipe;

	if (packet->type != VM_PKT_DATA_INBAND || packet->payload_len < sizeof(pipe))
		return false;
	memcpy(&pipe, packet->payload, sizeof(pipe));
	if (pipe.packet_type != VMBUS_PIPE_PACKET_DATA ||
	    pipe.len > packet->payload_len - sizeof(pipe) || pipe.len < sizeof(struct get_header))
		return false;
	message->bytes = (const uint8_t *)packet->payload + sizeof(pipe);
	message->len = pipe.len;
	return true;
}

/* What cannot be understood gets no answer: there is none that VTL2 would understand. */
static void take(struct host_get *get, const struct vmbus_packet *packet)
{
	const struct handler *handler = NULL;
	struct get_header header = { 0 };
	struct message message;

	if (unwrap(packet, &message)) {
		memcpy(&header, message.bytes, sizeof(header));
		if (header.message_version == GET_HEADER_VERSION_1)
			handler = find(&header);
	}
	if (!handler || message.len < handler->min_len ||
	    (!get->negotiated && handler->handle != on_version)) {
		log_limited(LOG_WARN, "get: VTL2's message %u of type %u was not understood",
			    header.message_id, header.message_type);
		return;
	}
	handler->handle(get, &message);
}

/* --- the channel --- */

static int on_open(void *dev, struct vmbus_channel *channel, const uint8_t *user_data)
{
	struct host_get *get = dev;

	(void)user_data;
	get->channel = channel;
	get->negotiated = false;
	pthread_mutex_lock(&get->lock);
	get->open = true;
	pthread_mutex_unlock(&get->lock);
	return 0;
}

/* The next VTL2 must not get the answer to what this one asked for. */
static void on_close(void *dev, struct vmbus_channel *channel)
{
	struct host_get *get = dev;

	vmgs_wait(get->config.vmgs);
	pthread_mutex_lock(&get->lock);
	get->open = false;
	pthread_mutex_unlock(&get->lock);
	while (first(get))
		drop_first(get);
	vmbus_channel_closed(channel);
}

static bool may_take(struct host_get *get)
{
	bool may;

	pthread_mutex_lock(&get->lock);
	may = !get->syncing;
	pthread_mutex_unlock(&get->lock);
	return flush(get) && may;
}

/* Answers first: a VTL2 that reads none gets no more requests taken. */
static void on_ready(void *dev, struct vmbus_channel *channel)
{
	struct host_get *get = dev;
	struct vmbus_packet packet;

	if (!may_take(get)) {
		vmbus_channel_pause(channel);
		return;
	}
	vmbus_channel_resume(channel);
	while (!vmbus_channel_receive(channel, &packet)) {
		take(get, &packet);
		if (!may_take(get)) {
			vmbus_channel_pause(channel);
			return;
		}
	}
}

static const struct vmbus_channel_ops channel_ops = {
	.name = "get",
	.max_packet = MAX_PACKET,
	.open = on_open,
	.close = on_close,
	.ready = on_ready,
};

/* --- life --- */

int host_get_create(const struct host_get_config *config, struct host_get **out)
{
	struct vmbus_offer offer = {
		.interface = GET_INTERFACE_TYPE,
		.instance = GET_INTERFACE_INSTANCE,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE | VMBUS_OFFER_NAMED_PIPE_MODE,
		.user_defined = { VMBUS_PIPE_TYPE_MESSAGE },
	};
	struct host_get *get = calloc(1, sizeof(*get));
	int ret;

	if (!get)
		return -ENOMEM;
	get->config = *config;
	get->queue_end = &get->queue;
	pthread_mutex_init(&get->lock, NULL);
	ret = vmbus_server_offer(config->server, &offer, &channel_ops, get, &get->channel);
	if (ret) {
		pthread_mutex_destroy(&get->lock);
		free(get);
		return ret;
	}
	*out = get;
	return 0;
}

void host_get_destroy(struct host_get *get)
{
	if (!get)
		return;
	vmgs_wait(get->config.vmgs);
	pthread_mutex_destroy(&get->lock);
	free(get);
}

int host_get_modify(struct host_get *get, const char *settings, size_t len)
{
	size_t offset = 0;
	int ret;

	do {
		size_t part = len - offset < GET_PAYLOAD_MAX ? len - offset : GET_PAYLOAD_MAX;
		struct get_modify_vtl2_settings_rev1 notice = {
			.header = { GET_HEADER_VERSION_1, GET_GUEST_NOTIFICATION,
				    GET_MODIFY_VTL2_SETTINGS_REV1 },
			.size = (uint32_t)part,
			.payload_state = offset + part < len ? GET_PAYLOAD_MORE : GET_PAYLOAD_END,
		};

		ret = enqueue(get, &notice, sizeof(notice), settings + offset, part);
		offset += part;
	} while (!ret && offset < len);
	vmbus_channel_wake(get->channel);
	return ret;
}
