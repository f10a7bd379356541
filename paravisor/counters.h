#ifndef PARAVISOR_COUNTERS_H
#define PARAVISOR_COUNTERS_H

struct host_port_counters;
struct machine;

/*
 * Exits of all VPs by kind, and VTL2's memory. Memory used is all of VTL2's RAM (the device tree's
 * nodes) less what its kernel calls free (MemFree of /proc/meminfo): so it holds the kernel's image
 * and tables, page structures, the unpacked initrd, and what processes have touched. Any thread.
 */
void counters_collect(struct host_port_counters *counters, const struct machine *machine);

#endif
