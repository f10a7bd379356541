#ifndef HOST_VTL_SWITCH_H
#define HOST_VTL_SWITCH_H

#include "host/partition.h"

/*
 * Switching a VP between VTL0 and VTL2 (TLFS 15.5 to 15.6). The two VTLs have registers of their own
 * but for those that TLFS 15.11 shares: all general registers but RSP, CR2, x87 and SSE state.
 * On the VP's thread only.
 */

/*
 * Enters VTL2, which was left by a VTL return: with an intercept message, or because of an
 * interrupt (NULL).
 */
void vtl_switch_to_vtl2(struct vp *vp, const struct hv_message *intercept);

/* VTL2's VTL return. Ends the run when VTL2 is not in a state to return. */
void vtl_switch_to_vtl0(struct vp *vp);

#endif
