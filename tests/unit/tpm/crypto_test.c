// SPDX-License-Identifier: MIT
/* Known answers for tpm/crypto: FIPS 180-4, RFC 4231, SP800-38A, RFC 6979, and the TPM's own KDFs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "proto/tpm.h"
#include "tpm/crypto/ecc.h"
#include "tpm/crypto/cmac.h"
#include "tpm/crypto/fermat.h"
#include "tpm/crypto/hash.h"
#include "tpm/crypto/kdf.h"
#include "tpm/crypto/mont8.h"
#include "tpm/crypto/rsa.h"
#include "tpm/crypto/sym.h"

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		char pair[3] = { hex[0], hex[1], 0 };

		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static void assert_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[512];
	size_t n = unhex(hex, want);

	assert_memory_equal(got, want, n);
}

static void hmac_rfc4231_case_2(void **state)
{
	uint8_t out[HASH_MAX_SIZE];
	struct hmac_ctx ctx;

	(void)state;
	hmac_start(&ctx, TPM_ALG_SHA256, "Jefe", 4);
	hmac_update(&ctx, "what do ya want ", 16);
	hmac_update(&ctx, "for nothing?", 12);
	assert_int_equal(hmac_finish(&ctx, out), 32);
	assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void hmac_key_longer_than_a_block(void **state)
{
	uint8_t key[131], out[HASH_MAX_SIZE];
	struct hmac_ctx ctx;

	(void)state;
	memset(key, 0xaa, sizeof(key)); /* RFC 4231 case 6 */
	hmac_start(&ctx, TPM_ALG_SHA512, key, sizeof(key));
	hmac_update(&ctx, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
	assert_int_equal(hmac_finish(&ctx, out), 64);
	assert_hex(out, "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352");
}

static struct span text(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

static void kdfs_match_an_independent_implementation(void **state)
{
	uint8_t out[128], zero[20] = { 0 };

	(void)state;
	kdf_a(TPM_ALG_SHA256, text("key"), "STORAGE", text("U"), text("VV"), 400, out);
	assert_hex(out, "c08d14e1a6bed15b4948bf1a9ba9cdf2c6ae334d1f1103f496809038fa4457b0"
			"49994c6f161827505d9625bec700f9426918");
	kdf_a(TPM_ALG_SHA1, (struct span){ zero, 20 }, "X", SPAN_NONE, SPAN_NONE, 521, out);
	assert_hex(out, "01cac0e75d352040");
	kdf_e(TPM_ALG_SHA256, text("zz"), "IDENTITY", text("a"), text("b"), 300, out);
	assert_hex(out, "086016f9a867f80d18a875cf");
}

static void xor_obfuscation_undoes_itself(void **state)
{
	uint8_t data[70], copy[70];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		copy[i] = data[i] = (uint8_t)i;
	kdf_xor(TPM_ALG_SHA256, text("k"), text("new"), text("old"), data, sizeof(data));
	assert_memory_not_equal(data, copy, sizeof(data));
	kdf_xor(TPM_ALG_SHA256, text("k"), text("new"), text("old"), data, sizeof(data));
	assert_memory_equal(data, copy, sizeof(data));
}

/* SP800-38A, F.1 to F.5, first blocks of the AES-128 examples */
static void aes_modes(void **state)
{
	static const struct {
		uint16_t mode;
		const char *iv, *cipher;
	} cases[] = {
		{ TPM_ALG_ECB, "00000000000000000000000000000000",
		  "3ad77bb40d7a3660a89ecaf32466ef97" },
		{ TPM_ALG_CBC, "000102030405060708090a0b0c0d0e0f",
		  "7649abac8119b246cee98e9b12e9197d" },
		{ TPM_ALG_CFB, "000102030405060708090a0b0c0d0e0f",
		  "3b3fd92eb72dad20333449f8e83cfb4a" },
		{ TPM_ALG_OFB, "000102030405060708090a0b0c0d0e0f",
		  "3b3fd92eb72dad20333449f8e83cfb4a" },
		{ TPM_ALG_CTR, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		  "874d6191b620e3261bef6864990db6ce" },
	};
	uint8_t key[16], plain[16], iv[16], out[16];

	(void)state;
	unhex("2b7e151628aed2a6abf7158809cf4f3c", key);
	unhex("6bc1bee22e409f96e93d7e117393172a", plain);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unhex(cases[i].iv, iv);
		assert_int_equal(
			sym_crypt(TPM_ALG_AES, 128, key, cases[i].mode, true, iv, plain, out, 16),
			0);
		assert_hex(out, cases[i].cipher);
		unhex(cases[i].iv, iv);
		assert_int_equal(
			sym_crypt(TPM_ALG_AES, 128, key, cases[i].mode, false, iv, out, out, 16),
			0);
		assert_memory_equal(out, plain, 16);
	}
}

