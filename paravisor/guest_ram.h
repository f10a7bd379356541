#ifndef PARAVISOR_GUEST_RAM_H
#define PARAVISOR_GUEST_RAM_H

#include <stdint.h>

#include "paravisor/options.h"
#include "paravisor/topology.h"

/* VTL0's RAM in this process, and the piece of it that VTL2 keeps for devices. */

struct dma_pool;
struct machine;

/*
 * Where in VTL0's RAM `size` bytes (whole 2 MiB) are to be kept from it: as high as can be, and clear of
 * what the host put there for us to load. 0, or -ENOMEM: there is no such place.
 */
int guest_ram_place(const struct topology *topology, const struct options *options, uint64_t size,
		    uint64_t *gpa);

/*
 * Maps VTL0's RAM into machine->memory. With pool_size, that much of it (whole 2 MiB) is closed to VTL0
 * and not in machine->memory but in *pool: memory at known addresses that VTL2's kernel does not use,
 * for what devices assigned to VTL2 read and write. 0, or -errno after machine_end().
 */
int guest_ram_map(struct machine *machine, uint64_t pool_size, struct dma_pool **pool);

#endif
