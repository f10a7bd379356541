#include "host/translate.h"

#include <errno.h>
#include <string.h>

#include "core/x86/paging.h"
#include "host/registers.h"
#include "host/vp.h"

#define PHYSICAL_ADDRESS_BITS 52 /* reserved bits are for KVM to find */

static void segment_to_x86(struct x86_segment *x86, const struct kvm_segment *kvm)
{
	struct hv_x64_segment_register hv;

	registers_get_segment(kvm, &hv);
	x86->base = hv.base;
	x86->limit = hv.limit;
	x86->selector = hv.selector;
	x86->attributes = hv.attributes;
}

void translate_cpu(const struct vcpu *vcpu, struct x86_cpu *cpu)
{
	const struct kvm_sregs *sregs = vcpu_sregs(vcpu);

	registers_get_general(vcpu_regs(vcpu), cpu->gpr);
	cpu->rip = vcpu_regs(vcpu)->rip;
	cpu->rflags = vcpu_regs(vcpu)->rflags;
	cpu->cr0 = sregs->cr0;
	cpu->cr4 = sregs->cr4;
	cpu->efer = sregs->efer;
	segment_to_x86(&cpu->segment[X86_ES], &sregs->es);
	segment_to_x86(&cpu->segment[X86_CS], &sregs->cs);
	segment_to_x86(&cpu->segment[X86_SS], &sregs->ss);
	segment_to_x86(&cpu->segment[X86_DS], &sregs->ds);
	segment_to_x86(&cpu->segment[X86_FS], &sregs->fs);
	segment_to_x86(&cpu->segment[X86_GS], &sregs->gs);
}

static int read_table(void *ctx, uint64_t gpa, void *data, size_t len)
{
	const struct vcpu *vcpu = ctx;

	return host_memory_read(&vcpu->vp->partition->memory, vcpu->view, gpa, data, len);
}

static int walk(const struct vcpu *vcpu, uint64_t linear, uint32_t access, uint32_t flags,
		struct x86_translation *translation, uint32_t *error_code)
{
	const struct kvm_sregs *sregs = vcpu_sregs(vcpu);
	struct x86_paging paging = {
		.cr0 = sregs->cr0,
		.cr3 = sregs->cr3,
		.cr4 = sregs->cr4,
		.efer = sregs->efer,
		.rflags = vcpu_regs(vcpu)->rflags,
		.physical_address_bits = PHYSICAL_ADDRESS_BITS,
	};
	struct x86_paging_memory memory = { .read = read_table, .ctx = (void *)vcpu };

	return x86_paging_walk(&paging, &memory, linear, access, flags, translation, error_code);
}

int translate_linear(const struct vcpu *vcpu, uint64_t linear, uint64_t *gpa)
{
	struct x86_translation translation;
	uint32_t error_code;

	if (walk(vcpu, linear, X86_ACCESS_READ, X86_WALK_NO_PRIVILEGE_CHECK, &translation,
		 &error_code))
		return -EFAULT;
	*gpa = translation.gpa;
	return 0;
}

unsigned int translate_fetch(const struct vcpu *vcpu, uint8_t bytes[15])
{
	const struct host_memory *memory = &vcpu->vp->partition->memory;
	bool long_mode = (vcpu_sregs(vcpu)->efer & X86_EFER_LMA) && vcpu_sregs(vcpu)->cs.l;
	uint64_t linear = vcpu_sregs(vcpu)->cs.base + vcpu_regs(vcpu)->rip;
	unsigned int done = 0, chunk;
	uint64_t gpa;

	if (!long_mode)
		linear = (uint32_t)linear;
	while (done < 15) {
		chunk = (unsigned int)(HV_PAGE_SIZE - (linear + done) % HV_PAGE_SIZE);
		if (chunk > 15 - done)
			chunk = 15 - done;
		if (translate_linear(vcpu, linear + done, &gpa) ||
		    host_memory_read(memory, vcpu->view, gpa, bytes + done, chunk))
			break;
		done += chunk;
	}
	return done;
}

static uint32_t walk_flags(uint64_t control)
{
	uint32_t flags = 0;

	if (control & HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT)
		flags |= X86_WALK_NO_PRIVILEGE_CHECK;
	if (control & HV_TRANSLATE_GVA_OVERRIDE_SMAP)
		flags |= X86_WALK_IGNORE_SMAP;
	if (control & HV_TRANSLATE_GVA_ENFORCE_SMAP)
		flags |= X86_WALK_ENFORCE_SMAP;
	return flags;
}

static uint32_t walk_access(const struct vcpu *vcpu, uint64_t control)
{
	bool user =
		control & HV_TRANSLATE_GVA_USER_ACCESS ||
		(!(control & HV_TRANSLATE_GVA_SUPERVISOR_ACCESS) && vcpu_sregs(vcpu)->ss.dpl == 3);
	uint32_t access = 0;

	access |= control & HV_TRANSLATE_GVA_VALIDATE_READ ? X86_ACCESS_READ : 0;
	access |= control & HV_TRANSLATE_GVA_VALIDATE_WRITE ? X86_ACCESS_WRITE : 0;
	access |= control & HV_TRANSLATE_GVA_VALIDATE_EXECUTE ? X86_ACCESS_FETCH : 0;
	return access | (user ? X86_ACCESS_USER : 0);
}

/* What the VTL's protections say about an address that the page tables give. */
static uint32_t gpa_result(const struct vcpu *vcpu, uint64_t gpa, uint32_t access)
{
	const struct host_memory *memory = &vcpu->vp->partition->memory;

	if (!host_memory_is_ram(memory, gpa, 1))
		return HV_TRANSLATE_GVA_GPA_UNMAPPED;
	if ((access & (X86_ACCESS_READ | X86_ACCESS_FETCH)) &&
	    !host_memory_allows(memory, vcpu->view, gpa, 1, HOST_READ))
		return HV_TRANSLATE_GVA_GPA_NO_READ_ACCESS;
	if ((access & X86_ACCESS_WRITE) &&
	    !host_memory_allows(memory, vcpu->view, gpa, 1, HOST_WRITE))
		return HV_TRANSLATE_GVA_GPA_NO_WRITE_ACCESS;
	return HV_TRANSLATE_GVA_SUCCESS;
}

void translate_gva(const struct vcpu *vcpu, const struct hv_input_translate_virtual_address *in,
		   struct hv_output_translate_virtual_address *out)
{
	uint32_t access = walk_access(vcpu, in->control_flags), error_code = 0;
	struct x86_translation translation = { 0 };
	int ret = walk(vcpu, in->gva_page * HV_PAGE_SIZE, access, walk_flags(in->control_flags),
		       &translation, &error_code);

	memset(out, 0, sizeof(*out));
	out->cache_type = HV_CACHE_TYPE_WRITE_BACK;
	out->gpa_page = translation.gpa / HV_PAGE_SIZE;
	if (!ret)
		out->result_code = gpa_result(vcpu, translation.gpa, access);
	else if (ret == -ENXIO)
		out->result_code = HV_TRANSLATE_GVA_GPA_UNMAPPED;
	else if (error_code & X86_PF_RESERVED)
		out->result_code = HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS;
	else if (error_code & X86_PF_PRESENT)
		out->result_code = HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION;
	else
		out->result_code = HV_TRANSLATE_GVA_PAGE_NOT_PRESENT;
}
