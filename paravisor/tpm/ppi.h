#ifndef PARAVISOR_TPM_PPI_H
#define PARAVISOR_TPM_PPI_H

/*
 * The physical presence interface (TCG PC Client Platform Physical Presence Interface Specification 1.30): VTL0's
 * operating system asks for what only the platform may do with its TPM, through the TPM device's _DSM
 * (paravisor/boot/acpi_ppi.c) and the registers that it uses (proto/ppi.h); the next start does it. Nobody has to confirm it:
 * a virtual machine has no one in front of it.
 */

struct io_bus;
struct ppi;
struct vtpm;

/*
 * Carries out what was asked for before this start, and puts the registers on the bus. 0, -ENOMEM or what io_bus_add()
 * says; an operation that fails is the guest's to read. Before VTL0 runs and before anything is measured, on the
 * vTPM's loop's thread, not from a handler. The vTPM outlives it.
 */
int ppi_start(struct ppi **out, struct vtpm *vtpm, struct io_bus *bus);
/* For tests; nothing uses its region any more. NULL is allowed. */
void ppi_destroy(struct ppi *ppi);

#endif