/* NIST SP 800-38B, D.1 and D.3 */
static void cmac_of_sp800_38b(void **state)
{
	static const struct {
		unsigned int bits;
		const char *key;
		struct {
			size_t len;
			const char *mac;
		} messages[4];
	} cases[] = {
		{ 128,
		  "2b7e151628aed2a6abf7158809cf4f3c",
		  { { 0, "bb1d6929e95937287fa37d129b756746" },
		    { 16, "070a16b46b4d4144f79bdd9dd04a287c" },
		    { 40, "dfa66747de9ae63030ca32611497c827" },
		    { 64, "51f0bebf7e3b9d92fc49741779363cfe" } } },
		{ 256,
		  "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		  { { 0, "028962f61b7bf89efc6b551f4667d983" },
		    { 16, "28a7023f452e8f82bd4bf28d8c37c35c" },
		    { 40, "aaf3d8f1de5640c232f5b169b9c911e6" },
		    { 64, "e1992190549f6ed5696a2c056c315410" } } },
	};
	uint8_t message[64], key[SYM_MAX_KEY], mac[SYM_BLOCK];
	struct cmac_ctx ctx;

	(void)state;
	unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
	      "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
	      message);
	for (size_t i = 0; i < 2; i++) {
		unhex(cases[i].key, key);
		for (size_t j = 0; j < 4; j++) {
			size_t len = cases[i].messages[j].len, half = len * 2 / 5;

			cmac_start(&ctx, TPM_ALG_AES, cases[i].bits, key);
			cmac_update(&ctx, message, half);
			cmac_update(&ctx, message + half, len - half);
			assert_int_equal(cmac_finish(&ctx, mac), SYM_BLOCK);
			assert_hex(mac, cases[i].messages[j].mac);
		}
	}
}

static void streams_continue_where_they_stopped(void **state)
{
	static const uint16_t modes[] = { TPM_ALG_CTR, TPM_ALG_OFB, TPM_ALG_CBC, TPM_ALG_CFB };
	uint8_t key[16] = { 1 }, plain[64] = { 2 }, whole[64], parts[64], iv[16];

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		memset(iv, 7, sizeof(iv));
		sym_crypt(TPM_ALG_CAMELLIA, 128, key, modes[i], true, iv, plain, whole, 64);
		memset(iv, 7, sizeof(iv));
		sym_crypt(TPM_ALG_CAMELLIA, 128, key, modes[i], true, iv, plain, parts, 32);
		sym_crypt(TPM_ALG_CAMELLIA, 128, key, modes[i], true, iv, plain + 32, parts + 32,
			  32);
		assert_memory_equal(whole, parts, 64);
	}
	assert_int_not_equal(
		sym_crypt(TPM_ALG_AES, 128, key, TPM_ALG_CBC, true, iv, plain, whole, 15), 0);
}

static void num(struct ecc_num *n, const char *hex)
{
	n->len = (uint16_t)unhex(hex, n->bytes);
}

static struct drbg test_rng(const char *seed)
{
	struct drbg rng;

	assert_int_equal(drbg_init_seeded(&rng, text(seed), "test", SPAN_NONE), 0);
	return rng;
}

