#include "devices/pic8259.h"
#include "tests/unit/devices/device_test.h"

#define MASTER 0x20
#define SLAVE  0xa0

static struct rig rig;
static struct pic8259 *pic;

static void on_intr(void *ctx, bool level)
{
	assert_int_not_equal(level, rig.level); /* only changes are told */
	rig_set_level(ctx, 0, level);
}

static void start(uint16_t port, uint8_t base, uint8_t wiring, uint8_t icw4)
{
	outb(&rig, port, 0x11);
	outb(&rig, port + 1, base);
	outb(&rig, port + 1, wiring);
	outb(&rig, port + 1, icw4);
}

static int setup(void **state)
{
	const struct pic8259_output output = { on_intr, &rig };

	(void)state;
	rig_init(&rig);
	pic = pic8259_create(&output, &rig.lock);
	assert_non_null(pic);
	assert_int_equal(pic8259_attach(pic, rig.bus), 0);
	start(MASTER, 0x20, 0x04, 0x01);
	start(SLAVE, 0x28, 0x02, 0x01);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pic8259_destroy(pic);
	rig_finish(&rig);
	return 0;
}

static void raise_pin(unsigned int pin)
{
	pic8259_set_pin(pic, pin, true);
}

static void pulse(unsigned int pin)
{
	pic8259_set_pin(pic, pin, false);
	pic8259_set_pin(pic, pin, true);
}

static uint8_t irr(uint16_t port)
{
	outb(&rig, port, 0x0a);
	return inb(&rig, port);
}

static uint8_t isr(uint16_t port)
{
	outb(&rig, port, 0x0b);
	return inb(&rig, port);
}

static void test_not_initialised(void **state)
{
	const struct pic8259_output output = { on_intr, &rig };

	pic8259_destroy(pic);
	io_bus_destroy(rig.bus);
	rig.bus = io_bus_create();
	pic = pic8259_create(&output, &rig.lock);
	pic8259_attach(pic, rig.bus);
	/* Kernels tell by the mask register whether there is a controller at all. */
	outb(&rig, MASTER + 1, 0xfb);
	assert_int_equal(inb(&rig, MASTER + 1), 0xfb);
	outb(&rig, MASTER + 1, 0x00);
	raise_pin(1);
	assert_false(rig.level);
	(void)state;
}

static void test_edge(void **state)
{
	(void)state;
	raise_pin(4);
	assert_true(rig.level);
	assert_int_equal(irr(MASTER), 0x10);
	assert_int_equal(pic8259_acknowledge(pic), 0x24);
	assert_false(rig.level);
	assert_int_equal(irr(MASTER), 0);
	assert_int_equal(isr(MASTER), 0x10);
	outb(&rig, MASTER, 0x20);
	assert_int_equal(isr(MASTER), 0);
	raise_pin(4);
	assert_false(rig.level); /* still high, but no new edge */
	pulse(4);
	assert_true(rig.level);
}

static void test_request_withdrawn_is_spurious(void **state)
{
	(void)state;
	raise_pin(4);
	pic8259_set_pin(pic, 4, false);
	assert_false(rig.level);
	assert_int_equal(pic8259_acknowledge(pic), 0x27);
	assert_int_equal(isr(MASTER), 0);
}

static void test_mask(void **state)
{
	(void)state;
	outb(&rig, MASTER + 1, 0x10);
	raise_pin(4);
	assert_false(rig.level);
	assert_int_equal(irr(MASTER), 0x10);
	outb(&rig, MASTER + 1, 0x00);
	assert_true(rig.level);
	outb(&rig, MASTER + 1, 0x10);
	assert_false(rig.level);
}

