#ifndef HOST_GUEST_VIEW_H
#define HOST_GUEST_VIEW_H

#include "host/memory.h"

struct guest_memory;

/*
 * Fills `guest` with the RAM that a VTL sees, for devices that reach as much as it does: all of it for
 * VTL2's; for VTL0's, VTL0's own, of which what VTL2 has protected faults, now or later (with
 * guest_access_install_fault_handler()). Both outlive its use. 0 or -errno.
 */
int guest_view_fill(struct guest_memory *guest, const struct host_memory *memory,
		    enum host_view view);

#endif
