#include "paravisor/guest_ram.h"

#include <errno.h>
#include <stdbool.h>

#include "core/guest_memory.h"
#include "devices/pci/dma_pool.h"
#include "paravisor/machine.h"
#include "vtl/vtl.h"

#define POOL_ALIGN (2u << 20)

/* The lowest of the payloads that [gpa, gpa + len) meets, or NULL. */
static const struct boot_range *payload_in(const struct options *options, uint64_t gpa,
					   uint64_t len)
{
	const struct boot_range *const payloads[] = { &options->kernel, &options->initrd,
						      &options->cmdline, &options->firmware };
	const struct boot_range *lowest = NULL;

	for (unsigned int i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		const struct boot_range *p = payloads[i];

		if (p->len && p->gpa < gpa + len && gpa < p->gpa + p->len &&
		    (!lowest || p->gpa < lowest->gpa))
			lowest = p;
	}
	return lowest;
}

/* The highest place in [base, end) that is clear of payloads. */
static bool place_in(const struct options *options, uint64_t base, uint64_t end, uint64_t size,
		     uint64_t *gpa)
{
	while (end >= size && end - size >= base) {
		uint64_t at = (end - size) & ~(uint64_t)(POOL_ALIGN - 1);
		const struct boot_range *payload;

		if (at < base)
			return false;
		payload = payload_in(options, at, size);
		if (!payload) {
			*gpa = at;
			return true;
		}
		end = payload->gpa;
	}
	return false;
}

int guest_ram_place(const struct topology *topology, const struct options *options, uint64_t size,
		    uint64_t *gpa)
{
	for (unsigned int i = topology->vtl0_count; i--;) {
		const struct boot_range *r = &topology->vtl0[i];

		if (place_in(options, r->gpa, r->gpa + r->len, size, gpa))
			return 0;
	}
	return -ENOMEM;
}

/* A range less the part [hole, hole + hole_len) that may lie in it. */
static int add_around(struct guest_memory *memory, const struct boot_range *range, uint8_t *base,
		      uint64_t hole, uint64_t hole_len)
{
	uint64_t end = range->gpa + range->len;
	int ret = 0;

	if (!hole_len || hole < range->gpa || hole >= end)
		return guest_memory_add(memory, range->gpa, base, range->len);
	if (hole > range->gpa)
		ret = guest_memory_add(memory, range->gpa, base, hole - range->gpa);
	if (!ret && hole + hole_len < end)
		ret = guest_memory_add(memory, hole + hole_len,
				       base + (hole + hole_len - range->gpa),
				       end - hole - hole_len);
	return ret;
}

static int map_range(struct machine *m, const struct boot_range *range, uint64_t hole,
		     struct dma_pool **pool)
{
	uint64_t hole_len = m->pool_len;
	void *base;
	int ret = m->vtl->ops->map_memory(m->vtl, range->gpa, range->len, &base);

	if (!ret)
		ret = add_around(m->memory, range, base, hole, hole_len);
	if (ret || !hole_len || hole < range->gpa || hole - range->gpa >= range->len)
		return ret;
	*pool = dma_pool_create(hole, (uint8_t *)base + (hole - range->gpa), hole_len);
	if (!*pool)
		return -ENOMEM;
	return m->vtl->ops->protect(m->vtl, hole, hole_len, 0);
}

int guest_ram_map(struct machine *m, uint64_t pool_size, struct dma_pool **pool)
{
	uint64_t hole = 0;
	int ret = 0;

	*pool = NULL;
	m->pool_len = pool_size;
	m->memory = guest_memory_create();
	if (!m->memory)
		ret = -ENOMEM;
	if (!ret && pool_size)
		ret = guest_ram_place(&m->topology, &m->options, pool_size, &hole);
	for (unsigned int i = 0; !ret && i < m->topology.vtl0_count; i++)
		ret = map_range(m, &m->topology.vtl0[i], hole, pool);
	if (ret)
		machine_end(m, HOST_PORT_FAILURE, "cannot map VTL0's memory: errno %d", -ret);
	return ret;
}