static void test_priorities(void **state)
{
	(void)state;
	raise_pin(5);
	raise_pin(3);
	assert_int_equal(pic8259_acknowledge(pic), 0x23);
	assert_false(rig.level); /* 5 waits for 3 */
	raise_pin(1);
	assert_int_equal(pic8259_acknowledge(pic), 0x21);
	assert_int_equal(isr(MASTER), 0x0a);
	outb(&rig, MASTER, 0x20); /* ends 1 */
	assert_int_equal(isr(MASTER), 0x08);
	assert_false(rig.level);
	outb(&rig, MASTER, 0x63); /* ends 3 by name, and leaves its priority */
	pulse(3);
	assert_int_equal(pic8259_acknowledge(pic), 0x23);
	outb(&rig, MASTER, 0x20);
	assert_int_equal(pic8259_acknowledge(pic), 0x25);
}

static void test_slave(void **state)
{
	(void)state;
	raise_pin(12);
	assert_true(rig.level);
	assert_int_equal(irr(MASTER), 0x04);
	assert_int_equal(pic8259_acknowledge(pic), 0x2c);
	assert_int_equal(isr(MASTER), 0x04);
	assert_int_equal(isr(SLAVE), 0x10);
	/* The slave's higher priority cannot get through the master's in-service bit. */
	raise_pin(8);
	assert_false(rig.level);
	outb(&rig, MASTER, 0x20);
	assert_true(rig.level);
	assert_int_equal(pic8259_acknowledge(pic), 0x28);
	outb(&rig, SLAVE, 0x20);
	outb(&rig, SLAVE, 0x20);
	outb(&rig, MASTER, 0x20);
	assert_int_equal(isr(SLAVE), 0);
	raise_pin(3);
	raise_pin(15);
	assert_int_equal(pic8259_acknowledge(pic), 0x2f); /* IRQ 15 is above IRQ 3 */
}

static void test_special_fully_nested(void **state)
{
	(void)state;
	start(MASTER, 0x20, 0x04, 0x11);
	raise_pin(12);
	pic8259_acknowledge(pic);
	raise_pin(13);
	assert_false(rig.level);
	raise_pin(8);
	assert_true(rig.level);
	assert_int_equal(pic8259_acknowledge(pic), 0x28);
}

/* The slave's request goes between the master's and the slave's acknowledge. */
static void test_spurious_from_slave(void **state)
{
	(void)state;
	outb(&rig, SLAVE + 1, 0xff);
	raise_pin(9);
	assert_false(rig.level);
	outb(&rig, SLAVE + 1, 0x00);
	assert_true(rig.level);
	pic8259_set_pin(pic, 9, false);
	assert_int_equal(pic8259_acknowledge(pic), 0x27);
	assert_int_equal(isr(SLAVE), 0);
}

static void test_level(void **state)
{
	(void)state;
	outb(&rig, 0x4d0, 0xff);
	outb(&rig, 0x4d1, 0xff);
	assert_int_equal(in(&rig, 0x4d0, 2), 0xdef8);
	raise_pin(9);
	assert_int_equal(pic8259_acknowledge(pic), 0x29);
	outb(&rig, SLAVE, 0x20);
	outb(&rig, MASTER, 0x20);
	assert_true(rig.level); /* asserted still: again */
	assert_int_equal(pic8259_acknowledge(pic), 0x29);
	pic8259_set_pin(pic, 9, false);
	outb(&rig, SLAVE, 0x20);
	outb(&rig, MASTER, 0x20);
	assert_false(rig.level);
}

static void test_auto_eoi(void **state)
{
	(void)state;
	start(MASTER, 0x20, 0x04, 0x03);
	raise_pin(3);
	raise_pin(5);
	assert_int_equal(pic8259_acknowledge(pic), 0x23);
	assert_int_equal(isr(MASTER), 0);
	assert_int_equal(pic8259_acknowledge(pic), 0x25);

	outb(&rig, MASTER, 0x80); /* rotate in automatic EOI mode */
	pulse(3);
	pulse(5);
	assert_int_equal(pic8259_acknowledge(pic), 0x23);
	pulse(3);
	assert_int_equal(pic8259_acknowledge(pic), 0x25); /* 3 has become the lowest */
	assert_int_equal(pic8259_acknowledge(pic), 0x23);
	outb(&rig, MASTER, 0x00);
	pulse(4);
	pulse(5);
	assert_int_equal(pic8259_acknowledge(pic), 0x24);
	pulse(4);
	assert_int_equal(pic8259_acknowledge(pic), 0x24);
}

