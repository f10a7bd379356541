#ifndef PARAVISOR_STORAGE_H
#define PARAVISOR_STORAGE_H

#include <stdint.h>

/*
 * VTL0's SCSI controllers and what is behind their units: NVMe namespaces of controllers that the host
 * assigned to VTL2, singly or striped. docs/storage.md
 */

struct dma_pool;
struct machine;
struct settings;
struct storage;
struct vmbus_server;

/* Bytes of memory that devices can reach that the settings' NVMe controllers need, whole 2 MiB. */
uint64_t storage_pool_size(const struct settings *settings, unsigned int vp_count);

/*
 * Takes the functions that the settings name from the kernel. With `pool` for what they read and write
 * beside the guest's memory. Before the sandbox. 0, or -errno after machine_end() with the reason.
 */
int storage_open(struct machine *machine, const struct settings *settings, struct dma_pool *pool,
		 struct storage **storage);

/*
 * Starts the drivers and offers VTL0 its controllers with their units. Behind the sandbox, before VTL0
 * runs. Likewise.
 */
int storage_start(struct storage *storage, const struct settings *settings,
		  struct vmbus_server *server);

/* VTL0 runs no more: tells the NVMe controllers, which make everything durable. */
void storage_shut_down(struct storage *storage);

#endif
