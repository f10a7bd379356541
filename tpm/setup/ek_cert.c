// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <time.h>
#include <mbedtls/oid.h>
#include "tpm/crypto/der.h"
#include "tpm/instance.h"
#include "tpm/setup/ek_cert.h"

/* 2.23.133, TCG's arc, and what is below it */
#define TCG                  "\x67\x81\x05"
#define OID_TPM_MANUFACTURER TCG "\x02\x01"
#define OID_TPM_MODEL        TCG "\x02\x02"
#define OID_TPM_VERSION      TCG "\x02\x03"
#define OID_TPM_SPEC         TCG "\x02\x10"
#define OID_KP_EK            TCG "\x08\x01"

#define SERIAL_SIZE 20

/* Key usage (RFC 5280, 4.2.1.3), the first byte of its bit string. */
#define USE_KEY_ENCIPHERMENT 0x20
#define USE_KEY_AGREEMENT    0x08

/* An object identifier's content and its length, from a string literal. */
#define OID(literal) literal, sizeof(literal) - 1

/* Puts the frame of an extension around its value, which was written since `end`. */
static void extension(struct der *d, const uint8_t *end, bool critical, const char *oid,
		      size_t oid_len)
{
	der_wrap(d, DER_OCTET_STRING, end);
	if (critical)
		der_value(d, DER_BOOLEAN, "\xFF", 1);
	der_value(d, DER_OID, oid, oid_len);
	der_wrap(d, DER_SEQUENCE, end);
}

/* One relative distinguished name: a set of one attribute. */
static void name_part(struct der *d, const char *oid, size_t oid_len, const char *text)
{
	const uint8_t *end = d->pos;

	der_value(d, DER_UTF8_STRING, text, strlen(text));
	der_value(d, DER_OID, oid, oid_len);
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_SET, end);
}

/* 3.2.9: the directory name in the alternative name says which TPM; critical when the subject is empty. */
static void alternative_name(struct der *d, const struct ek_cert_tpm *tpm, bool critical)
{
	const uint8_t *end = d->pos;

	name_part(d, OID(OID_TPM_VERSION), tpm->version);
	name_part(d, OID(OID_TPM_MODEL), tpm->model);
	name_part(d, OID(OID_TPM_MANUFACTURER), tpm->manufacturer);
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_CONTEXT(4), end); /* directoryName */
	der_wrap(d, DER_SEQUENCE, end);
	extension(d, end, critical, OID(MBEDTLS_OID_SUBJECT_ALT_NAME));
}

/* 3.2.10: the TPM specification as an attribute of the subject. */
static void directory_attributes(struct der *d, const struct ek_cert_tpm *tpm)
{
	const uint8_t *end = d->pos;

	der_small_integer(d, tpm->revision);
	der_small_integer(d, tpm->level);
	der_value(d, DER_UTF8_STRING, tpm->family, strlen(tpm->family));
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_SET, end);
	der_oid(d, OID_TPM_SPEC);
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_SEQUENCE, end);
	extension(d, end, false, OID(MBEDTLS_OID_SUBJECT_DIRECTORY_ATTRS));
}

static void authority_key(struct der *d, const struct issuer *issuer)
{
	const mbedtls_x509_buf *id = &issuer->cert.subject_key_id;
	const uint8_t *end = d->pos;

	if (!id->len) /* a CA whose certificate has none */
		return;
	der_value(d, DER_PRIMITIVE(0), id->p, id->len);
	der_wrap(d, DER_SEQUENCE, end);
	extension(d, end, false, OID(MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER));
}

static void key_usage(struct der *d, uint16_t type)
{
	const uint8_t *end = d->pos;
	const uint8_t bits[2] = { type == TPM_ALG_RSA ? 5 : 3, /* unused */
				  type == TPM_ALG_RSA ? USE_KEY_ENCIPHERMENT : USE_KEY_AGREEMENT };

	der_value(d, DER_BIT_STRING, bits, sizeof(bits));
	extension(d, end, true, OID(MBEDTLS_OID_KEY_USAGE));
}

static void extended_key_usage(struct der *d)
{
	const uint8_t *end = d->pos;

	der_oid(d, OID_KP_EK);
	der_wrap(d, DER_SEQUENCE, end);
	extension(d, end, false, OID(MBEDTLS_OID_EXTENDED_KEY_USAGE));
}

