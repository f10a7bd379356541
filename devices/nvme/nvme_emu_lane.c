#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/nvme/nvme_emu_internal.h"

/* Wakes in a row with a single command that end a lane's patience, and wakes until it tries again. */
#define PATIENCE       8u
#define IMPATIENCE_MIN 32u
#define IMPATIENCE_MAX 4096u

/* Without bus mastering a function touches no memory (PCI 3.0, 6.2.2). */
static bool may_run(const struct nvme_emu *emu)
{
	return !nvme_emu_stopped(emu) && pci_config_space_command(&emu->space) & PCI_COMMAND_MASTER;
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
		did = nvme_emu_release_held(lane);
		for (struct nvme_emu_sq *sq = lane->queues; sq; sq = next) {
			next = sq->next;
			did |= nvme_emu_run_queue(sq);
		}
		if (lane->index == 0 && !nvme_emu_stopped(emu))
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
	timeout = nvme_emu_wait_ms(lane);
	pthread_mutex_unlock(&lane->lock);
	if (poll(&fd, 1, timeout) > 0)
		eventfd_read(lane->wake_fd, &count);
}

/* SCHED_BATCH: a thread that wakes does not push another from its processor. */
static void set_patient(struct nvme_emu_lane *lane, bool patient)
{
	const struct sched_param param = { 0 };

	lane->patient = patient;
	lane->singles = 0;
	pthread_setschedparam(pthread_self(), patient ? SCHED_BATCH : SCHED_OTHER, &param);
}

/*
 * Where a lane shares its processor with the VP that rings, being first means that the VP never has more
 * than one command under way; being patient means that a VP with only one to give waits longer. So
 * a lane tries now and then whether patience brings commands together, and has it as long as it does.
 */
static void end_of_work(struct nvme_emu_lane *lane)
{
	unsigned int commands = lane->commands;

	lane->commands = 0;
	if (!commands)
		return;
	if (!lane->patient) {
		if (++lane->singles >= lane->impatience)
			set_patient(lane, true);
	} else if (commands > 1) {
		lane->singles = 0;
		lane->impatience = IMPATIENCE_MIN;
	} else if (++lane->singles == PATIENCE) {
		set_patient(lane, false);
		if (lane->impatience < IMPATIENCE_MAX)
			lane->impatience *= 2;
	}
}

static void *lane_thread(void *ctx)
{
	struct nvme_emu_lane *lane = ctx;

	lane->impatience = IMPATIENCE_MIN;
	while (!__atomic_load_n(&lane->emu->quit, __ATOMIC_ACQUIRE)) {
		if (run_lane(lane))
			continue;
		end_of_work(lane);
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
		nvme_emu_forget_held(lane, NULL);
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

void nvme_emu_set_shadows(struct nvme_emu *emu)
{
	for (unsigned int i = 1; i <= NVME_EMU_MAX_IO_QUEUES; i++) {
		struct nvme_emu_sq *sq = &emu->sqs[i];
		struct nvme_emu_cq *cq = &emu->cqs[i];

		if (cq->limit) {
			lock_lane(cq->lane);
			nvme_emu_shadow_cq(emu, cq);
			unlock_lane(cq->lane);
		}
		if (sq->limit) {
			lock_lane(sq->lane);
			nvme_emu_shadow_sq(emu, sq);
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
	nvme_emu_shadow_cq(emu, cq);
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
	nvme_emu_shadow_sq(emu, sq);
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
	nvme_emu_forget_held(lane, sq);
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

int nvme_emu_start_thread(pthread_t *thread, void *(*fn)(void *ctx), void *ctx)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, NULL, fn, ctx);
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
		err = nvme_emu_start_thread(&lane->thread, lane_thread, lane);
		if (err) {
			close(lane->wake_fd);
			lane->wake_fd = -1;
			return err;
		}
	}
	return nvme_emu_flusher_start(emu);
}

int nvme_emu_lanes_create(struct nvme_emu *emu)
{
	unsigned int workers = emu->config.workers;
	int err;

	emu->lane_count = 1 + (workers ? workers : emu->config.io_queues);
	emu->lanes = calloc(emu->lane_count, sizeof(*emu->lanes));
	if (!emu->lanes)
		return -ENOMEM;
	nvme_emu_flusher_init(emu);
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
	}
	nvme_emu_flusher_destroy(emu); /* no lane has anything more for it */
	for (unsigned int i = 0; i < emu->lane_count; i++) {
		nvme_emu_forget_held(&emu->lanes[i], NULL);
		pthread_mutex_destroy(&emu->lanes[i].lock);
	}
	free(emu->lanes);
}
