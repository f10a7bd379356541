/*
 * Synthetic timers (TLFS 12.3) in both modes, on one processor and then on all at once, so that one uses a timer in message
 * mode that another uses in direct mode. Prints what an interrupt was late by, too:
 *   timer NAME late MEDIAN (us)
 *   rounds=N (2) of everything on all processors
 */
#include "proto/hv_cpuid.h"
#include "proto/hv_message.h"
#include "proto/hv_synic.h"
#include "tests/guests/guest.h"

#define ENABLE      1u
#define PERIODIC    2u
#define AUTO_ENABLE 8u
#define DIRECT      (0x1000u | DIRECT_VECTOR << 4)
#define MESSAGE     (SINT << 16)

#define DIRECT_VECTOR  0x40u
#define MESSAGE_VECTOR 0x50u
#define SINT           2u

/* Units of 100 ns. Long enough for an emulated machine at load, where it matters. */
#define MS    10000ull
#define SOON  (20 * MS)
#define LATER (400 * MS)
#define NEVER (36000000 * MS)
#define LIMIT (20000 * MS)

#define CONFIG(n) (HV_X64_MSR_STIMER0_CONFIG + 2 * (n))
#define COUNT(n)  (HV_X64_MSR_STIMER0_COUNT + 2 * (n))

#define SAMPLES 20

static struct hv_message_page *pages[GUEST_MAX_CPUS];
static const char *volatile failures[GUEST_MAX_CPUS];
static const char *volatile failed_case[GUEST_MAX_CPUS];
static unsigned int done, all;

static volatile struct hv_message *slot(void)
{
	return &pages[guest_cpu_number()]->sint_message[SINT];
}

/* Whether an interrupt came until then; it has been taken. */
static bool interrupted(uint64_t until)
{
	const struct guest_cpu *cpu = guest_this_cpu();
	uint64_t before = cpu->interrupts;

	do {
		guest_let_interrupts_in();
		if (cpu->interrupts != before)
			return true;
	} while (guest_time() < until);
	return false;
}

static void stop(unsigned int n)
{
	guest_wrmsr(COUNT(n), 0);
	guest_wrmsr(CONFIG(n), 0);
	guest_let_interrupts_in();
	guest_let_interrupts_in();
	slot()->header.message_type = HV_MESSAGE_TYPE_NONE;
	guest_wrmsr(HV_X64_MSR_EOM, 0);
}

/* What is wrong with the next interrupt, which must come at a time or after it. */
static const char *wrong_interrupt(uint64_t due, uint32_t vector)
{
	if (!interrupted(guest_time() + LIMIT))
		return "no interrupt";
	if (guest_time() < due)
		return "early";
	if (guest_this_cpu()->error != vector)
		return "another vector";
	return NULL;
}

static const char *wrong_message(unsigned int n, uint64_t due)
{
	const char *why = wrong_interrupt(due, MESSAGE_VECTOR);
	struct hv_timer_message_payload payload;

	if (why)
		return why;
	memcpy(&payload, (const void *)slot()->payload, sizeof(payload));
	if (slot()->header.message_type != HV_MESSAGE_TYPE_TIMER_EXPIRED)
		return "no message";
	if (payload.timer_index != n || payload.expiration_time < due ||
	    payload.delivery_time < payload.expiration_time)
		return "another message";
	slot()->header.message_type = HV_MESSAGE_TYPE_NONE;
	guest_wrmsr(HV_X64_MSR_EOM, 0);
	return NULL;
}

static const char *wrong_state(unsigned int n, uint64_t config, uint64_t count)
{
	if (guest_rdmsr(CONFIG(n)) != config)
		return "CONFIG";
	return guest_rdmsr(COUNT(n)) == count ? NULL : "COUNT";
}

/* --- the cases: what is wrong, or NULL --- */

