#ifndef PARAVISOR_CRASH_H
#define PARAVISOR_CRASH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * VTL0's crash MSRs (TLFS 3.14): five parameters and a control register, of the whole machine, by which
 * its kernel tells the host of its end. We pass that on by GET; what then becomes of the machine is the host's.
 */

struct vp;

/* False: that is another MSR. Else it was written, or read to *value. On the VP's thread. */
bool crash_msr(struct vp *vp, uint32_t msr, bool write, uint64_t *value);

#endif
