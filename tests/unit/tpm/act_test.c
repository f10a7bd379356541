// SPDX-License-Identifier: MIT
/* Authenticated countdown timers, and attached components, of which there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/crypto/hash.h"

#define ACT_0 TPM_RH_ACT_0
#define ACT_A (TPM_RH_ACT_0 + 0xA)
#define ACT_1 (TPM_RH_ACT_0 + 1)
#define STOP  0xFFFFFFFF

#define SIGNALED  TPMA_ACT_signaled
#define PRESERVED TPMA_ACT_preserveSignaled

static uint32_t set_timeout_as(struct fixture *f, uint32_t act, uint32_t timeout,
			       const char *password)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_ACT_SetTimeout), act);
	command_password(f, password);
	write_u32(&f->w, timeout);
	return command_run(f);
}

static uint32_t set_timeout(struct fixture *f, uint32_t act, uint32_t timeout)
{
	return set_timeout_as(f, act, timeout, "");
}

static uint32_t capability(struct fixture *f, uint32_t cap, uint32_t property, uint32_t count,
			   struct reader *r)
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_GetCapability);
	uint32_t rc, n;

	write_u32(w, cap);
	write_u32(w, property);
	write_u32(w, count);
	rc = command_run(f);
	if (rc)
		return rc;
	*r = response(f);
	r->pos += 5; /* moreData, capability */
	r->left -= 5;
	assert_true(read_u32(r, &n));
	assert_true(n <= count);
	return 0;
}

static void expect(struct fixture *f, uint32_t act, uint32_t timeout, uint32_t attributes)
{
	struct reader r;
	uint32_t v;

	assert_int_equal(capability(f, TPM_CAP_ACT, act, 1, &r), 0);
	assert_true(read_u32(&r, &v));
	assert_int_equal(v, act);
	assert_true(read_u32(&r, &v));
	assert_int_equal(v, timeout);
	assert_true(read_u32(&r, &v));
	assert_int_equal(v, attributes);
	assert_int_equal(r.left, 0);
}

static void pass(struct fixture *f, uint64_t seconds)
{
	f->now += seconds * 1000;
}

static void power_cycle(struct fixture *f)
{
	tpm_destroy(f->tpm);
	assert_int_equal(fixture_power_on(f), 0);
}

static void a_timer_goes_off(void **state)
{
	struct fixture *f = *state;

	expect(f, ACT_0, 0, 0);
	assert_int_equal(set_timeout(f, ACT_0, 10), 0);
	expect(f, ACT_0, 10, 0);
	pass(f, 4);
	expect(f, ACT_0, 6, 0);
	expect(f, ACT_A, 0, 0);
	/* a new timeout, which counts from now */
	assert_int_equal(set_timeout(f, ACT_0, 8), 0);
	pass(f, 7);
	expect(f, ACT_0, 1, 0);
	pass(f, 1);
	expect(f, ACT_0, 0, SIGNALED);
	pass(f, 1000);
	expect(f, ACT_0, 0, SIGNALED);
	/* zero changes nothing in one that stands at zero; another timeout silences it */
	assert_int_equal(set_timeout(f, ACT_0, 0), 0);
	expect(f, ACT_0, 0, SIGNALED);
	assert_int_equal(set_timeout(f, ACT_0, 5), 0);
	expect(f, ACT_0, 5, 0);
	/* far beyond its end */
	pass(f, 100000);
	expect(f, ACT_0, 0, SIGNALED);
	expect(f, ACT_A, 0, 0);
}

static void a_timer_is_stopped(void **state)
{
	struct fixture *f = *state;
	const uint32_t value = TPM_RC_VALUE + TPM_RC_P + TPM_RC_1;

	assert_int_equal(set_timeout(f, ACT_A, STOP), value);
	assert_int_equal(set_timeout(f, ACT_A, 3), 0);
	assert_int_equal(set_timeout(f, ACT_A, STOP), value);
	expect(f, ACT_A, 3, 0);
	/* zero ends one that runs at once */
	assert_int_equal(set_timeout(f, ACT_A, 0), 0);
	expect(f, ACT_A, 0, SIGNALED);
	assert_int_equal(set_timeout(f, ACT_A, STOP), 0);
	pass(f, 1000);
	expect(f, ACT_A, STOP, 0);
	assert_int_equal(set_timeout(f, ACT_A, 0), 0);
	expect(f, ACT_A, 0, SIGNALED);
}

