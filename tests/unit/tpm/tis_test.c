// SPDX-License-Identifier: MIT
/* The FIFO interface as Linux's tpm_tis drives it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "tpm/tis.h"

#define ACCESS 0x00
#define STS    0x18
#define FIFO   0x24
#define XFIFO  0x80

#define VALID     0x80
#define READY     0x40
#define GO        0x20
#define AVAILABLE 0x10
#define EXPECT    0x08
#define RETRY     0x02

static const uint8_t command[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0 };
static const uint8_t answer[] = { 0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 'a', 'b', 'c', 'd' };

struct fake {
	struct tis tis;
	unsigned int submits, locality;
	uint8_t cmd[TIS_BUFFER_SIZE];
	size_t len;
	int result;
	bool established;
};

static int submit(void *ctx, unsigned int locality, const uint8_t *cmd, size_t len)
{
	struct fake *f = ctx;

	f->submits++;
	f->locality = locality;
	f->len = len;
	memcpy(f->cmd, cmd, len);
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
static struct fake f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	tis_init(&f.tis, &ops, &f);
	return 0;
}

static uint32_t rd(uint64_t offset, unsigned int size)
{
	uint64_t v;

	assert_int_equal(tis_region_ops.read(&f.tis, offset, size, &v), IO_DONE);
	return (uint32_t)v;
}

static void wr(uint64_t offset, unsigned int size, uint32_t v)
{
	assert_int_equal(tis_region_ops.write(&f.tis, offset, size, v), IO_DONE);
}

static unsigned int burst(void)
{
	return rd(STS, 4) >> 8 & 0xFFFF;
}

static void expect_status(uint8_t bits)
{
	assert_int_equal(rd(STS, 1) & 0xFB, VALID | bits); /* self-test done, aside */
}

static void send(const uint8_t *cmd, size_t len)
{
	wr(STS, 1, READY);
	expect_status(READY);
	for (size_t i = 0; i < len; i++) {
		assert_true(burst() > 0);
		wr(FIFO, 1, cmd[i]);
	}
}

static void one_command(void **state)
{
	uint8_t got[sizeof(answer)];

	(void)state;
	/* Before locality 0 has access nothing can be had of the status. */
	assert_int_equal(rd(STS, 1), 0xFF);
	assert_int_equal(rd(ACCESS, 1), 0x81);
	wr(ACCESS, 1, 0x02);
	assert_int_equal(rd(ACCESS, 1), 0xA1);
	assert_int_equal(rd(STS, 4) >> 26 & 3, 1);
	assert_int_equal(rd(0x30, 4) & 0xF, 0);
	assert_int_equal(rd(0x14, 4) >> 28, 3);
	expect_status(0);
	send(command, sizeof(command) - 1);
	expect_status(EXPECT);
	wr(STS, 1, GO); /* too early */
	assert_int_equal(f.submits, 0);
	wr(FIFO, 1, command[sizeof(command) - 1]);
	expect_status(0);
	wr(FIFO, 1, 0xEE); /* too much: dropped */
	wr(STS, 1, GO);
	assert_int_equal(f.submits, 1);
	assert_int_equal(f.len, sizeof(command));
	assert_memory_equal(f.cmd, command, sizeof(command));
	/* While it executes there is nothing to be had, and nothing that stops it. */
	expect_status(0);
	wr(STS, 1, READY);
	wr(STS, 1, GO);
	assert_int_equal(f.submits, 1);
	assert_int_equal(rd(FIFO, 1), 0xFF);
	tis_complete(&f.tis, answer, sizeof(answer));
	expect_status(AVAILABLE);
	assert_int_equal(burst(), sizeof(answer));
	for (size_t i = 0; i < sizeof(answer); i++)
		got[i] = (uint8_t)rd(FIFO, 1);
	assert_memory_equal(got, answer, sizeof(answer));
	expect_status(0);
	assert_int_equal(rd(FIFO, 1), 0xFF);
	/* Again, in pieces of four, from the other register. */
	wr(STS, 1, RETRY);
	assert_int_equal(rd(XFIFO, 4), 0x00000180);
	assert_int_equal(rd(XFIFO + 4, 4), 0x00000E00);
	expect_status(AVAILABLE);
	wr(STS, 1, READY);
	wr(STS, 1, READY);
	expect_status(READY);
}

