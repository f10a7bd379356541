#include "tests/fuzz/restless_memory.h"

int __real_guest_access_copy(void *dst, const void *src, size_t len);
int __wrap_guest_access_copy(void *dst, const void *src, size_t len);

static struct {
	uint8_t *memory;
	size_t len;
	uint32_t state;
} restless;

void restless_memory_start(uint8_t *memory, size_t len, uint32_t seed)
{
	restless.memory = memory;
	restless.len = len;
	restless.state = seed;
}

/* Numerical Recipes' generator; its high bits are the better ones. */
static uint32_t pick(uint32_t below)
{
	restless.state = restless.state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)restless.state * below >> 32);
}

/* Indices of rings are changed by their target itself. */
int __wrap_guest_access_copy(void *dst, const void *src, size_t len)
{
	int err = __real_guest_access_copy(dst, src, len);
	uintptr_t offset = (uintptr_t)src - (uintptr_t)restless.memory;
	uint8_t byte;

	if (err || !restless.state || len <= 4 || offset >= restless.len ||
	    len > restless.len - offset || pick(2))
		return err;
	offset += pick((uint32_t)len);
	byte = (uint8_t)pick(256);
	/* The target may have left the page only to be read: then it stays as it is. */
	__real_guest_access_copy(restless.memory + offset, &byte, sizeof(byte));
	return 0;
}
