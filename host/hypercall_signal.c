#include <string.h>

#include "core/retarget.h"
#include "host/host_port.h"
#include "host/hypercall_internal.h"
#include "host/level_routes.h"
#include "host/vmbus.h"
#include "host/vpci.h"

/* --- intercepts --- */

static void install_ports(struct installed_intercepts *intercepts, uint32_t mask, uint32_t first,
			  uint32_t last)
{
	uint32_t port;

	for (port = first; port <= last; port++) {
		if (mask & HV_INTERCEPT_ACCESS_MASK_READ)
			__atomic_fetch_or(&intercepts->ports[port / 8][0], 1u << port % 8,
					  __ATOMIC_RELAXED);
		if (mask & HV_INTERCEPT_ACCESS_MASK_WRITE)
			__atomic_fetch_or(&intercepts->ports[port / 8][1], 1u << port % 8,
					  __ATOMIC_RELAXED);
	}
}

/* Intercepts stay: VTL2 has no use for taking one back, and the TLFS's way (mask 0) does nothing. */
uint16_t hypercall_install_intercept(struct hypercall *call)
{
	const struct hv_input_install_intercept *in = &call->in.intercept;
	struct installed_intercepts *intercepts = &call->vcpu->vp->partition->intercepts;
	uint16_t first = (uint16_t)in->intercept_parameter;
	uint16_t last = (uint16_t)(in->intercept_parameter >> 16);

	if (!hypercall_self(in->partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!in->access_type_mask)
		return HV_STATUS_SUCCESS;
	switch (in->intercept_type) {
	case HV_INTERCEPT_TYPE_X64_IO_PORT:
		install_ports(intercepts, in->access_type_mask, first, first);
		return HV_STATUS_SUCCESS;
	case HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE:
		install_ports(intercepts, in->access_type_mask, first, last);
		return HV_STATUS_SUCCESS;
	case HV_INTERCEPT_TYPE_X64_MSR:
		atomic_store(&intercepts->msrs, true);
		return HV_STATUS_SUCCESS;
	case HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION:
		atomic_store(&intercepts->connections, true);
		return HV_STATUS_SUCCESS;
	case HV_INTERCEPT_TYPE_X64_APIC_EOI:
		atomic_store(&intercepts->eoi, true);
		return HV_STATUS_SUCCESS;
	case HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_WITH_UNKNOWN_DEVICE_ID:
		atomic_store(&intercepts->retargets, true);
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

/* --- messages, events, interrupts --- */

static uint16_t status_of(int ret)
{
	switch (ret) {
	case -EAGAIN:
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	case -ENODEV:
		return HV_STATUS_INVALID_SYNIC_STATE;
	case -ENOENT:
		return HV_STATUS_INVALID_CONNECTION_ID;
	default:
		return ret < 0 ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS;
	}
}

/* VTL0 has no connections of its own, and VTL2 did not ask to see it try: for_vtl2(). */
static bool connected(const struct hypercall *call)
{
	return call->vcpu->vtl == HOST_VTL2;
}

uint16_t hypercall_post_message(struct hypercall *call)
{
	const struct hv_input_post_message *in = &call->in.post;
	struct partition *partition = call->vcpu->vp->partition;

	if (!connected(call))
		return HV_STATUS_INVALID_CONNECTION_ID;
	if (in->payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT || in->message_type >> 31 ||
	    !in->message_type)
		return HV_STATUS_INVALID_PARAMETER;
	if (in->connection_id == HOST_PORT_CONNECTION_ID)
		return status_of(host_port_message(partition->port, in->message_type, in->payload,
						   in->payload_size));
	return status_of(host_vmbus_message(partition->vmbus, in->connection_id, in->message_type,
					    in->payload, in->payload_size));
}

uint16_t hypercall_signal_event(struct hypercall *call)
{
	if (!connected(call))
		return HV_STATUS_INVALID_CONNECTION_ID;
	return status_of(host_vmbus_signal(call->vcpu->vp->partition->vmbus,
					   call->in.signal.connection_id,
					   call->in.signal.flag_number));
}

static struct vcpu *direct_target(const struct hypercall *call, uint32_t index, uint8_t vtl)
{
	struct vp *vp = hypercall_input_vp(call, index);

	return vp && vtl == 0 ? &vp->vcpu[HOST_VTL0] : NULL;
}

uint16_t hypercall_post_message_direct(struct hypercall *call)
{
	const struct hv_input_post_message_direct *in = &call->in.post_direct;
	struct vcpu *target = direct_target(call, in->vp_index, in->vtl);

	if (!hypercall_self(in->partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!target)
		return HV_STATUS_INVALID_VP_INDEX;
	return status_of(synic_post_direct(target, in->sint, in->message.header.message_type,
					   in->message.payload, in->message.header.payload_size));
}

uint16_t hypercall_signal_event_direct(struct hypercall *call)
{
	const struct hv_input_signal_event_direct *in = &call->in.signal_direct;
	struct vcpu *target = direct_target(call, in->target_vp, in->target_vtl);
	int ret;

	if (!hypercall_self(in->target_partition))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!target)
		return HV_STATUS_INVALID_VP_INDEX;
	ret = synic_signal(target, in->target_sint, in->flag_number);
	call->out.signal_direct.newly_signaled = ret == 1;
	return status_of(ret);
}

static int inject_ext_int(struct vp *vp, void *arg)
{
	struct kvm_interrupt interrupt = { .irq = *(uint32_t *)arg };

	return kvm_ioctl(vp->vcpu[HOST_VTL0].fd, KVM_INTERRUPT, &interrupt);
}

/* SDM vol. 3, 11.11: the address and data of the message that says the same. */
static void assert_by_message(struct hypercall *call,
			      const struct hv_input_assert_virtual_interrupt *in)
{
	uint32_t address = HOST_LAPIC_BASE | (uint32_t)(in->destination_address & 0xff) << 12;
	uint32_t data = in->requested_vector | in->interrupt_control.interrupt_type << 8;

	if (in->interrupt_control.logical_dest_mode)
		address |= 1 << 3 | 1 << 2;
	if (in->interrupt_control.level_triggered)
		data |= 1 << 15 | 1 << 14;
	kvm_signal_msi(call->vcpu->vp->partition->vtl[HOST_VTL0].vm, address, data);
}

uint16_t hypercall_assert_virtual_interrupt(struct hypercall *call)
{
	struct hv_input_assert_virtual_interrupt *in = &call->in.interrupt;
	struct partition *partition = call->vcpu->vp->partition;
	struct vp *vp;

	if (!hypercall_self(in->partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (in->target_vtl != 0 || in->requested_vector > 255)
		return HV_STATUS_INVALID_PARAMETER;
	switch (in->interrupt_control.interrupt_type) {
	case HV_X64_INTERRUPT_TYPE_FIXED:
	case HV_X64_INTERRUPT_TYPE_LOWEST_PRIORITY:
		if (in->interrupt_control.level_triggered &&
		    level_routes_add(partition->routes, partition->vtl[HOST_VTL0].vm,
				     (uint8_t)in->requested_vector))
			return HV_STATUS_NO_RESOURCES;
		assert_by_message(call, in);
		return HV_STATUS_SUCCESS;
	case HV_X64_INTERRUPT_TYPE_NMI:
		assert_by_message(call, in);
		return HV_STATUS_SUCCESS;
	case HV_X64_INTERRUPT_TYPE_EXT_INT:
		vp = vp_find(partition, (uint32_t)in->destination_address);
		if (!vp)
			return HV_STATUS_INVALID_VP_INDEX;
		return vp_call(vp, inject_ext_int, &in->requested_vector) ? HV_STATUS_OBJECT_IN_USE
									  : HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

uint16_t hypercall_retarget_device_interrupt(struct hypercall *call)
{
	const struct hv_input_retarget_device_interrupt *in = &call->in.retarget;
	uint64_t set[2] = { 0 };
	struct retarget retarget;

	if (!hypercall_self(in->partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	memcpy(set, call->in.bytes + sizeof(*in), sizeof(set));
	if (retarget_parse(in, set, call->control.variable_header_size, &retarget))
		return HV_STATUS_INVALID_PARAMETER;
	return host_vpci_retarget(call->vcpu->vp->partition->vpci, &retarget)
		       ? HV_STATUS_INVALID_PARAMETER
		       : HV_STATUS_SUCCESS;
}
