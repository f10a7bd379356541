#include "host/exit.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/log.h"
#include "host/direct.h"
#include "host/hypercall.h"
#include "host/intercept.h"
#include "host/msr.h"
#include "host/translate.h"
#include "host/vp.h"
#include "host/vpci.h"
#include "host/vtl2_uart.h"
#include "host/vtl_switch.h"

#define VECTOR_GP 13

/* Of OUT imm8, AL, which the hypercall page has. */
#define OUT_IMM8_LENGTH 2

static const char *vtl_name(const struct vcpu *vcpu)
{
	return vcpu->vtl == HOST_VTL0 ? "VTL0" : "VTL2";
}

static void end_stuck(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	partition_end(vcpu->vp->partition, RUN_FAILURE,
		      "KVM could not run %s VP %u: %s %#llx at RIP %#llx", vtl_name(vcpu),
		      vcpu->vp->index, what, (unsigned long long)detail,
		      (unsigned long long)vcpu_regs(vcpu)->rip);
}

/* --- MSRs --- */

/* 0, or -ENOENT for an MSR that is VTL2's to answer, where it asked for those. */
static int answer_msr(struct vcpu *vcpu, bool write)
{
	struct kvm_run *run = vcpu->run;
	uint32_t msr = run->msr.index;
	uint64_t value = run->msr.data;
	int ret = write ? msr_write_synthetic(vcpu, msr, value)
			: msr_read_synthetic(vcpu, msr, &value);

	if (ret == -ENOENT && vcpu->vtl == HOST_VTL0 &&
	    atomic_load(&vcpu->vp->partition->intercepts.msrs))
		return ret;
	run->msr.error = ret != 0;
	run->msr.data = value;
	if (ret)
		log_limited(LOG_DEBUG, "%s VP %u: %s of MSR %#x refused", vtl_name(vcpu),
			    vcpu->vp->index, write ? "write" : "read", msr);
	return 0;
}

/* --- VTL0 --- */

/*
 * An exit for a port or an MSR leaves RIP on the instruction and its completion pending in KVM.
 * Completing it with nothing to run yields the instruction's length; putting the registers back
 * gives Hyper-V's semantics: the intercept comes before the instruction. An IN's data and an INS's
 * memory are then VTL2's to write; INS is completed here with what memory holds, which changes
 * nothing.
 */
static uint8_t undo_instruction(struct vcpu *vcpu)
{
	struct kvm_regs before = *vcpu_regs(vcpu);
	uint64_t length;

	vcpu->run->immediate_exit = 1;
	if (!ioctl(vcpu->fd, KVM_RUN, 0) || errno != EINTR)
		log_limited(LOG_WARN, "VP %u: KVM did not complete an instruction at once",
			    vcpu->vp->index);
	vcpu->run->immediate_exit = 0;
	/* A kick in the meantime is not lost: the loop looks at its flags before it runs again. */
	length = vcpu_regs(vcpu)->rip - before.rip;
	*vcpu_write_regs(vcpu) = before;
	return length <= 15 ? (uint8_t)length : 0;
}

static bool is_hypercall(const struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint64_t msr = vcpu->vp->partition->vtl[vcpu->vtl].hypercall;

	return run->io.port == HYPERCALL_PORT && run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.size == 1 && run->io.count == 1 && (msr & HV_X64_MSR_HYPERCALL_ENABLE) &&
	       vcpu_regs(vcpu)->rip % HV_PAGE_SIZE == 0;
}

/*
 * A hypercall for VTL2: frequent, so its OUT stays pending in KVM, which lets go of it when it finds
 * RIP moved at the next run; and VTL2 moves RIP.
 */
static void pass_hypercall(struct vcpu *vcpu)
{
	vcpu->vp->pending_out = true;
	vcpu->vp->pending_out_rip = vcpu_regs(vcpu)->rip;
	intercept_hypercall(vcpu, OUT_IMM8_LENGTH);
}

