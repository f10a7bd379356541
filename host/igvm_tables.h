#ifndef HOST_IGVM_TABLES_H
#define HOST_IGVM_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* Page tables of an image that is moved (IGVM_VHS_PAGE_TABLE_RELOCATION). */

struct igvm_tables {
	uint64_t gpa;  /* of the tables, as the file has it; its first page is the root */
	uint64_t size; /* bytes that may be used */
	uint64_t moved_gpa, moved_len; /* what moves, as the file has it, the tables included */
	uint64_t delta;                /* by how much, modulo 2^64 */
};

/*
 * Rewrites tables of 4 levels, which lie at `bytes` (`size` of them) with the addresses of the file: what they map to memory that
 * moves is mapped at addresses that moved along. -EINVAL when they are no such tables,
 * -ENOSPC when the new ones need more than `size`.
 */
int igvm_tables_move(const struct igvm_tables *tables, uint8_t *bytes);

#endif
