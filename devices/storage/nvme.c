#include "devices/storage/nvme.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/log.h"
#include "devices/storage/nvme_internal.h"

/* The driver's thread: everything that is not I/O, one thing after the other. */

#define RECOVERY_ATTEMPTS 3u
#define STACK_SIZE        (128u << 10)

void nvme_post(struct event_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (event_loop_post(loop, fn, ctx))
		nanosleep(&pause, NULL);
}

int nvme_dma_alloc(struct nvme *nvme, size_t len, struct pci_dma *dma)
{
	int err;

	len = (len + NVME_PAGE_SIZE - 1) & ~(size_t)(NVME_PAGE_SIZE - 1);
	err = nvme->pci->ops->dma_alloc(nvme->pci, len, dma);
	if (err) {
		dma->base = NULL;
		return err;
	}
	__atomic_fetch_add(&nvme->dma_bytes, dma->len, __ATOMIC_RELAXED);
	return 0;
}

void nvme_dma_free(struct nvme *nvme, struct pci_dma *dma)
{
	__atomic_fetch_sub(&nvme->dma_bytes, dma->len, __ATOMIC_RELAXED);
	nvme->pci->ops->dma_free(nvme->pci, dma);
	dma->base = NULL;
}

static void set_state(struct nvme *nvme, enum nvme_state state)
{
	__atomic_store_n(&nvme->state, state, __ATOMIC_RELEASE);
}

/* --- What other threads ask for */

static void want_reset(void *ctx)
{
	struct nvme *nvme = ctx;

	nvme->reset_wanted = true;
}

void nvme_request_reset(struct nvme *nvme, const char *why)
{
	if (__atomic_exchange_n(&nvme->reset_asked, 1, __ATOMIC_RELAXED))
		return;
	log_error("%s: the controller %s: resetting it", nvme->name, why);
	if (event_loop_post(nvme->loop, want_reset, nvme))
		__atomic_store_n(&nvme->reset_asked, 0, __ATOMIC_RELAXED);
}

static void want_check(void *ctx)
{
	struct nvme *nvme = ctx;

	nvme->check_wanted = true;
}

void nvme_check(struct nvme *nvme)
{
	nvme_post(nvme->loop, want_check, nvme);
}

static void want_shutdown(void *ctx)
{
	struct nvme *nvme = ctx;

	nvme->shutdown_wanted = true;
}

void nvme_shutdown(struct nvme *nvme)
{
	nvme_post(nvme->loop, want_shutdown, nvme);
	while (sem_wait(&nvme->shut_down) && errno == EINTR)
		;
}

static void want_stop(void *ctx)
{
	struct nvme *nvme = ctx;

	nvme->stop_wanted = true;
}

void nvme_stop(struct nvme *nvme, void (*stopped)(void *ctx), void *ctx)
{
	nvme->stopped = stopped;
	nvme->stopped_ctx = ctx;
	nvme_post(nvme->loop, want_stop, nvme);
}

/* --- The driver's thread */

static void tell_queues(struct nvme *nvme, void (*what)(void *queue))
{
	struct nvme_queue *queue;

	pthread_mutex_lock(&nvme->lock);
	queue = nvme->queues;
	pthread_mutex_unlock(&nvme->lock);
	/* Queues are added in front and never removed. */
	for (; queue; queue = queue->next)
		nvme_post(queue->loop, what, queue);
}

static void tell_user(struct nvme *nvme)
{
	if (nvme->config.changed)
		nvme->config.changed(nvme->config.ctx);
}

/*
 * No more I/O: now or ever. A queue that is made after this finds the state; one that was being made
 * is in the list.
 */
static void end_io(struct nvme *nvme, enum nvme_state state, int err)
{
	__atomic_store_n(&nvme->err, err, __ATOMIC_RELAXED);
	pthread_mutex_lock(&nvme->lock);
	set_state(nvme, state);
	pthread_mutex_unlock(&nvme->lock);
	__atomic_fetch_add(&nvme->generation, 1, __ATOMIC_RELAXED);
	nvme->wanted = NULL;
	nvme_namespaces_fail(nvme, err);
}

