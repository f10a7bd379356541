#include <string.h>

#include "core/log.h"
#include "host/hypercall_internal.h"
#include "host/registers.h"

/* --- registers --- */

struct register_access {
	enum host_vtl vtl;
	uint32_t name;
	union hv_register_value *value;
	bool set;
};

static int access_register(struct vp *vp, void *arg)
{
	struct register_access *a = arg;
	struct vcpu *vcpu = &vp->vcpu[a->vtl];

	return a->set ? register_set(vcpu, a->name, a->value)
		      : register_get(vcpu, a->name, a->value);
}

static uint16_t vp_registers(struct hypercall *call, bool set)
{
	struct register_access access = { .set = set };
	unsigned int i = call->control.rep_start;
	struct vp *vp = hypercall_input_vp(call, call->in.vp_registers.vp_index);
	struct hv_register_assoc assoc;
	int status;

	if (!hypercall_self(call->in.vp_registers.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (hypercall_input_vtl(call, call->in.vp_registers.input_vtl, &access.vtl))
		return HV_STATUS_ACCESS_DENIED;
	for (; i < call->control.rep_count; i++) {
		if (set) {
			memcpy(&assoc, hypercall_element(call, i), sizeof(assoc));
			access.name = assoc.name;
			access.value = &assoc.value;
		} else {
			memcpy(&access.name, hypercall_element(call, i), sizeof(access.name));
			access.value = &call->out.registers[i];
		}
		status = vp_call(vp, access_register, &access);
		if (status) {
			log_limited(LOG_DEBUG, "%s of register %#x: status %#x",
				    set ? "set" : "get", access.name, status);
			return status < 0 ? HV_STATUS_OPERATION_FAILED : (uint16_t)status;
		}
		call->reps_done = i + 1;
	}
	return HV_STATUS_SUCCESS;
}

uint16_t hypercall_get_vp_registers(struct hypercall *call)
{
	return vp_registers(call, false);
}

uint16_t hypercall_set_vp_registers(struct hypercall *call)
{
	return vp_registers(call, true);
}

/* --- virtual processors --- */

static uint16_t send_ipi(struct hypercall *call, uint32_t vector, uint8_t vtl_byte,
			 unsigned int base, uint64_t mask)
{
	enum host_vtl vtl;
	struct vp *vp;

	if (hypercall_input_vtl(call, vtl_byte, &vtl))
		return HV_STATUS_ACCESS_DENIED;
	if (vector < HV_SYNIC_FIRST_VALID_VECTOR || vector > 255)
		return HV_STATUS_INVALID_PARAMETER;
	for (; mask; mask &= mask - 1) {
		vp = vp_find(call->vcpu->vp->partition, base + (unsigned int)__builtin_ctzll(mask));
		if (vp)
			vp_interrupt(vp, vtl, (uint8_t)vector);
	}
	return HV_STATUS_SUCCESS;
}

uint16_t hypercall_send_cluster_ipi(struct hypercall *call)
{
	return send_ipi(call, call->in.ipi.vector, call->in.ipi.target_vtl, 0,
			call->in.ipi.processor_mask);
}

/* All VPs fit in bank 0: HOST_MAX_VPS is 64. */
uint16_t hypercall_send_cluster_ipi_ex(struct hypercall *call)
{
	const struct hv_vp_set *set = &call->in.ipi_ex.vp_set;
	uint64_t bank = 0;

	if (set->format == HV_GENERIC_SET_ALL)
		bank = ~0ull;
	else if (set->format != HV_GENERIC_SET_SPARSE_4K)
		return HV_STATUS_INVALID_PARAMETER;
	else if ((set->valid_banks_mask & 1) && call->control.variable_header_size)
		memcpy(&bank, call->in.bytes + sizeof(call->in.ipi_ex), sizeof(bank));
	return send_ipi(call, call->in.ipi_ex.vector, call->in.ipi_ex.target_vtl, 0, bank);
}

uint16_t hypercall_enable_partition_vtl(struct hypercall *call)
{
	(void)call; /* VTL2 is there from the start, and there is no VTL1 */
	return HV_STATUS_VTL_ALREADY_ENABLED;
}

uint16_t hypercall_enable_vp_vtl(struct hypercall *call)
{
	if (!hypercall_self(call->in.start_vp.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp_find(call->vcpu->vp->partition, call->in.start_vp.vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	return HV_STATUS_VTL_ALREADY_ENABLED;
}

static int start_vp(struct vp *vp, void *arg)
{
	if (atomic_exchange(&vp->vtl2_started, true))
		return HV_STATUS_INVALID_VP_STATE;
	return registers_set_initial(&vp->vcpu[HOST_VTL2], arg) ? HV_STATUS_INVALID_PARAMETER
								: HV_STATUS_SUCCESS;
}

uint16_t hypercall_start_virtual_processor(struct hypercall *call)
{
	struct vp *vp = vp_find(call->vcpu->vp->partition, call->in.start_vp.vp_index);
	int status;

	if (!hypercall_self(call->in.start_vp.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (call->in.start_vp.target_vtl != 2)
		return HV_STATUS_INVALID_PARAMETER;
	status = vp_call(vp, start_vp, &call->in.start_vp.vp_context);
	return status < 0 ? HV_STATUS_OPERATION_FAILED : (uint16_t)status;
}

uint16_t hypercall_get_vp_index_from_apic_id(struct hypercall *call)
{
	unsigned int i = call->control.rep_start;
	uint32_t apic_id;

	if (!hypercall_self(call->in.vp_index.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	for (; i < call->control.rep_count; i++) {
		memcpy(&apic_id, hypercall_element(call, i), sizeof(apic_id));
		if (!vp_find(call->vcpu->vp->partition, apic_id))
			return HV_STATUS_INVALID_PARAMETER;
		call->out.vp_index[i] = apic_id;
		call->reps_done = i + 1;
	}
	return HV_STATUS_SUCCESS;
}
