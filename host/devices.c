#include "host/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
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
		[HOST_GET_POWER_OFF] = RUN_POWER_OFF,
		[HOST_GET_RESET] = RUN_RESET,
		[HOST_GET_CRASH] = RUN_GUEST_CRASH,
		[HOST_GET_FAILURE] = RUN_FAILURE,
	};
	struct host_devices *devices = ctx;

	partition_end(devices->partition, outcomes[how], "%s", reason);
}

static uint64_t reference_time(void *ctx)
{
	struct host_devices *devices = ctx;

	return reference_time_now(&devices->partition->time);
}

static const struct host_get_ops get_ops = {
	.ended = ended,
	.reference_time = reference_time,
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
