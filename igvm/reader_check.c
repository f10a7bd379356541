#include "igvm/reader_check.h"

#include <errno.h>
#include <string.h>

#define GPA_LIMIT (1ull << 52) /* what page tables can express */

static int fail_at(struct igvm_error *error, uint64_t offset, const char *reason)
{
	*error = (struct igvm_error){ offset, reason };
	return -EINVAL;
}

/* A field of the header is wrong. */
#define fail(field, reason)                                                             \
	fail_at(error,                                                                  \
		header->offset + (uint64_t)((const char *)&(field) -                    \
					    (const char *)&header->supported_platform), \
		reason)

static bool aligned(uint64_t value, uint64_t to)
{
	return !(value % to);
}

static bool valid_range(uint64_t gpa, uint64_t size)
{
	return aligned(gpa, IGVM_PAGE_SIZE) && aligned(size, IGVM_PAGE_SIZE) && size &&
	       gpa < GPA_LIMIT && size <= GPA_LIMIT - gpa;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	while (len && !*bytes) {
		bytes++;
		len--;
	}
	return !len;
}

static uint8_t platform_type(const struct igvm_check *check, uint32_t bit)
{
	unsigned int i;

	for (i = 0; check->file->platforms[i].compatibility_mask != bit; i++)
		;
	return check->file->platforms[i].platform_type;
}

/* Whether `mask` is of platforms of type `type` only. Bits of no platform in the file say nothing. */
static bool only_platform(const struct igvm_check *check, uint32_t mask, uint8_t type)
{
	unsigned int i;

	mask &= check->masks;
	if (!mask)
		return false;
	for (i = 0; i < 32; i++)
		if (mask >> i & 1 && platform_type(check, 1u << i) != type)
			return false;
	return true;
}

/* --- platforms --- */

static int check_platform(struct igvm_check *check, const struct igvm_header *header,
			  struct igvm_error *error)
{
	const struct igvm_vhs_supported_platform *p = &header->supported_platform;
	struct igvm_file *file = check->file;

	if (!p->compatibility_mask || p->compatibility_mask & (p->compatibility_mask - 1))
		return fail(p->compatibility_mask, "a platform's mask has exactly one bit");
	if (p->compatibility_mask & check->masks)
		return fail(p->compatibility_mask, "mask is another platform's");
	if (p->highest_vtl != 0 && p->highest_vtl != 2)
		return fail(p->highest_vtl, "highest VTL is neither 0 nor 2");
	if (p->platform_type > IGVM_PLATFORM_CCA)
		return fail(p->platform_type, "unknown platform");
	if (igvm_platform_mask(file, p->platform_type))
		return fail(p->platform_type, "platform comes twice");
	if (p->platform_type == IGVM_PLATFORM_CCA
		    ? file->architecture != IGVM_ARCHITECTURE_AARCH64
		    : p->platform_type > IGVM_PLATFORM_VSM_ISOLATION &&
			      file->architecture != IGVM_ARCHITECTURE_X64)
		return fail(p->platform_type, "platform of another architecture");
	if (p->platform_version != IGVM_PLATFORM_VERSION)
		return fail(p->platform_version, "unknown platform version");
	if (p->shared_gpa_boundary && p->platform_type <= IGVM_PLATFORM_VSM_ISOLATION)
		return fail(p->shared_gpa_boundary, "platform has no shared GPA boundary");
	check->masks |= p->compatibility_mask;
	file->platforms[file->platform_count++] = *p;
	return 0;
}

/* --- initialization --- */

static int check_policy(const struct igvm_check *check, const struct igvm_header *header,
			struct igvm_error *error)
{
	const struct igvm_vhs_guest_policy *p = &header->guest_policy;

