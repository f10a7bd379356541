#ifndef PARAVISOR_TPM_MEASURED_BOOT_H
#define PARAVISOR_TPM_MEASURED_BOOT_H

#include "paravisor/boot/acpi.h"
#include "paravisor/boot/linux_boot.h"
#include "paravisor/tpm/event_log.h"

struct guest_memory;
struct vtpm;

/*
 * Measures a kernel that is started without firmware, and leaves the event log in VTL0's memory where the ACPI TPM2
 * table says. docs/measured-boot.md has the PCRs. All before VTL0 runs.
 */
struct measured_boot {
	struct vtpm *vtpm;
	struct guest_memory *memory;
	struct acpi_tpm acpi;      /* for the loader's configuration */
	struct boot_region region; /* likewise: where the log goes */
	uint16_t algorithms[EVENT_DIGESTS_MAX];
	unsigned int algorithm_count; /* banks with PCRs */
	struct event_digests kernel, initrd;
};

/*
 * Before the kernel is loaded, for that moves the staged files: finds a place for the log and hashes the files.
 * 0, -ENOSPC: no room for the log; -EIO: the TPM refuses; or -errno.
 */
int measured_boot_begin(struct measured_boot *boot, struct vtpm *vtpm, struct guest_memory *memory,
			const struct linux_boot_config *config);

/* After it: extends the PCRs and writes the log. 0 or -errno. */
int measured_boot_finish(struct measured_boot *boot);

#endif
