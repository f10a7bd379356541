#include "host/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "host/crash.h"
#include "host/disks.h"
#include "host/get.h"
#include "host/net.h"
#include "host/partition.h"
#include "host/settings.h"
#include "host/vmbus.h"
#include "host/vmgs.h"

struct host_devices {
	struct partition *partition;
	char *settings; /* JSON that GET serves */
	size_t settings_len;
	struct vmgs *vmgs;
	struct host_get *get;
	struct host_disks *disks;
	struct host_net *net;
};

/* --- GET --- */

static void ended(void *ctx, enum host_get_end how, const char *reason)
{
	static const enum run_outcome outcomes[] = {
		[HOST_GET_POWER_OFF] = RUN_POWER_OFF, [HOST_GET_RESET] = RUN_RESET,
		[HOST_GET_CRASH] = RUN_GUEST_CRASH,   [HOST_GET_TRIPLE_FAULT] = RUN_GUEST_CRASH,
		[HOST_GET_FAILURE] = RUN_FAILURE,
	};
	struct host_devices *devices = ctx;

	if (how == HOST_GET_CRASH && devices->partition->options->outlive_crash) {
		log_warn("the guest crashed (%s) and goes on", reason);
		return;
	}
	partition_end(devices->partition, outcomes[how], "%s", reason);
}

static void crash_reason(void *ctx, uint64_t control, const uint64_t parameters[5], char *reason,
			 size_t size)
{
	struct host_devices *devices = ctx;

	host_crash_reason(&devices->partition->memory, HOST_VIEW_VTL0, control, parameters, reason,
			  size);
}

static uint64_t reference_time(void *ctx)
{
	struct host_devices *devices = ctx;

	return reference_time_now(&devices->partition->time);
}

/* VTL2 has let go of what is no longer in its settings, or says why it has not. */
static void modified(void *ctx, const char *error)
{
	struct host_devices *devices = ctx;

	if (error)
		log_error("VTL2 did not take the new settings: %s", error);
	else
		host_disks_take_removed(devices->disks);
}

static const struct host_get_ops get_ops = {
	.ended = ended,
	.crash_reason = crash_reason,
	.reference_time = reference_time,
	.modified = modified,
};

static int open_state(struct host_devices *devices)
{
	const char *path = devices->partition->options->guest_state;

	if (!path)
		return 0;
	devices->vmgs = vmgs_open(path);
	if (devices->vmgs)
		return 0;
	log_error("cannot use the guest state '%s': %s", path, strerror(errno));
	return -EIO;
}

static int create_get(struct host_devices *devices)
{
	struct host_get_config config = {
		.ops = &get_ops,
		.ctx = devices,
		.server = host_vmbus_server(devices->partition->vmbus),
		.settings = devices->settings,
		.settings_len = devices->settings_len,
		.vmgs = devices->vmgs,
	};
	int ret = host_get_create(&config, &devices->get);

	if (ret)
		log_error("cannot offer GET to VTL2: %s", strerror(-ret));
	return ret;
}

/* --- changes --- */

static int send_settings(struct host_devices *devices)
{
	size_t len;
	char *settings = host_settings_vtl2(devices->partition->options, &len);
	int ret = settings ? host_get_modify(devices->get, settings, len) : -ENOMEM;

	free(settings);
	return ret;
}

int host_devices_add_disk(struct host_devices *devices, unsigned int index)
{
	int ret = host_disks_add(devices->disks, index);

	if (ret)
		return ret;
	host_disks_note_removed(devices->disks);
	return send_settings(devices);
}

/* A VTL2 that does not listen is not asked. */
int host_devices_disks_removed(struct host_devices *devices)
{
	int ret;

	host_disks_note_removed(devices->disks);
	ret = send_settings(devices);
	if (ret != -ENOTCONN)
		return ret;
	host_disks_take_removed(devices->disks);
	return 0;
}

int host_devices_resize_disk(struct host_devices *devices, unsigned int lun, uint64_t size)
{
	return host_disks_resize(devices->disks, lun, size);
}

int host_devices_fault(struct host_devices *devices, unsigned int lun, const char *text)
{
	return host_disks_fault(devices->disks, lun, text);
}

int host_devices_vf_changed(struct host_devices *devices)
{
	return send_settings(devices);
}

int host_devices_net(struct host_devices *devices, const char *what)
{
	return host_net_command(devices->net, what);
}

/* --- life --- */

int host_devices_create(struct partition *partition, struct host_devices **out)
{
	struct host_devices *devices = calloc(1, sizeof(*devices));
	int ret;

	*out = devices;
	if (!devices)
		return -ENOMEM;
	devices->partition = partition;
	devices->settings = host_settings_platform(partition->options, &devices->settings_len);
	if (!devices->settings)
		return -ENOMEM;
	ret = open_state(devices);
	if (!ret)
		ret = host_disks_create(partition, &devices->disks);
	if (!ret)
		ret = host_net_create(partition, &devices->net);
	if (!ret)
		ret = create_get(devices);
	return ret;
}

void host_devices_stop(struct host_devices *devices)
{
	if (devices)
		host_net_stop(devices->net);
}

void host_devices_destroy(struct host_devices *devices)
{
	if (!devices)
		return;
	host_get_destroy(devices->get);
	host_disks_destroy(devices->disks);
	host_net_destroy(devices->net);
	vmgs_close(devices->vmgs);
	free(devices->settings);
	free(devices);
}
