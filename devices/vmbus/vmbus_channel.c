/*
 * A channel on its loop: the device's callbacks, the rings, and what devices call. The control side
 * (vmbus_control.c) asks for work under the server's lock; the loop does it without that lock and
 * reports back.
 */

#include "devices/vmbus/vmbus_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_internal.h"

/* Packets taken in one run, so that channels of a VP share it, and room is given back in time. */
#define RUN_BUDGET 64

/* --- Work */

void vmbus_channel_schedule(struct vmbus_channel *channel, uint32_t work)
{
	bool posted;

	pthread_mutex_lock(&channel->wake_lock);
	posted = channel->work;
	channel->work |= work;
	if (!posted)
		event_loop_post_call(channel->loop, &channel->run);
	pthread_mutex_unlock(&channel->wake_lock);
}

/*
 * Passes `work` on to the wanted loop. When a run is already on its way to this one, that run does
 * it: two loops must never run one channel.
 */
static void hand_over(struct vmbus_channel *channel, uint32_t work)
{
	bool posted;

	pthread_mutex_lock(&channel->wake_lock);
	posted = channel->work;
	channel->work |= work;
	if (!posted) {
		channel->loop = channel->wanted_loop;
		event_loop_post_call(channel->loop, &channel->run);
	}
	pthread_mutex_unlock(&channel->wake_lock);
}

static bool on_wanted_loop(struct vmbus_channel *channel)
{
	bool same;

	pthread_mutex_lock(&channel->wake_lock);
	same = channel->loop == channel->wanted_loop;
	pthread_mutex_unlock(&channel->wake_lock);
	return same;
}

/* --- The guest's side */

static void signal_guest(struct vmbus_channel *channel)
{
	const struct vmbus_server_config *config = &channel->server->config;
	int err;

	if (channel->vp == VMBUS_VP_NO_INTERRUPT)
		return;
	err = config->ops->signal_event(config->ctx, channel->vp, channel->sint,
					(uint16_t)channel->flag);
	if (err)
		log_limited(LOG_WARN, "vmbus: %s cannot signal VP %u: %s", channel->ops->name,
			    channel->vp, strerror(-err));
}

static int break_channel(struct vmbus_channel *channel)
{
	if (!channel->broken)
		log_limited(LOG_WARN, "vmbus: %s: the guest's ring is corrupt, channel %u is dead",
			    channel->ops->name, channel->flag);
	channel->broken = true;
	return -EPROTO;
}

/* Shows the guest what was sent, all at once. */
static void publish(struct vmbus_channel *channel)
{
	int signal;

	if (!channel->running || channel->broken)
		return;
	signal = vmbus_ring_publish(&channel->writer);
	if (signal < 0)
		break_channel(channel);
	else if (signal)
		signal_guest(channel);
}

static void publish_deferred(struct event_deferred *deferred)
{
	publish(container_of(deferred, struct vmbus_channel, publish));
}

/* This loop may not be the channel's any more when its run ends. */
static void publish_now(struct vmbus_channel *channel)
{
	event_loop_undefer(channel->loop, &channel->publish);
	publish(channel);
}

/* --- Open and close */

static void free_rings(struct vmbus_channel *channel)
{
	event_loop_undefer(channel->loop, &channel->publish);
	free(channel->pages);
	free(channel->packets);
	channel->pages = NULL;
	channel->packets = NULL;
}

/* Host addresses of the pages of a ring GPADL: one range of whole pages. */
static int map_pages(struct vmbus_channel *channel, const struct vmbus_gpa_list *list,
		     uint32_t *count)
{
	const struct guest_memory *memory = channel->server->config.memory;
	struct gpa_range range;

	memcpy(&range, &list->words[0], sizeof(range));
	if (list->range_count != 1 || range.byte_offset || range.byte_count % VMBUS_PAGE_SIZE)
		return -EINVAL;
	*count = range.byte_count / VMBUS_PAGE_SIZE;
	channel->pages = calloc(*count ? *count : 1, sizeof(channel->pages[0]));
	if (!channel->pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < *count; i++) {
		channel->pages[i] = guest_memory_bulk(
			memory, list->words[1 + i] << VMBUS_PAGE_SHIFT, VMBUS_PAGE_SIZE);
		if (!channel->pages[i])
			return -EFAULT;
	}
	return 0;
}

/* No packet is larger than its ring, so neither need the copy be. */
static int alloc_packets(struct vmbus_channel *channel, uint32_t ring_bytes)
{
	channel->packets_size = channel->ops->max_packet & ~7u;
	if (channel->packets_size > ring_bytes)
		channel->packets_size = ring_bytes;
	channel->packets = malloc(channel->packets_size);
	return channel->packets ? 0 : -ENOMEM;
}

