#include "devices/cmos_rtc.h"
#include "devices/rtc_time.h"
#include "tests/unit/devices/device_test.h"

#include <stdlib.h>
#include <time.h>

/* 2024-02-28 23:59:58, a Wednesday. */
#define WALL_CLOCK 1709164798

static struct rig rig;
static struct cmos_rtc *rtc;

static int setup(void **state)
{
	struct cmos_rtc_config config;

	(void)state;
	rig_init(&rig);
	config = (struct cmos_rtc_config){
		.loop = fake_event_loop(),
		.lock = &rig.lock,
		.irq = { rig_set_level, &rig, 8 },
		.wall_clock = WALL_CLOCK,
	};
	rtc = cmos_rtc_create(&config);
	assert_non_null(rtc);
	assert_int_equal(cmos_rtc_attach(rtc, rig.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cmos_rtc_destroy(rtc);
	rig_finish(&rig);
	return 0;
}

static uint8_t get(uint8_t index)
{
	outb(&rig, 0x70, index);
	return inb(&rig, 0x71);
}

static void set(uint8_t index, uint8_t value)
{
	outb(&rig, 0x70, index);
	outb(&rig, 0x71, value);
}

/* Century, year, month, day, weekday, hour, minute, second, a byte each. */
static void assert_clock(uint64_t expected)
{
	static const uint8_t order[] = { 0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00 };
	uint64_t shown = 0;

	for (unsigned int i = 0; i < sizeof(order); i++)
		shown = shown << 8 | get(order[i]);
	assert_true(shown == expected);
}

static void test_starts_with_wall_clock(void **state)
{
	(void)state;
	assert_clock(0x2024022804235958);
	assert_int_equal(get(0x0a), 0x26);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0d), 0x80);
}

static void test_rolls_over_to_leap_day(void **state)
{
	(void)state;
	fake_clock_jump(2 * NS_PER_SECOND);
	assert_clock(0x2024022905000000);
	fake_clock_jump(86400 * NS_PER_SECOND);
	assert_clock(0x2024030106000000);
	fake_clock_jump(366 * 86400 * NS_PER_SECOND);
	assert_clock(0x2025030201000000);
}

static void test_formats(void **state)
{
	(void)state;
	set(0x0b, 0x06); /* binary */
	assert_clock(0x1418021c04173b3a);
	set(0x0b, 0x00); /* BCD, 12 hours */
	assert_clock(0x2024022804915958);
	set(0x0b, 0x04);
	assert_clock(0x1418021c048b3b3a);
	fake_clock_jump(2 * NS_PER_SECOND); /* midnight is 12 AM */
	assert_clock(0x1418021d050c0000);
	fake_clock_jump(12 * 3600 * NS_PER_SECOND);
	assert_clock(0x1418021d058c0000);
}

static void set_time(uint8_t b, const uint8_t values[7])
{
	static const uint8_t order[] = { 0x32, 0x09, 0x08, 0x07, 0x04, 0x02, 0x00 };

	set(0x0b, 0x80 | b);
	for (unsigned int i = 0; i < sizeof(order); i++)
		set(order[i], values[i]);
	set(0x0b, b);
}

static void test_set(void **state)
{
	(void)state;
	fake_clock_jump(700 * NS_PER_MILLISECOND);
	set_time(0x02, (const uint8_t[]){ 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59 });
	assert_clock(0x1999123106235959);
	/* The second begins when the clock is let go. */
	fake_clock_jump(999 * NS_PER_MILLISECOND);
	assert_clock(0x1999123106235959);
	fake_clock_jump(NS_PER_MILLISECOND);
	assert_clock(0x2000010107000000);
}

static void test_set_12_hours(void **state)
{
	(void)state;
	set_time(0x00, (const uint8_t[]){ 0x20, 0x24, 0x02, 0x28, 0x12, 0x00, 0x00 });
	set(0x0b, 0x02);
	assert_int_equal(get(0x04), 0x00);
	set_time(0x00, (const uint8_t[]){ 0x20, 0x24, 0x02, 0x28, 0x92, 0x00, 0x00 });
	set(0x0b, 0x02);
	assert_int_equal(get(0x04), 0x12);
}

static void test_stopped(void **state)
{
	(void)state;
	set(0x0b, 0x92); /* SET clears UIE */
	assert_int_equal(get(0x0b), 0x82);
	fake_clock_jump(10 * NS_PER_SECOND);
	assert_clock(0x2024022804235958);
	assert_int_equal(get(0x0a) & 0x80, 0);
	set(0x00, 0x11);
	assert_int_equal(get(0x00), 0x11);
	set(0x0b, 0x02);
	fake_clock_jump(NS_PER_SECOND);
	assert_int_equal(get(0x00), 0x12);
	set(0x0a, 0x76); /* divider held in reset */
	fake_clock_jump(10 * NS_PER_SECOND);
	assert_int_equal(get(0x00), 0x12);
	set(0x0a, 0xa6);
	assert_int_equal(get(0x0a), 0x26);
	fake_clock_jump(NS_PER_SECOND);
	assert_int_equal(get(0x00), 0x13);
}

