#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/base64.h"

/* RFC 4648 10 */
static void test_vectors(void **state)
{
	static const char *const vectors[][2] = {
		{ "", "" },
		{ "Zg==", "f" },
		{ "Zm8=", "fo" },
		{ "Zm9v", "foo" },
		{ "Zm9vYg==", "foob" },
		{ "Zm9vYmE=", "fooba" },
		{ "Zm9vYmFy", "foobar" },
	};
	char out[8], encoded[8];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		const char *text = vectors[i][0], *bytes = vectors[i][1];

		assert_int_equal(base64_decode(text, strlen(text), out, sizeof(out)),
				 strlen(bytes));
		assert_memory_equal(out, bytes, strlen(bytes));
		assert_int_equal(base64_encoded_len(strlen(bytes)), strlen(text));
		base64_encode(bytes, strlen(bytes), encoded);
		assert_memory_equal(encoded, text, strlen(text));
	}
	base64_encode("\xFB\xF0", 3, encoded);
	assert_memory_equal(encoded, "+/AA", 4);
	assert_int_equal(base64_decode("+/AA", 4, out, 3), 3);
	assert_memory_equal(out, "\xFB\xF0", 3);
}

static void test_in_place(void **state)
{
	char text[] = "Zm9vYmFy";

	(void)state;
	assert_int_equal(base64_decode(text, 8, text, 8), 6);
	assert_memory_equal(text, "foobar", 6);
}

static void test_refuses(void **state)
{
	static const char *const texts[] = {
		"Z",    "Zg",   "Zg=",      "====",         "Z===", "Zg=v",
		"Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n\n\n\n", "Zm-v", "Zm9_"
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (base64_decode(texts[i], strlen(texts[i]), out, sizeof(out)) != -EINVAL)
			fail_msg("%s", texts[i]);
	assert_int_equal(base64_decode("Zm9v", 4, out, 2), -E2BIG);
	assert_int_equal(base64_decode("Zg==", 4, out, 0), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
