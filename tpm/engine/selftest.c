// SPDX-License-Identifier: MIT
/* Known-answer tests of what the TPM is built on, run at creation and by TPM2_SelfTest (Part 1, 12.3). */
#include <string.h>
#include <mbedtls/aes.h>
#include "tpm/engine/modules.h"

/* SHA-x("abc"), FIPS 180-4; the first eight bytes identify the digest. */
static bool hashes_work(void)
{
	static const struct {
		uint16_t alg;
		uint8_t start[8];
	} known[] = {
		{ TPM_ALG_SHA1, { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a } },
		{ TPM_ALG_SHA256, { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea } },
		{ TPM_ALG_SHA384, { 0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b } },
		{ TPM_ALG_SHA512, { 0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba } },
	};
	uint8_t digest[HASH_MAX_SIZE];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		hash_buf(known[i].alg, "abc", 3, digest);
		if (memcmp(digest, known[i].start, 8))
			return false;
	}
	return true;
}

/* FIPS 197, C.1 */
static bool aes_works(void)
{
	static const uint8_t expected[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
					      0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };
	uint8_t key[16], text[16], iv[16] = { 0 };

	for (int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		text[i] = (uint8_t)(i * 0x11);
	}
	return !sym_crypt(TPM_ALG_AES, 128, key, TPM_ALG_ECB, true, iv, text, text, 16) &&
	       !memcmp(text, expected, 16);
}

/* A signature made and checked, and in a full test one spoilt and refused. */
static bool ecc_works(struct tpm *t, bool full)
{
	uint8_t digest[32] = { 1, 2, 3 };
	struct ecc_signature sig;
	struct ecc_point q;
	struct ecc_num d;

	if (ecc_generate(&t->rng, &t->rng, TPM_ECC_NIST_P256, &d, &q) ||
	    ecc_ecdsa_sign(&t->rng, TPM_ECC_NIST_P256, &d, (struct span){ digest, 32 }, &sig) ||
	    ecc_ecdsa_verify(TPM_ECC_NIST_P256, &q, (struct span){ digest, 32 }, &sig))
		return false;
	digest[0] ^= 1;
	return !full ||
	       ecc_ecdsa_verify(TPM_ECC_NIST_P256, &q, (struct span){ digest, 32 }, &sig) != 0;
}

uint32_t selftest_run(struct tpm *t, bool full)
{
	if (hashes_work() && aes_works() && ecc_works(t, full))
		return 0;
	t->failed = true;
	return TPM_RC_FAILURE;
}
