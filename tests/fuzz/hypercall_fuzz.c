#include <stdlib.h>
#include <string.h>

#include "core/guest_memory.h"
#include "core/retarget.h"
#include "paravisor/hypercall.h"
#include "vtl/vp_exit.h"

/* Any hypercall of VTL0 with any input block: the input is the call's registers, then memory. */

static uint8_t ram[8192] __attribute__((aligned(4096)));

static enum hv_status take_message(void *ctx, const struct hv_input_post_message *input)
{
	(void)ctx;
	if (input->payload_size > sizeof(input->payload) || input->message_type & 0x80000000)
		abort(); /* what a server may rely on */
	return HV_STATUS_SUCCESS;
}

static enum hv_status take_event(void *ctx, uint32_t connection_id, uint16_t flag)
{
	(void)ctx;
	return connection_id + flag ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_CONNECTION_ID;
}

static enum hv_status take_retarget(void *ctx, const struct retarget *retarget)
{
	(void)ctx;
	if (retarget->vp >= 64)
		abort();
	return retarget->data ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hypercall_sink sink = { take_message, take_event, take_retarget, NULL };
	static struct guest_memory *memory;
	struct vp_exit_hypercall call = { 0 };
	union hv_hypercall_result result;
	size_t n = size < sizeof(call) ? size : sizeof(call);

	if (!memory) {
		memory = guest_memory_create();
		if (!memory || guest_memory_add(memory, 0x1000, ram, sizeof(ram)))
			abort();
	}
	memcpy(&call, data, n);
	data += n;
	size -= n;
	memcpy(ram, data, size < sizeof(ram) ? size : sizeof(ram));
	result = hypercall_handle(memory, &sink, &call);
	if (result.reserved0 || result.reserved1 || result.reps_completed)
		abort();
	return 0;
}
