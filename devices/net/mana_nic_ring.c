/* Queues in memory that the device shares: owner bits, work queue entries, doorbells. */

#include <errno.h>
#include <string.h>

#include "devices/net/mana_nic_internal.h"

void mana_nic_ring_init(struct mana_nic_ring *ring, const struct pci_dma *dma, uint32_t offset,
			uint32_t bytes, uint32_t entry)
{
	*ring = (struct mana_nic_ring){
		.base = (uint8_t *)dma->base + offset,
		.address = dma->address + offset,
		.bytes = bytes,
		.entry = entry,
		.entries = bytes / entry,
		.pass_shift = (uint8_t)__builtin_ctz(bytes / entry),
		.head = bytes / entry,
	};
	memset(ring->base, 0, bytes);
}

/* The last word has the owner bits; what it vouches for is read after it, and once. */
int mana_nic_ring_take(struct mana_nic_ring *ring, void *entry)
{
	uint32_t pass = ring->head >> ring->pass_shift, info, owner;
	const uint8_t *at = ring->base + (ring->head & (ring->entries - 1)) * ring->entry;

	info = __atomic_load_n((const uint32_t *)(const void *)(at + ring->entry - 4),
			       __ATOMIC_ACQUIRE);
	owner = info >> GDMA_OWNER_SHIFT & GDMA_OWNER_MASK;
	if (owner == ((pass - 1) & GDMA_OWNER_MASK))
		return 0;
	if (owner != (pass & GDMA_OWNER_MASK))
		return -EPROTO;
	if (ring->entry == sizeof(struct gdma_cqe))
		memcpy(entry, at, sizeof(struct gdma_cqe) - 4);
	else
		memcpy(entry, at, sizeof(struct gdma_eqe) - 4);
	memcpy((uint8_t *)entry + ring->entry - 4, &info, 4);
	ring->head++;
	return 1;
}

uint32_t mana_nic_ring_tail(const struct mana_nic_ring *ring)
{
	return ring->head & (ring->entries * (GDMA_OWNER_MASK + 1) - 1);
}

void mana_nic_wq_init(struct mana_nic_wq *wq, const struct pci_dma *dma, uint32_t offset,
		      uint32_t bytes)
{
	*wq = (struct mana_nic_wq){
		.base = (uint8_t *)dma->base + offset,
		.address = dma->address + offset,
		.bytes = bytes,
		.handle = MANA_INVALID_HANDLE,
	};
}

bool mana_nic_wq_has_room(const struct mana_nic_wq *wq, uint32_t size)
{
	return wq->bytes - (wq->head - wq->tail) >= size;
}

/* The next bytes of an entry, which may go around the queue's end. */
static void put(struct mana_nic_wq *wq, uint32_t *offset, const void *bytes, uint32_t len)
{
	uint32_t at = *offset & (wq->bytes - 1),
		 first = wq->bytes - at < len ? wq->bytes - at : len;

	memcpy(wq->base + at, bytes, first);
	if (first < len)
		memcpy(wq->base, (const uint8_t *)bytes + first, len - first);
	*offset += len;
}

/* An entry that does not go around the queue's end. Sizes are written out: they make plain stores. */
static void put_whole(uint8_t *to, const struct gdma_wqe *header, const void *oob,
		      uint32_t oob_size, const struct gdma_sge *sges, uint32_t count)
{
	memcpy(to, header, sizeof(*header));
	to += sizeof(*header);
	if (oob_size == GDMA_OOB_SMALL)
		memcpy(to, oob, GDMA_OOB_SMALL);
	else
		memcpy(to, oob, GDMA_OOB_LARGE);
	to += oob_size;
	for (uint32_t i = 0; i < count; i++)
		memcpy(to + i * sizeof(sges[0]), &sges[i], sizeof(sges[0]));
}

/* Queues' sizes are powers of two. What is between the SGEs and the entry's end nobody reads. */
uint32_t mana_nic_wq_post(struct mana_nic_wq *wq, uint32_t flags, uint32_t vbytes, const void *oob,
			  uint32_t oob_size, const struct gdma_sge *sges, uint32_t count)
{
	uint32_t size = mana_nic_wqe_size(oob_size, count), offset = wq->head;
	struct gdma_wqe header = {
		.last_vbytes = vbytes << GDMA_WQE_VBYTES_SHIFT,
		.flags = flags | count | oob_size / 4 << GDMA_WQE_OOB_SHIFT,
	};

	wq->head += size;
	if ((offset & (wq->bytes - 1)) + size <= wq->bytes) {
		put_whole(wq->base + (offset & (wq->bytes - 1)), &header, oob, oob_size, sges,
			  count);
		return size;
	}
	put(wq, &offset, &header, sizeof(header));
	put(wq, &offset, oob, oob_size);
	put(wq, &offset, sges, count * (uint32_t)sizeof(sges[0]));
	return size;
}

void mana_nic_doorbell(struct mana_nic *mana, uint32_t page, uint32_t place, uint32_t id,
		       uint32_t tail, bool arm)
{
	uint64_t value = id | (uint64_t)tail << GDMA_DOORBELL_TAIL_SHIFT;

	if (arm)
		value |= GDMA_DOORBELL_ARM;
	mana_nic_count(&mana->counters.doorbells, 1);
	pci_write64(mana->config.pci, 0, mana->doorbells + page * mana->doorbell_bytes + place,
		    value);
}
