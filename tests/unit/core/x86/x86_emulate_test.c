// SPDX-License-Identifier: MIT
/*
 * What the differential test cannot show: other modes, faults and what they leave, REP in pieces,
 * fetching, port I/O, and how the operations are called.
 */
#include "core/x86/x86_emulate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MEMORY_SIZE 0x10000
#define PAGE        0x1000

struct machine {
	struct x86_emulator emulator;
	uint8_t memory[MEMORY_SIZE];
	uint64_t fault_at; /* the page that starts here is not present; 0: none */
	unsigned int reads, writes, fetches, exchanges;
	int read_error;
	unsigned int contention; /* as many exchanges find the memory changed */
	uint32_t last_access;
	uint16_t port;
	uint32_t port_value;
	unsigned int port_len;
	int port_error;
	uint8_t vector[16][32];
	bool zeroed_upper;
};

static struct machine m;

static int locate(uint64_t linear, size_t len, uint32_t access, uint8_t **at,
		  struct x86_exception *exception)
{
	m.last_access = access;
	if (linear + len > MEMORY_SIZE)
		return -EIO;
	if (m.fault_at && linear + len > m.fault_at && linear < m.fault_at + PAGE) {
		*exception = (struct x86_exception){
			.vector = X86_VECTOR_PF,
			.has_error_code = true,
			.error_code = access & X86_ACCESS_WRITE ? 2 : 0,
			.address = linear < m.fault_at ? m.fault_at : linear,
		};
		return -EFAULT;
	}
	*at = m.memory + linear;
	return 0;
}

static int read_memory(void *ctx, uint64_t linear, void *data, size_t len, uint32_t access,
		       struct x86_exception *exception)
{
	uint8_t *at;
	int ret = locate(linear, len, access, &at, exception);

	assert_ptr_equal(ctx, &m);
	m.reads++;
	if (m.read_error)
		return m.read_error;
	if (!ret)
		memcpy(data, at, len);
	return ret;
}

static int write_memory(void *ctx, uint64_t linear, const void *data, size_t len, uint32_t access,
			struct x86_exception *exception)
{
	uint8_t *at;
	int ret = locate(linear, len, access, &at, exception);

	assert_ptr_equal(ctx, &m);
	m.writes++;
	if (!ret)
		memcpy(at, data, len);
	return ret;
}

static int fetch(void *ctx, uint64_t linear, void *data, size_t len,
		 struct x86_exception *exception)
{
	uint8_t *at;
	int ret = locate(linear, len, X86_ACCESS_FETCH, &at, exception);

	assert_ptr_equal(ctx, &m);
	assert_int_equal(linear / PAGE, (linear + len - 1) / PAGE);
	m.fetches++;
	if (!ret)
		memcpy(data, at, len);
	return ret;
}

static int cmpxchg_memory(void *ctx, uint64_t linear, void *expected, const void *desired,
			  size_t len, uint32_t access, struct x86_exception *exception)
{
	uint8_t *at;
	int ret = locate(linear, len, access, &at, exception);

	assert_ptr_equal(ctx, &m);
	m.exchanges++;
	if (ret)
		return ret;
	if (m.contention) {
		m.contention--;
		at[0]++;
	}
	if (memcmp(at, expected, len)) {
		memcpy(expected, at, len);
		return -EAGAIN;
	}
	memcpy(at, desired, len);
	return 0;
}

static int read_io(void *ctx, uint16_t port, void *data, size_t len,
		   struct x86_exception *exception)
{
	(void)exception;
	assert_ptr_equal(ctx, &m);
	m.port = port;
	m.port_len = len;
	memcpy(data, &m.port_value, len);
	m.port_value++;
	return m.port_error;
}

static int write_io(void *ctx, uint16_t port, const void *data, size_t len,
		    struct x86_exception *exception)
{
	(void)exception;
	assert_ptr_equal(ctx, &m);
	m.port = port;
	m.port_len = len;
	m.port_value = 0;
	memcpy(&m.port_value, data, len);
	return m.port_error;
}

static int get_vector(void *ctx, uint8_t reg, void *data, size_t len)
{
	assert_ptr_equal(ctx, &m);
	memcpy(data, m.vector[reg], len);
	return 0;
}

