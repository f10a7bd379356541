/*
 * An I/O queue pair of one event loop. All of it runs on that loop's thread; what the driver's thread
 * wants of it arrives as posts, in order.
 */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "core/log.h"
#include "devices/storage/nvme_internal.h"

/* --- Requests under way */

static void append_waiting(struct nvme_queue *queue, struct disk_request *request)
{
	request->next = NULL;
	*queue->waiting_tail = request;
	queue->waiting_tail = &request->next;
}

static struct disk_request *pop_waiting(struct nvme_queue *queue)
{
	struct disk_request *request = queue->waiting;

	queue->waiting = request->next;
	if (!queue->waiting)
		queue->waiting_tail = &queue->waiting;
	return request;
}

/* Ends the request if nothing of it is left to do. */
static void try_finish(struct nvme_queue *queue, struct nvme_io *io)
{
	struct disk_request *request = io->request;
	int err = io->err;

	if (io->commands || io->left || io->unissued)
		return;
	io->next = queue->free_ios;
	queue->free_ios = io;
	request->done(request, err);
}

/* No command more of this request, of which the caller tries whether it is finished. */
static void give_up(struct nvme_io *io, int err)
{
	if (!io->err)
		io->err = err;
	io->left = 0;
	io->unissued = false;
}

/*
 * False when the controller was reset since the queue was created: the queue is not there then, and
 * what it holds is sent again when it is.
 */
static bool exists(const struct nvme_queue *queue)
{
	return __atomic_load_n(&queue->nvme->generation, __ATOMIC_RELAXED) == queue->generation;
}

static void ring(struct nvme_queue *queue)
{
	if (queue->state != NVME_QUEUE_READY)
		return;
	if (exists(queue))
		nvme_ring_ring(&queue->ring);
	__atomic_store_n(&queue->counters.doorbells, queue->ring.doorbells, __ATOMIC_RELAXED);
}

static void ring_deferred(struct event_deferred *deferred)
{
	ring(container_of(deferred, struct nvme_queue, doorbell));
}

static void ring_later(struct nvme_queue *queue)
{
	if (!event_loop_defer(queue->loop, &queue->doorbell))
		ring(queue);
}

static void arm_timer(struct nvme_queue *queue)
{
	if (queue->timer_armed)
		return;
	queue->timer_armed = true;
	event_timer_arm(&queue->timer, event_loop_now_ns() + queue->tick_ns);
}

/* Makes commands; false when the request has more to come. */
static bool issue(struct nvme_queue *queue, struct nvme_io *io)
{
	int err = nvme_issue(queue, io);

	if (err == -EAGAIN)
		return false;
	if (err)
		give_up(io, err);
	return true;
}

/* Checks what the disk looked like when the request was made against what it is now. */
static int check(const struct nvme_namespace *ns, const struct disk_request *request)
{
	uint64_t sectors = __atomic_load_n(&ns->sectors, __ATOMIC_RELAXED);
	int gone = __atomic_load_n(&ns->gone, __ATOMIC_RELAXED);

	if (gone)
		return gone;
	if (request->operation == DISK_FLUSH || request->operation == DISK_RESERVATION)
		return 0;
	if (request->sector > sectors || request->count > sectors - request->sector)
		return -EIO;
	return 0;
}

/* Takes an io that is free. */
static void start(struct nvme_queue *queue, struct disk_request *request)
{
	struct nvme_namespace *ns = container_of(request->disk, struct nvme_namespace, disk);
	struct nvme_io *io = queue->free_ios;
	int err = check(ns, request);

	queue->free_ios = io->next;
	*io = (struct nvme_io){ .request = request, .ns = ns, .err = err };
	if (!err && request->operation == DISK_FLUSH) {
		/* Without a volatile cache, what is done is durable. */
		io->unissued = queue->nvme->vwc & NVME_VWC_PRESENT;
	} else if (!err && request->operation == DISK_RESERVATION) {
		io->unissued = true;
	} else if (!err) {
		io->sector = request->sector;
		io->left = request->count;
	}
	if (!issue(queue, io))
		queue->issuing = io;
	else
		try_finish(queue, io);
}

