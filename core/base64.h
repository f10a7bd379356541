#ifndef CORE_BASE64_H
#define CORE_BASE64_H

#include <stddef.h>
#include <stdint.h>

/*
 * Base64 with padding (RFC 4648 4), nothing else in between. `out` may be `text` itself. The number of
 * bytes; -EINVAL: not Base64, or bits that no byte has are set; -E2BIG: more than `size`.
 */
int base64_decode(const char *text, size_t len, void *out, size_t size);

/* Characters that base64_encode() writes for `len` bytes, at most SIZE_MAX / 2. */
static inline size_t base64_encoded_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

/* Writes base64_encoded_len(len) characters and no terminator. */
void base64_encode(const void *bytes, size_t len, char *text);

#endif