	if (p->reserved_0c)
		return fail(p->reserved_0c, "reserved field is not zero");
	if (only_platform(check, p->compatibility_mask, IGVM_PLATFORM_SEV_SNP) &&
	    !(p->policy & IGVM_SNP_POLICY_MUST_BE_ONE))
		return fail(p->policy, "bit 17 of an SNP policy is not set");
	if (only_platform(check, p->compatibility_mask, IGVM_PLATFORM_TDX) &&
	    p->policy & ~IGVM_TDX_POLICY_ALL)
		return fail(p->policy, "reserved bits of a TDX policy are set");
	return 0;
}

static int add_region(struct igvm_check *check, const struct igvm_region *region,
		      struct igvm_error *error)
{
	unsigned int i;

	if (check->region_count == IGVM_REGIONS_MAX)
		return fail_at(error, region->offset, "too many relocatable regions");
	for (i = 0; i < check->region_count; i++) {
		const struct igvm_region *other = &check->regions[i];

		/* Page tables are a region of their own, outside what else is relocated. */
		if (other->mask & region->mask &&
		    overlap(other->gpa, other->size, region->gpa, region->size))
			return fail_at(error, region->offset, "relocatable regions overlap");
	}
	check->regions[check->region_count] = *region;
	check->regions[check->region_count++].no_context = region->mask & check->masks;
	return 0;
}

static int check_relocatable(struct igvm_check *check, const struct igvm_header *header,
			     struct igvm_error *error)
{
	const struct igvm_vhs_relocatable_region *r = &header->relocatable_region;
	const struct igvm_region region = { .mask = r->compatibility_mask,
					    .offset = header->offset,
					    .vp_index = r->vp_index,
					    .vtl = r->vtl,
					    .gpa = r->relocation_region_gpa,
					    .size = r->relocation_region_size };

	if (r->flags & ~(IGVM_RELOCATABLE_REGION_IS_VTL2 | IGVM_RELOCATABLE_REGION_APPLY_PC |
			 IGVM_RELOCATABLE_REGION_APPLY_GDTR))
		return fail(r->flags, "unknown flags");
	if (r->vtl > 2)
		return fail(r->vtl, "no such VTL");
	if (!r->relocation_alignment || !aligned(r->relocation_alignment, IGVM_PAGE_SIZE))
		return fail(r->relocation_alignment, "alignment is not a multiple of 4 KiB");
	if (!valid_range(r->relocation_region_gpa, r->relocation_region_size))
		return fail(r->relocation_region_gpa, "region is unaligned, empty or too high");
	if (!aligned(r->relocation_region_gpa, r->relocation_alignment))
		return fail(r->relocation_region_gpa, "region is not aligned as it says");
	if (!aligned(r->minimum_relocation_gpa, r->relocation_alignment))
		return fail(r->minimum_relocation_gpa, "minimum address is not aligned");
	if (!aligned(r->maximum_relocation_gpa, r->relocation_alignment) ||
	    r->maximum_relocation_gpa > GPA_LIMIT)
		return fail(r->maximum_relocation_gpa, "maximum address is unaligned or too high");
	if (r->minimum_relocation_gpa > r->maximum_relocation_gpa ||
	    r->relocation_region_size > r->maximum_relocation_gpa - r->minimum_relocation_gpa)
		return fail(r->maximum_relocation_gpa, "no room between minimum and maximum");
	return add_region(check, &region, error);
}

static int check_page_tables(struct igvm_check *check, const struct igvm_header *header,
			     struct igvm_error *error)
{
	const struct igvm_vhs_page_table_relocation *r = &header->page_table_relocation;
	const struct igvm_region region = { .mask = r->compatibility_mask,
					    .offset = header->offset,
					    .vp_index = r->vp_index,
					    .vtl = r->vtl,
					    .page_tables = true,
					    .gpa = r->gpa,
					    .size = r->size };

