#ifndef HOST_TRANSLATE_H
#define HOST_TRANSLATE_H

#include "core/x86/x86.h"
#include "host/partition.h"

/* VTL0's linear addresses, on its VP's thread while the vCPU does not run. */

/* KVM's registers as core/x86 wants them. */
void translate_cpu(const struct vcpu *vcpu, struct x86_cpu *cpu);

/* Physical address of one byte, page-table rights not checked. 0 or -EFAULT. */
int translate_linear(const struct vcpu *vcpu, uint64_t linear, uint64_t *gpa);

/* Copies instruction bytes at CS:RIP; returns how many could be read, up to 15. */
unsigned int translate_fetch(const struct vcpu *vcpu, uint8_t bytes[15]);

/* HvCallTranslateVirtualAddress (TLFS 9.4.6). */
void translate_gva(const struct vcpu *vcpu, const struct hv_input_translate_virtual_address *in,
		   struct hv_output_translate_virtual_address *out);

#endif
