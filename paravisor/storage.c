#include "paravisor/storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/guid.h"
#include "core/log.h"
#include "devices/pci/vfio.h"
#include "devices/storage/nvme.h"
#include "devices/storage/scsi_lun.h"
#include "devices/storage/storvsp.h"
#include "devices/storage/stripe.h"
#include "paravisor/machine.h"
#include "paravisor/settings.h"

/* The host offers a function before VTL2 starts, but VTL2's kernel takes its time with each. */
#define FUNCTION_TIMEOUT_MS 10000

/* What a controller's admin queue takes, and each of its queue pairs: one a VP (nvme_queue.c). */
#define POOL_CONTROLLER (64u << 10)
#define POOL_QUEUE      (192u << 10)
#define POOL_UNIT       (2u << 20)

/* A controller that the host assigned to VTL2. */
struct function {
	struct guid instance;
	char address[16];
	struct pci_device_access *pci;
	struct nvme *nvme;
};

struct storage {
	struct machine *machine;
	struct storvsp *controllers[SETTINGS_CONTROLLERS_MAX];
	unsigned int function_count;
	struct function functions[SETTINGS_DEVICES_MAX];
};

uint64_t storage_pool_size(const struct settings *settings, unsigned int vp_count)
{
	uint64_t size =
		settings->device_count * (POOL_CONTROLLER + (uint64_t)vp_count * POOL_QUEUE);

	return (size + POOL_UNIT - 1) / POOL_UNIT * POOL_UNIT;
}

static int fail(struct storage *storage, const char *what, const struct guid *guid, int err)
{
	char text[GUID_TEXT_SIZE];

	guid_format(guid, text);
	machine_end(storage->machine, HOST_PORT_FAILURE, "%s %s: errno %d", what, text, -err);
	return err;
}

/* --- functions */

static struct function *find_function(struct storage *storage, const struct guid *instance)
{
	for (unsigned int i = 0; i < storage->function_count; i++)
		if (guid_equal(&storage->functions[i].instance, instance))
			return &storage->functions[i];
	return NULL;
}

static int open_function(struct storage *storage, const struct guid *instance,
			 struct dma_pool *pool)
{
	struct function *function = &storage->functions[storage->function_count];
	struct vfio_config config = {
		.address = function->address,
		.memory = storage->machine->memory,
		.pool = pool,
		.max_vectors = storage->machine->topology.vp_count + 1, /* and the admin queue's */
	};
	int ret = vfio_find_vpci(instance, FUNCTION_TIMEOUT_MS, function->address);

	if (ret)
		return fail(storage, "no NVMe controller at VPCI bus", instance, ret);
	ret = vfio_bind(function->address, false);
	if (!ret)
		ret = vfio_open(&config, &function->pci);
	if (ret)
		return fail(storage, "cannot take the NVMe controller at VPCI bus", instance, ret);
	function->instance = *instance;
	storage->function_count++;
	return 0;
}

int storage_open(struct machine *machine, const struct settings *settings, struct dma_pool *pool,
		 struct storage **result)
{
	struct storage *storage = calloc(1, sizeof(*storage));
	int ret = 0;

	if (!storage) {
		machine_end(machine, HOST_PORT_FAILURE, "out of memory for storage");
		return -ENOMEM;
	}
	storage->machine = machine;
	for (unsigned int i = 0; !ret && i < settings->device_count; i++)
		if (!find_function(storage, &settings->devices[i].instance))
			ret = open_function(storage, &settings->devices[i].instance, pool);
	*result = storage;
	return ret;
}

static int start_driver(struct storage *storage, struct function *function)
{
	struct nvme_config config = {
		.pci = function->pci,
		.memory = storage->machine->memory,
		.name = function->address,
		.max_queues = storage->machine->topology.vp_count,
	};
	int ret = nvme_create(&config, &function->nvme);

	return ret ? fail(storage, "the NVMe controller does not start at VPCI bus",
			  &function->instance, ret)
		   : 0;
}

/* --- units */

static int namespace_disk(struct storage *storage, const struct settings_device *device,
			  struct disk **disk)
{
	struct function *function = find_function(storage, &device->instance);

