/*
 * A guest that does at random what guests can do: ports, device memory, MSRs, CPUID, hypercalls, interrupts. It must
 * stop neither the paravisor nor the host; it avoids only the ways in which a guest ends by right.
 *   seed=N       (1) the same seed does the same, timing apart
 *   seconds=N    (10)
 *   only=KIND    pio, memory, msr, cpuid, hypercall or interrupt
 *   verbose=1    a line before every step (slow): the last one is what it died of
 */
#include "proto/hv_cpuid.h"
#include "tests/guests/guest.h"

#define UNITS_PER_SECOND 10000000ull /* of guest_time() */
#define FOUR_GIB         0x100000000ull
#define MIB2             0x200000ull

#define SCRATCH_PAGES 8

/* Everything that one CPU fuzzes with. */
struct fuzzer {
	uint64_t state; /* of the random numbers */
	uint64_t steps, faults;
	uint8_t scratch[SCRATCH_PAGES * 4096] __attribute__((aligned(4096)));
	uint8_t code[4096] __attribute__((aligned(4096))); /* of a page of its own */
	uint64_t registers[16];
	unsigned int kind;
};

static struct fuzzer fuzzers[GUEST_MAX_CPUS];
static uint64_t ram_end, vtl2_base, deadline;
static bool verbose;
static int only = -1;
static volatile bool over;
static unsigned int stopped; /* processors that have seen it */

/* xorshift64* */
static uint64_t draw(struct fuzzer *f)
{
	f->state ^= f->state >> 12;
	f->state ^= f->state << 25;
	f->state ^= f->state >> 27;
	return f->state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(struct fuzzer *f, uint64_t limit)
{
	return (draw(f) >> 16) % limit;
}

static bool one_in(struct fuzzer *f, unsigned int n)
{
	return below(f, n) == 0;
}

/* Numbers at which code goes wrong come more often than others. */
static uint64_t number(struct fuzzer *f)
{
	switch (below(f, 6)) {
	case 0:
		return below(f, 16);
	case 1:
		return 1ull << below(f, 64);
	case 2:
		return (1ull << below(f, 64)) - 1;
	case 3:
		return ~below(f, 256);
	case 4:
		return (uint32_t)draw(f);
	default:
		return draw(f);
	}
}

/* --- addresses --- */

static const struct {
	uint64_t base, len;
} device_memory[] = {
	{ 0xfec00000, 0x1000 },     /* IOAPIC */
	{ 0xfec00000, 0x100 },      /* and again, its registers */
	{ 0xfee00000, 0x1000 },     /* LAPIC */
	{ 0xfed40000, 0x5000 },     /* TPM */
	{ 0xfed00000, 0x400 },      /* HPET, absent */
	{ 0xc0000000, 0x3ec00000 }, /* the hole */
	{ 0xfffff000, 0x1000 },     /* its end */
	{ 0xa0000, 0x60000 },       /* VGA and ROMs */
};

/* Sends INIT or SIPI: that is how to end a VP by right. */
static bool is_interrupt_command(uint64_t gpa)
{
	return gpa >= GUEST_LAPIC + 0x2f0 && gpa < GUEST_LAPIC + 0x310;
}

static uint64_t outside_ram(struct fuzzer *f)
{
	uint64_t gpa;
	unsigned int i;

	switch (below(f, 8)) {
	case 0:
		return vtl2_base + below(f, 64 * MIB2);
	case 1:
		return ram_end > FOUR_GIB ? ram_end : FOUR_GIB + below(f, FOUR_GIB);
	case 2:
		return ((uint64_t)GUEST_MAPPED_GIB << 30) - 1 - below(f, FOUR_GIB);
	default:
		i = (unsigned int)below(f, sizeof(device_memory) / sizeof(device_memory[0]));
		gpa = device_memory[i].base + below(f, device_memory[i].len);
		if (one_in(f, 2))
			gpa &= ~15ull;
		break;
	}
	return is_interrupt_command(gpa) ? GUEST_LAPIC + 0x30 : gpa;
}

static uint64_t scratch(struct fuzzer *f)
{
	return (uint64_t)f->scratch + below(f, sizeof(f->scratch) - 512);
}

/* What hypercalls and MSRs are given: nothing that would let the host write over this guest. */
static uint64_t harmless_gpa(struct fuzzer *f)
{
	switch (below(f, 4)) {
	case 0:
		return outside_ram(f);
	case 1:
		return number(f) | 1ull << 40;
	default:
		return scratch(f) & (one_in(f, 2) ? ~7ull : ~0ull);
	}
}

/* --- ports --- */

/* Ports whose writing ends a guest: reset by keyboard controller, port A and CF9; power-off. */
static bool ends_guest(uint16_t port, unsigned int size)
{
	static const uint16_t ends[] = { 0x64, 0x92, 0xcf9, 0x404, 0x405, 0x604, 0x605 };

	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i] >= port && ends[i] < port + size)
			return !(ends[i] == 0xcf9 && port == 0xcf8 && size == 4);
	return false;
}

