/*
 * VTL0 tries every route that it has to VTL2's memory and registers. A route is closed when what it gives
 * is a fault, an error code, or what reading nothing gives: ones. That VTL2 still works afterwards
 * shows in the ports and the power-off that it answers.
 *
 * VTL2's RAM lies above VTL0's, at 4 GiB or higher and aligned to 2 MiB (docs/vtlhost.md).
 */
#include "proto/hv_cpuid.h"
#include "proto/hv_hypercall.h"
#include "tests/guests/guest.h"

#define FOUR_GIB 0x100000000ull
#define MIB2     0x200000ull

#define PAGE_PRESENT_WRITE 3
#define PATTERN            0x5ca1ab1e0ddba11ull

/* One attempt: where, and what it brought. */
struct attempt {
	uint64_t gpa;
	uint64_t value;
	uint32_t msr;
};

static uint64_t base; /* of VTL2's RAM, as far as VTL0 can tell */
static uint8_t saved[4096] __attribute__((aligned(64)));
static uint8_t buffer[4096] __attribute__((aligned(4096)));

/* --- plain accesses --- */

static void load8(void *arg)
{
	struct attempt *a = arg;

	a->value = *(volatile uint8_t *)a->gpa | ~0xffull;
}

static void load64(void *arg)
{
	struct attempt *a = arg;

	a->value = *(volatile uint64_t *)a->gpa;
}

static void load_sse(void *arg)
{
	struct attempt *a = arg;

	__asm__ volatile("movdqa (%1), %%xmm0; movdqu %%xmm0, (%2); movq %%xmm0, %0"
			 : "=r"(a->value)
			 : "r"(a->gpa), "r"(saved)
			 : "memory");
}

static void load_string(void *arg)
{
	struct attempt *a = arg;
	uint64_t from = a->gpa, count = 16;
	void *to = saved;

	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	memcpy(&a->value, saved, 8);
}

static void load_unaligned(void *arg)
{
	struct attempt *a = arg;

	a->value = *(volatile uint64_t *)(a->gpa + 4093);
}

/* The last bytes before VTL2's memory are VTL0's or nobody's: an access across the edge is no way in. */
static void load_edge(void *arg)
{
	struct attempt *a = arg;

	a->value = *(volatile uint64_t *)(a->gpa - 4) | 0xffffffff;
}

static void load_fxsave(void *arg)
{
	struct attempt *a = arg;

	__asm__ volatile("fxrstor (%0); fxsave (%1)" : : "r"(a->gpa), "r"(saved) : "memory");
	memcpy(&a->value, saved, 8);
}

static void compare_string(void *arg)
{
	struct attempt *a = arg;
	uint64_t at = a->gpa, count = 64;

	/* Looks for a byte that is not 0xff. */
	__asm__ volatile("repe scasb" : "+D"(at), "+c"(count) : "a"(0xff) : "cc", "memory");
	a->value = count ? 0 : ~0ull;
}

static void store64(void *arg)
{
	struct attempt *a = arg;

	*(volatile uint64_t *)a->gpa = PATTERN;
	a->value = *(volatile uint64_t *)a->gpa;
}

static void store_string(void *arg)
{
	struct attempt *a = arg;
	uint64_t to = a->gpa, count = 512;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(PATTERN) : "memory");
	a->value = *(volatile uint64_t *)a->gpa;
}

static void store_sse(void *arg)
{
	struct attempt *a = arg;

	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; psrld $4, %%xmm0; movntdq %%xmm0, (%1); mfence; "
			 "mov (%1), %0"
			 : "=r"(a->value)
			 : "r"(a->gpa)
			 : "memory");
}

static void exchange(void *arg)
{
	struct attempt *a = arg;

	a->value = PATTERN;
	__asm__ volatile("xchg %0, (%1)" : "+r"(a->value) : "r"(a->gpa) : "memory");
}

static void add_locked(void *arg)
{
	struct attempt *a = arg;

	a->value = 1;
	__asm__ volatile("lock xadd %0, (%1)" : "+r"(a->value) : "r"(a->gpa) : "memory", "cc");
}

static void compare_exchange(void *arg)
{
	struct attempt *a = arg;
	uint64_t expected = 0;

	__asm__ volatile("lock cmpxchg %2, (%1)"
			 : "+a"(expected)
			 : "r"(a->gpa), "r"((uint64_t)PATTERN)
			 : "memory", "cc");
	a->value = expected;
}

