#include "core/io_bus.h"

#include "core/bytes.h"
#include "core/device_lock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define PORT_SPACE_LEN 0x10000

/* Sorted by base. Only io_bus_add() changes it, so the access path takes no lock of its own. */
struct region_list {
	struct io_region *regions;
	unsigned int count;
};

struct io_bus {
	struct region_list spaces[2]; /* by enum io_space */
};

struct access {
	bool write;
	uint64_t value;
};

struct io_bus *io_bus_create(void)
{
	return calloc(1, sizeof(struct io_bus));
}

void io_bus_destroy(struct io_bus *bus)
{
	if (!bus)
		return;
	free(bus->spaces[IO_PORT].regions);
	free(bus->spaces[IO_MEMORY].regions);
	free(bus);
}

static bool size_valid(unsigned int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool region_valid(const struct io_region *region)
{
	if (region->len == 0 || !range_valid(region->base, region->len))
		return false;
	if (region->space == IO_PORT && !range_within(region->base, region->len, PORT_SPACE_LEN))
		return false;
	return region->max_size == 0 || size_valid(region->max_size);
}

/* How many regions start at or below addr. */
static unsigned int count_up_to(const struct region_list *list, uint64_t addr)
{
	unsigned int low = 0, high = list->count;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (list->regions[mid].base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool overlaps(const struct io_region *a, const struct io_region *b)
{
	return range_overlaps(a->base, a->len, b->base, b->len);
}

int io_bus_add(struct io_bus *bus, const struct io_region *region)
{
	struct region_list *list = &bus->spaces[region->space];
	struct io_region *grown;
	unsigned int at;

	if (!region_valid(region))
		return -EINVAL;
	at = count_up_to(list, region->base);
	if (at > 0 && overlaps(&list->regions[at - 1], region))
		return -EEXIST;
	if (at < list->count && overlaps(&list->regions[at], region))
		return -EEXIST;

	grown = realloc(list->regions, (list->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->regions = grown;
	memmove(&grown[at + 1], &grown[at], (list->count - at) * sizeof(*grown));
	grown[at] = *region;
	if (grown[at].max_size == 0)
		grown[at].max_size = 8;
	list->count++;
	return 0;
}

static const struct io_region *find(const struct io_bus *bus, enum io_space space, uint64_t addr)
{
	const struct region_list *list = &bus->spaces[space];
	unsigned int count = count_up_to(list, addr);

	if (count == 0)
		return NULL;
	if (addr - list->regions[count - 1].base >= list->regions[count - 1].len)
		return NULL;
	return &list->regions[count - 1];
}

/* One access that one handler takes whole. What a handler leaves in *value is the caller's. */
static enum io_result call_handler(const struct io_region *region, uint64_t addr, unsigned int size,
				   struct access *access)
{
	uint64_t offset = addr - region->base;
	enum io_result result;

	if (region->lock)
		device_lock_acquire(region->lock);
	if (access->write)
		result = region->ops->write(region->dev, offset, size,
					    access->value & bytes_mask(size));
	else
		result = region->ops->read(region->dev, offset, size, &access->value);
	if (region->lock)
		device_lock_release(region->lock);
	return result;
}

static enum io_result access_part(const struct io_bus *bus, enum io_space space, uint64_t addr,
				  unsigned int size, struct access *access)
{
	const struct io_region *region = find(bus, space, addr);
	enum io_result result = IO_FAULT;

	if (region)
		result = call_handler(region, addr, size, access);
	if (result == IO_FAULT && !access->write)
		access->value = UINT64_MAX;
	access->value &= bytes_mask(size);
	return result;
}

/* addr + i wraps only past the top of memory, where no region reaches: find() then fails. */
static enum io_result access_split(const struct io_bus *bus, enum io_space space, uint64_t addr,
				   unsigned int size, unsigned int part, struct access *access)
{
	enum io_result result = IO_FAULT;
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i += part) {
		struct access piece = { .write = access->write, .value = access->value >> (i * 8) };
		enum io_result got = IO_FAULT;

		if (range_valid(addr, (uint64_t)i + part))
			got = access_part(bus, space, addr + i, part, &piece);
		if (got == IO_DONE)
			result = IO_DONE;
		else
			piece.value = bytes_mask(part);
		value |= piece.value << (i * 8);
	}
	access->value = value;
	return result;
}

static enum io_result bus_access(const struct io_bus *bus, enum io_space space, uint64_t addr,
				 unsigned int size, struct access *access)
{
	const struct io_region *region;

	if (!size_valid(size)) {
		access->value = UINT64_MAX;
		return IO_FAULT;
	}
	region = find(bus, space, addr);
	if (!region || !range_within(addr - region->base, size, region->len))
		return access_split(bus, space, addr, size, 1, access);
	if (size > region->max_size)
		return access_split(bus, space, addr, size, region->max_size, access);
	return access_part(bus, space, addr, size, access);
}

enum io_result io_bus_read(struct io_bus *bus, enum io_space space, uint64_t addr,
			   unsigned int size, uint64_t *value)
{
	struct access access = { .write = false };
	enum io_result result = bus_access(bus, space, addr, size, &access);

	*value = access.value;
	return result;
}

enum io_result io_bus_write(struct io_bus *bus, enum io_space space, uint64_t addr,
			    unsigned int size, uint64_t value)
{
	struct access access = { .write = true, .value = value };

	return bus_access(bus, space, addr, size, &access);
}
