#ifndef HOST_REGISTERS_H
#define HOST_REGISTERS_H

#include "host/partition.h"

/* HvCallGetVpRegisters and HvCallSetVpRegisters: TLFS register names to KVM's state. */

/*
 * One register of a vCPU that does not run, on the VP's thread. Returns an HV_STATUS.
 * vcpu is the one that input_vtl names; partition-wide and VSM registers do not depend on it.
 */
uint16_t register_get(struct vcpu *vcpu, uint32_t name, union hv_register_value *value);
uint16_t register_set(struct vcpu *vcpu, uint32_t name, const union hv_register_value *value);

/* Conversions between the two formats. */
void registers_get_general(const struct kvm_regs *regs, uint64_t general[16]);
uint64_t *registers_general(struct kvm_regs *regs, unsigned int index);
void registers_get_segment(const struct kvm_segment *segment, struct hv_x64_segment_register *hv);
void registers_set_segment(struct kvm_segment *segment, const struct hv_x64_segment_register *hv);
union hv_x64_pending_interruption_register registers_get_pending_interruption(
	const struct vcpu *vcpu);
union hv_x64_interrupt_state_register registers_get_interrupt_state(const struct vcpu *vcpu);

/* Loads the state with which HvCallStartVirtualProcessor starts a vCPU. 0 or -errno. */
int registers_set_initial(struct vcpu *vcpu, const struct hv_initial_vp_context *context);

/* The pages at which HV_REGISTER_VSM_CODE_PAGE_OFFSETS says that VTL call and return are. */
#define HYPERCALL_PAGE_VTL_CALL   0x10
#define HYPERCALL_PAGE_VTL_RETURN 0x20

#endif