static uint16_t random_port(struct fuzzer *f)
{
	static const uint16_t known[] = { 0x20,  0x21,  0xa0,  0xa1,  0x40,  0x41,  0x42,
					  0x43,  0x61,  0x70,  0x71,  0x2f8, 0x3f8, 0x400,
					  0x408, 0x40c, 0xcf8, 0xcfc, 0x4d0, 0x80,  0x7e,
					  0x7f,  0xe0,  0x60,  0x402 };

	if (one_in(f, 3))
		return (uint16_t)draw(f);
	return (uint16_t)(known[below(f, sizeof(known) / sizeof(known[0]))] +
			  (one_in(f, 2) ? below(f, 8) : 0));
}

static void port_string(struct fuzzer *f, uint16_t port, bool write)
{
	uint64_t at = one_in(f, 8) ? outside_ram(f) : scratch(f);
	uint64_t count = below(f, 40);

	switch (below(f, 6)) {
	case 0:
		if (write)
			__asm__ volatile("rep outsb"
					 : "+S"(at), "+c"(count)
					 : "d"(port)
					 : "memory");
		else
			__asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory");
		break;
	case 1:
		if (write)
			__asm__ volatile("rep outsw"
					 : "+S"(at), "+c"(count)
					 : "d"(port)
					 : "memory");
		else
			__asm__ volatile("rep insw" : "+D"(at), "+c"(count) : "d"(port) : "memory");
		break;
	case 2:
		if (write)
			__asm__ volatile("rep outsl"
					 : "+S"(at), "+c"(count)
					 : "d"(port)
					 : "memory");
		else
			__asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(port) : "memory");
		break;
	case 3:
		if (write)
			__asm__ volatile("outsl" : "+S"(at) : "d"(port) : "memory");
		else
			__asm__ volatile("insl" : "+D"(at) : "d"(port) : "memory");
		break;
	default:
		if (write)
			__asm__ volatile("outsb" : "+S"(at) : "d"(port) : "memory");
		else
			__asm__ volatile("insb" : "+D"(at) : "d"(port) : "memory");
		break;
	}
}

static void step_port(struct fuzzer *f)
{
	static const unsigned int sizes[] = { 1, 1, 2, 4 };
	unsigned int size = sizes[below(f, 4)];
	uint16_t port = random_port(f);
	uint32_t value = (uint32_t)number(f);
	bool write = one_in(f, 2), string = one_in(f, 6);

	if (write && ends_guest(port, string ? 4 : size))
		return;
	if (verbose)
		guest_print("port %x size %u write %u string %u value %x\n", port, size, write,
			    string, value);
	if (string)
		port_string(f, port, write);
	else if (write && size == 1)
		guest_out8(port, (uint8_t)value);
	else if (write && size == 2)
		guest_out16(port, (uint16_t)value);
	else if (write)
		guest_out32(port, value);
	else if (size == 1)
		__asm__ volatile("inb %%dx, %%al" : "+a"(value) : "d"(port));
	else if (size == 2)
		__asm__ volatile("inw %%dx, %%ax" : "+a"(value) : "d"(port));
	else
		__asm__ volatile("inl %%dx, %%eax" : "+a"(value) : "d"(port));
}

