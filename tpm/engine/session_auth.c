// SPDX-License-Identifier: MIT
/* A command's authorisation area: parsing and checking it, and making the response's (Part 1, clause 19). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/modules.h"

static uint32_t rc_session(uint32_t rc, int i)
{
	return rc & RC_FMT1 ? rc + TPM_RC_S + (uint32_t)(i + 1) * TPM_RC_1 : rc;
}

static uint32_t parse_one(struct reader *r, struct auth *a)
{
	uint32_t rc;

	if (!read_u32(r, &a->handle))
		return TPM_RC_INSUFFICIENT;
	if (a->handle != TPM_RS_PW && handle_check(a->handle, H_SESSION))
		return TPM_RC_VALUE;
	rc = read_digest(r, &a->nonce);
	if (rc)
		return rc;
	if (!read_u8(r, &a->attributes))
		return TPM_RC_INSUFFICIENT;
	if (a->attributes & TPMA_SESSION_RESERVED)
		return TPM_RC_RESERVED_BITS;
	return read_digest(r, &a->hmac);
}

static uint32_t check_password_attributes(const struct auth *a)
{
	if (a->attributes & ~TPMA_SESSION_continueSession)
		return TPM_RC_ATTRIBUTES;
	return a->nonce.len ? TPM_RC_NONCE : 0;
}

/* An index of the session that encrypts or decrypts; at most one may. */
static uint32_t claim_cipher(const struct cmd *c, const struct auth *a, uint16_t command_flag,
			     int i, int *index)
{
	if (!(c->def->flags & command_flag) || *index != NO_SESSION)
		return TPM_RC_ATTRIBUTES;
	if (a->session->sym.alg == TPM_ALG_NULL)
		return TPM_RC_SYMMETRIC;
	*index = i;
	return 0;
}

static uint32_t claim_audit(struct tpm *t, struct cmd *c, const struct auth *a, int i)
{
	if (c->audit != NO_SESSION || a->session->policy)
		return TPM_RC_ATTRIBUTES;
	if (!(a->attributes & TPMA_SESSION_auditReset) && a->session->audit &&
	    a->attributes & TPMA_SESSION_auditExclusive && t->exclusive_audit != a->handle)
		return TPM_RC_EXCLUSIVE;
	c->audit = i;
	return 0;
}

static uint32_t check_attributes(struct tpm *t, struct cmd *c, int i)
{
	struct auth *a = &c->auth[i];
	uint32_t rc = 0;

	for (int j = 0; j < i; j++)
		if (c->auth[j].handle == a->handle)
			return TPM_RC_HANDLE;
	if (a->attributes & TPMA_SESSION_decrypt)
		rc = claim_cipher(c, a, CMD_DECRYPT, i, &c->decrypt);
	if (!rc && a->attributes & TPMA_SESSION_encrypt)
		rc = claim_cipher(c, a, CMD_ENCRYPT, i, &c->encrypt);
	if (!rc && a->attributes & TPMA_SESSION_audit)
		rc = claim_audit(t, c, a, i);
	return rc;
}

uint32_t session_parse(struct tpm *t, struct cmd *c, struct reader *area)
{
	for (int i = 0; area->left; i++) {
		struct auth *a;
		uint32_t rc;

		if (i == MAX_SESSIONS)
			return TPM_RC_AUTHSIZE;
		a = &c->auth[i];
		a->entity = TPM_RH_UNASSIGNED;
		rc = parse_one(area, a);
		if (rc)
			return rc_session(rc, i);
		c->auth_count = i + 1;
		if (a->handle == TPM_RS_PW) {
			rc = check_password_attributes(a);
		} else {
			rc = session_check_handle(t, a->handle);
			if (rc == TPM_RC_REFERENCE_H0)
				return TPM_RC_REFERENCE_S0 + (uint32_t)i;
			a->session = session_get(t, a->handle);
			if (!rc)
				rc = check_attributes(t, c, i);
		}
		if (rc)
			return rc_session(rc, i);
	}
	return 0;
}

