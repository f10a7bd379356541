#ifndef HOST_MSR_H
#define HOST_MSR_H

#include "host/partition.h"

/*
 * Hyper-V's synthetic MSRs (TLFS 3.14) of one VTL, and for VTL2 the MTRRs. On the VP's thread.
 * 0; -EINVAL: the value is refused; -ENOENT: there is no such MSR. The guest gets #GP for both.
 */
int msr_read_synthetic(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int msr_write_synthetic(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* An MSR of KVM's own, of a vCPU that does not run. 0 or -EINVAL. */
int msr_access_kvm(struct vcpu *vcpu, uint32_t msr, uint64_t *value, bool set);

/* The port of the hypercall page's OUT instructions, and of the VTL return in VTL2's. */
#define HYPERCALL_PORT  0xE0
#define VTL_RETURN_PORT 0x7E /* KVM leaves nothing pending there: VTL-ON-KVM trap 4 in docs */

#endif
