#include "igvm/image.h"

#include <errno.h>
#include <mbedtls/sha256.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/elf_file.h"
#include "igvm/region.h"
#include "igvm/vp_state.h"
#include "igvm/writer.h"
#include "proto/tdx.h"

/* Offsets in VTL2's region, besides SHIM_LINK_OFFSET. */
#define AT_COMMAND_LINE      0x1000u
#define AT_VMSA              0x12000u
#define AT_VP_COUNT          0x20000u
#define AT_MEMORY_MAP        0x21000u
#define AT_HOST_COMMAND_LINE 0x22000u
#define AT_DEVICE_TREE       0x30000u
#define AT_WORK              0x100000u
#define AT_KERNEL            0x200000u

#define KERNEL_MAX        (256ull << 20)
#define COMMAND_LINE_MAX  2047u
#define DEVICE_TREE_SIZE  0x10000u
#define WORK_SIZE         0x100000u
#define TABLE_PAGES       16u
#define TABLES_SIZE       (TABLE_PAGES * IGVM_PAGE_SIZE)
#define TABLE_PAGES_SPARE 2u /* for a loader that moves the region across a boundary of 1 GiB */
#define MIB2              0x200000ull
#define RELOCATION_LIMIT  (1ull << 46)

#define MASK 1u /* of the one platform that an image is for */

static_assert(WORK_SIZE >= SHIM_WORK_MIN, "proto/shim.h");

struct builder {
	const struct manifest *manifest;
	const struct image_inputs *inputs;
	struct image *image;
	struct igvm_writer writer;
	struct region region;
	struct elf_file shim, kernel;
	struct shim_params params;
	uint64_t (*tables)[512];
	unsigned int table_pages;
	char *error;
	size_t error_len;
};

static int __attribute__((format(printf, 3, 4)))
fail(struct builder *b, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(b->error, b->error_len, format, args);
	va_end(args);
	return ret;
}

static uint64_t align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void add_component(struct builder *b, const char *name, uint64_t gpa, uint64_t memory,
			  const void *data, size_t len)
{
	struct image_component *c = &b->image->components[b->image->component_count++];

	*c = (struct image_component){ .name = name, .gpa = gpa, .memory = memory, .len = len };
	mbedtls_sha256(data, len, c->sha256, 0);
}

/* Places what is in the region and notes it as a component. */
static int place(struct builder *b, const char *name, uint64_t offset, const void *data, size_t len)
{
	int ret = region_place(&b->region, offset, data, len, len, REGION_DATA);

	if (ret)
		return fail(b, ret, "no room for the %s at %#llx of the region", name,
			    (unsigned long long)offset);
	if (len)
		add_component(b, name, b->manifest->base + offset, len, data, len);
	return 0;
}

static int place_page_kind(struct builder *b, uint64_t offset, uint64_t len, enum region_page kind)
{
	int ret = region_place(&b->region, offset, NULL, 0, len, kind);

	if (ret)
		return fail(b, ret, "the shim reaches into %#llx of the region",
			    (unsigned long long)offset);
	return 0;
}

/* --- where things lie --- */

static int open_programs(struct builder *b)
{
	const struct image_inputs *in = b->inputs;
	const char *reason;

	if (elf_file_open(&b->shim, in->shim.data, in->shim.len, &reason))
		return fail(b, -ENOEXEC, "shim: %s", reason);
	if (b->shim.start != SHIM_LINK_OFFSET)
		return fail(b, -ENOEXEC, "shim: linked at %#llx instead of %#x",
			    (unsigned long long)b->shim.start, SHIM_LINK_OFFSET);
	if (b->shim.end > AT_WORK)
		return fail(b, -E2BIG, "shim: ends at %#llx, above %#x",
			    (unsigned long long)b->shim.end, AT_WORK);
	if (elf_file_open(&b->kernel, in->kernel.data, in->kernel.len, &reason))
		return fail(b, -ENOEXEC, "kernel: %s", reason);
	if (b->kernel.start % MIB2)
		return fail(b, -ENOEXEC, "kernel: not linked at a multiple of 2 MiB");
	if (b->kernel.end - b->kernel.start > KERNEL_MAX)
		return fail(b, -E2BIG, "kernel: takes more than %llu MiB of memory",
			    KERNEL_MAX >> 20);
	return 0;
}

