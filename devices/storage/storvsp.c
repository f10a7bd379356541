#include "devices/storage/storvsp.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/storage/scsi_lun.h"
#include "devices/vmbus/vmbus_channel.h"
#include "proto/storvsp.h"

/* Told to the guest; a buffer of that size is at most one segment a page and one more. */
#define MAX_TRANSFER (1u << 20)

/* Requests of a channel under way, answers that wait for room included. */
#define MAX_OUTSTANDING 256u

/* Requests that a channel keeps for the next packets, and the segments that each has room for. */
#define SPARES_MAX     128u
#define SPARE_SEGMENTS 24u

/*
 * While an emulated disk has requests it gains nothing from more of them, and their guest's processor
 * often is the disk's too. So the guest need not signal then: the next completion looks at its ring.
 * One that takes longer than HOLD_NS, or twice that, is not waited for, nor are the next so many.
 */
#define HOLD_NS      10000000u
#define HOLDS_PASSED 64u

/* A packet with its page list: MAX_TRANSFER in pieces, with room for clients that use ranges. */
#define MAX_PACKET 8192u

struct storvsp_channel {
	struct storvsp *storvsp;
	struct vmbus_channel *channel;
	struct storvsp_channel *next; /* sub-channels; under the lock */

	/* The channel's loop's. */
	bool closing;
	unsigned int outstanding;
	struct storvsp_request *unsent, **unsent_end; /* answers that found the ring full */
	struct storvsp_request *spares;               /* of SPARE_SEGMENTS, to be used again */
	unsigned int spare_count;
	unsigned int emulated; /* requests under way on emulated disks */
	bool held;             /* the guest's ring waits for one of them */
	unsigned int holds, holds_passed;
	struct event_timer hold_timer; /* armed when `holds` was hold_timed; or not */
	unsigned int hold_timed;
};

/* In the order in which a client goes through them. */
enum protocol_state {
	BEGIN,
	QUERY_VERSION,
	QUERY_PROPERTIES,
	END,
	READY
};

struct storvsp {
	struct storvsp_config config;
	struct storvsp_channel primary;

	pthread_mutex_t lock;
	struct scsi_lun *luns[STORVSP_TARGETS][STORVSP_LUNS]; /* references; under the lock */
	struct storvsp_channel *subs;                         /* under the lock */

	unsigned int state; /* enum protocol_state; written on the primary's loop; atomic */
	bool rescan;        /* the guest is to be told to look again; atomic */

	/* The primary's loop's. */
	uint16_t version;
	unsigned int sub_count; /* sub-channels not yet gone */
	struct event_loop *loop;

	void (*gone)(void *ctx);
	void *gone_ctx;
};

/* One packet of the guest, from its arrival until its answer is in the ring. */
struct storvsp_request {
	struct storvsp_request *next;
	struct storvsp_channel *channel;
	uint64_t trans_id;
	bool wants_completion;
	bool emulated;              /* its disk is, and it counts for the channel */
	bool spare;                 /* has SPARE_SEGMENTS segments: kept for the next packet */
	size_t packet_len;          /* of the answer too: old clients have shorter ones */
	struct vstor_packet packet; /* the guest's, then the answer */
	struct scsi_command command;
	struct disk_segment segments[];
};

