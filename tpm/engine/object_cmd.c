// SPDX-License-Identifier: MIT
/* Object commands (Part 3, clause 12, and CreatePrimary of 24.1). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

struct creation_in {
	struct digest auth;
	struct span data;
	struct public_area pub;
	struct span outside_info;
	struct pcr_selections pcrs;
};

/* TPM2B_SENSITIVE_CREATE */
static uint32_t read_sensitive_create(struct reader *r, struct digest *auth, struct span *data)
{
	size_t end;
	uint32_t rc = read_sized_begin(r, &end);

	*data = SPAN_NONE;
	if (rc)
		return rc;
	rc = read_digest(r, auth);
	if (!rc)
		rc = read_2b(r, MAX_SYM_DATA, data);
	return read_sized_end(r, end, rc);
}

static uint32_t creation_args(struct cmd *c, struct creation_in *in)
{
	arg_with(c, read_sensitive_create(&c->in, &in->auth, &in->data));
	arg_with(c, read_public_2b(&c->in, NO_NULL, &in->pub));
	arg_2b(c, DATA_MAX, &in->outside_info);
	arg_with(c, read_pcr_selections(&c->in, &in->pcrs));
	return args_end(c);
}

/* Response fields that Create and CreatePrimary share: creation data, its hash and its ticket (Part 2, 15.1). */
static void write_creation(struct tpm *t, struct cmd *c, const struct object *o,
			   const struct object *parent, struct creation_in *in)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct digest pcr_value;
	struct ticket ticket;
	struct name up, up_qn;
	size_t mark = write_2b_begin(&c->out);
	unsigned int size;

	if (parent) {
		up = parent->name;
		up_qn = parent->qualified_name;
	} else {
		entity_name(t, o->hierarchy, &up);
		up_qn = up;
	}
	pcr_digest(t, &in->pcrs, o->pub.name_alg, &pcr_value);
	write_pcr_selections(&c->out, &in->pcrs);
	write_digest(&c->out, &pcr_value);
	write_u8(&c->out, t->locality < 5 ? (uint8_t)(1u << t->locality) : t->locality);
	write_u16(&c->out, parent ? parent->pub.name_alg : TPM_ALG_NULL);
	write_name(&c->out, &up);
	write_name(&c->out, &up_qn);
	write_2b(&c->out, in->outside_info.data, in->outside_info.len);
	write_2b_end(&c->out, mark);
	size = hash_buf(o->pub.name_alg, c->out.buf + mark, c->out.len - mark, digest);
	write_2b(&c->out, digest, size);
	ticket_make(t, TPM_ST_CREATION, entity_hierarchy(t, o->hierarchy), name_span(&o->name),
		    (struct span){ digest, size }, &ticket);
	write_ticket(&c->out, &ticket);
}

static uint32_t check_auth_size(struct digest *auth, const struct public_area *pub)
{
	auth_trim(auth);
	return auth->len > hash_size(pub->name_alg) ? rc_param(TPM_RC_SIZE, 1) : 0;
}

static uint32_t add_param(uint32_t rc, unsigned int n)
{
	return rc & RC_FMT1 && !(rc & ~0xBFu) ? rc_param(rc, n) : rc;
}

/* 12.1 */
HANDLER(create)
{
	struct object *parent = object_get(t, c->handles[0]), o = { 0 };
	struct creation_in in;
	struct create_in make;
	uint32_t rc = creation_args(c, &in);

	if (rc)
		return rc;
	if (!object_is_storage_parent(parent))
		return rc_handle(TPM_RC_TYPE, 1);
	rc = add_param(public_check(t, parent, true, &in.pub, in.data.len), 2);
	if (!rc)
		rc = check_auth_size(&in.auth, &in.pub);
	if (rc)
		return rc;
	make = (struct create_in){ .auth = in.auth, .data = in.data, .pub = &in.pub };
	rc = object_make(t, &o, &make, &t->rng);
	if (!rc) {
		o.hierarchy = parent->hierarchy;
		protect_private(t, parent, &o, &c->out);
		write_public_2b(&c->out, &o.pub);
		write_creation(t, c, &o, parent, &in);
	}
	object_free(&o);
	mbedtls_platform_zeroize(&in, sizeof(in));
	return rc; /* Part 4 names no parameter */
}