static const char *direct_once(unsigned int n)
{
	uint64_t due;
	const char *why;

	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE | ENABLE);
	due = guest_time() + SOON;
	guest_wrmsr(COUNT(n), due);
	why = wrong_state(n, DIRECT | AUTO_ENABLE | ENABLE, due);
	if (!why)
		why = wrong_interrupt(due, DIRECT_VECTOR);
	if (!why)
		why = wrong_state(n, DIRECT | AUTO_ENABLE, due);
	if (!why && interrupted(guest_time() + SOON))
		why = "twice";
	return why;
}

static const char *direct_past(unsigned int n)
{
	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), 1);
	return wrong_interrupt(1, DIRECT_VECTOR);
}

static const char *direct_later_enabled(unsigned int n)
{
	uint64_t due = guest_time() + SOON;

	guest_wrmsr(CONFIG(n), DIRECT);
	guest_wrmsr(COUNT(n), due);
	if (interrupted(due + SOON))
		return "not enabled";
	guest_wrmsr(CONFIG(n), DIRECT | ENABLE);
	return wrong_interrupt(due, DIRECT_VECTOR);
}

static const char *direct_rearmed(unsigned int n)
{
	uint64_t due;

	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), guest_time() + NEVER);
	due = guest_time() + SOON;
	guest_wrmsr(COUNT(n), due);
	return wrong_interrupt(due, DIRECT_VECTOR);
}

static const char *direct_stopped(unsigned int n)
{
	uint64_t due = guest_time() + LATER;

	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), due);
	guest_wrmsr(COUNT(n), 0);
	if (interrupted(due + SOON))
		return "stopped";
	return wrong_state(n, DIRECT | AUTO_ENABLE, 0);
}

static const char *direct_halted(unsigned int n)
{
	uint64_t due = guest_time() + SOON;

	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), due);
	guest_wait_interrupt();
	return guest_time() < due ? "early" : NULL;
}

static const char *direct_periodic(unsigned int n)
{
	const uint64_t period = 5 * MS;
	uint64_t start = guest_time();
	const char *why = NULL;

	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE | PERIODIC);
	guest_wrmsr(COUNT(n), period);
	for (unsigned int i = 1; i <= 5 && !why; i++)
		why = wrong_interrupt(start + i * period, DIRECT_VECTOR);
	return why ? why : wrong_state(n, DIRECT | AUTO_ENABLE | PERIODIC | ENABLE, period);
}

static const char *message_once(unsigned int n)
{
	uint64_t due = guest_time() + SOON;
	const char *why;

	guest_wrmsr(CONFIG(n), MESSAGE | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), due);
	why = wrong_message(n, due);
	return why ? why : wrong_state(n, MESSAGE | AUTO_ENABLE, due);
}

static const char *message_periodic(unsigned int n)
{
	const uint64_t period = 5 * MS;
	uint64_t start = guest_time();
	const char *why = NULL;

	guest_wrmsr(CONFIG(n), MESSAGE | AUTO_ENABLE | PERIODIC);
	guest_wrmsr(COUNT(n), period);
	for (unsigned int i = 1; i <= 3 && !why; i++)
		why = wrong_message(n, start + i * period);
	return why;
}

/* The count stays where CONFIG changes the mode. */
static const char *direct_to_message(unsigned int n)
{
	uint64_t due = guest_time() + LATER;
	const char *why;

	guest_wrmsr(CONFIG(n), DIRECT | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), due);
	guest_wrmsr(CONFIG(n), MESSAGE | ENABLE);
	why = wrong_state(n, MESSAGE | ENABLE, due);
	return why ? why : wrong_message(n, due);
}

static const char *message_to_direct(unsigned int n)
{
	uint64_t due = guest_time() + LATER;
	const char *why;

	guest_wrmsr(CONFIG(n), MESSAGE | AUTO_ENABLE);
	guest_wrmsr(COUNT(n), due);
	guest_wrmsr(CONFIG(n), DIRECT | ENABLE);
	why = wrong_state(n, DIRECT | ENABLE, due);
	if (!why)
		why = wrong_interrupt(due, DIRECT_VECTOR);
	return why ? why : slot()->header.message_type ? "message" : NULL;
}