/* --- memory: instructions put together from parts --- */

/*
 * Opcodes with a ModRM byte, as bytes of a prefix-free encoding. Group opcodes draw their /reg, too.
 * None of them branches, and none changes the stack pointer or a control register.
 */
static const struct {
	uint8_t len, bytes[3];
	uint8_t immediate; /* bytes that follow */
} opcodes[] = {
	{ 1, { 0x88 }, 0 },
	{ 1, { 0x89 }, 0 },
	{ 1, { 0x8a }, 0 },
	{ 1, { 0x8b }, 0 },
	{ 1, { 0xc6 }, 1 },
	{ 1, { 0xc7 }, 4 },
	{ 1, { 0x00 }, 0 },
	{ 1, { 0x01 }, 0 },
	{ 1, { 0x08 }, 0 },
	{ 1, { 0x09 }, 0 },
	{ 1, { 0x0b }, 0 },
	{ 1, { 0x11 }, 0 },
	{ 1, { 0x1b }, 0 },
	{ 1, { 0x21 }, 0 },
	{ 1, { 0x23 }, 0 },
	{ 1, { 0x29 }, 0 },
	{ 1, { 0x31 }, 0 },
	{ 1, { 0x33 }, 0 },
	{ 1, { 0x38 }, 0 },
	{ 1, { 0x39 }, 0 },
	{ 1, { 0x3b }, 0 },
	{ 1, { 0x80 }, 1 },
	{ 1, { 0x81 }, 4 },
	{ 1, { 0x83 }, 1 },
	{ 1, { 0x84 }, 0 },
	{ 1, { 0x85 }, 0 },
	{ 1, { 0x86 }, 0 },
	{ 1, { 0x87 }, 0 },
	{ 1, { 0xf6 }, 1 },
	{ 1, { 0xf7 }, 4 },
	{ 1, { 0xfe }, 0 },
	{ 1, { 0x63 }, 0 },
	{ 1, { 0xd1 }, 0 },
	{ 1, { 0xc1 }, 1 },
	{ 1, { 0x69 }, 4 },
	{ 1, { 0xd8 }, 0 },
	{ 1, { 0xdd }, 0 },
	{ 2, { 0x0f, 0xb6 }, 0 },
	{ 2, { 0x0f, 0xb7 }, 0 },
	{ 2, { 0x0f, 0xbe }, 0 },
	{ 2, { 0x0f, 0xbf }, 0 },
	{ 2, { 0x0f, 0xb0 }, 0 },
	{ 2, { 0x0f, 0xb1 }, 0 },
	{ 2, { 0x0f, 0xc0 }, 0 },
	{ 2, { 0x0f, 0xc1 }, 0 },
	{ 2, { 0x0f, 0xba }, 1 },
	{ 2, { 0x0f, 0xa3 }, 0 },
	{ 2, { 0x0f, 0xab }, 0 },
	{ 2, { 0x0f, 0xb3 }, 0 },
	{ 2, { 0x0f, 0xbb }, 0 },
	{ 2, { 0x0f, 0xc7 }, 0 },
	{ 2, { 0x0f, 0xc3 }, 0 },
	{ 2, { 0x0f, 0x10 }, 0 },
	{ 2, { 0x0f, 0x11 }, 0 },
	{ 2, { 0x0f, 0x28 }, 0 },
	{ 2, { 0x0f, 0x29 }, 0 },
	{ 2, { 0x0f, 0x2b }, 0 },
	{ 2, { 0x0f, 0x6f }, 0 },
	{ 2, { 0x0f, 0x7f }, 0 },
	{ 2, { 0x0f, 0xd6 }, 0 },
	{ 2, { 0x0f, 0x6e }, 0 },
	{ 2, { 0x0f, 0x7e }, 0 },
	{ 2, { 0x0f, 0xe7 }, 0 },
	{ 2, { 0x0f, 0x40 }, 0 },
	{ 2, { 0x0f, 0x90 }, 0 },
	{ 2, { 0x0f, 0xaf }, 0 },
	{ 2, { 0x0f, 0xbc }, 0 },
	{ 2, { 0x0f, 0x18 }, 0 },
	{ 2, { 0x0f, 0xae }, 0 },
	{ 3, { 0x0f, 0x38, 0xf0 }, 0 },
	{ 3, { 0x0f, 0x38, 0xf1 }, 0 },
	{ 3, { 0x0f, 0x38, 0x2a }, 0 },
	{ 3, { 0x0f, 0x38, 0xf6 }, 0 },
};

