#include "devices/storage/nvme_ring.h"

#include <string.h>

static size_t whole_pages(size_t len)
{
	return (len + NVME_PAGE_SIZE - 1) & ~(size_t)(NVME_PAGE_SIZE - 1);
}

/* A queue begins on a page (NVMe 1.4, 5.3, 5.4). */
size_t nvme_ring_end(uint16_t entries)
{
	return whole_pages(entries * sizeof(struct nvme_sqe)) + entries * sizeof(struct nvme_cqe);
}

void nvme_ring_init(struct nvme_ring *ring, struct pci_device_access *pci, uint16_t qid,
		    uint16_t entries, unsigned int dstrd, const struct pci_dma *dma)
{
	size_t cq_at = whole_pages(entries * sizeof(struct nvme_sqe));

	*ring = (struct nvme_ring){
		.pci = pci,
		.sq = dma->base,
		.cq = (void *)((uint8_t *)dma->base + cq_at),
		.sq_address = dma->address,
		.cq_address = dma->address + cq_at,
		.qid = qid,
		.entries = entries,
		.sq_doorbell = NVME_SQ_DOORBELL(qid, dstrd),
		.cq_doorbell = NVME_CQ_DOORBELL(qid, dstrd),
	};
	nvme_ring_reset(ring);
}

void nvme_ring_reset(struct nvme_ring *ring)
{
	memset(ring->cq, 0, ring->entries * sizeof(*ring->cq));
	ring->sq_tail = ring->sq_rung = 0;
	ring->cq_head = ring->cq_rung = 0;
	ring->phase = NVME_CQE_PHASE;
}

/* The pages are laid out like the doorbell registers. */
void nvme_ring_set_shadow(struct nvme_ring *ring, void *shadow, void *event, unsigned int dstrd)
{
	uint64_t sq = ring->sq_doorbell - NVME_REG_DOORBELLS;
	uint64_t cq = ring->cq_doorbell - NVME_REG_DOORBELLS;

	ring->sq_shadow = ring->cq_shadow = ring->sq_event = ring->cq_event = NULL;
	if (!shadow || cq + (4ull << dstrd) > NVME_PAGE_SIZE)
		return;
	ring->sq_shadow = (void *)((uint8_t *)shadow + sq);
	ring->cq_shadow = (void *)((uint8_t *)shadow + cq);
	ring->sq_event = (void *)((uint8_t *)event + sq);
	ring->cq_event = (void *)((uint8_t *)event + cq);
	*ring->sq_shadow = ring->sq_rung;
	*ring->cq_shadow = ring->cq_rung;
	*ring->sq_event = *ring->cq_event = 0;
}

static uint16_t advance(const struct nvme_ring *ring, uint16_t index)
{
	return (uint16_t)(index + 1 == ring->entries ? 0 : index + 1);
}

void nvme_ring_push(struct nvme_ring *ring, const struct nvme_sqe *sqe)
{
	ring->sq[ring->sq_tail] = *sqe;
	ring->sq_tail = advance(ring, ring->sq_tail);
}

/*
 * Whether the controller asked to be told by register: its event index is among the values that the
 * doorbell moved over, the new one not included.
 */
static bool wants_doorbell(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/*
 * The admin queue's registers are written in any case: not every controller looks at its shadow
 * doorbells, and few drivers have them.
 */
static void ring_one(struct nvme_ring *ring, uint64_t doorbell, uint32_t *shadow, uint32_t *event,
		     uint16_t now, uint16_t before)
{
	if (shadow) {
		/*
		 * Entries before the shadow value, and that before the look at the event index: the
		 * controller writes its index and then looks at our value, so one of us sees the other.
		 */
		__atomic_store_n(shadow, now, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (ring->qid && !wants_doorbell((uint16_t)__atomic_load_n(event, __ATOMIC_RELAXED),
						 now, before))
			return;
	}
	ring->doorbells++;
	pci_write32(ring->pci, 0, doorbell, now);
}

void nvme_ring_ring(struct nvme_ring *ring)
{
	if (ring->sq_tail == ring->sq_rung)
		return;
	ring_one(ring, ring->sq_doorbell, ring->sq_shadow, ring->sq_event, ring->sq_tail,
		 ring->sq_rung);
	ring->sq_rung = ring->sq_tail;
}

bool nvme_ring_pop(struct nvme_ring *ring, struct nvme_cqe *cqe)
{
	const struct nvme_cqe *entry = &ring->cq[ring->cq_head];
	uint32_t last;

	/* Command id, status and phase in one load; acquire: the rest is read after the phase. */
	last = __atomic_load_n((const uint32_t *)(const void *)&entry->cid, __ATOMIC_ACQUIRE);
	if ((last >> 16 & NVME_CQE_PHASE) != ring->phase)
		return false;
	cqe->result = entry->result;
	cqe->rsvd4 = 0;
	cqe->sq_head = entry->sq_head;
	cqe->sq_id = entry->sq_id;
	cqe->cid = (uint16_t)last;
	cqe->status = (uint16_t)(last >> 16);
	ring->cq_head = advance(ring, ring->cq_head);
	if (!ring->cq_head)
		ring->phase ^= NVME_CQE_PHASE;
	return true;
}

void nvme_ring_popped(struct nvme_ring *ring)
{
	if (ring->cq_head == ring->cq_rung)
		return;
	ring_one(ring, ring->cq_doorbell, ring->cq_shadow, ring->cq_event, ring->cq_head,
		 ring->cq_rung);
	ring->cq_rung = ring->cq_head;
}
