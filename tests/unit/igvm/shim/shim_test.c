#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "igvm/shim/log.h"
#include "paravisor/topology.h"
#include "proto/linux_boot.h"
#include "tests/unit/igvm/shim/shim_region.h"

static struct region region;

static int set_up(void **state)
{
	(void)state;
	region_init(&region);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	region_free(&region);
	return 0;
}

/* --- what tests look at --- */

static const char *log_text(void)
{
	static char text[SHIM_LOG_TEXT + 1];

	text[shim_log_tail(&region.log, text, SHIM_LOG_TEXT)] = 0;
	return text;
}

static void expect_stopped(const char *why)
{
	if (!region_prepare(&region))
		fail_msg("prepared, in spite of: %s", why);
	if (!strstr(log_text(), why))
		fail_msg("'%s' is not in the log: %s", why, log_text());
	assert_int_equal(region.log.stage, SHIM_STAGE_STOPPED);
}

static void expect_prepared(void)
{
	if (region_prepare(&region))
		fail_msg("%s", log_text());
}

static struct linux_boot_params *boot_params(void)
{
	return region_at(&region, region.start.rsi);
}

static const char *command_line(void)
{
	return region_at(&region, boot_params()->hdr.cmd_line_ptr |
					  (uint64_t)boot_params()->ext_cmd_line_ptr << 32);
}

static const void *device_tree(void)
{
	struct linux_setup_data *data = region_at(&region, boot_params()->hdr.setup_data);

	assert_int_equal(data->type, 2);
	assert_int_equal(data->next, 0);
	assert_int_equal(data->len, fdt_totalsize(data + 1));
	return data + 1;
}

/* --- a host that tells the truth --- */

static void test_start(void **state)
{
	struct linux_boot_params *params;

	(void)state;
	expect_prepared();
	params = boot_params();
	assert_int_equal(region.start.rip, REGION_GPA + 0x200100);
	assert_int_equal(params->hdr.boot_flag, LINUX_BOOT_FLAG);
	assert_int_equal(params->hdr.header, LINUX_HEADER_MAGIC);
	assert_int_equal(params->hdr.ramdisk_image | (uint64_t)params->ext_ramdisk_image << 32,
			 REGION_GPA + 0x300000);
	assert_int_equal(params->hdr.ramdisk_size, 0x1234);
}

/* All of VTL2's RAM and nothing else; the log's page is kept. */
static void test_e820(void **state)
{
	struct linux_e820_entry *e;

	(void)state;
	expect_prepared();
	e = boot_params()->e820_table;
	assert_int_equal(boot_params()->e820_entries, 3);
	assert_int_equal(e[0].addr, REGION_GPA);
	assert_int_equal(e[0].size, 0x8d000);
	assert_int_equal(e[0].type, 1);
	assert_int_equal(e[1].addr, region.shim.log_gpa);
	assert_int_equal(e[1].size, SHIM_PAGE_SIZE);
	assert_int_equal(e[1].type, 2);
	assert_int_equal(e[2].addr, region.shim.log_gpa + SHIM_PAGE_SIZE);
	assert_int_equal(e[2].addr + e[2].size, REGION_GPA + (64ull << 20));
	assert_int_equal(e[2].type, 1);
}

static void test_command_line(void **state)
{
	(void)state;
	expect_prepared();
	assert_string_equal(command_line(),
			    "noxsave quiet nohz_full=1-1 -- --kernel=8000000:800000 "
			    "--cmdline=7fff000:20 --log-level=2");
}

static void test_one_vp_keeps_its_tick(void **state)
{
	(void)state;
	region.host.vp_count = region.host.cpu_nodes = 1;
	expect_prepared();
	assert_null(strstr(command_line(), "nohz_full"));
}

