#ifndef IGVM_REGION_H
#define IGVM_REGION_H

#include <stddef.h>
#include <stdint.h>

struct igvm_writer;

/*
 * The part of VTL2's region that a file fills: bytes by offset, and for each page what it is. A
 * page that was never placed is not in the file.
 */

enum region_page {
	REGION_ABSENT,
	REGION_DATA,
	REGION_TAKEN, /* not in the file, and nothing else may lie there */
	REGION_SECRETS,
	REGION_CPUID
};

struct region {
	uint8_t *bytes;
	uint8_t *pages; /* enum region_page */
	uint64_t len;   /* whole pages */
};

/* `len` bytes (rounded up to pages), all absent. 0 or -ENOMEM. */
int region_init(struct region *region, uint64_t len);
void region_free(struct region *region);

/*
 * Places `len` bytes at `offset` and zeros behind them up to `memory` bytes, on pages of `kind`.
 * The pages are the caller's alone: 0, -ERANGE outside the region, -EEXIST where something lies.
 */
int region_place(struct region *region, uint64_t offset, const void *data, uint64_t len,
		 uint64_t memory, enum region_page kind);

/* Page data headers for all pages in the file, lowest first, at `gpa` + their offset. */
void region_write(const struct region *region, struct igvm_writer *writer, uint64_t gpa,
		  uint32_t mask);

/* One page of file data, or of zeros when all of it is zero. */
void region_write_page(struct igvm_writer *writer, uint64_t gpa, const uint8_t *page,
		       uint32_t mask);

#endif
