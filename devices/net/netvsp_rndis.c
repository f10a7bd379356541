/*
 * RNDIS control messages ([MS-RNDIS] 2.2) and our answers, which travel as frames do: in sections of
 * the receive buffer that are the guest's until it completes them. The first sections are set apart
 * for that, so a flood of frames cannot keep an answer from the guest.
 */

#include <errno.h>
#include <string.h>

#include "core/bytes.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/vmbus/vmbus_channel.h"
#include "proto/rndis.h"
#include "proto/vmbus.h"

_Static_assert(NETVSP_CONTROL_MESSAGE <= NETVSP_RX_SECTION_MIN, "an answer fits its section");

void netvsp_rndis_reset(struct netvsp *netvsp)
{
	memset(netvsp->control, 0, sizeof(netvsp->control));
}

/* --- Sending */

static bool try_send(struct netvsp *netvsp, unsigned int number)
{
	struct netvsp_control_slot *slot = &netvsp->control[number];
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_CONTROL, NVSP_SEND_BUFFER_NONE, 0 },
	};
	const struct netvsp_buffer *receive = netvsp->receive_buffer;
	struct vmtransfer_page_range range = {
		.byte_count = slot->len,
		.byte_offset = number * receive->section_size,
	};

	return vmbus_channel_send_pages(netvsp->primary.channel, NETVSP_CONTROL_TRANS_ID | number,
					receive->id, &range, 1, &message,
					netvsp_message_size(netvsp)) != -EAGAIN;
}

/* Answers that found the ring full may overtake each other: each names its request. */
void netvsp_rndis_flush(struct netvsp *netvsp)
{
	if (!netvsp->receive_buffer)
		return;
	for (unsigned int i = 0; i < NETVSP_CONTROL_SECTIONS; i++) {
		if (!netvsp->control[i].unsent)
			continue;
		if (!try_send(netvsp, i))
			return;
		netvsp->control[i].unsent = false;
	}
}

static int write_section(const struct netvsp *netvsp, unsigned int number, const void *bytes,
			 uint32_t len)
{
	const struct netvsp_buffer *receive = netvsp->receive_buffer;

	/* Sections are pages, or parts of one: a message of ours does not straddle any. */
	return guest_memory_write(vmbus_channel_memory(netvsp->primary.channel),
				  netvsp_buffer_gpa(receive, number * receive->section_size), bytes,
				  len);
}

/* 0; -EBUSY: the guest has not given sections back; -EFAULT. */
static int send_message(struct netvsp *netvsp, uint32_t type, void *message, uint32_t len)
{
	struct rndis_header header = { .ndis_msg_type = type, .msg_len = len };

	memcpy(message, &header, sizeof(header));
	if (!netvsp->receive_buffer)
		return -EFAULT;
	for (unsigned int i = 0; i < NETVSP_CONTROL_SECTIONS; i++) {
		if (netvsp->control[i].busy)
			continue;
		if (write_section(netvsp, i, message, len))
			return -EFAULT;
		netvsp->control[i] = (struct netvsp_control_slot){ .len = len, .busy = true };
		netvsp->control[i].unsent = !try_send(netvsp, i);
		return 0;
	}
	return -EBUSY;
}

void netvsp_rndis_complete(struct netvsp *netvsp, uint64_t trans_id)
{
	uint64_t number = trans_id & ~(uint64_t)NETVSP_CONTROL_TRANS_ID;

	if (number < NETVSP_CONTROL_SECTIONS && !netvsp->control[number].unsent)
		netvsp->control[number].busy = false;
}

/* --- Answers */

struct rndis_answer {
	struct rndis_header header;
	union {
		struct rndis_initialize_complete init;
		struct rndis_query_complete query;
		struct rndis_set_complete set;
		struct rndis_reset_complete reset;
		struct rndis_indicate_status indicate;
	};
};

static void answer(struct netvsp *netvsp, uint32_t type, struct rndis_answer *message, size_t body)
{
	if (send_message(netvsp, type, message, (uint32_t)(sizeof(message->header) + body)))
		log_limited(LOG_WARN,
			    "netvsp: an RNDIS answer is lost: the guest has all sections");
}

static void initialize(struct netvsp *netvsp, const struct rndis_initialize_request *request)
{
	struct rndis_answer message = { .init = {
						.req_id = request->req_id,
						.status = RNDIS_STATUS_SUCCESS,
						.major_ver = RNDIS_MAJOR_VERSION,
						.minor_ver = RNDIS_MINOR_VERSION,
						.dev_flags = RNDIS_DF_CONNECTIONLESS,
						.medium = RNDIS_MEDIUM_802_3,
						.max_pkt_per_msg = NETVSP_MESSAGES_MAX,
						.max_xfer_size = 0xEFFFFFFF,
						.pkt_alignment_factor = 3,
					} };

	if (request->major_ver != RNDIS_MAJOR_VERSION || !netvsp->receive_buffer)
		message.init.status = RNDIS_STATUS_BAD_VERSION;
	answer(netvsp, RNDIS_MSG_INIT | RNDIS_MSG_COMPLETION, &message, sizeof(message.init));
	if (message.init.status || netvsp->running)
		return;
	__atomic_store_n(&netvsp->link_pending, false, __ATOMIC_RELEASE); /* it will ask */
	pthread_mutex_lock(&netvsp->lock);
	netvsp->running = true;
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_changed(netvsp);
}

