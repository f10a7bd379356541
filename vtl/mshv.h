#ifndef VTL_MSHV_H
#define VTL_MSHV_H

#include <stddef.h>
#include <stdint.h>

/*
 * VTL0 under a hypervisor that enforces VTLs, by Linux's mshv_vtl driver. docs/vtl.md tells what
 * its devices do and what is to be watched.
 */

struct vtl;

/* Opens the driver's devices. 0 or -errno; -ENOENT when this kernel does not run in VTL2. */
int mshv_create(struct vtl **vtl);

#endif