/* The kernel is given as it lies in memory, so that nobody has to copy or to unpack it. */
static int lay_out(struct builder *b)
{
	struct shim_params *p = &b->params;
	uint64_t end, memory = b->manifest->memory;

	p->kernel = (struct shim_range){ AT_KERNEL, b->kernel.end - b->kernel.start };
	p->kernel_entry = AT_KERNEL + (b->kernel.entry - b->kernel.start);
	end = align_up(AT_KERNEL + p->kernel.len, IGVM_PAGE_SIZE);
	if (b->inputs->initrd.len)
		p->initrd = (struct shim_range){ end, b->inputs->initrd.len };
	end = align_up(end + p->initrd.len, IGVM_PAGE_SIZE);
	p->region_len = align_up(end + TABLES_SIZE, MIB2);
	if (memory && memory < p->region_len)
		return fail(b, -ENOSPC, "memory is less than the %llu MiB that the image needs",
			    (unsigned long long)(p->region_len >> 20));
	if (memory)
		p->region_len = memory;
	p->entry_tables = (struct shim_range){ p->region_len - TABLES_SIZE, TABLES_SIZE };
	p->vp_count = (struct shim_range){ AT_VP_COUNT, IGVM_PAGE_SIZE };
	p->memory_map = (struct shim_range){ AT_MEMORY_MAP, IGVM_PAGE_SIZE };
	p->host_command_line = (struct shim_range){ AT_HOST_COMMAND_LINE, IGVM_PAGE_SIZE };
	p->device_tree = (struct shim_range){ AT_DEVICE_TREE, DEVICE_TREE_SIZE };
	p->work = (struct shim_range){ AT_WORK, WORK_SIZE };
	b->image->region_gpa = b->manifest->base;
	b->image->region_len = p->region_len;
	return region_init(&b->region, end) ? fail(b, -ENOMEM, "out of memory") : 0;
}

static void fill_params(struct builder *b)
{
	const struct manifest *m = b->manifest;
	struct shim_params *p = &b->params;

	p->magic = SHIM_PARAMS_MAGIC;
	p->version = SHIM_PARAMS_VERSION;
	p->isolation = m->isolation;
	p->svn = m->svn;
	if (m->isolation != SHIM_ISOLATION_NONE)
		p->flags |= SHIM_CONFIDENTIAL;
	if (m->host_payload)
		p->flags |= SHIM_HOST_PAYLOAD;
	if (m->debug)
		p->flags |= SHIM_DEBUG;
}

/* --- the region's content --- */

static int place_segments(struct builder *b, const char *name, const struct elf_file *elf,
			  uint64_t offset, bool zeros)
{
	struct elf64_segment segment;
	unsigned int i = 0;
	uint64_t at;
	int ret;

	while (elf_file_next(elf, &i, &segment)) {
		at = offset + (segment.paddr - elf->start);
		ret = region_place(&b->region, at, elf->data + segment.offset, segment.filesz,
				   zeros ? segment.memsz : segment.filesz, REGION_DATA);
		if (ret)
			return fail(b, ret, "%s: two segments on one page, or out of place", name);
	}
	add_component(b, name, b->manifest->base + offset, elf->end - elf->start, elf->data,
		      elf->len);
	return 0;
}

static int place_command_line(struct builder *b)
{
	const char *line = b->manifest->command_line ? b->manifest->command_line : "";
	size_t len = strlen(line);

	if (len > COMMAND_LINE_MAX)
		return fail(b, -E2BIG, "cmdline is longer than %u bytes", COMMAND_LINE_MAX);
	if (len)
		b->params.command_line = (struct shim_range){ AT_COMMAND_LINE, len };
	return place(b, "cmdline", AT_COMMAND_LINE, line, len);
}

