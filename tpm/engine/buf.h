/* SPDX-License-Identifier: MIT */
#ifndef TPM_ENGINE_BUF_H
#define TPM_ENGINE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tpm/crypto/kdf.h"

/* A cursor over bytes that came from outside; every read is checked. */
struct reader {
	const uint8_t *pos;
	size_t left;
};

/* Each returns false, and sets *v to zero, when too little is left. */
bool read_u8(struct reader *r, uint8_t *v);
bool read_u16(struct reader *r, uint16_t *v);
bool read_u32(struct reader *r, uint32_t *v);
bool read_u64(struct reader *r, uint64_t *v);
/* A view of the next len bytes. */
bool read_span(struct reader *r, size_t len, struct span *v);

/* An append-only buffer. What does not fit is dropped and leaves overflow set. */
struct writer {
	uint8_t *buf;
	size_t len, max;
	bool overflow;
};

void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, const void *data, size_t len);
/* A TPM2B: 16-bit length, then the bytes. */
void write_2b(struct writer *w, const void *data, size_t len);
/* A TPM2B around what is written between the two calls. */
size_t write_2b_begin(struct writer *w);
void write_2b_end(struct writer *w, size_t mark);

/*
 * A two-way cursor: the same function body saves a structure and restores it, so the two cannot drift apart.
 * While saving it appends to `out`; while restoring it reads `in`, and `bad` is set by truncated or invalid data.
 */
struct xfer {
	bool saving, bad;
	uint32_t version; /* of the bytes, where more than one can be read */
	struct writer *out;
	struct reader in;
};

void xfer_u8(struct xfer *x, uint8_t *v);
void xfer_bool(struct xfer *x, bool *v);
void xfer_u16(struct xfer *x, uint16_t *v);
void xfer_u32(struct xfer *x, uint32_t *v);
void xfer_u64(struct xfer *x, uint64_t *v);
void xfer_bytes(struct xfer *x, void *data, size_t len);
/* A counted array whose count must not exceed max. */
void xfer_counted(struct xfer *x, uint16_t *len, uint8_t *data, size_t max);

#endif