static int set_vector(void *ctx, uint8_t reg, const void *data, size_t len, bool zero_upper)
{
	assert_ptr_equal(ctx, &m);
	memcpy(m.vector[reg], data, len);
	m.zeroed_upper = zero_upper;
	return 0;
}

static const struct x86_emulator_ops all_ops = {
	.read_memory = read_memory,
	.write_memory = write_memory,
	.fetch = fetch,
	.cmpxchg_memory = cmpxchg_memory,
	.read_io = read_io,
	.write_io = write_io,
	.get_vector = get_vector,
	.set_vector = set_vector,
};

static struct x86_emulator_ops ops;

/* Registers i * 0x100, code at 0x4000 (offset and linear), flat segments. */
static void start(unsigned int bits)
{
	struct x86_cpu *cpu = &m.emulator.cpu;

	memset(&m, 0, sizeof(m));
	ops = all_ops;
	for (unsigned int i = 0; i < X86_GPR_COUNT; i++)
		cpu->gpr[i] = 0x100 * i;
	for (unsigned int i = 0; i < MEMORY_SIZE; i++)
		m.memory[i] = i * 7;
	cpu->rip = 0x4000;
	cpu->rflags = X86_RFLAGS_FIXED;
	cpu->cr0 = bits == 16 ? 0 : X86_CR0_PE;
	cpu->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXSAVE;
	cpu->efer = bits == 64 ? X86_EFER_LMA : 0;
	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++) {
		cpu->segment[i].limit = bits == 16 ? 0xffff : UINT32_MAX;
		cpu->segment[i].attributes = bits == 16 ? 0x93 : 0xc093;
	}
	cpu->segment[X86_CS].attributes = bits == 64 ? 0xa09b : bits == 32 ? 0xc09b : 0x9b;
}

static size_t put_code(const char *hex)
{
	uint8_t *at = m.memory + m.emulator.cpu.segment[X86_CS].base + m.emulator.cpu.rip;
	size_t len = 0;
	unsigned int byte;
	int used;

	while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
		at[len++] = byte;
		hex += used;
	}
	return len;
}

static int emulate(const char *hex)
{
	put_code(hex);
	m.emulator.byte_count = 0;
	return x86_emulate(&m.emulator, &ops, &m);
}

static void expect_done(const char *hex)
{
	uint64_t rip = m.emulator.cpu.rip;
	size_t len = put_code(hex);
	int ret = emulate(hex);

	if (ret)
		fail_msg("%s: returned %d, vector %d", hex, ret, m.emulator.exception.vector);
	if (m.emulator.cpu.rip != rip + len)
		fail_msg("%s: rip %lx", hex, m.emulator.cpu.rip);
}

static void expect_exception(const char *hex, uint8_t vector)
{
	struct x86_cpu before = m.emulator.cpu;
	int ret = emulate(hex);

	if (ret != X86_EMULATE_EXCEPTION || m.emulator.exception.vector != vector)
		fail_msg("%s: returned %d, vector %d", hex, ret, m.emulator.exception.vector);
	assert_memory_equal(&before, &m.emulator.cpu, sizeof(before));
}

static uint64_t *gpr(enum x86_reg reg)
{
	return &m.emulator.cpu.gpr[reg];
}

static uint64_t memory_at(uint64_t linear, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, m.memory + linear, len);
	return value;
}

