// SPDX-License-Identifier: MIT
/*
 * RSA keys from a random stream. A random start, a sieve over the odd numbers above it, a base 2 test of the
 * survivors, then Miller-Rabin with random bases (FIPS 186-5, B.3). The stream alone decides the outcome, so that a
 * primary key is the same each time it is derived.
 */
#include <errno.h>
#include <string.h>
#include <mbedtls/bignum.h>
#include <mbedtls/platform_util.h>
#include "tpm/crypto/fermat.h"
#include "tpm/crypto/mont8.h"
#include "tpm/crypto/rsa.h"

#define SIEVE_SPAN \
	16384 /* odd numbers looked at above one start: a prime is 355 of them away on average */
#define SIEVE_LIMIT 65536 /* more do not pay: a test costs as much as sieving by 4,000 primes */
#define MAX_STARTS  4 /* no prime above four starts: less than 10^-38 for the largest used here */
#define MILLER_ROUNDS \
	5 /* 2^-100 for the smallest primes used here, 512 bits being for legacy keys */

struct sieve {
	uint8_t composite[SIEVE_SPAN / 8];
	uint16_t primes[6544];
	unsigned int prime_count;
};

/* Numbers that the sieve left over, in order. */
struct candidates {
	struct mont8_numbers n;
	unsigned int count;
};

struct search {
	struct drbg *rng;
	unsigned int limbs; /* of a prime */
	uint32_t e;
	bool eight; /* are candidates tested eight at a time? */
	struct sieve sieve;
	struct candidates candidates;
};

static void small_primes(struct sieve *s)
{
	static const unsigned int half = SIEVE_LIMIT / 2;
	uint8_t composite[SIEVE_LIMIT / 16] = { 0 };

	s->prime_count = 0;
	for (unsigned int i = 1; i < half; i++) { /* bit i stands for 2i + 1 */
		unsigned int p = 2 * i + 1;

		if (composite[i / 8] >> (i % 8) & 1)
			continue;
		s->primes[s->prime_count++] = p;
		for (unsigned int j = (p * p - 1) / 2; j < half; j += p)
			composite[j / 8] |= 1u << (j % 8);
	}
}

static uint64_t limbs_mod(const uint64_t *x, unsigned int limbs, uint64_t m)
{
	__extension__ unsigned __int128 rest = 0;

	for (unsigned int i = limbs; i-- > 0;)
		rest = ((rest << 64) | x[i]) % m;
	return (uint64_t)rest;
}

static void cross_out(struct sieve *s, uint32_t prime, uint32_t rest)
{
	/* start + 2i = 0 mod prime  <=>  i = (prime - rest) / 2 mod prime */
	uint32_t gap = rest ? prime - rest : 0;
	uint32_t i = gap % 2 ? (gap + prime) / 2 : gap / 2;

	for (; i < SIEVE_SPAN; i += prime)
		s->composite[i / 8] |= 1u << (i % 8);
}

/* Residues are taken four primes at a time: one long division by their product, which 64 bits hold. */
static void sieve_above(struct sieve *s, const uint64_t *start, unsigned int limbs)
{
	memset(s->composite, 0, sizeof(s->composite));
	for (unsigned int i = 0; i < s->prime_count; i += 4) {
		unsigned int n = s->prime_count - i < 4 ? s->prime_count - i : 4;
		uint64_t product = 1, rest;

		for (unsigned int j = 0; j < n; j++)
			product *= s->primes[i + j];
		rest = limbs_mod(start, limbs, product);
		for (unsigned int j = 0; j < n; j++)
			cross_out(s, s->primes[i + j], rest % s->primes[i + j]);
	}
}

static bool limbs_add(uint64_t *x, unsigned int limbs, uint64_t v)
{
	for (unsigned int i = 0; i < limbs && v; i++) {
		x[i] += v;
		v = x[i] < v;
	}
	return v;
}

