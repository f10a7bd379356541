// SPDX-License-Identifier: MIT
/* Policy assertions that rest on a signature, a secret, a ticket or another policy (Part 3, 23.3 to 23.5, 23.16). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/policy.h"

#define EXPIRES_ON_RESET (1ull << 63) /* in TPM2B_TIMEOUT, whose contents are ours to define */

/* The parameters that PolicySigned, PolicySecret and PolicyTicket have in common. */
struct assertion {
	struct digest nonce, cp_hash;
	struct span ref;
	int32_t expiration;
	uint64_t timeout; /* absolute, ms of Time; 0: none */
	struct name entity;
};

static uint64_t absolute_timeout(const struct session *s, const struct assertion *a)
{
	uint64_t seconds = (uint64_t)(a->expiration < 0 ? -(int64_t)a->expiration : a->expiration);

	if (!a->expiration)
		return 0;
	/* Without a nonce the caller names a point in Time; with one, a span after the session's start. */
	return seconds * 1000 + (a->nonce.len ? s->start_time : 0);
}

/* Parameter numbers to blame for the nonce, cpHashA and the expiration. */
static uint32_t check_assertion(struct tpm *t, const struct session *s, const struct assertion *a,
				unsigned int nonce_no, unsigned int cp_no, unsigned int time_no)
{
	if (a->nonce.len && !digest_equal(&a->nonce, &s->nonce))
		return rc_param(TPM_RC_NONCE, nonce_no);
	if (a->timeout && a->timeout < t->time)
		return rc_param(TPM_RC_EXPIRED, time_no);
	if (!a->cp_hash.len)
		return 0;
	if (a->cp_hash.len != hash_size(s->hash))
		return rc_param(TPM_RC_SIZE, cp_no);
	return s->limit.len && !(s->cp_hash_set && digest_equal(&s->limit, &a->cp_hash))
		       ? TPM_RC_CPHASH
		       : 0;
}

static void update_twice(struct session *s, uint32_t code, const struct name *entity,
			 struct span ref)
{
	struct hash_ctx ctx;

	policy_extend(s, code, name_span(entity), SPAN_NONE);
	hash_start(&ctx, s->hash);
	hash_update(&ctx, s->digest.bytes, s->digest.len);
	hash_update(&ctx, ref.data, ref.len);
	policy_end(&ctx, s);
}

static void accept_assertion(struct session *s, uint32_t code, const struct assertion *a)
{
	update_twice(s, code, &a->entity, a->ref);
	if (a->cp_hash.len) {
		s->limit = a->cp_hash;
		s->cp_hash_set = true;
	}
	if (a->timeout && (!s->timeout || a->timeout < s->timeout))
		s->timeout = a->timeout;
}

static void auth_ticket(struct tpm *t, uint16_t tag, uint32_t hierarchy, const struct assertion *a,
			bool on_reset, struct ticket *ticket)
{
	uint8_t body[2 * (2 + HASH_MAX_SIZE) + 2 * (2 + NAME_MAX_SIZE) + 32];
	struct writer w = { .buf = body, .max = sizeof(body) };

	write_digest(&w, &a->cp_hash);
	write_2b(&w, a->ref.data, a->ref.len);
	write_name(&w, &a->entity);
	write_u64(&w, a->timeout);
	write_u32(&w, a->timeout ? t->epoch : 0);
	write_u64(&w, on_reset ? t->p.total_reset_count : 0);
	ticket_make(t, tag, hierarchy, (struct span){ body, w.len }, SPAN_NONE, ticket);
}

static void write_assertion_result(struct tpm *t, struct cmd *c, uint16_t tag, uint32_t hierarchy,
				   const struct assertion *a, bool with_ticket)
{
	struct ticket ticket = { .tag = tag, .hierarchy = TPM_RH_NULL };
	bool on_reset = !a->nonce.len;

	if (!with_ticket) {
		write_u16(&c->out, 0);
	} else {
		auth_ticket(t, tag, hierarchy, a, on_reset, &ticket);
		write_u16(&c->out, 8);
		write_u64(&c->out, a->timeout | (on_reset ? EXPIRES_ON_RESET : 0));
	}
	write_ticket(&c->out, &ticket);
}

