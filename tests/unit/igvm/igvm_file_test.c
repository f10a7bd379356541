#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "igvm/crc32.h"
#include "igvm/reader.h"
#include "igvm/writer.h"

#define MASK_VSM 0x1u
#define MASK_SNP 0x2u
#define MASK_TDX 0x4u
#define MASK_SEV 0x8u

#define BASE   0x10000000ull
#define TABLES 0x10200000ull

static uint8_t *bytes;
static size_t len;
static struct igvm_file file;
static struct igvm_error error;

/* --- a file with a header of every type for x64 --- */

static void add(struct igvm_writer *w, uint32_t type, const void *content, size_t size)
{
	igvm_writer_header(w, type, content, (uint32_t)size);
}
#define ADD(type, name, ...) \
	add(&w, type, &(struct igvm_vhs_##name){ __VA_ARGS__ }, sizeof(struct igvm_vhs_##name))

static uint32_t page_of(struct igvm_writer *w, uint8_t fill)
{
	uint8_t page[IGVM_PAGE_SIZE];

	memset(page, fill, sizeof(page));
	return igvm_writer_data(w, page, sizeof(page));
}

static uint32_t registers(struct igvm_writer *w, uint32_t count)
{
	uint8_t data[4 + 2 * 32] = { 0 };
	struct igvm_vbs_vp_context_register reg = { .vtl = 2, .register_name = 0x00020010 };
	uint32_t i;

	memcpy(data, &count, sizeof(count));
	for (i = 0; i < 2; i++) {
		reg.register_value[0] = (uint8_t)(i + 7);
		memcpy(data + 4 + i * sizeof(reg), &reg, sizeof(reg));
	}
	return igvm_writer_data(w, data, sizeof(data));
}

static uint32_t native_context(struct igvm_writer *w)
{
	uint8_t page[IGVM_PAGE_SIZE] = { 0 };

	page[offsetof(struct igvm_native_vp_context_x64, rip)] = 0x42;
	return igvm_writer_data(w, page, sizeof(page));
}

static void make(uint32_t version)
{
	const uint32_t all = MASK_VSM | MASK_SNP | MASK_TDX | (version == 2 ? MASK_SEV : 0);
	static const uint32_t parameters[] = {
		IGVM_VHT_VP_COUNT_PARAMETER,
		IGVM_VHT_SRAT,
		IGVM_VHT_MADT,
		IGVM_VHT_MMIO_RANGES,
		IGVM_VHT_MEMORY_MAP,
		IGVM_VHT_COMMAND_LINE,
		IGVM_VHT_SLIT,
		IGVM_VHT_PPTT,
		IGVM_VHT_DEVICE_TREE,
		IGVM_VHT_ENVIRONMENT_INFO_PARAMETER,
	};
	struct igvm_writer w;
	size_t i;

	igvm_writer_init(&w, version, IGVM_ARCHITECTURE_X64);
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, MASK_VSM, 2,
	    IGVM_PLATFORM_VSM_ISOLATION, 1, 0);
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, MASK_SNP, 2, IGVM_PLATFORM_SEV_SNP, 1,
	    1ull << 46);
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, MASK_TDX, 2, IGVM_PLATFORM_TDX, 1,
	    1ull << 47);
	if (version == 2)
		ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, MASK_SEV, 0, IGVM_PLATFORM_SEV,
		    1, 0);
	ADD(IGVM_VHT_GUEST_POLICY, guest_policy, 0x30000, MASK_SNP, 0);
	ADD(IGVM_VHT_GUEST_POLICY, guest_policy, 0, MASK_TDX, 0);
	ADD(IGVM_VHT_RELOCATABLE_REGION, relocatable_region, MASK_VSM, 0, 2, 3, 0x200000, BASE,
	    0x200000, 0, 1ull << 40);
	ADD(IGVM_VHT_PAGE_TABLE_RELOCATION_REGION, page_table_relocation, MASK_VSM, 0, 2, 0, TABLES,
	    0x10000, 0x3000);
	ADD(IGVM_VHT_CORIM_DOCUMENT, corim_data, MASK_SNP, igvm_writer_data(&w, "doc", 3), 3, 0);
	ADD(IGVM_VHT_CORIM_SIGNATURE, corim_data, MASK_SNP, igvm_writer_data(&w, "sig", 3), 3, 0);
	ADD(IGVM_VHT_PAGE_DATA, page_data, BASE, all, page_of(&w, 0x11), 0, 0, 0);
	ADD(IGVM_VHT_PAGE_DATA, page_data, BASE + 0x1000, all, 0, IGVM_PAGE_DATA_UNMEASURED, 0, 0);
	ADD(IGVM_VHT_PAGE_DATA, page_data, BASE + 0x2000, MASK_SNP, 0, 0, IGVM_PAGE_DATA_SECRETS,
	    0);
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, 0x2000, 7, 0);
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, 0x1000, 9, page_of(&w, 0x22));
	for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		ADD(parameters[i], parameter, 7, (uint32_t)(i * 0x40));
	ADD(IGVM_VHT_PARAMETER_INSERT, parameter_insert, BASE + 0x8000, all, 7);
	ADD(IGVM_VHT_VP_CONTEXT, vp_context, 0, MASK_VSM, registers(&w, 2), 0, 0);
	ADD(IGVM_VHT_VP_CONTEXT, vp_context, BASE + 0x7000, MASK_SNP, page_of(&w, 0x33), 0, 0);
	if (version == 2)
		ADD(IGVM_VHT_VP_CONTEXT, vp_context, 0, MASK_SEV, native_context(&w), 0, 0);
	ADD(IGVM_VHT_REQUIRED_MEMORY, required_memory, BASE, all, 0x200000,
	    IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE, 0);
	ADD(IGVM_VHT_SNP_ID_BLOCK, snp_id_block, .compatibility_mask = MASK_SNP,
	    .id_key_algorithm = 1);
	ADD(IGVM_VHT_ERROR_RANGE, error_range, BASE + 0x9000, all, 0x1000);
	ADD(IGVM_VHT_VBS_MEASUREMENT, vbs_measurement, .compatibility_mask = MASK_VSM,
	    .boot_digest_algo = 1, .signing_algo = 1);
	add(&w, IGVM_VHT_OPTIONAL | 0x3f0, "a thing to come", 13);
	free(bytes);
	assert_int_equal(igvm_writer_finish(&w, &bytes, &len), 0);
}

