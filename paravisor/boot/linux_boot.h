#ifndef PARAVISOR_BOOT_LINUX_BOOT_H
#define PARAVISOR_BOOT_LINUX_BOOT_H

#include <stdint.h>
#include "paravisor/boot/memory_map.h"

struct guest_memory;
struct boot_vp_state;
struct acpi_tpm;

/*
 * Everything between "file bytes lie in VTL0's RAM" and "VTL0's first VP may run": memory map,
 * ACPI and SMBIOS tables, and the kernel brought to where its format wants it.
 */
struct linux_boot_config {
	/* As staged, raw file bytes; a length of 0 means there is none (only the kernel must be). */
	struct boot_range kernel, initrd, cmdline;

	/* APIC IDs of all VPs of VTL0, the one that starts first in front. */
	const uint32_t *apic_ids;
	unsigned int vp_count;

	/* MMIO windows that VTL0's VMBus devices may take BARs and framebuffers from. */
	const struct boot_range *mmio;
	unsigned int mmio_count;

	/* RAM that the guest must leave alone, with its E820 type. May be empty. */
	const struct boot_region *reserved;
	unsigned int reserved_count;

	const struct acpi_tpm *tpm; /* NULL: none */
};

/* One line for whoever started this guest, without a newline. */
struct boot_error {
	char text[160];
};

/*
 * Prepares VTL0's memory and *bsp. Nothing in the staged bytes is trusted. The caller's alone:
 * before VTL0 runs, one thread. The config's arrays are not kept. On failure error->text says why
 * and VTL0's RAM is in no defined state: -EINVAL (the files), -ENOSPC (does not fit in this much
 * memory), -EFAULT (staged outside RAM), -ENOMEM.
 *
 * Linux: Documentation/arch/x86/boot.rst (32- and 64-bit boot protocol, 2.06 and later);
 * PVH: xen/include/public/arch-x86/hvm/start_info.h.
 */
int linux_boot_load(struct guest_memory *gm, const struct linux_boot_config *config,
		    struct boot_vp_state *bsp, struct boot_error *error);

#endif
