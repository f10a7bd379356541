#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "boot_guest.h"
#include "core/guest_memory.h"
#include "paravisor/boot/boot_state.h"
#include "proto/elf.h"

#define MIB        0x100000u
#define RAM        (128 * MIB)
#define KERNEL_LEN (3 * MIB)
#define KERNEL_AT  (100 * MIB)

static const uint32_t apic_ids[] = { 0, 1 };

struct test {
	struct boot_guest guest;
	struct linux_boot_config config;
	struct boot_vp_state state;
	struct boot_error error;
};

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	boot_guest_init(&t->guest, RAM);
	t->config.apic_ids = apic_ids;
	t->config.vp_count = 2;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	boot_guest_done(&t->guest);
	free(t);
	return 0;
}

static int load(struct test *t)
{
	memset(&t->state, 0x55, sizeof(t->state));
	strcpy(t->error.text, "nothing was said");
	return linux_boot_load(t->guest.gm, &t->config, &t->state, &t->error);
}

static void assert_fails(struct test *t, int ret, const char *text)
{
	assert_int_equal(load(t), ret);
	assert_string_equal(t->error.text, text);
}

static void stage(struct test *t, const struct linux_setup_header *header)
{
	t->config.kernel = boot_guest_bzimage(&t->guest, KERNEL_AT, header, KERNEL_LEN, 1);
}

static struct linux_boot_params *params(struct test *t)
{
	return (struct linux_boot_params *)(t->guest.low + t->state.gpr[BOOT_RSI]);
}

static void stage_cmdline(struct test *t, const char *text)
{
	t->config.cmdline = (struct boot_range){ 99 * MIB, strlen(text) };
	memcpy(t->guest.low + 99 * MIB, text, strlen(text));
}

/* What the processor's page walk makes of an address, from the tables in guest memory. */
static uint64_t translate(struct test *t, uint64_t va)
{
	uint64_t table = t->state.cr3, entry;
	int shift;

	for (shift = 39;; shift -= 9) {
		memcpy(&entry, t->guest.low + table + (va >> shift & 511) * 8, 8);
		assert_int_equal(entry & 3, 3);
		if (shift == 21) {
			assert_true(entry & 0x80);
			return (entry & ~0x1fffffull) | (va & 0x1fffff);
		}
		table = entry & ~0xfffull;
	}
}

/* The descriptor that a selector names is the one that the register caches. */
static void assert_descriptor(struct test *t, const struct boot_segment *s)
{
	uint64_t d;

	assert_true(s->selector + 7u <= t->state.gdtr.limit);
	memcpy(&d, t->guest.low + t->state.gdtr.base + s->selector, 8);
	assert_int_equal(d >> 40 & 0xf0ff, s->attributes);
	assert_int_equal((d & 0xffff) | (d >> 32 & 0xf0000),
			 s->attributes & BOOT_SEGMENT_GRANULAR ? s->limit >> 12 : s->limit);
	assert_int_equal(d >> 16 & 0xffffff, 0);
}

static void enters_64_bit(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	static const uint64_t mapped[] = { 0, 0x2000, 0x1000200, 0x7fffffff, 0xfee00000 };
	unsigned int i;

	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 0x1000200);
	assert_int_equal(boot_guest_check(t->guest.low + 0x1000000, KERNEL_LEN, 1), KERNEL_LEN);
	assert_int_equal(t->state.rflags, 2);
	assert_int_equal(t->state.efer, 0x500);
	assert_int_equal(t->state.cr4, 0x20);
	assert_int_equal(t->state.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(t->state.cs.selector, 0x10);
	assert_int_equal(t->state.cs.attributes, 0xa09b);
	assert_int_equal(t->state.ss.selector, 0x18);
	assert_int_equal(t->state.ds.attributes, 0xc093);
	assert_int_equal(t->state.tr.attributes & 0x8f, 0x8b);
	assert_descriptor(t, &t->state.cs);
	assert_descriptor(t, &t->state.ds);
	assert_descriptor(t, &t->state.tr);
	for (i = 0; i < sizeof(mapped) / sizeof(mapped[0]); i++)
		assert_int_equal(translate(t, mapped[i]), mapped[i]);
}

