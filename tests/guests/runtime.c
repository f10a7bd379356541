#include "tests/guests/guest.h"

#include <stdarg.h>

#include "devices/acpi_pm.h"

#define COM1      0x3f8
#define THR_EMPTY 0x20

#define PM1_CONTROL (ACPI_PM_BASE + 4)
#define PM1_OFF     (ACPI_PM_SLEEP_TYPE_S5 << 10 | 1 << 13) /* ACPI 4.8.3.2 */

/* A guest tried out under plain QEMU (q35) ends, too. */
#define QEMU_PM1_CONTROL 0x604
#define QEMU_PM1_OFF     (1 << 13)

#define HV_GUEST_OS_ID 0x40000000u
#define HV_HYPERCALL   0x40000001u
#define HV_TIME        0x40000020u
#define OS_ID          0x8100e57200000001ull /* open source, ours */

struct idt_entry {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* xen/include/public/arch-x86/hvm/start_info.h */
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp, map;
	uint32_t map_count, reserved;
};

struct map_entry {
	uint64_t base, len;
	uint32_t type, reserved;
};

extern uint32_t guest_start_info;
extern uint64_t guest_gdt[];
extern uint32_t guest_next_cpu;
extern uint8_t guest_ap_start[], guest_ap_end[], guest_vectors[];

struct guest_cpu guest_cpus[GUEST_MAX_CPUS];
static struct idt_entry idt[256] __attribute__((aligned(16)));
static struct tss tss[GUEST_MAX_CPUS] __attribute__((aligned(16)));
static uint8_t ist_stacks[GUEST_MAX_CPUS][3][2048] __attribute__((aligned(16)));
static uint8_t hypercall_page[4096] __attribute__((aligned(4096)));
static char cmdline[2048];
static unsigned int passed, failed;
static struct guest_range ranges[64];
static unsigned int range_count;
static unsigned int cpu_count = 1;
static void (*other_main)(void);
static unsigned int others_up;

/* The compiler may call these. */
void *memset(void *at, int byte, size_t len)
{
	void *start = at;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t len)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
	return start;
}

/* --- console --- */

void guest_console_init(void)
{
	guest_out8(COM1 + 3, 0x80);
	guest_out8(COM1 + 0, 1);
	guest_out8(COM1 + 1, 0);
	guest_out8(COM1 + 3, 3); /* 8 bits, no parity */
	guest_out8(COM1 + 1, 0);
	guest_out8(COM1 + 2, 7); /* FIFOs, cleared */
	guest_out8(COM1 + 4, 3);
}

static void put(char c)
{
	while (!(guest_in8(COM1 + 5) & THR_EMPTY))
		;
	guest_out8(COM1, (uint8_t)c);
}

static void put_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			put('\r');
		put(*text);
	}
}

static void put_number(uint64_t value, unsigned int base)
{
	char digits[24];
	unsigned int n = sizeof(digits);

	digits[--n] = 0;
	do
		digits[--n] = "0123456789abcdef"[value % base];
	while (value /= base);
	put_text(digits + n);
}

static void print_list(const char *format, va_list list)
{
	for (; *format; format++) {
		bool is_long = false;

		if (*format != '%') {
			if (*format == '\n')
				put('\r');
			put(*format);
			continue;
		}
		if (*++format == 'l') {
			is_long = true;
			format++;
		}
		switch (*format) {
		case 's':
			put_text(va_arg(list, const char *));
			break;
		case 'c':
			put((char)va_arg(list, int));
			break;
		case 'x':
			put_number(is_long ? va_arg(list, uint64_t) : va_arg(list, uint32_t), 16);
			break;
		default:
			put_number(is_long ? va_arg(list, uint64_t) : va_arg(list, uint32_t), 10);
			break;
		}
	}
}

void guest_print(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	print_list(format, list);
	va_end(list);
}

/* --- results --- */

void guest_pass(const char *name)
{
	passed++;
	guest_print("PASS %s\n", name);
}

void guest_fail(const char *name, const char *format, ...)
{
	va_list list;

	failed++;
	guest_print("FAIL %s: ", name);
	va_start(list, format);
	print_list(format, list);
	va_end(list);
	put_text("\n");
}

