#include "paravisor/vmbus.h"

#include <errno.h>
#include <stdlib.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/vmbus/vmbus_server.h"
#include "paravisor/hypercall.h"
#include "paravisor/interrupt.h"
#include "paravisor/machine.h"
#include "paravisor/relay.h"
#include "paravisor/vp.h"
#include "vtl/vtl.h"

struct vmbus {
	struct machine *machine;
	struct vmbus_server *server;
	struct hypercall_sink sink;
};

/*
 * A message slot that is taken becomes free when the guest says so to the hypervisor, which tells us if it is asked by
 * a register of that VP: on that VP's thread.
 */
static void want_slots(void *ctx)
{
	struct vp *vp = ctx;
	const union hv_deliverability_notifications_register slots = {
		.sints = __atomic_exchange_n(&vp->slots_wanted, 0, __ATOMIC_ACQ_REL),
	};
	int ret = interrupt_notify(vp, slots);

	if (ret)
		log_limited(LOG_WARN, "VP %u: no notice of free message slots: errno %d", vp->index,
			    -ret);
}

static void want_slot(struct vp *vp, uint8_t sint)
{
	uint16_t bit = (uint16_t)(1u << sint);

	if (__atomic_fetch_or(&vp->slots_wanted, bit, __ATOMIC_ACQ_REL) & bit)
		return; /* posted, and not run yet */
	if (event_loop_post(vp->loop, want_slots, vp))
		log_limited(LOG_WARN, "out of memory for a VMBus message");
}

void vmbus_slot_free(struct vp *vp, uint16_t sints)
{
	vp->wanted.sints &= (uint16_t)~sints;
	vmbus_server_message_slot_free(vp->machine->vmbus);
}

/* --- toward VTL0 --- */

static int post_message(void *ctx, uint32_t vp, uint8_t sint, uint32_t type, const void *payload,
			size_t len)
{
	struct vmbus *vmbus = ctx;
	struct vtl *vtl = vmbus->machine->vtl;
	int ret;

	if (vp >= vmbus->machine->topology.vp_count)
		return -ENOENT;
	ret = vtl->ops->post_message(vtl, vp, sint, type, payload, len);
	if (ret == -EAGAIN)
		want_slot(&vmbus->machine->vps[vp], sint);
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
	vmbus->server = vmbus_server_create(&config);
	if (!vmbus->server) {
		free(vmbus);
		return -ENOMEM;
	}
	machine->vmbus = vmbus->server;
	machine->sink = &vmbus->sink;
	return 0;
}