static int place_parameter_areas(struct builder *b)
{
	int ret = place_page_kind(
		b, AT_VP_COUNT, AT_HOST_COMMAND_LINE + IGVM_PAGE_SIZE - AT_VP_COUNT, REGION_TAKEN);

	if (!ret)
		ret = place_page_kind(b, AT_DEVICE_TREE, DEVICE_TREE_SIZE, REGION_TAKEN);
	return ret;
}

static int place_snp_pages(struct builder *b)
{
	int ret;

	if (b->manifest->isolation != SHIM_ISOLATION_SNP)
		return 0;
	ret = place_page_kind(b, SHIM_SNP_SECRETS_OFFSET, IGVM_PAGE_SIZE, REGION_SECRETS);
	if (!ret)
		ret = place_page_kind(b, SHIM_SNP_CPUID_OFFSET, IGVM_PAGE_SIZE, REGION_CPUID);
	if (!ret)
		ret = place_page_kind(b, AT_VMSA, IGVM_PAGE_SIZE, REGION_TAKEN);
	return ret;
}

static int fill_region(struct builder *b)
{
	const struct image_inputs *in = b->inputs;
	int ret = place_parameter_areas(b);

	if (!ret)
		ret = place_snp_pages(b);
	if (!ret)
		ret = place_segments(b, "shim", &b->shim, SHIM_LINK_OFFSET, true);
	if (!ret)
		ret = place_segments(b, "kernel", &b->kernel, AT_KERNEL, false);
	if (!ret)
		ret = place(b, "initrd", b->params.initrd.offset, in->initrd.data, in->initrd.len);
	return ret ? ret : place_command_line(b);
}

static int build_tables(struct builder *b)
{
	uint64_t base = b->manifest->base;
	/* The reset vector's code turns paging on under its own feet. */
	uint64_t also =
		b->manifest->isolation == SHIM_ISOLATION_TDX ? TDX_RESET_PAGE & ~(MIB2 - 1) : 0;

	b->tables = calloc(TABLE_PAGES, sizeof(*b->tables));
	if (!b->tables)
		return fail(b, -ENOMEM, "out of memory");
	b->table_pages = vp_state_tables(b->tables, TABLE_PAGES - TABLE_PAGES_SPARE,
					 base + b->params.entry_tables.offset, base,
					 b->params.region_len, also);
	if (!b->table_pages)
		return fail(b, -E2BIG, "memory is more than the entry's page tables can map");
	add_component(b, "page-tables", base + b->params.entry_tables.offset, TABLES_SIZE,
		      b->tables, b->table_pages * IGVM_PAGE_SIZE);
	return 0;
}

/* --- VTL0's payload --- */

static const char *const payload_names[SHIM_PAYLOAD_COUNT] = {
	[SHIM_PAYLOAD_KERNEL] = "vtl0-kernel",
	[SHIM_PAYLOAD_INITRD] = "vtl0-initrd",
	[SHIM_PAYLOAD_CMDLINE] = "vtl0-cmdline",
	[SHIM_PAYLOAD_FIRMWARE] = "vtl0-firmware",
};

/* Upward from the base, or downward from the top: the initramfs highest, where Linux takes it. */
static const enum shim_payload_index upward[] = { SHIM_PAYLOAD_CMDLINE, SHIM_PAYLOAD_KERNEL,
						  SHIM_PAYLOAD_INITRD };
#define UPWARD (sizeof(upward) / sizeof(*upward))

static struct image_blob payload_blob(const struct builder *b, unsigned int i)
{
	const char *line = b->manifest->payload[SHIM_PAYLOAD_CMDLINE];

	if (i == SHIM_PAYLOAD_CMDLINE && line)
		return (struct image_blob){ (const uint8_t *)line, strlen(line) };
	return b->inputs->payload[i];
}

