#include <errno.h>
#include <stdlib.h>

#include "core/guid.h"
#include "core/log.h"
#include "devices/storage/storvsp.h"
#include "paravisor/machine.h"
#include "paravisor/storage_internal.h"

/*
 * From what there is to what the settings say. What can fail is done first, beside what there is: functions are opened,
 * disks and units made. Only then does the guest see anything of it.
 */

struct change {
	struct storage *storage;
	const struct settings *settings;
	struct storage_error *error;
	struct storage_controller *controllers[SETTINGS_CONTROLLERS_MAX]; /* the settings' */
	struct storage_controller *offered[SETTINGS_CONTROLLERS_MAX];     /* by this change */
	bool kept[SETTINGS_CONTROLLERS_MAX][SETTINGS_LUNS_MAX]; /* units of storage's controllers */
	unsigned int count, removed;
	struct storage_unit *fresh[];
};

/* --- controllers */

static struct storage_controller *find_controller(struct storage *storage, const struct guid *guid)
{
	for (unsigned int i = 0; i < SETTINGS_CONTROLLERS_MAX; i++) {
		struct storage_controller *controller = &storage->controllers[i];

		if (controller->storvsp && guid_equal(&controller->instance, guid))
			return controller;
	}
	return NULL;
}

/* One that goes keeps its place until this change is done: then there may be none for one that comes. */
static struct storage_controller *free_controller(struct storage *storage)
{
	for (unsigned int i = 0; i < SETTINGS_CONTROLLERS_MAX; i++)
		if (!storage->controllers[i].storvsp)
			return &storage->controllers[i];
	return NULL;
}

static int offer_controller(struct change *change, unsigned int index)
{
	const struct guid *instance = &change->settings->controllers[index];
	struct machine *machine = change->storage->machine;
	struct storage_controller *controller = free_controller(change->storage);
	unsigned int sub_channels = machine->topology.vp_count - 1;
	struct storvsp_config config = { .server = machine->vmbus, .instance = *instance };
	int ret = -ENOSPC;

	if (sub_channels > change->settings->sub_channels)
		sub_channels = change->settings->sub_channels;
	config.max_sub_channels = (uint16_t)sub_channels;
	if (controller)
		ret = storvsp_create(&config, &controller->storvsp);
	if (ret) {
		storage_fail(change->error, "SCSI controller", instance, ret);
		return ret;
	}
	controller->instance = *instance;
	change->controllers[index] = controller;
	change->offered[index] = controller;
	return 0;
}

static void take_controller(struct storage_controller *controller)
{
	storvsp_destroy(controller->storvsp, NULL, NULL);
	controller->storvsp = NULL;
}

static int find_controllers(struct change *change)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < change->settings->controller_count; i++) {
		change->controllers[i] =
			find_controller(change->storage, &change->settings->controllers[i]);
		if (!change->controllers[i])
			ret = offer_controller(change, i);
	}
	return ret;
}

static bool is_wanted(const struct change *change, const struct storage_controller *controller)
{
	for (unsigned int i = 0; i < change->settings->controller_count; i++)
		if (change->controllers[i] == controller)
			return true;
	return false;
}

/* --- units */

static int take_lun(struct change *change, const struct settings_lun *lun)
{
	struct storage_controller *controller = change->controllers[lun->controller];
	const struct storage_unit *unit = controller->units[lun->location];
	enum storage_likeness like = STORAGE_UNIT_OTHER;
	int ret;

	if (unit)
		like = storage_unit_compare(unit, change->settings, lun);
	change->kept[controller - change->storage->controllers][lun->location] =
		like != STORAGE_UNIT_OTHER;
	if (like == STORAGE_UNIT_SAME)
		return 0;
	ret = storage_unit_create(change->storage, controller, change->settings, lun,
				  &change->fresh[change->count], change->error);
	if (!ret)
		change->count++;
	return ret;
}

static void undo(struct change *change)
{
	while (change->count)
		storage_unit_destroy(change->storage, change->fresh[--change->count]);
	for (unsigned int i = 0; i < change->settings->controller_count; i++)
		if (change->offered[i])
			take_controller(change->offered[i]);
}

/* All at once, so that the guest looks at them once; then what their commands are still busy with. */
static void remove_units(struct change *change)
{
	struct storage_unit *going[SETTINGS_LUNS_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < SETTINGS_CONTROLLERS_MAX; i++) {
		for (unsigned int n = 0; n < SETTINGS_LUNS_MAX; n++) {
			struct storage_unit *unit = change->storage->controllers[i].units[n];

			if (!unit || change->kept[i][n])
				continue;
			storage_unit_detach(unit);
			going[count++] = unit;
		}
		change->removed += count;
		while (count)
			storage_unit_destroy(change->storage, going[--count]);
	}
}

/*
 * In its place is the same drive, with another medium, or nothing: then only a broken invariant of ours could keep it
 * from going there.
 */
static int show_unit(struct change *change, struct storage_unit *fresh)
{
	struct storage_unit *drive = fresh->controller->units[fresh->lun.location];
	int ret;

	if (!drive) {
		if (storage_unit_attach(fresh))
			abort();
		return 0;
	}
	ret = storage_unit_swap_medium(drive, fresh);
	storage_unit_destroy(change->storage, fresh);
	return ret ? storage_fail(change->error, "the medium stays", &drive->lun.device_id, ret)
		   : 0;
}

static int finish(struct change *change)
{
	int ret = 0;

	remove_units(change);
	for (unsigned int i = 0; i < SETTINGS_CONTROLLERS_MAX; i++) {
		struct storage_controller *controller = &change->storage->controllers[i];

		if (controller->storvsp && !is_wanted(change, controller))
			take_controller(controller);
	}
	for (unsigned int i = 0; i < change->count; i++) {
		int err = show_unit(change, change->fresh[i]);

		ret = ret ? ret : err;
	}
	return ret;
}

int storage_apply(struct storage *storage, const struct settings *settings,
		  struct storage_error *error)
{
	struct change *change =
		calloc(1, sizeof(*change) + settings->lun_count * sizeof(struct storage_unit *));
	int ret;

	if (!change)
		return storage_fail(error, "storage", NULL, -ENOMEM);
	change->storage = storage;
	change->settings = settings;
	change->error = error;
	ret = find_controllers(change);
	for (unsigned int i = 0; !ret && i < settings->lun_count; i++)
		ret = take_lun(change, &settings->luns[i]);
	if (ret)
		undo(change);
	else
		ret = finish(change);
	if (!ret && (change->count || change->removed))
		log_info("storage: %u LUNs or media came, %u LUNs went", change->count,
			 change->removed);
	free(change);
	return ret;
}
