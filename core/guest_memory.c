#include "core/guest_memory.h"

#include "core/bytes.h"
#include "core/guest_access.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_MASK 0xfffull

struct guest_memory *guest_memory_create(void)
{
	return calloc(1, sizeof(struct guest_memory));
}

void guest_memory_destroy(struct guest_memory *gm)
{
	if (!gm)
		return;
	free(gm->ranges);
	free(gm);
}

int guest_memory_install_fault_handler(void)
{
	return guest_access_install_fault_handler();
}

/* Index of the first range that ends above gpa. There are a handful: low RAM, high RAM, tables. */
static unsigned int first_above(const struct guest_memory *gm, uint64_t gpa)
{
	unsigned int i = 0;

	while (i < gm->count && gm->ranges[i].gpa + (gm->ranges[i].len - 1) < gpa)
		i++;
	return i;
}

int guest_memory_add(struct guest_memory *gm, uint64_t gpa, void *base, uint64_t len)
{
	struct guest_memory_ram *grown;
	unsigned int at;

	if (!base || len == 0 || !range_valid(gpa, len))
		return -EINVAL;
	if ((gpa | len | (uintptr_t)base) & PAGE_MASK)
		return -EINVAL;
	at = first_above(gm, gpa);
	if (at < gm->count && range_overlaps(gm->ranges[at].gpa, gm->ranges[at].len, gpa, len))
		return -EEXIST;

	grown = realloc(gm->ranges, (gm->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	gm->ranges = grown;
	memmove(&grown[at + 1], &grown[at], (gm->count - at) * sizeof(*grown));
	grown[at] = (struct guest_memory_ram){ .gpa = gpa, .len = len, .base = base };
	gm->count++;
	return 0;
}

/* The piece of RAM at the start of [gpa, gpa + len): its host address, or NULL; *piece <= len. */
static uint8_t *find_piece(const struct guest_memory *gm, uint64_t gpa, uint64_t len,
			   uint64_t *piece)
{
	unsigned int i = first_above(gm, gpa);
	const struct guest_memory_ram *range = &gm->ranges[i];
	uint64_t left;

	if (i == gm->count || range->gpa > gpa)
		return NULL;
	left = range->len - (gpa - range->gpa);
	*piece = len < left ? len : left;
	return range->base + (gpa - range->gpa);
}

bool guest_memory_contains_pieces(const struct guest_memory *gm, uint64_t gpa, uint64_t len)
{
	uint64_t piece;

	if (!range_valid(gpa, len))
		return false;
	for (; len > 0; gpa += piece, len -= piece) {
		if (!find_piece(gm, gpa, len, &piece))
			return false;
	}
	return true;
}

int guest_memory_read_pieces(const struct guest_memory *gm, uint64_t gpa, void *buf, size_t len)
{
	uint8_t *out = buf;
	uint64_t piece;
	int err;

	if (!guest_memory_contains(gm, gpa, len))
		return -EFAULT;
	for (; len > 0; gpa += piece, out += piece, len -= piece) {
		const uint8_t *ram = find_piece(gm, gpa, len, &piece);

		err = guest_access_copy(out, ram, piece);
		if (err)
			return err;
	}
	return 0;
}

int guest_memory_write_pieces(const struct guest_memory *gm, uint64_t gpa, const void *buf,
			      size_t len)
{
	const uint8_t *in = buf;
	uint64_t piece;
	int err;

	if (!guest_memory_contains(gm, gpa, len))
		return -EFAULT;
	for (; len > 0; gpa += piece, in += piece, len -= piece) {
		uint8_t *ram = find_piece(gm, gpa, len, &piece);

		err = guest_access_copy(ram, in, piece);
		if (err)
			return err;
	}
	return 0;
}

int guest_memory_fill(const struct guest_memory *gm, uint64_t gpa, uint8_t byte, size_t len)
{
	uint64_t piece;
	int err;

	if (!guest_memory_contains(gm, gpa, len))
		return -EFAULT;
	for (; len > 0; gpa += piece, len -= piece) {
		uint8_t *ram = find_piece(gm, gpa, len, &piece);

		err = guest_access_fill(ram, byte, piece);
		if (err)
			return err;
	}
	return 0;
}

int guest_memory_cmpxchg(const struct guest_memory *gm, uint64_t gpa, uint64_t *expected,
			 uint64_t desired, unsigned int size)
{
	void *ram;

	if (size == 0 || size > 8 || (size & (size - 1)) || (gpa & (size - 1)))
		return -EINVAL;
	/* Ranges are whole pages, so an aligned operand lies in one. */
	ram = guest_memory_bulk(gm, gpa, size);
	if (!ram)
		return -EFAULT;
	return guest_access_cmpxchg(ram, expected, desired, size);
}

int guest_memory_range(const struct guest_memory *gm, unsigned int index, uint64_t *gpa,
		       uint64_t *len)
{
	if (index >= gm->count)
		return -ENOENT;
	*gpa = gm->ranges[index].gpa;
	*len = gm->ranges[index].len;
	return 0;
}