/* The paravisor's own parser reads the tree. */
static void test_device_tree(void **state)
{
	static struct topology topology;
	char error[160];
	const void *fdt;

	(void)state;
	expect_prepared();
	fdt = device_tree();
	assert_int_equal(topology_parse(&topology, fdt, fdt_totalsize(fdt), error, sizeof(error)),
			 0);
	assert_int_equal(topology.vp_count, 2);
	assert_int_equal(topology.apic_ids[1], 1);
	assert_int_equal(topology.vtl0_count, 1);
	assert_int_equal(topology.vtl0[0].len, 1u << 30);
	assert_int_equal(topology.vtl2_count, 1);
	assert_int_equal(topology.vtl2[0].gpa, REGION_GPA);
	assert_int_equal(topology.mmio_count, 1);
	assert_true(topology.shim_log_len > 0);
	assert_int_equal(topology.shim_log[topology.shim_log_len - 1], '\n');
	assert_int_equal(topology.mmio[0].gpa, 0xf8000000);
	assert_int_equal(fdt_node_check_compatible(fdt, 0, "entresol,vtl2"), 0);
}

static void test_log_is_in_the_tree(void **state)
{
	const char *text;
	int len, node;

	(void)state;
	expect_prepared();
	node = fdt_path_offset(device_tree(), "/entresol");
	text = fdt_getprop(device_tree(), node, "shim-log-text", &len);
	assert_non_null(text);
	assert_int_equal(len, strlen(log_text()));
	assert_memory_equal(text, log_text(), len);
}

static uint64_t walk(uint64_t gpa)
{
	uint64_t *table = region_at(&region, region.start.cr3), entry;

	entry = table[gpa >> 39 & 511];
	assert_int_equal(entry & 0x83, 3);
	table = region_at(&region, entry & ~0xfffull);
	entry = table[gpa >> 30 & 511];
	assert_int_equal(entry & 0x83, 3);
	table = region_at(&region, entry & ~0xfffull);
	return table[gpa >> 21 & 511];
}

static void test_page_tables(void **state)
{
	uint64_t at;

	(void)state;
	expect_prepared();
	for (at = REGION_GPA; at < REGION_GPA + REGION_LEN; at += SHIM_2M)
		assert_int_equal(walk(at), at | 0x83);
	assert_int_equal(walk(REGION_GPA + REGION_LEN), 0);
}

/* What the host wrote is not left for the kernel's memory. */
static void test_host_areas_are_wiped(void **state)
{
	size_t i;

	(void)state;
	region.host.command_line = "secret";
	expect_prepared();
	for (i = 0x20000; i < 0x23000; i++)
		assert_int_equal(region.bytes[i], 0);
	for (i = 0x3f0000; i < 0x400000; i++)
		assert_int_equal(region.bytes[i], 0);
}

static void test_kernel_and_initrd_are_untouched(void **state)
{
	size_t i;

	(void)state;
	expect_prepared();
	for (i = 0x200000; i < 0x3f0000; i++)
		assert_int_equal(region.bytes[i], 0xa5);
}

static void test_many_vps(void **state)
{
	(void)state;
	region.host.vp_count = region.host.cpu_nodes = SHIM_MAX_VPS;
	expect_prepared();
	assert_non_null(strstr(command_line(), "nohz_full=1-255"));
}

/* --- the host's words --- */

static void test_words_that_show_pass(void **state)
{
	(void)state;
	region.host.command_line = "loglevel=8  earlyprintk=serial,0x2f8,115200 -- --wall-clock=5";
	expect_prepared();
	assert_non_null(strstr(command_line(), " loglevel=8 earlyprintk=serial,0x2f8,115200 -- "));
	assert_non_null(strstr(command_line(), " --wall-clock=5"));
}

static void test_words_that_do_are_ignored(void **state)
{
	(void)state;
	region.host.command_line = "init=/bin/sh loglevel= debugger mem=1M --kernel=0:1 \"a b\"";
	expect_prepared();
	assert_null(strstr(command_line(), "init="));
	assert_null(strstr(command_line(), "loglevel="));
	assert_null(strstr(command_line(), "debugger"));
	assert_null(strstr(command_line(), "mem="));
	assert_null(strstr(command_line(), "--kernel=0:1"));
	assert_null(strchr(command_line(), '"'));
	assert_non_null(strstr(log_text(), "\"init=/bin/sh\" is ignored"));
}

