#include "host/hypercall.h"

#include <string.h>

#include "core/log.h"
#include "host/hypercall_internal.h"

#define EFER_LMA (1u << 10)

static uint16_t nothing_to_do(struct hypercall *call)
{
	/* Flushes: KVM keeps a VP's translations right by itself. A spin notice is a hint. */
	call->reps_done = call->control.rep_count;
	return HV_STATUS_SUCCESS;
}

/* --- dispatch --- */

#define VTL0_VTL2 .vtl0 = true, .vtl2 = true
#define VTL2_ONLY .vtl2 = true

static const struct hypercall_entry entries[] = {
	{ HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, VTL0_VTL2, .input_size = 24,
	  .handle = nothing_to_do },
	{ HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST, VTL0_VTL2, .input_size = 24, .element_in = 8,
	  .handle = nothing_to_do },
	{ HV_CALL_NOTIFY_LONG_SPIN_WAIT, VTL0_VTL2, .fast = true, .input_size = 8,
	  .handle = nothing_to_do },
	{ HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI, VTL0_VTL2, .fast = true, .input_size = 16,
	  .handle = hypercall_send_cluster_ipi },
	{ HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX, VTL0_VTL2, .input_size = 24,
	  .handle = hypercall_send_cluster_ipi_ex },
	{ HV_CALL_MODIFY_VTL_PROTECTION_MASK, VTL2_ONLY, .input_size = 16, .element_in = 8,
	  .handle = hypercall_modify_vtl_protection_mask },
	{ HV_CALL_ENABLE_PARTITION_VTL, VTL2_ONLY, .fast = true, .input_size = 16,
	  .handle = hypercall_enable_partition_vtl },
	{ HV_CALL_ENABLE_VP_VTL, VTL2_ONLY, .input_size = 240, .handle = hypercall_enable_vp_vtl },
	{ HV_CALL_START_VIRTUAL_PROCESSOR, VTL2_ONLY, .input_size = 240,
	  .handle = hypercall_start_virtual_processor },
	{ HV_CALL_GET_VP_INDEX_FROM_APIC_ID, VTL2_ONLY, .input_size = 16, .element_in = 4,
	  .element_out = 4, .handle = hypercall_get_vp_index_from_apic_id },
	{ HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, VTL0_VTL2, .input_size = 32,
	  .handle = nothing_to_do },
	{ HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX, VTL0_VTL2, .input_size = 32, .element_in = 8,
	  .handle = nothing_to_do },
	{ HV_CALL_INSTALL_INTERCEPT, VTL2_ONLY, .input_size = 24,
	  .handle = hypercall_install_intercept },
	{ HV_CALL_GET_VP_REGISTERS, VTL2_ONLY, .input_size = 16, .element_in = 4, .element_out = 16,
	  .handle = hypercall_get_vp_registers },
	{ HV_CALL_SET_VP_REGISTERS, VTL2_ONLY, .input_size = 16, .element_in = 32,
	  .handle = hypercall_set_vp_registers },
	{ HV_CALL_TRANSLATE_VIRTUAL_ADDRESS, VTL2_ONLY, .input_size = 32, .output_size = 16,
	  .handle = hypercall_translate_virtual_address },
	{ HV_CALL_POST_MESSAGE, VTL0_VTL2, .input_size = 256, .handle = hypercall_post_message },
	{ HV_CALL_SIGNAL_EVENT, VTL0_VTL2, .fast = true, .input_size = 8,
	  .handle = hypercall_signal_event },
	{ HV_CALL_POST_MESSAGE_DIRECT, VTL2_ONLY, .input_size = 276,
	  .handle = hypercall_post_message_direct },
	{ HV_CALL_SIGNAL_EVENT_DIRECT, VTL2_ONLY, .fast = true, .input_size = 16, .output_size = 8,
	  .handle = hypercall_signal_event_direct },
	{ HV_CALL_RETARGET_DEVICE_INTERRUPT, VTL2_ONLY, .input_size = 56,
	  .handle = hypercall_retarget_device_interrupt },
	{ HV_CALL_ASSERT_VIRTUAL_INTERRUPT, VTL2_ONLY, .input_size = 32,
	  .handle = hypercall_assert_virtual_interrupt },
};

static const struct hypercall_entry *find(const struct vcpu *vcpu, uint16_t code)
{
	size_t i;

	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		if (entries[i].code == code)
			return (vcpu->vtl == HOST_VTL0 ? entries[i].vtl0 : entries[i].vtl2)
				       ? &entries[i]
				       : NULL;
	return NULL;
}

static bool reserved_bits_set(union hv_hypercall_control c)
{
	return c.reserved0 || c.reserved1 || c.reserved2 || c.is_nested;
}

