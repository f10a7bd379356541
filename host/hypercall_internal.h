#ifndef HOST_HYPERCALL_INTERNAL_H
#define HOST_HYPERCALL_INTERNAL_H

#include <errno.h>

#include "host/partition.h"
#include "host/vp.h"

/* Between the dispatcher (hypercall.c) and the handlers. One call, on the calling VP's thread. */

struct hypercall;

struct hypercall_entry {
	uint16_t code;
	bool vtl0, vtl2;      /* who may call */
	bool fast;            /* may be fast: input of at most 16 bytes in registers */
	uint16_t input_size;  /* of the fixed part, bytes */
	uint16_t element_in;  /* of a rep call: bytes per element */
	uint16_t output_size; /* of a call that is none */
	uint16_t element_out;
	uint16_t (*handle)(struct hypercall *call);
};

struct hypercall {
	struct vcpu *vcpu;
	const struct hypercall_entry *entry;
	union hv_hypercall_control control;
	uint64_t input_gpa, output_gpa; /* or, of a fast call, the input itself */
	unsigned int reps_done;
	union {
		uint8_t bytes[HV_PAGE_SIZE];
		struct hv_input_vp_registers vp_registers;
		struct hv_input_send_synthetic_cluster_ipi ipi;
		struct hv_input_send_synthetic_cluster_ipi_ex ipi_ex;
		struct hv_input_modify_vtl_protection_mask protect;
		struct hv_input_enable_partition_vtl enable_partition;
		struct hv_input_start_vp start_vp;
		struct hv_input_get_vp_index_from_apic_id vp_index;
		struct hv_input_translate_virtual_address translate;
		struct hv_input_post_message post;
		struct hv_input_signal_event signal;
		struct hv_input_post_message_direct post_direct;
		struct hv_input_signal_event_direct signal_direct;
		struct hv_input_assert_virtual_interrupt interrupt;
		struct hv_input_install_intercept intercept;
		struct hv_input_retarget_device_interrupt retarget;
	} in;
	union {
		uint8_t bytes[HV_PAGE_SIZE];
		union hv_register_value registers[HV_PAGE_SIZE / 16];
		uint32_t vp_index[HV_PAGE_SIZE / 4];
		struct hv_output_translate_virtual_address translate;
		struct hv_output_signal_event_direct signal_direct;
	} out;
};

/* Element i of a rep call's input list. */
static inline const void *hypercall_element(const struct hypercall *call, unsigned int i)
{
	return call->in.bytes + call->entry->input_size + i * call->entry->element_in;
}

static inline bool hypercall_self(uint64_t partition_id)
{
	return partition_id == HV_PARTITION_ID_SELF;
}

/* HV_INPUT_VTL: the caller's own without the flag. A lower VTL never reaches a higher one. */
static inline int hypercall_input_vtl(const struct hypercall *call, uint8_t byte,
				      enum host_vtl *vtl)
{
	uint8_t level = byte & HV_INPUT_VTL_MASK;

	if (!(byte & HV_INPUT_VTL_USE_TARGET)) {
		*vtl = call->vcpu->vtl;
		return 0;
	}
	if (level == 0) {
		*vtl = HOST_VTL0;
		return 0;
	}
	*vtl = HOST_VTL2;
	return level == 2 && call->vcpu->vtl == HOST_VTL2 ? 0 : -EINVAL;
}

static inline struct vp *hypercall_input_vp(const struct hypercall *call, uint32_t index)
{
	return index == HV_VP_INDEX_SELF ? call->vcpu->vp
					 : vp_find(call->vcpu->vp->partition, index);
}

/*
 * The handlers. Input has been copied and is as long as the entry and the rep count say, output has
 * room for as much; each returns an HV_STATUS and, of a rep call, sets reps_done.
 */

/* hypercall_vp.c */
uint16_t hypercall_get_vp_registers(struct hypercall *call);
uint16_t hypercall_set_vp_registers(struct hypercall *call);
uint16_t hypercall_send_cluster_ipi(struct hypercall *call);
uint16_t hypercall_send_cluster_ipi_ex(struct hypercall *call);
uint16_t hypercall_enable_partition_vtl(struct hypercall *call);
uint16_t hypercall_enable_vp_vtl(struct hypercall *call);
uint16_t hypercall_start_virtual_processor(struct hypercall *call);
uint16_t hypercall_get_vp_index_from_apic_id(struct hypercall *call);

/* hypercall_memory.c */
uint16_t hypercall_modify_vtl_protection_mask(struct hypercall *call);
uint16_t hypercall_translate_virtual_address(struct hypercall *call);

/* hypercall_signal.c */
uint16_t hypercall_install_intercept(struct hypercall *call);
uint16_t hypercall_post_message(struct hypercall *call);
uint16_t hypercall_signal_event(struct hypercall *call);
uint16_t hypercall_post_message_direct(struct hypercall *call);
uint16_t hypercall_signal_event_direct(struct hypercall *call);
uint16_t hypercall_assert_virtual_interrupt(struct hypercall *call);
uint16_t hypercall_retarget_device_interrupt(struct hypercall *call);

#endif
