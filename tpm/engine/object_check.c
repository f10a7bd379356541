// SPDX-License-Identifier: MIT
/* Is a public area consistent, and does a sensitive area belong to it (Part 1, clause 27; Part 2, 8.3 and 12.2)? */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

#define SET(a, bit) (((a)&TPMA_OBJECT_##bit) != 0)

static bool asym_sign_scheme(uint16_t type, uint16_t scheme)
{
	if (type == TPM_ALG_RSA)
		return scheme == TPM_ALG_RSASSA || scheme == TPM_ALG_RSAPSS;
	return scheme == TPM_ALG_ECDSA || scheme == TPM_ALG_ECDAA || scheme == TPM_ALG_ECSCHNORR;
}

static bool asym_decrypt_scheme(uint16_t type, uint16_t scheme)
{
	if (type == TPM_ALG_RSA)
		return scheme == TPM_ALG_RSAES || scheme == TPM_ALG_OAEP;
	return scheme == TPM_ALG_ECDH;
}

static uint32_t keyedhash_scheme(const struct public_area *pub)
{
	uint32_t a = pub->attributes;

	if (SET(a, sign) == SET(a, decrypt))
		return pub->scheme.scheme == TPM_ALG_NULL ? 0 : TPM_RC_SCHEME;
	if (SET(a, sign))
		return pub->scheme.scheme == TPM_ALG_HMAC ? 0 : TPM_RC_SCHEME;
	if (pub->scheme.scheme != TPM_ALG_XOR)
		return TPM_RC_SCHEME;
	if (SET(a, restricted) && pub->scheme.extra != TPM_ALG_KDF1_SP800_108)
		return TPM_RC_SCHEME;
	return 0;
}

static uint32_t asym_scheme(const struct public_area *pub)
{
	uint32_t a = pub->attributes;
	uint16_t scheme = pub->scheme.scheme;

	if (SET(a, sign) == SET(a, decrypt)) {
		if (scheme != TPM_ALG_NULL)
			return TPM_RC_SCHEME;
	} else if (SET(a, sign)) {
		if (!asym_sign_scheme(pub->type, scheme) &&
		    (SET(a, restricted) || scheme != TPM_ALG_NULL))
			return TPM_RC_SCHEME;
	} else if (SET(a, restricted)) {
		if (scheme != TPM_ALG_NULL)
			return TPM_RC_SCHEME;
	} else if (scheme != TPM_ALG_NULL && !asym_decrypt_scheme(pub->type, scheme)) {
		return TPM_RC_SCHEME;
	}
	if (!(SET(a, restricted) && SET(a, decrypt)) && pub->sym.alg != TPM_ALG_NULL)
		return TPM_RC_SYMMETRIC;
	if (pub->type == TPM_ALG_ECC && pub->kdf.scheme != TPM_ALG_NULL)
		return TPM_RC_KDF;
	return 0;
}

static bool same_sym(const struct sym_def *a, const struct sym_def *b)
{
	return a->alg == b->alg && a->bits == b->bits && a->mode == b->mode;
}

uint32_t scheme_check(const struct object *parent, const struct public_area *pub)
{
	uint32_t a = pub->attributes, rc = 0;

	if (pub->type == TPM_ALG_SYMCIPHER) {
		/* A block cipher that decrypts has a mode of encryption or none. */
		if (SET(a, decrypt) && pub->sym.mode == TPM_ALG_CMAC)
			return TPM_RC_SCHEME;
	} else if (pub->type == TPM_ALG_KEYEDHASH) {
		return keyedhash_scheme(pub);
	} else {
		rc = asym_scheme(pub);
	}
	if (rc || !SET(a, restricted) || !SET(a, decrypt))
		return rc;
	if (pub->sym.alg == TPM_ALG_NULL)
		return TPM_RC_SYMMETRIC;
	if (!SET(a, fixedParent) || !parent)
		return 0;
	/* A storage key that stays with its parent protects in the same way. */
	if (pub->name_alg != parent->pub.name_alg)
		return TPM_RC_HASH;
	return same_sym(&pub->sym, &parent->pub.sym) ? 0 : TPM_RC_SYMMETRIC;
}

