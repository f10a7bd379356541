#ifndef PARAVISOR_BOOT_MEMORY_MAP_H
#define PARAVISOR_BOOT_MEMORY_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct guest_memory;

struct boot_range {
	uint64_t gpa, len; /* bytes; [gpa, gpa + len) */
};

/* ACPI 6.5 section 15.2, table 15.4 */
enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3,
	E820_NVS = 4
};

struct boot_region {
	struct boot_range range;
	enum e820_type type;
};

/*
 * What a PC's firmware tells of memory (E820), and what the loader has already put where. The
 * entries are sorted by address and do not overlap; what is in none of them is a hole.
 */
#define MEMORY_MAP_ENTRIES 256
#define MEMORY_MAP_TAKEN   16

struct memory_map {
	struct boot_region entries[MEMORY_MAP_ENTRIES];
	unsigned int count;
	struct boot_range taken[MEMORY_MAP_TAKEN];
	unsigned int taken_count;
};

/* Fixed places in the first MiB, below what the loader gives out. */
#define MEMORY_MAP_EBDA     0x9fc00ull
#define MEMORY_MAP_VGA      0xa0000ull /* no RAM as far as the guest is told, up to FIRMWARE */
#define MEMORY_MAP_FIRMWARE 0xe0000ull /* ACPI and SMBIOS tables, up to 1 MiB */
#define MEMORY_MAP_HIGH     0x100000ull

/*
 * From the guest's RAM ranges, with the PC's conventions for the first MiB and `reserved` carved
 * out. -EINVAL: no RAM in the first MiB, or a reserved range wraps; -ENOSPC: too many entries.
 */
int memory_map_init(struct memory_map *map, const struct guest_memory *gm,
		    const struct boot_region *reserved, unsigned int reserved_count);

/* Gives [gpa, gpa + len) another type; what was a hole in it becomes an entry too. -EINVAL, -ENOSPC */
int memory_map_set(struct memory_map *map, uint64_t gpa, uint64_t len, enum e820_type type);

/* True when all of [gpa, gpa + len) is E820_RAM. */
bool memory_map_is_ram(const struct memory_map *map, uint64_t gpa, uint64_t len);

/* Marks a range as in use by the loader, for memory_map_find(). -ENOSPC */
int memory_map_take(struct memory_map *map, uint64_t gpa, uint64_t len);

/* True when something taken overlaps [gpa, gpa + len). */
bool memory_map_is_taken(const struct memory_map *map, uint64_t gpa, uint64_t len);

/*
 * Free E820_RAM of `len` bytes, aligned to `align` (a power of two), wholly in [min, max): the
 * lowest, or the highest when `top`. Takes nothing. -ENOSPC
 */
int memory_map_find(const struct memory_map *map, uint64_t len, uint64_t align, uint64_t min,
		    uint64_t max, bool top, uint64_t *gpa);

#endif