/* Goes on with what had to wait for room. */
static void pump(struct nvme_queue *queue)
{
	struct nvme_io *io = queue->issuing;

	if (io) {
		if (!issue(queue, io))
			return;
		queue->issuing = NULL;
		try_finish(queue, io);
	}
	while (queue->waiting && queue->free_ios && !queue->issuing)
		start(queue, pop_waiting(queue));
}

/* --- Completions */

static void command_failed(struct nvme_queue *queue, struct nvme_slot *slot, uint16_t status)
{
	struct nvme_io *io = slot->io;
	int err = nvme_status_errno(status);

	if (slot->aborting && NVME_STATUS_CODE(status) == NVME_SC_ABORT_REQUESTED) {
		nvme_count(&queue->counters.aborts, 1);
		err = -ETIMEDOUT;
	}
	log_limited(LOG_WARN, "%s: queue %u: command %02x, sector %llu: status %03x",
		    queue->nvme->name, queue->qid, slot->sqe.opcode,
		    (unsigned long long)slot->sqe.cdw11 << 32 | slot->sqe.cdw10,
		    NVME_STATUS_CODE(status));
	give_up(io, err);
}

static void command_done(struct nvme_queue *queue, struct nvme_slot *slot, uint16_t status)
{
	struct nvme_io *io = slot->io;
	int err;

	if (status) {
		if (!slot->aborting && slot->retries < NVME_RETRIES_MAX &&
		    nvme_status_passing(status)) {
			slot->retries++;
			nvme_count(&queue->counters.retries, 1);
			nvme_slot_send(queue, slot);
			return;
		}
		command_failed(queue, slot, status);
	} else {
		err = nvme_issue_finish(queue, slot);
		if (err)
			give_up(io, err);
	}
	nvme_slot_free(queue, slot);
	io->commands--;
	/* One that waits for room is finished by pump(). */
	if (queue->issuing != io)
		try_finish(queue, io);
}

/* A controller that answers what it was not asked cannot be believed in anything. */
static void bad_completion(struct nvme_queue *queue, const struct nvme_cqe *cqe)
{
	log_error("%s: queue %u: completion of command %u of queue %u, which is not under way",
		  queue->nvme->name, queue->qid, cqe->cid, cqe->sq_id);
	nvme_count(&queue->counters.bad_completions, 1);
	queue->broken = true;
	nvme_request_reset(queue->nvme, "completes commands that it does not have");
}

/* NULL when no such command is under way. */
static struct nvme_slot *slot_of(struct nvme_queue *queue, const struct nvme_cqe *cqe)
{
	unsigned int index = NVME_CID_SLOT(cqe->cid);
	struct nvme_slot *slot = &queue->slots[index];

	if (cqe->sq_id != queue->qid || index >= queue->slot_count || !slot->io ||
	    slot->sqe.cid != cqe->cid)
		return NULL;
	return slot;
}

unsigned int nvme_queue_poll(struct nvme_queue *queue)
{
	struct nvme_slot *slot;
	struct nvme_cqe cqe;
	unsigned int count = 0;

	if (queue->state != NVME_QUEUE_READY || queue->broken)
		return 0;
	while (nvme_ring_pop(&queue->ring, &cqe)) {
		slot = slot_of(queue, &cqe);
		if (!slot) {
			bad_completion(queue, &cqe);
			break;
		}
		command_done(queue, slot, NVME_CQE_STATUS(cqe.status));
		count++;
	}
	if (count) {
		if (exists(queue))
			nvme_ring_popped(&queue->ring);
		pump(queue);
	}
	ring_later(queue);
	return count;
}

static void interrupt_raised(struct pci_interrupt *interrupt)
{
	struct nvme_queue *queue = container_of(interrupt, struct nvme_queue, interrupt);

	nvme_count(&queue->counters.interrupts, 1);
	nvme_queue_poll(queue);
}

/* --- Time */

struct abort_call {
	struct nvme *nvme;
	struct nvme_abort abort;
};

static void want_abort(void *ctx)
{
	struct abort_call *call = ctx;
	struct nvme *nvme = call->nvme;

	if (nvme->abort_count < sizeof(nvme->aborts) / sizeof(nvme->aborts[0]))
		nvme->aborts[nvme->abort_count++] = call->abort;
	free(call);
}

