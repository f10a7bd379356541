#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/options.h"

static struct options options;
static char error[160];

static int parse(const char *a, const char *b, const char *c)
{
	char *argv[] = { (char *)"paravisor", (char *)a, (char *)b, (char *)c, NULL };
	int argc = 1;

	while (argv[argc])
		argc++;
	error[0] = '\0';
	return options_parse(&options, argc, argv, error, sizeof(error));
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(parse("--kernel=1000:2000", "--initrd=0x5000:0x10", "--log-level=3"), 0);
	assert_int_equal(options.kernel.gpa, 0x1000);
	assert_int_equal(options.kernel.len, 0x2000);
	assert_int_equal(options.initrd.gpa, 0x5000);
	assert_int_equal(options.initrd.len, 16);
	assert_int_equal(options.cmdline.len, 0);
	assert_int_equal(options.log_level, LOG_DEBUG);
	assert_int_equal(options.wall_clock, 0);
	assert_int_equal(parse("--kernel=1:1", "--cmdline=7:8", "--wall-clock=1800000000"), 0);
	assert_int_equal(options.cmdline.gpa, 7);
	assert_int_equal(options.wall_clock, 1800000000);
	assert_int_equal(options.log_level, LOG_INFO);
}

/* Linux hands its own unknown words to PID 1, which passes on all that it gets. */
static void test_words_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(parse("noxsave", "--kernel=1000:1", "foo=bar"), 0);
	assert_int_equal(options.kernel.gpa, 0x1000);
}

static void test_bad_options(void **state)
{
	static const char *const bad[] = {
		"--kernel",         "--kernel=",       "--kernel=1000",
		"--kernel=1000:",   "--kernel=1000:0", "--kernel=x:1",
		"--kernel=1000:1x", "--kernel=-1:2",   "--kernel=1:10000000000000000",
		"--log-level=9",    "--log-level=",    "--wall-clock=-1",
		"--wall-clock=1h",  "--unknown=1",     "--kern=1:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(parse("--kernel=1:1", bad[i], NULL), -EINVAL);
		assert_non_null(strstr(error, bad[i]));
	}
}

static void test_no_kernel(void **state)
{
	(void)state;
	assert_int_equal(parse("--initrd=1:1", NULL, NULL), -EINVAL);
	assert_non_null(strstr(error, "neither kernel nor firmware"));
}

static void test_firmware(void **state)
{
	(void)state;
	assert_int_equal(parse("--firmware=ffff0000:10000", NULL, NULL), 0);
	assert_int_equal(options.firmware.gpa, 0xffff0000);
	assert_int_equal(options.firmware.len, 0x10000);
	assert_int_equal(parse("--firmware=ffff0000:10000", "--kernel=1:1", NULL), -EINVAL);
	assert_non_null(strstr(error, "besides"));
	assert_int_equal(parse("--firmware=ffff0000:10000", "--cmdline=1:1", NULL), -EINVAL);
	assert_int_equal(parse("--firmware=ffff0000:0", NULL, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),         cmocka_unit_test(test_words_of_the_kernel),
		cmocka_unit_test(test_bad_options), cmocka_unit_test(test_no_kernel),
		cmocka_unit_test(test_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
