#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"
#include "paravisor/shim_log.h"

static char lines[16384];

static void collect(void *ctx, enum log_level level, const char *line, size_t len)
{
	size_t used = strlen(lines);

	(void)ctx;
	assert_int_equal(level, LOG_INFO);
	assert_true(used + len + 2 < sizeof(lines));
	memcpy(lines + used, line, len);
	strcpy(lines + used + len, "|");
}

/* In memory of exactly that size, so that a read past it is seen. */
static void print(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	lines[0] = '\0';
	shim_log_print(copy, len);
	free(copy);
}

static void test_lines(void **state)
{
	(void)state;
	print("one\ntwo\n", 8);
	assert_string_equal(lines, "boot shim: one|boot shim: two|");
	print("tail of one\ntwo", 15);
	assert_string_equal(lines, "boot shim: tail of one|boot shim: two|");
	print("\n\na\n\n", 5);
	assert_string_equal(lines, "boot shim: a|");
	print("", 0);
	assert_string_equal(lines, "");
}

static void test_bytes_that_are_no_text(void **state)
{
	(void)state;
	print("\033[2J\r\t\x7f\x80\xff\0%s\n", 13);
	assert_string_equal(lines, "boot shim: ?[2J??????%s|");
}

static void test_lines_without_end(void **state)
{
	char text[450];

	(void)state;
	memset(text, 'x', sizeof(text));
	print(text, sizeof(text));
	assert_int_equal(strlen(lines), 450 + 3 * strlen("boot shim: |"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_lines_without_end),
	};
	static const struct log_sink sink = { collect, NULL };

	log_set_sink(&sink);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