static void timed_out(struct nvme_queue *queue, struct nvme_slot *slot)
{
	struct abort_call *call;

	if (slot->aborting) {
		nvme_request_reset(queue->nvme, "does not answer");
		return;
	}
	slot->aborting = true;
	slot->tick = queue->tick - queue->timeout_ticks / 2;
	nvme_count(&queue->counters.timeouts, 1);
	log_limited(LOG_WARN, "%s: queue %u: command %u has timed out: aborting it",
		    queue->nvme->name, queue->qid, slot->sqe.cid);
	call = malloc(sizeof(*call));
	if (!call)
		return;
	*call = (struct abort_call){ queue->nvme, { queue->qid, slot->sqe.cid } };
	if (event_loop_post(queue->nvme->loop, want_abort, call))
		free(call);
}

/* How many have been under way since before the last tick: their interrupt may be lost. */
static unsigned int old_commands(const struct nvme_queue *queue)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < queue->slot_count; i++)
		if (queue->slots[i].io && queue->tick - queue->slots[i].tick > 1)
			count++;
	return count;
}

static void look_for_trouble(struct nvme_queue *queue)
{
	for (unsigned int i = 0; i < queue->slot_count; i++)
		if (queue->slots[i].io && queue->tick - queue->slots[i].tick > queue->timeout_ticks)
			timed_out(queue, &queue->slots[i]);
	if (nvme_controller_fatal(queue->nvme))
		nvme_request_reset(queue->nvme, "reports a fatal error");
}

static void tick(struct event_timer *timer)
{
	struct nvme_queue *queue = container_of(timer, struct nvme_queue, timer);
	unsigned int old;

	queue->timer_armed = false;
	queue->tick++;
	if (queue->state != NVME_QUEUE_READY || !queue->in_flight)
		return;
	old = old_commands(queue);
	if (old) {
		nvme_queue_poll(queue);
		old -= old_commands(queue);
		nvme_count(&queue->counters.lost_interrupts, old);
		if (old)
			log_limited(LOG_WARN, "%s: queue %u: %u commands done without an interrupt",
				    queue->nvme->name, queue->qid, old);
	}
	if (exists(queue))
		look_for_trouble(queue);
	if (queue->in_flight)
		arm_timer(queue);
}

/* --- Failure */

/* Ends commands that are under way, at the controller's end too: all, or only those beyond hope. */
static void end_commands(struct nvme_queue *queue, int err, bool all)
{
	for (unsigned int i = 0; i < queue->slot_count; i++) {
		struct nvme_slot *slot = &queue->slots[i];
		struct nvme_io *io = slot->io;

		if (!io)
			continue;
		if (!all && !slot->aborting && slot->replays < NVME_REPLAYS_MAX) {
			slot->replays++;
			continue;
		}
		give_up(io, err);
		nvme_slot_free(queue, slot);
		io->commands--;
		if (queue->issuing != io)
			try_finish(queue, io);
	}
}

/* Ends everything that the queue has and will get. */
static void die(struct nvme_queue *queue, int err)
{
	struct nvme_io *io = queue->issuing;

	queue->state = NVME_QUEUE_DEAD;
	queue->err = err;
	queue->issuing = NULL;
	if (io) {
		give_up(io, err);
		try_finish(queue, io);
	}
	end_commands(queue, err, true);
	while (queue->waiting) {
		struct disk_request *request = pop_waiting(queue);

		request->done(request, err);
	}
}

/* --- Coming into being */

static int alloc_slots(struct nvme_queue *queue)
{
	uint16_t count = (uint16_t)(queue->nvme->entries - 1);

	queue->slots = calloc(count, sizeof(*queue->slots));
	queue->ios = calloc(count, sizeof(*queue->ios));
	if (!queue->slots || !queue->ios)
		return -ENOMEM;
	queue->slot_count = count;
	for (uint16_t i = 0; i < count; i++) {
		queue->slots[i].next_free = (uint16_t)(i + 1);
		queue->slots[i].sqe.cid = i;
		queue->ios[i].next = queue->free_ios;
		queue->free_ios = &queue->ios[i];
	}
	return 0;
}

static size_t chunks_offset(uint16_t entries)
{
	size_t end = nvme_ring_end(entries);

	return (end + NVME_CHUNK_SIZE - 1) / NVME_CHUNK_SIZE * NVME_CHUNK_SIZE;
}

