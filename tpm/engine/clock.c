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

/* Brings Time and Clock up to now. Clock is put on disk every CLOCK_UPDATE_MS, so that it never seems to go back. */
void clock_update(struct tpm *t)
{
	uint64_t now = t->platform->now_ms(t->ctx), elapsed = now - t->last_now;
	int64_t adjusted;

	if (!elapsed || now < t->last_now)
		return;
	t->last_now = now;
	t->time += elapsed;
	adjusted = (int64_t)elapsed * (RATE_UNIT + t->clock_rate) + (int64_t)t->clock_fraction;
	t->p.clock += (uint64_t)adjusted / RATE_UNIT;
	t->clock_fraction = (uint64_t)adjusted % RATE_UNIT;
	if (t->started && t->p.clock / CLOCK_UPDATE_MS != t->clock_saved / CLOCK_UPDATE_MS) {
		t->clock_saved = t->p.clock;
		t->p.clock_safe = true;
		tpm_dirty(t);
	}
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

	arg_with(c, read_adjust(&c->in, &adjust));
	rc = args_end(c);
	if (rc)
		return rc;
	t->clock_rate += adjust < 0 ? -steps[-adjust] : steps[adjust];
	if (t->clock_rate > RATE_MAX)
		t->clock_rate = RATE_MAX;
	if (t->clock_rate < -RATE_MAX)
		t->clock_rate = -RATE_MAX;
	return 0;
}
