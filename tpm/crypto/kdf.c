// SPDX-License-Identifier: MIT
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/crypto/hash.h"
#include "tpm/crypto/kdf.h"

static void store_be32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

/* One block of KDFa: HMAC(key, counter || label || 00 || U || V || bits). */
static void kdf_a_block(uint16_t alg, struct span key, uint32_t counter, struct span label,
			struct span u, struct span v, uint32_t bits, uint8_t *block)
{
	struct hmac_ctx ctx;
	uint8_t word[4];

	hmac_start(&ctx, alg, key.data, key.len);
	store_be32(word, counter);
	hmac_update(&ctx, word, 4);
	hmac_update(&ctx, label.data, label.len);
	if (!label.len || label.data[label.len - 1])
		hmac_update(&ctx, "", 1);
	hmac_update(&ctx, u.data, u.len);
	hmac_update(&ctx, v.data, v.len);
	store_be32(word, bits);
	hmac_update(&ctx, word, 4);
	hmac_finish(&ctx, block);
}

static void mask_high_bits(uint8_t *out, unsigned int bits)
{
	if (bits % 8)
		out[0] &= (1u << (bits % 8)) - 1;
}

void kdf_a(uint16_t alg, struct span key, const char *label, struct span context_u,
	   struct span context_v, unsigned int bits, uint8_t *out)
{
	kdf_a_label(alg, key, (struct span){ (const uint8_t *)label, strlen(label) }, context_u,
		    context_v, bits, out);
}

void kdf_a_label(uint16_t alg, struct span key, struct span label, struct span context_u,
		 struct span context_v, unsigned int bits, uint8_t *out)
{
	unsigned int size = hash_size(alg), len = (bits + 7) / 8;
	uint8_t block[HASH_MAX_SIZE];

	for (unsigned int done = 0, n; done < len; done += n) {
		n = len - done < size ? len - done : size;
		kdf_a_block(alg, key, done / size + 1, label, context_u, context_v, bits, block);
		memcpy(out + done, block, n);
	}
	mask_high_bits(out, bits);
	mbedtls_platform_zeroize(block, sizeof(block));
}

void kdf_e(uint16_t alg, struct span z, const char *label, struct span party_u, struct span party_v,
	   unsigned int bits, uint8_t *out)
{
	unsigned int size = hash_size(alg), len = (bits + 7) / 8;
	uint8_t block[HASH_MAX_SIZE], word[4];
	struct hash_ctx ctx;

	for (unsigned int done = 0, n; done < len; done += n) {
		n = len - done < size ? len - done : size;
		hash_start(&ctx, alg);
		store_be32(word, done / size + 1);
		hash_update(&ctx, word, 4);
		hash_update(&ctx, z.data, z.len);
		hash_update(&ctx, label, strlen(label) + 1);
		hash_update(&ctx, party_u.data, party_u.len);
		hash_update(&ctx, party_v.data, party_v.len);
		hash_finish(&ctx, block);
		memcpy(out + done, block, n);
	}
	mask_high_bits(out, bits);
	mbedtls_platform_zeroize(block, sizeof(block));
}

void kdf_2_xor(uint16_t alg, struct span z, uint8_t *data, size_t len)
{
	unsigned int size = hash_size(alg);
	uint8_t block[HASH_MAX_SIZE], word[4];
	struct hash_ctx ctx;

	for (size_t done = 0; done < len; done += size) {
		hash_start(&ctx, alg);
		hash_update(&ctx, z.data, z.len);
		store_be32(word, (uint32_t)(done / size + 1));
		hash_update(&ctx, word, 4);
		hash_finish(&ctx, block);
		for (size_t i = 0; i < size && done + i < len; i++)
			data[done + i] ^= block[i];
	}
	mbedtls_platform_zeroize(block, sizeof(block));
}

void kdf_xor(uint16_t alg, struct span key, struct span context_u, struct span context_v,
	     uint8_t *data, size_t len)
{
	unsigned int size = hash_size(alg);
	uint8_t block[HASH_MAX_SIZE];

	for (size_t done = 0; done < len; done += size) {
		kdf_a_block(alg, key, done / size + 1, (struct span){ (const uint8_t *)"XOR", 3 },
			    context_u, context_v, len * 8, block);
		for (size_t i = 0; i < size && done + i < len; i++)
			data[done + i] ^= block[i];
	}
	mbedtls_platform_zeroize(block, sizeof(block));
}
