#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/event_loop.h"
#include "core/guest_access.h"
#include "devices/nvme/nvme_emu_internal.h"
#include "devices/pci/pci_msix.h"

/* Commands of one queue before another has its turn, and before the driver is told. */
#define BATCH 16u

#define NS_PER_MS 1000000ull

static uint32_t next_entry(uint32_t at, uint32_t limit)
{
	return at + 1 == limit ? 0 : at + 1;
}

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
static void ask_for_doorbell(struct nvme_emu *emu, uint32_t *event, uint32_t at)
{
	if (store_word(event, at))
		nvme_emu_fatal(emu);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- Completion queues */

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
	uint32_t next = next_entry(cq->tail, cq->limit);

	if (next != completion_head(emu, cq))
		return true;
	/* The driver's next doorbell wakes the lane; unless it came just before. */
	__atomic_store_n(&cq->stalled, true, __ATOMIC_SEQ_CST);
	if (cq->event)
		ask_for_doorbell(emu, cq->event, cq->head);
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
	uint32_t next = next_entry(cq->tail, cq->limit);
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

/* --- Commands that are answered later */

static void hold(struct nvme_emu_sq *sq, uint16_t cid, uint16_t status, uint32_t result,
		 uint64_t due_ns)
{
	struct nvme_emu_held **link = &sq->lane->held;
	struct nvme_emu_held *held = calloc(1, sizeof(*held));

	if (!held)
		return; /* never answered: the driver has a timeout */
	held->sq = sq;
	held->cqe = (struct nvme_cqe){ .cid = cid, .status = status, .result = result };
	held->due_ns = due_ns;
	while (*link)
		link = &(*link)->next;
	*link = held;
}

static bool release_held(struct nvme_emu_lane *lane)
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
static void forget_held(struct nvme_emu_lane *lane, const struct nvme_emu_sq *sq)
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

static int wait_ms(const struct nvme_emu_lane *lane)
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

/* The driver's tail; one that is nonsense changes nothing. */
static uint32_t submission_tail(struct nvme_emu_sq *sq)
{
	uint32_t tail = sq->shadow ? load_shadow(sq->emu, sq->shadow)
				   : __atomic_load_n(&sq->tail, __ATOMIC_ACQUIRE);

	if (tail < sq->limit)
		return tail;
	nvme_emu_event(sq->emu, NVME_EMU_EVENT_DOORBELL_VALUE);
	return sq->head;
}

static bool stopped(const struct nvme_emu *emu)
{
	return __atomic_load_n(&emu->stop, __ATOMIC_RELAXED);
}

static bool run_queue(struct nvme_emu_sq *sq)
{
	uint32_t tail = submission_tail(sq);
	struct nvme_sqe sqe;
	unsigned int n;

	if (sq->event && sq->head == tail) {
		ask_for_doorbell(sq->emu, sq->event, tail);
		tail = submission_tail(sq);
	}
	for (n = 0; n < BATCH && sq->head != tail; n++) {
		if (stopped(sq->emu) || !nvme_emu_has_room(sq->cq))
			break;
		if (guest_access_copy(&sqe, sq->ring + sq->head * sizeof(sqe), sizeof(sqe))) {
			nvme_emu_fatal(sq->emu);
			break;
		}
		sq->head = next_entry(sq->head, sq->limit);
		run_command(sq, &sqe);
	}
	nvme_emu_interrupt(sq->emu, sq->cq);
	return n != 0;
}

/* --- Lanes */

/* Without bus mastering a function touches no memory (PCI 3.0, 6.2.2). */
static bool may_run(const struct nvme_emu *emu)
{
	return !stopped(emu) && pci_config_space_command(&emu->space) & PCI_COMMAND_MASTER;
}

/* What there is to do, or a part. False when there was nothing. */
static bool run_lane(struct nvme_emu_lane *lane)
{
	struct nvme_emu *emu = lane->emu;
	struct nvme_emu_sq *next;
	bool did = false;

	pthread_mutex_lock(&lane->lock);
	if (lane->index == 0) {
		nvme_emu_control(emu);
		nvme_emu_bury(emu);
	}
	if (may_run(emu)) {
		did = release_held(lane);
		for (struct nvme_emu_sq *sq = lane->queues; sq; sq = next) {
			next = sq->next;
			did |= run_queue(sq);
		}
		if (lane->index == 0 && !stopped(emu))
			nvme_emu_deliver_events(emu);
	}
	pthread_mutex_unlock(&lane->lock);
	return did;
}

static void sleep_lane(struct nvme_emu_lane *lane)
{
	struct pollfd fd = { .fd = lane->wake_fd, .events = POLLIN };
	eventfd_t count;
	int timeout;

	pthread_mutex_lock(&lane->lock);
	timeout = wait_ms(lane);
	pthread_mutex_unlock(&lane->lock);
	if (poll(&fd, 1, timeout) > 0)
		eventfd_read(lane->wake_fd, &count);
}

static void *lane_thread(void *ctx)
{
	struct nvme_emu_lane *lane = ctx;

	while (!__atomic_load_n(&lane->emu->quit, __ATOMIC_ACQUIRE)) {
		if (run_lane(lane))
			continue;
		/* Whoever brings work after this look at it sees that it must wake us. */
		__atomic_store_n(&lane->sleeping, true, __ATOMIC_SEQ_CST);
		if (!run_lane(lane))
			sleep_lane(lane);
		__atomic_store_n(&lane->sleeping, false, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

void nvme_emu_wake(struct nvme_emu_lane *lane)
{
	if (lane->wake_fd < 0)
		__atomic_store_n(&lane->work, true, __ATOMIC_SEQ_CST);
	else if (__atomic_exchange_n(&lane->sleeping, false, __ATOMIC_SEQ_CST))
		eventfd_write(lane->wake_fd, 1);
}

void nvme_emu_wake_all(struct nvme_emu *emu)
{
	for (unsigned int i = 0; i < emu->lane_count; i++)
		nvme_emu_wake(&emu->lanes[i]);
}

void nvme_emu_kick(struct nvme_emu *emu)
{
	bool any;

	if (emu->config.workers)
		return;
	do {
		any = false;
		for (unsigned int i = 0; i < emu->lane_count; i++) {
			struct nvme_emu_lane *lane = &emu->lanes[i];

			if (!__atomic_load_n(&lane->work, __ATOMIC_RELAXED) ||
			    !__atomic_exchange_n(&lane->work, false, __ATOMIC_SEQ_CST))
				continue;
			any = true;
			while (run_lane(lane))
				;
		}
	} while (any);
}

void nvme_emu_wait_lanes(struct nvme_emu *emu)
{
	for (unsigned int i = 1; i < emu->lane_count; i++) {
		pthread_mutex_lock(&emu->lanes[i].lock);
		pthread_mutex_unlock(&emu->lanes[i].lock);
	}
}

/* A queue's lane, locked; lane 0 is locked already. */
static struct nvme_emu_lane *lock_lane(struct nvme_emu_lane *lane)
{
	if (lane->index)
		pthread_mutex_lock(&lane->lock);
	return lane;
}

static void unlock_lane(struct nvme_emu_lane *lane)
{
	if (lane->index)
		pthread_mutex_unlock(&lane->lock);
}

/* --- Queues come and go */

void nvme_emu_drop_queues(struct nvme_emu *emu)
{
	for (unsigned int i = 0; i < emu->lane_count; i++) {
		struct nvme_emu_lane *lane = lock_lane(&emu->lanes[i]);

		for (struct nvme_emu_sq *sq = lane->queues; sq; sq = sq->next)
			__atomic_store_n(&sq->limit, 0, __ATOMIC_RELEASE);
		lane->queues = NULL;
		forget_held(lane, NULL);
		unlock_lane(lane);
	}
	for (unsigned int i = 0; i <= NVME_EMU_MAX_IO_QUEUES; i++)
		__atomic_store_n(&emu->cqs[i].limit, 0, __ATOMIC_RELEASE);
}

/* Queues of one completion queue share a lane, so that it needs no lock of its own. */
static struct nvme_emu_lane *choose_lane(struct nvme_emu *emu, uint16_t cq)
{
	return &emu->lanes[cq ? 1 + (cq - 1u) % (emu->lane_count - 1) : 0];
}

static uint32_t *shadow_of(void *buffer, unsigned int doorbell)
{
	return buffer ? (uint32_t *)buffer + doorbell : NULL;
}

/*
 * The admin queue's doorbells stay registers: drivers, Linux's among them, do not put its values
 * into the buffer.
 */
static void set_sq_shadow(struct nvme_emu *emu, struct nvme_emu_sq *sq)
{
	sq->shadow = sq->id ? shadow_of(emu->admin.shadow, 2u * sq->id) : NULL;
	sq->event = sq->id ? shadow_of(emu->admin.event, 2u * sq->id) : NULL;
	if (sq->shadow && store_word(sq->shadow, sq->tail))
		nvme_emu_fatal(emu);
	if (sq->event)
		ask_for_doorbell(emu, sq->event, sq->tail);
}

static void set_cq_shadow(struct nvme_emu *emu, struct nvme_emu_cq *cq)
{
	cq->shadow = cq->id ? shadow_of(emu->admin.shadow, 2u * cq->id + 1) : NULL;
	cq->event = cq->id ? shadow_of(emu->admin.event, 2u * cq->id + 1) : NULL;
	if (cq->shadow && store_word(cq->shadow, cq->head))
		nvme_emu_fatal(emu);
	if (cq->event)
		ask_for_doorbell(emu, cq->event, cq->head);
}

void nvme_emu_set_shadows(struct nvme_emu *emu)
{
	for (unsigned int i = 1; i <= NVME_EMU_MAX_IO_QUEUES; i++) {
		struct nvme_emu_sq *sq = &emu->sqs[i];
		struct nvme_emu_cq *cq = &emu->cqs[i];

		if (cq->limit) {
			lock_lane(cq->lane);
			set_cq_shadow(emu, cq);
			unlock_lane(cq->lane);
		}
		if (sq->limit) {
			lock_lane(sq->lane);
			set_sq_shadow(emu, sq);
			unlock_lane(sq->lane);
		}
	}
}

void nvme_emu_start_cq(struct nvme_emu *emu, uint16_t id, uint8_t *ring, uint32_t entries,
		       uint16_t vector, bool interrupts)
{
	struct nvme_emu_cq *cq = &emu->cqs[id];

	__atomic_store_n(&cq->head, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&cq->tail, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&cq->stalled, false, __ATOMIC_RELAXED);
	cq->lane = choose_lane(emu, id);
	cq->ring = ring;
	cq->id = id;
	cq->vector = vector;
	cq->interrupts = interrupts;
	cq->phase = true;
	cq->raise = false;
	cq->users = 0;
	set_cq_shadow(emu, cq);
	__atomic_store_n(&cq->limit, entries, __ATOMIC_RELEASE);
}

void nvme_emu_start_sq(struct nvme_emu *emu, uint16_t id, uint16_t cq, uint8_t *ring,
		       uint32_t entries)
{
	struct nvme_emu_sq *sq = &emu->sqs[id];
	struct nvme_emu_lane *lane = lock_lane(emu->cqs[cq].lane);

	sq->lane = lane;
	sq->cq = &emu->cqs[cq];
	sq->cq->users++;
	sq->ring = ring;
	sq->head = 0;
	__atomic_store_n(&sq->tail, 0, __ATOMIC_RELAXED);
	set_sq_shadow(emu, sq);
	sq->next = lane->queues;
	lane->queues = sq;
	__atomic_store_n(&sq->limit, entries, __ATOMIC_RELEASE);
	unlock_lane(lane);
}

void nvme_emu_stop_cq(struct nvme_emu *emu, uint16_t id)
{
	__atomic_store_n(&emu->cqs[id].limit, 0, __ATOMIC_RELEASE);
}

void nvme_emu_stop_sq(struct nvme_emu *emu, uint16_t id)
{
	struct nvme_emu_sq *sq = &emu->sqs[id];
	struct nvme_emu_lane *lane = lock_lane(sq->lane);
	struct nvme_emu_sq **link = &lane->queues;

	while (*link != sq)
		link = &(*link)->next;
	*link = sq->next;
	for (struct nvme_emu_held *held = lane->held; held; held = held->next) {
		if (held->sq == sq && nvme_emu_has_room(sq->cq))
			nvme_emu_complete(sq, held->cqe.cid, NVME_SC_ABORT_SQ_DELETED, 0);
	}
	nvme_emu_interrupt(emu, sq->cq);
	forget_held(lane, sq);
	sq->cq->users--;
	__atomic_store_n(&sq->limit, 0, __ATOMIC_RELEASE);
	unlock_lane(lane);
}

bool nvme_emu_abort(struct nvme_emu *emu, uint16_t sqid, uint16_t cid)
{
	struct nvme_emu_held *held;
	struct nvme_emu_sq *sq;

	if (sqid > NVME_EMU_MAX_IO_QUEUES || !emu->sqs[sqid].limit)
		return false;
	sq = &emu->sqs[sqid];
	lock_lane(sq->lane);
	held = sq->lane->held;
	while (held && (held->sq != sq || held->cqe.cid != cid || !held->due_ns))
		held = held->next;
	if (held) {
		held->cqe.status = NVME_SC_ABORT_REQUESTED;
		held->due_ns = 0;
	}
	unlock_lane(sq->lane);
	if (held)
		nvme_emu_wake(sq->lane);
	return held;
}

/* --- Creation */

/* Signals are for the process's other threads. */
static int start_thread(struct nvme_emu_lane *lane)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&lane->thread, NULL, lane_thread, lane);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static int start_threads(struct nvme_emu *emu)
{
	for (unsigned int i = 0; i < emu->lane_count; i++) {
		struct nvme_emu_lane *lane = &emu->lanes[i];
		int err;

		lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (lane->wake_fd < 0)
			return -errno;
		err = start_thread(lane);
		if (err) {
			close(lane->wake_fd);
			lane->wake_fd = -1;
			return err;
		}
	}
	return 0;
}

int nvme_emu_lanes_create(struct nvme_emu *emu)
{
	unsigned int workers = emu->config.workers;
	int err;

	emu->lane_count = 1 + (workers ? workers : emu->config.io_queues);
	emu->lanes = calloc(emu->lane_count, sizeof(*emu->lanes));
	if (!emu->lanes)
		return -ENOMEM;
	for (unsigned int i = 0; i < emu->lane_count; i++) {
		emu->lanes[i].emu = emu;
		emu->lanes[i].index = i;
		emu->lanes[i].wake_fd = -1;
		pthread_mutex_init(&emu->lanes[i].lock, NULL);
	}
	err = workers ? start_threads(emu) : 0;
	if (err)
		nvme_emu_lanes_destroy(emu);
	return err;
}

void nvme_emu_lanes_destroy(struct nvme_emu *emu)
{
	__atomic_store_n(&emu->quit, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < emu->lane_count; i++) {
		struct nvme_emu_lane *lane = &emu->lanes[i];

		if (lane->wake_fd >= 0) {
			eventfd_write(lane->wake_fd, 1);
			pthread_join(lane->thread, NULL);
			close(lane->wake_fd);
		}
		forget_held(lane, NULL);
		pthread_mutex_destroy(&lane->lock);
	}
	free(emu->lanes);
}
