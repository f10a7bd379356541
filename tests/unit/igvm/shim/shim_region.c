#include "tests/unit/igvm/shim/shim_region.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/shim/log.h"

#define PAGES(bytes) ((bytes) / SHIM_PAGE_SIZE)

static const char measured_words[] = "noxsave quiet -- --log-level=2";

static void map_entry(struct igvm_vhs_memory_map_entry *entry, uint64_t gpa, uint64_t len,
		      uint16_t type)
{
	*entry = (struct igvm_vhs_memory_map_entry){ PAGES(gpa), PAGES(len), type, 0, 0 };
}

void region_init(struct region *region)
{
	struct region_host *host = &region->host;

	memset(region, 0, sizeof(*region));
	region->bytes = aligned_alloc(SHIM_PAGE_SIZE, REGION_LEN);
	if (!region->bytes)
		abort();
	memset(region->bytes, 0xa5, REGION_LEN);
	region->params = (struct shim_params){
		.magic = SHIM_PARAMS_MAGIC,
		.version = SHIM_PARAMS_VERSION,
		.svn = 7,
		.region_len = REGION_LEN,
		.command_line = { 0x1000, sizeof(measured_words) - 1 },
		.entry_tables = { 0x2000, 0xe000 },
		.vp_count = { 0x20000, 0x1000 },
		.memory_map = { 0x21000, 0x1000 },
		.host_command_line = { 0x22000, 0x1000 },
		.work = { 0x100000, 0x100000 },
		.kernel = { 0x200000, 0x100000 },
		.kernel_entry = 0x200100,
		.initrd = { 0x300000, 0x1234 },
		.device_tree = { 0x3f0000, 0x10000 }, /* last: reading past it is seen */
		.payload = { [SHIM_PAYLOAD_KERNEL] = { 0x8000000, 0x800000 },
			     [SHIM_PAYLOAD_CMDLINE] = { 0x7fff000, 0x20 } },
	};
	host->vp_count = host->cpu_nodes = 2;
	host->map_count = host->tree_memory_count = 2;
	map_entry(&host->map[0], 0, 1ull << 30, IGVM_MEMORY_MAP_MEMORY);
	map_entry(&host->map[1], REGION_GPA, 64ull << 20, IGVM_MEMORY_MAP_VTL2_PROTECTABLE);
	host->vtl0_mmio = (struct shim_span){ 0xf8000000, 0x6000000 };
	host->vtl2_mmio = (struct shim_span){ 0x200000000, 0x10000000 };
	host->command_line = "";
}

void region_free(struct region *region)
{
	free(region->bytes);
}

static void u64_pair(void *fdt, const char *name, uint64_t a, uint64_t b)
{
	const fdt64_t cells[2] = { cpu_to_fdt64(a), cpu_to_fdt64(b) };

	fdt_property(fdt, name, cells, sizeof(cells));
}

static void tree_cpus(void *fdt, unsigned int count)
{
	char name[24];
	unsigned int i;

	fdt_begin_node(fdt, "cpus");
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "cpu@%u", i);
		fdt_begin_node(fdt, name);
		fdt_property_string(fdt, "device_type", "cpu");
		fdt_property_u32(fdt, "reg", i);
		fdt_end_node(fdt);
	}
	fdt_end_node(fdt);
}

static void tree_memory(void *fdt, const struct igvm_vhs_memory_map_entry *entry)
{
	char name[32];

	snprintf(name, sizeof(name), "memory@%llx",
		 (unsigned long long)entry->starting_gpa_page_number * SHIM_PAGE_SIZE);
	fdt_begin_node(fdt, name);
	fdt_property_string(fdt, "device_type", "memory");
	u64_pair(fdt, "reg", entry->starting_gpa_page_number * SHIM_PAGE_SIZE,
		 entry->number_of_pages * SHIM_PAGE_SIZE);
	fdt_property_u32(fdt, IGVM_DT_IGVM_TYPE, entry->entry_type);
	fdt_end_node(fdt);
}

static void tree_vmbus(void *fdt, const char *name, const struct shim_span *span, uint32_t vtl)
{
	const fdt64_t ranges[3] = { cpu_to_fdt64(span->gpa), cpu_to_fdt64(span->gpa),
				    cpu_to_fdt64(span->len) };

	fdt_begin_node(fdt, name);
	fdt_property_string(fdt, "compatible", "microsoft,vmbus");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	fdt_property_u32(fdt, IGVM_DT_VTL, vtl);
	fdt_property(fdt, "ranges", ranges, sizeof(ranges));
	fdt_end_node(fdt);
}

static void tree_payload(void *fdt, const struct shim_payload *payload)
{
	static const char *const names[] = { "vtl0-kernel", "vtl0-initrd", "vtl0-cmdline",
					     "vtl0-firmware" };
	unsigned int i;

	fdt_begin_node(fdt, "payload");
	fdt_property_string(fdt, "compatible", "entresol,payload");
	for (i = 0; i < SHIM_PAYLOAD_COUNT; i++)
		if (payload[i].gpa || payload[i].len)
			u64_pair(fdt, names[i], payload[i].gpa, payload[i].len);
	fdt_end_node(fdt);
}

int region_tree(const struct region *region, void *fdt, int size)
{
	const struct region_host *host = &region->host;
	unsigned int i;

	if (fdt_create(fdt, size))
		abort();
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	tree_cpus(fdt, host->cpu_nodes);
	for (i = 0; i < host->tree_memory_count; i++)
		tree_memory(fdt, &host->map[i]);
	fdt_begin_node(fdt, "bus");
	fdt_property_string(fdt, "compatible", "simple-bus");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	tree_vmbus(fdt, "vmbus-vtl0", &host->vtl0_mmio, 0);
	tree_vmbus(fdt, "vmbus-vtl2", &host->vtl2_mmio, 2);
	fdt_end_node(fdt);
	tree_payload(fdt, host->payload);
	fdt_end_node(fdt);
	if (fdt_finish(fdt))
		abort();
	return (int)fdt_totalsize(fdt);
}

void region_fill(struct region *region)
{
	const struct shim_params *p = &region->params;
	const struct region_host *host = &region->host;

	memcpy(region->bytes, p, sizeof(*p));
	memcpy(region->bytes + 0x1000, measured_words, sizeof(measured_words) - 1);
	memset(region->bytes + 0x20000, 0, 0x3000);
	memcpy(region->bytes + 0x20000, &host->vp_count, sizeof(host->vp_count));
	memcpy(region->bytes + 0x21000, host->map, host->map_count * sizeof(*host->map));
	memcpy(region->bytes + 0x22000, host->command_line, strlen(host->command_line) + 1);
	region_tree(region, region->bytes + 0x3f0000, 0x10000);
	region->shim = (struct shim){
		.region = region->bytes,
		.region_gpa = REGION_GPA,
		.self = { SHIM_LINK_OFFSET, 0xe000 },
		.log = &region->log,
		.log_gpa = REGION_GPA + 0x8d000,
	};
	shim_log_init(&region->log, 1);
}

int region_prepare(struct region *region)
{
	region_fill(region);
	return shim_prepare(&region->shim, &region->start);
}

void *region_at(struct region *region, uint64_t gpa)
{
	if (gpa < REGION_GPA || gpa - REGION_GPA >= REGION_LEN)
		abort();
	return region->bytes + (gpa - REGION_GPA);
}
