#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_image.h"
#include "proto/elf.h"

#define MEBIBYTE     0x100000ull
#define FOUR_GIB     0x100000000ull
#define SEGMENTS_MAX 128
#define NOTES_MAX    0x10000u

/* As an uncompressed Linux has no header to say so: what every x86-64 one takes. */
#define CMDLINE_MAX 2047

struct elf {
	const struct guest_memory *gm;
	struct boot_range file;
	struct elf64_header header;
	struct elf64_segment *segments;
	uint64_t pvh_entry; /* 0: none */
};

static bool in_file(const struct elf *elf, uint64_t offset, uint64_t len)
{
	return offset <= elf->file.len && len <= elf->file.len - offset;
}

static int check_header(const struct elf *elf, struct boot_error *error)
{
	const struct elf64_header *h = &elf->header;

	if (h->class != ELF_CLASS_64 || h->data != ELF_DATA_LSB || h->machine != ELF_X86_64)
		return boot_fail(error, -EINVAL, "kernel: an ELF file, but not for x86-64");
	if (h->type != ELF_EXECUTABLE && h->type != ELF_SHARED)
		return boot_fail(error, -EINVAL, "kernel: an ELF file, but not executable");
	if (h->phentsize != sizeof(struct elf64_segment) || !h->phnum || h->phnum > SEGMENTS_MAX)
		return boot_fail(error, -EINVAL,
				 "kernel: damaged ELF file, %u segments of %u bytes", h->phnum,
				 h->phentsize);
	if (!in_file(elf, h->phoff, (uint64_t)h->phnum * h->phentsize))
		return boot_fail(error, -EINVAL, "kernel: truncated ELF file");
	return 0;
}

static int read_segments(struct elf *elf)
{
	size_t len = elf->header.phnum * sizeof(*elf->segments);

	elf->segments = malloc(len);
	if (!elf->segments)
		return -ENOMEM;
	return guest_memory_read(elf->gm, elf->file.gpa + elf->header.phoff, elf->segments, len);
}

/* A loadable segment's place; the window grows to hold it. Before the first, the window is empty. */
static int add_segment(const struct elf *elf, const struct elf64_segment *s,
		       struct boot_image *image, struct boot_error *error)
{
	uint64_t end, window_end = image->window_gpa + image->window_len;

	if (!s->memsz)
		return 0;
	if (!in_file(elf, s->offset, s->filesz))
		return boot_fail(error, -EINVAL, "kernel: truncated ELF file, %llu bytes",
				 (unsigned long long)elf->file.len);
	if (s->filesz > s->memsz || __builtin_add_overflow(s->paddr, s->memsz, &end))
		return boot_fail(error, -EINVAL, "kernel: damaged ELF file, a segment's size");
	if (s->paddr < MEBIBYTE || end > FOUR_GIB)
		return boot_fail(error, -EINVAL, "kernel: wants to be loaded at 0x%llx",
				 (unsigned long long)s->paddr);
	if (image->segment_count == BOOT_IMAGE_SEGMENTS)
		return boot_fail(error, -EINVAL, "kernel: more than %d loadable segments",
				 BOOT_IMAGE_SEGMENTS);
	image->segments[image->segment_count++] =
		(struct boot_image_segment){ s->offset, s->filesz, s->paddr, s->memsz };
	if (!image->window_len || s->paddr < image->window_gpa)
		image->window_gpa = s->paddr;
	if (end > window_end)
		window_end = end;
	image->window_len = window_end - image->window_gpa;
	return 0;
}

static int find_window(const struct elf *elf, struct boot_image *image, struct boot_error *error)
{
	unsigned int i;
	int ret;

	for (i = 0; i < elf->header.phnum; i++) {
		if (elf->segments[i].type != ELF_PT_LOAD)
			continue;
		ret = add_segment(elf, &elf->segments[i], image, error);
		if (ret)
			return ret;
	}
	if (!image->segment_count)
		return boot_fail(error, -EINVAL, "kernel: an ELF file with nothing to load");
	for (i = 0; i < image->segment_count; i++)
		image->segments[i].at -= image->window_gpa;
	return 0;
}

/* One step through the notes at *at, which are `len` bytes; false when there is no other. */
static bool next_note(const uint8_t *notes, size_t len, size_t align, size_t *at,
		      struct elf_note *note, const uint8_t **name, const uint8_t **desc)
{
	size_t left, name_len, desc_len;