/* A stream that depends on the hierarchy's seed, the template and the caller's data. */
static uint32_t primary_stream(struct tpm *t, uint32_t hierarchy,
			       const struct public_area *template, struct span data,
			       struct drbg *rng)
{
	uint8_t context[NAME_MAX_SIZE + MAX_SYM_DATA];
	struct name name;
	int err;

	object_name(template, &name);
	memcpy(context, name.bytes, name.len);
	if (data.len)
		memcpy(context + name.len, data.data, data.len);
	err = drbg_init_seeded(rng, (struct span){ hierarchy_seed(t, hierarchy), SEED_SIZE },
			       "Primary Object Creation",
			       (struct span){ context, name.len + data.len });
	mbedtls_platform_zeroize(context, sizeof(context));
	return err ? TPM_RC_FAILURE : 0;
}

static uint32_t make_primary(struct tpm *t, struct object *o, uint32_t hierarchy,
			     struct creation_in *in)
{
	struct create_in make = { .auth = in->auth, .data = in->data, .pub = &in->pub };
	struct drbg rng;
	uint32_t rc = primary_stream(t, hierarchy, &in->pub, in->data, &rng);

	if (rc)
		return rc;
	o->primary = true;
	o->hierarchy = hierarchy;
	rc = object_make(t, o, &make, &rng);
	drbg_free(&rng);
	if (rc)
		object_free(o);
	else
		object_place(o, NULL, hierarchy);
	return rc;
}

/* 24.1 */
HANDLER(create_primary)
{
	struct creation_in in;
	struct object *o;
	uint32_t rc = creation_args(c, &in);

	if (rc)
		return rc;
	rc = object_new(t, &o, &c->rsp_handle);
	if (!rc)
		rc = add_param(public_check(t, NULL, true, &in.pub, in.data.len), 2);
	if (!rc)
		rc = check_auth_size(&in.auth, &in.pub);
	if (!rc)
		rc = make_primary(t, o, c->handles[0], &in);
	if (rc)
		return rc;
	write_public_2b(&c->out, &o->pub);
	write_creation(t, c, o, NULL, &in);
	write_name(&c->out, &o->name);
	mbedtls_platform_zeroize(&in, sizeof(in));
	return 0;
}

/* 12.2 */
HANDLER(load)
{
	struct object *parent = object_get(t, c->handles[0]), *o;
	struct public_area pub;
	struct span priv;
	uint32_t rc, handle;

	arg_2b(c, PRIVATE_MAX, &priv);
	arg_with(c, read_public_2b(&c->in, NO_NULL, &pub));
	rc = args_end(c);
	if (rc)
		return rc;
	rc = object_new(t, &o, &handle);
	if (rc)
		return rc;
	if (!priv.len)
		return rc_param(TPM_RC_SIZE, 1);
	if (!object_is_storage_parent(parent))
		return rc_handle(TPM_RC_TYPE, 1);
	o->pub = pub;
	object_name(&pub, &o->name);
	rc = add_param(unprotect_private(parent, priv, &o->name, &o->sens), 1);
	if (!rc)
		rc = add_param(public_check(t, parent, false, &pub, false), 2);
	if (!rc)
		rc = sensitive_check(t, o, rc_param(0, 2), rc_param(0, 1));
	if (rc) {
		object_free(o);
		return rc;
	}
	object_place(o, parent, parent->hierarchy);
	c->rsp_handle = handle;
	write_name(&c->out, &o->name);
	return 0;
}

/* TPM2B_SENSITIVE, which may be empty. */
static uint32_t read_sensitive_2b(struct reader *r, struct sensitive *v, bool *present)
{
	uint16_t size;
	size_t before;
	uint32_t rc;

	*present = false;
	if (!read_u16(r, &size))
		return TPM_RC_INSUFFICIENT;
	if (!size)
		return 0;
	*present = true;
	before = r->left;
	rc = read_sensitive(r, v);
	if (!rc && before - r->left != size)
		rc = TPM_RC_SIZE;
	return rc;
}

