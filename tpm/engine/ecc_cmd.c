// SPDX-License-Identifier: MIT
/* Elliptic curves: agreement, encryption, ephemeral keys (Part 3, clauses 14 and 19). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

/* 14.4 */
HANDLER(ecdh_keygen)
{
	struct object *key = object_get(t, c->handles[0]);
	uint32_t rc = args_end(c);
	struct ecc_point pub, z;
	struct ecc_num d;

	if (rc)
		return rc;
	rc = key_check_type(key, TPM_ALG_ECC);
	if (rc)
		return rc;
	if (ecc_generate(&t->rng, &t->rng, key->pub.curve, &d, &pub))
		return TPM_RC_FAILURE;
	if (ecc_multiply(key->pub.curve, &d, &key->pub.point, &z, &t->rng))
		return rc_handle(TPM_RC_KEY, 1);
	write_point_2b(&c->out, &z);
	write_point_2b(&c->out, &pub);
	mbedtls_platform_zeroize(&d, sizeof(d));
	return 0;
}

static void private_scalar(const struct object *key, struct ecc_num *d)
{
	d->len = key->sens.len;
	memcpy(d->bytes, key->sens.data, d->len);
}

static bool scheme_allows(const struct object *key, uint16_t scheme)
{
	return key->pub.scheme.scheme == TPM_ALG_NULL || key->pub.scheme.scheme == scheme;
}

static uint32_t check_ecdh_key(const struct object *key)
{
	uint32_t rc = key_check_decrypt(key, TPM_ALG_ECC, TPMA_OBJECT_restricted);

	if (rc)
		return rc;
	return scheme_allows(key, TPM_ALG_ECDH) ? 0 : rc_handle(TPM_RC_SCHEME, 1);
}

/* 14.5 */
HANDLER(ecdh_zgen)
{
	struct object *key = object_get(t, c->handles[0]);
	struct ecc_point in, z;
	struct ecc_num d;
	uint32_t rc;
	int err;

	arg_with(c, read_point_2b(&c->in, &in));
	rc = args_end(c);
	if (!rc)
		rc = check_ecdh_key(key);
	if (rc)
		return rc;
	private_scalar(key, &d);
	err = ecc_multiply(key->pub.curve, &d, &in, &z, &t->rng);
	mbedtls_platform_zeroize(&d, sizeof(d));
	if (err)
		return rc_param(TPM_RC_ECC_POINT, 1);
	write_point_2b(&c->out, &z);
	mbedtls_platform_zeroize(&z, sizeof(z));
	return 0;
}

/* 14.6: TPMS_ALGORITHM_DETAIL_ECC */
HANDLER(ecc_parameters)
{
	struct scheme kdf = { .scheme = TPM_ALG_KDF1_SP800_56A, .hash = TPM_ALG_SHA256 };
	struct ecc_num params[7];
	uint16_t curve = 0;
	uint32_t rc;

	arg_with(c, read_curve(&c->in, &curve));
	rc = args_end(c);
	if (rc)
		return rc;
	if (ecc_parameters(curve, params))
		return TPM_RC_FAILURE;
	(void)t;
	/* The curve's own KDF, with a hash of its strength */
	if (curve == TPM_ECC_BN_P256)
		kdf.scheme = TPM_ALG_NULL;
	else if (curve == TPM_ECC_NIST_P384 || curve == TPM_ECC_NIST_P521)
		kdf.hash = curve == TPM_ECC_NIST_P384 ? TPM_ALG_SHA384 : TPM_ALG_SHA512;
	write_u16(&c->out, curve);
	write_u16(&c->out, (uint16_t)ecc_bits(curve));
	write_scheme(&c->out, &kdf);
	write_u16(&c->out, TPM_ALG_NULL);
	for (int i = 0; i < 7; i++)
		write_ecc_num(&c->out, &params[i]);
	return 0;
}

