#ifndef HOST_EXIT_H
#define HOST_EXIT_H

struct vcpu;

/*
 * What follows KVM_RUN: err is its errno, or 0 with the reason in vcpu->run. On the VP's thread.
 * VTL0's exits become intercepts for VTL2 unless they are the hypervisor's own; VTL2's are answered
 * here.
 */
void exit_vtl0(struct vcpu *vcpu, int err);
void exit_vtl2(struct vcpu *vcpu, int err);

#endif
