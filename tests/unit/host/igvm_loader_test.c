#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "host/igvm_loader.h"
#include "host/igvm_parameters.h"
#include "host/igvm_tables.h"
#include "host/payload.h"
#include "host/registers.h"
#include "host/vp.h"
#include "igvm/reader.h"
#include "igvm/shim/log.h"
#include "igvm/writer.h"
#include "tests/unit/host/fake_partition.h"
#include "tests/unit/igvm/shim/shim_region.h"

#define MASK   1u
#define BASE   0x10000000ull /* of the region in the file */
#define REGION 0x1f0000ull
#define TABLES (BASE + REGION)
#define PLACE  0x100000000ull /* where the fake partition has VTL2's memory */

static struct partition *partition;
static struct options options;
static char path[] = "/tmp/igvm_loader_test.XXXXXX";
static char said[256];
static struct igvm_writer w;

/* --- an image, header by header --- */

static void take_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	if (level == LOG_ERROR)
		snprintf(said, sizeof(said), "%.*s", (int)len, line);
}

static int set_up(void **state)
{
	const struct log_sink sink = { take_line, NULL };
	int fd;

	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	said[0] = 0;
	log_set_sink(&sink);
	options = (struct options){ .igvm = path, .cpus = 2, .memory = FAKE_VTL0_MEMORY };
	partition = fake_partition_create(2);
	partition->options = &options;
	igvm_writer_init(&w, IGVM_FORMAT_VERSION_1, IGVM_ARCHITECTURE_X64);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	igvm_writer_free(&w);
	fake_partition_destroy(partition);
	unlink(path);
	return 0;
}

