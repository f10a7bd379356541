#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/guest_memory.h"
#include "paravisor/boot/memory_map.h"

#define MIB 0x100000ull

/* Memory maps never touch what they describe, so one page's address may stand for gigabytes. */
static uint8_t *const nowhere = (uint8_t *)0x100000000;

static struct guest_memory *guest(const struct boot_range *ranges, unsigned int count)
{
	struct guest_memory *gm = guest_memory_create();
	unsigned int i;

	assert_non_null(gm);
	for (i = 0; i < count; i++)
		assert_int_equal(guest_memory_add(gm, ranges[i].gpa, nowhere, ranges[i].len), 0);
	return gm;
}

static void assert_entry(const struct memory_map *map, unsigned int i, uint64_t gpa, uint64_t end,
			 enum e820_type type)
{
	assert_true(i < map->count);
	assert_int_equal(map->entries[i].range.gpa, gpa);
	assert_int_equal(map->entries[i].range.gpa + map->entries[i].range.len, end);
	assert_int_equal(map->entries[i].type, type);
}

static void looks_like_a_pc(void **state)
{
	const struct boot_range ram[] = { { 0, 3072 * MIB }, { 4096 * MIB, 1024 * MIB } };
	struct guest_memory *gm = guest(ram, 2);
	struct memory_map map;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), 0);
	assert_int_equal(map.count, 5);
	assert_entry(&map, 0, 0, 0x9fc00, E820_RAM);
	assert_entry(&map, 1, 0x9fc00, 0xa0000, E820_RESERVED);
	assert_entry(&map, 2, 0xe0000, MIB, E820_RESERVED);
	assert_entry(&map, 3, MIB, 3072 * MIB, E820_RAM);
	assert_entry(&map, 4, 4096 * MIB, 5120 * MIB, E820_RAM);
	assert_false(memory_map_is_ram(&map, 0xb8000, 1));
	assert_false(memory_map_is_ram(&map, 3072 * MIB - 1, 2));
	assert_false(memory_map_is_ram(&map, UINT64_MAX - 1, 4));
	assert_true(memory_map_is_ram(&map, MIB, 3071 * MIB));
	guest_memory_destroy(gm);
}

static void joins_adjacent_ram(void **state)
{
	const struct boot_range ram[] = { { 0, 2 * MIB }, { 2 * MIB, 2 * MIB } };
	struct guest_memory *gm = guest(ram, 2);
	struct memory_map map;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), 0);
	assert_true(memory_map_is_ram(&map, MIB, 3 * MIB));
	guest_memory_destroy(gm);
}

static void carves_reserved_ranges(void **state)
{
	const struct boot_range ram[] = { { 0, 64 * MIB } };
	const struct boot_region reserved[] = {
		{ { 32 * MIB, MIB }, E820_NVS },
		{ { 63 * MIB, 2 * MIB }, E820_ACPI }, /* half of it outside RAM */
	};
	struct guest_memory *gm = guest(ram, 1);
	struct memory_map map;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, reserved, 2), 0);
	assert_int_equal(map.count, 7);
	assert_entry(&map, 3, MIB, 32 * MIB, E820_RAM);
	assert_entry(&map, 4, 32 * MIB, 33 * MIB, E820_NVS);
	assert_entry(&map, 5, 33 * MIB, 63 * MIB, E820_RAM);
	assert_entry(&map, 6, 63 * MIB, 65 * MIB, E820_ACPI);
	guest_memory_destroy(gm);
}

static void replaces_across_entries_and_holes(void **state)
{
	const struct boot_range ram[] = { { 0, 4 * MIB }, { 8 * MIB, 4 * MIB } };
	struct guest_memory *gm = guest(ram, 2);
	struct memory_map map;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), 0);
	assert_int_equal(memory_map_set(&map, 3 * MIB, 6 * MIB, E820_RESERVED), 0);
	assert_int_equal(map.count, 6);
	assert_entry(&map, 3, MIB, 3 * MIB, E820_RAM);
	assert_entry(&map, 4, 3 * MIB, 9 * MIB, E820_RESERVED);
	assert_entry(&map, 5, 9 * MIB, 12 * MIB, E820_RAM);

	assert_int_equal(memory_map_set(&map, 20 * MIB, MIB, E820_RESERVED), 0);
	assert_entry(&map, 6, 20 * MIB, 21 * MIB, E820_RESERVED);
	assert_int_equal(memory_map_set(&map, 14 * MIB, MIB, E820_NVS), 0);
	assert_entry(&map, 6, 14 * MIB, 15 * MIB, E820_NVS);
	assert_int_equal(memory_map_set(&map, UINT64_MAX, 2, E820_RESERVED), -EINVAL);
	assert_int_equal(memory_map_set(&map, 0, 0, E820_RESERVED), -EINVAL);
	guest_memory_destroy(gm);
}

