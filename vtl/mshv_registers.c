#include "vtl/mshv_private.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * Registers that VTLs share (all general ones but RSP, CR2, FXSAVE's) lie in the run page. Private
 * ones come from the register page while the hypervisor says it is valid, else by a hypercall each.
 */

int mshv_get_register(struct vtl_vp *v, uint32_t name, union hv_register_value *value)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;
	struct hv_register_assoc assoc = { .name = name };
	struct mshv_vp_registers args = { .count = 1, .regs_ptr = (uintptr_t)&assoc };

	if (ioctl(vp->mshv->vtl_fd, MSHV_GET_VP_REGISTERS, &args))
		return -errno;
	*value = assoc.value;
	return 0;
}

int mshv_set_register(struct vtl_vp *v, uint32_t name, const union hv_register_value *value)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;
	struct hv_register_assoc assoc = { .name = name, .value = *value };
	struct mshv_vp_registers args = { .count = 1, .regs_ptr = (uintptr_t)&assoc };

	return ioctl(vp->mshv->vtl_fd, MSHV_SET_VP_REGISTERS, &args) ? -errno : 0;
}

static struct hv_vp_register_page *valid_page(const struct mshv_vp *vp)
{
	return vp->page && vp->page->isvalid ? vp->page : NULL;
}

static int get64(struct vtl_vp *vp, uint32_t name, uint64_t *value)
{
	union hv_register_value reg = { 0 };
	int ret = mshv_get_register(vp, name, &reg);

	*value = reg.reg64;
	return ret;
}

static int set64(struct vtl_vp *vp, uint32_t name, uint64_t value)
{
	union hv_register_value reg = { .reg64 = value };

	return mshv_set_register(vp, name, &reg);
}

static int load_gpr(struct mshv_vp *vp)
{
	struct hv_vp_register_page *page = valid_page(vp);
	struct vtl_registers *r = &vp->vp.registers;
	int ret = 0;

	memcpy(r->cpu.gpr, vp->run->context.gp_registers, sizeof(r->cpu.gpr));
	r->cr2 = vp->run->context.gp_registers[MSHV_CONTEXT_CR2];
	if (page)
		r->cpu.gpr[X86_RSP] = page->gp_registers[X86_RSP];
	else
		ret = get64(&vp->vp, HV_X64_REGISTER_RSP, &r->cpu.gpr[X86_RSP]);
	vp->loaded_rsp = r->cpu.gpr[X86_RSP];
	return ret;
}

static int store_gpr(struct mshv_vp *vp)
{
	struct hv_vp_register_page *page = valid_page(vp);
	const struct vtl_registers *r = &vp->vp.registers;

	memcpy(vp->run->context.gp_registers, r->cpu.gpr, sizeof(r->cpu.gpr));
	vp->run->context.gp_registers[MSHV_CONTEXT_CR2] = r->cr2;
	if (r->cpu.gpr[X86_RSP] == vp->loaded_rsp)
		return 0;
	vp->loaded_rsp = r->cpu.gpr[X86_RSP];
	if (!page)
		return set64(&vp->vp, HV_X64_REGISTER_RSP, r->cpu.gpr[X86_RSP]);
	memcpy(page->gp_registers, r->cpu.gpr, sizeof(page->gp_registers));
	page->dirty |= 1u << HV_X64_REGISTER_CLASS_GENERAL;
	return 0;
}

static void segment_from_hv(struct x86_segment *to, const struct hv_x64_segment_register *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->attributes = from->attributes;
}

static struct hv_x64_segment_register segment_to_hv(const struct x86_segment *from)
{
	return (struct hv_x64_segment_register){ from->base, from->limit, from->selector,
						 from->attributes };
}

static int load_segments(struct mshv_vp *vp)
{
	struct hv_vp_register_page *page = valid_page(vp);
	struct x86_segment *segment = vp->vp.registers.cpu.segment;

	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		union hv_register_value value;
		int ret;

		if (page) {
			segment_from_hv(&segment[i], &page->segment_registers[i]);
			continue;
		}
		ret = mshv_get_register(&vp->vp, HV_X64_REGISTER_ES + i, &value);
		if (ret)
			return ret;
		segment_from_hv(&segment[i], &value.segment);
	}
	return 0;
}