static unsigned int state_of(const struct storvsp *storvsp)
{
	return __atomic_load_n(&storvsp->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct storvsp *storvsp, enum protocol_state state)
{
	__atomic_store_n(&storvsp->state, state, __ATOMIC_RELEASE);
}

/* --- Answers */

static void check_closed(struct storvsp_channel *channel);

/* False when the ring is full. */
static bool try_answer(struct storvsp_request *request)
{
	if (!request->wants_completion)
		return true;
	return vmbus_channel_complete(request->channel->channel, request->trans_id,
				      &request->packet, request->packet_len) != -EAGAIN;
}

static void free_request(struct storvsp_request *request)
{
	struct storvsp_channel *channel = request->channel;

	if (!request->spare || channel->spare_count == SPARES_MAX) {
		free(request);
		return;
	}
	request->next = channel->spares;
	channel->spares = request;
	channel->spare_count++;
}

static void free_spares(struct storvsp_channel *channel)
{
	while (channel->spares) {
		struct storvsp_request *next = channel->spares->next;

		free(channel->spares);
		channel->spares = next;
	}
	channel->spare_count = 0;
}

static void end_hold(struct storvsp_channel *channel)
{
	if (!channel->held)
		return;
	channel->held = false;
	vmbus_channel_resume(channel->channel);
}

static void release(struct storvsp_request *request)
{
	struct storvsp_channel *channel = request->channel;

	if (request->emulated) {
		channel->emulated--;
		end_hold(channel);
	}
	free_request(request);
	if (channel->outstanding-- == MAX_OUTSTANDING)
		vmbus_channel_resume(channel->channel);
	check_closed(channel);
}

/* Answers in order, so a request waits behind those that wait already. */
static void answer(struct storvsp_request *request, uint32_t status)
{
	struct storvsp_channel *channel = request->channel;

	request->packet.operation = VSTOR_OPERATION_COMPLETE_IO;
	request->packet.status = status;
	if (!channel->closing && (channel->unsent || !try_answer(request))) {
		request->next = NULL;
		*channel->unsent_end = request;
		channel->unsent_end = &request->next;
		return;
	}
	release(request);
}

static bool flush_answers(struct storvsp_channel *channel)
{
	while (channel->unsent) {
		struct storvsp_request *request = channel->unsent;

		if (!try_answer(request))
			return false;
		channel->unsent = request->next;
		if (!channel->unsent)
			channel->unsent_end = &channel->unsent;
		release(request);
	}
	return true;
}

/* --- EXECUTE_SRB */

/* NTSTATUS of a packet by its SRB's status. */
static uint32_t packet_status(uint8_t srb_status)
{
	switch (srb_status & 0x3F) {
	case SRB_STATUS_SUCCESS:
		return VSTOR_STATUS_SUCCESS;
	case SRB_STATUS_BUSY:
		return (uint32_t)VSTOR_STATUS_DEVICE_BUSY;
	case SRB_STATUS_INVALID_LUN:
		return (uint32_t)VSTOR_STATUS_DEVICE_DOES_NOT_EXIST;
	default:
		return (uint32_t)VSTOR_STATUS_IO_DEVICE_ERROR;
	}
}

static void answer_srb(struct storvsp_request *request, uint8_t srb_status)
{
	struct vmscsi_request *srb = &request->packet.vm_srb;

	srb->srb_status = srb_status;
	srb->scsi_status = request->command.status;
	srb->data_transfer_length = request->command.transferred;
	memset(srb->cdb_or_sense, 0, sizeof(srb->cdb_or_sense));
	srb->sense_info_length = 0;
	if (request->command.has_sense) {
		srb->srb_status |= SRB_STATUS_AUTOSENSE_VALID;
		srb->sense_info_length = SCSI_SENSE_SIZE;
		memcpy(srb->cdb_or_sense, request->command.sense, SCSI_SENSE_SIZE);
	}
	answer(request, packet_status(srb->srb_status));
}

/* The SRB was not fit to reach a unit. */
static void refuse_srb(struct storvsp_request *request, uint8_t srb_status)
{
	request->command.status = SCSI_CHECK_CONDITION;
	request->command.has_sense = false;
	request->command.transferred = 0;
	answer_srb(request, srb_status);
}

static void command_done(struct scsi_command *command)
{
	struct storvsp_request *request = container_of(command, struct storvsp_request, command);

	switch (command->status) {
	case SCSI_GOOD:
		answer_srb(request, SRB_STATUS_SUCCESS);
		break;
	case SCSI_BUSY:
	case SCSI_TASK_SET_FULL:
		answer_srb(request, SRB_STATUS_BUSY);
		break;
	default:
		answer_srb(request, SRB_STATUS_ERROR);
		break;
	}
}

/* A reference, or NULL. */
static struct scsi_lun *find_lun(struct storvsp *storvsp, const struct vmscsi_request *srb)
{
	struct scsi_lun *lun = NULL;

	if (srb->path_id || srb->target_id >= STORVSP_TARGETS || srb->lun >= STORVSP_LUNS)
		return NULL;
	pthread_mutex_lock(&storvsp->lock);
	lun = storvsp->luns[srb->target_id][srb->lun];
	if (lun)
		scsi_lun_get(lun);
	pthread_mutex_unlock(&storvsp->lock);
	return lun;
}

_Static_assert(STORVSP_LUNS <= SCSI_REPORT_LUNS_MAX, "all of a target's units are reported");

static void report_luns(struct storvsp *storvsp, struct storvsp_request *request)
{
	const struct vmscsi_request *srb = &request->packet.vm_srb;
	uint8_t numbers[STORVSP_LUNS];
	unsigned int count = 0;

	pthread_mutex_lock(&storvsp->lock);
	for (uint8_t number = 0; number < STORVSP_LUNS; number++)
		if (!srb->path_id && srb->target_id < STORVSP_TARGETS &&
		    storvsp->luns[srb->target_id][number])
			numbers[count++] = number;
	pthread_mutex_unlock(&storvsp->lock);
	if (scsi_report_luns(&request->command, numbers, count))
		refuse_srb(request, SRB_STATUS_INVALID_REQUEST);
	else
		command_done(&request->command);
}

static void execute_absent(struct storvsp_request *request)
{
	switch (scsi_absent_execute(&request->command)) {
	case 0:
		answer_srb(request, SRB_STATUS_SUCCESS);
		break;
	case -ENOENT:
		refuse_srb(request, SRB_STATUS_INVALID_LUN);
		break;
	default:
		refuse_srb(request, SRB_STATUS_INVALID_REQUEST);
		break;
	}
}

static void execute_srb(struct storvsp_request *request)
{
	struct storvsp *storvsp = request->channel->storvsp;
	const struct vmscsi_request *srb = &request->packet.vm_srb;
	struct scsi_command *command = &request->command;
	struct scsi_lun *lun;

	if (srb->data_transfer_length > command->data_len) {
		refuse_srb(request, SRB_STATUS_INVALID_REQUEST);
		return;
	}
	command->data_len = srb->data_transfer_length;
	memcpy(command->cdb, srb->cdb_or_sense, sizeof(command->cdb));
	for (size_t i = srb->cdb_length; i < sizeof(command->cdb); i++)
		command->cdb[i] = 0;
	if (command->data_len && srb->data_in == VMSCSI_DATA_IN)
		command->direction = SCSI_DATA_IN;
	else if (command->data_len && srb->data_in == VMSCSI_DATA_OUT)
		command->direction = SCSI_DATA_OUT;

	if (command->cdb[0] == SCSI_REPORT_LUNS) {
		report_luns(storvsp, request);
		return;
	}
	lun = find_lun(storvsp, srb);
	if (!lun) {
		execute_absent(request);
		return;
	}
	request->emulated = scsi_lun_emulated(lun);
	request->channel->emulated += request->emulated;
	scsi_lun_execute(lun, command);
}

/* --- The other operations, of the primary channel but for the resets */

static const uint16_t versions[] = {
	VMSTOR_PROTO_VERSION_WIN6, VMSTOR_PROTO_VERSION_WIN7,  VMSTOR_PROTO_VERSION_WIN8,
	VMSTOR_PROTO_VERSION_BLUE, VMSTOR_PROTO_VERSION_WIN10,
};

static uint32_t query_version(struct storvsp *storvsp, struct vstor_packet *packet)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (versions[i] != packet->version.major_minor)
			continue;
		storvsp->version = versions[i];
		set_state(storvsp, QUERY_PROPERTIES);
		return VSTOR_STATUS_SUCCESS;
	}
	return (uint32_t)VSTOR_STATUS_REVISION_MISMATCH;
}