static int alloc_dma(struct nvme_queue *queue)
{
	struct nvme *nvme = queue->nvme;
	size_t chunks = chunks_offset(nvme->entries);
	int err;

	err = nvme_dma_alloc(nvme, chunks + queue->slot_count * (size_t)NVME_CHUNK_SIZE,
			     &queue->dma);
	if (err)
		return err;
	queue->chunks = (uint8_t *)queue->dma.base + chunks;
	queue->chunks_address = queue->dma.address + chunks;
	nvme_ring_init(&queue->ring, nvme->pci, queue->qid, nvme->entries,
		       NVME_CAP_DSTRD(nvme->cap), &queue->dma);
	return 0;
}

/* A number of the controller's, or another loop's queue to send everything to. */
static void assign(struct nvme_queue *queue)
{
	struct nvme *nvme = queue->nvme;
	uint16_t shared;

	pthread_mutex_lock(&nvme->lock);
	if (nvme->hardware_queues < nvme->hardware_limit) {
		queue->qid = (uint16_t)++nvme->hardware_queues;
	} else {
		shared = (uint16_t)(1 + nvme->queue_count % nvme->hardware_limit);
		queue->target = nvme->queues;
		while (queue->target->qid != shared)
			queue->target = queue->target->next;
		queue->state = NVME_QUEUE_FORWARD;
	}
	pthread_mutex_unlock(&nvme->lock);
}

static void want_queue(void *ctx)
{
	struct nvme_queue *queue = ctx;

	queue->next_wanted = queue->nvme->wanted;
	queue->nvme->wanted = queue;
}

static int want(struct nvme_queue *queue)
{
	int err = event_loop_post(queue->nvme->loop, want_queue, queue);

	if (!err)
		queue->state = NVME_QUEUE_WAITING;
	return err;
}

/* What failed half-way is tried again with the next request. */
static int prepare(struct nvme_queue *queue)
{
	struct nvme *nvme = queue->nvme;
	int err = 0;

	if (nvme_state(nvme) >= NVME_FAILED)
		return __atomic_load_n(&nvme->err, __ATOMIC_RELAXED);
	if (!queue->qid)
		assign(queue);
	if (queue->state == NVME_QUEUE_FORWARD)
		return 0;
	if (!queue->slots)
		err = alloc_slots(queue);
	if (!err && !queue->dma.base)
		err = alloc_dma(queue);
	if (!err && !queue->bound) {
		queue->vector = queue->qid;
		queue->interrupt.raised = interrupt_raised;
		err = nvme->pci->ops->bind(nvme->pci, queue->vector, queue->loop,
					   &queue->interrupt);
		queue->bound = !err;
	}
	return err ? err : want(queue);
}

void nvme_queue_created(void *ctx)
{
	struct nvme_queue *queue = ctx;

	if (queue->state != NVME_QUEUE_WAITING)
		return;
	queue->state = NVME_QUEUE_READY;
	for (unsigned int i = 0; i < queue->slot_count; i++)
		if (queue->slots[i].io)
			nvme_slot_send(queue, &queue->slots[i]);
	pump(queue);
	ring_later(queue);
	if (queue->in_flight)
		arm_timer(queue);
}

void nvme_queue_lost(void *ctx)
{
	struct nvme_queue *queue = ctx;

	if (queue->state != NVME_QUEUE_READY)
		return;
	nvme_queue_poll(queue); /* what was completed before counts */
	queue->state = NVME_QUEUE_WAITING;
	end_commands(queue, -ETIMEDOUT, false);
	nvme_ring_reset(&queue->ring);
	queue->broken = false;
	if (want(queue))
		die(queue, -ENOMEM);
}

void nvme_queue_failed(void *ctx)
{
	struct nvme_queue *queue = ctx;

	die(queue, __atomic_load_n(&queue->nvme->err, __ATOMIC_RELAXED));
}

void nvme_queue_refused(void *ctx)
{
	struct nvme_queue *queue = ctx;

	die(queue, -EIO);
}

void nvme_queue_close(void *ctx)
{
	struct nvme_queue *queue = ctx;
	struct nvme *nvme = queue->nvme;

	die(queue, -ENODEV);
	event_timer_cancel(&queue->timer);
	event_loop_undefer(queue->loop, &queue->doorbell);
	if (queue->bound)
		nvme->pci->ops->unbind(nvme->pci, queue->vector);
	queue->bound = false;
	sem_post(&nvme->queue_closed);
}