/* key = sessionKey || authValue of the entity, the latter when the session includes it. */
static size_t hmac_key(struct tpm *t, const struct auth *a, uint8_t *key)
{
	const struct session *s = a->session;
	size_t len = s->key.len;
	struct digest auth;

	memcpy(key, s->key.bytes, len);
	if (s->include_auth) {
		entity_auth(t, a->entity, &auth);
		memcpy(key + len, auth.bytes, auth.len);
		len += auth.len;
		mbedtls_platform_zeroize(&auth, sizeof(auth));
	}
	return len;
}

/* HMAC(key, pHash || nonceNewer || nonceOlder [|| nonces of cipher sessions] || attributes): Part 1, 19.6.5. */
static void session_hmac(struct tpm *t, const struct cmd *c, int i, const struct digest *p_hash,
			 bool response, struct digest *out)
{
	const struct auth *a = &c->auth[i];
	const struct session *s = a->session;
	uint8_t key[2 * HASH_MAX_SIZE];
	size_t len = hmac_key(t, a, key);
	struct hmac_ctx ctx;

	out->len = 0;
	if (!len && !a->hmac.len)
		return;
	hmac_start(&ctx, s->hash, key, len);
	hmac_update(&ctx, p_hash->bytes, p_hash->len);
	if (response)
		hmac_update(&ctx, s->nonce.bytes, s->nonce.len);
	hmac_update(&ctx, a->nonce.bytes, a->nonce.len);
	if (!response)
		hmac_update(&ctx, s->nonce.bytes, s->nonce.len);
	if (!response && i == 0 && a->entity != TPM_RH_UNASSIGNED) {
		const struct digest *n;

		if (c->decrypt > 0) {
			n = &c->auth[c->decrypt].session->nonce;
			hmac_update(&ctx, n->bytes, n->len);
		}
		if (c->encrypt > 0 && c->encrypt != c->decrypt) {
			n = &c->auth[c->encrypt].session->nonce;
			hmac_update(&ctx, n->bytes, n->len);
		}
	}
	hmac_update(&ctx, &a->attributes, 1);
	out->len = (uint16_t)hmac_finish(&ctx, out->bytes);
	mbedtls_platform_zeroize(key, sizeof(key));
}

static uint32_t check_hmac(struct tpm *t, struct cmd *c, int i)
{
	struct auth *a = &c->auth[i];
	struct digest hmac;

	session_hmac(t, c, i, cmd_cp_hash(t, c, a->session->hash), false, &hmac);
	return digest_equal(&hmac, &a->hmac) ? 0 : da_failure(t, a);
}

static uint32_t check_password(struct tpm *t, struct auth *a)
{
	struct digest auth;
	bool good;

	auth_trim(&a->hmac);
	entity_auth(t, a->entity, &auth);
	good = digest_equal(&auth, &a->hmac);
	mbedtls_platform_zeroize(&auth, sizeof(auth));
	return good ? 0 : da_failure(t, a);
}

static enum auth_role role_of(const struct cmd *c, int i)
{
	return i < 2 ? c->def->roles[i] : AUTH_NONE;
}

static struct object *entity_key(struct tpm *t, uint32_t handle)
{
	uint8_t type = TPM_HANDLE_TYPE(handle);

	return type == TPM_HT_TRANSIENT || type == TPM_HT_PERSISTENT ? object_get(t, handle) : NULL;
}

static bool policy_required(struct tpm *t, const struct cmd *c, int i)
{
	uint32_t entity = c->auth[i].entity;
	enum auth_role role = role_of(c, i);
	struct object *o = entity_key(t, entity);
	struct digest digest;

	if (role == AUTH_DUP)
		return true;
	if (role == AUTH_ADMIN)
		return !o || o->pub.attributes & TPMA_OBJECT_adminWithPolicy;
	if (TPM_HANDLE_TYPE(entity) == TPM_HT_PCR && pcr_in_policy_group(entity))
		return entity_policy(t, entity, &digest) != TPM_ALG_NULL;
	return false;
}

static bool nv_auth_available(struct tpm *t, const struct cmd *c, uint32_t entity)
{
	const struct nv_index *index = nv_find(t, entity);
	uint64_t pin;

	if (c->def->flags & CMD_NV_WRITE)
		return index->pub.attributes & TPMA_NV_AUTHWRITE;
	if (!nv_is_pin(index))
		return index->pub.attributes & TPMA_NV_AUTHREAD;
	if (!(index->pub.attributes & TPMA_NV_WRITTEN))
		return false;
	/* Part 2, 13.3: pinCount || pinLimit */
	pin = nv_get_u64(index);
	return (uint32_t)(pin >> 32) < (uint32_t)pin;
}

