#include "core/x86/paging.h"

#include <errno.h>

#include "core/x86/x86.h"

#define PTE_PRESENT   (1ull << 0)
#define PTE_WRITE     (1ull << 1)
#define PTE_USER      (1ull << 2)
#define PTE_PWT       (1ull << 3)
#define PTE_PCD       (1ull << 4)
#define PTE_ACCESSED  (1ull << 5)
#define PTE_DIRTY     (1ull << 6)
#define PTE_LARGE     (1ull << 7) /* in a directory */
#define PTE_PAT       (1ull << 7) /* in a last-level table */
#define PTE_PAT_LARGE (1ull << 12)
#define PTE_NX        (1ull << 63)

#define PTE_ADDRESS 0x000ffffffffff000ull

#define MAX_LEVELS 5

/* How often a walk starts over because the guest changed an entry under it. */
#define MAX_ATTEMPTS 16

/* The shape of the tables that a mode uses. */
struct layout {
	unsigned int levels;
	unsigned int index_bits;
	unsigned int entry_size;
	uint64_t root;
	bool pdpte; /* the top level is PAE's four pointers, which hold no rights */
};

struct entry {
	uint64_t gpa;
	uint64_t value;
};

struct walk {
	const struct x86_paging *paging;
	const struct x86_paging_memory *memory;
	struct layout layout;
	uint64_t linear;
	uint32_t access;
	uint32_t flags;
	struct entry entries[MAX_LEVELS];
	unsigned int count;      /* entries read, the leaf last */
	unsigned int leaf_level; /* 1: a last-level table */
};

static void choose_layout(struct layout *layout, const struct x86_paging *p)
{
	if (p->efer & X86_EFER_LMA) {
		layout->levels = p->cr4 & X86_CR4_LA57 ? 5 : 4;
		layout->index_bits = 9;
		layout->entry_size = 8;
		layout->root = p->cr3 & PTE_ADDRESS;
		layout->pdpte = false;
	} else if (p->cr4 & X86_CR4_PAE) {
		layout->levels = 3;
		layout->index_bits = 9;
		layout->entry_size = 8;
		layout->root = p->cr3 & 0xffffffe0;
		layout->pdpte = true;
	} else {
		layout->levels = 2;
		layout->index_bits = 10;
		layout->entry_size = 4;
		layout->root = p->cr3 & 0xfffff000;
		layout->pdpte = false;
	}
}

static unsigned int level_shift(const struct layout *layout, unsigned int level)
{
	return 12 + (level - 1) * layout->index_bits;
}

static bool is_large(const struct walk *w, unsigned int level, uint64_t entry)
{
	if (!(entry & PTE_LARGE))
		return false;
	if (w->layout.entry_size == 4)
		return level == 2 && (w->paging->cr4 & X86_CR4_PSE);
	return level == 2 || (level == 3 && !w->layout.pdpte);
}

/* Address bits that the processor does not have. */
static uint64_t beyond_physical(const struct walk *w)
{
	return PTE_ADDRESS & ~((1ull << w->paging->physical_address_bits) - 1);
}

/* SDM vol. 3, tables 5-4 to 5-20: what must be zero in a present entry. */
static uint64_t reserved_bits(const struct walk *w, unsigned int level, uint64_t entry)
{
	uint64_t reserved = 0;

	if (w->layout.entry_size == 4)
		return is_large(w, level, entry) ? 1ull << 21 : 0;

	reserved = beyond_physical(w);
	if (w->layout.pdpte) {
		if (level == 3)
			return reserved | 0xfff00000000001e6ull;
		reserved |= 0x7ff0000000000000ull;
	}
	if (!(w->paging->efer & X86_EFER_NXE))
		reserved |= PTE_NX;
	if (level >= 4)
		reserved |= PTE_LARGE;
	if (is_large(w, level, entry))
		reserved |= ((1ull << level_shift(&w->layout, level)) - 1) & ~0x1fffull;
	return reserved;
}

static int read_entry(struct walk *w, uint64_t gpa, uint64_t *value)
{
	uint32_t narrow;
	int ret;

	if (w->layout.entry_size == 8)
		return w->memory->read(w->memory->ctx, gpa, value, 8);
	ret = w->memory->read(w->memory->ctx, gpa, &narrow, 4);
	*value = narrow;
	return ret;
}

/* Reads entries down to the leaf. 0, -ENXIO, or -EFAULT with bits for the error code. */
static int descend(struct walk *w, uint32_t *error_code)
{
	uint64_t table = w->layout.root;
	unsigned int level;

	w->count = 0;
	for (level = w->layout.levels; level >= 1; level--) {
		struct entry *e = &w->entries[w->count++];
		uint64_t index = w->linear >> level_shift(&w->layout, level);

		index &= (1u << w->layout.index_bits) - 1;
		if (w->layout.pdpte && level == 3)
			index &= 3;
		e->gpa = table + index * w->layout.entry_size;
		if (read_entry(w, e->gpa, &e->value))
			return -ENXIO;
		if (!(e->value & PTE_PRESENT))
			return -EFAULT;
		if (e->value & reserved_bits(w, level, e->value)) {
			*error_code |= X86_PF_PRESENT | X86_PF_RESERVED;
			return -EFAULT;
		}
		if (level == 1 || is_large(w, level, e->value))
			break;
		table = e->value & PTE_ADDRESS;
	}
	w->leaf_level = level;
	return 0;
}