	*disk = function ? nvme_namespace_disk(function->nvme, device->nsid) : NULL;
	return *disk ? 0
		     : fail(storage, "the namespace is not in the NVMe controller at VPCI bus",
			    &device->instance, -ENOENT);
}

static int make_stripe(struct storage *storage, const struct settings_lun *lun,
		       struct disk **members, struct disk **disk)
{
	struct stripe_config config = {
		.members = members,
		.member_count = lun->device_count,
		.chunk_size = lun->chunk_size,
	};
	struct stripe *stripe;
	int ret;

	memcpy(config.id, &lun->device_id, sizeof(config.id));
	memcpy(config.serial, lun->serial, sizeof(config.serial));
	ret = stripe_create(&config, &stripe);
	if (ret)
		return fail(storage, "the disks do not make the stripe", &lun->device_id, ret);
	*disk = stripe_disk(stripe);
	return 0;
}

static int make_disk(struct storage *storage, const struct settings *settings,
		     const struct settings_lun *lun, struct disk **disk)
{
	struct disk *members[SETTINGS_STRIPE_MAX];
	int ret = 0;

	for (unsigned int i = 0; !ret && i < lun->device_count; i++)
		ret = namespace_disk(storage, &settings->devices[lun->first_device + i],
				     &members[i]);
	if (!ret && lun->device_count == 1)
		*disk = members[0];
	else if (!ret)
		ret = make_stripe(storage, lun, members, disk);
	return ret;
}

static int add_lun(struct storage *storage, const struct settings *settings,
		   const struct settings_lun *lun)
{
	struct scsi_lun_config config = {
		.dvd = lun->dvd,
		.no_unmap = lun->no_unmap,
		.max_size = lun->size,
	};
	struct scsi_lun *unit;
	int ret;

	if (!lun->device_count) {
		log_warn("LUN %u: an empty drive is not supported and left out", lun->location);
		return 0;
	}
	ret = make_disk(storage, settings, lun, &config.disk);
	if (ret)
		return ret;
	memcpy(config.identity.vendor, lun->vendor, sizeof(lun->vendor));
	memcpy(config.identity.product, lun->product, sizeof(lun->product));
	memcpy(config.identity.revision, lun->revision, sizeof(lun->revision));
	memcpy(config.identity.serial, lun->serial, sizeof(lun->serial));
	memcpy(config.identity.id, &lun->device_id, sizeof(config.identity.id));
	unit = scsi_lun_create(&config);
	if (!unit)
		return fail(storage, "a LUN", &lun->device_id, -ENOMEM);
	ret = storvsp_attach(storage->controllers[lun->controller], 0, lun->location, unit);
	scsi_lun_put(unit);
	return ret ? fail(storage, "a LUN", &lun->device_id, ret) : 0;
}

/* --- controllers */

static int offer_controller(struct storage *storage, const struct settings *settings,
			    unsigned int index, struct vmbus_server *server)
{
	unsigned int sub_channels = storage->machine->topology.vp_count - 1;
	struct storvsp_config config = {
		.server = server,
		.instance = settings->controllers[index],
	};
	int ret;

	if (sub_channels > settings->sub_channels)
		sub_channels = settings->sub_channels;
	config.max_sub_channels = (uint16_t)sub_channels;
	ret = storvsp_create(&config, &storage->controllers[index]);
	return ret ? fail(storage, "SCSI controller", &config.instance, ret) : 0;
}

int storage_start(struct storage *storage, const struct settings *settings,
		  struct vmbus_server *server)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < storage->function_count; i++)
		ret = start_driver(storage, &storage->functions[i]);
	for (unsigned int i = 0; !ret && i < settings->controller_count; i++)
		ret = offer_controller(storage, settings, i, server);
	for (unsigned int i = 0; !ret && i < settings->lun_count; i++)
		ret = add_lun(storage, settings, &settings->luns[i]);
	if (!ret && settings->lun_count)
		log_info("storage: %u SCSI controllers, %u LUNs, %u NVMe controllers",
			 settings->controller_count, settings->lun_count, storage->function_count);
	return ret;
}

void storage_shut_down(struct storage *storage)
{
	for (unsigned int i = 0; i < storage->function_count; i++)
		if (storage->functions[i].nvme)
			nvme_shutdown(storage->functions[i].nvme);
}