static void assertion_args(struct cmd *c, struct assertion *a)
{
	uint32_t expiration;

	arg_digest(c, &a->nonce);
	arg_digest(c, &a->cp_hash);
	arg_2b(c, HASH_MAX_SIZE, &a->ref);
	arg_u32(c, &expiration);
	a->expiration = (int32_t)expiration;
}

static void signed_hash(uint16_t alg, const struct assertion *a, struct digest *out)
{
	uint32_t v = (uint32_t)a->expiration;
	uint8_t expiration[4] = { v >> 24, v >> 16, v >> 8, (uint8_t)v };
	struct hash_ctx ctx;

	hash_start(&ctx, alg);
	hash_update(&ctx, a->nonce.bytes, a->nonce.len);
	hash_update(&ctx, expiration, 4);
	hash_update(&ctx, a->cp_hash.bytes, a->cp_hash.len);
	hash_update(&ctx, a->ref.data, a->ref.len);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

/* 23.3 */
HANDLER(policy_signed)
{
	struct object *key = object_get(t, c->handles[0]);
	struct session *s = session_get(t, c->handles[1]);
	struct assertion a = { 0 };
	struct signature sig;
	struct digest digest;
	uint32_t rc;

	assertion_args(c, &a);
	arg_with(c, read_signature(&c->in, NO_NULL, &sig));
	rc = args_end(c);
	if (rc)
		return rc;
	a.timeout = absolute_timeout(s, &a);
	if (!s->trial) {
		rc = check_assertion(t, s, &a, 1, 2, 4);
		if (rc)
			return rc;
		signed_hash(sig.hash, &a, &digest);
		rc = key->kind == OBJECT_KEY ? sign_verify(t, key, &digest, &sig) : TPM_RC_SCHEME;
		if (rc)
			return rc_param(rc, 5);
	}
	entity_name(t, c->handles[0], &a.entity);
	accept_assertion(s, c->code, &a);
	write_assertion_result(t, c, TPM_ST_AUTH_SIGNED, entity_hierarchy(t, c->handles[0]), &a,
			       a.expiration < 0 && !s->trial);
	return 0;
}

static bool is_pin_pass(struct tpm *t, uint32_t handle)
{
	struct nv_index *index =
		TPM_HANDLE_TYPE(handle) == TPM_HT_NV_INDEX ? nv_find(t, handle) : NULL;

	return index && nv_type(index) == TPM_NT_PIN_PASS;
}

/* 23.4 */
HANDLER(policy_secret)
{
	struct session *s = session_get(t, c->handles[1]);
	struct assertion a = { 0 };
	uint32_t rc;

	assertion_args(c, &a);
	rc = args_end(c);
	if (rc)
		return rc;
	a.timeout = absolute_timeout(s, &a);
	if (!s->trial) {
		rc = check_assertion(t, s, &a, 1, 2, 4);
		if (rc)
			return rc;
	}
	entity_name(t, c->handles[0], &a.entity);
	accept_assertion(s, c->code, &a);
	/* A PIN that counts its uses cannot be used again through a ticket. */
	write_assertion_result(t, c, TPM_ST_AUTH_SECRET, entity_hierarchy(t, c->handles[0]), &a,
			       a.expiration < 0 && !s->trial && !is_pin_pass(t, c->handles[0]));
	return 0;
}

/* 23.5 */
HANDLER(policy_ticket)
{
	struct session *s = session_get(t, c->handles[0]);
	struct span timeout, name;
	struct ticket ticket, own;
	struct assertion a = { 0 };
	struct reader r;
	bool on_reset;
	uint32_t rc;

	arg_2b(c, HASH_MAX_SIZE, &timeout);
	arg_digest(c, &a.cp_hash);
	arg_2b(c, HASH_MAX_SIZE, &a.ref);
	arg_2b(c, NAME_MAX_SIZE, &name);
	arg_with(c, read_ticket(&c->in, TPM_ST_AUTH_SIGNED, TPM_ST_AUTH_SECRET, &ticket));
	rc = args_end(c);
	if (rc)
		return rc;
	if (s->trial)
		return rc_handle(TPM_RC_ATTRIBUTES, 1);
	if (timeout.len != 8)
		return rc_param(TPM_RC_SIZE, 1);
	r = (struct reader){ timeout.data, timeout.len };
	read_u64(&r, &a.timeout);
	on_reset = a.timeout & EXPIRES_ON_RESET;
	a.timeout &= ~EXPIRES_ON_RESET;
	rc = check_assertion(t, s, &a, 1, 2, 1);
	if (rc)
		return rc;
	a.entity.len = (uint16_t)name.len;
	if (name.len)
		memcpy(a.entity.bytes, name.data, name.len);
	auth_ticket(t, ticket.tag, ticket.hierarchy, &a, on_reset, &own);
	if (!digest_equal(&own.digest, &ticket.digest))
		return rc_param(TPM_RC_TICKET, 5);
	accept_assertion(
		s, ticket.tag == TPM_ST_AUTH_SIGNED ? TPM_CC_PolicySigned : TPM_CC_PolicySecret,
		&a);
	return 0;
}

static uint16_t name_hash(const struct name *key)
{
	return (uint16_t)(key->bytes[0] << 8 | key->bytes[1]);
}

/* Of keySign: the Name of a key begins with the hash that made the rest of it. */
static uint32_t check_key_name(const struct name *key)
{
	if (key->len < 2)
		return rc_param(TPM_RC_SIZE, 3);
	if (!hash_size(name_hash(key)))
		return rc_param(TPM_RC_HASH, 3);
	return key->len == 2 + hash_size(name_hash(key)) ? 0 : rc_param(TPM_RC_SIZE, 3);
}

static uint32_t check_approval(struct tpm *t, const struct session *s, const struct digest *policy,
			       struct span ref, const struct name *key, const struct ticket *ticket)
{
	struct hash_ctx ctx;
	struct digest a_hash;
	struct ticket own;

	if (!digest_equal(policy, &s->digest))
		return rc_param(TPM_RC_VALUE, 1);
	hash_start(&ctx, name_hash(key));
	hash_update(&ctx, policy->bytes, policy->len);
	hash_update(&ctx, ref.data, ref.len);
	a_hash.len = (uint16_t)hash_finish(&ctx, a_hash.bytes);
	ticket_make(t, TPM_ST_VERIFIED, ticket->hierarchy, digest_span(&a_hash), name_span(key),
		    &own);
	return digest_equal(&own.digest, &ticket->digest) ? 0 : rc_param(TPM_RC_VALUE, 4);
}

/* 23.16 */
HANDLER(policy_authorize)
{
	struct session *s = session_get(t, c->handles[0]);
	struct digest policy;
	struct span ref, key_name;
	struct ticket ticket;
	struct name key;
	uint32_t rc;

	arg_digest(c, &policy);
	arg_2b(c, HASH_MAX_SIZE, &ref);
	arg_2b(c, NAME_MAX_SIZE, &key_name);
	arg_with(c, read_ticket(&c->in, TPM_ST_VERIFIED, TPM_ST_VERIFIED, &ticket));
	rc = args_end(c);
	if (rc)
		return rc;
	key.len = (uint16_t)key_name.len;
	if (key.len)
		memcpy(key.bytes, key_name.data, key.len);
	rc = check_key_name(&key);
	if (!rc && !s->trial)
		rc = check_approval(t, s, &policy, ref, &key, &ticket);
	if (rc)
		return rc;
	policy_zero(s);
	update_twice(s, c->code, &key, ref);
	return 0;
}
