#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"
#include "proto/igvm.h"

/* What a host device tree holds of interest, and nothing else is looked at: docs/shim.md. */

struct reader {
	struct shim *shim;
	const void *fdt;
	unsigned int found; /* cpus, ranges of memory: so far */
};

static uint64_t cells64(const uint8_t *cells)
{
	return fdt64_ld((const fdt64_t *)(const void *)cells);
}

/* A property's value if it is just this string. */
static bool is_string(const struct reader *r, int node, const char *property, const char *value)
{
	int len;
	const char *found = fdt_getprop(r->fdt, node, property, &len);

	return found && len == (int)strlen(value) + 1 && !memcmp(found, value, (size_t)len);
}

/* A property of one cell, or `missing` when it is not there or not one cell. */
static uint32_t cell(const struct reader *r, int node, const char *property, uint32_t missing)
{
	int len;
	const void *value = fdt_getprop(r->fdt, node, property, &len);

	return value && len == 4 ? fdt32_ld(value) : missing;
}

/* --- processors --- */

static int add_cpu(struct reader *r, int node)
{
	struct shim_machine *m = &r->shim->machine;
	unsigned int i, n = r->found;
	uint32_t id;
	int len;
	const void *reg = fdt_getprop(r->fdt, node, "reg", &len);

	if (!reg || len != 4)
		return shim_stop(r->shim, "host: device tree: a cpu's reg is not one cell");
	if (n == m->vp_count)
		return shim_stop(r->shim, "host: device tree: more cpus than the VP count, %u",
				 m->vp_count);
	id = fdt32_ld(reg);
	for (i = 0; i < n; i++)
		if (m->apic_ids[i] == id)
			return shim_stop(r->shim, "host: device tree: two cpus with APIC id %u",
					 id);
	m->apic_ids[r->found++] = id;
	return 0;
}

static int read_cpus(struct reader *r)
{
	int cpus = fdt_path_offset(r->fdt, "/cpus"), node, ret;

	if (cpus < 0)
		return shim_stop(r->shim, "host: device tree: no /cpus");
	r->found = 0;
	fdt_for_each_subnode(node, r->fdt, cpus)
	{
		if (!is_string(r, node, "device_type", "cpu"))
			continue;
		ret = add_cpu(r, node);
		if (ret)
			return ret;
	}
	if (r->found != r->shim->machine.vp_count)
		return shim_stop(r->shim, "host: device tree: %u cpus, but the VP count is %u",
				 r->found, r->shim->machine.vp_count);
	return 0;
}

/* --- memory --- */

static int check_memory(struct reader *r, const struct shim_span *span, uint32_t type)
{
	const struct shim_machine *m = &r->shim->machine;
	unsigned int i;

	for (i = 0; i < m->ram_count; i++)
		if (m->ram[i].span.gpa == span->gpa && m->ram[i].span.len == span->len &&
		    m->ram[i].type == type)
			return 0;
	return shim_stop(r->shim, "host: device tree: memory at %llx is not in the memory map",
			 (unsigned long long)span->gpa);
}

static int read_memory(struct reader *r, int node)
{
	uint32_t type = cell(r, node, IGVM_DT_IGVM_TYPE, IGVM_MEMORY_MAP_MEMORY);
	int len, ret;
	const uint8_t *reg = fdt_getprop(r->fdt, node, "reg", &len);

	if (!reg || len <= 0 || len % 16)
		return shim_stop(r->shim, "host: device tree: memory without a list of ranges");
	for (; len; len -= 16, reg += 16) {
		const struct shim_span span = { cells64(reg), cells64(reg + 8) };

		ret = check_memory(r, &span, type);
		if (ret)
			return ret;
		r->found++;
	}
	return 0;
}

/* The two descriptions must be one: as every range is found in the map, their number decides. */
static int read_memories(struct reader *r)
{
	int node, ret;

	r->found = 0;
	fdt_for_each_subnode(node, r->fdt, 0)
	{
		if (!is_string(r, node, "device_type", "memory"))
			continue;
		ret = read_memory(r, node);
		if (ret)
			return ret;
	}
	if (r->found != r->shim->machine.ram_count)
		return shim_stop(r->shim,
				 "host: device tree: %u ranges of memory, %u in the memory map",
				 r->found, r->shim->machine.ram_count);
	return 0;
}

