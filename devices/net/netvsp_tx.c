/* Frames from the guest: RNDIS data messages in packets, to the nic, and their completions. */

#include <errno.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/net/rndis_packet.h"
#include "devices/vmbus/vmbus_channel.h"

/* Stacks refuse to work with less; one frame a byte would be a way to keep a host busy. */
#define MSS_MIN 48u

#define IPV4_HEADER_MIN 20u
#define IPV6_HEADER     40u
#define TCP_HEADER_MIN  20u
#define UDP_HEADER      8u

int netvsp_tx_init(struct netvsp_channel *channel)
{
	struct netvsp_tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return -ENOMEM;
	tx->unsent_end = &tx->unsent;
	tx->waiting_end = &tx->waiting;
	for (unsigned int i = 0; i < NETVSP_TX_PACKETS; i++) {
		tx->packets[i].next = tx->free_packets;
		tx->free_packets = &tx->packets[i];
	}
	for (unsigned int i = 0; i < NETVSP_TX_FRAMES; i++) {
		tx->frames[i].next = tx->free_frames;
		tx->free_frames = &tx->frames[i];
	}
	tx->free_frame_count = NETVSP_TX_FRAMES;
	channel->tx = tx;
	return 0;
}

void netvsp_tx_fini(struct netvsp_channel *channel)
{
	free(channel->tx);
	channel->tx = NULL;
}

/* A packet is taken only when there is room for whatever it holds. */
bool netvsp_tx_has_room(const struct netvsp_channel *channel)
{
	const struct netvsp_tx *tx = channel->tx;

	return tx->free_packets && tx->free_frame_count >= NETVSP_MESSAGES_MAX && !tx->unsent;
}

/* --- Completions */

static bool try_complete(struct netvsp_channel *channel, const struct netvsp_tx_packet *packet)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE };

	if (!packet->wants_completion)
		return true;
	message.send_rndis_pkt_complete.status = packet->status;
	return vmbus_channel_complete(channel->channel, packet->trans_id, &message,
				      netvsp_message_size(channel->netvsp)) != -EAGAIN;
}

static void release_packet(struct netvsp_tx *tx, struct netvsp_tx_packet *packet)
{
	packet->next = tx->free_packets;
	tx->free_packets = packet;
}

static void put_packet(struct netvsp_channel *channel, struct netvsp_tx_packet *packet)
{
	struct netvsp_tx *tx = channel->tx;

	if (--packet->frames)
		return;
	if (!tx->unsent && try_complete(channel, packet)) {
		release_packet(tx, packet);
		return;
	}
	packet->next = NULL;
	*tx->unsent_end = packet;
	tx->unsent_end = &packet->next;
}

bool netvsp_tx_flush(struct netvsp_channel *channel)
{
	struct netvsp_tx *tx = channel->tx;

	while (tx->unsent) {
		struct netvsp_tx_packet *packet = tx->unsent;

		if (!try_complete(channel, packet))
			return false;
		tx->unsent = packet->next;
		if (!tx->unsent)
			tx->unsent_end = &tx->unsent;
		release_packet(tx, packet);
	}
	return true;
}

static void release_frame(struct netvsp_tx *tx, struct netvsp_tx_frame *frame)
{
	frame->next = tx->free_frames;
	tx->free_frames = frame;
	tx->free_frame_count++;
}

/* A frame that the device lost is a frame lost on the wire: the guest's completion is no worse. */
void netvsp_tx_done(void *ctx, struct nic_tx *nic, int err)
{
	struct netvsp_channel *channel = ctx;
	struct netvsp_tx_frame *frame = container_of(nic, struct netvsp_tx_frame, nic);

	if (err) {
		netvsp_count(&channel->counters->tx_errors, 1);
	} else {
		netvsp_count(&channel->counters->tx_frames, 1);
		netvsp_count(&channel->counters->tx_bytes, nic->len);
	}
	put_packet(channel, frame->packet);
	release_frame(channel->tx, frame);
}

/* --- To the nic */

