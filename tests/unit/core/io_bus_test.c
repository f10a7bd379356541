#include "core/bytes.h"
#include "core/device_lock.h"
#include "core/io_bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A device that records its last access and answers with 0x1100 + offset. */
struct recorder {
	uint64_t offset, value;
	unsigned int size, reads, writes;
	enum io_result result;
};

static enum io_result recorder_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct recorder *r = dev;

	r->offset = offset;
	r->size = size;
	r->reads++;
	*value = 0xaabbccdd11223300 + offset;
	return r->result;
}

static enum io_result recorder_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct recorder *r = dev;

	r->offset = offset;
	r->size = size;
	r->value = value;
	r->writes++;
	return r->result;
}

static const struct io_region_ops recorder_ops = { recorder_read, recorder_write };

static int add(struct io_bus *bus, enum io_space space, uint64_t base, uint64_t len,
	       struct recorder *dev, unsigned int max_size)
{
	const struct io_region region = { .name = "recorder",
					  .space = space,
					  .base = base,
					  .len = len,
					  .ops = &recorder_ops,
					  .dev = dev,
					  .max_size = max_size };

	return io_bus_add(bus, &region);
}

static void test_add_rejects_overlap(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder dev = { 0 };

	(void)state;
	assert_int_equal(add(bus, IO_PORT, 0x100, 8, &dev, 0), 0);
	assert_int_equal(add(bus, IO_PORT, 0x100, 8, &dev, 0), -EEXIST);
	assert_int_equal(add(bus, IO_PORT, 0xf9, 8, &dev, 0), -EEXIST);
	assert_int_equal(add(bus, IO_PORT, 0x107, 1, &dev, 0), -EEXIST);
	assert_int_equal(add(bus, IO_PORT, 0x80, 0x100, &dev, 0), -EEXIST);
	assert_int_equal(add(bus, IO_PORT, 0xf8, 8, &dev, 0), 0);
	assert_int_equal(add(bus, IO_PORT, 0x108, 8, &dev, 0), 0);
	assert_int_equal(add(bus, IO_MEMORY, 0x100, 8, &dev, 0), 0);
	io_bus_destroy(bus);
}

/* Regions added in any order are found, each with its own device. */
static void test_order_of_adding(void **state)
{
	static const uint64_t bases[] = { 0x500, 0x100, 0x900, 0x300, 0x700, 0x00 };
	struct recorder devs[6] = { { 0 } };
	struct io_bus *bus = io_bus_create();
	uint64_t value;

	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(add(bus, IO_PORT, bases[i], 0x10, &devs[i], 0), 0);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(io_bus_read(bus, IO_PORT, bases[i] + i, 1, &value), IO_DONE);
		assert_int_equal(devs[i].reads, 1);
		assert_int_equal(devs[i].offset, i);
		assert_int_equal(io_bus_read(bus, IO_PORT, bases[i] + 0x10, 1, &value), IO_FAULT);
	}
	io_bus_destroy(bus);
}

static void test_add_rejects_nonsense(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder dev = { 0 };

	(void)state;
	assert_int_equal(add(bus, IO_PORT, 0x100, 0, &dev, 0), -EINVAL);
	assert_int_equal(add(bus, IO_PORT, 0xffff, 2, &dev, 0), -EINVAL);
	assert_int_equal(add(bus, IO_PORT, 0xffff, 1, &dev, 3), -EINVAL);
	assert_int_equal(add(bus, IO_MEMORY, UINT64_MAX, 2, &dev, 0), -EINVAL);
	assert_int_equal(add(bus, IO_MEMORY, UINT64_MAX, 1, &dev, 0), 0);
	assert_int_equal(add(bus, IO_PORT, 0xffff, 1, &dev, 0), 0);
	io_bus_destroy(bus);
}

static void test_dispatch(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder a = { 0 }, b = { 0 };
	uint64_t value;

	(void)state;
	add(bus, IO_MEMORY, 0xfec00000, 0x1000, &a, 0);
	add(bus, IO_MEMORY, 0xfed40000, 0x5000, &b, 0);
	assert_int_equal(io_bus_read(bus, IO_MEMORY, 0xfec00010, 4, &value), IO_DONE);
	assert_int_equal(value, 0x11223310);
	assert_int_equal(a.offset, 0x10);
	assert_int_equal(a.size, 4);
	assert_int_equal(io_bus_write(bus, IO_MEMORY, 0xfed44ff8, 8, UINT64_MAX), IO_DONE);
	assert_true(b.value == UINT64_MAX);
	assert_int_equal(b.offset, 0x4ff8);
	assert_int_equal(io_bus_write(bus, IO_MEMORY, 0xfed40000, 2, 0x12345678), IO_DONE);
	assert_int_equal(b.value, 0x5678);
	io_bus_destroy(bus);
}