/* Setting a running clock does not disturb where it is in the second. */
static void test_set_while_running(void **state)
{
	(void)state;
	fake_clock_jump(600 * NS_PER_MILLISECOND);
	set(0x00, 0x30);
	assert_int_equal(get(0x00), 0x30);
	fake_clock_jump(400 * NS_PER_MILLISECOND);
	assert_int_equal(get(0x00), 0x31);
}

static void test_nonsense_carries_over(void **state)
{
	(void)state;
	set_time(0x06, (const uint8_t[]){ 20, 24, 255, 255, 255, 255, 255 });
	assert_in_range(get(0x08), 1, 12);
	assert_in_range(get(0x07), 1, 31);
	assert_in_range(get(0x04), 0, 23);
	assert_in_range(get(0x00), 0, 59);
	set_time(0x06, (const uint8_t[]){ 0, 0, 0, 0, 0, 0, 0 });
	assert_in_range(get(0x08), 1, 12);
}

static void test_update_in_progress(void **state)
{
	(void)state;
	assert_int_equal(get(0x0a) & 0x80, 0);
	fake_clock_jump(997 * NS_PER_MILLISECOND);
	assert_int_equal(get(0x0a) & 0x80, 0);
	fake_clock_jump(NS_PER_MILLISECOND);
	assert_int_equal(get(0x0a) & 0x80, 0x80);
	fake_clock_jump(2 * NS_PER_MILLISECOND);
	assert_int_equal(get(0x0a) & 0x80, 0);
}

static void test_update_interrupt(void **state)
{
	(void)state;
	set(0x0b, 0x12);
	fake_clock_advance(999 * NS_PER_MILLISECOND);
	assert_false(rig.level);
	fake_clock_advance(NS_PER_MILLISECOND);
	assert_true(rig.level);
	/* Level until read; until then nothing more happens. */
	assert_int_equal(fake_clock_advance(5 * NS_PER_SECOND), 0);
	assert_true(rig.level);
	/* Midnight has passed too, which is what the alarm's bytes say. */
	assert_int_equal(get(0x0c), 0xf0);
	assert_false(rig.level);
	assert_int_equal(get(0x0c), 0);
	fake_clock_advance(NS_PER_SECOND);
	assert_int_equal(rig.rises, 2);
}

/* Flags show without being enabled, for guests that poll. */
static void test_flags_without_interrupts(void **state)
{
	(void)state;
	get(0x0c);
	fake_clock_jump(NS_PER_MILLISECOND);
	assert_int_equal(get(0x0c), 0x40);
	fake_clock_jump(NS_PER_SECOND);
	assert_int_equal(get(0x0c), 0x50);
	set(0x01, 0x00);
	set(0x03, 0x00);
	set(0x05, 0x00);
	fake_clock_jump(NS_PER_SECOND);
	assert_int_equal(get(0x0c), 0x70);
	assert_int_equal(rig.rises, 0);
	assert_true(fake_clock_next() == UINT64_MAX);
}

static void test_alarm(void **state)
{
	(void)state;
	set(0x01, 0x05);
	set(0x03, 0x30);
	set(0x05, 0x07);
	set(0x0b, 0x22);
	/* From 23:59:58 to 07:30:05. */
	fake_clock_advance((2 + 7 * 3600 + 30 * 60 + 4) * NS_PER_SECOND);
	assert_false(rig.level);
	assert_int_equal(fake_clock_advance(NS_PER_SECOND), 1);
	assert_true(rig.level);
	assert_int_equal(get(0x0c) & 0xa0, 0xa0);
	assert_clock(0x2024022905073005);
	fake_clock_advance(86399 * NS_PER_SECOND);
	assert_false(rig.level);
	fake_clock_advance(NS_PER_SECOND);
	assert_true(rig.level);
}

static void test_alarm_wildcards(void **state)
{
	(void)state;
	set(0x01, 0x10);
	set(0x03, 0xff);
	set(0x05, 0xc0);
	set(0x0b, 0x22);
	fake_clock_advance(12 * NS_PER_SECOND);
	assert_int_equal(rig.rises, 1);
	get(0x0c);
	fake_clock_advance(60 * NS_PER_SECOND);
	assert_int_equal(rig.rises, 2);
	get(0x0c);
	set(0x01, 0xff); /* every second */
	for (int i = 0; i < 5; i++) {
		fake_clock_advance(NS_PER_SECOND);
		get(0x0c);
	}
	assert_int_equal(rig.rises, 7);
}

