#include "core/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char last[600];
static size_t last_len;
static unsigned int lines;
static enum log_level last_level;

static void record(void *ctx, enum log_level level, const char *line, size_t len)
{
	assert_ptr_equal(ctx, &lines);
	assert_true(len < sizeof(last));
	memcpy(last, line, len);
	last[len] = 0;
	last_len = len;
	last_level = level;
	lines++;
}

static int setup(void **state)
{
	const struct log_sink sink = { record, &lines };

	(void)state;
	log_set_sink(&sink);
	log_set_level(LOG_INFO);
	lines = 0;
	return 0;
}

/* As it was before any sink was set. */
static void test_no_sink(void **state)
{
	static const char expected[] = "warning: seen\n";
	char text[64];
	int ends[2], old = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	log_set_sink(NULL);
	dup2(ends[1], STDERR_FILENO);
	log_warn("seen");
	dup2(old, STDERR_FILENO);
	close(ends[1]);
	n = read(ends[0], text, sizeof(text));
	close(ends[0]);
	close(old);
	assert_int_equal(n, sizeof(expected) - 1);
	assert_memory_equal(text, expected, sizeof(expected) - 1);
	assert_int_equal(lines, 0);
}

static void test_levels(void **state)
{
	(void)state;
	log_info("%d and %s", 42, "text");
	assert_string_equal(last, "42 and text");
	assert_int_equal(last_level, LOG_INFO);
	log_debug("not this");
	assert_int_equal(lines, 1);
	log_set_level(LOG_DEBUG);
	log_debug("this");
	assert_int_equal(lines, 2);
	log_set_level(LOG_ERROR);
	log_warn("not this");
	log_error("this");
	assert_int_equal(lines, 3);
}

static void test_line_is_cut_and_clean(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[999] = 0;
	log_info("%s", text);
	assert_int_equal(last_len, 500);
	log_info("a\nb\x1b[31m\x7f\xc3\xa4");
	assert_string_equal(last, "a?b?[31m?\xc3\xa4");
}

static void test_limit(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_msg_limited(&limit, LOG_WARN, "line %d", i);
	assert_int_equal(lines, 10);
	assert_string_equal(last, "line 9");
	assert_int_equal(limit.suppressed, 990);

	limit.window_start_ns -= 1000000000ll; /* a second passes */
	log_msg_limited(&limit, LOG_WARN, "again");
	assert_int_equal(lines, 12);
	assert_string_equal(last, "again");
	assert_int_equal(limit.suppressed, 0);
}

/* Call sites do not share a limit. */
static void test_limit_is_per_site(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		log_limited(LOG_INFO, "one");
		log_limited(LOG_INFO, "two");
		log_limited(LOG_DEBUG, "hidden");
	}
	assert_int_equal(lines, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_no_sink, setup),
		cmocka_unit_test_setup(test_line_is_cut_and_clean, setup),
		cmocka_unit_test_setup(test_limit, setup),
		cmocka_unit_test_setup(test_limit_is_per_site, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
