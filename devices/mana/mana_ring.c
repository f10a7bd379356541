/* The function's view of memory: queues by page, work queue entries, completions, events. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/container_of.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/mana/mana_internal.h"
#include "devices/pci/pci_msix.h"

int mana_dma_read(struct mana *mana, uint64_t address, void *buf, size_t len)
{
	if (!mana_is_master(mana))
		return -EFAULT;
	__atomic_fetch_add(&mana->dma_bytes, len, __ATOMIC_RELAXED);
	return guest_memory_read(mana->function.bus.memory, address, buf, len);
}

int mana_dma_write(struct mana *mana, uint64_t address, const void *buf, size_t len)
{
	if (!mana_is_master(mana))
		return -EFAULT;
	__atomic_fetch_add(&mana->dma_bytes, len, __ATOMIC_RELAXED);
	return guest_memory_write(mana->function.bus.memory, address, buf, len);
}

int mana_ring_init(struct mana_ring *ring, const uint64_t *pages, uint32_t size)
{
	size_t count = size / GDMA_PAGE_SIZE;

	ring->pages = malloc(count * sizeof(ring->pages[0]));
	if (!ring->pages)
		return -ENOMEM;
	memcpy(ring->pages, pages, count * sizeof(ring->pages[0]));
	ring->size = size;
	return 0;
}

void mana_ring_free(struct mana_ring *ring)
{
	free(ring->pages);
	*ring = (struct mana_ring){ 0 };
}

/* [offset, offset + len), which may wrap. */
static int ring_read(struct mana *mana, const struct mana_ring *ring, uint32_t offset, void *buf,
		     size_t len)
{
	uint8_t *to = buf;

	while (len) {
		uint32_t in_page = offset & (GDMA_PAGE_SIZE - 1);
		size_t chunk = GDMA_PAGE_SIZE - in_page;

		if (chunk > len)
			chunk = len;
		if (mana_dma_read(mana, ring->pages[offset >> GDMA_PAGE_SHIFT] + in_page, to,
				  chunk))
			return -EFAULT;
		to += chunk;
		len -= chunk;
		offset = (offset + (uint32_t)chunk) % ring->size;
	}
	return 0;
}

/* An entry of a completion or event queue, its last word, which makes it visible, last. */
static void ring_write_entry(struct mana *mana, const struct mana_ring *ring, uint32_t offset,
			     const void *entry, size_t len)
{
	uint64_t at = ring->pages[offset >> GDMA_PAGE_SHIFT] + (offset & (GDMA_PAGE_SIZE - 1));

	if (mana_dma_write(mana, at, entry, len - 4))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	mana_dma_write(mana, at + len - 4, (const uint8_t *)entry + len - 4, 4);
}

/* --- Work queues */

/* Heads count bytes modulo 2^32; sizes need not divide that, so places are kept within the ring. */
static uint32_t place(const struct mana_wq *wq, uint32_t bytes)
{
	return bytes % wq->ring.size;
}

static int parse_wqe(const struct mana_wq *wq, const uint8_t *bytes, struct mana_wqe *wqe)
{
	uint32_t flags = load_le32(bytes + 4);

	wqe->oob_size = (flags >> GDMA_WQE_OOB_SHIFT & GDMA_WQE_OOB_MASK) * 4;
	wqe->sge_count = flags & GDMA_WQE_SGE_MASK;
	wqe->oob_in_sgl = flags & GDMA_WQE_OOB_IN_SGL;
	wqe->data_unit = flags >> GDMA_WQE_DATA_UNIT_SHIFT & GDMA_WQE_DATA_UNIT_MASK;
	if (wqe->oob_size != GDMA_OOB_SMALL && wqe->oob_size != GDMA_OOB_LARGE)
		return -EPROTO;
	if (!wqe->sge_count ||
	    wqe->sge_count > (wq->type == GDMA_SQ ? MANA_SGES_MAX + 0u : MANA_RX_SGES_MAX))
		return -EPROTO;
	wqe->size = (8 + wqe->oob_size + wqe->sge_count * 16 + GDMA_WQE_UNIT - 1) &
		    ~(GDMA_WQE_UNIT - 1);
	return 0;
}

