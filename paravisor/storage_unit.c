#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/guid.h"
#include "devices/storage/disc_tray.h"
#include "devices/storage/nvme.h"
#include "devices/storage/scsi_lun.h"
#include "devices/storage/storvsp.h"
#include "devices/storage/stripe.h"
#include "paravisor/storage_internal.h"

/* --- what backs it */

static int namespace_disk(struct storage *storage, struct storage_unit *unit, unsigned int index,
			  struct disk **disk, struct storage_error *error)
{
	const struct settings_device *device = &unit->devices[index];
	struct storage_function *function;
	int ret = storage_function_get(storage, &device->instance, &function, error);

	if (ret)
		return ret;
	unit->functions[index] = function;
	*disk = nvme_namespace_disk(function->nvme, device->nsid);
	return *disk ? 0
		     : storage_fail(error,
				    "the namespace is not in the NVMe controller at VPCI bus",
				    &device->instance, -ENOENT);
}

static int make_stripe(struct storage_unit *unit, struct disk **members,
		       struct storage_error *error)
{
	const struct settings_lun *lun = &unit->lun;
	struct stripe_config config = {
		.members = members,
		.member_count = lun->device_count,
		.chunk_size = lun->chunk_size,
	};
	int ret;

	memcpy(config.id, &lun->device_id, sizeof(config.id));
	memcpy(config.serial, lun->serial, sizeof(config.serial));
	ret = stripe_create(&config, &unit->stripe);
	if (ret)
		return storage_fail(error, "the disks do not make the stripe", &lun->device_id,
				    ret);
	unit->disk = stripe_disk(unit->stripe);
	return 0;
}

static int make_disk(struct storage *storage, struct storage_unit *unit,
		     struct storage_error *error)
{
	struct disk *members[SETTINGS_STRIPE_MAX];
	int ret = 0;

	for (unsigned int i = 0; !ret && i < unit->lun.device_count; i++)
		ret = namespace_disk(storage, unit, i, &members[i], error);
	if (!ret && unit->lun.device_count == 1)
		unit->disk = members[0];
	else if (!ret && unit->lun.device_count)
		ret = make_stripe(unit, members, error);
	return ret;
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) && errno == EINTR)
		;
}

static void post(void *ctx)
{
	sem_post(ctx);
}

static int make_drive(struct storage_unit *unit, struct storage_error *error)
{
	const struct disc_medium medium = { unit->disk, post, &unit->medium_free };
	int ret = -ENOMEM;

	unit->tray = disc_tray_create();
	if (unit->tray)
		ret = disc_tray_load(unit->tray, &medium);
	return ret ? storage_fail(error, "the disk is not fit for a drive", &unit->lun.device_id,
				  ret)
		   : 0;
}

/* --- the unit */

/* Any thread. The controller stays as long as it has units. */
static void changed(void *ctx)
{
	struct storage_unit *unit = ctx;

	storvsp_rescan(unit->controller->storvsp);
}

static void released(void *ctx)
{
	struct storage_unit *unit = ctx;

	sem_post(&unit->released);
}

static int make_unit(struct storage_unit *unit, struct storage_error *error)
{
	const struct settings_lun *lun = &unit->lun;
	struct scsi_lun_config config = {
		.disk = unit->tray ? disc_tray_disk(unit->tray) : unit->disk,
		.dvd = lun->dvd,
		.no_unmap = lun->no_unmap,
		.no_fua = lun->no_fua,
		.no_write_cache = lun->no_write_cache,
		.rotation_rate = (uint16_t)lun->rotation_rate,
		.physical_sector_size = lun->physical_sector_size,
		.max_transfer = lun->max_transfer,
		.max_size = lun->size,
		.changed = changed,
		.released = released,
		.ctx = unit,
	};

	memcpy(config.identity.vendor, lun->vendor, sizeof(lun->vendor));
	memcpy(config.identity.product, lun->product, sizeof(lun->product));
	memcpy(config.identity.revision, lun->revision, sizeof(lun->revision));
	memcpy(config.identity.serial, lun->serial, sizeof(lun->serial));
	memcpy(config.identity.id, &lun->device_id, sizeof(config.identity.id));
	unit->scsi = scsi_lun_create(&config);
	return unit->scsi ? 0 : storage_fail(error, "a LUN", &lun->device_id, -ENOMEM);
}

static struct storage_unit *describe(struct storage_controller *controller,
				     const struct settings *settings,
				     const struct settings_lun *lun)
{
	struct storage_unit *unit = calloc(1, sizeof(*unit));

	if (!unit)
		return NULL;
	unit->controller = controller;
	unit->lun = *lun;
	sem_init(&unit->released, 0, 0);
	sem_init(&unit->medium_free, 0, 0);
	unit->devices = calloc(lun->device_count + 1u, sizeof(*unit->devices));
	unit->functions = calloc(lun->device_count + 1u, sizeof(struct storage_function *));
	if (!unit->devices || !unit->functions) {
		free(unit->devices);
		free(unit->functions);
		free(unit);
		return NULL;
	}
	memcpy(unit->devices, &settings->devices[lun->first_device],
	       lun->device_count * sizeof(*unit->devices));
	return unit;
}

