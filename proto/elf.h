#ifndef PROTO_ELF_H
#define PROTO_ELF_H

#include <assert.h>
#include <stdint.h>

/* System V ABI, chapters 4 and 5, and its AMD64 supplement: what a kernel image uses of ELF-64. */

#define ELF_MAGIC      0x464c457fu /* 7f 'E' 'L' 'F', as a little-endian number */
#define ELF_CLASS_64   2
#define ELF_DATA_LSB   1
#define ELF_EXECUTABLE 2
#define ELF_SHARED     3
#define ELF_X86_64     62

struct elf64_header {
	uint32_t magic;
	uint8_t class;
	uint8_t data;
	uint8_t ident_version;
	uint8_t reserved_07[9];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry;
	uint64_t phoff;
	uint64_t shoff;
	uint32_t flags;
	uint16_t ehsize;
	uint16_t phentsize;
	uint16_t phnum;
	uint16_t shentsize;
	uint16_t shnum;
	uint16_t shstrndx;
};
static_assert(sizeof(struct elf64_header) == 64, "System V ABI: Elf64_Ehdr");

#define ELF_PT_LOAD 1
#define ELF_PT_NOTE 4

struct elf64_segment {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t filesz;
	uint64_t memsz;
	uint64_t align;
};
static_assert(sizeof(struct elf64_segment) == 56, "System V ABI: Elf64_Phdr");

struct elf_note {
	uint32_t namesz;
	uint32_t descsz;
	uint32_t type;
};
static_assert(sizeof(struct elf_note) == 12, "System V ABI: Elf64_Nhdr");

/* xen/include/public/elfnote.h: the physical address of a 32-bit entry point */
#define ELF_NOTE_XEN_PHYS32_ENTRY 18

#endif
