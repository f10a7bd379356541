#include "host/shim_log.h"

#include <string.h>

#include "core/log.h"
#include "host/partition.h"
#include "proto/shim.h"

#define SEARCHED 0x200000ull /* the shim is below the kernel, which is at 2 MiB or above */

/* A copy: VTL2 may be running on other VPs. */
static bool find(const struct host_memory *memory, struct shim_log *log)
{
	uint64_t at, end = memory->vtl2_base + SEARCHED;

	for (at = memory->vtl2_base; at < end; at += HOST_PAGE_SIZE) {
		if (host_memory_read(memory, HOST_VIEW_VTL2, at, log, sizeof(*log)))
			return false;
		if (log->magic == SHIM_LOG_MAGIC)
			return true;
	}
	return false;
}

static void show_lines(const struct shim_log *log)
{
	uint64_t at = log->written > SHIM_LOG_TEXT ? log->written - SHIM_LOG_TEXT : 0;
	char line[200];
	size_t len = 0;

	for (; at < log->written; at++) {
		char c = log->text[at % SHIM_LOG_TEXT];

		if (c != '\n' && len < sizeof(line)) {
			line[len++] = c;
			continue;
		}
		log_info("shim: %.*s", (int)len, line);
		len = 0;
	}
}

void shim_log_show(struct partition *partition)
{
	uint64_t ticks, hz = partition->time.tsc_khz * 1000;
	struct shim_log log;

	if (!find(&partition->memory, &log))
		return;
	show_lines(&log);
	ticks = log.tsc_end - log.tsc_start;
	if (log.stage == SHIM_STAGE_LEFT && hz && ticks < hz * 3600)
		log_info("shim: %llu us, %llu cycles", (unsigned long long)(ticks * 1000000 / hz),
			 (unsigned long long)ticks);
}
