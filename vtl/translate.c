#include "vtl/vtl.h"

#include <cpuid.h>
#include <errno.h>

#include "core/guest_memory.h"
#include "core/x86/paging.h"

static int read_table(void *ctx, uint64_t gpa, void *data, size_t len)
{
	return guest_memory_read(ctx, gpa, data, len);
}

static int swap_entry(void *ctx, uint64_t gpa, uint64_t expected, uint64_t desired, size_t len)
{
	return guest_memory_cmpxchg(ctx, gpa, &expected, desired, len);
}

/* VTL0 sees this processor's width: the hypervisor gives both VTLs the same CPUID leaf. */
static unsigned int physical_address_bits(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		return 36;
	eax &= 0xff;
	return eax < 32 || eax > 52 ? 52 : eax;
}

int vtl_vp_translate(struct vtl_vp *vp, const struct guest_memory *memory, uint64_t linear,
		     uint32_t access, uint64_t *gpa, struct vtl_exception *exception)
{
	static unsigned int address_bits;
	struct x86_paging_memory tables = { read_table, swap_entry, (void *)memory };
	struct x86_translation translation;
	struct x86_paging paging;
	uint32_t error_code;
	int ret = vtl_vp_need(vp, VTL_CLASS_CONTROL | VTL_CLASS_FLAGS);

	if (ret)
		return ret;
	if (!address_bits) /* every thread would store the same */
		address_bits = physical_address_bits();
	paging = (struct x86_paging){
		.cr0 = vp->registers.cpu.cr0,
		.cr3 = vp->registers.cr3,
		.cr4 = vp->registers.cpu.cr4,
		.efer = vp->registers.cpu.efer,
		.rflags = vp->registers.cpu.rflags,
		.physical_address_bits = address_bits,
	};
	ret = x86_paging_walk(&paging, &tables, linear, access, X86_WALK_SET_BITS, &translation,
			      &error_code);
	if (ret == -ENXIO) /* tables outside memory: hardware would read ones or zeroes there */
		ret = -EFAULT;
	if (ret == -EFAULT)
		*exception = (struct vtl_exception){ X86_VECTOR_PF, true, error_code, linear };
	else if (!ret)
		*gpa = translation.gpa;
	return ret;
}