/* Time's seconds, not those since the timer was set: at most one too few. */
static void parts_of_seconds_add_up(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_timeout(f, ACT_0, 100), 0);
	for (int i = 0; i < 50; i++) {
		f->now += 700;
		assert_int_equal(run_u16(f, TPM_CC_GetRandom, 1), 0);
	}
	expect(f, ACT_0, 65, 0);
}

static void shutdown_state_keeps_timers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_timeout(f, ACT_0, 100), 0);
	assert_int_equal(set_timeout(f, ACT_A, 1), 0);
	pass(f, 1);
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
	pass(f, 50); /* still on, but that is no longer kept */
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), 0);
	expect(f, ACT_0, 99, 0);
	expect(f, ACT_A, 0, SIGNALED);
	/* not set since: half of it, and that again and again */
	for (uint32_t left = 49; left; left /= 2) {
		assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
		power_cycle(f);
		assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), 0);
		expect(f, ACT_0, left, 0);
	}
	pass(f, 1);
	expect(f, ACT_0, 0, SIGNALED);
	/* setting one makes a Shutdown void */
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
	assert_int_equal(set_timeout(f, ACT_0, 7), 0);
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE),
			 TPM_RC_VALUE + TPM_RC_P + TPM_RC_1);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	expect(f, ACT_0, 0, 0);
}

static void a_reset_tells_of_a_signal(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_timeout(f, ACT_0, 1), 0);
	assert_int_equal(set_timeout(f, ACT_A, 100), 0);
	pass(f, 1);
	for (int i = 0; i < 2; i++) {
		tpm_reset(f->tpm);
		assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
		expect(f, ACT_0, 0, PRESERVED);
		expect(f, ACT_A, 0, 0);
	}
	assert_int_equal(set_timeout(f, ACT_0, 9), 0);
	expect(f, ACT_0, 9, 0);
	/* ticks begin with Startup */
	tpm_reset(f->tpm);
	pass(f, 5);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	expect(f, ACT_0, 0, 0);
	/* a resume keeps both; a loss of power forgets that there was a signal before it */
	assert_int_equal(set_timeout(f, ACT_0, 1), 0);
	pass(f, 1);
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
	tpm_reset(f->tpm);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), 0);
	expect(f, ACT_0, 0, SIGNALED | PRESERVED);
	power_cycle(f);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	expect(f, ACT_0, 0, 0);
}

static uint32_t set_policy(struct fixture *f, uint32_t handle, uint16_t alg, const void *digest,
			   size_t len)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_SetPrimaryPolicy), handle);
	command_password(f, "");
	write_2b(&f->w, digest, len);
	write_u16(&f->w, alg);
	return command_run(f);
}

static uint32_t start_policy(struct fixture *f)
{
	struct writer *w = command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_StartAuthSession);
	struct reader r;
	uint32_t handle;

	write_u32(w, TPM_RH_NULL);
	write_u32(w, TPM_RH_NULL);
	write_2b(w, "0123456789abcdef", 16);
	write_2b(w, NULL, 0);
	write_u8(w, TPM_SE_POLICY);
	write_u16(w, TPM_ALG_NULL);
	write_u16(w, TPM_ALG_SHA256);
	assert_int_equal(command_run(f), 0);
	r = response(f);
	assert_true(read_u32(&r, &handle));
	return handle;
}

static uint32_t set_timeout_by_policy(struct fixture *f, uint32_t session, uint32_t timeout)
{
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_ACT_SetTimeout), ACT_0);
	write_u32(&f->w, 9);
	write_u32(&f->w, session);
	write_2b(&f->w, NULL, 0);
	write_u8(&f->w, 1); /* it goes on */
	write_2b(&f->w, NULL, 0);
	write_u32(&f->w, timeout);
	return command_run(f);
}

