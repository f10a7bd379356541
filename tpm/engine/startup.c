// SPDX-License-Identifier: MIT
/* Power-on, Startup, Shutdown and self test (Part 3, clauses 9 and 10). */
#include <string.h>
#include <mbedtls/platform_util.h>
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

void tpm_reset(struct tpm *t)
{
	for (int i = 0; i < MAX_LOADED_OBJECTS; i++)
		object_free(&t->objects[i]);
	mbedtls_platform_zeroize(t->sessions, sizeof(t->sessions));
	/* A timer may have gone off since the last command. */
	if (t->started)
		clock_update(t);
	t->started = t->failed = false;
	t->hash_running = t->drtm_pending = false;
	t->time = t->self_heal_time = t->lockout_time = 0;
	t->last_now = t->platform->now_ms(t->ctx);
	drbg_read(&t->rng, (unsigned char *)&t->epoch, sizeof(t->epoch));
	t->clock_rate = 0;
	t->exclusive_audit = TPM_RH_UNASSIGNED;
}

enum startup {
	RESET,
	RESTART,
	RESUME
};

static uint32_t startup_kind(const struct tpm *t, uint16_t type, bool locality3, enum startup *kind)
{
	const struct permanent *p = &t->p;
	bool saved = p->orderly && p->shutdown == TPM_SU_STATE;

	if (type == TPM_SU_STATE) {
		if (!saved || t->drtm_pending != p->drtm_before_startup || p->pcr_reconfig)
			return rc_param(TPM_RC_VALUE, 1);
		if (locality3 != p->startup_locality3)
			return TPM_RC_LOCALITY;
		*kind = RESUME;
		return 0;
	}
	*kind = saved && !p->pcr_reconfig ? RESTART : RESET;
	return 0;
}

static void new_reset_state(struct tpm *t)
{
	struct state_reset *r = &t->r;

	memset(r, 0, sizeof(*r));
	hierarchy_new_null(t);
	drbg_read(&t->rng, r->commit_nonce, sizeof(r->commit_nonce));
	t->p.reset_count++;
	t->p.total_reset_count++;
	t->p.restart_count = 0;
	if (t->p.pcr_reconfig)
		memcpy(t->p.pcr_allocated, t->p.pcr_next, sizeof(t->p.pcr_allocated));
	t->p.pcr_reconfig = false;
}

static void new_clear_state(struct tpm *t)
{
	struct state_clear *c = &t->c;
	uint8_t pcr0[HASH_COUNT][HASH_MAX_SIZE];

	/* An H-CRTM measurement made before Startup is kept. */
	for (int i = 0; i < HASH_COUNT; i++)
		memcpy(pcr0[i], c->pcr[i][0], HASH_MAX_SIZE);
	memset(c, 0, sizeof(*c));
	for (int i = 0; i < HASH_COUNT; i++)
		memcpy(c->pcr[i][0], pcr0[i], HASH_MAX_SIZE);
	c->sh_enable = c->eh_enable = c->ph_enable_nv = true;
	c->platform_policy.alg = TPM_ALG_NULL;
	for (int i = 0; i < ACT_COUNT; i++)
		c->act[i].policy.alg = TPM_ALG_NULL;
}

static void do_startup(struct tpm *t, enum startup kind, uint8_t locality)
{
	bool orderly = t->p.orderly;

	if (kind == RESET)
		new_reset_state(t);
	else
		t->p.restart_count++;
	if (kind == RESTART)
		t->r.clear_count++;
	if (kind != RESUME)
		new_clear_state(t);
	t->ph_enable = true;
	t->was_orderly = orderly;
	if (!orderly)
		t->p.clock_safe = false;
	t->clock_saved = t->p.clock;
	t->p.startup_locality3 = locality == 3;
	t->p.drtm_before_startup = t->drtm_pending;
	pcr_startup(t, kind != RESUME, t->drtm_pending ? 0 : locality);
	t->drtm_pending = false;
	da_startup(t, orderly);
	session_startup(t, kind != RESET);
	nv_startup(t, kind == RESUME, kind == RESET, orderly);
	act_startup(t, kind == RESUME);
	t->p.orderly = false;
	t->started = true;
	tpm_dirty(t);
}

static uint32_t read_su(struct reader *r, uint16_t *v)
{
	if (!read_u16(r, v))
		return TPM_RC_INSUFFICIENT;
	return *v == TPM_SU_CLEAR || *v == TPM_SU_STATE ? 0 : TPM_RC_VALUE;
}

/* 9.3 */
HANDLER(startup)
{
	enum startup kind = RESET;
	uint16_t type = 0;
	uint32_t rc;

	arg_with(c, read_su(&c->in, &type));
	rc = args_end(c);
	if (rc)
		return rc;
	if (t->locality != 0 && t->locality != 3)
		return TPM_RC_LOCALITY;
	rc = startup_kind(t, type, t->locality == 3 && !t->drtm_pending, &kind);
	if (!rc)
		do_startup(t, kind, t->locality);
	return rc;
}

/* 9.4 */
HANDLER(shutdown)
{
	uint16_t type = 0;
	uint32_t rc;

	arg_with(c, read_su(&c->in, &type));
	rc = args_end(c);
	if (rc)
		return rc;
	/* A new PCR allocation needs a reset to take effect. */
	if (type == TPM_SU_STATE && t->p.pcr_reconfig)
		return rc_param(TPM_RC_TYPE, 1);
	act_shutdown(t);
	t->p.orderly = true;
	t->p.shutdown = type;
	tpm_dirty(t);
	return 0;
}

/* 10.2: all but the check of a spoilt signature was done when the TPM was made (tpm_create). */
HANDLER(self_test)
{
	bool full;
	uint32_t rc;

	arg_yes_no(c, &full);
	rc = args_end(c);
	if (rc)
		return rc;
	return selftest_run(t, true);
}

/* 10.3 */
HANDLER(incremental_self_test)
{
	uint32_t count = 0, rc;
	bool unknown = false;

	arg_with(c, !read_u32(&c->in, &count) ? TPM_RC_INSUFFICIENT : count > 64 ? TPM_RC_SIZE : 0);
	for (uint32_t i = 0; i < count && !c->rc; i++) {
		uint16_t alg;

		if (!read_u16(&c->in, &alg))
			c->rc = rc_param(TPM_RC_INSUFFICIENT, 1);
		else
			unknown |= !algorithm_known(alg);
	}
	rc = args_end(c);
	if (rc)
		return rc;
	if (unknown)
		return rc_param(TPM_RC_VALUE, 1);
	(void)t;
	write_u32(&c->out, 0); /* nothing is left to be tested */
	return 0;
}

/* 10.4 */
HANDLER(get_test_result)
{
	uint32_t rc = args_end(c);

	if (rc)
		return rc;
	write_u16(&c->out, 0);
	write_u32(&c->out, t->failed ? TPM_RC_FAILURE : TPM_RC_SUCCESS);
	return 0;
}
