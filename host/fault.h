#ifndef HOST_FAULT_H
#define HOST_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "host/memory.h"

struct vcpu;

/* Which access of VTL0's current instruction its view of memory denies. */
struct fault {
	uint64_t gpa, gva;
	bool gva_valid;
	enum host_access access;
	uint8_t bytes[15]; /* the instruction, as far as it could be read */
	uint8_t byte_count;
};

/*
 * Finds it after KVM_RUN has returned -EFAULT: KVM names no address (before Linux 6.12 not even
 * the page), so the instruction is decoded and its operands are translated. 0; -ENOENT when no
 * operand is to blame, which a race with VTL2 changing a protection can cause; -EIO when the
 * processor itself was refused (descriptor table, task state or stack of an exception).
 */
int fault_locate(const struct vcpu *vcpu, struct fault *fault);

/*
 * A fault at an address that nobody can say, in memory that nobody has: what VTL2 needs to emulate
 * or refuse the current instruction by itself.
 */
void fault_unknown(const struct vcpu *vcpu, struct fault *fault);

#endif
