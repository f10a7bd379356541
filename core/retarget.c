#include "core/retarget.h"

#include <errno.h>

#include "proto/hv_hypercall.h"

/* A mask, or a set whose valid banks and bank 0 are the variable part of the header. */
static int processor_mask(const struct hv_input_retarget_device_interrupt *in, const uint64_t *set,
			  size_t count, uint64_t *mask)
{
	*mask = in->processor_mask_or_format;
	if (!(in->flags & HV_DEVICE_INTERRUPT_TARGET_PROCESSOR_SET))
		return 0;
	if (in->processor_mask_or_format == HV_GENERIC_SET_ALL) {
		*mask = ~0ull;
		return 0;
	}
	if (in->processor_mask_or_format != HV_GENERIC_SET_SPARSE_4K || count < 2)
		return -EINVAL;
	*mask = set[0] & 1 ? set[1] : 0;
	return 0;
}

int retarget_parse(const struct hv_input_retarget_device_interrupt *in, const uint64_t *set,
		   size_t count, struct retarget *retarget)
{
	uint64_t mask;

	if (in->interrupt_entry.source != HV_INTERRUPT_SOURCE_MSI || in->device_id >> 32 ||
	    processor_mask(in, set, count, &mask) || !mask)
		return -EINVAL;
	*retarget = (struct retarget){
		.device_id = (uint32_t)in->device_id,
		.address = in->interrupt_entry.data[0],
		.data = in->interrupt_entry.data[1],
		.vp = (uint32_t)__builtin_ctzll(mask),
		.vector = in->vector,
	};
	return 0;
}
