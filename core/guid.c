#include "core/guid.h"

#include <errno.h>
#include <stdio.h>

#define DIGITS 36

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The 16 bytes in the order in which they are written. */
static int parse_bytes(const char *text, uint8_t bytes[16])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < DIGITS; i += 2) {
		int high, low;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return -EINVAL;
		}
		high = hex_value(text[i]);
		low = high < 0 ? -1 : hex_value(text[i + 1]);
		if (low < 0)
			return -EINVAL;
		bytes[n++] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int guid_parse(const char *text, struct guid *guid)
{
	size_t len = strlen(text);
	uint8_t b[16];

	if (len == DIGITS + 2 && text[0] == '{' && text[len - 1] == '}') {
		text++;
		len -= 2;
	}
	if (len != DIGITS || parse_bytes(text, b))
		return -EINVAL;
	guid->data1 = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	guid->data2 = (uint16_t)(b[4] << 8 | b[5]);
	guid->data3 = (uint16_t)(b[6] << 8 | b[7]);
	memcpy(guid->data4, b + 8, sizeof(guid->data4));
	return 0;
}

void guid_format(const struct guid *guid, char text[GUID_TEXT_SIZE])
{
	const uint8_t *d = guid->data4;

	snprintf(text, GUID_TEXT_SIZE, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 guid->data1, guid->data2, guid->data3, d[0], d[1], d[2], d[3], d[4], d[5], d[6],
		 d[7]);
}
