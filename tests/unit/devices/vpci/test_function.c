#include "tests/unit/devices/vpci/test_function.h"

#include <stdlib.h>

#include "core/bytes.h"
#include "core/container_of.h"
#include "devices/pci/pci_msix.h"

static struct test_function *of(struct pci_function *function)
{
	return container_of(function, struct test_function, function);
}

static uint32_t config_read(struct pci_function *function, uint16_t offset, unsigned int size)
{
	return pci_config_space_read(&of(function)->space, offset, size);
}

static void reset(struct pci_function *function)
{
	struct test_function *test = of(function);

	pci_config_space_reset(&test->space);
	pci_msix_reset(test->msix);
	if (test->is_direct)
		pci_direct_reset(&test->direct);
	test->scratch = 0;
	test->resets++;
}

static void config_write(struct pci_function *function, uint16_t offset, unsigned int size,
			 uint32_t value)
{
	struct test_function *test = of(function);

	if (pci_config_space_write(&test->space, offset, size, value)) {
		reset(function);
		return;
	}
	pci_msix_config_written(test->msix);
	if (test->is_direct)
		pci_direct_config_written(&test->direct, offset, size);
}

static uint64_t bar_size(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_size(&of(function)->space, bar);
}

static bool bar_is_64bit(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_is_64bit(&of(function)->space, bar);
}

static uint64_t bar_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	struct test_function *test = of(function);

	if (pci_msix_covers(test->msix, bar, offset, size))
		return pci_msix_read(test->msix, offset, size);
	return offset == TEST_FUNCTION_SCRATCH ? test->scratch : 0;
}

static void bar_write(struct pci_function *function, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct test_function *test = of(function);

	if (bar || size > 8 || !size || size & (size - 1) ||
	    !range_within(offset, size, TEST_FUNCTION_BAR_SIZE))
		abort(); /* no bus lets this through */
	test->offset = offset;
	test->size = size;
	atomic_fetch_add(&test->writes, 1);
	if (pci_msix_covers(test->msix, bar, offset, size))
		pci_msix_write(test->msix, offset, size, value);
	else if (offset == TEST_FUNCTION_SCRATCH)
		test->scratch = value;
	else if (offset == TEST_FUNCTION_RAISE)
		pci_msix_raise(test->msix, (unsigned int)value);
	else if (offset == TEST_FUNCTION_DOORBELL)
		atomic_fetch_add(&test->rings, 1);
}

static unsigned int doorbells(struct pci_function *function, struct pci_doorbell *doorbells,
			      unsigned int max)
{
	struct test_function *test = of(function);

	if (test->doorbell_fd < 0 || !max)
		return 0;
	doorbells[0] = (struct pci_doorbell){
		.bar = 0, .size = 4, .offset = TEST_FUNCTION_DOORBELL, .fd = test->doorbell_fd
	};
	return 1;
}

static void bar_moved(struct pci_function *function, unsigned int bar, uint64_t gpa)
{
	struct test_function *test = of(function);

	if (bar)
		abort();
	test->base = gpa;
	atomic_fetch_add(&test->moves, 1);
}

static void targets_changed(struct pci_function *function)
{
	struct test_function *test = of(function);
	const struct pci_bus *bus = &function->bus;
	uint32_t vp;
	uint8_t vector;
	bool any = bus->ops->msi_target(bus->ctx, 0xfee00000, 0, &vp, &vector);

	test->target = any ? (uint64_t)vector << 32 | vp : 0;
	atomic_fetch_add(&test->target_changes, 1);
}

static void destroy(struct pci_function *function)
{
	struct test_function *test = of(function);

	if (test->destroyed)
		*test->destroyed = true;
	pci_msix_destroy(test->msix);
	free(test);
}

static const struct pci_function_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.bar_is_64bit = bar_is_64bit,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_moved = bar_moved,
	.targets_changed = targets_changed,
	.reset = reset,
	.doorbells = doorbells,
	.destroy = destroy,
};

struct test_function *test_function_create(bool *destroyed)
{
	static const struct pci_identity identity = {
		.vendor = TEST_FUNCTION_VENDOR,
		.device = TEST_FUNCTION_DEVICE,
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.class_code = 0xff0000,
		.revision = 1,
	};
	static const struct pci_msix_layout layout = { TEST_FUNCTION_VECTORS, 0,
						       TEST_FUNCTION_TABLE, TEST_FUNCTION_PBA };
	struct test_function *test = calloc(1, sizeof(*test));

	if (!test)
		return NULL;
	test->function.ops = &ops;
	test->doorbell_fd = -1;
	test->destroyed = destroyed;
	pci_config_space_init(&test->space, &identity);
	pci_config_space_add_bar(&test->space, 0, TEST_FUNCTION_BAR_SIZE, true);
	pci_config_space_add_express(&test->space);
	test->msix = pci_msix_create(&test->function, &test->space, &layout);
	if (!test->msix) {
		free(test);
		return NULL;
	}
	return test;
}

void test_function_add_direct(struct test_function *test)
{
	pci_direct_init(&test->direct, &test->function, &test->space, test->msix);
	test->is_direct = true;
}

void test_function_set_doorbell(struct test_function *test, int fd)
{
	test->doorbell_fd = fd;
	if (test->function.doorbells_changed)
		test->function.doorbells_changed(&test->function, test->function.doorbells_ctx);
}
