#include "paravisor/tpm/event_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SHA1   0x0004
#define SHA256 0x000B
#define SHA384 0x000C

static const uint16_t banks[] = { SHA256, SHA384 };

static void test_spec_id(void **state)
{
	static const uint8_t expected[] = {
		0,    0,   0,   0,   3,    0,   0,   0,   0,    0,   0,   0,   0,   0,
		0,    0,   0,   0,   0,    0,   0,   0,   0,    0,   0,   0,   0,   0,
		0x25, 0,   0,   0,   'S',  'p', 'e', 'c', ' ',  'I', 'D', ' ', 'E', 'v',
		'e',  'n', 't', '0', '3',  0,   0,   0,   0,    0,   0,   2,   106, 2,
		2,    0,   0,   0,   0x0B, 0,   32,  0,   0x0C, 0,   48,  0,   0,
	};
	uint8_t buf[256] = { 0 };
	struct event_log log;

	(void)state;
	assert_int_equal(event_log_begin(&log, buf, sizeof(buf), banks, 2), 0);
	assert_int_equal(log.len, sizeof(expected));
	assert_memory_equal(buf, expected, sizeof(expected));
}

static struct event_digests digests(void)
{
	struct event_digests d = { .count = 2 };

	d.digest[0].algorithm = SHA256;
	memset(d.digest[0].bytes, 0xAA, EVENT_DIGEST_SIZE);
	d.digest[1].algorithm = SHA384;
	memset(d.digest[1].bytes, 0xBB, EVENT_DIGEST_SIZE);
	return d;
}

static void test_event(void **state)
{
	const struct event_digests d = digests();
	uint8_t buf[512] = { 0 }, *p;
	struct event_log log;

	(void)state;
	assert_int_equal(event_log_begin(&log, buf, sizeof(buf), banks, 2), 0);
	p = buf + log.len;
	assert_int_equal(event_log_add(&log, 9, EV_IPL, &d, "initrd", 7), 0);
	assert_memory_equal(p, "\x09\0\0\0\x0D\0\0\0\x02\0\0\0\x0B\0\xAA", 15);
	assert_memory_equal(p + 14 + 31, "\xAA\x0C\0\xBB", 4);
	assert_memory_equal(p + 14 + 32 + 2 + 47, "\xBB\x07\0\0\0initrd", 12);
	assert_ptr_equal(p + 14 + 32 + 2 + 48 + 4 + 7, buf + log.len);
}

/* What does not fit leaves the log as it was, zeros behind it: that is how readers find its end. */
static void test_full(void **state)
{
	const struct event_digests d = digests();
	uint8_t buf[240], zeros[240] = { 0 };
	struct event_log log;
	size_t len;

	(void)state;
	memset(buf, 0, sizeof(buf));
	assert_int_equal(event_log_begin(&log, buf, sizeof(buf), banks, 2), 0);
	assert_int_equal(event_log_add(&log, 0, EV_SEPARATOR, &d, zeros, 4), 0);
	len = log.len;
	assert_int_equal(event_log_add(&log, 0, EV_SEPARATOR, &d, zeros, 4), -ENOSPC);
	assert_int_equal(log.len, len);
	assert_memory_equal(buf + len, zeros, sizeof(buf) - len);
	assert_int_equal(event_log_begin(&log, buf, 40, banks, 2), -ENOSPC);
}

static void test_bad(void **state)
{
	static const uint16_t unknown[] = { 0x1234 };
	uint8_t buf[256] = { 0 };
	struct event_log log;

	(void)state;
	assert_int_equal(event_log_begin(&log, buf, sizeof(buf), unknown, 1), -EINVAL);
	assert_int_equal(event_log_begin(&log, buf, sizeof(buf), banks, 0), -EINVAL);
	assert_int_equal(event_log_begin(&log, buf, sizeof(buf), banks, 6), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_id),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
