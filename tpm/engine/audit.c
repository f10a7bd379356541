// SPDX-License-Identifier: MIT
/* Sets of commands: what is audited and what needs physical presence (Part 3, clauses 21 and 26). */
#include <string.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

bool bitmap_get(const uint8_t *map, uint32_t code)
{
	uint32_t n = code - TPM_CC_FIRST;

	return code >= TPM_CC_FIRST && code <= TPM_CC_LAST && map[n / 8] >> (n % 8) & 1;
}

void bitmap_set(uint8_t *map, uint32_t code, bool v)
{
	uint32_t n = code - TPM_CC_FIRST;

	if (v)
		map[n / 8] |= (uint8_t)(1u << (n % 8));
	else
		map[n / 8] &= (uint8_t) ~(1u << (n % 8));
}

struct cc_list {
	uint32_t count;
	uint32_t list[256];
};

static uint32_t read_cc_list(struct reader *r, struct cc_list *v)
{
	if (!read_u32(r, &v->count))
		return TPM_RC_INSUFFICIENT;
	if (v->count > 256) {
		v->count = 0;
		return TPM_RC_SIZE;
	}
	for (uint32_t i = 0; i < v->count; i++) {
		if (!read_u32(r, &v->list[i]))
			return TPM_RC_INSUFFICIENT;
	}
	return 0;
}

static bool may_audit(uint32_t code)
{
	const struct command *def = command_find(code);

	return def && !(def->flags & CMD_NO_AUDIT) && code != TPM_CC_SetCommandCodeAuditStatus;
}

/* 21.2 */
HANDLER(set_command_code_audit_status)
{
	struct cc_list set, clear;
	uint16_t alg;
	uint32_t rc;
	bool changed = false;

	arg_hash(c, NULL_OK, &alg);
	arg_with(c, read_cc_list(&c->in, &set));
	arg_with(c, read_cc_list(&c->in, &clear));
	rc = args_end(c);
	if (rc)
		return rc;
	if (alg != TPM_ALG_NULL && alg != t->p.audit_hash) {
		/* The lists must be empty when the algorithm changes */
		if (set.count || clear.count)
			return rc_param(TPM_RC_VALUE, 1);
		t->p.audit_hash = alg;
		t->r.audit_digest.len = 0;
		tpm_dirty(t);
		return 0;
	}
	for (uint32_t i = 0; i < set.count; i++)
		if (may_audit(set.list[i]) && !bitmap_get(t->p.audit_commands, set.list[i])) {
			bitmap_set(t->p.audit_commands, set.list[i], true);
			changed = true;
		}
	for (uint32_t i = 0; i < clear.count; i++)
		if (may_audit(clear.list[i]) && bitmap_get(t->p.audit_commands, clear.list[i])) {
			bitmap_set(t->p.audit_commands, clear.list[i], false);
			changed = true;
		}
	if (changed)
		tpm_dirty(t);
	/* the response's audit needs this command's cpHash, which is made before the change when it was audited */
	cmd_cp_hash(t, c, t->p.audit_hash);
	return 0;
}

bool command_pp_required(struct tpm *t, const struct command *def)
{
	return bitmap_get(t->p.pp_commands, def->code);
}

/* 26.2 */
HANDLER(pp_commands)
{
	struct cc_list set, clear;
	uint32_t rc;

	arg_with(c, read_cc_list(&c->in, &set));
	arg_with(c, read_cc_list(&c->in, &clear));
	rc = args_end(c);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < set.count; i++) {
		const struct command *def = command_find(set.list[i]);

		if (def && def->flags & CMD_PP)
			bitmap_set(t->p.pp_commands, set.list[i], true);
	}
	for (uint32_t i = 0; i < clear.count; i++) {
		const struct command *def = command_find(clear.list[i]);

		if (def && def->flags & CMD_PP)
			bitmap_set(t->p.pp_commands, clear.list[i], false);
	}
	tpm_dirty(t);
	return 0;
}

/* 26.3 */
HANDLER(set_algorithm_set)
{
	uint32_t set, rc;

	arg_u32(c, &set);
	rc = args_end(c);
	if (rc)
		return rc;
	t->p.algorithm_set = set;
	tpm_dirty(t);
	return 0;
}