static void test_fetch(void **state)
{
	(void)state;
	/* All bytes are there: none is fetched. */
	start(64);
	memcpy(m.emulator.bytes, "\x89\x07", 2);
	m.emulator.byte_count = 2;
	assert_int_equal(x86_emulate(&m.emulator, &ops, &m), X86_EMULATE_DONE);
	assert_int_equal(m.fetches, 0);
	/* Some are there: only the others are. */
	start(64);
	put_code("c7 07 01 02 03 04");
	memcpy(m.emulator.bytes, "\xc7\x07", 2);
	m.emulator.byte_count = 2;
	assert_int_equal(x86_emulate(&m.emulator, &ops, &m), X86_EMULATE_DONE);
	assert_int_equal(m.fetches, 1);
	assert_int_equal(memory_at(0x700, 4), 0x04030201);
	/* Across a page, in two steps; the second page is left alone if not needed. */
	start(64);
	m.emulator.cpu.rip = 0x4ffe;
	m.fault_at = 0x5000;
	expect_done("89 07");
	assert_int_equal(m.fetches, 1);
	start(64);
	m.emulator.cpu.rip = 0x4ffe;
	expect_done("c7 07 01 02 03 04");
	assert_int_equal(m.fetches, 2);
	start(64);
	m.emulator.cpu.rip = 0x4ffe;
	m.fault_at = 0x5000;
	expect_exception("c7 07 01 02 03 04", X86_VECTOR_PF);
	assert_int_equal(m.emulator.exception.address, 0x5000);
	/* At the end of the code segment. */
	start(32);
	m.emulator.cpu.segment[X86_CS].limit = 0x4003;
	expect_done("89 07");
	m.emulator.cpu.rip = 0x4000;
	expect_exception("c7 07 01 02 03 04", X86_VECTOR_GP);
	/* Without the operation. */
	start(64);
	ops.fetch = NULL;
	assert_int_equal(emulate("89 07"), -EOPNOTSUPP);
}

static void test_no_instruction(void **state)
{
	(void)state;
	start(64);
	expect_exception("0f 0b", X86_VECTOR_UD);
	assert_false(m.emulator.exception.has_error_code);
	expect_exception("66 66 66 66 66 66 66 66 66 66 66 66 66 66 89 07", X86_VECTOR_GP);
	assert_true(m.emulator.exception.has_error_code);
	assert_int_equal(m.emulator.exception.error_code, 0);
	assert_int_equal(emulate("0f a2"), -EOPNOTSUPP);       /* CPUID */
	assert_int_equal(emulate("c5 fc 58 07"), -EOPNOTSUPP); /* VADDPS */
	assert_int_equal(m.emulator.insn.length, 4);
	m.emulator.byte_count = X86_INSN_MAX_LENGTH + 1;
	assert_int_equal(x86_emulate(&m.emulator, &ops, &m), -EINVAL);
}

static void test_faults(void **state)
{
	(void)state;
	start(64);
	m.fault_at = 0x1000;
	*gpr(X86_RDI) = 0xffe;
	expect_exception("8b 07", X86_VECTOR_PF);
	assert_int_equal(m.emulator.exception.address, 0x1000);
	/* The read of a read-modify-write tells that a write follows. */
	expect_exception("01 07", X86_VECTOR_PF);
	assert_int_equal(m.emulator.exception.error_code, 2);
	assert_int_equal(m.last_access, X86_ACCESS_READ | X86_ACCESS_WRITE);
	/* POP of memory that faults leaves the stack pointer, PUSH of memory too. */
	*gpr(X86_RSP) = 0x2000;
	expect_exception("8f 07", X86_VECTOR_PF);
	expect_exception("ff 37", X86_VECTOR_PF);
	/* Errors that are no exceptions come back as they are. */
	*gpr(X86_RDI) = MEMORY_SIZE;
	assert_int_equal(emulate("8b 07"), -EIO);
	*gpr(X86_RDI) = 0x700;
	m.read_error = -EAGAIN; /* which is no answer of an exchange here */
	assert_int_equal(emulate("8b 07"), -EAGAIN);
	assert_int_equal(emulate("f0 0f b1 1f"), -EAGAIN);
	assert_int_equal(emulate("f0 0f c7 0f"), -EAGAIN);
	assert_int_equal(emulate("f0 01 07"), -EAGAIN);
	m.read_error = 0;
	*gpr(X86_RDI) = 0x8000000000000000;
	expect_exception("8b 07", X86_VECTOR_GP);
	*gpr(X86_RSP) = 0x8000000000000000;
	expect_exception("50", X86_VECTOR_SS);
	expect_exception("f7 f1", X86_VECTOR_DE); /* edx:eax / ecx overflows */
}

