/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_DER_H
#define TPM_CRYPTO_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tpm/crypto/ecc.h"
#include "tpm/crypto/kdf.h"

/* The tags of X.690 that certificates are made of. */
#define DER_BOOLEAN      0x01
#define DER_INTEGER      0x02
#define DER_BIT_STRING   0x03
#define DER_OCTET_STRING 0x04
#define DER_NULL         0x05
#define DER_OID          0x06
#define DER_UTF8_STRING  0x0C
#define DER_UTC_TIME     0x17
#define DER_TIME         0x18 /* GeneralizedTime */
#define DER_SEQUENCE     0x30
#define DER_SET          0x31
/* [n], of constructed and of primitive content */
#define DER_CONTEXT(n)   (0xA0 | (n))
#define DER_PRIMITIVE(n) (0x80 | (n))

/*
 * A buffer that is filled from its end to its start, as lengths come before what they count. What does not fit is
 * dropped and leaves overflow set.
 */
struct der {
	uint8_t *start, *pos;
	bool overflow;
};

static inline struct der der_begin(uint8_t *buf, size_t size)
{
	return (struct der){ buf, buf + size, false };
}

void der_bytes(struct der *d, const void *data, size_t len);
/* Puts a tag and this length. */
void der_frame(struct der *d, uint8_t tag, size_t len);
/* Puts tag and length before all that was written since pos was `end`. */
void der_wrap(struct der *d, uint8_t tag, const uint8_t *end);
void der_value(struct der *d, uint8_t tag, const void *data, size_t len);
/* A number that is not negative, from big-endian bytes. */
void der_integer(struct der *d, struct span number);
void der_small_integer(struct der *d, uint32_t value);
/* Bytes as a bit string. */
void der_bit_string(struct der *d, struct span bytes);
/* An object identifier given as a string literal of its encoded content. */
#define der_oid(d, literal) der_value(d, DER_OID, literal, sizeof(literal) - 1)

/* SubjectPublicKeyInfo (RFC 3279, 2.3.1; RFC 5480, 2). The second: false when the curve has no identifier. */
void der_rsa_public(struct der *d, struct span n, uint32_t e);
bool der_ecc_public(struct der *d, uint16_t curve, const struct ecc_point *q);
/*
 * AlgorithmIdentifier of a signature by TPM_ALG_RSASSA, _RSAPSS (with salt_len bytes; RFC 4055, 3.1) or _ECDSA.
 * False when there is none.
 */
bool der_signature_algorithm(struct der *d, uint16_t scheme, uint16_t hash, uint32_t salt_len);

#endif
