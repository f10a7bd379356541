#include "core/base64.h"

#include <errno.h>

static int value_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which the last `padding` are "=". False: they are not Base64. */
static int decode_group(const char *text, unsigned int padding, uint32_t *bits)
{
	*bits = 0;
	for (unsigned int i = 0; i < 4; i++) {
		int value = i < 4 - padding ? value_of((unsigned char)text[i]) : 0;

		if (value < 0)
			return -EINVAL;
		*bits = *bits << 6 | (uint32_t)value;
	}
	return *bits & ((1u << 8 * padding) - 1) ? -EINVAL : 0;
}

int base64_decode(const char *text, size_t len, void *out, size_t size)
{
	uint8_t *bytes = out;
	size_t used = 0;

	if (len % 4 || len / 4 > INT32_MAX / 3)
		return -EINVAL;
	for (size_t at = 0; at < len; at += 4) {
		unsigned int padding = 0;
		uint32_t bits;

		if (at + 4 == len && text[at + 3] == '=')
			padding = text[at + 2] == '=' ? 2 : 1;
		if (decode_group(text + at, padding, &bits))
			return -EINVAL;
		if (size - used < 3 - padding)
			return -E2BIG;
		for (unsigned int i = 0; i < 3 - padding; i++)
			bytes[used++] = (uint8_t)(bits >> (16 - 8 * i));
	}
	return (int)used;
}

void base64_encode(const void *bytes, size_t len, char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = bytes;

	for (; len; in += 3, text += 4) {
		size_t count = len < 3 ? len : 3;
		uint32_t bits = (uint32_t)in[0] << 16 | (count > 1 ? (uint32_t)in[1] << 8 : 0) |
				(count > 2 ? in[2] : 0);

		for (size_t i = 0; i < 4; i++)
			text[i] = i <= count ? digits[bits >> (18 - 6 * i) & 63] : '=';
		len -= count;
	}
}
