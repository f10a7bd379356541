#ifndef CORE_GUID_H
#define CORE_GUID_H

#include <stdbool.h>
#include <string.h>

#include "proto/guid.h"

/* GUIDs as text: 8-4-4-4-12 hexadecimal digits (RFC 9562 4), written in lower case, read in any. */

#define GUID_TEXT_SIZE 37

/* The whole of `text`, with or without braces. 0 or -EINVAL. */
int guid_parse(const char *text, struct guid *guid);

void guid_format(const struct guid *guid, char text[GUID_TEXT_SIZE]);

static inline bool guid_equal(const struct guid *a, const struct guid *b)
{
	return !memcmp(a, b, sizeof(*a));
}

#endif
