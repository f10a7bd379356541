#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"
#include "proto/igvm.h"

/*
 * VTL2's own device tree, for its kernel and the paravisor (docs/boot.md). libfdt's sequential writer
 * keeps the first error in the tree: the functions below go on after one, and the last result counts.
 */

#define LOG_IN_TREE 1024

static void cells64(fdt32_t *cells, uint64_t value)
{
	cells[0] = cpu_to_fdt32((uint32_t)(value >> 32));
	cells[1] = cpu_to_fdt32((uint32_t)value);
}

static void add_u64(void *fdt, const char *name, uint64_t value)
{
	fdt32_t cells[2];

	cells64(cells, value);
	fdt_property(fdt, name, cells, sizeof(cells));
}

static void add_cpus(void *fdt, const struct shim_machine *m)
{
	char name[16];
	unsigned int i;

	fdt_begin_node(fdt, "cpus");
	fdt_property_u32(fdt, "#address-cells", 1);
	fdt_property_u32(fdt, "#size-cells", 0);
	for (i = 0; i < m->vp_count; i++) {
		shim_print(name, sizeof(name), "cpu@%x", i);
		fdt_begin_node(fdt, name);
		fdt_property_string(fdt, "device_type", "cpu");
		fdt_property_u32(fdt, "reg", m->apic_ids[i]);
		fdt_property_string(fdt, "status", "okay");
		fdt_end_node(fdt);
	}
	fdt_end_node(fdt);
}

static void add_memory(void *fdt, const struct shim_machine *m)
{
	fdt32_t reg[4];
	char name[32];
	unsigned int i;

	for (i = 0; i < m->ram_count; i++) {
		const struct shim_ram *ram = &m->ram[i];

		if (ram->type == IGVM_MEMORY_MAP_PLATFORM_RESERVED)
			continue;
		shim_print(name, sizeof(name), "memory@%llx", (unsigned long long)ram->span.gpa);
		cells64(&reg[0], ram->span.gpa);
		cells64(&reg[2], ram->span.len);
		fdt_begin_node(fdt, name);
		fdt_property_string(fdt, "device_type", "memory");
		fdt_property(fdt, "reg", reg, sizeof(reg));
		fdt_property_u32(fdt, "entresol,vtl",
				 ram->type == IGVM_MEMORY_MAP_VTL2_PROTECTABLE ? 2 : 0);
		fdt_end_node(fdt);
	}
}

/* The driver takes MMIO for VPCI functions out of the bus's ranges. */
static void add_vmbus(void *fdt, const struct shim_machine *m)
{
	fdt32_t ranges[SHIM_MAX_MMIO * 6];
	unsigned int i;

	for (i = 0; i < m->vtl2_mmio.count; i++) {
		cells64(&ranges[i * 6], m->vtl2_mmio.span[i].gpa);
		cells64(&ranges[i * 6 + 2], m->vtl2_mmio.span[i].gpa);
		cells64(&ranges[i * 6 + 4], m->vtl2_mmio.span[i].len);
	}
	fdt_begin_node(fdt, "bus");
	fdt_property_string(fdt, "compatible", "simple-bus");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	fdt_property(fdt, "ranges", NULL, 0);
	fdt_begin_node(fdt, "vmbus");
	fdt_property_string(fdt, "compatible", "microsoft,vmbus");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	fdt_property(fdt, "ranges", ranges, (int)(m->vtl2_mmio.count * 24));
	fdt_end_node(fdt);
	fdt_end_node(fdt);
}

static void add_entresol(void *fdt, const struct shim *shim)
{
	const struct shim_spans *mmio = &shim->machine.vtl0_mmio;
	fdt32_t windows[SHIM_MAX_MMIO * 4];
	char text[LOG_IN_TREE];
	size_t len = shim_log_tail(shim->log, text, sizeof(text));
	unsigned int i;

	for (i = 0; i < mmio->count; i++) {
		cells64(&windows[i * 4], mmio->span[i].gpa);
		cells64(&windows[i * 4 + 2], mmio->span[i].len);
	}
	fdt_begin_node(fdt, "entresol");
	fdt_property_string(fdt, "compatible", "entresol,paravisor");
	if (mmio->count)
		fdt_property(fdt, "vtl0-mmio", windows, (int)(mmio->count * 16));
	add_u64(fdt, "shim-log", shim->log_gpa);
	fdt_property(fdt, "shim-log-text", text, (int)len); /* user space cannot map the page */
	fdt_property_u32(fdt, "isolation", shim->params.isolation);
	fdt_property_u32(fdt, "svn", shim->params.svn);
	fdt_property_string(fdt, "vtl0-payload",
			    shim->params.flags & SHIM_HOST_PAYLOAD ? "host" : "image");
	fdt_end_node(fdt);
}

int shim_linux_tree_build(struct shim *shim, void *buf, size_t size)
{
	if (fdt_create(buf, (int)size))
		goto full;
	fdt_finish_reservemap(buf);
	fdt_begin_node(buf, "");
	/* Without it Linux on x86 skips LAPIC and SMP set-up from the tree. */
	fdt_property_string(buf, "compatible", "entresol,vtl2");
	fdt_property_u32(buf, "#address-cells", 2);
	fdt_property_u32(buf, "#size-cells", 2);
	add_cpus(buf, &shim->machine);
	add_memory(buf, &shim->machine);
	add_vmbus(buf, &shim->machine);
	add_entresol(buf, shim);
	fdt_end_node(buf);
	if (!fdt_finish(buf))
		return (int)fdt_totalsize(buf);
full:
	shim_stop(shim, "the kernel's device tree does not fit");
	return -ENOSPC;
}
