#ifndef PARAVISOR_BOOT_ENTRY_STATE_H
#define PARAVISOR_BOOT_ENTRY_STATE_H

#include <stdint.h>

#include "paravisor/boot/boot_image.h"

struct boot_vp_state;
struct guest_memory;

/*
 * Fills *state for entering at `entry` by that protocol, `parameters` being what the kernel is told
 * (zero page or start info), and writes the GDT and the page tables that it names. -EFAULT
 */
int entry_state_prepare(struct guest_memory *gm, enum boot_protocol protocol, uint64_t entry,
			uint64_t parameters, struct boot_vp_state *state);

#endif
