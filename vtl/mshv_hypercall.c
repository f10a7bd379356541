#include "vtl/mshv_private.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/log.h"
#include "proto/hv_cpuid.h"

/* All that this program asks of the hypervisor beside what the driver does for it. */
static const uint16_t allowed_calls[] = {
	HV_CALL_MODIFY_VTL_PROTECTION_MASK, HV_CALL_INSTALL_INTERCEPT,
	HV_CALL_ASSERT_VIRTUAL_INTERRUPT,   HV_CALL_SIGNAL_EVENT_DIRECT,
	HV_CALL_POST_MESSAGE_DIRECT,
};

/* Intercepts that VTL2 wants of VTL0 and that a hypervisor does not give it by itself. */
static const struct hv_input_install_intercept intercepts[] = {
	{
		.partition_id = HV_PARTITION_ID_SELF,
		.access_type_mask = HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
		.intercept_type = HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE,
		.intercept_parameter = 0xffff0000, /* ports 0 to ffff */
	},
	{
		.partition_id = HV_PARTITION_ID_SELF,
		.access_type_mask = HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
		.intercept_type = HV_INTERCEPT_TYPE_X64_MSR, /* those it does not know */
	},
	{
		.partition_id = HV_PARTITION_ID_SELF,
		.access_type_mask = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
		.intercept_type = HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION,
	},
	{
		.partition_id = HV_PARTITION_ID_SELF,
		.access_type_mask = HV_INTERCEPT_ACCESS_MASK_WRITE,
		.intercept_type = HV_INTERCEPT_TYPE_X64_APIC_EOI,
	},
	{
		.partition_id = HV_PARTITION_ID_SELF,
		.access_type_mask = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
		.intercept_type = HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_WITH_UNKNOWN_DEVICE_ID,
	},
};

int mshv_hypercall(const struct mshv *mshv, uint16_t code, unsigned int reps, const void *input,
		   size_t input_len, void *output, size_t output_len, unsigned int *completed)
{
	union hv_hypercall_control control = { 0 };
	struct mshv_vtl_hvcall call = {
		.input_size = input_len,
		.input_ptr = (uintptr_t)input,
		.output_size = output_len,
		.output_ptr = (uintptr_t)output,
	};
	union hv_hypercall_result result;

	control.call_code = code;
	control.rep_count = reps;
	call.control = control.as_uint64;
	if (ioctl(mshv->hypercall_fd, MSHV_HVCALL, &call))
		return -errno;
	result.as_uint64 = call.status;
	if (completed)
		*completed = result.reps_completed;
	return result.status;
}

int mshv_status_to_errno(int status)
{
	if (status <= 0)
		return status;
	switch (status) {
	case HV_STATUS_INVALID_HYPERCALL_CODE:
		return -ENOSYS;
	case HV_STATUS_ACCESS_DENIED:
	case HV_STATUS_OPERATION_DENIED:
		return -EACCES;
	case HV_STATUS_INSUFFICIENT_MEMORY:
		return -ENOMEM;
	case HV_STATUS_INSUFFICIENT_BUFFERS:
	case HV_STATUS_OBJECT_IN_USE:
	case HV_STATUS_NOT_ACKNOWLEDGED:
		return -EAGAIN;
	case HV_STATUS_INVALID_VP_INDEX:
	case HV_STATUS_NOT_FOUND:
		return -ENOENT;
	}
	return -EIO;
}

/* A hypervisor without one of them either gives it anyway or has nothing that would need it. */
static void install_intercepts(const struct mshv *mshv)
{
	for (unsigned int i = 0; i < sizeof(intercepts) / sizeof(*intercepts); i++) {
		int ret = mshv_hypercall(mshv, HV_CALL_INSTALL_INTERCEPT, 0, &intercepts[i],
					 sizeof(intercepts[i]), NULL, 0, NULL);

		if (ret)
			log_info("intercept type %u not installed: status %#x",
				 intercepts[i].intercept_type, ret);
	}
}