static void enters_32_bit(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);

	header.xloadflags = 0;
	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 0x1000000);
	assert_int_equal(t->state.cr0, 0x11);
	assert_int_equal(t->state.cr3 | t->state.cr4 | t->state.efer, 0);
	assert_int_equal(t->state.cs.attributes, 0xc09b);
	assert_descriptor(t, &t->state.cs);
	assert_int_equal(t->state.gpr[BOOT_RBP] | t->state.gpr[BOOT_RDI] | t->state.gpr[BOOT_RBX],
			 0);
	assert_int_equal(params(t)->hdr.header, LINUX_HEADER_MAGIC);
}

static void fills_the_zero_page(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	const struct linux_boot_params *p;
	unsigned int i;

	header.setup_data = 0x1234; /* what a file says here means nothing */
	stage(t, &header);
	stage_cmdline(t, "console=ttyS0 quiet\n");
	t->config.initrd = (struct boot_range){ 110 * MIB, 5 * MIB + 3 };
	boot_guest_fill(t->guest.low + 110 * MIB, 5 * MIB + 3, 2);
	assert_int_equal(load(t), 0);
	p = params(t);
	assert_int_equal(p->hdr.type_of_loader, 0xff);
	assert_int_equal(p->hdr.code32_start, 0x1000000);
	assert_int_equal(p->hdr.version, header.version);
	assert_int_equal(p->hdr.setup_data, 0);
	assert_int_equal(p->hdr.ramdisk_image, 110 * MIB);
	assert_int_equal(p->hdr.ramdisk_size, 5 * MIB + 3);
	assert_int_equal(p->ext_ramdisk_image | p->ext_ramdisk_size, 0);
	assert_string_equal(t->guest.low + p->hdr.cmd_line_ptr, "console=ttyS0 quiet");
	assert_memory_equal(t->guest.low + p->acpi_rsdp_addr, "RSD PTR ", 8);
	for (i = 0; i < sizeof(p->screen_info); i++)
		assert_int_equal(p->screen_info[i], 0);
	assert_int_equal(p->e820_entries, 6);
	assert_int_equal(p->e820_table[3].addr, MIB);
	assert_int_equal(p->e820_table[3].size, RAM - MIB);
	assert_int_equal(p->e820_table[4].addr, 0xfec00000);
	assert_int_equal(p->e820_table[4].type, 2);
	/* the sentinel by which a kernel knows a loader that copies too much */
	assert_int_equal(((const uint8_t *)p)[0x1ef], 0);
	assert_int_equal(boot_guest_check(t->guest.low + 110 * MIB, 5 * MIB + 3, 2), 5 * MIB + 3);
}

static void leaves_firmware(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	uint16_t value;

	stage(t, &header);
	assert_int_equal(load(t), 0);
	memcpy(&value, t->guest.low + 0x400, 2);
	assert_int_equal(value, 0x3f8);
	memcpy(&value, t->guest.low + 0x40e, 2);
	assert_int_equal(value << 4, 0x9fc00);
	memcpy(&value, t->guest.low + 0x413, 2);
	assert_int_equal(value, 639);
	assert_memory_equal(t->guest.low + 0xf0000, "_SM3_", 5);
}

static void passes_many_ranges_on(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	struct boot_region reserved[70];
	const struct linux_setup_data *ext;
	const struct linux_e820_entry *entries;
	unsigned int i;

	for (i = 0; i < 70; i++)
		reserved[i] = (struct boot_region){ { (30 + i) * MIB, 0x1000 }, E820_RESERVED };
	t->config.reserved = reserved;
	t->config.reserved_count = 70;
	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(params(t)->e820_entries, 128);
	ext = (const void *)(t->guest.low + params(t)->hdr.setup_data);
	entries = (const void *)(ext + 1);
	assert_int_equal(ext->type, 1);
	assert_int_equal(ext->next, 0);
	/* 4 + 2 * 70 + 2 in all */
	assert_int_equal(ext->len, (4 + 140 + 2 - 128) * sizeof(*entries));
	assert_int_equal(entries[4 + 140 + 2 - 128 - 1].addr, 0xfee00000);

	header.version = LINUX_PROTOCOL(2, 8);
	stage(t, &header);
	assert_fails(t, -ENOSPC, "kernel: too old for 146 ranges of memory");
}

