// SPDX-License-Identifier: MIT
/* Signatures, tickets and ECDAA commitments (Part 1, annexes B and C; Part 2, 10.7). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

#define TICKET_HASH TPM_ALG_SHA512

void ticket_make(struct tpm *t, uint16_t tag, uint32_t hierarchy, struct span a, struct span b,
		 struct ticket *ticket)
{
	uint8_t tag_bytes[2] = { tag >> 8, (uint8_t)tag };
	struct hmac_ctx ctx;

	ticket->tag = tag;
	ticket->hierarchy = hierarchy;
	hmac_start(&ctx, TICKET_HASH, hierarchy_proof(t, hierarchy), PROOF_SIZE);
	hmac_update(&ctx, tag_bytes, 2);
	hmac_update(&ctx, a.data, a.len);
	hmac_update(&ctx, b.data, b.len);
	ticket->digest.len = (uint16_t)hmac_finish(&ctx, ticket->digest.bytes);
}

static bool type_signs_with(const struct object *key, uint16_t scheme)
{
	switch (key->pub.type) {
	case TPM_ALG_RSA:
		return scheme == TPM_ALG_RSASSA || scheme == TPM_ALG_RSAPSS;
	case TPM_ALG_ECC:
		return scheme == TPM_ALG_ECDSA || scheme == TPM_ALG_ECDAA ||
		       scheme == TPM_ALG_ECSCHNORR;
	case TPM_ALG_KEYEDHASH:
		return scheme == TPM_ALG_HMAC;
	default:
		return false;
	}
}

bool sign_capable(const struct object *key)
{
	return key->kind == OBJECT_KEY && key->pub.attributes & TPMA_OBJECT_sign &&
	       key->pub.type != TPM_ALG_SYMCIPHER;
}

uint32_t sign_select_scheme(const struct object *key, struct scheme *scheme)
{
	const struct scheme *own = &key->pub.scheme;

	if (own->scheme == TPM_ALG_NULL)
		return type_signs_with(key, scheme->scheme) ? 0 : TPM_RC_SCHEME;
	if (scheme->scheme == TPM_ALG_NULL) {
		/* The count of a commitment can come only from the caller. */
		if (scheme_is_anonymous(own->scheme))
			return TPM_RC_SCHEME;
		*scheme = *own;
		return 0;
	}
	return scheme->scheme == own->scheme && scheme->hash == own->hash ? 0 : TPM_RC_SCHEME;
}

static void private_scalar(const struct object *key, struct ecc_num *d)
{
	d->len = key->sens.len;
	memcpy(d->bytes, key->sens.data, d->len);
}

static uint32_t sign_rsa(struct tpm *t, struct object *key, const struct scheme *scheme,
			 const struct digest *digest, struct signature *sig)
{
	struct rsa_key *rsa = object_rsa(key);

	sig->len = key->pub.unique_len;
	if (!rsa)
		return TPM_RC_KEY;
	return rsa_sign(rsa, &t->rng, scheme->scheme, scheme->hash, digest->bytes, sig->bytes)
		       ? TPM_RC_SIZE
		       : 0;
}

/* e = H(x of R || digest) as a number below n. */
static int schnorr_challenge(uint16_t curve, uint16_t hash, const struct ecc_num *x,
			     const struct digest *digest, struct ecc_num *e)
{
	uint8_t value[HASH_MAX_SIZE];
	struct hash_ctx ctx;
	unsigned int size;

	hash_start(&ctx, hash);
	hash_update(&ctx, x->bytes, x->len);
	hash_update(&ctx, digest->bytes, digest->len);
	size = hash_finish(&ctx, value);
	return ecc_reduce(curve, (struct span){ value, size }, e);
}

static int sign_schnorr(struct tpm *t, const struct object *key, const struct scheme *scheme,
			const struct digest *digest, struct ecc_signature *sig)
{
	uint16_t curve = key->pub.curve;
	struct ecc_num d, k;
	struct ecc_point r;
	int err;

	private_scalar(key, &d);
	err = ecc_generate(&t->rng, &t->rng, curve, &k, &r);
	if (!err)
		err = schnorr_challenge(curve, scheme->hash, &r.x, digest, &sig->r);
	if (!err)
		err = ecc_mul_add(&t->rng, curve, &k, &sig->r, &d, &sig->s);
	mbedtls_platform_zeroize(&d, sizeof(d));
	mbedtls_platform_zeroize(&k, sizeof(k));
	return err;
}