static void commands_of_any_length(void **state)
{
	static const struct {
		uint32_t says;
		size_t is;
	} cases[] = { { 0, 10 },      { 9, 10 },    { 10, 10 },
		      { 4096, 4096 }, { 4097, 10 }, { 0xFFFFFFFF, 10 } };
	uint8_t cmd[TIS_BUFFER_SIZE] = { 0x80, 1 };

	(void)state;
	wr(ACCESS, 1, 0x02);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int b = 0; b < 4; b++)
			cmd[2 + b] = (uint8_t)(cases[i].says >> (24 - 8 * b));
		send(cmd, cases[i].is - 1);
		expect_status(EXPECT);
		wr(FIFO, 1, 7);
		expect_status(0);
		wr(STS, 1, GO);
		assert_int_equal(f.submits, i + 1);
		assert_int_equal(f.len, cases[i].is);
		tis_complete(&f.tis, answer, sizeof(answer));
		wr(STS, 1, READY);
	}
	/* One that is broken off leaves nothing. */
	send(cmd, 20);
	wr(STS, 1, READY);
	send(command, sizeof(command));
	wr(STS, 1, GO);
	assert_int_equal(f.len, sizeof(command));
}

static void localities_take_turns(void **state)
{
	(void)state;
	wr(ACCESS, 1, 0x02);
	wr(0x2000 + ACCESS, 1, 0x02);
	assert_int_equal(rd(0x2000 + ACCESS, 1), 0x83);
	assert_int_equal(rd(ACCESS, 1), 0xA5); /* somebody waits */
	assert_int_equal(rd(0x2000 + STS, 1), 0xFF);
	send(command, sizeof(command));
	wr(0x4000 + ACCESS, 1, 0x08); /* locality 4 seizes */
	assert_int_equal(rd(0x4000 + ACCESS, 1) & 0x20, 0x20);
	assert_int_equal(rd(ACCESS, 1) & 0x30, 0x10);
	/* and finds nothing of the command that locality 0 had begun */
	wr(0x4000 + STS, 1, GO);
	assert_int_equal(f.submits, 0);
	wr(ACCESS, 1, 0x10);
	assert_int_equal(rd(ACCESS, 1) & 0x10, 0);
	f.established = true;
	assert_int_equal(rd(ACCESS, 1) & 1, 0);
	wr(0x4000 + STS, 4, 1u << 25);
	assert_false(f.established);
	wr(0x4000 + ACCESS, 1, 0x20); /* locality 2 still waits */
	assert_int_equal(rd(0x2000 + ACCESS, 1) & 0x20, 0x20);
	f.established = true;
	wr(0x2000 + STS, 4, 1u << 25); /* not for it */
	assert_true(f.established);
}

static void a_command_keeps_its_locality(void **state)
{
	(void)state;
	wr(ACCESS, 1, 0x02);
	send(command, sizeof(command));
	wr(STS, 1, GO);
	wr(0x3000 + ACCESS, 1, 0x08);
	wr(ACCESS, 1, 0x20);
	assert_int_equal(rd(ACCESS, 1) & 0x20, 0x20);
	tis_complete(&f.tis, answer, sizeof(answer));
	assert_int_equal(rd(FIFO, 4), 0x00000180);
}

static void failures(void **state)
{
	static const uint8_t failure[] = { 0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1 };

	(void)state;
	wr(ACCESS, 1, 0x02);
	f.result = -EIO; /* the TPM is gone */
	send(command, sizeof(command));
	wr(STS, 1, GO);
	expect_status(AVAILABLE);
	for (size_t i = 0; i < sizeof(failure); i++)
		assert_int_equal(rd(FIFO, 1), failure[i]);
	expect_status(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_command, setup),
		cmocka_unit_test_setup(commands_of_any_length, setup),
		cmocka_unit_test_setup(localities_take_turns, setup),
		cmocka_unit_test_setup(a_command_keeps_its_locality, setup),
		cmocka_unit_test_setup(failures, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
