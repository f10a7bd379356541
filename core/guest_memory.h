#ifndef CORE_GUEST_MEMORY_H
#define CORE_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/guest_access.h"

/*
 * Bounded access to a guest's physical memory. What lies there can change while it is read: copy
 * once into a local, validate the copy, use the copy.
 */

/* For the inline functions below; others leave it alone. */
struct guest_memory_ram {
	uint64_t gpa, len;
	uint8_t *base;
};

/* Sorted by gpa; fixed once VTL0 runs, so nothing here locks. */
struct guest_memory {
	struct guest_memory_ram *ranges;
	unsigned int count;
};

/* Returns NULL when out of memory. */
struct guest_memory *guest_memory_create(void);
void guest_memory_destroy(struct guest_memory *gm);

/*
 * Makes accesses to pages that turn out to be protected fail with -EFAULT rather than end the
 * process (core/guest_access.h has the details). Once, before other threads exist. 0 or -errno.
 */
int guest_memory_install_fault_handler(void);

/*
 * Adds RAM at [gpa, gpa + len), found at host address `base`, both page-aligned. The mapping stays
 * the caller's and outlives gm. Before VTL0 runs only. -EEXIST on overlap, -EINVAL, -ENOMEM.
 */
int guest_memory_add(struct guest_memory *gm, uint64_t gpa, void *base, uint64_t len);

/*
 * For bulk data transfer and shared rings only: a pointer to [gpa, gpa + len) when that lies in one
 * RAM range, else NULL. What it points at is the guest's and changes at any moment; touching it
 * directly can fault, core/guest_access.h has copies that cannot. Here, for it is part of each frame
 * and each request: there are a handful of ranges, low RAM, high RAM, tables.
 */
static inline void *guest_memory_bulk(const struct guest_memory *gm, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < gm->count; i++) {
		const struct guest_memory_ram *range = &gm->ranges[i];
		uint64_t offset = gpa - range->gpa; /* of what lies below: beyond the end */

		if (offset < range->len)
			return len <= range->len - offset ? range->base + offset : NULL;
	}
	return NULL;
}

/* True when the whole range is RAM. */
bool guest_memory_contains_pieces(const struct guest_memory *gm, uint64_t gpa, uint64_t len);
static inline bool guest_memory_contains(const struct guest_memory *gm, uint64_t gpa, uint64_t len)
{
	return guest_memory_bulk(gm, gpa, len) || guest_memory_contains_pieces(gm, gpa, len);
}

/*
 * All or nothing: -EFAULT when any byte of the range is not RAM. Also -EFAULT when a page of it
 * faults; then a part may have been copied. Accesses of 1, 2, 4 and 8 bytes, naturally aligned, are
 * single loads and stores. Any thread.
 */
int guest_memory_read_pieces(const struct guest_memory *gm, uint64_t gpa, void *buf, size_t len);
static inline int guest_memory_read(const struct guest_memory *gm, uint64_t gpa, void *buf,
				    size_t len)
{
	const void *whole = guest_memory_bulk(gm, gpa, len);

	return whole ? guest_access_copy(buf, whole, len)
		     : guest_memory_read_pieces(gm, gpa, buf, len);
}

int guest_memory_write_pieces(const struct guest_memory *gm, uint64_t gpa, const void *buf,
			      size_t len);
static inline int guest_memory_write(const struct guest_memory *gm, uint64_t gpa, const void *buf,
				     size_t len)
{
	void *whole = guest_memory_bulk(gm, gpa, len);

	return whole ? guest_access_copy(whole, buf, len)
		     : guest_memory_write_pieces(gm, gpa, buf, len);
}

int guest_memory_fill(const struct guest_memory *gm, uint64_t gpa, uint8_t byte, size_t len);

/*
 * Compare-and-swap of 1, 2, 4 or 8 bytes, naturally aligned. *expected receives what was there.
 * 0 swapped, -EAGAIN not equal, -EFAULT, -EINVAL.
 */
int guest_memory_cmpxchg(const struct guest_memory *gm, uint64_t gpa, uint64_t *expected,
			 uint64_t desired, unsigned int size);

/* RAM ranges in address order, for memory maps: 0, or -ENOENT past the last. */
int guest_memory_range(const struct guest_memory *gm, unsigned int index, uint64_t *gpa,
		       uint64_t *len);

#endif
