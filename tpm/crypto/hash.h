/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_HASH_H
#define TPM_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>

#define HASH_MAX_SIZE  64
#define HASH_MAX_BLOCK 128

/* A running digest. It holds no pointers, so it may be copied and saved as bytes. */
struct hash_ctx {
	uint16_t alg; /* TPM_ALG_SHA1 and so on */
	union {
		mbedtls_sha1_context sha1;
		mbedtls_sha256_context sha256;
		mbedtls_sha512_context sha512;
	};
};

struct hmac_ctx {
	struct hash_ctx hash;
	uint8_t outer[HASH_MAX_BLOCK]; /* the key, padded and XORed with opad; secret */
};

/* Digest size in bytes of a TPM_ALG_ID, 0 when it is not a hash that we have. */
unsigned int hash_size(uint16_t alg);
unsigned int hash_block_size(uint16_t alg);
/* The n-th hash we have (0, 1, ...), or TPM_ALG_NULL. */
uint16_t hash_by_index(unsigned int n);

/* alg must be one that hash_size() knows. */
void hash_start(struct hash_ctx *ctx, uint16_t alg);
void hash_update(struct hash_ctx *ctx, const void *data, size_t len);
/* Writes hash_size() bytes, returns that number, and wipes the context. */
unsigned int hash_finish(struct hash_ctx *ctx, uint8_t *digest);
unsigned int hash_buf(uint16_t alg, const void *data, size_t len, uint8_t *digest);

void hmac_start(struct hmac_ctx *ctx, uint16_t alg, const void *key, size_t key_len);
void hmac_update(struct hmac_ctx *ctx, const void *data, size_t len);
unsigned int hmac_finish(struct hmac_ctx *ctx, uint8_t *digest);

#endif
