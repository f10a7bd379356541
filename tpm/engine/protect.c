// SPDX-License-Identifier: MIT
/* Encryption and integrity of what leaves the TPM (Part 1, clauses 22 to 24), and secret sharing (annexes B.10, C.6). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

static void integrity(const struct protection *p, struct span iv, struct span data,
		      struct digest *out)
{
	uint8_t key[HASH_MAX_SIZE];
	unsigned int size = hash_size(p->hash);
	struct hmac_ctx ctx;

	kdf_a(p->hash, p->seed, "INTEGRITY", SPAN_NONE, SPAN_NONE, size * 8, key);
	hmac_start(&ctx, p->hash, key, size);
	hmac_update(&ctx, iv.data, iv.len);
	hmac_update(&ctx, data.data, data.len);
	hmac_update(&ctx, p->name->bytes, p->name->len);
	out->len = (uint16_t)hmac_finish(&ctx, out->bytes);
	mbedtls_platform_zeroize(key, sizeof(key));
}

static void crypt(const struct protection *p, bool encrypt, const uint8_t *iv, uint8_t *data,
		  size_t len)
{
	uint8_t key[SYM_MAX_KEY];

	kdf_a(p->hash, p->seed, "STORAGE", name_span(p->name), SPAN_NONE, p->sym.bits, key);
	sym_cfb(p->sym.alg, p->sym.bits, key, encrypt, iv, data, len);
	mbedtls_platform_zeroize(key, sizeof(key));
}

void protect_outer(struct tpm *t, const struct protection *p, uint8_t *data, size_t len,
		   struct writer *w)
{
	uint8_t iv[2 + SYM_BLOCK] = { 0, SYM_BLOCK };
	struct span iv_span = { iv, p->iv ? sizeof(iv) : 0 };
	struct digest mac;

	if (p->iv)
		drbg_read(&t->rng, iv + 2, SYM_BLOCK);
	crypt(p, true, p->iv ? iv + 2 : NULL, data, len);
	integrity(p, iv_span, (struct span){ data, len }, &mac);
	write_digest(w, &mac);
	write_bytes(w, iv, iv_span.len);
	write_bytes(w, data, len);
}

uint32_t unprotect_outer(const struct protection *p, struct span in, uint8_t *out, size_t max,
			 size_t *len)
{
	struct reader r = { in.data, in.len };
	struct span iv = SPAN_NONE, data;
	struct digest mac, given;
	uint32_t rc = read_digest(&r, &given);

	if (rc)
		return rc;
	integrity(p, SPAN_NONE, (struct span){ r.pos, r.left }, &mac);
	if (!digest_equal(&mac, &given))
		return TPM_RC_INTEGRITY;
	if (p->iv) {
		rc = read_2b(&r, SYM_BLOCK, &iv);
		if (rc || iv.len != SYM_BLOCK)
			return TPM_RC_SIZE;
	}
	read_span(&r, r.left, &data);
	if (data.len > max)
		return TPM_RC_SIZE;
	memcpy(out, data.data, data.len);
	*len = data.len;
	crypt(p, false, iv.data, out, data.len);
	return 0;
}

uint32_t sensitive_parse(const uint8_t *buf, size_t len, struct sensitive *sens)
{
	struct reader r = { buf, len };
	uint16_t size;
	uint32_t rc;

	if (!read_u16(&r, &size))
		return TPM_RC_INSUFFICIENT;
	if (size != r.left)
		return TPM_RC_SIZE;
	rc = read_sensitive(&r, sens);
	return !rc && r.left ? TPM_RC_SIZE : rc;
}

static struct protection for_parent(const struct object *parent, const struct name *name, bool iv)
{
	return (struct protection){
		.hash = parent->pub.name_alg,
		.sym = parent->pub.sym,
		.seed = digest_span(&parent->sens.seed),
		.name = name,
		.iv = iv,
	};
}

void write_padded_sensitive(struct writer *w, const struct object *o)
{
	struct sensitive s = o->sens;
	unsigned int size = hash_size(o->pub.name_alg);
	size_t mark = write_2b_begin(w);

	if (s.auth.len < size) {
		memset(s.auth.bytes + s.auth.len, 0, size - s.auth.len);
		s.auth.len = (uint16_t)size;
	}
	write_sensitive(w, &s);
	write_2b_end(w, mark);
	mbedtls_platform_zeroize(&s, sizeof(s));
}

void protect_private(struct tpm *t, const struct object *parent, const struct object *o,
		     struct writer *w)
{
	struct protection p = for_parent(parent, &o->name, true);
	uint8_t buf[PRIVATE_MAX];
	struct writer plain = { .buf = buf, .max = sizeof(buf) };
	size_t mark;

	write_padded_sensitive(&plain, o);
	mark = write_2b_begin(w);
	protect_outer(t, &p, buf, plain.len, w);
	write_2b_end(w, mark);
	mbedtls_platform_zeroize(buf, sizeof(buf));
}

uint32_t unprotect_private(const struct object *parent, struct span priv, const struct name *name,
			   struct sensitive *sens)
{
	struct protection p = for_parent(parent, name, true);
	uint8_t buf[PRIVATE_MAX];
	size_t len;
	uint32_t rc = unprotect_outer(&p, priv, buf, sizeof(buf), &len);

	if (!rc)
		rc = sensitive_parse(buf, len, sens);
	mbedtls_platform_zeroize(buf, sizeof(buf));
	return rc;
}

static struct span label_span(const char *label)
{
	return (struct span){ (const uint8_t *)label, strlen(label) + 1 };
}

static uint32_t secret_make_rsa(struct tpm *t, struct object *to, const char *label,
				struct digest *seed, struct writer *w)
{
	struct rsa_key *key = object_rsa(to);
	uint8_t out[RSA_MAX_BYTES];

	seed->len = (uint16_t)hash_size(to->pub.name_alg);
	if (drbg_read(&t->rng, seed->bytes, seed->len))
		return TPM_RC_FAILURE;
	if (!key)
		return TPM_RC_KEY;
	if (rsa_encrypt(key, &t->rng, TPM_ALG_OAEP, to->pub.name_alg, label_span(label),
			digest_span(seed), out))
		return TPM_RC_VALUE;
	write_2b(w, out, to->pub.unique_len);
	return 0;
}

static void seed_from_point(const struct object *key, const char *label, const struct ecc_point *z,
			    const struct ecc_point *ephemeral, struct digest *seed)
{
	seed->len = (uint16_t)hash_size(key->pub.name_alg);
	kdf_e(key->pub.name_alg, (struct span){ z->x.bytes, z->x.len }, label,
	      (struct span){ ephemeral->x.bytes, ephemeral->x.len },
	      (struct span){ key->pub.point.x.bytes, key->pub.point.x.len }, seed->len * 8u,
	      seed->bytes);
}

static uint32_t secret_make_ecc(struct tpm *t, struct object *to, const char *label,
				struct digest *seed, struct writer *w)
{
	struct ecc_point ephemeral, z;
	struct ecc_num d;
	uint32_t rc = 0;

	if (ecc_generate(&t->rng, &t->rng, to->pub.curve, &d, &ephemeral))
		return TPM_RC_FAILURE;
	if (ecc_multiply(to->pub.curve, &d, &to->pub.point, &z, &t->rng))
		rc = TPM_RC_KEY;
	if (!rc) {
		seed_from_point(to, label, &z, &ephemeral, seed);
		write_point_2b(w, &ephemeral);
	}
	mbedtls_platform_zeroize(&d, sizeof(d));
	mbedtls_platform_zeroize(&z, sizeof(z));
	return rc;
}

uint32_t secret_make(struct tpm *t, struct object *to, const char *label, struct digest *seed,
		     struct writer *w)
{
	return to->pub.type == TPM_ALG_RSA ? secret_make_rsa(t, to, label, seed, w)
					   : secret_make_ecc(t, to, label, seed, w);
}

static uint32_t secret_open_rsa(struct tpm *t, struct object *key, const char *label,
				struct span secret, struct digest *seed)
{
	struct rsa_key *rsa = object_rsa(key);
	uint8_t out[RSA_MAX_BYTES];
	size_t len = 0;
	uint32_t rc = 0;

	if (secret.len != key->pub.unique_len)
		return TPM_RC_SIZE;
	if (!rsa || rsa_decrypt(rsa, &t->rng, TPM_ALG_OAEP, key->pub.name_alg, label_span(label),
				secret.data, out, &len))
		return TPM_RC_VALUE;
	if (len > hash_size(key->pub.name_alg))
		rc = TPM_RC_VALUE;
	else
		digest_set(seed, out, len);
	mbedtls_platform_zeroize(out, sizeof(out));
	return rc;
}

static uint32_t secret_open_ecc(struct tpm *t, struct object *key, const char *label,
				struct span secret, struct digest *seed)
{
	struct reader r = { secret.data, secret.len };
	struct ecc_point ephemeral, z;
	struct ecc_num d;
	uint32_t rc = read_ecc_point(&r, &ephemeral);

	if (rc)
		return rc;
	if (r.left)
		return TPM_RC_SIZE;
	d.len = key->sens.len;
	memcpy(d.bytes, key->sens.data, d.len);
	if (ecc_multiply(key->pub.curve, &d, &ephemeral, &z, &t->rng))
		rc = TPM_RC_ECC_POINT;
	else
		seed_from_point(key, label, &z, &ephemeral, seed);
	mbedtls_platform_zeroize(&d, sizeof(d));
	mbedtls_platform_zeroize(&z, sizeof(z));
	return rc;
}

uint32_t secret_open(struct tpm *t, struct object *key, const char *label, struct span secret,
		     struct digest *seed)
{
	if (key->pub.type == TPM_ALG_RSA)
		return secret_open_rsa(t, key, label, secret, seed);
	if (key->pub.type == TPM_ALG_ECC)
		return secret_open_ecc(t, key, label, secret, seed);
	return TPM_RC_KEY;
}