/* The most negative quotient fits, its opposite does not. */
static void test_division_limits(void **state)
{
	(void)state;
	start(64);
	*gpr(X86_RCX) = 1;
	*gpr(X86_RAX) = 0xff80;
	expect_done("f6 f9");
	assert_int_equal(*gpr(X86_RAX), 0x0080);
	expect_exception("f6 f9", X86_VECTOR_DE);
	*gpr(X86_RCX) = 0xff;
	*gpr(X86_RAX) = 0xff80;
	expect_exception("f6 f9", X86_VECTOR_DE);
	*gpr(X86_RAX) = 0x0080;
	expect_done("f6 f9");
	assert_int_equal(*gpr(X86_RAX), 0x0080);
	*gpr(X86_RAX) = 0x8000000000000000;
	*gpr(X86_RDX) = -1;
	*gpr(X86_RCX) = 1;
	expect_done("48 f7 f9");
	assert_int_equal(*gpr(X86_RAX), 0x8000000000000000);
	*gpr(X86_RDX) = -1;
	*gpr(X86_RCX) = -1;
	expect_exception("48 f7 f9", X86_VECTOR_DE);
	*gpr(X86_RCX) = 0;
	expect_exception("48 f7 f1", X86_VECTOR_DE);
}

static void test_alignment(void **state)
{
	(void)state;
	start(64);
	m.emulator.cpu.cr0 |= X86_CR0_AM;
	m.emulator.cpu.rflags |= X86_RFLAGS_AC;
	*gpr(X86_RDI) = 0x701;
	expect_done("8b 07"); /* the kernel is not checked */
	m.emulator.cpu.segment[X86_SS].attributes |= 3 << X86_SEGMENT_DPL_SHIFT;
	expect_exception("8b 07", X86_VECTOR_AC);
	expect_done("8a 07");
	assert_int_equal(m.last_access, X86_ACCESS_READ | X86_ACCESS_USER);
	*gpr(X86_RDI) = 0x708;
	expect_done("48 8b 07");
	start(64);
	*gpr(X86_RDI) = 0x708;
	expect_exception("48 0f c7 0f", X86_VECTOR_GP);
	expect_exception("0f 28 07", X86_VECTOR_GP);
	expect_exception("66 0f e7 07", X86_VECTOR_GP);
	expect_done("0f 10 07");
}

static void test_locked(void **state)
{
	(void)state;
	start(64);
	memset(m.memory + 0x700, 0, 16);
	m.contention = 3;
	*gpr(X86_RAX) = 0x10;
	expect_done("f0 01 07");
	assert_int_equal(m.exchanges, 4);
	assert_int_equal(m.writes, 0);
	assert_int_equal(memory_at(0x700, 4), 0x13);
	/* XCHG locks by itself. */
	expect_done("87 07");
	assert_int_equal(m.exchanges, 5);
	assert_int_equal(*gpr(X86_RAX), 0x13);
	assert_int_equal(memory_at(0x700, 4), 0x10);
	assert_int_equal(m.last_access, X86_ACCESS_READ | X86_ACCESS_WRITE | X86_ACCESS_LOCKED);
	/* Without LOCK, a plain write. */
	expect_done("01 07");
	assert_int_equal(m.exchanges, 5);
	assert_int_equal(m.writes, 1);
	/* CMPXCHG that loses its race gives the value that won. */
	memcpy(m.memory + 0x700, "\x05\0\0\0", 4);
	*gpr(X86_RAX) = 5;
	m.contention = 1;
	expect_done("f0 0f b1 1f");
	assert_int_equal(*gpr(X86_RAX), 6);
	assert_int_equal(memory_at(0x700, 4), 6);
	assert_false(m.emulator.cpu.rflags & X86_RFLAGS_ZF);
	expect_done("f0 0f b1 1f");
	assert_int_equal(memory_at(0x700, 4), 0x300);
	assert_true(m.emulator.cpu.rflags & X86_RFLAGS_ZF);
	/* For ever: the caller tries again. */
	m.contention = 1000;
	assert_int_equal(emulate("f0 ff 07"), -EAGAIN);
	/* No operation for it: read and write. */
	ops.cmpxchg_memory = NULL;
	m.writes = 0;
	expect_done("f0 ff 07");
	assert_int_equal(m.writes, 1);
}