static int map_rings(struct vmbus_channel *channel,
		     const struct vmbus_channel_open_channel *request)
{
	uint32_t count = 0, split = request->downstream_ringbuffer_pageoffset;
	int err = map_pages(channel, &channel->ring_gpadl->list, &count);

	if (err)
		return err;
	if (split >= count)
		return -EINVAL;
	err = alloc_packets(channel, split * VMBUS_PAGE_SIZE);
	if (err)
		return err;
	err = vmbus_ring_reader_init(&channel->reader, channel->pages, split, channel->packets,
				     channel->packets_size);
	if (err)
		return err;
	return vmbus_ring_writer_init(&channel->writer, channel->pages + split, count - split);
}

static int open_device(struct vmbus_channel *channel)
{
	struct vmbus_channel_open_channel request;
	int err;

	/* The control side leaves these alone from OPENING on, but for a reopen after close. */
	pthread_mutex_lock(&channel->server->lock);
	request = channel->request;
	channel->flag = channel->id;
	pthread_mutex_unlock(&channel->server->lock);

	channel->paused = false;
	channel->broken = false;
	channel->vp = request.target_vp;
	err = map_rings(channel, &request);
	if (err)
		return err;
	channel->running = true; /* open() may already send */
	err = channel->ops->open(channel->dev, channel, request.userdata);
	if (err)
		channel->running = false;
	return err;
}

static void do_open(struct vmbus_channel *channel)
{
	int err = open_device(channel);

	if (err) {
		free_rings(channel);
		log_limited(LOG_WARN, "vmbus: %s not opened: %s", channel->ops->name,
			    strerror(-err));
	}
	pthread_mutex_lock(&channel->server->lock);
	vmbus_control_opened(channel, err);
	pthread_mutex_unlock(&channel->server->lock);
	if (!err)
		vmbus_channel_schedule(channel, VMBUS_WORK_SIGNAL);
}

static void do_close(struct vmbus_channel *channel)
{
	publish_now(channel);
	channel->running = false;
	channel->ops->close(channel->dev, channel);
}

void vmbus_channel_closed(struct vmbus_channel *channel)
{
	free_rings(channel);
	pthread_mutex_lock(&channel->server->lock);
	vmbus_control_closed(channel);
	pthread_mutex_unlock(&channel->server->lock);
}

static void do_gone(struct vmbus_channel *channel)
{
	if (channel->ops->gone)
		channel->ops->gone(channel->dev, channel);
	pthread_mutex_lock(&channel->server->lock);
	vmbus_control_gone(channel);
	pthread_mutex_unlock(&channel->server->lock);
}

/* --- Running */

/* The guest does not signal while we read; after the last packet it must again. */
static void do_ready(struct vmbus_channel *channel)
{
	if (!channel->running || channel->broken)
		return;
	vmbus_ring_mask(&channel->reader);
	channel->budget = RUN_BUDGET;
	channel->in_ready = true;
	channel->ops->ready(channel->dev, channel);
	channel->in_ready = false;
	if (channel->broken)
		return;
	if (vmbus_ring_commit(&channel->reader))
		signal_guest(channel);
	if (channel->paused)
		return;
	if (vmbus_ring_unmask(&channel->reader)) {
		vmbus_ring_mask(&channel->reader);
		vmbus_channel_schedule(channel, VMBUS_WORK_SIGNAL);
	}
}

/*
 * The interrupts move here, on the thread that raises them, and only then is the guest answered.
 * True: the channel moves too, and this loop must not touch it again.
 */
static bool do_move(struct vmbus_channel *channel)
{
	publish_now(channel);
	pthread_mutex_lock(&channel->server->lock);
	if (channel->moves)
		channel->vp = channel->move_vp;
	vmbus_control_moved(channel);
	pthread_mutex_unlock(&channel->server->lock);
	if (on_wanted_loop(channel) || !channel->running)
		return false;
	return channel->ops->may_move && channel->ops->may_move(channel->dev, channel);
}

/* On the channel's loop: whatever was asked for, in the order in which it makes sense. */
static void run(void *ctx)
{
	struct vmbus_channel *channel = ctx;
	uint32_t work;

	pthread_mutex_lock(&channel->wake_lock);
	work = channel->work;
	channel->work = 0;
	pthread_mutex_unlock(&channel->wake_lock);

	if ((work & VMBUS_WORK_OPEN) && !on_wanted_loop(channel)) {
		hand_over(channel, work);
		return;
	}
	if ((work & VMBUS_WORK_MOVE) && do_move(channel)) {
		hand_over(channel, work);
		return;
	}
	if (work & VMBUS_WORK_OPEN)
		do_open(channel);
	if (work & VMBUS_WORK_SIGNAL)
		do_ready(channel);
	if (work & VMBUS_WORK_CLOSE)
		do_close(channel);
	if (work & VMBUS_WORK_GONE)
		do_gone(channel);
}