/* Part 1, C.4.2: the nonce of the commitment takes the place of r; s = r + T * d with T = H(nonceK || digest). */
static int sign_ecdaa(struct tpm *t, const struct object *key, const struct scheme *scheme,
		      const struct digest *digest, struct ecc_signature *sig)
{
	uint16_t curve = key->pub.curve;
	struct ecc_num d, r, challenge;
	struct ecc_point unused;
	int err;

	if (!commit_key(t, scheme->extra, curve, &key->name, &r))
		return -1;
	private_scalar(key, &d);
	err = ecc_generate(&t->rng, &t->rng, curve, &sig->r, &unused);
	if (!err)
		err = schnorr_challenge(curve, scheme->hash, &sig->r, digest, &challenge);
	if (!err)
		err = ecc_mul_add(&t->rng, curve, &r, &challenge, &d, &sig->s);
	commit_end(t, scheme->extra);
	mbedtls_platform_zeroize(&d, sizeof(d));
	mbedtls_platform_zeroize(&r, sizeof(r));
	return err;
}

static uint32_t sign_ecc(struct tpm *t, const struct object *key, const struct scheme *scheme,
			 const struct digest *digest, struct signature *sig)
{
	struct ecc_num d;
	int err;

	switch (scheme->scheme) {
	case TPM_ALG_ECDSA:
		private_scalar(key, &d);
		err = ecc_ecdsa_sign(&t->rng, key->pub.curve, &d, digest_span(digest), &sig->ecc);
		mbedtls_platform_zeroize(&d, sizeof(d));
		return err ? TPM_RC_FAILURE : 0;
	case TPM_ALG_ECSCHNORR:
		return sign_schnorr(t, key, scheme, digest, &sig->ecc) ? TPM_RC_FAILURE : 0;
	default:
		return sign_ecdaa(t, key, scheme, digest, &sig->ecc) ? TPM_RC_VALUE : 0;
	}
}

static void hmac_of(const struct object *key, uint16_t hash, const struct digest *digest,
		    struct signature *sig)
{
	struct hmac_ctx ctx;

	hmac_start(&ctx, hash, key->sens.data, key->sens.len);
	hmac_update(&ctx, digest->bytes, digest->len);
	sig->len = (uint16_t)hmac_finish(&ctx, sig->bytes);
}

uint32_t sign_digest(struct tpm *t, struct object *key, const struct scheme *scheme,
		     const struct digest *digest, struct signature *sig)
{
	memset(sig, 0, sizeof(*sig));
	sig->alg = scheme->scheme;
	sig->hash = scheme->hash;
	switch (key->pub.type) {
	case TPM_ALG_RSA:
		return sign_rsa(t, key, scheme, digest, sig);
	case TPM_ALG_ECC:
		return sign_ecc(t, key, scheme, digest, sig);
	case TPM_ALG_KEYEDHASH:
		hmac_of(key, scheme->hash, digest, sig);
		return 0;
	default:
		return TPM_RC_SCHEME;
	}
}

/* R = s * G - e * Q; good when H(x of R || digest) is e again. */
static bool verify_schnorr(struct tpm *t, struct object *key, const struct digest *digest,
			   const struct signature *sig)
{
	uint16_t curve = key->pub.curve;
	struct ecc_num zero = { .len = 1 }, params[7], negative, e;
	struct ecc_point r;

	if (ecc_reduce(curve, (struct span){ sig->ecc.r.bytes, sig->ecc.r.len }, &e) ||
	    ecc_parameters(curve, params))
		return false;
	/* -e = e * (n - 1) mod n */
	params[5].bytes[params[5].len - 1] -= 1;
	if (ecc_mul_add(&t->rng, curve, &zero, &e, &params[5], &negative) ||
	    ecc_mul_add_point(curve, &sig->ecc.s, &negative, &key->pub.point, &r) ||
	    schnorr_challenge(curve, sig->hash, &r.x, digest, &negative))
		return false;
	return negative.len == e.len && bytes_equal(negative.bytes, e.bytes, e.len);
}

