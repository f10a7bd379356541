/* Ends the run in the way that end= names; without it by power-off. */
#include "proto/hv_cpuid.h"
#include "tests/guests/guest.h"

static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nothing;

	__asm__ volatile("lidt %0; ud2" : : "m"(nothing));
}

/* Tells the host of its end first, as kernels do. */
static void crash(void)
{
	guest_wrmsr(HV_X64_MSR_CRASH_P0, 0x1234);
	guest_wrmsr(HV_X64_MSR_CRASH_CTL, HV_CRASH_CTL_CRASH_NOTIFY);
	guest_print("end: goes on\n");
	triple_fault();
}

static void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void reset(void)
{
	guest_out8(0x64, 0xfe);
	spin();
}

static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static const struct {
	const char *name;
	void (*end)(void);
} ends[] = {
	{ "triple-fault", triple_fault },
	{ "crash", crash },
	{ "reset", reset },
	{ "spin", spin },
	{ "halt", halt },
};

void guest_main(void)
{
	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (guest_option_is("end", ends[i].name)) {
			guest_print("end: %s\n", ends[i].name);
			ends[i].end();
		}
	guest_pass("power-off");
}
