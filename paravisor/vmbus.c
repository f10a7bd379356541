#include "paravisor/vmbus.h"

#include <errno.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_server.h"
#include "paravisor/hypercall.h"
#include "paravisor/machine.h"
#include "paravisor/relay.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

/*
 * A message slot that is taken becomes free when the guest says so to the hypervisor, which does not
 * tell us unless it is asked by a register of that VP. A guest that is slow with its messages is
 * starting up: looking again after a millisecond is no loss.
 */
#define RETRY_NS 1000000u

struct vmbus {
	struct machine *machine;
	struct vmbus_server *server;
	struct hypercall_sink sink;
	struct event_timer retry; /* of VP 0's loop */
};

static void look_again(struct event_timer *timer)
{
	struct vmbus *vmbus = container_of(timer, struct vmbus, retry);

	vmbus_server_message_slot_free(vmbus->server);
}

static void arm_retry(void *ctx)
{
	struct vmbus *vmbus = ctx;

	event_timer_arm(&vmbus->retry, event_loop_now_ns() + RETRY_NS);
}

/* --- toward VTL0 --- */

static int post_message(void *ctx, uint32_t vp, uint8_t sint, uint32_t type, const void *payload,
			size_t len)
{
	struct vmbus *vmbus = ctx;
	struct vtl *vtl = vmbus->machine->vtl;
	int ret = vtl->ops->post_message(vtl, vp, sint, type, payload, len);

	if (ret == -EAGAIN && event_loop_post(vmbus->machine->vps[0].loop, arm_retry, vmbus))
		log_limited(LOG_WARN, "out of memory for a VMBus message");
	return ret;
}

static int signal_event(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag)
{
	struct vmbus *vmbus = ctx;
	struct vtl *vtl = vmbus->machine->vtl;

	return vtl->ops->signal_event(vtl, vp, sint, flag);
}

static struct event_loop *vp_loop(void *ctx, uint32_t vp)
{
	struct vmbus *vmbus = ctx;

	return vp < vmbus->machine->topology.vp_count ? vmbus->machine->vps[vp].loop : NULL;
}

static const struct vmbus_transport_ops transport = {
	.post_message = post_message,
	.signal_event = signal_event,
	.vp_loop = vp_loop,
};

/* --- from VTL0 --- */

static enum hv_status to_status(int ret)
{
	switch (ret) {
	case 0:
		return HV_STATUS_SUCCESS;
	case -ENXIO:
		return HV_STATUS_INVALID_CONNECTION_ID;
	case -ENOBUFS:
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

static enum hv_status take_message(void *ctx, const struct hv_input_post_message *input)
{
	struct vmbus *vmbus = ctx;

	return to_status(vmbus_server_handle_message(vmbus->server, input->connection_id,
						     input->message_type, input->payload,
						     input->payload_size));
}

static enum hv_status take_event(void *ctx, uint32_t connection_id, uint16_t flag)
{
	struct vmbus *vmbus = ctx;

	return to_status(vmbus_server_handle_signal(vmbus->server, connection_id, flag));
}

static enum hv_status take_retarget(void *ctx, const struct retarget *retarget)
{
	struct vmbus *vmbus = ctx;
	struct relay *relay = vmbus->machine->relay;

	return relay && !relay_retarget(relay, retarget) ? HV_STATUS_SUCCESS
							 : HV_STATUS_INVALID_PARAMETER;
}

int vmbus_start(struct machine *machine)
{
	struct vmbus *vmbus = calloc(1, sizeof(*vmbus));
	struct vmbus_server_config config = {
		.ops = &transport,
		.ctx = vmbus,
		.memory = machine->memory,
		.vtl = 0,
	};

	if (!vmbus)
		return -ENOMEM;
	vmbus->machine = machine;
	vmbus->sink = (struct hypercall_sink){ take_message, take_event, take_retarget, vmbus };
	event_timer_init(&vmbus->retry, machine->vps[0].loop, look_again);
	vmbus->server = vmbus_server_create(&config);
	if (!vmbus->server) {
		free(vmbus);
		return -ENOMEM;
	}
	machine->vmbus = vmbus->server;
	machine->sink = &vmbus->sink;
	return 0;
}