static const uint8_t string_opcodes[] = {
	0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf
};

/* Register numbers: the address is in RBX, an index in RBP; RSP is nobody's operand. */
#define RBX 3
#define RBP 5

static unsigned int put_prefixes(struct fuzzer *f, uint8_t *code)
{
	unsigned int n = 0;

	if (one_in(f, 4))
		code[n++] = 0x66;
	if (one_in(f, 5))
		code[n++] = one_in(f, 2) ? 0xf2 : 0xf3;
	if (one_in(f, 6))
		code[n++] = 0xf0; /* lock */
	if (one_in(f, 12))
		code[n++] = one_in(f, 2) ? 0x2e : 0x64; /* CS, FS */
	if (one_in(f, 2))
		code[n++] = (uint8_t)(0x48 | (below(f, 2) << 2)); /* REX.W, now and then REX.R */
	return n;
}

/* ModRM and what it takes: [rbx], [rbx + 8], [rbx + 32-bit], [rbx + rbp * scale]. */
static unsigned int put_operand(struct fuzzer *f, uint8_t *code)
{
	uint8_t reg = (uint8_t)below(f, 8);
	unsigned int n = 0;

	if (reg == 4)
		reg = 0;
	switch (below(f, 4)) {
	case 0:
		code[n++] = (uint8_t)(reg << 3 | RBX);
		break;
	case 1:
		code[n++] = (uint8_t)(0x40 | reg << 3 | RBX);
		code[n++] = (uint8_t)below(f, 0x80);
		break;
	case 2:
		code[n++] = (uint8_t)(0x80 | reg << 3 | RBX);
		code[n++] = (uint8_t)draw(f);
		code[n++] = 0;
		code[n++] = 0;
		code[n++] = 0;
		break;
	default:
		code[n++] = (uint8_t)(reg << 3 | 4);
		code[n++] = (uint8_t)(below(f, 4) << 6 | RBP << 3 | RBX);
		break;
	}
	return n;
}

static void put_instruction(struct fuzzer *f, uint8_t *code)
{
	unsigned int n = put_prefixes(f, code), i, j;

	if (one_in(f, 5)) {
		code[n++] = string_opcodes[below(f, sizeof(string_opcodes))];
	} else {
		i = (unsigned int)below(f, sizeof(opcodes) / sizeof(opcodes[0]));
		for (j = 0; j < opcodes[i].len; j++)
			code[n++] = opcodes[i].bytes[j];
		n += put_operand(f, code + n);
		/* Some forms have a shorter immediate, or none: what is left of it must do nothing. */
		for (j = 0; j < opcodes[i].immediate; j++)
			code[n++] = 0x90;
	}
	/* What is left over of a wrong guess at the length does nothing. */
	for (j = 0; j < 12; j++)
		code[n++] = 0x90;
	code[n] = 0xc3;
}