/* --- For devices */

int vmbus_channel_receive(struct vmbus_channel *channel, struct vmbus_packet *packet)
{
	const void *copy;
	int len;

	if (!channel->running)
		return -EPIPE;
	if (channel->broken)
		return -EPROTO;
	if (channel->paused || !channel->in_ready || !channel->budget)
		return -EAGAIN;
	len = vmbus_ring_read(&channel->reader, &copy);
	if (len == -EAGAIN)
		return -EAGAIN;
	if (len < 0 || vmbus_packet_parse(copy, (size_t)len, packet))
		return break_channel(channel);
	channel->budget--;
	return 0;
}

void vmbus_channel_pause(struct vmbus_channel *channel)
{
	channel->paused = true;
}

void vmbus_channel_resume(struct vmbus_channel *channel)
{
	if (!channel->paused)
		return;
	channel->paused = false;
	vmbus_channel_schedule(channel, VMBUS_WORK_SIGNAL);
}

void vmbus_channel_wake(struct vmbus_channel *channel)
{
	vmbus_channel_schedule(channel, VMBUS_WORK_SIGNAL);
}

static int send_packet(struct vmbus_channel *channel, const struct vmbus_ring_packet *packet)
{
	int err;

	if (!channel->running)
		return -EPIPE;
	if (channel->broken)
		return -EPROTO;
	err = vmbus_ring_write(&channel->writer, packet);
	if (err == -EPROTO)
		return break_channel(channel);
	if (!event_loop_defer(channel->loop, &channel->publish))
		publish(channel);
	return err;
}

int vmbus_channel_send(struct vmbus_channel *channel, bool wants_completion, uint64_t trans_id,
		       const void *payload, size_t len)
{
	struct vmbus_ring_packet packet = {
		.type = VM_PKT_DATA_INBAND,
		.flags = wants_completion ? VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED : 0,
		.trans_id = trans_id,
		.payload = payload,
		.payload_len = len,
	};

	return send_packet(channel, &packet);
}

int vmbus_channel_complete(struct vmbus_channel *channel, uint64_t trans_id, const void *payload,
			   size_t len)
{
	struct vmbus_ring_packet packet = {
		.type = VM_PKT_COMP,
		.trans_id = trans_id,
		.payload = payload,
		.payload_len = len,
	};

	return send_packet(channel, &packet);
}

/* Few ranges a packet: netvsp sends one for each received frame it batches. */
#define SEND_RANGES_MAX 64

int vmbus_channel_send_pages(struct vmbus_channel *channel, uint64_t trans_id, uint16_t page_set,
			     const struct vmtransfer_page_range *ranges, uint32_t range_count,
			     const void *payload, size_t len)
{
	struct {
		struct vmtransfer_page_packet_header header;
		struct vmtransfer_page_range ranges[SEND_RANGES_MAX];
	} extension = { .header = { .xfer_pageset_id = page_set, .range_cnt = range_count } };
	struct vmbus_ring_packet packet = {
		.type = VM_PKT_DATA_USING_XFER_PAGES,
		.flags = VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED,
		.trans_id = trans_id,
		.extension = &extension,
		.extension_len = sizeof(extension.header) + range_count * sizeof(*ranges),
		.payload = payload,
		.payload_len = len,
	};

	if (range_count > SEND_RANGES_MAX)
		return -EMSGSIZE;
	memcpy(extension.ranges, ranges, range_count * sizeof(*ranges));
	return send_packet(channel, &packet);
}

const struct vmbus_gpa_list *vmbus_channel_gpadl_list(const struct vmbus_gpadl *gpadl)
{
	return &gpadl->list;
}

struct event_loop *vmbus_channel_loop(const struct vmbus_channel *channel)
{
	return channel->loop;
}

const struct guest_memory *vmbus_channel_memory(const struct vmbus_channel *channel)
{
	return channel->server->config.memory;
}

uint32_t vmbus_channel_version(const struct vmbus_channel *channel)
{
	return vmbus_server_version(channel->server);
}

void vmbus_channel_init(struct vmbus_channel *channel)
{
	pthread_mutex_init(&channel->wake_lock, NULL);
	channel->run = (struct event_call){ .fn = run, .ctx = channel };
	channel->publish.call = publish_deferred;
}

void vmbus_channel_free(struct vmbus_channel *channel)
{
	struct vmbus_gpadl *gpadl = channel->gpadls.head;

	while (gpadl) {
		struct vmbus_gpadl *next = gpadl->next;

		free(gpadl);
		gpadl = next;
	}
	free_rings(channel);
	pthread_mutex_destroy(&channel->wake_lock);
	free(channel);
}
