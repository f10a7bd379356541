#include "paravisor/boot/entry_state.h"

#include <stdbool.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_state.h"
#include "paravisor/boot/low_memory.h"

/* Intel SDM volume 3, 2.5 */
#define CR0_PE   (1u << 0)
#define CR0_MP   (1u << 1)
#define CR0_ET   (1u << 4)
#define CR0_NE   (1u << 5)
#define CR0_WP   (1u << 16)
#define CR0_PG   (1u << 31)
#define CR4_PAE  (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define RFLAGS_ALWAYS 2
#define PAT_RESET     0x0007040600070406ull

/* All memory write-back; the guest's PAT and page tables say what is device memory. SDM 12.11.2.1 */
#define MTRR_ENABLE     (1u << 11)
#define MTRR_WRITE_BACK 6

#define PAGE_PRESENT (1u << 0)
#define PAGE_WRITE   (1u << 1)
#define PAGE_LARGE   (1u << 7)

/* boot.rst: __BOOT_CS and __BOOT_DS; PVH leaves the selectors open */
enum {
	SELECTOR_CODE = 0x10,
	SELECTOR_DATA = 0x18,
	SELECTOR_TASK = 0x20,
	GDT_SIZE = 0x30
};

#define FLAT       (BOOT_SEGMENT_CODE_DATA | BOOT_SEGMENT_PRESENT | BOOT_SEGMENT_GRANULAR)
#define CODE_READ  0xb /* with the accessed bit, as in the three below */
#define DATA_WRITE 0x3
#define TASK_BUSY  0xb
#define LDT        0x2

static struct boot_segment flat(uint16_t selector, unsigned int attributes)
{
	return (struct boot_segment){ 0, UINT32_MAX, selector, (uint16_t)(FLAT | attributes) };
}

static void set_segments(struct boot_vp_state *state, bool long_mode)
{
	struct boot_segment data = flat(SELECTOR_DATA, DATA_WRITE | BOOT_SEGMENT_DEFAULT);

	state->cs = flat(SELECTOR_CODE,
			 CODE_READ | (long_mode ? BOOT_SEGMENT_LONG : BOOT_SEGMENT_DEFAULT));
	state->ds = state->es = state->fs = state->gs = state->ss = data;
	/* PVH asks for a task segment of 0x67 bytes at 0; every CPU wants a present, busy one. */
	state->tr =
		(struct boot_segment){ 0, 0x67, SELECTOR_TASK, TASK_BUSY | BOOT_SEGMENT_PRESENT };
	state->ldtr = (struct boot_segment){ 0, 0, 0, LDT | BOOT_SEGMENT_PRESENT };
	state->gdtr = (struct boot_table_register){ LOW_GDT, GDT_SIZE - 1 };
}

/* SDM 3.4.5, for a base of 0; limits of flat segments are stored in pages. */
static uint64_t descriptor(const struct boot_segment *s)
{
	uint32_t limit = s->attributes & BOOT_SEGMENT_GRANULAR ? s->limit >> 12 : s->limit;

	return (limit & 0xffff) | (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)s->attributes << 40;
}

static int write_gdt(struct guest_memory *gm, const struct boot_vp_state *state)
{
	uint64_t gdt[GDT_SIZE / 8] = { 0 };

	gdt[SELECTOR_CODE / 8] = descriptor(&state->cs);
	gdt[SELECTOR_DATA / 8] = descriptor(&state->ds);
	gdt[SELECTOR_TASK / 8] = descriptor(&state->tr); /* 16 bytes in long mode, upper half 0 */
	return guest_memory_write(gm, LOW_GDT, gdt, sizeof(gdt));
}

/*
 * The first 4 GiB, which hold the kernel's window, the zero page and the command line, by 2 MiB
 * pages (1 GiB ones need a CPUID bit).
 */
static int write_page_tables(struct guest_memory *gm)
{
	const uint64_t flags = PAGE_PRESENT | PAGE_WRITE;
	uint64_t table[512] = { LOW_PAGE_TABLES + 0x1000 + flags };
	uint64_t gpa = 0;
	unsigned int gib, i;
	int ret;

	ret = guest_memory_write(gm, LOW_PAGE_TABLES, table, sizeof(table));
	memset(table, 0, sizeof(table));
	for (gib = 0; gib < 4; gib++)
		table[gib] = LOW_PAGE_TABLES + 0x2000 + gib * 0x1000 + flags;
	if (!ret)
		ret = guest_memory_write(gm, LOW_PAGE_TABLES + 0x1000, table, sizeof(table));
	for (gib = 0; gib < 4 && !ret; gib++) {
		for (i = 0; i < 512; i++, gpa += 0x200000)
			table[i] = gpa | flags | PAGE_LARGE;
		ret = guest_memory_write(gm, LOW_PAGE_TABLES + 0x2000 + gib * 0x1000, table,
					 sizeof(table));
	}
	return ret;
}

static int enter_long_mode(struct guest_memory *gm, struct boot_vp_state *state)
{
	state->cr0 |= CR0_MP | CR0_NE | CR0_WP | CR0_PG;
	state->cr3 = LOW_PAGE_TABLES;
	state->cr4 = CR4_PAE;
	state->efer = EFER_LME | EFER_LMA;
	return write_page_tables(gm);
}

int entry_state_prepare(struct guest_memory *gm, enum boot_protocol protocol, uint64_t entry,
			uint64_t parameters, struct boot_vp_state *state)
{
	int ret = 0;

	memset(state, 0, sizeof(*state));
	state->rip = entry;
	state->rflags = RFLAGS_ALWAYS;
	state->cr0 = CR0_PE | CR0_ET;
	state->pat = PAT_RESET;
	state->mtrr_def_type = MTRR_ENABLE | MTRR_WRITE_BACK;
	state->gpr[BOOT_RSP] = LOW_STACK_TOP;
	state->gpr[protocol == BOOT_PVH ? BOOT_RBX : BOOT_RSI] = parameters;
	set_segments(state, protocol == BOOT_LINUX_64);
	if (protocol == BOOT_LINUX_64)
		ret = enter_long_mode(gm, state);
	return ret ? ret : write_gdt(gm, state);
}
