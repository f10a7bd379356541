#ifndef DEVICES_PCI_VFIO_H
#define DEVICES_PCI_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/guid.h"

/*
 * struct pci_device_access over Linux's VFIO. In VTL2 there is no IOMMU: a function sees guest RAM at
 * its GPA, and DMA memory comes from a pool of VTL2's RAM that its kernel does not use. Elsewhere
 * (tests on ordinary machines) a type-1 IOMMU is programmed to the same effect. docs/vfio.md.
 */

struct dma_pool;
struct guest_memory;
struct pci_device_access;

struct vfio_config {
	const char *address;               /* "dddd:bb:dd.f", as sysfs names it */
	const struct guest_memory *memory; /* what the function reaches at its GPA */
	struct dma_pool *pool;    /* physical memory, without an IOMMU; NULL: there is one */
	unsigned int max_vectors; /* of MSI-X that are wanted; 0: all */
	int device; /* what vfio_open_device() gave, the function's from now on; 0: open it here */
};

/*
 * What needs privileges (CAP_SYS_RAWIO) of opening a function without an IOMMU: the descriptor that is
 * all that the rest takes, in this process or another. Or -errno.
 */
int vfio_open_device(const char *address);

/*
 * Opens a function that vfio-pci is bound to (vfio_bind()). Everything privileged happens here: what
 * follows needs no capability and opens nothing. 0 or -errno, and then `device` is closed, too.
 */
int vfio_open(const struct vfio_config *config, struct pci_device_access **pci);

/* With nothing of it in use. */
void vfio_close(struct pci_device_access *pci);

/*
 * Gives a function to vfio-pci (driver_override, unbind, probe); without an IOMMU that must first be
 * allowed, which this does too. Needs root. 0 or -errno.
 */
int vfio_bind(const char *address, bool iommu);

/*
 * The address of the function that VPCI presents with this VMBus instance: waits up to timeout_ms for
 * it to be there. 0, -ENOENT, -errno.
 */
int vfio_find_vpci(const struct guid *instance, unsigned int timeout_ms, char address[16]);

#endif
