#ifndef PARAVISOR_NETWORK_H
#define PARAVISOR_NETWORK_H

#include <stdint.h>

/* VTL0's network cards, and the MANA functions behind them. docs/net.md */

struct dma_pool;
struct machine;
struct network;
struct settings;
struct vmbus_server;

/* Bytes of memory that devices can reach that the settings' functions need, whole 2 MiB. */
uint64_t network_pool_size(const struct settings *settings, unsigned int vp_count);

/*
 * Takes the functions that the settings name from the kernel. With `pool` for what they read and write
 * beside the guest's memory. Before the sandbox. 0, or -errno after machine_end() with the reason.
 */
int network_open(struct machine *machine, const struct settings *settings, struct dma_pool *pool,
		 struct network **network);

/*
 * Starts the drivers, whose events VP 0's loop handles, and offers VTL0 its cards. Behind the sandbox,
 * before VTL0 runs. Likewise.
 */
int network_start(struct network *network, const struct settings *settings,
		  struct vmbus_server *server);

/*
 * The settings have changed: functions of VTL0's come and go, of those that there were at the start.
 * Cards themselves stay. VP 0's thread.
 */
void network_update(struct network *network, const struct settings *settings);

#endif
