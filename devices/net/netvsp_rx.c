/*
 * Frames to the guest. The nic writes them straight into sections of the guest's receive buffer;
 * we put the RNDIS head before each and send the guest a packet that names the sections, which are
 * the guest's until it completes that packet.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/guest_access.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/net/rndis_packet.h"
#include "devices/vmbus/vmbus_channel.h"
#include "proto/rndis.h"
#include "proto/vmbus.h"

#define NONE UINT32_MAX

static int init_buffer(const struct netvsp_channel *channel, uint32_t section,
		       struct netvsp_rx_buffer *buffer)
{
	const struct netvsp_buffer *receive = channel->receive_buffer;
	uint32_t offset = section * receive->section_size;

	/* In one page, which is RAM as long as we have the buffer. */
	buffer->head = guest_memory_bulk(vmbus_channel_memory(channel->channel),
					 netvsp_buffer_gpa(receive, offset), RNDIS_RX_HEADROOM);
	if (!buffer->head)
		return -EINVAL;
	buffer->nic.segment_count = netvsp_buffer_segments(
		receive, offset + RNDIS_RX_HEADROOM, receive->section_size - RNDIS_RX_HEADROOM,
		buffer->nic.segments, NIC_RX_SEGMENTS);
	return buffer->nic.segment_count ? 0 : -EINVAL;
}

int netvsp_rx_init(struct netvsp_channel *channel)
{
	const struct netvsp_buffer *receive = channel->receive_buffer;
	struct netvsp_rx *rx = &channel->rx;

	*rx = (struct netvsp_rx){ .free = NONE, .unsent = NONE, .unsent_last = NONE };
	rx->buffers = calloc(receive->per_queue, sizeof(rx->buffers[0]));
	if (!rx->buffers)
		return -ENOMEM;
	rx->buffer_count = receive->per_queue;
	rx->first_section = NETVSP_CONTROL_SECTIONS + channel->index * receive->per_queue;
	for (uint32_t i = rx->buffer_count; i-- > 0;) {
		if (init_buffer(channel, rx->first_section + i, &rx->buffers[i])) {
			netvsp_rx_fini(channel);
			return -EINVAL;
		}
		rx->buffers[i].next = rx->free;
		rx->free = i;
	}
	return 0;
}

void netvsp_rx_fini(struct netvsp_channel *channel)
{
	free(channel->rx.buffers);
	channel->rx = (struct netvsp_rx){ .free = NONE, .unsent = NONE, .unsent_last = NONE };
}

static void release(struct netvsp_rx *rx, struct netvsp_rx_buffer *buffer)
{
	buffer->next = rx->free;
	rx->free = (uint32_t)(buffer - rx->buffers);
}

void netvsp_rx_post(struct netvsp_channel *channel)
{
	struct nic *nic = channel->netvsp->config.nic;
	struct netvsp_rx *rx = &channel->rx;

	while (rx->free != NONE) {
		struct netvsp_rx_buffer *buffer = &rx->buffers[rx->free];

		if (nic->ops->rx_post(nic, channel->index, &buffer->nic))
			break;
		rx->free = buffer->next;
		channel->kick = true;
	}
}

/* --- Filters: what the nic cannot know */

static bool in_multicast_list(struct netvsp *netvsp, const uint8_t *address)
{
	bool found = false;

	pthread_mutex_lock(&netvsp->lock);
	for (uint32_t i = 0; i < netvsp->multicast_count && !found; i++)
		found = !memcmp(netvsp->multicast[i], address, NIC_MAC_SIZE);
	pthread_mutex_unlock(&netvsp->lock);
	return found;
}

