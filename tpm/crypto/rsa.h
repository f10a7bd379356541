/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_RSA_H
#define TPM_CRYPTO_RSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mbedtls/rsa.h>
#include "tpm/crypto/drbg.h"
#include "tpm/crypto/kdf.h"

#define RSA_MAX_BYTES 512

/* An RSA key ready for use; the private half carries CRT exponents and blinding state. */
struct rsa_key {
	mbedtls_rsa_context ctx;
};

/* rsa_free() is owed after success only. n has its most significant bit set. 0 or -EINVAL. */
int rsa_load_public(struct rsa_key *key, struct span n, uint32_t e);
/* p is one of the two primes. -EINVAL when it is no factor of n, or n, e and p make no key. */
int rsa_load_private(struct rsa_key *key, struct span n, uint32_t e, struct span p);
void rsa_free(struct rsa_key *key);

/*
 * Raw exponentiation of a number of exactly the modulus' size to one of that size. -EINVAL when the number is not
 * below the modulus.
 */
int rsa_raw_public(struct rsa_key *key, const uint8_t *in, uint8_t *out);
int rsa_raw_private(struct rsa_key *key, struct drbg *rng, const uint8_t *in, uint8_t *out);

/*
 * scheme: TPM_ALG_NULL (raw; in may be shorter than the modulus and is taken as a number), TPM_ALG_RSAES or
 * TPM_ALG_OAEP (hash is used for the label and for MGF1; the label includes its final zero). out has the modulus'
 * size. 0, or -EINVAL when the message does not fit.
 */
int rsa_encrypt(struct rsa_key *key, struct drbg *rng, uint16_t scheme, uint16_t hash,
		struct span label, struct span in, uint8_t *out);
/* in has the modulus' size; at most RSA_MAX_BYTES are written to out. -EINVAL when the padding is wrong. */
int rsa_decrypt(struct rsa_key *key, struct drbg *rng, uint16_t scheme, uint16_t hash,
		struct span label, const uint8_t *in, uint8_t *out, size_t *out_len);

/* scheme: TPM_ALG_RSASSA or TPM_ALG_RSAPSS (salt as long as the digest, or as fits). */
int rsa_sign(struct rsa_key *key, struct drbg *rng, uint16_t scheme, uint16_t hash,
	     const uint8_t *digest, uint8_t *signature);
/* 0 when the signature is good, -EINVAL when it is not. */
int rsa_verify(struct rsa_key *key, uint16_t scheme, uint16_t hash, const uint8_t *digest,
	       struct span signature);

/*
 * Makes a key from a random stream: n of bits / 8 bytes, p of half that. The same stream gives the same key.
 * 0 or -EIO (out of memory, the stream ended, or there was no key in as many candidates as are tried).
 */
int rsa_generate(struct drbg *rng, unsigned int bits, uint32_t e, uint8_t *n, uint8_t *p);
/* The two ways in which candidates are tested, for tests: eight at a time only where mont8_available(bits / 128). */
int rsa_generate_with(struct drbg *rng, unsigned int bits, uint32_t e, uint8_t *n, uint8_t *p,
		      bool eight);

#endif