/* Loads registers, but RSP, and calls the code; when that faults guest_try() restores what counts. */
void run_code(const uint64_t registers[16], const uint8_t *code);
__asm__("run_code:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14\n" /* five: keeps RSP aligned */
	"	mov %rsi, %r13\n"
	"	mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
	"	mov 40(%rdi), %rbp; mov 48(%rdi), %rsi; mov 64(%rdi), %r8; mov 72(%rdi), %r9\n"
	"	mov 56(%rdi), %rdi\n"
	"	call *%r13\n"
	"	cld\n"
	"	pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static void print_code(const struct fuzzer *f, uint64_t gpa)
{
	guest_print("memory %lx:", gpa);
	for (unsigned int i = 0; i < 16; i++)
		guest_print(" %x", f->code[i]);
	guest_print("\n");
}

static void step_memory(struct fuzzer *f)
{
	uint64_t gpa = outside_ram(f);

	for (unsigned int i = 0; i < 16; i++)
		f->registers[i] = number(f);
	f->registers[1] = below(f, 64); /* RCX: how often a string instruction repeats */
	f->registers[RBX] = gpa;
	f->registers[RBP] = 0;
	f->registers[6] = one_in(f, 2) ? gpa : scratch(f);
	f->registers[7] = one_in(f, 2) ? outside_ram(f) : scratch(f);
	put_instruction(f, f->code);
	/*
	 * A command for the LAPIC may not come about by an offset either, nor a periodic timer that
	 * leaves a slow, emulated processor no time for anything else.
	 */
	if (gpa >= GUEST_LAPIC + 0x100 && gpa < GUEST_LAPIC + 0x3f0)
		return;
	if (f->registers[7] >= GUEST_LAPIC && f->registers[7] < GUEST_LAPIC + 0x3f0)
		f->registers[7] = scratch(f);
	if (verbose)
		print_code(f, gpa);
	run_code(f->registers, f->code);
}

/* --- MSRs --- */

/* What ends the guest by right, or takes its ground away. */
static bool leave_msr(uint32_t msr)
{
	switch (msr) {
	case 0x10:                   /* TSC */
	case 0x1b:                   /* APIC base: the runtime uses it */
	case 0x3b:                   /* TSC_ADJUST */
	case 0x830:                  /* x2APIC interrupt command */
	case 0xc0000080:             /* EFER */
	case HV_X64_MSR_HYPERCALL:   /* has a test of its own, and the page is in use */
	case HV_X64_MSR_GUEST_OS_ID: /* clears it */
	case 0x40000003:             /* reset */
	case HV_X64_MSR_CRASH_CTL:
	case 0x40000106 ... 0x40000108:
		return true;
	default:
		return false;
	}
}

static uint32_t random_msr(struct fuzzer *f)
{
	switch (below(f, 8)) {
	case 0:
		return (uint32_t)number(f);
	case 1:
		return (uint32_t)below(f, 0x1000);
	case 2:
		return 0xc0000080u + (uint32_t)below(f, 0x180);
	case 3:
		return 0xc0010000u + (uint32_t)below(f, 0x200);
	case 4:
		return 0x800u + (uint32_t)below(f, 0x40);
	default:
		return 0x40000000u + (uint32_t)below(f, one_in(f, 4) ? 0x400 : 0x120);
	}
}

static uint64_t msr_value(struct fuzzer *f, uint32_t msr)
{
	if (msr >= 0x40000000 && msr < 0x40000400 && one_in(f, 2))
		return (harmless_gpa(f) & ~0xfffull) | below(f, 16);
	if (msr >= 0x40000080 && msr < 0x400000a0)
		return number(f) | 1ull << 40; /* pages that are none of RAM */
	if (msr >= 0x40000000 && msr < 0x40000080)
		return number(f) | 1ull << 40;
	return number(f);
}

static void step_msr(struct fuzzer *f)
{
	uint32_t msr = random_msr(f);
	bool write = one_in(f, 2);
	uint64_t value = msr_value(f, msr);

	if (write && leave_msr(msr))
		return;
	if (verbose)
		guest_print("msr %x write %u value %lx\n", msr, write, value);
	if (write)
		guest_wrmsr(msr, value);
	else
		guest_rdmsr(msr);
}

static void step_cpuid(struct fuzzer *f)
{
	static const uint32_t bases[] = { 0, 0x40000000, 0x40000100, 0x80000000, 0x8fffff00 };
	uint32_t r[4];

	guest_cpuid(one_in(f, 8) ? (uint32_t)draw(f)
				 : bases[below(f, 5)] + (uint32_t)below(f, 0x90),
		    (uint32_t)below(f, 8), r);
}

/* --- hypercalls --- */

static void fill_input(struct fuzzer *f, uint64_t *at)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		at[i] = number(f);
	if (one_in(f, 2))
		at[0] = ~0ull; /* this partition */
	if (one_in(f, 2))
		at[1] = below(f, 4);
	if (one_in(f, 3))
		((uint32_t *)at)[0] = 0x45530001; /* the host port's connection, VTL2's own */
}

