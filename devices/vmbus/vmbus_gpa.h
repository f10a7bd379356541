#ifndef DEVICES_VMBUS_VMBUS_GPA_H
#define DEVICES_VMBUS_VMBUS_GPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/vmbus.h"

/*
 * Lists of guest-physical ranges, as GPADLs and GPA-direct packets carry them: for each range a
 * struct gpa_range, then one page number for each page it touches. The words are a private copy
 * that has been validated; the ranges form one buffer, each range continuing the one before it.
 */

struct guest_memory;

struct vmbus_gpa_list {
	const uint64_t *words; /* the owner's */
	size_t word_count;
	uint32_t range_count;
	uint64_t byte_count; /* of all ranges together */
};

/*
 * The only validator of such lists: fills *list or returns -EINVAL, when a range starts beyond its
 * first page, lacks pages, or has a page number that is not one. Words after the last range are
 * allowed: some clients send them. Whether the pages are RAM is checked at each use.
 */
int vmbus_gpa_list_init(struct vmbus_gpa_list *list, const uint64_t *words, size_t word_count,
			uint32_t range_count);

/* A place in a list, for going through it once. */
struct vmbus_gpa_cursor {
	const uint64_t *word; /* the current page's number, or the next range */
	uint32_t ranges;      /* not yet started */
	uint32_t range_left;  /* bytes of the current range */
	uint32_t page_offset;
};

static inline void vmbus_gpa_cursor_init(struct vmbus_gpa_cursor *cursor,
					 const struct vmbus_gpa_list *list)
{
	*cursor = (struct vmbus_gpa_cursor){ .word = list->words, .ranges = list->range_count };
}

/* Moves on by `len` bytes; false when the list ends before that. */
bool vmbus_gpa_skip(struct vmbus_gpa_cursor *cursor, uint64_t len);

/* How many pages a range has. */
static inline uint64_t vmbus_gpa_pages(struct gpa_range range)
{
	return ((uint64_t)range.byte_offset + range.byte_count + VMBUS_PAGE_SIZE - 1) >>
	       VMBUS_PAGE_SHIFT;
}

/* To the next range with a byte in it; false at the end of the list. */
static inline bool vmbus_gpa_next_range(struct vmbus_gpa_cursor *cursor)
{
	struct gpa_range range;

	do {
		if (!cursor->ranges)
			return false;
		cursor->ranges--;
		memcpy(&range, cursor->word++, sizeof(range));
		if (!range.byte_count) /* with an offset it still has its one page */
			cursor->word += vmbus_gpa_pages(range);
	} while (!range.byte_count);
	cursor->range_left = range.byte_count;
	cursor->page_offset = range.byte_offset;
	return true;
}

/*
 * The next at most `max` bytes that are of one range and contiguous in guest memory; false at the end of
 * the list. max is at least 1. Here, for it is part of each frame and each request.
 */
static inline bool vmbus_gpa_next(struct vmbus_gpa_cursor *cursor, uint64_t max, uint64_t *gpa,
				  uint64_t *len)
{
	const uint64_t *first = cursor->word;
	uint64_t pages = 1, end, total;

	if (!cursor->range_left) {
		if (!vmbus_gpa_next_range(cursor))
			return false;
		first = cursor->word;
	}
	total = cursor->range_left < max ? cursor->range_left : max;
	while ((pages << VMBUS_PAGE_SHIFT) - cursor->page_offset < total &&
	       first[pages] == first[0] + pages)
		pages++;
	if (total > (pages << VMBUS_PAGE_SHIFT) - cursor->page_offset)
		total = (pages << VMBUS_PAGE_SHIFT) - cursor->page_offset;
	*gpa = (first[0] << VMBUS_PAGE_SHIFT) + cursor->page_offset;
	*len = total;

	end = cursor->page_offset + total;
	cursor->range_left -= (uint32_t)total;
	cursor->page_offset = end % VMBUS_PAGE_SIZE;
	/* Of a range that ends here, the last page is over too. */
	cursor->word =
		first + (end + (cursor->range_left ? 0 : VMBUS_PAGE_SIZE - 1)) / VMBUS_PAGE_SIZE;
	return true;
}

/* Copy [offset, offset + len) of the buffer: 0, or -EFAULT when that is not in the list or not RAM. */
int vmbus_gpa_read(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		   uint64_t offset, void *buf, size_t len);
int vmbus_gpa_write(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		    uint64_t offset, const void *buf, size_t len);

#endif
