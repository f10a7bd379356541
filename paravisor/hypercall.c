#include "paravisor/hypercall.h"

#include "core/guest_memory.h"
#include "core/retarget.h"
#include "proto/hv_cpuid.h"
#include "vtl/vp_exit.h"

/* TLFS 3.8: input blocks are aligned to 8 bytes and do not cross a page. */
static enum hv_status read_input(const struct guest_memory *memory, uint64_t gpa, void *input,
				 size_t len)
{
	if (gpa % 8)
		return HV_STATUS_INVALID_ALIGNMENT;
	if (gpa % HV_PAGE_SIZE + len > HV_PAGE_SIZE)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (guest_memory_read(memory, gpa, input, len))
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	return HV_STATUS_SUCCESS;
}

/* HvCallPostMessage, TLFS 11.11.1: too long for a fast call. */
static enum hv_status post_message(const struct guest_memory *memory,
				   const struct hypercall_sink *sink,
				   const struct vp_exit_hypercall *call,
				   union hv_hypercall_control control)
{
	struct hv_input_post_message input;
	enum hv_status status;

	if (control.is_fast)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	status = read_input(memory, call->input[0], &input, sizeof(input));
	if (status)
		return status;
	if (input.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT || input.reserved)
		return HV_STATUS_INVALID_PARAMETER;
	if (input.message_type & 0x80000000) /* the hypervisor's own */
		return HV_STATUS_INVALID_PARAMETER;
	if (!sink)
		return HV_STATUS_INVALID_CONNECTION_ID;
	return sink->post_message(sink->ctx, &input);
}

/* HvCallSignalEvent, TLFS 11.11.2 */
static enum hv_status signal_event(const struct guest_memory *memory,
				   const struct hypercall_sink *sink,
				   const struct vp_exit_hypercall *call,
				   union hv_hypercall_control control)
{
	struct hv_input_signal_event input;
	enum hv_status status;

	if (control.is_fast) {
		input.connection_id = call->input[0];
		input.flag_number = call->input[0] >> 32;
	} else {
		status = read_input(memory, call->input[0], &input, sizeof(input));
		if (status)
			return status;
	}
	if (!sink)
		return HV_STATUS_INVALID_CONNECTION_ID;
	return sink->signal_event(sink->ctx, input.connection_id, input.flag_number);
}

/* HvCallRetargetDeviceInterrupt, TLFS "Interrupt Controller": a set of VPs is in the variable header. */
static enum hv_status retarget(const struct guest_memory *memory, const struct hypercall_sink *sink,
			       const struct vp_exit_hypercall *call,
			       union hv_hypercall_control control)
{
	struct {
		struct hv_input_retarget_device_interrupt fixed;
		uint64_t set[2]; /* what is looked at of it */
	} input = { 0 };
	size_t words = control.variable_header_size;
	struct retarget parsed;
	enum hv_status status;

	if (control.is_fast)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (words > 2)
		words = 2;
	status = read_input(memory, call->input[0], &input, sizeof(input.fixed) + words * 8);
	if (status)
		return status;
	if (input.fixed.partition_id != HV_PARTITION_ID_SELF)
		return HV_STATUS_INVALID_PARTITION_ID;
	if (retarget_parse(&input.fixed, input.set, words, &parsed) || !sink)
		return HV_STATUS_INVALID_PARAMETER;
	return sink->retarget(sink->ctx, &parsed);
}

static enum hv_status call_status(const struct guest_memory *memory,
				  const struct hypercall_sink *sink,
				  const struct vp_exit_hypercall *call)
{
	union hv_hypercall_control control = { .as_uint64 = call->control };

	if (control.rep_count || control.rep_start || control.reserved0 || control.reserved1 ||
	    control.reserved2)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (control.call_code == HV_CALL_RETARGET_DEVICE_INTERRUPT)
		return retarget(memory, sink, call, control);
	if (control.variable_header_size)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	switch (control.call_code) {
	case HV_CALL_POST_MESSAGE:
		return post_message(memory, sink, call, control);
	case HV_CALL_SIGNAL_EVENT:
		return signal_event(memory, sink, call, control);
	}
	return HV_STATUS_INVALID_HYPERCALL_CODE;
}

union hv_hypercall_result hypercall_handle(const struct guest_memory *memory,
					   const struct hypercall_sink *sink,
					   const struct vp_exit_hypercall *call)
{
	union hv_hypercall_result result = { 0 };

	result.status = call_status(memory, sink, call);
	return result;
}