static void fix_checksum(void)
{
	struct igvm_fixed_header fixed;
	uint32_t crc;

	memcpy(&fixed, bytes, sizeof(fixed));
	fixed.checksum = 0;
	memcpy(bytes, &fixed, sizeof(fixed));
	crc = crc32_update(0, bytes, fixed.format_version == 1 ? 24 : 32);
	fixed.checksum =
		crc32_update(crc, bytes + fixed.variable_header_offset, fixed.variable_header_size);
	memcpy(bytes, &fixed, sizeof(fixed));
}

/* Offset of the content of the `nth` header of a type. */
static uint32_t find(uint32_t type, unsigned int nth)
{
	struct igvm_header header;
	uint32_t position = 0;

	assert_int_equal(igvm_open(&file, bytes, len, &error), 0);
	while (igvm_next(&file, &position, &header))
		if (header.type == type && !nth--)
			return header.offset;
	fail_msg("no header of type %#x", type);
	return 0;
}

static void expect_refused(uint64_t offset, const char *reason)
{
	if (!igvm_open(&file, bytes, len, &error))
		fail_msg("accepted, instead of: %s", reason);
	assert_string_equal(error.reason, reason);
	assert_int_equal(error.offset, offset);
}

/* --- tests --- */

static void crc_of_check_string(void **state)
{
	(void)state;
	assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_update(crc32_update(0, "1234", 4), "56789", 5), 0xcbf43926);
}