/* VTL2 has returned. If it wants the hypercall made again, KVM must not go past the OUT. */
static void end_pending_out(struct vp *vp)
{
	struct vcpu *vcpu = &vp->vcpu[HOST_VTL0];

	if (vp->pending_out && vcpu_regs(vcpu)->rip == vp->pending_out_rip)
		undo_instruction(vcpu);
	vp->pending_out = false;
}

static void vtl0_string_in(struct vcpu *vcpu, struct port_access *access)
{
	const struct kvm_regs *regs = vcpu_regs(vcpu);
	struct x86_cpu cpu;
	uint8_t *data = (uint8_t *)vcpu->run + vcpu->run->io.data_offset;
	uint64_t gpa, len = (uint64_t)vcpu->run->io.count * access->size;

	/* KVM limits one exit to what lies in one page. */
	translate_cpu(vcpu, &cpu);
	memset(data, 0xff, len);
	if (!translate_linear(vcpu, cpu.segment[X86_ES].base + regs->rdi, &gpa))
		host_memory_read(&vcpu->vp->partition->memory, vcpu->view, gpa, data, len);
	access->rep = vcpu->run->io.count > 1;
	access->string = true;
}

/* One element of OUTS has its registers advanced already: it goes up as a plain OUT of length 0. */
static bool is_string(const struct vcpu *vcpu)
{
	uint8_t bytes[15];
	unsigned int i, count = translate_fetch(vcpu, bytes);

	for (i = 0; i < count; i++) {
		if ((bytes[i] & 0xfe) == 0x6c || (bytes[i] & 0xfe) == 0x6e)
			return true;
		if ((bytes[i] & 0xf4) == 0xe4) /* IN and OUT: E4-E7, EC-EF */
			return false;
	}
	return false;
}

static bool port_intercepted(const struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;
	uint8_t bits = __atomic_load_n(
		&vcpu->vp->partition->intercepts.ports[run->io.port / 8][write], __ATOMIC_RELAXED);

	return bits >> run->io.port % 8 & 1;
}

static void vtl0_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct port_access access = {
		.port = run->io.port,
		.size = run->io.size,
		.write = run->io.direction == KVM_EXIT_IO_OUT,
	};

	if (is_hypercall(vcpu)) {
		if (!hypercall_dispatch(vcpu))
			pass_hypercall(vcpu);
		return;
	}
	if (!port_intercepted(vcpu)) {
		if (!access.write)
			memset((uint8_t *)run + run->io.data_offset, 0xff,
			       (size_t)run->io.count * run->io.size);
		return;
	}
	memcpy(&access.data, (uint8_t *)run + run->io.data_offset, access.size);
	if (!is_string(vcpu)) {
		access.length = undo_instruction(vcpu);
	} else if (!access.write) {
		vtl0_string_in(vcpu, &access);
		access.length = undo_instruction(vcpu);
	}
	intercept_port(vcpu, &access);
}

static void vtl0_msr(struct vcpu *vcpu, bool write)
{
	uint32_t msr = vcpu->run->msr.index;
	uint64_t value = vcpu->run->msr.data;

	if (!answer_msr(vcpu, write))
		return;
	vcpu->run->msr.error = 0;
	intercept_msr(vcpu, msr, write, value, undo_instruction(vcpu));
}

static void vtl0_fault(struct vcpu *vcpu)
{
	struct fault fault;
	int ret = fault_locate(vcpu, &fault);

	if (ret == -ENOENT) {
		/* Nothing denies it now. Once may be a race; for ever would be a loop. */
		if (vcpu->vp->unexplained_faults++ < 1000)
			return;
		ret = -EIO;
	}
	vcpu->vp->unexplained_faults = 0;
	if (ret)
		intercept_unrecoverable(vcpu);
	else if (!direct_write(vcpu, &fault))
		intercept_memory(vcpu, &fault);
}

