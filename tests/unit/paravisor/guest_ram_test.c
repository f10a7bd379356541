#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "core/guest_memory.h"
#include "devices/pci/dma_pool.h"
#include "paravisor/guest_ram.h"
#include "paravisor/machine.h"
#include "vtl/vtl.h"

#define MIB (1ull << 20)

static struct topology topology;
static struct options options;
static uint64_t at;

static int place(uint64_t size)
{
	at = 1;
	return guest_ram_place(&topology, &options, size, &at);
}

static int setup(void **state)
{
	(void)state;
	topology = (struct topology){ .vtl0_count = 1, .vtl0 = { { 0, 64 * MIB } } };
	options = (struct options){ 0 };
	return 0;
}

static void test_place(void **state)
{
	(void)state;
	assert_int_equal(place(4 * MIB), 0);
	assert_int_equal(at, 60 * MIB);
	assert_int_equal(place(64 * MIB), 0);
	assert_int_equal(at, 0);
	assert_int_equal(place(66 * MIB), -ENOMEM);

	topology.vtl0[0].len = 63 * MIB; /* not whole */
	assert_int_equal(place(2 * MIB), 0);
	assert_int_equal(at, 60 * MIB);

	topology.vtl0[1] = (struct boot_range){ 4096 * MIB, 3 * MIB };
	topology.vtl0_count = 2;
	assert_int_equal(place(2 * MIB), 0);
	assert_int_equal(at, 4096 * MIB);
	assert_int_equal(place(4 * MIB), 0);
	assert_int_equal(at, 58 * MIB);
}

static void test_payloads(void **state)
{
	(void)state;
	options.kernel = (struct boot_range){ 60 * MIB + 4096, 3 * MIB };
	assert_int_equal(place(2 * MIB), 0);
	assert_int_equal(at, 58 * MIB);
	options.initrd = (struct boot_range){ 30 * MIB, 30 * MIB };
	assert_int_equal(place(2 * MIB), 0);
	assert_int_equal(at, 28 * MIB);
	options.cmdline = (struct boot_range){ 29 * MIB, 1 };
	assert_int_equal(place(2 * MIB), 0);
	assert_int_equal(at, 26 * MIB);
	topology.vtl0[1] = (struct boot_range){ 4092 * MIB, 4 * MIB };
	topology.vtl0_count = 2;
	options.firmware = topology.vtl0[1];
	assert_int_equal(place(2 * MIB), 0);
	assert_int_equal(at, 26 * MIB);
	options.cmdline = (struct boot_range){ 1, 1 };
	options.initrd = (struct boot_range){ 4096, 60 * MIB };
	assert_int_equal(place(2 * MIB), -ENOMEM);
}

/* --- the whole of it, on memory of the test */

static uint8_t ram[64 * MIB] __attribute__((aligned(2 * MIB)));
static uint64_t protected_gpa, protected_len, pool_gpa, pool_len;
static void *pool_base;

static int map_memory(struct vtl *vtl, uint64_t gpa, uint64_t len, void **address)
{
	(void)vtl;
	(void)len;
	*address = ram + gpa;
	return 0;
}

static int protect(struct vtl *vtl, uint64_t gpa, uint64_t len, uint32_t access)
{
	(void)vtl;
	assert_int_equal(access, 0);
	protected_gpa = gpa;
	protected_len = len;
	return 0;
}

struct dma_pool *dma_pool_create(uint64_t gpa, void *base, uint64_t len)
{
	pool_gpa = gpa;
	pool_base = base;
	pool_len = len;
	return (struct dma_pool *)ram;
}

void machine_end(struct machine *machine, enum host_port_result result, const char *format, ...)
{
	(void)machine;
	(void)result;
	fail_msg("%s", format);
}

/* Memory of devices is not the guest's: neither its own accesses reach it nor a device's on its behalf. */
static void test_map(void **state)
{
	static const struct vtl_ops ops = { .map_memory = map_memory, .protect = protect };
	struct vtl vtl = { &ops };
	struct machine m = { .vtl = &vtl, .topology = topology };
	struct dma_pool *pool;

	(void)state;
	m.options.kernel = (struct boot_range){ 62 * MIB, 2 * MIB };
	assert_int_equal(guest_ram_map(&m, 4 * MIB, &pool), 0);
	assert_int_equal(pool_gpa, 58 * MIB);
	assert_int_equal(pool_len, 4 * MIB);
	assert_ptr_equal(pool_base, ram + 58 * MIB);
	assert_int_equal(protected_gpa, pool_gpa);
	assert_int_equal(protected_len, pool_len);
	assert_true(guest_memory_contains(m.memory, 0, 58 * MIB));
	assert_true(guest_memory_contains(m.memory, 62 * MIB, 2 * MIB));
	assert_false(guest_memory_contains(m.memory, 58 * MIB - 1, 2));
	assert_false(guest_memory_contains(m.memory, 60 * MIB, 1));
	assert_false(guest_memory_contains(m.memory, 62 * MIB - 1, 1));
	guest_memory_destroy(m.memory);

	assert_int_equal(guest_ram_map(&m, 0, &pool), 0);
	assert_null(pool);
	assert_true(guest_memory_contains(m.memory, 0, 64 * MIB));
	guest_memory_destroy(m.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_place, setup),
		cmocka_unit_test_setup(test_payloads, setup),
		cmocka_unit_test_setup(test_map, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
