#ifndef TESTS_UNIT_DEVICES_DEVICE_TEST_H
#define TESTS_UNIT_DEVICES_DEVICE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/device_lock.h"
#include "core/io_bus.h"
#include "tests/unit/fake/event_loop.h"

#define NS_PER_SECOND      1000000000ull
#define NS_PER_MILLISECOND 1000000ull

/* What every device test has: a bus, a lock, and an interrupt wire that is watched. */
struct rig {
	struct io_bus *bus;
	struct device_lock lock;
	bool level;
	unsigned int rises;
};

static inline void rig_set_level(void *ctx, unsigned int pin, bool level)
{
	struct rig *rig = ctx;

	(void)pin;
	rig->rises += level && !rig->level;
	rig->level = level;
}

static inline void rig_init(struct rig *rig)
{
	*rig = (struct rig){ .bus = io_bus_create() };
	assert_non_null(rig->bus);
	assert_int_equal(device_lock_init(&rig->lock), 0);
	fake_clock_reset(12345 * NS_PER_SECOND);
}

static inline void rig_finish(struct rig *rig)
{
	assert_true(fake_clock_next() == UINT64_MAX);
	/* Released as often as taken: a recursive mutex refuses one more. */
	assert_int_not_equal(pthread_mutex_unlock(&rig->lock.mutex), 0);
	io_bus_destroy(rig->bus);
	device_lock_destroy(&rig->lock);
}

static inline uint32_t in(struct rig *rig, uint16_t port, unsigned int size)
{
	uint64_t value;

	assert_int_equal(io_bus_read(rig->bus, IO_PORT, port, size, &value), IO_DONE);
	return (uint32_t)value;
}

static inline void out(struct rig *rig, uint16_t port, unsigned int size, uint32_t value)
{
	assert_int_equal(io_bus_write(rig->bus, IO_PORT, port, size, value), IO_DONE);
}

static inline uint8_t inb(struct rig *rig, uint16_t port)
{
	return (uint8_t)in(rig, port, 1);
}

static inline void outb(struct rig *rig, uint16_t port, uint8_t value)
{
	out(rig, port, 1, value);
}

#endif
