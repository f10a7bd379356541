#include "host/fault.h"

#include <errno.h>
#include <string.h>

#include "core/x86/x86_decode.h"
#include "host/partition.h"
#include "host/translate.h"
#include "host/vp.h"

/* A prefix of KVM_EXIT_MEMORY_FAULT in struct kvm_run, which older headers lack. */
#define EXIT_MEMORY_FAULT 39

/*
 * Checks one access page by page. Returns true and fills in *fault when the view denies it. An
 * address whose tables lie in denied memory cannot be translated: it is reported as the access to
 * the table that the processor would have made, at GPA unknown to us and so as the linear address.
 */
static bool denied(const struct vcpu *vcpu, uint64_t linear, uint64_t size, enum host_access access,
		   struct fault *fault)
{
	const struct host_memory *memory = &vcpu->vp->partition->memory;
	uint64_t at = linear, end = linear + (size ? size : 1), next, gpa;

	for (; at < end; at = next) {
		next = (at | (HOST_PAGE_SIZE - 1)) + 1;
		if (next > end || next < at)
			next = end;
		if (translate_linear(vcpu, at, &gpa))
			continue; /* a page fault of the guest's, or its tables: not this operand */
		/* Beyond the views KVM has no memory slot and exits otherwise. */
		if (gpa >= memory->space_end ||
		    host_memory_allows(memory, vcpu->view, gpa, 1, access))
			continue;
		fault->gpa = gpa;
		fault->gva = at;
		fault->gva_valid = true;
		fault->access = access;
		return true;
	}
	return false;
}

static bool operand_denied(const struct vcpu *vcpu, const struct x86_memory_operand *operand,
			   struct fault *fault)
{
	/* XSAVE areas: 0 stands for "large"; what a page more would show is enough. */
	uint64_t size = operand->size ? operand->size : HOST_PAGE_SIZE;

	if (!operand->count || operand->fault)
		return false;
	if ((operand->access & X86_ACCESS_WRITE) &&
	    denied(vcpu, operand->linear, size, HOST_WRITE, fault))
		return true;
	return (operand->access & X86_ACCESS_READ) &&
	       denied(vcpu, operand->linear, size, HOST_READ, fault);
}

static int locate_operand(const struct vcpu *vcpu, const struct x86_cpu *cpu, struct fault *fault)
{
	struct x86_memory_operand operands[X86_MEMORY_OPERANDS_MAX];
	struct x86_cpu_mode mode;
	struct x86_insn insn;
	int count, i;

	x86_cpu_mode(&mode, cpu);
	if (x86_decode(&insn, &mode, fault->bytes, fault->byte_count))
		return -ENOEXEC;
	count = x86_memory_operands(&insn, cpu, operands);
	if (count < 0) /* gathers and scatters: their addresses are in vector registers */
		return -ENOEXEC;
	for (i = 0; i < count; i++)
		if (operand_denied(vcpu, &operands[i], fault))
			return 0;
	return -ENOENT;
}

/* What the processor reads or writes by itself while it delivers an event. */
static bool delivery_denied(const struct vcpu *vcpu, struct fault *fault)
{
	const struct kvm_sregs *sregs = vcpu_sregs(vcpu);

	return denied(vcpu, sregs->idt.base, (uint64_t)sregs->idt.limit + 1, HOST_READ, fault) ||
	       denied(vcpu, sregs->gdt.base, (uint64_t)sregs->gdt.limit + 1, HOST_READ, fault) ||
	       denied(vcpu, sregs->tr.base, 104, HOST_READ, fault) ||
	       denied(vcpu, sregs->ss.base + vcpu_regs(vcpu)->rsp - 64, 64, HOST_WRITE, fault);
}

/* Linux 6.12 and newer name the page; good for what the operands do not explain. */
static bool kvm_names_page(const struct vcpu *vcpu, struct fault *fault)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason != EXIT_MEMORY_FAULT)
		return false;
	/* struct { __u64 flags, gpa, size } */
	memcpy(&fault->gpa, run->padding + 8, sizeof(fault->gpa));
	fault->access = HOST_READ;
	fault->gva_valid = false;
	return true;
}

void fault_unknown(const struct vcpu *vcpu, struct fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	fault->gpa = UINT64_MAX & ~(uint64_t)(HOST_PAGE_SIZE - 1);
	fault->byte_count = (uint8_t)translate_fetch(vcpu, fault->bytes);
}

int fault_locate(const struct vcpu *vcpu, struct fault *fault)
{
	struct x86_cpu cpu;
	struct x86_cpu_mode mode;
	uint64_t linear;
	int ret;

	memset(fault, 0, sizeof(*fault));
	translate_cpu(vcpu, &cpu);
	x86_cpu_mode(&mode, &cpu);
	x86_linear_address(&cpu, &mode, X86_CS, cpu.rip, 1, X86_ACCESS_FETCH, &linear);
	if (denied(vcpu, linear, 1, HOST_READ, fault)) {
		fault->access = HOST_EXECUTE;
		return 0;
	}
	fault->byte_count = (uint8_t)translate_fetch(vcpu, fault->bytes);
	ret = locate_operand(vcpu, &cpu, fault);
	if (!ret)
		return 0;
	if (delivery_denied(vcpu, fault))
		return -EIO;
	if (ret == -ENOEXEC) {
		/* The instruction is VTL2's to refuse, wherever it points. */
		fault_unknown(vcpu, fault);
		kvm_names_page(vcpu, fault);
		return 0;
	}
	return kvm_names_page(vcpu, fault) ? -EIO : -ENOENT;
}
