#include "host/vtl_switch.h"

#include <string.h>

#include "core/log.h"
#include "host/reference_time.h"
#include "host/registers.h"
#include "host/vp.h"

/* FCW to XMM15 of an FXSAVE image: what VTLs share. The rest of the 512 bytes is reserved. */
#define FX_SHARED_BYTES  416
#define XSTATE_BV_OFFSET 512
#define XSTATE_X87_SSE   3ull

/* RCX of a VTL return: bit 0 set leaves RAX and RCX alone (TLFS 15.6.1). */
#define VTL_RETURN_FAST 1u

/* --- shared registers --- */

static void share_general(struct vp *vp, enum host_vtl from, enum host_vtl to)
{
	const struct kvm_regs *source = vcpu_regs(&vp->vcpu[from]);
	struct kvm_regs *target = vcpu_write_regs(&vp->vcpu[to]);
	uint64_t rsp = target->rsp, rip = target->rip, rflags = target->rflags;

	*target = *source;
	target->rsp = rsp;
	target->rip = rip;
	target->rflags = rflags;
}

static void share_cr2(struct vp *vp, enum host_vtl from, enum host_vtl to)
{
	uint64_t cr2 = vcpu_sregs(&vp->vcpu[from])->cr2;

	if (vcpu_sregs(&vp->vcpu[to])->cr2 != cr2)
		vcpu_write_sregs(&vp->vcpu[to])->cr2 = cr2;
}

/*
 * x87 and SSE state of VTL0 is VTL2's to see where it may have to do what an instruction does with it. At the other
 * entries, the frequent ones, each VTL keeps its own, which spares two calls of KVM (docs/vtlhost.md).
 */
static bool entry_shares_fx(const struct vp *vp, const struct hv_message *intercept)
{
	if (!intercept)
		return false;
	switch (intercept->header.message_type) {
	case HV_MESSAGE_TYPE_X64_APIC_EOI:
	case HV_MESSAGE_TYPE_X64_INTERRUPTION_DELIVERABLE:
	case HV_MESSAGE_TYPE_SYNIC_SINT_DELIVERABLE:
		return false;
	case HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT: /* this one's input is in RDX */
		return (uint16_t)vcpu_regs(&vp->vcpu[HOST_VTL0])->rcx != HV_CALL_SIGNAL_EVENT;
	default:
		return true;
	}
}

/*
 * KVM_GET_XSAVE, not KVM_GET_FPU: the latter shows stale bytes for components in their initial
 * state, and KVM_SET_FPU does not mark what it loads as in use. AVX state is not shared here: it
 * stays in VTL0's vCPU, and VTL2's kernel runs with noxsave.
 */
static void share_fx(struct vp *vp, enum host_vtl from, enum host_vtl to)
{
	struct kvm_xsave state;
	uint64_t xstate_bv;

	if (kvm_ioctl(vp->vcpu[from].fd, KVM_GET_XSAVE, &state) ||
	    (!vp->fx_apart && !memcmp(vp->fx, state.region, FX_SHARED_BYTES)))
		return;
	vp->fx_apart = false;
	memcpy(vp->fx, state.region, FX_SHARED_BYTES);
	if (kvm_ioctl(vp->vcpu[to].fd, KVM_GET_XSAVE, &state))
		return;
	memcpy(state.region, vp->fx, FX_SHARED_BYTES);
	memcpy(&xstate_bv, (uint8_t *)state.region + XSTATE_BV_OFFSET, sizeof(xstate_bv));
	xstate_bv |= XSTATE_X87_SSE;
	memcpy((uint8_t *)state.region + XSTATE_BV_OFFSET, &xstate_bv, sizeof(xstate_bv));
	kvm_ioctl(vp->vcpu[to].fd, KVM_SET_XSAVE, &state);
}

static void share(struct vp *vp, enum host_vtl from, enum host_vtl to)
{
	share_general(vp, from, to);
	share_cr2(vp, from, to);
	if (vp->fx_shared)
		share_fx(vp, from, to);
}

/* --- pages of VTL2 --- */

static void *page_of(struct vp *vp, uint64_t msr)
{
	if (!(msr & HV_X64_MSR_PAGE_ENABLE))
		return NULL;
	return host_memory_pointer(&vp->partition->memory, msr & HV_X64_MSR_PAGE_MASK,
				   HV_PAGE_SIZE);
}

static void fill_register_page(struct vp *vp, struct hv_vp_register_page *page)
{
	const struct vcpu *vcpu = &vp->vcpu[HOST_VTL0];
	const struct kvm_sregs *sregs = vcpu_sregs(vcpu);
	const struct kvm_segment *segments[6] = { &sregs->es, &sregs->cs, &sregs->ss,
						  &sregs->ds, &sregs->fs, &sregs->gs };
	unsigned int i;

	page->version = HV_VP_REGISTER_PAGE_VERSION_1;
	page->vtl = 0;
	page->dirty = 0;
	registers_get_general(vcpu_regs(vcpu), page->gp_registers);
	page->rip = vcpu_regs(vcpu)->rip;
	page->rflags = vcpu_regs(vcpu)->rflags;
	memcpy(page->xmm_registers, (uint8_t *)vp->fx + 160, sizeof(page->xmm_registers));
	for (i = 0; i < 6; i++)
		registers_get_segment(segments[i], &page->segment_registers[i]);
	page->cr0 = sregs->cr0;
	page->cr3 = sregs->cr3;
	page->cr4 = sregs->cr4;
	page->cr8 = sregs->cr8;
	page->efer = sregs->efer;
	page->pending_interruption = registers_get_pending_interruption(vcpu);
	page->interrupt_state = registers_get_interrupt_state(vcpu);
	page->isvalid = 1;
}