	if (r->reserved_07)
		return fail(r->reserved_07, "reserved field is not zero");
	if (r->vtl > 2)
		return fail(r->vtl, "no such VTL");
	if (!valid_range(r->gpa, r->size))
		return fail(r->gpa, "region is unaligned, empty or too high");
	if (!aligned(r->used_size, IGVM_PAGE_SIZE) || r->used_size > r->size)
		return fail(r->used_size, "used size is unaligned or more than the size");
	if (r->compatibility_mask & check->page_table_masks)
		return fail(r->compatibility_mask, "second page table region of a platform");
	check->page_table_masks |= r->compatibility_mask;
	return add_region(check, &region, error);
}

static int check_corim(struct igvm_check *check, const struct igvm_header *header,
		       struct igvm_error *error)
{
	const struct igvm_vhs_corim_data *c = &header->corim;
	bool signature = header->type == IGVM_VHT_CORIM_SIGNATURE;
	uint32_t *seen = signature ? &check->corim_signature_masks : &check->corim_masks;

	if (c->reserved_0c)
		return fail(c->reserved_0c, "reserved field is not zero");
	if (*seen & c->compatibility_mask)
		return fail(c->compatibility_mask, "second CoRIM of a platform");
	if (signature && c->compatibility_mask & ~check->corim_masks)
		return fail(c->compatibility_mask, "signature without a document before it");
	*seen |= c->compatibility_mask;
	return 0;
}

static int check_cca_policy(const struct igvm_check *check, const struct igvm_header *header,
			    struct igvm_error *error)
{
	const struct igvm_vhs_cca_policy *p = &header->cca_policy;

	if (p->reserved_04 || !all_zero(p->reserved_1a, sizeof(p->reserved_1a)))
		return fail(p->reserved_04, "reserved field is not zero");
	if (!only_platform(check, p->compatibility_mask, IGVM_PLATFORM_CCA))
		return fail(p->compatibility_mask, "policy of another platform");
	if (p->attributes_required_zeroes & p->attributes_required_ones)
		return fail(p->attributes_required_ones, "bits that must be both zero and one");
	if (p->hash_algorithm > 2 || p->lfa_policy > 1)
		return fail(p->hash_algorithm, "unknown algorithm or activation policy");
	return 0;
}

/* --- parameters --- */

static struct igvm_area *find_area(struct igvm_check *check, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < check->area_count; i++)
		if (check->areas[i].index == index)
			return &check->areas[i];
	return NULL;
}

static int check_area(struct igvm_check *check, const struct igvm_header *header,
		      struct igvm_error *error)
{
	const struct igvm_vhs_parameter_area *a = &header->parameter_area;

	/* Its initial contents are in a file of less than 4 GiB; more makes no sense without them either. */
	if (!a->number_of_bytes || !aligned(a->number_of_bytes, IGVM_PAGE_SIZE) ||
	    a->number_of_bytes > UINT32_MAX)
		return fail(a->number_of_bytes, "size is empty, unaligned or too large");
	if (find_area(check, a->parameter_area_index))
		return fail(a->parameter_area_index, "parameter area comes twice");
	if (check->area_count == IGVM_PARAMETER_AREAS_MAX)
		return fail(a->parameter_area_index, "too many parameter areas");
	check->areas[check->area_count++] =
		(struct igvm_area){ .index = a->parameter_area_index, .size = a->number_of_bytes };
	return 0;
}

static uint64_t parameter_min_size(uint32_t type)
{
	switch (type) {
	case IGVM_VHT_VP_COUNT_PARAMETER:
	case IGVM_VHT_ENVIRONMENT_INFO_PARAMETER:
		return sizeof(uint32_t);
	case IGVM_VHT_MMIO_RANGES:
		return sizeof(struct igvm_vhs_mmio_ranges);
	case IGVM_VHT_MEMORY_MAP:
		return sizeof(struct igvm_vhs_memory_map_entry);
	default:
		return 1;
	}
}

static int check_parameter(struct igvm_check *check, const struct igvm_header *header,
			   struct igvm_error *error)
{
	const struct igvm_vhs_parameter *p = &header->parameter;
	const struct igvm_area *area = find_area(check, p->parameter_area_index);

