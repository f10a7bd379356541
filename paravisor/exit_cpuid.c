#include "paravisor/exit.h"

#include "paravisor/vp.h"
#include "vtl/vtl.h"

/*
 * A leaf that the hypervisor wants VTL2's word on. There is nothing to add to its own answer: what
 * VTL0 may see is the hypervisor's and the host's policy without isolation.
 */
int exit_cpuid(struct vp *vp, const struct vp_exit *exit)
{
	uint64_t *gpr = vp->vtl->registers.cpu.gpr;
	int ret = vtl_vp_need(vp->vtl, VTL_CLASS_GPR);

	if (ret)
		return ret;
	gpr[X86_RAX] = exit->cpuid.eax;
	gpr[X86_RBX] = exit->cpuid.ebx;
	gpr[X86_RCX] = exit->cpuid.ecx;
	gpr[X86_RDX] = exit->cpuid.edx;
	vtl_vp_changed(vp->vtl, VTL_CLASS_GPR);
	return vtl_vp_skip(vp->vtl, exit, exit->instruction_length ? 0 : 2);
}
