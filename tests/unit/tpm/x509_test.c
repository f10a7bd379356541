// SPDX-License-Identifier: MIT
/* TPM2_CertifyX509: certificates that mbedTLS then reads and verifies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/crypto/der.h"
#include "tpm/engine/types.h"

#define H1 (TPM_RC_H + TPM_RC_1)
#define H2 (TPM_RC_H + 2 * TPM_RC_1)
#define P1 (TPM_RC_P + TPM_RC_1)
#define P2 (TPM_RC_P + 2 * TPM_RC_1)
#define P3 (TPM_RC_P + 3 * TPM_RC_1)

#define SIGNING                                                                             \
	(TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent | TPMA_OBJECT_sensitiveDataOrigin | \
	 TPMA_OBJECT_userWithAuth | TPMA_OBJECT_sign)

static uint32_t create(struct fixture *f, const struct public_area *pub)
{
	struct reader r;
	uint32_t handle;

	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_CreatePrimary), TPM_RH_OWNER);
	command_password(f, "");
	write_2b(&f->w, "\0\0\0\0", 4);
	write_public_2b(&f->w, pub);
	write_2b(&f->w, NULL, 0);
	write_u32(&f->w, 0);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	assert_true(read_u32(&r, &handle));
	return handle;
}

static uint32_t create_ecc(struct fixture *f, uint16_t curve, uint32_t attributes)
{
	struct public_area pub = { .type = TPM_ALG_ECC,
				   .name_alg = TPM_ALG_SHA256,
				   .attributes = attributes,
				   .sym.alg = TPM_ALG_NULL,
				   .scheme.scheme = TPM_ALG_NULL,
				   .kdf.scheme = TPM_ALG_NULL,
				   .curve = curve };

	return create(f, &pub);
}

static uint32_t create_rsa(struct fixture *f)
{
	struct public_area pub = { .type = TPM_ALG_RSA,
				   .name_alg = TPM_ALG_SHA256,
				   .attributes = SIGNING,
				   .sym.alg = TPM_ALG_NULL,
				   .scheme.scheme = TPM_ALG_NULL,
				   .bits = 2048 };

	return create(f, &pub);
}

/* --- the caller's part --- */

struct request {
	uint8_t usage[2]; /* a bit string's content */
	bool no_usage, algorithm;
	uint32_t attributes; /* 0: no such extension */
	uint16_t scheme, hash;
};

#define DIGITAL_SIGNATURE 0x80
#define KEY_ENCIPHERMENT  0x20
#define KEY_CERT_SIGN     0x04

static const struct request ecdsa = { { 2, DIGITAL_SIGNATURE | KEY_CERT_SIGN },
				      .scheme = TPM_ALG_ECDSA,
				      .hash = TPM_ALG_SHA256 };

static void put_extension(struct der *d, const uint8_t *end, const char *oid, size_t len)
{
	der_wrap(d, DER_OCTET_STRING, end);
	der_value(d, DER_OID, oid, len);
	der_wrap(d, DER_SEQUENCE, end);
}

static void put_extensions(struct der *d, const struct request *q)
{
	static const char attributes_oid[] = "\x67\x81\x05\x0A\x01\x01\x01";
	const uint8_t *end = d->pos, *part = end;

	der_value(d, DER_BOOLEAN, "\xFF", 1);
	der_wrap(d, DER_SEQUENCE, part);
	put_extension(d, part, MBEDTLS_OID_BASIC_CONSTRAINTS,
		      sizeof(MBEDTLS_OID_BASIC_CONSTRAINTS) - 1);
	part = d->pos;
	if (q->attributes) {
		const uint8_t be[] = { (uint8_t)(q->attributes >> 24),
				       (uint8_t)(q->attributes >> 16),
				       (uint8_t)(q->attributes >> 8), (uint8_t)q->attributes };

		der_bit_string(d, (struct span){ be, 4 });
		put_extension(d, part, attributes_oid, sizeof(attributes_oid) - 1);
	}
	part = d->pos;
	if (!q->no_usage) {
		der_value(d, DER_BIT_STRING, q->usage, 2);
		put_extension(d, part, MBEDTLS_OID_KEY_USAGE, sizeof(MBEDTLS_OID_KEY_USAGE) - 1);
	}
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_CONTEXT(3), end);
}

