#include "host/registers.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "host/msr.h"
#include "host/vp.h"

/* --- conversions --- */

/* Offsets in struct kvm_regs, in the order of the registers' encoding. */
static const uint8_t general_offset[16] = {
	offsetof(struct kvm_regs, rax), offsetof(struct kvm_regs, rcx),
	offsetof(struct kvm_regs, rdx), offsetof(struct kvm_regs, rbx),
	offsetof(struct kvm_regs, rsp), offsetof(struct kvm_regs, rbp),
	offsetof(struct kvm_regs, rsi), offsetof(struct kvm_regs, rdi),
	offsetof(struct kvm_regs, r8),  offsetof(struct kvm_regs, r9),
	offsetof(struct kvm_regs, r10), offsetof(struct kvm_regs, r11),
	offsetof(struct kvm_regs, r12), offsetof(struct kvm_regs, r13),
	offsetof(struct kvm_regs, r14), offsetof(struct kvm_regs, r15),
};

uint64_t *registers_general(struct kvm_regs *regs, unsigned int index)
{
	return (uint64_t *)((uint8_t *)regs + general_offset[index & 15]);
}

void registers_get_general(const struct kvm_regs *regs, uint64_t general[16])
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		memcpy(&general[i], (const uint8_t *)regs + general_offset[i], 8);
}

void registers_get_segment(const struct kvm_segment *s, struct hv_x64_segment_register *hv)
{
	hv->base = s->base;
	hv->limit = s->limit;
	hv->selector = s->selector;
	hv->attributes = (uint16_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 |
				    s->avl << 12 | s->l << 13 | s->db << 14 | s->g << 15);
}

void registers_set_segment(struct kvm_segment *s, const struct hv_x64_segment_register *hv)
{
	uint16_t a = hv->attributes;

	*s = (struct kvm_segment){
		.base = hv->base,
		.limit = hv->limit,
		.selector = hv->selector,
		.type = a & 15,
		.s = a >> 4 & 1,
		.dpl = a >> 5 & 3,
		.present = a >> 7 & 1,
		.avl = a >> 12 & 1,
		.l = a >> 13 & 1,
		.db = a >> 14 & 1,
		.g = a >> 15 & 1,
		.unusable = !(a >> 7 & 1),
	};
}

union hv_x64_pending_interruption_register registers_get_pending_interruption(
	const struct vcpu *vcpu)
{
	const struct kvm_vcpu_events *events = &vcpu->run->s.regs.events;
	union hv_x64_pending_interruption_register p = { 0 };

	if (events->exception.injected) {
		p.interruption_pending = 1;
		p.interruption_type = HV_X64_PENDING_EXCEPTION;
		p.interruption_vector = events->exception.nr;
		p.deliver_error_code = events->exception.has_error_code;
		p.error_code = events->exception.error_code;
	} else if (events->nmi.injected) {
		p.interruption_pending = 1;
		p.interruption_type = HV_X64_PENDING_NMI;
		p.interruption_vector = 2;
	} else if (events->interrupt.injected) {
		p.interruption_pending = 1;
		p.interruption_type = events->interrupt.soft ? HV_X64_PENDING_SOFTWARE_INTERRUPT
							     : HV_X64_PENDING_INTERRUPT;
		p.interruption_vector = events->interrupt.nr;
	}
	return p;
}

static void set_pending_interruption(struct vcpu *vcpu,
				     union hv_x64_pending_interruption_register p)
{
	struct kvm_vcpu_events *events = vcpu_write_events(vcpu);

