#ifndef HOST_INTERCEPT_H
#define HOST_INTERCEPT_H

#include "host/fault.h"
#include "host/partition.h"

/*
 * Builds the intercept messages for VTL2 and enters it. On the VP's thread, with VTL0's vCPU
 * standing at the instruction that it names and nothing pending in KVM.
 */

struct port_access {
	uint16_t port;
	uint8_t size; /* bytes */
	bool write;
	bool string, rep;
	uint32_t data;  /* of a write: in place of RAX's low bytes */
	uint8_t length; /* of the instruction; 0: RIP is past it already */
};

void intercept_port(struct vcpu *vcpu, const struct port_access *access);
void intercept_memory(struct vcpu *vcpu, const struct fault *fault);
void intercept_msr(struct vcpu *vcpu, uint32_t msr, bool write, uint64_t value, uint8_t length);
void intercept_hypercall(struct vcpu *vcpu, uint8_t length);
void intercept_eoi(struct vcpu *vcpu, uint8_t vector);
void intercept_unrecoverable(struct vcpu *vcpu);
void intercept_deliverable(struct vcpu *vcpu);
void intercept_sints(struct vcpu *vcpu, uint16_t sints);

#endif