static void test_alarm_pm(void **state)
{
	(void)state;
	set(0x0b, 0x00);
	set(0x01, 0x00);
	set(0x03, 0x00);
	set(0x05, 0x81); /* 1 PM */
	set(0x0b, 0x20);
	fake_clock_advance((2 + 13 * 3600 - 1) * NS_PER_SECOND);
	assert_false(rig.level);
	fake_clock_advance(NS_PER_SECOND);
	assert_true(rig.level);
}

/* An alarm that no time matches never comes and needs no timer. */
static void test_alarm_impossible(void **state)
{
	(void)state;
	set(0x01, 0x61);
	set(0x03, 0xff);
	set(0x05, 0xff);
	set(0x0b, 0x22);
	assert_true(fake_clock_next() == UINT64_MAX);
}

static void test_periodic_rates(void **state)
{
	static const unsigned int hz[16] = { 0,   256, 128, 8192, 4096, 2048, 1024, 512,
					     256, 128, 64,  32,   16,   8,    4,    2 };

	(void)state;
	set(0x0b, 0x42);
	for (uint8_t rate = 0; rate < 16; rate++) {
		unsigned int count = 0;

		set(0x0a, 0x20 | rate);
		get(0x0c);
		for (uint64_t t = 0; t < NS_PER_SECOND / 2; t += 50000) {
			fake_clock_advance(50000);
			count += get(0x0c) >> 7;
		}
		assert_int_equal(count, hz[rate] / 2);
	}
	set(0x0b, 0x02);
	assert_true(fake_clock_next() == UINT64_MAX);
}

/* Late handling merges periods instead of making them up. */
static void test_periodic_late(void **state)
{
	(void)state;
	set(0x0b, 0x42);
	fake_clock_jump(100 * NS_PER_MILLISECOND);
	fake_clock_advance(0);
	assert_int_equal(rig.rises, 1);
	get(0x0c);
	fake_clock_advance(0);
	assert_int_equal(rig.rises, 1);
	fake_clock_advance(NS_PER_MILLISECOND);
	assert_int_equal(rig.rises, 2);
}

static void test_memory(void **state)
{
	(void)state;
	for (uint8_t i = 0x0e; i < 0x80; i++) {
		if (i != 0x32)
			set(i, i ^ 0x5a);
	}
	for (uint8_t i = 0x0e; i < 0x80; i++) {
		if (i != 0x32)
			assert_int_equal(get(i | 0x80), i ^ 0x5a); /* NMI bit */
	}
	cmos_rtc_set_byte(rtc, 0x15, 0x80);
	assert_int_equal(get(0x15), 0x80);
	cmos_rtc_set_byte(rtc, 0x00, 0x11);
	cmos_rtc_set_byte(rtc, 0xff, 0x11);
	assert_int_equal(get(0x00), 0x58);
	set(0x0d, 0);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(inb(&rig, 0x70), 0xff);
}

/* Against the C library, over eight centuries and both sides of 1970. */
static void test_calendar(void **state)
{
	(void)state;
	for (int64_t seconds = -12622780800; seconds < 12622780800; seconds += 40009) {
		time_t t = seconds;
		struct rtc_time ours;
		struct tm theirs;

		gmtime_r(&t, &theirs);
		rtc_time_from_seconds(&ours, seconds);
		assert_int_equal(ours.year, theirs.tm_year + 1900);
		assert_int_equal(ours.month, theirs.tm_mon + 1);
		assert_int_equal(ours.day, theirs.tm_mday);
		assert_int_equal(ours.hour, theirs.tm_hour);
		assert_int_equal(ours.minute, theirs.tm_min);
		assert_int_equal(ours.second, theirs.tm_sec);
		assert_int_equal(ours.weekday, theirs.tm_wday + 1);
		assert_true(rtc_time_to_seconds(&ours) == seconds);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_starts_with_wall_clock),
		TEST(test_rolls_over_to_leap_day),
		TEST(test_formats),
		TEST(test_set),
		TEST(test_set_12_hours),
		TEST(test_stopped),
		TEST(test_set_while_running),
		TEST(test_nonsense_carries_over),
		TEST(test_update_in_progress),
		TEST(test_update_interrupt),
		TEST(test_flags_without_interrupts),
		TEST(test_alarm),
		TEST(test_alarm_wildcards),
		TEST(test_alarm_pm),
		TEST(test_alarm_impossible),
		TEST(test_periodic_rates),
		TEST(test_periodic_late),
		TEST(test_memory),
		cmocka_unit_test(test_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
