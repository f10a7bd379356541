#include "paravisor/boot/byte_writer.h"

#include <string.h>

static bool fits(struct byte_writer *w, size_t len)
{
	if (w->full || len > w->cap - w->len)
		w->full = true;
	return !w->full;
}

void byte_writer_put(struct byte_writer *w, const void *bytes, size_t len)
{
	if (!len || !fits(w, len))
		return;
	memcpy(w->buf + w->len, bytes, len);
	w->len += len;
}

void byte_writer_u8(struct byte_writer *w, uint8_t value)
{
	byte_writer_put(w, &value, 1);
}

void byte_writer_number(struct byte_writer *w, uint64_t value, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		byte_writer_u8(w, (uint8_t)(value >> 8 * i));
}

void byte_writer_align(struct byte_writer *w, size_t align)
{
	while (w->len % align && !w->full)
		byte_writer_u8(w, 0);
}

void byte_writer_insert(struct byte_writer *w, size_t at, const void *bytes, size_t len)
{
	if (!fits(w, len))
		return;
	memmove(w->buf + at + len, w->buf + at, w->len - at);
	memcpy(w->buf + at, bytes, len);
	w->len += len;
}

uint8_t byte_checksum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}
