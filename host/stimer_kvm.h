#ifndef HOST_STIMER_KVM_H
#define HOST_STIMER_KVM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/hv_synic.h"

/*
 * VTL0's synthetic timers in KVM, whose emulation of Hyper-V has direct-mode ones without an exit to
 * this process. Only where KVM's reference time is ours to the bit; else they stay in stimer.c, as
 * message-mode timers do, since the SynIC is ours.
 */

struct partition;
struct vcpu;

enum stimer_kvm_state {
	STIMER_KVM_OFF,
	STIMER_KVM_PREPARED, /* whether KVM took our clock is seen when a timer is first written */
	STIMER_KVM_ON,
};

struct stimer_kvm {
	_Atomic(enum stimer_kvm_state) state;
	void *clock; /* a page of VTL0's VM: the reference TSC page that KVM reads */
	/* VPs that use a timer in message mode, and so need its MSRs' exits. Under partition.lock. */
	unsigned int messages[HV_SYNIC_STIMER_COUNT];
};

/* After the VPs' creation, before they run. What KVM lacks leaves it off. */
void stimer_kvm_init(struct partition *partition);
void stimer_kvm_destroy(struct partition *partition);

/*
 * Before a write to a timer: settles, at the first of VTL0's, whether KVM has the timers. Those of all
 * VPs are zeroes until then, so there is nothing to move. On the VP's thread.
 */
void stimer_kvm_settle(struct vcpu *vcpu);

/* Whether KVM has the timers of this VTL, but for those in message mode. Any thread. */
bool stimer_kvm_on(const struct vcpu *vcpu);

/* This VP begins (or ends) to use the timer in message mode. 0 or -errno. On the VP's thread. */
int stimer_kvm_message_mode(struct vcpu *vcpu, unsigned int index, bool begins);

#endif