static int to_mpi(mbedtls_mpi *out, const uint64_t *x, unsigned int limbs)
{
	uint8_t bytes[FERMAT_MAX_LIMBS * 8];
	int err;

	for (unsigned int i = 0; i < limbs * 8; i++)
		bytes[i] = x[i / 8] >> (i % 8 * 8);
	err = mbedtls_mpi_read_binary_le(out, bytes, limbs * 8);
	mbedtls_platform_zeroize(bytes, sizeof(bytes));
	return err;
}

/*
 * A random base above 1 and below x - 1, drawn byte for byte as mbedTLS draws it: keys that are derived from a stream are
 * the same by either way of testing.
 */
static int random_base(const struct search *s, const uint64_t *x, uint64_t *base)
{
	unsigned int limbs = s->limbs;
	uint8_t bytes[FERMAT_MAX_LIMBS * 8];
	bool small, below;

	do {
		uint64_t rest = 0;

		if (drbg_read(s->rng, bytes, limbs * 8))
			return -EIO;
		below = false; /* of x - 1, as far as the limbs so far go */
		for (unsigned int i = 0; i < limbs; i++) {
			const uint8_t *at = bytes + (limbs - 1 - i) * 8;

			base[i] = 0;
			for (unsigned int j = 0; j < 8; j++)
				base[i] = base[i] << 8 | at[j];
			rest |= i ? base[i] : base[i] >> 1;
			below = base[i] != x[i] - !i ? base[i] < x[i] - !i : below;
		}
		small = !rest;
	} while (!below || small);
	mbedtls_platform_zeroize(bytes, sizeof(bytes));
	return 0;
}

/* 1, 0 or an error; at is x. */
static int miller_rabin(const struct search *s, const uint64_t *x, const mbedtls_mpi *at)
{
	struct mont8_numbers bases;
	int ret;

	if (!s->eight) {
		ret = mbedtls_mpi_is_prime_ext(at, MILLER_ROUNDS, drbg_read, s->rng);
		return ret == MBEDTLS_ERR_MPI_NOT_ACCEPTABLE ? 0 : ret ? ret : 1;
	}
	for (unsigned int i = 0; i < MONT8_LANES; i++) {
		if (i >= MILLER_ROUNDS)
			memcpy(bases.x[i], bases.x[0], sizeof(bases.x[i]));
		else if (random_base(s, x, bases.x[i]))
			return -EIO;
	}
	ret = mont8_miller_rabin(x, &bases, s->limbs);
	mbedtls_platform_zeroize(&bases, sizeof(bases));
	return ret;
}

/* Is x, which has passed the test to base 2, prime, and is x - 1 prime to e? 1, 0 or an error. */
static int good_prime(const struct search *s, const uint64_t *x, mbedtls_mpi *out)
{
	mbedtls_mpi less, exponent, gcd;
	int err;

	mbedtls_mpi_init(&less);
	mbedtls_mpi_init(&exponent);
	mbedtls_mpi_init(&gcd);
	err = to_mpi(out, x, s->limbs);
	if (!err)
		err = mbedtls_mpi_sub_int(&less, out, 1);
	if (!err)
		err = mbedtls_mpi_lset(&exponent, s->e);
	if (!err)
		err = miller_rabin(s, x, out);
	if (err == 1) {
		err = mbedtls_mpi_gcd(&gcd, &less, &exponent);
		if (!err)
			err = mbedtls_mpi_cmp_int(&gcd, 1) == 0;
	}
	mbedtls_mpi_free(&less);
	mbedtls_mpi_free(&exponent);
	mbedtls_mpi_free(&gcd);
	return err;
}

static int random_start(const struct search *s, uint64_t *start)
{
	uint8_t bytes[FERMAT_MAX_LIMBS * 8];

	if (drbg_read(s->rng, bytes, s->limbs * 8))
		return -EIO;
	for (unsigned int i = 0; i < s->limbs; i++)
		memcpy(&start[i], bytes + i * 8, 8);
	start[0] |= 1;
	start[s->limbs - 1] |= 3ull << 62; /* so that the product of two has its top bit set */
	mbedtls_platform_zeroize(bytes, sizeof(bytes));
	return 0;
}