/* TPM2B_PUBLIC of LoadExternal: nameAlg may be NULL. */
static uint32_t check_external(struct tpm *t, const struct public_area *pub, bool has_private,
			       uint32_t hierarchy)
{
	if (hierarchy != TPM_RH_NULL) {
		if (!hierarchy_enabled(t, hierarchy) || has_private)
			return rc_param(TPM_RC_HIERARCHY, 3);
	}
	if (has_private && pub->attributes & (TPMA_OBJECT_fixedTPM | TPMA_OBJECT_fixedParent |
					      TPMA_OBJECT_restricted))
		return rc_param(TPM_RC_ATTRIBUTES, 2);
	return 0;
}

/* A key that is all here must look like one that could be made here; of a public area only the schemes count. */
static uint32_t check_external_public(struct tpm *t, const struct object *o)
{
	if (o->public_only || o->pub.name_alg == TPM_ALG_NULL)
		return add_param(scheme_check(NULL, &o->pub), 2);
	if (o->sens.seed.len > hash_size(o->pub.name_alg))
		return rc_param(TPM_RC_KEY_SIZE, 1);
	return add_param(public_check(t, NULL, false, &o->pub, false), 2);
}

/* 12.3 */
HANDLER(load_external)
{
	struct object *o;
	struct public_area pub;
	struct sensitive sens = { 0 };
	uint32_t rc, handle, hierarchy;
	bool has_private = false;

	arg_with(c, read_sensitive_2b(&c->in, &sens, &has_private));
	arg_with(c, read_public_2b(&c->in, NULL_OK, &pub));
	arg_handle(c, H_HIERARCHY | HANDLE_NULL, &hierarchy);
	rc = args_end(c);
	if (rc)
		return rc;
	rc = object_new(t, &o, &handle);
	if (!rc)
		rc = check_external(t, &pub, has_private, hierarchy);
	if (rc)
		return rc;
	o->pub = pub;
	o->sens = sens;
	auth_trim(&o->sens.auth);
	o->external = true;
	o->public_only = !has_private;
	object_name(&pub, &o->name);
	rc = check_external_public(t, o);
	if (!rc)
		rc = sensitive_check(t, o, rc_param(0, 2), rc_param(0, 1));
	mbedtls_platform_zeroize(&sens, sizeof(sens));
	if (rc) {
		object_free(o);
		return rc;
	}
	object_place(o, NULL, hierarchy);
	o->qualified_name = o->name; /* it has no parents here */
	c->rsp_handle = handle;
	write_name(&c->out, &o->name);
	return 0;
}

/* 12.4 */
HANDLER(read_public)
{
	struct object *o = object_get(t, c->handles[0]);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (object_is_sequence(o))
		return TPM_RC_SEQUENCE;
	write_public_2b(&c->out, &o->pub);
	write_name(&c->out, &o->name);
	write_name(&c->out, &o->qualified_name);
	return 0;
}

static bool is_restricted_decryptor(const struct object *o)
{
	uint32_t both = TPMA_OBJECT_restricted | TPMA_OBJECT_decrypt;

	return o->kind == OBJECT_KEY &&
	       (o->pub.type == TPM_ALG_RSA || o->pub.type == TPM_ALG_ECC) &&
	       (o->pub.attributes & both) == both;
}

static struct protection for_credential(const struct object *key, const struct digest *seed,
					const struct name *name)
{
	return (struct protection){ .hash = key->pub.name_alg,
				    .sym = key->pub.sym,
				    .seed = digest_span(seed),
				    .name = name };
}

/* 12.5 */
HANDLER(activate_credential)
{
	struct object *o = object_get(t, c->handles[0]), *key = object_get(t, c->handles[1]);
	struct span blob, secret;
	struct digest seed = { 0 }, value;
	struct protection p;
	uint8_t plain[2 + HASH_MAX_SIZE + 64];
	struct reader r;
	size_t len;
	uint32_t rc;

	arg_2b(c, 2 * (2 + HASH_MAX_SIZE), &blob);
	arg_2b(c, RSA_MAX_BYTES, &secret);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!is_restricted_decryptor(key))
		return rc_handle(TPM_RC_TYPE, 2);
	rc = secret_open(t, key, "IDENTITY", secret, &seed);
	if (rc)
		return rc == TPM_RC_KEY ? TPM_RC_FAILURE : add_param(rc, 2);
	p = for_credential(key, &seed, &o->name);
	rc = unprotect_outer(&p, blob, plain, sizeof(plain), &len);
	if (!rc) {
		r = (struct reader){ plain, len };
		rc = read_digest(&r, &value);
		if (!rc && r.left)
			rc = TPM_RC_SIZE;
	}
	if (!rc)
		write_digest(&c->out, &value);
	mbedtls_platform_zeroize(plain, sizeof(plain));
	mbedtls_platform_zeroize(&seed, sizeof(seed));
	return add_param(rc, 1);
}

