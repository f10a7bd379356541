#ifndef HOST_HYPERCALL_H
#define HOST_HYPERCALL_H

#include "host/partition.h"

/*
 * A hypercall by a vCPU that stands at the OUT of its hypercall page, on the VP's thread.
 * Sets the result in the vCPU's registers. Returns false when the call is not the hypervisor's but
 * VTL2's to answer (VTL0's messages and events): nothing has been changed then.
 */
bool hypercall_dispatch(struct vcpu *vcpu);

#endif
