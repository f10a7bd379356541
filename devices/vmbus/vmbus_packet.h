#ifndef DEVICES_VMBUS_VMBUS_PACKET_H
#define DEVICES_VMBUS_VMBUS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/vmbus/vmbus_gpa.h"

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

/*
 * Validates the copy of a packet, `len` bytes as vmbus_ring_read() returned them, and fills
 * *packet. -EPROTO: it breaks the protocol.
 */
int vmbus_packet_parse(const void *copy, size_t len, struct vmbus_packet *packet);

#endif