/* The request's buffer; NULL when it is not in the message. */
static const uint8_t *info_of(const struct rndis_request *request, const uint8_t *body, size_t len)
{
	static const uint8_t nothing[1];

	if (!request->info_buflen)
		return nothing;
	if (!range_within(request->info_buf_offset, request->info_buflen, len) ||
	    request->info_buf_offset < sizeof(*request))
		return NULL;
	return body + request->info_buf_offset;
}

static void query(struct netvsp *netvsp, const uint8_t *body, size_t len)
{
	struct {
		struct rndis_answer answer;
		uint8_t room[NETVSP_INFO_MAX];
	} message = { 0 };
	uint8_t *info = (uint8_t *)&message + sizeof(struct rndis_header) +
			sizeof(struct rndis_query_complete);
	struct rndis_request request;
	const uint8_t *in;
	size_t info_len = 0;

	memcpy(&request, body, sizeof(request));
	in = info_of(&request, body, len);
	message.answer.query.req_id = request.req_id;
	message.answer.query.status = RNDIS_STATUS_INVALID_DATA;
	if (in)
		message.answer.query.status = netvsp_oid_query(
			netvsp, request.oid, in, request.info_buflen, info, &info_len);
	if (message.answer.query.status)
		info_len = 0;
	message.answer.query.info_buflen = (uint32_t)info_len;
	message.answer.query.info_buf_offset = info_len ? sizeof(struct rndis_query_complete) : 0;
	answer(netvsp, RNDIS_MSG_QUERY | RNDIS_MSG_COMPLETION, &message.answer,
	       sizeof(message.answer.query) + info_len);
}

static void set(struct netvsp *netvsp, const uint8_t *body, size_t len)
{
	struct rndis_answer message = { 0 };
	struct rndis_request request;
	const uint8_t *in;

	memcpy(&request, body, sizeof(request));
	in = info_of(&request, body, len);
	message.set.req_id = request.req_id;
	message.set.status = RNDIS_STATUS_INVALID_DATA;
	if (in)
		message.set.status = netvsp_oid_set(netvsp, request.oid, in, request.info_buflen);
	answer(netvsp, RNDIS_MSG_SET | RNDIS_MSG_COMPLETION, &message, sizeof(message.set));
}

static void keepalive(struct netvsp *netvsp, const uint8_t *body)
{
	struct rndis_answer message = { .set.req_id = load_le32(body) };

	answer(netvsp, RNDIS_MSG_KEEPALIVE | RNDIS_MSG_COMPLETION, &message, sizeof(message.set));
}

/* Nothing to reset that a new filter or new parameters would not set. */
static void reset(struct netvsp *netvsp)
{
	struct rndis_answer message = { 0 };

	answer(netvsp, RNDIS_MSG_RESET | RNDIS_MSG_COMPLETION, &message, sizeof(message.reset));
}

static void control(struct netvsp *netvsp, uint32_t type, const uint8_t *body, size_t len)
{
	struct rndis_initialize_request init;

	switch (type) {
	case RNDIS_MSG_INIT:
		memcpy(&init, body, sizeof(init));
		initialize(netvsp, &init);
		break;
	case RNDIS_MSG_HALT:
		netvsp_stop(netvsp);
		break;
	case RNDIS_MSG_QUERY:
		query(netvsp, body, len);
		break;
	case RNDIS_MSG_SET:
		set(netvsp, body, len);
		break;
	case RNDIS_MSG_RESET:
		reset(netvsp);
		break;
	case RNDIS_MSG_KEEPALIVE:
		keepalive(netvsp, body);
		break;
	}
}

static size_t body_min(uint32_t type)
{
	switch (type) {
	case RNDIS_MSG_INIT:
		return sizeof(struct rndis_initialize_request);
	case RNDIS_MSG_QUERY:
	case RNDIS_MSG_SET:
		return sizeof(struct rndis_request);
	default:
		return sizeof(uint32_t); /* a request id, or a reserved field */
	}
}

void netvsp_rndis_message(struct netvsp *netvsp, size_t len)
{
	struct rndis_header header;

	if (len < sizeof(header))
		return;
	memcpy(&header, netvsp->request, sizeof(header));
	if (header.msg_len > len ||
	    header.msg_len < sizeof(header) + body_min(header.ndis_msg_type)) {
		log_limited(LOG_WARN, "netvsp: a control message's length cannot be");
		return;
	}
	control(netvsp, header.ndis_msg_type, netvsp->request + sizeof(header),
		header.msg_len - sizeof(header));
}

/* --- Indications */

void netvsp_rndis_notify(struct netvsp *netvsp)
{
	struct rndis_answer message = { 0 };

	if (!netvsp->running ||
	    !__atomic_exchange_n(&netvsp->link_pending, false, __ATOMIC_ACQ_REL))
		return;
	message.indicate.status = __atomic_load_n(&netvsp->link_up, __ATOMIC_ACQUIRE)
					  ? RNDIS_STATUS_MEDIA_CONNECT
					  : RNDIS_STATUS_MEDIA_DISCONNECT;
	if (send_message(netvsp, RNDIS_MSG_INDICATE, &message,
			 sizeof(message.header) + sizeof(message.indicate)) == -EBUSY)
		__atomic_store_n(&netvsp->link_pending, true, __ATOMIC_RELEASE);
}
