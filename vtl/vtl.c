#include "vtl/vtl.h"

#include <errno.h>

/* Where a register that Hyper-V names lives in vp->registers. NULL: nowhere. */
static uint64_t *cached_register(struct vtl_vp *vp, uint32_t name, uint32_t *class)
{
	struct vtl_registers *r = &vp->registers;

	if (name >= HV_X64_REGISTER_RAX && name <= HV_X64_REGISTER_R15) {
		*class = VTL_CLASS_GPR;
		return &r->cpu.gpr[name - HV_X64_REGISTER_RAX];
	}
	switch (name) {
	case HV_X64_REGISTER_CR2:
		*class = VTL_CLASS_GPR;
		return &r->cr2;
	case HV_X64_REGISTER_RIP:
		*class = VTL_CLASS_IP;
		return &r->cpu.rip;
	case HV_X64_REGISTER_RFLAGS:
		*class = VTL_CLASS_FLAGS;
		return &r->cpu.rflags;
	}
	return NULL;
}

/* The class that a SetVpRegisters of this name makes stale. */
static uint32_t class_of(uint32_t name)
{
	switch (name) {
	case HV_X64_REGISTER_ES ... HV_X64_REGISTER_GS:
		return VTL_CLASS_SEGMENTS;
	case HV_X64_REGISTER_CR0:
	case HV_X64_REGISTER_CR3:
	case HV_X64_REGISTER_CR4:
	case HV_X64_REGISTER_EFER:
		return VTL_CLASS_CONTROL;
	}
	return 0;
}

static int store_dirty(struct vtl_vp *vp)
{
	uint32_t classes = vp->dirty;

	vp->dirty = 0;
	return classes ? vp->ops->store(vp, classes) : 0;
}

int vtl_vp_run(struct vtl_vp *vp, struct vp_exit *exit)
{
	int ret = store_dirty(vp);

	if (ret)
		return ret;
	vp->valid = 0;
	return vp->ops->run(vp, exit);
}

int vtl_vp_need(struct vtl_vp *vp, uint32_t classes)
{
	uint32_t missing = classes & ~vp->valid;
	int ret;

	if (!missing)
		return 0;
	ret = vp->ops->load(vp, missing);
	if (!ret)
		vp->valid |= missing;
	return ret;
}

void vtl_vp_changed(struct vtl_vp *vp, uint32_t classes)
{
	vp->valid |= classes;
	vp->dirty |= classes;
}

int vtl_vp_get(struct vtl_vp *vp, uint32_t name, uint64_t *value)
{
	union hv_register_value reg;
	uint32_t class;
	uint64_t *cached = cached_register(vp, name, &class);
	int ret;

	if (cached) {
		ret = vtl_vp_need(vp, class);
		*value = ret ? 0 : *cached;
		return ret;
	}
	ret = vp->ops->get_register(vp, name, &reg);
	*value = ret ? 0 : reg.reg64;
	return ret;
}

int vtl_vp_set_value(struct vtl_vp *vp, uint32_t name, const union hv_register_value *value)
{
	uint32_t class;
	uint64_t *cached = cached_register(vp, name, &class);
	int ret;

	if (cached) {
		ret = vtl_vp_need(vp, class);
		if (ret)
			return ret;
		*cached = value->reg64;
		vtl_vp_changed(vp, class);
		return 0;
	}
	class = class_of(name);
	if (vp->dirty & class) {
		ret = store_dirty(vp);
		if (ret)
			return ret;
	}
	vp->valid &= ~class;
	return vp->ops->set_register(vp, name, value);
}

int vtl_vp_set(struct vtl_vp *vp, uint32_t name, uint64_t value)
{
	union hv_register_value reg = { .reg64 = value };

	return vtl_vp_set_value(vp, name, &reg);
}

/* An instruction that retires ends the shadow of the one before it (SDM vol. 3, 7.8.3). */
int vtl_vp_retired(struct vtl_vp *vp, const struct vp_exit *exit, bool shadow)
{
	union hv_register_value reg = { 0 };
	int ret;

	if (exit->interrupt_shadow == shadow)
		return 0;
	ret = vp->ops->get_register(vp, HV_REGISTER_INTERRUPT_STATE, &reg);
	if (ret)
		return ret;
	reg.interrupt_state.interrupt_shadow = shadow;
	return vp->ops->set_register(vp, HV_REGISTER_INTERRUPT_STATE, &reg);
}

int vtl_vp_skip(struct vtl_vp *vp, const struct vp_exit *exit, unsigned int length)
{
	uint64_t rip;

	if (!length)
		length = exit->instruction_length;
	if (!length)
		return -EINVAL;
	rip = exit->rip + length;
	if (!exit->long_mode)
		rip &= 0xffffffff;
	vp->registers.cpu.rip = rip;
	vtl_vp_changed(vp, VTL_CLASS_IP);
	return vtl_vp_retired(vp, exit, false);
}

int vtl_vp_inject(struct vtl_vp *vp, const struct vtl_exception *exception)
{
	union hv_register_value reg = { 0 };

	reg.pending_exception_event.event_pending = 1;
	reg.pending_exception_event.event_type = HV_X64_PENDING_EVENT_EXCEPTION;
	reg.pending_exception_event.deliver_error_code = exception->has_error_code;
	reg.pending_exception_event.vector = exception->vector;
	reg.pending_exception_event.error_code = exception->error_code;
	reg.pending_exception_event.exception_parameter = exception->address;
	return vp->ops->set_register(vp, HV_REGISTER_PENDING_EVENT0, &reg);
}
