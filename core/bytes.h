#ifndef CORE_BYTES_H
#define CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Little-endian loads and stores at any alignment, and range checks that cannot overflow. */

static inline uint16_t load_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_le16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "x86-64 only");

/* Does [offset, offset + len) lie in [0, total)? An empty range may sit at the very end. */
static inline bool range_within(uint64_t offset, uint64_t len, uint64_t total)
{
	return offset <= total && len <= total - offset;
}

/* Does [base, base + len) end at or below 2^64? */
static inline bool range_valid(uint64_t base, uint64_t len)
{
	return len == 0 || base <= UINT64_MAX - (len - 1);
}

/* Do two valid, non-empty ranges share a byte? */
static inline bool range_overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a <= b ? b - a < a_len : a - b < b_len;
}

/* The low `size` bytes set; size 1 to 8. */
static inline uint64_t bytes_mask(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (size * 8)) - 1;
}

#endif
