// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "proto/tpm.h"
#include "tpm/crypto/der.h"

static uint8_t buf[2048];

static struct der begin(void)
{
	return der_begin(buf, sizeof(buf));
}

static void expect(const struct der *d, const void *bytes, size_t len)
{
	assert_false(d->overflow);
	assert_int_equal(buf + sizeof(buf) - d->pos, len);
	assert_memory_equal(d->pos, bytes, len);
}

/* X.690, 8.1.3 */
static void lengths(void **state)
{
	static const uint8_t zeros[300];
	struct der d = begin();

	(void)state;
	der_value(&d, DER_OCTET_STRING, zeros, 127);
	assert_memory_equal(d.pos, "\x04\x7F\x00", 3);
	d = begin();
	der_value(&d, DER_OCTET_STRING, zeros, 128);
	assert_memory_equal(d.pos, "\x04\x81\x80\x00", 4);
	d = begin();
	der_value(&d, DER_OCTET_STRING, zeros, 300);
	assert_memory_equal(d.pos, "\x04\x82\x01\x2C\x00", 5);
	assert_int_equal(buf + sizeof(buf) - d.pos, 304);
}

static void integers(void **state)
{
	struct der d = begin();

	(void)state;
	der_integer(&d, (struct span){ (const uint8_t *)"\x00\x00\x7F", 3 });
	expect(&d, "\x02\x01\x7F", 3);
	d = begin();
	der_integer(&d, (struct span){ (const uint8_t *)"\x80", 1 });
	expect(&d, "\x02\x02\x00\x80", 4);
	d = begin();
	der_small_integer(&d, 0);
	expect(&d, "\x02\x01\x00", 3);
	d = begin();
	der_small_integer(&d, 65537);
	expect(&d, "\x02\x03\x01\x00\x01", 5);
}

static void overflow(void **state)
{
	struct der d = der_begin(buf, 4);

	(void)state;
	der_value(&d, DER_OCTET_STRING, "abc", 3);
	assert_true(d.overflow);
	assert_true(d.pos >= buf && d.pos <= buf + 4);
	der_value(&d, DER_NULL, NULL, 0);
	assert_true(d.overflow);
}

/* The encodings of RFC 3279, 2.2.1 and 2.2.3, and of RFC 4055's default for SHA-256 (section 3.1). */
static void signature_algorithms(void **state)
{
	static const uint8_t rsassa[] = { 0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
					  0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00 };
	static const uint8_t ecdsa[] = { 0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86,
					 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03 };
	/* clang-format off */
	static const uint8_t pss[] = {
		0x30, 0x41, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A, 0x30, 0x34,
		0xA0, 0x0F, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
		0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08,
		0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
		0xA2, 0x03, 0x02, 0x01, 0x20,
	};
	/* clang-format on */
	struct der d = begin();

	(void)state;
	assert_true(der_signature_algorithm(&d, TPM_ALG_RSASSA, TPM_ALG_SHA256, 0));
	expect(&d, rsassa, sizeof(rsassa));
	d = begin();
	assert_true(der_signature_algorithm(&d, TPM_ALG_ECDSA, TPM_ALG_SHA384, 0));
	expect(&d, ecdsa, sizeof(ecdsa));
	d = begin();
	assert_true(der_signature_algorithm(&d, TPM_ALG_RSAPSS, TPM_ALG_SHA256, 32));
	expect(&d, pss, sizeof(pss));
	assert_false(der_signature_algorithm(&d, TPM_ALG_ECDAA, TPM_ALG_SHA256, 0));
	assert_false(der_signature_algorithm(&d, TPM_ALG_ECDSA, TPM_ALG_NULL, 0));
}

static void public_keys(void **state)
{
	static const uint8_t p256_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
					     0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
					     0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
	static const uint8_t rsa_head[] = { 0x30, 0x82, 0x01, 0x22, 0x30, 0x0D, 0x06, 0x09, 0x2A,
					    0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05,
					    0x00, 0x03, 0x82, 0x01, 0x0F, 0x00, 0x30, 0x82, 0x01,
					    0x0A, 0x02, 0x82, 0x01, 0x01, 0x00, 0xC1 };
	struct ecc_point q = { .x.len = 32, .y.len = 32 };
	uint8_t n[256] = { 0xC1 };
	struct der d = begin();

	(void)state;
	assert_true(der_ecc_public(&d, TPM_ECC_NIST_P256, &q));
	assert_memory_equal(d.pos, p256_head, sizeof(p256_head));
	assert_int_equal(buf + sizeof(buf) - d.pos, 0x59 + 2);
	assert_false(der_ecc_public(&d, TPM_ECC_BN_P256, &q));
	d = begin();
	der_rsa_public(&d, (struct span){ n, sizeof(n) }, 65537);
	assert_memory_equal(d.pos, rsa_head, sizeof(rsa_head));
	assert_int_equal(buf + sizeof(buf) - d.pos, 0x122 + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths),     cmocka_unit_test(integers),
		cmocka_unit_test(overflow),    cmocka_unit_test(signature_algorithms),
		cmocka_unit_test(public_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
