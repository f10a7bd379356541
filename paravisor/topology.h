#ifndef PARAVISOR_TOPOLOGY_H
#define PARAVISOR_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "paravisor/boot/memory_map.h"

/*
 * What the host's device tree says of this machine: processors, whose memory is where, and where
 * VTL0's devices may live. docs/paravisor.md describes the nodes.
 */

#define TOPOLOGY_MAX_VPS    256
#define TOPOLOGY_MAX_MEMORY 32
#define TOPOLOGY_MAX_MMIO   8
#define TOPOLOGY_SHIM_LOG   4096 /* bytes; what is more is cut in front */

struct topology {
	unsigned int vp_count;
	uint32_t apic_ids[TOPOLOGY_MAX_VPS]; /* by VP index */
	unsigned int vtl0_count, vtl2_count;
	struct boot_range vtl0[TOPOLOGY_MAX_MEMORY]; /* RAM, by address */
	struct boot_range vtl2[TOPOLOGY_MAX_MEMORY];
	unsigned int mmio_count;
	struct boot_range mmio[TOPOLOGY_MAX_MMIO]; /* for VTL0's VMBus root */
	size_t shim_log_len;
	char shim_log[TOPOLOGY_SHIM_LOG]; /* lines, as they are: any bytes */
};

/*
 * Reads a flattened device tree of `len` bytes. Nothing in it is trusted. 0, or -EINVAL with one
 * line in error[0..error_len).
 */
int topology_parse(struct topology *topology, const void *fdt, size_t len, char *error,
		   size_t error_len);

/* The same from /sys/firmware/fdt. 0 or -errno. */
int topology_read(struct topology *topology, char *error, size_t error_len);

#endif
