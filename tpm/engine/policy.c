// SPDX-License-Identifier: MIT
/* Enhanced authorisation, the assertions without external evidence (Part 3, clause 23). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/policy.h"

static void hash_u32(struct hash_ctx *ctx, uint32_t v)
{
	uint8_t bytes[4] = { v >> 24, v >> 16, v >> 8, (uint8_t)v };

	hash_update(ctx, bytes, 4);
}

void policy_begin(struct hash_ctx *ctx, const struct session *s, uint32_t code)
{
	hash_start(ctx, s->hash);
	hash_update(ctx, s->digest.bytes, s->digest.len);
	hash_u32(ctx, code);
}

void policy_end(struct hash_ctx *ctx, struct session *s)
{
	s->digest.len = (uint16_t)hash_finish(ctx, s->digest.bytes);
}

void policy_extend(struct session *s, uint32_t code, struct span a, struct span b)
{
	struct hash_ctx ctx;

	policy_begin(&ctx, s, code);
	hash_update(&ctx, a.data, a.len);
	hash_update(&ctx, b.data, b.len);
	policy_end(&ctx, s);
}

void policy_zero(struct session *s)
{
	memset(s->digest.bytes, 0, s->digest.len);
}

static struct session *session_of(struct tpm *t, const struct cmd *c)
{
	return session_get(t, c->handles[0]);
}

/* 23.6 */
HANDLER(policy_or)
{
	struct session *s = session_of(t, c);
	struct digest_list list;
	struct hash_ctx ctx;
	bool found = false;
	uint32_t rc;

	arg_with(c, read_digest_list(&c->in, 2, &list));
	rc = args_end(c);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < list.count; i++)
		found |= digest_equal(&list.list[i], &s->digest);
	if (!found && !s->trial)
		return rc_param(TPM_RC_VALUE, 1);
	policy_zero(s);
	policy_begin(&ctx, s, c->code);
	for (uint32_t i = 0; i < list.count; i++)
		hash_update(&ctx, list.list[i].bytes, list.list[i].len);
	policy_end(&ctx, s);
	return 0;
}

/* 23.7 */
HANDLER(policy_pcr)
{
	struct session *s = session_of(t, c);
	struct pcr_selections sel;
	struct digest given, now;
	uint8_t list[64];
	struct writer w = { .buf = list, .max = sizeof(list) };
	uint32_t rc;

	arg_digest(c, &given);
	arg_with(c, read_pcr_selections(&c->in, &sel));
	rc = args_end(c);
	if (rc)
		return rc;
	pcr_digest(t, &sel, s->hash, &now);
	if (!s->trial) {
		if (s->pcr_counter && s->pcr_counter != t->r.pcr_counter)
			return TPM_RC_PCR_CHANGED;
		if (given.len && !digest_equal(&given, &now))
			return rc_param(TPM_RC_VALUE, 1);
		s->pcr_counter = t->r.pcr_counter;
	} else if (given.len) {
		now = given;
	}
	write_pcr_selections(&w, &sel);
	policy_extend(s, c->code, (struct span){ list, w.len }, digest_span(&now));
	return 0;
}

/* 23.8 */
HANDLER(policy_locality)
{
	struct session *s = session_of(t, c);
	uint8_t locality, both;
	uint32_t rc;

	arg_u8(c, &locality);
	rc = args_end(c);
	if (rc)
		return rc;
	if (!locality)
		return rc_param(TPM_RC_RANGE, 1);
	both = s->locality ? s->locality & locality : locality;
	/* Extended localities are numbers, not masks: only the same one may be given again. */
	if (s->locality && (s->locality > 31 || locality > 31) && s->locality != locality)
		return rc_param(TPM_RC_RANGE, 1);
	if (!both)
		return rc_param(TPM_RC_RANGE, 1);
	s->locality = both;
	policy_extend(s, c->code, (struct span){ &locality, 1 }, SPAN_NONE);
	return 0;
}

/* 23.11 */
HANDLER(policy_command_code)
{
	struct session *s = session_of(t, c);
	struct hash_ctx ctx;
	uint32_t code, rc;

	arg_u32(c, &code);
	rc = args_end(c);
	if (rc)
		return rc;
	if (s->command_code && s->command_code != code)
		return rc_param(TPM_RC_VALUE, 1);
	if (!command_find(code))
		return rc_param(TPM_RC_POLICY_CC, 1);
	policy_begin(&ctx, s, c->code);
	hash_u32(&ctx, code);
	policy_end(&ctx, s);
	s->command_code = code;
	return 0;
}

/* 23.12 */
HANDLER(policy_physical_presence)
{
	struct session *s = session_of(t, c);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	policy_extend(s, c->code, SPAN_NONE, SPAN_NONE);
	s->pp_needed = true;
	return 0;
}

/*
 * The session's one limit: a hash of cpHash, names or template. `kind` is the session's flag for which of them it is. One that
 * may be given again must then be the same; it cannot be joined by one of another kind.
 */
