/* A function of configuration space and MSI-X, seen by a driver through the in-process bus. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/pci_device.h"
#include "core/pci_function.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_inproc.h"
#include "devices/pci/pci_msix.h"

#define VECTORS 65u
#define TABLE   0x1000u
#define PBA     0x2000u
#define RAM     (64u << 10)
#define POOL    0x100000000ull

struct machine {
	struct pci_function function;
	struct pci_config_space space;
	struct pci_msix *msix;
	unsigned int resets;
	uint64_t scratch;

	struct guest_memory *memory;
	uint8_t *ram;
	struct event_loop *loop;
	struct pci_inproc *inproc;
	struct pci_device_access *pci;
	struct pci_interrupt interrupts[2];
	unsigned int raised[2];
};

static struct machine m;

/* --- The function: scratch bytes, MSI-X */

static uint32_t config_read(struct pci_function *function, uint16_t offset, unsigned int size)
{
	(void)function;
	return pci_config_space_read(&m.space, offset, size);
}

static void reset(struct pci_function *function)
{
	(void)function;
	pci_config_space_reset(&m.space);
	pci_msix_reset(m.msix);
	m.resets++;
}

static void config_write(struct pci_function *function, uint16_t offset, unsigned int size,
			 uint32_t value)
{
	if (pci_config_space_write(&m.space, offset, size, value))
		reset(function);
	else
		pci_msix_config_written(m.msix);
}

static uint64_t bar_size(struct pci_function *function, unsigned int bar)
{
	(void)function;
	return pci_config_space_bar_size(&m.space, bar);
}

static bool bar_is_64bit(struct pci_function *function, unsigned int bar)
{
	(void)function;
	return pci_config_space_bar_is_64bit(&m.space, bar);
}

static uint64_t bar_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	(void)function;
	return pci_msix_covers(m.msix, bar, offset, size) ? pci_msix_read(m.msix, offset, size)
							  : m.scratch;
}

static void bar_write(struct pci_function *function, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	(void)function;
	if (pci_msix_covers(m.msix, bar, offset, size))
		pci_msix_write(m.msix, offset, size, value);
	else
		m.scratch = value;
}

static const struct pci_function_ops function_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.bar_is_64bit = bar_is_64bit,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.reset = reset,
};

static void raised(struct pci_interrupt *interrupt)
{
	m.raised[interrupt - m.interrupts]++;
}

static int setup(void **state)
{
	static const struct pci_identity identity = {
		.vendor = 0x1234, .device = 0x5678, .subsystem = 9, .class_code = PCI_CLASS_NVME
	};
	static const struct pci_msix_layout layout = { VECTORS, 0, TABLE, PBA };
	struct pci_inproc_config config = { .pool_address = POOL, .pool_len = 32 << 10 };

	(void)state;
	memset(&m, 0, sizeof(m));
	m.interrupts[0].raised = m.interrupts[1].raised = raised;
	m.function.ops = &function_ops;
	pci_config_space_init(&m.space, &identity);
	pci_config_space_add_bar(&m.space, 0, 0x4000, true);
	pci_config_space_add_express(&m.space);
	m.msix = pci_msix_create(&m.function, &m.space, &layout);
	m.loop = event_loop_create();
	m.memory = guest_memory_create();
	m.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guest_memory_add(m.memory, 0, m.ram, RAM))
		return -1;
	config.function = &m.function;
	config.memory = m.memory;
	m.inproc = pci_inproc_create(&config);
	m.pci = pci_inproc_device(m.inproc);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_inproc_destroy(m.inproc);
	pci_msix_destroy(m.msix);
	guest_memory_destroy(m.memory);
	munmap(m.ram, RAM);
	event_loop_destroy(m.loop);
	return 0;
}

static uint32_t config(uint16_t offset, unsigned int size)
{
	uint32_t value;

	assert_int_equal(m.pci->ops->config_read(m.pci, offset, size, &value), 0);
	return value;
}

static void set_config(uint16_t offset, unsigned int size, uint32_t value)
{
	assert_int_equal(m.pci->ops->config_write(m.pci, offset, size, value), 0);
}