#define ADD(type, name, ...)                                                   \
	igvm_writer_header(&w, type, &(struct igvm_vhs_##name){ __VA_ARGS__ }, \
			   sizeof(struct igvm_vhs_##name))

static void add_platform(void)
{
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, .compatibility_mask = MASK,
	    .highest_vtl = 2, .platform_type = IGVM_PLATFORM_VSM_ISOLATION,
	    .platform_version = IGVM_PLATFORM_VERSION);
}

static void add_region_with(uint64_t minimum, uint64_t maximum, uint8_t flags)
{
	ADD(IGVM_VHT_RELOCATABLE_REGION, relocatable_region, .compatibility_mask = MASK, .vtl = 2,
	    .flags = flags, .relocation_alignment = 0x200000, .relocation_region_gpa = BASE,
	    .relocation_region_size = REGION, .minimum_relocation_gpa = minimum,
	    .maximum_relocation_gpa = maximum);
	ADD(IGVM_VHT_PAGE_TABLE_RELOCATION_REGION, page_table_relocation,
	    .compatibility_mask = MASK, .vtl = 2, .gpa = TABLES, .size = 0x10000,
	    .used_size = 0x3000);
}

static void add_region(uint64_t maximum)
{
	add_region_with(0, maximum,
			IGVM_RELOCATABLE_REGION_IS_VTL2 | IGVM_RELOCATABLE_REGION_APPLY_PC);
}

static void add_page(uint64_t gpa, const void *data)
{
	ADD(IGVM_VHT_PAGE_DATA, page_data, .gpa = gpa, .compatibility_mask = MASK,
	    .file_offset = data ? igvm_writer_data(&w, data, IGVM_PAGE_SIZE) : 0);
}

static void add_bytes(uint64_t gpa, uint8_t byte)
{
	uint8_t page[IGVM_PAGE_SIZE];

	memset(page, byte, sizeof(page));
	add_page(gpa, page);
}

static void add_tables(void)
{
	uint64_t page[512] = { 0 };

	page[0] = (TABLES + 0x1000) | 3;
	add_page(TABLES, page);
	page[0] = (TABLES + 0x2000) | 3;
	add_page(TABLES + 0x1000, page);
	page[0] = 0;
	page[BASE >> 21] = BASE | 0x83;
	page[1] = 0x200000 | 0x83; /* maps what does not move */
	add_page(TABLES + 0x2000, page);
}

static void add_context_of(uint16_t vp, uint8_t vtl, uint32_t extra_register)
{
	const struct {
		uint32_t name;
		uint64_t value;
	} regs[] = {
		{ HV_X64_REGISTER_RIP, BASE + 0x80000 },
		{ HV_X64_REGISTER_CR3, TABLES },
		{ HV_X64_REGISTER_EFER, 0x500 },
		{ HV_X64_REGISTER_RSI, BASE },
		{ extra_register, 0 },
	};
	uint32_t count = extra_register ? 5 : 4, i;
	uint8_t data[4 + 5 * sizeof(struct igvm_vbs_vp_context_register)] = { 0 };

	memcpy(data, &count, sizeof(count));
	for (i = 0; i < count; i++) {
		struct igvm_vbs_vp_context_register reg = { .vtl = vtl,
							    .register_name = regs[i].name };

		memcpy(reg.register_value, &regs[i].value, 8);
		memcpy(data + 4 + i * sizeof(reg), &reg, sizeof(reg));
	}
	ADD(IGVM_VHT_VP_CONTEXT, vp_context, .compatibility_mask = MASK, .vp_index = vp,
	    .file_offset = igvm_writer_data(&w, data, 4 + count * 32));
}

static void add_context(uint32_t extra_register)
{
	add_context_of(0, 2, extra_register);
}

static int load(void)
{
	uint8_t *file;
	size_t len;
	FILE *f = fopen(path, "w");

	assert_int_equal(igvm_writer_finish(&w, &file, &len), 0);
	assert_non_null(f);
	assert_int_equal(fwrite(file, 1, len, f), len);
	fclose(f);
	free(file);
	return igvm_loader_load(partition);
}

static void expect_loaded(void)
{
	int ret = load();

	if (ret)
		fail_msg("%d: %s", ret, said);
	assert_string_equal(said, "");
}

static void expect_refused(const char *why)
{
	assert_true(load() < 0);
	if (!strstr(said, why))
		fail_msg("said '%s', not '%s'", said, why);
}

static uint64_t u64_at(uint64_t gpa)
{
	uint64_t value;

	assert_int_equal(host_memory_read(&partition->memory, HOST_VIEW_VTL2, gpa, &value, 8), 0);
	return value;
}

/* --- placement --- */

static void test_moves(void **state)
{
	const struct vcpu *vcpu = &partition->vps[0].vcpu[HOST_VTL2];

	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_bytes(BASE + 0x80000, 0x11);
	add_bytes(0x100000, 0x22);
	add_tables();
	add_context(0);
	expect_loaded();
	assert_int_equal(partition->memory.vtl2_base, PLACE);
	assert_int_equal(u64_at(PLACE + 0x80000), 0x1111111111111111);
	assert_int_equal(u64_at(0x100000), 0x2222222222222222);
	assert_int_equal(vcpu_regs(vcpu)->rip, PLACE + 0x80000);
	assert_int_equal(vcpu_regs(vcpu)->rsi, BASE); /* only what the file says moves */
	assert_int_equal(vcpu_sregs(vcpu)->cr3, PLACE + REGION);
	assert_int_equal(vcpu_sregs(vcpu)->efer, 0x500);
	assert_true(atomic_load(&partition->vps[0].vtl2_started));
	assert_false(atomic_load(&partition->vps[1].vtl2_started));
}

static uint64_t walk(uint64_t va)
{
	uint64_t entry = u64_at(PLACE + REGION + (va >> 39 & 511) * 8);

	if (!(entry & 1))
		return 0;
	entry = u64_at((entry & ~0xfffull) + (va >> 30 & 511) * 8);
	return entry & 1 ? u64_at((entry & ~0xfffull) + (va >> 21 & 511) * 8) : 0;
}

static void test_moves_page_tables(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_tables();
	add_context(0);
	expect_loaded();
	assert_int_equal(walk(PLACE), PLACE | 0x83);
	assert_int_equal(walk(BASE), 0);
	assert_int_equal(walk(0x200000), 0x200000 | 0x83);
}

static void test_place_is_out_of_bounds(void **state)
{
	(void)state;
	add_platform();
	add_region(PLACE);
	add_context(0);
	expect_refused("VTL2's memory begins at 100000000, where the image cannot be");
}

static void test_place_is_too_low(void **state)
{
	(void)state;
	add_platform();
	add_region_with(PLACE + 0x200000, 1ull << 46, IGVM_RELOCATABLE_REGION_IS_VTL2);
	add_context(0);
	expect_refused("VTL2's memory begins at 100000000, where the image cannot be");
}

static void test_rip_stays(void **state)
{
	(void)state;
	add_platform();
	add_region_with(0, 1ull << 46, IGVM_RELOCATABLE_REGION_IS_VTL2);
	add_tables();
	add_context(0);
	expect_loaded();
	assert_int_equal(vcpu_regs(&partition->vps[0].vcpu[HOST_VTL2])->rip, BASE + 0x80000);
}

/* What the file says of another platform is not for us. */
static void test_platforms_are_told_apart(void **state)
{
	(void)state;
	add_platform();
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, .compatibility_mask = 2,
	    .platform_type = IGVM_PLATFORM_NATIVE, .platform_version = IGVM_PLATFORM_VERSION);
	add_region(1ull << 46);
	ADD(IGVM_VHT_PAGE_DATA, page_data, .gpa = 1ull << 40, .compatibility_mask = 2);
	add_tables();
	add_context(0);
	expect_loaded();
}

/* The host's files for VTL0 go below what the image brings. */
static void test_payload_beside_page_data(void **state)
{
	uint64_t gpa;

	(void)state;
	options.kernel = path;
	add_platform();
	add_region(1ull << 46);
	add_bytes(0x700000, 0x22);
	add_tables();
	add_context(0);
	expect_loaded();
	assert_int_equal(u64_at(0x700000), 0x2222222222222222);
	for (gpa = 0x6ff000; gpa > 0x600000 && (uint32_t)u64_at(gpa) != IGVM_MAGIC_VALUE;)
		gpa -= IGVM_PAGE_SIZE;
	assert_in_range(gpa, 0x6f0000, 0x6ff000);
}

/* Memory up to 4 GiB comes with the page data for it, and is in what VTL2 is told. */
static void test_firmware(void **state)
{
	const struct host_memory *memory = &partition->memory;
	unsigned int before = memory->range_count;

	(void)state;
	assert_false(host_memory_is_ram(memory, 0xfffff000, 0x1000));
	add_platform();
	add_region(1ull << 46);
	add_bytes(0xffffe000, 0x33);
	add_bytes(0xfffff000, 0x44);
	add_tables();
	add_context(0);
	expect_loaded();
	assert_int_equal(u64_at(0xffffe000), 0x3333333333333333);
	assert_int_equal(u64_at(0xfffffff8), 0x4444444444444444);
	assert_int_equal(memory->range_count, before + 1);
	assert_int_equal(memory->ranges[before].gpa, 0xffffe000);
	assert_int_equal(memory->ranges[before].len, 0x2000);
	assert_true(host_memory_allows(memory, HOST_VIEW_VTL0, 0xffffe000, 0x2000, HOST_ALL));
	assert_false(host_memory_is_ram(memory, 0xffffd000, 0x1000));
}

static void test_page_data_below_firmware(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_bytes(0xfee00000, 0x33);
	add_bytes(0xfffff000, 0x44);
	add_context(0);
	expect_refused("page data for fee00000, where there is no memory");
}

static void test_fixed_image(void **state)
{
	(void)state;
	add_platform();
	add_bytes(BASE, 1);
	add_context(0);
	expect_refused("page data for 10000000, where there is no memory");
}

static void test_required_memory(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	ADD(IGVM_VHT_REQUIRED_MEMORY, required_memory, .gpa = BASE, .compatibility_mask = MASK,
	    .number_of_bytes = 0x400000, .flags = IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
	add_context(0);
	expect_refused("VTL2 needs 4 MiB, not 2: --vtl2-memory");
}

static void test_required_vtl0_memory(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	ADD(IGVM_VHT_REQUIRED_MEMORY, required_memory, .gpa = 0, .compatibility_mask = MASK,
	    .number_of_bytes = FAKE_VTL0_MEMORY + 0x1000);
	add_context(0);
	expect_refused("are to be memory of VTL0, and are not");
}

static void test_required_memory_of_the_other_vtl(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	ADD(IGVM_VHT_REQUIRED_MEMORY, required_memory, .gpa = 0, .compatibility_mask = MASK,
	    .number_of_bytes = 0x1000, .flags = IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
	add_context(0);
	expect_refused("are to be memory of VTL2, and are not");
}

/* --- what cannot be honoured --- */

static void test_context_of_another_vp(void **state)
{
	(void)state;
	add_platform();
	add_context_of(1, 2, 0);
	expect_refused("a context for VP 1");
}

static void test_context_of_another_vtl(void **state)
{
	(void)state;
	add_platform();
	add_context_of(0, 0, 0);
	expect_refused("registers of VTL 0");
}

static void test_area_without_end(void **state)
{
	(void)state;
	add_platform();
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, .number_of_bytes = 32 << 20,
	    .parameter_area_index = 1);
	ADD(IGVM_VHT_PARAMETER_INSERT, parameter_insert, .gpa = 0, .compatibility_mask = MASK,
	    .parameter_area_index = 1);
	add_context(0);
	expect_refused("parameter area 1 is too large");
}

static void test_other_platform(void **state)
{
	(void)state;
	ADD(IGVM_VHT_SUPPORTED_PLATFORM, supported_platform, .compatibility_mask = MASK,
	    .platform_type = IGVM_PLATFORM_SEV_SNP, .platform_version = 1,
	    .shared_gpa_boundary = 1ull << 46);
	expect_refused("not for VTLs");
}

static void test_not_an_image(void **state)
{
	FILE *f = fopen(path, "w");

	(void)state;
	assert_non_null(f);
	fputs("no image", f);
	fclose(f);
	assert_true(igvm_loader_load(partition) < 0);
	assert_non_null(strstr(said, "not an IGVM image"));
}

static void test_register_that_is_none(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_context(0x7fffffff);
	expect_refused("register 7fffffff of its VP context");
}

static void test_no_context(void **state)
{
	(void)state;
	add_platform();
	add_bytes(0x100000, 1);
	expect_refused("no context of VP 0");
}

static void add_area(uint32_t usage, uint32_t offset)
{
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, .number_of_bytes = IGVM_PAGE_SIZE,
	    .parameter_area_index = 77);
	ADD(usage, parameter, .parameter_area_index = 77, .byte_offset = offset);
	ADD(IGVM_VHT_PARAMETER_INSERT, parameter_insert, .gpa = BASE + 0x20000,
	    .compatibility_mask = MASK, .parameter_area_index = 77);
}

static void test_parameter(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_area(IGVM_VHT_VP_COUNT_PARAMETER, 8);
	add_context(0);
	expect_loaded();
	assert_int_equal(u64_at(PLACE + 0x20000), 0);
	assert_int_equal(u64_at(PLACE + 0x20008), 2);
}

/* Areas are known by their number, and begin as the file says. */
static void test_two_areas(void **state)
{
	uint8_t page[IGVM_PAGE_SIZE];
	uint32_t at;

	(void)state;
	memset(page, 0x33, sizeof(page));
	add_platform();
	add_region(1ull << 46);
	at = igvm_writer_data(&w, page, sizeof(page));
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, .number_of_bytes = IGVM_PAGE_SIZE,
	    .parameter_area_index = 5);
	ADD(IGVM_VHT_PARAMETER_AREA, parameter_area, .number_of_bytes = IGVM_PAGE_SIZE,
	    .parameter_area_index = 9, .file_offset = at);
	ADD(IGVM_VHT_VP_COUNT_PARAMETER, parameter, .parameter_area_index = 9, .byte_offset = 0);
	ADD(IGVM_VHT_PARAMETER_INSERT, parameter_insert, .gpa = BASE + 0x20000,
	    .compatibility_mask = MASK, .parameter_area_index = 9);
	ADD(IGVM_VHT_PARAMETER_INSERT, parameter_insert, .gpa = BASE + 0x21000,
	    .compatibility_mask = MASK, .parameter_area_index = 5);
	add_tables();
	add_context(0);
	expect_loaded();
	assert_int_equal(u64_at(PLACE + 0x20000), 0x3333333300000002);
	assert_int_equal(u64_at(PLACE + 0x20ff8), 0x3333333333333333);
	assert_int_equal(u64_at(PLACE + 0x21000), 0);
}

