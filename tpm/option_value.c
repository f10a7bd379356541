// SPDX-License-Identifier: MIT
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tpm/option_value.h"

/* strtoul() alone would take signs and blanks. A number too large for it is ULONG_MAX. */
int option_number(const char *option, const char *text, int base, unsigned int max,
		  unsigned int *number)
{
	char *end;
	unsigned long value = strtoul(text, &end, base);

	if (*text < '0' || *text > '9' || *end || value > max) {
		warnx("%s: '%s' is not a number up to %u", option, text, max);
		return -EINVAL;
	}
	*number = (unsigned int)value;
	return 0;
}

bool option_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}