static void step_hypercall(struct fuzzer *f)
{
	static const uint16_t codes[] = { 0x02, 0x03, 0x08, 0x0b, 0x0c, 0x0d, 0x0f, 0x11,  0x12,
					  0x13, 0x14, 0x15, 0x4d, 0x50, 0x51, 0x52, 0x5c,  0x5c,
					  0x5c, 0x5d, 0x5d, 0x69, 0x7e, 0x91, 0x94, 0x99,  0x9a,
					  0xac, 0xad, 0xaf, 0xc0, 0xc1, 0xd9, 0xdb, 0x106, 0x8001 };
	uint64_t input = harmless_gpa(f), output = harmless_gpa(f);
	uint64_t control = codes[below(f, sizeof(codes) / sizeof(codes[0]))];

	if (one_in(f, 10))
		control = draw(f) & 0xffff;
	if (one_in(f, 3))
		control |= 1 << 16; /* fast */
	if (one_in(f, 4))
		control |= below(f, 1024) << 17;
	if (one_in(f, 3))
		control |= below(f, one_in(f, 2) ? 4 : 4096) << 32;
	if (one_in(f, 6))
		control |= below(f, 4096) << 48;
	if (one_in(f, 20))
		control |= number(f) & ~0xffffull;
	if (control & 1 << 16) {
		input = number(f);
		output = number(f);
	} else if (input >= (uint64_t)f->scratch &&
		   input < (uint64_t)f->scratch + sizeof(f->scratch) - 512) {
		fill_input(f, (uint64_t *)(input & ~7ull));
	}
	if (verbose)
		guest_print("hypercall %lx input %lx output %lx\n", control, input, output);
	guest_hypercall(control, input, output);
}

/* --- interrupts --- */

static void step_interrupt(struct fuzzer *f)
{
	uint32_t vector = 32 + (uint32_t)below(f, 224);

	switch (below(f, 4)) {
	case 0: /* to itself or everybody, fixed or NMI */
		guest_write32(GUEST_LAPIC + 0x300, vector | (one_in(f, 8) ? 0x400 : 0) |
							   (uint32_t)(1 + below(f, 3)) << 18);
		break;
	case 1: /* the LAPIC's timer, once; periodic only slowly */
		if (one_in(f, 4)) {
			guest_write32(GUEST_LAPIC + 0x320, vector); /* not with the old count */
			guest_write32(GUEST_LAPIC + 0x380, 50000000);
			guest_write32(GUEST_LAPIC + 0x320, vector | 1 << 17);
		} else {
			guest_write32(GUEST_LAPIC + 0x320, vector);
			guest_write32(GUEST_LAPIC + 0x380, (uint32_t)below(f, 100000));
		}
		break;
	case 2: /* an IOAPIC pin, level or edge, masked or not */
		guest_write32(0xfec00000, 0x10 + 2 * (uint32_t)below(f, 24));
		guest_write32(0xfec00010, vector | ((uint32_t)draw(f) & 0x1a000));
		break;
	default:
		break;
	}
	guest_let_interrupts_in();
}

