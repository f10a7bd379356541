/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_MONT8_H
#define TPM_CRYPTO_MONT8_H

#include <stdbool.h>
#include <stdint.h>
#include "tpm/crypto/fermat.h"

#define MONT8_LANES 8

/* Eight numbers, little-endian limbs. */
struct mont8_numbers {
	uint64_t x[MONT8_LANES][FERMAT_MAX_LIMBS];
};

/* Has the processor AVX-512 with IFMA, and are numbers of so many limbs (8, 16, 24 or 32) for it? */
bool mont8_available(unsigned int limbs);

/*
 * fermat_base2() of eight numbers at once, each with its top bit set and odd: bit i of what is returned is the answer
 * for n->x[i]. Needs mont8_available(). Run time depends on the number of limbs only.
 */
unsigned int mont8_fermat_base2(const struct mont8_numbers *n, unsigned int limbs);

/*
 * Miller and Rabin's test (FIPS 186-5, B.3.1) of one such number with eight bases, all above 1 and below n - 1: is n
 * probably prime by each of them? Run time depends on the number of limbs and on how often two divides n - 1.
 */
bool mont8_miller_rabin(const uint64_t *n, const struct mont8_numbers *bases, unsigned int limbs);

#endif