static void test_confidential_takes_the_time_only(void **state)
{
	(void)state;
	region.params.flags = SHIM_CONFIDENTIAL;
	region.params.isolation = SHIM_ISOLATION_VBS;
	region.host.command_line = "loglevel=8 console=ttyS0 -- --log-level=3 --wall-clock=5";
	expect_prepared();
	assert_string_equal(command_line(),
			    "noxsave quiet nohz_full=1-1 -- --kernel=8000000:800000 "
			    "--cmdline=7fff000:20 --log-level=2 --wall-clock=5");
}

static void test_confidential_takes_a_number_for_the_time(void **state)
{
	static const char *const lines[] = {
		"--wall-clock=",       "--wall-clock=x",  "--wall-clock=5x",
		"--wall-clock=init=5", "--wall-clock=5=", "--wall-clock",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		region.params.flags = SHIM_CONFIDENTIAL;
		region.params.isolation = SHIM_ISOLATION_VBS;
		region.host.command_line = lines[i];
		expect_prepared();
		assert_null(strstr(command_line(), "--wall-clock"));
	}
}

static void test_debug_takes_all(void **state)
{
	(void)state;
	region.params.flags = SHIM_DEBUG;
	region.host.command_line = "mem=32M a=\"b\"";
	expect_prepared();
	assert_non_null(strstr(command_line(), " mem=32M -- "));
	assert_null(strchr(command_line(), '"'));
}

static void test_too_many_words(void **state)
{
	char words[2500];

	(void)state;
	memset(words, 'x', sizeof(words));
	memcpy(words, "console=", 8);
	words[sizeof(words) - 1] = 0;
	region.host.command_line = words;
	expect_stopped("longer than 2047 bytes");
}

static void test_words_without_end(void **state)
{
	(void)state;
	region_fill(&region);
	memset(region.bytes + 0x22000, 'x', 0x1000);
	assert_int_equal(shim_prepare(&region.shim, &region.start), -EINVAL);
	assert_non_null(strstr(log_text(), "has no end"));
}

/* --- a host that lies: machine --- */

static void test_vp_counts(void **state)
{
	(void)state;
	region.host.vp_count = 0;
	expect_stopped("0 virtual processors");
	region.host.vp_count = 0xffffffff;
	expect_stopped("4294967295 virtual processors");
	region.host.vp_count = SHIM_MAX_VPS + 1;
	expect_stopped("257 virtual processors");
	region.host.vp_count = 3;
	expect_stopped("2 cpus, but the VP count is 3");
	region.host.vp_count = 1;
	expect_stopped("more cpus than the VP count");
}

static void test_memory_map_entries(void **state)
{
	struct igvm_vhs_memory_map_entry *entry = &region.host.map[0];
	const struct igvm_vhs_memory_map_entry good = *entry;

	(void)state;
	entry->number_of_pages = ~0ull;
	expect_stopped("are no memory");
	*entry = good;
	entry->starting_gpa_page_number = 1ull << 40;
	expect_stopped("are no memory");
	*entry = good;
	entry->starting_gpa_page_number = (1ull << 40) - 1;
	expect_stopped("are no memory");
	entry->starting_gpa_page_number = (1ull << 40) + 5;
	expect_stopped("are no memory");
	*entry = good;
	entry->entry_type = 9;
	expect_stopped("unknown type 9");
	*entry = good;
	entry->flags = 1;
	expect_stopped("or flags");
}

static void test_overlapping_memory(void **state)
{
	(void)state;
	region.host.map[0].number_of_pages = (REGION_GPA >> 12) + 1;
	expect_stopped("ranges overlap at 140000000");
	/* The same start, in either order. */
	region.host.map[0] = region.host.map[1];
	expect_stopped("ranges overlap");
}

static void test_overlapping_unsorted_memory(void **state)
{
	(void)state;
	region.host.map[0] = region.host.map[1];
	region.host.map[1] = (struct igvm_vhs_memory_map_entry){ 0, 0x140001, 0, 0, 0 };
	expect_stopped("ranges overlap at 140000000");
}

static void test_unsorted_memory(void **state)
{
	struct igvm_vhs_memory_map_entry first = region.host.map[0];

	(void)state;
	region.host.map[0] = region.host.map[1];
	region.host.map[1] = first;
	expect_prepared();
}

