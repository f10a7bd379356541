#ifndef DEVICES_PCI_DMA_POOL_H
#define DEVICES_PCI_DMA_POOL_H

#include "core/pci_device.h"

/* Pages at known device addresses, dealt out to drivers: what dma_alloc() takes from. */

struct dma_pool;

/*
 * Deals out [address, address + len), whole pages, mapped at `base` for as long as the pool is; nobody
 * else uses them. Several functions may share one. NULL when out of memory.
 */
struct dma_pool *dma_pool_create(uint64_t address, void *base, uint64_t len);
void dma_pool_destroy(struct dma_pool *pool);

/* Bytes that are allocated. Any thread. */
uint64_t dma_pool_used(struct dma_pool *pool);

/* As struct pci_device_ops has them. Any thread. */
int dma_pool_alloc(struct dma_pool *pool, size_t len, struct pci_dma *dma);
void dma_pool_free(struct dma_pool *pool, struct pci_dma *dma);

#endif