void nvme_queue_destroy(struct nvme_queue *queue)
{
	if (queue->bounce.base)
		nvme_dma_free(queue->nvme, &queue->bounce);
	if (queue->dma.base)
		nvme_dma_free(queue->nvme, &queue->dma);
	free(queue->slots);
	free(queue->ios);
	free(queue);
}

/* --- Loops without a queue of their own */

struct forward {
	struct disk_request request; /* what the other loop's queue sees */
	struct disk_request *original;
	struct nvme_queue *from;
};

static void forward_arrived(void *ctx)
{
	struct forward *forward = ctx;

	nvme_queue_submit(forward->from->target, &forward->request);
}

static void forward_answered(void *ctx)
{
	struct forward *forward = ctx;
	struct disk_request *original = forward->original;
	int err = forward->request.err;

	free(forward);
	original->done(original, err);
}

static void forward_done(struct disk_request *request, int err)
{
	struct forward *forward = container_of(request, struct forward, request);

	request->err = err;
	nvme_post(forward->from->loop, forward_answered, forward);
}

static void forward(struct nvme_queue *queue, struct disk_request *request)
{
	struct forward *f = malloc(sizeof(*f));

	if (!f) {
		request->done(request, -ENOMEM);
		return;
	}
	*f = (struct forward){ *request, request, queue };
	f->request.done = forward_done;
	if (event_loop_post(queue->target->loop, forward_arrived, f)) {
		free(f);
		request->done(request, -ENOMEM);
	}
}

/* --- */

void nvme_queue_submit(struct nvme_queue *queue, struct disk_request *request)
{
	int err = 0;

	if (queue->state == NVME_QUEUE_NEW)
		err = prepare(queue);
	else if (queue->state == NVME_QUEUE_DEAD)
		err = queue->err;
	if (err) {
		request->done(request, err);
		return;
	}
	if (queue->state == NVME_QUEUE_FORWARD) {
		forward(queue, request);
		return;
	}
	if (queue->state != NVME_QUEUE_READY || queue->waiting || queue->issuing ||
	    !queue->free_ios) {
		append_waiting(queue, request);
		return;
	}
	start(queue, request);
	ring_later(queue);
	if (queue->in_flight)
		arm_timer(queue);
}

static unsigned int hash(const struct event_loop *loop)
{
	return (unsigned int)((uintptr_t)loop * 0x9E3779B97F4A7C15ull >> 40) % NVME_TABLE_SIZE;
}

static struct nvme_queue *add_queue(struct nvme *nvme, struct event_loop *loop, unsigned int at)
{
	struct nvme_queue *queue;
	uint64_t timeout_ns = nvme->config.io_timeout_ms * 1000000ull;

	if (nvme->queue_count >= NVME_TABLE_SIZE / 2)
		return NULL;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return NULL;
	queue->nvme = nvme;
	queue->loop = loop;
	queue->waiting_tail = &queue->waiting;
	queue->tick_ns = timeout_ns / NVME_TICKS;
	if (queue->tick_ns > NVME_TICK_MAX_NS)
		queue->tick_ns = NVME_TICK_MAX_NS;
	queue->timeout_ticks = (uint32_t)(timeout_ns / queue->tick_ns);
	queue->doorbell.call = ring_deferred;
	event_timer_init(&queue->timer, loop, tick);
	queue->next = nvme->queues;
	nvme->queues = queue;
	nvme->queue_count++;
	__atomic_store_n(&nvme->table[at], queue, __ATOMIC_RELEASE);
	return queue;
}

struct nvme_queue *nvme_queue_of(struct nvme *nvme, struct event_loop *loop)
{
	unsigned int at = hash(loop);
	struct nvme_queue *queue;

	while ((queue = __atomic_load_n(&nvme->table[at], __ATOMIC_ACQUIRE)) != NULL) {
		if (queue->loop == loop)
			return queue;
		at = (at + 1) % NVME_TABLE_SIZE;
	}
	/* Nobody else adds one for this loop, but another loop's may take the place. */
	pthread_mutex_lock(&nvme->lock);
	while (nvme->table[at])
		at = (at + 1) % NVME_TABLE_SIZE;
	queue = add_queue(nvme, loop, at);
	pthread_mutex_unlock(&nvme->lock);
	return queue;
}
