#include <stdlib.h>
#include <string.h>

#include "igvm/layout.h"
#include "igvm/tool.h"

/* igvmtool dump: headers as they are in the file, for people (pages in runs) and for programs. */

struct field {
	const char *name;
	uint16_t at, size; /* of a number, or of bytes if it is longer than 8 */
};

#define F(type, field)                                               \
	{                                                            \
#field, offsetof(struct igvm_vhs_##type, field),     \
			sizeof(((struct igvm_vhs_##type *)0)->field) \
	}
#define END                \
	{                  \
		NULL, 0, 0 \
	}

static const struct field supported_platform[] = {
	F(supported_platform, compatibility_mask),  F(supported_platform, highest_vtl),
	F(supported_platform, platform_type),       F(supported_platform, platform_version),
	F(supported_platform, shared_gpa_boundary), END
};
static const struct field guest_policy[] = { F(guest_policy, policy),
					     F(guest_policy, compatibility_mask), END };
static const struct field relocatable_region[] = { F(relocatable_region, compatibility_mask),
						   F(relocatable_region, vp_index),
						   F(relocatable_region, vtl),
						   F(relocatable_region, flags),
						   F(relocatable_region, relocation_alignment),
						   F(relocatable_region, relocation_region_gpa),
						   F(relocatable_region, relocation_region_size),
						   F(relocatable_region, minimum_relocation_gpa),
						   F(relocatable_region, maximum_relocation_gpa),
						   END };
static const struct field page_table_relocation[] = { F(page_table_relocation, compatibility_mask),
						      F(page_table_relocation, vp_index),
						      F(page_table_relocation, vtl),
						      F(page_table_relocation, gpa),
						      F(page_table_relocation, size),
						      F(page_table_relocation, used_size),
						      END };
static const struct field corim_data[] = { F(corim_data, compatibility_mask),
					   F(corim_data, file_offset), F(corim_data, size_bytes),
					   END };
static const struct field cca_policy[] = { F(cca_policy, compatibility_mask),
					   F(cca_policy, attributes_required_zeroes),
					   F(cca_policy, attributes_required_ones),
					   F(cca_policy, hash_algorithm),
					   F(cca_policy, lfa_policy),
					   END };
static const struct field parameter_area[] = { F(parameter_area, number_of_bytes),
					       F(parameter_area, parameter_area_index),
					       F(parameter_area, file_offset), END };
static const struct field page_data[] = {
	F(page_data, gpa),   F(page_data, compatibility_mask), F(page_data, file_offset),
	F(page_data, flags), F(page_data, data_type),          END
};
static const struct field parameter_insert[] = { F(parameter_insert, gpa),
						 F(parameter_insert, compatibility_mask),
						 F(parameter_insert, parameter_area_index), END };
static const struct field vp_context[] = { F(vp_context, gpa), F(vp_context, compatibility_mask),
					   F(vp_context, file_offset), F(vp_context, vp_index),
					   END };
static const struct field required_memory[] = { F(required_memory, gpa),
						F(required_memory, compatibility_mask),
						F(required_memory, number_of_bytes),
						F(required_memory, flags), END };
static const struct field error_range[] = { F(error_range, gpa), F(error_range, compatibility_mask),
					    F(error_range, size_bytes), END };
static const struct field parameter[] = { F(parameter, parameter_area_index),
					  F(parameter, byte_offset), END };
static const struct field snp_id_block[] = { F(snp_id_block, compatibility_mask),
					     F(snp_id_block, author_key_enabled),
					     F(snp_id_block, ld),
					     F(snp_id_block, family_id),
					     F(snp_id_block, image_id),
					     F(snp_id_block, version),
					     F(snp_id_block, guest_svn),
					     F(snp_id_block, id_key_algorithm),
					     F(snp_id_block, author_key_algorithm),
					     F(snp_id_block, id_key_signature),
					     F(snp_id_block, id_public_key),
					     F(snp_id_block, author_key_signature),
					     F(snp_id_block, author_public_key),
					     END };
static const struct field vbs_measurement[] = { F(vbs_measurement, compatibility_mask),
						F(vbs_measurement, version),
						F(vbs_measurement, product_id),
						F(vbs_measurement, module_id),
						F(vbs_measurement, security_version),
						F(vbs_measurement, policy_flags),
						F(vbs_measurement, boot_digest_algo),
						F(vbs_measurement, signing_algo),
						F(vbs_measurement, boot_measurement_digest),
						F(vbs_measurement, signature),
						F(vbs_measurement, public_key),
						END };

static const struct type {
	uint32_t type;
	const char *name;
	const struct field *fields;
} types[] = {
	{ IGVM_VHT_SUPPORTED_PLATFORM, "supported-platform", supported_platform },
	{ IGVM_VHT_GUEST_POLICY, "guest-policy", guest_policy },
	{ IGVM_VHT_RELOCATABLE_REGION, "relocatable-region", relocatable_region },
	{ IGVM_VHT_PAGE_TABLE_RELOCATION_REGION, "page-table-relocation", page_table_relocation },
	{ IGVM_VHT_CORIM_DOCUMENT, "corim-document", corim_data },
	{ IGVM_VHT_CORIM_SIGNATURE, "corim-signature", corim_data },
	{ IGVM_VHT_CCA_POLICY, "cca-policy", cca_policy },
	{ IGVM_VHT_PARAMETER_AREA, "parameter-area", parameter_area },
	{ IGVM_VHT_PAGE_DATA, "page-data", page_data },
	{ IGVM_VHT_PARAMETER_INSERT, "parameter-insert", parameter_insert },
	{ IGVM_VHT_VP_CONTEXT, "vp-context", vp_context },
	{ IGVM_VHT_REQUIRED_MEMORY, "required-memory", required_memory },
	{ IGVM_VHT_VP_COUNT_PARAMETER, "vp-count", parameter },
	{ IGVM_VHT_SRAT, "srat", parameter },
	{ IGVM_VHT_MADT, "madt", parameter },
	{ IGVM_VHT_MMIO_RANGES, "mmio-ranges", parameter },
	{ IGVM_VHT_SNP_ID_BLOCK, "snp-id-block", snp_id_block },
	{ IGVM_VHT_MEMORY_MAP, "memory-map", parameter },
	{ IGVM_VHT_ERROR_RANGE, "error-range", error_range },
	{ IGVM_VHT_COMMAND_LINE, "command-line", parameter },
	{ IGVM_VHT_SLIT, "slit", parameter },
	{ IGVM_VHT_PPTT, "pptt", parameter },
	{ IGVM_VHT_VBS_MEASUREMENT, "vbs-measurement", vbs_measurement },
	{ IGVM_VHT_DEVICE_TREE, "device-tree", parameter },
	{ IGVM_VHT_ENVIRONMENT_INFO_PARAMETER, "environment-info", parameter },
};

static const struct type *find_type(uint32_t type)
{
	static const struct field none[] = { END };
	static const struct type unknown = { 0, "unknown", none };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return &types[i];
	return &unknown;
}

static uint64_t number(const struct igvm_header *header, const struct field *field)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)&header->supported_platform + field->at, field->size);
	return value;
}

