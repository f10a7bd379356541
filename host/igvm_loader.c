#include "host/igvm_loader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "host/file_map.h"
#include "host/igvm_parameters.h"
#include "host/igvm_tables.h"
#include "host/partition.h"
#include "host/payload.h"
#include "host/registers.h"
#include "host/vp.h"
#include "igvm/reader.h"
#include "proto/igvm.h"

#define AREA_MAX (16u << 20) /* of one parameter area */
#define VTL2     2

struct area {
	uint32_t index; /* the file's */
	uint8_t *bytes;
	uint64_t len;
};

struct loader {
	struct partition *partition;
	struct file_map map;
	struct igvm_file file;
	uint32_t mask; /* of the platform VSM */

	bool movable;
	struct igvm_vhs_relocatable_region region;
	bool has_tables;
	struct igvm_vhs_page_table_relocation tables;
	uint64_t delta; /* added to GPAs of region and tables */

	struct area areas[IGVM_PARAMETER_AREAS_MAX];
	unsigned int area_count;
	struct host_payloads payloads;
	uint64_t lowest_vtl0; /* GPA of the lowest page data in VTL0's low RAM */
	uint64_t firmware;    /* likewise where firmware is, or 4 GiB: there is none */
	bool started;
};

static int refuse(const struct loader *l, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct loader *l, int error, const char *fmt, ...)
{
	char why[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	log_error("'%s': %s", l->map.path, why);
	return error;
}

/* Calls `fn` for each header that is for us, until one returns an error. */
static int for_each(struct loader *l, int (*fn)(struct loader *l, const struct igvm_header *header))
{
	struct igvm_header header;
	uint32_t position = 0;
	int ret = 0;

	while (!ret && igvm_next(&l->file, &position, &header))
		if (header.known && header.mask & l->mask)
			ret = fn(l, &header);
	return ret;
}

/* --- placement --- */

static bool in_region(const struct loader *l, uint64_t gpa)
{
	return (l->movable &&
		gpa - l->region.relocation_region_gpa < l->region.relocation_region_size) ||
	       (l->has_tables && gpa - l->tables.gpa < l->tables.size);
}

static uint64_t placed(const struct loader *l, uint64_t gpa)
{
	return in_region(l, gpa) ? gpa + l->delta : gpa;
}

static int find_region(struct loader *l, const struct igvm_header *header)
{
	if (header->type == IGVM_VHT_RELOCATABLE_REGION) {
		if (l->movable || header->relocatable_region.vtl != VTL2)
			return refuse(l, -EOPNOTSUPP, "more than VTL2's region is relocatable");
		l->region = header->relocatable_region;
		l->movable = true;
	} else if (header->type == IGVM_VHT_PAGE_TABLE_RELOCATION_REGION) {
		if (l->has_tables || header->page_table_relocation.vtl != VTL2)
			return refuse(l, -EOPNOTSUPP,
				      "more than VTL2's page tables are relocatable");
		l->tables = header->page_table_relocation;
		l->has_tables = true;
	}
	return 0;
}

/* What moves starts where VTL2's memory does. */
static int choose_place(struct loader *l)
{
	const struct igvm_vhs_relocatable_region *r = &l->region;
	uint64_t base = l->partition->memory.vtl2_base;

	if (!l->movable)
		return 0;
	if (base % r->relocation_alignment)
		base += r->relocation_alignment - base % r->relocation_alignment;
	if (base < r->minimum_relocation_gpa ||
	    r->relocation_region_size > r->maximum_relocation_gpa ||
	    base > r->maximum_relocation_gpa - r->relocation_region_size)
		return refuse(l, -ERANGE, "VTL2's memory begins at %llx, where the image cannot be",
			      (unsigned long long)base);
	l->delta = base - r->relocation_region_gpa;
	return 0;
}

/* --- directives --- */

static int import_pages(struct loader *l, const struct igvm_header *header)
{
	struct host_memory *memory = &l->partition->memory;
	uint32_t len = igvm_page_data_size(&header->page_data);
	uint64_t gpa = placed(l, header->page_data.gpa);

	if (header->page_data.data_type != IGVM_PAGE_DATA_NORMAL)
		return refuse(l, -EOPNOTSUPP,
			      "page data of type %u, which only hardware isolation has",
			      header->page_data.data_type);
	if (!host_memory_is_ram(memory, gpa, len))
		return refuse(l, -EFAULT, "page data for %llx, where there is no memory",
			      (unsigned long long)gpa);
	if (!header->data) /* memory is zero from the start */
		return 0;
	return host_memory_write(memory, HOST_VIEW_VTL2, gpa, header->data, header->data_len);
}

static int check_memory(struct loader *l, const struct igvm_header *header)
{
	const struct host_memory *memory = &l->partition->memory;
	const struct igvm_vhs_required_memory *r = &header->required_memory;
	bool vtl2 = r->flags & IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE;
	uint64_t gpa = placed(l, r->gpa);

	uint64_t end = gpa - memory->vtl2_base + r->number_of_bytes;

	if (vtl2 && in_region(l, r->gpa) && end > memory->vtl2_size)
		return refuse(l, -ENOMEM, "VTL2 needs %llu MiB, not %llu: --vtl2-memory",
			      (unsigned long long)(end + 0xfffff) >> 20,
			      (unsigned long long)memory->vtl2_size >> 20);
	if (!host_memory_is_ram(memory, gpa, r->number_of_bytes) ||
	    host_memory_is_vtl2(memory, gpa) != vtl2)
		return refuse(l, -ENOMEM,
			      "%llx bytes at %llx are to be memory of VTL%u, and are not",
			      (unsigned long long)r->number_of_bytes, (unsigned long long)gpa,
			      vtl2 ? 2 : 0);
	return 0;
}

/* The reader refuses files with more areas, and usages of areas that are not there. */
static struct area *find_area(struct loader *l, uint32_t index)
{
	unsigned int i = 0;

	while (i + 1 < l->area_count && l->areas[i].index != index)
		i++;
	return &l->areas[i];
}

static int create_area(struct loader *l, const struct igvm_header *header)
{
	const struct igvm_vhs_parameter_area *a = &header->parameter_area;
	struct area *area = &l->areas[l->area_count];

	if (a->number_of_bytes > AREA_MAX)
		return refuse(l, -E2BIG, "parameter area %u is too large", a->parameter_area_index);
	area->index = a->parameter_area_index;
	area->len = a->number_of_bytes;
	area->bytes = calloc(1, area->len);
	if (!area->bytes)
		return -ENOMEM;
	l->area_count++;
	if (header->data)
		memcpy(area->bytes, header->data,
		       header->data_len < area->len ? header->data_len : area->len);
	return 0;
}

static int fill_area(struct loader *l, const struct igvm_header *header)
{
	const struct igvm_vhs_parameter *p = &header->parameter;
	struct area *area = find_area(l, p->parameter_area_index);
	int ret = -ENOSPC;

	if (p->byte_offset < area->len)
		ret = igvm_parameters_fill(l->partition, &l->payloads, header->type,
					   area->bytes + p->byte_offset,
					   area->len - p->byte_offset);
	if (ret == -ENOSPC)
		return refuse(l, ret, "its parameter area has no room for the %s",
			      igvm_parameters_name(header->type));
	if (ret)
		return refuse(l, ret, "it asks for a parameter that this host does not have: %s",
			      igvm_parameters_name(header->type));
	return 0;
}

static int insert_area(struct loader *l, const struct igvm_header *header)
{
	const struct igvm_vhs_parameter_insert *insert = &header->parameter_insert;
	const struct area *area = find_area(l, insert->parameter_area_index);
	uint64_t gpa = placed(l, insert->gpa);

	if (host_memory_write(&l->partition->memory, HOST_VIEW_VTL2, gpa, area->bytes, area->len))
		return refuse(l, -EFAULT, "parameters for %llx, where there is no memory",
			      (unsigned long long)gpa);
	return 0;
}

/* --- VP 0 --- */

static int set_register(struct loader *l, struct vcpu *vcpu,
			const struct igvm_vbs_vp_context_register *reg)
{
	union hv_register_value value;

	memcpy(&value, reg->register_value, sizeof(value));
	if (l->movable && reg->register_name == HV_X64_REGISTER_RIP &&
	    l->region.flags & IGVM_RELOCATABLE_REGION_APPLY_PC)
		value.reg64 += l->delta;
	if (l->movable && reg->register_name == HV_X64_REGISTER_GDTR &&
	    l->region.flags & IGVM_RELOCATABLE_REGION_APPLY_GDTR)
		value.table.base += l->delta;
	if (reg->register_name == HV_X64_REGISTER_CR3)
		value.reg64 = placed(l, value.reg64);
	if (register_set(vcpu, reg->register_name, &value) != HV_STATUS_SUCCESS)
		return refuse(l, -EINVAL, "register %x of its VP context is not one to set",
			      reg->register_name);
	return 0;
}

static int set_context(struct loader *l, const struct igvm_header *header)
{
	struct vp *vp = &l->partition->vps[0];
	struct igvm_vbs_vp_context_register reg;
	uint32_t i, count = igvm_vbs_register_count(header);
	int ret = 0;

	if (header->vp_context.vp_index)
		return refuse(l, -EOPNOTSUPP, "a context for VP %u: only VP 0 has one",
			      header->vp_context.vp_index);
	for (i = 0; i < count && !ret; i++) {
		igvm_vbs_register(header, i, &reg);
		if (reg.vtl != VTL2)
			return refuse(l, -EOPNOTSUPP, "registers of VTL %u", reg.vtl);
		ret = set_register(l, &vp->vcpu[HOST_VTL2], &reg);
	}
	l->started = !ret;
	return ret;
}

/* --- the whole --- */

/* Usages come before the inserts of their areas: the reader sees to that order. */
static int load_directive(struct loader *l, const struct igvm_header *header)
{
	if (igvm_is_parameter(header->type))
		return fill_area(l, header);
	switch (header->type) {
	case IGVM_VHT_PAGE_DATA:
		return import_pages(l, header);
	case IGVM_VHT_REQUIRED_MEMORY:
		return check_memory(l, header);
	case IGVM_VHT_PARAMETER_AREA:
		return create_area(l, header);
	case IGVM_VHT_PARAMETER_INSERT:
		return insert_area(l, header);
	case IGVM_VHT_VP_CONTEXT:
		return set_context(l, header);
	default: /* platforms and regions are done, the rest is for other platforms */
		return 0;
	}
}

static int find_lowest(struct loader *l, const struct igvm_header *header)
{
	uint64_t gpa = header->page_data.gpa;

	if (header->type != IGVM_VHT_PAGE_DATA || in_region(l, gpa))
		return 0;
	if (gpa < l->lowest_vtl0)
		l->lowest_vtl0 = gpa;
	if (gpa >= HOST_FIRMWARE_BASE && gpa < l->firmware)
		l->firmware = gpa;
	return 0;
}

/* Memory up to the reset vector's end, for an image that fills it. */
static int add_firmware_memory(struct loader *l)
{
	int ret = 0;

	if (l->firmware < HOST_HIGH_RAM_BASE)
		ret = partition_add_memory(l->partition, l->firmware,
					   HOST_HIGH_RAM_BASE - l->firmware);
	return ret ? refuse(l, ret, "no memory for the firmware (%s)", strerror(-ret)) : 0;
}

static int move_tables(struct loader *l)
{
	struct host_memory *memory = &l->partition->memory;
	const struct igvm_vhs_relocatable_region *r = &l->region;
	uint64_t start = r->relocation_region_gpa, end = start + r->relocation_region_size;
	struct igvm_tables tables = { l->tables.gpa, l->tables.size, 0, 0, l->delta };
	uint8_t *bytes;
	int ret;

	if (!l->has_tables || !l->delta)
		return 0;
	if (l->tables.gpa < start)
		start = l->tables.gpa;
	if (l->tables.gpa + l->tables.size > end)
		end = l->tables.gpa + l->tables.size;
	tables.moved_gpa = start;
	tables.moved_len = end - start;
	bytes = host_memory_pointer(memory, placed(l, l->tables.gpa), l->tables.size);
	if (!bytes)
		return refuse(l, -ENOMEM, "its page tables are not in memory");
	ret = igvm_tables_move(&tables, bytes);
	return ret ? refuse(l, ret, "its page tables cannot be moved (%s)", strerror(-ret)) : 0;
}

static int open_image(struct loader *l)
{
	struct igvm_error error;
	int ret = file_map_open(&l->map, l->partition->options->igvm);

	if (ret)
		return ret;
	ret = igvm_open(&l->file, l->map.data, l->map.len, &error);
	if (ret)
		return refuse(l, ret, "not an IGVM image: %s (at byte %llu)", error.reason,
			      (unsigned long long)error.offset);
	l->mask = igvm_platform_mask(&l->file, IGVM_PLATFORM_VSM_ISOLATION);
	if (!l->mask)
		return refuse(l, -EOPNOTSUPP, "the image is not for VTLs (VSM)");
	return 0;
}

static int load_image(struct loader *l)
{
	int ret = for_each(l, find_region);

	if (!ret)
		ret = choose_place(l);
	if (!ret)
		ret = for_each(l, find_lowest);
	if (!ret)
		ret = add_firmware_memory(l);
	if (!ret)
		ret = host_payload_place(l->partition, l->lowest_vtl0, &l->payloads);
	if (!ret)
		ret = for_each(l, load_directive);
	if (!ret)
		ret = move_tables(l);
	if (!ret && !l->started)
		ret = refuse(l, -EINVAL, "it has no context of VP 0");
	if (!ret)
		atomic_store(&l->partition->vps[0].vtl2_started, true);
	return ret;
}

int igvm_loader_load(struct partition *partition)
{
	struct loader *l = calloc(1, sizeof(*l));
	unsigned int i;
	int ret;

	if (!l)
		return -ENOMEM;
	l->partition = partition;
	l->lowest_vtl0 = partition->memory.ranges[0].len;
	l->firmware = HOST_HIGH_RAM_BASE;
	ret = open_image(l);
	if (!ret)
		ret = load_image(l);
	for (i = 0; i < l->area_count; i++)
		free(l->areas[i].bytes);
	file_map_close(&l->map);
	free(l);
	return ret;
}
