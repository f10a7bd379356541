#include "paravisor/boot/memory_map.h"

#include <errno.h>
#include <string.h>

#include "core/guest_memory.h"

static bool overlaps(const struct boot_range *a, uint64_t gpa, uint64_t end)
{
	return a->gpa < end && gpa < a->gpa + a->len;
}

/* Adds behind the last entry, into it where type and address fit. */
static int append(struct memory_map *map, uint64_t gpa, uint64_t end, enum e820_type type)
{
	struct boot_region *last;

	if (gpa >= end)
		return 0;
	if (map->count) {
		last = &map->entries[map->count - 1];
		if (last->type == type && last->range.gpa + last->range.len == gpa) {
			last->range.len += end - gpa;
			return 0;
		}
	}
	if (map->count == MEMORY_MAP_ENTRIES)
		return -ENOSPC;
	map->entries[map->count++] = (struct boot_region){ { gpa, end - gpa }, type };
	return 0;
}

/*
 * Rebuilds the map with [gpa, end) cut out, and an entry of that type put there unless type is 0.
 */
static int replace(struct memory_map *map, uint64_t gpa, uint64_t end, enum e820_type type)
{
	struct boot_region old[MEMORY_MAP_ENTRIES];
	unsigned int count = map->count, i;
	bool put = type == 0;
	int ret = 0;

	memcpy(old, map->entries, count * sizeof(old[0]));
	map->count = 0;
	for (i = 0; i < count && !ret; i++) {
		uint64_t start = old[i].range.gpa, stop = start + old[i].range.len;

		ret = append(map, start, stop < gpa ? stop : gpa, old[i].type);
		if (!ret && !put && stop > gpa) {
			ret = append(map, gpa, end, type);
			put = true;
		}
		if (!ret)
			ret = append(map, start > end ? start : end, stop, old[i].type);
	}
	if (!ret && !put)
		ret = append(map, gpa, end, type);
	return ret;
}

int memory_map_set(struct memory_map *map, uint64_t gpa, uint64_t len, enum e820_type type)
{
	uint64_t end;

	if (!len || type == 0 || __builtin_add_overflow(gpa, len, &end))
		return -EINVAL;
	return replace(map, gpa, end, type);
}

/*
 * The first MiB as a PC's firmware reports it: the extended BIOS data area and the tables' area are
 * reserved, the display's and option ROMs' are no memory. (memtest86+ and kernels before 2.6.3x
 * take what they find above 640 KiB for theirs whatever E820 says, so nothing else goes there.)
 */
static int first_megabyte(struct memory_map *map)
{
	int ret;

	ret = memory_map_set(map, MEMORY_MAP_EBDA, MEMORY_MAP_VGA - MEMORY_MAP_EBDA, E820_RESERVED);
	if (!ret)
		ret = replace(map, MEMORY_MAP_VGA, MEMORY_MAP_FIRMWARE, 0);
	if (!ret)
		ret = memory_map_set(map, MEMORY_MAP_FIRMWARE,
				     MEMORY_MAP_HIGH - MEMORY_MAP_FIRMWARE, E820_RESERVED);
	return ret;
}

int memory_map_init(struct memory_map *map, const struct guest_memory *gm,
		    const struct boot_region *reserved, unsigned int reserved_count)
{
	uint64_t gpa, len;
	unsigned int i;
	int ret = 0;

	memset(map, 0, sizeof(*map));
	for (i = 0; !ret && !guest_memory_range(gm, i, &gpa, &len); i++)
		ret = append(map, gpa, gpa + len, E820_RAM);
	if (!ret && !memory_map_is_ram(map, 0, MEMORY_MAP_HIGH))
		ret = -EINVAL;
	if (!ret)
		ret = first_megabyte(map);
	for (i = 0; i < reserved_count && !ret; i++)
		ret = memory_map_set(map, reserved[i].range.gpa, reserved[i].range.len,
				     reserved[i].type);
	return ret;
}

bool memory_map_is_ram(const struct memory_map *map, uint64_t gpa, uint64_t len)
{
	uint64_t end;
	unsigned int i;

	if (__builtin_add_overflow(gpa, len, &end))
		return false;
	for (i = 0; i < map->count; i++) {
		const struct boot_range *range = &map->entries[i].range;

		if (map->entries[i].type == E820_RAM && gpa >= range->gpa &&
		    end <= range->gpa + range->len)
			return true;
	}
	return false;
}

int memory_map_take(struct memory_map *map, uint64_t gpa, uint64_t len)
{
	if (!len)
		return 0;
	if (map->taken_count == MEMORY_MAP_TAKEN)
		return -ENOSPC;
	map->taken[map->taken_count++] = (struct boot_range){ gpa, len };
	return 0;
}

bool memory_map_is_taken(const struct memory_map *map, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < map->taken_count; i++)
		if (overlaps(&map->taken[i], gpa, gpa + len))
			return true;
	return false;
}

/* Rounds up; past the end of the address space is as good as no place at all. */
static uint64_t align_up(uint64_t value, uint64_t align)
{
	return value > UINT64_MAX - (align - 1) ? UINT64_MAX : (value + align - 1) & ~(align - 1);
}

/* The lowest place in [start, end), stepping over whatever is taken. */
static int find_bottom(const struct memory_map *map, uint64_t len, uint64_t align, uint64_t start,
		       uint64_t end, uint64_t *gpa)
{
	uint64_t at = align_up(start, align);
	unsigned int i = 0;

	while (at < end && end - at >= len) {
		for (i = 0; i < map->taken_count; i++)
			if (overlaps(&map->taken[i], at, at + len))
				break;
		if (i == map->taken_count) {
			*gpa = at;
			return 0;
		}
		at = align_up(map->taken[i].gpa + map->taken[i].len, align);
	}
	return -ENOSPC;
}

/* The highest place in [start, end). */
static int find_top(const struct memory_map *map, uint64_t len, uint64_t align, uint64_t start,
		    uint64_t end, uint64_t *gpa)
{
	uint64_t at;
	unsigned int i;

	while (end > start && end - start >= len) {
		at = (end - len) & ~(align - 1);
		if (at < start)
			break;
		for (i = 0; i < map->taken_count; i++)
			if (overlaps(&map->taken[i], at, at + len))
				break;
		if (i == map->taken_count) {
			*gpa = at;
			return 0;
		}
		end = map->taken[i].gpa;
	}
	return -ENOSPC;
}

int memory_map_find(const struct memory_map *map, uint64_t len, uint64_t align, uint64_t min,
		    uint64_t max, bool top, uint64_t *gpa)
{
	unsigned int i;

	for (i = 0; i < map->count; i++) {
		const struct boot_region *entry = &map->entries[top ? map->count - 1 - i : i];
		uint64_t start = entry->range.gpa, end = start + entry->range.len;
		int ret;

		if (entry->type != E820_RAM || !len)
			continue;
		start = start < min ? min : start;
		end = end > max ? max : end;
		ret = top ? find_top(map, len, align, start, end, gpa)
			  : find_bottom(map, len, align, start, end, gpa);
		if (!ret)
			return 0;
	}
	return -ENOSPC;
}
