#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "core/guid.h"

static const struct guid sample = {
	0x8dedd1aa, 0x9056, 0x49e4, { 0xbf, 0xd6, 0x1b, 0xf9, 0x0d, 0xc3, 0x8e, 0xf0 }
};

static void test_round_trip(void **state)
{
	char text[GUID_TEXT_SIZE];
	struct guid guid;

	(void)state;
	guid_format(&sample, text);
	assert_string_equal(text, "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0");
	assert_int_equal(guid_parse(text, &guid), 0);
	assert_true(guid_equal(&guid, &sample));
	assert_int_equal(guid_parse("{8DEDD1AA-9056-49E4-BFD6-1BF90DC38EF0}", &guid), 0);
	assert_true(guid_equal(&guid, &sample));
}

static void test_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		"8dedd1aa-9056-49e4-bfd6-1bf90dc38ef",
		"8dedd1aa-9056-49e4-bfd6-1bf90dc38ef00",
		"8dedd1aa-9056-49e4-bfd6-1bf90dc38efg",
		"8dedd1aa-9056-49e4-bfd61-bf90dc38ef0",
		"8dedd1aa-9056-49e4-bfd6-1bf90dc38ef-",
		"{8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0",
		"(8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0)",
		" 8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0",
	};
	struct guid guid;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (guid_parse(texts[i], &guid) != -EINVAL)
			fail_msg("%s", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
