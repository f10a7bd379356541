// SPDX-License-Identifier: MIT
/*
 * Sessions: loaded ones have a slot each; r.contexts says of each possible handle whether it is free, loaded, or
 * saved (and as which context). Part 1, clause 30.
 */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

#define CONTEXT_LOADED(slot) ((uint16_t)((slot) + 1))
#define CONTEXT_IS_LOADED(v) ((v) && (v) <= MAX_LOADED_SESSIONS)
#define CONTEXT_GAP_MAX      0xFFFF

struct session *session_get(struct tpm *t, uint32_t handle)
{
	for (int i = 0; i < MAX_LOADED_SESSIONS; i++)
		if (t->sessions[i].used && t->sessions[i].handle == handle)
			return &t->sessions[i];
	return NULL;
}

uint32_t session_check_handle(struct tpm *t, uint32_t handle)
{
	for (int i = 0; i < MAX_LOADED_SESSIONS; i++)
		if (t->sessions[i].used &&
		    (t->sessions[i].handle & 0xFFFFFF) == (handle & 0xFFFFFF))
			return t->sessions[i].handle == handle ? 0 : TPM_RC_HANDLE;
	return TPM_RC_REFERENCE_H0;
}

/* Loaded or saved? The type byte of a saved session's handle is not known, only its number. */
bool session_is_active(struct tpm *t, uint32_t handle)
{
	uint32_t n = handle & 0xFFFFFF;

	return n < MAX_ACTIVE_SESSIONS && t->r.contexts[n] != CONTEXT_SLOT_FREE;
}

/* By number: the type in the handle does not matter here (Part 3, 28.4). */
void session_flush(struct tpm *t, uint32_t handle)
{
	uint32_t n = handle & 0xFFFFFF;

	t->r.contexts[n] = CONTEXT_SLOT_FREE;
	for (int i = 0; i < MAX_LOADED_SESSIONS; i++) {
		struct session *s = &t->sessions[i];

		if (!s->used || (s->handle & 0xFFFFFF) != n)
			continue;
		if (t->exclusive_audit == s->handle)
			t->exclusive_audit = TPM_RH_UNASSIGNED;
		mbedtls_platform_zeroize(s, sizeof(*s));
	}
}

static int free_slot(struct tpm *t)
{
	for (int i = 0; i < MAX_LOADED_SESSIONS; i++)
		if (!t->sessions[i].used)
			return i;
	return -1;
}

/* The oldest saved context must stay distinguishable from the next one to be saved (Part 1, 30.5). */
static bool context_gap_full(const struct tpm *t)
{
	for (int i = 0; i < MAX_ACTIVE_SESSIONS; i++) {
		uint16_t v = t->r.contexts[i];

		if (v > MAX_LOADED_SESSIONS && v == (uint16_t)(t->r.context_counter & 0xFFFF))
			return true;
	}
	return false;
}

uint32_t session_create(struct tpm *t, bool policy, struct session **out)
{
	int slot = free_slot(t);
	struct session *s;

	if (slot < 0)
		return TPM_RC_SESSION_MEMORY;
	for (uint32_t n = 0; n < MAX_ACTIVE_SESSIONS; n++) {
		if (t->r.contexts[n] != CONTEXT_SLOT_FREE)
			continue;
		s = &t->sessions[slot];
		memset(s, 0, sizeof(*s));
		s->used = true;
		s->policy = policy;
		s->handle = (policy ? POLICY_SESSION_FIRST : HMAC_SESSION_FIRST) + n;
		t->r.contexts[n] = CONTEXT_LOADED(slot);
		*out = s;
		return 0;
	}
	return TPM_RC_SESSION_HANDLES;
}

uint32_t session_context_save(struct tpm *t, uint32_t handle, uint64_t *id)
{
	if (context_gap_full(t))
		return TPM_RC_CONTEXT_GAP;
	*id = t->r.context_counter;
	t->r.contexts[handle & 0xFFFFFF] = (uint16_t)t->r.context_counter;
	/* Values that mean "free" or "loaded" are skipped. */
	do
		t->r.context_counter++;
	while ((t->r.context_counter & 0xFFFF) <= MAX_LOADED_SESSIONS);
	return 0;
}

uint32_t session_context_load(struct tpm *t, const struct session *saved, uint64_t id)
{
	uint32_t n = saved->handle & 0xFFFFFF;
	int slot;

	if (n >= MAX_ACTIVE_SESSIONS || t->r.contexts[n] <= MAX_LOADED_SESSIONS ||
	    t->r.contexts[n] != (uint16_t)id)
		return TPM_RC_HANDLE;
	slot = free_slot(t);
	if (slot < 0)
		return TPM_RC_SESSION_MEMORY;
	/* With one slot left, only the oldest saved session may take it once the gap is full. */
	t->sessions[slot] = *saved;
	t->sessions[slot].used = true;
	t->r.contexts[n] = CONTEXT_LOADED(slot);
	return 0;
}

