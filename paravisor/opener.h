#ifndef PARAVISOR_OPENER_H
#define PARAVISOR_OPENER_H

#include <stdint.h>

#include "proto/guid.h"

/*
 * A process of the paravisor's that keeps the one privilege that opening a function takes (CAP_SYS_RAWIO), so
 * that functions can come while VTL0 runs although the paravisor itself has given up all of its own. It does
 * nothing but that, for as long as the paravisor lives. The two share their descriptors, and no memory: what
 * one opens, the other has.
 */

struct opener;

/*
 * Starts it: early, with one thread and none of VTL0's memory mapped, for it is a copy of this process. Before
 * the sandbox. 0 or -errno.
 */
int opener_start(struct opener **opener);

/*
 * Finds the function behind the VPCI bus `instance`, waiting up to timeout_ms for it to be there, gives it to
 * vfio-pci and opens it: fills in its address and *device, for struct vfio_config. One thread at a time, not a
 * VP's. 0; -ENOENT: it did not come; -ETIMEDOUT: the opener does not answer, now or ever after; -errno.
 */
int opener_open(struct opener *opener, const struct guid *instance, unsigned int timeout_ms,
		char address[16], int *device);

#endif
