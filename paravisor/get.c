#include "paravisor/get.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/vmbus_uio.h"
#include "proto/get.h"

#define OFFER_TIMEOUT_MS    5000
#define RESPONSE_TIMEOUT_MS 30000
#define SEND_TIMEOUT_MS     1000

/* Of a text that comes in several messages. */
#define TEXT_MAX (1u << 20)

struct text {
	char *bytes;
	size_t len;
};

/* A write of VTL0's state, sent in parts that a message holds. done NULL: none is under way. */
struct vmgs_write {
	void (*done)(void *token, int error);
	void *token;
	uint64_t offset;
	const uint8_t *data;
	size_t left, sent; /* bytes; `sent`: of the part that the host has not yet answered for */
	bool flush;        /* when all parts are written */
	uint16_t awaited;  /* the response */
};

struct get {
	struct vmbus_uio *uio;
	uint32_t sector; /* of VMGS; 0: not known */
	struct vmgs_write write;
	struct event_loop *loop; /* NULL before get_start() */
	struct event_watch watch;
	struct get_handler handler;
	struct text modification; /* of which more is to come */
	uint8_t message[GET_MESSAGE_MAX];
};

/* --- messages */

static struct get_header header_of(enum get_message_type type, uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION_1, (uint8_t)type, id };
}

/* -EAGAIN of a full ring is waited out. */
static int send_message(struct get *get, const void *message, size_t len)
{
	uint64_t deadline = event_loop_now_ns() + SEND_TIMEOUT_MS * 1000000ull;
	int ret;

	for (;;) {
		ret = vmbus_uio_send(get->uio, message, len);
		if (ret != -EAGAIN || event_loop_now_ns() > deadline)
			return ret;
		vmbus_uio_wait(get->uio, SEND_TIMEOUT_MS);
	}
}

static void notify(struct get *get, const void *message, size_t len)
{
	int ret = send_message(get, message, len);

	if (ret)
		log_error("GET: the host cannot be told: errno %d", -ret);
}

/* The next message into get->message, of at least a header, whose copy is *header. */
static int take_message(struct get *get, struct get_header *header)
{
	int len = vmbus_uio_receive(get->uio, get->message, sizeof(get->message));

	if (len < 0)
		return len;
	if ((size_t)len < sizeof(*header))
		return -EPROTO;
	memcpy(header, get->message, sizeof(*header));
	return header->message_version == GET_HEADER_VERSION_1 ? len : -EPROTO;
}

/* --- the host's notifications */

/* A part of a text, of which `size` bytes are said to follow a head of `head` bytes. */
static int collect(struct text *text, const uint8_t *message, size_t len, size_t head,
		   uint32_t size)
{
	char *bytes;

	if (size != len - head)
		return -EPROTO;
	if (size > TEXT_MAX - text->len)
		return -E2BIG;
	bytes = realloc(text->bytes, text->len + size + 1);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes + text->len, message + head, size);
	text->bytes = bytes;
	text->len += size;
	return 0;
}

static void drop(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}

/* GET_MODIFY_VTL2_SETTINGS_COMPLETED, GET_START_VTL0_COMPLETED: success when there is no reason. */
static void send_result(struct get *get, uint16_t id, const char *why)
{
	struct {
		struct get_result result;
		char text[200];
	} message = {
		.result = {
			.header = header_of(GET_HOST_NOTIFICATION, id),
			.status = why ? GET_RESULT_FAILURE : GET_RESULT_SUCCESS,
		},
	};
	size_t len = why ? strnlen(why, sizeof(message.text)) : 0;

	message.result.result_document_size = (uint32_t)len;
	if (why)
		memcpy(message.text, why, len);
	notify(get, &message, sizeof(message.result) + len);
}

void get_settings_modified(struct get *get, const char *why)
{
	if (why)
		log_warn("GET: new settings refused: %s", why);
	send_result(get, GET_MODIFY_VTL2_SETTINGS_COMPLETED, why);
}

static void apply_modification(struct get *get)
{
	struct text text = get->modification;

	get->modification = (struct text){ 0 };
	if (get->handler.modify_settings && text.len) {
		get->handler.modify_settings(get->handler.ctx, text.bytes, text.len);
		return;
	}
	drop(&text);
	get_settings_modified(get, "not possible");
}