static void test_parameter_without_room(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_area(IGVM_VHT_MEMORY_MAP, IGVM_PAGE_SIZE - 24);
	add_context(0);
	expect_refused("no room for the memory map");
}

static void test_parameter_that_is_not_there(void **state)
{
	(void)state;
	add_platform();
	add_region(1ull << 46);
	add_area(IGVM_VHT_SRAT, 0);
	add_context(0);
	expect_refused("does not have: SRAT");
}

/* --- page tables by themselves --- */

static void test_tables_that_are_none(void **state)
{
	static uint64_t bytes[2 * 512];
	struct igvm_tables t = { 0x1000, sizeof(bytes), 0, 0x10000, 0x200000 };
	unsigned int i;

	(void)state;
	bytes[0] = 0x5000 | 3; /* beyond them */
	assert_int_equal(igvm_tables_move(&t, (uint8_t *)bytes), -EINVAL);
	bytes[0] = 0x83;
	assert_int_equal(igvm_tables_move(&t, (uint8_t *)bytes), -EINVAL);
	for (i = 0; i < 512; i++)
		bytes[i] = 0x1000 | 3; /* in circles */
	assert_int_equal(igvm_tables_move(&t, (uint8_t *)bytes), -EINVAL);
}

/* --- and the shim believes what this host says --- */

