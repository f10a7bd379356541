/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_DRBG_H
#define TPM_CRYPTO_DRBG_H

#include <stddef.h>
#include <stdint.h>
#include <mbedtls/hmac_drbg.h>
#include "tpm/crypto/kdf.h"

/* SP800-90A HMAC_DRBG with SHA-256, either reseeded from entropy or a pure function of its seed. */
struct drbg {
	mbedtls_hmac_drbg_context ctx;
	/* When set, the bytes come from here instead and end with it (objects derived by KDF). */
	const uint8_t *stream;
	size_t stream_left;
};

/* get_entropy fills len bytes and returns 0. Returns 0 or -EIO. */
int drbg_init(struct drbg *rng, int (*get_entropy)(void *arg, unsigned char *out, size_t len),
	      void *arg);
/* The same seed, label and context always give the same stream. */
int drbg_init_seeded(struct drbg *rng, struct span seed, const char *label, struct span context);
void drbg_init_stream(struct drbg *rng, struct span bytes);
void drbg_free(struct drbg *rng);

/* Mixes data in (TPM2_StirRandom). */
int drbg_stir(struct drbg *rng, struct span data);

/* Any length. The signature is mbedTLS's f_rng, rng being a struct drbg. */
int drbg_read(void *rng, unsigned char *out, size_t len);

#endif
