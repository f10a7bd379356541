#ifndef DEVICES_PCI_VFIO_POOL_H
#define DEVICES_PCI_VFIO_POOL_H

#include "core/pci_device.h"

struct vfio_pool;

/* As struct pci_device_ops has them. Any thread. */
int vfio_pool_alloc(struct vfio_pool *pool, size_t len, struct pci_dma *dma);
void vfio_pool_free(struct vfio_pool *pool, struct pci_dma *dma);

#endif
