#include "host/direct.h"

#include <errno.h>
#include <string.h>

#include "core/x86/x86_emulate.h"
#include "host/fault.h"
#include "host/partition.h"
#include "host/registers.h"
#include "host/translate.h"
#include "host/vp.h"
#include "host/vpci.h"

#define RFLAGS_TF 0x100u

struct write {
	struct vcpu *vcpu;
	const struct fault *fault;
};

/* The processor has translated the address already, for this one. */
static int write_memory(void *ctx, uint64_t linear, const void *data, size_t len, uint32_t access,
			struct x86_exception *exception)
{
	const struct write *write = ctx;
	const struct fault *fault = write->fault;

	(void)access;
	(void)exception;
	if (linear != fault->gva || len > 8 || fault->gpa % HOST_PAGE_SIZE + len > HOST_PAGE_SIZE ||
	    !host_vpci_direct_write(write->vcpu->vp->partition->vpci, fault->gpa, data, len))
		return -EOPNOTSUPP;
	return 0;
}

/* Whatever else an instruction may want is for VTL2's emulator. */
static const struct x86_emulator_ops ops = { .write_memory = write_memory };

/* The instruction's registers; one that retires ends the shadow of the one before it (SDM vol. 3, 7.8.3). */
static void take_registers(struct vcpu *vcpu, const struct x86_cpu *cpu, bool retired)
{
	struct kvm_regs *regs = vcpu_write_regs(vcpu);
	struct kvm_vcpu_events *events;

	for (unsigned int i = 0; i < X86_GPR_COUNT; i++)
		*registers_general(regs, i) = cpu->gpr[i];
	regs->rip = cpu->rip;
	regs->rflags = cpu->rflags;
	if (!retired || !vcpu->run->s.regs.events.interrupt.shadow)
		return;
	events = vcpu_write_events(vcpu);
	events->interrupt.shadow = 0;
	events->flags |= KVM_VCPUEVENT_VALID_SHADOW;
}

bool direct_write(struct vcpu *vcpu, const struct fault *fault)
{
	struct write write = { vcpu, fault };
	struct x86_emulator emulator = { .max_iterations = 1 };
	int ret;

	/* Asked first, for most of what is denied is not for a function, and costs no emulation here. */
	if (fault->access != HOST_WRITE || !fault->gva_valid ||
	    !host_vpci_is_direct(vcpu->vp->partition->vpci, fault->gpa))
		return false;
	translate_cpu(vcpu, &emulator.cpu);
	memcpy(emulator.bytes, fault->bytes, sizeof(fault->bytes));
	emulator.byte_count = fault->byte_count;
	if (emulator.cpu.rflags & RFLAGS_TF)
		return false; /* a trap would be due */
	ret = x86_emulate(&emulator, &ops, &write);
	if (ret != X86_EMULATE_DONE && ret != X86_EMULATE_MORE)
		return false;
	take_registers(vcpu, &emulator.cpu, ret == X86_EMULATE_DONE);
	vcpu->vp->counters.direct++;
	return true;
}