static void test_rotation(void **state)
{
	(void)state;
	raise_pin(3);
	raise_pin(4);
	pic8259_acknowledge(pic);
	outb(&rig, MASTER, 0xa0); /* rotate on non-specific EOI: 3 is the lowest now */
	assert_int_equal(isr(MASTER), 0);
	pulse(3);
	assert_int_equal(pic8259_acknowledge(pic), 0x24);
	outb(&rig, MASTER, 0xe4); /* rotate on specific EOI */
	raise_pin(6);
	assert_int_equal(pic8259_acknowledge(pic), 0x26);
	outb(&rig, MASTER, 0x66);
	outb(&rig, MASTER, 0xc2); /* set priority: 3 is the highest */
	pulse(6);
	raise_pin(1);
	assert_int_equal(pic8259_acknowledge(pic), 0x23);
}

static void test_special_mask(void **state)
{
	(void)state;
	raise_pin(3);
	pic8259_acknowledge(pic);
	raise_pin(5);
	assert_false(rig.level);
	outb(&rig, MASTER, 0x68);
	outb(&rig, MASTER + 1, 0x08); /* 3 masked: it does not hold 5 back */
	assert_true(rig.level);
	assert_int_equal(pic8259_acknowledge(pic), 0x25);
	outb(&rig, MASTER, 0x20); /* ends 5, not the masked 3 */
	assert_int_equal(isr(MASTER), 0x08);
	outb(&rig, MASTER, 0x48);
	pulse(5);
	assert_false(rig.level);
}

static void test_poll(void **state)
{
	(void)state;
	outb(&rig, MASTER, 0x0c);
	assert_int_equal(inb(&rig, MASTER), 0);
	raise_pin(6);
	outb(&rig, MASTER, 0x0c);
	assert_int_equal(inb(&rig, MASTER), 0x86);
	assert_false(rig.level);
	assert_int_equal(isr(MASTER), 0x40);
	raise_pin(10);
	outb(&rig, SLAVE, 0x0c);
	assert_int_equal(inb(&rig, SLAVE + 1), 0x82);
	assert_int_equal(isr(SLAVE), 0x04);
}

static void test_initialisation(void **state)
{
	(void)state;
	raise_pin(4);
	raise_pin(5);
	pic8259_acknowledge(pic);
	outb(&rig, MASTER + 1, 0xff);
	outb(&rig, MASTER, 0x12); /* single, no ICW4 */
	assert_false(rig.level);
	outb(&rig, MASTER + 1, 0x4f); /* the low bits of the vector are the pin's */
	assert_int_equal(inb(&rig, MASTER + 1), 0x00);
	assert_int_equal(isr(MASTER), 0);
	assert_false(rig.level); /* earlier edges are forgotten */
	raise_pin(1);
	assert_int_equal(pic8259_acknowledge(pic), 0x49);
	assert_int_equal(isr(MASTER), 0x02); /* without ICW4 no automatic EOI */
	/* No output in the middle of it. */
	outb(&rig, MASTER, 0x11);
	pulse(1);
	assert_false(rig.level);
	outb(&rig, MASTER + 1, 0x20);
	outb(&rig, MASTER + 1, 0x04);
	assert_false(rig.level);
	outb(&rig, MASTER + 1, 0x01);
	assert_true(rig.level);
}

static void test_pins_that_are_not_there(void **state)
{
	(void)state;
	raise_pin(2);
	raise_pin(16);
	raise_pin(UINT32_MAX);
	assert_false(rig.level);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_not_initialised),
		TEST(test_edge),
		TEST(test_request_withdrawn_is_spurious),
		TEST(test_mask),
		TEST(test_priorities),
		TEST(test_slave),
		TEST(test_special_fully_nested),
		TEST(test_spurious_from_slave),
		TEST(test_level),
		TEST(test_auto_eoi),
		TEST(test_rotation),
		TEST(test_special_mask),
		TEST(test_poll),
		TEST(test_initialisation),
		TEST(test_pins_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
