#include "devices/vmbus/vmbus_gpa.h"

#include <errno.h>
#include <string.h>

#include "core/guest_memory.h"
#include "proto/vmbus.h"

#define PAGE_NUMBER_MAX ((UINT64_C(1) << (64 - VMBUS_PAGE_SHIFT)) - 1)

static struct gpa_range range_at(const uint64_t *word)
{
	struct gpa_range range;

	memcpy(&range, word, sizeof(range));
	return range;
}

static uint64_t page_count_of(struct gpa_range range)
{
	return ((uint64_t)range.byte_offset + range.byte_count + VMBUS_PAGE_SIZE - 1) >>
	       VMBUS_PAGE_SHIFT;
}

int vmbus_gpa_list_init(struct vmbus_gpa_list *list, const uint64_t *words, size_t word_count,
			uint32_t range_count)
{
	size_t word = 0;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < range_count; i++) {
		struct gpa_range range;
		uint64_t pages;

		if (word >= word_count)
			return -EINVAL;
		range = range_at(&words[word++]);
		if (range.byte_offset >= VMBUS_PAGE_SIZE)
			return -EINVAL;
		pages = page_count_of(range);
		if (pages > word_count - word)
			return -EINVAL;
		for (uint64_t page = 0; page < pages; page++)
			if (words[word++] > PAGE_NUMBER_MAX)
				return -EINVAL;
		bytes += range.byte_count;
	}
	*list = (struct vmbus_gpa_list){
		.words = words,
		.word_count = word,
		.range_count = range_count,
		.byte_count = bytes,
	};
	return 0;
}

void vmbus_gpa_cursor_init(struct vmbus_gpa_cursor *cursor, const struct vmbus_gpa_list *list)
{
	*cursor = (struct vmbus_gpa_cursor){ .list = list, .ranges = list->range_count };
}

/* Steps over ends of ranges until the cursor is at a byte; false at the end of the list. */
static bool settle(struct vmbus_gpa_cursor *cursor)
{
	while (!cursor->range_left) {
		struct gpa_range range;

		if (!cursor->ranges)
			return false;
		cursor->ranges--;
		/* An empty range with an offset still has its one page. */
		range = range_at(&cursor->list->words[cursor->word++]);
		cursor->range_left = range.byte_count;
		cursor->page_offset = range.byte_offset;
		if (!range.byte_count)
			cursor->word += page_count_of(range);
	}
	return true;
}

static uint32_t left_in_page(const struct vmbus_gpa_cursor *cursor)
{
	uint32_t left = VMBUS_PAGE_SIZE - cursor->page_offset;

	return left < cursor->range_left ? left : cursor->range_left;
}

/* Moves on by at most what is left of the page. */
static void advance(struct vmbus_gpa_cursor *cursor, uint32_t len)
{
	cursor->range_left -= len;
	cursor->page_offset += len;
	if (cursor->page_offset == VMBUS_PAGE_SIZE || !cursor->range_left) {
		cursor->word++;
		cursor->page_offset = 0;
	}
}

bool vmbus_gpa_next(struct vmbus_gpa_cursor *cursor, uint64_t max, uint64_t *gpa, uint64_t *len)
{
	uint64_t start, total = 0;

	if (!settle(cursor))
		return false;
	start = (cursor->list->words[cursor->word] << VMBUS_PAGE_SHIFT) + cursor->page_offset;
	do {
		uint32_t chunk = left_in_page(cursor);

		if (chunk > max - total)
			chunk = (uint32_t)(max - total);
		total += chunk;
		advance(cursor, chunk);
	} while (total < max && settle(cursor) &&
		 (cursor->list->words[cursor->word] << VMBUS_PAGE_SHIFT) + cursor->page_offset ==
			 start + total);
	*gpa = start;
	*len = total;
	return true;
}

bool vmbus_gpa_skip(struct vmbus_gpa_cursor *cursor, uint64_t len)
{
	while (len) {
		uint32_t chunk;

		if (!settle(cursor))
			return false;
		chunk = left_in_page(cursor);
		if (chunk > len)
			chunk = (uint32_t)len;
		advance(cursor, chunk);
		len -= chunk;
	}
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
