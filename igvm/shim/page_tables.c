#include <errno.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"

/* SDM vol. 3, 4.5: present and writable; of a page directory's entry: 2 MiB */
#define ENTRY_TABLE 0x3ull
#define ENTRY_2M    0x83ull
#define ENTRY_GPA   0x000ffffffffff000ull

struct table {
	uint64_t gpa;
	uint64_t *entries;
};

/* The table that an entry leads to; a new one where there is none. The last is remembered by the caller. */
static int table_below(struct shim *shim, struct table *parent, unsigned int index,
		       struct table *child)
{
	if (parent->entries[index])
		return 0;
	child->entries = shim_work_take(shim, SHIM_PAGE_SIZE, &child->gpa);
	if (!child->entries)
		return -ENOMEM;
	parent->entries[index] = child->gpa | ENTRY_TABLE;
	return 0;
}

/*
 * The region ascends, so that the table in use is always the newest of its level. The kernel maps the
 * rest of its memory itself (Linux, Documentation/arch/x86/boot.rst: it needs itself, boot_params and
 * command line).
 */
int shim_page_tables_build(struct shim *shim, uint64_t *root)
{
	struct table pml4, pdpt = { 0 }, pd = { 0 };
	uint64_t at = shim->region_gpa, end = at + shim->params.region_len;
	int ret;

	pml4.entries = shim_work_take(shim, SHIM_PAGE_SIZE, &pml4.gpa);
	if (!pml4.entries)
		return -ENOMEM;
	for (; at < end; at += SHIM_2M) {
		ret = table_below(shim, &pml4, at >> 39 & 511, &pdpt);
		if (!ret)
			ret = table_below(shim, &pdpt, at >> 30 & 511, &pd);
		if (ret)
			return ret;
		pd.entries[at >> 21 & 511] = (at & ENTRY_GPA) | ENTRY_2M;
	}
	*root = pml4.gpa;
	return 0;
}