	if (!area || area->inserted)
		return fail(p->parameter_area_index, "no such parameter area, or inserted already");
	if (p->byte_offset + parameter_min_size(header->type) > area->size)
		return fail(p->byte_offset, "parameter lies outside its area");
	return 0;
}

static int check_insert(struct igvm_check *check, const struct igvm_header *header,
			struct igvm_error *error)
{
	const struct igvm_vhs_parameter_insert *p = &header->parameter_insert;
	struct igvm_area *area = find_area(check, p->parameter_area_index);
	unsigned int i;

	if (!area || area->inserted)
		return fail(p->parameter_area_index, "no such parameter area, or inserted already");
	if (!valid_range(p->gpa, area->size))
		return fail(p->gpa, "GPA is unaligned or too high");
	for (i = 0; i < check->region_count; i++) {
		const struct igvm_region *region = &check->regions[i];

		if (region->page_tables && region->mask & p->compatibility_mask &&
		    overlap(region->gpa, region->size, p->gpa, area->size))
			return fail(p->gpa, "parameters inside a page table region");
	}
	area->inserted = true;
	return 0;
}

/* --- memory --- */

static int check_page_data(const struct igvm_header *header, struct igvm_error *error)
{
	const struct igvm_vhs_page_data *p = &header->page_data;

	if (p->reserved_16)
		return fail(p->reserved_16, "reserved field is not zero");
	if (p->flags &
	    ~(IGVM_PAGE_DATA_IS_2MB_PAGE | IGVM_PAGE_DATA_UNMEASURED | IGVM_PAGE_DATA_SHARED))
		return fail(p->flags, "unknown flags");
	if (p->data_type > IGVM_PAGE_DATA_CPUID_XF)
		return fail(p->data_type, "unknown page data type");
	if (p->data_type != IGVM_PAGE_DATA_NORMAL && p->flags)
		return fail(p->flags, "flags on a secrets or CPUID page");
	if (p->gpa >= GPA_LIMIT || !aligned(p->gpa, igvm_page_data_size(p)))
		return fail(p->gpa, "GPA is unaligned or too high");
	return 0;
}

static int check_required_memory(const struct igvm_header *header, struct igvm_error *error)
{
	const struct igvm_vhs_required_memory *r = &header->required_memory;

	if (r->reserved_14)
		return fail(r->reserved_14, "reserved field is not zero");
	if (r->flags & ~IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE)
		return fail(r->flags, "unknown flags");
	if (!valid_range(r->gpa, r->number_of_bytes))
		return fail(r->gpa, "range is unaligned, empty or too high");
	return 0;
}

static int check_error_range(const struct igvm_header *header, struct igvm_error *error)
{
	const struct igvm_vhs_error_range *r = &header->error_range;

	if (!valid_range(r->gpa, r->size_bytes))
		return fail(r->gpa, "range is unaligned, empty or too high");
	return 0;
}

/* --- VP contexts --- */

/* `vtl` below 0: the context is of the highest VTL, whichever that is. */
static void context_seen(struct igvm_check *check, const struct igvm_vhs_vp_context *context,
			 int vtl)
{
	unsigned int i;

	for (i = 0; i < check->region_count; i++) {
		struct igvm_region *region = &check->regions[i];

		if (region->vp_index == context->vp_index && (vtl < 0 || region->vtl == vtl))
			region->no_context &= ~context->compatibility_mask;
	}
}

static int check_registers(struct igvm_check *check, const struct igvm_header *header,
			   struct igvm_error *error)
{
	struct igvm_vbs_vp_context_register reg;
	uint64_t at = (uint64_t)(header->data - check->file->data);
	uint32_t i, count = igvm_vbs_register_count(header);

