// SPDX-License-Identifier: MIT
/* Parameter readers, and the handle types of Part 2, clause 9. */
#include <string.h>
#include "tpm/engine/modules.h"

void arg_u8(struct cmd *c, uint8_t *v)
{
	*v = 0;
	arg_with(c, read_u8(&c->in, v) ? 0 : TPM_RC_INSUFFICIENT);
}

void arg_u16(struct cmd *c, uint16_t *v)
{
	*v = 0;
	arg_with(c, read_u16(&c->in, v) ? 0 : TPM_RC_INSUFFICIENT);
}

void arg_u32(struct cmd *c, uint32_t *v)
{
	*v = 0;
	arg_with(c, read_u32(&c->in, v) ? 0 : TPM_RC_INSUFFICIENT);
}

void arg_u64(struct cmd *c, uint64_t *v)
{
	*v = 0;
	arg_with(c, read_u64(&c->in, v) ? 0 : TPM_RC_INSUFFICIENT);
}

static uint32_t read_yes_no(struct reader *r, bool *v)
{
	uint8_t byte;

	if (!read_u8(r, &byte))
		return TPM_RC_INSUFFICIENT;
	*v = byte;
	return byte > 1 ? TPM_RC_VALUE : 0;
}

void arg_yes_no(struct cmd *c, bool *v)
{
	*v = false;
	arg_with(c, read_yes_no(&c->in, v));
}

void arg_2b(struct cmd *c, size_t max, struct span *v)
{
	*v = SPAN_NONE;
	arg_with(c, read_2b(&c->in, max, v));
}

void arg_digest(struct cmd *c, struct digest *v)
{
	v->len = 0;
	arg_with(c, read_digest(&c->in, v));
}

void arg_hash(struct cmd *c, enum null_rule rule, uint16_t *v)
{
	*v = TPM_ALG_NULL;
	arg_with(c, read_hash_alg(&c->in, rule, v));
}

static uint32_t read_handle(struct reader *r, uint8_t kind, uint32_t *v)
{
	return read_u32(r, v) ? handle_check(*v, kind) : TPM_RC_INSUFFICIENT;
}

void arg_handle(struct cmd *c, uint8_t kind, uint32_t *v)
{
	*v = TPM_RH_NULL;
	arg_with(c, read_handle(&c->in, kind, v));
}

static bool is_object(uint32_t h)
{
	/* A transient handle that no slot can have is no handle at all. */
	if (TPM_HANDLE_TYPE(h) == TPM_HT_TRANSIENT)
		return h - TRANSIENT_FIRST < MAX_LOADED_OBJECTS;
	return TPM_HANDLE_TYPE(h) == TPM_HT_PERSISTENT;
}

static bool is_hierarchy(uint32_t h)
{
	return h == TPM_RH_OWNER || h == TPM_RH_PLATFORM || h == TPM_RH_ENDORSEMENT;
}

static bool is_pcr(uint32_t h)
{
	return h < PCR_COUNT;
}

static bool is_nv(uint32_t h)
{
	return TPM_HANDLE_TYPE(h) == TPM_HT_NV_INDEX;
}

static bool is_act(uint32_t h)
{
	return h >= TPM_RH_ACT_0 && h <= TPM_RH_ACT_F;
}

static bool is_session(uint32_t h, uint8_t type)
{
	return TPM_HANDLE_TYPE(h) == type && (h & 0xFFFFFF) < MAX_ACTIVE_SESSIONS;
}

static bool handle_is(uint32_t h, uint8_t kind)
{
	switch (kind) {
	case H_OBJECT:
		return is_object(h);
	case H_PARENT:
		return is_object(h) || is_hierarchy(h);
	case H_ENTITY:
		return is_object(h) || is_hierarchy(h) || is_pcr(h) || is_nv(h) ||
		       h == TPM_RH_LOCKOUT;
	case H_PCR:
		return is_pcr(h);
	case H_SESSION:
		return is_session(h, TPM_HT_HMAC_SESSION) || is_session(h, TPM_HT_POLICY_SESSION);
	case H_HMAC:
		return is_session(h, TPM_HT_HMAC_SESSION);
	case H_POLICY:
		return is_session(h, TPM_HT_POLICY_SESSION);
	case H_HIERARCHY:
		return is_hierarchy(h);
	case H_HIERARCHY_AUTH:
		return is_hierarchy(h) || h == TPM_RH_LOCKOUT;
	case H_HIERARCHY_POLICY:
		return is_hierarchy(h) || h == TPM_RH_LOCKOUT || is_act(h);
	case H_PLATFORM:
		return h == TPM_RH_PLATFORM;
	case H_ENDORSEMENT:
		return h == TPM_RH_ENDORSEMENT;
	case H_PROVISION:
		return h == TPM_RH_OWNER || h == TPM_RH_PLATFORM;
	case H_CLEAR:
		return h == TPM_RH_LOCKOUT || h == TPM_RH_PLATFORM;
	case H_LOCKOUT:
		return h == TPM_RH_LOCKOUT;
	case H_NV_AUTH:
		return h == TPM_RH_OWNER || h == TPM_RH_PLATFORM || is_nv(h);
	case H_NV_INDEX:
		return is_nv(h);
	case H_CONTEXT:
		return handle_is(h, H_SESSION) ||
		       (TPM_HANDLE_TYPE(h) == TPM_HT_TRANSIENT && is_object(h));
	case H_ACT:
		return is_act(h);
	case H_AC:
		return h >= AC_FIRST && h <= AC_LAST;
	default:
		return false;
	}
}

uint32_t handle_check(uint32_t handle, uint8_t kind)
{
	if (handle == TPM_RH_NULL && kind & HANDLE_NULL)
		return 0;
	return handle_is(handle, kind & ~HANDLE_NULL) ? 0 : TPM_RC_VALUE;
}

const struct digest *cmd_cp_hash(struct tpm *t, struct cmd *c, uint16_t alg)
{
	struct digest *cp = &c->cp_hash[hash_index(alg)];
	uint8_t code[4] = { c->code >> 24, c->code >> 16, c->code >> 8, c->code };
	struct hash_ctx ctx;

	if (cp->len)
		return cp;
	hash_start(&ctx, alg);
	hash_update(&ctx, code, 4);
	for (unsigned int i = 0; i < command_handle_count(c->def); i++) {
		struct name name;

		entity_name(t, c->handles[i], &name);
		hash_update(&ctx, name.bytes, name.len);
	}
	hash_update(&ctx, c->params, c->params_len);
	cp->len = (uint16_t)hash_finish(&ctx, cp->bytes);
	return cp;
}