void netvsp_tx_submit_waiting(struct netvsp_channel *channel)
{
	struct nic *nic = channel->netvsp->config.nic;
	struct netvsp_tx *tx = channel->tx;

	while (tx->waiting) {
		struct netvsp_tx_frame *frame = tx->waiting;

		if (nic->ops->tx(nic, channel->index, &frame->nic))
			break;
		channel->kick = true;
		tx->waiting = frame->next;
		if (!tx->waiting)
			tx->waiting_end = &tx->waiting;
	}
}

/* In order, so behind those that wait already. */
static void submit(struct netvsp_channel *channel, struct netvsp_tx_frame *frame)
{
	frame->next = NULL;
	*channel->tx->waiting_end = frame;
	channel->tx->waiting_end = &frame->next;
	netvsp_tx_submit_waiting(channel);
}

/* --- Taking packets apart */

/* Where a packet's bytes are: a piece of the send buffer, then its page list. */
struct tx_source {
	struct netvsp_channel *channel;
	const struct guest_memory *memory;
	const struct netvsp_buffer *send_buffer;
	uint32_t section_offset, section_len;
	const struct vmbus_gpa_list *list;
};

static uint64_t source_len(const struct tx_source *source)
{
	return source->section_len + source->list->byte_count;
}

static int read_section(const struct tx_source *source, uint64_t offset, uint8_t *buf, size_t len)
{
	struct nic_segment pieces[NIC_TX_SEGMENTS];
	unsigned int count = netvsp_buffer_segments(source->send_buffer,
						    source->section_offset + (uint32_t)offset,
						    (uint32_t)len, pieces, NIC_TX_SEGMENTS);

	for (unsigned int i = 0; i < count; i++) {
		if (guest_memory_read(source->memory, pieces[i].gpa, buf, pieces[i].len))
			return -EFAULT;
		buf += pieces[i].len;
	}
	return count || !len ? 0 : -EFAULT;
}

static int read_source(const struct tx_source *source, uint64_t offset, void *buf, size_t len)
{
	size_t from_section = 0;

	if (offset < source->section_len) {
		from_section = source->section_len - offset;
		if (from_section > len)
			from_section = len;
		if (read_section(source, offset, buf, from_section))
			return -EFAULT;
	}
	netvsp_count(&source->channel->counters->copied_bytes, len);
	if (from_section == len)
		return 0;
	return vmbus_gpa_read(source->list, source->memory,
			      offset + from_section - source->section_len,
			      (uint8_t *)buf + from_section, len - from_section);
}

static int add_list_segments(const struct tx_source *source, uint64_t offset, uint64_t len,
			     struct netvsp_tx_frame *frame)
{
	struct vmbus_gpa_cursor cursor;
	unsigned int *count = &frame->nic.segment_count;

	vmbus_gpa_cursor_init(&cursor, source->list);
	if (!vmbus_gpa_skip(&cursor, offset))
		return -EINVAL;
	while (len) {
		uint64_t gpa, chunk;

		if (*count == NIC_TX_SEGMENTS || !vmbus_gpa_next(&cursor, len, &gpa, &chunk) ||
		    !guest_memory_contains(source->memory, gpa, chunk))
			return -EINVAL;
		frame->segments[(*count)++] = (struct nic_segment){ gpa, (uint32_t)chunk };
		len -= chunk;
	}
	return 0;
}

/* The frame's bytes, which lie inside the source. */
static int add_segments(const struct tx_source *source, uint64_t offset, uint32_t len,
			struct netvsp_tx_frame *frame)
{
	uint32_t from_section = 0;

	frame->nic.segment_count = 0;
	frame->nic.len = len;
	if (offset < source->section_len) {
		from_section = source->section_len - (uint32_t)offset;
		if (from_section > len)
			from_section = len;
		frame->nic.segment_count = netvsp_buffer_segments(
			source->send_buffer, source->section_offset + (uint32_t)offset,
			from_section, frame->segments, NIC_TX_SEGMENTS);
		if (!frame->nic.segment_count)
			return -EINVAL;
	}
	if (from_section == len)
		return 0;
	return add_list_segments(source, offset + from_section - source->section_len,
				 len - from_section, frame);
}

