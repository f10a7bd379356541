#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/topology.h"

static uint8_t blob[16384] __attribute__((aligned(8)));
static struct topology topology;
static char error[160];

static void cpu(unsigned int n, uint32_t apic_id)
{
	char name[16];

	snprintf(name, sizeof(name), "cpu@%u", n);
	fdt_begin_node(blob, name);
	fdt_property_string(blob, "device_type", "cpu");
	fdt_property_u32(blob, "reg", apic_id);
	fdt_end_node(blob);
}

static void memory(uint64_t gpa, uint64_t len, uint32_t vtl)
{
	const fdt64_t reg[2] = { cpu_to_fdt64(gpa), cpu_to_fdt64(len) };
	char name[32];

	snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)gpa);
	fdt_begin_node(blob, name);
	fdt_property_string(blob, "device_type", "memory");
	fdt_property(blob, "reg", reg, sizeof(reg));
	fdt_property_u32(blob, "entresol,vtl", vtl);
	fdt_end_node(blob);
}

static void begin(void)
{
	memset(blob, 0, sizeof(blob));
	assert_int_equal(fdt_create(blob, sizeof(blob)), 0);
	fdt_finish_reservemap(blob);
	fdt_begin_node(blob, "");
	fdt_property_string(blob, "compatible", "entresol,vtl2");
}

static void cpus(unsigned int count)
{
	fdt_begin_node(blob, "cpus");
	for (unsigned int i = 0; i < count; i++)
		cpu(i, i * 2);
	fdt_end_node(blob);
}

static void paravisor(const void *mmio, int len)
{
	fdt_begin_node(blob, "entresol");
	fdt_property_string(blob, "compatible", "entresol,paravisor");
	if (len)
		fdt_property(blob, "vtl0-mmio", mmio, len);
	fdt_end_node(blob);
}

static int finish(void)
{
	fdt_end_node(blob);
	assert_int_equal(fdt_finish(blob), 0);
	error[0] = '\0';
	return topology_parse(&topology, blob, fdt_totalsize(blob), error, sizeof(error));
}

static void test_whole(void **state)
{
	const fdt64_t mmio[4] = { cpu_to_fdt64(0xf8000000), cpu_to_fdt64(0x6000000),
				  cpu_to_fdt64(0x200000000), cpu_to_fdt64(0x40000000) };

	(void)state;
	begin();
	cpus(3);
	memory(0x100000000, 0x40000000, 0);
	memory(0, 0xc0000000, 0);
	memory(0x140000000, 0x4000000, 2);
	paravisor(mmio, sizeof(mmio));
	assert_int_equal(finish(), 0);
	assert_int_equal(topology.vp_count, 3);
	assert_int_equal(topology.apic_ids[2], 4);
	assert_int_equal(topology.vtl0_count, 2);
	assert_int_equal(topology.vtl0[0].gpa, 0); /* in the order of addresses */
	assert_int_equal(topology.vtl0[1].gpa, 0x100000000);
	assert_int_equal(topology.vtl2_count, 1);
	assert_int_equal(topology.vtl2[0].len, 0x4000000);
	assert_int_equal(topology.mmio_count, 2);
	assert_int_equal(topology.mmio[1].gpa, 0x200000000);
	assert_int_equal(topology.mmio[1].len, 0x40000000);
}

static void expect_error(const char *why)
{
	assert_int_equal(finish(), -EINVAL);
	assert_non_null(strstr(error, why));
}

static void shim_log(int len)
{
	static char text[2 * TOPOLOGY_SHIM_LOG];

	memset(text, 'a', sizeof(text));
	text[len - 1] = 'z';
	begin();
	cpus(1);
	memory(0, 0x100000, 0);
	fdt_begin_node(blob, "entresol");
	fdt_property_string(blob, "compatible", "entresol,paravisor");
	fdt_property(blob, "shim-log-text", text, len);
	fdt_end_node(blob);
	assert_int_equal(finish(), 0);
}

static void test_the_shims_log(void **state)
{
	(void)state;
	shim_log(3);
	assert_int_equal(topology.shim_log_len, 3);
	assert_memory_equal(topology.shim_log, "aaz", 3);
	shim_log(TOPOLOGY_SHIM_LOG + 1); /* its end is kept */
	assert_int_equal(topology.shim_log_len, TOPOLOGY_SHIM_LOG);
	assert_int_equal(topology.shim_log[0], 'a');
	assert_int_equal(topology.shim_log[TOPOLOGY_SHIM_LOG - 1], 'z');
}

static void test_what_must_be_there(void **state)
{
	(void)state;
	begin();
	expect_error("/cpus");
	begin();
	cpus(0);
	expect_error("no cpus");
	begin();
	cpus(1);
	memory(0, 0x1000, 2);
	expect_error("no memory for VTL0");
	begin();
	cpus(1);
	memory(0, 0x1000, 0);
	expect_error("entresol,paravisor");
}

static void test_bad_values(void **state)
{
	(void)state;
	begin();
	cpus(TOPOLOGY_MAX_VPS + 1);
	expect_error("too many cpus");
	begin();
	cpus(1);
	memory(0xffffffffffff0000, 0x20000, 0);
	expect_error("wraps");
	begin();
	cpus(1);
	memory(0, 0x1000, 1);
	expect_error("unknown VTL");
	begin();
	cpus(1);
	memory(0, 0x1000, 0);
	paravisor("12345678", 8);
	expect_error("list of ranges");
}

static void test_not_a_tree(void **state)
{
	(void)state;
	memset(blob, 0, sizeof(blob));
	assert_int_equal(topology_parse(&topology, blob, sizeof(blob), error, sizeof(error)),
			 -EINVAL);
	begin();
	cpus(1);
	memory(0, 0x1000, 0);
	paravisor(NULL, 0);
	assert_int_equal(finish(), 0);
	assert_int_equal(
		topology_parse(&topology, blob, fdt_totalsize(blob) - 1, error, sizeof(error)),
		-EINVAL); /* cut */
	assert_int_equal(topology_parse(&topology, blob, 8, error, sizeof(error)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_the_shims_log),
		cmocka_unit_test(test_what_must_be_there),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_not_a_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