static void check_iteration(unsigned int headers)
{
	struct igvm_header header;
	uint32_t position = 0;
	unsigned int count = 0;

	while (igvm_next(&file, &position, &header)) {
		count++;
		if (header.type == IGVM_VHT_PAGE_DATA && header.page_data.gpa == BASE) {
			assert_int_equal(header.data_len, IGVM_PAGE_SIZE);
			assert_int_equal(header.data[4095], 0x11);
		} else if (header.type == IGVM_VHT_PAGE_DATA) {
			assert_null(header.data);
		} else if (header.type == IGVM_VHT_PARAMETER_AREA &&
			   header.parameter_area.parameter_area_index == 9) {
			assert_int_equal(header.data[0], 0x22);
		} else if (header.type == IGVM_VHT_CORIM_SIGNATURE) {
			assert_memory_equal(header.data, "sig", 3);
		} else if (header.type == 0x3f0) {
			assert_false(header.known);
			assert_memory_equal(header.data, "a thing to co", header.data_len);
		} else if (igvm_is_parameter(header.type)) {
			assert_int_equal(header.mask, UINT32_MAX);
		}
	}
	assert_int_equal(count, headers);
}

static void round_trip(void **state)
{
	struct igvm_vbs_vp_context_register reg;
	struct igvm_header header;
	uint32_t position = 0;

	(void)state;
	make(1);
	assert_int_equal(igvm_open(&file, bytes, len, &error), 0);
	assert_int_equal(file.platform_count, 3);
	assert_int_equal(igvm_platform_mask(&file, IGVM_PLATFORM_SEV_SNP), MASK_SNP);
	assert_int_equal(igvm_platform_mask(&file, IGVM_PLATFORM_NATIVE), 0);
	check_iteration(32);
	while (igvm_next(&file, &position, &header))
		if (header.type == IGVM_VHT_VP_CONTEXT && header.mask == MASK_VSM)
			break;
	assert_int_equal(igvm_vbs_register_count(&header), 2);
	igvm_vbs_register(&header, 1, &reg);
	assert_int_equal(reg.register_name, 0x00020010);
	assert_int_equal(reg.register_value[0], 8);
}

static void round_trip_version_2(void **state)
{
	(void)state;
	make(2);
	assert_int_equal(igvm_open(&file, bytes, len, &error), 0);
	assert_int_equal(file.architecture, IGVM_ARCHITECTURE_X64);
	assert_int_equal(igvm_platform_mask(&file, IGVM_PLATFORM_SEV), MASK_SEV);
	check_iteration(34);
}

/* Every length but the whole one is refused, and nothing behind the end is read (ASan sees to it). */
static void truncation(void **state)
{
	size_t whole, short_len;
	uint8_t *copy;

	(void)state;
	make(1);
	whole = len;
	for (short_len = 0; short_len < whole; short_len += short_len < 4096 ? 1 : 1021) {
		copy = malloc(short_len ? short_len : 1);
		assert_non_null(copy);
		memcpy(copy, bytes, short_len);
		assert_int_not_equal(igvm_open(&file, copy, short_len, &error), 0);
		assert_non_null(error.reason);
		if (short_len >= 24) {
			/* a file that admits its size is refused as well, for what it lost */
			memcpy(copy + 16, &(uint32_t){ (uint32_t)short_len }, 4);
			assert_int_not_equal(igvm_open(&file, copy, short_len, &error), 0);
		}
		free(copy);
	}
}

struct patch {
	uint32_t type;
	unsigned int nth;
	uint32_t at; /* in the content; the type itself is at -8, the length at -4 */
	uint8_t size;
	uint64_t value;
	uint32_t reported_at;
	const char *reason;
};

