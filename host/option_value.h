#ifndef HOST_OPTION_VALUE_H
#define HOST_OPTION_VALUE_H

#include <stdint.h>

/* Values on the command line. Each prints one line to standard error before it returns -EINVAL. */

int option_fail(const char *what, const char *value, const char *why);

/* A decimal number from min to max. */
int option_count(const char *what, const char *text, uint64_t min, uint64_t max,
		 unsigned int *count);

/* Bytes, or a number with K, M or G, from min to max, rounded down to a multiple of `unit`. */
int option_size(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t unit,
		uint64_t *size);

#endif
