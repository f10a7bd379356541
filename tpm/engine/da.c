// SPDX-License-Identifier: MIT
/* Dictionary attack protection (Part 1, clause 19.8). */
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

void da_defaults(struct tpm *t)
{
	t->p.failed_tries = 0;
	t->p.max_tries = 3;
	t->p.recovery_time = 1000; /* seconds */
	t->p.lockout_recovery = 1000;
	t->p.lockout_auth_enabled = true;
}

uint32_t da_check(struct tpm *t, bool lockout)
{
	if (lockout)
		return t->p.lockout_auth_enabled ? 0 : TPM_RC_LOCKOUT;
	if (t->p.failed_tries >= t->p.max_tries)
		return TPM_RC_LOCKOUT;
	if (!t->p.da_used || t->p.orderly) {
		/*
		 * An unorderly power-down counts as a failure from here on (Part 1, 19.8.6), so it must be on disk; and a
		 * Shutdown before this is void.
		 */
		t->p.da_used = true;
		t->p.orderly = false;
		tpm_dirty(t);
	}
	return 0;
}

static void count_failure(struct tpm *t, bool lockout)
{
	if (lockout) {
		t->p.lockout_auth_enabled = false;
		t->lockout_time = t->time;
		if (t->p.lockout_recovery)
			tpm_dirty(t);
		return;
	}
	if (!t->p.recovery_time)
		return;
	t->p.failed_tries++;
	t->self_heal_time = t->time;
	tpm_dirty(t);
}

uint32_t da_failure(struct tpm *t, struct auth *a)
{
	uint32_t entity = a->entity;

	if (!a->session) {
		if (entity_da_exempt(t, entity))
			return TPM_RC_BAD_AUTH;
	} else {
		if (a->session->lockout_bound)
			entity = TPM_RH_LOCKOUT;
		if (!a->session->da_bound &&
		    (entity_da_exempt(t, entity) || !a->session->include_auth))
			return TPM_RC_BAD_AUTH;
	}
	count_failure(t, entity == TPM_RH_LOCKOUT);
	return TPM_RC_AUTH_FAIL;
}

/*
 * One failure is forgiven every recovery_time seconds; the lockout hierarchy comes back after lockout_recovery. If that is lost
 * with the power, no more was allowed than should be.
 */
void da_self_heal(struct tpm *t)
{
	uint64_t n;

	if (t->p.failed_tries && !t->p.recovery_time) {
		t->p.failed_tries = 0;
		t->aged = true;
	} else if (t->p.failed_tries) {
		n = (t->time - t->self_heal_time) / 1000 / t->p.recovery_time;
		t->self_heal_time += n * 1000 * t->p.recovery_time;
		if (n)
			t->aged = true;
		t->p.failed_tries = n < t->p.failed_tries ? t->p.failed_tries - (uint32_t)n : 0;
	}
	if (!t->p.lockout_auth_enabled && t->p.lockout_recovery &&
	    (t->time - t->lockout_time) / 1000 >= t->p.lockout_recovery) {
		t->p.lockout_auth_enabled = true;
		t->aged = true;
	}
}

void da_startup(struct tpm *t, bool orderly)
{
	t->self_heal_time = t->lockout_time = t->time;
	if (!t->p.lockout_recovery)
		t->p.lockout_auth_enabled = true;
	if (!orderly && t->p.da_used && t->p.recovery_time && t->p.failed_tries < t->p.max_tries)
		t->p.failed_tries++;
	t->p.da_used = false;
	tpm_dirty(t);
}

/* Part 3, 25.2 */
HANDLER(dictionary_attack_lock_reset)
{
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	t->p.failed_tries = 0;
	tpm_dirty(t);
	return 0;
}

/* Part 3, 25.3 */
HANDLER(dictionary_attack_parameters)
{
	uint32_t tries, recovery, lockout, rc;

	arg_u32(c, &tries);
	arg_u32(c, &recovery);
	arg_u32(c, &lockout);
	rc = args_end(c);
	if (rc)
		return rc;
	t->p.max_tries = tries;
	t->p.recovery_time = recovery;
	t->p.lockout_recovery = lockout;
	tpm_dirty(t);
	return 0;
}