#define AT(type, name, nth, field, value, reason)                               \
	{                                                                       \
		type, nth, offsetof(struct igvm_vhs_##name, field),             \
			sizeof(((struct igvm_vhs_##name *)0)->field) > 8        \
				? 1                                             \
				: sizeof(((struct igvm_vhs_##name *)0)->field), \
			value, offsetof(struct igvm_vhs_##name, field), reason  \
	}
#define PLATFORM(field, value, reason) \
	AT(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, 0, field, value, reason)
#define RELOCATABLE(field, value, reason) \
	AT(IGVM_VHT_RELOCATABLE_REGION, relocatable_region, 0, field, value, reason)
#define TABLES_AT(field, value, reason) \
	AT(IGVM_VHT_PAGE_TABLE_RELOCATION_REGION, page_table_relocation, 0, field, value, reason)
#define PAGE(field, value, reason) AT(IGVM_VHT_PAGE_DATA, page_data, 0, field, value, reason)
#define REQUIRED(field, value, reason) \
	AT(IGVM_VHT_REQUIRED_MEMORY, required_memory, 0, field, value, reason)
#define ID_BLOCK(field, value, reason) \
	AT(IGVM_VHT_SNP_ID_BLOCK, snp_id_block, 0, field, value, reason)

static const char no_area[] = "no such parameter area, or inserted already";
static const char bad_mask[] = "mask is empty";
static const char bad_gpa[] = "GPA is unaligned or too high";
static const char bad_range[] = "range is unaligned, empty or too high";
static const char bad_region[] = "region is unaligned, empty or too high";
static const char reserved[] = "reserved field is not zero";

static const struct patch patches[] = {
	PLATFORM(compatibility_mask, 0, bad_mask),
	PLATFORM(compatibility_mask, 3, "a platform's mask has exactly one bit"),
	AT(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, 1, compatibility_mask, MASK_VSM,
	   "mask is another platform's"),
	PLATFORM(highest_vtl, 1, "highest VTL is neither 0 nor 2"),
	PLATFORM(platform_type, 7, "unknown platform"),
	PLATFORM(platform_type, IGVM_PLATFORM_CCA, "platform of another architecture"),
	AT(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, 1, platform_type,
	   IGVM_PLATFORM_VSM_ISOLATION, "platform comes twice"),
	PLATFORM(platform_version, 2, "unknown platform version"),
	PLATFORM(shared_gpa_boundary, 1ull << 40, "platform has no shared GPA boundary"),

	AT(IGVM_VHT_GUEST_POLICY, guest_policy, 0, reserved_0c, 1, reserved),
	AT(IGVM_VHT_GUEST_POLICY, guest_policy, 0, policy, 0x10000,
	   "bit 17 of an SNP policy is not set"),
	AT(IGVM_VHT_GUEST_POLICY, guest_policy, 1, policy, 8,
	   "reserved bits of a TDX policy are set"),
	AT(IGVM_VHT_GUEST_POLICY, guest_policy, 0, compatibility_mask, 0, bad_mask),

	RELOCATABLE(flags, 8, "unknown flags"),
	RELOCATABLE(vtl, 3, "no such VTL"),
	RELOCATABLE(relocation_alignment, 0, "alignment is not a multiple of 4 KiB"),
	RELOCATABLE(relocation_alignment, 0x800, "alignment is not a multiple of 4 KiB"),
	RELOCATABLE(relocation_region_gpa, BASE + 0x800, bad_region),
	RELOCATABLE(relocation_region_gpa, BASE + 0x1000, "region is not aligned as it says"),
	/* reported at the region that comes later, which is the next header */
	{ IGVM_VHT_RELOCATABLE_REGION, 0, 16, 8, TABLES, 48 + 8, "relocatable regions overlap" },
	AT(IGVM_VHT_RELOCATABLE_REGION, relocatable_region, 0, minimum_relocation_gpa, 0x1000,
	   "minimum address is not aligned"),
	RELOCATABLE(maximum_relocation_gpa, 0x1000, "maximum address is unaligned or too high"),
	RELOCATABLE(maximum_relocation_gpa, 1ull << 53, "maximum address is unaligned or too high"),
	RELOCATABLE(maximum_relocation_gpa, 0, "no room between minimum and maximum"),

	TABLES_AT(reserved_07, 1, reserved),
	TABLES_AT(vtl, 3, "no such VTL"),
	TABLES_AT(gpa, 1, bad_region),
	TABLES_AT(gpa, ~0xfffull, bad_region),
	TABLES_AT(used_size, 0x11000, "used size is unaligned or more than the size"),
	TABLES_AT(used_size, 1, "used size is unaligned or more than the size"),

	AT(IGVM_VHT_CORIM_DOCUMENT, corim_data, 0, reserved_0c, 1, reserved),
	AT(IGVM_VHT_CORIM_DOCUMENT, corim_data, 0, file_offset, 0, "has no data"),
	AT(IGVM_VHT_CORIM_DOCUMENT, corim_data, 0, size_bytes, 0x10000000, NULL),
	AT(IGVM_VHT_CORIM_SIGNATURE, corim_data, 0, compatibility_mask, MASK_TDX,
	   "signature without a document before it"),

	AT(IGVM_VHT_PARAMETER_AREA, parameter_area, 0, number_of_bytes, 0,
	   "size is empty, unaligned or too large"),
	AT(IGVM_VHT_PARAMETER_AREA, parameter_area, 0, number_of_bytes, 0x800,
	   "size is empty, unaligned or too large"),
	AT(IGVM_VHT_PARAMETER_AREA, parameter_area, 0, number_of_bytes, 1ull << 32,
	   "size is empty, unaligned or too large"),
	AT(IGVM_VHT_PARAMETER_AREA, parameter_area, 1, parameter_area_index, 7,
	   "parameter area comes twice"),
	AT(IGVM_VHT_VP_COUNT_PARAMETER, parameter, 0, parameter_area_index, 8, no_area),
	AT(IGVM_VHT_VP_COUNT_PARAMETER, parameter, 0, byte_offset, 0x1ffd,
	   "parameter lies outside its area"),
	AT(IGVM_VHT_DEVICE_TREE, parameter, 0, byte_offset, 0xffffffff,
	   "parameter lies outside its area"),
	AT(IGVM_VHT_MEMORY_MAP, parameter, 0, byte_offset, 0x1fe9,
	   "parameter lies outside its area"),
	AT(IGVM_VHT_MMIO_RANGES, parameter, 0, byte_offset, 0x1fe1,
	   "parameter lies outside its area"),
	AT(IGVM_VHT_PARAMETER_INSERT, parameter_insert, 0, parameter_area_index, 8, no_area),
	AT(IGVM_VHT_PARAMETER_INSERT, parameter_insert, 0, gpa, BASE + 1, bad_gpa),
	AT(IGVM_VHT_PARAMETER_INSERT, parameter_insert, 0, gpa, TABLES - 0x1000,
	   "parameters inside a page table region"),

	PAGE(reserved_16, 1, reserved),
	PAGE(flags, 8, "unknown flags"),
	PAGE(data_type, 4, "unknown page data type"),
	PAGE(gpa, BASE + 0x10, bad_gpa),
	PAGE(gpa, 1ull << 52, bad_gpa),
	PAGE(compatibility_mask, 0, bad_mask),
	AT(IGVM_VHT_VP_CONTEXT, vp_context, 0, compatibility_mask, 0x40,
	   "VP context of no supported platform"),
	PAGE(file_offset, 0x20, "data starts outside the file's data"),
	PAGE(file_offset, 0xfffff000, "data starts outside the file's data"),
	AT(IGVM_VHT_PAGE_DATA, page_data, 2, flags, 2, "flags on a secrets or CPUID page"),

	REQUIRED(reserved_14, 1, reserved),
	REQUIRED(flags, 2, "unknown flags"),
	REQUIRED(gpa, 4, bad_range),
	AT(IGVM_VHT_ERROR_RANGE, error_range, 0, gpa, 4, bad_range),

	AT(IGVM_VHT_VP_CONTEXT, vp_context, 0, reserved_12, 1, reserved),
	AT(IGVM_VHT_VP_CONTEXT, vp_context, 0, gpa, 0x1000,
	   "GPA of a context that is not in memory"),
	AT(IGVM_VHT_VP_CONTEXT, vp_context, 0, compatibility_mask, MASK_VSM | MASK_SNP,
	   "VP context for unlike platforms"),
	AT(IGVM_VHT_VP_CONTEXT, vp_context, 1, gpa, 0x1001, bad_gpa),
	AT(IGVM_VHT_VP_CONTEXT, vp_context, 1, compatibility_mask, MASK_TDX,
	   "TDX has no VP context"),

	ID_BLOCK(compatibility_mask, MASK_VSM, "ID block of another platform than SNP"),
	ID_BLOCK(reserved_05, 1, reserved),
	ID_BLOCK(author_key_enabled, 2, "author key enabled is neither 0 nor 1"),
	ID_BLOCK(id_key_algorithm, 2, "unknown ID key algorithm"),
	ID_BLOCK(author_key_algorithm, 1, "author key given but not enabled"),
	AT(IGVM_VHT_VBS_MEASUREMENT, vbs_measurement, 0, compatibility_mask, MASK_SNP,
	   "VBS measurement of another platform"),
	AT(IGVM_VHT_VBS_MEASUREMENT, vbs_measurement, 0, boot_digest_algo, 2,
	   "unknown digest algorithm"),
	AT(IGVM_VHT_VBS_MEASUREMENT, vbs_measurement, 0, signing_algo, 0,
	   "unknown signing algorithm"),
};

static void refusals(void **state)
{
	uint32_t at;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
		const struct patch *p = &patches[i];

		make(1);
		at = find(p->type, p->nth);
		memcpy(bytes + at + p->at, &p->value, p->size);
		fix_checksum();
		if (p->reason)
			expect_refused(at + p->reported_at, p->reason);
		else
			assert_int_not_equal(igvm_open(&file, bytes, len, &error), 0);
	}
}

static void set32(uint32_t at, uint32_t value)
{
	memcpy(bytes + at, &value, sizeof(value));
}

static void fixed_header_refusals(void **state)
{
	static const struct {
		uint32_t at, value;
		const char *reason;
	} fields[] = {
		{ 0, 0x4d564748, "not an IGVM file" },
		{ 4, 3, "unknown format version" },
		{ 4, 0, "unknown format version" },
		{ 8, 16, "variable headers start inside the fixed header or unaligned" },
		{ 8, 36, "variable headers start inside the fixed header or unaligned" },
		{ 8, 0xfffffff8, "variable headers reach past the end of the file" },
		{ 12, 0xfffffff8, "variable headers reach past the end of the file" },
		{ 16, 5, "the file has another size than it says" },
		{ 20, 0, "wrong checksum" },
		{ 24, 2, "unknown architecture" },
		{ 28, 65536, "page size is not 4 KiB" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		make(2);
		set32(fields[i].at, fields[i].value);
		expect_refused(fields[i].at == 8 && fields[i].value > 1000 ? 12 : fields[i].at,
			       fields[i].reason);
	}
}

static void header_refusals(void **state)
{
	uint32_t at;

	(void)state;
	make(1);
	at = find(IGVM_VHT_REQUIRED_MEMORY, 0);
	set32(at - 4, 23);
	fix_checksum();
	expect_refused(at - 4, "wrong length for its type");

	make(1);
	at = find(IGVM_VHT_REQUIRED_MEMORY, 0);
	set32(at - 4, 0xfffffffc);
	fix_checksum();
	expect_refused(at - 4, "reaches past the variable headers");

	make(1);
	at = find(IGVM_VHT_VP_CONTEXT, 0);
	bytes[at + 21] = 1;
	fix_checksum();
	expect_refused(at + 21, "padding is not zero");

	make(1);
	at = find(0x3f0, 0);
	set32(at - 8, 0x3f0);
	fix_checksum();
	expect_refused(at - 8, "unknown type");

	make(1);
	at = find(0x3f0, 0);
	set32(at - 8, IGVM_VHT_OPTIONAL | 0x150);
	fix_checksum();
	expect_refused(at - 8, "header of an earlier section");
}

static void context_refusals(void **state)
{
	uint32_t at, data, region;

	(void)state;
	make(1);
	region = find(IGVM_VHT_RELOCATABLE_REGION, 0);
	at = find(IGVM_VHT_VP_CONTEXT, 0);
	memcpy(&data, bytes + at + 12, sizeof(data));
	set32(data, 0);
	expect_refused(data, "VP context without registers");
	set32(data, 0x7fffffff);
	expect_refused(at + 12, "data reaches past the end of the file");
	set32(data, 2);
	bytes[data + 4 + 32] = 3;
	expect_refused(data + 36, "register of no VTL, or its reserved bytes are not zero");
	bytes[data + 4 + 32] = 2;
	bytes[data + 4 + 5] = 1;
	expect_refused(data + 4, "register of no VTL, or its reserved bytes are not zero");
	bytes[data + 4 + 5] = 0;
	/* Registers of VTL0 are not what the regions of VTL2 wait for. */
	bytes[data + 4] = bytes[data + 36] = 0;
	expect_refused(region, "region of a VP without a context");
}

static void native_context_refusals(void **state)
{
	uint32_t at, data;

	(void)state;
	make(2);
	at = find(IGVM_VHT_VP_CONTEXT, 2);
	memcpy(&data, bytes + at + 12, sizeof(data));
	bytes[data + sizeof(struct igvm_native_vp_context_x64)] = 1;
	expect_refused(data + sizeof(struct igvm_native_vp_context_x64),
		       "bytes behind a native VP context are not zero");
}

static void no_platform(void **state)
{
	struct igvm_writer w;

	(void)state;
	igvm_writer_init(&w, 1, 0);
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, 0x1000, 0, 0);
	free(bytes);
	assert_int_equal(igvm_writer_finish(&w, &bytes, &len), 0);
	expect_refused(24, "no supported platform");
}

/* Bits of no platform are nobody's: what they select is not loaded. Other tools' files have them. */
static void mask_of_no_platform(void **state)
{
	uint32_t policy, page;

	(void)state;
	make(1);
	policy = find(IGVM_VHT_GUEST_POLICY, 0);
	page = find(IGVM_VHT_PAGE_DATA, 0);
	set32(policy + 8, 0x80);
	set32(page + 8, 0x80);
	fix_checksum();
	assert_int_equal(igvm_open(&file, bytes, len, &error), 0);
}

/* The limit of the reader's fixed tables is a refusal, too. */
static void too_many_areas(void **state)
{
	struct igvm_writer w;
	uint32_t i;

	(void)state;
	igvm_writer_init(&w, 1, 0);
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, 1, 0, 0, 1, 0);
	for (i = 0; i <= IGVM_PARAMETER_AREAS_MAX; i++)
		ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, 0x1000, i, 0);
	free(bytes);
	assert_int_equal(igvm_writer_finish(&w, &bytes, &len), 0);
	expect_refused(24 + 24 + i * 24 - 24 + 8 + 8, "too many parameter areas");
}

static int cleanup(void **state)
{
	(void)state;
	free(bytes);
	bytes = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_of_check_string),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(round_trip_version_2),
		cmocka_unit_test(truncation),
		cmocka_unit_test(refusals),
		cmocka_unit_test(fixed_header_refusals),
		cmocka_unit_test(header_refusals),
		cmocka_unit_test(context_refusals),
		cmocka_unit_test(native_context_refusals),
		cmocka_unit_test(no_platform),
		cmocka_unit_test(mask_of_no_platform),
		cmocka_unit_test(too_many_areas),
	};

	return cmocka_run_group_tests(tests, NULL, cleanup);
}
