#ifndef IGVM_ELF_FILE_H
#define IGVM_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/elf.h"

/* A 64-bit x86 ELF program in memory, its segments laid out at their physical addresses. */

struct elf_file {
	const uint8_t *data; /* the caller's */
	size_t len;
	uint64_t entry;
	uint64_t start, end; /* of all segments, in memory */
	uint64_t phoff;
	unsigned int phnum;
};

/*
 * Validates the headers: static, at least one loadable segment, segments in the file and in order
 * of their addresses, entry point inside one of them. 0, or -ENOEXEC and `*reason` (static).
 */
int elf_file_open(struct elf_file *elf, const void *data, size_t len, const char **reason);

/*
 * The next loadable segment: `*i` is 0 at first. Its data is at `elf->data + segment->offset`. False
 * after the last.
 */
bool elf_file_next(const struct elf_file *elf, unsigned int *i, struct elf64_segment *segment);

#endif
