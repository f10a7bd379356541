#ifndef HOST_SYNIC_H
#define HOST_SYNIC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/hv_synic.h"

/*
 * The synthetic interrupt controller of one VTL of one VP (TLFS 11). Messages that find their slot
 * taken wait in a short queue a SINT. Every function may be called from any thread.
 */

struct vcpu;
struct synic_queued;

struct synic {
	pthread_mutex_t lock; /* over all below */
	uint64_t scontrol, siefp, simp;
	union hv_synic_sint sint[HV_SYNIC_SINT_COUNT];
	struct synic_queued *queue[HV_SYNIC_SINT_COUNT], **tail[HV_SYNIC_SINT_COUNT];
	unsigned int queued[HV_SYNIC_SINT_COUNT];
	_Atomic uint16_t
		wanted; /* SINTs whose free slots VTL2 wants to hear of; read without the lock */
};

void synic_init(struct synic *synic);
void synic_destroy(struct synic *synic);

/* HV_X64_MSR_SCONTROL to _SINT15: 0, or -EINVAL where the guest gets #GP. */
int synic_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int synic_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/*
 * A message for a SINT: placed in its slot, or queued. -EAGAIN when the queue is full, -EINVAL for
 * a bad SINT, type or length, -ENODEV while the SynIC, its message page or the SINT is disabled.
 */
int synic_post(struct vcpu *vcpu, unsigned int sint, uint32_t type, const void *payload,
	       size_t len);

/* The same for VTL2's own messages to VTL0, which do not wait: -EAGAIN when the slot is taken. */
int synic_post_direct(struct vcpu *vcpu, unsigned int sint, uint32_t type, const void *payload,
		      size_t len);

/* The `sints` of HV_REGISTER_DELIVERABILITY_NOTIFICATIONS. */
void synic_want(struct vcpu *vcpu, uint16_t sints);

/* Which of them have come free (or been disabled: a message would not wait): these are wanted no more. */
uint16_t synic_deliverable(struct vcpu *vcpu);

/* Whether the guest has set the SINT up and unmasked it, so that a message will be looked at. */
bool synic_listening(struct vcpu *vcpu, unsigned int sint);

/* Sets an event flag: 1 newly set, 0 was set, or as above. */
int synic_signal(struct vcpu *vcpu, unsigned int sint, unsigned int flag);

#endif