/* 14.7; of the two-phase schemes we have ECDH (Part 1, C.6.3) */
HANDLER(zgen_2phase)
{
	struct object *key = object_get(t, c->handles[0]);
	struct ecc_point static_b, ephemeral_b, z1, z2;
	struct ecc_num d, r;
	uint16_t scheme = 0, counter;
	uint32_t rc;

	arg_with(c, read_point_2b(&c->in, &static_b));
	arg_with(c, read_point_2b(&c->in, &ephemeral_b));
	arg_with(c, !read_u16(&c->in, &scheme) ? TPM_RC_INSUFFICIENT
		    : scheme == TPM_ALG_ECDH   ? 0
					       : TPM_RC_SCHEME);
	arg_u16(c, &counter);
	rc = args_end(c);
	if (!rc)
		rc = key_check_decrypt(key, TPM_ALG_ECC, TPMA_OBJECT_restricted);
	if (rc)
		return rc;
	if (!scheme_allows(key, scheme))
		return rc_param(TPM_RC_SCHEME, 3);
	if (!ecc_on_curve(key->pub.curve, &static_b))
		return rc_param(TPM_RC_ECC_POINT, 1);
	if (!ecc_on_curve(key->pub.curve, &ephemeral_b))
		return rc_param(TPM_RC_ECC_POINT, 2);
	if (!commit_key(t, counter, key->pub.curve, &(struct name){ 0 }, &r))
		return rc_param(TPM_RC_VALUE, 4);
	private_scalar(key, &d);
	if (ecc_multiply(key->pub.curve, &d, &static_b, &z1, &t->rng) ||
	    ecc_multiply(key->pub.curve, &r, &ephemeral_b, &z2, &t->rng))
		rc = TPM_RC_NO_RESULT;
	mbedtls_platform_zeroize(&d, sizeof(d));
	mbedtls_platform_zeroize(&r, sizeof(r));
	if (rc)
		return rc;
	commit_end(t, counter);
	write_point_2b(&c->out, &z1);
	write_point_2b(&c->out, &z2);
	return 0;
}

/* 19.3 */
HANDLER(ec_ephemeral)
{
	struct ecc_num r;
	struct ecc_point q;
	uint16_t curve = 0, counter;
	uint32_t rc;

	arg_with(c, read_curve(&c->in, &curve));
	rc = args_end(c);
	if (rc)
		return rc;
	counter = commit_next(t, curve, &(struct name){ 0 }, &r);
	if (ecc_public(curve, &r, &q, &t->rng))
		return TPM_RC_NO_RESULT;
	mbedtls_platform_zeroize(&r, sizeof(r));
	write_point_2b(&c->out, &q);
	write_u16(&c->out, counter);
	return 0;
}

static bool empty_point(const struct ecc_point *p)
{
	return !p->x.len && !p->y.len;
}

/* 19.2 */
HANDLER(commit)
{
	struct object *key = object_get(t, c->handles[0]);
	struct ecc_point p1 = { 0 }, p2 = { 0 }, k = { 0 }, l = { 0 }, e = { 0 };
	uint8_t hash[HASH_MAX_SIZE];
	struct ecc_num d, r;
	struct span s2;
	uint16_t counter;
	uint32_t rc;
	int err = 0;

	arg_with(c, read_point_2b(&c->in, &p1));
	arg_2b(c, MAX_SYM_DATA, &s2);
	arg_with(c, read_ecc_num(&c->in, &p2.y));
	rc = args_end(c);
	if (!rc)
		rc = key_check_type(key, TPM_ALG_ECC);
	if (rc)
		return rc;
	if (!scheme_is_anonymous(key->pub.scheme.scheme))
		return rc_handle(TPM_RC_SCHEME, 1);
	if (!s2.len != !p2.y.len)
		return rc_param(TPM_RC_SIZE, 3);
	if (s2.len) {
		unsigned int size = hash_buf(key->pub.scheme.hash, s2.data, s2.len, hash);

		if (ecc_reduce_field(key->pub.curve, (struct span){ hash, size }, &p2.x) ||
		    !ecc_on_curve(key->pub.curve, &p2))
			return rc_param(TPM_RC_ECC_POINT, 2);
	}
	if (!empty_point(&p1) && !ecc_on_curve(key->pub.curve, &p1))
		return rc_param(TPM_RC_ECC_POINT, 1);
	counter = commit_next(t, key->pub.curve, &key->name, &r);
	private_scalar(key, &d);
	if (s2.len)
		err = ecc_multiply(key->pub.curve, &d, &p2, &k, &t->rng) ||
		      ecc_multiply(key->pub.curve, &r, &p2, &l, &t->rng);
	if (!err && !empty_point(&p1))
		err = ecc_multiply(key->pub.curve, &r, &p1, &e, &t->rng);
	else if (!err && !s2.len)
		err = ecc_public(key->pub.curve, &r, &e, &t->rng);
	mbedtls_platform_zeroize(&d, sizeof(d));
	mbedtls_platform_zeroize(&r, sizeof(r));
	if (err)
		return TPM_RC_NO_RESULT;
	write_point_2b(&c->out, &k);
	write_point_2b(&c->out, &l);
	write_point_2b(&c->out, &e);
	write_u16(&c->out, counter);
	return 0;
}

/* --- encryption: Part 1, annex D */

/* The key's own scheme, or the caller's for a key without one; KDF2 is the one there is. */
static uint32_t select_kdf(const struct object *key, struct scheme *scheme)
{
	const struct scheme *own = &key->pub.kdf;

	if (scheme->scheme == TPM_ALG_NULL)
		*scheme = *own;
	if (scheme->scheme == TPM_ALG_NULL ||
	    (own->scheme != TPM_ALG_NULL &&
	     (own->scheme != scheme->scheme || own->hash != scheme->hash)))
		return TPM_RC_SCHEME;
	return 0;
}

