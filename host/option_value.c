#include "host/option_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024ull
#define MIB (1024ull * 1024)

int option_fail(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "vtlhost: %s '%s': %s\n", what, value, why);
	return -EINVAL;
}

/* Decimal digits only: strtoull() alone would take signs and blanks. */
static int parse_number(const char *text, uint64_t max, uint64_t *value, const char **end)
{
	char *stop;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &stop, 10);
	*end = stop;
	return errno || *value > max ? -ERANGE : 0;
}

int option_count(const char *what, const char *text, uint64_t min, uint64_t max,
		 unsigned int *count)
{
	char range[64];
	const char *end;
	uint64_t value;

	snprintf(range, sizeof(range), "must be a number from %llu to %llu",
		 (unsigned long long)min, (unsigned long long)max);
	if (parse_number(text, max, &value, &end) || *end || value < min)
		return option_fail(what, text, range);
	*count = (unsigned int)value;
	return 0;
}

int option_size(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t unit,
		uint64_t *size)
{
	static const char suffixes[] = "KMG";
	const char *end, *suffix;
	char range[80];
	uint64_t value, factor = 1;
	uint64_t shown = min % MIB ? KIB : MIB;

	snprintf(range, sizeof(range), "must be bytes with K, M or G, from %llu%c to %lluM",
		 (unsigned long long)(min / shown), shown == MIB ? 'M' : 'K',
		 (unsigned long long)(max / MIB));
	if (parse_number(text, max, &value, &end))
		return option_fail(what, text, range);
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || end[1])
			return option_fail(what, text, range);
		factor = 1024ull << (10 * (suffix - suffixes));
	}
	if (value > max / factor || value * factor < min)
		return option_fail(what, text, range);
	*size = value * factor / unit * unit;
	return 0;
}