/* The platform's password, or a policy of the timer's own: here TPM2_PolicyCommandCode(ACT_SetTimeout). */
static void who_may_set_a_timer(void **state)
{
	struct fixture *f = *state;
	uint8_t policy[32] = { 0 }, in[40] = { 0 };
	struct writer w = { .buf = in + 32, .max = 8 };
	uint32_t session;
	struct reader r;

	write_u32(&w, TPM_CC_PolicyCommandCode);
	write_u32(&w, TPM_CC_ACT_SetTimeout);
	hash_buf(TPM_ALG_SHA256, in, sizeof(in), policy);
	assert_int_equal(set_policy(f, ACT_0, TPM_ALG_SHA256, policy, 32), 0);
	assert_int_equal(set_policy(f, ACT_1, TPM_ALG_SHA256, policy, 32),
			 TPM_RC_VALUE + TPM_RC_H + TPM_RC_1);
	assert_int_equal(capability(f, TPM_CAP_AUTH_POLICIES, ACT_0, 1, &r), 0);
	assert_int_equal(r.left, 4 + 2 + 32);
	assert_memory_equal(r.pos + 6, policy, 32);
	/* the platform's password */
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_HierarchyChangeAuth), TPM_RH_PLATFORM);
	command_password(f, "");
	write_2b(&f->w, "pw", 2);
	assert_int_equal(command_run(f), 0);
	assert_int_equal(set_timeout(f, ACT_0, 5), TPM_RC_BAD_AUTH + TPM_RC_S + TPM_RC_1);
	assert_int_equal(set_timeout_as(f, ACT_0, 5, "pw"), 0);
	assert_int_equal(set_timeout_as(f, ACT_A, 5, "pw"), 0);
	assert_int_equal(set_timeout_as(f, ACT_1, 5, "pw"), TPM_RC_VALUE + TPM_RC_H + TPM_RC_1);
	/* the policy */
	session = start_policy(f);
	assert_int_equal(set_timeout_by_policy(f, session, 6),
			 TPM_RC_POLICY_FAIL + TPM_RC_S + TPM_RC_1);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyCommandCode), session);
	write_u32(&f->w, TPM_CC_ACT_SetTimeout);
	assert_int_equal(command_run(f), 0);
	assert_int_equal(set_timeout_by_policy(f, session, 6), 0);
	expect(f, ACT_0, 6, 0);
	/* with the platform disabled its password is no use */
	write_u32(command_begin(f, TPM_ST_SESSIONS, TPM_CC_HierarchyControl), TPM_RH_PLATFORM);
	command_password(f, "pw");
	write_u32(&f->w, TPM_RH_PLATFORM);
	write_u8(&f->w, 0);
	assert_int_equal(command_run(f), 0);
	assert_int_equal(set_timeout_as(f, ACT_A, 5, "pw"), TPM_RC_AUTH_UNAVAILABLE);
	/* policies end with a reset */
	tpm_reset(f->tpm);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_CLEAR), 0);
	assert_int_equal(capability(f, TPM_CAP_AUTH_POLICIES, ACT_0, 1, &r), 0);
	assert_int_equal(r.left, 4 + 2);
}

static void timers_are_listed(void **state)
{
	struct fixture *f = *state;
	struct reader r;

	assert_int_equal(capability(f, TPM_CAP_ACT, ACT_0, 1, &r), 0);
	assert_int_equal(f->rsp[10], 1); /* there are more */
	assert_int_equal(capability(f, TPM_CAP_ACT, ACT_0, 16, &r), 0);
	assert_int_equal(f->rsp[10], 0);
	assert_int_equal(r.left, 2 * 12);
	assert_int_equal(capability(f, TPM_CAP_ACT, ACT_A + 1, 16, &r), 0);
	assert_int_equal(r.left, 0);
	assert_int_equal(capability(f, TPM_CAP_ACT, TPM_RH_PLATFORM, 1, &r),
			 TPM_RC_VALUE + TPM_RC_P + 2 * TPM_RC_1);
	assert_int_equal(capability(f, TPM_CAP_HANDLES, ACT_0, 5, &r), 0);
	assert_int_equal(r.left, 2 * 4);
}

