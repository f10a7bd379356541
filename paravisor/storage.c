#include "paravisor/storage.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/event_loop.h"
#include "core/guid.h"
#include "core/log.h"
#include "devices/storage/nvme.h"
#include "paravisor/machine.h"
#include "paravisor/storage_internal.h"
#include "paravisor/vp.h"

/* What a controller's admin queue takes, and each of its queue pairs: one a VP (nvme_queue.c). */
#define POOL_CONTROLLER (64u << 10)
#define POOL_QUEUE      (192u << 10)
#define POOL_UNIT       (2u << 20)

/* Controllers that may come while VTL0 runs: its memory cannot be had any more then. */
#define SPARE_CONTROLLERS 4u

/* Changes that wait for the one under way: a host that has sent more does not wait for answers. */
#define CHANGES_MAX 8u

uint64_t storage_pool_size(const struct settings *settings, unsigned int vp_count)
{
	uint64_t each = POOL_CONTROLLER + (uint64_t)vp_count * POOL_QUEUE, size;

	if (!settings->controller_count)
		return 0;
	size = (settings->device_count + SPARE_CONTROLLERS) * each;
	return (size + POOL_UNIT - 1) / POOL_UNIT * POOL_UNIT;
}

int storage_fail(struct storage_error *error, const char *what, const struct guid *guid, int err)
{
	char text[GUID_TEXT_SIZE] = "";

	if (guid)
		guid_format(guid, text);
	if (!error->text[0])
		snprintf(error->text, sizeof(error->text), "%s %s: errno %d", what, text, -err);
	return err;
}

/* --- the thread that changes things */

struct modification {
	struct storage *storage;
	char *text;
	size_t len;
	void (*modified)(void *ctx, const struct settings *settings, const char *why);
	void *ctx;
	struct settings *settings; /* what the text says, if it is in force */
	struct storage_error error;
};

/* On VP 0's loop. */
static void report(void *ctx)
{
	struct modification *m = ctx;

	m->storage->changes--;
	m->modified(m->ctx, m->settings,
		    m->settings        ? NULL
		    : m->error.text[0] ? m->error.text
				       : "out of memory");
	free(m->settings);
	free(m->text);
	free(m);
}

/*
 * Network cards are what they are until VTL2 starts again. VTL0's own functions beside them come and go, but those only
 * that there were at the start.
 */
static bool same_nics(const struct settings *new, const struct settings *old)
{
	bool same = new->nic_count == old->nic_count;

	for (unsigned int i = 0; same && i < new->nic_count; i++) {
		const struct settings_nic *a = &new->nics[i], *b = &old->nics[i];

		same = guid_equal(&a->instance, &b->instance) &&
		       (!a->has_vf || guid_equal(&a->vf_instance, &b->vf_instance));
	}
	return same;
}

static int take_text(struct modification *m, struct settings *settings)
{
	int ret = settings_parse(settings, m->text, m->len, m->error.text, sizeof(m->error.text));

	if (!ret && !same_nics(settings, m->storage->machine->settings))
		ret = storage_fail(&m->error, "network cards cannot be exchanged", NULL, -ENOTSUP);
	return ret ? ret : storage_apply(m->storage, settings, &m->error);
}

static void change(void *ctx)
{
	struct modification *m = ctx;
	struct settings *settings = calloc(1, sizeof(*settings));

	if (settings && !take_text(m, settings))
		m->settings = settings;
	else
		free(settings);
	if (event_loop_post(m->storage->machine->vps[0].loop, report, m))
		log_error("out of memory: the host does not hear of its settings");
}

static void *run(void *ctx)
{
	struct storage *storage = ctx;

	for (;;)
		event_loop_run_once(storage->loop, -1);
	return NULL;
}

int storage_modify(struct storage *storage, char *text, size_t len,
		   void (*modified)(void *ctx, const struct settings *settings, const char *why),
		   void *ctx)
{
	struct modification *m = NULL;
	int ret = storage->changes < CHANGES_MAX ? -ENOMEM : -EBUSY;

	if (ret == -ENOMEM)
		m = calloc(1, sizeof(*m));
	if (m) {
		m->storage = storage;
		m->text = text;
		m->len = len;
		m->modified = modified;
		m->ctx = ctx;
		ret = event_loop_post(storage->loop, change, m);
	}
	if (ret) {
		free(m);
		free(text);
		return ret;
	}
	storage->changes++;
	return 0;
}

/* --- life */

static int start_thread(struct storage *storage)
{
	storage->loop = event_loop_create();
	if (!storage->loop)
		return -errno;
	return -pthread_create(&storage->thread, NULL, run, storage);
}

/*
 * The GUIDs of a VM's controllers are its own and last as long as it does (FNV-1a, 64 bits, of the first one's; not 0,
 * which is nobody).
 */
static uint64_t make_host_id(const struct settings *settings)
{
	const uint8_t *byte = (const uint8_t *)&settings->controllers[0];
	uint64_t hash = 0xCBF29CE484222325ull;

	for (size_t i = 0; i < sizeof(settings->controllers[0]); i++)
		hash = (hash ^ byte[i]) * 0x100000001B3ull;
	return hash ? hash : 1;
}

int storage_start(struct machine *machine, const struct settings *settings, struct opener *opener,
		  struct dma_pool *pool, struct storage **result)
{
	struct storage *storage = calloc(1, sizeof(*storage));
	struct storage_error error = { "" };
	int ret = -ENOMEM;

	if (storage) {
		storage->machine = machine;
		storage->opener = opener;
		storage->pool = pool;
		storage->host_id = make_host_id(settings);
		pthread_mutex_init(&storage->lock, NULL);
		*result = storage;
		ret = storage_apply(storage, settings, &error);
	}
	if (!ret)
		ret = start_thread(storage);
	if (ret)
		machine_end(machine, HOST_PORT_FAILURE, "%s",
			    error.text[0] ? error.text : "out of memory for storage");
	return ret;
}

/* The thread may be changing things: what it has taken out of the list it also shuts down. */
void storage_shut_down(struct storage *storage)
{
	pthread_mutex_lock(&storage->lock);
	for (struct storage_function *function = storage->functions; function;
	     function = function->next)
		nvme_shutdown(function->nvme);
	pthread_mutex_unlock(&storage->lock);
}