static uint32_t query_properties(struct storvsp *storvsp, struct vstor_packet *packet)
{
	packet->properties = (struct vmstorage_channel_properties){
		.max_transfer_bytes = MAX_TRANSFER,
	};
	if (storvsp->version >= VMSTOR_PROTO_VERSION_WIN8 && storvsp->config.max_sub_channels) {
		packet->properties.flags = STORAGE_CHANNEL_SUPPORTS_MULTI_CHANNEL;
		packet->properties.max_channel_cnt = storvsp->config.max_sub_channels;
	}
	set_state(storvsp, END);
	return VSTOR_STATUS_SUCCESS;
}

static int offer_sub_channel(struct storvsp *storvsp, uint16_t index);

static uint32_t create_sub_channels(struct storvsp *storvsp, uint16_t count)
{
	if (storvsp->version < VMSTOR_PROTO_VERSION_WIN8 || storvsp->sub_count ||
	    count > storvsp->config.max_sub_channels)
		return (uint32_t)VSTOR_STATUS_INVALID_PARAMETER;
	for (uint16_t i = 0; i < count; i++) {
		int err = offer_sub_channel(storvsp, (uint16_t)(i + 1));

		if (err) {
			log_limited(LOG_WARN, "storvsp: %u of %u sub-channels offered: %s", i,
				    count, strerror(-err));
			break; /* clients use what they get */
		}
	}
	return VSTOR_STATUS_SUCCESS;
}