static void test_cmpxchg16b(void **state)
{
	(void)state;
	start(64);
	memcpy(m.memory + 0x700, "abcdefghijklmnop", 16);
	expect_done("f0 48 0f c7 0f");
	assert_false(m.emulator.cpu.rflags & X86_RFLAGS_ZF);
	assert_memory_equal(gpr(X86_RAX), "abcdefgh", 8);
	assert_memory_equal(gpr(X86_RDX), "ijklmnop", 8);
	m.contention = 1;
	expect_done("f0 48 0f c7 0f");
	assert_false(m.emulator.cpu.rflags & X86_RFLAGS_ZF);
	assert_memory_equal(gpr(X86_RAX), "bbcdefgh", 8);
	expect_done("f0 48 0f c7 0f");
	assert_true(m.emulator.cpu.rflags & X86_RFLAGS_ZF);
	assert_int_equal(memory_at(0x700, 8), 0x300);
	assert_int_equal(memory_at(0x708, 8), 0x100);
}

static void test_repeat_in_pieces(void **state)
{
	(void)state;
	start(64);
	*gpr(X86_RSI) = 0x1000;
	*gpr(X86_RDI) = 0x2000;
	*gpr(X86_RCX) = 10;
	m.emulator.max_iterations = 4;
	assert_int_equal(emulate("f3 a4"), X86_EMULATE_MORE);
	assert_int_equal(*gpr(X86_RCX), 6);
	assert_int_equal(*gpr(X86_RSI), 0x1004);
	assert_int_equal(m.emulator.cpu.rip, 0x4000);
	assert_int_equal(emulate("f3 a4"), X86_EMULATE_MORE);
	expect_done("f3 a4");
	assert_int_equal(*gpr(X86_RCX), 0);
	assert_int_equal(*gpr(X86_RDI), 0x200a);
	assert_memory_equal(m.memory + 0x1000, m.memory + 0x2000, 10);
	/* None left: nothing is accessed. */
	m.reads = 0;
	expect_done("f3 a4");
	assert_int_equal(m.reads, 0);
	/* With TF, a trap after each. */
	m.emulator.cpu.rflags |= X86_RFLAGS_TF;
	*gpr(X86_RCX) = 2;
	assert_int_equal(emulate("f3 a4"), X86_EMULATE_MORE);
	assert_true(m.emulator.single_step);
	assert_int_equal(*gpr(X86_RCX), 1);
}

static void test_repeat_faults(void **state)
{
	(void)state;
	start(64);
	*gpr(X86_RSI) = 0x1000;
	*gpr(X86_RDI) = 0x2ffc;
	*gpr(X86_RCX) = 10;
	m.fault_at = 0x3000;
	assert_int_equal(emulate("f3 a4"), X86_EMULATE_EXCEPTION);
	assert_int_equal(*gpr(X86_RCX), 6);
	assert_int_equal(*gpr(X86_RSI), 0x1004);
	assert_int_equal(*gpr(X86_RDI), 0x3000);
	assert_int_equal(m.emulator.cpu.rip, 0x4000);
	assert_int_equal(m.emulator.exception.address, 0x3000);
	/* The page comes, and the rest is done. */
	m.fault_at = 0;
	expect_done("f3 a4");
	assert_int_equal(*gpr(X86_RDI), 0x3006);
	/* REPNE SCAS ends at what it looks for. */
	start(64);
	memset(m.memory + 0x2000, 1, 16);
	m.memory[0x2005] = 0;
	*gpr(X86_RDI) = 0x2000;
	*gpr(X86_RCX) = -1;
	expect_done("f2 ae");
	assert_int_equal(*gpr(X86_RDI), 0x2006);
	assert_int_equal(*gpr(X86_RCX), -7);
}

