#include "paravisor/shim_log.h"

#include <string.h>

#include "core/log.h"

#define LINE_MAX_LEN 200 /* longer ones go on in the next */

static void print_line(const char *text, size_t len)
{
	char line[LINE_MAX_LEN];

	for (size_t i = 0; i < len; i++)
		line[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	log_info("boot shim: %.*s", (int)len, line);
}

void shim_log_print(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		size_t left = (size_t)(end - text);
		size_t max = left < LINE_MAX_LEN ? left : LINE_MAX_LEN;
		const char *newline = memchr(text, '\n', max);
		size_t n = newline ? (size_t)(newline - text) : max;

		if (n)
			print_line(text, n);
		text += n;
		if (text < end && *text == '\n')
			text++;
	}
}