/* A GPA beyond all memory slots: all ones, and nobody is told (docs/vtlhost.md). */
static void nobody_there(struct vcpu *vcpu)
{
	if (!vcpu->run->mmio.is_write)
		memset(vcpu->run->mmio.data, 0xff, sizeof(vcpu->run->mmio.data));
}

/*
 * KVM emulates what touches a GPA beyond all memory slots, but knows few instructions. It gives up
 * before the instruction has done anything: VTL2 takes it from there.
 */
static void vtl0_not_emulated(struct vcpu *vcpu)
{
	struct fault fault;

	log_limited(LOG_DEBUG, "VTL0 VP %u: KVM could not emulate the instruction at RIP %#llx",
		    vcpu->vp->index, (unsigned long long)vcpu_regs(vcpu)->rip);
	if (vcpu->run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
		intercept_unrecoverable(vcpu);
		return;
	}
	fault_unknown(vcpu, &fault);
	intercept_memory(vcpu, &fault);
}

void exit_vtl0(struct vcpu *vcpu, int err)
{
	struct kvm_run *run = vcpu->run;

	if (err == EFAULT) {
		vtl0_fault(vcpu);
		return;
	}
	if (err) {
		end_stuck(vcpu, strerror(err), (uint64_t)err);
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		vtl0_port(vcpu);
		break;
	case KVM_EXIT_MMIO:
		nobody_there(vcpu);
		break;
	case KVM_EXIT_X86_RDMSR:
		vtl0_msr(vcpu, false);
		break;
	case KVM_EXIT_X86_WRMSR:
		vtl0_msr(vcpu, true);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		if (atomic_load(&vcpu->vp->partition->intercepts.eoi))
			intercept_eoi(vcpu, run->eoi.vector);
		break;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		run->request_interrupt_window = 0;
		intercept_deliverable(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		intercept_unrecoverable(vcpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vtl0_not_emulated(vcpu);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		end_stuck(vcpu, "entry failed, reason",
			  run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		end_stuck(vcpu, "unexpected exit", run->exit_reason);
	}
}

/* --- VTL2 --- */

static void vtl2_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;

	if (write && run->io.port == VTL_RETURN_PORT) {
		vtl_switch_to_vtl0(vcpu->vp);
		end_pending_out(vcpu->vp);
	} else if (is_hypercall(vcpu)) {
		hypercall_dispatch(vcpu);
	} else if (vtl2_uart_covers(run->io.port) && run->io.size == 1) {
		for (; run->io.count; run->io.count--, data++)
			vtl2_uart_access(vcpu->vp->partition->uart, run->io.port, data, write);
	} else if (!write) {
		memset(data, 0xff, (size_t)run->io.size * run->io.count);
	}
}

static void vtl2_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (!host_vpci_mmio(vcpu->vp->partition->vpci, run->mmio.phys_addr, run->mmio.data,
			    run->mmio.len, run->mmio.is_write))
		nobody_there(vcpu);
}

void exit_vtl2(struct vcpu *vcpu, int err)
{
	struct kvm_run *run = vcpu->run;

	if (err) {
		end_stuck(vcpu, strerror(err), (uint64_t)err);
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		vtl2_port(vcpu);
		break;
	case KVM_EXIT_MMIO:
		vtl2_mmio(vcpu);
		break;
	case KVM_EXIT_X86_RDMSR:
		answer_msr(vcpu, false);
		break;
	case KVM_EXIT_X86_WRMSR:
		answer_msr(vcpu, true);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		break;
	case KVM_EXIT_SHUTDOWN:
		partition_end(vcpu->vp->partition, RUN_VTL2_CRASH,
			      "VTL2 VP %u had a triple fault at RIP %#llx", vcpu->vp->index,
			      (unsigned long long)vcpu_regs(vcpu)->rip);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		end_stuck(vcpu, "internal error", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		end_stuck(vcpu, "entry failed, reason",
			  run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		end_stuck(vcpu, "unexpected exit", run->exit_reason);
	}
}
