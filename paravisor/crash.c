#include "paravisor/crash.h"

#include <pthread.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/get.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "proto/hv_cpuid.h"

bool crash_flush(struct machine *machine)
{
	struct crash report;

	pthread_mutex_lock(&machine->end_lock);
	report = machine->crash;
	machine->crash.pending = false;
	machine->crash.sent |= report.pending;
	pthread_mutex_unlock(&machine->end_lock);
	if (report.pending)
		get_vtl_crash(machine->get, report.vp, report.control, report.reported);
	return report.pending || report.sent;
}

static void flush(void *ctx)
{
	crash_flush(ctx);
}

/* Of reports that come before VP 0 has sent the first, that one counts. */
static bool take_report(struct vp *vp, uint64_t control)
{
	struct crash *crash = &vp->machine->crash;
	bool first;

	pthread_mutex_lock(&vp->machine->end_lock);
	first = !crash->pending;
	if (first) {
		crash->pending = true;
		crash->vp = vp->index;
		crash->control = control;
		for (unsigned int i = 0; i < 5; i++)
			crash->reported[i] =
				__atomic_load_n(&crash->parameters[i], __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&vp->machine->end_lock);
	return first;
}

/* GET is VP 0's. A host that cannot be told by GET is told by the end of the run. */
static void report_crash(struct vp *vp, uint64_t control)
{
	struct machine *machine = vp->machine;

	if (!machine->get) {
		machine_end(machine, HOST_PORT_CRASH, "reported by VP %u", vp->index);
		return;
	}
	if (!take_report(vp, control))
		return;
	if (!vp->index)
		crash_flush(machine);
	else if (event_loop_post(machine->vps[0].loop, flush, machine))
		log_limited(LOG_WARN, "out of memory: the crash is reported at the end");
}

bool crash_msr(struct vp *vp, uint32_t msr, bool write, uint64_t *value)
{
	uint64_t *parameter;

	if (msr < HV_X64_MSR_CRASH_P0 || msr > HV_X64_MSR_CRASH_CTL)
		return false;
	parameter = &vp->machine->crash.parameters[(msr - HV_X64_MSR_CRASH_P0) % 5];
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