static void timers_move_with_the_machine(void **state)
{
	struct fixture *f = *state;
	uint8_t *saved = malloc(TPM_MAX_BLOB);
	long len;

	assert_int_equal(set_timeout(f, ACT_0, 30), 0);
	assert_int_equal(set_timeout(f, ACT_A, 1), 0);
	pass(f, 2);
	expect(f, ACT_A, 0, SIGNALED);
	len = tpm_save_volatile(f->tpm, saved, TPM_MAX_BLOB);
	assert_true(len > 0);
	pass(f, 100); /* it does not run */
	power_cycle(f);
	assert_int_equal(tpm_load_volatile(f->tpm, saved, (size_t)len), 0);
	expect(f, ACT_0, 28, 0);
	expect(f, ACT_A, 0, SIGNALED);
	free(saved);
}

/* A state from before there were timers: version 1, which ends where they begin. */
static void older_states_are_read(void **state)
{
	struct fixture *f = *state;
	size_t timers = 2 * (4 + 1 + 2 + 2), len;
	struct writer w;

	assert_int_equal(set_timeout(f, ACT_0, 30), 0);
	assert_int_equal(run_u16(f, TPM_CC_Shutdown, TPM_SU_STATE), 0);
	tpm_destroy(f->tpm);
	len = f->blob_len - 32 - timers;
	w = (struct writer){ .buf = f->blob + 4, .max = 8 };
	write_u32(&w, 1);
	write_u32(&w, (uint32_t)(len - 12));
	hash_buf(TPM_ALG_SHA256, f->blob, len, f->blob + len);
	f->blob_len = len + 32;
	assert_int_equal(fixture_power_on(f), 0);
	assert_int_equal(run_u16(f, TPM_CC_Startup, TPM_SU_STATE), 0);
	expect(f, ACT_0, 0, 0);
	/* and what is newer than this program is not */
	tpm_destroy(f->tpm);
	w = (struct writer){ .buf = f->blob + 4, .max = 4 };
	write_u32(&w, 3);
	hash_buf(TPM_ALG_SHA256, f->blob, f->blob_len - 32, f->blob + f->blob_len - 32);
	assert_int_equal(fixture_power_on(f), -EBADMSG);
}

static void no_component_is_attached(void **state)
{
	struct fixture *f = *state;
	uint32_t session = start_policy(f);
	struct reader r;

	assert_int_equal(capability(f, TPM_CAP_HANDLES, AC_FIRST, 1, &r), 0);
	assert_int_equal(r.left, 0);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_AC_GetCapability), AC_FIRST + 1);
	write_u32(&f->w, 0);
	write_u32(&f->w, 1);
	assert_int_equal(command_run(f), TPM_RC_HANDLE + TPM_RC_H + TPM_RC_1);
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_AC_GetCapability), AC_LAST + 1);
	assert_int_equal(command_run(f), TPM_RC_VALUE + TPM_RC_H + TPM_RC_1);
	/* its policy is there: it holds for AC_Send, and once */
	for (int i = 0; i < 2; i++) {
		write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_Policy_AC_SendSelect),
			  session);
		write_2b(&f->w, NULL, 0);
		write_2b(&f->w, "\x40\0\0\1", 4);
		write_2b(&f->w, "\x90\0\0\1", 4);
		write_u8(&f->w, 1);
		assert_int_equal(command_run(f), i ? TPM_RC_CPHASH : 0);
	}
	write_u32(command_begin(f, TPM_ST_NO_SESSIONS, TPM_CC_PolicyCommandCode), session);
	write_u32(&f->w, TPM_CC_Duplicate);
	assert_int_equal(command_run(f), TPM_RC_VALUE + TPM_RC_P + TPM_RC_1);
}

int main(void)
{
#define started(t) cmocka_unit_test_setup_teardown(t, fixture_setup_started, fixture_teardown)
	const struct CMUnitTest tests[] = {
		started(a_timer_goes_off),          started(a_timer_is_stopped),
		started(parts_of_seconds_add_up),   started(shutdown_state_keeps_timers),
		started(a_reset_tells_of_a_signal), started(who_may_set_a_timer),
		started(timers_are_listed),         started(timers_move_with_the_machine),
		started(older_states_are_read),     started(no_component_is_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
