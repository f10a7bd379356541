#include "paravisor/exit.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/log.h"
#include "core/x86/x86.h"
#include "paravisor/crash.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "proto/hv_cpuid.h"
#include "vtl/vtl.h"

/*
 * MSRs that neither the processor nor the hypervisor has for VTL0. Those that guests touch without
 * asking CPUID first, and that do nothing in a virtual machine, read as zero and ignore writes; all
 * others are #GP(0), as on a processor without them.
 */
static const struct msr_range {
	uint32_t first, last;
} ignored[] = {
	{ 0x17, 0x17 },             /* IA32_PLATFORM_ID */
	{ 0x2a, 0x2a },             /* EBL_CR_POWERON */
	{ 0x2c, 0x2c },             /* EBC_FREQUENCY_ID */
	{ 0x79, 0x79 },             /* IA32_BIOS_UPDT_TRIG */
	{ 0x19a, 0x19d },           /* thermal monitoring */
	{ 0x1a0, 0x1a0 },           /* IA32_MISC_ENABLE */
	{ 0xc0010010, 0xc0010010 }, /* SYSCFG */
	{ 0xc0010015, 0xc0010015 }, /* HWCR */
	{ 0xc0010055, 0xc0010055 }, /* interrupt pending message */
	{ 0xc0011020, 0xc0011023 }, /* LS_CFG, IC_CFG, DC_CFG, BU_CFG */
	{ 0xc0011028, 0xc001102d }, /* FP_CFG, DE_CFG, LS_CFG2 */
};

static bool is_ignored(uint32_t index)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		if (index >= ignored[i].first && index <= ignored[i].last)
			return true;
	return false;
}

static int answer_read(struct vp *vp, uint64_t value)
{
	uint64_t *gpr = vp->vtl->registers.cpu.gpr;
	int ret = vtl_vp_need(vp->vtl, VTL_CLASS_GPR);

	if (ret)
		return ret;
	gpr[X86_RAX] = (uint32_t)value;
	gpr[X86_RDX] = value >> 32;
	vtl_vp_changed(vp->vtl, VTL_CLASS_GPR);
	return 0;
}

int exit_msr(struct vp *vp, const struct vp_exit *exit)
{
	const struct vp_exit_msr *msr = &exit->msr;
	uint64_t value = msr->write ? msr->value : 0;
	int ret = 0;

	if (!crash_msr(vp, msr->index, msr->write, &value) && !is_ignored(msr->index)) {
		log_limited(LOG_DEBUG, "VP %u: no MSR %#x to %s", vp->index, msr->index,
			    msr->write ? "write" : "read");
		return exit_raise(vp, X86_VECTOR_GP);
	}
	if (!msr->write)
		ret = answer_read(vp, value);
	if (ret)
		return ret;
	return vtl_vp_skip(vp->vtl, exit, exit->instruction_length ? 0 : 2);
}
