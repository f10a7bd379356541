#include "host/crash.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "proto/hv_cpuid.h"

static void take_message(const struct host_memory *memory, enum host_view view,
			 const uint64_t parameters[5], char *why, size_t size)
{
	static const char panic[] = "Kernel panic - not syncing: ";
	static const char stopped[] = "stopped: "; /* the boot shim's */
	const char *who = view == HOST_VIEW_VTL2 ? "vtl2" : "vtl0";
	char text[HV_PAGE_SIZE + 1], *line, *save, *found;
	uint64_t len = parameters[4] < HV_PAGE_SIZE ? parameters[4] : HV_PAGE_SIZE;

	if (host_memory_read(memory, view, parameters[3], text, len))
		return;
	text[len] = 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		log_info("%s's last words: %s", who, line);
		found = strstr(line, panic);
		if (found)
			snprintf(why, size, "%s", found + strlen(panic));
		else if (!strncmp(line, stopped, strlen(stopped)))
			snprintf(why, size, "boot shim: %s", line + strlen(stopped));
	}
}

void host_crash_reason(const struct host_memory *memory, enum host_view view, uint64_t control,
		       const uint64_t parameters[5], char *why, size_t size)
{
	const unsigned long long *p = (const unsigned long long *)parameters;

	snprintf(why, size, "crash parameters %llx %llx %llx %llx %llx", p[0], p[1], p[2], p[3],
		 p[4]);
	if (control & HV_CRASH_CTL_CRASH_MESSAGE)
		take_message(memory, view, parameters, why, size);
}