static void fill(struct region *region, const struct host_payloads *payloads, uint32_t type,
		 const struct shim_range *area)
{
	assert_int_equal(igvm_parameters_fill(partition, payloads, type,
					      region->bytes + area->offset, area->len),
			 0);
}

static void test_shim_takes_parameters(void **state)
{
	const struct host_payloads payloads = { { { 0x300000, 0x1234 } } };
	const struct shim_params *p;
	struct region region;
	const char *line;

	(void)state;
	host_memory_destroy(&partition->memory);
	assert_int_equal(host_memory_init(&partition->memory, 8ull << 30, 16 << 20), 0);
	region_init(&region);
	memset(region.params.payload, 0, sizeof(region.params.payload));
	region.params.flags = SHIM_HOST_PAYLOAD;
	region_fill(&region);
	p = &region.params;
	options.vtl2_append = "loglevel=7";
	fill(&region, &payloads, IGVM_VHT_VP_COUNT_PARAMETER, &p->vp_count);
	fill(&region, &payloads, IGVM_VHT_MEMORY_MAP, &p->memory_map);
	fill(&region, &payloads, IGVM_VHT_DEVICE_TREE, &p->device_tree);
	fill(&region, &payloads, IGVM_VHT_COMMAND_LINE, &p->host_command_line);
	region.shim.region_gpa = partition->memory.vtl2_base;
	if (shim_prepare(&region.shim, &region.start))
		fail_msg("%.*s", (int)region.log.written, region.log.text);
	assert_int_equal(region.shim.machine.ram_count, 3);
	assert_int_equal(region.shim.machine.vtl0_mmio.count, 2);
	line = (const char *)region.bytes + p->work.offset + 0x1000;
	assert_non_null(strstr(line, " loglevel=7 -- --kernel=300000:1234 "));
	assert_non_null(strstr(line, " --wall-clock="));
	region_free(&region);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_moves),
		TEST(test_moves_page_tables),
		TEST(test_place_is_out_of_bounds),
		TEST(test_place_is_too_low),
		TEST(test_rip_stays),
		TEST(test_platforms_are_told_apart),
		TEST(test_payload_beside_page_data),
		TEST(test_required_memory_of_the_other_vtl),
		TEST(test_context_of_another_vp),
		TEST(test_context_of_another_vtl),
		TEST(test_area_without_end),
		TEST(test_two_areas),
		TEST(test_firmware),
		TEST(test_page_data_below_firmware),
		TEST(test_fixed_image),
		TEST(test_required_memory),
		TEST(test_required_vtl0_memory),
		TEST(test_other_platform),
		TEST(test_not_an_image),
		TEST(test_register_that_is_none),
		TEST(test_no_context),
		TEST(test_parameter),
		TEST(test_parameter_without_room),
		TEST(test_parameter_that_is_not_there),
		TEST(test_tables_that_are_none),
		TEST(test_shim_takes_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
