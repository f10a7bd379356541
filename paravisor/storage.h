#ifndef PARAVISOR_STORAGE_H
#define PARAVISOR_STORAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * VTL0's SCSI controllers and what is behind their units: NVMe namespaces of controllers that the host
 * assigned to VTL2, singly or striped; at the start and, by a thread of their own, while VTL0 runs.
 * docs/storage.md
 */

struct dma_pool;
struct machine;
struct opener;
struct settings;
struct storage;
struct vmbus_server;

/*
 * Bytes of memory that devices can reach that the settings' NVMe controllers need, and a few that may come
 * later; whole 2 MiB. 0 for settings without storage.
 */
uint64_t storage_pool_size(const struct settings *settings, unsigned int vp_count);

/*
 * Takes the functions that the settings name, starts their drivers, offers VTL0 its controllers with
 * their units, and starts the thread. Functions' memory beside the guest's comes from `pool`. Behind the
 * sandbox, before VTL0 runs. 0, or -errno after machine_end() with the reason.
 */
int storage_start(struct machine *machine, const struct settings *settings, struct opener *opener,
		  struct dma_pool *pool, struct storage **storage);

/*
 * Has the thread put new settings (JSON, which is the thread's from now on) in force: all of them or none. Units that are
 * the same in both go on undisturbed; of one that goes, commands under way are waited for. Ends with modified() on VP 0's
 * loop: the settings for as long as it runs, or `why` not. 0; -EBUSY: too many changes wait; -ENOMEM: modified() is then not
 * called and the text freed. VP 0's thread.
 */
int storage_modify(struct storage *storage, char *text, size_t len,
		   void (*modified)(void *ctx, const struct settings *settings, const char *why),
		   void *ctx);

/* VTL0 runs no more: tells the NVMe controllers, which make everything durable. */
void storage_shut_down(struct storage *storage);

#endif
