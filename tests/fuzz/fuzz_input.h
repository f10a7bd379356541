#ifndef TESTS_FUZZ_FUZZ_INPUT_H
#define TESTS_FUZZ_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What the fuzzer gave and nobody has taken yet. Beyond its end there are zeroes. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/* Copies up to len bytes; returns how many there were. */
static inline size_t fuzz_take_bytes(struct fuzz_input *in, void *buf, size_t len)
{
	if (len > in->size)
		len = in->size;
	memcpy(buf, in->data, len);
	in->data += len;
	in->size -= len;
	return len;
}

/* The next len (up to 8) bytes as a little-endian number. */
static inline uint64_t fuzz_take(struct fuzz_input *in, size_t len)
{
	uint64_t value = 0;

	fuzz_take_bytes(in, &value, len);
	return value;
}

#endif
