#include "paravisor/counters.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "proto/host_port.h"

static const enum host_port_counter counter_of[VP_EXIT_KIND_COUNT] = {
	[VP_EXIT_PIO] = HOST_PORT_EXITS_PIO,
	[VP_EXIT_MEMORY] = HOST_PORT_EXITS_MMIO,
	[VP_EXIT_MSR] = HOST_PORT_EXITS_MSR,
	[VP_EXIT_CPUID] = HOST_PORT_EXITS_CPUID,
	[VP_EXIT_HYPERCALL] = HOST_PORT_EXITS_HYPERCALL,
	[VP_EXIT_HALT] = HOST_PORT_EXITS_HALT,
	[VP_EXIT_EOI] = HOST_PORT_EXITS_EOI,
	[VP_EXIT_INTERRUPTIBLE] = HOST_PORT_EXITS_OTHER,
	[VP_EXIT_SLOT_FREE] = HOST_PORT_EXITS_OTHER,
	[VP_EXIT_CRASH] = HOST_PORT_EXITS_OTHER,
	[VP_EXIT_WAKE] = HOST_PORT_EXITS_WAKE,
	[VP_EXIT_UNKNOWN] = HOST_PORT_EXITS_OTHER,
};

/* MemFree in bytes, 0 when it is not to be had. */
static uint64_t free_memory(void)
{
	char text[512];
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	unsigned long long kib = 0;
	const char *line;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "MemFree:");
	if (!line || sscanf(line, "MemFree: %llu kB", &kib) != 1)
		return 0;
	return kib * 1024;
}

void counters_collect(struct host_port_counters *counters, const struct machine *machine)
{
	uint64_t free;

	*counters = (struct host_port_counters){ 0 };
	for (unsigned int vp = 0; vp < machine->topology.vp_count; vp++)
		for (unsigned int kind = 0; kind < VP_EXIT_KIND_COUNT; kind++)
			counters->exits[counter_of[kind]] +=
				__atomic_load_n(&machine->vps[vp].exits[kind], __ATOMIC_RELAXED);
	counters->vtl2_memory_total += machine->pool_len;
	for (unsigned int i = 0; i < machine->topology.vtl2_count; i++)
		counters->vtl2_memory_total += machine->topology.vtl2[i].len;
	free = free_memory();
	if (free && free <= counters->vtl2_memory_total)
		counters->vtl2_memory_used = counters->vtl2_memory_total - free;
}
