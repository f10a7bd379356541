#ifndef HOST_DISKS_H
#define HOST_DISKS_H

#include <stdint.h>

/* The disks of the command line: each an emulated NVMe controller with one namespace, on VPCI. */

struct host_disks;
struct partition;

/* Opens, locks and offers all of options->disks. On failure logs one line. 0 or -errno. */
int host_disks_create(struct partition *partition, struct host_disks **disks);

/* When VPCI, which owns the controllers, is gone. */
void host_disks_destroy(struct host_disks *disks);

#endif
