#include "devices/net/rndis_packet.h"

#include <errno.h>
#include <string.h>

#include "core/bytes.h"
#include "core/nic.h"
#include "proto/rndis.h"

/* A frame is of one IP version, and the two sources of that agree. */
static int set_version(struct rndis_frame *frame, uint32_t version)
{
	frame->flags |= version;
	if ((frame->flags & NIC_TX_IPV4) && (frame->flags & NIC_TX_IPV6))
		return -EINVAL;
	return 0;
}

static int set_l4_offset(struct rndis_frame *frame, uint32_t offset)
{
	if (frame->l4_offset && offset && frame->l4_offset != offset)
		return -EINVAL;
	if (offset)
		frame->l4_offset = (uint16_t)offset;
	return 0;
}

static int parse_checksum(struct rndis_frame *frame, uint32_t value)
{
	static const struct {
		uint32_t ndis, nic;
	} bits[] = {
		{ NDIS_TX_CHECKSUM_TCP, NIC_TX_TCP_CHECKSUM },
		{ NDIS_TX_CHECKSUM_UDP, NIC_TX_UDP_CHECKSUM },
		{ NDIS_TX_CHECKSUM_IP_HEADER, NIC_TX_IP_CHECKSUM },
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (value & bits[i].ndis)
			flags |= bits[i].nic;
	if ((value & NDIS_TX_CHECKSUM_IS_IPV6) && !(value & NDIS_TX_CHECKSUM_IS_IPV4))
		flags &= ~(uint32_t)NIC_TX_IP_CHECKSUM; /* there is none */
	if (!flags)
		return 0;
	if ((flags & NIC_TX_TCP_CHECKSUM) && (flags & NIC_TX_UDP_CHECKSUM))
		return -EINVAL;
	frame->flags |= flags;
	if (set_version(frame, (value & NDIS_TX_CHECKSUM_IS_IPV4 ? NIC_TX_IPV4 : 0) |
				       (value & NDIS_TX_CHECKSUM_IS_IPV6 ? NIC_TX_IPV6 : 0)))
		return -EINVAL;
	return set_l4_offset(frame,
			     value >> NDIS_TX_CHECKSUM_OFFSET_SHIFT & NDIS_TX_CHECKSUM_OFFSET_MASK);
}

/* An MSS of 0 is what some drivers leave in a frame that is not to be segmented. */
static int parse_lso(struct rndis_frame *frame, uint32_t value)
{
	uint32_t mss = value & NDIS_LSO_MSS_MASK;

	if (!mss)
		return 0;
	if (!(value & NDIS_LSO_V2))
		return -EINVAL; /* version 1 was not offered */
	frame->flags |= NIC_TX_LSO;
	frame->mss = mss;
	if (set_version(frame, value & NDIS_LSO_IPV6 ? NIC_TX_IPV6 : NIC_TX_IPV4))
		return -EINVAL;
	return set_l4_offset(frame, value >> NDIS_LSO_OFFSET_SHIFT & NDIS_LSO_OFFSET_MASK);
}

static void parse_vlan(struct rndis_frame *frame, uint32_t value)
{
	frame->flags |= NIC_TX_VLAN;
	frame->vlan_tci = (uint16_t)((value & NDIS_VLAN_PRIORITY_MASK) << 13 |
				     (value & NDIS_VLAN_CFI ? 1u << 12 : 0) |
				     (value >> NDIS_VLAN_ID_SHIFT & NDIS_VLAN_ID_MASK));
}

/* One element; those that we do not know are skipped. */
static int parse_element(const uint8_t *element, const struct rndis_per_packet_info *info,
			 struct rndis_frame *frame)
{
	uint32_t value;

	if (info->size - info->ppi_offset < sizeof(value))
		return 0;
	value = load_le32(element + info->ppi_offset);
	switch (info->type) {
	case TCPIP_CHKSUM_PKTINFO:
		return parse_checksum(frame, value);
	case TCP_LARGESEND_PKTINFO:
		return parse_lso(frame, value);
	case IEEE_8021Q_INFO:
		parse_vlan(frame, value);
		return 0;
	}
	return 0;
}

int rndis_packet_parse_info(const void *copy, size_t head_len, struct rndis_frame *frame)
{
	const uint8_t *bytes = copy;
	struct rndis_packet packet;
	size_t at;

	if (head_len == RNDIS_HEAD_MIN)
		return 0;
	memcpy(&packet, bytes + RNDIS_PACKET_BASE, sizeof(packet));
	at = RNDIS_PACKET_BASE + packet.per_pkt_info_offset;
	while (at < head_len) {
		struct rndis_per_packet_info info;

		if (head_len - at < sizeof(info))
			return -EINVAL;
		memcpy(&info, bytes + at, sizeof(info));
		if (info.size < sizeof(info) || info.size > head_len - at ||
		    info.ppi_offset < sizeof(info) || info.ppi_offset > info.size)
			return -EINVAL;
		if (parse_element(bytes + at, &info, frame))
			return -EINVAL;
		at += info.size;
	}
	return 0;
}

/* --- What we send */

struct head_writer {
	uint8_t *bytes;
	size_t len;
};

static void add_info(struct head_writer *head, uint32_t type, uint32_t value)
{
	struct rndis_per_packet_info info = {
		.size = sizeof(info) + sizeof(value),
		.type = type,
		.ppi_offset = sizeof(info),
	};

	memcpy(head->bytes + head->len, &info, sizeof(info));
	store_le32(head->bytes + head->len + sizeof(info), value);
	head->len += info.size;
}

static uint32_t checksum_value(uint16_t flags)
{
	static const struct {
		uint16_t nic;
		uint16_t ndis;
	} bits[] = {
		{ NIC_RX_IP_CHECKSUM_OK, NDIS_RX_CHECKSUM_IP_SUCCEEDED },
		{ NIC_RX_IP_CHECKSUM_BAD, NDIS_RX_CHECKSUM_IP_FAILED },
		{ NIC_RX_TCP_CHECKSUM_OK, NDIS_RX_CHECKSUM_TCP_SUCCEEDED },
		{ NIC_RX_TCP_CHECKSUM_BAD, NDIS_RX_CHECKSUM_TCP_FAILED },
		{ NIC_RX_UDP_CHECKSUM_OK, NDIS_RX_CHECKSUM_UDP_SUCCEEDED },
		{ NIC_RX_UDP_CHECKSUM_BAD, NDIS_RX_CHECKSUM_UDP_FAILED },
	};
	uint32_t value = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (flags & bits[i].nic)
			value |= bits[i].ndis;
	return value;
}

static uint32_t fragment_value(const struct rndis_fragment *fragment)
{
	const struct rndis_packet_id id = {
		.version = RNDIS_PKTINFO_ID_V1,
		.flags = (uint8_t)(RNDIS_PKTINFO_SUBALLOC |
				   (fragment->first ? RNDIS_PKTINFO_FIRST_FRAG : 0) |
				   (fragment->last ? RNDIS_PKTINFO_LAST_FRAG : 0)),
		.id = fragment->id,
	};

	return load_le32(&id);
}

/* All parts of a frame say the same of it: clients look at the first's. */
size_t rndis_packet_write_head(void *bytes, const struct nic_rx *rx,
			       const struct rndis_fragment *fragment)
{
	uint32_t offset = fragment ? fragment->offset : 0;
	struct head_writer head = { bytes, RNDIS_HEAD_MIN };
	struct rndis_header header = {
		.ndis_msg_type = RNDIS_MSG_PACKET,
		.msg_len = RNDIS_RX_HEADROOM + rx->len,
	};
	struct rndis_packet packet = {
		.data_offset = RNDIS_RX_HEADROOM + offset - (uint32_t)RNDIS_PACKET_BASE,
		.data_len = rx->len - offset,
	};
	uint32_t checksum = checksum_value(rx->flags);

	if (rx->flags & NIC_RX_VLAN)
		add_info(&head, IEEE_8021Q_INFO,
			 (uint32_t)rx->vlan_tci >> 13 |
				 (rx->vlan_tci & 1u << 12 ? NDIS_VLAN_CFI : 0) |
				 (rx->vlan_tci & NDIS_VLAN_ID_MASK) << NDIS_VLAN_ID_SHIFT);
	if (checksum)
		add_info(&head, TCPIP_CHKSUM_PKTINFO, checksum);
	if (rx->flags & NIC_RX_HASH)
		add_info(&head, NBL_HASH_VALUE, rx->hash);
	if (fragment)
		add_info(&head, RNDIS_PKTINFO_ID, fragment_value(fragment));
	if (head.len > RNDIS_HEAD_MIN) {
		packet.per_pkt_info_offset = sizeof(packet);
		packet.per_pkt_info_len = (uint32_t)(head.len - RNDIS_HEAD_MIN);
	}
	memcpy(head.bytes, &header, sizeof(header));
	memcpy(head.bytes + RNDIS_PACKET_BASE, &packet, sizeof(packet));
	return head.len;
}