/* memtest86+: not relocatable, at 1 MiB, header of 2.12 without the fields of 2.15 */
static void loads_memtest(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(0x22db8);

	header.version = LINUX_PROTOCOL(2, 12);
	header.jump_offset = 0x66;
	header.relocatable_kernel = 0;
	header.kernel_alignment = 0x1000;
	header.pref_address = MIB;
	header.init_size = 0x6acf8;
	header.initrd_addr_max = UINT32_MAX;
	header.cmdline_size = 255;
	t->config.kernel = boot_guest_bzimage(&t->guest, KERNEL_AT, &header, 0x22db8, 1);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, MIB + 0x200);
	assert_int_equal(params(t)->hdr.code32_start, MIB);
	assert_int_equal(boot_guest_check(t->guest.low + MIB, 0x22db8, 1), 0x22db8);
}

/* One that is linked elsewhere still loads at code32_start and moves itself. */
static void loads_fixed(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);

	header.relocatable_kernel = 0;
	header.xloadflags = 0;
	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, MIB);
	assert_int_equal(boot_guest_check(t->guest.low + MIB, KERNEL_LEN, 1), KERNEL_LEN);

	header.pref_address = 126 * MIB; /* its end is beyond RAM */
	stage(t, &header);
	assert_fails(t, -ENOSPC, "kernel: no room for it, it needs 133 MiB of memory at 0x100000");
}

static void relocates_upwards(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	struct boot_region reserved = { { 20 * MIB, MIB }, E820_RESERVED };

	t->config.reserved = &reserved;
	t->config.reserved_count = 1;
	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 22 * MIB + 0x200);
	assert_int_equal(params(t)->hdr.code32_start, 22 * MIB);
	assert_int_equal(boot_guest_check(t->guest.low + 22 * MIB, KERNEL_LEN, 1), KERNEL_LEN);
}

/* A kernel needs at least the room of its own bytes, whatever it says. */
static void needs_its_own_size(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	struct boot_region reserved = { { 18 * MIB, MIB }, E820_RESERVED };

	header.init_size = 0x1000;
	t->config.reserved = &reserved;
	t->config.reserved_count = 1;
	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 20 * MIB + 0x200);
}

/* Protocol 2.06 ends at 0x23c: what follows is code, not fields. */
static void loads_old(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);

	header.version = LINUX_PROTOCOL(2, 6);
	header.jump_offset = 0x3a;
	header.xloadflags = 0;
	header.pref_address = 0x8000000000;
	header.init_size = UINT32_MAX;
	stage(t, &header);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 2 * MIB);
	assert_int_equal(params(t)->hdr.init_size, 0);
}

static void refuses_bad_bzimages(void **state)
{
	struct test *t = *state;
	const struct linux_setup_header good = boot_guest_header(KERNEL_LEN);
	struct linux_setup_header header = good;

	header.version = LINUX_PROTOCOL(2, 5);
	stage(t, &header);
	assert_fails(t, -EINVAL, "kernel: boot protocol 2.05 is older than 2.06");

	header = good;
	header.loadflags = 0;
	stage(t, &header);
	assert_fails(t, -EINVAL, "kernel: a zImage, which loads below 1 MiB");

	header = good;
	header.kernel_alignment = 0x300000;
	stage(t, &header);
	assert_fails(t, -EINVAL, "kernel: damaged bzImage, alignment 0x300000");

	header = good;
	header.pref_address = 0x100000000;
	stage(t, &header);
	assert_fails(t, -EINVAL, "kernel: wants to run above 4 GiB");

	header = good;
	header.syssize = 0;
	stage(t, &header);
	assert_fails(t, -EINVAL, "kernel: damaged bzImage, its size field is zero");

	header = good;
	header.relocatable_kernel = 0;
	header.code32_start = 0x8000;
	stage(t, &header);
	assert_fails(t, -EINVAL, "kernel: wants to run at 0x8000");

	header = good;
	header.init_size = 0x20000000;
	stage(t, &header);
	assert_fails(t, -ENOSPC, "kernel: no room for it, it needs 512 MiB of memory at 0x1000000");
}

static void refuses_truncated(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);
	uint64_t len;

	stage(t, &header);
	t->config.kernel.len = KERNEL_LEN;
	assert_fails(t, -EINVAL, "kernel: truncated bzImage, 3145728 of 3146752 bytes");
	for (len = 1; len < 0x1000; len++) {
		t->config.kernel.len = len;
		assert_int_equal(load(t), -EINVAL);
	}
	t->config.kernel.len = 0;
	assert_fails(t, -EINVAL, "kernel: an empty file");
	t->config.kernel.len = 0x208;
	assert_fails(t, -EINVAL, "kernel: truncated bzImage, only 520 bytes");
}