/* C3 = H(x || message || y) of the shared point. */
static void integrity(uint16_t hash, const struct ecc_point *z, struct span message,
		      struct digest *out)
{
	struct hash_ctx ctx;

	hash_start(&ctx, hash);
	hash_update(&ctx, z->x.bytes, z->x.len);
	hash_update(&ctx, message.data, message.len);
	hash_update(&ctx, z->y.bytes, z->y.len);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

/* C2 = message XOR KDF2(x || y), in place. */
static void mask(uint16_t hash, const struct ecc_point *z, uint8_t *data, size_t len)
{
	uint8_t seed[2 * ECC_MAX_BYTES];

	memcpy(seed, z->x.bytes, z->x.len);
	memcpy(seed + z->x.len, z->y.bytes, z->y.len);
	kdf_2_xor(hash, (struct span){ seed, (size_t)z->x.len + z->y.len }, data, len);
	mbedtls_platform_zeroize(seed, sizeof(seed));
}

/* 14.8 */
HANDLER(ecc_encrypt)
{
	struct object *key = object_get(t, c->handles[0]);
	uint8_t data[MAX_DIGEST_BUFFER];
	struct scheme scheme;
	struct ecc_point pub, z;
	struct digest check;
	struct span message;
	struct ecc_num d;
	uint32_t rc;

	arg_2b(c, MAX_DIGEST_BUFFER, &message);
	arg_with(c, read_kdf_scheme(&c->in, NULL_OK, &scheme));
	rc = args_end(c);
	if (!rc)
		rc = key_check_decrypt(key, TPM_ALG_ECC, 0);
	if (rc)
		return rc;
	if (select_kdf(key, &scheme))
		return rc_param(TPM_RC_SCHEME, 2);
	if (scheme.scheme != TPM_ALG_KDF2)
		return TPM_RC_SCHEME;
	if (ecc_generate(&t->rng, &t->rng, key->pub.curve, &d, &pub))
		return TPM_RC_NO_RESULT;
	rc = ecc_multiply(key->pub.curve, &d, &key->pub.point, &z, &t->rng)
		     ? rc_handle(TPM_RC_KEY, 1)
		     : 0;
	mbedtls_platform_zeroize(&d, sizeof(d));
	if (rc)
		return rc;
	integrity(scheme.hash, &z, message, &check);
	if (message.len)
		memcpy(data, message.data, message.len);
	mask(scheme.hash, &z, data, message.len);
	mbedtls_platform_zeroize(&z, sizeof(z));
	write_point_2b(&c->out, &pub);
	write_2b(&c->out, data, message.len);
	write_digest(&c->out, &check);
	return 0;
}

/* 14.9 */
HANDLER(ecc_decrypt)
{
	struct object *key = object_get(t, c->handles[0]);
	uint8_t data[MAX_DIGEST_BUFFER];
	struct digest given, check;
	struct ecc_point pub, z;
	struct scheme scheme;
	struct span cipher;
	struct ecc_num d;
	uint32_t rc;
	int err;

	arg_with(c, read_point_2b(&c->in, &pub));
	arg_2b(c, MAX_DIGEST_BUFFER, &cipher);
	arg_digest(c, &given);
	arg_with(c, read_kdf_scheme(&c->in, NULL_OK, &scheme));
	rc = args_end(c);
	if (!rc)
		rc = key_check_decrypt(key, TPM_ALG_ECC, TPMA_OBJECT_restricted);
	if (rc)
		return rc;
	if (select_kdf(key, &scheme))
		return rc_param(TPM_RC_SCHEME, 4);
	if (scheme.scheme != TPM_ALG_KDF2)
		return TPM_RC_SCHEME;
	private_scalar(key, &d);
	err = ecc_multiply(key->pub.curve, &d, &pub, &z, &t->rng);
	mbedtls_platform_zeroize(&d, sizeof(d));
	if (err)
		return rc_param(TPM_RC_ECC_POINT, 1);
	if (cipher.len)
		memcpy(data, cipher.data, cipher.len);
	mask(scheme.hash, &z, data, cipher.len);
	integrity(scheme.hash, &z, (struct span){ data, cipher.len }, &check);
	mbedtls_platform_zeroize(&z, sizeof(z));
	/* From here on Part 4 names no parameter. */
	rc = digest_equal(&check, &given) ? 0 : TPM_RC_VALUE;
	if (!rc)
		write_2b(&c->out, data, cipher.len);
	mbedtls_platform_zeroize(data, cipher.len);
	return rc;
}
