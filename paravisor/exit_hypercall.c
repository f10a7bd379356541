#include "paravisor/exit.h"
#include "paravisor/hypercall.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

int exit_hypercall(struct vp *vp, const struct vp_exit *exit)
{
	uint64_t *gpr = vp->vtl->registers.cpu.gpr;
	union hv_hypercall_result result =
		hypercall_handle(vp->machine->memory, vp->machine->sink, &exit->hypercall);
	int ret = vtl_vp_need(vp->vtl, VTL_CLASS_GPR);

	if (ret)
		return ret;
	if (exit->long_mode) {
		gpr[X86_RAX] = result.as_uint64;
	} else {
		gpr[X86_RAX] = (uint32_t)result.as_uint64;
		gpr[X86_RDX] = result.as_uint64 >> 32;
	}
	vtl_vp_changed(vp->vtl, VTL_CLASS_GPR);
	return vtl_vp_skip(vp->vtl, exit, 0);
}