int mana_wq_peek(struct mana *mana, struct mana_wq *wq, struct mana_wqe *wqe)
{
	uint32_t posted =
		__atomic_load_n(&mana->tails[wq - mana->wqs], __ATOMIC_ACQUIRE) - wq->head;
	uint8_t bytes[GDMA_SQE_MAX];

	if (!wq->used || wq->stuck || !posted)
		return -EAGAIN;
	wqe->offset = place(wq, wq->head);
	if (posted > wq->ring.size || posted % GDMA_WQE_UNIT ||
	    ring_read(mana, &wq->ring, wqe->offset, bytes, GDMA_WQE_UNIT) ||
	    parse_wqe(wq, bytes, wqe) || wqe->size > posted)
		goto stuck;
	/* Of the first unit the sizes have been used: the rest is read, not that again. */
	if (wqe->size > GDMA_WQE_UNIT &&
	    ring_read(mana, &wq->ring, (wqe->offset + GDMA_WQE_UNIT) % wq->ring.size,
		      bytes + GDMA_WQE_UNIT, wqe->size - GDMA_WQE_UNIT))
		goto stuck;
	memcpy(wqe->oob, bytes + 8, wqe->oob_size);
	memcpy(wqe->sges, bytes + 8 + wqe->oob_size, wqe->sge_count * sizeof(wqe->sges[0]));
	return 0;

stuck:
	log_limited(LOG_WARN, "mana: a work queue entry cannot be: queue %u stops",
		    (unsigned int)(wq - mana->wqs));
	wq->stuck = true;
	return -EPROTO;
}

void mana_wq_consume(struct mana_wq *wq, const struct mana_wqe *wqe)
{
	wq->head += wqe->size;
}

/*
 * --- Completions and events, with `events`. Interrupts are raised without it: they wake a VP, which may run at once where this
 * thread did, and would then wait for the lock.
 */

#define NO_VECTOR UINT32_MAX

/* The vector to be raised. */
static uint32_t write_event(struct mana *mana, struct mana_eq *eq, uint8_t type, uint32_t detail)
{
	uint32_t entries = eq->ring.size / sizeof(struct gdma_eqe);
	struct gdma_eqe entry = {
		.details = { detail },
		.info = type | (eq->head / entries & GDMA_OWNER_MASK) << GDMA_OWNER_SHIFT,
	};

	ring_write_entry(mana, &eq->ring, eq->head % entries * (uint32_t)sizeof(entry), &entry,
			 sizeof(entry));
	eq->head++;
	if (!eq->armed)
		return NO_VECTOR;
	eq->armed = false;
	return eq->vector;
}

static uint32_t completion_event(struct mana *mana, struct mana_cq *cq)
{
	cq->armed = false;
	cq->held = 0;
	if (cq->eq >= MANA_EQS || !mana->eqs[cq->eq].used)
		return NO_VECTOR;
	return write_event(mana, &mana->eqs[cq->eq], GDMA_EQE_COMPLETION,
			   (uint32_t)(cq - mana->cqs));
}

static void raise(struct mana *mana, uint32_t vector)
{
	if (vector != NO_VECTOR)
		pci_msix_raise(mana->msix, vector);
}

static void unlock_and_raise(struct mana *mana, uint32_t vector)
{
	pthread_mutex_unlock(&mana->events);
	raise(mana, vector);
}

/*
 * Moderation. That a frame is gone is no news when its doorbell comes back, and an interrupt costs a driver more than a
 * send: so it hears of several together, or with what was received, or some milliseconds later.
 */
#define HELD_MAX 16u
#define HELD_NS  4000000u
#define HELD_WORTH \
	2u /* to be told of with a received frame: not each of a sender that waits for answers */

/* True: the driver hears of it later. */
static bool hold(struct mana *mana, struct mana_cq *cq)
{
	if (cq->eq >= MANA_EQS || ++cq->held == HELD_MAX)
		return false;
	mana->eqs[cq->eq].held_cq = (uint32_t)(cq - mana->cqs);
	if (!mana->holding)
		event_timer_arm(&mana->held_timer, event_loop_now_ns() + HELD_NS);
	mana->holding = true;
	return true;
}

static uint32_t tell_held(struct mana *mana, uint32_t id, uint32_t least)
{
	struct mana_cq *cq = &mana->cqs[id];

	return cq->used && cq->armed && cq->held >= least ? completion_event(mana, cq) : NO_VECTOR;
}

