#ifndef TESTS_GUESTS_GUEST_H
#define TESTS_GUESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/guests/guest_limits.h"

/*
 * The runtime of the test guests: freestanding, 64-bit, ring 0, the first GUEST_MAPPED_GIB of
 * physical memory mapped at its own address, interrupts off. A guest is one file with guest_main();
 * when that returns, the result line is printed and the machine powered off.
 */

/* What one CPU last went through; assembly writes it. */
struct guest_cpu {
	uint64_t recovery;                /* stack of the running guest_try(), or 0 */
	uint64_t vector, error, rip, cr2; /* of the last exception; `error`: last interrupt too */
	volatile uint64_t interrupts;
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct guest_cpu) == CPU_SIZE, "guest_limits.h");
_Static_assert(offsetof(struct guest_cpu, interrupts) == CPU_INTERRUPTS, "guest_limits.h");

extern struct guest_cpu guest_cpus[GUEST_MAX_CPUS];

/* Each guest's own. Runs on the first CPU. */
void guest_main(void);

/* Runs fn(arg): 0, or 1 + the vector of the exception it raised, which is where fn ends then. */
int guest_try(void (*fn)(void *arg), void *arg);

/* This CPU's number, 0 for the first, and its record. */
unsigned int guest_cpu_number(void);
struct guest_cpu *guest_this_cpu(void);

/* Starts every other CPU by INIT and SIPI; each runs fn with interrupts off. Returns how many answered. */
unsigned int guest_start_others(void (*fn)(void));

void *memset(void *at, int byte, size_t len);
void *memcpy(void *to, const void *from, size_t len);

/* --- console: COM1, polled --- */

void guest_console_init(void);
/* %s %d %u %x %lx %lu %c only */
void guest_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- results --- */

/* Prints "PASS name" or "FAIL name: why" and counts it. */
void guest_pass(const char *name);
void guest_fail(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void guest_power_off(void) __attribute__((noreturn));

/* --- command line: words NAME=NUMBER (decimal, or 0x...) --- */

uint64_t guest_option(const char *name, uint64_t value);
bool guest_option_is(const char *name, const char *text);

/* --- time --- */

bool guest_on_hyperv(void);
/* 100 ns units since some start; 0 for ever where there is no Hyper-V. */
uint64_t guest_time(void);

/* --- memory above the guest's own: a page to use, zeroed, below 4 GiB --- */

void *guest_page(void);

/* Ranges of RAM as the loader tells them. */
struct guest_range {
	uint64_t base, len;
	uint32_t type; /* 1: RAM */
};
unsigned int guest_memory_map(const struct guest_range **ranges);
/* The end of the highest RAM. */
uint64_t guest_ram_end(void);

/* Result word of a hypercall by the page, which guest_hypercall_init() shows. */
void guest_hypercall_init(void);
uint64_t guest_hypercall(uint64_t control, uint64_t input, uint64_t output);

/* --- the processor --- */

static inline void guest_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t guest_in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void guest_out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void guest_out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline void guest_write32(uint64_t at, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static inline uint32_t guest_read32(uint64_t at)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static inline uint64_t guest_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void guest_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline void guest_cpuid(uint32_t leaf, uint32_t index, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(index));
}

static inline uint64_t guest_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Lets one pending interrupt in. */
static inline void guest_let_interrupts_in(void)
{
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* Sleeps until an interrupt has been taken. */
static inline void guest_wait_interrupt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#endif