/* Drivers may leave the offset of the TCP or UDP header to whoever looks at the IP header. */
static int find_l4(const struct tx_source *source, uint64_t data, struct rndis_frame *frame)
{
	uint8_t version_length;

	if (frame->l4_offset)
		return 0;
	if (frame->flags & NIC_TX_IPV6) {
		frame->l4_offset = NETVSP_ETHERNET_HEADER + IPV6_HEADER;
		return 0;
	}
	if (frame->data_len <= NETVSP_ETHERNET_HEADER ||
	    read_source(source, data + NETVSP_ETHERNET_HEADER, &version_length, 1))
		return -EINVAL;
	frame->l4_offset = NETVSP_ETHERNET_HEADER + (version_length & 0xF) * 4;
	return 0;
}

static bool l4_fits(const struct rndis_frame *frame, uint32_t header)
{
	uint32_t ip = frame->flags & NIC_TX_IPV6 ? IPV6_HEADER : IPV4_HEADER_MIN;

	return frame->l4_offset >= NETVSP_ETHERNET_HEADER + ip &&
	       frame->l4_offset + header <= frame->data_len;
}

static int check_lso(const struct tx_source *source, uint64_t data, const struct rndis_frame *frame,
		     struct nic_tx *nic)
{
	const struct netvsp *netvsp = source->channel->netvsp;
	uint32_t mtu = __atomic_load_n(&netvsp->mtu, __ATOMIC_RELAXED), tcp;
	uint8_t length;

	if (!l4_fits(frame, TCP_HEADER_MIN) ||
	    read_source(source, data + frame->l4_offset + 12, &length, 1))
		return -EINVAL;
	tcp = (length >> 4) * 4u;
	nic->header_len = (uint16_t)(frame->l4_offset + tcp);
	if (tcp < TCP_HEADER_MIN || nic->header_len > NIC_TX_HEADER_MAX ||
	    nic->header_len >= frame->data_len || frame->data_len > netvsp->info.max_lso)
		return -EINVAL;
	if (frame->mss < MSS_MIN || frame->mss + nic->header_len > mtu + NETVSP_ETHERNET_HEADER)
		return -EINVAL;
	nic->mss = (uint16_t)frame->mss;
	return 0;
}

/* That what the guest asks for fits the frame, so that no nic need check it. */
static int check_offloads(const struct tx_source *source, uint64_t data, struct rndis_frame *frame,
			  struct nic_tx *nic)
{
	const struct netvsp *netvsp = source->channel->netvsp;
	uint32_t l4 = NIC_TX_TCP_CHECKSUM | NIC_TX_UDP_CHECKSUM | NIC_TX_LSO;
	uint32_t versions = NIC_TX_IPV4 | NIC_TX_IPV6;

	if (frame->flags & ~netvsp->info.tx_offloads & ~versions)
		return -EINVAL;
	if (frame->flags & (l4 | NIC_TX_IP_CHECKSUM)) {
		if (!(frame->flags & versions) || find_l4(source, data, frame))
			return -EINVAL;
	}
	if ((frame->flags & NIC_TX_IP_CHECKSUM) && !l4_fits(frame, 0))
		return -EINVAL;
	if (frame->flags & NIC_TX_LSO)
		return check_lso(source, data, frame, nic);
	if (frame->data_len > __atomic_load_n(&netvsp->mtu, __ATOMIC_RELAXED) +
				      NETVSP_ETHERNET_HEADER + NETVSP_VLAN_TAG)
		return -EINVAL;
	if ((frame->flags & NIC_TX_TCP_CHECKSUM) && !l4_fits(frame, TCP_HEADER_MIN))
		return -EINVAL;
	if ((frame->flags & NIC_TX_UDP_CHECKSUM) && !l4_fits(frame, UDP_HEADER))
		return -EINVAL;
	return 0;
}