static void put_name(struct der *d)
{
	const uint8_t *end = d->pos;

	der_value(d, DER_UTF8_STRING, "TPM", 3);
	der_oid(d, MBEDTLS_OID_AT_CN);
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_SET, end);
	der_wrap(d, DER_SEQUENCE, end);
}

struct partial {
	uint8_t buf[1024];
	struct span whole, fields, extensions;
};

static void make_partial(struct partial *p, const struct request *q)
{
	struct der d = der_begin(p->buf, sizeof(p->buf));
	const uint8_t *end = d.pos, *part;

	put_extensions(&d, q);
	p->extensions = (struct span){ d.pos, (size_t)(end - d.pos) };
	put_name(&d);
	part = d.pos;
	der_value(&d, DER_UTC_TIME, "400101000000Z", 13);
	der_value(&d, DER_UTC_TIME, "200101000000Z", 13);
	der_wrap(&d, DER_SEQUENCE, part);
	put_name(&d);
	if (q->algorithm)
		assert_true(der_signature_algorithm(&d, q->scheme, q->hash, hash_size(q->hash)));
	p->fields = (struct span){ d.pos, (size_t)(p->extensions.data - d.pos) };
	der_wrap(&d, DER_SEQUENCE, end);
	assert_false(d.overflow);
	p->whole = (struct span){ d.pos, (size_t)(end - d.pos) };
}

static uint32_t certify(struct fixture *f, uint32_t object, uint32_t key, const struct request *q,
			struct span partial)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_CertifyX509), object);
	write_u32(&f->w, key);
	write_u32(&f->w, 18); /* two empty passwords */
	for (int i = 0; i < 2; i++) {
		write_u32(&f->w, TPM_RS_PW);
		write_bytes(&f->w, "\0\0\0\0", 5);
	}
	write_2b(&f->w, NULL, 0);
	write_u16(&f->w, q->scheme);
	if (q->scheme != TPM_ALG_NULL)
		write_u16(&f->w, q->hash);
	write_2b(&f->w, partial.data, partial.len);
	return command_run(f);
}

/* --- the certificate --- */

static struct span take_2b(struct reader *r)
{
	struct span v;
	uint16_t len;

	assert_true(read_u16(r, &len));
	assert_true(read_span(r, len, &v));
	return v;
}

/* The content of a DER sequence that begins there. */
static struct span content(struct span s)
{
	size_t head = s.data[1] & 0x80 ? 2 + (s.data[1] & 0x7F) : 2;

	assert_int_equal(s.data[0], DER_SEQUENCE);
	return (struct span){ s.data + head, s.len - head };
}

static void put_signature(struct der *d, const struct signature *sig)
{
	uint8_t buf[256];
	struct der inner = der_begin(buf, sizeof(buf));
	const uint8_t *end = inner.pos;

	if (sig->alg != TPM_ALG_ECDSA) {
		der_bit_string(d, (struct span){ sig->bytes, sig->len });
		return;
	}
	der_integer(&inner, (struct span){ sig->ecc.s.bytes, sig->ecc.s.len });
	der_integer(&inner, (struct span){ sig->ecc.r.bytes, sig->ecc.r.len });
	der_wrap(&inner, DER_SEQUENCE, end);
	der_bit_string(d, (struct span){ inner.pos, (size_t)(end - inner.pos) });
}

/* RFC 5280, 4.1: puts the caller's and the TPM's fields together, as whoever uses the command has to. */
static size_t assemble(struct fixture *f, const struct request *q, const struct partial *p,
		       uint8_t *out, size_t size)
{
	struct reader r = response(f);
	struct der d = der_begin(out, size);
	const uint8_t *end = d.pos, *tbs_end;
	struct span added, digest, head;
	struct signature sig;
	uint8_t own[HASH_MAX_SIZE];
	uint32_t parameters;
	size_t head_len = 5 + 22; /* version, serial number of 20 bytes */

	assert_true(read_u32(&r, &parameters));
	added = content(take_2b(&r));
	digest = take_2b(&r);
	assert_int_equal(read_signature(&r, NO_NULL, &sig), 0);
	put_signature(&d, &sig);
	assert_true(der_signature_algorithm(&d, q->scheme, q->hash, hash_size(q->hash)));
	if (!q->algorithm) /* a sequence of less than 128 bytes */
		head_len += 2 + added.data[head_len + 1];
	head = (struct span){ added.data, head_len };
	tbs_end = d.pos;
	der_bytes(&d, p->extensions.data, p->extensions.len);
	der_bytes(&d, added.data + head_len, added.len - head_len);
	der_bytes(&d, p->fields.data, p->fields.len);
	der_bytes(&d, head.data, head.len);
	der_wrap(&d, DER_SEQUENCE, tbs_end);
	assert_int_equal(hash_buf(q->hash, d.pos, (size_t)(tbs_end - d.pos), own), digest.len);
	assert_memory_equal(own, digest.data, digest.len);
	der_wrap(&d, DER_SEQUENCE, end);
	assert_false(d.overflow);
	memmove(out, d.pos, (size_t)(end - d.pos));
	return (size_t)(end - d.pos);
}

