#ifndef PARAVISOR_BOOT_BYTE_WRITER_H
#define PARAVISOR_BOOT_BYTE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes appended to a buffer of the caller's. What does not fit is dropped and remembered, so that
 * a whole table can be written before the one check of `full`.
 */
struct byte_writer {
	uint8_t *buf;
	size_t len, cap;
	bool full;
};

static inline struct byte_writer byte_writer_over(void *buf, size_t cap)
{
	return (struct byte_writer){ .buf = buf, .cap = cap };
}

void byte_writer_put(struct byte_writer *w, const void *bytes, size_t len);
void byte_writer_u8(struct byte_writer *w, uint8_t value);
/* Little-endian, `size` (up to 8) bytes. */
void byte_writer_number(struct byte_writer *w, uint64_t value, unsigned int size);
/* Zeros up to a multiple of `align`. */
void byte_writer_align(struct byte_writer *w, size_t align);
/* Makes room at `at` for `len` bytes and puts them there. */
void byte_writer_insert(struct byte_writer *w, size_t at, const void *bytes, size_t len);

/* The byte that makes the sum of `len` bytes zero. */
uint8_t byte_checksum(const void *bytes, size_t len);

#endif
