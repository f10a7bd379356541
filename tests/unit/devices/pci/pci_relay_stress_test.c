/*
 * A relayed function whose guest, bus and interrupts act at once, for the sanitizers. The bus serialises what it
 * says, as core/pci_function.h promises; the guest's writes to the table and the interrupts come beside it. What the
 * host knows in the end has to be so.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pci_function.h"
#include "devices/pci/pci_relay.h"
#include "tests/unit/devices/pci/fake_device.h"

#ifndef ROUNDS
#define ROUNDS 100
#endif

#define STEPS   200u
#define VECTORS 5u
#define GPA     0x100040000ull
#define ON      (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

static struct fake_device fake;
static struct pci_relay *relay;
static struct pci_function *function;
static pthread_mutex_t bus_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint first_vp;
static atomic_uint messages;

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	(void)address;
	(void)data;
	atomic_fetch_add(&messages, 1);
}

static bool msi_target(void *ctx, uint64_t address, uint32_t data, uint32_t *vp, uint8_t *vector)
{
	(void)ctx;
	*vp = atomic_load(&first_vp) + data;
	*vector = (uint8_t)(0x20 + data);
	return address == 0xfee00000;
}

static const struct pci_bus_ops bus_ops = { .msi = msi, .msi_target = msi_target };

static void set_config(unsigned int offset, unsigned int size, uint32_t value)
{
	pthread_mutex_lock(&bus_lock);
	function->ops->config_write(function, (uint16_t)offset, size, value);
	pthread_mutex_unlock(&bus_lock);
}

static void enable_msix(bool on)
{
	unsigned int at = PCI_HEADER_END; /* the first that a relay has */

	set_config(at + PCI_MSIX_CONTROL, 2, on ? PCI_MSIX_CONTROL_ENABLE : 0);
}

static void move_bar(uint64_t gpa)
{
	pthread_mutex_lock(&bus_lock);
	function->ops->bar_moved(function, 0, gpa);
	pthread_mutex_unlock(&bus_lock);
}

static void move_interrupts(unsigned int vp)
{
	pthread_mutex_lock(&bus_lock);
	atomic_store(&first_vp, vp);
	function->ops->targets_changed(function);
	pthread_mutex_unlock(&bus_lock);
}

static void set_table(unsigned int vector, unsigned int offset, uint32_t value)
{
	function->ops->bar_write(function, 4, vector * 16 + offset, 4, value);
}

/* --- Who acts */

static void *configure(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < STEPS; i++) {
		set_config(PCI_COMMAND, 2, i % 3 ? ON : PCI_COMMAND_MEMORY);
		enable_msix(i % 5);
		move_bar(i % 4 * GPA);
	}
	set_config(PCI_COMMAND, 2, ON);
	enable_msix(true);
	move_bar(GPA);
	return NULL;
}

static void *retarget(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i <= STEPS; i++)
		move_interrupts(i);
	return NULL;
}

static void *mask(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < STEPS; i++)
		set_table(i % VECTORS, 12, i / VECTORS % 2);
	for (unsigned int i = 0; i < VECTORS; i++)
		set_table(i, 12, i == 3);
	return NULL;
}

static void *raise(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < STEPS; i++)
		fake.bound[i % VECTORS]->raised(fake.bound[i % VECTORS]);
	return NULL;
}

/* --- */

static void program(void)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		set_table(i, 0, 0xfee00000);
		set_table(i, 8, i);
	}
}

static void check(void)
{
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(fake.direct_bar[4], 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(fake.direct_vector[i],
				 i == 3 ? 0 : (uint64_t)(0x20 + i) << 32 | (STEPS + i));
}

static void one_round(void)
{
	static void *(*const all[])(void *arg) = { configure, retarget, mask, mask, raise };
	pthread_t threads[5];

	program();
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, all[i], NULL), 0);
	for (unsigned int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	check();
}

static void everything_at_once(void **state)
{
	(void)state;
	fake_device_init(&fake);
	fake_device_add_direct(&fake);
	assert_int_equal(pci_relay_create(&fake.pci, &relay), 0);
	function = pci_relay_function(relay);
	function->bus.ops = &bus_ops;
	for (unsigned int i = 0; i < VECTORS; i++)
		assert_int_equal(pci_relay_bind(relay, i, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		one_round();
		function->ops->reset(function);
		assert_int_equal(fake.direct_bar[0], 0);
		assert_int_equal(fake.direct_vector[0], 0);
	}
	assert_true(messages > 0);
	pci_relay_destroy(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