static uint32_t attributes_check(const struct object *parent, const struct public_area *pub)
{
	uint32_t a = pub->attributes, up = parent ? parent->pub.attributes : 0;

	if (pub->name_alg == TPM_ALG_NULL)
		return TPM_RC_HASH;
	if (pub->policy.len && pub->policy.len != hash_size(pub->name_alg))
		return TPM_RC_SIZE;
	if (!parent || SET(up, fixedTPM)) {
		if (SET(a, fixedParent) != SET(a, fixedTPM))
			return TPM_RC_ATTRIBUTES;
	} else if (SET(a, fixedTPM)) {
		return TPM_RC_ATTRIBUTES;
	}
	if (SET(a, sign) == SET(a, decrypt)) {
		if (SET(a, restricted) || (pub->type != TPM_ALG_KEYEDHASH && !SET(a, sign)))
			return TPM_RC_ATTRIBUTES;
	}
	if (SET(a, fixedTPM) && SET(a, encryptedDuplication))
		return TPM_RC_ATTRIBUTES;
	if (parent && !SET(up, fixedTPM) &&
	    SET(a, encryptedDuplication) != SET(up, encryptedDuplication))
		return TPM_RC_ATTRIBUTES;
	if (parent && object_is_derivation_parent(&parent->pub) &&
	    (SET(a, fixedTPM) != SET(up, fixedTPM) || !SET(a, fixedParent)))
		return TPM_RC_ATTRIBUTES;
	return scheme_check(parent, pub);
}

static uint32_t create_check(const struct object *parent, const struct public_area *pub,
			     bool has_data)
{
	uint32_t a = pub->attributes;

	if (SET(a, sensitiveDataOrigin) ? parent && has_data : !has_data)
		return TPM_RC_ATTRIBUTES;
	if (pub->type == TPM_ALG_RSA || pub->type == TPM_ALG_ECC)
		return SET(a, sensitiveDataOrigin) ? 0 : TPM_RC_ATTRIBUTES;
	if (pub->type == TPM_ALG_KEYEDHASH && !SET(a, sign) && !SET(a, decrypt) &&
	    SET(a, sensitiveDataOrigin))
		return TPM_RC_ATTRIBUTES;
	if (SET(a, restricted) && !SET(a, sensitiveDataOrigin) &&
	    (SET(a, fixedParent) || SET(a, fixedTPM)))
		return TPM_RC_ATTRIBUTES;
	return 0;
}

uint32_t public_check(struct tpm *t, const struct object *parent, bool creating,
		      const struct public_area *pub, bool has_data)
{
	uint32_t rc = creating ? create_check(parent, pub, has_data) : 0;

	(void)t;
	return rc ? rc : attributes_check(parent, pub);
}

