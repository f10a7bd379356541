#include "devices/vmbus/vmbus_gpa.h"

#include <errno.h>
#include <string.h>

#include "core/guest_memory.h"
#include "proto/vmbus.h"

#define PAGE_NUMBER_MAX ((UINT64_C(1) << (64 - VMBUS_PAGE_SHIFT)) - 1)

int vmbus_gpa_list_init(struct vmbus_gpa_list *list, const uint64_t *words, size_t word_count,
			uint32_t range_count)
{
	const uint64_t *word = words, *end = words + word_count;
	uint64_t bytes = 0, numbers = 0;

	for (uint32_t i = 0; i < range_count; i++) {
		struct gpa_range range;
		uint64_t pages;

		if (word == end)
			return -EINVAL;
		memcpy(&range, word++, sizeof(range));
		pages = vmbus_gpa_pages(range);
		if (range.byte_offset >= VMBUS_PAGE_SIZE || pages > (uint64_t)(end - word))
			return -EINVAL;
		bytes += range.byte_count;
		while (pages--)
			numbers |= *word++;
	}
	if (numbers > PAGE_NUMBER_MAX) /* all ones: so this says whether one of them is more */
		return -EINVAL;
	*list = (struct vmbus_gpa_list){
		.words = words,
		.word_count = (size_t)(word - words),
		.range_count = range_count,
		.byte_count = bytes,
	};
	return 0;
}

bool vmbus_gpa_skip(struct vmbus_gpa_cursor *cursor, uint64_t len)
{
	uint64_t gpa, chunk;

	for (; len; len -= chunk)
		if (!vmbus_gpa_next(cursor, len, &gpa, &chunk))
			return false;
	return true;
}

typedef int copy_fn(const struct guest_memory *memory, uint64_t gpa, uint8_t *buf, size_t len);

static int copy_out(const struct guest_memory *memory, uint64_t gpa, uint8_t *buf, size_t len)
{
	return guest_memory_read(memory, gpa, buf, len);
}

static int copy_in(const struct guest_memory *memory, uint64_t gpa, uint8_t *buf, size_t len)
{
	return guest_memory_write(memory, gpa, buf, len);
}

static int copy(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		uint64_t offset, uint8_t *buf, size_t len, copy_fn *chunk_copy)
{
	struct vmbus_gpa_cursor cursor;

	if (offset > list->byte_count || len > list->byte_count - offset)
		return -EFAULT;
	vmbus_gpa_cursor_init(&cursor, list);
	vmbus_gpa_skip(&cursor, offset);
	while (len) {
		uint64_t gpa, chunk;

		if (!vmbus_gpa_next(&cursor, len, &gpa, &chunk) ||
		    chunk_copy(memory, gpa, buf, chunk))
			return -EFAULT;
		buf += chunk;
		len -= chunk;
	}
	return 0;
}

int vmbus_gpa_read(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		   uint64_t offset, void *buf, size_t len)
{
	return copy(list, memory, offset, buf, len, copy_out);
}

int vmbus_gpa_write(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		    uint64_t offset, const void *buf, size_t len)
{
	return copy(list, memory, offset, (uint8_t *)buf, len, copy_in);
}