static void test_too_many_ranges(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 2; i < 40; i++)
		region.host.map[i] =
			(struct igvm_vhs_memory_map_entry){ 0x1000000 + 2 * i, 1, 1, 0, 0 };
	region.host.map_count = region.host.tree_memory_count = 40;
	expect_stopped("more than 32 ranges");
}

static void test_image_is_not_in_vtl2(void **state)
{
	(void)state;
	region.host.map[1].entry_type = IGVM_MEMORY_MAP_MEMORY;
	expect_stopped("not in memory for VTL2");
	region.host.map[1].entry_type = IGVM_MEMORY_MAP_VTL2_PROTECTABLE;
	region.host.map[1].number_of_pages = REGION_LEN / 4096 - 1;
	expect_stopped("not in memory for VTL2");
	region.host.map_count = region.host.tree_memory_count = 1;
	expect_stopped("not in memory for VTL2");
}

/* Two neighbouring ranges are as good as one. */
static void test_image_in_two_ranges(void **state)
{
	(void)state;
	region.host.map[1].number_of_pages = 1;
	region.host.map[2] = region.host.map[1];
	region.host.map[2].starting_gpa_page_number += 1;
	region.host.map[2].number_of_pages = 4096;
	region.host.map_count = region.host.tree_memory_count = 3;
	expect_prepared();
}

static void test_memory_map_and_tree_differ(void **state)
{
	(void)state;
	region.host.tree_memory_count = 1;
	expect_stopped("1 ranges of memory, 2 in the memory map");
	region.host.tree_memory_count = 3;
	region.host.map[2] = (struct igvm_vhs_memory_map_entry){ 0x1000000, 1, 0, 0, 0 };
	expect_stopped("is not in the memory map");
}

static void test_mmio(void **state)
{
	const struct shim_span good = region.host.vtl2_mmio;
	struct shim_span *mmio = &region.host.vtl2_mmio;

	(void)state;
	mmio->gpa = REGION_GPA - 0x1000;
	expect_stopped("lies on memory");
	mmio->gpa = 0x1000;
	expect_stopped("lies on memory");
	mmio->gpa = region.host.vtl0_mmio.gpa;
	expect_stopped("or on another");
	*mmio = good;
	mmio->len = 0;
	expect_stopped("no MMIO window");
	mmio->len = ~0ull & ~0xfffull;
	expect_stopped("no MMIO window");
	mmio->len = 0x1001;
	expect_stopped("no MMIO window");
}

static void test_memory_on_the_apics(void **state)
{
	(void)state;
	region.host.map[0].number_of_pages = 0x100000;
	region.host.vtl0_mmio.gpa = 0x300000000;
	expect_stopped("local APICs");
}

/* --- a host that lies: device tree --- */

static void test_trees_that_are_none(void **state)
{
	uint8_t *tree = region.bytes + 0x3f0000;
	size_t len;

	(void)state;
	region_fill(&region);
	len = fdt_totalsize(tree);
	memset(tree, 0, 0x10000);
	assert_int_equal(shim_prepare(&region.shim, &region.start), -EINVAL);
	assert_non_null(strstr(log_text(), "not sound"));
	/* Cut anywhere: never sound, never read beyond its area. */
	for (; len > 40; len -= 40) {
		region_fill(&region);
		memset(tree + len - 40, 0xff, 0x10000 - (len - 40));
		assert_int_equal(shim_prepare(&region.shim, &region.start), -EINVAL);
	}
	region_fill(&region);
	fdt_set_totalsize(tree, 0x10001);
	assert_int_equal(shim_prepare(&region.shim, &region.start), -EINVAL);
}

/* Every single byte replaced: it prepares or stops, and says why. */
static void test_trees_with_a_wrong_byte(void **state)
{
	uint8_t *tree = region.bytes + 0x3f0000;
	size_t len, i;

	(void)state;
	region_fill(&region);
	len = fdt_totalsize(tree);
	for (i = 0; i < len; i++) {
		region_fill(&region);
		tree[i] ^= 0x80;
		if (shim_prepare(&region.shim, &region.start))
			assert_non_null(strstr(log_text(), "stopped: "));
	}
}

