#include "core/log.h"
#include "core/x86/x86.h"
#include "paravisor/exit.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

/*
 * VTL0 touched an address that is a device's, nobody's, or not its own. Devices and nobody are for
 * the emulator and the bus. Fetching code from nobody gives a PC's all-ones, which are no
 * instruction; what VTL2 protects answers like a segment that may not be touched.
 */
int exit_memory(struct vp *vp, const struct vp_exit *exit)
{
	const struct vp_exit_memory *m = &exit->memory;

	if (m->protection) {
		log_limited(LOG_WARN, "VP %u: access %u to protected memory at %#llx, RIP %#llx",
			    vp->index, m->access, (unsigned long long)m->gpa,
			    (unsigned long long)exit->rip);
		return exit_raise(vp, X86_VECTOR_GP);
	}
	if (m->access == HV_INTERCEPT_ACCESS_EXECUTE) {
		log_limited(LOG_WARN, "VP %u: no code at %#llx", vp->index,
			    (unsigned long long)m->gpa);
		return exit_raise(vp, X86_VECTOR_UD);
	}
	return exit_emulate(vp, exit);
}
