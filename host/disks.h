#ifndef HOST_DISKS_H
#define HOST_DISKS_H

#include <stdint.h>

/* The disks of the command line: each an emulated NVMe controller with one namespace, on VPCI. */

struct host_disks;
struct partition;

/* Opens, locks and offers all of options->disks. On failure logs one line. 0 or -errno. */
int host_disks_create(struct partition *partition, struct host_disks **disks);

/* The same for options->disks[index], which has come since. The main thread. */
int host_disks_add(struct host_disks *disks, unsigned int index);

/*
 * Two steps: notes which of options->disks are marked as removed (the main thread), then takes the
 * controllers away from VTL2 (any thread), which should have let go of them in between.
 */
void host_disks_note_removed(struct host_disks *disks);
void host_disks_take_removed(struct host_disks *disks);

/* Makes the first disk of the LUN larger or smaller. 0; -ENOENT; -EINVAL; -errno of the file. */
int host_disks_resize(struct host_disks *disks, unsigned int lun, uint64_t size);

/* A fault as nvme_emu_fault_parse() has it, or "none". 0; -ENOENT; -EINVAL; -ENOSPC. */
int host_disks_fault(struct host_disks *disks, unsigned int lun, const char *text);

/* When VPCI, which owns the controllers, is gone. */
void host_disks_destroy(struct host_disks *disks);

#endif
