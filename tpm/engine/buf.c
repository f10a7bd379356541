// SPDX-License-Identifier: MIT
#include <string.h>
#include "tpm/engine/buf.h"

bool read_span(struct reader *r, size_t len, struct span *v)
{
	if (r->left < len) {
		*v = SPAN_NONE;
		return false;
	}
	v->data = r->pos;
	v->len = len;
	r->pos += len;
	r->left -= len;
	return true;
}

bool read_u8(struct reader *r, uint8_t *v)
{
	struct span s;

	*v = 0;
	if (!read_span(r, 1, &s))
		return false;
	*v = s.data[0];
	return true;
}

bool read_u16(struct reader *r, uint16_t *v)
{
	struct span s;

	*v = 0;
	if (!read_span(r, 2, &s))
		return false;
	*v = (uint16_t)(s.data[0] << 8 | s.data[1]);
	return true;
}

bool read_u32(struct reader *r, uint32_t *v)
{
	struct span s;

	*v = 0;
	if (!read_span(r, 4, &s))
		return false;
	for (int i = 0; i < 4; i++)
		*v = *v << 8 | s.data[i];
	return true;
}

bool read_u64(struct reader *r, uint64_t *v)
{
	struct span s;

	*v = 0;
	if (!read_span(r, 8, &s))
		return false;
	for (int i = 0; i < 8; i++)
		*v = *v << 8 | s.data[i];
	return true;
}

void write_bytes(struct writer *w, const void *data, size_t len)
{
	if (w->overflow || len > w->max - w->len) {
		w->overflow = true;
		return;
	}
	if (len)
		memcpy(w->buf + w->len, data, len);
	w->len += len;
}

static void write_be(struct writer *w, uint64_t v, unsigned int len)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < len; i++)
		bytes[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
	write_bytes(w, bytes, len);
}

void write_u8(struct writer *w, uint8_t v)
{
	write_be(w, v, 1);
}

void write_u16(struct writer *w, uint16_t v)
{
	write_be(w, v, 2);
}

void write_u32(struct writer *w, uint32_t v)
{
	write_be(w, v, 4);
}

void write_u64(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}

void write_2b(struct writer *w, const void *data, size_t len)
{
	write_u16(w, (uint16_t)len);
	write_bytes(w, data, len);
}

size_t write_2b_begin(struct writer *w)
{
	write_u16(w, 0);
	return w->len;
}

void write_2b_end(struct writer *w, size_t mark)
{
	size_t len = w->len - mark;

	if (w->overflow)
		return;
	w->buf[mark - 2] = (uint8_t)(len >> 8);
	w->buf[mark - 1] = (uint8_t)len;
}

void xfer_bytes(struct xfer *x, void *data, size_t len)
{
	struct span s;

	if (x->saving) {
		write_bytes(x->out, data, len);
		return;
	}
	if (x->bad || !read_span(&x->in, len, &s)) {
		x->bad = true;
		memset(data, 0, len);
		return;
	}
	if (len)
		memcpy(data, s.data, len);
}

static void xfer_be(struct xfer *x, uint64_t *v, unsigned int len)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < len; i++)
		bytes[i] = (uint8_t)(*v >> (8 * (len - 1 - i)));
	xfer_bytes(x, bytes, len);
	*v = 0;
	for (unsigned int i = 0; i < len; i++)
		*v = *v << 8 | bytes[i];
}

void xfer_u8(struct xfer *x, uint8_t *v)
{
	xfer_bytes(x, v, 1);
}

void xfer_bool(struct xfer *x, bool *v)
{
	uint8_t byte = *v;

	xfer_u8(x, &byte);
	if (byte > 1)
		x->bad = true;
	*v = byte == 1;
}

void xfer_u16(struct xfer *x, uint16_t *v)
{
	uint64_t wide = *v;

	xfer_be(x, &wide, 2);
	*v = (uint16_t)wide;
}

void xfer_u32(struct xfer *x, uint32_t *v)
{
	uint64_t wide = *v;

	xfer_be(x, &wide, 4);
	*v = (uint32_t)wide;
}

void xfer_u64(struct xfer *x, uint64_t *v)
{
	xfer_be(x, v, 8);
}

void xfer_counted(struct xfer *x, uint16_t *len, uint8_t *data, size_t max)
{
	xfer_u16(x, len);
	if (*len > max) {
		x->bad = true;
		*len = 0;
	}
	xfer_bytes(x, data, *len);
}
