#include "devices/pit8254.h"
#include "tests/unit/devices/device_test.h"

#define CONTROL 0x43
#define PORT_B  0x61

static struct rig rig;
static struct pit8254 *pit;
static uint64_t began_ns, ticks;

/* Moves to exactly n clock ticks after the start of the test. */
static void to_tick(uint64_t n)
{
	uint64_t ns = began_ns + (n * NS_PER_SECOND + PIT8254_HZ - 1) / PIT8254_HZ;

	ticks = n;
	fake_clock_advance(ns - event_loop_now_ns());
}

static void tick(uint64_t n)
{
	to_tick(ticks + n);
}

static int setup(void **state)
{
	struct pit8254_config config;

	(void)state;
	rig_init(&rig);
	began_ns = event_loop_now_ns(); /* a whole second, hence a tick */
	ticks = 0;
	config = (struct pit8254_config){
		.loop = fake_event_loop(),
		.lock = &rig.lock,
		.irq = { rig_set_level, &rig, 0 },
	};
	pit = pit8254_create(&config);
	assert_non_null(pit);
	assert_int_equal(pit8254_attach(pit, rig.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pit8254_destroy(pit);
	rig_finish(&rig);
	return 0;
}

/* Control word for low byte then high byte. */
static void program(unsigned int channel, unsigned int mode, uint16_t count)
{
	outb(&rig, CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	outb(&rig, 0x40 + channel, (uint8_t)count);
	outb(&rig, 0x40 + channel, (uint8_t)(count >> 8));
}

static unsigned int read_both(unsigned int channel)
{
	unsigned int low = inb(&rig, 0x40 + channel);

	return low | inb(&rig, 0x40 + channel) << 8;
}

static unsigned int latched(unsigned int channel)
{
	outb(&rig, CONTROL, (uint8_t)(channel << 6));
	return read_both(channel);
}

static bool out2(void)
{
	return inb(&rig, PORT_B) & 0x20;
}

static uint8_t status(unsigned int channel)
{
	outb(&rig, CONTROL, (uint8_t)(0xe0 | 2 << channel));
	return inb(&rig, 0x40 + channel);
}

static void test_mode_0(void **state)
{
	(void)state;
	program(0, 0, 100);
	assert_false(rig.level);
	assert_int_equal(latched(0), 100);
	tick(40);
	assert_int_equal(latched(0), 60);
	tick(59);
	assert_false(rig.level);
	tick(1);
	assert_true(rig.level);
	assert_int_equal(rig.rises, 1);
	tick(1);
	assert_int_equal(latched(0), 0xffff); /* goes on counting */
	tick(70000);
	assert_int_equal(rig.rises, 1);
	assert_true(fake_clock_next() == UINT64_MAX);
	/* A new count starts over; its first byte already ends the old. */
	outb(&rig, 0x40, 50);
	assert_false(rig.level);
	outb(&rig, 0x40, 0);
	tick(50);
	assert_int_equal(rig.rises, 2);
	/* So does a control word, of this channel. */
	outb(&rig, CONTROL, 0x70);
	assert_true(rig.level);
	program(0, 2, 1000);
	outb(&rig, CONTROL, 0x30);
	assert_false(rig.level);
	assert_true(fake_clock_next() == UINT64_MAX);
}

static void test_mode_2(void **state)
{
	(void)state;
	program(0, 2, 11932); /* 100 Hz */
	assert_true(rig.level);
	rig.rises = 0;
	for (unsigned int i = 1; i <= 100; i++) {
		tick(11931);
		assert_int_equal(latched(0), 1);
		assert_int_equal(rig.rises, i - 1);
		tick(1);
		assert_int_equal(rig.rises, i);
		assert_int_equal(latched(0), 11932);
	}
}

static void test_mode_2_status(void **state)
{
	(void)state;
	outb(&rig, PORT_B, 0x01);
	program(2, 2, 10);
	for (unsigned int i = 0; i < 30; i++) {
		assert_int_equal(out2(), i % 10 != 9);
		tick(1);
	}
}

static void test_mode_3(void **state)
{
	(void)state;
	outb(&rig, PORT_B, 0x01);
	program(2, 3, 10);
	for (unsigned int i = 0; i < 30; i++) {
		assert_int_equal(out2(), i % 10 < 5);
		assert_int_equal(latched(2), 10 - 2 * (i % 5));
		tick(1);
	}
	program(2, 3, 11); /* odd: one tick longer high */
	for (unsigned int i = 0; i < 33; i++) {
		assert_int_equal(out2(), i % 11 < 6);
		assert_int_equal(latched(2), 10 - 2 * (i % 11 < 6 ? i % 11 : i % 11 - 6));
		tick(1);
	}
}

static void test_mode_3_interrupts(void **state)
{
	(void)state;
	program(0, 3, 0); /* 65,536: 18.2 Hz */
	rig.rises = 0;
	tick(65536 * 5 - 1);
	assert_int_equal(rig.rises, 4);
	tick(1);
	assert_int_equal(rig.rises, 5);
}

static void test_mode_4(void **state)
{
	(void)state;
	program(0, 4, 200);
	rig.rises = 0;
	tick(200);
	assert_int_equal(status(0) & 0x80, 0);
	assert_int_equal(rig.rises, 0);
	tick(1);
	assert_int_equal(status(0) & 0x80, 0x80);
	assert_int_equal(rig.rises, 1);
	tick(100000);
	assert_int_equal(rig.rises, 1);
}

static void test_mode_1(void **state)
{
	(void)state;
	program(2, 1, 20);
	assert_true(out2());
	tick(100);
	assert_true(out2());
	outb(&rig, PORT_B, 0x01);
	assert_false(out2());
	tick(10);
	outb(&rig, PORT_B, 0x00); /* the level does not matter, the next edge starts over */
	tick(5);
	assert_int_equal(latched(2), 5);
	outb(&rig, PORT_B, 0x01);
	tick(19);
	assert_false(out2());
	tick(1);
	assert_true(out2());
	/* A new count waits for the next trigger. */
	outb(&rig, 0x42, 7);
	outb(&rig, 0x42, 0);
	assert_true(out2());
	outb(&rig, PORT_B, 0x00);
	outb(&rig, PORT_B, 0x01);
	tick(6);
	assert_false(out2());
	tick(1);
	assert_true(out2());
}

static void test_mode_5(void **state)
{
	(void)state;
	program(2, 5, 3);
	tick(10);
	assert_true(out2());
	outb(&rig, PORT_B, 0x01);
	tick(2);
	assert_true(out2());
	tick(1);
	assert_false(out2());
	tick(1);
	assert_true(out2());
}

/* Without its gate channel 0's triggered modes never start. */
static void test_channel_0_has_no_trigger(void **state)
{
	(void)state;
	program(0, 1, 10);
	program(0, 5, 10);
	rig.rises = 0;
	tick(100);
	assert_int_equal(rig.rises, 0);
	assert_true(fake_clock_next() == UINT64_MAX);
}

static void test_gate_pauses(void **state)
{
	(void)state;
	outb(&rig, PORT_B, 0x01);
	program(2, 0, 1000);
	tick(300);
	outb(&rig, PORT_B, 0x00);
	tick(5000);
	assert_int_equal(latched(2), 700);
	assert_false(out2());
	outb(&rig, PORT_B, 0x01);
	tick(699);
	assert_false(out2());
	tick(1);
	assert_true(out2());
	/* Periodic: high while stopped, and from the beginning. */
	program(2, 2, 100);
	tick(99);
	assert_false(out2());
	outb(&rig, PORT_B, 0x00);
	assert_true(out2());
	tick(12);
	outb(&rig, PORT_B, 0x01);
	assert_int_equal(latched(2), 100);
}

/* As kernels calibrate: gate on, mode 0, wait for OUT in port 0x61. */
static void test_calibration(void **state)
{
	(void)state;
	outb(&rig, PORT_B, 0x01);
	program(2, 0, 59659); /* 50 ms */
	tick(59658);
	assert_false(out2());
	tick(1);
	assert_true(out2());
}

static void test_new_count_waits_for_period(void **state)
{
	(void)state;
	program(0, 2, 1000);
	rig.rises = 0;
	tick(400);
	outb(&rig, 0x40, 0xd0);
	outb(&rig, 0x40, 0x07); /* 2000 */
	assert_int_equal(latched(0), 600);
	assert_int_equal(status(0) & 0x40, 0x40);
	tick(600);
	assert_int_equal(rig.rises, 1);
	assert_int_equal(latched(0), 2000);
	assert_int_equal(status(0) & 0x40, 0);
	tick(1999);
	assert_int_equal(rig.rises, 1);
	tick(1);
	assert_int_equal(rig.rises, 2);
}

static void test_latch_holds(void **state)
{
	(void)state;
	program(1, 2, 5000);
	tick(1000);
	outb(&rig, CONTROL, 0x40);
	tick(1000);
	outb(&rig, CONTROL, 0x40); /* ignored: the first is not read yet */
	assert_int_equal(read_both(1), 4000);
	assert_int_equal(read_both(1), 3000);
}

static void test_read_back(void **state)
{
	(void)state;
	program(0, 2, 5000);
	program(2, 3, 400);
	tick(1000);
	outb(&rig, CONTROL, 0xc2 | 0x08); /* count and status of 0 and 2 */
	tick(7);
	assert_int_equal(inb(&rig, 0x40), 0xb4); /* OUT, both bytes, mode 2 */
	assert_int_equal(read_both(0), 4000);
	assert_int_equal(inb(&rig, 0x42), 0xb6);
	assert_int_equal(status(1), 0x30 | 0x40);
	outb(&rig, CONTROL, 0xd2); /* count only */
	assert_int_equal(read_both(0), 3993);
}

static void test_byte_access_modes(void **state)
{
	(void)state;
	outb(&rig, CONTROL, 0x54); /* channel 1, low byte, mode 2 */
	outb(&rig, 0x41, 0x80);
	tick(1);
	assert_int_equal(inb(&rig, 0x41), 0x7f);
	assert_int_equal(inb(&rig, 0x41), 0x7f);
	outb(&rig, CONTROL, 0x64); /* high byte */
	outb(&rig, 0x41, 0x80);
	tick(1);
	assert_int_equal(inb(&rig, 0x41), 0x7f);
	outb(&rig, CONTROL, 0x40);
	assert_int_equal(inb(&rig, 0x41), 0x7f);
	tick(0x100);
	assert_int_equal(inb(&rig, 0x41), 0x7e);
}

static void test_bcd(void **state)
{
	(void)state;
	outb(&rig, PORT_B, 0x01);
	outb(&rig, CONTROL, 0xb1); /* mode 0 */
	outb(&rig, 0x42, 0x00);
	outb(&rig, 0x42, 0x10); /* 1000 */
	tick(1);
	assert_int_equal(latched(2), 0x0999);
	tick(1000);
	assert_int_equal(latched(2), 0x9999);
	outb(&rig, CONTROL, 0xb5); /* mode 2, 10,000 */
	outb(&rig, 0x42, 0);
	outb(&rig, 0x42, 0);
	assert_int_equal(latched(2), 0);
	tick(1);
	assert_int_equal(latched(2), 0x9999);
}

/* A guest that asks for a million interrupts a second gets ten thousand, aligned to its period. */
static void test_interrupt_rate_is_bounded(void **state)
{
	unsigned int expired;

	(void)state;
	program(0, 2, 1); /* a period of one does not exist */
	assert_int_equal(status(0) & 0x80, 0x80);
	expired = fake_clock_advance(100 * NS_PER_MILLISECOND);
	assert_in_range(expired, 900, 1000);
	program(0, 2, 119);
	expired = fake_clock_advance(100 * NS_PER_MILLISECOND);
	assert_in_range(expired, 450, 1000);
}

static void test_late_interrupts_are_merged(void **state)
{
	(void)state;
	program(0, 2, 1193);
	rig.rises = 0;
	fake_clock_jump(50 * NS_PER_MILLISECOND);
	fake_clock_advance(0);
	assert_int_equal(rig.rises, 1);
	fake_clock_advance(10 * NS_PER_MILLISECOND);
	assert_in_range(rig.rises, 10, 11);
}

static void test_port_b(void **state)
{
	unsigned int changes = 0;
	uint8_t last = inb(&rig, PORT_B) & 0x10;

	(void)state;
	outb(&rig, PORT_B, 0xff);
	assert_int_equal(inb(&rig, PORT_B) & 0xcf, 0x03);
	for (unsigned int i = 0; i < 1000; i++) {
		uint8_t now;

		fake_clock_jump(3017);
		now = inb(&rig, PORT_B) & 0x10;
		changes += now != last;
		last = now;
	}
	assert_int_equal(changes, 200); /* every 15.085 us */
	assert_int_equal(inb(&rig, CONTROL), 0xff);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mode_0),
		TEST(test_mode_2),
		TEST(test_mode_2_status),
		TEST(test_mode_3),
		TEST(test_mode_3_interrupts),
		TEST(test_mode_4),
		TEST(test_mode_1),
		TEST(test_mode_5),
		TEST(test_channel_0_has_no_trigger),
		TEST(test_gate_pauses),
		TEST(test_calibration),
		TEST(test_new_count_waits_for_period),
		TEST(test_latch_holds),
		TEST(test_read_back),
		TEST(test_byte_access_modes),
		TEST(test_bcd),
		TEST(test_interrupt_rate_is_bounded),
		TEST(test_late_interrupts_are_merged),
		TEST(test_port_b),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
