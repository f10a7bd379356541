#include "paravisor/machine.h"

#include <stdarg.h>
#include <stdio.h>

#include "paravisor/vp.h"

void machine_end(struct machine *machine, enum host_port_result result, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&machine->end_lock);
	if (!machine->ended) {
		machine->outcome.result = result;
		va_start(args, format);
		vsnprintf(machine->outcome.reason, sizeof(machine->outcome.reason), format, args);
		va_end(args);
		__atomic_store_n(&machine->ended, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&machine->end_lock);
	if (!machine->vps)
		return;
	for (unsigned int i = 0; i < machine->topology.vp_count; i++)
		vp_wake(&machine->vps[i]);
}

bool machine_has_ended(const struct machine *machine)
{
	return __atomic_load_n(&machine->ended, __ATOMIC_ACQUIRE);
}