static void test_same_apic_id_twice(void **state)
{
	void *tree = region.bytes + 0x3f0000;
	int node;

	(void)state;
	region_fill(&region);
	node = fdt_path_offset(tree, "/cpus/cpu@1");
	fdt_setprop_inplace_u32(tree, node, "reg", 0);
	assert_int_equal(shim_prepare(&region.shim, &region.start), -EINVAL);
	assert_non_null(strstr(log_text(), "two cpus with APIC id 0"));
}

static void expect_changed_tree(const char *path, const char *property, const void *value, int len,
				const char *why)
{
	void *tree = region.bytes + 0x3f0000;

	region_fill(&region);
	assert_int_equal(fdt_setprop_inplace_namelen_partial(tree, fdt_path_offset(tree, path),
							     property, (int)strlen(property), 0,
							     value, len),
			 0);
	assert_int_equal(shim_prepare(&region.shim, &region.start), -EINVAL);
	if (!strstr(log_text(), why))
		fail_msg("'%s' is not in the log: %s", why, log_text());
}

static void test_changed_trees(void **state)
{
	const fdt64_t range[2] = { cpu_to_fdt64(0), cpu_to_fdt64(1ull << 29) };
	const fdt64_t window = cpu_to_fdt64(0x400000000);
	const fdt32_t one = cpu_to_fdt32(1), three = cpu_to_fdt32(3);

	(void)state;
	expect_changed_tree("/memory@0", "reg", range, sizeof(range), "is not in the memory map");
	expect_changed_tree("/memory@0", IGVM_DT_IGVM_TYPE, &three, 4, "is not in the memory map");
	expect_changed_tree("/", "#address-cells", &one, 4, "not of two cells");
	expect_changed_tree("/bus/vmbus-vtl2", "ranges", &window, 8, "no MMIO window");
	expect_changed_tree("/bus/vmbus-vtl2", "#size-cells", &one, 4, "of other cells");
	expect_changed_tree("/bus/vmbus-vtl2", IGVM_DT_VTL, &one, 4, "a vmbus of no VTL");
}

/* --- payloads --- */

static void test_host_payload(void **state)
{
	(void)state;
	memset(region.params.payload, 0, sizeof(region.params.payload));
	region.params.flags = SHIM_HOST_PAYLOAD;
	expect_stopped("neither kernel nor firmware");
	region.host.payload[SHIM_PAYLOAD_FIRMWARE] = (struct shim_payload){ 0x3000000, 0x1000 };
	expect_stopped("neither kernel nor firmware"); /* it must be the image's */
	region.host.payload[SHIM_PAYLOAD_KERNEL] = (struct shim_payload){ 0x3000000, 0x12345 };
	expect_prepared();
	assert_non_null(strstr(command_line(), " -- --kernel=3000000:12345"));
	region.host.payload[SHIM_PAYLOAD_INITRD] = (struct shim_payload){ 0x3010000, 0x12345 };
	expect_stopped("payloads overlap");
	region.host.payload[SHIM_PAYLOAD_INITRD] = (struct shim_payload){ REGION_GPA, 1 };
	expect_stopped("not in VTL0's memory");
	region.host.payload[SHIM_PAYLOAD_INITRD] = (struct shim_payload){ ~0ull, 2 };
	expect_stopped("is no range");
}

static void test_host_payload_is_ignored(void **state)
{
	(void)state;
	region.host.payload[SHIM_PAYLOAD_KERNEL] = (struct shim_payload){ 0x3000000, 0x12345 };
	expect_prepared();
	assert_non_null(strstr(command_line(), "--kernel=8000000:800000"));
	assert_null(strstr(command_line(), "3000000:12345"));
	assert_non_null(strstr(log_text(), "payload for VTL0 is ignored"));
}

/* --- the image's own mistakes --- */