static int store_segments(struct mshv_vp *vp)
{
	struct hv_vp_register_page *page = valid_page(vp);
	const struct x86_segment *segment = vp->vp.registers.cpu.segment;

	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		union hv_register_value value = { .segment = segment_to_hv(&segment[i]) };
		int ret;

		if (page) {
			page->segment_registers[i] = value.segment;
			continue;
		}
		ret = mshv_set_register(&vp->vp, HV_X64_REGISTER_ES + i, &value);
		if (ret)
			return ret;
	}
	if (page)
		page->dirty |= 1u << HV_X64_REGISTER_CLASS_SEGMENT;
	return 0;
}

static int load_control(struct mshv_vp *vp)
{
	struct hv_vp_register_page *page = valid_page(vp);
	struct vtl_registers *r = &vp->vp.registers;
	int ret;

	if (page) {
		r->cpu.cr0 = page->cr0;
		r->cpu.cr4 = page->cr4;
		r->cpu.efer = page->efer;
		r->cr3 = page->cr3;
		return 0;
	}
	ret = get64(&vp->vp, HV_X64_REGISTER_CR0, &r->cpu.cr0);
	if (!ret)
		ret = get64(&vp->vp, HV_X64_REGISTER_CR3, &r->cr3);
	if (!ret)
		ret = get64(&vp->vp, HV_X64_REGISTER_CR4, &r->cpu.cr4);
	if (!ret)
		ret = get64(&vp->vp, HV_X64_REGISTER_EFER, &r->cpu.efer);
	return ret;
}

/* in_page: the register's place in the page, NULL when the page is not valid. */
static int load_one(struct mshv_vp *vp, const uint64_t *in_page, uint32_t name, uint64_t *value)
{
	if (!in_page)
		return get64(&vp->vp, name, value);
	*value = *in_page;
	return 0;
}

static int store_one(struct mshv_vp *vp, uint64_t *in_page, enum hv_x64_register_class class,
		     uint32_t name, uint64_t value)
{
	if (!in_page)
		return set64(&vp->vp, name, value);
	*in_page = value;
	vp->page->dirty |= 1u << class;
	return 0;
}

int mshv_load(struct vtl_vp *v, uint32_t classes)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;
	struct hv_vp_register_page *page = valid_page(vp);
	struct x86_cpu *cpu = &v->registers.cpu;
	int ret = 0;

	if (classes & VTL_CLASS_GPR)
		ret = load_gpr(vp);
	if (!ret && (classes & VTL_CLASS_IP))
		ret = load_one(vp, page ? &page->rip : NULL, HV_X64_REGISTER_RIP, &cpu->rip);
	if (!ret && (classes & VTL_CLASS_FLAGS))
		ret = load_one(vp, page ? &page->rflags : NULL, HV_X64_REGISTER_RFLAGS,
			       &cpu->rflags);
	if (!ret && (classes & VTL_CLASS_SEGMENTS))
		ret = load_segments(vp);
	if (!ret && (classes & VTL_CLASS_CONTROL))
		ret = load_control(vp);
	return ret;
}

int mshv_store(struct vtl_vp *v, uint32_t classes)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;
	struct hv_vp_register_page *page = valid_page(vp);
	const struct x86_cpu *cpu = &v->registers.cpu;
	int ret = 0;

	if (classes & VTL_CLASS_CONTROL)
		return -EINVAL;
	if (classes & VTL_CLASS_GPR)
		ret = store_gpr(vp);
	if (!ret && (classes & VTL_CLASS_IP))
		ret = store_one(vp, page ? &page->rip : NULL, HV_X64_REGISTER_CLASS_IP,
				HV_X64_REGISTER_RIP, cpu->rip);
	if (!ret && (classes & VTL_CLASS_FLAGS))
		ret = store_one(vp, page ? &page->rflags : NULL, HV_X64_REGISTER_CLASS_FLAGS,
				HV_X64_REGISTER_RFLAGS, cpu->rflags);
	if (!ret && (classes & VTL_CLASS_SEGMENTS))
		ret = store_segments(vp);
	return ret;
}

int mshv_get_xmm(struct vtl_vp *v, uint8_t reg, void *data)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;

	if (reg >= 16)
		return -EINVAL;
	memcpy(data, vp->run->context.fx.xmm[reg], 16);
	return 0;
}

int mshv_set_xmm(struct vtl_vp *v, uint8_t reg, const void *data)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;

	if (reg >= 16)
		return -EINVAL;
	memcpy(vp->run->context.fx.xmm[reg], data, 16);
	return 0;
}