/* One page at most, 8-byte aligned, readable: copied once, here. */
static uint16_t read_input(struct hypercall *call)
{
	const struct host_memory *memory = &call->vcpu->vp->partition->memory;
	size_t len = call->entry->input_size + call->control.variable_header_size * 8u +
		     (size_t)call->control.rep_count * call->entry->element_in;

	if (call->control.is_fast) {
		if (!call->entry->fast || call->control.variable_header_size)
			return HV_STATUS_INVALID_HYPERCALL_INPUT;
		memcpy(call->in.bytes, &call->input_gpa, 8);
		memcpy(call->in.bytes + 8, &call->output_gpa, 8);
		return HV_STATUS_SUCCESS;
	}
	if (call->input_gpa % 8)
		return HV_STATUS_INVALID_ALIGNMENT;
	if (call->input_gpa % HV_PAGE_SIZE + len > HV_PAGE_SIZE)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (host_memory_read(memory, call->vcpu->view, call->input_gpa, call->in.bytes, len))
		return HV_STATUS_INVALID_PARAMETER;
	return HV_STATUS_SUCCESS;
}

static size_t output_len(const struct hypercall *call)
{
	return call->entry->output_size +
	       (size_t)call->control.rep_count * call->entry->element_out;
}

static uint16_t check_output(struct hypercall *call)
{
	size_t len = output_len(call);

	if (!len || call->control.is_fast)
		return HV_STATUS_SUCCESS;
	if (call->output_gpa % 8)
		return HV_STATUS_INVALID_ALIGNMENT;
	if (call->output_gpa % HV_PAGE_SIZE + len > HV_PAGE_SIZE)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (!host_memory_allows(&call->vcpu->vp->partition->memory, call->vcpu->view,
				call->output_gpa, len, HOST_WRITE))
		return HV_STATUS_INVALID_PARAMETER;
	return HV_STATUS_SUCCESS;
}

static uint16_t execute(struct hypercall *call)
{
	bool rep;
	uint16_t status;

	call->entry = find(call->vcpu, (uint16_t)call->control.call_code);
	if (!call->entry)
		return HV_STATUS_INVALID_HYPERCALL_CODE;
	rep = call->entry->element_in;
	if (reserved_bits_set(call->control) || rep != (call->control.rep_count != 0) ||
	    (rep && call->control.rep_start >= call->control.rep_count) ||
	    (!rep && call->control.rep_start))
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	status = read_input(call);
	if (!status)
		status = check_output(call);
	if (!status)
		status = call->entry->handle(call);
	if (!call->control.is_fast && output_len(call) && (!status || call->reps_done))
		host_memory_write(&call->vcpu->vp->partition->memory, call->vcpu->view,
				  call->output_gpa, call->out.bytes, output_len(call));
	return status;
}

/* TLFS 3.7: which registers, in 64-bit mode and otherwise. */
static bool long_mode(const struct vcpu *vcpu)
{
	return (vcpu_sregs(vcpu)->efer & EFER_LMA) && vcpu_sregs(vcpu)->cs.l;
}

static uint64_t pair(uint64_t high, uint64_t low)
{
	return high << 32 | (uint32_t)low;
}

static void load_registers(struct hypercall *call)
{
	const struct kvm_regs *regs = vcpu_regs(call->vcpu);

	if (long_mode(call->vcpu)) {
		call->control.as_uint64 = regs->rcx;
		call->input_gpa = regs->rdx;
		call->output_gpa = regs->r8;
	} else {
		call->control.as_uint64 = pair(regs->rdx, regs->rax);
		call->input_gpa = pair(regs->rbx, regs->rcx);
		call->output_gpa = pair(regs->rdi, regs->rsi);
	}
}

static void store_result(struct hypercall *call, uint16_t status)
{
	struct kvm_regs *regs = vcpu_write_regs(call->vcpu);
	union hv_hypercall_result result = { .status = status, .reps_completed = call->reps_done };

	if (long_mode(call->vcpu)) {
		regs->rax = result.as_uint64;
	} else {
		regs->rax = (uint32_t)result.as_uint64;
		regs->rdx = result.as_uint64 >> 32;
	}
}

/* VTL0 has no connections and no functions but those that VTL2 may know. */
static bool for_vtl2(const struct hypercall *call)
{
	const struct installed_intercepts *wanted = &call->vcpu->vp->partition->intercepts;

	if (call->vcpu->vtl != HOST_VTL0)
		return false;
	switch (call->control.call_code) {
	case HV_CALL_POST_MESSAGE:
	case HV_CALL_SIGNAL_EVENT:
		return atomic_load(&wanted->connections);
	case HV_CALL_RETARGET_DEVICE_INTERRUPT:
		return atomic_load(&wanted->retargets);
	}
	return false;
}

bool hypercall_dispatch(struct vcpu *vcpu)
{
	struct hypercall call = { .vcpu = vcpu };
	uint16_t status;

	load_registers(&call);
	if (for_vtl2(&call))
		return false;
	status = execute(&call);
	if (status)
		log_limited(LOG_DEBUG, "VTL%u VP %u: hypercall %#x: status %#x",
			    vcpu->vtl == HOST_VTL0 ? 0u : 2u, vcpu->vp->index,
			    (unsigned int)call.control.call_code, status);
	store_result(&call, status);
	return true;
}