static void test_params(void **state)
{
	const struct shim_params good = region.params;
	struct shim_params *p = &region.params;

	(void)state;
	p->magic++;
	expect_stopped("no parameters of version");
	*p = good;
	p->region_len += 1;
	expect_stopped("no region");
	*p = good;
	p->flags = 0x80;
	expect_stopped("unknown flags");
	*p = good;
	p->isolation = SHIM_ISOLATION_VBS;
	expect_stopped("isolated but not confidential");
	*p = good;
	p->flags = SHIM_CONFIDENTIAL | SHIM_DEBUG;
	expect_stopped("trusts the host");
	*p = good;
	p->work.len = SHIM_PAGE_SIZE;
	expect_stopped("work area is too small");
	*p = good;
	p->initrd.len = REGION_LEN;
	expect_stopped("initramfs (300000, 400000) is not in its region");
	*p = good;
	p->initrd.offset = 0x2ff000;
	expect_stopped("initramfs lies on kernel");
	*p = good;
	p->kernel_entry = 0x100;
	expect_stopped("entry is wrong");
	*p = good;
	p->initrd.offset = 0x300001;
	expect_stopped("initramfs (300001, 1234) is not in its region");
	*p = good;
	p->kernel.offset = 0x1ff000;
	expect_stopped("place or entry is wrong");
	*p = good;
	p->vp_count.offset = SHIM_LINK_OFFSET;
	expect_stopped("VP count lies on shim");
	*p = good;
	memset(p->payload, 0, sizeof(p->payload));
	expect_stopped("no payload");
	*p = good;
	p->isolation = SHIM_ISOLATION_SNP;
	p->flags = SHIM_CONFIDENTIAL;
	expect_stopped("accepting memory is not there");
}

/* --- the log --- */

static void test_log_wraps(void **state)
{
	char tail[16];
	unsigned int i;

	(void)state;
	region_fill(&region);
	for (i = 0; i < 2000; i++)
		shim_log_line(&region.shim, "line %u", i);
	assert_int_equal(shim_log_tail(&region.log, tail, 10), 10);
	assert_memory_equal(tail, "line 1999\n", 10);
	assert_int_equal(
		strncmp(log_text() + strlen(log_text()) - 20, "line 1998\nline 1999\n", 20), 0);
}

static void test_format(void **state)
{
	static const char expected[] = "a 0 beef ffffffffffffffff 9223372036854775808%";
	char text[64];
	size_t len = shim_print(text, sizeof(text), "%s %u %x %llx %llu%%", "a", 0u, 0xbeefu, ~0ull,
				1ull << 63);

	(void)state;
	assert_string_equal(text, expected);
	assert_int_equal(len, sizeof(expected) - 1);
	assert_int_equal(shim_print(text, 4, "%s", "abcdef"), 3);
	assert_string_equal(text, "abc");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start),
		TEST(test_e820),
		TEST(test_command_line),
		TEST(test_one_vp_keeps_its_tick),
		TEST(test_device_tree),
		TEST(test_log_is_in_the_tree),
		TEST(test_page_tables),
		TEST(test_host_areas_are_wiped),
		TEST(test_kernel_and_initrd_are_untouched),
		TEST(test_many_vps),
		TEST(test_words_that_show_pass),
		TEST(test_words_that_do_are_ignored),
		TEST(test_confidential_takes_the_time_only),
		TEST(test_confidential_takes_a_number_for_the_time),
		TEST(test_debug_takes_all),
		TEST(test_too_many_words),
		TEST(test_words_without_end),
		TEST(test_vp_counts),
		TEST(test_memory_map_entries),
		TEST(test_overlapping_memory),
		TEST(test_overlapping_unsorted_memory),
		TEST(test_unsorted_memory),
		TEST(test_changed_trees),
		TEST(test_too_many_ranges),
		TEST(test_image_is_not_in_vtl2),
		TEST(test_image_in_two_ranges),
		TEST(test_memory_map_and_tree_differ),
		TEST(test_mmio),
		TEST(test_memory_on_the_apics),
		TEST(test_trees_that_are_none),
		TEST(test_trees_with_a_wrong_byte),
		TEST(test_same_apic_id_twice),
		TEST(test_host_payload),
		TEST(test_host_payload_is_ignored),
		TEST(test_params),
		TEST(test_log_wraps),
		TEST(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
