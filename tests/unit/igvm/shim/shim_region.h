#ifndef TESTS_UNIT_IGVM_SHIM_SHIM_REGION_H
#define TESTS_UNIT_IGVM_SHIM_SHIM_REGION_H

#include "igvm/shim/shim.h"
#include "proto/igvm.h"

/* An image's region in the test's own memory, and a host that fills its parameter areas. */

#define REGION_LEN 0x400000ull
#define REGION_GPA 0x140000000ull

/* What the host says; a test changes what it likes before region_fill(). */
struct region_host {
	uint32_t vp_count;
	unsigned int cpu_nodes; /* APIC ids 0, 1, ... */
	unsigned int map_count;
	struct igvm_vhs_memory_map_entry map[40];
	unsigned int tree_memory_count; /* memory nodes, from map[] */
	struct shim_span vtl0_mmio, vtl2_mmio;
	const char *command_line;
	struct shim_payload payload[SHIM_PAYLOAD_COUNT];
};

struct region {
	uint8_t *bytes;
	struct shim_params params;
	struct region_host host;
	struct shim_log log;
	struct shim shim;
	struct shim_start start;
};

/* A region that prepares: 2 VPs, 1 GiB for VTL0, 64 MiB for VTL2. Aborts when there is no memory. */
void region_init(struct region *region);
void region_free(struct region *region);

/* Writes params and parameter areas. */
void region_fill(struct region *region);

/* The host's tree alone, into buf; returns its length. */
int region_tree(const struct region *region, void *buf, int size);

/* region_fill() and shim_prepare(). */
int region_prepare(struct region *region);

/* What lies at a GPA of the region. */
void *region_at(struct region *region, uint64_t gpa);

#endif
