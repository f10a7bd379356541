#ifndef CORE_X86_PAGING_H
#define CORE_X86_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Linear to physical addresses by a guest's page tables: none, 32-bit, PAE, 4-level and 5-level
 * (SDM vol. 3, chapter 5). No state, any thread.
 */

/* What of the processor decides about a walk. */
struct x86_paging {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t rflags;                    /* AC: for SMAP */
	unsigned int physical_address_bits; /* MAXPHYADDR, 36 to 52 */
};

#define X86_CR0_WP   (1ul << 16)
#define X86_CR4_PSE  (1ul << 4)
#define X86_CR4_PAE  (1ul << 5)
#define X86_CR4_SMEP (1ul << 20)
#define X86_CR4_SMAP (1ul << 21)
#define X86_EFER_LME (1ul << 8)
#define X86_EFER_NXE (1ul << 11)

/* Error code of a page fault (SDM vol. 3, 5.7). */
#define X86_PF_PRESENT  0x01u
#define X86_PF_WRITE    0x02u
#define X86_PF_USER     0x04u
#define X86_PF_RESERVED 0x08u
#define X86_PF_FETCH    0x10u

struct x86_paging_memory {
	/* len is 4 or 8, at a multiple of it. 0, or -EFAULT when there is no memory. */
	int (*read)(void *ctx, uint64_t gpa, void *data, size_t len);
	/*
	 * If the entry is *expected, replaces it by desired; -EAGAIN when it is not. Only called to
	 * set accessed and dirty bits; NULL leaves them alone.
	 */
	int (*cmpxchg)(void *ctx, uint64_t gpa, uint64_t expected, uint64_t desired, size_t len);
	void *ctx;
};

struct x86_translation {
	uint64_t gpa;
	uint64_t page_size; /* 4 KiB, 2 MiB, 4 MiB or 1 GiB; 4 KiB without paging */
	bool writable;      /* to supervisor code, CR0.WP aside */
	bool user;
	bool executable;
	uint8_t pat; /* PAT, PCD, PWT of the leaf as an index: which PAT entry types it */
};

#define X86_WALK_NO_PRIVILEGE_CHECK 0x1u /* translate only: any present page will do */
#define X86_WALK_SET_BITS           0x2u /* set accessed and, for writes, dirty bits */
#define X86_WALK_IGNORE_SMAP        0x4u /* as with RFLAGS.AC set */
#define X86_WALK_ENFORCE_SMAP       0x8u /* as with RFLAGS.AC clear */

/*
 * Translates `linear` for an access of kind `access` (X86_ACCESS_*; USER means at CPL 3).
 *
 * 0 with *translation filled in; -EFAULT with *error_code as the page fault pushes it; -ENXIO when
 * a table lies where there is no memory (*error_code is that of a page that is not present); -EAGAIN
 * when the guest keeps changing the entries.
 */
int x86_paging_walk(const struct x86_paging *paging, const struct x86_paging_memory *memory,
		    uint64_t linear, uint32_t access, uint32_t flags,
		    struct x86_translation *translation, uint32_t *error_code);

#endif