static bool auth_value_available(struct tpm *t, const struct cmd *c, int i)
{
	uint32_t entity = c->auth[i].entity;
	struct object *o = entity_key(t, entity);

	if (TPM_HANDLE_TYPE(entity) == TPM_HT_NV_INDEX)
		return nv_auth_available(t, c, entity);
	if (act_exists(entity))
		return t->ph_enable;
	if (!o || object_is_sequence(o))
		return true;
	if (o->public_only)
		return false;
	return o->pub.attributes & TPMA_OBJECT_userWithAuth ||
	       (role_of(c, i) == AUTH_ADMIN && !(o->pub.attributes & TPMA_OBJECT_adminWithPolicy));
}

static bool policy_available(struct tpm *t, const struct cmd *c, int i)
{
	uint32_t entity = c->auth[i].entity;
	struct object *o = entity_key(t, entity);
	const struct nv_index *index;
	struct digest digest;

	if (o)
		return !o->public_only && !object_is_sequence(o);
	if (TPM_HANDLE_TYPE(entity) == TPM_HT_PCR)
		return pcr_in_policy_group(entity);
	entity_policy(t, entity, &digest);
	if (!digest.len)
		return false;
	if (TPM_HANDLE_TYPE(entity) != TPM_HT_NV_INDEX || policy_required(t, c, i))
		return true;
	index = nv_find(t, entity);
	return index->pub.attributes &
	       (c->def->flags & CMD_NV_WRITE ? TPMA_NV_POLICYWRITE : TPMA_NV_POLICYREAD);
}

static bool template_matches(const struct cmd *c, const struct session *s)
{
	struct reader r = { c->params, c->params_len };
	struct span sensitive, template;
	uint8_t digest[HASH_MAX_SIZE];

	if (c->code != TPM_CC_Create && c->code != TPM_CC_CreatePrimary &&
	    c->code != TPM_CC_CreateLoaded)
		return false;
	if (read_2b(&r, 0xFFFF, &sensitive) || read_2b(&r, 0xFFFF, &template))
		return false;
	hash_buf(s->hash, template.data, template.len, digest);
	return s->limit.len == hash_size(s->hash) &&
	       bytes_equal(digest, s->limit.bytes, s->limit.len);
}

static bool name_hash_matches(struct tpm *t, const struct cmd *c, const struct session *s)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct hash_ctx ctx;

	hash_start(&ctx, s->hash);
	for (unsigned int i = 0; i < command_handle_count(c->def); i++) {
		struct name name;

		entity_name(t, c->handles[i], &name);
		hash_update(&ctx, name.bytes, name.len);
	}
	hash_finish(&ctx, digest);
	return s->limit.len == hash_size(s->hash) &&
	       bytes_equal(digest, s->limit.bytes, s->limit.len);
}

static uint32_t check_policy_limits(struct tpm *t, struct cmd *c, int i)
{
	const struct session *s = c->auth[i].session;
	const struct nv_index *index;
	bool good;

	if (s->limit.len) {
		if (s->cp_hash_set)
			good = digest_equal(&s->limit, cmd_cp_hash(t, c, s->hash));
		else if (s->template_set)
			good = template_matches(c, s);
		else
			good = name_hash_matches(t, c, s);
		if (!good)
			return TPM_RC_POLICY_FAIL;
	}
	if (s->check_written) {
		index = TPM_HANDLE_TYPE(c->auth[i].entity) == TPM_HT_NV_INDEX
				? nv_find(t, c->auth[i].entity)
				: NULL;
		if (!index || !!(index->pub.attributes & TPMA_NV_WRITTEN) != s->written_state)
			return TPM_RC_POLICY_FAIL;
	}
	return 0;
}

static uint32_t check_locality(const struct tpm *t, uint8_t allowed)
{
	if (!allowed)
		return 0;
	if (t->locality < 5)
		return allowed <= 31 && allowed >> t->locality & 1 ? 0 : TPM_RC_LOCALITY;
	return t->locality > 31 && allowed == t->locality ? 0 : TPM_RC_LOCALITY;
}

