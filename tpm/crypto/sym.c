// SPDX-License-Identifier: MIT
/* Block cipher modes (TPM 2.0 Part 1, annex A; SP800-38A) over mbedTLS's AES and Camellia block functions. */
#include <errno.h>
#include <string.h>
#include <mbedtls/aes.h>
#include <mbedtls/camellia.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/crypto/sym.h"

struct cipher {
	uint16_t alg;
	union {
		mbedtls_aes_context aes;
		mbedtls_camellia_context camellia;
	};
};

bool sym_supported(uint16_t alg, unsigned int key_bits)
{
	if (alg != TPM_ALG_AES && alg != TPM_ALG_CAMELLIA)
		return false;
	return key_bits == 128 || key_bits == 192 || key_bits == 256;
}

static int cipher_init(struct cipher *c, uint16_t alg, unsigned int bits, const uint8_t *key,
		       bool encrypt)
{
	int err;

	c->alg = alg;
	if (alg == TPM_ALG_AES) {
		mbedtls_aes_init(&c->aes);
		err = encrypt ? mbedtls_aes_setkey_enc(&c->aes, key, bits)
			      : mbedtls_aes_setkey_dec(&c->aes, key, bits);
	} else {
		mbedtls_camellia_init(&c->camellia);
		err = encrypt ? mbedtls_camellia_setkey_enc(&c->camellia, key, bits)
			      : mbedtls_camellia_setkey_dec(&c->camellia, key, bits);
	}
	return err ? -EINVAL : 0;
}

static void cipher_block(struct cipher *c, bool encrypt, const uint8_t *in, uint8_t *out)
{
	if (c->alg == TPM_ALG_AES)
		(void)mbedtls_aes_crypt_ecb(
			&c->aes, encrypt ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT, in, out);
	else
		(void)mbedtls_camellia_crypt_ecb(
			&c->camellia, encrypt ? MBEDTLS_CAMELLIA_ENCRYPT : MBEDTLS_CAMELLIA_DECRYPT,
			in, out);
}

static void xor_block(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = a[i] ^ b[i];
}

static void counter_next(uint8_t *iv)
{
	for (int i = SYM_BLOCK - 1; i >= 0 && !++iv[i]; i--)
		;
}

/* CTR and OFB: the key stream does not depend on the data. */
static void crypt_stream(struct cipher *c, uint16_t mode, uint8_t *iv, const uint8_t *in,
			 uint8_t *out, size_t len)
{
	uint8_t pad[SYM_BLOCK];

	for (size_t i = 0; i < len; i += SYM_BLOCK) {
		cipher_block(c, true, iv, pad);
		if (mode == TPM_ALG_CTR)
			counter_next(iv);
		else
			memcpy(iv, pad, SYM_BLOCK);
		xor_block(out + i, in + i, pad, len - i < SYM_BLOCK ? len - i : SYM_BLOCK);
	}
	mbedtls_platform_zeroize(pad, sizeof(pad));
}

static void crypt_cfb(struct cipher *c, bool encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out,
		      size_t len)
{
	uint8_t pad[SYM_BLOCK], text[SYM_BLOCK];

	for (size_t i = 0; i < len; i += SYM_BLOCK) {
		size_t n = len - i < SYM_BLOCK ? len - i : SYM_BLOCK;

		cipher_block(c, true, iv, pad);
		memcpy(text, in + i, n);
		xor_block(out + i, text, pad, n);
		/* A last short block leaves the rest of the IV zero, as the reference implementation does. */
		memset(iv, 0, SYM_BLOCK);
		memcpy(iv, encrypt ? out + i : text, n);
	}
	mbedtls_platform_zeroize(pad, sizeof(pad));
	mbedtls_platform_zeroize(text, sizeof(text));
}

static void crypt_blocks(struct cipher *c, uint16_t mode, bool encrypt, uint8_t *iv,
			 const uint8_t *in, uint8_t *out, size_t len)
{
	uint8_t block[SYM_BLOCK];

	for (size_t i = 0; i < len; i += SYM_BLOCK) {
		memcpy(block, in + i, SYM_BLOCK);
		if (mode == TPM_ALG_CBC && encrypt)
			xor_block(block, block, iv, SYM_BLOCK);
		cipher_block(c, encrypt, block, out + i);
		if (mode != TPM_ALG_CBC)
			continue;
		if (encrypt) {
			memcpy(iv, out + i, SYM_BLOCK);
		} else {
			xor_block(out + i, out + i, iv, SYM_BLOCK);
			memcpy(iv, block, SYM_BLOCK);
		}
	}
	mbedtls_platform_zeroize(block, sizeof(block));
}

int sym_crypt(uint16_t alg, unsigned int key_bits, const uint8_t *key, uint16_t mode, bool encrypt,
	      uint8_t *iv, const uint8_t *in, uint8_t *out, size_t len)
{
	bool blocks = mode == TPM_ALG_CBC || mode == TPM_ALG_ECB;
	struct cipher c;
	int err;

	if (!sym_supported(alg, key_bits) || (blocks && len % SYM_BLOCK))
		return -EINVAL;
	err = cipher_init(&c, alg, key_bits, key, encrypt || !blocks);
	if (err)
		goto wipe;
	if (blocks)
		crypt_blocks(&c, mode, encrypt, iv, in, out, len);
	else if (mode == TPM_ALG_CFB)
		crypt_cfb(&c, encrypt, iv, in, out, len);
	else
		crypt_stream(&c, mode, iv, in, out, len);
wipe:
	mbedtls_platform_zeroize(&c, sizeof(c));
	return err;
}

void sym_cfb(uint16_t alg, unsigned int key_bits, const uint8_t *key, bool encrypt,
	     const uint8_t *iv, uint8_t *data, size_t len)
{
	uint8_t vector[SYM_BLOCK] = { 0 };

	if (iv)
		memcpy(vector, iv, SYM_BLOCK);
	sym_crypt(alg, key_bits, key, TPM_ALG_CFB, encrypt, vector, data, data, len);
}
