// SPDX-License-Identifier: MIT
/*
 * Authenticated countdown timers (Part 1, clause 40; Part 2, 8.12; Part 3, 33.2): TPM_RH_ACT_0 and TPM_RH_ACT_A, as in the
 * reference implementation. Seconds are those of Time; what an expired timer does to its platform is left to the platform,
 * and ours has nothing to do: who wants to know asks for TPM_CAP_ACT.
 */
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

#define STOPPED 0xFFFFFFFF /* a timeout that stands still */

static const uint32_t handles[ACT_COUNT] = { TPM_RH_ACT_0, TPM_RH_ACT_0 + 0xA };

static int act_index(uint32_t handle)
{
	for (int i = 0; i < ACT_COUNT; i++)
		if (handles[i] == handle)
			return i;
	return -1;
}

uint32_t act_handle(unsigned int n)
{
	return handles[n];
}

bool act_exists(uint32_t handle)
{
	return act_index(handle) >= 0;
}

struct policy *act_policy(struct tpm *t, uint32_t handle)
{
	int i = act_index(handle);

	return i < 0 ? NULL : &t->c.act[i].policy;
}

void act_tick(struct tpm *t, uint64_t seconds)
{
	for (int i = 0; i < ACT_COUNT; i++) {
		struct act *act = &t->act[i];

		if (!act->timeout || act->timeout == STOPPED)
			continue;
		act->signaled = seconds >= act->timeout;
		act->timeout = act->signaled ? 0 : act->timeout - (uint32_t)seconds;
	}
}

/*
 * A resume goes on from what Shutdown left; otherwise the timers stand still and signal nothing. That one has signaled before
 * is known until it is set again, unless the power was lost: then this is another struct tpm.
 */
void act_startup(struct tpm *t, bool resume)
{
	for (int i = 0; i < ACT_COUNT; i++) {
		const struct act_saved *saved = &t->c.act[i];
		struct act *act = &t->act[i];

		act->preserved = act->preserved || act->signaled;
		act->updated = false;
		act->timeout = resume ? saved->timeout : 0;
		act->signaled = resume && !saved->timeout && saved->signaled;
	}
}

/*
 * For Shutdown(STATE). Of a timer that nobody has set since Startup half is left, so that one that is stopped by a Shutdown
 * soon after each Startup runs out all the same.
 */
void act_shutdown(struct tpm *t)
{
	for (int i = 0; i < ACT_COUNT; i++) {
		const struct act *act = &t->act[i];
		bool whole = act->updated || act->timeout <= 1 || act->timeout == STOPPED;

		t->c.act[i].timeout = whole ? act->timeout : act->timeout / 2;
		t->c.act[i].signaled = act->signaled;
	}
}

void act_write(const struct tpm *t, unsigned int n, struct writer *w)
{
	const struct act *act = &t->act[n];

	write_u32(w, handles[n]);
	write_u32(w, act->timeout);
	write_u32(w, (act->signaled ? TPMA_ACT_signaled : 0) |
			     (act->preserved ? TPMA_ACT_preserveSignaled : 0));
}

/* 33.2 */
HANDLER(act_set_timeout)
{
	struct act *act = &t->act[act_index(c->handles[0])];
	uint32_t timeout, rc;

	arg_u32(c, &timeout);
	rc = args_end(c);
	if (rc)
		return rc;
	/* To stop a timer is to silence it, which takes one that has gone off. */
	if (timeout == STOPPED && !act->signaled)
		return rc_param(TPM_RC_VALUE, 1);
	/* One that runs and is set to zero goes off at once; one that stands at zero stays as it is. */
	if (timeout || act->timeout)
		act->signaled = !timeout;
	act->timeout = timeout;
	act->updated = true;
	act->preserved = false;
	return 0;
}