/* Part 1, 19.7.8, in the order of its list. */
static uint32_t check_policy(struct tpm *t, struct cmd *c, int i)
{
	const struct session *s = c->auth[i].session;
	enum auth_role role = role_of(c, i);
	struct digest wanted;
	uint16_t alg;
	uint32_t rc;

	if (c->code == TPM_CC_PolicySecret && !s->password_needed && !s->auth_value_needed)
		return TPM_RC_MODE;
	if (!session_pcr_current(t, s))
		return TPM_RC_PCR_CHANGED;
	alg = entity_policy(t, c->auth[i].entity, &wanted);
	if (!digest_equal(&s->digest, &wanted) || alg != s->hash)
		return TPM_RC_POLICY_FAIL;
	if (s->timeout && (s->timeout < t->time || s->epoch != t->epoch))
		return TPM_RC_EXPIRED;
	if (s->command_code) {
		if (s->command_code != c->code)
			return TPM_RC_POLICY_CC;
	} else if (role == AUTH_ADMIN || role == AUTH_DUP) {
		return TPM_RC_POLICY_FAIL;
	}
	rc = check_locality(t, s->locality);
	if (rc)
		return rc;
	if (s->pp_needed && !t->platform->physical_presence(t->ctx))
		return TPM_RC_PP;
	return check_policy_limits(t, c, i);
}

static bool bound_to(struct tpm *t, const struct session *s, uint32_t entity)
{
	struct name name;

	if (!s->is_bound)
		return false;
	session_bound_entity(t, entity, &name);
	return bytes_equal(name.bytes, s->bound.bytes, sizeof(name.bytes));
}

/* Part 2, 13.3: using the value of a PIN index counts. */
static void count_pin(struct tpm *t, uint32_t entity, bool good)
{
	struct nv_index *index = nv_find(t, entity);
	uint64_t v;

	if (!nv_is_pin(index) || !(index->pub.attributes & TPMA_NV_WRITTEN))
		return;
	v = nv_get_u64(index);
	if (nv_type(index) == TPM_NT_PIN_FAIL)
		v = good ? (uint32_t)v : v + (1ull << 32);
	else if (good)
		v += 1ull << 32;
	nv_set_u64(t, index, v);
}

static uint32_t check_entity(struct tpm *t, struct cmd *c, int i)
{
	struct auth *a = &c->auth[i];
	struct session *s = a->session;
	bool uses_auth = true;
	uint32_t rc;

	if (a->entity == TPM_RH_PLATFORM && command_pp_required(t, c->def) &&
	    !t->platform->physical_presence(t->ctx))
		return TPM_RC_PP;
	if (s) {
		s->include_auth = s->policy ? s->auth_value_needed || s->password_needed
					    : !bound_to(t, s, a->entity);
		uses_auth = s->include_auth;
	}
	if (uses_auth && !entity_da_exempt(t, a->entity)) {
		rc = da_check(t, a->entity == TPM_RH_LOCKOUT);
		if (rc)
			return rc;
	}
	if (!s || !s->policy) {
		if (policy_required(t, c, i))
			return TPM_RC_AUTH_TYPE;
		if (!auth_value_available(t, c, i))
			return TPM_RC_AUTH_UNAVAILABLE;
	} else {
		if (!policy_available(t, c, i))
			return TPM_RC_AUTH_UNAVAILABLE;
		rc = check_policy(t, c, i);
		if (rc)
			return rc;
	}
	rc = !s || s->password_needed ? check_password(t, a) : check_hmac(t, c, i);
	if (TPM_HANDLE_TYPE(a->entity) == TPM_HT_NV_INDEX && uses_auth)
		count_pin(t, a->entity, !rc);
	return rc;
}

static uint32_t check_one(struct tpm *t, struct cmd *c, int i)
{
	struct auth *a = &c->auth[i];
	uint32_t rc;

	if (!a->session)
		return a->entity == TPM_RH_UNASSIGNED ? TPM_RC_HANDLE : check_entity(t, c, i);
	if (a->session->trial)
		return TPM_RC_ATTRIBUTES;
	if (a->session->da_bound) {
		rc = da_check(t, a->session->lockout_bound);
		if (rc)
			return rc;
	}
	if (a->attributes & TPMA_SESSION_audit)
		cmd_cp_hash(t, c, a->session->hash);
	if (a->entity != TPM_RH_UNASSIGNED)
		return check_entity(t, c, i);
	if (!(a->attributes & (TPMA_SESSION_audit | TPMA_SESSION_encrypt | TPMA_SESSION_decrypt)))
		return TPM_RC_ATTRIBUTES;
	a->session->include_auth = false;
	return check_hmac(t, c, i);
}