/* unique = H(nameAlg; seedValue || sensitive): Part 1, 27.5.3.3 */
void symmetric_unique(struct public_area *pub, const struct sensitive *s, struct digest *out)
{
	struct hash_ctx ctx;

	hash_start(&ctx, pub->name_alg);
	hash_update(&ctx, s->seed.bytes, s->seed.len);
	hash_update(&ctx, s->data, s->len);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

static uint32_t check_rsa(struct object *o, uint32_t blame_public, uint32_t blame_sensitive)
{
	const struct public_area *pub = &o->pub;

	if (pub->unique_len != pub->bits / 8 || pub->unique[0] < 0x80)
		return TPM_RC_KEY + blame_public;
	if (pub->exponent && (pub->exponent < 7 || !(pub->exponent & 1)))
		return TPM_RC_VALUE + blame_public;
	if (!(pub->unique[pub->unique_len - 1] & 1))
		return TPM_RC_KEY + blame_public;
	if (o->public_only)
		return 0;
	if (o->sens.len * 2 != pub->unique_len || o->sens.data[0] < 0x80)
		return TPM_RC_KEY_SIZE + blame_sensitive;
	return 0;
}

/*
 * Nothing outside made it: fixedTPM is refused in what is imported or loaded from outside, and the
 * integrity of what Create gave out, name included, has been checked. So the two halves belong
 * together, and a scalar multiplication or the derivation of an RSA key would only repeat it.
 */
static bool made_here(const struct object *o)
{
	return !o->external && SET(o->pub.attributes, fixedTPM);
}

static uint32_t check_ecc(struct tpm *t, struct object *o, uint32_t blame_public)
{
	unsigned int size = ecc_size(o->pub.curve);
	struct ecc_point q;
	struct ecc_num d;

	if (o->pub.point.x.len != size || o->pub.point.y.len != size)
		return o->public_only ? TPM_RC_KEY + blame_public : TPM_RC_BINDING;
	if (o->public_only) {
		if (o->pub.name_alg != TPM_ALG_NULL && !ecc_on_curve(o->pub.curve, &o->pub.point))
			return TPM_RC_ECC_POINT + blame_public;
		return 0;
	}
	if (made_here(o))
		return 0;
	d.len = o->sens.len;
	memcpy(d.bytes, o->sens.data, d.len);
	if (ecc_public(o->pub.curve, &d, &q, &t->rng))
		return TPM_RC_KEY_SIZE;
	mbedtls_platform_zeroize(&d, sizeof(d));
	if (o->pub.name_alg == TPM_ALG_NULL)
		return 0;
	if (!bytes_equal(q.x.bytes, o->pub.point.x.bytes, size) ||
	    !bytes_equal(q.y.bytes, o->pub.point.y.bytes, size))
		return TPM_RC_BINDING;
	return 0;
}

static uint32_t check_symmetric(struct object *o, uint32_t blame_public, uint32_t blame_sensitive)
{
	unsigned int size = hash_size(o->pub.name_alg), max = 128;
	struct digest unique;

	if (o->public_only)
		return o->pub.unique_len == size ? 0 : TPM_RC_KEY + blame_public;
	if (o->pub.type == TPM_ALG_SYMCIPHER) {
		if (o->sens.len != o->pub.sym.bits / 8)
			return TPM_RC_KEY_SIZE + blame_sensitive;
	} else {
		if (o->pub.scheme.scheme != TPM_ALG_NULL)
			max = hash_block_size(o->pub.scheme.hash);
		if (o->sens.len > max)
			return TPM_RC_KEY_SIZE + blame_sensitive;
	}
	if (o->pub.name_alg == TPM_ALG_NULL)
		return 0;
	if (o->sens.seed.len != size)
		return TPM_RC_KEY_SIZE + blame_sensitive;
	symmetric_unique(&o->pub, &o->sens, &unique);
	if (o->pub.unique_len != unique.len ||
	    !bytes_equal(o->pub.unique, unique.bytes, unique.len))
		return TPM_RC_BINDING;
	return 0;
}

uint32_t sensitive_check(struct tpm *t, struct object *o, uint32_t blame_public,
			 uint32_t blame_sensitive)
{
	unsigned int size = hash_size(o->pub.name_alg);
	uint32_t rc;

	if (!o->public_only) {
		if (o->sens.type != o->pub.type)
			return TPM_RC_TYPE + blame_sensitive;
		if (size && o->sens.auth.len > size)
			return TPM_RC_SIZE + blame_sensitive;
	}
	if (o->pub.type == TPM_ALG_RSA)
		rc = check_rsa(o, blame_public, blame_sensitive);
	else if (o->pub.type == TPM_ALG_ECC)
		rc = check_ecc(t, o, blame_public);
	else
		rc = check_symmetric(o, blame_public, blame_sensitive);
	if (rc || o->public_only || o->pub.name_alg == TPM_ALG_NULL)
		return rc;
	if (SET(o->pub.attributes, restricted) && SET(o->pub.attributes, decrypt) &&
	    (o->sens.seed.len < size / 2 || o->sens.seed.len > size))
		return TPM_RC_SIZE + blame_sensitive;
	/* An RSA private key is checked by making it ready for use. */
	if (o->pub.type == TPM_ALG_RSA && !made_here(o) && !object_rsa(o))
		return TPM_RC_BINDING;
	return 0;
}
