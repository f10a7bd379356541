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

int vmbus_packet_parse_extension(const uint8_t *extension, size_t len, struct vmbus_packet *packet)
{
	switch (packet->type) {
	case VM_PKT_DATA_USING_GPA_DIRECT:
		return parse_gpa_direct(extension, len, packet);
	case VM_PKT_DATA_USING_XFER_PAGES:
		return parse_transfer_pages(extension, len, packet);
	default:
		return -EPROTO;
	}
}
