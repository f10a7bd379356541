// SPDX-License-Identifier: MIT
/* Policy assertions about NV contents, clocks and counters (Part 3, 23.9, 23.10 and 23.22). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/policy.h"

static bool bits_match(const uint8_t *a, struct span b, bool set)
{
	for (size_t i = 0; i < b.len; i++)
		if ((set ? a[i] & b.data[i] : ~a[i] & b.data[i]) != b.data[i])
			return false;
	return true;
}

/*
 * Two negative operands compare by magnitude as unsigned numbers, the larger being the lesser: sign and magnitude
 * rather than two's complement. Part 4 (the reference code) decides that, and tpm2-tools' policy tests rely on it.
 */
static int compare_signed(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (!len)
		return 0;
	if ((a[0] ^ b[0]) & 0x80)
		return a[0] & 0x80 ? -1 : 1;
	return a[0] & 0x80 ? memcmp(b, a, len) : memcmp(a, b, len);
}

/* TPM_EO (Part 2, 6.8): is operandA <op> operandB? */
static bool operation_holds(const uint8_t *a, struct span b, uint16_t op)
{
	int u = b.len ? memcmp(a, b.data, b.len) : 0, s = compare_signed(a, b.data, b.len);

	switch (op) {
	case TPM_EO_EQ:
		return !u;
	case TPM_EO_NEQ:
		return u;
	case TPM_EO_SIGNED_GT:
		return s > 0;
	case TPM_EO_UNSIGNED_GT:
		return u > 0;
	case TPM_EO_SIGNED_LT:
		return s < 0;
	case TPM_EO_UNSIGNED_LT:
		return u < 0;
	case TPM_EO_SIGNED_GE:
		return s >= 0;
	case TPM_EO_UNSIGNED_GE:
		return u >= 0;
	case TPM_EO_SIGNED_LE:
		return s <= 0;
	case TPM_EO_UNSIGNED_LE:
		return u <= 0;
	case TPM_EO_BITSET:
		return bits_match(a, b, true);
	default:
		return bits_match(a, b, false);
	}
}

struct comparison {
	struct span operand;
	uint16_t offset, op;
};

static uint32_t comparison_args(struct cmd *c, struct comparison *cmp)
{
	arg_2b(c, HASH_MAX_SIZE, &cmp->operand);
	arg_u16(c, &cmp->offset);
	cmp->op = 0;
	arg_with(c, !read_u16(&c->in, &cmp->op) ? TPM_RC_INSUFFICIENT
		    : cmp->op > TPM_EO_BITCLEAR ? TPM_RC_VALUE
						: 0);
	return args_end(c);
}

static uint32_t compare(const struct comparison *cmp, const uint8_t *data, size_t len,
			uint32_t too_long)
{
	if (cmp->offset > len)
		return rc_param(TPM_RC_VALUE, 2);
	if (cmp->operand.len > len - cmp->offset)
		return too_long;
	return operation_holds(data + cmp->offset, cmp->operand, cmp->op) ? 0 : TPM_RC_POLICY;
}

/* args = H(operandB || offset || operation) */
static void comparison_digest(const struct comparison *cmp, uint16_t alg, struct digest *out)
{
	uint8_t tail[4] = { cmp->offset >> 8, (uint8_t)cmp->offset, cmp->op >> 8,
			    (uint8_t)cmp->op };
	struct hash_ctx ctx;

	hash_start(&ctx, alg);
	hash_update(&ctx, cmp->operand.data, cmp->operand.len);
	hash_update(&ctx, tail, 4);
	out->len = (uint16_t)hash_finish(&ctx, out->bytes);
}

/* 23.9 */
HANDLER(policy_nv)
{
	struct session *s = session_get(t, c->handles[2]);
	struct nv_index *index = nv_find(t, c->handles[1]);
	struct comparison cmp;
	struct digest args;
	struct name name;
	uint32_t rc = comparison_args(c, &cmp);

	if (rc)
		return rc;
	if (!s->trial) {
		rc = nv_read_access(t, c->handles[0], c->handles[1]);
		if (!rc)
			rc = compare(&cmp, index->data, index->pub.size, rc_param(TPM_RC_SIZE, 1));
		if (rc)
			return rc;
	}
	comparison_digest(&cmp, s->hash, &args);
	nv_name(index, &name);
	policy_extend(s, c->code, digest_span(&args), name_span(&name));
	return 0;
}

/* 23.10 */
HANDLER(policy_counter_timer)
{
	struct session *s = session_get(t, c->handles[0]);
	uint8_t info[32];
	struct writer w = { .buf = info, .max = sizeof(info) };
	struct comparison cmp;
	struct digest args;
	uint32_t rc = comparison_args(c, &cmp);

	if (rc)
		return rc;
	write_time_info(t, &w);
	rc = compare(&cmp, info, w.len, TPM_RC_RANGE);
	/* A trial is excused from the comparison, not from naming bytes that exist. */
	if (rc && !(s->trial && rc == TPM_RC_POLICY))
		return rc;
	comparison_digest(&cmp, s->hash, &args);
	policy_extend(s, c->code, digest_span(&args), SPAN_NONE);
	return 0;
}

/* 23.22: the index holds a TPMT_HA that is to be the session's digest */
HANDLER(policy_authorize_nv)
{
	struct session *s = session_get(t, c->handles[2]);
	struct nv_index *index = nv_find(t, c->handles[1]);
	struct reader r = { index->data, index->pub.size };
	uint32_t rc = args_end(c);
	struct span digest;
	struct name name;
	uint16_t alg;

	if (rc)
		return rc;
	if (!s->trial) {
		rc = nv_read_access(t, c->handles[0], c->handles[1]);
		if (rc)
			return rc;
		rc = read_hash_alg(&r, NO_NULL, &alg);
		if (rc)
			return rc;
		if (!read_span(&r, hash_size(alg), &digest))
			return TPM_RC_INSUFFICIENT;
		if (alg != s->hash)
			return TPM_RC_HASH;
		if (!bytes_equal(digest.data, s->digest.bytes, digest.len))
			return TPM_RC_VALUE;
	}
	policy_zero(s);
	nv_name(index, &name);
	policy_extend(s, c->code, name_span(&name), SPAN_NONE);
	return 0;
}