static uint32_t control(struct storvsp *storvsp, struct vstor_packet *packet)
{
	unsigned int state = state_of(storvsp);

	switch (packet->operation) {
	case VSTOR_OPERATION_BEGIN_INITIALIZATION:
		if (state != BEGIN)
			break;
		set_state(storvsp, QUERY_VERSION);
		return VSTOR_STATUS_SUCCESS;
	case VSTOR_OPERATION_QUERY_PROTOCOL_VERSION:
		if (state != QUERY_VERSION)
			break;
		return query_version(storvsp, packet);
	case VSTOR_OPERATION_QUERY_PROPERTIES:
		if (state != QUERY_PROPERTIES)
			break;
		return query_properties(storvsp, packet);
	case VSTOR_OPERATION_CREATE_SUB_CHANNELS:
		if (state != END && state != READY)
			break;
		return create_sub_channels(storvsp, packet->sub_channel_count);
	case VSTOR_OPERATION_END_INITIALIZATION:
		if (state != END)
			break;
		/* What changed before this, the guest is about to see anyway. */
		__atomic_store_n(&storvsp->rescan, false, __ATOMIC_RELAXED);
		set_state(storvsp, READY);
		return VSTOR_STATUS_SUCCESS;
	}
	return (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE;
}

/* --- Packets */

/* Turns the packet's page list into segments; counts them only when there is no room for them. */
static int collect_segments(const struct vmbus_packet *packet, const struct guest_memory *memory,
			    struct disk_segment *segments, unsigned int *count)
{
	struct vmbus_gpa_cursor cursor;
	uint64_t gpa, len;

	*count = 0;
	vmbus_gpa_cursor_init(&cursor, &packet->buffer);
	while (vmbus_gpa_next(&cursor, UINT64_MAX, &gpa, &len)) {
		if (!guest_memory_contains(memory, gpa, len))
			return -EFAULT;
		if (segments)
			segments[*count] = (struct disk_segment){ .gpa = gpa, .len = len };
		++*count;
	}
	return 0;
}

static size_t answer_len(size_t packet_len)
{
	if (packet_len < VSTOR_PACKET_SIZE_BEFORE_WIN8)
		return VSTOR_PACKET_SIZE_BEFORE_WIN8;
	return packet_len < sizeof(struct vstor_packet) ? packet_len : sizeof(struct vstor_packet);
}

/* Requests of ordinary size are used again: the allocator would unmap and map their pages. */
static struct storvsp_request *alloc_request(struct storvsp_channel *channel, unsigned int segments)
{
	struct storvsp_request *request = channel->spares;
	bool spare = segments <= SPARE_SEGMENTS;

	if (spare)
		segments = SPARE_SEGMENTS;
	if (spare && request) {
		channel->spares = request->next;
		channel->spare_count--;
	} else {
		request = malloc(sizeof(*request) + segments * sizeof(request->segments[0]));
	}
	if (request)
		request->spare = spare;
	return request;
}

/* A command of nothing yet; what the target needs for itself it sets up itself. */
static void init_command(struct scsi_command *command, const struct vmbus_channel *channel)
{
	command->direction = SCSI_NO_DATA;
	command->segments = NULL;
	command->segment_count = 0;
	command->data_len = 0;
	command->memory = vmbus_channel_memory(channel);
	command->loop = vmbus_channel_loop(channel);
	command->done = command_done;
	command->status = SCSI_GOOD;
	command->has_sense = false;
	command->transferred = 0;
}

/* Clients of old have shorter packets: the rest is zero. */
static void take_payload(struct vstor_packet *packet, const struct vmbus_packet *from)
{
	if (from->payload_len >= sizeof(*packet)) {
		memcpy(packet, from->payload, sizeof(*packet));
		return;
	}
	memset(packet, 0, sizeof(*packet));
	memcpy(packet, from->payload, from->payload_len);
}

/*
 * Fills in the buffer's segments when it is fit for use; otherwise the request has none, and its SRB
 * asks for more than there is. A buffer has at most as many segments as its list has words.
 */
static struct storvsp_request *with_buffer(struct storvsp_channel *channel,
					   const struct vmbus_packet *packet)
{
	const struct guest_memory *memory = vmbus_channel_memory(channel->channel);
	uint64_t len = packet->buffer.byte_count;
	unsigned int count = 0;
	struct storvsp_request *request;
	bool usable = len <= MAX_TRANSFER;

	if (usable && packet->buffer.word_count > SPARE_SEGMENTS)
		usable = !collect_segments(packet, memory, NULL, &count);
	request = alloc_request(channel, usable ? count : 0);
	if (!request)
		return NULL;
	init_command(&request->command, channel->channel);
	if (!usable || collect_segments(packet, memory, request->segments, &count))
		return request;
	request->command.segments = request->segments;
	request->command.segment_count = count;
	request->command.data_len = (uint32_t)len;
	return request;
}

/* NULL when out of memory. */
static struct storvsp_request *new_request(struct storvsp_channel *channel,
					   const struct vmbus_packet *packet)
{
	struct storvsp_request *request = with_buffer(channel, packet);

	if (!request)
		return NULL;
	request->channel = channel;
	request->emulated = false;
	request->trans_id = packet->trans_id;
	request->wants_completion = packet->wants_completion;
	request->packet_len = answer_len(packet->payload_len);
	take_payload(&request->packet, packet);
	return request;
}

static void handle_request(struct storvsp_request *request, size_t payload_len)
{
	struct storvsp_channel *channel = request->channel;
	struct storvsp *storvsp = channel->storvsp;

	if (payload_len < VSTOR_PACKET_HEADER_SIZE) {
		answer(request, (uint32_t)VSTOR_STATUS_INVALID_PARAMETER);
		return;
	}
	switch (request->packet.operation) {
	case VSTOR_OPERATION_EXECUTE_SRB:
		if (state_of(storvsp) != READY)
			answer(request, (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
		else if (payload_len < VSTOR_PACKET_SIZE_BEFORE_WIN8)
			answer(request, (uint32_t)VSTOR_STATUS_INVALID_PARAMETER);
		else
			execute_srb(request);
		break;
	case VSTOR_OPERATION_RESET_LUN:
	case VSTOR_OPERATION_RESET_BUS:
	case VSTOR_OPERATION_RESET_ADAPTER:
		/* Nothing can be stuck here for long: disks time out by themselves. */
		answer(request, VSTOR_STATUS_SUCCESS);
		break;
	default:
		answer(request, channel == &storvsp->primary
					? control(storvsp, &request->packet)
					: (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
		break;
	}
}

/* Without memory the packet is lost, and the guest's own timeout deals with it. */
static void handle_packet(struct storvsp_channel *channel, const struct vmbus_packet *packet)
{
	struct storvsp_request *request;

	if (packet->type != VM_PKT_DATA_INBAND && packet->type != VM_PKT_DATA_USING_GPA_DIRECT)
		return;
	request = new_request(channel, packet);
	if (!request) {
		log_limited(LOG_ERROR, "storvsp: out of memory, a request is lost");
		return;
	}
	channel->outstanding++;
	handle_request(request, packet->payload_len);
}

/* Asks the guest to look again at what there is; known from version 4.2 on. */
static void send_rescan(struct storvsp *storvsp)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_ENUMERATE_BUS };

	if (state_of(storvsp) != READY || storvsp->version < VMSTOR_PROTO_VERSION_WIN7 ||
	    !__atomic_exchange_n(&storvsp->rescan, false, __ATOMIC_ACQ_REL))
		return;
	if (vmbus_channel_send(storvsp->primary.channel, false, 0, &packet, sizeof(packet)) ==
	    -EAGAIN)
		__atomic_store_n(&storvsp->rescan, true, __ATOMIC_RELEASE);
}

/* A hold that was there when the timer was armed has lasted long enough. */
static void hold_expired(struct event_timer *timer)
{
	struct storvsp_channel *channel = container_of(timer, struct storvsp_channel, hold_timer);

	if (!channel->held)
		return;
	if (channel->holds == channel->hold_timed) {
		channel->holds_passed = HOLDS_PASSED;
		end_hold(channel);
		return;
	}
	channel->hold_timed = channel->holds;
	event_timer_arm(timer, event_loop_now_ns() + HOLD_NS);
}

/* The ring is empty: whether the guest has to signal for what comes next. */
static void hold(struct storvsp_channel *channel)
{
	if (!channel->emulated || channel->closing)
		return;
	if (channel->holds_passed) {
		channel->holds_passed--;
		return;
	}
	channel->held = true;
	channel->holds++;
	vmbus_channel_pause(channel->channel);
	if (channel->hold_timer.armed)
		return;
	channel->hold_timed = channel->holds;
	event_timer_arm(&channel->hold_timer, event_loop_now_ns() + HOLD_NS);
}

static void channel_ready(void *dev, struct vmbus_channel *vmbus)
{
	struct storvsp_channel *channel = dev;
	struct vmbus_packet packet;

	/* While answers wait for room no more work is taken; ready() comes when there is room. */
	if (!flush_answers(channel)) {
		vmbus_channel_pause(vmbus);
		return;
	}
	if (channel == &channel->storvsp->primary)
		send_rescan(channel->storvsp);
	if (channel->held)
		return;
	if (channel->outstanding < MAX_OUTSTANDING)
		vmbus_channel_resume(vmbus);
	while (channel->outstanding < MAX_OUTSTANDING) {
		if (vmbus_channel_receive(vmbus, &packet)) {
			hold(channel);
			return;
		}
		handle_packet(channel, &packet);
	}
	vmbus_channel_pause(vmbus);
}

/* --- Open and close */

static int channel_open(void *dev, struct vmbus_channel *vmbus, const uint8_t *user_data)
{
	struct storvsp_channel *channel = dev;
	struct storvsp *storvsp = channel->storvsp;

	(void)user_data;
	channel->closing = false;
	channel->unsent = NULL;
	channel->unsent_end = &channel->unsent;
	channel->held = false;
	event_timer_init(&channel->hold_timer, vmbus_channel_loop(vmbus), hold_expired);
	if (channel == &storvsp->primary) {
		storvsp->loop = vmbus_channel_loop(vmbus);
		set_state(storvsp, BEGIN);
	}
	return 0;
}

/* A channel is closed when its last request is done, the primary also after all sub-channels. */
static void check_closed(struct storvsp_channel *channel)
{
	struct storvsp *storvsp = channel->storvsp;

	if (!channel->closing || channel->outstanding ||
	    (channel == &storvsp->primary && storvsp->sub_count))
		return;
	channel->closing = false;
	event_timer_cancel(&channel->hold_timer);
	free_spares(channel);
	vmbus_channel_closed(channel->channel);
}

/* Answers that wait have nobody to go to any more. */
static void drop_answers(struct storvsp_channel *channel)
{
	struct storvsp_request *request = channel->unsent;

	channel->unsent = NULL;
	channel->unsent_end = &channel->unsent;
	while (request) {
		struct storvsp_request *next = request->next;

		channel->emulated -= request->emulated;
		free_request(request);
		channel->outstanding--;
		request = next;
	}
}

static void sub_close(void *dev, struct vmbus_channel *vmbus)
{
	struct storvsp_channel *channel = dev;

	(void)vmbus;
	channel->closing = true;
	drop_answers(channel);
	check_closed(channel);
}

static void primary_close(void *dev, struct vmbus_channel *vmbus)
{
	struct storvsp_channel *channel = dev, *sub;
	struct storvsp *storvsp = channel->storvsp;

	(void)vmbus;
	set_state(storvsp, BEGIN);
	channel->closing = true;
	drop_answers(channel);

	pthread_mutex_lock(&storvsp->lock);
	sub = storvsp->subs;
	storvsp->subs = NULL;
	pthread_mutex_unlock(&storvsp->lock);
	while (sub) {
		struct storvsp_channel *next = sub->next;

		vmbus_channel_rescind(sub->channel); /* it may be gone before this returns */
		sub = next;
	}
	check_closed(channel);
}

/* On the primary's loop. */
static void sub_left(void *ctx)
{
	struct storvsp *storvsp = ctx;

	storvsp->sub_count--;
	check_closed(&storvsp->primary);
}

static void sub_gone(void *dev, struct vmbus_channel *vmbus)
{
	struct storvsp_channel *channel = dev;
	struct storvsp *storvsp = channel->storvsp;

	(void)vmbus;
	free(channel);
	if (event_loop_post(storvsp->loop, sub_left, storvsp))
		log_error("storvsp: out of memory, the controller cannot close");
}

static void detach_all(struct storvsp *storvsp)
{
	for (unsigned int target = 0; target < STORVSP_TARGETS; target++)
		for (unsigned int number = 0; number < STORVSP_LUNS; number++)
			if (storvsp->luns[target][number])
				scsi_lun_put(storvsp->luns[target][number]);
}

static void primary_gone(void *dev, struct vmbus_channel *vmbus)
{
	struct storvsp_channel *channel = dev;
	struct storvsp *storvsp = channel->storvsp;

	(void)vmbus;
	detach_all(storvsp);
	if (storvsp->gone)
		storvsp->gone(storvsp->gone_ctx);
	pthread_mutex_destroy(&storvsp->lock);
	free(storvsp);
}

static const struct vmbus_channel_ops primary_ops = {
	.name = "storvsp",
	.max_packet = MAX_PACKET,
	.open = channel_open,
	.close = primary_close,
	.ready = channel_ready,
	.gone = primary_gone,
};

static const struct vmbus_channel_ops sub_ops = {
	.name = "storvsp sub-channel",
	.max_packet = MAX_PACKET,
	.open = channel_open,
	.close = sub_close,
	.ready = channel_ready,
	.gone = sub_gone,
};

static struct vmbus_offer offer_of(const struct storvsp *storvsp, uint16_t index)
{
	return (struct vmbus_offer){
		.interface = STORVSP_SCSI_INTERFACE,
		.instance = storvsp->config.instance,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE,
		.sub_channel_index = index,
	};
}

/* On the primary's loop, while it is open. */
static int offer_sub_channel(struct storvsp *storvsp, uint16_t index)
{
	struct vmbus_offer offer = offer_of(storvsp, index);
	struct storvsp_channel *channel = calloc(1, sizeof(*channel));
	int err;

	if (!channel)
		return -ENOMEM;
	channel->storvsp = storvsp;
	err = vmbus_server_offer(storvsp->config.server, &offer, &sub_ops, channel,
				 &channel->channel);
	if (err) {
		free(channel);
		return err;
	}
	storvsp->sub_count++;
	pthread_mutex_lock(&storvsp->lock);
	channel->next = storvsp->subs;
	storvsp->subs = channel;
	pthread_mutex_unlock(&storvsp->lock);
	return 0;
}

/* --- For the owner */

int storvsp_create(const struct storvsp_config *config, struct storvsp **result)
{
	struct storvsp *storvsp = calloc(1, sizeof(*storvsp));
	struct vmbus_offer offer;
	int err;

	if (!storvsp)
		return -ENOMEM;
	storvsp->config = *config;
	storvsp->primary.storvsp = storvsp;
	pthread_mutex_init(&storvsp->lock, NULL);
	offer = offer_of(storvsp, 0);
	err = vmbus_server_offer(config->server, &offer, &primary_ops, &storvsp->primary,
				 &storvsp->primary.channel);
	if (err) {
		pthread_mutex_destroy(&storvsp->lock);
		free(storvsp);
		return err;
	}
	*result = storvsp;
	return 0;
}

void storvsp_destroy(struct storvsp *storvsp, void (*gone)(void *ctx), void *ctx)
{
	storvsp->gone = gone;
	storvsp->gone_ctx = ctx;
	vmbus_channel_rescind(storvsp->primary.channel);
}

void storvsp_rescan(struct storvsp *storvsp)
{
	__atomic_store_n(&storvsp->rescan, true, __ATOMIC_RELEASE);
	vmbus_channel_wake(storvsp->primary.channel);
}

int storvsp_attach(struct storvsp *storvsp, uint8_t target, uint8_t number, struct scsi_lun *lun)
{
	int err = 0;

	if (target >= STORVSP_TARGETS || number >= STORVSP_LUNS)
		return -EINVAL;
	pthread_mutex_lock(&storvsp->lock);
	if (storvsp->luns[target][number]) {
		err = -EEXIST;
	} else {
		scsi_lun_get(lun);
		storvsp->luns[target][number] = lun;
	}
	pthread_mutex_unlock(&storvsp->lock);
	if (!err)
		storvsp_rescan(storvsp);
	return err;
}

int storvsp_detach(struct storvsp *storvsp, uint8_t target, uint8_t number)
{
	struct scsi_lun *lun;

	if (target >= STORVSP_TARGETS || number >= STORVSP_LUNS)
		return -EINVAL;
	pthread_mutex_lock(&storvsp->lock);
	lun = storvsp->luns[target][number];
	storvsp->luns[target][number] = NULL;
	pthread_mutex_unlock(&storvsp->lock);
	if (!lun)
		return -ENOENT;
	scsi_lun_put(lun);
	storvsp_rescan(storvsp);
	return 0;
}