/* What VTL2 changed there. Of the general registers only RSP is not shared. */
static void load_register_page(struct vp *vp, struct hv_vp_register_page *page)
{
	struct vcpu *vcpu = &vp->vcpu[HOST_VTL0];
	uint32_t dirty = page->dirty;
	unsigned int i;

	if (dirty & 1u << HV_X64_REGISTER_CLASS_GENERAL)
		vcpu_write_regs(vcpu)->rsp = page->gp_registers[4];
	if (dirty & 1u << HV_X64_REGISTER_CLASS_IP)
		vcpu_write_regs(vcpu)->rip = page->rip;
	if (dirty & 1u << HV_X64_REGISTER_CLASS_FLAGS)
		vcpu_write_regs(vcpu)->rflags = page->rflags;
	if (dirty & 1u << HV_X64_REGISTER_CLASS_SEGMENT) {
		struct kvm_sregs *sregs = vcpu_write_sregs(vcpu);
		struct kvm_segment *segments[6] = { &sregs->es, &sregs->cs, &sregs->ss,
						    &sregs->ds, &sregs->fs, &sregs->gs };

		for (i = 0; i < 6; i++)
			registers_set_segment(segments[i], &page->segment_registers[i]);
	}
	page->dirty = 0;
	page->isvalid = 0;
}

/* --- the switches --- */

void vtl_switch_to_vtl2(struct vp *vp, const struct hv_message *intercept)
{
	struct vcpu *vtl2 = &vp->vcpu[HOST_VTL2];
	struct hv_vp_assist_page *assist = page_of(vp, vtl2->vp_assist);
	struct hv_vp_register_page *registers = page_of(vp, vp->register_page);

	if (!assist) {
		partition_end(vp->partition, RUN_VTL2_CRASH,
			      "VP %u has no VP assist page to enter VTL2 with", vp->index);
		return;
	}
	vp->fx_shared = entry_shares_fx(vp, intercept);
	vp->fx_apart |= !vp->fx_shared;
	share(vp, HOST_VTL0, HOST_VTL2);
	assist->vtl_entry_reason = intercept ? HV_VTL_ENTRY_INTERCEPT : HV_VTL_ENTRY_INTERRUPT;
	if (intercept) {
		memcpy(assist->intercept_message, intercept, sizeof(*intercept));
		if (registers)
			fill_register_page(vp, registers);
		vp->counters.intercepts++;
	} else {
		vp->counters.interrupts++;
	}
	atomic_store(&vp->active, HOST_VTL2);
}

/* What VTL2 wants done at its return; mistakes in it have nobody to be told. */
static void take_actions(struct vp *vp, struct hv_vp_assist_page *assist)
{
	struct hv_vtl_return_action actions[HV_VTL_RETURN_ACTIONS_MAX];
	unsigned int i;

	_Static_assert(sizeof(actions) == sizeof(assist->vtl_return_actions), "all of them");
	memcpy(actions, assist->vtl_return_actions, sizeof(actions));
	for (i = 0; i < HV_VTL_RETURN_ACTIONS_MAX && actions[i].type; i++) {
		struct vp *target = vp_find(vp->partition, actions[i].target_vp);

		if (actions[i].type == HV_VTL_RETURN_ACTION_SIGNAL_EVENT && target &&
		    actions[i].target_vtl == 0)
			synic_signal(&target->vcpu[HOST_VTL0], actions[i].target_sint,
				     actions[i].flag_number);
	}
	memset(assist->vtl_return_actions, 0, i * sizeof(actions[0]));
}

static void log_start(const struct vp *vp)
{
	uint64_t now = reference_time_now(&vp->partition->time);

	log_info("VTL0 starts %llu us after VTL2: %llu cycles of VTL2 on VP 0, %llu KVM exits",
		 (unsigned long long)(now - vp->counters.began) / 10,
		 (unsigned long long)vp->counters.boot_ticks,
		 (unsigned long long)vp->counters.kvm_exits);
}

void vtl_switch_to_vtl0(struct vp *vp)
{
	struct vcpu *vtl2 = &vp->vcpu[HOST_VTL2];
	struct hv_vp_assist_page *assist = page_of(vp, vtl2->vp_assist);
	struct hv_vp_register_page *registers = page_of(vp, vp->register_page);
	bool fast = vcpu_regs(vtl2)->rcx & VTL_RETURN_FAST;
	struct kvm_regs *regs;

	if (!assist) {
		partition_end(vp->partition, RUN_VTL2_CRASH,
			      "VP %u made a VTL return without a VP assist page", vp->index);
		return;
	}
	share(vp, HOST_VTL2, HOST_VTL0);
	if (!fast) {
		regs = vcpu_write_regs(&vp->vcpu[HOST_VTL0]);
		regs->rax = assist->vtl_return_x64_rax;
		regs->rcx = assist->vtl_return_x64_rcx;
	}
	if (registers && registers->isvalid)
		load_register_page(vp, registers);
	take_actions(vp, assist);
	if (!vp->counters.vtl_switches++ && !vp->index)
		log_start(vp);
	atomic_store(&vp->active, HOST_VTL0);
}