/* The common filters let every group address through; only others cost a look at the frame. */
static bool filtered(struct netvsp_channel *channel, const struct netvsp_rx_buffer *buffer)
{
	static const uint8_t broadcast[NIC_MAC_SIZE] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
	const uint32_t usual = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_ALL_MULTICAST |
			       NDIS_PACKET_TYPE_BROADCAST;
	struct netvsp *netvsp = channel->netvsp;
	uint32_t filter = __atomic_load_n(&netvsp->filter, __ATOMIC_RELAXED);
	uint8_t address[NIC_MAC_SIZE];

	if (!filter)
		return true;
	if ((filter & NDIS_PACKET_TYPE_PROMISCUOUS) || (filter & usual) == usual)
		return false;
	if (guest_memory_read(vmbus_channel_memory(channel->channel), buffer->nic.segments[0].gpa,
			      address, sizeof(address)))
		return true;
	if (!(address[0] & 1))
		return !(filter & NDIS_PACKET_TYPE_DIRECTED);
	if (!memcmp(address, broadcast, sizeof(address)))
		return !(filter & NDIS_PACKET_TYPE_BROADCAST);
	if (filter & NDIS_PACKET_TYPE_ALL_MULTICAST)
		return false;
	return !(filter & NDIS_PACKET_TYPE_MULTICAST) || !in_multicast_list(netvsp, address);
}

/* --- From the nic to the ring */

int netvsp_rx_write_head(struct netvsp_channel *channel, const struct netvsp_rx_buffer *buffer,
			 const struct rndis_fragment *fragment)
{
	uint8_t head[RNDIS_RX_HEAD_MAX];
	size_t len = rndis_packet_write_head(head, &buffer->nic, fragment);

	netvsp_count(&channel->counters->copied_bytes, len);
	return guest_access_copy(buffer->head, head, len);
}

void netvsp_rx_queue(struct netvsp_channel *channel, const struct netvsp_rx_run *run)
{
	struct netvsp_rx *rx = &channel->rx;

	rx->buffers[run->first].parts = run->parts;
	rx->buffers[run->last].next = NONE;
	if (rx->unsent == NONE)
		rx->unsent = run->first;
	else
		rx->buffers[rx->unsent_last].next = run->first;
	rx->unsent_last = run->last;
	netvsp_count(&channel->counters->rx_frames, run->frames);
	netvsp_count(&channel->counters->rx_bytes, run->bytes);
}

static void release_run(struct netvsp_rx *rx, const struct netvsp_rx_run *run)
{
	uint32_t number = run->first;

	for (uint32_t i = 0; i < run->parts; i++) {
		uint32_t next = rx->buffers[number].next;

		release(rx, &rx->buffers[number]);
		number = next;
	}
}

void netvsp_rx_drop(struct netvsp_channel *channel, const struct netvsp_rx_run *run)
{
	netvsp_count(&channel->counters->rx_errors, run->frames);
	release_run(&channel->rx, run);
}

static uint32_t capacity(const struct netvsp_channel *channel)
{
	return channel->receive_buffer->section_size - RNDIS_RX_HEADROOM;
}

/* The nic's buffers of a send become a list of ours; what it says of the first is of all. */
static struct netvsp_rx_run link_parts(struct netvsp_channel *channel, struct nic_rx *nic)
{
	struct netvsp_rx_buffer *buffer = container_of(nic, struct netvsp_rx_buffer, nic);
	struct netvsp_rx_run run = { .first = (uint32_t)(buffer - channel->rx.buffers),
				     .parts = 1,
				     .frames = nic->frames,
				     .bytes = nic->len };

	for (struct nic_rx *part = nic->next; part; part = part->next, run.parts++) {
		struct netvsp_rx_buffer *next = container_of(part, struct netvsp_rx_buffer, nic);

		part->flags = nic->flags;
		part->hash = nic->hash;
		part->vlan_tci = nic->vlan_tci;
		buffer->next = (uint32_t)(next - channel->rx.buffers);
		buffer = next;
		buffer->parts = 0;
		run.bytes += part->len;
	}
	run.last = (uint32_t)(buffer - channel->rx.buffers);
	return run;
}