static void refuses_other_files(void **state)
{
	struct test *t = *state;

	boot_guest_fill(t->guest.low + KERNEL_AT, MIB, 9);
	t->config.kernel = (struct boot_range){ KERNEL_AT, MIB };
	assert_fails(t, -EINVAL, "kernel: neither a bzImage nor an ELF file");
}

static void refuses_what_is_not_there(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);

	stage(t, &header);
	t->config.kernel.gpa = RAM - MIB;
	assert_fails(t, -EFAULT, "kernel: 0x7f00000:0x300400 is not in the guest's memory");
	t->config.kernel.gpa = UINT64_MAX - 5;
	assert_int_equal(load(t), -EFAULT);
	stage(t, &header);
	t->config.initrd = (struct boot_range){ RAM, 1 };
	assert_fails(t, -EFAULT, "initrd: 0x8000000:0x1 is not in the guest's memory");
	t->config.initrd = (struct boot_range){ 0, UINT64_MAX };
	assert_int_equal(load(t), -EFAULT);
	t->config.initrd.len = 0;
	t->config.cmdline = (struct boot_range){ RAM, 1 };
	assert_int_equal(load(t), -EFAULT);
	t->config.cmdline.len = 0;
	t->config.vp_count = 0;
	assert_fails(t, -EINVAL, "no processor to start");
}

static void limits_the_command_line(void **state)
{
	struct test *t = *state;
	struct linux_setup_header header = boot_guest_header(KERNEL_LEN);

	stage(t, &header);
	memset(t->guest.low + 99 * MIB, 'x', 0x10000);
	t->config.cmdline = (struct boot_range){ 99 * MIB, 2047 };
	assert_int_equal(load(t), 0);
	assert_int_equal(strlen((char *)t->guest.low + params(t)->hdr.cmd_line_ptr), 2047);
	t->config.cmdline.len = 2048;
	stage(t, &header);
	assert_fails(t, -EINVAL, "command line: 2048 bytes, but this kernel takes at most 2047");
	t->config.cmdline.len = 0x10000;
	assert_fails(t, -EINVAL, "command line: 65536 bytes are too long");
	/* as a C string: what follows a zero byte is not counted */
	t->guest.low[99 * MIB + 10] = 0;
	t->config.cmdline.len = 0xffff;
	assert_int_equal(load(t), 0);
	assert_int_equal(strlen((char *)t->guest.low + params(t)->hdr.cmd_line_ptr), 10);
}

/* An ELF kernel of two segments, with a PVH note if entry is not 0. */
struct elf_file {
	struct elf64_header header;
	struct elf64_segment segments[3];
	struct elf_note other;
	char other_body[12];
	struct elf_note note;
	char name[4];
	uint64_t entry;
	uint8_t text[0x3000];
	uint8_t data[0x1000];
};

static struct elf_file elf_file(uint64_t pvh_entry)
{
	struct elf_file f = {
		.header = { .magic = ELF_MAGIC,
			    .class = 2,
			    .data = 1,
			    .ident_version = 1,
			    .type = ELF_EXECUTABLE,
			    .machine = ELF_X86_64,
			    .version = 1,
			    .entry = 0x1000010,
			    .phoff = offsetof(struct elf_file, segments),
			    .ehsize = sizeof(struct elf64_header),
			    .phentsize = sizeof(struct elf64_segment),
			    .phnum = 3 },
		.other = { 4, 8, 1 },
		.note = { 4, 8, ELF_NOTE_XEN_PHYS32_ENTRY },
		.name = "Xen",
		.entry = pvh_entry,
	};

