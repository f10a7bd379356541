/*
 * What leaving VTL0 costs: times each kind of exit by the TSC and prints a line for each,
 *   exit NAME CYCLES
 * with the median of some batches. The same guest runs under a plain KVM program (tests/bench/plain_kvm.c),
 * where the ports and the memory it touches are user exits.
 *   batches=N (9), count=N exits a batch (200)
 */
#include "tests/guests/guest.h"

#define BATCHES_MAX 64

#define DELAY_PORT 0x80
#define IOAPIC     0xfec00000
#define HV_TIME    0x40000020

static void empty(void)
{
	__asm__ volatile("" : : : "memory");
}

static void port_out(void)
{
	guest_out8(DELAY_PORT, 0);
}

static void port_in(void)
{
	guest_in8(DELAY_PORT);
}

static void memory_write(void)
{
	guest_write32(IOAPIC, 1);
}

static void memory_read(void)
{
	guest_read32(IOAPIC + 0x10);
}

static void cpuid(void)
{
	uint32_t r[4];

	guest_cpuid(0, 0, r);
}

static void msr(void)
{
	guest_rdmsr(HV_TIME);
}

/* Answered by the hypervisor: HvCallNotifyLongSpinWait, fast. */
static void hypercall(void)
{
	guest_hypercall(1 << 16 | 8, 0, 0);
}

/* Answered by VTL2: HvCallSignalEvent of a connection that does not exist, fast. */
static void hypercall_vtl2(void)
{
	guest_hypercall(1 << 16 | 0x5d, 0x7fffff, 0);
}

/* A fixed interrupt to itself, taken at once. */
static void self_ipi(void)
{
	guest_write32(GUEST_LAPIC + 0x300, 0x40 | 1 << 18 | 1 << 14);
	guest_let_interrupts_in();
}

static uint64_t batch(void (*fn)(void), uint64_t count)
{
	uint64_t start = guest_tsc();

	for (uint64_t i = 0; i < count; i++)
		fn();
	return guest_tsc() - start;
}

static uint64_t median(uint64_t *values, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++)
		for (unsigned int j = i; j && values[j] < values[j - 1]; j--) {
			uint64_t v = values[j];

			values[j] = values[j - 1];
			values[j - 1] = v;
		}
	return values[count / 2];
}

static const struct {
	const char *name;
	void (*fn)(void);
	bool hyperv;
} kinds[] = {
	{ "nothing", empty, false },           { "port-out", port_out, false },
	{ "port-in", port_in, false },         { "memory-write", memory_write, false },
	{ "memory-read", memory_read, false }, { "cpuid", cpuid, false },
	{ "self-ipi", self_ipi, false },       { "msr", msr, true },
	{ "hypercall", hypercall, true },      { "hypercall-vtl2", hypercall_vtl2, true },
};

void guest_main(void)
{
	uint64_t count = guest_option("count", 200);
	unsigned int batches = (unsigned int)guest_option("batches", 9);
	uint64_t taken[BATCHES_MAX];
	bool hyperv = guest_on_hyperv();

	if (batches > BATCHES_MAX)
		batches = BATCHES_MAX;
	guest_write32(GUEST_LAPIC + 0xf0, 0x1ff);
	if (hyperv)
		guest_hypercall_init();
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].hyperv && !hyperv)
			continue;
		batch(kinds[i].fn, count / 10 + 1);
		for (unsigned int j = 0; j < batches; j++)
			taken[j] = batch(kinds[i].fn, count);
		guest_print("exit %s %lu\n", kinds[i].name, median(taken, batches) / count);
	}
	guest_pass("exits");
}