/* Takes the next ones, as many as are tested at once, from *i on; that is SIEVE_SPAN when none is left. */
static void next_candidates(struct search *s, const uint64_t *start, unsigned int *i)
{
	unsigned int max = s->eight ? MONT8_LANES : 1;
	struct candidates *c = &s->candidates;

	for (c->count = 0; *i < SIEVE_SPAN && c->count < max; ++*i) {
		uint64_t *x = c->n.x[c->count];

		if (s->sieve.composite[*i / 8] >> (*i % 8) & 1)
			continue;
		memcpy(x, start, s->limbs * sizeof(*x));
		if (limbs_add(x, s->limbs, 2ull * *i))
			*i = SIEVE_SPAN - 1; /* ran past the top */
		else
			c->count++;
	}
}

/* The base 2 test of all of them: a bit each. */
static unsigned int test_candidates(struct search *s)
{
	struct candidates *c = &s->candidates;

	if (!c->count)
		return 0;
	if (!s->eight)
		return fermat_base2(c->n.x[0], s->limbs);
	for (unsigned int i = c->count; i < MONT8_LANES; i++)
		memcpy(c->n.x[i], c->n.x[0], sizeof(c->n.x[i]));
	return mont8_fermat_base2(&c->n, s->limbs) & ((1u << c->count) - 1);
}

static int find_prime(struct search *s, mbedtls_mpi *out)
{
	uint64_t start[FERMAT_MAX_LIMBS];
	int found = 0;

	for (unsigned int starts = 0; !found && starts < MAX_STARTS; starts++) {
		if (random_start(s, start))
			return -EIO;
		sieve_above(&s->sieve, start, s->limbs);
		for (unsigned int i = 0; i < SIEVE_SPAN && !found;) {
			unsigned int passed;

			next_candidates(s, start, &i);
			passed = test_candidates(s);
			for (unsigned int j = 0; j < s->candidates.count && !found; j++)
				if (passed >> j & 1)
					found = good_prime(s, s->candidates.n.x[j], out);
		}
	}
	mbedtls_platform_zeroize(start, sizeof(start));
	return found == 1 ? 0 : -EIO;
}

/* FIPS 186-4, B.3.3 step 5.4: the primes differ in their first 100 bits. */
static bool far_apart(const mbedtls_mpi *p, const mbedtls_mpi *q, unsigned int prime_bits)
{
	mbedtls_mpi d;
	bool far;

	mbedtls_mpi_init(&d);
	far = !mbedtls_mpi_sub_mpi(&d, p, q) && mbedtls_mpi_bitlen(&d) > prime_bits - 100;
	mbedtls_mpi_free(&d);
	return far;
}

int rsa_generate_with(struct drbg *rng, unsigned int bits, uint32_t e, uint8_t *n, uint8_t *p,
		      bool eight)
{
	struct search s = { .rng = rng, .limbs = bits / 128, .e = e, .eight = eight };
	mbedtls_mpi mp, mq, mn;
	int err;

	mbedtls_mpi_init(&mp);
	mbedtls_mpi_init(&mq);
	mbedtls_mpi_init(&mn);
	small_primes(&s.sieve);
	err = find_prime(&s, &mp);
	if (!err)
		err = find_prime(&s, &mq);
	/* closer by chance, of 2^-100, would mean a stream that is not random */
	if (!err && !far_apart(&mp, &mq, bits / 2))
		err = -EIO;
	if (!err)
		err = mbedtls_mpi_mul_mpi(&mn, &mp, &mq);
	if (!err)
		err = mbedtls_mpi_write_binary(&mn, n, bits / 8);
	if (!err)
		err = mbedtls_mpi_write_binary(&mp, p, bits / 16);
	mbedtls_mpi_free(&mp);
	mbedtls_mpi_free(&mq);
	mbedtls_mpi_free(&mn);
	mbedtls_platform_zeroize(&s, sizeof(s));
	return err ? -EIO : 0;
}

int rsa_generate(struct drbg *rng, unsigned int bits, uint32_t e, uint8_t *n, uint8_t *p)
{
	return rsa_generate_with(rng, bits, e, n, p, mont8_available(bits / 128));
}