	if (header->data_len < sizeof(struct igvm_vbs_vp_context_header) || !count)
		return fail_at(error, at, "VP context without registers");
	for (i = 0; i < count; i++) {
		igvm_vbs_register(header, i, &reg);
		if (reg.vtl > 2 || !all_zero(reg.reserved_05, sizeof(reg.reserved_05)))
			return fail_at(error,
				       at + sizeof(struct igvm_vbs_vp_context_header) +
					       i * sizeof(reg),
				       "register of no VTL, or its reserved bytes are not zero");
		context_seen(check, &header->vp_context, reg.vtl);
	}
	return 0;
}

static int check_context_page(const struct igvm_check *check, const struct igvm_header *header,
			      uint8_t type, struct igvm_error *error)
{
	const struct igvm_vhs_vp_context *context = &header->vp_context;
	size_t used = sizeof(struct igvm_native_vp_context_x64);

	if (type == IGVM_PLATFORM_SEV_SNP || type == IGVM_PLATFORM_SEV_ES)
		return valid_range(context->gpa, IGVM_PAGE_SIZE)
			       ? 0
			       : fail_at(error, header->offset, "GPA is unaligned or too high");
	if (context->gpa)
		return fail_at(error, header->offset, "GPA of a context that is not in memory");
	if (type != IGVM_PLATFORM_CCA && check->file->format_version < IGVM_FORMAT_VERSION_2)
		return fail_at(error, header->offset, "native VP context in a version 1 file");
	if (type != IGVM_PLATFORM_CCA && !all_zero(header->data + used, IGVM_PAGE_SIZE - used))
		return fail_at(error, (uint64_t)(header->data - check->file->data) + used,
			       "bytes behind a native VP context are not zero");
	return 0;
}

static int check_vp_context(struct igvm_check *check, const struct igvm_header *header,
			    struct igvm_error *error)
{
	const struct igvm_vhs_vp_context *context = &header->vp_context;
	uint32_t mask = context->compatibility_mask & check->masks;
	uint8_t type;
	int ret;

	if (context->reserved_12)
		return fail(context->reserved_12, "reserved field is not zero");
	if (!mask)
		return fail(context->compatibility_mask, "VP context of no supported platform");
	type = platform_type(check, mask & -mask);
	if (!only_platform(check, mask, type))
		return fail(context->compatibility_mask, "VP context for unlike platforms");
	if (type == IGVM_PLATFORM_TDX)
		return fail(context->compatibility_mask, "TDX has no VP context");
	if (type == IGVM_PLATFORM_VSM_ISOLATION)
		return context->gpa ? fail_at(error, header->offset,
					      "GPA of a context that is not in memory")
				    : check_registers(check, header, error);
	ret = check_context_page(check, header, type, error);
	if (!ret)
		context_seen(check, context, -1);
	return ret;
}

/* --- signatures --- */

static int check_id_block(const struct igvm_check *check, const struct igvm_header *header,
			  struct igvm_error *error)
{
	const struct igvm_vhs_snp_id_block *b = &header->snp_id_block;

	if (!only_platform(check, b->compatibility_mask, IGVM_PLATFORM_SEV_SNP))
		return fail(b->compatibility_mask, "ID block of another platform than SNP");
	if (!all_zero(b->reserved_05, sizeof(b->reserved_05)))
		return fail(b->reserved_05, "reserved field is not zero");
	if (b->id_public_key.reserved_04 || b->author_public_key.reserved_04)
		return fail(b->id_public_key.reserved_04, "reserved field of a key is not zero");
	if (b->author_key_enabled > 1)
		return fail(b->author_key_enabled, "author key enabled is neither 0 nor 1");
	if (b->id_key_algorithm != IGVM_SNP_ECDSA_P384_SHA384)
		return fail(b->id_key_algorithm, "unknown ID key algorithm");
	if (b->author_key_enabled && b->author_key_algorithm != IGVM_SNP_ECDSA_P384_SHA384)
		return fail(b->author_key_algorithm, "unknown author key algorithm");
	if (!b->author_key_enabled &&
	    (b->author_key_algorithm ||
	     !all_zero((const void *)&b->author_key_signature, sizeof(b->author_key_signature)) ||
	     !all_zero((const void *)&b->author_public_key, sizeof(b->author_public_key))))
		return fail(b->author_key_algorithm, "author key given but not enabled");
	return 0;
}