static int modify_settings(struct get *get, uint16_t id, size_t len)
{
	struct get_modify_vtl2_settings_rev1 head = { .payload_state = GET_PAYLOAD_END };
	size_t size = id == GET_MODIFY_VTL2_SETTINGS ? sizeof(struct get_modify_vtl2_settings)
						     : sizeof(head);
	int ret;

	if (len < size)
		return -EPROTO;
	memcpy(&head, get->message, size);
	ret = collect(&get->modification, get->message, len, size, head.size);
	if (ret) {
		drop(&get->modification);
		return ret;
	}
	if (head.payload_state == GET_PAYLOAD_END)
		apply_modification(get);
	return 0;
}

/* Of those that we do not act upon, the host needs no answer. */
static int take_notification(struct get *get, uint16_t id, size_t len)
{
	switch (id) {
	case GET_MODIFY_VTL2_SETTINGS:
	case GET_MODIFY_VTL2_SETTINGS_REV1:
		return modify_settings(get, id, len);
	default:
		log_limited(LOG_INFO, "GET: notification %u is not for us", id);
		return 0;
	}
}

static int take_response(struct get *get, uint16_t id, size_t len);
static void end_write(struct get *get, int error);

static void readable(struct event_watch *watch, uint32_t events)
{
	struct get *get = container_of(watch, struct get, watch);
	struct get_header header;
	int len, ret;

	(void)events;
	while ((len = take_message(get, &header)) >= 0) {
		ret = header.message_type == GET_GUEST_NOTIFICATION
			      ? take_notification(get, header.message_id, (size_t)len)
		      : header.message_type == GET_HOST_RESPONSE
			      ? take_response(get, header.message_id, (size_t)len)
			      : -EPROTO;
		if (ret)
			log_limited(LOG_WARN, "GET: message %u of type %u not understood: errno %d",
				    header.message_id, header.message_type, -ret);
	}
	if (len == -EAGAIN)
		return;
	log_error("GET: the host broke the protocol: errno %d", -len);
	event_loop_remove(get->loop, &get->watch);
	end_write(get, -EPIPE);
}

int get_start(struct get *get, struct event_loop *loop, const struct get_handler *handler)
{
	get->handler = *handler;
	get->loop = loop;
	get->watch = (struct event_watch){ readable, vmbus_uio_fd(get->uio) };
	return event_loop_add(loop, &get->watch, EPOLLIN);
}

/* --- requests, before get_start() */

/* Waits for the response `id`: its length, in get->message. */
static int await_response(struct get *get, uint16_t id)
{
	uint64_t deadline = event_loop_now_ns() + RESPONSE_TIMEOUT_MS * 1000000ull;
	struct get_header header;

	while (event_loop_now_ns() < deadline) {
		int len = take_message(get, &header);

		if (len == -EAGAIN)
			len = vmbus_uio_wait(get->uio, 100);
		else if (len >= 0 && header.message_type == GET_HOST_RESPONSE)
			return header.message_id == id ? len : -EPROTO;
		else if (len >= 0 && header.message_type != GET_GUEST_NOTIFICATION)
			return -EPROTO;
		if (len < 0 && len != -ETIMEDOUT)
			return len;
	}
	return -ETIMEDOUT;
}

/* 0, -EPROTO when the host does not speak it. */
static int try_version(struct get *get, uint32_t version)
{
	struct get_version_request request = {
		.header = header_of(GET_HOST_REQUEST, GET_VERSION),
		.version = version,
	};
	struct get_version_response response;
	int ret = send_message(get, &request, sizeof(request));

	if (!ret)
		ret = await_response(get, GET_VERSION);
	if (ret < 0)
		return ret;
	if ((size_t)ret < sizeof(response))
		return -EPROTO;
	memcpy(&response, get->message, sizeof(response));
	return response.version_accepted ? 0 : -EPROTO;
}

int get_create(struct get **result)
{
	static const struct guid interface = GET_INTERFACE_TYPE, instance = GET_INTERFACE_INSTANCE;
	struct get *get = calloc(1, sizeof(*get));
	int ret;

	if (!get)
		return -ENOMEM;
	ret = vmbus_uio_open(&interface, &instance, OFFER_TIMEOUT_MS, &get->uio);
	if (ret)
		goto free_get;
	ret = try_version(get, GET_VERSION_NICKEL_REV2);
	if (ret)
		goto close_channel;
	*result = get;
	return 0;

close_channel:
	vmbus_uio_close(get->uio);
free_get:
	free(get);
	return ret;
}

