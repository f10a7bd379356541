/* Frames from the guest: RNDIS data messages in packets, to the nic, and their completions. */

#include <errno.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/net/rndis_packet.h"
#include "devices/vmbus/vmbus_channel.h"
#include "proto/inet.h"

/* Stacks refuse to work with less; one frame a byte would be a way to keep a host busy. */
#define MSS_MIN 48u

/* Bytes of a message that are copied at first: mostly all of its head. */
#define HEAD_USUAL 96u

#define IPV4_HEADER_MIN 20u

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

/* --- Completions */

static bool try_complete(struct netvsp_channel *channel, const struct netvsp_tx_packet *packet)
{
	static const struct nvsp_message success = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE,
		.send_rndis_pkt_complete.status = NVSP_STAT_SUCCESS,
	};
	const struct nvsp_message *message = &success;
	struct nvsp_message failure;

	if (!packet->wants_completion)
		return true;
	if (packet->status != NVSP_STAT_SUCCESS) {
		failure = success;
		failure.send_rndis_pkt_complete.status = packet->status;
		message = &failure;
	}
	return vmbus_channel_complete(channel->channel, packet->trans_id, message,
				      netvsp_message_size(channel->netvsp)) != -EAGAIN;
}

static void release_packet(struct netvsp_tx *tx, struct netvsp_tx_packet *packet)
{
	packet->next = tx->free_packets;
	tx->free_packets = packet;
}

static void complete_packet(struct netvsp_channel *channel, struct netvsp_tx_packet *packet)
{
	struct netvsp_tx *tx = channel->tx;

	if (!tx->unsent && try_complete(channel, packet)) {
		release_packet(tx, packet);
		return;
	}
	packet->next = NULL;
	*tx->unsent_end = packet;
	tx->unsent_end = &packet->next;
}

static inline void put_packet(struct netvsp_channel *channel, struct netvsp_tx_packet *packet)
{
	if (!--packet->frames)
		complete_packet(channel, packet);
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
	struct nic *nic = channel->netvsp->config.nic;
	struct netvsp_tx *tx = channel->tx;

	if (!tx->waiting && !nic->ops->tx(nic, channel->index, &frame->nic)) {
		channel->kick = true;
		return;
	}
	frame->next = NULL;
	*tx->waiting_end = frame;
	tx->waiting_end = &frame->next;
}

/* --- Taking packets apart */

/*
 * A packet's bytes: those of the send buffer, then those of its page list, as contiguous pieces of RAM. Messages come
 * one behind the other, so there is a place from which the next is looked for.
 */
struct tx_source {
	struct netvsp_channel *channel;
	const struct guest_memory *memory;
	const struct nic_segment *pieces;
	unsigned int count;
	uint64_t len;  /* bytes */
	size_t copied; /* of them */
};

struct tx_place {
	unsigned int piece;
	uint64_t start; /* offset of that piece in the source */
};

/* To the piece with the byte at `offset`, which the source has, and which is not before the place. */
static inline void go_to(const struct tx_source *source, struct tx_place *place, uint64_t offset)
{
	while (offset - place->start >= source->pieces[place->piece].len)
		place->start += source->pieces[place->piece++].len;
}

/* What is at `offset` in the place's piece, and behind it there. */
static inline struct nic_segment rest_of_piece(const struct tx_source *source,
					       const struct tx_place *place, uint64_t offset)
{
	const struct nic_segment *piece = &source->pieces[place->piece];
	uint32_t skip = (uint32_t)(offset - place->start);

	return (struct nic_segment){ piece->gpa + skip, piece->len - skip };
}

/* [offset, offset + len) lies in the source, and does not begin before the place. */
static int read_source(struct tx_source *source, struct tx_place place, uint64_t offset,
		       uint8_t *buf, size_t len)
{
	source->copied += len;
	while (len) {
		struct nic_segment piece;
		size_t chunk;

		go_to(source, &place, offset);
		piece = rest_of_piece(source, &place, offset);
		chunk = piece.len < len ? piece.len : len;
		if (guest_memory_read(source->memory, piece.gpa, buf, chunk))
			return -EFAULT;
		offset += chunk;
		buf += chunk;
		len -= chunk;
	}
	return 0;
}

/* The frame's bytes, which lie in the source, and are not none. */
static int add_segments(const struct tx_source *source, struct tx_place place, uint64_t offset,
			struct netvsp_tx_frame *frame)
{
	uint32_t len = frame->nic.len;

	for (unsigned int i = 0; i < NIC_TX_SEGMENTS; i++) {
		struct nic_segment piece;

		go_to(source, &place, offset);
		piece = rest_of_piece(source, &place, offset);
		if (piece.len >= len) {
			frame->segments[i] = (struct nic_segment){ piece.gpa, len };
			frame->nic.segment_count = i + 1;
			return 0;
		}
		frame->segments[i] = piece;
		offset += piece.len;
		len -= piece.len;
	}
	return -EINVAL;
}