static void test_port_io(void **state)
{
	(void)state;
	start(64);
	*gpr(X86_RDX) = 0x123f8;
	*gpr(X86_RAX) = 0xffffffff87654321;
	expect_done("ee");
	assert_int_equal(m.port, 0x23f8);
	assert_int_equal(m.port_len, 1);
	assert_int_equal(m.port_value, 0x21);
	expect_done("66 e7 f0");
	assert_int_equal(m.port, 0xf0);
	assert_int_equal(m.port_value, 0x4321);
	m.port_value = 0x11223344;
	expect_done("ec");
	assert_int_equal(*gpr(X86_RAX), 0xffffffff87654344);
	m.port_value = 0x11223344;
	expect_done("48 ed"); /* at most 32 bits */
	assert_int_equal(*gpr(X86_RAX), 0x11223344);
	m.port_error = -EIO;
	assert_int_equal(emulate("ec"), -EIO);
	m.port_error = 0;
	/* Strings. */
	*gpr(X86_RDI) = 0x2000;
	*gpr(X86_RCX) = 3;
	m.port_value = 0x61;
	expect_done("f3 6c");
	assert_memory_equal(m.memory + 0x2000, "abc", 3);
	*gpr(X86_RSI) = 0x2001;
	m.emulator.cpu.rflags |= X86_RFLAGS_DF;
	expect_done("66 6f");
	assert_int_equal(m.port_value, 0x6362);
	assert_int_equal(*gpr(X86_RSI), 0x1fff);
	ops.write_io = NULL;
	assert_int_equal(emulate("ee"), -EOPNOTSUPP);
}