int storage_unit_create(struct storage *storage, struct storage_controller *controller,
			const struct settings *settings, const struct settings_lun *lun,
			struct storage_unit **result, struct storage_error *error)
{
	struct storage_unit *unit = describe(controller, settings, lun);
	int ret;

	if (!unit)
		return storage_fail(error, "a LUN", &lun->device_id, -ENOMEM);
	ret = make_disk(storage, unit, error);
	if (!ret && lun->dvd)
		ret = make_drive(unit, error);
	if (!ret)
		ret = make_unit(unit, error);
	if (ret) {
		storage_unit_destroy(storage, unit);
		return ret;
	}
	*result = unit;
	return 0;
}

static bool same_device(const struct settings_device *a, const struct settings_device *b)
{
	return a->nsid == b->nsid && guid_equal(&a->instance, &b->instance);
}

static bool same_devices(const struct storage_unit *unit, const struct settings *settings,
			 const struct settings_lun *lun)
{
	bool same = unit->lun.device_count == lun->device_count &&
		    (unit->lun.chunk_size == lun->chunk_size || lun->device_count < 2);

	for (unsigned int i = 0; same && i < lun->device_count; i++)
		same = same_device(&unit->devices[i], &settings->devices[lun->first_device + i]);
	return same;
}

static bool same_characteristics(const struct settings_lun *a, const struct settings_lun *b)
{
	return a->no_unmap == b->no_unmap && a->no_fua == b->no_fua &&
	       a->no_write_cache == b->no_write_cache && a->size == b->size &&
	       a->physical_sector_size == b->physical_sector_size &&
	       a->max_transfer == b->max_transfer && a->rotation_rate == b->rotation_rate;
}

enum storage_likeness storage_unit_compare(const struct storage_unit *unit,
					   const struct settings *settings,
					   const struct settings_lun *lun)
{
	const struct settings_lun *mine = &unit->lun;

	if (mine->dvd != lun->dvd || !same_characteristics(mine, lun))
		return STORAGE_UNIT_OTHER;
	/* A drive's name may come from the medium that is in it. */
	if (!lun->dvd &&
	    (!guid_equal(&mine->device_id, &lun->device_id) || strcmp(mine->vendor, lun->vendor) ||
	     strcmp(mine->product, lun->product) || strcmp(mine->revision, lun->revision) ||
	     strcmp(mine->serial, lun->serial)))
		return STORAGE_UNIT_OTHER;
	if (same_devices(unit, settings, lun))
		return STORAGE_UNIT_SAME;
	return lun->dvd ? STORAGE_UNIT_OTHER_MEDIUM : STORAGE_UNIT_OTHER;
}

#define SWAP(a, b)                     \
	do {                           \
		typeof(a) swapped = a; \
		a = b;                 \
		b = swapped;           \
	} while (0)

int storage_unit_swap_medium(struct storage_unit *drive, struct storage_unit *other)
{
	const struct disc_medium none = { NULL, NULL, NULL };
	const struct disc_medium medium = { other->disk, post, &drive->medium_free };
	int ret = disc_tray_load(drive->tray, &medium);

	if (ret)
		return ret;
	if (drive->disk)
		wait_for(&drive->medium_free);
	disc_tray_load(other->tray, &none);
	SWAP(drive->lun, other->lun);
	SWAP(drive->devices, other->devices);
	SWAP(drive->functions, other->functions);
	SWAP(drive->stripe, other->stripe);
	SWAP(drive->disk, other->disk);
	return 0;
}

int storage_unit_attach(struct storage_unit *unit)
{
	struct storage_controller *controller = unit->controller;
	int ret = storvsp_attach(controller->storvsp, 0, unit->lun.location, unit->scsi);

	if (!ret)
		controller->units[unit->lun.location] = unit;
	return ret;
}

void storage_unit_detach(struct storage_unit *unit)
{
	storvsp_detach(unit->controller->storvsp, 0, unit->lun.location);
	unit->controller->units[unit->lun.location] = NULL;
}

void storage_unit_destroy(struct storage *storage, struct storage_unit *unit)
{
	if (unit->scsi) {
		scsi_lun_put(unit->scsi);
		wait_for(&unit->released);
	}
	if (unit->tray)
		disc_tray_destroy(unit->tray);
	if (unit->stripe)
		stripe_destroy(unit->stripe);
	for (unsigned int i = 0; i < unit->lun.device_count; i++)
		if (unit->functions[i])
			storage_function_put(storage, unit->functions[i]);
	sem_destroy(&unit->medium_free);
	sem_destroy(&unit->released);
	free(unit->functions);
	free(unit->devices);
	free(unit);
}