void guest_power_off(void)
{
	while (!(guest_in8(COM1 + 5) & 0x40)) /* all sent */
		;
	guest_out16(PM1_CONTROL, PM1_OFF);
	guest_out16(QEMU_PM1_CONTROL, QEMU_PM1_OFF);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* An exception that nobody tries for: the guest's own bug, or what it tests has broken it. */
void guest_lost(const struct guest_cpu *cpu);
void guest_lost(const struct guest_cpu *cpu)
{
	guest_console_init();
	guest_fail("runtime", "exception %lu, error %lx, at %lx, CR2 %lx", cpu->vector, cpu->error,
		   cpu->rip, cpu->cr2);
	guest_print("%u passed, %u failed\n", passed, failed);
	guest_power_off();
}

/* --- command line --- */

/* What follows `name=`, or NULL. */
static const char *find_option(const char *name)
{
	const char *at = cmdline;

	while (*at) {
		const char *n = name;

		while (*n && *at == *n)
			at++, n++;
		if (!*n && *at == '=')
			return at + 1;
		while (*at && *at != ' ')
			at++;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

uint64_t guest_option(const char *name, uint64_t value)
{
	const char *at = find_option(name);
	unsigned int base = 10;

	if (!at)
		return value;
	if (at[0] == '0' && at[1] == 'x') {
		base = 16;
		at += 2;
	}
	for (value = 0;; at++) {
		char c = *at | 0x20;

		if (*at >= '0' && *at <= '9')
			value = value * base + (uint64_t)(*at - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			value = value * base + (uint64_t)(c - 'a' + 10);
		else
			return value;
	}
}

bool guest_option_is(const char *name, const char *text)
{
	const char *at = find_option(name);

	if (!at)
		return false;
	while (*text && *at == *text)
		at++, text++;
	return !*text && (!*at || *at == ' ');
}

/* --- Hyper-V --- */

bool guest_on_hyperv(void)
{
	uint32_t r[4];

	guest_cpuid(0x40000000, 0, r);
	return r[1] == 0x7263694d && r[2] == 0x666f736f && r[3] == 0x76482074; /* "Microsoft Hv" */
}

uint64_t guest_time(void)
{
	static int there = -1;

	if (there < 0)
		there = guest_on_hyperv();
	return there ? guest_rdmsr(HV_TIME) : 0;
}

void guest_hypercall_init(void)
{
	guest_wrmsr(HV_GUEST_OS_ID, OS_ID);
	guest_wrmsr(HV_HYPERCALL, (uint64_t)hypercall_page | 1);
}

uint64_t guest_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
	register uint64_t r8 __asm__("r8") = output;
	uint64_t result;

	__asm__ volatile("call *%4"
			 : "=a"(result), "+c"(control), "+d"(input), "+r"(r8)
			 : "r"(hypercall_page)
			 : "memory", "cc", "r9", "r10", "r11");
	return result;
}

/* --- memory --- */

void *guest_page(void)
{
	static uint8_t pages[64][4096] __attribute__((aligned(4096)));
	static unsigned int used;

	if (used == 64)
		guest_fail("runtime", "out of pages");
	return memset(pages[used++ & 63], 0, 4096);
}

unsigned int guest_memory_map(const struct guest_range **map)
{
	*map = ranges;
	return range_count;
}

uint64_t guest_ram_end(void)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < range_count; i++)
		if (ranges[i].type == 1 && ranges[i].base + ranges[i].len > end)
			end = ranges[i].base + ranges[i].len;
	return end;
}

/* --- what the loader says --- */

static void copy_cmdline(const char *from)
{
	unsigned int i;

	for (i = 0; from && from[i] && i < sizeof(cmdline) - 1; i++)
		cmdline[i] = from[i];
	cmdline[i] = 0;
}

static void copy_map(const struct map_entry *map, unsigned int count)
{
	for (range_count = 0; range_count < count && range_count < 64; range_count++)
		ranges[range_count] =
			(struct guest_range){ map[range_count].base, map[range_count].len,
					      map[range_count].type };
}

/* The MADT's processors, by its entries of types 0 and 9 (ACPI 5.2.12). */
static unsigned int count_processors(const uint8_t *madt, uint32_t len)
{
	unsigned int count = 0;

	for (uint32_t at = 44; at + 2 <= len && madt[at + 1]; at += madt[at + 1]) {
		uint32_t flags = 0;

		if (madt[at] == 0)
			memcpy(&flags, madt + at + 4, 4);
		else if (madt[at] == 9)
			memcpy(&flags, madt + at + 8, 4);
		count += flags & 1;
	}
	return count;
}

/* By the XSDT, or the RSDT of firmware from before ACPI 2.0. */
static void find_processors(const uint8_t *rsdp)
{
	const uint32_t entry_size = rsdp && rsdp[15] >= 2 ? 8 : 4;
	const uint8_t *root, *table;
	uint64_t address = 0;
	uint32_t len, table_len;

	if (!rsdp)
		return;
	memcpy(&address, rsdp + (entry_size == 8 ? 24 : 16), entry_size);
	root = (const uint8_t *)address;
	memcpy(&len, root + 4, 4);
	for (uint32_t at = 36; at + entry_size <= len; at += entry_size) {
		memcpy(&address, root + at, entry_size);
		table = (const uint8_t *)address;
		memcpy(&table_len, table + 4, 4);
		if (table[0] == 'A' && table[1] == 'P' && table[2] == 'I' && table[3] == 'C')
			cpu_count = count_processors(table, table_len);
	}
	if (cpu_count > GUEST_MAX_CPUS)
		cpu_count = GUEST_MAX_CPUS;
}

/* --- processors --- */

unsigned int guest_cpu_number(void)
{
	uint32_t selector;

	__asm__ volatile("str %0" : "=r"(selector));
	return (selector - GUEST_FIRST_TSS) / 16;
}

struct guest_cpu *guest_this_cpu(void)
{
	return &guest_cpus[guest_cpu_number()];
}

static void load_tables(unsigned int cpu)
{
	struct table_register idtr = { sizeof(idt) - 1, (uint64_t)idt };
	uint64_t base = (uint64_t)&tss[cpu];
	uint64_t *descriptor = guest_gdt + GUEST_FIRST_TSS / 8 + 2 * cpu;

	for (unsigned int i = 0; i < 3; i++)
		tss[cpu].ist[i] = (uint64_t)(ist_stacks[cpu][i] + sizeof(ist_stacks[cpu][i]));
	tss[cpu].io_map = sizeof(struct tss);
	descriptor[0] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
			(base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
	__asm__ volatile("lidt %0; ltr %w1"
			 :
			 : "m"(idtr), "r"(GUEST_FIRST_TSS + 16 * cpu)
			 : "memory");
}

static void fill_idt(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)guest_vectors + i * 16;

		idt[i] = (struct idt_entry){
			.offset_low = (uint16_t)at,
			.selector = 8,
			/* An NMI comes while an interrupt is handled, too. */
			.ist = i == 2   ? 3
			       : i < 32 ? 1
					: 2,
			.type = 0x8e,
			.offset_middle = (uint16_t)(at >> 16),
			.offset_high = (uint32_t)(at >> 32),
		};
	}
}