/* Interrupts of handler 0 since the last call. */
static unsigned int interrupts(void)
{
	unsigned int count;

	while (event_loop_run_once(m.loop, 0) > 0)
		;
	count = m.raised[0];
	m.raised[0] = 0;
	return count;
}

static void header(void **state)
{
	(void)state;
	assert_int_equal(config(PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(config(PCI_REVISION_ID, 4), PCI_CLASS_NVME << 8);
	assert_int_equal(config(PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
	assert_int_equal(config(0x100, 4), 0);
	assert_int_equal(m.pci->ops->config_read(m.pci, 2, 4, &(uint32_t){ 0 }), -EINVAL);

	set_config(PCI_VENDOR_ID, 2, 0xFFFF);
	assert_int_equal(config(PCI_VENDOR_ID, 2), 0x1234);
	set_config(PCI_COMMAND, 2, 0xFFFF);
	assert_int_equal(config(PCI_COMMAND, 2), 0x0546);
}

static void bar_sizing(void **state)
{
	(void)state;
	set_config(PCI_BAR(0), 4, 0xFFFFFFFF);
	set_config(PCI_BAR(1), 4, 0xFFFFFFFF);
	assert_int_equal(config(PCI_BAR(0), 4), 0xFFFFC004);
	assert_int_equal(config(PCI_BAR(1), 4), 0xFFFFFFFF);
	set_config(PCI_BAR(2), 4, 0xFFFFFFFF);
	assert_int_equal(config(PCI_BAR(2), 4), 0);
	assert_int_equal(m.pci->ops->bar_size(m.pci, 0), 0x4000);
	assert_int_equal(m.pci->ops->bar_size(m.pci, 1), 0);
}

static void capabilities(void **state)
{
	uint8_t at = (uint8_t)config(PCI_CAPABILITY_POINTER, 1);

	(void)state;
	assert_int_equal(config(at, 1), PCI_CAP_EXPRESS);
	at = (uint8_t)config((uint16_t)(at + 1), 1);
	assert_int_equal(config(at, 1), PCI_CAP_MSIX);
	assert_int_equal(config((uint16_t)(at + 1), 1), 0);
	assert_int_equal(config((uint16_t)(at + PCI_MSIX_CONTROL), 2), VECTORS - 1);
	assert_int_equal(config((uint16_t)(at + PCI_MSIX_TABLE), 4), TABLE);
	assert_int_equal(m.pci->ops->vector_count(m.pci), VECTORS);
}

static void interrupt_delivery(void **state)
{
	(void)state;
	assert_int_equal(m.pci->ops->bind(m.pci, 1, m.loop, &m.interrupts[0]), 0);
	assert_int_equal(m.pci->ops->bind(m.pci, 1, m.loop, &m.interrupts[0]), -EBUSY);
	assert_int_equal(m.pci->ops->bind(m.pci, VECTORS, m.loop, &m.interrupts[0]), -EINVAL);

	/* Not without bus mastering; but then what was raised comes. */
	pci_msix_raise(m.msix, 1);
	assert_int_equal(interrupts(), 0);
	assert_int_equal(pci_read64(m.pci, 0, PBA), 2);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(pci_read64(m.pci, 0, PBA), 0);

	pci_msix_raise(m.msix, 1);
	assert_int_equal(interrupts(), 1);
	pci_msix_raise(m.msix, 0); /* nobody's: stays pending */
	pci_msix_raise(m.msix, 64);
	pci_msix_raise(m.msix, VECTORS);
	assert_int_equal(interrupts(), 0);
	assert_int_equal(pci_read32(m.pci, 0, PBA), 1);
	assert_int_equal(pci_read64(m.pci, 0, PBA + 8), 1);

	m.pci->ops->unbind(m.pci, 1);
	pci_msix_raise(m.msix, 1);
	assert_int_equal(interrupts(), 0);
	assert_int_equal(pci_inproc_bound(m.inproc), 0);
}

static void masks(void **state)
{
	uint16_t control = (uint16_t)(config(PCI_CAPABILITY_POINTER, 1) + PCI_EXPRESS_LEN + 2);
	uint64_t entry = TABLE + 3 * 16;

	(void)state;
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(m.pci->ops->bind(m.pci, 3, m.loop, &m.interrupts[0]), 0);
	assert_int_equal(config(control, 2), PCI_MSIX_CONTROL_ENABLE | (VECTORS - 1));
	pci_write32(m.pci, 0, entry + 12, 0xFFFFFFFF);
	assert_int_equal(pci_read64(m.pci, 0, entry + 8), 3 | 1ull << 32);
	pci_msix_raise(m.msix, 3);
	pci_msix_raise(m.msix, 3);
	assert_int_equal(interrupts(), 0);
	pci_write32(m.pci, 0, entry + 12, 0);
	assert_int_equal(interrupts(), 1);

	set_config(control, 2, PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK_ALL);
	pci_msix_raise(m.msix, 3);
	assert_int_equal(interrupts(), 0);
	set_config(control, 2, PCI_MSIX_CONTROL_ENABLE);
	assert_int_equal(interrupts(), 1);
	m.pci->ops->write(m.pci, 0, entry + 2, 2, 0xFFFF); /* not an access MSI-X has */
	assert_int_equal(pci_read32(m.pci, 0, entry), 0xFEE00000);
}

static void function_level_reset(void **state)
{
	uint16_t express = (uint16_t)config(PCI_CAPABILITY_POINTER, 1);

	(void)state;
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(m.pci->ops->bind(m.pci, 3, m.loop, &m.interrupts[0]), 0);
	assert_int_equal(m.pci->ops->reset(m.pci), 0);
	assert_int_equal(m.resets, 1);
	assert_int_equal(config(PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	pci_msix_raise(m.msix, 3);
	assert_int_equal(interrupts(), 1);

	/* By the register: nobody brings anything back. */
	set_config((uint16_t)(express + PCI_EXPRESS_DEVICE_CONTROL), 2,
		   PCI_EXPRESS_DEVICE_CONTROL_FLR);
	assert_int_equal(m.resets, 2);
	assert_int_equal(config(PCI_COMMAND, 2), 0);
	set_config((uint16_t)(express + PCI_EXPRESS_DEVICE_CONTROL + 1), 1, 0x80);
	assert_int_equal(m.resets, 3);
	pci_msix_raise(m.msix, 3);
	assert_int_equal(interrupts(), 0);
}

static void dma_pool(void **state)
{
	struct pci_dma a, b, c;
	uint64_t address, value = 0x1122334455667788;

	(void)state;
	assert_int_equal(m.pci->ops->dma_alloc(m.pci, 5000, &a), 0);
	assert_int_equal(a.len, 8192);
	assert_int_equal(m.pci->ops->dma_alloc(m.pci, 16 << 10, &b), 0);
	assert_int_equal(m.pci->ops->dma_alloc(m.pci, 12 << 10, &c), -ENOMEM);
	assert_int_equal(pci_inproc_allocated(m.inproc), 24 << 10);
	assert_int_equal(guest_memory_write(m.memory, b.address + 8, &value, 8), 0);
	assert_memory_equal((uint8_t *)b.base + 8, &value, 8);
	m.pci->ops->dma_free(m.pci, &b);
	assert_int_equal(m.pci->ops->dma_alloc(m.pci, 24 << 10, &b), 0);
	assert_int_equal(*((uint64_t *)b.base + 1), 0);
	m.pci->ops->dma_free(m.pci, &a);
	m.pci->ops->dma_free(m.pci, &b);
	assert_int_equal(pci_inproc_allocated(m.inproc), 0);

	assert_int_equal(m.pci->ops->dma_address(m.pci, 4096, 8192, &address), 0);
	assert_int_equal(address, 4096);
	assert_int_equal(m.pci->ops->dma_address(m.pci, RAM - 1, 2, &address), -EFAULT);
	assert_int_equal(m.pci->ops->dma_address(m.pci, POOL, 4096, &address), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(header, setup, teardown),
		cmocka_unit_test_setup_teardown(bar_sizing, setup, teardown),
		cmocka_unit_test_setup_teardown(capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_delivery, setup, teardown),
		cmocka_unit_test_setup_teardown(masks, setup, teardown),
		cmocka_unit_test_setup_teardown(function_level_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(dma_pool, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