/* VTL2's region does not move if there is isolation: else it is moved to where VTL0 has nothing. */
static bool in_region(const struct builder *b, uint64_t gpa, uint64_t len)
{
	uint64_t region = b->manifest->base;

	return b->manifest->isolation != SHIM_ISOLATION_NONE && len &&
	       gpa < region + b->params.region_len && region < gpa + len;
}

static void add_payload(struct builder *b, enum shim_payload_index which, uint64_t gpa)
{
	struct image_blob blob = payload_blob(b, which);

	b->params.payload[which] = (struct shim_payload){ gpa, blob.len };
	add_component(b, payload_names[which], gpa, blob.len, blob.data, blob.len);
}

static int place_files(struct builder *b)
{
	uint64_t total = 0, at;
	unsigned int i;

	for (i = 0; i < UPWARD; i++)
		total += align_up(payload_blob(b, upward[i]).len, IGVM_PAGE_SIZE);
	if (b->manifest->vtl0_top && total > b->manifest->vtl0_top)
		return fail(b, -ENOSPC, "VTL0's payload does not fit below vtl0-top");
	at = b->manifest->vtl0_top ? b->manifest->vtl0_top - total : b->manifest->vtl0_base;
	if (in_region(b, at, total))
		return fail(b, -EEXIST, "VTL0's payload lies in VTL2's region");
	for (i = 0; i < UPWARD; i++) {
		if (!payload_blob(b, upward[i]).len)
			continue;
		add_payload(b, upward[i], at);
		at += align_up(payload_blob(b, upward[i]).len, IGVM_PAGE_SIZE);
	}
	return 0;
}

static int place_firmware(struct builder *b)
{
	size_t len = payload_blob(b, SHIM_PAYLOAD_FIRMWARE).len;

	if (!b->manifest->payload[SHIM_PAYLOAD_FIRMWARE])
		return 0;
	if (!len || len % IGVM_PAGE_SIZE)
		return fail(b, -EINVAL, "vtl0-firmware: %zu bytes are not whole pages of 4096",
			    len);
	if (len > SHIM_FIRMWARE_MAX)
		return fail(b, -EFBIG, "vtl0-firmware: %zu bytes, more than %u MiB", len,
			    SHIM_FIRMWARE_MAX >> 20);
	if (in_region(b, SHIM_FIRMWARE_END - len, len))
		return fail(b, -EEXIST, "vtl0-firmware lies in VTL2's region");
	add_payload(b, SHIM_PAYLOAD_FIRMWARE, SHIM_FIRMWARE_END - len);
	return 0;
}

static int place_payloads(struct builder *b)
{
	int ret = place_files(b);

	return ret ? ret : place_firmware(b);
}

static void write_bytes(struct builder *b, uint64_t gpa, const uint8_t *data, size_t len)
{
	uint8_t page[IGVM_PAGE_SIZE];
	size_t at, n;

	for (at = 0; at < len; at += IGVM_PAGE_SIZE) {
		n = len - at < IGVM_PAGE_SIZE ? len - at : IGVM_PAGE_SIZE;
		memset(page, 0, sizeof(page));
		memcpy(page, data + at, n);
		region_write_page(&b->writer, gpa + at, page, MASK);
	}
}

static void write_payloads(struct builder *b)
{
	struct image_blob firmware;
	unsigned int i;

	for (i = 0; i < UPWARD; i++) {
		struct image_blob blob = payload_blob(b, upward[i]);

		write_bytes(b, b->params.payload[upward[i]].gpa, blob.data, blob.len);
	}
	firmware = payload_blob(b, SHIM_PAYLOAD_FIRMWARE);
	write_bytes(b, b->params.payload[SHIM_PAYLOAD_FIRMWARE].gpa, firmware.data, firmware.len);
}

/* --- headers --- */