static void receive_uncut(struct netvsp_channel *channel, struct netvsp_rx_buffer *buffer)
{
	struct netvsp_rx_run run = link_parts(channel, &buffer->nic);

	if (filtered(channel, buffer)) {
		netvsp_count(&channel->counters->rx_filtered, run.frames);
		release_run(&channel->rx, &run);
		return;
	}
	netvsp_rsc_take_uncut(channel, &run);
}

void netvsp_rx_frame(void *ctx, struct nic_rx *nic, int err)
{
	struct netvsp_channel *channel = ctx;
	struct netvsp_rx_buffer *buffer = container_of(nic, struct netvsp_rx_buffer, nic);
	uint32_t number = (uint32_t)(buffer - channel->rx.buffers);

	if (!__atomic_load_n(&channel->netvsp->rx_checksums, __ATOMIC_RELAXED))
		nic->flags &= NIC_RX_VLAN | NIC_RX_HASH | NIC_RX_UNCUT;
	if (!err && (nic->flags & NIC_RX_UNCUT)) {
		receive_uncut(channel, buffer);
		return;
	}
	if (err || nic->len < ETHERNET_HEADER || nic->len > capacity(channel)) {
		if (err != -ECANCELED)
			netvsp_count(&channel->counters->rx_errors, 1);
	} else if (filtered(channel, buffer)) {
		netvsp_count(&channel->counters->rx_filtered, 1);
	} else if ((nic->flags & NIC_RX_TCP_CHECKSUM_OK) && netvsp_rsc_take(channel, buffer)) {
		return;
	} else if (netvsp_rx_write_head(channel, buffer, NULL)) {
		netvsp_count(&channel->counters->rx_errors, 1);
	} else {
		netvsp_rx_queue(channel, &(struct netvsp_rx_run){ number, number, 1, 1, nic->len });
		return;
	}
	release(&channel->rx, buffer);
}

/* One packet of as many frames as it takes, each with all its sections: 0, or what the ring says. */
static int send_batch(struct netvsp_channel *channel)
{
	struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_DATA, NVSP_SEND_BUFFER_NONE, 0 },
	};
	struct vmtransfer_page_range ranges[NETVSP_SEND_RANGES];
	const struct netvsp_buffer *receive = channel->receive_buffer;
	struct netvsp_rx *rx = &channel->rx;
	uint32_t head = rx->unsent, number = head, count = 0, last = head;
	int err;

	while (number != NONE && count + rx->buffers[number].parts <= NETVSP_SEND_RANGES) {
		ranges[count++] = (struct vmtransfer_page_range){
			.byte_count = RNDIS_RX_HEADROOM + rx->buffers[number].nic.len,
			.byte_offset = (rx->first_section + number) * receive->section_size,
		};
		last = number;
		number = rx->buffers[number].next;
	}
	err = vmbus_channel_send_pages(channel->channel, (uint64_t)head + 1, receive->id, ranges,
				       count, &message, netvsp_message_size(channel->netvsp));
	if (err)
		return err;
	rx->buffers[head].count = count;
	rx->buffers[last].next = NONE;
	rx->unsent = number;
	return 0;
}

/* What the ring does not take now waits for ready(), or goes with the queue. */
void netvsp_rx_flush(struct netvsp_channel *channel)
{
	netvsp_rsc_finish(channel);
	while (channel->queue_open && channel->rx.unsent != NONE)
		if (send_batch(channel))
			return;
}

/* The guest gives a packet's sections back. Numbers it makes up are of packets it does not have. */
void netvsp_rx_complete(struct netvsp_channel *channel, uint64_t trans_id)
{
	struct netvsp_rx *rx = &channel->rx;
	uint32_t number, count;

	if (!trans_id || trans_id > rx->buffer_count || !rx->buffers[trans_id - 1].count) {
		log_limited(LOG_DEBUG, "netvsp: the guest completed what was not sent");
		return;
	}
	number = (uint32_t)trans_id - 1;
	count = rx->buffers[number].count;
	rx->buffers[number].count = 0;
	while (count--) {
		uint32_t next = rx->buffers[number].next;

		release(rx, &rx->buffers[number]);
		number = next;
	}
}
