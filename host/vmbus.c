#include "host/vmbus.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "devices/vmbus/vmbus_server.h"
#include "host/guest_view.h"
#include "host/partition.h"
#include "host/vp.h"

/*
 * The connection that VTL2's Linux tries first, where a host keeps messages for VTL2 apart from
 * those for VTL0. There is one server here, so it must fail and Linux takes the ordinary one.
 */
#define REDIRECT_CONNECTION_ID 0x800074

struct host_vmbus {
	struct partition *partition;
	struct event_loop *loop;
	pthread_t thread; /* runs the loop, all channels on it */
	bool started;
	atomic_bool stopping;
	struct guest_memory *memory;
	struct vmbus_server *server;
};

static int post_message(void *ctx, uint32_t vp_index, uint8_t sint, uint32_t type,
			const void *payload, size_t len)
{
	struct host_vmbus *vmbus = ctx;
	struct vp *vp = vp_find(vmbus->partition, vp_index);

	return vp ? synic_post(&vp->vcpu[HOST_VTL2], sint, type, payload, len) : -EINVAL;
}

static int signal_event(void *ctx, uint32_t vp_index, uint8_t sint, uint16_t flag)
{
	struct host_vmbus *vmbus = ctx;
	struct vp *vp = vp_find(vmbus->partition, vp_index);
	int ret = vp ? synic_signal(&vp->vcpu[HOST_VTL2], sint, flag) : -EINVAL;

	return ret < 0 ? ret : 0;
}

static struct event_loop *vp_loop(void *ctx, uint32_t vp_index)
{
	struct host_vmbus *vmbus = ctx;

	return vp_find(vmbus->partition, vp_index) ? vmbus->loop : NULL;
}

static const struct vmbus_transport_ops transport = {
	.post_message = post_message,
	.signal_event = signal_event,
	.vp_loop = vp_loop,
};

/* --- the thread --- */

static void *run_channels(void *arg)
{
	struct host_vmbus *vmbus = arg;

	while (!atomic_load(&vmbus->stopping) || !vmbus_server_is_idle(vmbus->server))
		event_loop_run_once(vmbus->loop, -1);
	while (event_loop_run_once(vmbus->loop, 0) > 0)
		;
	return NULL;
}

static void wake_up(void *ctx)
{
	(void)ctx; /* the thread looks at its condition */
}

void host_vmbus_stop(struct host_vmbus *vmbus)
{
	if (!vmbus || !vmbus->started)
		return;
	atomic_store(&vmbus->stopping, true);
	vmbus_server_reset(vmbus->server);
	event_loop_post(vmbus->loop, wake_up, NULL);
	pthread_join(vmbus->thread, NULL);
	vmbus->started = false;
}

void host_vmbus_destroy(struct host_vmbus *vmbus)
{
	if (!vmbus)
		return;
	host_vmbus_stop(vmbus);
	if (vmbus->server)
		vmbus_server_destroy(vmbus->server);
	if (vmbus->memory)
		guest_memory_destroy(vmbus->memory);
	if (vmbus->loop)
		event_loop_destroy(vmbus->loop);
	free(vmbus);
}

struct host_vmbus *host_vmbus_create(struct partition *partition)
{
	struct host_vmbus *vmbus = calloc(1, sizeof(*vmbus));
	struct vmbus_server_config config = { .ops = &transport, .ctx = vmbus, .vtl = 2 };

	if (!vmbus)
		return NULL;
	vmbus->partition = partition;
	vmbus->loop = event_loop_create();
	vmbus->memory = guest_memory_create();
	/* VTL2 may offer any of its memory and VTL0's to the host. */
	if (!vmbus->loop || !vmbus->memory ||
	    guest_view_fill(vmbus->memory, &partition->memory, HOST_VIEW_VTL2))
		goto destroy;
	config.memory = vmbus->memory;
	vmbus->server = vmbus_server_create(&config);
	if (!vmbus->server || pthread_create(&vmbus->thread, NULL, run_channels, vmbus))
		goto destroy;
	vmbus->started = true;
	return vmbus;

destroy:
	host_vmbus_destroy(vmbus);
	return NULL;
}

struct vmbus_server *host_vmbus_server(struct host_vmbus *vmbus)
{
	return vmbus->server;
}

const struct guest_memory *host_vmbus_memory(struct host_vmbus *vmbus)
{
	return vmbus->memory;
}

/* --- from the VPs --- */

void host_vmbus_message_slot_free(struct host_vmbus *vmbus)
{
	vmbus_server_message_slot_free(vmbus->server);
}

static int to_status(int ret)
{
	return ret == -ENXIO ? -ENOENT : ret == -ENOBUFS ? -EAGAIN : ret;
}

int host_vmbus_message(struct host_vmbus *vmbus, uint32_t connection, uint32_t type,
		       const void *payload, size_t len)
{
	if (connection == REDIRECT_CONNECTION_ID)
		return -ENOENT;
	return to_status(
		vmbus_server_handle_message(vmbus->server, connection, type, payload, len));
}

int host_vmbus_signal(struct host_vmbus *vmbus, uint32_t connection, uint16_t flag)
{
	return to_status(vmbus_server_handle_signal(vmbus->server, connection, flag));
}