static void push_there(void *arg)
{
	struct attempt *a = arg;

	__asm__ volatile("mov %%rsp, %%rbx; lea 64(%1), %%rsp; push %2; pop %0; mov %%rbx, %%rsp"
			 : "=&r"(a->value)
			 : "r"(a->gpa), "r"((uint64_t)PATTERN)
			 : "rbx", "memory");
	/* What was pushed and came back again has been held somewhere. */
}

/* --- running code there --- */

static void call_there(void *arg)
{
	struct attempt *a = arg;

	__asm__ volatile("call *%0" : : "r"(a->gpa) : "memory", "rax", "rcx", "rdx");
	a->value = 0; /* came back */
}

static void call_second_page(void *arg)
{
	struct attempt *a = arg;

	__asm__ volatile("call *%0" : : "r"(a->gpa + 0x1000) : "memory", "rax", "rcx", "rdx");
	a->value = 0;
}

/* --- the processor's own accesses --- */

extern uint64_t guest_pdpt[], guest_pml4[];

static void flush(void)
{
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

/* A page directory in VTL2's memory: what is read through it is what VTL2's bytes point to. */
static void walk_there(void *arg)
{
	struct attempt *a = arg;

	guest_pdpt[GUEST_MAPPED_GIB] = a->gpa | PAGE_PRESENT_WRITE;
	flush();
	a->value = *(volatile uint64_t *)((uint64_t)GUEST_MAPPED_GIB << 30);
}

/* The same by a store, for which the processor would set accessed and dirty bits there. */
static void walk_there_to_write(void *arg)
{
	struct attempt *a = arg;

	guest_pdpt[GUEST_MAPPED_GIB] = a->gpa | PAGE_PRESENT_WRITE;
	flush();
	*(volatile uint64_t *)((uint64_t)GUEST_MAPPED_GIB << 30) = PATTERN;
	a->value = 0;
}

static void map_elsewhere(void *arg)
{
	struct attempt *a = arg;
	static uint64_t directory[512] __attribute__((aligned(4096)));
	static uint64_t table[512] __attribute__((aligned(4096)));

	table[5] = a->gpa | PAGE_PRESENT_WRITE;
	directory[0] = (uint64_t)table | PAGE_PRESENT_WRITE;
	guest_pdpt[GUEST_MAPPED_GIB] = (uint64_t)directory | PAGE_PRESENT_WRITE;
	flush();
	a->value = *(volatile uint64_t *)(((uint64_t)GUEST_MAPPED_GIB << 30) + 0x5000);
}

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* What LAR says of a descriptor in VTL2's memory; the old table is back before anything else. */
static void load_descriptor(void *arg)
{
	struct attempt *a = arg;
	struct table_register there = { 0xffff, a->gpa }, before;
	uint32_t rights = 0, valid = 0;

	__asm__ volatile("sgdt %2; lgdt %3; lar %4, %0; setz %b1; lgdt %2"
			 : "+r"(rights), "+r"(valid), "=m"(before)
			 : "m"(there), "r"(0x1000)
			 : "cc", "memory");
	a->value = !valid || (rights & 0xf0ff00) == 0xf0ff00 ? ~0ull : rights;
}

static void take_interrupt(void *arg)
{
	struct attempt *a = arg;
	struct table_register there = { 0xffff, a->gpa };

	__asm__ volatile("lidt %0; ud2" : : "m"(there));
}

/* --- MSRs that name a page --- */

static void point_msr(void *arg)
{
	struct attempt *a = arg;

	guest_wrmsr(a->msr, a->gpa | 1);
}

static void point_msr_back(void *arg)
{
	struct attempt *a = arg;

	guest_wrmsr(a->msr, 0);
}

static const struct {
	const char *name;
	uint32_t msr;
} page_msrs[] = {
	{ "hypercall page", HV_X64_MSR_HYPERCALL },
	{ "VP assist page", HV_X64_MSR_VP_ASSIST_PAGE },
	{ "reference TSC page", HV_X64_MSR_REFERENCE_TSC },
	{ "SynIC event flags page", HV_X64_MSR_SIEFP },
	{ "SynIC message page", HV_X64_MSR_SIMP },
};

/* --- bookkeeping --- */

struct route {
	const char *name;
	void (*attempt)(void *arg);
	bool must_fault; /* ones would mean that code ran there */
};

static const struct route routes[] = {
	{ "load-byte", load8, false },
	{ "load", load64, false },
	{ "load-sse", load_sse, false },
	{ "load-string", load_string, false },
	{ "load-across-pages", load_unaligned, false },
	{ "load-across-the-edge", load_edge, false },
	{ "load-fxrstor", load_fxsave, false },
	{ "compare-string", compare_string, false },
	{ "store", store64, false },
	{ "store-string", store_string, false },
	{ "store-sse", store_sse, false },
	{ "exchange", exchange, false },
	{ "locked-add", add_locked, false },
	{ "compare-exchange", compare_exchange, false },
	{ "stack", push_there, false },
	{ "call", call_there, true },
	{ "call-second-page", call_second_page, true },
	{ "another-address", map_elsewhere, false },
};

/*
 * What the processor reads there by itself cannot be emulated by anybody: such a guest may be ended
 * as by a triple fault. So each is a run of its own, with route=NAME.
 */
static const struct route fatal_routes[] = {
	{ "page-directory-read", walk_there, false },
	{ "page-directory-write", walk_there_to_write, true },
	{ "descriptor-table", load_descriptor, false },
	{ "interrupt-table", take_interrupt, true },
};

static void try_route(const struct route *route, uint64_t gpa)
{
	struct attempt a = { .gpa = gpa };
	int fault = guest_try(route->attempt, &a);

	guest_pdpt[GUEST_MAPPED_GIB] = 0;
	flush();
	if (!fault && (route->must_fault || a.value != ~0ull))
		guest_fail(route->name, "at %lx it gave %lx", gpa, a.value);
	else
		guest_pass(route->name);
}

/* Whatever is readable there must read as ones. */
static unsigned int leaks(uint64_t from, uint64_t to, uint64_t step)
{
	unsigned int found = 0;

	for (uint64_t at = from; at < to; at += step) {
		struct attempt a = { .gpa = at };

		if (!guest_try(load64, &a) && a.value != ~0ull)
			found++;
	}
	return found;
}

static void scan(void)
{
	unsigned int found = leaks(base, base + 64 * MIB2, MIB2 / 4);

	found += leaks(base, base + MIB2, 4096);
	if (found)
		guest_fail("scan", "%u pages from %lx on can be read", found, base);
	else
		guest_pass("scan");
}

static void try_page_msr(const char *name, uint32_t msr, uint64_t gpa)
{
	struct attempt a = { .gpa = gpa, .msr = msr };

	guest_try(point_msr, &a);
	if (!guest_try(load64, &a) && a.value != ~0ull)
		guest_fail(name, "VTL2's page can be read: %lx", a.value);
	else
		guest_pass(name);
	guest_try(point_msr_back, &a);
}

/* --- hypercalls --- */

static void expect_refused(const char *name, uint64_t control, uint64_t input, uint64_t output)
{
	uint64_t result = guest_hypercall(control, input, output);

	if (result & 0xffff)
		guest_pass(name);
	else
		guest_fail(name, "hypercall %lx: result %lx", control, result);
}

#define REP(n) ((uint64_t)(n) << 32)

static void registers_of_vtl2(void)
{
	struct hv_input_vp_registers *in = (void *)buffer;
	uint32_t *name = (uint32_t *)(in + 1);
	uint64_t *out = guest_page();

	memset(buffer, 0, sizeof(buffer));
	in->partition_id = HV_PARTITION_ID_SELF;
	in->vp_index = HV_VP_INDEX_SELF;
	in->input_vtl = 0x12; /* use the target: VTL2 */
	*name = 0x00020010;   /* RIP */
	expect_refused("get VTL2's RIP", HV_CALL_GET_VP_REGISTERS | REP(1), (uint64_t)in,
		       (uint64_t)out);
	expect_refused("get VTL2's RIP into VTL2", HV_CALL_GET_VP_REGISTERS | REP(1), (uint64_t)in,
		       base);
	expect_refused("set VTL2's RIP", HV_CALL_SET_VP_REGISTERS | REP(1), (uint64_t)in, 0);
	in->input_vtl = 0;
	expect_refused("set registers from VTL2", HV_CALL_SET_VP_REGISTERS | REP(1), base, 0);
}

static void protections(void)
{
	struct hv_input_modify_vtl_protection_mask *in = (void *)buffer;
	uint64_t *pages = (uint64_t *)(in + 1);

	memset(buffer, 0, sizeof(buffer));
	in->partition_id = HV_PARTITION_ID_SELF;
	in->map_flags = 0xf;
	pages[0] = base >> 12;
	expect_refused("give VTL0 a page of VTL2", HV_CALL_MODIFY_VTL_PROTECTION_MASK | REP(1),
		       (uint64_t)in, 0);
	in->input_vtl = 0x10;
	expect_refused("the same, naming VTL0", HV_CALL_MODIFY_VTL_PROTECTION_MASK | REP(1),
		       (uint64_t)in, 0);
}

static void translation(void)
{
	struct hv_input_translate_virtual_address *in = (void *)buffer;

	memset(buffer, 0, sizeof(buffer));
	in->partition_id = HV_PARTITION_ID_SELF;
	in->vp_index = HV_VP_INDEX_SELF;
	in->control_flags = 1 | 0x12ull << 56;
	expect_refused("translate in VTL2", HV_CALL_TRANSLATE_VIRTUAL_ADDRESS, (uint64_t)in,
		       (uint64_t)guest_page());
}

static void start_in_vtl2(void)
{
	struct hv_input_start_vp *in = (void *)buffer;

	memset(buffer, 0, sizeof(buffer));
	in->partition_id = HV_PARTITION_ID_SELF;
	in->vp_index = HV_VP_INDEX_SELF;
	in->target_vtl = 2;
	expect_refused("start a VP in VTL2", HV_CALL_START_VIRTUAL_PROCESSOR, (uint64_t)in, 0);
	expect_refused("enable a VTL", HV_CALL_ENABLE_VP_VTL, (uint64_t)in, 0);
}

static void messages(void)
{
	struct hv_input_send_synthetic_cluster_ipi *ipi = (void *)buffer;

	expect_refused("post a message from VTL2", HV_CALL_POST_MESSAGE, base, 0);
	expect_refused("post a message across the edge", HV_CALL_POST_MESSAGE, base - 128, 0);
	expect_refused("signal an event from VTL2", HV_CALL_SIGNAL_EVENT, base, 0);
	memset(buffer, 0, sizeof(buffer));
	ipi->vector = 0x40;
	ipi->target_vtl = 0x12;
	ipi->processor_mask = 1;
	expect_refused("interrupt VTL2", HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI, (uint64_t)ipi, 0);
	expect_refused("assert an interrupt", HV_CALL_ASSERT_VIRTUAL_INTERRUPT, (uint64_t)ipi, 0);
	expect_refused("post a message to a VP", HV_CALL_POST_MESSAGE_DIRECT, (uint64_t)ipi, 0);
}

/* The host port is VTL2's: a guest that could use it would choose the run's outcome. */
static void host_port(void)
{
	struct hv_input_post_message *in = (void *)buffer;

	memset(buffer, 0, sizeof(buffer));
	in->connection_id = 0x45530001;
	in->message_type = 0x4504;
	in->payload_size = 240;
	expect_refused("claim an outcome", HV_CALL_POST_MESSAGE, (uint64_t)in, 0);
}

static void hypercalls(void)
{
	guest_hypercall_init();
	registers_of_vtl2();
	protections();
	translation();
	start_in_vtl2();
	messages();
	host_port();
}

/* --- after all that --- */

/* Exits of each kind still work, and the paravisor's devices answer as before. */
static void vtl2_alive(void)
{
	guest_out8(0x70, 0x0d);
	if (guest_in8(0x71) & 0x80) /* RTC register D: VRT */
		guest_pass("VTL2 answers ports");
	else
		guest_fail("VTL2 answers ports", "no RTC");
	guest_write32(0xfec00000, 1);
	if ((guest_read32(0xfec00010) & 0xff) >= 0x11)
		guest_pass("VTL2 answers memory");
	else
		guest_fail("VTL2 answers memory", "no IOAPIC");
}

static void try_everything(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		try_route(&routes[i], base);
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		try_route(&routes[i], base + 2 * MIB2);
	scan();
	if (guest_on_hyperv()) {
		hypercalls();
		for (i = 0; i < sizeof(page_msrs) / sizeof(page_msrs[0]); i++)
			try_page_msr(page_msrs[i].name, page_msrs[i].msr, base + 4096);
	} else {
		guest_fail("Hyper-V", "not there: hypercalls and MSRs were not tried");
	}
	scan();
}

static bool try_fatal(void)
{
	for (unsigned int i = 0; i < sizeof(fatal_routes) / sizeof(fatal_routes[0]); i++)
		if (guest_option_is("route", fatal_routes[i].name)) {
			guest_print("trying %s\n", fatal_routes[i].name);
			try_route(&fatal_routes[i], base);
			return true;
		}
	return false;
}

void guest_main(void)
{
	uint64_t end = guest_ram_end();

	base = end < FOUR_GIB ? FOUR_GIB : (end + MIB2 - 1) & ~(MIB2 - 1);
	guest_print("isolation: VTL0's RAM ends at %lx, VTL2's is looked for at %lx\n", end, base);
	if (!try_fatal())
		try_everything();
	vtl2_alive();
}