static void refuses_what_is_no_pc(void **state)
{
	const struct boot_range high[] = { { 4096 * MIB, 64 * MIB } };
	const struct boot_range small[] = { { 0, MIB / 2 } };
	struct guest_memory *gm = guest(high, 1);
	struct memory_map map;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), -EINVAL);
	guest_memory_destroy(gm);
	gm = guest(small, 1);
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), -EINVAL);
	guest_memory_destroy(gm);
}

static void has_an_end(void **state)
{
	const struct boot_range ram[] = { { 0, 1024 * MIB } };
	struct guest_memory *gm = guest(ram, 1);
	struct memory_map map;
	unsigned int i;
	int ret = 0;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), 0);
	for (i = 0; i < MEMORY_MAP_ENTRIES && !ret; i++)
		ret = memory_map_set(&map, (2 + 2 * i) * MIB, MIB, E820_RESERVED);
	assert_int_equal(ret, -ENOSPC);
	guest_memory_destroy(gm);
}

static void finds_room(void **state)
{
	const struct boot_range ram[] = { { 0, 64 * MIB }, { 4096 * MIB, 64 * MIB } };
	struct guest_memory *gm = guest(ram, 2);
	struct memory_map map;
	uint64_t gpa;

	(void)state;
	assert_int_equal(memory_map_init(&map, gm, NULL, 0), 0);
	assert_int_equal(memory_map_take(&map, 0, MIB), 0);
	assert_int_equal(memory_map_take(&map, 3 * MIB, 5 * MIB), 0);
	assert_int_equal(memory_map_take(&map, 60 * MIB, 2 * MIB), 0);

	assert_int_equal(memory_map_find(&map, MIB, 4096, 0, UINT64_MAX, false, &gpa), 0);
	assert_int_equal(gpa, MIB);
	assert_int_equal(memory_map_find(&map, 4 * MIB, 2 * MIB, 0, UINT64_MAX, false, &gpa), 0);
	assert_int_equal(gpa, 8 * MIB);
	assert_int_equal(memory_map_find(&map, MIB, 4096, 0, 64 * MIB, true, &gpa), 0);
	assert_int_equal(gpa, 63 * MIB);
	assert_int_equal(memory_map_find(&map, 3 * MIB, 4 * MIB, 0, 64 * MIB, true, &gpa), 0);
	assert_int_equal(gpa, 56 * MIB);
	assert_int_equal(memory_map_find(&map, 64 * MIB, 4096, 0, UINT64_MAX, true, &gpa), 0);
	assert_int_equal(gpa, 4096 * MIB);
	assert_int_equal(memory_map_find(&map, MIB, 4096, 70 * MIB, 80 * MIB, false, &gpa),
			 -ENOSPC);
	assert_int_equal(memory_map_find(&map, MIB, 32 * MIB, 34 * MIB, 60 * MIB, true, &gpa),
			 -ENOSPC);
	assert_int_equal(memory_map_find(&map, 65 * MIB, 1, 0, UINT64_MAX, false, &gpa), -ENOSPC);
	assert_int_equal(memory_map_find(&map, MIB, 1ull << 63, 1, UINT64_MAX, true, &gpa),
			 -ENOSPC);
	assert_int_equal(memory_map_find(&map, MIB, 1ull << 63, 1, UINT64_MAX, false, &gpa),
			 -ENOSPC);
	guest_memory_destroy(gm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_like_a_pc),
		cmocka_unit_test(joins_adjacent_ram),
		cmocka_unit_test(carves_reserved_ranges),
		cmocka_unit_test(replaces_across_entries_and_holes),
		cmocka_unit_test(refuses_what_is_no_pc),
		cmocka_unit_test(has_an_end),
		cmocka_unit_test(finds_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