static void translate_leaf(const struct walk *w, struct x86_translation *t)
{
	uint64_t leaf = w->entries[w->count - 1].value;
	unsigned int shift = level_shift(&w->layout, w->leaf_level);
	uint64_t base = leaf & PTE_ADDRESS;

	t->page_size = 1ull << shift;
	if (w->layout.entry_size == 4 && w->leaf_level == 2) /* PSE-36: bits 20-13 are 39-32 */
		base = (leaf & 0xffc00000) | ((leaf & 0x1fe000) << 19);
	t->gpa = (base & ~(t->page_size - 1)) | (w->linear & (t->page_size - 1));
	t->pat = (leaf & PTE_PWT ? 1 : 0) | (leaf & PTE_PCD ? 2 : 0);
	if (leaf & (w->leaf_level == 1 ? PTE_PAT : PTE_PAT_LARGE))
		t->pat |= 4;
}

/* SDM vol. 3, 5.6.1: rights are those of every level together. */
static void collect_rights(const struct walk *w, struct x86_translation *t)
{
	unsigned int i;

	t->writable = t->user = t->executable = true;
	for (i = w->layout.pdpte ? 1 : 0; i < w->count; i++) {
		uint64_t value = w->entries[i].value;

		t->writable &= !!(value & PTE_WRITE);
		t->user &= !!(value & PTE_USER);
		t->executable &= !(value & PTE_NX);
	}
}

static bool smap_forbids(const struct walk *w)
{
	if (!(w->paging->cr4 & X86_CR4_SMAP) || (w->flags & X86_WALK_IGNORE_SMAP))
		return false;
	return (w->flags & X86_WALK_ENFORCE_SMAP) || !(w->paging->rflags & X86_RFLAGS_AC);
}

/* SDM vol. 3, 5.6.1; protection keys and shadow stacks are not looked at. */
static bool allowed(const struct walk *w, const struct x86_translation *t)
{
	bool write = w->access & X86_ACCESS_WRITE;

	if ((w->access & X86_ACCESS_FETCH) && !t->executable)
		return false;
	if (w->access & X86_ACCESS_USER)
		return t->user && (!write || t->writable);
	if (write && !t->writable && (w->paging->cr0 & X86_CR0_WP))
		return false;
	if (!t->user)
		return true;
	if (w->access & X86_ACCESS_FETCH)
		return !(w->paging->cr4 & X86_CR4_SMEP);
	return !smap_forbids(w);
}

/* SDM vol. 3, 5.8. 0, or -EAGAIN when an entry is no longer what was read. */
static int set_bits(struct walk *w)
{
	unsigned int i;

	for (i = w->layout.pdpte ? 1 : 0; i < w->count; i++) {
		struct entry *e = &w->entries[i];
		uint64_t value = e->value | PTE_ACCESSED;
		int ret;

		if (i == w->count - 1 && (w->access & X86_ACCESS_WRITE))
			value |= PTE_DIRTY;
		if (value == e->value)
			continue;
		ret = w->memory->cmpxchg(w->memory->ctx, e->gpa, e->value, value,
					 w->layout.entry_size);
		if (ret)
			return ret;
	}
	return 0;
}

static uint32_t access_error_code(const struct walk *w)
{
	const struct x86_paging *p = w->paging;
	uint32_t code = 0;

	if (w->access & X86_ACCESS_WRITE)
		code |= X86_PF_WRITE;
	if (w->access & X86_ACCESS_USER)
		code |= X86_PF_USER;
	if ((w->access & X86_ACCESS_FETCH) &&
	    ((p->cr4 & X86_CR4_SMEP) || ((p->cr4 & X86_CR4_PAE) && (p->efer & X86_EFER_NXE))))
		code |= X86_PF_FETCH;
	return code;
}

static int walk_once(struct walk *w, struct x86_translation *t, uint32_t *error_code)
{
	int ret;

	*error_code = access_error_code(w);
	ret = descend(w, error_code);
	if (ret)
		return ret;
	translate_leaf(w, t);
	collect_rights(w, t);
	if (!(w->flags & X86_WALK_NO_PRIVILEGE_CHECK) && !allowed(w, t)) {
		*error_code |= X86_PF_PRESENT;
		return -EFAULT;
	}
	if ((w->flags & X86_WALK_SET_BITS) && w->memory->cmpxchg)
		return set_bits(w);
	return 0;
}

static void translate_unpaged(uint64_t linear, struct x86_translation *t)
{
	t->gpa = linear & 0xffffffff;
	t->page_size = 4096;
	t->writable = t->user = t->executable = true;
	t->pat = 0;
}

int x86_paging_walk(const struct x86_paging *paging, const struct x86_paging_memory *memory,
		    uint64_t linear, uint32_t access, uint32_t flags,
		    struct x86_translation *translation, uint32_t *error_code)
{
	struct walk w = {
		.paging = paging,
		.memory = memory,
		.linear = linear,
		.access = access,
		.flags = flags,
	};
	unsigned int attempt;
	int ret = -EAGAIN;

	*error_code = 0;
	if (!(paging->cr0 & X86_CR0_PG)) {
		translate_unpaged(linear, translation);
		return 0;
	}
	choose_layout(&w.layout, paging);
	if (!(paging->efer & X86_EFER_LMA))
		w.linear &= 0xffffffff;
	for (attempt = 0; ret == -EAGAIN && attempt < MAX_ATTEMPTS; attempt++)
		ret = walk_once(&w, translation, error_code);
	return ret;
}