	events->exception.injected = 0;
	events->nmi.injected = 0;
	events->interrupt.injected = 0;
	if (!p.interruption_pending)
		return;
	switch (p.interruption_type) {
	case HV_X64_PENDING_INTERRUPT:
	case HV_X64_PENDING_SOFTWARE_INTERRUPT:
		events->interrupt.injected = 1;
		events->interrupt.nr = (uint8_t)p.interruption_vector;
		events->interrupt.soft = p.interruption_type == HV_X64_PENDING_SOFTWARE_INTERRUPT;
		break;
	case HV_X64_PENDING_NMI:
		events->nmi.injected = 1;
		break;
	default:
		vcpu_inject_exception(vcpu, (uint8_t)p.interruption_vector,
				      p.deliver_error_code ? (int64_t)p.error_code : -1);
	}
}

union hv_x64_interrupt_state_register registers_get_interrupt_state(const struct vcpu *vcpu)
{
	const struct kvm_vcpu_events *events = &vcpu->run->s.regs.events;
	union hv_x64_interrupt_state_register state = { 0 };

	state.interrupt_shadow = events->interrupt.shadow != 0;
	state.nmi_masked = events->nmi.masked;
	return state;
}

static void set_interrupt_state(struct vcpu *vcpu, union hv_x64_interrupt_state_register state)
{
	struct kvm_vcpu_events *events = vcpu_write_events(vcpu);

	events->interrupt.shadow = state.interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0;
	events->nmi.masked = state.nmi_masked;
	events->flags |= KVM_VCPUEVENT_VALID_SHADOW;
}

/* HV_REGISTER_PENDING_EVENT0: an exception, or an interrupt that the 8259 has acknowledged. */
static uint16_t set_pending_event(struct vcpu *vcpu, const union hv_register_value *value)
{
	union hv_x64_pending_exception_event event = value->pending_exception_event;
	struct kvm_interrupt interrupt = {
		.irq = value->pending_ext_int_event.vector,
	};

	if (!event.event_pending)
		return HV_STATUS_SUCCESS;
	switch (event.event_type) {
	case HV_X64_PENDING_EVENT_EXCEPTION:
		if (event.vector == 14)
			vcpu_write_sregs(vcpu)->cr2 = event.exception_parameter;
		vcpu_inject_exception(vcpu, (uint8_t)event.vector,
				      event.deliver_error_code ? (int64_t)event.error_code : -1);
		return HV_STATUS_SUCCESS;
	case HV_X64_PENDING_EVENT_EXT_INT:
		return kvm_ioctl(vcpu->fd, KVM_INTERRUPT, &interrupt) ? HV_STATUS_OBJECT_IN_USE
								      : HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

/* --- control registers, descriptor tables, debug registers --- */

static uint64_t *control_register(struct kvm_sregs *sregs, uint32_t name)
{
	switch (name) {
	case HV_X64_REGISTER_CR0:
		return (uint64_t *)&sregs->cr0;
	case HV_X64_REGISTER_CR2:
		return (uint64_t *)&sregs->cr2;
	case HV_X64_REGISTER_CR3:
		return (uint64_t *)&sregs->cr3;
	case HV_X64_REGISTER_CR4:
		return (uint64_t *)&sregs->cr4;
	case HV_X64_REGISTER_CR8:
		return (uint64_t *)&sregs->cr8;
	case HV_X64_REGISTER_EFER:
		return (uint64_t *)&sregs->efer;
	default: /* HV_X64_REGISTER_APIC_BASE */
		return (uint64_t *)&sregs->apic_base;
	}
}

static struct kvm_segment *segment_register(struct kvm_sregs *sregs, uint32_t name)
{
	struct kvm_segment *segments[] = { &sregs->es, &sregs->cs, &sregs->ss,  &sregs->ds,
					   &sregs->fs, &sregs->gs, &sregs->ldt, &sregs->tr };

	return segments[name - HV_X64_REGISTER_ES];
}

static struct kvm_dtable *table_register(struct kvm_sregs *sregs, uint32_t name)
{
	return name == HV_X64_REGISTER_IDTR ? &sregs->idt : &sregs->gdt;
}

static uint64_t *debug_register(struct kvm_debugregs *debug, uint32_t name)
{
	switch (name) {
	case HV_X64_REGISTER_DR6:
		return (uint64_t *)&debug->dr6;
	case HV_X64_REGISTER_DR7:
		return (uint64_t *)&debug->dr7;
	default:
		return (uint64_t *)&debug->db[name - HV_X64_REGISTER_DR0];
	}
}

static uint16_t access_debug(struct vcpu *vcpu, uint32_t name, uint64_t *value, bool set)
{
	struct kvm_debugregs debug;

	if (kvm_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &debug))
		return HV_STATUS_OPERATION_FAILED;
	if (!set) {
		*value = *debug_register(&debug, name);
		return HV_STATUS_SUCCESS;
	}
	*debug_register(&debug, name) = *value;
	return kvm_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &debug) ? HV_STATUS_INVALID_REGISTER_VALUE
							      : HV_STATUS_SUCCESS;
}

