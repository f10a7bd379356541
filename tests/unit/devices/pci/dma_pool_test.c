#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/pci/dma_pool.h"

#define PAGE  4096u
#define PAGES 16u
#define GPA   0x123450000ull

static uint8_t memory[PAGES * PAGE] __attribute__((aligned(4096)));
static struct dma_pool *pool;

static int setup(void **state)
{
	(void)state;
	memset(memory, 0xEE, sizeof(memory));
	pool = dma_pool_create(GPA, memory, sizeof(memory));
	return pool ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dma_pool_destroy(pool);
	return 0;
}

static void memory_is_contiguous_zeroed_and_where_it_says(void **state)
{
	struct pci_dma a, b;

	(void)state;
	assert_int_equal(dma_pool_alloc(pool, 3 * PAGE - 5, &a), 0);
	assert_int_equal(dma_pool_alloc(pool, 1, &b), 0);
	assert_int_equal(a.len, 3 * PAGE);
	assert_int_equal(b.len, PAGE);
	assert_int_equal(a.address - GPA, (uint8_t *)a.base - memory);
	assert_int_equal(b.address - GPA, (uint8_t *)b.base - memory);
	assert_true(b.address >= a.address + a.len || a.address >= b.address + b.len);
	for (size_t i = 0; i < a.len; i++)
		assert_int_equal(((uint8_t *)a.base)[i], 0);
	assert_int_equal(dma_pool_used(pool), 4 * PAGE);
	dma_pool_free(pool, &a);
	dma_pool_free(pool, &b);
	assert_int_equal(dma_pool_used(pool), 0);
	assert_null(a.base);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct pci_dma all, more;

	(void)state;
	assert_int_equal(dma_pool_alloc(pool, sizeof(memory) + 1, &more), -ENOMEM);
	assert_int_equal(dma_pool_alloc(pool, 0, &more), -ENOMEM);
	assert_int_equal(dma_pool_alloc(pool, sizeof(memory), &all), 0);
	assert_int_equal(dma_pool_alloc(pool, 1, &more), -ENOMEM);
	dma_pool_free(pool, &all);
	assert_int_equal(dma_pool_alloc(pool, 1, &more), 0);
	dma_pool_free(pool, &more);
}

static void holes_are_used_again_but_not_joined_over_others(void **state)
{
	struct pci_dma pieces[PAGES], two;

	(void)state;
	for (unsigned int i = 0; i < PAGES; i++)
		assert_int_equal(dma_pool_alloc(pool, PAGE, &pieces[i]), 0);
	dma_pool_free(pool, &pieces[3]);
	dma_pool_free(pool, &pieces[5]);
	assert_int_equal(dma_pool_alloc(pool, 2 * PAGE, &two), -ENOMEM);
	dma_pool_free(pool, &pieces[4]);
	assert_int_equal(dma_pool_alloc(pool, 2 * PAGE, &two), 0);
	assert_int_equal(two.address, GPA + 3 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_is_contiguous_zeroed_and_where_it_says,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(holes_are_used_again_but_not_joined_over_others,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
