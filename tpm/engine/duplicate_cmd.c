// SPDX-License-Identifier: MIT
/* Duplication (Part 3, clause 13; Part 1, clause 23). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

static uint32_t blame(uint32_t rc, unsigned int n)
{
	return rc & RC_FMT1 ? rc_param(rc, n) : rc;
}

static struct protection for_duplicate(const struct object *parent, const struct digest *seed,
				       const struct name *name)
{
	return (struct protection){ .hash = parent->pub.name_alg,
				    .sym = parent->pub.sym,
				    .seed = digest_span(seed),
				    .name = name };
}

static void inner_integrity(uint16_t alg, struct span data, const struct name *name,
			    struct digest *out)
{
	struct hash_ctx ctx;

	hash_start(&ctx, alg);
	hash_update(&ctx, data.data, data.len);
	hash_update(&ctx, name->bytes, name->len);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

/* TPM2B_SENSITIVE of o, inside the inner wrapper when sym is given (Part 1, 23.3.2.3). */
static void wrap_inner(const struct object *o, const struct sym_def *sym, const uint8_t *key,
		       struct writer *w)
{
	uint8_t buf[PRIVATE_MAX];
	struct writer plain = { .buf = buf, .max = sizeof(buf) };
	size_t start = w->len;
	struct digest mac;

	write_padded_sensitive(&plain, o);
	if (sym->alg != TPM_ALG_NULL) {
		inner_integrity(o->pub.name_alg, (struct span){ buf, plain.len }, &o->name, &mac);
		write_digest(w, &mac);
	}
	write_bytes(w, buf, plain.len);
	if (sym->alg != TPM_ALG_NULL)
		sym_cfb(sym->alg, sym->bits, key, true, NULL, w->buf + start, w->len - start);
	mbedtls_platform_zeroize(buf, sizeof(buf));
}

static uint32_t duplicate_checks(const struct object *o, const struct object *parent,
				 const struct sym_def *sym, struct span key)
{
	if (o->kind != OBJECT_KEY || o->pub.attributes & TPMA_OBJECT_fixedParent)
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	if (o->pub.name_alg == TPM_ALG_NULL)
		return rc_handle(TPM_RC_TYPE, 1);
	if (parent && !object_is_storage_parent(parent))
		return rc_handle(TPM_RC_TYPE, 2);
	if (o->pub.attributes & TPMA_OBJECT_encryptedDuplication) {
		if (sym->alg == TPM_ALG_NULL)
			return rc_param(TPM_RC_SYMMETRIC, 2);
		if (!parent)
			return rc_handle(TPM_RC_HIERARCHY, 2);
	}
	if (key.len && (sym->alg == TPM_ALG_NULL || key.len != sym->bits / 8u))
		return rc_param(TPM_RC_SIZE, 1);
	return 0;
}

/* 13.1 */
HANDLER(duplicate)
{
	struct object *o = object_get(t, c->handles[0]);
	struct object *parent = c->handles[1] == TPM_RH_NULL ? NULL : object_get(t, c->handles[1]);
	uint8_t key[SYM_MAX_KEY], body[PRIVATE_MAX], secret[2 + 2 * (2 + RSA_MAX_BYTES)];
	struct writer w = { .buf = body, .max = sizeof(body) },
		      secret_out = { .buf = secret, .max = sizeof(secret) };
	struct protection p;
	struct sym_def sym;
	struct span key_in;
	struct digest seed;
	size_t mark;
	uint32_t rc;

	arg_2b(c, DATA_MAX, &key_in);
	arg_with(c, read_sym_def_object(&c->in, NULL_OK, &sym));
	rc = args_end(c);
	if (!rc)
		rc = duplicate_checks(o, parent, &sym, key_in);
	if (rc)
		return rc;
	if (key_in.len)
		memcpy(key, key_in.data, key_in.len);
	else if (drbg_read(&t->rng, key, sizeof(key)))
		return TPM_RC_FAILURE;
	if (parent) {
		rc = secret_make(t, parent, "DUPLICATE", &seed, &secret_out);
		if (rc)
			return rc;
	} else {
		write_u16(&secret_out, 0);
	}
	write_2b(&c->out, key, key_in.len || sym.alg == TPM_ALG_NULL ? 0 : sym.bits / 8u);
	wrap_inner(o, &sym, key, &w);
	mark = write_2b_begin(&c->out);
	if (parent) {
		p = for_duplicate(parent, &seed, &o->name);
		protect_outer(t, &p, body, w.len, &c->out);
	} else {
		write_bytes(&c->out, body, w.len);
	}
	write_2b_end(&c->out, mark);
	write_bytes(&c->out, secret, secret_out.len);
	mbedtls_platform_zeroize(body, sizeof(body));
	mbedtls_platform_zeroize(key, sizeof(key));
	mbedtls_platform_zeroize(&seed, sizeof(seed));
	return 0;
}