static uint32_t set_limit(struct tpm *t, struct cmd *c, bool *kind, bool again)
{
	struct session *s = session_of(t, c);
	bool taken, template = kind == &s->template_set;
	struct digest limit;
	uint32_t rc;

	arg_digest(c, &limit);
	rc = args_end(c);
	if (rc)
		return rc;
	taken = s->limit.len && !(again && *kind && digest_equal(&s->limit, &limit));
	/* Another template than before has a code of its own (23.21.1), and Part 4 has its check first. */
	if (taken && template)
		return *kind ? rc_param(TPM_RC_VALUE, 1) : TPM_RC_CPHASH;
	if (limit.len != hash_size(s->hash))
		return rc_param(TPM_RC_SIZE, 1);
	if (taken)
		return TPM_RC_CPHASH;
	s->limit = limit;
	*kind = true;
	policy_extend(s, c->code, digest_span(&limit), SPAN_NONE);
	return 0;
}

/* 23.13 */
HANDLER(policy_cp_hash)
{
	return set_limit(t, c, &session_of(t, c)->cp_hash_set, true);
}

/* 23.14 */
HANDLER(policy_name_hash)
{
	return set_limit(t, c, &session_of(t, c)->name_hash_set, false);
}

/* 23.21 */
HANDLER(policy_template)
{
	return set_limit(t, c, &session_of(t, c)->template_set, true);
}

/*
 * The names of one command's entities: all of them are its limit, and the first is in the policy only when it is to be, which
 * a byte says.
 */
static uint32_t select_names(struct session *s, const struct cmd *c, const struct span *names,
			     unsigned int count, bool include_first, uint32_t command)
{
	uint8_t byte = include_first;
	struct hash_ctx ctx;

	if (s->limit.len)
		return TPM_RC_CPHASH;
	if (s->command_code)
		return TPM_RC_COMMAND_CODE;
	policy_begin(&ctx, s, c->code);
	for (unsigned int i = !include_first; i < count; i++)
		hash_update(&ctx, names[i].data, names[i].len);
	hash_update(&ctx, &byte, 1);
	policy_end(&ctx, s);
	hash_start(&ctx, s->hash);
	for (unsigned int i = 0; i < count; i++)
		hash_update(&ctx, names[i].data, names[i].len);
	s->limit.len = (uint16_t)hash_finish(&ctx, s->limit.bytes);
	s->name_hash_set = true;
	s->command_code = command;
	return 0;
}

/* 23.15 */
HANDLER(policy_duplication_select)
{
	struct span names[2]; /* object, new parent */
	bool include;
	uint32_t rc;

	arg_2b(c, NAME_MAX_SIZE, &names[0]);
	arg_2b(c, NAME_MAX_SIZE, &names[1]);
	arg_yes_no(c, &include);
	rc = args_end(c);
	return rc ? rc : select_names(session_of(t, c), c, names, 2, include, TPM_CC_Duplicate);
}

/* 32.4 */
HANDLER(policy_ac_send_select)
{
	struct span names[3]; /* object, authorising entity, component */
	bool include;
	uint32_t rc;

	for (int i = 0; i < 3; i++)
		arg_2b(c, NAME_MAX_SIZE, &names[i]);
	arg_yes_no(c, &include);
	rc = args_end(c);
	return rc ? rc : select_names(session_of(t, c), c, names, 3, include, TPM_CC_AC_Send);
}

/* Both leave PolicyAuthValue's code in the digest; the later one says how the value is to be shown. */
static uint32_t need_auth_value(struct tpm *t, struct cmd *c, bool as_password)
{
	struct session *s = session_of(t, c);
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	policy_extend(s, TPM_CC_PolicyAuthValue, SPAN_NONE, SPAN_NONE);
	s->password_needed = as_password;
	s->auth_value_needed = !as_password;
	return 0;
}

/* 23.17 */
HANDLER(policy_auth_value)
{
	return need_auth_value(t, c, false);
}

/* 23.18 */
HANDLER(policy_password)
{
	return need_auth_value(t, c, true);
}

/* 23.19 */
HANDLER(policy_get_digest)
{
	uint32_t rc = args_end(c);

	if (!rc)
		write_digest(&c->out, &session_of(t, c)->digest);
	return rc;
}

/* 23.20 */
HANDLER(policy_nv_written)
{
	struct session *s = session_of(t, c);
	uint8_t byte;
	bool written;
	uint32_t rc;

	arg_yes_no(c, &written);
	rc = args_end(c);
	if (rc)
		return rc;
	if (s->check_written && s->written_state != written)
		return rc_param(TPM_RC_VALUE, 1);
	s->check_written = true;
	s->written_state = written;
	byte = written;
	policy_extend(s, c->code, (struct span){ &byte, 1 }, SPAN_NONE);
	return 0;
}