static void make_cert(struct fixture *f, uint32_t object, uint32_t key, const struct request *q,
		      mbedtls_x509_crt *cert)
{
	uint8_t der[2048];
	struct partial p;
	size_t len;

	make_partial(&p, q);
	assert_int_equal(certify(f, object, key, q, p.whole), 0);
	len = assemble(f, q, &p, der, sizeof(der));
	mbedtls_x509_crt_init(cert);
	assert_int_equal(mbedtls_x509_crt_parse_der(cert, der, len), 0);
	assert_int_equal(cert->version, 3);
	assert_int_equal(cert->serial.len, 20);
}

/* The key certifies itself as a CA and then another key; the second certificate verifies by the first. */
static void chain(struct fixture *f, uint32_t key, const struct request *q)
{
	uint32_t subject = create_ecc(f, TPM_ECC_NIST_P384, SIGNING), flags;
	mbedtls_x509_crt ca, cert;

	make_cert(f, key, key, q, &ca);
	make_cert(f, subject, key, q, &cert);
	assert_int_equal(mbedtls_pk_get_bitlen(&cert.pk), 384);
	assert_int_equal(mbedtls_x509_crt_verify(&cert, &ca, NULL, NULL, &flags, NULL, NULL), 0);
	/* Each has a serial number of its own. */
	assert_memory_not_equal(ca.serial.p, cert.serial.p, cert.serial.len);
	/* The verification can fail: by the certified key it does. */
	assert_int_not_equal(mbedtls_x509_crt_verify(&ca, &cert, NULL, NULL, &flags, NULL, NULL),
			     0);
	mbedtls_x509_crt_free(&cert);
	mbedtls_x509_crt_free(&ca);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_FlushContext), subject);
	assert_int_equal(command_run(f), 0);
}

static void signs_with_ecdsa(void **state)
{
	struct fixture *f = *state;
	struct request q = ecdsa;
	uint32_t key = create_ecc(f, TPM_ECC_NIST_P256, SIGNING);

	chain(f, key, &q);
	q.algorithm = true;
	chain(f, key, &q);
	q.hash = TPM_ALG_SHA384;
	chain(f, key, &q);
	q.attributes = SIGNING;
	chain(f, key, &q);
}

static void signs_with_rsa(void **state)
{
	struct fixture *f = *state;
	struct request q = ecdsa;
	uint32_t key = create_rsa(f);

	q.scheme = TPM_ALG_RSASSA;
	chain(f, key, &q);
	q.scheme = TPM_ALG_RSAPSS;
	chain(f, key, &q);
}

static uint32_t try(struct fixture *f, uint32_t object, uint32_t key, const struct request *q)
{
	struct partial p;

	make_partial(&p, q);
	return certify(f, object, key, q, p.whole);
}

static void attributes_must_fit(void **state)
{
	struct fixture *f = *state;
	struct request q = ecdsa;
	uint32_t key = create_ecc(f, TPM_ECC_NIST_P256, SIGNING);

	q.usage[1] = KEY_ENCIPHERMENT;
	q.usage[0] = 5;
	assert_int_equal(try(f, key, key, &q), TPM_RC_ATTRIBUTES + H1);
	q = ecdsa;
	q.attributes = SIGNING | TPMA_OBJECT_restricted;
	assert_int_equal(try(f, key, key, &q), TPM_RC_ATTRIBUTES + H1);
	q = ecdsa;
	q.no_usage = true;
	assert_int_equal(try(f, key, key, &q), TPM_RC_VALUE + P3);
	q = ecdsa;
	q.scheme = TPM_ALG_RSASSA;
	assert_int_equal(try(f, key, key, &q), TPM_RC_SCHEME + P2);
	q.scheme = TPM_ALG_NULL;
	assert_int_equal(try(f, key, key, &q), TPM_RC_SCHEME + P2);
	q = ecdsa;
	assert_int_equal(try(f, key, TPM_RH_NULL, &q), TPM_RC_KEY + H2);
}

