#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/guid.h"
#include "core/log.h"
#include "devices/pci/vfio.h"
#include "devices/storage/nvme.h"
#include "paravisor/machine.h"
#include "paravisor/opener.h"
#include "paravisor/storage_internal.h"

/* The host offers a function before it names it to VTL2, but VTL2's kernel takes its time with each. */
#define FUNCTION_TIMEOUT_MS 10000

static struct storage_function *find(struct storage *storage, const struct guid *instance)
{
	struct storage_function *function = storage->functions;

	while (function && !guid_equal(&function->instance, instance))
		function = function->next;
	return function;
}

static int open_function(struct storage *storage, struct storage_function *function,
			 struct storage_error *error)
{
	struct vfio_config config = {
		.address = function->address,
		.memory = storage->machine->memory,
		.pool = storage->pool,
		.max_vectors = storage->machine->topology.vp_count + 1, /* and the admin queue's */
	};
	int ret = opener_open(storage->opener, &function->instance, FUNCTION_TIMEOUT_MS,
			      function->address, &config.device);

	if (ret == -ENOENT)
		return storage_fail(error, "no NVMe controller at VPCI bus", &function->instance,
				    ret);
	if (!ret)
		ret = vfio_open(&config, &function->pci);
	return ret ? storage_fail(error, "cannot take the NVMe controller at VPCI bus",
				  &function->instance, ret)
		   : 0;
}

static int start_driver(struct storage *storage, struct storage_function *function,
			struct storage_error *error)
{
	struct nvme_config config = {
		.pci = function->pci,
		.memory = storage->machine->memory,
		.name = function->address,
		.max_queues = storage->machine->topology.vp_count,
		.host_id = storage->host_id,
	};
	int ret = nvme_create(&config, &function->nvme);

	return ret ? storage_fail(error, "the NVMe controller does not start at VPCI bus",
				  &function->instance, ret)
		   : 0;
}

static int create(struct storage *storage, const struct guid *instance,
		  struct storage_function **result, struct storage_error *error)
{
	struct storage_function *function = calloc(1, sizeof(*function));
	int ret;

	if (!function) {
		storage_fail(error, "NVMe controller at VPCI bus", instance, -ENOMEM);
		return -ENOMEM;
	}
	function->instance = *instance;
	ret = open_function(storage, function, error);
	if (ret)
		goto free_function;
	ret = start_driver(storage, function, error);
	if (ret)
		goto close_function;
	pthread_mutex_lock(&storage->lock);
	function->next = storage->functions;
	storage->functions = function;
	pthread_mutex_unlock(&storage->lock);
	*result = function;
	return 0;

close_function:
	vfio_close(function->pci);
free_function:
	free(function);
	return ret;
}

int storage_function_get(struct storage *storage, const struct guid *instance,
			 struct storage_function **result, struct storage_error *error)
{
	struct storage_function *function = find(storage, instance);
	int ret = function ? 0 : create(storage, instance, &function, error);

	if (ret)
		return ret;
	function->users++;
	*result = function;
	return 0;
}

static void stopped(void *ctx)
{
	sem_post(ctx);
}

static void unlink_function(struct storage *storage, struct storage_function *function)
{
	struct storage_function **at = &storage->functions;

	pthread_mutex_lock(&storage->lock);
	while (*at != function)
		at = &(*at)->next;
	*at = function->next;
	pthread_mutex_unlock(&storage->lock);
}

void storage_function_put(struct storage *storage, struct storage_function *function)
{
	sem_t over;

	if (--function->users)
		return;
	unlink_function(storage, function);
	sem_init(&over, 0, 0);
	nvme_stop(function->nvme, stopped, &over);
	while (sem_wait(&over) && errno == EINTR)
		;
	nvme_destroy(function->nvme); /* its thread, which said so, has ended */
	sem_destroy(&over);
	vfio_close(function->pci);
	free(function);
}
