#ifndef PARAVISOR_BOOT_BOOT_PARAMS_H
#define PARAVISOR_BOOT_BOOT_PARAMS_H

#include <stdint.h>

#include "paravisor/boot/memory_map.h"

struct boot_image;
struct guest_memory;

/* What the kernel is told, beside the memory map. The command line lies at LOW_CMDLINE. */
struct boot_parameters {
	const struct memory_map *map;
	const struct boot_image *image; /* loaded */
	struct boot_range initrd;       /* in its final place; len 0: none */
	uint32_t cmdline_len;           /* without the final zero */
	uint64_t rsdp;
};

/*
 * The zero page of Linux's boot protocol (zero-page.rst), at LOW_ZERO_PAGE. -ENOSPC: a kernel older
 * than boot protocol 2.09 and more than 128 ranges of memory. -EFAULT
 */
int boot_params_write(struct guest_memory *gm, const struct boot_parameters *p);

/* The start info of PVH, version 1, at LOW_START_INFO. -EFAULT */
int pvh_info_write(struct guest_memory *gm, const struct boot_parameters *p);

#endif