#define HEADER(b, type, name, ...)                                                             \
	igvm_writer_header(&(b)->writer, type, &(const struct igvm_vhs_##name){ __VA_ARGS__ }, \
			   sizeof(struct igvm_vhs_##name))

static void write_platform(struct builder *b)
{
	static const uint8_t types[] = { [SHIM_ISOLATION_NONE] = IGVM_PLATFORM_VSM_ISOLATION,
					 [SHIM_ISOLATION_VBS] = IGVM_PLATFORM_VSM_ISOLATION,
					 [SHIM_ISOLATION_SNP] = IGVM_PLATFORM_SEV_SNP,
					 [SHIM_ISOLATION_TDX] = IGVM_PLATFORM_TDX };
	const struct manifest *m = b->manifest;

	HEADER(b, IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, .compatibility_mask = MASK,
	       .highest_vtl = 2, .platform_type = types[m->isolation],
	       .platform_version = IGVM_PLATFORM_VERSION,
	       .shared_gpa_boundary = m->shared_gpa_boundary);
	if (m->isolation == SHIM_ISOLATION_SNP || m->isolation == SHIM_ISOLATION_TDX)
		HEADER(b, IGVM_VHT_GUEST_POLICY, guest_policy, .policy = m->policy,
		       .compatibility_mask = MASK);
}

/* Measured GPAs cannot move: only an image without isolation is relocatable. */
static void write_relocations(struct builder *b)
{
	const struct shim_params *p = &b->params;
	uint64_t base = b->manifest->base;

	if (b->manifest->isolation != SHIM_ISOLATION_NONE)
		return;
	HEADER(b, IGVM_VHT_RELOCATABLE_REGION, relocatable_region, .compatibility_mask = MASK,
	       .vtl = 2,
	       .flags = IGVM_RELOCATABLE_REGION_IS_VTL2 | IGVM_RELOCATABLE_REGION_APPLY_PC,
	       .relocation_alignment = MIB2, .relocation_region_gpa = base,
	       .relocation_region_size = p->region_len - TABLES_SIZE,
	       .maximum_relocation_gpa = RELOCATION_LIMIT);
	HEADER(b, IGVM_VHT_PAGE_TABLE_RELOCATION_REGION, page_table_relocation,
	       .compatibility_mask = MASK, .vtl = 2, .gpa = base + p->entry_tables.offset,
	       .size = TABLES_SIZE, .used_size = (uint64_t)b->table_pages * IGVM_PAGE_SIZE);
}

static void write_required(struct builder *b, uint64_t offset, uint64_t len)
{
	const uint64_t step = 1ull << 31; /* the field has 32 bits */
	uint64_t n;

	for (; len; offset += n, len -= n) {
		n = len < step ? len : step;
		HEADER(b, IGVM_VHT_REQUIRED_MEMORY, required_memory,
		       .gpa = b->manifest->base + offset, .compatibility_mask = MASK,
		       .number_of_bytes = (uint32_t)n,
		       .flags = IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
	}
}

static void write_parameters(struct builder *b)
{
	const struct shim_params *p = &b->params;
	const struct {
		uint32_t type;
		struct shim_range range;
	} areas[] = { { IGVM_VHT_VP_COUNT_PARAMETER, p->vp_count },
		      { IGVM_VHT_MEMORY_MAP, p->memory_map },
		      { IGVM_VHT_COMMAND_LINE, p->host_command_line },
		      { IGVM_VHT_DEVICE_TREE, p->device_tree } };
	uint32_t i;

	for (i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		HEADER(b, IGVM_VHT_PARAMETER_AREA, parameter_area,
		       .number_of_bytes = areas[i].range.len, .parameter_area_index = i);
		HEADER(b, areas[i].type, parameter, .parameter_area_index = i);
		HEADER(b, IGVM_VHT_PARAMETER_INSERT, parameter_insert,
		       .gpa = b->manifest->base + areas[i].range.offset, .compatibility_mask = MASK,
		       .parameter_area_index = i);
	}
}

static void write_context(struct builder *b)
{
	const struct manifest *m = b->manifest;
	uint64_t rip = m->base + b->shim.entry, cr3 = m->base + b->params.entry_tables.offset;
	struct vp_state_registers registers;
	struct sev_vmsa vmsa;

	if (m->isolation == SHIM_ISOLATION_TDX)
		return;
	if (m->isolation == SHIM_ISOLATION_SNP) {
		vp_state_vmsa(&vmsa, rip, cr3, m->sev_features, m->shared_gpa_boundary);
		HEADER(b, IGVM_VHT_VP_CONTEXT, vp_context, .gpa = m->base + AT_VMSA,
		       .compatibility_mask = MASK,
		       .file_offset = igvm_writer_data(&b->writer, &vmsa, sizeof(vmsa)));
		return;
	}
	vp_state_registers(&registers, rip, cr3);
	HEADER(b, IGVM_VHT_VP_CONTEXT, vp_context, .compatibility_mask = MASK,
	       .file_offset = igvm_writer_data(&b->writer, &registers, sizeof(registers)));
}

/* TDX VPs start at 4 GiB - 16 with what the stub there finds in the page's first words. */
static int write_reset_vector(struct builder *b)
{
	const struct image_blob *stub = &b->inputs->reset_vector;
	const uint64_t gpa = TDX_RESET_PAGE;
	uint64_t words[2];
	uint8_t page[IGVM_PAGE_SIZE];

	if (b->manifest->isolation != SHIM_ISOLATION_TDX)
		return 0;
	if (stub->len != IGVM_PAGE_SIZE)
		return fail(b, -EINVAL, "reset-vector is not a file of 4096 bytes");
	words[0] = b->manifest->base + b->shim.entry;
	words[1] = b->manifest->base + b->params.entry_tables.offset;
	memcpy(page, stub->data, sizeof(page));
	memcpy(page, words, sizeof(words));
	region_write_page(&b->writer, gpa, page, MASK);
	add_component(b, "reset-vector", gpa, sizeof(page), page, sizeof(page));
	return 0;
}

static int write_file(struct builder *b)
{
	const struct shim_params *p = &b->params;
	uint64_t tables = b->manifest->base + p->entry_tables.offset;
	unsigned int i;
	int ret;

	igvm_writer_init(&b->writer, b->manifest->format, IGVM_ARCHITECTURE_X64);
	write_platform(b);
	write_relocations(b);
	write_required(b, 0, p->region_len - TABLES_SIZE);
	write_required(b, p->entry_tables.offset, TABLES_SIZE);
	region_write(&b->region, &b->writer, b->manifest->base, MASK);
	for (i = 0; i < b->table_pages; i++)
		region_write_page(&b->writer, tables + i * IGVM_PAGE_SIZE,
				  (const uint8_t *)b->tables[i], MASK);
	write_parameters(b);
	write_payloads(b);
	ret = write_reset_vector(b);
	write_context(b);
	if (ret) {
		igvm_writer_free(&b->writer);
		return ret;
	}
	ret = igvm_writer_finish(&b->writer, &b->image->file, &b->image->len);
	return ret ? fail(b, ret, "%s", ret == -EFBIG ? "above 4 GiB" : "out of memory") : 0;
}

int image_build(struct image *image, const struct manifest *manifest,
		const struct image_inputs *inputs, char *error, size_t error_len)
{
	struct builder b = { .manifest = manifest,
			     .inputs = inputs,
			     .image = image,
			     .error = error,
			     .error_len = error_len };
	int ret;

	*image = (struct image){ 0 };
	ret = open_programs(&b);
	if (!ret)
		ret = lay_out(&b);
	if (!ret)
		ret = fill_region(&b);
	if (!ret)
		ret = build_tables(&b);
	if (!ret)
		ret = place_payloads(&b);
	if (!ret) {
		fill_params(&b);
		ret = place(&b, "params", 0, &b.params, sizeof(b.params));
	}
	if (!ret)
		ret = write_file(&b);
	region_free(&b.region);
	free(b.tables);
	return ret;
}
