#include "devices/ioapic.h"
#include "tests/unit/devices/device_test.h"

#define LEVEL  0x8000u
#define MASKED 0x10000u

static struct rig rig;
static struct ioapic *ioapic;
static struct {
	unsigned int count, mode;
	uint8_t destination, vector;
	bool logical, level;
} sent;

static void deliver(void *ctx, uint8_t destination, bool logical, unsigned int mode, uint8_t vector,
		    bool level)
{
	assert_ptr_equal(ctx, &sent);
	sent.count++;
	sent.destination = destination;
	sent.logical = logical;
	sent.mode = mode;
	sent.vector = vector;
	sent.level = level;
}

static int setup(void **state)
{
	const struct ioapic_delivery delivery = { deliver, &sent };

	(void)state;
	rig_init(&rig);
	memset(&sent, 0, sizeof(sent));
	ioapic = ioapic_create(&delivery, &rig.lock, fake_event_loop());
	assert_non_null(ioapic);
	assert_int_equal(ioapic_attach(ioapic, rig.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ioapic_destroy(ioapic);
	rig_finish(&rig);
	return 0;
}

static void mmio_write(uint64_t offset, uint32_t value)
{
	assert_int_equal(io_bus_write(rig.bus, IO_MEMORY, IOAPIC_BASE + offset, 4, value), IO_DONE);
}

static uint32_t mmio_read(uint64_t offset)
{
	uint64_t value;

	assert_int_equal(io_bus_read(rig.bus, IO_MEMORY, IOAPIC_BASE + offset, 4, &value), IO_DONE);
	return (uint32_t)value;
}

static void reg_write(uint8_t reg, uint32_t value)
{
	mmio_write(0x00, reg);
	mmio_write(0x10, value);
}

static uint32_t reg_read(uint8_t reg)
{
	mmio_write(0x00, reg);
	return mmio_read(0x10);
}

static void route(unsigned int pin, uint32_t low)
{
	reg_write((uint8_t)(0x10 + 2 * pin), low);
}

static void pulse(unsigned int pin)
{
	ioapic_set_pin(ioapic, pin, true);
	ioapic_set_pin(ioapic, pin, false);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(reg_read(0x01), 0x00170020);
	assert_int_equal(mmio_read(0x00), 0x01);
	reg_write(0x00, 0xffffffff);
	assert_int_equal(reg_read(0x00), 0x0f000000);
	assert_int_equal(reg_read(0x02), 0x0f000000);
	for (uint8_t pin = 0; pin < 24; pin++) {
		assert_int_equal(reg_read((uint8_t)(0x10 + 2 * pin)), MASKED);
		assert_int_equal(reg_read((uint8_t)(0x11 + 2 * pin)), 0);
	}
	/* Beyond the last pin. */
	for (unsigned int reg = 0x40; reg <= 0xff; reg++) {
		reg_write((uint8_t)reg, 0);
		assert_int_equal(reg_read((uint8_t)reg), 0);
	}
	reg_write(0x03, 0);
	assert_int_equal(reg_read(0x03), 0);
	assert_int_equal(reg_read(0xff), 0);
	assert_int_equal(mmio_read(0x20), 0);
	/* Status bits do not take writes. */
	reg_write(0x10, 0xffffffff);
	assert_int_equal(reg_read(0x10), 0x1afff);
	reg_write(0x11, 0xffffffff);
	assert_int_equal(reg_read(0x11), 0xff000000);
}

static void test_edge(void **state)
{
	(void)state;
	reg_write(0x11 + 2 * 4, 0x07000000);
	route(4, 0x34);
	ioapic_set_pin(ioapic, 4, true);
	assert_int_equal(sent.count, 1);
	assert_int_equal(sent.vector, 0x34);
	assert_int_equal(sent.destination, 7);
	assert_false(sent.logical);
	assert_false(sent.level);
	assert_int_equal(sent.mode, IOAPIC_FIXED);
	ioapic_set_pin(ioapic, 4, true);
	assert_int_equal(sent.count, 1);
	ioapic_set_pin(ioapic, 4, false);
	ioapic_set_pin(ioapic, 4, true);
	assert_int_equal(sent.count, 2);
	assert_int_equal(reg_read(0x18), 0x34);
}

static void test_modes_and_destinations(void **state)
{
	(void)state;
	for (unsigned int mode = 0; mode < 8; mode++) {
		route(5, 0x50 | mode << 8 | 0x800);
		pulse(5);
		assert_int_equal(sent.mode, mode);
		assert_true(sent.logical);
	}
	assert_int_equal(sent.count, 8);
}

static void test_edge_while_masked_is_lost(void **state)
{
	(void)state;
	route(4, 0x34 | MASKED);
	ioapic_set_pin(ioapic, 4, true);
	route(4, 0x34);
	assert_int_equal(sent.count, 0);
}

static void test_level(void **state)
{
	(void)state;
	route(9, 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	assert_int_equal(sent.count, 1);
	assert_true(sent.level);
	assert_int_equal(reg_read(0x22), 0x39 | LEVEL | 0x4000);
	/* No more until EOI, whatever the wire does. */
	pulse(9);
	ioapic_set_pin(ioapic, 9, true);
	assert_int_equal(sent.count, 1);
	ioapic_eoi(ioapic, 0x38);
	assert_int_equal(sent.count, 1);
	ioapic_eoi(ioapic, 0x39);
	assert_int_equal(sent.count, 2);
	ioapic_set_pin(ioapic, 9, false);
	ioapic_eoi(ioapic, 0x39);
	assert_int_equal(sent.count, 2);
	assert_int_equal(reg_read(0x22), 0x39 | LEVEL);
}

static void test_level_while_masked_waits(void **state)
{
	(void)state;
	route(9, 0x39 | LEVEL | MASKED);
	ioapic_set_pin(ioapic, 9, true);
	assert_int_equal(sent.count, 0);
	route(9, 0x39 | LEVEL);
	assert_int_equal(sent.count, 1);
	/* Masked in between: the EOI does not send it again, unmasking does. */
	route(9, 0x39 | LEVEL | MASKED);
	ioapic_eoi(ioapic, 0x39);
	assert_int_equal(sent.count, 1);
	route(9, 0x39 | LEVEL);
	assert_int_equal(sent.count, 2);
}

/* Two inputs may share a vector; one EOI is for both. */
static void test_shared_vector(void **state)
{
	(void)state;
	route(16, 0x60 | LEVEL);
	route(17, 0x60 | LEVEL);
	ioapic_set_pin(ioapic, 16, true);
	ioapic_set_pin(ioapic, 17, true);
	ioapic_set_pin(ioapic, 16, false);
	assert_int_equal(sent.count, 2);
	ioapic_eoi(ioapic, 0x60);
	assert_int_equal(sent.count, 3);
}

static void test_eoi_register(void **state)
{
	(void)state;
	route(9, 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	mmio_write(0x40, 0x39);
	assert_int_equal(sent.count, 2);
}

/* A level that stays lets its processor do something else from time to time. */
static void test_storm(void **state)
{
	(void)state;
	fake_clock_reset(0);
	route(9, 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	sent.count = 0;
	for (unsigned int i = 0; i < 999; i++)
		ioapic_eoi(ioapic, 0x39);
	assert_int_equal(sent.count, 999);
	ioapic_eoi(ioapic, 0x39);
	assert_int_equal(sent.count, 999);
	ioapic_set_pin(ioapic, 9, true);
	route(9, 0x39 | LEVEL | MASKED);
	route(9, 0x39 | LEVEL);
	assert_int_equal(sent.count, 999);
	fake_clock_advance(10 * NS_PER_MILLISECOND);
	assert_int_equal(sent.count, 1000);
	for (unsigned int i = 0; i < 5000; i++) /* most of them of nothing: none is sent */
		ioapic_eoi(ioapic, 0x39);
	assert_true(sent.count < 2000);
}

static void test_storm_ends(void **state)
{
	(void)state;
	fake_clock_reset(0);
	route(9, 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	for (unsigned int i = 0; i < 1000; i++)
		ioapic_eoi(ioapic, 0x39);
	sent.count = 0;
	ioapic_set_pin(ioapic, 9, false);
	ioapic_set_pin(ioapic, 9, true); /* a new one does not wait */
	assert_int_equal(sent.count, 1);
	for (unsigned int i = 0; i < 3000; i++) { /* nor is a quiet line's past held against it */
		ioapic_set_pin(ioapic, 9, false);
		ioapic_eoi(ioapic, 0x39);
		ioapic_set_pin(ioapic, 9, true);
	}
	assert_int_equal(sent.count, 3001);
	fake_clock_advance(20 * NS_PER_MILLISECOND);
	assert_int_equal(sent.count, 3001);
}

/* Kernels without the EOI register switch to edge and back to clear a stuck remote IRR. */
static void test_switch_to_edge_clears_remote_irr(void **state)
{
	(void)state;
	route(9, 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	ioapic_set_pin(ioapic, 9, false);
	route(9, 0x39 | MASKED);
	route(9, 0x39 | LEVEL);
	assert_int_equal(reg_read(0x22), 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	assert_int_equal(sent.count, 2);
}

static void test_polarity_does_not_matter(void **state)
{
	(void)state;
	route(9, 0x39 | LEVEL | 0x2000);
	assert_int_equal(sent.count, 0);
	ioapic_set_pin(ioapic, 9, true);
	assert_int_equal(sent.count, 1);
	assert_int_equal(reg_read(0x22) & 0x2000, 0x2000);
}

/* What one input does leaves the others' levels alone. */
static void test_inputs_are_separate(void **state)
{
	(void)state;
	route(9, 0x39 | LEVEL);
	ioapic_set_pin(ioapic, 9, true);
	pulse(3);
	assert_int_equal(sent.count, 1);
	ioapic_eoi(ioapic, 0x39);
	assert_int_equal(sent.count, 2);
	ioapic_set_pin(ioapic, 9, false);
	ioapic_eoi(ioapic, 0x39);
	route(10, 0x3a | LEVEL); /* never asserted */
	assert_int_equal(sent.count, 2);
}

static void test_pin_that_is_not_there(void **state)
{
	(void)state;
	ioapic_set_pin(ioapic, 24, true);
	ioapic_set_pin(ioapic, UINT32_MAX, true);
	assert_int_equal(sent.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_edge),
		TEST(test_modes_and_destinations),
		TEST(test_edge_while_masked_is_lost),
		TEST(test_level),
		TEST(test_level_while_masked_waits),
		TEST(test_shared_vector),
		TEST(test_eoi_register),
		TEST(test_storm),
		TEST(test_storm_ends),
		TEST(test_switch_to_edge_clears_remote_irr),
		TEST(test_polarity_does_not_matter),
		TEST(test_inputs_are_separate),
		TEST(test_pin_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
