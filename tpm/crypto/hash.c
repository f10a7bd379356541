// SPDX-License-Identifier: MIT
/* Hashes and HMAC (FIPS 180-4, FIPS 198-1) on mbedTLS's single-algorithm contexts. */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/crypto/hash.h"

static const struct {
	uint16_t alg;
	uint8_t size;
	uint8_t block;
} hashes[] = {
	{ TPM_ALG_SHA1, 20, 64 },
	{ TPM_ALG_SHA256, 32, 64 },
	{ TPM_ALG_SHA384, 48, 128 },
	{ TPM_ALG_SHA512, 64, 128 },
};

#define HASH_COUNT (sizeof(hashes) / sizeof(hashes[0]))

unsigned int hash_size(uint16_t alg)
{
	for (size_t i = 0; i < HASH_COUNT; i++)
		if (hashes[i].alg == alg)
			return hashes[i].size;
	return 0;
}

unsigned int hash_block_size(uint16_t alg)
{
	for (size_t i = 0; i < HASH_COUNT; i++)
		if (hashes[i].alg == alg)
			return hashes[i].block;
	return 0;
}

uint16_t hash_by_index(unsigned int n)
{
	return n < HASH_COUNT ? hashes[n].alg : TPM_ALG_NULL;
}

/* mbedTLS's software hashes have no failure path; their return values exist for hardware ones. */
void hash_start(struct hash_ctx *ctx, uint16_t alg)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->alg = alg;
	switch (alg) {
	case TPM_ALG_SHA1:
		(void)mbedtls_sha1_starts(&ctx->sha1);
		break;
	case TPM_ALG_SHA256:
		(void)mbedtls_sha256_starts(&ctx->sha256, 0);
		break;
	case TPM_ALG_SHA384:
		(void)mbedtls_sha512_starts(&ctx->sha512, 1);
		break;
	case TPM_ALG_SHA512:
		(void)mbedtls_sha512_starts(&ctx->sha512, 0);
		break;
	default:
		break;
	}
}

void hash_update(struct hash_ctx *ctx, const void *data, size_t len)
{
	if (!len)
		return;
	switch (ctx->alg) {
	case TPM_ALG_SHA1:
		(void)mbedtls_sha1_update(&ctx->sha1, data, len);
		break;
	case TPM_ALG_SHA256:
		(void)mbedtls_sha256_update(&ctx->sha256, data, len);
		break;
	case TPM_ALG_SHA384:
	case TPM_ALG_SHA512:
		(void)mbedtls_sha512_update(&ctx->sha512, data, len);
		break;
	default:
		break;
	}
}

unsigned int hash_finish(struct hash_ctx *ctx, uint8_t *digest)
{
	unsigned int size = hash_size(ctx->alg);

	switch (ctx->alg) {
	case TPM_ALG_SHA1:
		(void)mbedtls_sha1_finish(&ctx->sha1, digest);
		break;
	case TPM_ALG_SHA256:
		(void)mbedtls_sha256_finish(&ctx->sha256, digest);
		break;
	case TPM_ALG_SHA384:
	case TPM_ALG_SHA512:
		(void)mbedtls_sha512_finish(&ctx->sha512, digest);
		break;
	default:
		break;
	}
	mbedtls_platform_zeroize(ctx, sizeof(*ctx));
	return size;
}

unsigned int hash_buf(uint16_t alg, const void *data, size_t len, uint8_t *digest)
{
	struct hash_ctx ctx;

	hash_start(&ctx, alg);
	hash_update(&ctx, data, len);
	return hash_finish(&ctx, digest);
}

void hmac_start(struct hmac_ctx *ctx, uint16_t alg, const void *key, size_t key_len)
{
	unsigned int block = hash_block_size(alg);
	uint8_t inner[HASH_MAX_BLOCK] = { 0 };

	if (key_len > block)
		hash_buf(alg, key, key_len, inner);
	else if (key_len)
		memcpy(inner, key, key_len);
	for (unsigned int i = 0; i < block; i++) {
		ctx->outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	hash_start(&ctx->hash, alg);
	hash_update(&ctx->hash, inner, block);
	mbedtls_platform_zeroize(inner, sizeof(inner));
}

void hmac_update(struct hmac_ctx *ctx, const void *data, size_t len)
{
	hash_update(&ctx->hash, data, len);
}

unsigned int hmac_finish(struct hmac_ctx *ctx, uint8_t *digest)
{
	uint16_t alg = ctx->hash.alg;
	unsigned int size = hash_finish(&ctx->hash, digest);

	hash_start(&ctx->hash, alg);
	hash_update(&ctx->hash, ctx->outer, hash_block_size(alg));
	hash_update(&ctx->hash, digest, size);
	hash_finish(&ctx->hash, digest);
	mbedtls_platform_zeroize(ctx, sizeof(*ctx));
	return size;
}
