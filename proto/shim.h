#ifndef PROTO_SHIM_H
#define PROTO_SHIM_H

#include <assert.h>
#include <stdint.h>

/*
 * Between the image builder (igvm/) and the boot shim (igvm/shim/): what the measured image tells the
 * shim about itself, and what the shim leaves for whoever looks. docs/shim.md
 *
 * The image's VTL2 part is one region, aligned to 2 MiB, which the host may relocate as a whole. All
 * offsets below count from the region's first byte; addresses of VTL0 (payloads) are GPAs.
 *
 *   offset 0        struct shim_params, one page
 *   offset 80000h   the shim: an ELF linked at that address, without relocations; its entry is
 *                   where VP 0 starts. Its memory size covers its stack.
 *   elsewhere       in an order that the builder chooses, each on pages of its own: the entry's page
 *                   tables, the parameter areas, the measured command line, the work area
 *   a multiple of 2 MiB   the kernel's segments, as they lie in memory
 *   behind it       the initramfs
 *
 * VP 0's context: long mode, paging on, RIP = the shim's entry, CR3 = page tables that map the whole
 * region at its own addresses (2 MiB pages, writable, executable), flat segments, CR0 PE|ET|NE|WP|PG,
 * CR4 PAE, EFER LME|LMA, RFLAGS 2. Nothing else is expected of any register: the relocation of
 * RIP (flag in IGVM_VHS_RELOCATABLE_REGION) and of the tables (IGVM_VHS_PAGE_TABLE_RELOCATION) is all
 * that the host has to do.
 */

#define SHIM_PARAMS_MAGIC   0x4d494853544e45ull /* "ENTSHIM" */
#define SHIM_PARAMS_VERSION 1
#define SHIM_LINK_OFFSET    0x80000u

/* Of an SNP image: pages that its firmware fills, for the shim (offsets in the region). */
#define SHIM_SNP_SECRETS_OFFSET 0x10000u
#define SHIM_SNP_CPUID_OFFSET   0x11000u

enum shim_isolation {
	SHIM_ISOLATION_NONE = 0,
	SHIM_ISOLATION_VBS = 1,
	SHIM_ISOLATION_SNP = 2,
	SHIM_ISOLATION_TDX = 3
};

#define SHIM_CONFIDENTIAL 0x1u /* take nothing from the host but facts: no words, no payload */
#define SHIM_HOST_PAYLOAD 0x2u /* VTL0's kernel, initramfs and command line come from the host */
#define SHIM_DEBUG        0x4u /* the host's words are taken as they are */
#define SHIM_FLAGS_KNOWN  0x7u

/* Offset from the region's start and length, both in bytes; offset 0 and length 0: there is none. */
struct shim_range {
	uint64_t offset;
	uint64_t len;
};

/* A file for VTL0 in VTL0's memory, imported and measured; length 0: there is none. */
struct shim_payload {
	uint64_t gpa;
	uint64_t len;
};

enum shim_payload_index {
	SHIM_PAYLOAD_KERNEL, /* bzImage or ELF */
	SHIM_PAYLOAD_INITRD,
	SHIM_PAYLOAD_CMDLINE,  /* without a final zero */
	SHIM_PAYLOAD_FIRMWARE, /* instead of the three; of the image only, never the host's */
	SHIM_PAYLOAD_COUNT
};

/* A flat image of whole pages that ends where it does on a PC, 16 bytes behind the reset vector. */
#define SHIM_FIRMWARE_END 0x100000000ull
#define SHIM_FIRMWARE_MAX 0x1000000u

struct shim_params {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t isolation;  /* enum shim_isolation */
	uint32_t svn;        /* of the image; the shim passes it on */
	uint64_t region_len; /* a multiple of 2 MiB */

	/*
	 * Parameter areas, filled by the host: whole pages. The VP count (IGVM_VHT_VP_COUNT_PARAMETER, 32
	 * bits) is the first field of its area; the others start their areas: memory map
	 * (IGVM_VHS_MEMORY_MAP_ENTRY, ended by an entry without pages or the area's end), device
	 * tree, command line (ended by a zero).
	 */
	struct shim_range vp_count;
	struct shim_range memory_map;
	struct shim_range device_tree;
	struct shim_range host_command_line;

	struct shim_range command_line; /* measured words for VTL2's kernel, without a final zero */
	struct shim_range entry_tables; /* the page tables that the VP starts with */
	struct shim_range work;         /* pages for what the shim builds: SHIM_WORK_MIN at least */
	struct shim_range kernel;       /* 2 MiB-aligned offset; length in memory */
	uint64_t kernel_entry;          /* offset of its 64-bit entry */
	struct shim_range initrd;

	struct shim_payload payload[SHIM_PAYLOAD_COUNT];
};
static_assert(sizeof(struct shim_params) == 248, "docs/shim.md");

/* boot_params, command line, log, device tree (64 KiB), page tables (64 pages). */
#define SHIM_WORK_MIN 0x60000u

/*
 * The log: one page, at a page boundary in the region. The text is a ring of SHIM_LOG_TEXT bytes, of
 * which `written` modulo its size is the next to be written; lines end with '\n'. The page is marked reserved
 * in the kernel's memory map, and its GPA is property "shim-log" of the device tree's entresol node.
 */
#define SHIM_LOG_MAGIC 0x474f4c4d49485345ull /* "ESHIMLOG" */
#define SHIM_LOG_TEXT  4032u

enum shim_stage {
	SHIM_STAGE_STARTED = 1,
	SHIM_STAGE_STOPPED = 2, /* the last line says why */
	SHIM_STAGE_LEFT = 3     /* the kernel has been entered */
};

struct shim_log {
	uint64_t magic;
	uint32_t stage; /* enum shim_stage */
	uint32_t reserved_0c;
	uint64_t written;   /* bytes since the start */
	uint64_t tsc_start; /* at the entry */
	uint64_t tsc_end;   /* just before the kernel */
	uint64_t reserved_28[3];
	char text[SHIM_LOG_TEXT];
};
static_assert(sizeof(struct shim_log) == 4096, "docs/shim.md");

#endif
