#ifndef PARAVISOR_CRASH_H
#define PARAVISOR_CRASH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * VTL0's crash MSRs (TLFS 3.14): five parameters and a control register, of the whole machine, by which
 * its kernel tells the host of its end. We pass that on by GET; what then becomes of the machine is the host's.
 */

struct machine;
struct vp;

struct crash {
	uint64_t parameters[5]; /* atomic */

	/* The report that is on its way; under the lock of the machine's end. */
	bool pending, sent;
	uint32_t vp;
	uint64_t control, reported[5];
};

/* False: that is another MSR. Else it was written, or read to *value. On the VP's thread. */
bool crash_msr(struct vp *vp, uint32_t msr, bool write, uint64_t *value);

/*
 * Tells the host now, if there is something to tell: a guest that resets right after its report is done sooner
 * than the loop comes to it. True when the host has heard of a crash, now or before. VP 0's thread.
 */
bool crash_flush(struct machine *machine);

#endif
