#include "devices/acpi_pm.h"
#include "tests/unit/devices/device_test.h"

#define STATUS     (ACPI_PM_BASE + 0x0)
#define ENABLE     (ACPI_PM_BASE + 0x2)
#define CONTROL    (ACPI_PM_BASE + 0x4)
#define TIMER      (ACPI_PM_BASE + 0x8)
#define GPE_STATUS (ACPI_PM_BASE + 0xc)
#define GPE_ENABLE (ACPI_PM_BASE + 0xe)

static struct rig rig;
static struct acpi_pm *pm;
static unsigned int power_offs;

static void on_power_off(void *ctx)
{
	(void)ctx;
	power_offs++;
}

static int setup(void **state)
{
	struct acpi_pm_config config;

	(void)state;
	rig_init(&rig);
	power_offs = 0;
	config = (struct acpi_pm_config){
		.loop = fake_event_loop(),
		.lock = &rig.lock,
		.sci = { rig_set_level, &rig, 9 },
		.power_off = on_power_off,
	};
	pm = acpi_pm_create(&config);
	assert_non_null(pm);
	assert_int_equal(acpi_pm_attach(pm, rig.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	acpi_pm_destroy(pm);
	rig_finish(&rig);
	return 0;
}

static void test_timer_counts(void **state)
{
	uint32_t before = in(&rig, TIMER, 4);

	(void)state;
	fake_clock_jump(NS_PER_SECOND);
	assert_int_equal(in(&rig, TIMER, 4) - before, 3579545);
	fake_clock_jump(280); /* a tick is 279.4 ns */
	assert_in_range(in(&rig, TIMER, 4) - before, 3579546, 3579547);
	/* Ten minutes are not exact in floating point or 32 bits. */
	fake_clock_jump(1200 * NS_PER_SECOND - 280);
	assert_int_equal(in(&rig, TIMER, 4) - before, (uint32_t)(1201ull * 3579545));
	assert_int_equal(in(&rig, TIMER + 2, 2), in(&rig, TIMER, 4) >> 16);
	out(&rig, TIMER, 4, 0);
	assert_int_equal(in(&rig, TIMER, 4) - before, (uint32_t)(1201ull * 3579545));
}

static void test_timer_status(void **state)
{
	(void)state;
	assert_int_equal(in(&rig, STATUS, 2) & 1, 0);
	out(&rig, ENABLE, 2, 1);
	assert_true(fake_clock_next() != UINT64_MAX);
	fake_clock_advance(601 * NS_PER_SECOND); /* the high bit changes every 599.9 s */
	assert_true(rig.level);
	assert_int_equal(in(&rig, STATUS, 2), 1);
	out(&rig, STATUS, 2, 1);
	assert_false(rig.level);
	assert_int_equal(in(&rig, STATUS, 2), 0);
	fake_clock_advance(600 * NS_PER_SECOND);
	assert_true(rig.level);
	assert_int_equal(rig.rises, 2);
	/* Pending, it needs no timer. */
	assert_true(fake_clock_next() == UINT64_MAX);
}

static void test_power_button(void **state)
{
	(void)state;
	acpi_pm_press_power_button(pm);
	assert_false(rig.level);
	assert_int_equal(in(&rig, STATUS, 2), 0x100);
	out(&rig, ENABLE, 2, 0xffff);
	assert_int_equal(in(&rig, ENABLE, 2), 0x721);
	assert_true(rig.level);
	out(&rig, STATUS, 2, 0x020); /* another bit */
	assert_true(rig.level);
	outb(&rig, STATUS + 1, 0x01);
	assert_false(rig.level);
}

/* Events come together and are cleared apart. */
static void test_two_events(void **state)
{
	(void)state;
	acpi_pm_press_power_button(pm);
	fake_clock_jump(601 * NS_PER_SECOND);
	assert_int_equal(in(&rig, STATUS, 2), 0x101);
	acpi_pm_press_power_button(pm);
	assert_int_equal(in(&rig, STATUS, 2), 0x101);
	out(&rig, ENABLE, 2, 0x101);
	out(&rig, STATUS, 2, 0x001);
	assert_int_equal(in(&rig, STATUS, 2), 0x100);
	assert_true(rig.level);
	/* An event that has come unnoticed counts before what a write clears. */
	fake_clock_jump(600 * NS_PER_SECOND);
	out(&rig, STATUS, 2, 0x101);
	assert_int_equal(in(&rig, STATUS, 2), 0);
	assert_false(rig.level);
}

static void test_gpe(void **state)
{
	(void)state;
	out(&rig, GPE_ENABLE, 2, 0x8001);
	acpi_pm_raise_gpe(pm, 3);
	assert_false(rig.level);
	acpi_pm_raise_gpe(pm, 15);
	assert_true(rig.level);
	acpi_pm_raise_gpe(pm, 16);
	acpi_pm_raise_gpe(pm, 0);
	acpi_pm_raise_gpe(pm, 15);
	assert_int_equal(in(&rig, GPE_STATUS, 4), 0x80018009);
	outb(&rig, GPE_STATUS, 0xff);
	assert_int_equal(inb(&rig, GPE_STATUS), 0);
	assert_true(rig.level);
	outb(&rig, GPE_STATUS + 1, 0x80);
	assert_false(rig.level);
}

static void test_sleep(void **state)
{
	(void)state;
	assert_int_equal(in(&rig, CONTROL, 2), 0x0001); /* ACPI mode from the start */
	out(&rig, CONTROL, 2, 0);
	assert_int_equal(in(&rig, CONTROL, 2), 0x0001);
	out(&rig, CONTROL, 2, 5 << 10);
	assert_int_equal(in(&rig, CONTROL, 2), 0x1401);
	out(&rig, CONTROL, 2, 1 << 10 | 1 << 13); /* another state */
	out(&rig, CONTROL, 2, 1 << 13);
	assert_int_equal(power_offs, 0);
	out(&rig, CONTROL, 2, 5 << 10 | 1 << 13);
	assert_int_equal(power_offs, 1);
	assert_int_equal(in(&rig, CONTROL, 2) & 1 << 13, 0);
	outb(&rig, CONTROL + 1, 0x34);
	assert_int_equal(power_offs, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_timer_counts), TEST(test_timer_status), TEST(test_power_button),
		TEST(test_two_events),   TEST(test_gpe),          TEST(test_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