	f.segments[0] = (struct elf64_segment){ .type = ELF_PT_LOAD,
						.offset = offsetof(struct elf_file, text),
						.paddr = 0x1000000,
						.filesz = sizeof(f.text),
						.memsz = sizeof(f.text) };
	f.segments[1] = (struct elf64_segment){ .type = ELF_PT_LOAD,
						.offset = offsetof(struct elf_file, data),
						.paddr = 0x1200000,
						.filesz = sizeof(f.data),
						.memsz = 0x5000 };
	f.segments[2] = (struct elf64_segment){ .type = ELF_PT_NOTE,
						.offset = offsetof(struct elf_file, other),
						.filesz = offsetof(struct elf_file, text) -
							  offsetof(struct elf_file, other),
						.align = 4 };
	memcpy(f.other_body, "Xen", 4);
	if (!pvh_entry)
		f.header.phnum = 2;
	boot_guest_fill(f.text, sizeof(f.text), 3);
	boot_guest_fill(f.data, sizeof(f.data), 4);
	return f;
}

static void stage_elf(struct test *t, uint64_t gpa, const struct elf_file *file)
{
	memcpy(t->guest.low + gpa, file, sizeof(*file));
	t->config.kernel = (struct boot_range){ gpa, sizeof(*file) };
}

static void assert_elf_loaded(struct test *t)
{
	const uint8_t *text = t->guest.low + 0x1000000, *data = t->guest.low + 0x1200000;
	unsigned int i;

	assert_int_equal(boot_guest_check(text, 0x3000, 3), 0x3000);
	assert_int_equal(boot_guest_check(data, 0x1000, 4), 0x1000);
	for (i = 0x1000; i < 0x5000; i++)
		assert_int_equal(data[i], 0);
}

static void enters_pvh(void **state)
{
	struct test *t = *state;
	struct elf_file file = elf_file(0x1000040);
	const struct pvh_start_info *info;
	const struct pvh_module *module;
	const struct pvh_memmap_entry *map;

	stage_elf(t, KERNEL_AT, &file);
	stage_cmdline(t, "earlyprintk");
	t->config.initrd = (struct boot_range){ 110 * MIB, MIB };
	memset(t->guest.low + 0x1200000, 0xee, 0x5000);
	assert_int_equal(load(t), 0);
	assert_elf_loaded(t);
	assert_int_equal(t->state.rip, 0x1000040);
	assert_int_equal(t->state.cr0, 0x11);
	assert_int_equal(t->state.cr4 | t->state.efer, 0);
	assert_int_equal(t->state.cs.attributes, 0xc09b);
	assert_int_equal(t->state.tr.limit, 0x67);
	info = (const void *)(t->guest.low + t->state.gpr[BOOT_RBX]);
	assert_int_equal(info->magic, PVH_START_MAGIC);
	assert_int_equal(info->version, 1);
	assert_int_equal(info->nr_modules, 1);
	module = (const void *)(t->guest.low + info->modlist);
	assert_int_equal(module->addr, 110 * MIB);
	assert_int_equal(module->size, MIB);
	assert_string_equal(t->guest.low + info->cmdline, "earlyprintk");
	assert_memory_equal(t->guest.low + info->rsdp, "RSD PTR ", 8);
	map = (const void *)(t->guest.low + info->memmap);
	assert_int_equal(info->memmap_entries, 6);
	assert_int_equal(map[3].addr, MIB);
	assert_int_equal(map[3].type, 1);
}

static void enters_plain_elf(void **state)
{
	struct test *t = *state;
	struct elf_file file = elf_file(0);

	stage_elf(t, KERNEL_AT, &file);
	assert_int_equal(load(t), 0);
	assert_elf_loaded(t);
	assert_int_equal(t->state.rip, 0x1000010);
	assert_int_equal(t->state.efer, 0x500);
	assert_int_equal(params(t)->hdr.header, LINUX_HEADER_MAGIC);
	assert_int_equal(params(t)->hdr.version, LINUX_PROTOCOL(2, 12));
}

/* Wherever the file lies relative to its segments, they come out whole. */
static void elf_over_itself(void **state)
{
	struct test *t = *state;
	struct elf_file file = elf_file(0x1000040);
	uint64_t at;

	for (at = 0xffa000; at < 0x1210000;
	     at += at < 0x1008000 || at > 0x11f8000 ? 0x7f8 : 0x8000) {
		stage_elf(t, at, &file);
		assert_int_equal(load(t), 0);
		assert_elf_loaded(t);
	}
}

