/*
 * A bus whose guest, function and owner all act at once, for the sanitizers: VPs touch configuration
 * space and BAR, the function raises interrupts and changes its doorbells, interrupts are retargeted, the
 * function is given on to another VTL that writes to it, while the channel powers the bus up and down.
 * Nothing of the function may show after power-down.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pci_direct.h"
#include "proto/vpci.h"
#include "tests/unit/devices/vpci/vpci_bus.h"

#ifndef ROUNDS
#define ROUNDS 2000
#endif

static struct vpci_bus bus;
static atomic_bool stop;
static atomic_uint taken; /* direct writes */

static uint64_t config(unsigned int offset)
{
	return BUS_WINDOW + VPCI_CONFIG_SPACE + offset;
}

static void *use_memory(void *arg)
{
	unsigned int i = (unsigned int)(uintptr_t)arg;
	uint64_t value;

	while (!atomic_load(&stop)) {
		i = i * 1103515245 + 12345;
		vpci_mmio_write(bus.vpci, BUS_BAR + TEST_FUNCTION_SCRATCH, 8, i);
		vpci_mmio_read(bus.vpci, BUS_BAR + TEST_FUNCTION_SCRATCH, 8, &value);
		vpci_mmio_write(bus.vpci, config(0x04), 2, (i >> 16 & 1) ? 6 : 0);
		vpci_mmio_read(bus.vpci, config(0x10), 4, &value);
		vpci_retarget(bus.vpci, 0xfee00000, i >> 16 & 15, i >> 20 & 3, 32 + (i >> 24));
	}
	return NULL;
}

/* The guest gives the function on, at one of two places, takes it back, and gives a vector. */
static void *give_on(void *arg)
{
	unsigned int i = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		vpci_bus_tell(&bus, PCI_DIRECT_BAR(0), i % 3 * BUS_DIRECT);
		vpci_bus_tell(&bus, PCI_DIRECT_VECTOR(i % TEST_FUNCTION_VECTORS),
			      (uint64_t)(i & 0x1f) << 32 | (i & 3));
		i++;
	}
	return NULL;
}

/* The VTL that has it: registers, vectors of its table, and where no register is. */
static void *write_directly(void *arg)
{
	static const uint64_t offsets[] = { TEST_FUNCTION_SCRATCH, TEST_FUNCTION_RAISE,
					    TEST_FUNCTION_TABLE + 12, TEST_FUNCTION_BAR_SIZE - 4,
					    TEST_FUNCTION_BAR_SIZE };
	unsigned int i = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		uint64_t offset = offsets[i % 5];

		if (vpci_direct_write(bus.vpci, (1 + i % 2) * BUS_DIRECT + offset, 1u << i % 4, i))
			atomic_fetch_add(&taken, 1);
		i++;
	}
	return NULL;
}

static void *act(void *arg)
{
	unsigned int i = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		bus.function->function.bus.ops->msi(bus.vpci, 0xfee00000, i++ & 15);
		test_function_set_doorbell(bus.function, i % 3 ? 77 : -1);
	}
	return NULL;
}

static uint32_t status_of(const void *request, size_t len)
{
	const struct vpci_status_reply *reply = vpci_bus_request(&bus, request, len);

	assert_non_null(reply);
	return reply->status;
}

static void one_round(void)
{
	struct vpci_d0_entry d0 = { .type = VPCI_BUS_D0ENTRY, .mmio_base = BUS_WINDOW };
	struct vpci_create_interrupt3 create = { .type = VPCI_CREATE_INTERRUPT3,
						 .vector = 40,
						 .vector_count = 1,
						 .processor_count = 1 };
	struct vpci_delete_interrupt delete = { .type = VPCI_DELETE_INTERRUPT };
	struct vpci_child_message down = { .type = VPCI_BUS_D0EXIT };
	const struct vpci_create_interrupt_reply *reply;
	uint64_t value;
	unsigned int i;

	assert_int_equal(status_of(&d0, sizeof(d0)), VPCI_STATUS_SUCCESS);
	vpci_mmio_write(bus.vpci, config(0x10), 4, (uint32_t)BUS_BAR);
	vpci_mmio_write(bus.vpci, config(0x14), 4, BUS_BAR >> 32);
	for (i = 0; i < 8; i++) {
		reply = vpci_bus_request(&bus, &create, VPCI_CREATE_INTERRUPT3_SIZE);
		assert_non_null(reply);
		assert_int_equal(reply->status, VPCI_STATUS_SUCCESS);
		delete.interrupt = reply->interrupt;
		if (i & 1)
			assert_int_equal(status_of(&delete, sizeof(delete)), VPCI_STATUS_SUCCESS);
	}
	assert_int_equal(status_of(&down, sizeof(down)), VPCI_STATUS_SUCCESS);
	assert_false(vpci_mmio_read(bus.vpci, BUS_BAR, 8, &value));
	assert_false(vpci_mmio_read(bus.vpci, BUS_WINDOW, 4, &value));
	assert_false(vpci_direct_write(bus.vpci, BUS_DIRECT, 8, 1));
	assert_false(vpci_direct_write(bus.vpci, 2 * BUS_DIRECT, 8, 1));
}

static void everything_at_once(void **state)
{
	struct vpci_version_request version = { VPCI_QUERY_PROTOCOL_VERSION, VPCI_VERSION_1_4 };
	static void *(*const all[])(void *arg) = { use_memory, use_memory, act, give_on,
						   write_directly };
	pthread_t threads[5];
	unsigned int i;

	(void)state;
	assert_int_equal(vpci_bus_init(&bus, 4), 0);
	assert_int_equal(status_of(&version, sizeof(version)), VPCI_STATUS_SUCCESS);
	for (i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, all[i], (void *)(uintptr_t)i),
				 0);
	for (i = 0; i < ROUNDS; i++)
		one_round();
	atomic_store(&stop, true);
	for (i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_true(bus.interrupts > 0);
	assert_true(taken > 0);
	vpci_bus_fini(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
