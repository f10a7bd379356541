#ifndef PARAVISOR_BOOT_FIRMWARE_TABLES_H
#define PARAVISOR_BOOT_FIRMWARE_TABLES_H

#include <stdint.h>

#include "paravisor/boot/linux_boot.h"

/* ACPI tables from here, SMBIOS in the half that its readers search. */
#define FIRMWARE_ACPI        MEMORY_MAP_FIRMWARE
#define FIRMWARE_SMBIOS      0xf0000ull
#define FIRMWARE_SMBIOS_SIZE 0x1000u

/*
 * Writes what a PC's firmware would leave in the first MiB: BIOS data area, ACPI and SMBIOS tables.
 * The rest of the tables' area is zeroed. memory: the guest's RAM in bytes. -ENOSPC and error->text
 * when there are too many VPs or windows; -EFAULT, -ENOMEM.
 */
int firmware_tables_write(struct guest_memory *gm, const struct linux_boot_config *config,
			  uint64_t memory, struct boot_error *error);

#endif