static const struct {
	const char *name;
	const char *(*fn)(unsigned int n);
} cases[] = {
	{ "direct-once", direct_once },
	{ "direct-past", direct_past },
	{ "direct-later-enabled", direct_later_enabled },
	{ "direct-rearmed", direct_rearmed },
	{ "direct-stopped", direct_stopped },
	{ "direct-halted", direct_halted },
	{ "direct-periodic", direct_periodic },
	{ "message-once", message_once },
	{ "message-periodic", message_periodic },
	{ "direct-to-message", direct_to_message },
	{ "message-to-direct", message_to_direct },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void set_up(void)
{
	guest_write32(GUEST_LAPIC + 0xf0, 0x1ff);
	guest_wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_SCONTROL_ENABLE);
	guest_wrmsr(HV_X64_MSR_SIMP, (uint64_t)pages[guest_cpu_number()] | 1);
	guest_wrmsr(HV_X64_MSR_SINT0 + SINT, MESSAGE_VECTOR);
}

static const char *run(unsigned int i, unsigned int n)
{
	const char *why = cases[i].fn(n);

	stop(n);
	return why;
}

/* Each processor begins with another case, so that modes differ. */
static void run_all(void)
{
	unsigned int cpu = guest_cpu_number(), rounds = (unsigned int)guest_option("rounds", 2);

	for (unsigned int i = 0; i < rounds * CASES && !failures[cpu]; i++) {
		unsigned int at = (i + cpu * 7) % CASES;

		failed_case[cpu] = cases[at].name;
		failures[cpu] = run(at, i % 2);
	}
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

static void other(void)
{
	set_up();
	while (__atomic_load_n(&all, __ATOMIC_SEQ_CST) == 0)
		__asm__ volatile("pause");
	run_all();
}

static void run_on_all(void)
{
	unsigned int others = guest_start_others(other);

	__atomic_store_n(&all, others + 1, __ATOMIC_SEQ_CST);
	run_all();
	while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < others + 1)
		__asm__ volatile("pause");
	for (unsigned int cpu = 0; cpu <= others; cpu++) {
		if (failures[cpu])
			guest_fail("all processors", "%u: %s: %s", cpu, failed_case[cpu],
				   failures[cpu]);
		else
			guest_pass("all processors");
	}
}

/* How late the guest sees a timer, which an answer to its RDMSR is a part of. */
static void measure(const char *name, uint32_t config)
{
	uint64_t late[SAMPLES], due;

	for (unsigned int i = 0; i < SAMPLES; i++) {
		guest_wrmsr(CONFIG(0), config);
		due = guest_time() + 5 * MS;
		guest_wrmsr(COUNT(0), due);
		guest_wait_interrupt();
		late[i] = guest_time() - due;
		for (unsigned int j = i; j && late[j] < late[j - 1]; j--) {
			uint64_t v = late[j];

			late[j] = late[j - 1];
			late[j - 1] = v;
		}
		stop(0);
	}
	guest_print("timer %s late %lu\n", name, late[SAMPLES / 2] / 10);
}

void guest_main(void)
{
	for (unsigned int i = 0; i < GUEST_MAX_CPUS; i++)
		pages[i] = guest_page();
	set_up();
	for (unsigned int i = 0; i < CASES; i++) {
		const char *why = NULL;
		unsigned int n;

		for (n = 0; n < HV_SYNIC_STIMER_COUNT && !why; n++)
			why = run(i, n);
		if (why)
			guest_fail(cases[i].name, "timer %u: %s", n - 1, why);
		else
			guest_pass(cases[i].name);
	}
	measure("direct", DIRECT | AUTO_ENABLE);
	measure("message", MESSAGE | AUTO_ENABLE);
	run_on_all();
}