/* 12.6 */
HANDLER(make_credential)
{
	struct object *key = object_get(t, c->handles[0]);
	struct digest credential, seed;
	struct span name_in;
	struct name name;
	struct protection p;
	uint8_t plain[2 + HASH_MAX_SIZE], secret[4 + 2 * (2 + RSA_MAX_BYTES)];
	struct writer w = { .buf = plain, .max = sizeof(plain) },
		      secret_out = { .buf = secret, .max = sizeof(secret) };
	size_t mark;
	uint32_t rc;

	arg_digest(c, &credential);
	arg_2b(c, NAME_MAX_SIZE, &name_in);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!is_restricted_decryptor(key))
		return rc_handle(TPM_RC_TYPE, 1);
	if (credential.len > hash_size(key->pub.name_alg))
		return rc_param(TPM_RC_SIZE, 1);
	name.len = (uint16_t)name_in.len;
	if (name.len)
		memcpy(name.bytes, name_in.data, name.len);
	rc = secret_make(t, key, "IDENTITY", &seed, &secret_out);
	if (rc)
		return rc;
	write_digest(&w, &credential);
	p = for_credential(key, &seed, &name);
	mark = write_2b_begin(&c->out);
	protect_outer(t, &p, plain, w.len, &c->out);
	write_2b_end(&c->out, mark);
	write_bytes(&c->out, secret, secret_out.len);
	mbedtls_platform_zeroize(&seed, sizeof(seed));
	return 0;
}

/* 12.7 */
HANDLER(unseal)
{
	struct object *o = object_get(t, c->handles[0]);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (o->kind != OBJECT_KEY || o->pub.type != TPM_ALG_KEYEDHASH)
		return rc_handle(TPM_RC_TYPE, 1);
	if (o->pub.attributes & (TPMA_OBJECT_decrypt | TPMA_OBJECT_sign | TPMA_OBJECT_restricted))
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	write_2b(&c->out, o->sens.data, o->sens.len);
	return 0;
}

/* 12.8 */
HANDLER(object_change_auth)
{
	struct object *o = object_get(t, c->handles[0]), *parent = object_get(t, c->handles[1]),
		      changed;
	struct digest auth;
	struct name qn;
	uint32_t rc;

	arg_digest(c, &auth);
	rc = args_end(c);
	if (rc)
		return rc;
	if (object_is_sequence(o))
		return rc_handle(TPM_RC_TYPE, 1);
	auth_trim(&auth);
	if (auth.len > hash_size(o->pub.name_alg))
		return rc_param(TPM_RC_SIZE, 1);
	object_qualified_name(&parent->qualified_name, o->pub.name_alg, &o->name, &qn);
	if (qn.len != o->qualified_name.len || memcmp(qn.bytes, o->qualified_name.bytes, qn.len) ||
	    !object_is_storage_parent(parent))
		return rc_handle(TPM_RC_TYPE, 2);
	changed = *o;
	changed.rsa = NULL;
	changed.sens.auth = auth;
	protect_private(t, parent, &changed, &c->out);
	mbedtls_platform_zeroize(&changed, sizeof(changed));
	return 0;
}

struct derive {
	struct span label, context;
};

/* TPMS_DERIVE */
static uint32_t read_derive(struct reader *r, struct derive *d)
{
	uint32_t rc = read_2b(r, MAX_LABEL, &d->label);

	return rc ? rc : read_2b(r, MAX_LABEL, &d->context);
}

static uint32_t derive_checks(struct object *parent, const struct public_area *pub,
			      struct span data, struct derive *d)
{
	struct reader r = { data.data, data.len };
	struct derive more;
	uint32_t rc;

