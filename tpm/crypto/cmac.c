// SPDX-License-Identifier: MIT
/* CMAC (NIST SP 800-38B) over the block ciphers of sym.h. */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/crypto/cmac.h"

static void encipher(const struct cmac_ctx *ctx, uint8_t *block)
{
	/* cannot fail: a whole block, and a cipher that there is */
	(void)sym_crypt(ctx->alg, ctx->bits, ctx->key, TPM_ALG_ECB, true, NULL, block, block,
			SYM_BLOCK);
}

void cmac_start(struct cmac_ctx *ctx, uint16_t alg, unsigned int bits, const uint8_t *key)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->alg = alg;
	ctx->bits = (uint16_t)bits;
	memcpy(ctx->key, key, bits / 8);
}

void cmac_update(struct cmac_ctx *ctx, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		/* A whole block waits until more comes: the last one is treated differently. */
		if (ctx->have == SYM_BLOCK) {
			encipher(ctx, ctx->chain);
			ctx->have = 0;
		}
		ctx->chain[ctx->have++] ^= data[i];
	}
}

/* block = block * x in GF(2^128) (6.1), without a branch on what is secret. */
static void double_block(uint8_t *block)
{
	uint8_t carry = block[0] >> 7;

	for (unsigned int i = 0; i + 1 < SYM_BLOCK; i++)
		block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
	block[SYM_BLOCK - 1] = (uint8_t)(block[SYM_BLOCK - 1] << 1 ^ (-carry & 0x87));
}

unsigned int cmac_finish(struct cmac_ctx *ctx, uint8_t *mac)
{
	uint8_t subkey[SYM_BLOCK] = { 0 };

	encipher(ctx, subkey);
	double_block(subkey);
	if (ctx->have < SYM_BLOCK) {
		ctx->chain[ctx->have] ^= 0x80;
		double_block(subkey);
	}
	for (unsigned int i = 0; i < SYM_BLOCK; i++)
		ctx->chain[i] ^= subkey[i];
	encipher(ctx, ctx->chain);
	memcpy(mac, ctx->chain, SYM_BLOCK);
	mbedtls_platform_zeroize(subkey, sizeof(subkey));
	mbedtls_platform_zeroize(ctx, sizeof(*ctx));
	return SYM_BLOCK;
}
