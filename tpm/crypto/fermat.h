/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_FERMAT_H
#define TPM_CRYPTO_FERMAT_H

#include <stdbool.h>
#include <stdint.h>

#define FERMAT_MAX_LIMBS 32

/*
 * Is 2^(n-1) = 1 mod n? n is odd, little-endian limbs, its top bit set. A filter in front of Miller-Rabin: an
 * accepted n is prime or, very rarely, a pseudoprime to base 2. Its run time depends on the number of limbs only.
 */
bool fermat_base2(const uint64_t *n, unsigned int limbs);

/* The two ways in which it is computed, for tests: adx only where fermat_has_adx(). */
bool fermat_has_adx(unsigned int limbs);
bool fermat_base2_with(const uint64_t *n, unsigned int limbs, bool adx);

/* What mont8.c needs, too: -1/n mod 2^64, and x = 2^exponent mod n, which must be at least 2^(64 * limbs). */
uint64_t fermat_neg_inverse(uint64_t n);
void fermat_power_of_two(uint64_t *x, unsigned int exponent, const uint64_t *n, unsigned int limbs);

#endif
