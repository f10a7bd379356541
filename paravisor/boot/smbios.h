#ifndef PARAVISOR_BOOT_SMBIOS_H
#define PARAVISOR_BOOT_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes an SMBIOS 3.0 entry point and the structures that the specification (DSP0134, annex A)
 * asks of every machine and that make sense for this one, to be found at `gpa` (16-byte aligned,
 * in the 64 KiB below 1 MiB). memory: the guest's RAM in bytes. *len: bytes used. Pure. -ENOSPC,
 * -EINVAL.
 */
int smbios_build(uint64_t memory, uint64_t gpa, void *buf, size_t cap, size_t *len);

#endif
