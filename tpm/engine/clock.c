// SPDX-License-Identifier: MIT
/* Time, Clock and the counters beside them (Part 1, clause 36; Part 3, clause 29). */
#include "tpm/engine/handlers.h"
#include "tpm/engine/modules.h"

#define RATE_UNIT 1000000
/* Parts per million by which a fine, medium and coarse adjustment change the rate (Part 1, 36.2). */
#define RATE_MAX 150000

uint64_t clock_firmware_version(void)
{
	return 0x2026111800000001;
}

/*
 * Clock is saved every CLOCK_UPDATE_MS (Part 1, 36.3), and no command waits for that: many that change nothing (GetRandom,
 * PCR_Extend, GetCapability) have the least time at their callers'. Only when the save before has not even begun by the next
 * one does a command wait. So Clock is never reported further ahead of what is durable than three intervals.
 */
#define CLOCK_AHEAD (3 * CLOCK_UPDATE_MS)

/* What is saved now is beyond all that a life before, which ended without a Shutdown, can have reported: by its slowest rate. */
static bool clock_is_safe(const struct tpm *t)
{
	return t->p.clock_safe || t->time >= CLOCK_AHEAD + CLOCK_UPDATE_MS;
}

static void clock_save(struct tpm *t)
{
	t->clock_saved = t->p.clock;
	t->p.clock_safe = clock_is_safe(t);
	if (t->aged)
		tpm_dirty(t);
	t->aged = true;
}

/* Brings Time and Clock up to now. */
void clock_update(struct tpm *t)
{
	uint64_t now = t->platform->now_ms(t->ctx), elapsed = now - t->last_now;
	int64_t adjusted;

	if (!elapsed || now < t->last_now)
		return;
	t->last_now = now;
	if (t->started)
		act_tick(t, (t->time + elapsed) / 1000 - t->time / 1000);
	t->time += elapsed;
	adjusted = (int64_t)elapsed * (RATE_UNIT + t->clock_rate) + (int64_t)t->clock_fraction;
	t->p.clock += (uint64_t)adjusted / RATE_UNIT;
	t->clock_fraction = (uint64_t)adjusted % RATE_UNIT;
	if (t->started && t->p.clock / CLOCK_UPDATE_MS != t->clock_saved / CLOCK_UPDATE_MS)
		clock_save(t);
}

void write_clock_info(struct tpm *t, struct writer *w)
{
	write_u64(w, t->p.clock);
	write_u32(w, t->p.reset_count);
	write_u32(w, t->p.restart_count);
	write_u8(w, t->p.clock_safe);
}

void write_time_info(struct tpm *t, struct writer *w)
{
	write_u64(w, t->time);
	write_clock_info(t, w);
}

/* 29.1 */
HANDLER(read_clock)
{
	uint32_t rc = args_end(c);

	if (!rc)
		write_time_info(t, &c->out);
	return rc;
}

/* 29.2 */
HANDLER(clock_set)
{
	uint64_t clock;
	uint32_t rc;

	arg_u64(c, &clock);
	rc = args_end(c);
	if (rc)
		return rc;
	/* Forward only, and not so far that it could overflow in the TPM's life */
	if (clock > 0xFFFF000000000000 || clock < t->p.clock)
		return rc_param(TPM_RC_VALUE, 1);
	t->p.clock = clock;
	t->clock_saved = clock;
	t->p.clock_safe = true;
	tpm_dirty(t);
	return 0;
}

static uint32_t read_adjust(struct reader *r, int8_t *v)
{
	uint8_t byte;

	if (!read_u8(r, &byte))
		return TPM_RC_INSUFFICIENT;
	*v = (int8_t)byte;
	return *v < TPM_CLOCK_COARSE_SLOWER || *v > TPM_CLOCK_COARSE_FASTER ? TPM_RC_VALUE : 0;
}

/* 29.3 */
HANDLER(clock_rate_adjust)
{
	static const int steps[] = { 0, 1000, 10000,
				     100000 }; /* fine, medium, coarse, in parts per million */
	int8_t adjust = 0;
	uint32_t rc;
	int rate;

	arg_with(c, read_adjust(&c->in, &adjust));
	rc = args_end(c);
	if (rc)
		return rc;
	rate = t->clock_rate + (adjust < 0 ? -steps[-adjust] : steps[adjust]);
	if (rate > RATE_MAX || rate < -RATE_MAX)
		return rc_param(TPM_RC_VALUE, 1);
	t->clock_rate = rate;
	return 0;
}