static void test_nobody_answers(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder dev = { .result = IO_FAULT };
	uint64_t value = 0;

	(void)state;
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x80, 2, &value), IO_FAULT);
	assert_int_equal(value, 0xffff);
	assert_int_equal(io_bus_write(bus, IO_PORT, 0x80, 1, 0), IO_FAULT);
	add(bus, IO_PORT, 0x80, 4, &dev, 0);
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x80, 4, &value), IO_FAULT);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(io_bus_read(bus, IO_MEMORY, UINT64_MAX, 8, &value), IO_FAULT);
	assert_true(value == UINT64_MAX);
	value = 0;
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x80, 3, &value), IO_FAULT);
	assert_true(value == UINT64_MAX);
	io_bus_destroy(bus);
}

static void test_straddle(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder a = { 0 }, b = { 0 };
	uint64_t value;

	(void)state;
	add(bus, IO_PORT, 0x100, 4, &a, 0);
	add(bus, IO_PORT, 0x104, 1, &b, 0);
	/* 102, 103 of a, 104 of b, 105 of nobody. */
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x102, 4, &value), IO_DONE);
	assert_int_equal(value, 0xff000302);
	assert_int_equal(a.reads, 2);
	assert_int_equal(b.reads, 1);
	/* From a hole into a. */
	assert_int_equal(io_bus_write(bus, IO_PORT, 0xff, 2, 0x5566), IO_DONE);
	assert_int_equal(a.writes, 1);
	assert_int_equal(a.offset, 0);
	assert_int_equal(a.value, 0x55);
	/* The end of the port space. */
	add(bus, IO_PORT, 0xfffe, 2, &b, 0);
	assert_int_equal(io_bus_read(bus, IO_PORT, 0xfffe, 4, &value), IO_DONE);
	assert_int_equal(value, 0xffff0100);
	io_bus_destroy(bus);
}

static void test_straddle_cannot_be_deferred(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder dev = { .result = IO_DEFERRED };
	uint64_t value;

	(void)state;
	add(bus, IO_PORT, 0x100, 2, &dev, 0);
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x100, 2, &value), IO_DEFERRED);
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x101, 2, &value), IO_FAULT);
	assert_int_equal(value, 0xffff);
	io_bus_destroy(bus);
}

static void test_max_size_splits(void **state)
{
	struct io_bus *bus = io_bus_create();
	struct recorder dev = { 0 };
	uint64_t value;

	(void)state;
	add(bus, IO_PORT, 0x3f8, 8, &dev, 1);
	assert_int_equal(io_bus_read(bus, IO_PORT, 0x3f8, 4, &value), IO_DONE);
	assert_int_equal(value, 0x03020100);
	assert_int_equal(dev.reads, 4);
	assert_int_equal(dev.size, 1);
	assert_int_equal(io_bus_write(bus, IO_PORT, 0x3fa, 2, 0x4321), IO_DONE);
	assert_int_equal(dev.offset, 3);
	assert_int_equal(dev.value, 0x43);
	io_bus_destroy(bus);
}

static enum io_result locked_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct device_lock *lock = dev;

	(void)offset;
	(void)size;
	/* Only the owner of a recursive mutex can release it. */
	*value = pthread_mutex_unlock(&lock->mutex) == 0;
	pthread_mutex_lock(&lock->mutex);
	return IO_DONE;
}

static void test_lock_is_held(void **state)
{
	static const struct io_region_ops ops = { .read = locked_read };
	struct device_lock lock;
	struct io_region region = { .space = IO_PORT, .base = 1, .len = 1, .ops = &ops };
	struct io_bus *bus = io_bus_create();
	uint64_t value;

	(void)state;
	assert_int_equal(device_lock_init(&lock), 0);
	region.dev = region.lock = &lock;
	assert_int_equal(io_bus_add(bus, &region), 0);
	io_bus_read(bus, IO_PORT, 1, 1, &value);
	assert_int_equal(value, 1);
	assert_int_not_equal(pthread_mutex_unlock(&lock.mutex), 0);
	device_lock_acquire(&lock);
	device_lock_acquire(&lock);
	device_lock_release(&lock);
	device_lock_release(&lock);
	device_lock_destroy(&lock);
	io_bus_destroy(bus);
}

static void test_range_helpers(void **state)
{
	(void)state;
	assert_true(range_within(0, 10, 10));
	assert_true(range_within(10, 0, 10));
	assert_false(range_within(11, 0, 10));
	assert_false(range_within(5, UINT64_MAX, 10));
	assert_true(range_valid(UINT64_MAX, 1));
	assert_false(range_valid(UINT64_MAX, 2));
	assert_false(range_valid(1, UINT64_MAX) == false);
	assert_true(range_overlaps(0, 2, 1, 1));
	assert_false(range_overlaps(0, 1, 1, 1));
	assert_true(bytes_mask(8) == UINT64_MAX);
	assert_int_equal(bytes_mask(2), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_rejects_overlap),
		cmocka_unit_test(test_add_rejects_nonsense),
		cmocka_unit_test(test_order_of_adding),
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_nobody_answers),
		cmocka_unit_test(test_straddle),
		cmocka_unit_test(test_straddle_cannot_be_deferred),
		cmocka_unit_test(test_max_size_splits),
		cmocka_unit_test(test_lock_is_held),
		cmocka_unit_test(test_range_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