static const char *bytes(const struct igvm_header *header, const struct field *field)
{
	return tool_hex((const uint8_t *)&header->supported_platform + field->at, field->size);
}

/* --- for people --- */

/* Pages that follow each other and are alike. */
struct run {
	struct igvm_vhs_page_data first;
	uint64_t end;
	unsigned int pages, zero;
};

static void print_run(struct run *run)
{
	static const char *const data_types[] = { "", " secrets", " cpuid", " cpuid-xf" };

	if (!run->pages)
		return;
	printf("page-data             gpa %#llx..%#llx mask %#x: %u pages, %u of them "
	       "zero%s%s%s%s\n",
	       (unsigned long long)run->first.gpa, (unsigned long long)run->end,
	       run->first.compatibility_mask, run->pages, run->zero,
	       run->first.flags & IGVM_PAGE_DATA_IS_2MB_PAGE ? ", of 2 MiB" : "",
	       run->first.flags & IGVM_PAGE_DATA_UNMEASURED ? ", unmeasured" : "",
	       run->first.flags & IGVM_PAGE_DATA_SHARED ? ", shared" : "",
	       data_types[run->first.data_type]);
	run->pages = 0;
}

static void add_to_run(struct run *run, const struct igvm_header *header)
{
	const struct igvm_vhs_page_data *p = &header->page_data;

	if (run->pages && (p->gpa != run->end || p->flags != run->first.flags ||
			   p->data_type != run->first.data_type ||
			   p->compatibility_mask != run->first.compatibility_mask))
		print_run(run);
	if (!run->pages)
		*run = (struct run){ .first = *p, .end = p->gpa };
	run->end += igvm_page_data_size(p);
	run->pages++;
	run->zero += !header->data;
}

static void print_registers(const struct igvm_header *header)
{
	struct igvm_vbs_vp_context_register reg;
	uint64_t value[2];
	uint32_t i;

	for (i = 0; i < igvm_vbs_register_count(header); i++) {
		igvm_vbs_register(header, i, &reg);
		memcpy(value, reg.register_value, sizeof(value));
		printf("  vtl %u register %#010x = %016llx_%016llx\n", reg.vtl, reg.register_name,
		       (unsigned long long)value[1], (unsigned long long)value[0]);
	}
}