/* --- registers that are MSRs to KVM --- */

static const struct {
	uint32_t name, count, msr, stride;
} msr_registers[] = {
	{ HV_X64_REGISTER_TSC, 1, 0x10, 1 },
	{ HV_X64_REGISTER_KERNEL_GS_BASE, 1, 0xc0000102, 1 },
	{ HV_X64_REGISTER_PAT, 1, 0x277, 1 },
	{ HV_X64_REGISTER_SYSENTER_CS, 1, 0x174, 1 },
	{ HV_X64_REGISTER_SYSENTER_EIP, 1, 0x176, 1 },
	{ HV_X64_REGISTER_SYSENTER_ESP, 1, 0x175, 1 },
	{ HV_X64_REGISTER_STAR, 4, 0xc0000081, 1 }, /* STAR, LSTAR, CSTAR, SFMASK */
	{ HV_X64_REGISTER_MSR_MTRR_CAP, 1, 0xfe, 1 },
	{ HV_X64_REGISTER_MSR_MTRR_DEF_TYPE, 1, 0x2ff, 1 },
	{ HV_X64_REGISTER_MSR_MTRR_PHYS_BASE0, 16, 0x200, 2 },
	{ HV_X64_REGISTER_MSR_MTRR_PHYS_MASK0, 16, 0x201, 2 },
	{ HV_X64_REGISTER_MSR_MTRR_FIX64K00000, 1, 0x250, 1 },
	{ HV_X64_REGISTER_MSR_MTRR_FIX16K80000, 2, 0x258, 1 },
	{ HV_X64_REGISTER_MSR_MTRR_FIX4KC0000, 8, 0x268, 1 },
	{ HV_X64_REGISTER_TSC_AUX, 1, 0xc0000103, 1 },
	{ HV_X64_REGISTER_TSC_DEADLINE, 1, 0x6e0, 1 },
	{ HV_X64_REGISTER_TSC_ADJUST, 1, 0x3b, 1 },
	{ HV_X64_REGISTER_XSS, 1, 0xda0, 1 },
};

static uint32_t find_msr(uint32_t name)
{
	size_t i;

	for (i = 0; i < sizeof(msr_registers) / sizeof(msr_registers[0]); i++)
		if (name - msr_registers[i].name < msr_registers[i].count)
			return msr_registers[i].msr +
			       (name - msr_registers[i].name) * msr_registers[i].stride;
	return 0;
}

static uint16_t access_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value, bool set)
{
	return msr_access_kvm(vcpu, msr, value, set) ? HV_STATUS_INVALID_REGISTER_VALUE
						     : HV_STATUS_SUCCESS;
}

