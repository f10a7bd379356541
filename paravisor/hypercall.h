#ifndef PARAVISOR_HYPERCALL_H
#define PARAVISOR_HYPERCALL_H

#include <stdint.h>

#include "proto/hv_hypercall.h"

struct guest_memory;
struct retarget;
struct vp_exit_hypercall;

/* Who takes VTL0's messages and events, and interrupts of its functions. Any VP's thread. HV_STATUS_*. */
struct hypercall_sink {
	enum hv_status (*post_message)(void *ctx, const struct hv_input_post_message *input);
	enum hv_status (*signal_event)(void *ctx, uint32_t connection_id, uint16_t flag);
	enum hv_status (*retarget)(void *ctx, const struct retarget *retarget);
	void *ctx;
};

/*
 * A hypercall that the hypervisor leaves to VTL2. sink: NULL, VTL0 has no connections at all.
 * Returns what VTL0 gets in RAX.
 */
union hv_hypercall_result hypercall_handle(const struct guest_memory *memory,
					   const struct hypercall_sink *sink,
					   const struct vp_exit_hypercall *call);

#endif