static void key_usage_of_parents(void **state)
{
	struct fixture *f = *state;
	struct public_area pub = { .type = TPM_ALG_ECC,
				   .name_alg = TPM_ALG_SHA256,
				   .attributes = (SIGNING & ~TPMA_OBJECT_sign) |
						 TPMA_OBJECT_decrypt | TPMA_OBJECT_restricted,
				   .sym = { TPM_ALG_AES, 128, TPM_ALG_CFB },
				   .scheme.scheme = TPM_ALG_NULL,
				   .kdf.scheme = TPM_ALG_NULL,
				   .curve = TPM_ECC_NIST_P256 };
	uint32_t key = create_ecc(f, TPM_ECC_NIST_P256, SIGNING), parent = create(f, &pub);
	struct request q = ecdsa;

	q.usage[0] = 5;
	q.usage[1] = KEY_ENCIPHERMENT;
	assert_int_equal(try(f, parent, key, &q), 0);
	q.usage[1] = DIGITAL_SIGNATURE;
	assert_int_equal(try(f, parent, key, &q), TPM_RC_ATTRIBUTES + H1);
	/* Bits that are said to be none say nothing. */
	q.usage[0] = 7;
	q.usage[1] = DIGITAL_SIGNATURE | KEY_ENCIPHERMENT;
	assert_int_equal(try(f, key, key, &q), 0);
	q.usage[0] = 5;
	assert_int_equal(try(f, key, key, &q), TPM_RC_ATTRIBUTES + H1);
	/* It cannot sign. */
	q.usage[1] = KEY_ENCIPHERMENT;
	assert_int_equal(try(f, parent, parent, &q), TPM_RC_KEY + H2);
}

/* Each shortened or lengthened form of a good request is refused, and read within its bounds (ASan). */
static void damaged_requests(void **state)
{
	struct fixture *f = *state;
	uint32_t key = create_ecc(f, TPM_ECC_NIST_P256, SIGNING);
	struct partial p;

	make_partial(&p, &ecdsa);
	for (size_t len = 0; len < p.whole.len; len++)
		assert_int_equal(certify(f, key, key, &ecdsa, (struct span){ p.whole.data, len }),
				 (len ? TPM_RC_SIZE : TPM_RC_VALUE) + P3);
	for (size_t i = 0; i < p.whole.len; i++) {
		uint8_t *byte = (uint8_t *)p.whole.data + i, was = *byte;

		*byte = 0xFF;
		certify(f, key, key, &ecdsa, p.whole);
		*byte = 0x80;
		certify(f, key, key, &ecdsa, p.whole);
		*byte = was;
	}
	assert_int_equal(certify(f, key, key, &ecdsa, p.whole), 0);
}

static void reserved_is_empty(void **state)
{
	struct fixture *f = *state;
	uint32_t key = create_ecc(f, TPM_ECC_NIST_P256, SIGNING);
	struct partial p;

	make_partial(&p, &ecdsa);
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_CertifyX509), key);
	write_u32(&f->w, key);
	write_u32(&f->w, 18);
	for (int i = 0; i < 2; i++) {
		write_u32(&f->w, TPM_RS_PW);
		write_bytes(&f->w, "\0\0\0\0", 5);
	}
	write_2b(&f->w, "x", 1);
	write_u16(&f->w, TPM_ALG_NULL);
	write_2b(&f->w, p.whole.data, p.whole.len);
	assert_int_equal(command_run(f), TPM_RC_SIZE + P1);
}

int main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, fixture_setup_started, fixture_teardown)
	const struct CMUnitTest tests[] = {
		test(signs_with_ecdsa),     test(signs_with_rsa),   test(attributes_must_fit),
		test(key_usage_of_parents), test(damaged_requests), test(reserved_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
