// SPDX-License-Identifier: MIT
/* Hierarchies: seeds, proofs, enables and authorisations (Part 1, clause 13 and 14; Part 3, clause 24). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

bool hierarchy_enabled(struct tpm *t, uint32_t hierarchy)
{
	switch (hierarchy) {
	case TPM_RH_OWNER:
		return t->c.sh_enable;
	case TPM_RH_ENDORSEMENT:
		return t->c.eh_enable;
	case TPM_RH_PLATFORM:
		return t->ph_enable;
	default:
		return hierarchy == TPM_RH_NULL;
	}
}

const uint8_t *hierarchy_proof(struct tpm *t, uint32_t hierarchy)
{
	switch (hierarchy) {
	case TPM_RH_OWNER:
		return t->p.sh_proof;
	case TPM_RH_ENDORSEMENT:
		return t->p.eh_proof;
	case TPM_RH_PLATFORM:
		return t->p.ph_proof;
	default:
		return t->r.null_proof;
	}
}

const uint8_t *hierarchy_seed(struct tpm *t, uint32_t hierarchy)
{
	switch (hierarchy) {
	case TPM_RH_OWNER:
		return t->p.sps;
	case TPM_RH_ENDORSEMENT:
		return t->p.eps;
	case TPM_RH_PLATFORM:
		return t->p.pps;
	default:
		return t->r.null_seed;
	}
}

static uint32_t fresh(struct tpm *t, uint8_t *a, uint8_t *b)
{
	if (drbg_read(&t->rng, a, SEED_SIZE) || drbg_read(&t->rng, b, PROOF_SIZE))
		return TPM_RC_FAILURE;
	return 0;
}

uint32_t hierarchy_new_null(struct tpm *t)
{
	return fresh(t, t->r.null_seed, t->r.null_proof);
}

uint32_t permanent_init(struct tpm *t)
{
	struct permanent *p = &t->p;

	if (fresh(t, p->eps, p->eh_proof) || fresh(t, p->sps, p->sh_proof) ||
	    fresh(t, p->pps, p->ph_proof))
		return TPM_RC_FAILURE;
	p->owner_policy.alg = p->endorsement_policy.alg = p->lockout_policy.alg = TPM_ALG_NULL;
	p->pcr_policy.alg = TPM_ALG_NULL;
	da_defaults(t);
	p->clock_safe = true;
	p->audit_hash = TPM_ALG_SHA256;
	/* The audit of the command that changes the audit cannot be turned off (Part 3, 21.1). */
	bitmap_set(p->audit_commands, TPM_CC_SetCommandCodeAuditStatus, true);
	bitmap_set(p->pp_commands, TPM_CC_PP_Commands, true);
	pcr_default_allocation(t);
	return 0;
}

static void no_policy(struct policy *policy)
{
	policy->alg = TPM_ALG_NULL;
	policy->digest.len = 0;
}

static void clear_auth(struct digest *auth)
{
	mbedtls_platform_zeroize(auth, sizeof(*auth));
}

uint32_t hierarchy_clear(struct tpm *t)
{
	struct permanent *p = &t->p;

	nv_clear_owner(t);
	object_delete_hierarchy(t, TPM_RH_OWNER);
	object_delete_hierarchy(t, TPM_RH_ENDORSEMENT);
	/* New storage seed and proofs; the endorsement seed stays. */
	if (fresh(t, p->sps, p->sh_proof) || drbg_read(&t->rng, p->eh_proof, PROOF_SIZE))
		return TPM_RC_FAILURE;
	t->c.sh_enable = t->c.eh_enable = true;
	clear_auth(&p->owner_auth);
	clear_auth(&p->endorsement_auth);
	clear_auth(&p->lockout_auth);
	no_policy(&p->owner_policy);
	no_policy(&p->endorsement_policy);
	no_policy(&p->lockout_policy);
	p->clock = 0;
	p->clock_safe = true;
	t->clock_saved = 0;
	p->reset_count = p->restart_count = 0;
	da_defaults(t);
	p->audit_counter = 0;
	t->r.clear_count = 0;
	clear_auth(&t->c.pcr_auth);
	t->r.pcr_counter++;
	tpm_dirty(t);
	return 0;
}

