// SPDX-License-Identifier: MIT
/* The CRB as Linux's tpm_crb drives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "tpm/crb.h"

struct fake {
	struct crb crb;
	unsigned int submits, locality;
	size_t len;
	int result;
	bool established;
};

static int submit(void *ctx, unsigned int locality, const uint8_t *cmd, size_t len)
{
	struct fake *f = ctx;

	assert_ptr_equal(cmd, f->crb.command);
	f->submits++;
	f->locality = locality;
	f->len = len;
	return f->result;
}

static bool established(void *ctx)
{
	return ((struct fake *)ctx)->established;
}

static void reset_established(void *ctx)
{
	((struct fake *)ctx)->established = false;
}

static const struct interface_ops ops = { submit, established, reset_established };

static uint32_t rd(struct fake *f, uint64_t offset)
{
	uint64_t v;

	assert_int_equal(crb_region_ops.read(&f->crb, offset, 4, &v), IO_DONE);
	return (uint32_t)v;
}

static void wr(struct fake *f, uint64_t offset, uint32_t v)
{
	assert_int_equal(crb_region_ops.write(&f->crb, offset, 4, v), IO_DONE);
}

static void begin(struct fake *f)
{
	memset(f, 0, sizeof(*f));
	crb_init(&f->crb, &ops, f);
}

static void write_command(struct fake *f, uint64_t base)
{
	wr(f, base + 0x80, 0x00000180); /* tag 8001, size 0000000c */
	wr(f, base + 0x84, 0x00000c00);
	wr(f, base + 0x88, 0x00004401);
}

static void one_command(void **state)
{
	static const uint8_t rsp[] = { 0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0 };
	struct fake f;

	(void)state;
	begin(&f);
	assert_int_equal(rd(&f, 0x30) & 0xF, 1);
	assert_int_equal(rd(&f, 0x0C) & 1, 0);
	wr(&f, 0x08, 1); /* request access */
	assert_int_equal(rd(&f, 0x0C) & 1, 1);
	assert_int_equal(rd(&f, 0x00) & 0x9F, 0x83);
	assert_int_equal(rd(&f, 0x44), 2); /* idle */
	wr(&f, 0x4C, 1);                   /* a start while idle is nothing */
	assert_int_equal(f.submits, 0);
	wr(&f, 0x40, 1);
	assert_int_equal(rd(&f, 0x44), 0);
	write_command(&f, 0);
	wr(&f, 0x4C, 1);
	assert_int_equal(f.submits, 1);
	assert_int_equal(f.len, 12);
	assert_int_equal(rd(&f, 0x4C), 1);
	/* the buffer is out of reach until the answer is there */
	assert_int_equal(rd(&f, 0x80), 0xFFFFFFFF);
	wr(&f, 0x80, 0);
	wr(&f, 0x4C, 1);
	assert_int_equal(f.submits, 1);
	crb_complete(&f.crb, rsp, sizeof(rsp));
	assert_int_equal(rd(&f, 0x4C), 0);
	assert_int_equal(rd(&f, 0x80), 0x00000180);
	assert_int_equal(rd(&f, 0x58), 0x1000 - 0x80);
	assert_int_equal(rd(&f, 0x5C), 0xFED40080);
	wr(&f, 0x40, 2);
	assert_int_equal(rd(&f, 0x44), 2);
	assert_int_equal(rd(&f, 0x80), 0);
}

static void localities_take_turns(void **state)
{
	struct fake f;

	(void)state;
	begin(&f);
	wr(&f, 0x08, 1);
	wr(&f, 0x2008, 1); /* locality 2 waits */
	assert_int_equal(rd(&f, 0x200C) & 1, 0);
	wr(&f, 0x2040, 1); /* and has no say */
	assert_int_equal(rd(&f, 0x44), 2);
	wr(&f, 0x08, 2); /* relinquish */
	assert_int_equal(rd(&f, 0x200C) & 1, 1);
	wr(&f, 0x4008, 4); /* locality 4 seizes */
	assert_int_equal(rd(&f, 0x400C) & 1, 1);
	assert_int_equal(rd(&f, 0x200C) & 3, 2);
	wr(&f, 0x1008, 4); /* a lower one cannot */
	assert_int_equal(rd(&f, 0x400C) & 1, 1);
	wr(&f, 0x4040, 1);
	write_command(&f, 0x4000);
	wr(&f, 0x404C, 1);
	assert_int_equal(f.locality, 4);
}

static void a_dead_engine_is_a_fatal_error(void **state)
{
	struct fake f;

	(void)state;
	begin(&f);
	f.result = -1;
	wr(&f, 0x08, 1);
	wr(&f, 0x40, 1);
	write_command(&f, 0);
	wr(&f, 0x4C, 1);
	assert_int_equal(rd(&f, 0x44) & 1, 1);
	assert_int_equal(rd(&f, 0x4C), 0);
	crb_reset(&f.crb);
	assert_int_equal(rd(&f, 0x44), 2);
}

static void establishment(void **state)
{
	struct fake f;
	uint64_t v;

	(void)state;
	begin(&f);
	f.established = true;
	assert_int_equal(rd(&f, 0) & 1, 0);
	wr(&f, 0x0008, 8); /* not from locality 0 */
	assert_true(f.established);
	wr(&f, 0x3008, 8);
	assert_int_equal(rd(&f, 0) & 1, 1);
	assert_int_equal(crb_region_ops.read(&f.crb, 0x5000, 4, &v), IO_FAULT);
	assert_int_equal(crb_region_ops.read(&f.crb, 0x30, 8, &v), IO_DONE);
	assert_int_equal(v >> 32, 0x00015445);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_command),
		cmocka_unit_test(localities_take_turns),
		cmocka_unit_test(a_dead_engine_is_a_fatal_error),
		cmocka_unit_test(establishment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