static int prepare_frame(const struct tx_source *source, uint64_t offset,
			 const struct rndis_frame *parsed, struct netvsp_tx_frame *frame)
{
	struct rndis_frame rndis = *parsed;
	uint64_t data = offset + rndis.data_offset;

	frame->nic = (struct nic_tx){ .segments = frame->segments };
	if (rndis.data_len < NETVSP_ETHERNET_HEADER ||
	    check_offloads(source, data, &rndis, &frame->nic))
		return -EINVAL;
	frame->nic.flags = rndis.flags;
	frame->nic.l4_offset = rndis.l4_offset;
	frame->nic.vlan_tci = rndis.vlan_tci;
	return add_segments(source, data, rndis.data_len, frame);
}

/* The message at `offset`; *next is where the following one starts. */
static int take_message(const struct tx_source *source, uint64_t offset,
			struct netvsp_tx_packet *packet, uint64_t *next)
{
	struct netvsp_tx *tx = source->channel->tx;
	struct netvsp_tx_frame *frame = tx->free_frames;
	uint64_t total = source_len(source) - offset;
	uint8_t *head = tx->head;
	struct rndis_frame parsed;
	size_t head_len;

	if (total < RNDIS_HEAD_MIN || read_source(source, offset, head, RNDIS_HEAD_MIN) ||
	    rndis_packet_parse(head, total, &parsed, &head_len))
		return -EINVAL;
	if (head_len > RNDIS_HEAD_MIN &&
	    read_source(source, offset + RNDIS_HEAD_MIN, head + RNDIS_HEAD_MIN,
			head_len - RNDIS_HEAD_MIN))
		return -EINVAL;
	if (rndis_packet_parse_info(head, head_len, &parsed) ||
	    prepare_frame(source, offset, &parsed, frame))
		return -EINVAL;
	tx->free_frames = frame->next;
	tx->free_frame_count--;
	frame->packet = packet;
	packet->frames++;
	submit(source->channel, frame);
	*next = offset + parsed.msg_len;
	return 0;
}

static int take_messages(const struct tx_source *source, struct netvsp_tx_packet *packet)
{
	uint64_t offset = 0, len = source_len(source);

	for (unsigned int i = 0; offset < len; i++)
		if (i == NETVSP_MESSAGES_MAX || take_message(source, offset, packet, &offset))
			return -EINVAL;
	return len ? 0 : -EINVAL;
}

static int find_source(struct netvsp_channel *channel, const struct nvsp_send_rndis_packet *rndis,
		       struct tx_source *source)
{
	const struct netvsp_buffer *buffer = channel->send_buffer;

	if (rndis->send_buf_section_index == NVSP_SEND_BUFFER_NONE)
		return 0;
	if (!buffer || rndis->send_buf_section_size > buffer->section_size ||
	    rndis->send_buf_section_index >= buffer->len / buffer->section_size)
		return -EINVAL;
	source->send_buffer = buffer;
	source->section_offset = rndis->send_buf_section_index * buffer->section_size;
	source->section_len = rndis->send_buf_section_size;
	return 0;
}

void netvsp_tx_packet(struct netvsp_channel *channel, const struct vmbus_packet *vmbus)
{
	const struct nvsp_message *message = vmbus->payload;
	struct netvsp_tx *tx = channel->tx;
	struct netvsp_tx_packet *packet = tx->free_packets;
	struct tx_source source = {
		.channel = channel,
		.memory = vmbus_channel_memory(channel->channel),
		.list = &vmbus->buffer,
	};

	tx->free_packets = packet->next;
	*packet = (struct netvsp_tx_packet){
		.trans_id = vmbus->trans_id,
		.wants_completion = vmbus->wants_completion,
		.frames = 1,
		.status = NVSP_STAT_SUCCESS,
	};
	if (!channel->queue_open) {
		packet->status = NVSP_STAT_FAIL;
	} else if (find_source(channel, &message->send_rndis_pkt, &source) ||
		   take_messages(&source, packet)) {
		log_limited(LOG_DEBUG, "netvsp: the guest sent a message that cannot be");
		netvsp_count(&channel->counters->tx_errors, 1);
		packet->status = NVSP_STAT_INVALID_RNDIS_PKT;
	}
	put_packet(channel, packet);
}