static void fail(struct nvme *nvme, int err)
{
	log_error("%s: the controller %s", nvme->name,
		  err == -ENODEV ? "is gone" : "has failed for good");
	if (err != -ENODEV)
		nvme_controller_silence(nvme);
	end_io(nvme, NVME_FAILED, err);
	tell_queues(nvme, nvme_queue_failed);
	tell_user(nvme);
}

/* Disabled, by its own means or by a reset of the function: then no DMA of old commands comes. */
static int stop_controller(struct nvme *nvme, bool by_function)
{
	int err = nvme_controller_disable(nvme);

	if (err == -ENODEV)
		return err;
	if (err || by_function)
		err = nvme->pci->ops->reset(nvme->pci);
	return err;
}

static int bring_back(struct nvme *nvme, bool by_function, bool *told)
{
	bool changed = false;
	int err = stop_controller(nvme, by_function);

	if (err)
		return err;
	if (!*told)
		tell_queues(nvme, nvme_queue_lost);
	*told = true;
	err = nvme_controller_enable(nvme);
	if (!err)
		err = nvme_namespaces_scan(nvme, &changed);
	if (!err && changed)
		tell_user(nvme);
	return err;
}

static void recover(struct nvme *nvme)
{
	bool told = false;
	int err = 0;

	set_state(nvme, NVME_RECOVERING);
	nvme_count(&nvme->counters.resets, 1);
	__atomic_fetch_add(&nvme->generation, 1, __ATOMIC_RELAXED);
	for (unsigned int attempt = 0; attempt < RECOVERY_ATTEMPTS; attempt++) {
		err = bring_back(nvme, attempt > 0, &told);
		if (!err || err == -ENODEV || !nvme_controller_present(nvme))
			break;
		log_warn("%s: reset, attempt %u: errno %d", nvme->name, attempt + 1, -err);
	}
	/* What was asked for in the meantime is done with. */
	nvme->reset_wanted = false;
	__atomic_store_n(&nvme->reset_asked, 0, __ATOMIC_RELAXED);
	if (err)
		fail(nvme, nvme_controller_present(nvme) ? -EIO : -ENODEV);
	else
		set_state(nvme, NVME_LIVE);
}

static void check(struct nvme *nvme)
{
	nvme->check_wanted = false;
	if (!nvme_controller_present(nvme))
		fail(nvme, -ENODEV);
	else if (nvme_controller_fatal(nvme))
		nvme->reset_wanted = true;
}

/*
 * One that cannot be made for want of a working controller is made after the reset. Others may be
 * asked for while this waits, so it comes off the list first.
 */
static void create_queue(struct nvme *nvme)
{
	struct nvme_queue *queue = nvme->wanted;
	int err;

	nvme->wanted = queue->next_wanted;
	queue->generation = __atomic_load_n(&nvme->generation, __ATOMIC_RELAXED);
	err = nvme_admin_create_queue(nvme, queue);
	if (err == -ETIMEDOUT || err == -ENODEV) {
		queue->next_wanted = nvme->wanted;
		nvme->wanted = queue;
		nvme->reset_wanted = true;
		return;
	}
	if (err)
		log_error("%s: no I/O queue %u: errno %d", nvme->name, queue->qid, -err);
	nvme_post(queue->loop, err ? nvme_queue_refused : nvme_queue_created, queue);
}

/* One that was asked for when the controller failed. */
static void refuse_queue(struct nvme *nvme)
{
	struct nvme_queue *queue = nvme->wanted;

	nvme->wanted = queue->next_wanted;
	nvme_post(queue->loop, nvme_queue_failed, queue);
}

static void handle_event(struct nvme *nvme)
{
	bool changed = false;
	uint32_t event = nvme->event;
	int err = 0;

	nvme_admin_clear_event(nvme);
	nvme_admin_ask_event(nvme);
	if (NVME_EVENT_TYPE(event) == NVME_EVENT_NOTICE &&
	    NVME_EVENT_INFO(event) == NVME_EVENT_NS_CHANGED)
		err = nvme_namespaces_scan(nvme, &changed);
	if (changed)
		tell_user(nvme);
	if (err == -ETIMEDOUT || err == -ENODEV)
		nvme->reset_wanted = true;
}

