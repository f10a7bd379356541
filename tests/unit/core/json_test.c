#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"

#define TOKENS 64

static struct json_token tokens[TOKENS];

/* From an exact copy, so that reading past the end is seen. */
static int check(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	struct json json;
	int ret;

	memcpy(copy, text, len);
	ret = json_parse(&json, copy, len, tokens, TOKENS);
	free(copy);
	return ret;
}

static struct json parsed(const char *text)
{
	struct json json;

	assert_int_equal(json_parse(&json, text, strlen(text), tokens, TOKENS), 0);
	return json;
}

static void test_accepts(void **state)
{
	static const char *const texts[] = {
		"0",
		"-0",
		"12",
		"1.5",
		"-1.5e+10",
		"1E3",
		"\"\"",
		"\"a\\u00e4\\n\\/\"",
		"true",
		"false",
		"null",
		"[]",
		"{}",
		" [ 1 , [ ] , { } ] ",
		"{\"a\":{\"b\":[1,2]}}\r\n",
		"\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"",
		"\"\\ud83d\\ude00\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (check(texts[i], strlen(texts[i])))
			fail_msg("%s", texts[i]);
}

static void test_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"01",
		"1.",
		".5",
		"+1",
		"1e",
		"-",
		"tru",
		"nul",
		"True",
		"\"",
		"\"a",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\ud800\"",
		"\"\\ud800\\u0041\"",
		"\"\\udc00\"",
		"\"\t\"",
		"[",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"]",
		"{",
		"{\"a\"",
		"{\"a\":",
		"{\"a\":1",
		"{\"a\":1,}",
		"{a:1}",
		"{1:1}",
		"[1 2]",
		"1 2",
		"{}{}",
		"[}",
		"\"\x80\"",
		"\"\xC0\x80\"",
		"\"\xED\xA0\x80\"",
		"\"\xF4\x90\x80\x80\"",
		"\"\xE2\x82\"",
		"\"\xC3",
		"'a'",
		"\"\\",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (check(texts[i], strlen(texts[i])) != -EINVAL)
			fail_msg("%s", texts[i]);
	assert_int_equal(check("[0]\0", 4), -EINVAL);
	assert_int_equal(check("\"a\0b\"", 5), -EINVAL);
}

static void test_limits(void **state)
{
	char deep[2 * JSON_DEPTH_MAX + 3] = "";
	char many[2 * TOKENS + 2] = "[";

	(void)state;
	memset(deep, '[', JSON_DEPTH_MAX);
	memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(check(deep, 2 * JSON_DEPTH_MAX), 0);
	memset(deep, '[', JSON_DEPTH_MAX + 1);
	assert_int_equal(check(deep, JSON_DEPTH_MAX + 1), -E2BIG);

	for (unsigned int i = 0; i < TOKENS - 1; i++)
		strcat(many, i ? ",1" : "1");
	strcat(many, "]");
	assert_int_equal(check(many, strlen(many)), 0);
	many[strlen(many) - 1] = 0;
	strcat(many, ",1]");
	assert_int_equal(check(many, strlen(many)), -E2BIG);
}

static void test_look_up(void **state)
{
	struct json json =
		parsed("{\"a\": [1, {\"b\": 7}, \"x\"], \"n\": null, \"t\": true, \"a\": 9}");
	uint32_t array = json_member(&json, 0, "a"), at;
	uint64_t number = 5;
	bool flag = false;

	(void)state;
	at = json_first(&json, array);
	assert_int_equal(json_uint(&json, at, &number), 0);
	assert_int_equal(number, 1);
	at = json_next(&json, array, at);
	assert_int_equal(json_uint(&json, json_member(&json, at, "b"), &number), 0);
	assert_int_equal(number, 7);
	at = json_next(&json, array, at);
	assert_int_equal(json_uint(&json, at, &number), -EINVAL);
	assert_int_equal(json_next(&json, array, at), JSON_NONE);

	assert_int_equal(json_bool(&json, json_member(&json, 0, "t"), &flag), 0);
	assert_true(flag);
	assert_int_equal(json_bool(&json, array, &flag), -EINVAL);
	assert_int_equal(json_member(&json, 0, "n"), JSON_NONE);
	assert_int_equal(json_member(&json, 0, "b"), JSON_NONE);
	assert_int_equal(json_member(&json, array, "b"), JSON_NONE);
	assert_int_equal(json_member(&json, JSON_NONE, "b"), JSON_NONE);
	assert_int_equal(json_first(&json, 0), JSON_NONE);
	assert_int_equal(json_first(&json, JSON_NONE), JSON_NONE);
	assert_int_equal(json_uint(&json, JSON_NONE, &number), -ENOENT);
	assert_int_equal(json_bool(&json, JSON_NONE, &flag), -ENOENT);
	json = parsed("[]");
	assert_int_equal(json_first(&json, 0), JSON_NONE);
}

static void test_numbers(void **state)
{
	struct json json = parsed("[18446744073709551615, 18446744073709551616, -1, 1.0, 1e2, 0]");
	static const int expected[] = { 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL, 0 };
	uint32_t at = json_first(&json, 0);
	uint64_t number = 1;

	(void)state;
	for (unsigned int i = 0; i < 6; i++, at = json_next(&json, 0, at))
		assert_int_equal(json_uint(&json, at, &number), expected[i]);
	assert_int_equal(number, 0);
}

static void test_strings(void **state)
{
	struct json json =
		parsed("[\"a\\u00e4\\u20ac\\ud83d\\ude00\\\"\\\\\", \"a\\u0000\", \"\", 1]");
	uint32_t at = json_first(&json, 0);
	char buf[13];

	(void)state;
	assert_int_equal(json_string(&json, at, buf, sizeof(buf)), 12);
	assert_string_equal(buf, "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"\\");
	assert_true(json_raw_len(&json, at) >= 12);
	assert_int_equal(json_string(&json, at, buf, 12), -E2BIG);
	assert_int_equal(json_string(&json, at, buf, 0), -E2BIG);
	at = json_next(&json, 0, at);
	assert_int_equal(json_string(&json, at, buf, sizeof(buf)), -EINVAL);
	at = json_next(&json, 0, at);
	assert_int_equal(json_string(&json, at, buf, 1), 0);
	assert_string_equal(buf, "");
	at = json_next(&json, 0, at);
	assert_int_equal(json_string(&json, at, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(json_string(&json, JSON_NONE, buf, sizeof(buf)), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts), cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_limits),  cmocka_unit_test(test_look_up),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