void session_startup(struct tpm *t, bool keep)
{
	memset(t->sessions, 0, sizeof(t->sessions));
	t->exclusive_audit = TPM_RH_UNASSIGNED;
	for (int i = 0; i < MAX_ACTIVE_SESSIONS; i++)
		if (!keep || t->r.contexts[i] <= MAX_LOADED_SESSIONS)
			t->r.contexts[i] = CONTEXT_SLOT_FREE;
	if (!keep)
		t->r.context_counter = MAX_LOADED_SESSIONS + 1;
}

void session_bound_entity(struct tpm *t, uint32_t handle, struct name *out)
{
	struct digest auth;

	entity_name(t, handle, out);
	entity_auth(t, handle, &auth);
	/* Part 1, 19.6.14: the name, with the authorisation value XORed in from the far end, padded with zeros */
	memset(out->bytes + out->len, 0, sizeof(out->bytes) - out->len);
	out->len = sizeof(out->bytes);
	for (unsigned int i = 0; i < auth.len; i++)
		out->bytes[out->len - 1 - i] ^= auth.bytes[i];
	mbedtls_platform_zeroize(&auth, sizeof(auth));
}

bool session_pcr_current(struct tpm *t, const struct session *s)
{
	return !s->pcr_counter || s->pcr_counter == t->r.pcr_counter;
}

void session_reset_policy(struct tpm *t, struct session *s)
{
	s->command_code = 0;
	s->auth_value_needed = s->password_needed = s->pp_needed = false;
	s->check_written = s->written_state = false;
	s->cp_hash_set = s->name_hash_set = s->template_set = false;
	s->limit.len = 0;
	s->pcr_counter = 0;
	s->timeout = 0;
	s->locality = 0;
	s->digest.len = (uint16_t)hash_size(s->hash);
	memset(s->digest.bytes, 0, sizeof(s->digest.bytes));
	s->start_time = t->time;
	s->epoch = t->epoch;
}

static void xfer_sym(struct xfer *x, struct sym_def *sym)
{
	xfer_u16(x, &sym->alg);
	xfer_u16(x, &sym->bits);
	xfer_u16(x, &sym->mode);
}

void session_xfer(struct xfer *x, struct session *s)
{
	xfer_bool(x, &s->used);
	if (!s->used)
		return;
	xfer_u32(x, &s->handle);
	xfer_u16(x, &s->hash);
	if (!hash_size(s->hash))
		x->bad = true;
	xfer_sym(x, &s->sym);
	xfer_counted(x, &s->nonce.len, s->nonce.bytes, sizeof(s->nonce.bytes));
	xfer_counted(x, &s->key.len, s->key.bytes, sizeof(s->key.bytes));
	xfer_counted(x, &s->digest.len, s->digest.bytes, sizeof(s->digest.bytes));
	xfer_counted(x, &s->bound.len, s->bound.bytes, sizeof(s->bound.bytes));
	xfer_counted(x, &s->limit.len, s->limit.bytes, sizeof(s->limit.bytes));
	xfer_bool(x, &s->policy);
	xfer_bool(x, &s->trial);
	xfer_bool(x, &s->is_bound);
	xfer_bool(x, &s->da_bound);
	xfer_bool(x, &s->lockout_bound);
	xfer_bool(x, &s->audit);
	xfer_bool(x, &s->cp_hash_set);
	xfer_bool(x, &s->name_hash_set);
	xfer_bool(x, &s->template_set);
	xfer_bool(x, &s->auth_value_needed);
	xfer_bool(x, &s->password_needed);
	xfer_bool(x, &s->pp_needed);
	xfer_bool(x, &s->check_written);
	xfer_bool(x, &s->written_state);
	xfer_u8(x, &s->locality);
	xfer_u32(x, &s->command_code);
	xfer_u32(x, &s->pcr_counter);
	xfer_u64(x, &s->start_time);
	xfer_u64(x, &s->timeout);
	xfer_u32(x, &s->epoch);
}

/* sessionKey = KDFa(hash, authValue(bind) || salt, "ATH", nonceTPM, nonceCaller, bits): Part 1, 19.6.8. */
static void derive_key(struct tpm *t, struct session *s, uint32_t bind, const struct digest *salt,
		       const struct digest *nonce)
{
	uint8_t key[2 * HASH_MAX_SIZE];
	struct digest auth = { 0 };
	size_t len;

	if (bind != TPM_RH_NULL)
		entity_auth(t, bind, &auth);
	memcpy(key, auth.bytes, auth.len);
	memcpy(key + auth.len, salt->bytes, salt->len);
	len = auth.len + salt->len;
	if (bind == TPM_RH_NULL && !salt->len) {
		s->key.len = 0;
		return;
	}
	s->key.len = (uint16_t)hash_size(s->hash);
	kdf_a(s->hash, (struct span){ key, len }, "ATH", digest_span(&s->nonce), digest_span(nonce),
	      s->key.len * 8u, s->key.bytes);
	mbedtls_platform_zeroize(key, sizeof(key));
	mbedtls_platform_zeroize(&auth, sizeof(auth));
}

