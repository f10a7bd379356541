/* SPDX-License-Identifier: MIT */
#ifndef TPM_OPTION_VALUE_H
#define TPM_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/* Values of vtpmd's and vtpm-setup's options. */

/* A number up to `max`, of digits alone: 0, or -EINVAL after a line on standard error. */
int option_number(const char *option, const char *text, int base, unsigned int max,
		  unsigned int *number);

/* The `len` bytes of a list that an item has: are they this word? */
bool option_word(const char *text, size_t len, const char *word);

#endif