static void test_branches(void **state)
{
	(void)state;
	start(64);
	put_code("74 10");
	assert_int_equal(emulate("74 10"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x4002);
	m.emulator.cpu.rflags |= X86_RFLAGS_ZF;
	assert_int_equal(emulate("74 f0"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x3ff4);
	assert_int_equal(emulate("e8 07 00 00 00"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x4000);
	assert_int_equal(memory_at(*gpr(X86_RSP), 8), 0x3ff9);
	assert_int_equal(emulate("c2 10 00"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x3ff9);
	assert_int_equal(*gpr(X86_RSP), 0x410);
	memcpy(m.memory + 0x700, "\0\x80\0\0\0\0\0\0", 8);
	assert_int_equal(emulate("ff 27"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x8000);
	memset(m.memory + 0x700, 0x80, 8);
	expect_exception("ff 17", X86_VECTOR_GP);
	*gpr(X86_RCX) = 0x100000001;
	assert_int_equal(emulate("67 e2 10"), 0); /* ECX becomes zero */
	assert_int_equal(m.emulator.cpu.rip, 0x8003);
	assert_int_equal(*gpr(X86_RCX), 0);
	assert_int_equal(emulate("e3 10"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x8015);
	/* With 16 bits, the target is cut. */
	start(32);
	assert_int_equal(emulate("66 e9 fc ff"), 0);
	assert_int_equal(m.emulator.cpu.rip, 0x4000);
	m.emulator.cpu.segment[X86_CS].limit = 0x5000;
	expect_exception("e9 00 10 00 00", X86_VECTOR_GP);
}

static void test_real_mode(void **state)
{
	struct x86_cpu *cpu = &m.emulator.cpu;

	(void)state;
	start(16);
	cpu->rip = 0x100;
	cpu->segment[X86_CS].base = 0x4000;
	cpu->segment[X86_ES].base = 0x8000;
	*gpr(X86_RAX) = 0x1234;
	*gpr(X86_RDI) = 0x40010;
	expect_done("26 89 05");
	assert_int_equal(memory_at(0x8010, 2), 0x1234);
	expect_done("66 26 89 05");
	assert_int_equal(memory_at(0x8010, 4), 0x1234);
	/* MOV SS, and the interrupt shadow after it. */
	*gpr(X86_RAX) = 0x0200;
	expect_done("8e d0");
	assert_int_equal(cpu->segment[X86_SS].base, 0x2000);
	assert_true(m.emulator.interrupt_shadow);
	*gpr(X86_RSP) = 0xfff00010;
	expect_done("50");
	assert_false(m.emulator.interrupt_shadow);
	assert_int_equal(*gpr(X86_RSP), 0xfff0000e);
	assert_int_equal(memory_at(0x200e, 2), 0x200);
	expect_done("06"); /* PUSH ES */
	cpu->segment[X86_ES].selector = 0x800;
	expect_done("06");
	assert_int_equal(memory_at(0x200a, 2), 0x800);
	*gpr(X86_RDI) = 0xffff;
	expect_exception("8b 05", X86_VECTOR_GP);
	/* In protected mode a selector needs its descriptor. */
	start(32);
	assert_int_equal(emulate("8e d8"), -EOPNOTSUPP);
	expect_done("8c 1f");
}

static void test_protected_mode(void **state)
{
	struct x86_cpu *cpu = &m.emulator.cpu;

	(void)state;
	start(32);
	cpu->segment[X86_DS].base = 0xfffff000; /* wraps at 4 GiB */
	*gpr(X86_RDI) = 0x3000;
	*gpr(X86_RAX) = 0x11223344;
	expect_done("89 07");
	assert_int_equal(memory_at(0x2000, 4), 0x11223344);
	expect_done("47"); /* INC EDI */
	assert_int_equal(*gpr(X86_RDI), 0x3001);
	expect_done("66 4f"); /* DEC DI */
	assert_int_equal(*gpr(X86_RDI), 0x3000);
	*gpr(X86_RDI) = 0xffffffff;
	expect_done("47");
	assert_int_equal(*gpr(X86_RDI), 0);
	assert_true(cpu->rflags & X86_RFLAGS_ZF);
	expect_done("a1 00 30 00 00");
	assert_int_equal(*gpr(X86_RAX), 0x11223344);
	expect_done("80 2d 00 30 00 00 44");
	expect_done("82 2d 00 30 00 00 01"); /* its old alias */
	assert_int_equal(memory_at(0x2000, 4), 0x112233ff);
}

static void test_vector(void **state)
{
	(void)state;
	start(64);
	memcpy(m.memory + 0x700, "0123456789abcdefghijklmnopqrstuv", 32);
	memset(m.vector, 0xee, sizeof(m.vector));
	expect_done("f3 44 0f 6f 07");
	assert_memory_equal(m.vector[8], "0123456789abcdef\xee", 17);
	assert_false(m.zeroed_upper);
	expect_done("c5 fe 6f 0f");
	assert_memory_equal(m.vector[1], "0123456789abcdefghijklmnopqrstuv", 32);
	assert_true(m.zeroed_upper);
	expect_exception("c5 f6 6f 0f", X86_VECTOR_UD); /* vvvv is not used */
	m.emulator.cpu.cr4 = X86_CR4_OSFXSR;
	expect_exception("c5 fe 6f 0f", X86_VECTOR_UD);
	m.emulator.cpu.cr4 = X86_CR4_OSXSAVE;
	expect_exception("0f 10 07", X86_VECTOR_UD);
	m.emulator.cpu.cr4 |= X86_CR4_OSFXSR;
	m.emulator.cpu.cr0 |= X86_CR0_TS;
	expect_exception("0f 10 07", X86_VECTOR_NM);
	m.emulator.cpu.cr0 |= X86_CR0_EM;
	expect_exception("0f 10 07", X86_VECTOR_UD);
	m.emulator.cpu.cr0 = X86_CR0_PE;
	ops.get_vector = NULL;
	assert_int_equal(emulate("0f 11 07"), -EOPNOTSUPP);
	/* MMX registers are not at hand. */
	assert_int_equal(emulate("0f 6f 07"), -EOPNOTSUPP);
}

static void test_flags_of_the_end(void **state)
{
	(void)state;
	start(64);
	m.emulator.cpu.rflags |= X86_RFLAGS_RF | X86_RFLAGS_TF;
	expect_done("89 07");
	assert_true(m.emulator.single_step);
	assert_false(m.emulator.cpu.rflags & X86_RFLAGS_RF);
	m.emulator.cpu.rflags &= ~X86_RFLAGS_TF;
	expect_done("89 07");
	assert_false(m.emulator.single_step);
	/* These touch no memory. */
	m.reads = m.writes = 0;
	expect_done("0f ae 3f");
	expect_done("0f 18 07");
	expect_done("0f 1f 44 00 00");
	expect_done("f3 90");
	expect_done("0f ae f0");
	assert_int_equal(m.reads + m.writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_no_instruction),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_division_limits),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_cmpxchg16b),
		cmocka_unit_test(test_repeat_in_pieces),
		cmocka_unit_test(test_repeat_faults),
		cmocka_unit_test(test_port_io),
		cmocka_unit_test(test_branches),
		cmocka_unit_test(test_real_mode),
		cmocka_unit_test(test_protected_mode),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_flags_of_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