/* Registers that the synthetic MSRs give access to, too: HV_REGISTER_x to HV_X64_MSR_x. */
static uint32_t find_synthetic_msr(uint32_t name)
{
	switch (name) {
	case HV_REGISTER_GUEST_OS_ID:
		return HV_X64_MSR_GUEST_OS_ID;
	case HV_X64_REGISTER_HYPERCALL:
		return HV_X64_MSR_HYPERCALL;
	case HV_REGISTER_VP_INDEX:
		return HV_X64_MSR_VP_INDEX;
	case HV_REGISTER_TIME_REF_COUNT:
		return HV_X64_MSR_TIME_REF_COUNT;
	case HV_REGISTER_VP_ASSIST_PAGE:
		return HV_X64_MSR_VP_ASSIST_PAGE;
	case HV_REGISTER_REFERENCE_TSC:
		return HV_X64_MSR_REFERENCE_TSC;
	case HV_REGISTER_SINT0 ... HV_REGISTER_SINT15:
		return name - HV_REGISTER_SINT0 + HV_X64_MSR_SINT0;
	case HV_REGISTER_SCONTROL:
		return HV_X64_MSR_SCONTROL;
	case HV_REGISTER_SVERSION:
		return HV_X64_MSR_SVERSION;
	case HV_REGISTER_SIEFP:
		return HV_X64_MSR_SIEFP;
	case HV_REGISTER_SIMP:
		return HV_X64_MSR_SIMP;
	case HV_REGISTER_EOM:
		return HV_X64_MSR_EOM;
	case HV_REGISTER_STIMER0_CONFIG ... HV_REGISTER_STIMER3_COUNT:
		return name - HV_REGISTER_STIMER0_CONFIG + HV_X64_MSR_STIMER0_CONFIG;
	case HV_REGISTER_GUEST_CRASH_P0 ... HV_REGISTER_GUEST_CRASH_CTL:
		return name - HV_REGISTER_GUEST_CRASH_P0 + HV_X64_MSR_CRASH_P0;
	default:
		return 0;
	}
}

/* --- VSM registers --- */

static uint16_t get_vsm(struct vcpu *vcpu, uint32_t name, union hv_register_value *value)
{
	const struct partition *partition = vcpu->vp->partition;

	switch (name) {
	case HV_REGISTER_VSM_CODE_PAGE_OFFSETS:
		value->reg64 = HYPERCALL_PAGE_VTL_CALL | HYPERCALL_PAGE_VTL_RETURN << 12;
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_VSM_VP_STATUS: {
		union hv_register_vsm_vp_status status = {
			.active_vtl = 2,
			.enabled_vtl_set = 1 << 0 | 1 << 2,
		};

		value->reg64 = status.as_uint64;
		return HV_STATUS_SUCCESS;
	}
	case HV_REGISTER_VSM_PARTITION_STATUS: {
		union hv_register_vsm_partition_status status = {
			.enabled_vtl_set = 1 << 0 | 1 << 2,
			.maximum_vtl = 2,
		};

		value->reg64 = status.as_uint64;
		return HV_STATUS_SUCCESS;
	}
	case HV_REGISTER_VSM_CAPABILITIES: {
		union hv_register_vsm_capabilities capabilities = {
			.intercept_page_available = 1,
			.return_action_available = 1,
		};

		value->reg64 = capabilities.as_uint64;
		return HV_STATUS_SUCCESS;
	}
	case HV_REGISTER_VSM_PARTITION_CONFIG:
		value->reg64 = partition->vsm_config;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_REG_PAGE:
		value->reg64 = vcpu->vp->register_page;
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_UNKNOWN_REGISTER_NAME;
	}
}

static uint16_t set_vsm(struct vcpu *vcpu, uint32_t name, uint64_t value)
{
	struct vp *vp = vcpu->vp;

	switch (name) {
	case HV_REGISTER_VSM_PARTITION_CONFIG:
		vp->partition->vsm_config = value;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_REG_PAGE:
		if ((value & HV_X64_MSR_PAGE_ENABLE) &&
		    !host_memory_is_ram(&vp->partition->memory, value & HV_X64_MSR_PAGE_MASK,
					HV_PAGE_SIZE))
			return HV_STATUS_INVALID_REGISTER_VALUE;
		vp->register_page = value;
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_UNKNOWN_REGISTER_NAME;
	}
}

