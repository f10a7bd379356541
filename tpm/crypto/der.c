// SPDX-License-Identifier: MIT
#include <string.h>
#include <mbedtls/oid.h>
#include "proto/tpm.h"
#include "tpm/crypto/der.h"

void der_bytes(struct der *d, const void *data, size_t len)
{
	if (d->overflow || len > (size_t)(d->pos - d->start)) {
		d->overflow = true;
		return;
	}
	d->pos -= len;
	if (len)
		memcpy(d->pos, data, len);
}

static void put_byte(struct der *d, uint8_t v)
{
	der_bytes(d, &v, 1);
}

/* X.690, 8.1.3: short below 128, else a count of bytes and those. */
void der_frame(struct der *d, uint8_t tag, size_t len)
{
	uint8_t count = 0;

	if (len < 0x80) {
		put_byte(d, (uint8_t)len);
	} else {
		for (; len; len >>= 8, count++)
			put_byte(d, (uint8_t)len);
		put_byte(d, 0x80 | count);
	}
	put_byte(d, tag);
}

void der_wrap(struct der *d, uint8_t tag, const uint8_t *end)
{
	der_frame(d, tag, (size_t)(end - d->pos));
}

void der_value(struct der *d, uint8_t tag, const void *data, size_t len)
{
	const uint8_t *end = d->pos;

	der_bytes(d, data, len);
	der_wrap(d, tag, end);
}

void der_integer(struct der *d, struct span number)
{
	const uint8_t *end = d->pos;

	while (number.len > 1 && !number.data[0]) {
		number.data++;
		number.len--;
	}
	der_bytes(d, number.data, number.len);
	/* Without it the number would be negative. */
	if (number.len && number.data[0] & 0x80)
		put_byte(d, 0);
	der_wrap(d, DER_INTEGER, end);
}

void der_small_integer(struct der *d, uint32_t value)
{
	const uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				   (uint8_t)(value >> 8), (uint8_t)value };

	der_integer(d, (struct span){ bytes, sizeof(bytes) });
}

void der_bit_string(struct der *d, struct span bytes)
{
	const uint8_t *end = d->pos;

	der_bytes(d, bytes.data, bytes.len);
	put_byte(d, 0); /* unused bits */
	der_wrap(d, DER_BIT_STRING, end);
}

void der_rsa_public(struct der *d, struct span n, uint32_t e)
{
	const uint8_t *end = d->pos, *part;

	der_small_integer(d, e);
	der_integer(d, n);
	der_wrap(d, DER_SEQUENCE, end);
	put_byte(d, 0);
	der_wrap(d, DER_BIT_STRING, end);
	part = d->pos;
	der_value(d, DER_NULL, NULL, 0);
	der_oid(d, MBEDTLS_OID_PKCS1_RSA);
	der_wrap(d, DER_SEQUENCE, part);
	der_wrap(d, DER_SEQUENCE, end);
}

static bool curve_oid(struct der *d, uint16_t curve)
{
	switch (curve) {
	case TPM_ECC_NIST_P256:
		der_oid(d, MBEDTLS_OID_EC_GRP_SECP256R1);
		return true;
	case TPM_ECC_NIST_P384:
		der_oid(d, MBEDTLS_OID_EC_GRP_SECP384R1);
		return true;
	case TPM_ECC_NIST_P521:
		der_oid(d, MBEDTLS_OID_EC_GRP_SECP521R1);
		return true;
	default:
		return false;
	}
}

bool der_ecc_public(struct der *d, uint16_t curve, const struct ecc_point *q)
{
	const uint8_t *end = d->pos, *part;

	der_bytes(d, q->y.bytes, q->y.len);
	der_bytes(d, q->x.bytes, q->x.len);
	put_byte(d, 0x04); /* uncompressed */
	put_byte(d, 0);
	der_wrap(d, DER_BIT_STRING, end);
	part = d->pos;
	if (!curve_oid(d, curve))
		return false;
	der_oid(d, MBEDTLS_OID_EC_ALG_UNRESTRICTED);
	der_wrap(d, DER_SEQUENCE, part);
	der_wrap(d, DER_SEQUENCE, end);
	return true;
}

/* The object identifiers that differ by the hash. */
static const struct hash_oids {
	uint16_t hash;
	struct span digest, rsassa, ecdsa;
} hash_oids[] = {
#define OID(literal)                                            \
	{                                                       \
		(const uint8_t *)(literal), sizeof(literal) - 1 \
	}
#define HASH_OIDS(name)                                                                            \
	{                                                                                          \
		TPM_ALG_##name, OID(MBEDTLS_OID_DIGEST_ALG_##name), OID(MBEDTLS_OID_PKCS1_##name), \
			OID(MBEDTLS_OID_ECDSA_##name)                                              \
	}
	HASH_OIDS(SHA1),
	HASH_OIDS(SHA256),
	HASH_OIDS(SHA384),
	HASH_OIDS(SHA512),
#undef HASH_OIDS
#undef OID
};

static const struct hash_oids *find_hash(uint16_t hash)
{
	for (size_t i = 0; i < sizeof(hash_oids) / sizeof(*hash_oids); i++)
		if (hash_oids[i].hash == hash)
			return &hash_oids[i];
	return NULL;
}

static void hash_algorithm(struct der *d, const struct hash_oids *hash)
{
	const uint8_t *end = d->pos;

	der_value(d, DER_NULL, NULL, 0);
	der_value(d, DER_OID, hash->digest.data, hash->digest.len);
	der_wrap(d, DER_SEQUENCE, end);
}

/* RSASSA-PSS-params: hash, mask generation by the same hash, length of the salt. */
static void pss_parameters(struct der *d, const struct hash_oids *hash, uint32_t salt_len)
{
	const uint8_t *end = d->pos, *part;

	der_small_integer(d, salt_len);
	der_wrap(d, DER_CONTEXT(2), end);
	part = d->pos;
	hash_algorithm(d, hash);
	der_oid(d, MBEDTLS_OID_MGF1);
	der_wrap(d, DER_SEQUENCE, part);
	der_wrap(d, DER_CONTEXT(1), part);
	part = d->pos;
	hash_algorithm(d, hash);
	der_wrap(d, DER_CONTEXT(0), part);
	der_wrap(d, DER_SEQUENCE, end);
}

bool der_signature_algorithm(struct der *d, uint16_t scheme, uint16_t hash, uint32_t salt_len)
{
	const struct hash_oids *oids = find_hash(hash);
	const uint8_t *end = d->pos;

	if (!oids)
		return false;
	switch (scheme) {
	case TPM_ALG_RSASSA:
		der_value(d, DER_NULL, NULL, 0);
		der_value(d, DER_OID, oids->rsassa.data, oids->rsassa.len);
		break;
	case TPM_ALG_RSAPSS:
		pss_parameters(d, oids, salt_len);
		der_oid(d, MBEDTLS_OID_RSASSA_PSS);
		break;
	case TPM_ALG_ECDSA:
		der_value(d, DER_OID, oids->ecdsa.data, oids->ecdsa.len);
		break;
	default:
		return false;
	}
	der_wrap(d, DER_SEQUENCE, end);
	return true;
}
