/* The shim on the machine: docs/shim.md */
#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"
#include "proto/hv_cpuid.h"

extern uint8_t shim_start[], shim_end[];

/* In entry.S. Does not come back. */
void shim_enter(uint64_t rip, uint64_t rsi, uint64_t cr3) __attribute__((noreturn));

void shim_main(uint8_t *region, uint64_t tsc) __attribute__((noreturn));
void shim_exception(uint64_t vector, uint64_t rip, uint64_t cr2) __attribute__((noreturn));

#define VECTOR_COUNT 32
#define VECTOR_SIZE  16     /* bytes of a stub in entry.S */
#define GATE_PRESENT 0x8e00 /* an interrupt gate (SDM vol. 3, 6.14.1) */
#define CODE_SEGMENT 0x10

extern uint8_t shim_vectors[];

struct gate {
	uint16_t offset_0, selector, flags, offset_16;
	uint32_t offset_32, reserved;
};

static struct gate gates[VECTOR_COUNT];

static struct shim shim;
static struct shim_log ring __attribute__((aligned(4096)));

static void cpuid(uint32_t leaf, uint32_t regs[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(leaf), "c"(0));
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Whether a hypervisor takes crash reports (TLFS 2.4.4 and 3.14). */
static bool has_crash_msrs(void)
{
	uint32_t regs[4];

	cpuid(1, regs);
	if (!(regs[2] >> 31))
		return false;
	cpuid(HV_CPUID_INTERFACE, regs);
	if (regs[0] != HV_CPUID_INTERFACE_HV1)
		return false;
	cpuid(HV_CPUID_FEATURES, regs);
	return regs[3] & HV_FEATURE_GUEST_CRASH_MSRS;
}

/* The log's end as the text of a crash report: to the host's eyes, and there is nothing else in it. */
static void __attribute__((noreturn)) report_and_halt(void)
{
	static char text[SHIM_LOG_TEXT] __attribute__((aligned(4096)));
	size_t len = shim_log_tail(shim.log, text, sizeof(text));

	if (has_crash_msrs()) {
		wrmsr(HV_X64_MSR_CRASH_P0, SHIM_PARAMS_MAGIC);
		wrmsr(HV_X64_MSR_CRASH_P0 + 1, shim.log_gpa);
		wrmsr(HV_X64_MSR_CRASH_P0 + 2, 0);
		wrmsr(HV_X64_MSR_CRASH_P0 + 3, (uintptr_t)text);
		wrmsr(HV_X64_MSR_CRASH_P4, len);
		wrmsr(HV_X64_MSR_CRASH_CTL, HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE);
	}
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Nothing that a host can say leads here: it is a mistake of ours, or a machine that is not what it should be. */
void shim_exception(uint64_t vector, uint64_t rip, uint64_t cr2)
{
	static bool again;

	while (again)
		__asm__ volatile("cli; hlt");
	again = true;
	shim_stop(&shim, "exception %u at %llx of the region, CR2 %llx", (unsigned int)vector,
		  (unsigned long long)(rip - shim.region_gpa), (unsigned long long)cr2);
	report_and_halt();
}

static void catch_exceptions(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idt = { sizeof(gates) - 1, (uintptr_t)gates };
	unsigned int i;

	for (i = 0; i < VECTOR_COUNT; i++) {
		uint64_t at = (uintptr_t)shim_vectors + i * VECTOR_SIZE;

		gates[i] = (struct gate){ (uint16_t)at,         CODE_SEGMENT,         GATE_PRESENT,
					  (uint16_t)(at >> 16), (uint32_t)(at >> 32), 0 };
	}
	/* Three bytes, which shim_count knows. */
	__asm__ volatile("lidt (%%rax)" : : "a"(&idt), "m"(idt));
}

void shim_main(uint8_t *region, uint64_t tsc)
{
	struct shim_start start;

	shim.region = region;
	shim.region_gpa = (uintptr_t)region; /* mapped at its own address */
	shim.self.gpa = (uint64_t)(shim_start - region);
	shim.self.len = (uint64_t)(shim_end - shim_start);
	shim.log = &ring;
	shim.log_gpa = (uintptr_t)&ring;
	shim_log_init(&ring, tsc);
	catch_exceptions();
	if (shim_prepare(&shim, &start))
		report_and_halt();
	ring.stage = SHIM_STAGE_LEFT;
	ring.tsc_end = rdtsc();
	shim_enter(start.rip, start.rsi, start.cr3);
}