	if (pub->type == TPM_ALG_RSA)
		return rc_param(TPM_RC_TYPE, 2);
	if (pub->attributes & TPMA_OBJECT_sensitiveDataOrigin)
		return TPM_RC_ATTRIBUTES;
	rc = add_param(public_check(NULL, parent, false, pub, false), 2);
	if (rc || !data.len)
		return rc;
	/* Label and context of the sensitive part fill what the template leaves empty (Part 3, 12.9). */
	rc = read_derive(&r, &more);
	if (rc || r.left)
		return rc_param(rc ? rc : TPM_RC_SIZE, 1);
	if (!d->label.len)
		d->label = more.label;
	if (!d->context.len)
		d->context = more.context;
	return 0;
}

static uint32_t make_derived(struct tpm *t, struct object *o, struct object *parent,
			     const struct creation_in *in, const struct derive *d)
{
	struct create_in make = { .auth = in->auth, .data = SPAN_NONE, .pub = &in->pub };
	uint8_t stream[1024]; /* TPM_MAX_DERIVATION_BITS */
	struct drbg rng;
	uint32_t rc;

	kdf_a_label(parent->pub.scheme.hash, (struct span){ parent->sens.data, parent->sens.len },
		    d->label, d->context, SPAN_NONE, sizeof(stream) * 8, stream);
	drbg_init_stream(&rng, (struct span){ stream, sizeof(stream) });
	rc = object_make(t, o, &make, &rng);
	if (!rc)
		object_place(o, parent, parent->hierarchy);
	mbedtls_platform_zeroize(stream, sizeof(stream));
	return rc;
}

static uint32_t read_template(struct span template, bool derivation, struct public_area *pub,
			      struct derive *d)
{
	struct reader r = { template.data, template.len };
	uint32_t rc;

	if (derivation) {
		rc = read_public_head(&r, NO_NULL, pub);
		if (!rc)
			rc = read_derive(&r, d);
	} else {
		rc = read_public(&r, NO_NULL, pub);
	}
	return !rc && r.left ? TPM_RC_SIZE : rc;
}

static uint32_t make_child(struct tpm *t, struct object *o, struct object *parent,
			   const struct creation_in *in)
{
	struct create_in make = { .auth = in->auth, .data = in->data, .pub = &in->pub };
	uint32_t rc = object_make(t, o, &make, &t->rng);

	if (!rc)
		object_place(o, parent, parent->hierarchy);
	return rc;
}

/* 12.9 */
HANDLER(create_loaded)
{
	bool primary = TPM_HANDLE_TYPE(c->handles[0]) == TPM_HT_PERMANENT, derivation;
	struct object *parent = primary ? NULL : object_get(t, c->handles[0]), *o;
	struct derive d = { SPAN_NONE, SPAN_NONE };
	struct creation_in in;
	struct span template;
	uint32_t rc, handle;

	arg_with(c, read_sensitive_create(&c->in, &in.auth, &in.data));
	arg_2b(c, 1400, &template);
	rc = args_end(c);
	if (rc)
		return rc;
	derivation =
		parent && parent->kind == OBJECT_KEY && object_is_derivation_parent(&parent->pub);
	if (parent && !derivation && !object_is_storage_parent(parent))
		return rc_handle(TPM_RC_TYPE, 1);
	rc = object_new(t, &o, &handle);
	if (!rc)
		rc = add_param(read_template(template, derivation, &in.pub, &d), 2);
	if (!rc)
		rc = check_auth_size(&in.auth, &in.pub);
	if (!rc)
		rc = derivation ? derive_checks(parent, &in.pub, in.data, &d)
				: add_param(public_check(t, parent, true, &in.pub, in.data.len), 2);
	if (rc)
		return rc;
	if (primary)
		rc = make_primary(t, o, c->handles[0], &in);
	else
		rc = derivation ? make_derived(t, o, parent, &in, &d)
				: make_child(t, o, parent, &in);
	if (rc) {
		object_free(o);
		return rc;
	}
	if (primary || derivation)
		write_u16(&c->out, 0);
	else
		protect_private(t, parent, o, &c->out);
	write_public_2b(&c->out, &o->pub);
	write_name(&c->out, &o->name);
	c->rsp_handle = handle;
	mbedtls_platform_zeroize(&in, sizeof(in));
	return 0;
}