static void run_first(void)
{
	const struct start_info *info = (const void *)(uint64_t)guest_start_info;

	copy_cmdline((const char *)info->cmdline);
	if (info->version >= 1)
		copy_map((const void *)info->map, info->map_count);
	fill_idt();
	load_tables(0);
	guest_out8(0x21, 0xff); /* both 8259s masked: firmware may have left them otherwise */
	guest_out8(0xa1, 0xff);
	guest_console_init();
	find_processors((const uint8_t *)info->rsdp);
	guest_main();
	guest_print("%u passed, %u failed\n", passed, failed);
	guest_power_off();
}

void guest_start_cpu(unsigned int cpu);
void guest_start_cpu(unsigned int cpu)
{
	if (!cpu)
		run_first();
	if (cpu >= GUEST_MAX_CPUS)
		return;
	load_tables(cpu);
	__atomic_add_fetch(&others_up, 1, __ATOMIC_SEQ_CST);
	other_main();
}

static void send_ipi(uint32_t apic_id, uint32_t command)
{
	guest_write32(GUEST_LAPIC + 0x310, apic_id << 24);
	guest_write32(GUEST_LAPIC + 0x300, command);
	while (guest_read32(GUEST_LAPIC + 0x300) & 1 << 12)
		;
}

unsigned int guest_start_others(void (*fn)(void))
{
	uint64_t start;

	other_main = fn;
	memcpy((void *)GUEST_AP_PAGE, guest_ap_start, (size_t)(guest_ap_end - guest_ap_start));
	guest_write32(GUEST_LAPIC + 0xf0, 0x1ff); /* enabled, spurious vector 0xff */
	for (uint32_t id = 1; id < cpu_count; id++) {
		send_ipi(id, 0x4500);
		send_ipi(id, 0x4600 | GUEST_AP_PAGE >> 12);
	}
	/* Long enough for any: a CPU that does not come is what is looked for. */
	start = guest_tsc();
	while (__atomic_load_n(&others_up, __ATOMIC_SEQ_CST) < cpu_count - 1 &&
	       guest_tsc() - start < 60000000000ull)
		__asm__ volatile("pause");
	return others_up;
}