/* Drivers may leave the offset of the TCP or UDP header to whoever looks at the IP header. */
static int find_l4(struct tx_source *source, struct tx_place place, uint64_t data,
		   struct rndis_frame *frame)
{
	uint8_t version_length;

	if (frame->l4_offset)
		return 0;
	if (frame->flags & NIC_TX_IPV6) {
		frame->l4_offset = ETHERNET_HEADER + IPV6_HEADER;
		return 0;
	}
	if (frame->data_len <= ETHERNET_HEADER ||
	    read_source(source, place, data + ETHERNET_HEADER, &version_length, 1))
		return -EINVAL;
	frame->l4_offset = ETHERNET_HEADER + (version_length & 0xF) * 4;
	return 0;
}

static bool l4_fits(const struct rndis_frame *frame, uint32_t header)
{
	uint32_t ip = frame->flags & NIC_TX_IPV6 ? IPV6_HEADER : IPV4_HEADER_MIN;

	return frame->l4_offset >= ETHERNET_HEADER + ip &&
	       frame->l4_offset + header <= frame->data_len;
}

static int check_lso(struct tx_source *source, struct tx_place place, uint64_t data,
		     const struct rndis_frame *frame, struct nic_tx *nic)
{
	const struct netvsp *netvsp = source->channel->netvsp;
	uint32_t mtu = __atomic_load_n(&netvsp->mtu, __ATOMIC_RELAXED), tcp;
	uint8_t length;

	if (!l4_fits(frame, TCP_HEADER_MIN) ||
	    read_source(source, place, data + frame->l4_offset + 12, &length, 1))
		return -EINVAL;
	tcp = (length >> 4) * 4u;
	nic->header_len = (uint16_t)(frame->l4_offset + tcp);
	if (tcp < TCP_HEADER_MIN || nic->header_len > NIC_TX_HEADER_MAX ||
	    nic->header_len >= frame->data_len || frame->data_len > netvsp->info.max_lso)
		return -EINVAL;
	if (frame->mss < MSS_MIN || frame->mss + nic->header_len > mtu + ETHERNET_HEADER)
		return -EINVAL;
	nic->mss = (uint16_t)frame->mss;
	return 0;
}

static int check_length(const struct netvsp *netvsp, const struct rndis_frame *frame)
{
	uint32_t mtu = __atomic_load_n(&netvsp->mtu, __ATOMIC_RELAXED);

	return frame->data_len > mtu + ETHERNET_HEADER + NETVSP_VLAN_TAG ? -EINVAL : 0;
}

/* That what the guest asks for fits the frame, so that no nic need check it. */
static int check_offloads(struct tx_source *source, struct tx_place place, uint64_t data,
			  struct rndis_frame *frame, struct nic_tx *nic)
{
	const struct netvsp *netvsp = source->channel->netvsp;
	uint32_t l4 = NIC_TX_TCP_CHECKSUM | NIC_TX_UDP_CHECKSUM | NIC_TX_LSO;
	uint32_t versions = NIC_TX_IPV4 | NIC_TX_IPV6;

	if (frame->flags & ~netvsp->info.tx_offloads & ~versions)
		return -EINVAL;
	if (frame->flags & (l4 | NIC_TX_IP_CHECKSUM)) {
		if (!(frame->flags & versions) || find_l4(source, place, data, frame))
			return -EINVAL;
	}
	if ((frame->flags & NIC_TX_IP_CHECKSUM) && !l4_fits(frame, 0))
		return -EINVAL;
	if (frame->flags & NIC_TX_LSO)
		return check_lso(source, place, data, frame, nic);
	if ((frame->flags & NIC_TX_TCP_CHECKSUM) && !l4_fits(frame, TCP_HEADER_MIN))
		return -EINVAL;
	if ((frame->flags & NIC_TX_UDP_CHECKSUM) && !l4_fits(frame, UDP_HEADER))
		return -EINVAL;
	return check_length(netvsp, frame);
}

/* The message's frame, which lies in the source from `offset` on. */
static int prepare_frame(struct tx_source *source, struct tx_place place, uint64_t offset,
			 struct rndis_frame *rndis, struct netvsp_tx_frame *frame)
{
	uint64_t data = offset + rndis->data_offset;

	frame->nic = (struct nic_tx){
		.segments = frame->segments,
		.len = rndis->data_len,
		.flags = rndis->flags,
		.vlan_tci = rndis->vlan_tci,
	};
	if (rndis->data_len < ETHERNET_HEADER ||
	    (rndis->flags ? check_offloads(source, place, data, rndis, &frame->nic)
			  : check_length(source->channel->netvsp, rndis)))
		return -EINVAL;
	frame->nic.l4_offset = rndis->l4_offset;
	return add_segments(source, place, data, frame);
}