/* 24.2 */
HANDLER(hierarchy_control)
{
	uint32_t enable, auth = c->handles[0], rc;
	bool state, *flag;

	arg_with(c, !read_u32(&c->in, &enable) ? TPM_RC_INSUFFICIENT
		    : enable == TPM_RH_OWNER || enable == TPM_RH_PLATFORM ||
				    enable == TPM_RH_ENDORSEMENT || enable == TPM_RH_PLATFORM_NV
			    ? 0
			    : TPM_RC_VALUE);
	arg_yes_no(c, &state);
	rc = args_end(c);
	if (rc)
		return rc;
	switch (enable) {
	case TPM_RH_OWNER:
	case TPM_RH_ENDORSEMENT:
		/* Its own authorisation may turn it off; only the platform turns it on. */
		if (auth != TPM_RH_PLATFORM && auth != enable)
			return TPM_RC_AUTH_TYPE;
		flag = enable == TPM_RH_OWNER ? &t->c.sh_enable : &t->c.eh_enable;
		if (state && !*flag && auth != TPM_RH_PLATFORM)
			return TPM_RC_AUTH_TYPE;
		break;
	default:
		if (auth != TPM_RH_PLATFORM)
			return TPM_RC_AUTH_TYPE;
		flag = enable == TPM_RH_PLATFORM ? &t->ph_enable : &t->c.ph_enable_nv;
		break;
	}
	if (*flag && !state && enable != TPM_RH_PLATFORM_NV)
		object_flush_hierarchy(t, enable);
	*flag = state;
	tpm_dirty(t);
	return 0;
}

/* 24.3 */
HANDLER(set_primary_policy)
{
	struct digest policy;
	uint16_t alg;
	uint32_t rc;

	arg_digest(c, &policy);
	arg_hash(c, NULL_OK, &alg);
	rc = args_end(c);
	if (rc)
		return rc;
	if (policy.len != hash_size(alg))
		return rc_param(TPM_RC_SIZE, 1);
	*permanent_policy(t, c->handles[0]) = (struct policy){ alg, policy };
	tpm_dirty(t);
	return 0;
}

/* 24.4 */
HANDLER(change_pps)
{
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (fresh(t, t->p.pps, t->p.ph_proof))
		return TPM_RC_FAILURE;
	object_delete_hierarchy(t, TPM_RH_PLATFORM);
	no_policy(&t->p.pcr_policy);
	tpm_dirty(t);
	return 0;
}

/* 24.5 */
HANDLER(change_eps)
{
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (fresh(t, t->p.eps, t->p.eh_proof))
		return TPM_RC_FAILURE;
	object_delete_hierarchy(t, TPM_RH_ENDORSEMENT);
	clear_auth(&t->p.endorsement_auth);
	no_policy(&t->p.endorsement_policy);
	t->c.eh_enable = true;
	tpm_dirty(t);
	return 0;
}

/* 24.6 */
HANDLER(clear)
{
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	if (t->p.disable_clear)
		return TPM_RC_DISABLED;
	return hierarchy_clear(t);
}

/* 24.7 */
HANDLER(clear_control)
{
	bool disable;
	uint32_t rc;

	arg_yes_no(c, &disable);
	rc = args_end(c);
	if (rc)
		return rc;
	if (c->handles[0] == TPM_RH_LOCKOUT && !disable)
		return TPM_RC_AUTH_FAIL;
	t->p.disable_clear = disable;
	tpm_dirty(t);
	return 0;
}

/* 24.8 */
HANDLER(hierarchy_change_auth)
{
	struct digest auth;
	uint32_t rc;

	arg_digest(c, &auth);
	rc = args_end(c);
	if (rc)
		return rc;
	auth_trim(&auth);
	*permanent_auth(t, c->handles[0]) = auth;
	tpm_dirty(t);
	return 0;
}
