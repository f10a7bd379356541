#ifndef DEVICES_VMBUS_VMBUS_PACKET_H
#define DEVICES_VMBUS_VMBUS_PACKET_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/vmbus/vmbus_gpa.h"
#include "proto/vmbus.h"

/* A packet that the guest sent, taken apart. All pointers are into the private copy. */
struct vmbus_packet {
	uint16_t type; /* VM_PKT_DATA_INBAND, _GPA_DIRECT, _XFER_PAGES or VM_PKT_COMP */
	bool wants_completion;
	uint64_t trans_id;
	const void *payload; /* 8-byte aligned */
	size_t payload_len;
	struct vmbus_gpa_list buffer; /* GPA-direct: the guest memory that it describes */
	uint16_t page_set;            /* transfer pages */
};

/* For vmbus_packet_parse(): what lies before the payload of a packet that is no plain one. */
int vmbus_packet_parse_extension(const uint8_t *extension, size_t len, struct vmbus_packet *packet);

/*
 * Validates the copy of a packet, `len` bytes as vmbus_ring_read() returned them, and fills
 * *packet. -EPROTO: it breaks the protocol.
 */
static inline int vmbus_packet_parse(const void *copy, size_t len, struct vmbus_packet *packet)
{
	const struct vmpacket_descriptor *desc = copy;
	const uint8_t *bytes = copy;
	size_t header_len;

	if (len < sizeof(*desc))
		return -EPROTO;
	header_len = desc->offset8 * 8u;
	if (header_len < sizeof(*desc) || header_len > len || desc->len8 * 8u != len ||
	    (desc->flags & ~VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED))
		return -EPROTO;
	*packet = (struct vmbus_packet){
		.type = desc->type,
		.wants_completion = desc->flags & VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED,
		.trans_id = desc->trans_id,
		.payload = bytes + header_len,
		.payload_len = len - header_len,
	};
	if (desc->type == VM_PKT_DATA_INBAND || desc->type == VM_PKT_COMP)
		return 0;
	return vmbus_packet_parse_extension(bytes + sizeof(*desc), header_len - sizeof(*desc),
					    packet);
}

#endif
