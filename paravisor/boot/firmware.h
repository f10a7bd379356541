#ifndef PARAVISOR_BOOT_FIRMWARE_H
#define PARAVISOR_BOOT_FIRMWARE_H

#include <stdint.h>

#include "paravisor/boot/linux_boot.h"

struct boot_vp_state;
struct guest_memory;

/*
 * VTL0 starts as a PC does: the firmware lies where the image has put it, at the end of the first 4 GiB
 * (proto/shim.h), its last 128 KiB also at the end of the first MiB, and *bsp is a processor after reset (Intel SDM
 * volume 3, 10.1). Before VTL0 runs, one thread. On failure error->text says why: -EINVAL (no whole pages, too large, or
 * elsewhere), -EFAULT (no memory there).
 */
int firmware_load(struct guest_memory *gm, struct boot_range firmware, struct boot_vp_state *bsp,
		  struct boot_error *error);

/*
 * What a PC's CMOS memory tells firmware of RAM, a byte each: below 1 MiB (15h, 16h), above it (17h, 18h, 30h, 31h),
 * from 16 MiB to the hole (34h, 35h), from 4 GiB (5Bh to 5Dh). RAM behind a gap, and so what VTL2 keeps, is not told.
 */
#define FIRMWARE_CMOS_BYTES 11

struct firmware_cmos_byte {
	uint8_t index, value;
};

void firmware_describe_memory(const struct guest_memory *gm,
			      struct firmware_cmos_byte bytes[FIRMWARE_CMOS_BYTES]);

#endif
