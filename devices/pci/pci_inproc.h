#ifndef DEVICES_PCI_PCI_INPROC_H
#define DEVICES_PCI_PCI_INPROC_H

#include <stddef.h>
#include <stdint.h>

/*
 * An emulated function as a driver's device, in one process: struct pci_device_access over struct
 * pci_function. It is the bus, the interrupt controller and the DMA pool of driver tests and
 * benchmarks, and keeps to what VFIO does: the driver sets the command register's bits itself
 * (without bus mastering there is no DMA and no interrupt), reset() brings back the command register
 * and the vectors that are bound.
 *
 * DMA addresses are addresses of `memory`: guest RAM is where the guest sees it, the pool is a range
 * of its own.
 */

struct guest_memory;
struct pci_device_access;
struct pci_function;
struct pci_inproc;

struct pci_inproc_config {
	struct pci_function
		*function;           /* not plugged in anywhere yet; the caller's, outlives this */
	struct guest_memory *memory; /* gets the pool; outlives this, but is not used after it */
	uint64_t pool_address;       /* where: whole pages, not RAM yet */
	size_t pool_len;
};

/*
 * NULL with errno set. It plugs the function in: fills in its bus.
 */
struct pci_inproc *pci_inproc_create(const struct pci_inproc_config *config);

/* Everything is unbound and freed. Resets the function; does not destroy it. */
void pci_inproc_destroy(struct pci_inproc *inproc);

struct pci_device_access *pci_inproc_device(struct pci_inproc *inproc);

/*
 * What the driver holds: bytes of the pool that are allocated, vectors that are bound. A driver
 * that ended left zeroes.
 */
size_t pci_inproc_allocated(struct pci_inproc *inproc);
unsigned int pci_inproc_bound(struct pci_inproc *inproc);

#endif
