#include "paravisor/crash.h"

#include <stdlib.h>

#include "core/event_loop.h"
#include "paravisor/get.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "proto/hv_cpuid.h"

struct crash_report {
	struct machine *machine;
	uint32_t vp;
	uint64_t control, parameters[5];
};

/* On VP 0's loop, which has GET. */
static void send_report(void *ctx)
{
	struct crash_report *report = ctx;

	get_vtl_crash(report->machine->get, report->vp, report->control, report->parameters);
	__atomic_store_n(&report->machine->crash_pending, false, __ATOMIC_RELEASE);
	free(report);
}

static struct crash_report *take_report(struct vp *vp, uint64_t control)
{
	struct machine *machine = vp->machine;
	struct crash_report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->machine = machine;
	report->vp = vp->index;
	report->control = control;
	for (unsigned int i = 0; i < 5; i++)
		report->parameters[i] = __atomic_load_n(&machine->crash[i], __ATOMIC_RELAXED);
	return report;
}

/* A host that cannot be told by GET is told by the end of the run. One report at a time is under way. */
static void report_crash(struct vp *vp, uint64_t control)
{
	struct machine *machine = vp->machine;
	struct crash_report *report;

	if (__atomic_exchange_n(&machine->crash_pending, true, __ATOMIC_ACQ_REL))
		return;
	report = machine->get ? take_report(vp, control) : NULL;
	if (report && !event_loop_post(machine->vps[0].loop, send_report, report))
		return;
	free(report);
	machine_end(machine, HOST_PORT_CRASH, "reported by VP %u", vp->index);
}

bool crash_msr(struct vp *vp, uint32_t msr, bool write, uint64_t *value)
{
	uint64_t *parameter = &vp->machine->crash[(msr - HV_X64_MSR_CRASH_P0) % 5];

	if (msr < HV_X64_MSR_CRASH_P0 || msr > HV_X64_MSR_CRASH_CTL)
		return false;
	if (msr == HV_X64_MSR_CRASH_CTL && !write)
		*value = HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE;
	else if (msr == HV_X64_MSR_CRASH_CTL && (*value & HV_CRASH_CTL_CRASH_NOTIFY))
		report_crash(vp, *value);
	else if (msr != HV_X64_MSR_CRASH_CTL && write)
		__atomic_store_n(parameter, *value, __ATOMIC_RELAXED);
	else if (msr != HV_X64_MSR_CRASH_CTL)
		*value = __atomic_load_n(parameter, __ATOMIC_RELAXED);
	return true;
}
