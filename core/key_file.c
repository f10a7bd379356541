#include "core/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse(const char *text, size_t len, uint8_t *key)
{
	if (len == KEY_FILE_SIZE) {
		memcpy(key, text, len);
		return 0;
	}
	while (len > 2 * KEY_FILE_SIZE && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len != 2 * KEY_FILE_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < KEY_FILE_SIZE; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int key_file_read(const char *path, uint8_t key[KEY_FILE_SIZE])
{
	char text[2 * KEY_FILE_SIZE + 3]; /* one byte more than may be there */
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + len, sizeof(text) - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < sizeof(text));
	if (n < 0)
		ret = -errno;
	close(fd);
	if (!ret)
		ret = parse(text, len, key);
	explicit_bzero(text, sizeof(text));
	return ret;
}
