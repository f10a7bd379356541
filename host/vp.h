#ifndef HOST_VP_H
#define HOST_VP_H

#include <stdint.h>
#include <string.h>

#include "host/partition.h"

/* A virtual processor's thread, and what other threads may ask of it. */

/* Creates the vCPUs of both VTLs (before any thread runs): 0 or -errno. */
int vp_create(struct vp *vp, struct partition *partition, uint32_t index);
int vp_start_thread(struct vp *vp);
void vp_destroy(struct vp *vp);

/* Makes the VP's thread leave KVM_RUN and look at its flags, timers and mailbox. Any thread. */
void vp_kick(struct vp *vp);

/* A fixed, edge-triggered interrupt into one VTL's LAPIC. Any thread. */
void vp_interrupt(struct vp *vp, enum host_vtl vtl, uint8_t vector);

/*
 * Runs fn(vp, arg) on the VP's thread, between two of its exits, and returns its result. Called by
 * VP threads only, which serve their own mailbox while they wait. -ECANCELED when the run ends.
 */
int vp_call(struct vp *vp, int (*fn)(struct vp *vp, void *arg), void *arg);

/* The VP with this index, or NULL. */
struct vp *vp_find(struct partition *partition, uint32_t index);

/* The vCPU's registers while it does not run. The writers make KVM load them at the next run. */
static inline const struct kvm_regs *vcpu_regs(const struct vcpu *vcpu)
{
	return &vcpu->run->s.regs.regs;
}

static inline const struct kvm_sregs *vcpu_sregs(const struct vcpu *vcpu)
{
	return &vcpu->run->s.regs.sregs;
}

static inline struct kvm_regs *vcpu_write_regs(struct vcpu *vcpu)
{
	vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	return &vcpu->run->s.regs.regs;
}

/*
 * Not the interrupts in them: KVM sets the bit of one that is on its way at an exit and never clears it, but takes the
 * lowest bit that it finds in what it loads for an interrupt to deliver, in the place of any other. The one that is on
 * its way is among the events, and stays as it is when there is no bit.
 */
static inline struct kvm_sregs *vcpu_write_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs *sregs = &vcpu->run->s.regs.sregs;

	vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	memset(sregs->interrupt_bitmap, 0, sizeof(sregs->interrupt_bitmap));
	return sregs;
}

static inline struct kvm_vcpu_events *vcpu_write_events(struct vcpu *vcpu)
{
	vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
	return &vcpu->run->s.regs.events;
}

/* Queues an exception for the vCPU's next run; error_code < 0: it has none. */
void vcpu_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code);

#endif
