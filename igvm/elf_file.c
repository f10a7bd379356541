#include "igvm/elf_file.h"

#include <errno.h>
#include <string.h>

#define PT_DYNAMIC    2
#define PT_INTERP     3
#define ADDRESS_LIMIT (1ull << 40)

static void read_segment(const struct elf_file *elf, unsigned int i, struct elf64_segment *segment)
{
	memcpy(segment, elf->data + elf->phoff + i * sizeof(*segment), sizeof(*segment));
}

bool elf_file_next(const struct elf_file *elf, unsigned int *i, struct elf64_segment *segment)
{
	while (*i < elf->phnum) {
		read_segment(elf, (*i)++, segment);
		if (segment->type == ELF_PT_LOAD && segment->memsz)
			return true;
	}
	return false;
}

static const char *header_problem(struct elf_file *elf)
{
	struct elf64_header header;

	if (elf->len < sizeof(header))
		return "too short for an ELF file";
	memcpy(&header, elf->data, sizeof(header));
	if (header.magic != ELF_MAGIC || header.class != ELF_CLASS_64 ||
	    header.data != ELF_DATA_LSB || header.machine != ELF_X86_64 ||
	    header.type != ELF_EXECUTABLE)
		return "not a 64-bit x86 ELF executable";
	if (header.phentsize != sizeof(struct elf64_segment) || header.phoff > elf->len ||
	    header.phnum > (elf->len - header.phoff) / sizeof(struct elf64_segment))
		return "program headers lie outside the file";
	elf->entry = header.entry;
	elf->phoff = header.phoff;
	elf->phnum = header.phnum;
	return NULL;
}

static const char *segment_problem(const struct elf_file *elf, const struct elf64_segment *s)
{
	if (s->type == PT_DYNAMIC || s->type == PT_INTERP)
		return "dynamically linked";
	if (s->type != ELF_PT_LOAD || !s->memsz)
		return NULL;
	if (s->filesz > s->memsz || s->offset > elf->len || s->filesz > elf->len - s->offset)
		return "a segment lies outside the file";
	if (s->paddr >= ADDRESS_LIMIT || s->memsz > ADDRESS_LIMIT - s->paddr)
		return "a segment's address is too high";
	if (s->paddr < elf->end)
		return "segments overlap or are not in order";
	return NULL;
}

static const char *segments_problem(struct elf_file *elf)
{
	struct elf64_segment segment;
	bool entry_inside = false;
	const char *reason;
	unsigned int i;

	elf->start = UINT64_MAX;
	for (i = 0; i < elf->phnum; i++) {
		read_segment(elf, i, &segment);
		reason = segment_problem(elf, &segment);
		if (reason)
			return reason;
		if (segment.type != ELF_PT_LOAD || !segment.memsz)
			continue;
		if (elf->start == UINT64_MAX)
			elf->start = segment.paddr;
		elf->end = segment.paddr + segment.memsz;
		if (elf->entry >= segment.paddr && elf->entry < segment.paddr + segment.filesz)
			entry_inside = true;
	}
	return entry_inside ? NULL : "entry point lies in no segment";
}

int elf_file_open(struct elf_file *elf, const void *data, size_t len, const char **reason)
{
	*elf = (struct elf_file){ .data = data, .len = len };
	*reason = header_problem(elf);
	if (!*reason)
		*reason = segments_problem(elf);
	return *reason ? -ENOEXEC : 0;
}