static void held_long_enough(struct event_timer *timer)
{
	struct mana *mana = container_of(timer, struct mana, held_timer);
	uint32_t vectors[MANA_CQS];

	pthread_mutex_lock(&mana->events);
	mana->holding = false;
	for (uint32_t i = 0; i < MANA_CQS; i++)
		vectors[i] = tell_held(mana, i, 1);
	pthread_mutex_unlock(&mana->events);
	for (uint32_t i = 0; i < MANA_CQS; i++)
		raise(mana, vectors[i]);
}

void mana_events_init(struct mana *mana)
{
	event_timer_init(&mana->held_timer, mana->config.loop, held_long_enough);
}

void mana_events_fini(struct mana *mana)
{
	event_timer_cancel(&mana->held_timer);
}

static void write_completion(struct mana *mana, struct mana_cq *cq, const struct mana_wq *wq,
			     const void *data)
{
	struct gdma_cqe entry;
	uint32_t entries = cq->ring.size / sizeof(entry);

	memcpy(entry.data, data, sizeof(entry.data));
	entry.info = (uint32_t)(wq - mana->wqs) | (wq->type == GDMA_SQ ? GDMA_CQE_IS_SQ : 0) |
		     (cq->head / entries & GDMA_OWNER_MASK) << GDMA_OWNER_SHIFT;
	ring_write_entry(mana, &cq->ring, cq->head % entries * (uint32_t)sizeof(entry), &entry,
			 sizeof(entry));
	cq->head++;
}

static void complete(struct mana *mana, struct mana_wq *wq, const void *data, bool may_wait)
{
	struct mana_cq *cq = &mana->cqs[wq->cq];
	uint32_t vector = NO_VECTOR, held = NO_VECTOR;

	pthread_mutex_lock(&mana->events);
	if (cq->used) {
		write_completion(mana, cq, wq, data);
		if (cq->armed && !(may_wait && hold(mana, cq)))
			vector = completion_event(mana, cq);
		if (wq->type == GDMA_RQ && cq->eq < MANA_EQS)
			held = tell_held(mana, mana->eqs[cq->eq].held_cq, HELD_WORTH);
	}
	unlock_and_raise(mana, vector != NO_VECTOR ? vector : held);
}

void mana_complete(struct mana *mana, struct mana_wq *wq, const void *data)
{
	complete(mana, wq, data, false);
}

void mana_complete_later(struct mana *mana, struct mana_wq *wq, const void *data)
{
	complete(mana, wq, data, true);
}

void mana_event(struct mana *mana, uint32_t id, uint8_t type, uint32_t detail)
{
	uint32_t vector = NO_VECTOR;

	pthread_mutex_lock(&mana->events);
	if (id < MANA_EQS && mana->eqs[id].used)
		vector = write_event(mana, &mana->eqs[id], type, detail);
	unlock_and_raise(mana, vector);
}

/* Arming a queue that has entries beyond what the driver has seen fires at once. */
void mana_cq_doorbell(struct mana *mana, uint32_t id, uint32_t tail, bool arm)
{
	uint32_t vector = NO_VECTOR;

	pthread_mutex_lock(&mana->events);
	if (id < MANA_CQS && mana->cqs[id].used) {
		struct mana_cq *cq = &mana->cqs[id];
		uint32_t wrap = cq->ring.size / (uint32_t)sizeof(struct gdma_cqe) * 8;

		cq->tail = tail % wrap;
		if (arm)
			cq->armed = true;
		if (cq->head % wrap == cq->tail)
			cq->held = 0;
		else if (arm)
			vector = completion_event(mana, cq);
	}
	unlock_and_raise(mana, vector);
}

void mana_eq_doorbell(struct mana *mana, uint32_t id, uint32_t tail, bool arm)
{
	uint32_t vector = NO_VECTOR;

	pthread_mutex_lock(&mana->events);
	if (id < MANA_EQS && mana->eqs[id].used) {
		struct mana_eq *eq = &mana->eqs[id];
		uint32_t wrap = eq->ring.size / (uint32_t)sizeof(struct gdma_eqe) * 8;

		eq->tail = tail % wrap;
		eq->armed = arm && eq->head % wrap == eq->tail;
		if (arm && !eq->armed)
			vector = eq->vector;
	}
	unlock_and_raise(mana, vector);
}
