/* A relayed function: what its guest reaches, and what it does not. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/pci/pci_relay.h"
#include "tests/unit/devices/pci/fake_device.h"

#define MSIX 0x50
#define PBA  0x1000

static struct fake_device fake;
static struct pci_relay *relay;
static struct pci_function *function;
static unsigned int messages;
static uint32_t message;

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	assert_int_equal(address, 0xfee00000);
	message = data;
	messages++;
}

static const struct pci_bus_ops bus_ops = { .msi = msi };

static int setup(void **state)
{
	(void)state;
	messages = 0;
	fake_device_init(&fake);
	if (pci_relay_create(&fake.pci, &relay))
		return -1;
	function = pci_relay_function(relay);
	function->bus.ops = &bus_ops;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_relay_destroy(relay);
	return 0;
}

static void write_config(uint16_t offset, unsigned int size, uint32_t value)
{
	function->ops->config_write(function, offset, size, value);
}

static uint32_t read_config(uint16_t offset, unsigned int size)
{
	return function->ops->config_read(function, offset, size);
}

static void write_bar(unsigned int bar, uint64_t offset, unsigned int size, uint64_t value)
{
	function->ops->bar_write(function, bar, offset, size, value);
}

static uint64_t read_bar(unsigned int bar, uint64_t offset, unsigned int size)
{
	return function->ops->bar_read(function, bar, offset, size);
}

/* As Linux programs a vector of its table, and the function. */
static void program(unsigned int vector, uint32_t data)
{
	write_bar(4, vector * 16, 4, 0xfee00000);
	write_bar(4, vector * 16 + 4, 4, 0);
	write_bar(4, vector * 16 + 8, 4, data);
	write_bar(4, vector * 16 + 12, 4, 0);
}

static unsigned int own_msix(void)
{
	unsigned int at = read_config(PCI_CAPABILITY_POINTER, 1);

	while (at && read_config((uint16_t)at, 1) != PCI_CAP_MSIX)
		at = read_config((uint16_t)(at + 1), 1);
	assert_true(at);
	return at;
}

static void it_looks_like_the_function(void **state)
{
	(void)state;
	assert_int_equal(read_config(PCI_VENDOR_ID, 4), 0x00BA1414);
	assert_int_equal(read_config(PCI_REVISION_ID, 4), PCI_CLASS_ETHERNET << 8 | 7);
	assert_int_equal(function->ops->bar_size(function, 0), 0x20000);
	assert_true(function->ops->bar_is_64bit(function, 0));
	assert_int_equal(function->ops->bar_size(function, 1), 0);
	assert_int_equal(function->ops->bar_size(function, 4), 0x4000);
	assert_int_equal(pci_relay_vectors(relay), 5);
	assert_int_equal(read_config((uint16_t)(own_msix() + PCI_MSIX_CONTROL), 2), 4);
	/* BARs are where its guest puts them, which is nothing to the function. */
	write_config(PCI_BAR(0), 4, 0x12340000);
	assert_int_equal(read_config(PCI_BAR(0), 4), 0x12340000 | PCI_BAR_64BIT);
	assert_int_equal(fake.config[PCI_BAR(0) + 2], 0);
}

static void registers_are_the_functions_own(void **state)
{
	(void)state;
	write_bar(0, 0x10008, 8, 42);
	assert_int_equal(fake.writes, 1);
	assert_int_equal(fake.offset, 0x10008);
	assert_int_equal(fake.value, 42);
	assert_int_equal(read_bar(0, 0x10008, 4), 0x55667788);
	assert_int_equal(read_bar(4, 0x3000, 4), 0x55667788);
	/* What the function is never asked. */
	assert_int_equal(read_bar(0, 3, 4), UINT64_MAX);
	assert_int_equal(read_bar(0, 2, 2), UINT64_MAX);
	write_bar(0, 7, 8, 1);
	assert_int_equal(fake.writes, 1);
}

/* Nothing of table and pending bits, nor of the pages that they are in. */
static void interrupts_are_not_the_functions_own(void **state)
{
	uint64_t offset;

	(void)state;
	for (offset = 0; offset < 0x2000; offset += 4)
		write_bar(4, offset, 4, 0xffffffff);
	assert_int_equal(fake.writes, 0);
	assert_int_equal(read_bar(4, 0x800, 4), UINT64_MAX);
	assert_int_equal(fake.reads, 0);
	write_bar(4, 0x2000, 4, 1);
	assert_int_equal(fake.writes, 1);
}

static void an_interrupt_goes_where_its_guest_says(void **state)
{
	(void)state;
	assert_int_equal(pci_relay_bind(relay, 3, NULL), 0);
	assert_int_equal(pci_relay_bind(relay, 5, NULL), -EINVAL);
	program(3, 99);
	fake.bound[3]->raised(fake.bound[3]);
	assert_int_equal(messages, 0); /* MSI-X is off */
	write_config((uint16_t)(own_msix() + PCI_MSIX_CONTROL), 2, PCI_MSIX_CONTROL_ENABLE);
	write_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(messages, 1);
	assert_int_equal(message, 99);
	fake.bound[3]->raised(fake.bound[3]);
	assert_int_equal(messages, 2);
	function->ops->reset(function);
	fake.bound[3]->raised(fake.bound[3]);
	assert_int_equal(messages, 2);
}

static void dma_ends_with_a_reset(void **state)
{
	(void)state;
	assert_int_equal(fake.resets, 1);
	assert_int_equal(fake.config[PCI_COMMAND], PCI_COMMAND_MEMORY);
	write_config(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(fake.config[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	function->ops->reset(function);
	assert_int_equal(fake.config[PCI_COMMAND], PCI_COMMAND_MEMORY);
	assert_int_equal(fake.resets, 2);
	function->ops->reset(function); /* nobody has touched it since */
	assert_int_equal(fake.resets, 2);
	write_bar(0, 0, 8, 1);
	function->ops->destroy(function);
	assert_int_equal(fake.resets, 3);
}

static void what_cannot_be_relayed_is_refused(void **state)
{
	struct pci_relay *other;

	(void)state;
	fake.config[PCI_CAPABILITY_POINTER] = 0;
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.config[0x41] = 0x40; /* a list that is a circle */
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.config[MSIX + PCI_MSIX_PBA] = 0; /* pending bits in another BAR */
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.config[MSIX + PCI_MSIX_TABLE + 1] = 0x40; /* beyond the BAR */
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.vectors = 6; /* more than the table has */
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.bar_size[0] = 0x18000;
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.bar_size[0] = 256;
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
	fake_device_init(&fake);
	fake.bar_size[5] = 4096;
	fake.config[PCI_BAR(5)] = PCI_BAR_64BIT; /* of which there is no upper half */
	fake.bar_size[4] = 0;
	assert_int_equal(pci_relay_create(&fake.pci, &other), -EINVAL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_looks_like_the_function),
		TEST(registers_are_the_functions_own),
		TEST(interrupts_are_not_the_functions_own),
		TEST(an_interrupt_goes_where_its_guest_says),
		TEST(dma_ends_with_a_reset),
		TEST(what_cannot_be_relayed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
