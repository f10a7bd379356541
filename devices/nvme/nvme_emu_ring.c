#include "core/guest_access.h"
#include "devices/nvme/nvme_emu_internal.h"
#include "devices/pci/pci_msix.h"

/* --- Words in guest memory that hand something over */

#ifdef __SANITIZE_THREAD__
/*
 * The sanitizer sees no assembler, hence not the order that x86 keeps: atomics tell it. There is no
 * guest whose memory could fault where it is used.
 */
static int load_word(uint32_t *to, const uint32_t *from)
{
	*to = __atomic_load_n(from, __ATOMIC_ACQUIRE);
	return 0;
}

static int store_word(uint32_t *to, uint32_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
	return 0;
}

static int hand_over(struct nvme_cqe *to, const struct nvme_cqe *cqe)
{
	to->sq_head = cqe->sq_head;
	to->sq_id = cqe->sq_id;
	__atomic_store_n((uint32_t *)(void *)&to->cid, cqe->cid | (uint32_t)cqe->status << 16,
			 __ATOMIC_RELEASE);
	return 0;
}
#else
static int load_word(uint32_t *to, const uint32_t *from)
{
	return guest_access_copy(to, from, sizeof(*to));
}

static int store_word(uint32_t *to, uint32_t value)
{
	return guest_access_copy(to, &value, sizeof(value));
}

/* The half with the phase tag, in one store. */
static int hand_over(struct nvme_cqe *to, const struct nvme_cqe *cqe)
{
	return guest_access_copy(&to->sq_head, &cqe->sq_head, 8);
}
#endif

/* --- Doorbell buffers (5.7, 7.13): values in guest memory instead of registers */

static uint32_t load_shadow(struct nvme_emu *emu, const uint32_t *shadow)
{
	uint32_t value = 0;

	if (load_word(&value, shadow))
		nvme_emu_fatal(emu);
	return value;
}

/*
 * From now on the driver is to ring the register when its value passes `at`. What it wrote before
 * it saw that, the caller sees when it looks again: hence the barrier.
 */
void nvme_emu_ask_for_doorbell(struct nvme_emu *emu, uint32_t *event, uint32_t at)
{
	if (store_word(event, at))
		nvme_emu_fatal(emu);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint32_t *shadow_of(void *buffer, unsigned int doorbell)
{
	return buffer ? (uint32_t *)buffer + doorbell : NULL;
}

/*
 * The admin queue's doorbells stay registers: drivers, Linux's among them, do not put its values
 * into the buffer.
 */
void nvme_emu_shadow_sq(struct nvme_emu *emu, struct nvme_emu_sq *sq)
{
	sq->shadow = sq->id ? shadow_of(emu->admin.shadow, 2u * sq->id) : NULL;
	sq->event = sq->id ? shadow_of(emu->admin.event, 2u * sq->id) : NULL;
	if (sq->shadow && store_word(sq->shadow, sq->tail))
		nvme_emu_fatal(emu);
	if (sq->event)
		nvme_emu_ask_for_doorbell(emu, sq->event, sq->tail);
}

void nvme_emu_shadow_cq(struct nvme_emu *emu, struct nvme_emu_cq *cq)
{
	cq->shadow = cq->id ? shadow_of(emu->admin.shadow, 2u * cq->id + 1) : NULL;
	cq->event = cq->id ? shadow_of(emu->admin.event, 2u * cq->id + 1) : NULL;
	if (cq->shadow && store_word(cq->shadow, cq->head))
		nvme_emu_fatal(emu);
	if (cq->event)
		nvme_emu_ask_for_doorbell(emu, cq->event, cq->head);
}

/* --- Queues */

uint32_t nvme_emu_next_entry(uint32_t at, uint32_t limit)
{
	return at + 1 == limit ? 0 : at + 1;
}

/*
 * The driver's tail; one that is nonsense changes nothing. sq->tail follows a value in memory, and
 * otherwise only doorbells write it: the next one may ring while the last is looked at.
 */
uint32_t nvme_emu_submission_tail(struct nvme_emu_sq *sq)
{
	uint32_t tail = sq->shadow ? load_shadow(sq->emu, sq->shadow)
				   : __atomic_load_n(&sq->tail, __ATOMIC_ACQUIRE);

	if (tail < sq->limit) {
		if (sq->shadow)
			__atomic_store_n(&sq->tail, tail, __ATOMIC_RELAXED);
		return tail;
	}
	nvme_emu_event(sq->emu, NVME_EMU_EVENT_DOORBELL_VALUE);
	return sq->head;
}

static uint32_t completion_head(struct nvme_emu *emu, struct nvme_emu_cq *cq)
{
	uint32_t head;

	if (cq->shadow) {
		head = load_shadow(emu, cq->shadow);
		if (head < cq->limit)
			__atomic_store_n(&cq->head, head, __ATOMIC_RELAXED);
	}
	return __atomic_load_n(&cq->head, __ATOMIC_SEQ_CST);
}

bool nvme_emu_has_room(struct nvme_emu_cq *cq)
{
	struct nvme_emu *emu = cq->lane->emu;
	uint32_t next = nvme_emu_next_entry(cq->tail, cq->limit);

	if (next != completion_head(emu, cq))
		return true;
	/* The driver's next doorbell wakes the lane; unless it came just before. */
	__atomic_store_n(&cq->stalled, true, __ATOMIC_SEQ_CST);
	if (cq->event)
		nvme_emu_ask_for_doorbell(emu, cq->event, cq->head);
	return next != completion_head(emu, cq);
}

void nvme_emu_complete(struct nvme_emu_sq *sq, uint16_t cid, uint16_t status, uint32_t result)
{
	struct nvme_emu_cq *cq = sq->cq;
	struct nvme_cqe *entry = (struct nvme_cqe *)cq->ring + cq->tail;
	struct nvme_cqe cqe = {
		.result = result,
		.sq_head = (uint16_t)sq->head,
		.sq_id = sq->id,
		.cid = cid,
		.status = (uint16_t)(status << 1 | cq->phase),
	};
	uint32_t next = nvme_emu_next_entry(cq->tail, cq->limit);
	int err;

	if (next == 0)
		cq->phase = !cq->phase;
	/*
	 * The half with the phase tag last, for it hands over the entry; and the tail before that,
	 * for the driver may free the entry at once and the doorbell is checked against the tail.
	 * Stores are not reordered on x86, and these are not by the compiler.
	 */
	err = guest_access_copy(entry, &cqe, 8);
	__atomic_store_n(&cq->tail, next, __ATOMIC_RELEASE);
	err |= hand_over(entry, &cqe);
	if (err)
		nvme_emu_fatal(sq->emu);
	cq->raise = true;
}

void nvme_emu_interrupt(struct nvme_emu *emu, struct nvme_emu_cq *cq)
{
	if (cq->raise && cq->interrupts)
		pci_msix_raise(emu->msix, cq->vector);
	cq->raise = false;
}
