/* Send and receive buffers: guest memory that all channels of a card use. */

#include <stdlib.h>
#include <string.h>

#include "devices/net/netvsp_internal.h"
#include "devices/vmbus/vmbus_channel.h"
#include "proto/vmbus.h"

/*
 * Clients send one range of whole pages, and so a place in the buffer is found without a search.
 * That the pages are RAM the VMBus server has checked.
 */
static bool usable(const struct vmbus_gpa_list *list)
{
	struct gpa_range range;

	memcpy(&range, &list->words[0], sizeof(range));
	return list->range_count == 1 && !range.byte_offset && range.byte_count &&
	       range.byte_count % VMBUS_PAGE_SIZE == 0;
}

struct netvsp_buffer *netvsp_buffer_create(struct vmbus_channel *owner, uint32_t id)
{
	struct vmbus_gpadl *gpadl = vmbus_channel_gpadl_get(owner, id);
	struct netvsp_buffer *buffer = NULL;
	const struct vmbus_gpa_list *list;

	if (!gpadl)
		return NULL;
	list = vmbus_channel_gpadl_list(gpadl);
	if (usable(list))
		buffer = calloc(1, sizeof(*buffer));
	if (!buffer) {
		vmbus_channel_gpadl_put(owner, gpadl);
		return NULL;
	}
	buffer->references = 1;
	buffer->owner = owner;
	buffer->gpadl = gpadl;
	buffer->pages = &list->words[1];
	buffer->len = (uint32_t)list->byte_count;
	return buffer;
}

struct netvsp_buffer *netvsp_buffer_get(struct netvsp_buffer *buffer)
{
	if (buffer)
		__atomic_fetch_add(&buffer->references, 1, __ATOMIC_RELAXED);
	return buffer;
}

void netvsp_buffer_put(struct netvsp_buffer *buffer)
{
	if (!buffer || __atomic_sub_fetch(&buffer->references, 1, __ATOMIC_ACQ_REL))
		return;
	vmbus_channel_gpadl_put(buffer->owner, buffer->gpadl);
	free(buffer);
}

unsigned int netvsp_buffer_segments(const struct netvsp_buffer *buffer, uint32_t offset,
				    uint32_t len, struct nic_segment *segments, unsigned int max)
{
	unsigned int count = 0;

	while (len) {
		uint64_t gpa = netvsp_buffer_gpa(buffer, offset);
		uint32_t chunk = VMBUS_PAGE_SIZE - (offset & (VMBUS_PAGE_SIZE - 1));

		if (chunk > len)
			chunk = len;
		if (count && segments[count - 1].gpa + segments[count - 1].len == gpa) {
			segments[count - 1].len += chunk;
		} else {
			if (count == max)
				return 0;
			segments[count++] = (struct nic_segment){ gpa, chunk };
		}
		offset += chunk;
		len -= chunk;
	}
	return count;
}
