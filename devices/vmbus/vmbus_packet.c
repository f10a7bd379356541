#include "devices/vmbus/vmbus_packet.h"

#include <errno.h>
#include <string.h>

#include "proto/vmbus.h"

/* GPA-direct: a header, then ranges up to the payload. */
static int parse_gpa_direct(const uint8_t *ext, size_t len, struct vmbus_packet *packet)
{
	struct vmdata_gpa_direct_header header;

	if (len < sizeof(header))
		return -EPROTO;
	memcpy(&header, ext, sizeof(header));
	if (vmbus_gpa_list_init(&packet->buffer,
				(const uint64_t *)(const void *)(ext + sizeof(header)),
				(len - sizeof(header)) / 8, header.range_cnt))
		return -EPROTO;
	return 0;
}

/* Transfer pages: only the set matters to a server, which does not send by the guest's ranges. */
static int parse_transfer_pages(const uint8_t *ext, size_t len, struct vmbus_packet *packet)
{
	struct vmtransfer_page_packet_header header;

	if (len < sizeof(header))
		return -EPROTO;
	memcpy(&header, ext, sizeof(header));
	packet->page_set = header.xfer_pageset_id;
	return 0;
}

int vmbus_packet_parse(const void *copy, size_t len, struct vmbus_packet *packet)
{
	const uint8_t *bytes = copy;
	struct vmpacket_descriptor desc;
	size_t header_len, ext_len;

	if (len < sizeof(desc))
		return -EPROTO;
	memcpy(&desc, bytes, sizeof(desc));
	header_len = desc.offset8 * 8u;
	if (header_len < sizeof(desc) || header_len > len || desc.len8 * 8u != len ||
	    (desc.flags & ~VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED))
		return -EPROTO;
	ext_len = header_len - sizeof(desc);

	*packet = (struct vmbus_packet){
		.type = desc.type,
		.wants_completion = desc.flags & VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED,
		.trans_id = desc.trans_id,
		.payload = bytes + header_len,
		.payload_len = len - header_len,
	};
	switch (desc.type) {
	case VM_PKT_DATA_INBAND:
	case VM_PKT_COMP:
		return 0;
	case VM_PKT_DATA_USING_GPA_DIRECT:
		return parse_gpa_direct(bytes + sizeof(desc), ext_len, packet);
	case VM_PKT_DATA_USING_XFER_PAGES:
		return parse_transfer_pages(bytes + sizeof(desc), ext_len, packet);
	default:
		return -EPROTO;
	}
}
