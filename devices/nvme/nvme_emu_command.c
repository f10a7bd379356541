#include <stdlib.h>

#include "core/event_loop.h"
#include "core/guest_access.h"
#include "devices/nvme/nvme_emu_internal.h"

/* Commands of one queue before another has its turn, and before the driver is told. */
#define BATCH 16u

#define NS_PER_MS 1000000ull

/* --- Commands that are answered later */

/* Without memory it is never answered: the driver has a timeout. */
static struct nvme_emu_held *hold(struct nvme_emu_sq *sq, uint16_t cid, uint16_t status,
				  uint32_t result, uint64_t due_ns)
{
	struct nvme_emu_held **link = &sq->lane->held;
	struct nvme_emu_held *held = calloc(1, sizeof(*held));

	if (!held)
		return NULL;
	held->sq = sq;
	held->cqe = (struct nvme_cqe){ .cid = cid, .status = status, .result = result };
	held->due_ns = due_ns;
	while (*link)
		link = &(*link)->next;
	*link = held;
	return held;
}

bool nvme_emu_hold_for(struct nvme_emu_sq *sq, uint16_t cid, const void *what)
{
	struct nvme_emu_held *held = hold(sq, cid, 0, 0, UINT64_MAX);

	if (held)
		held->waits_for = what;
	return held;
}

bool nvme_emu_answer_held(struct nvme_emu_lane *lane, const void *what, uint16_t status)
{
	struct nvme_emu_held *held = lane->held;

	while (held && held->waits_for != what)
		held = held->next;
	if (!held)
		return false;
	held->waits_for = NULL;
	if (!held->due_ns) /* aborted */
		return false;
	held->cqe.status = status;
	held->due_ns = 0;
	return true;
}

bool nvme_emu_release_held(struct nvme_emu_lane *lane)
{
	struct nvme_emu_held **link = &lane->held;
	uint64_t now = *link ? event_loop_now_ns() : 0;
	bool did = false;

	while (*link) {
		struct nvme_emu_held *held = *link;

		if (held->due_ns > now || !nvme_emu_has_room(held->sq->cq)) {
			link = &held->next;
			continue;
		}
		*link = held->next;
		nvme_emu_complete(held->sq, held->cqe.cid, held->cqe.status, held->cqe.result);
		nvme_emu_interrupt(lane->emu, held->sq->cq);
		free(held);
		did = true;
	}
	return did;
}

/* Of one queue, or NULL: all. */
void nvme_emu_forget_held(struct nvme_emu_lane *lane, const struct nvme_emu_sq *sq)
{
	struct nvme_emu_held **link = &lane->held;

	while (*link) {
		struct nvme_emu_held *held = *link;

		if (sq && held->sq != sq) {
			link = &held->next;
			continue;
		}
		*link = held->next;
		free(held);
	}
}

int nvme_emu_wait_ms(const struct nvme_emu_lane *lane)
{
	uint64_t due = UINT64_MAX, now = event_loop_now_ns();

	for (const struct nvme_emu_held *held = lane->held; held; held = held->next)
		due = held->due_ns < due ? held->due_ns : due;
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 1 : (int)((due - now) / NS_PER_MS) + 1;
}

static void answer_with_fault(struct nvme_emu_sq *sq, uint16_t cid, uint16_t status,
			      uint32_t result, const struct nvme_emu_fault *fault)
{
	bool raise = sq->cq->raise;

	switch (fault->kind) {
	case NVME_EMU_FAULT_BOGUS:
		hold(sq, (uint16_t)~cid, 0, 0, 0);
		hold(sq, cid, status, result, 0);
		break;
	case NVME_EMU_FAULT_DUPLICATE:
		hold(sq, cid, status, result, 0);
		hold(sq, cid, status, result, 0);
		break;
	case NVME_EMU_FAULT_DELAY:
		hold(sq, cid, status, result, event_loop_now_ns() + fault->delay_ms * NS_PER_MS);
		break;
	case NVME_EMU_FAULT_INTERRUPT:
		nvme_emu_complete(sq, cid, status, result);
		sq->cq->raise = raise;
		break;
	default:
		nvme_emu_complete(sq, cid, status, result);
	}
}

/* Faults that come before the command. False when the command is not to be executed at all. */
static bool fault_allows(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe,
			 const struct nvme_emu_fault *fault)
{
	struct nvme_emu_namespace *ns = nvme_emu_find_namespace(sq->emu, fault->nsid);

	switch (fault->kind) {
	case NVME_EMU_FAULT_STALL:
		hold(sq, sqe->cid, 0, 0, UINT64_MAX);
		return false;
	case NVME_EMU_FAULT_FATAL:
		nvme_emu_fatal(sq->emu);
		return false;
	case NVME_EMU_FAULT_REMOVE:
		nvme_emu_remove(sq->emu, fault->nsid);
		return true;
	case NVME_EMU_FAULT_RESIZE:
		if (ns)
			nvme_emu_namespace_set_size(ns, fault->bytes);
		return true;
	default:
		return true;
	}
}

/* --- Submission queues */

static uint16_t execute(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe, uint32_t *result)
{
	return sq->id ? nvme_emu_io(sq, sqe) : nvme_emu_admin(sq->emu, sqe, result);
}

static void run_command(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe)
{
	struct nvme_emu *emu = sq->emu;
	struct nvme_emu_fault fault;
	uint32_t result = 0;
	uint16_t status;
	bool hit;

	hit = __atomic_load_n(&emu->faulty, __ATOMIC_RELAXED) &&
	      nvme_emu_fault_hit(sq, sqe, &fault);
	if (hit && !fault_allows(sq, sqe, &fault))
		return;
	if (hit && fault.kind == NVME_EMU_FAULT_STATUS)
		status = fault.status;
	else
		status = execute(sq, sqe, &result);
	if (status == NVME_EMU_DONE_LATER)
		return;
	if (status)
		nvme_emu_log_error(emu, sq->id, sqe, status);
	if (hit)
		answer_with_fault(sq, sqe->cid, status, result, &fault);
	else
		nvme_emu_complete(sq, sqe->cid, status, result);
}

bool nvme_emu_run_queue(struct nvme_emu_sq *sq)
{
	uint32_t tail = nvme_emu_submission_tail(sq);
	struct nvme_sqe sqe;
	unsigned int n;

	if (sq->event && sq->head == tail) {
		nvme_emu_ask_for_doorbell(sq->emu, sq->event, tail);
		tail = nvme_emu_submission_tail(sq);
	}
	for (n = 0; n < BATCH && sq->head != tail; n++) {
		if (nvme_emu_stopped(sq->emu) || !nvme_emu_has_room(sq->cq))
			break;
		if (guest_access_copy(&sqe, sq->ring + sq->head * sizeof(sqe), sizeof(sqe))) {
			nvme_emu_fatal(sq->emu);
			break;
		}
		sq->head = nvme_emu_next_entry(sq->head, sq->limit);
		run_command(sq, &sqe);
	}
	nvme_emu_interrupt(sq->emu, sq->cq);
	sq->lane->commands += n;
	return n != 0;
}
