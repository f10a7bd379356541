#ifndef DEVICES_VMBUS_VMBUS_GPA_H
#define DEVICES_VMBUS_VMBUS_GPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	const struct vmbus_gpa_list *list;
	size_t word;         /* of the current page's number */
	uint32_t ranges;     /* not yet started */
	uint32_t range_left; /* bytes of the current range */
	uint32_t page_offset;
};

void vmbus_gpa_cursor_init(struct vmbus_gpa_cursor *cursor, const struct vmbus_gpa_list *list);

/* Moves on by `len` bytes; false when the list ends before that. */
bool vmbus_gpa_skip(struct vmbus_gpa_cursor *cursor, uint64_t len);

/*
 * The next at most `max` bytes that are contiguous in guest memory; false at the end of the list.
 * max is at least 1.
 */
bool vmbus_gpa_next(struct vmbus_gpa_cursor *cursor, uint64_t max, uint64_t *gpa, uint64_t *len);

/* Copy [offset, offset + len) of the buffer: 0, or -EFAULT when that is not in the list or not RAM. */
int vmbus_gpa_read(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		   uint64_t offset, void *buf, size_t len);
int vmbus_gpa_write(const struct vmbus_gpa_list *list, const struct guest_memory *memory,
		    uint64_t offset, const void *buf, size_t len);

#endif