static void refuses_bad_elf(void **state)
{
	struct test *t = *state;
	const struct elf_file good = elf_file(0x1000040);
	struct elf_file file = good;

	file.header.machine = 3;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: an ELF file, but not for x86-64");

	file = good;
	file.header.type = 1;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: an ELF file, but not executable");

	file = good;
	file.header.phnum = 0xffff;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: damaged ELF file, 65535 segments of 56 bytes");

	file = good;
	file.header.phoff = UINT64_MAX - 20;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: truncated ELF file");

	file = good;
	file.segments[0].memsz = 1;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: damaged ELF file, a segment's size");

	file = good;
	file.segments[0].paddr = UINT64_MAX - 100;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: damaged ELF file, a segment's size");

	file = good;
	file.segments[0].paddr = 0x1000;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: wants to be loaded at 0x1000");

	file = good;
	file.segments[0].offset = UINT64_MAX - 2;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: truncated ELF file, 16664 bytes");

	file = good;
	file.entry = 0x2000000;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: its entry 0x2000000 is outside its segments");

	file = good;
	file.segments[1].paddr = 0x10000000;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -ENOSPC, "kernel: no room for it, it needs 241 MiB of memory at 0x1000000");

	file = good;
	file.segments[0].type = file.segments[1].type = 0;
	stage_elf(t, KERNEL_AT, &file);
	assert_fails(t, -EINVAL, "kernel: an ELF file with nothing to load");
}

/* Notes that lead nowhere are ignored; what is left is the ELF entry. */
static void ignores_bad_notes(void **state)
{
	struct test *t = *state;
	struct elf_file file = elf_file(0x1000040);

	file.other.namesz = UINT32_MAX;
	stage_elf(t, KERNEL_AT, &file);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 0x1000010);

	file = elf_file(0x1000040);
	file.note.descsz = 9;
	stage_elf(t, KERNEL_AT, &file);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 0x1000010);

	file = elf_file(0x1000040);
	file.segments[2].filesz = UINT64_MAX;
	stage_elf(t, KERNEL_AT, &file);
	assert_int_equal(load(t), 0);
	assert_int_equal(t->state.rip, 0x1000010);
}

static void load_stock_kernel(struct test *t, const char *path)
{
	const struct linux_setup_header *header;
	struct stat st;
	uint8_t *file;
	size_t setup, len;
	int fd;

	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(file != MAP_FAILED);
	assert_true(st.st_size < RAM - KERNEL_AT);
	memcpy(t->guest.low + KERNEL_AT, file, (size_t)st.st_size);
	t->config.kernel = (struct boot_range){ KERNEL_AT, (uint64_t)st.st_size };
	assert_int_equal(load(t), 0);
	header = (const void *)(file + 0x1f1);
	setup = (header->setup_sects + 1u) * 512;
	assert_int_equal(t->state.rip, header->pref_address + 0x200);
	/* behind the kernel there may be a signature */
	len = header->syssize * 16u < st.st_size - setup ? header->syssize * 16u
							 : st.st_size - setup;
	assert_memory_equal(t->guest.low + header->pref_address, file + setup, len);
	munmap(file, (size_t)st.st_size);
	close(fd);
}

/* Whatever kernels host/setup/guest has fetched so far: Debian's, the installer's, memtest86+. */
static void loads_stock_kernels(void **state)
{
	const char *cache = getenv("ENTRESOL_CACHE");
	char pattern[512];
	glob_t found;
	size_t i;

	if (!cache)
		skip();
	snprintf(pattern, sizeof(pattern), "%s/guest/*/kernel", cache);
	if (glob(pattern, 0, NULL, &found) != 0)
		skip();
	for (i = 0; i < found.gl_pathc; i++)
		load_stock_kernel(*state, found.gl_pathv[i]);
	globfree(&found);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enters_64_bit),
		TEST(enters_32_bit),
		TEST(fills_the_zero_page),
		TEST(leaves_firmware),
		TEST(passes_many_ranges_on),
		TEST(loads_memtest),
		TEST(loads_fixed),
		TEST(relocates_upwards),
		TEST(needs_its_own_size),
		TEST(loads_old),
		TEST(refuses_bad_bzimages),
		TEST(refuses_truncated),
		TEST(refuses_other_files),
		TEST(refuses_what_is_not_there),
		TEST(limits_the_command_line),
		TEST(enters_pvh),
		TEST(enters_plain_elf),
		TEST(elf_over_itself),
		TEST(refuses_bad_elf),
		TEST(ignores_bad_notes),
		TEST(loads_stock_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
