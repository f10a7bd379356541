/*
 * SHA-256's compression function (FIPS 180-4, 6.2.2) for mbedTLS, which has none that uses x86's SHA
 * instructions. Everything above it (padding, HMAC, DRBG) is mbedTLS's.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <cpuid.h>
#include <endian.h>
#include <immintrin.h>
#include <mbedtls/sha256.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/sha256_block.h"

static const uint32_t k[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned int n)
{
	return x >> n | x << (32 - n);
}

static void schedule(uint32_t w[64], const uint8_t block[64])
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		memcpy(&w[i], block + 4 * i, 4);
		w[i] = be32toh(w[i]);
	}
	for (; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10) + w[i - 7] +
		       (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 16];
	}
}

/*
 * Round `n` on (a, ..., h), which the specification moves on by one word with each round. Here they stay, and the
 * round's number says which is which: in a loop that is unrolled eight times all of it is in registers.
 */
static inline __attribute__((always_inline)) void do_round(uint32_t v[8], unsigned int n,
							   uint32_t key)
{
	uint32_t a = v[-n & 7], b = v[(1 - n) & 7], c = v[(2 - n) & 7];
	uint32_t e = v[(4 - n) & 7], f = v[(5 - n) & 7], g = v[(6 - n) & 7];
	uint32_t t1 = v[(7 - n) & 7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
		      (g ^ (e & (f ^ g))) + key;
	uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));

	v[(3 - n) & 7] += t1;
	v[(7 - n) & 7] = t1 + t2;
}

void sha256_block_portable(uint32_t state[8], const uint8_t block[64])
{
	uint32_t w[64], v[8];
	unsigned int i;

	schedule(w, block);
	for (i = 0; i < 8; i++)
		v[i] = state[i];
	for (i = 0; i < 64; i += 8) {
#pragma GCC unroll 8
		for (unsigned int n = 0; n < 8; n++)
			do_round(v, n, k[i + n] + w[i + n]);
	}
	for (i = 0; i < 8; i++)
		state[i] += v[i];
}

/*
 * The instructions keep the eight words as (A, B, E, F) and (C, D, G, H). Each turn of the loop is
 * four rounds; w holds the last sixteen words of the schedule in a ring.
 */
__attribute__((target("sha,ssse3,sse4.1"))) void sha256_block_sha(uint32_t state[8],
								  const uint8_t block[64])
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
	__m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(badc, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
	__m128i abef_before = abef, cdgh_before = cdgh, feba, dchg, w[4];

#pragma GCC unroll 16
	for (unsigned int i = 0; i < 16; i++) {
		__m128i *word = &w[i & 3], sum;

		if (i < 4) {
			*word = _mm_loadu_si128((const __m128i *)block + i);
			*word = _mm_shuffle_epi8(*word, big_endian);
		} else {
			*word = _mm_sha256msg1_epu32(*word, w[(i + 1) & 3]);
			*word = _mm_add_epi32(*word,
					      _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
			*word = _mm_sha256msg2_epu32(*word, w[(i + 3) & 3]);
		}
		sum = _mm_add_epi32(*word, _mm_load_si128((const __m128i *)k + i));
		cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
		abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
	}
	feba = _mm_shuffle_epi32(_mm_add_epi32(abef, abef_before), 0x1b);
	dchg = _mm_shuffle_epi32(_mm_add_epi32(cdgh, cdgh_before), 0xb1);
	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

bool sha256_block_has_sha(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_SSSE3) || !(ecx & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_SHA);
}

int mbedtls_internal_sha256_process(mbedtls_sha256_context *ctx, const unsigned char data[64])
{
	/* 0: not known yet. CPUID always says the same, so it does not matter who asks first. */
	static int kind;
	int now = __atomic_load_n(&kind, __ATOMIC_RELAXED);

	if (!now) {
		now = sha256_block_has_sha() ? 1 : 2;
		__atomic_store_n(&kind, now, __ATOMIC_RELAXED);
	}
	if (now == 1)
		sha256_block_sha(ctx->state, data);
	else
		sha256_block_portable(ctx->state, data);
	return 0;
}