/* 13.2 */
HANDLER(rewrap)
{
	struct object *old = c->handles[0] == TPM_RH_NULL ? NULL : object_get(t, c->handles[0]);
	struct object *to = c->handles[1] == TPM_RH_NULL ? NULL : object_get(t, c->handles[1]);
	uint8_t body[PRIVATE_MAX], secret[2 + 2 * (2 + RSA_MAX_BYTES)];
	struct writer secret_out = { .buf = secret, .max = sizeof(secret) };
	struct span in, name_in, seed_in;
	struct digest seed = { 0 };
	struct protection p;
	struct name name;
	size_t len, mark;
	uint32_t rc;

	arg_2b(c, PRIVATE_MAX, &in);
	arg_2b(c, NAME_MAX_SIZE, &name_in);
	arg_2b(c, RSA_MAX_BYTES, &seed_in);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!old != !seed_in.len)
		return rc_handle(TPM_RC_HANDLE, 1);
	name.len = (uint16_t)name_in.len;
	if (name.len)
		memcpy(name.bytes, name_in.data, name.len);
	if (old) {
		if (!object_is_storage_parent(old))
			return rc_handle(TPM_RC_TYPE, 1);
		if (secret_open(t, old, "DUPLICATE", seed_in, &seed))
			return rc_param(TPM_RC_VALUE, 3);
		p = for_duplicate(old, &seed, &name);
		rc = blame(unprotect_outer(&p, in, body, sizeof(body), &len), 1);
		if (rc)
			return rc;
	} else {
		len = in.len;
		memcpy(body, in.data, len);
	}
	if (to && !object_is_storage_parent(to))
		return rc_handle(TPM_RC_TYPE, 2);
	mark = write_2b_begin(&c->out);
	if (to) {
		rc = secret_make(t, to, "DUPLICATE", &seed, &secret_out);
		p = for_duplicate(to, &seed, &name);
		if (!rc)
			protect_outer(t, &p, body, len, &c->out);
	} else {
		write_u16(&secret_out, 0);
		write_bytes(&c->out, body, len);
	}
	write_2b_end(&c->out, mark);
	write_bytes(&c->out, secret, secret_out.len);
	mbedtls_platform_zeroize(body, sizeof(body));
	mbedtls_platform_zeroize(&seed, sizeof(seed));
	return rc;
}

/* In Part 4's order. */
static uint32_t import_checks(const struct object *parent, const struct public_area *pub,
			      const struct sym_def *sym, struct span key, struct span seed)
{
	bool both_wraps = pub->attributes & TPMA_OBJECT_encryptedDuplication;

	if (pub->attributes & (TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent))
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	if (!object_is_storage_parent(parent))
		return rc_handle(TPM_RC_TYPE, 1);
	if (sym->alg == TPM_ALG_NULL ? key.len != 0 : key.len != sym->bits / 8u)
		return rc_param(TPM_RC_SIZE, 1);
	if (both_wraps && sym->alg == TPM_ALG_NULL)
		return rc_param(TPM_RC_ATTRIBUTES, 1);
	if (seed.len && parent->pub.type == TPM_ALG_SYMCIPHER)
		return rc_handle(TPM_RC_TYPE, 1);
	if (both_wraps && !seed.len)
		return rc_param(TPM_RC_ATTRIBUTES, 4);
	return 0;
}

static uint32_t unwrap_inner(const struct sym_def *sym, struct span key, const struct object *o,
			     uint8_t *buf, size_t len, struct sensitive *sens)
{
	struct reader r = { buf, len };
	struct digest given, mac;
	uint32_t rc;

	if (sym->alg != TPM_ALG_NULL) {
		sym_cfb(sym->alg, sym->bits, key.data, false, NULL, buf, len);
		rc = read_digest(&r, &given);
		if (rc)
			return rc;
		inner_integrity(o->pub.name_alg, (struct span){ r.pos, r.left }, &o->name, &mac);
		if (!digest_equal(&given, &mac))
			return TPM_RC_INTEGRITY;
	}
	return sensitive_parse(r.pos, r.left, sens);
}

static uint32_t import_object(struct tpm *t, struct object *parent, struct object *o,
			      const struct sym_def *sym, struct span key, struct span duplicate,
			      struct span seed_in)
{
	uint8_t body[PRIVATE_MAX];
	struct digest seed = { 0 };
	struct protection p;
	size_t len = duplicate.len;
	uint32_t rc = 0;

	if (seed_in.len) {
		rc = blame(secret_open(t, parent, "DUPLICATE", seed_in, &seed), 4);
		if (rc)
			return rc;
		p = for_duplicate(parent, &seed, &o->name);
		rc = blame(unprotect_outer(&p, duplicate, body, sizeof(body), &len), 3);
	} else if (len) {
		memcpy(body, duplicate.data, len);
	}
	if (!rc)
		rc = blame(unwrap_inner(sym, key, o, body, len, &o->sens), 3);
	if (!rc)
		rc = blame(public_check(t, parent, false, &o->pub, false), 2);
	if (!rc)
		rc = sensitive_check(t, o, rc_param(0, 2), rc_param(0, 3));
	mbedtls_platform_zeroize(body, sizeof(body));
	mbedtls_platform_zeroize(&seed, sizeof(seed));
	return rc;
}

/* 13.3 */
HANDLER(import)
{
	struct object *parent = object_get(t, c->handles[0]), o = { 0 };
	struct span key, duplicate, seed;
	struct sym_def sym;
	uint32_t rc;

	arg_2b(c, DATA_MAX, &key);
	arg_with(c, read_public_2b(&c->in, NO_NULL, &o.pub));
	arg_2b(c, PRIVATE_MAX, &duplicate);
	arg_2b(c, RSA_MAX_BYTES, &seed);
	arg_with(c, read_sym_def_object(&c->in, NULL_OK, &sym));
	rc = args_end(c);
	if (!rc)
		rc = import_checks(parent, &o.pub, &sym, key, seed);
	if (rc)
		return rc;
	object_name(&o.pub, &o.name);
	rc = import_object(t, parent, &o, &sym, key, duplicate, seed);
	if (!rc)
		protect_private(t, parent, &o, &c->out);
	object_free(&o);
	return rc;
}
