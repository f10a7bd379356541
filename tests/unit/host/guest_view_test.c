/* What a device reaches of each VTL's memory. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/guest_access.h"
#include "core/guest_memory.h"
#include "host/guest_view.h"

#define MIB (1ull << 20)

static struct host_memory memory;
static struct guest_memory *vtl0, *vtl2;

static int setup(void **state)
{
	(void)state;
	vtl0 = guest_memory_create();
	vtl2 = guest_memory_create();
	return !vtl0 || !vtl2 || host_memory_init(&memory, 64 * MIB, 32 * MIB) ||
	       guest_view_fill(vtl0, &memory, HOST_VIEW_VTL0) ||
	       guest_view_fill(vtl2, &memory, HOST_VIEW_VTL2);
}

static int teardown(void **state)
{
	(void)state;
	guest_memory_destroy(vtl0);
	guest_memory_destroy(vtl2);
	host_memory_destroy(&memory);
	return 0;
}

static void vtl0s_device_does_not_reach_vtl2(void **state)
{
	uint64_t secret = 42, seen = 0;

	(void)state;
	assert_int_equal(guest_memory_write(vtl2, memory.vtl2_base, &secret, sizeof(secret)), 0);
	assert_int_equal(guest_memory_read(vtl0, memory.vtl2_base, &seen, sizeof(seen)), -EFAULT);
	assert_int_equal(guest_memory_write(vtl0, memory.vtl2_base, &seen, sizeof(seen)), -EFAULT);
	assert_int_equal(seen, 0);
	assert_int_equal(guest_memory_read(vtl0, 62 * MIB, &seen, sizeof(seen)), 0);
}

/* What VTL2 takes for itself, and gives back, while a device runs. */
static void nor_what_vtl2_has_taken(void **state)
{
	const uint64_t gpa = 62 * MIB;
	uint64_t value = 1, seen = 0;

	(void)state;
	assert_int_equal(guest_access_install_fault_handler(), 0); /* over cmocka's own */
	assert_int_equal(guest_memory_write(vtl0, gpa, &value, sizeof(value)), 0);
	assert_int_equal(host_memory_protect(&memory, gpa, 2 * MIB, 0), 0);
	assert_int_equal(guest_memory_read(vtl0, gpa, &seen, sizeof(seen)), -EFAULT);
	assert_int_equal(guest_memory_write(vtl0, gpa + 2 * MIB - 8, &value, 8), -EFAULT);
	assert_int_equal(guest_memory_read(vtl0, gpa - 4, &seen, sizeof(seen)), -EFAULT);
	assert_int_equal(guest_memory_read(vtl2, gpa, &seen, sizeof(seen)), 0);
	assert_int_equal(seen, 1);
	assert_int_equal(host_memory_protect(&memory, gpa, 2 * MIB, HOST_READ), 0);
	assert_int_equal(guest_memory_read(vtl0, gpa, &seen, sizeof(seen)), 0);
	assert_int_equal(guest_memory_write(vtl0, gpa, &value, sizeof(value)), -EFAULT);
	assert_int_equal(host_memory_protect(&memory, gpa, 2 * MIB, HOST_ALL), 0);
	assert_int_equal(guest_memory_write(vtl0, gpa, &value, sizeof(value)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(vtl0s_device_does_not_reach_vtl2, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_what_vtl2_has_taken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
