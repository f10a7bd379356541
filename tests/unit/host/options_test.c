#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host/options.h"

static int parse(struct options *options, const char *option, const char *value)
{
	const char *argv[] = {
		"vtlhost", "--vtl2-kernel", "k2", "--vtl2-initrd", "i2", "--kernel", "k",
		option,    value,           NULL
	};
	int argc = option ? 9 : 7;

	optind = 0; /* glibc and musl: start over */
	return options_parse(options, argc, (char **)argv);
}

static void defaults(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, NULL), 0);
	assert_int_equal(o.cpus, 2);
	assert_int_equal(o.memory, 1ull << 30);
	assert_int_equal(o.timeout, 0);
	assert_false(o.probe);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{ "512M", 512ull << 20 },
		{ "3G", 3ull << 30 },
		{ "3g", 3ull << 30 },
		{ "1048576K", 1ull << 30 },
		{ "1073741824", 1ull << 30 },
		{ "513M", 512ull << 20 },
		{ "", 0 },
		{ "M", 0 },
		{ "-1G", 0 },
		{ "1T", 0 },
		{ "1GB", 0 },
		{ "0", 0 },
		{ "10M", 0 },
		{ "18446744073709551616", 0 },
		{ "18446744073709551615G", 0 },
		{ " 1G", 0 },
	};
	struct options o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = parse(&o, "--memory", cases[i].text);

		assert_int_equal(ret, cases[i].bytes ? 0 : -EINVAL);
		if (!ret)
			assert_int_equal(o.memory, cases[i].bytes);
	}
}

static void counts(void **state)
{
	static const char *const bad[] = { "0", "65", "10000", "-1", "2x", "", "two" };
	struct options o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&o, "--cpus", bad[i]), -EINVAL);
	assert_int_equal(parse(&o, "--cpus", "64"), 0);
	assert_int_equal(o.cpus, 64);
	assert_int_equal(parse(&o, "--timeout", "0"), -EINVAL);
	assert_int_equal(parse(&o, "--timeout", "30"), 0);
}

static void missing_and_unknown(void **state)
{
	const char *none[] = { "vtlhost", NULL };
	struct options o;

	(void)state;
	optind = 0;
	assert_int_equal(options_parse(&o, 1, (char **)none), -EINVAL);
	assert_int_equal(parse(&o, "--frobnicate", "1"), -EINVAL);
	assert_int_equal(parse(&o, "stray", "words"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(sizes),
		cmocka_unit_test(counts),
		cmocka_unit_test(missing_and_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