/* En- or decrypts the TPM2B at the start of params (Part 1, clause 21). */
static uint32_t crypt_first(struct tpm *t, struct cmd *c, int i, uint8_t *params, size_t len,
			    bool encrypt)
{
	const struct auth *a = &c->auth[i];
	const struct session *s = a->session;
	uint8_t key[2 * HASH_MAX_SIZE], derived[SYM_MAX_KEY + SYM_BLOCK];
	size_t key_len = s->key.len, size;
	struct digest auth = { 0 };
	struct span newer = encrypt ? digest_span(&s->nonce) : digest_span(&a->nonce);
	struct span older = encrypt ? digest_span(&a->nonce) : digest_span(&s->nonce);

	if (len < 2)
		return TPM_RC_INSUFFICIENT;
	size = (size_t)params[0] << 8 | params[1];
	if (size > len - 2)
		return TPM_RC_SIZE;
	memcpy(key, s->key.bytes, key_len);
	if (a->entity != TPM_RH_UNASSIGNED)
		entity_auth(t, a->entity, &auth);
	memcpy(key + key_len, auth.bytes, auth.len);
	key_len += auth.len;
	if (s->sym.alg == TPM_ALG_XOR) {
		kdf_xor(s->hash, (struct span){ key, key_len }, newer, older, params + 2, size);
	} else {
		kdf_a(s->hash, (struct span){ key, key_len }, "CFB", newer, older,
		      s->sym.bits + SYM_BLOCK * 8u, derived);
		sym_cfb(s->sym.alg, s->sym.bits, derived, encrypt, derived + s->sym.bits / 8,
			params + 2, size);
	}
	mbedtls_platform_zeroize(key, sizeof(key));
	mbedtls_platform_zeroize(derived, sizeof(derived));
	mbedtls_platform_zeroize(&auth, sizeof(auth));
	return 0;
}

static bool audit_wanted(const struct tpm *t, const struct cmd *c)
{
	return bitmap_get(t->p.audit_commands, c->code);
}

uint32_t session_check(struct tpm *t, struct cmd *c)
{
	for (unsigned int i = 0; i < command_handle_count(c->def) && i < 2; i++) {
		if (role_of(c, (int)i) == AUTH_NONE)
			continue;
		if ((int)i >= c->auth_count)
			return TPM_RC_AUTH_MISSING;
		c->auth[i].entity = c->handles[i];
	}
	for (int i = 0; i < c->auth_count; i++) {
		uint32_t rc = check_one(t, c, i);

		if (rc)
			return rc_session(rc, i);
	}
	if (audit_wanted(t, c))
		cmd_cp_hash(t, c, t->p.audit_hash);
	if (c->decrypt != NO_SESSION)
		return rc_session(crypt_first(t, c, c->decrypt, c->params, c->params_len, false),
				  c->decrypt);
	return 0;
}

uint32_t session_check_none(struct tpm *t, struct cmd *c)
{
	if (c->def->roles[0] != AUTH_NONE || c->def->roles[1] != AUTH_NONE)
		return TPM_RC_AUTH_MISSING;
	if (audit_wanted(t, c))
		cmd_cp_hash(t, c, t->p.audit_hash);
	return 0;
}

/* rpHash = H(responseCode || commandCode || parameters): Part 1, 16.8. */
static void rp_hash(const struct cmd *c, uint16_t alg, const uint8_t *params, size_t len,
		    struct digest *out)
{
	uint8_t head[8] = { 0, 0, 0, 0, c->code >> 24, c->code >> 16, c->code >> 8, c->code };
	struct hash_ctx ctx;