/* --- steps --- */

static const struct {
	const char *name;
	void (*step)(struct fuzzer *f);
} kinds[] = {
	{ "pio", step_port },    { "memory", step_memory },       { "msr", step_msr },
	{ "cpuid", step_cpuid }, { "hypercall", step_hypercall }, { "interrupt", step_interrupt },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void step(void *arg)
{
	struct fuzzer *f = arg;

	kinds[f->kind].step(f);
}

static void fuzz(struct fuzzer *f)
{
	f->kind = only >= 0 ? (unsigned int)only : (unsigned int)below(f, KINDS);
	if (guest_try(step, f))
		f->faults++;
	f->steps++;
}

static void run_other(void)
{
	struct fuzzer *f = &fuzzers[guest_cpu_number()];

	while (!over)
		fuzz(f);
	__atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
}

/*
 * Ends the others' fuzzing, so that nobody else writes to the console's registers when the result is
 * printed. One of them may be in a step that takes long: not for ever.
 */
static void stop_others(unsigned int others)
{
	uint64_t limit = guest_time() + 5 * UNITS_PER_SECOND;

	over = true;
	while (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) < others && guest_time() < limit)
		__asm__ volatile("pause");
	guest_console_init();
}

static void report(unsigned int cpus, uint64_t seconds)
{
	uint64_t steps = 0, faults = 0;

	for (unsigned int i = 0; i <= cpus; i++) {
		steps += fuzzers[i].steps;
		faults += fuzzers[i].faults;
	}
	guest_console_init();
	guest_print("\nfuzz: %lu s, %lu steps, %lu of them faults\n", seconds, steps, faults);
}

static void run_first(unsigned int others)
{
	uint64_t start = guest_time(), next = UNITS_PER_SECOND, now = 0;

	while (now < deadline) {
		for (unsigned int i = 0; i < 32; i++)
			fuzz(&fuzzers[0]);
		now = guest_time() - start;
		if (now >= next) {
			report(others, now / UNITS_PER_SECOND);
			next = now + 5 * UNITS_PER_SECOND;
		}
	}
	report(others, now / UNITS_PER_SECOND);
}

void guest_main(void)
{
	uint64_t seed = guest_option("seed", 1);
	unsigned int i, others;

	deadline = guest_option("seconds", 10) * UNITS_PER_SECOND;
	verbose = guest_option("verbose", 0);
	for (i = 0; i < KINDS; i++)
		if (guest_option_is("only", kinds[i].name))
			only = (int)i;
	ram_end = guest_ram_end();
	vtl2_base = ram_end < FOUR_GIB ? FOUR_GIB : (ram_end + MIB2 - 1) & ~(MIB2 - 1);
	for (i = 0; i < GUEST_MAX_CPUS; i++)
		fuzzers[i].state = (seed * GUEST_MAX_CPUS + i + 1) * 0x9e3779b97f4a7c15ull;
	if (!guest_on_hyperv()) {
		guest_fail("fuzz", "no Hyper-V: no time and no hypercalls");
		return;
	}
	guest_hypercall_init();
	others = guest_start_others(run_other);
	guest_print("fuzz: seed %lu, %u processors\n", seed, others + 1);
	run_first(others);
	stop_others(others);
	if (fuzzers[0].steps < 100)
		guest_fail("fuzz", "only %lu steps", fuzzers[0].steps);
	else
		guest_pass("fuzz");
}