/* The head of the message at the place, copied once: what it usually is in one piece, then what is beyond. */
static int read_head(struct tx_source *source, struct tx_place place, uint64_t offset,
		     struct rndis_frame *parsed)
{
	struct nic_segment piece = rest_of_piece(source, &place, offset);
	uint8_t *head = source->channel->tx->head;
	uint64_t total = source->len - offset;
	size_t have = piece.len < HEAD_USUAL ? piece.len : HEAD_USUAL, len;

	if (have >= RNDIS_HEAD_MIN) {
		source->copied += have;
		if (guest_memory_read(source->memory, piece.gpa, head, have))
			return -EFAULT;
	} else {
		have = RNDIS_HEAD_MIN;
		if (total < have || read_source(source, place, offset, head, have))
			return -EINVAL;
	}
	if (rndis_packet_parse(head, total, parsed, &len))
		return -EINVAL;
	if (len > have && read_source(source, place, offset + have, head + have, len - have))
		return -EINVAL;
	return len > RNDIS_HEAD_MIN ? rndis_packet_parse_info(head, len, parsed) : 0;
}

/* The message at `offset`; *next is where the following one starts. */
static int take_message(struct tx_source *source, struct tx_place *place, uint64_t offset,
			struct netvsp_tx_packet *packet, uint64_t *next)
{
	struct netvsp_tx *tx = source->channel->tx;
	struct netvsp_tx_frame *frame = tx->free_frames;
	struct rndis_frame parsed;

	go_to(source, place, offset);
	if (read_head(source, *place, offset, &parsed) ||
	    prepare_frame(source, *place, offset, &parsed, frame))
		return -EINVAL;
	tx->free_frames = frame->next;
	tx->free_frame_count--;
	frame->packet = packet;
	packet->frames++;
	submit(source->channel, frame);
	*next = offset + parsed.msg_len;
	return 0;
}

static int take_messages(struct tx_source *source, struct netvsp_tx_packet *packet)
{
	struct tx_place place = { 0 };
	uint64_t offset = 0;
	unsigned int count = 0;
	int err = source->len ? 0 : -EINVAL;

	for (; !err && offset < source->len; count++)
		err = count < NETVSP_MESSAGES_MAX
			      ? take_message(source, &place, offset, packet, &offset)
			      : -EINVAL;
	netvsp_count(&source->channel->counters->copied_bytes, source->copied);
	return err;
}

/* The section of the send buffer, if there is one. Its pages are RAM. */
static int add_section(struct tx_source *source, const struct nvsp_send_rndis_packet *rndis)
{
	const struct netvsp_buffer *buffer = source->channel->send_buffer;
	uint32_t len = rndis->send_buf_section_size;

	if (rndis->send_buf_section_index == NVSP_SEND_BUFFER_NONE)
		return 0;
	if (!buffer || len > buffer->section_size ||
	    rndis->send_buf_section_index >= buffer->len / buffer->section_size)
		return -EINVAL;
	source->count =
		netvsp_buffer_segments(buffer, rndis->send_buf_section_index * buffer->section_size,
				       len, source->channel->tx->pieces, NETVSP_TX_PIECES);
	source->len = len;
	return source->count || !len ? 0 : -EINVAL;
}

static int add_list(struct tx_source *source, const struct vmbus_gpa_list *list)
{
	struct nic_segment *pieces = source->channel->tx->pieces;
	struct vmbus_gpa_cursor cursor;
	uint64_t left = list->byte_count;

	vmbus_gpa_cursor_init(&cursor, list);
	while (left) {
		uint64_t gpa, chunk;

		if (source->count == NETVSP_TX_PIECES ||
		    !vmbus_gpa_next(&cursor, left, &gpa, &chunk) || chunk > UINT32_MAX ||
		    !guest_memory_contains(source->memory, gpa, chunk))
			return -EINVAL;
		pieces[source->count++] = (struct nic_segment){ gpa, (uint32_t)chunk };
		left -= chunk;
	}
	source->len += list->byte_count;
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
		.pieces = tx->pieces,
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
	} else if (add_section(&source, &message->send_rndis_pkt) ||
		   add_list(&source, &vmbus->buffer) || take_messages(&source, packet)) {
		log_limited(LOG_DEBUG, "netvsp: the guest sent a message that cannot be");
		netvsp_count(&channel->counters->tx_errors, 1);
		packet->status = NVSP_STAT_INVALID_RNDIS_PKT;
	}
	put_packet(channel, packet);
}
