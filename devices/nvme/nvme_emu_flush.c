/*
 * Flushes have a thread of their own: a disk may take seconds for one, and other commands need not wait
 * for it (NVMe 1.4, 6.8: it is about writes that were done when it was submitted).
 */

#include <stdlib.h>

#include "devices/nvme/nvme_emu_internal.h"

struct nvme_emu_flush {
	struct nvme_emu_flush *next;
	struct nvme_emu_namespace *ns; /* a reference */
	struct nvme_emu_lane *lane;    /* has the held command, unless a reset made it forget */
	uint16_t sqid;
	struct nvme_sqe sqe;
};

/* Takes the first out of the queue, and all others that the same flush is good for. With the lock. */
static struct nvme_emu_flush *take_batch(struct nvme_emu_flusher *flusher)
{
	struct nvme_emu_flush *batch = flusher->first, **end = &batch->next;
	struct nvme_emu_flush **link = &flusher->first;

	*link = batch->next;
	while (*link) {
		if ((*link)->ns != batch->ns) {
			link = &(*link)->next;
			continue;
		}
		*end = *link;
		end = &(*end)->next;
		*link = *end;
	}
	*end = NULL;
	flusher->last = link;
	flusher->busy = batch->ns;
	return batch;
}

static void answer(struct nvme_emu_flush *flush, uint16_t status)
{
	struct nvme_emu_lane *lane = flush->lane;
	bool held;

	pthread_mutex_lock(&lane->lock);
	held = nvme_emu_answer_held(lane, flush, status);
	pthread_mutex_unlock(&lane->lock);
	if (!held)
		return;
	if (status)
		nvme_emu_log_error(lane->emu, flush->sqid, &flush->sqe, status);
	nvme_emu_wake(lane);
}

static void run_batch(struct nvme_emu_flush *batch)
{
	uint16_t status = nvme_emu_write_status(batch->ns->ops->flush(batch->ns));
	struct nvme_emu_flush *next;

	for (; batch; batch = next) {
		next = batch->next;

		answer(batch, status);
		nvme_emu_namespace_put(batch->ns);
		free(batch);
	}
}

static void *flusher_thread(void *ctx)
{
	struct nvme_emu_flusher *flusher = ctx;

	pthread_mutex_lock(&flusher->lock);
	for (;;) {
		struct nvme_emu_flush *batch;

		while (!flusher->first && !flusher->quit)
			pthread_cond_wait(&flusher->changed, &flusher->lock);
		if (!flusher->first)
			break;
		batch = take_batch(flusher);
		pthread_mutex_unlock(&flusher->lock);
		run_batch(batch);
		pthread_mutex_lock(&flusher->lock);
		flusher->busy = NULL;
		pthread_cond_broadcast(&flusher->changed);
	}
	pthread_mutex_unlock(&flusher->lock);
	return NULL;
}

static bool is_quick(const struct nvme_emu_namespace *ns)
{
	return ns->in_memory || ns->config.read_only;
}

bool nvme_emu_flush_later(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			  const struct nvme_sqe *sqe)
{
	struct nvme_emu_flusher *flusher = &sq->emu->flusher;
	struct nvme_emu_flush *flush;

	if (!flusher->runs || is_quick(ns) || __atomic_load_n(&sq->emu->faulty, __ATOMIC_RELAXED))
		return false;
	flush = calloc(1, sizeof(*flush));
	if (!flush || !nvme_emu_hold_for(sq, sqe->cid, flush)) {
		free(flush);
		return false;
	}
	*flush = (struct nvme_emu_flush){ .ns = ns, .lane = sq->lane, .sqid = sq->id, .sqe = *sqe };
	nvme_emu_namespace_get(ns);
	pthread_mutex_lock(&flusher->lock);
	*flusher->last = flush;
	flusher->last = &flush->next;
	pthread_cond_broadcast(&flusher->changed);
	pthread_mutex_unlock(&flusher->lock);
	return true;
}

static bool uses(const struct nvme_emu_flusher *flusher, const struct nvme_emu_namespace *ns)
{
	const struct nvme_emu_flush *flush = flusher->first;

	while (flush && flush->ns != ns)
		flush = flush->next;
	return flush || flusher->busy == ns;
}

void nvme_emu_flush_wait(struct nvme_emu *emu, const struct nvme_emu_namespace *ns)
{
	struct nvme_emu_flusher *flusher = &emu->flusher;

	pthread_mutex_lock(&flusher->lock);
	while (uses(flusher, ns))
		pthread_cond_wait(&flusher->changed, &flusher->lock);
	pthread_mutex_unlock(&flusher->lock);
}

void nvme_emu_flusher_init(struct nvme_emu *emu)
{
	pthread_mutex_init(&emu->flusher.lock, NULL);
	pthread_cond_init(&emu->flusher.changed, NULL);
	emu->flusher.last = &emu->flusher.first;
}

int nvme_emu_flusher_start(struct nvme_emu *emu)
{
	int err = nvme_emu_start_thread(&emu->flusher.thread, flusher_thread, &emu->flusher);

	emu->flusher.runs = !err;
	return err;
}

void nvme_emu_flusher_destroy(struct nvme_emu *emu)
{
	struct nvme_emu_flusher *flusher = &emu->flusher;

	if (flusher->runs) {
		pthread_mutex_lock(&flusher->lock);
		flusher->quit = true;
		pthread_cond_broadcast(&flusher->changed);
		pthread_mutex_unlock(&flusher->lock);
		pthread_join(flusher->thread, NULL);
	}
	pthread_cond_destroy(&flusher->changed);
	pthread_mutex_destroy(&flusher->lock);
}
