#ifndef PARAVISOR_BOOT_ACPI_H
#define PARAVISOR_BOOT_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "paravisor/boot/memory_map.h"

struct byte_writer;

/* A TPM 2.0 with a CRB or FIFO interface (TCG ACPI Specification 1.2, section 8). */
struct acpi_tpm {
	uint32_t base, len;    /* its registers */
	uint32_t start_method; /* 6: FIFO (TIS), 7: CRB */
	uint64_t control_area; /* CRB only, else 0 */
	uint64_t log_gpa;      /* event log, RAM that the caller reserved; 0: none */
	uint32_t log_len;
	uint32_t ppi; /* registers of the physical presence interface (paravisor/tpm/ppi.h); 0: none */
};

/* As many as names in the DSDT have digits for. */
#define ACPI_PROCESSORS_MAX 0x1000

/* What the tables describe. docs/linux-boot.md lists what is always there. */
struct acpi_config {
	const uint32_t *apic_ids; /* of every VP; the VP's index is its ACPI processor UID */
	unsigned int vp_count;
	const struct boot_range *mmio; /* windows of the VMBus root device */
	unsigned int mmio_count;
	const struct acpi_tpm *tpm; /* NULL: none */
};

/*
 * Writes RSDP, XSDT, FADT, FACS, DSDT, MADT and what else the config asks for into buf, to be found
 * by the guest at `gpa` (64-byte aligned; the RSDP is the first of them). *len: bytes used. ACPI
 * 6.5 chapter 5. Pure. -ENOSPC when cap bytes are too few, -EINVAL for a misaligned gpa or no VP.
 */
int acpi_build(const struct acpi_config *config, uint64_t gpa, void *buf, size_t cap, size_t *len);

/* The DSDT's AML, without the table header. For acpi_build(). */
void acpi_put_namespace(struct byte_writer *w, const struct acpi_config *config);

/* The TPM device's _DSM (TCG PPI specification 1.3) over those registers. For acpi_put_namespace(). */
void acpi_put_ppi(struct byte_writer *w, uint32_t registers);

#endif