void get_destroy(struct get *get)
{
	drop(&get->modification);
	vmbus_uio_close(get->uio);
	free(get);
}

int get_platform_settings(struct get *get, char **result, size_t *len)
{
	struct get_header request = header_of(GET_HOST_REQUEST, GET_DEVICE_PLATFORM_SETTINGS_V2);
	struct get_device_platform_settings_rev1 head = { .payload_state = GET_PAYLOAD_MORE };
	struct text text = { 0 };
	int ret = send_message(get, &request, sizeof(request));

	while (!ret && head.payload_state != GET_PAYLOAD_END) {
		ret = await_response(get, GET_DEVICE_PLATFORM_SETTINGS_V2_REV1);
		if (ret < 0)
			break;
		if ((size_t)ret < sizeof(head)) {
			ret = -EPROTO;
			break;
		}
		memcpy(&head, get->message, sizeof(head));
		ret = collect(&text, get->message, (size_t)ret, sizeof(head), head.size);
	}
	if (!ret && !text.len)
		ret = -EPROTO;
	if (ret) {
		drop(&text);
		return ret;
	}
	*result = text.bytes;
	*len = text.len;
	return 0;
}

/* --- VMGS: requests of whole sectors, at most GET_PAYLOAD_MAX bytes each */

static struct get_vmgs_io vmgs_io(const struct get *get, uint16_t id, uint64_t offset, size_t len)
{
	return (struct get_vmgs_io){
		.header = header_of(GET_HOST_REQUEST, id),
		.sector_offset = offset / get->sector,
		.sector_count = (uint32_t)(len / get->sector),
	};
}

/* Of a response whose length is known. */
static int vmgs_status(struct get *get, size_t len)
{
	struct get_vmgs_response response;

	if (len < sizeof(response))
		return -EPROTO;
	memcpy(&response, get->message, sizeof(response));
	return response.status == GET_VMGS_SUCCESS ? 0 : -EIO;
}

int get_vmgs_info(struct get *get, uint64_t *bytes, uint32_t *sector)
{
	struct get_header request = header_of(GET_HOST_REQUEST, GET_VMGS_GET_DEVICE_INFO);
	struct get_vmgs_device_info info;
	int ret = send_message(get, &request, sizeof(request));

	if (!ret)
		ret = await_response(get, GET_VMGS_GET_DEVICE_INFO);
	if (ret < 0)
		return ret;
	if ((size_t)ret < sizeof(info))
		return -EPROTO;
	memcpy(&info, get->message, sizeof(info));
	if (info.status != GET_VMGS_SUCCESS || !info.capacity)
		return -ENODEV;
	*sector = get->sector = info.bytes_per_logical_sector;
	if (!*sector || *sector & (*sector - 1) || *sector > GET_PAYLOAD_MAX ||
	    __builtin_mul_overflow(info.capacity, *sector, bytes))
		return -EPROTO;
	return 0;
}

static int vmgs_read_part(struct get *get, uint64_t offset, void *buf, size_t len)
{
	struct get_vmgs_io request = vmgs_io(get, GET_VMGS_READ, offset, len);
	int ret = send_message(get, &request, sizeof(request)), status;

	if (!ret)
		ret = await_response(get, GET_VMGS_READ);
	if (ret < 0)
		return ret;
	status = vmgs_status(get, (size_t)ret);
	if (status)
		return status;
	if ((size_t)ret != sizeof(struct get_vmgs_response) + len)
		return -EPROTO;
	memcpy(buf, get->message + sizeof(struct get_vmgs_response), len);
	return 0;
}

int get_vmgs_read(struct get *get, uint64_t offset, void *buf, size_t len)
{
	uint8_t *p = buf;
	int ret = 0;

	while (len && !ret) {
		size_t n = len < GET_PAYLOAD_MAX ? len : GET_PAYLOAD_MAX;

		ret = vmgs_read_part(get, offset, p, n);
		p += n;
		offset += n;
		len -= n;
	}
	return ret;
}

static void end_write(struct get *get, int error)
{
	void (*done)(void *, int) = get->write.done;

	get->write.done = NULL;
	if (done)
		done(get->write.token, error);
}

