#include "paravisor/exit.h"

#include "core/log.h"
#include "core/x86/x86.h"
#include "paravisor/interrupt.h"
#include "paravisor/machine.h"
#include "paravisor/vmbus.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

int exit_raise(struct vp *vp, uint8_t vector)
{
	struct vtl_exception exception = {
		.vector = vector,
		.has_error_code = vector == X86_VECTOR_GP || vector == X86_VECTOR_SS ||
				  vector == X86_VECTOR_PF || vector == X86_VECTOR_AC,
	};

	return vtl_vp_inject(vp->vtl, &exception);
}

static const char *mode_name(const struct x86_cpu *cpu)
{
	if (cpu->efer & X86_EFER_LMA)
		return "long mode";
	return cpu->cr0 & X86_CR0_PE ? "protected mode" : "real mode";
}

/* Triple fault: the state in one line is all that is left of VTL0. */
static int exit_crash(struct vp *vp, const struct vp_exit *exit)
{
	const struct vtl_registers *r = &vp->vtl->registers;
	int ret = vtl_vp_need(vp->vtl, VTL_CLASS_ALL);

	if (ret)
		return ret;
	__atomic_store_n(&vp->machine->crashed_vp, vp->index, __ATOMIC_RELAXED);
	machine_end(
		vp->machine, HOST_PORT_CRASH,
		"triple fault on VP %u in %s: RIP %#llx CR2 %#llx CR3 %#llx CR0 %#llx RSP %#llx",
		vp->index, mode_name(&r->cpu), (unsigned long long)exit->rip,
		(unsigned long long)r->cr2, (unsigned long long)r->cr3,
		(unsigned long long)r->cpu.cr0, (unsigned long long)r->cpu.gpr[X86_RSP]);
	return 0;
}

static int exit_unknown(struct vp *vp, const struct vp_exit *exit)
{
	if (exit->message_type == HV_MESSAGE_TYPE_INVALID_VP_REGISTER_VALUE ||
	    exit->message_type == HV_MESSAGE_TYPE_UNSUPPORTED_FEATURE)
		machine_end(vp->machine, HOST_PORT_CRASH,
			    "the hypervisor cannot run VP %u (message %#x)", vp->index,
			    exit->message_type);
	else
		log_limited(LOG_WARN, "VP %u: intercept message %#x not understood", vp->index,
			    exit->message_type);
	return 0;
}

static int dispatch(struct vp *vp, const struct vp_exit *exit)
{
	switch (exit->kind) {
	case VP_EXIT_PIO:
		return exit_pio(vp, exit);
	case VP_EXIT_MEMORY:
		return exit_memory(vp, exit);
	case VP_EXIT_MSR:
		return exit_msr(vp, exit);
	case VP_EXIT_CPUID:
		return exit_cpuid(vp, exit);
	case VP_EXIT_HYPERCALL:
		return exit_hypercall(vp, exit);
	case VP_EXIT_EOI:
		interrupt_eoi(vp->machine, exit->eoi_vector);
		return 0;
	case VP_EXIT_INTERRUPTIBLE:
		return interrupt_deliverable(vp);
	case VP_EXIT_SLOT_FREE:
		vmbus_slot_free(vp, exit->free_sints);
		return 0;
	case VP_EXIT_CRASH:
		return exit_crash(vp, exit);
	case VP_EXIT_HALT: /* the hypervisor keeps the VP halted when it runs again */
	case VP_EXIT_WAKE:
		return 0;
	case VP_EXIT_UNKNOWN:
	case VP_EXIT_KIND_COUNT:
		break;
	}
	return exit_unknown(vp, exit);
}

void exit_dispatch(struct vp *vp, const struct vp_exit *exit)
{
	int ret = dispatch(vp, exit);

	if (ret)
		machine_end(vp->machine, HOST_PORT_FAILURE,
			    "VP %u: exit %d at RIP %#llx not handled: errno %d", vp->index,
			    exit->kind, (unsigned long long)exit->rip, -ret);
}