static void shut_down(struct nvme *nvme)
{
	nvme->shutdown_wanted = false;
	if (nvme_state(nvme) == NVME_LIVE) {
		end_io(nvme, NVME_STOPPED, -ENODEV);
		tell_queues(nvme, nvme_queue_failed);
		nvme_controller_shutdown(nvme);
	}
	sem_post(&nvme->shut_down);
}

static void stop(struct nvme *nvme)
{
	bool live = nvme_state(nvme) == NVME_LIVE;
	unsigned int open;

	nvme->stop_wanted = false;
	end_io(nvme, NVME_STOPPED, -ENODEV);
	pthread_mutex_lock(&nvme->lock);
	open = nvme->queue_count;
	pthread_mutex_unlock(&nvme->lock);
	tell_queues(nvme, nvme_queue_close);
	while (open)
		if (!sem_wait(&nvme->queue_closed))
			open--;
	if (live)
		nvme_controller_shutdown(nvme);
	if (nvme_controller_present(nvme))
		nvme_controller_disable(nvme);
	nvme_controller_silence(nvme);
	nvme->ended = true;
}

/* The most urgent thing; false when there is nothing to do. */
static bool work(struct nvme *nvme)
{
	bool live = nvme_state(nvme) == NVME_LIVE;

	if (nvme->stop_wanted)
		stop(nvme);
	else if (nvme->shutdown_wanted)
		shut_down(nvme);
	else if (live && nvme->check_wanted)
		check(nvme);
	else if (live && nvme->reset_wanted)
		recover(nvme);
	else if (live && nvme->abort_count)
		nvme_admin_abort(nvme, &nvme->aborts[--nvme->abort_count]);
	else if (live && nvme->event_came)
		handle_event(nvme);
	else if (live && nvme->wanted)
		create_queue(nvme);
	else if (nvme_state(nvme) >= NVME_FAILED && nvme->wanted)
		refuse_queue(nvme);
	else
		return false;
	return true;
}

static int bring_up(struct nvme *nvme)
{
	bool changed = false;
	int err = nvme_controller_probe(nvme);

	if (!err)
		err = nvme_admin_init(nvme);
	if (err)
		return err;
	/* Somebody may have left it running. */
	err = nvme_controller_disable(nvme);
	if (err == -ETIMEDOUT)
		err = nvme->pci->ops->reset(nvme->pci);
	if (!err)
		err = nvme_controller_enable(nvme);
	if (!err)
		err = nvme_namespaces_scan(nvme, &changed);
	if (err)
		nvme_controller_silence(nvme);
	return err;
}

static void *run(void *ctx)
{
	struct nvme *nvme = ctx;

	nvme->start_err = bring_up(nvme);
	if (nvme->start_err)
		nvme->ended = true;
	else
		set_state(nvme, NVME_LIVE);
	sem_post(&nvme->started);
	while (!nvme->ended) {
		while (!nvme->ended && work(nvme))
			;
		if (!nvme->ended)
			event_loop_run_once(nvme->loop, -1);
	}
	nvme_admin_fini(nvme);
	if (nvme->stopped)
		nvme->stopped(nvme->stopped_ctx);
	return NULL;
}

/* --- Creation */

static int start_thread(struct nvme *nvme)
{
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err)
		return err;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	err = -pthread_create(&nvme->thread, &attr, run, nvme);
	pthread_attr_destroy(&attr);
	if (err)
		return err;
	while (sem_wait(&nvme->started) && errno == EINTR)
		;
	if (nvme->start_err)
		pthread_join(nvme->thread, NULL);
	return nvme->start_err;
}

static unsigned int or_default(unsigned int value, unsigned int otherwise)
{
	return value ? value : otherwise;
}