static uint64_t get_activity(struct vcpu *vcpu)
{
	union hv_internal_activity_register activity = { 0 };
	struct kvm_mp_state state = { 0 };

	kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &state);
	activity.startup_suspend = state.mp_state == KVM_MP_STATE_UNINITIALIZED;
	activity.halt_suspend = state.mp_state == KVM_MP_STATE_HALTED;
	return activity.as_uint64;
}

static uint16_t set_activity(struct vcpu *vcpu, uint64_t value)
{
	union hv_internal_activity_register activity = { .as_uint64 = value };
	struct kvm_mp_state state = {
		.mp_state = activity.startup_suspend ? KVM_MP_STATE_UNINITIALIZED
			    : activity.halt_suspend  ? KVM_MP_STATE_HALTED
						     : KVM_MP_STATE_RUNNABLE,
	};

	return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state) ? HV_STATUS_INVALID_PARAMETER
							     : HV_STATUS_SUCCESS;
}

/* --- get and set --- */

static uint64_t get_notifications(const struct vcpu *vcpu)
{
	const union hv_deliverability_notifications_register wanted = {
		.interrupt_notification = vcpu->run->request_interrupt_window,
		.sints = atomic_load(&vcpu->synic.wanted),
	};

	return wanted.as_uint64;
}

static void set_notifications(struct vcpu *vcpu, uint64_t value)
{
	const union hv_deliverability_notifications_register wanted = { .as_uint64 = value };

	vcpu->run->request_interrupt_window = wanted.interrupt_notification;
	synic_want(vcpu, wanted.sints);
}

uint16_t register_get(struct vcpu *vcpu, uint32_t name, union hv_register_value *value)
{
	struct kvm_sregs *sregs = &vcpu->run->s.regs.sregs;
	uint32_t msr;

	memset(value, 0, sizeof(*value));
	switch (name) {
	case HV_X64_REGISTER_RAX ... HV_X64_REGISTER_R15:
		value->reg64 =
			*registers_general(&vcpu->run->s.regs.regs, name - HV_X64_REGISTER_RAX);
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_RIP:
		value->reg64 = vcpu_regs(vcpu)->rip;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_RFLAGS:
		value->reg64 = vcpu_regs(vcpu)->rflags;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_CR0 ... HV_X64_REGISTER_CR8:
	case HV_X64_REGISTER_EFER:
	case HV_X64_REGISTER_APIC_BASE:
		value->reg64 = *control_register(sregs, name);
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_ES ... HV_X64_REGISTER_TR:
		registers_get_segment(segment_register(sregs, name), &value->segment);
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_IDTR:
	case HV_X64_REGISTER_GDTR:
		value->table.base = table_register(sregs, name)->base;
		value->table.limit = table_register(sregs, name)->limit;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_DR0 ... HV_X64_REGISTER_DR7:
		return access_debug(vcpu, name, &value->reg64, false);
	case HV_REGISTER_PENDING_INTERRUPTION:
		value->pending_interruption = registers_get_pending_interruption(vcpu);
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_INTERRUPT_STATE:
		value->interrupt_state = registers_get_interrupt_state(vcpu);
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_INTERNAL_ACTIVITY_STATE:
		value->reg64 = get_activity(vcpu);
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_PENDING_EVENT0:
	case HV_REGISTER_PENDING_EVENT1: /* what was set is with KVM by now */
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_DELIVERABILITY_NOTIFICATIONS:
		value->reg64 = get_notifications(vcpu);
		return HV_STATUS_SUCCESS;
	}
	msr = find_msr(name);
	if (msr)
		return access_msr(vcpu, msr, &value->reg64, false);
	msr = find_synthetic_msr(name);
	if (msr)
		return msr_read_synthetic(vcpu, msr, &value->reg64) ? HV_STATUS_ACCESS_DENIED
								    : HV_STATUS_SUCCESS;
	return get_vsm(vcpu, name, value);
}

