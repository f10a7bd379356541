#include "tests/unit/fake/fake_vtl.h"

#include <errno.h>
#include <string.h>

#include "core/container_of.h"

static struct fake_vtl *fake_of(struct vtl_vp *vp)
{
	return container_of(vp, struct fake_vtl, vp);
}

static int run(struct vtl_vp *vp, struct vp_exit *exit)
{
	*exit = fake_of(vp)->next_exit;
	return fake_of(vp)->fail;
}

static void copy_classes(struct vtl_registers *to, const struct vtl_registers *from,
			 uint32_t classes)
{
	if (classes & VTL_CLASS_GPR) {
		memcpy(to->cpu.gpr, from->cpu.gpr, sizeof(to->cpu.gpr));
		to->cr2 = from->cr2;
	}
	if (classes & VTL_CLASS_IP)
		to->cpu.rip = from->cpu.rip;
	if (classes & VTL_CLASS_FLAGS)
		to->cpu.rflags = from->cpu.rflags;
	if (classes & VTL_CLASS_SEGMENTS)
		memcpy(to->cpu.segment, from->cpu.segment, sizeof(to->cpu.segment));
	if (classes & VTL_CLASS_CONTROL) {
		to->cpu.cr0 = from->cpu.cr0;
		to->cpu.cr4 = from->cpu.cr4;
		to->cpu.efer = from->cpu.efer;
		to->cr3 = from->cr3;
	}
}

static int load(struct vtl_vp *vp, uint32_t classes)
{
	struct fake_vtl *f = fake_of(vp);

	f->loads++;
	f->loaded = classes;
	copy_classes(&vp->registers, &f->cpu, classes);
	return f->fail;
}

static int store(struct vtl_vp *vp, uint32_t classes)
{
	struct fake_vtl *f = fake_of(vp);

	f->stores++;
	f->stored = classes;
	copy_classes(&f->cpu, &vp->registers, classes);
	return f->fail;
}

static int get_register(struct vtl_vp *vp, uint32_t name, union hv_register_value *value)
{
	struct fake_vtl *f = fake_of(vp);

	*value = (union hv_register_value){ 0 };
	if (name == HV_REGISTER_INTERRUPT_STATE)
		value->reg64 = f->interrupt_state;
	else if (name == HV_X64_REGISTER_CR3)
		value->reg64 = f->cpu.cr3;
	else
		return -ENOENT;
	return f->fail;
}

static int set_register(struct vtl_vp *vp, uint32_t name, const union hv_register_value *value)
{
	struct fake_vtl *f = fake_of(vp);

	f->sets++;
	if (name == HV_REGISTER_INTERRUPT_STATE)
		f->interrupt_state = value->reg64;
	else if (name == HV_X64_REGISTER_CR3)
		f->cpu.cr3 = value->reg64;
	else if (name == HV_REGISTER_PENDING_EVENT0)
		f->pending_event = *value;
	else if (name == HV_REGISTER_DELIVERABILITY_NOTIFICATIONS)
		f->notifications = value->reg64;
	else
		return -ENOENT;
	return f->fail;
}

static int get_xmm(struct vtl_vp *vp, uint8_t reg, void *data)
{
	memcpy(data, fake_of(vp)->xmm[reg & 15], 16);
	return 0;
}

static int set_xmm(struct vtl_vp *vp, uint8_t reg, const void *data)
{
	memcpy(fake_of(vp)->xmm[reg & 15], data, 16);
	return 0;
}

static const struct vtl_ops fake_ops = {
	.run = run,
	.load = load,
	.store = store,
	.get_register = get_register,
	.set_register = set_register,
	.get_xmm = get_xmm,
	.set_xmm = set_xmm,
};

void fake_vtl_init(struct fake_vtl *fake)
{
	*fake = (struct fake_vtl){ .ops = fake_ops, .vtl = { &fake->ops } };
	fake->vp.ops = &fake->ops;
	fake->vp.vtl = &fake->vtl;
	fake->cpu.cpu.rflags = X86_RFLAGS_FIXED;
}