static void take_config(struct nvme *nvme, const struct nvme_config *config)
{
	nvme->config = *config;
	nvme->config.name = NULL;
	snprintf(nvme->name, sizeof(nvme->name), "nvme%s%s", config->name ? " " : "",
		 config->name ? config->name : "");
	nvme->config.queue_depth = or_default(config->queue_depth, NVME_DEFAULT_DEPTH);
	if (nvme->config.queue_depth > NVME_DEPTH_MAX)
		nvme->config.queue_depth = NVME_DEPTH_MAX;
	nvme->config.io_timeout_ms = or_default(config->io_timeout_ms, NVME_DEFAULT_IO_MS);
	nvme->config.admin_timeout_ms = or_default(config->admin_timeout_ms, NVME_DEFAULT_ADMIN_MS);
	nvme->pci = config->pci;
}

static void free_nvme(struct nvme *nvme)
{
	nvme_namespaces_destroy(nvme);
	while (nvme->queues) {
		struct nvme_queue *queue = nvme->queues;

		nvme->queues = queue->next;
		nvme_queue_destroy(queue);
	}
	event_loop_destroy(nvme->loop);
	pthread_mutex_destroy(&nvme->lock);
	sem_destroy(&nvme->started);
	sem_destroy(&nvme->shut_down);
	sem_destroy(&nvme->queue_closed);
	free(nvme);
}

int nvme_create(const struct nvme_config *config, struct nvme **out)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	int err;

	if (!nvme)
		return -ENOMEM;
	take_config(nvme, config);
	nvme->loop = event_loop_create();
	if (!nvme->loop) {
		err = -errno;
		free(nvme);
		return err;
	}
	pthread_mutex_init(&nvme->lock, NULL);
	sem_init(&nvme->started, 0, 0);
	sem_init(&nvme->shut_down, 0, 0);
	sem_init(&nvme->queue_closed, 0, 0);
	err = start_thread(nvme);
	if (err) {
		log_error("%s: cannot use the controller: errno %d", nvme->name, -err);
		free_nvme(nvme);
		return err;
	}
	log_info("%s: %s, NVMe %u.%u, at most %u queues of %u", nvme->name, nvme->model,
		 nvme->version >> 16, nvme->version >> 8 & 0xFF, nvme->hardware_limit,
		 nvme->entries);
	*out = nvme;
	return 0;
}

void nvme_destroy(struct nvme *nvme)
{
	pthread_join(nvme->thread, NULL);
	free_nvme(nvme);
}

/* --- For users */

struct disk *nvme_namespace_disk(struct nvme *nvme, uint32_t nsid)
{
	struct nvme_namespace *ns;

	pthread_mutex_lock(&nvme->lock);
	for (ns = nvme->namespaces; ns && ns->nsid != nsid; ns = ns->next)
		;
	pthread_mutex_unlock(&nvme->lock);
	return ns ? &ns->disk : NULL;
}

uint32_t nvme_namespace_id(struct nvme *nvme, unsigned int index)
{
	struct nvme_namespace *ns;
	uint32_t nsid;

	pthread_mutex_lock(&nvme->lock);
	for (ns = nvme->namespaces; ns && index; ns = ns->next)
		index--;
	nsid = ns ? ns->nsid : 0;
	pthread_mutex_unlock(&nvme->lock);
	return nsid;
}

static void add_counters(struct nvme_counters *to, const struct nvme_counters *from)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *part = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += __atomic_load_n(&part[i], __ATOMIC_RELAXED);
}

void nvme_get_counters(struct nvme *nvme, struct nvme_counters *counters)
{
	*counters = (struct nvme_counters){ 0 };
	pthread_mutex_lock(&nvme->lock);
	add_counters(counters, &nvme->counters);
	for (struct nvme_queue *queue = nvme->queues; queue; queue = queue->next)
		add_counters(counters, &queue->counters);
	counters->queues = nvme->hardware_queues;
	pthread_mutex_unlock(&nvme->lock);
	counters->dma_bytes = __atomic_load_n(&nvme->dma_bytes, __ATOMIC_RELAXED);
}