	if (len - *at < sizeof(*note))
		return false;
	memcpy(note, notes + *at, sizeof(*note));
	left = len - *at - sizeof(*note);
	name_len = ((size_t)note->namesz + align - 1) & ~(align - 1);
	if (name_len > left)
		return false;
	desc_len = ((size_t)note->descsz + align - 1) & ~(align - 1);
	if (note->descsz > left - name_len)
		return false;
	if (desc_len > left - name_len)
		desc_len = left - name_len; /* the last one may go without its padding */
	*name = notes + *at + sizeof(*note);
	*desc = *name + name_len;
	*at += sizeof(*note) + name_len + desc_len;
	return true;
}

static void scan_notes(struct elf *elf, const uint8_t *notes, size_t len, size_t align)
{
	const uint8_t *name, *desc;
	struct elf_note note;
	uint32_t entry;
	size_t at = 0;

	while (next_note(notes, len, align, &at, &note, &name, &desc)) {
		if (note.type != ELF_NOTE_XEN_PHYS32_ENTRY || note.namesz != 4 ||
		    memcmp(name, "Xen", 4) != 0 || note.descsz < sizeof(entry))
			continue;
		memcpy(&entry, desc, sizeof(entry));
		elf->pvh_entry = entry;
		return;
	}
}

/* Damaged notes are as good as none. */
static int find_pvh_entry(struct elf *elf)
{
	unsigned int i;

	for (i = 0; i < elf->header.phnum && !elf->pvh_entry; i++) {
		const struct elf64_segment *s = &elf->segments[i];
		size_t len = s->filesz < NOTES_MAX ? (size_t)s->filesz : NOTES_MAX;
		uint8_t *notes;
		int ret;

		if (s->type != ELF_PT_NOTE || !len || !in_file(elf, s->offset, s->filesz))
			continue;
		notes = malloc(len);
		if (!notes)
			return -ENOMEM;
		ret = guest_memory_read(elf->gm, elf->file.gpa + s->offset, notes, len);
		if (!ret)
			scan_notes(elf, notes, len, s->align == 8 ? 8 : 4);
		free(notes);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Without a PVH entry, an x86-64 ELF kernel is taken for Linux, whose ELF entry is a physical
 * address that follows the 64-bit boot protocol. The header in boot_params is made up then.
 */
static int find_entry(const struct elf *elf, struct boot_image *image, struct boot_error *error)
{
	uint64_t entry = elf->pvh_entry ? elf->pvh_entry : elf->header.entry;

	if (entry < image->window_gpa || entry - image->window_gpa >= image->window_len)
		return boot_fail(error, -EINVAL, "kernel: its entry 0x%llx is outside its segments",
				 (unsigned long long)entry);
	image->protocol = elf->pvh_entry ? BOOT_PVH : BOOT_LINUX_64;
	image->entry = entry - image->window_gpa;
	image->initrd_end = FOUR_GIB;
	image->cmdline_max = CMDLINE_MAX;
	image->header = (struct linux_setup_header){
		.boot_flag = LINUX_BOOT_FLAG,
		.header = LINUX_HEADER_MAGIC,
		.version = LINUX_PROTOCOL(2, 12),
		.loadflags = LINUX_LOADED_HIGH,
		.cmdline_size = CMDLINE_MAX,
		.initrd_addr_max = UINT32_MAX,
	};
	return 0;
}

int elf_image_parse(const struct guest_memory *gm, struct boot_range file, struct boot_image *image,
		    struct boot_error *error)
{
	struct elf elf = { .gm = gm, .file = file };
	int ret;

	memset(image, 0, sizeof(*image));
	if (file.len < sizeof(elf.header))
		return -ENOEXEC;
	ret = guest_memory_read(gm, file.gpa, &elf.header, sizeof(elf.header));
	if (!ret && elf.header.magic != ELF_MAGIC)
		return -ENOEXEC;
	if (!ret)
		ret = check_header(&elf, error);
	if (!ret)
		ret = read_segments(&elf);
	if (!ret)
		ret = find_window(&elf, image, error);
	if (!ret)
		ret = find_pvh_entry(&elf);
	if (!ret)
		ret = find_entry(&elf, image, error);
	free(elf.segments);
	if (ret == -EFAULT)
		boot_fail(error, ret, "kernel: not in the guest's memory");
	else if (ret == -ENOMEM)
		boot_fail(error, ret, "kernel: out of memory while reading it");
	return ret;
}