static uint32_t check_bind(struct tpm *t, uint32_t bind)
{
	switch (TPM_HANDLE_TYPE(bind)) {
	case TPM_HT_TRANSIENT: /* its authorisation value must be here */
		return object_get(t, bind)->public_only ? rc_handle(TPM_RC_HANDLE, 2) : 0;
	case TPM_HT_NV_INDEX: /* a PIN's uses are counted, which those of a session would escape */
		return nv_is_pin(nv_find(t, bind)) ? rc_handle(TPM_RC_HANDLE, 2) : 0;
	default:
		return 0;
	}
}

static uint32_t decrypt_salt(struct tpm *t, uint32_t key_handle, struct span secret,
			     struct digest *salt)
{
	struct object *key;
	uint32_t rc;

	if (key_handle == TPM_RH_NULL)
		return secret.len ? rc_param(TPM_RC_VALUE, 2) : 0;
	key = object_get(t, key_handle);
	if (key->kind != OBJECT_KEY ||
	    (key->pub.type != TPM_ALG_RSA && key->pub.type != TPM_ALG_ECC))
		return rc_handle(TPM_RC_KEY, 1);
	if (!secret.len)
		return rc_param(TPM_RC_VALUE, 2);
	if (key->public_only)
		return rc_handle(TPM_RC_HANDLE, 1);
	if (!(key->pub.attributes & TPMA_OBJECT_decrypt))
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	rc = secret_open(t, key, "SECRET", secret, salt);
	return rc ? rc_param(TPM_RC_VALUE, 2) : 0;
}

static void start_session(struct tpm *t, struct session *s, uint8_t type, uint32_t bind,
			  const struct digest *salt, const struct digest *nonce)
{
	s->trial = type == TPM_SE_TRIAL;
	s->nonce.len = nonce->len;
	drbg_read(&t->rng, s->nonce.bytes, s->nonce.len);
	session_reset_policy(t, s);
	derive_key(t, s, bind, salt, nonce);
	if (bind == TPM_RH_NULL)
		return;
	s->da_bound = !entity_da_exempt(t, bind);
	s->lockout_bound = bind == TPM_RH_LOCKOUT;
	if (type == TPM_SE_HMAC) {
		s->is_bound = true;
		session_bound_entity(t, bind, &s->bound);
	}
}

static uint32_t read_session_type(struct reader *r, uint8_t *type)
{
	if (!read_u8(r, type))
		return TPM_RC_INSUFFICIENT;
	return *type == TPM_SE_HMAC || *type == TPM_SE_POLICY || *type == TPM_SE_TRIAL
		       ? 0
		       : TPM_RC_VALUE;
}

/* Part 3, 11.1 */
HANDLER(start_auth_session)
{
	struct digest nonce, salt = { 0 };
	struct session *s;
	struct sym_def sym;
	struct span secret;
	uint16_t hash;
	uint8_t type = 0;
	uint32_t rc;

	arg_digest(c, &nonce);
	arg_2b(c, RSA_MAX_BYTES, &secret);
	arg_with(c, read_session_type(&c->in, &type));
	arg_with(c, read_sym_def(&c->in, NULL_OK, &sym));
	arg_hash(c, NO_NULL, &hash);
	rc = args_end(c);
	if (rc)
		return rc;
	if (nonce.len < 16 || nonce.len > hash_size(hash))
		return rc_param(TPM_RC_SIZE, 1);
	rc = decrypt_salt(t, c->handles[0], secret, &salt);
	if (!rc && c->handles[1] != TPM_RH_NULL)
		rc = check_bind(t, c->handles[1]);
	if (!rc && sym.alg != TPM_ALG_NULL && sym.alg != TPM_ALG_XOR && sym.mode != TPM_ALG_CFB)
		rc = rc_param(TPM_RC_MODE, 4);
	if (!rc)
		rc = session_create(t, type != TPM_SE_HMAC, &s);
	if (rc)
		return rc;
	s->hash = hash;
	s->sym = sym;
	start_session(t, s, type, c->handles[1], &salt, &nonce);
	mbedtls_platform_zeroize(&salt, sizeof(salt));
	c->rsp_handle = s->handle;
	write_digest(&c->out, &s->nonce);
	return 0;
}

/* Part 3, 11.2 */
HANDLER(policy_restart)
{
	uint32_t rc = args_end(c);
	struct session *s;

	if (rc)
		return rc;
	s = session_get(t, c->handles[0]);
	if (!s)
		return rc_handle(TPM_RC_VALUE, 1);
	session_reset_policy(t, s);
	return 0;
}
