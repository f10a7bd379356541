/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_ECC_H
#define TPM_CRYPTO_ECC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tpm/crypto/drbg.h"
#include "tpm/crypto/kdf.h"

#define ECC_MAX_BYTES 66

/* A number of at most the curve's size, big-endian; what this module writes is padded to the curve's size. */
struct ecc_num {
	uint16_t len;
	uint8_t bytes[ECC_MAX_BYTES];
};

struct ecc_point {
	struct ecc_num x, y;
};

struct ecc_signature {
	struct ecc_num r, s;
};

/* Bytes of a coordinate of TPM_ECC_CURVE curve, 0 when we do not have it. */
unsigned int ecc_size(uint16_t curve);
uint16_t ecc_curve_by_index(unsigned int n);
/* Bits of the field. */
unsigned int ecc_bits(uint16_t curve);
/* Curve parameters p, a, b, gX, gY, n, h in that order, padded to the curve's size (h: one byte). 0 or -errno. */
int ecc_parameters(uint16_t curve, struct ecc_num params[7]);

bool ecc_on_curve(uint16_t curve, const struct ecc_point *point);
/* All of these: 0; -EINVAL for a point off the curve or a scalar outside [1, n - 1] (or an infinite result); -EIO. */
/* The key comes from rng alone; blind only randomises the computation against side channels. */
int ecc_generate(struct drbg *rng, struct drbg *blind, uint16_t curve, struct ecc_num *d,
		 struct ecc_point *q);
int ecc_public(uint16_t curve, const struct ecc_num *d, struct ecc_point *q, struct drbg *rng);
int ecc_multiply(uint16_t curve, const struct ecc_num *d, const struct ecc_point *p,
		 struct ecc_point *q, struct drbg *rng);
/* A number from [1, n - 1] made from the seed bytes, which are longer than n by at least 64 bits. */
int ecc_scalar_from(uint16_t curve, struct span seed, struct ecc_num *d);
/* out = a + b * c mod n. rng blinds a and c, which may be secret; b is not. */
int ecc_mul_add(struct drbg *rng, uint16_t curve, const struct ecc_num *a, const struct ecc_num *b,
		const struct ecc_num *c, struct ecc_num *out);
/* out = value mod n. */
int ecc_reduce(uint16_t curve, struct span value, struct ecc_num *out);
/* q = a * G + b * P. */
int ecc_mul_add_point(uint16_t curve, const struct ecc_num *a, const struct ecc_num *b,
		      const struct ecc_point *p, struct ecc_point *q);
/* x = value mod p. */
int ecc_reduce_field(uint16_t curve, struct span value, struct ecc_num *x);

int ecc_ecdsa_sign(struct drbg *rng, uint16_t curve, const struct ecc_num *d, struct span digest,
		   struct ecc_signature *sig);
/* 0 when the signature is good, -EINVAL when it is not. */
int ecc_ecdsa_verify(uint16_t curve, const struct ecc_point *q, struct span digest,
		     const struct ecc_signature *sig);

#endif