/* --- MMIO: the ranges of the VMBus roots --- */

static int read_ranges(struct reader *r, int node, struct shim_spans *spans)
{
	int len;
	const uint8_t *ranges = fdt_getprop(r->fdt, node, "ranges", &len);

	if (!ranges || len < 0 || len % 24)
		return shim_stop(r->shim, "host: device tree: a vmbus without a list of ranges");
	for (; len; len -= 24, ranges += 24) {
		const struct shim_span span = { cells64(ranges + 8), cells64(ranges + 16) };

		if (cells64(ranges) != span.gpa || !shim_span_valid(span.gpa, span.len) ||
		    (span.gpa | span.len) % SHIM_PAGE_SIZE)
			return shim_stop(
				r->shim, "host: device tree: no MMIO window of %llx bytes at %llx",
				(unsigned long long)span.len, (unsigned long long)span.gpa);
		if (spans->count == SHIM_MAX_MMIO)
			return shim_stop(r->shim, "host: device tree: more than %u MMIO windows",
					 SHIM_MAX_MMIO);
		spans->span[spans->count++] = span;
	}
	return 0;
}

static int read_bus(struct reader *r, int bus)
{
	struct shim_machine *m = &r->shim->machine;
	int node, ret;

	fdt_for_each_subnode(node, r->fdt, bus)
	{
		uint32_t vtl;

		if (!is_string(r, node, "compatible", "microsoft,vmbus"))
			continue;
		vtl = cell(r, node, IGVM_DT_VTL, ~0u);
		if (vtl != 0 && vtl != 2)
			return shim_stop(r->shim, "host: device tree: a vmbus of no VTL");
		if (fdt_address_cells(r->fdt, node) != 2 || fdt_size_cells(r->fdt, node) != 2)
			return shim_stop(r->shim, "host: device tree: a vmbus of other cells");
		ret = read_ranges(r, node, vtl ? &m->vtl2_mmio : &m->vtl0_mmio);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_buses(struct reader *r)
{
	int node, ret;

	fdt_for_each_subnode(node, r->fdt, 0)
	{
		if (!is_string(r, node, "compatible", "simple-bus"))
			continue;
		ret = read_bus(r, node);
		if (ret)
			return ret;
	}
	return 0;
}

/* --- VTL0's payload, where the image lets the host give it --- */

static int read_payload(struct reader *r)
{
	/* No firmware: it is measured nowhere but in the image (docs/measured-boot.md). */
	static const char names[][16] = { "vtl0-kernel", "vtl0-initrd", "vtl0-cmdline" };
	struct shim_payload *payload = r->shim->machine.payload;
	int node = fdt_node_offset_by_compatible(r->fdt, -1, "entresol,payload"), len, i;

	if (node < 0)
		return 0;
	if (!(r->shim->params.flags & SHIM_HOST_PAYLOAD)) {
		shim_log_line(r->shim,
			      "the host's payload for VTL0 is ignored: the image has its own");
		return 0;
	}
	for (i = 0; i < SHIM_PAYLOAD_FIRMWARE; i++) {
		const uint8_t *value = fdt_getprop(r->fdt, node, names[i], &len);

		if (!value)
			continue;
		payload[i].gpa = len == 16 ? cells64(value) : 0;
		payload[i].len = len == 16 ? cells64(value + 8) : 0;
		if (!shim_span_valid(payload[i].gpa, payload[i].len))
			return shim_stop(r->shim, "host: device tree: %s is no range", names[i]);
	}
	return 0;
}

int shim_host_tree_read(struct shim *shim)
{
	const struct shim_range *area = &shim->params.device_tree;
	struct reader r = { shim, shim_pointer(shim, area->offset), 0 };
	int ret = fdt_check_full(r.fdt, area->len);

	if (ret)
		return shim_stop(shim, "host: the device tree is not sound (libfdt error %u)",
				 (unsigned int)-ret);
	if (fdt_address_cells(r.fdt, 0) != 2 || fdt_size_cells(r.fdt, 0) != 2)
		return shim_stop(shim, "host: device tree: addresses are not of two cells");
	ret = read_cpus(&r);
	if (!ret)
		ret = read_memories(&r);
	if (!ret)
		ret = read_buses(&r);
	if (!ret)
		ret = read_payload(&r);
	return ret;
}