static int check_vbs_measurement(const struct igvm_check *check, const struct igvm_header *header,
				 struct igvm_error *error)
{
	const struct igvm_vhs_vbs_measurement *m = &header->vbs_measurement;

	if (!only_platform(check, m->compatibility_mask, IGVM_PLATFORM_VSM_ISOLATION))
		return fail(m->compatibility_mask, "VBS measurement of another platform");
	if (m->boot_digest_algo != IGVM_VBS_DIGEST_SHA256)
		return fail(m->boot_digest_algo, "unknown digest algorithm");
	if (m->signing_algo != IGVM_VBS_SIGNING_ECDSA_P384)
		return fail(m->signing_algo, "unknown signing algorithm");
	return 0;
}

/* --- all of them --- */

static int check_content(struct igvm_check *check, const struct igvm_header *header,
			 struct igvm_error *error)
{
	switch (header->type) {
	case IGVM_VHT_SUPPORTED_PLATFORM:
		return check_platform(check, header, error);
	case IGVM_VHT_GUEST_POLICY:
		return check_policy(check, header, error);
	case IGVM_VHT_RELOCATABLE_REGION:
		return check_relocatable(check, header, error);
	case IGVM_VHT_PAGE_TABLE_RELOCATION_REGION:
		return check_page_tables(check, header, error);
	case IGVM_VHT_CORIM_DOCUMENT:
	case IGVM_VHT_CORIM_SIGNATURE:
		return check_corim(check, header, error);
	case IGVM_VHT_CCA_POLICY:
		return check_cca_policy(check, header, error);
	case IGVM_VHT_PARAMETER_AREA:
		return check_area(check, header, error);
	case IGVM_VHT_PAGE_DATA:
		return check_page_data(header, error);
	case IGVM_VHT_PARAMETER_INSERT:
		return check_insert(check, header, error);
	case IGVM_VHT_VP_CONTEXT:
		return check_vp_context(check, header, error);
	case IGVM_VHT_REQUIRED_MEMORY:
		return check_required_memory(header, error);
	case IGVM_VHT_SNP_ID_BLOCK:
		return check_id_block(check, header, error);
	case IGVM_VHT_ERROR_RANGE:
		return check_error_range(header, error);
	case IGVM_VHT_VBS_MEASUREMENT:
		return check_vbs_measurement(check, header, error);
	default:
		return check_parameter(check, header, error);
	}
}

/* Platforms, then initialization, then directives: the specification's "Variable Header". */
static int check_order(struct igvm_check *check, const struct igvm_header *header,
		       struct igvm_error *error)
{
	enum igvm_section section = igvm_section(header->type);

	if (section == IGVM_SECTION_NONE)
		return 0; /* optional and unknown */
	if (section < check->section)
		return fail_at(error, header->offset - sizeof(struct igvm_vhs_variable_header),
			       "header of an earlier section");
	check->section = section;
	return 0;
}

int igvm_check_header(struct igvm_check *check, const struct igvm_header *header,
		      struct igvm_error *error)
{
	const struct igvm_layout *layout = igvm_layout(header->type);
	int ret = check_order(check, header, error);

	if (ret || !header->known)
		return ret;
	if (layout->mask_at != IGVM_LAYOUT_NONE && !header->mask)
		return fail_at(error, header->offset + layout->mask_at, "mask is empty");
	return check_content(check, header, error);
}

int igvm_check_end(struct igvm_check *check, struct igvm_error *error)
{
	unsigned int i;

	if (!check->masks)
		return fail_at(error, check->file->headers, "no supported platform");
	for (i = 0; i < check->region_count; i++)
		if (check->regions[i].no_context)
			return fail_at(error, check->regions[i].offset,
				       "region of a VP without a context");
	return 0;
}
