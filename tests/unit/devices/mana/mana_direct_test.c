/* A card that its guest gives on to another VTL: what the bus of the card hears of it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "proto/pci.h"
#include "proto/pci_direct.h"
#include "tests/unit/devices/net/memory_backend.h"

#define GPA 0xf8100000ull

static struct event_loop *loop;
static struct memory_backend network;
static struct pci_function *function;
static uint64_t bars[PCI_BAR_COUNT];

static void direct_bar(void *ctx, unsigned int bar, uint64_t gpa)
{
	(void)ctx;
	assert_in_range(bar, 0, PCI_BAR_COUNT - 1);
	bars[bar] = gpa;
}

static const struct pci_bus_ops bus_ops = { .direct_bar = direct_bar };

static int create(bool direct)
{
	struct mana_function_config config = { .queues = 4, .direct = direct };

	memset(bars, 0, sizeof(bars));
	loop = event_loop_create();
	memory_backend_init(&network);
	config.loop = loop;
	config.backend = &network.backend;
	function = loop ? mana_function_create(&config) : NULL;
	if (!function)
		return -1;
	function->bus.ops = &bus_ops;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return create(true);
}

static int setup_plain(void **state)
{
	(void)state;
	return create(false);
}

static void run(void)
{
	while (event_loop_run_once(loop, 0) > 0)
		;
}

static int teardown(void **state)
{
	(void)state;
	run();
	function->ops->reset(function);
	run();
	function->ops->destroy(function);
	memory_backend_fini(&network);
	event_loop_destroy(loop);
	return 0;
}

/* 0: there is none. */
static unsigned int capability(enum pci_capability id)
{
	unsigned int at = function->ops->config_read(function, PCI_CAPABILITY_POINTER, 1);

	while (at && function->ops->config_read(function, (uint16_t)at, 1) != id)
		at = function->ops->config_read(function, (uint16_t)(at + 1), 1);
	return at;
}

static void set_config(unsigned int offset, unsigned int size, uint32_t value)
{
	function->ops->config_write(function, (uint16_t)offset, size, value);
}

static void give_on(void)
{
	unsigned int at = capability(PCI_CAP_VENDOR);

	assert_true(at);
	set_config(at + PCI_DIRECT_LOW, 4, (uint32_t)GPA);
	set_config(at + PCI_DIRECT_SELECT, 4, PCI_DIRECT_BAR(0));
	assert_int_equal(bars[0], GPA);
}

static void it_is_given_on_until_a_reset(void **state)
{
	(void)state;
	give_on();
	function->ops->reset(function);
	assert_int_equal(bars[0], 0);
	give_on();
	set_config(capability(PCI_CAP_EXPRESS) + PCI_EXPRESS_DEVICE_CONTROL, 2,
		   PCI_EXPRESS_DEVICE_CONTROL_FLR);
	assert_int_equal(bars[0], 0);
}

/* One that is its guest's own has nothing that says so, and says nothing. */
static void one_that_is_not_has_no_capability(void **state)
{
	(void)state;
	assert_int_equal(capability(PCI_CAP_VENDOR), 0);
	bars[0] = GPA;
	for (unsigned int at = PCI_HEADER_END; at < PCI_CONFIG_SPACE_SIZE; at += 4)
		set_config(at, 4, 0);
	function->ops->reset(function);
	assert_int_equal(bars[0], GPA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_given_on_until_a_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_not_has_no_capability, setup_plain,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
