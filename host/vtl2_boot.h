#ifndef HOST_VTL2_BOOT_H
#define HOST_VTL2_BOOT_H

struct partition;

/*
 * Places VTL2's kernel and initramfs in VTL2's memory, VTL0's payload in VTL0's, and sets VP 0's
 * VTL2 to the kernel's 64-bit entry (Linux, Documentation/arch/x86/boot.rst). It stands in for the
 * boot shim, and goes when the shim comes. On failure logs one line. 0 or -errno.
 */
int vtl2_boot_load(struct partition *partition);

#endif
