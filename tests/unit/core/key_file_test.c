#include "core/key_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char digits[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

static int read_text(const void *text, size_t len, uint8_t key[KEY_FILE_SIZE])
{
	char path[] = "/tmp/entresol-key-XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	ret = key_file_read(path, key);
	unlink(path);
	return ret;
}

static void good(void **state)
{
	uint8_t key[KEY_FILE_SIZE], want[KEY_FILE_SIZE];
	char line[70];

	(void)state;
	for (unsigned int i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)i;
	assert_int_equal(read_text(digits, 64, key), 0);
	assert_memory_equal(key, want, sizeof(want));
	memset(key, 0, sizeof(key));
	strcpy(line, digits);
	strcat(line, "\r\n");
	assert_int_equal(read_text(line, 66, key), 0);
	assert_memory_equal(key, want, sizeof(want));
	memset(key, 0, sizeof(key));
	assert_int_equal(read_text(want, sizeof(want), key), 0);
	assert_memory_equal(key, want, sizeof(want));
}

static void bad(void **state)
{
	uint8_t key[KEY_FILE_SIZE];
	char line[70];

	(void)state;
	assert_int_equal(key_file_read("/nowhere/key", key), -ENOENT);
	assert_int_equal(read_text("", 0, key), -EINVAL);
	assert_int_equal(read_text(digits, 63, key), -EINVAL);
	strcpy(line, digits);
	strcat(line, "00");
	assert_int_equal(read_text(line, 66, key), -EINVAL);
	strcpy(line, digits);
	line[40] = 'g';
	assert_int_equal(read_text(line, 64, key), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
