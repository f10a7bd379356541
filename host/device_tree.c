#include "host/device_tree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>

#include "host/partition.h"
#include "host/payload.h"
#include "proto/igvm.h"

/*
 * libfdt's sequential writer keeps the first error in the tree: the functions below go on after
 * one, and device_tree_build() looks at the last result only.
 */

static void cells64(fdt32_t *cells, uint64_t value)
{
	cells[0] = cpu_to_fdt32((uint32_t)(value >> 32));
	cells[1] = cpu_to_fdt32((uint32_t)value);
}

static void add_range(void *fdt, const char *name, uint64_t base, uint64_t len)
{
	fdt32_t reg[4];

	cells64(&reg[0], base);
	cells64(&reg[2], len);
	fdt_property(fdt, name, reg, sizeof(reg));
}

static void add_cpus(void *fdt, unsigned int count)
{
	char name[16];
	unsigned int i;

	fdt_begin_node(fdt, "cpus");
	fdt_property_u32(fdt, "#address-cells", 1);
	fdt_property_u32(fdt, "#size-cells", 0);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "cpu@%x", i);
		fdt_begin_node(fdt, name);
		fdt_property_string(fdt, "device_type", "cpu");
		fdt_property_u32(fdt, "reg", i); /* APIC id */
		fdt_property_string(fdt, "status", "okay");
		fdt_end_node(fdt);
	}
	fdt_end_node(fdt);
}

static void add_memory(void *fdt, const struct host_memory *memory)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < memory->range_count; i++) {
		const struct host_range *range = &memory->ranges[i];

		snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)range->gpa);
		fdt_begin_node(fdt, name);
		fdt_property_string(fdt, "device_type", "memory");
		add_range(fdt, "reg", range->gpa, range->len);
		fdt_property_u32(fdt, IGVM_DT_IGVM_TYPE,
				 range->vtl2 ? IGVM_MEMORY_MAP_VTL2_PROTECTABLE
					     : IGVM_MEMORY_MAP_MEMORY);
		fdt_end_node(fdt);
	}
}

static void add_window(fdt32_t *cells, uint64_t base, uint64_t len)
{
	cells64(&cells[0], base);
	cells64(&cells[2], base);
	cells64(&cells[4], len);
}

static void add_vmbus_root(void *fdt, uint32_t vtl, const fdt32_t *ranges, int len)
{
	char name[16];

	snprintf(name, sizeof(name), "vmbus-vtl%u", vtl);
	fdt_begin_node(fdt, name);
	fdt_property_string(fdt, "compatible", "microsoft,vmbus");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	fdt_property_u32(fdt, IGVM_DT_VTL, vtl);
	fdt_property(fdt, "ranges", ranges, len);
	fdt_end_node(fdt);
}

static void add_vmbus_roots(void *fdt, const struct host_memory *memory)
{
	fdt32_t vtl0[12], vtl2[6];

	add_window(&vtl0[0], HOST_VTL0_LOW_MMIO, HOST_VTL0_LOW_MMIO_SIZE);
	add_window(&vtl0[6], memory->vtl0_mmio_base, HOST_VTL0_MMIO_SIZE);
	add_window(&vtl2[0], memory->vtl2_mmio_base, HOST_VTL2_MMIO_SIZE);
	fdt_begin_node(fdt, "bus");
	fdt_property_string(fdt, "compatible", "simple-bus");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	fdt_property(fdt, "ranges", NULL, 0);
	add_vmbus_root(fdt, 0, vtl0, sizeof(vtl0));
	add_vmbus_root(fdt, 2, vtl2, sizeof(vtl2));
	fdt_end_node(fdt);
}

static void add_payloads(void *fdt, const struct host_payloads *payloads)
{
	static const char *const names[HOST_PAYLOAD_COUNT] = { "vtl0-kernel", "vtl0-initrd",
							       "vtl0-cmdline" };
	unsigned int i;

	if (!payloads->file[HOST_PAYLOAD_KERNEL].len)
		return;
	fdt_begin_node(fdt, "payload");
	fdt_property_string(fdt, "compatible", "entresol,payload");
	for (i = 0; i < HOST_PAYLOAD_COUNT; i++)
		if (payloads->file[i].len)
			add_range(fdt, names[i], payloads->file[i].gpa, payloads->file[i].len);
	fdt_end_node(fdt);
}

int device_tree_build(const struct partition *partition, const struct host_payloads *payloads,
		      void *buf, size_t len)
{
	if (fdt_create(buf, (int)len))
		return -ENOSPC;
	fdt_finish_reservemap(buf);
	fdt_begin_node(buf, "");
	fdt_property_u32(buf, "#address-cells", 2);
	fdt_property_u32(buf, "#size-cells", 2);
	add_cpus(buf, partition->vp_count);
	add_memory(buf, &partition->memory);
	add_vmbus_roots(buf, &partition->memory);
	add_payloads(buf, payloads);
	fdt_end_node(buf);
	return fdt_finish(buf) ? -ENOSPC : (int)fdt_totalsize(buf);
}