uint16_t register_set(struct vcpu *vcpu, uint32_t name, const union hv_register_value *value)
{
	uint64_t reg64 = value->reg64;
	uint32_t msr;

	switch (name) {
	case HV_X64_REGISTER_RAX ... HV_X64_REGISTER_R15:
		*registers_general(vcpu_write_regs(vcpu), name - HV_X64_REGISTER_RAX) = reg64;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_RIP:
		vcpu_write_regs(vcpu)->rip = reg64;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_RFLAGS:
		vcpu_write_regs(vcpu)->rflags = reg64;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_CR0 ... HV_X64_REGISTER_CR8:
	case HV_X64_REGISTER_EFER:
	case HV_X64_REGISTER_APIC_BASE:
		*control_register(vcpu_write_sregs(vcpu), name) = reg64;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_ES ... HV_X64_REGISTER_TR:
		registers_set_segment(segment_register(vcpu_write_sregs(vcpu), name),
				      &value->segment);
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_IDTR:
	case HV_X64_REGISTER_GDTR:
		table_register(vcpu_write_sregs(vcpu), name)->base = value->table.base;
		table_register(vcpu_write_sregs(vcpu), name)->limit = value->table.limit;
		return HV_STATUS_SUCCESS;
	case HV_X64_REGISTER_DR0 ... HV_X64_REGISTER_DR7:
		return access_debug(vcpu, name, &reg64, true);
	case HV_REGISTER_PENDING_INTERRUPTION:
		set_pending_interruption(vcpu, value->pending_interruption);
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_INTERRUPT_STATE:
		set_interrupt_state(vcpu, value->interrupt_state);
		return HV_STATUS_SUCCESS;
	case HV_REGISTER_INTERNAL_ACTIVITY_STATE:
		return set_activity(vcpu, reg64);
	case HV_REGISTER_PENDING_EVENT0:
		return set_pending_event(vcpu, value);
	case HV_REGISTER_DELIVERABILITY_NOTIFICATIONS:
		set_notifications(vcpu, reg64);
		return HV_STATUS_SUCCESS;
	}
	msr = find_msr(name);
	if (msr)
		return access_msr(vcpu, msr, &reg64, true);
	msr = find_synthetic_msr(name);
	if (msr)
		return msr_write_synthetic(vcpu, msr, reg64) ? HV_STATUS_INVALID_REGISTER_VALUE
							     : HV_STATUS_SUCCESS;
	return set_vsm(vcpu, name, reg64);
}

int registers_set_initial(struct vcpu *vcpu, const struct hv_initial_vp_context *c)
{
	struct kvm_sregs *sregs = vcpu_write_sregs(vcpu);
	struct kvm_regs *regs = vcpu_write_regs(vcpu);
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	uint64_t pat = c->msr_cr_pat;

	*regs = (struct kvm_regs){ .rip = c->rip, .rsp = c->rsp, .rflags = c->rflags };
	registers_set_segment(&sregs->cs, &c->cs);
	registers_set_segment(&sregs->ds, &c->ds);
	registers_set_segment(&sregs->es, &c->es);
	registers_set_segment(&sregs->fs, &c->fs);
	registers_set_segment(&sregs->gs, &c->gs);
	registers_set_segment(&sregs->ss, &c->ss);
	registers_set_segment(&sregs->tr, &c->tr);
	registers_set_segment(&sregs->ldt, &c->ldtr);
	sregs->idt = (struct kvm_dtable){ .base = c->idtr.base, .limit = c->idtr.limit };
	sregs->gdt = (struct kvm_dtable){ .base = c->gdtr.base, .limit = c->gdtr.limit };
	sregs->cr0 = c->cr0;
	sregs->cr3 = c->cr3;
	sregs->cr4 = c->cr4;
	sregs->efer = c->efer;
	if (access_msr(vcpu, 0x277, &pat, true) != HV_STATUS_SUCCESS)
		return -EINVAL;
	return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable);
}