static void extensions(struct der *d, const struct issuer *issuer, const struct public_area *pub,
		       const struct ek_cert_tpm *tpm, bool anonymous)
{
	const uint8_t *end = d->pos, *part;

	extended_key_usage(d);
	key_usage(d, pub->type);
	authority_key(d, issuer);
	directory_attributes(d, tpm);
	part = d->pos;
	der_value(d, DER_SEQUENCE, NULL, 0); /* not a CA */
	extension(d, part, true, OID(MBEDTLS_OID_BASIC_CONSTRAINTS));
	alternative_name(d, tpm, anonymous);
	der_wrap(d, DER_SEQUENCE, end);
	der_wrap(d, DER_CONTEXT(3), end);
}

static bool public_key(struct der *d, const struct public_area *pub)
{
	if (pub->type == TPM_ALG_ECC)
		return der_ecc_public(d, pub->curve, &pub->point);
	der_rsa_public(d, (struct span){ pub->unique, pub->unique_len },
		       pub->exponent ? pub->exponent : 65537);
	return true;
}

/* RFC 5280, 4.1.2.5: two digits of the year up to 2049, four from then on. */
static void point_in_time(struct der *d, time_t t)
{
	char text[24];
	struct tm tm;
	bool utc;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	utc = tm.tm_year < 150;
	strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
	if (utc)
		der_value(d, DER_UTC_TIME, text + 2, strlen(text + 2));
	else
		der_value(d, DER_TIME, text, strlen(text));
}

static void validity(struct der *d, unsigned int days)
{
	static const char never[] = "99991231235959Z";
	const uint8_t *end = d->pos;
	time_t now = time(NULL);

	if (days)
		point_in_time(d, now + (time_t)days * 86400);
	else
		der_value(d, DER_TIME, never, sizeof(never) - 1);
	point_in_time(d, now);
	der_wrap(d, DER_SEQUENCE, end);
}

static void subject(struct der *d, const char *name)
{
	const uint8_t *end = d->pos;

	if (name)
		name_part(d, OID(MBEDTLS_OID_AT_CN), name);
	der_wrap(d, DER_SEQUENCE, end);
}

/* RFC 5280, 4.1.2.2: positive, unique; at most 20 bytes. */
static int serial_number(struct der *d)
{
	uint8_t serial[SERIAL_SIZE];
	int ret = instance_random(serial, sizeof(serial));

	if (ret)
		return -EIO;
	serial[0] = (serial[0] & 0x7F) | 0x40;
	der_integer(d, (struct span){ serial, sizeof(serial) });
	return 0;
}

/* TBSCertificate, from its last field to its first. */
static int to_be_signed(struct der *d, struct issuer *issuer, const struct public_area *pub,
			const struct ek_cert_tpm *tpm, const struct ek_cert_options *options)
{
	const uint8_t *end = d->pos, *part;
	uint16_t scheme, hash;

	issuer_scheme(issuer, &scheme, &hash);
	extensions(d, issuer, pub, tpm, !options->subject);
	if (!public_key(d, pub))
		return -EINVAL;
	subject(d, options->subject);
	validity(d, options->days);
	/* The very bytes of the issuer's own subject: names are compared so. */
	der_bytes(d, issuer->cert.subject_raw.p, issuer->cert.subject_raw.len);
	if (!der_signature_algorithm(d, scheme, hash, 0))
		return -EINVAL;
	if (serial_number(d))
		return -EIO;
	part = d->pos;
	der_small_integer(d, 2); /* version 3 */
	der_wrap(d, DER_CONTEXT(0), part);
	der_wrap(d, DER_SEQUENCE, end);
	return d->overflow ? -ENOSPC : 0;
}

long ek_cert_write(struct issuer *issuer, const struct public_area *pub,
		   const struct ek_cert_tpm *tpm, const struct ek_cert_options *options,
		   uint8_t *buf)
{
	uint8_t tbs[EK_CERT_MAX], signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
	struct der d = der_begin(tbs, sizeof(tbs)), out = der_begin(buf, EK_CERT_MAX);
	const uint8_t *end = buf + EK_CERT_MAX;
	int ret = to_be_signed(&d, issuer, pub, tpm, options);
	size_t tbs_len = (size_t)(tbs + sizeof(tbs) - d.pos), signature_len, len;
	uint16_t scheme, hash;

	if (!ret)
		ret = issuer_sign(issuer, d.pos, tbs_len, signature, &signature_len);
	if (ret)
		return ret;
	issuer_scheme(issuer, &scheme, &hash);
	der_bit_string(&out, (struct span){ signature, signature_len });
	der_signature_algorithm(&out, scheme, hash, 0);
	der_bytes(&out, d.pos, tbs_len);
	der_wrap(&out, DER_SEQUENCE, end);
	if (out.overflow)
		return -ENOSPC;
	len = (size_t)(end - out.pos);
	memmove(buf, out.pos, len);
	return (long)len;
}