static bool verify_ecc(struct tpm *t, struct object *key, const struct digest *digest,
		       const struct signature *sig)
{
	switch (sig->alg) {
	case TPM_ALG_ECDSA:
		return !ecc_ecdsa_verify(key->pub.curve, &key->pub.point, digest_span(digest),
					 &sig->ecc);
	case TPM_ALG_ECSCHNORR:
		return verify_schnorr(t, key, digest, sig);
	default:
		return false;
	}
}

uint32_t sign_verify(struct tpm *t, struct object *key, const struct digest *digest,
		     const struct signature *sig)
{
	struct signature own;
	struct rsa_key *rsa;

	if (key->pub.type == TPM_ALG_KEYEDHASH && key->public_only)
		return TPM_RC_HANDLE;
	if (!type_signs_with(key, sig->alg) || scheme_is_anonymous(sig->alg))
		return TPM_RC_SCHEME;
	/* An HMAC may be over anything that fits a TPM2B_DIGEST. */
	if (key->pub.type != TPM_ALG_KEYEDHASH && digest->len != hash_size(sig->hash))
		return TPM_RC_SIGNATURE;
	switch (key->pub.type) {
	case TPM_ALG_RSA:
		rsa = object_rsa(key);
		return rsa && !rsa_verify(rsa, sig->alg, sig->hash, digest->bytes,
					  (struct span){ sig->bytes, sig->len })
			       ? 0
			       : TPM_RC_SIGNATURE;
	case TPM_ALG_ECC:
		return verify_ecc(t, key, digest, sig) ? 0 : TPM_RC_SIGNATURE;
	default:
		if (sig->hash != key->pub.scheme.hash && key->pub.scheme.scheme != TPM_ALG_NULL)
			return TPM_RC_SIGNATURE;
		hmac_of(key, sig->hash, digest, &own);
		return own.len == sig->len && bytes_equal(own.bytes, sig->bytes, own.len)
			       ? 0
			       : TPM_RC_SIGNATURE;
	}
}

/* r is never stored: it is derived from the count, and a bit says whether that count is still good (Part 1, C.2.2). */
static void derive_r(struct tpm *t, uint64_t counter, uint16_t curve, const struct name *name,
		     struct ecc_num *r)
{
	uint8_t seed[ECC_MAX_BYTES + 8], count[8];
	size_t len = ecc_size(curve) + 8;

	for (int i = 0; i < 8; i++)
		count[i] = (uint8_t)(counter >> (56 - 8 * i));
	kdf_a(TPM_ALG_SHA256, (struct span){ t->r.commit_nonce, sizeof(t->r.commit_nonce) },
	      "ECDAA Commit", name_span(name), (struct span){ count, 8 }, (unsigned int)len * 8,
	      seed);
	ecc_scalar_from(curve, (struct span){ seed, len }, r);
	mbedtls_platform_zeroize(seed, sizeof(seed));
}

/* The full value of a counter of which the low bits are known: the last one given out that has them. */
static uint64_t whole_counter(const struct tpm *t, uint16_t counter)
{
	uint64_t c = (t->r.commit_counter & ~0xFFFFull) | counter;

	return c >= t->r.commit_counter ? c - 0x10000 : c;
}

bool commit_key(struct tpm *t, uint16_t counter, uint16_t curve, const struct name *name,
		struct ecc_num *r)
{
	uint64_t whole = whole_counter(t, counter);
	unsigned int slot = counter % COMMIT_SLOTS;

	if (!(t->r.commit_used[slot / 8] >> (slot % 8) & 1) ||
	    t->r.commit_counter - whole > COMMIT_SLOTS)
		return false;
	derive_r(t, whole, curve, name, r);
	return true;
}

uint16_t commit_next(struct tpm *t, uint16_t curve, const struct name *name, struct ecc_num *r)
{
	unsigned int slot = t->r.commit_counter % COMMIT_SLOTS;

	t->r.commit_used[slot / 8] |= (uint8_t)(1u << (slot % 8));
	derive_r(t, t->r.commit_counter, curve, name, r);
	return (uint16_t)t->r.commit_counter++;
}

void commit_end(struct tpm *t, uint16_t counter)
{
	unsigned int slot = counter % COMMIT_SLOTS;

	t->r.commit_used[slot / 8] &= (uint8_t) ~(1u << (slot % 8));
}
