#include "host/igvm_tables.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* SDM vol. 3, 4.5 */
#define PAGE        4096u
#define ENTRIES     512u
#define PRESENT     0x1ull
#define LARGE       0x80ull
#define ADDRESS     0x000ffffffffff000ull
#define TABLE_FLAGS 0x3ull /* present, writable: rights are for the leaves to restrict */
#define SIGN_BIT    (1ull << 47)
#define LEVELS      4

struct mover {
	const struct igvm_tables *t;
	const uint8_t *old;
	uint8_t *new;
	uint64_t used;
	uint64_t visits; /* of tables: a tree has each once */
};

static uint64_t load(const uint8_t *table, unsigned int index)
{
	uint64_t entry;

	memcpy(&entry, table + index * sizeof(entry), sizeof(entry));
	return entry;
}

static void store(uint8_t *table, unsigned int index, uint64_t entry)
{
	memcpy(table + index * sizeof(entry), &entry, sizeof(entry));
}

static unsigned int shift_of(unsigned int level)
{
	return 12 + 9 * level;
}

/* The table below `table` in the new tree, made when there is none. NULL when there is no room. */
static uint8_t *new_table(struct mover *m, uint8_t *table, unsigned int index)
{
	uint64_t entry = load(table, index), offset;

	if (!(entry & PRESENT)) {
		if (m->t->size - m->used < PAGE)
			return NULL;
		entry = (m->t->gpa + m->t->delta + m->used) | TABLE_FLAGS;
		m->used += PAGE;
		store(table, index, entry);
	}
	offset = (entry & ADDRESS) - (m->t->gpa + m->t->delta);
	return offset < m->used ? m->new + offset : NULL;
}

static int map(struct mover *m, uint64_t va, uint64_t entry, unsigned int level)
{
	uint8_t *table = m->new;
	unsigned int l;

	for (l = LEVELS - 1; l > level; l--) {
		table = new_table(m, table, va >> shift_of(l) & (ENTRIES - 1));
		if (!table)
			return -ENOSPC;
	}
	store(table, va >> shift_of(level) & (ENTRIES - 1), entry);
	return 0;
}

static int move_leaf(struct mover *m, uint64_t va, uint64_t entry, unsigned int level)
{
	uint64_t gpa = entry & ADDRESS & ~((1ull << shift_of(level)) - 1);

	if (gpa - m->t->moved_gpa < m->t->moved_len) {
		entry += m->t->delta;
		va += m->t->delta;
	}
	return map(m, va, entry, level);
}

static int move_table(struct mover *m, uint64_t gpa, uint64_t va, unsigned int level)
{
	uint64_t offset = gpa - m->t->gpa;
	unsigned int i;
	int ret = 0;

	if (offset % PAGE || offset >= m->t->size || ++m->visits > m->t->size / PAGE)
		return -EINVAL;
	for (i = 0; i < ENTRIES && !ret; i++) {
		uint64_t entry = load(m->old + offset, i);
		uint64_t at = va | (uint64_t)i << shift_of(level);

		if (!(entry & PRESENT))
			continue;
		if (level == LEVELS - 1 && at & SIGN_BIT)
			at |= ~(SIGN_BIT - 1);
		if (!level || entry & LARGE)
			ret = level < LEVELS - 1 ? move_leaf(m, at, entry, level) : -EINVAL;
		else
			ret = move_table(m, entry & ADDRESS, at, level - 1);
	}
	return ret;
}

int igvm_tables_move(const struct igvm_tables *tables, uint8_t *bytes)
{
	struct mover m = { .t = tables, .old = bytes, .used = PAGE };
	int ret;

	if (tables->size < PAGE || tables->size % PAGE)
		return -EINVAL;
	m.new = calloc(1, tables->size);
	if (!m.new)
		return -ENOMEM;
	ret = move_table(&m, tables->gpa, 0, LEVELS - 1);
	if (!ret)
		memcpy(bytes, m.new, tables->size);
	free(m.new);
	return ret;
}