	hash_start(&ctx, alg);
	hash_update(&ctx, head, sizeof(head));
	hash_update(&ctx, params, len);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

static void audit_extend(struct tpm *t, struct cmd *c, uint16_t alg, const uint8_t *params,
			 size_t len, struct digest *digest)
{
	const struct digest *cp = cmd_cp_hash(t, c, alg);
	struct hash_ctx ctx;
	struct digest rp;

	rp_hash(c, alg, params, len, &rp);
	hash_start(&ctx, alg);
	hash_update(&ctx, digest->bytes, digest->len);
	hash_update(&ctx, cp->bytes, cp->len);
	hash_update(&ctx, rp.bytes, rp.len);
	digest->len = (uint16_t)hash_finish(&ctx, digest->bytes);
}

static void audit_session(struct tpm *t, struct cmd *c, const uint8_t *params, size_t len)
{
	struct auth *a = &c->auth[c->audit];
	struct session *s = a->session;

	if (!s->audit || a->attributes & TPMA_SESSION_auditReset) {
		s->audit = true;
		s->is_bound = false;
		s->digest.len = (uint16_t)hash_size(s->hash);
		memset(s->digest.bytes, 0, s->digest.len);
		t->exclusive_audit = a->handle;
	} else if (t->exclusive_audit != a->handle) {
		t->exclusive_audit = TPM_RH_UNASSIGNED;
	}
	a->attributes &= (uint8_t)~TPMA_SESSION_auditExclusive;
	if (t->exclusive_audit == a->handle)
		a->attributes |= TPMA_SESSION_auditExclusive;
	audit_extend(t, c, s->hash, params, len, &s->digest);
}

static void audit_command(struct tpm *t, struct cmd *c, const uint8_t *params, size_t len)
{
	/* The command that reports the digest also ends it. */
	if (c->flush_audit_digest) {
		t->r.audit_digest.len = 0;
		return;
	}
	if (!audit_wanted(t, c))
		return;
	if (!t->r.audit_digest.len) {
		t->r.audit_digest.len = (uint16_t)hash_size(t->p.audit_hash);
		memset(t->r.audit_digest.bytes, 0, t->r.audit_digest.len);
		t->p.audit_counter++;
		tpm_dirty(t);
	}
	audit_extend(t, c, t->p.audit_hash, params, len, &t->r.audit_digest);
}

static void respond_one(struct tpm *t, struct cmd *c, int i, const uint8_t *params, size_t len,
			struct writer *w)
{
	struct auth *a = &c->auth[i];
	struct session *s = a->session;
	struct digest hmac = { 0 }, rp;

	if (!s) {
		write_u16(w, 0);
		write_u8(w, a->attributes | TPMA_SESSION_continueSession);
		write_u16(w, 0);
		return;
	}
	if (!s->policy || !s->password_needed) {
		rp_hash(c, s->hash, params, len, &rp);
		session_hmac(t, c, i, &rp, true, &hmac);
	}
	if (s->policy && a->attributes & TPMA_SESSION_continueSession)
		session_reset_policy(t, s);
	write_digest(w, &s->nonce);
	write_u8(w, a->attributes);
	write_digest(w, &hmac);
	if (!(a->attributes & TPMA_SESSION_continueSession))
		session_flush(t, a->handle);
}

void session_respond(struct tpm *t, struct cmd *c, uint8_t *params, size_t len, struct writer *w,
		     bool sessions)
{
	for (int i = 0; i < c->auth_count; i++)
		if (c->auth[i].session)
			drbg_read(&t->rng, c->auth[i].session->nonce.bytes,
				  c->auth[i].session->nonce.len);
	if (c->encrypt != NO_SESSION)
		crypt_first(t, c, c->encrypt, params, len, true);
	if (c->audit != NO_SESSION)
		audit_session(t, c, params, len);
	else if (!(c->def->flags & CMD_NO_SESSIONS))
		t->exclusive_audit = TPM_RH_UNASSIGNED;
	audit_command(t, c, params, len);
	for (int i = 0; sessions && i < c->auth_count; i++)
		respond_one(t, c, i, params, len, w);
}

void session_drop_entity(struct cmd *c, uint32_t handle)
{
	/* The entity is gone or changed hands; its value counts as empty in the response's HMAC. */
	for (int i = 0; i < c->auth_count; i++)
		if (c->auth[i].entity == handle)
			c->auth[i].entity = TPM_RH_NULL;
}
