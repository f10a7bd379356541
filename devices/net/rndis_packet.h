#ifndef DEVICES_NET_RNDIS_PACKET_H
#define DEVICES_NET_RNDIS_PACKET_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"
#include "proto/rndis.h"

/* RNDIS data messages: the only parser of the guest's, the only writer of ours. */

/* A message's header, packet header and per-packet information end within so many bytes. */
#define RNDIS_HEAD_MAX 512u

/* What a message to send says about its frame. Offsets count from the message's start. */
struct rndis_frame {
	uint32_t flags;   /* enum nic_tx_flag */
	uint32_t msg_len; /* to the next message */
	uint32_t data_offset;
	uint32_t data_len;
	uint32_t mss;
	uint16_t l4_offset; /* in the frame; 0: not said */
	uint16_t vlan_tci;
};

#define RNDIS_HEAD_MIN 44u
_Static_assert(RNDIS_HEAD_MIN == sizeof(struct rndis_header) + sizeof(struct rndis_packet),
	       "RNDIS head");

/* Offsets in the packet header count from itself. */
#define RNDIS_PACKET_BASE sizeof(struct rndis_header)

/*
 * In two steps, since how long the head is stands in it. `copy`, aligned to 4, holds the first
 * RNDIS_HEAD_MIN bytes, `total` is how many bytes the guest sent from the message's start on. Fills in msg_len,
 * data_offset and data_len, and says how many bytes of head the second step needs (at most
 * RNDIS_HEAD_MAX). 0 or -EINVAL. Here, for it is part of each frame.
 */
static inline int rndis_packet_parse(const void *copy, uint64_t total, struct rndis_frame *frame,
				     size_t *head_len)
{
	const struct rndis_header *header = copy;
	const struct rndis_packet *packet = (const void *)(header + 1);
	uint64_t info_end;

	if (total < RNDIS_HEAD_MIN || header->ndis_msg_type != RNDIS_MSG_PACKET ||
	    header->msg_len < RNDIS_HEAD_MIN || header->msg_len > total)
		return -EINVAL;
	if (packet->data_offset < sizeof(*packet) ||
	    !range_within(packet->data_offset, packet->data_len,
			  header->msg_len - RNDIS_PACKET_BASE))
		return -EINVAL;
	*frame = (struct rndis_frame){
		.msg_len = header->msg_len,
		.data_offset = (uint32_t)RNDIS_PACKET_BASE + packet->data_offset,
		.data_len = packet->data_len,
	};
	*head_len = RNDIS_HEAD_MIN;
	if (!packet->per_pkt_info_len)
		return 0;
	info_end = RNDIS_PACKET_BASE + (uint64_t)packet->per_pkt_info_offset +
		   packet->per_pkt_info_len;
	if (packet->per_pkt_info_offset < sizeof(*packet) || info_end > header->msg_len ||
	    info_end > RNDIS_HEAD_MAX)
		return -EINVAL;
	*head_len = info_end;
	return 0;
}

/*
 * `copy` now holds `head_len` bytes, the first RNDIS_HEAD_MIN of them the same as before. Fills in
 * the rest from the per-packet information. 0 or -EINVAL: it does not fit together.
 */
int rndis_packet_parse_info(const void *copy, size_t head_len, struct rndis_frame *frame);

/* A frame in several messages: what one of them is of it. */
struct rndis_fragment {
	uint32_t offset; /* of its part, in what was received */
	uint16_t id;     /* of the frame */
	bool first, last;
};

/*
 * The head of a received frame: the frame follows at RNDIS_RX_HEADROOM. `fragment` is NULL when that is all of it.
 * Fills `head`, of RNDIS_RX_HEAD_MAX bytes, and returns how many of them are used.
 */
#define RNDIS_RX_HEADROOM 128u
#define RNDIS_RX_HEAD_MAX 108u
struct nic_rx;
size_t rndis_packet_write_head(void *head, const struct nic_rx *rx,
			       const struct rndis_fragment *fragment);

#endif