int mshv_hypercall_setup(const struct mshv *mshv)
{
	uint64_t bitmap[(HV_CALL_POST_MESSAGE_DIRECT + 64) / 64] = { 0 };
	struct mshv_vtl_hvcall_setup setup = {
		.bitmap_array_size = sizeof(bitmap),
		.allow_bitmap_ptr = (uintptr_t)bitmap,
	};

	for (unsigned int i = 0; i < sizeof(allowed_calls) / sizeof(*allowed_calls); i++)
		bitmap[allowed_calls[i] / 64] |= 1ull << (allowed_calls[i] % 64);
	if (ioctl(mshv->hypercall_fd, MSHV_HVCALL_SETUP, &setup))
		return -errno;
	install_intercepts(mshv);
	return 0;
}

/* HvCallAssertVirtualInterrupt, TLFS 10.7 */
int mshv_assert_interrupt(struct vtl *vtl, const struct vtl_interrupt *interrupt)
{
	struct hv_input_assert_virtual_interrupt input = {
		.partition_id = HV_PARTITION_ID_SELF,
		.interrupt_control = {
			.interrupt_type = interrupt->type,
			.level_triggered = interrupt->level_triggered,
			.logical_dest_mode = interrupt->logical,
		},
		.destination_address = interrupt->destination,
		.requested_vector = interrupt->vector,
		.target_vtl = 0,
	};

	return mshv_status_to_errno(mshv_hypercall((struct mshv *)vtl,
						   HV_CALL_ASSERT_VIRTUAL_INTERRUPT, 0, &input,
						   sizeof(input), NULL, 0, NULL));
}

int mshv_post_message(struct vtl *vtl, uint32_t vp, uint8_t sint, uint32_t type,
		      const void *payload, size_t len)
{
	struct hv_input_post_message_direct input = {
		.partition_id = HV_PARTITION_ID_SELF,
		.vp_index = vp,
		.vtl = 0,
		.sint = sint,
	};

	if (len > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return -EMSGSIZE;
	input.message.header.message_type = type;
	input.message.header.payload_size = len;
	memcpy(input.message.payload, payload, len);
	return mshv_status_to_errno(mshv_hypercall((struct mshv *)vtl, HV_CALL_POST_MESSAGE_DIRECT,
						   0, &input, sizeof(input), NULL, 0, NULL));
}

int mshv_signal_event(struct vtl *vtl, uint32_t vp, uint8_t sint, uint16_t flag)
{
	struct hv_input_signal_event_direct input = {
		.target_partition = HV_PARTITION_ID_SELF,
		.target_vp = vp,
		.target_vtl = 0,
		.target_sint = sint,
		.flag_number = flag,
	};
	struct hv_output_signal_event_direct output;

	if (mshv_vp_signal_at_return((struct mshv *)vtl, vp, sint, flag))
		return 0;
	return mshv_status_to_errno(mshv_hypercall((struct mshv *)vtl, HV_CALL_SIGNAL_EVENT_DIRECT,
						   0, &input, sizeof(input), &output,
						   sizeof(output), NULL));
}

/* HvCallModifyVtlProtectionMask, TLFS 15.9.4: a page of input at a time. */
#define PROTECT_BATCH ((HV_PAGE_SIZE - sizeof(struct hv_input_modify_vtl_protection_mask)) / 8)

int mshv_protect(struct vtl *vtl, uint64_t gpa, uint64_t len, uint32_t access)
{
	struct {
		struct hv_input_modify_vtl_protection_mask head;
		uint64_t pages[PROTECT_BATCH];
	} input = {
		.head = {
			.partition_id = HV_PARTITION_ID_SELF,
			.map_flags = access,
			.input_vtl = 0 | HV_INPUT_VTL_USE_TARGET,
		},
	};
	uint64_t page = gpa / HV_PAGE_SIZE, end = (gpa + len) / HV_PAGE_SIZE;

	while (page < end) {
		unsigned int n = end - page < PROTECT_BATCH ? end - page : PROTECT_BATCH;
		unsigned int done = 0;
		int ret;

		for (unsigned int i = 0; i < n; i++)
			input.pages[i] = page + i;
		ret = mshv_hypercall((struct mshv *)vtl, HV_CALL_MODIFY_VTL_PROTECTION_MASK, n,
				     &input, sizeof(input.head) + 8 * n, NULL, 0, &done);
		if (ret)
			return mshv_status_to_errno(ret);
		if (!done || done > n) /* no error and no progress: do not loop for ever */
			return -EIO;
		page += done;
	}
	return 0;
}
