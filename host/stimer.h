#ifndef HOST_STIMER_H
#define HOST_STIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/hv_synic.h"

/* Synthetic timers (TLFS 12.3). Owned by the VP's thread. */

struct vp;
struct vcpu;

struct stimer {
	union hv_stimer_config config;
	uint64_t count;
	uint64_t expires; /* reference time, when armed */
	bool armed;
	bool message_mode; /* not KVM's, where it has this VTL's timers: stimer_kvm.h */
};

/* MSR and register accesses. A write returns 0, or -EINVAL where the guest gets #GP. */
uint64_t stimer_read_config(struct vcpu *vcpu, unsigned int index);
uint64_t stimer_read_count(struct vcpu *vcpu, unsigned int index);
int stimer_write_config(struct vcpu *vcpu, unsigned int index, uint64_t value);
int stimer_write_count(struct vcpu *vcpu, unsigned int index, uint64_t value);

/* Delivers what has expired on this VP and sets the VP's POSIX timer to the next deadline. */
void stimer_service(struct vp *vp);

#endif