static int send_part(struct get *get)
{
	struct {
		struct get_vmgs_io io;
		uint8_t data[GET_PAYLOAD_MAX];
	} message;
	struct vmgs_write *write = &get->write;

	write->sent = write->left < sizeof(message.data) ? write->left : sizeof(message.data);
	message.io = vmgs_io(get, GET_VMGS_WRITE, write->offset, write->sent);
	message.io.flags = write->flush ? 0 : GET_VMGS_WRITE_THROUGH;
	memcpy(message.data, write->data, write->sent);
	write->awaited = GET_VMGS_WRITE;
	return send_message(get, &message, sizeof(message.io) + write->sent);
}

static int send_flush(struct get *get)
{
	struct get_header header = header_of(GET_HOST_REQUEST, GET_VMGS_FLUSH);

	get->write.flush = false;
	get->write.awaited = GET_VMGS_FLUSH;
	return send_message(get, &header, sizeof(header));
}

/* The next part, or what follows the last: 1 when an answer is due, 0 at the end, or -errno. */
static int send_next(struct get *get)
{
	int ret;

	if (!get->write.left && !get->write.flush)
		return 0;
	ret = get->write.left ? send_part(get) : send_flush(get);
	return ret ? ret : 1;
}

/* To what was sent last: sends what comes next, or this was the end. */
static int take_response(struct get *get, uint16_t id, size_t len)
{
	struct vmgs_write *write = &get->write;
	int ret;

	if (!write->done || id != write->awaited)
		return -EPROTO;
	ret = vmgs_status(get, len);
	write->offset += write->sent;
	write->data += write->sent;
	write->left -= write->sent;
	write->sent = 0;
	if (!ret)
		ret = send_next(get);
	if (ret <= 0)
		end_write(get, ret);
	return 0;
}

/* Without a loop the answers are waited for. */
static int write_all_now(struct get *get)
{
	while (get->write.done) {
		uint16_t id = get->write.awaited;
		int ret = await_response(get, id);

		if (ret >= 0)
			ret = take_response(get, id, (size_t)ret);
		if (ret)
			return ret;
	}
	return 0;
}

void get_vmgs_write(struct get *get, uint64_t offset, const void *data, size_t len,
		    void (*done)(void *token, int error), void *token)
{
	int ret;

	if (get->write.done) {
		done(token, -EBUSY);
		return;
	}
	get->write = (struct vmgs_write){
		.done = done,
		.token = token,
		.offset = offset,
		.data = data,
		.left = len,
		/* One flush for all parts: each that is written through would be one of its own. */
		.flush = len > GET_PAYLOAD_MAX,
	};
	ret = send_next(get);
	if (ret > 0 && !get->loop)
		ret = write_all_now(get);
	if (ret <= 0)
		end_write(get, ret);
}

/* --- what has become of VTL0 */

void get_vtl0_started(struct get *get, bool success, const char *why)
{
	if (get)
		send_result(get, GET_START_VTL0_COMPLETED, success ? NULL : why);
}

void get_power_off(struct get *get)
{
	struct get_power_off message = { .header =
						 header_of(GET_HOST_NOTIFICATION, GET_POWER_OFF) };

	if (get)
		notify(get, &message, sizeof(message));
}

void get_reset(struct get *get)
{
	struct get_header message = header_of(GET_HOST_NOTIFICATION, GET_RESET);

	if (get)
		notify(get, &message, sizeof(message));
}

void get_triple_fault(struct get *get, uint32_t vp)
{
	struct get_triple_fault message = {
		.header = header_of(GET_HOST_NOTIFICATION, GET_TRIPLE_FAULT),
		.vp_index = vp,
		.fault_type = GET_TRIPLE_FAULT_UNRECOVERABLE_EXCEPTION,
	};

	if (get)
		notify(get, &message, sizeof(message));
}

void get_vtl_crash(struct get *get, uint32_t vp, uint64_t control, const uint64_t parameters[5])
{
	struct get_vtl_crash message = {
		.header = header_of(GET_HOST_NOTIFICATION, GET_VTL_CRASH),
		.vp_index = vp,
		.control = control,
	};

	memcpy(message.parameters, parameters, sizeof(message.parameters));
	if (get)
		notify(get, &message, sizeof(message));
}