/* RFC 6979, A.2.5: P-256, SHA-256, message "sample" */
static void ecdsa_p256(void **state)
{
	struct drbg rng = test_rng("ecdsa");
	struct ecc_signature sig;
	struct ecc_point q;
	struct ecc_num d;
	uint8_t digest[32];

	(void)state;
	num(&d, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
	assert_int_equal(ecc_public(TPM_ECC_NIST_P256, &d, &q, &rng), 0);
	assert_hex(q.x.bytes, "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6");
	assert_hex(q.y.bytes, "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
	hash_buf(TPM_ALG_SHA256, "sample", 6, digest);
	num(&sig.r, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
	num(&sig.s, "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
	assert_int_equal(ecc_ecdsa_verify(TPM_ECC_NIST_P256, &q, (struct span){ digest, 32 }, &sig),
			 0);
	digest[31] ^= 1;
	assert_int_not_equal(
		ecc_ecdsa_verify(TPM_ECC_NIST_P256, &q, (struct span){ digest, 32 }, &sig), 0);
	drbg_free(&rng);
}

static void every_curve_agrees_on_a_shared_secret(void **state)
{
	struct drbg rng = test_rng("ecdh");
	uint16_t curve;

	(void)state;
	for (unsigned int i = 0; (curve = ecc_curve_by_index(i)) != TPM_ECC_NONE; i++) {
		struct ecc_point qa, qb, za, zb;
		struct ecc_num a, b;

		assert_int_equal(ecc_generate(&rng, &rng, curve, &a, &qa), 0);
		assert_int_equal(ecc_generate(&rng, &rng, curve, &b, &qb), 0);
		assert_true(ecc_on_curve(curve, &qa));
		assert_int_equal(ecc_multiply(curve, &a, &qb, &za, &rng), 0);
		assert_int_equal(ecc_multiply(curve, &b, &qa, &zb, &rng), 0);
		assert_memory_equal(za.x.bytes, zb.x.bytes, za.x.len);
		qb.x.bytes[qb.x.len - 1] ^= 1;
		assert_false(ecc_on_curve(curve, &qb));
		assert_int_not_equal(ecc_multiply(curve, &a, &qb, &za, &rng), 0);
	}
	drbg_free(&rng);
}

static void fermat_tells_primes_from_composites(void **state)
{
	uint64_t prime[1] = { 0xFFFFFFFFFFFFFFC5 }, composite[1] = { 0xFFFFFFFFFFFFFFC7 };
	/* 2^128 - 159 is prime */
	uint64_t two[2] = { -159ull, ~0ull }, two_composite[2] = { -157ull, ~0ull };

	(void)state;
	assert_true(fermat_base2(prime, 1));
	assert_false(fermat_base2(composite, 1));
	assert_true(fermat_base2(two, 2));
	assert_false(fermat_base2(two_composite, 2));
}

/* 2^512 - 569 and 2^1024 - 105 are prime. */
static void fermat_by_adx_gives_the_same_answers(void **state)
{
	static const struct {
		unsigned int limbs;
		uint64_t below;
	} primes[] = { { 8, 569 }, { 16, 105 } };
	uint64_t n[16];

	(void)state;
	if (!fermat_has_adx(8))
		skip();
	for (unsigned int i = 0; i < 2; i++) {
		memset(n, 0xff, sizeof(n));
		n[0] = -primes[i].below;
		assert_true(fermat_base2_with(n, primes[i].limbs, true));
		assert_true(fermat_base2_with(n, primes[i].limbs, false));
		for (unsigned int j = 0; j < 20; j++) {
			n[0] -= 2;
			n[j % primes[i].limbs] ^= 1ull << (j + 7);
			assert_int_equal(fermat_base2_with(n, primes[i].limbs, true),
					 fermat_base2_with(n, primes[i].limbs, false));
		}
	}
}

/* Eight numbers at once, next to one another's primes and composites. */
static void fermat_of_eight_gives_the_same_answers(void **state)
{
	static const unsigned int limbs[] = { 8, 16, 24, 32 };
	struct mont8_numbers n;
	struct drbg rng = test_rng("eight");
	unsigned int passed;

	(void)state;
	if (!mont8_available(8))
		skip();
	for (unsigned int i = 0; i < sizeof(limbs) / sizeof(*limbs); i++) {
		drbg_read(&rng, (unsigned char *)&n, sizeof(n));
		for (unsigned int l = 0; l < MONT8_LANES; l++) {
			n.x[l][0] |= 1;
			n.x[l][limbs[i] - 1] |= 1ull << 63;
		}
		memset(n.x[3], 0xff, sizeof(n.x[3]));
		n.x[3][0] = limbs[i] == 8 ? -569ull : -105ull; /* a prime for 8 and 16 */
		memset(n.x[6], 0xff, sizeof(n.x[6]));
		passed = mont8_fermat_base2(&n, limbs[i]);
		for (unsigned int l = 0; l < MONT8_LANES; l++)
			assert_int_equal(passed >> l & 1, fermat_base2(n.x[l], limbs[i]));
		if (limbs[i] <= 16)
			assert_int_equal(passed, 1u << 3);
	}
	drbg_free(&rng);
}

static bool miller_rabin(const uint64_t *n, const uint64_t *base, const uint64_t *other)
{
	struct mont8_numbers bases = { 0 };

	for (unsigned int l = 0; l < MONT8_LANES; l++)
		memcpy(bases.x[l], l == 5 ? other : base, 64);
	return mont8_miller_rabin(n, &bases, 8);
}

static void miller_rabin_of_eight_bases(void **state)
{
	/* The product of two primes; a base by which it is a strong pseudoprime; one by which it is a pseudoprime only. */
	static const uint64_t composite[8] = { 0xbbfbe3c1f2dd8b11, 0xa64ddf1b4cc8d558,
					       0xef0e345886f08b0a, 0x6201b2452d5a7f2c,
					       0x3eb527b66fd3f998, 0x5b2ea9a628c12ef0,
					       0xee42c5ee213c86aa, 0xa4edce92ea620c79 };
	static const uint64_t liar[8] = { 0xe4e3edd78236a265, 0xb4360a3a6f53f6c2,
					  0xc852221df79a9b20, 0x3ece753f29bdaca7,
					  0x0abcb7438864dc11, 0xb2947db80e58cc18,
					  0xc11a3edc3458144b, 0x4e1f38e2276ffecb };
	static const uint64_t weak_liar[8] = { 0x0b5b1c92b7e97ea8, 0x8e38f25d67c9737d,
					       0xd91f3e9438639228, 0x48d9e7ce7b189482,
					       0x2d5378119e4064e7, 0x5ad4651dcb739e7a,
					       0x9b719cd645715c0c, 0x7201e44976704cf1 };
	/* A prime above a multiple of 2^40, and another below 2^512 */
	static const uint64_t prime[8] = { 0xd0e6110000000001, 0xa55fc362a71f8008,
					   0x49b1d456761fe465, 0xfa9fd2adee99de56,
					   0xfa0f06df73ee51da, 0xb5a7b13661e75c5c,
					   0xd47f257d60ee275b, 0xf0ebab4ad240f1fc };
	static const uint64_t high[8] = {
		-569ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull
	};
	static const uint64_t two[8] = { 2 }, three[8] = { 3 };

	(void)state;
	if (!mont8_available(8))
		skip();
	assert_true(miller_rabin(prime, two, three));
	assert_true(miller_rabin(prime, liar, weak_liar));
	assert_true(miller_rabin(high, composite, two));
	assert_true(miller_rabin(composite, liar, liar));
	assert_false(miller_rabin(composite, liar, two));
	assert_false(miller_rabin(composite, two, liar));
	assert_false(miller_rabin(composite, liar, weak_liar));
}

/* What TPMs that are out there have derived stays what it is. */
static void rsa_keys_stay_the_same(void **state)
{
	static const struct {
		unsigned int bits;
		uint8_t start[6];
	} known[] = {
		{ 1024, { 0xc5, 0x42, 0x96, 0x05, 0xa1, 0x20 } },
		{ 2048, { 0x4e, 0x03, 0x63, 0x67, 0xab, 0x20 } },
	};
	uint8_t seed[8] = { 0 }, n[256], p[128], digest[HASH_MAX_SIZE];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = known[i / 2].bits;
		struct drbg rng;

		if (i % 2 && !mont8_available(bits / 128))
			continue;
		assert_int_equal(
			drbg_init_seeded(&rng, (struct span){ seed, sizeof(seed) }, "x", SPAN_NONE),
			0);
		assert_int_equal(rsa_generate_with(&rng, bits, 65537, n, p, i % 2), 0);
		hash_buf(TPM_ALG_SHA256, p, bits / 16, digest);
		assert_memory_equal(digest, known[i / 2].start, sizeof(known[i / 2].start));
		drbg_free(&rng);
	}
}

/* There is no prime p with p - 1 prime to 2, and the search ends all the same. */
static void the_search_for_a_key_ends(void **state)
{
	struct drbg rng = test_rng("end");
	uint8_t n[128], p[64];

	(void)state;
	assert_int_equal(rsa_generate(&rng, 1024, 2, n, p), -EIO);
	drbg_free(&rng);
}

static void rsa_keys_are_a_function_of_the_stream(void **state)
{
	uint8_t n1[128], p1[64], n2[128], p2[64], in[128] = { 0 }, out[128], back[128];
	struct drbg a = test_rng("rsa"), b = test_rng("rsa"), other = test_rng("rsb");
	struct rsa_key key;

	(void)state;
	assert_int_equal(rsa_generate(&a, 1024, 65537, n1, p1), 0);
	assert_int_equal(rsa_generate(&b, 1024, 65537, n2, p2), 0);
	assert_memory_equal(n1, n2, sizeof(n1));
	assert_true(n1[0] & 0x80);
	assert_int_equal(
		rsa_load_private(&key, (struct span){ n1, 128 }, 65537, (struct span){ p1, 64 }),
		0);
	in[127] = 2;
	assert_int_equal(rsa_raw_public(&key, in, out), 0);
	assert_int_equal(rsa_raw_private(&key, &a, out, back), 0);
	assert_memory_equal(in, back, 128);
	rsa_free(&key);
	assert_int_equal(rsa_generate(&other, 1024, 65537, n2, p2), 0);
	assert_memory_not_equal(n1, n2, sizeof(n1));
	assert_int_not_equal(
		rsa_load_private(&key, (struct span){ n1, 128 }, 65537, (struct span){ p2, 64 }),
		0);
	drbg_free(&a);
	drbg_free(&b);
	drbg_free(&other);
}

static void rsa_paddings(void **state)
{
	struct drbg rng = test_rng("pad");
	uint8_t n[128], p[64], out[512], back[512], digest[32] = { 9 };
	struct rsa_key key;
	size_t len;

	(void)state;
	assert_int_equal(rsa_generate(&rng, 1024, 65537, n, p), 0);
	assert_int_equal(
		rsa_load_private(&key, (struct span){ n, 128 }, 65537, (struct span){ p, 64 }), 0);
	assert_int_equal(rsa_encrypt(&key, &rng, TPM_ALG_OAEP, TPM_ALG_SHA256, text("L"),
				     text("hello"), out),
			 0);
	assert_int_equal(
		rsa_decrypt(&key, &rng, TPM_ALG_OAEP, TPM_ALG_SHA256, text("L"), out, back, &len),
		0);
	assert_int_equal(len, 5);
	assert_memory_equal(back, "hello", 5);
	assert_int_not_equal(
		rsa_decrypt(&key, &rng, TPM_ALG_OAEP, TPM_ALG_SHA256, text("M"), out, back, &len),
		0);
	assert_int_equal(rsa_encrypt(&key, &rng, TPM_ALG_RSAES, 0, SPAN_NONE, text("hello"), out),
			 0);
	assert_int_equal(rsa_decrypt(&key, &rng, TPM_ALG_RSAES, 0, SPAN_NONE, out, back, &len), 0);
	assert_int_equal(len, 5);
	assert_int_equal(rsa_sign(&key, &rng, TPM_ALG_RSAPSS, TPM_ALG_SHA256, digest, out), 0);
	assert_int_equal(
		rsa_verify(&key, TPM_ALG_RSAPSS, TPM_ALG_SHA256, digest, (struct span){ out, 128 }),
		0);
	assert_int_not_equal(
		rsa_verify(&key, TPM_ALG_RSASSA, TPM_ALG_SHA256, digest, (struct span){ out, 128 }),
		0);
	assert_int_equal(rsa_sign(&key, &rng, TPM_ALG_RSASSA, TPM_ALG_SHA256, digest, out), 0);
	digest[0]++;
	assert_int_not_equal(
		rsa_verify(&key, TPM_ALG_RSASSA, TPM_ALG_SHA256, digest, (struct span){ out, 128 }),
		0);
	rsa_free(&key);
	drbg_free(&rng);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_rfc4231_case_2),
		cmocka_unit_test(hmac_key_longer_than_a_block),
		cmocka_unit_test(kdfs_match_an_independent_implementation),
		cmocka_unit_test(xor_obfuscation_undoes_itself),
		cmocka_unit_test(aes_modes),
		cmocka_unit_test(cmac_of_sp800_38b),
		cmocka_unit_test(streams_continue_where_they_stopped),
		cmocka_unit_test(ecdsa_p256),
		cmocka_unit_test(every_curve_agrees_on_a_shared_secret),
		cmocka_unit_test(fermat_tells_primes_from_composites),
		cmocka_unit_test(fermat_by_adx_gives_the_same_answers),
		cmocka_unit_test(fermat_of_eight_gives_the_same_answers),
		cmocka_unit_test(miller_rabin_of_eight_bases),
		cmocka_unit_test(rsa_keys_stay_the_same),
		cmocka_unit_test(the_search_for_a_key_ends),
		cmocka_unit_test(rsa_keys_are_a_function_of_the_stream),
		cmocka_unit_test(rsa_paddings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