static void print_header(const struct tool_image *image, const struct igvm_header *header)
{
	const struct type *type = find_type(header->type);
	const struct field *field;

	printf("%-21s", type->name);
	if (!header->known)
		printf(" type %#x, %u bytes", header->type, header->length);
	for (field = type->fields; field->name; field++)
		if (field->size > 8)
			printf(" %s %.16s..", field->name, bytes(header, field));
		else
			printf(" %s %#llx", field->name, (unsigned long long)number(header, field));
	putchar('\n');
	if (header->type == IGVM_VHT_VP_CONTEXT &&
	    header->mask & igvm_platform_mask(&image->file, IGVM_PLATFORM_VSM_ISOLATION))
		print_registers(header);
}

static void print_components(const struct tool_image *image)
{
	const struct igvm_component *c;
	unsigned int i;
	uint8_t digest[32];

	for (i = 0; i < image->component_count; i++) {
		c = &image->components[i];
		igvm_content_digest(&image->content, c->gpa, c->len, digest);
		printf("%-13s %#12llx %10llu bytes  sha256 %s\n", c->name,
		       (unsigned long long)c->gpa, (unsigned long long)c->len,
		       tool_hex(digest, sizeof(digest)));
	}
}

static void dump_text(const struct tool_image *image)
{
	struct run run = { .pages = 0 };
	struct igvm_header header;
	uint32_t position = 0;

	printf("IGVM version %u, %zu bytes, checksum %#010x\n", image->file.format_version,
	       image->len, image->file.checksum);
	print_components(image);
	while (igvm_next(&image->file, &position, &header)) {
		if (header.type == IGVM_VHT_PAGE_DATA) {
			add_to_run(&run, &header);
			continue;
		}
		print_run(&run);
		print_header(image, &header);
	}
	print_run(&run);
}

/* --- for programs --- */

static void json_registers(const struct igvm_header *header)
{
	struct igvm_vbs_vp_context_register reg;
	uint32_t i;

	fputs(", \"registers\": [", stdout);
	for (i = 0; i < igvm_vbs_register_count(header); i++) {
		igvm_vbs_register(header, i, &reg);
		printf("%s{ \"vtl\": %u, \"name\": %u, \"value\": \"%s\" }", i ? ", " : "", reg.vtl,
		       reg.register_name, tool_hex(reg.register_value, sizeof(reg.register_value)));
	}
	putchar(']');
}

static void json_header(const struct tool_image *image, const struct igvm_header *header)
{
	const struct type *type = find_type(header->type);
	const struct field *field;

	printf("    { \"type\": \"%s\", \"number\": %u, \"offset\": %u, \"length\": %u", type->name,
	       header->type, header->offset, header->length);
	for (field = type->fields; field->name; field++)
		if (field->size > 8)
			printf(", \"%s\": \"%s\"", field->name, bytes(header, field));
		else
			printf(", \"%s\": %llu", field->name,
			       (unsigned long long)number(header, field));
	if (header->type == IGVM_VHT_VP_CONTEXT &&
	    header->mask & igvm_platform_mask(&image->file, IGVM_PLATFORM_VSM_ISOLATION))
		json_registers(header);
	fputs(" }", stdout);
}

static void json_components(const struct tool_image *image)
{
	const struct igvm_component *c;
	unsigned int i;
	uint8_t digest[32];

	fputs("  \"components\": [", stdout);
	for (i = 0; i < image->component_count; i++) {
		c = &image->components[i];
		igvm_content_digest(&image->content, c->gpa, c->len, digest);
		printf("%s\n    { \"name\": \"%s\", \"gpa\": %llu, \"bytes\": %llu, \"sha256\": "
		       "\"%s\" }",
		       i ? "," : "", c->name, (unsigned long long)c->gpa,
		       (unsigned long long)c->len, tool_hex(digest, sizeof(digest)));
	}
	fputs("\n  ],\n", stdout);
}

static void dump_json(const struct tool_image *image)
{
	struct igvm_header header;
	uint32_t position = 0;
	bool first = true;

	printf("{\n  \"format_version\": %u,\n  \"architecture\": %u,\n  \"bytes\": %zu,\n"
	       "  \"checksum\": %u,\n",
	       image->file.format_version, image->file.architecture, image->len,
	       image->file.checksum);
	json_components(image);
	fputs("  \"headers\": [", stdout);
	for (; igvm_next(&image->file, &position, &header); first = false) {
		fputs(first ? "\n" : ",\n", stdout);
		json_header(image, &header);
	}
	fputs("\n  ]\n}\n", stdout);
}

int tool_dump(int argc, char **argv)
{
	bool json = argc == 2 && !strcmp(argv[0], "--json");
	struct tool_image image;
	int ret;

	if (argc != 1 + json)
		return tool_fail(EXIT_FAILURE, "dump takes [--json] FILE");
	ret = tool_open_image(&image, argv[argc - 1]);
	if (!ret && json)
		dump_json(&image);
	else if (!ret)
		dump_text(&image);
	tool_close_image(&image);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
