#include "host/hypercall.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/log.h"
#include "host/host_port.h"
#include "host/level_routes.h"
#include "host/registers.h"
#include "host/translate.h"
#include "host/vmbus.h"
#include "host/vp.h"

#define EFER_LMA (1u << 10)

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
static const void *element(const struct hypercall *call, unsigned int i)
{
	return call->in.bytes + call->entry->input_size + i * call->entry->element_in;
}

static bool self(uint64_t partition_id)
{
	return partition_id == HV_PARTITION_ID_SELF;
}

/* HV_INPUT_VTL: the caller's own without the flag. A lower VTL never reaches a higher one. */
static int input_vtl(const struct hypercall *call, uint8_t byte, enum host_vtl *vtl)
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

static struct vp *input_vp(const struct hypercall *call, uint32_t index)
{
	return index == HV_VP_INDEX_SELF ? call->vcpu->vp
					 : vp_find(call->vcpu->vp->partition, index);
}

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
	struct vp *vp = input_vp(call, call->in.vp_registers.vp_index);
	struct hv_register_assoc assoc;
	int status;

	if (!self(call->in.vp_registers.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (input_vtl(call, call->in.vp_registers.input_vtl, &access.vtl))
		return HV_STATUS_ACCESS_DENIED;
	for (; i < call->control.rep_count; i++) {
		if (set) {
			memcpy(&assoc, element(call, i), sizeof(assoc));
			access.name = assoc.name;
			access.value = &assoc.value;
		} else {
			memcpy(&access.name, element(call, i), sizeof(access.name));
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

static uint16_t get_vp_registers(struct hypercall *call)
{
	return vp_registers(call, false);
}

static uint16_t set_vp_registers(struct hypercall *call)
{
	return vp_registers(call, true);
}

/* --- virtual processors --- */

static uint16_t send_ipi(struct hypercall *call, uint32_t vector, uint8_t vtl_byte,
			 unsigned int base, uint64_t mask)
{
	enum host_vtl vtl;
	struct vp *vp;

	if (input_vtl(call, vtl_byte, &vtl))
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

static uint16_t send_cluster_ipi(struct hypercall *call)
{
	return send_ipi(call, call->in.ipi.vector, call->in.ipi.target_vtl, 0,
			call->in.ipi.processor_mask);
}

/* All VPs fit in bank 0: HOST_MAX_VPS is 64. */
static uint16_t send_cluster_ipi_ex(struct hypercall *call)
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

static uint16_t enable_partition_vtl(struct hypercall *call)
{
	(void)call; /* VTL2 is there from the start, and there is no VTL1 */
	return HV_STATUS_VTL_ALREADY_ENABLED;
}

static uint16_t enable_vp_vtl(struct hypercall *call)
{
	if (!self(call->in.start_vp.partition_id))
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

static uint16_t start_virtual_processor(struct hypercall *call)
{
	struct vp *vp = vp_find(call->vcpu->vp->partition, call->in.start_vp.vp_index);
	int status;

	if (!self(call->in.start_vp.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (call->in.start_vp.target_vtl != 2)
		return HV_STATUS_INVALID_PARAMETER;
	status = vp_call(vp, start_vp, &call->in.start_vp.vp_context);
	return status < 0 ? HV_STATUS_OPERATION_FAILED : (uint16_t)status;
}

static uint16_t get_vp_index_from_apic_id(struct hypercall *call)
{
	unsigned int i = call->control.rep_start;
	uint32_t apic_id;

	if (!self(call->in.vp_index.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	for (; i < call->control.rep_count; i++) {
		memcpy(&apic_id, element(call, i), sizeof(apic_id));
		if (!vp_find(call->vcpu->vp->partition, apic_id))
			return HV_STATUS_INVALID_PARAMETER;
		call->out.vp_index[i] = apic_id;
		call->reps_done = i + 1;
	}
	return HV_STATUS_SUCCESS;
}

/* --- memory --- */

/* VTL2 protects its own memory from VTL0 from the start; here it changes that page by page. */
static uint16_t modify_vtl_protection_mask(struct hypercall *call)
{
	struct partition *partition = call->vcpu->vp->partition;
	uint32_t flags = call->in.protect.map_flags;
	enum host_access access = 0;
	unsigned int i = call->control.rep_start;
	enum host_vtl vtl;
	uint64_t page;
	int ret = 0;

	if (!self(call->in.protect.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (input_vtl(call, call->in.protect.input_vtl, &vtl) || vtl != HOST_VTL0)
		return HV_STATUS_ACCESS_DENIED;
	if (flags & ~HV_MAP_GPA_PERMISSIONS_MASK)
		return HV_STATUS_INVALID_PARAMETER;
	access |= flags & HV_MAP_GPA_READABLE ? HOST_READ : 0;
	access |= flags & HV_MAP_GPA_WRITABLE ? HOST_WRITE : 0;
	access |= flags & (HV_MAP_GPA_KERNEL_EXECUTABLE | HV_MAP_GPA_USER_EXECUTABLE) ? HOST_EXECUTE
										      : 0;
	pthread_mutex_lock(&partition->lock);
	for (; i < call->control.rep_count && !ret; i++) {
		memcpy(&page, element(call, i), sizeof(page));
		ret = page >> 52 ? -EFAULT
				 : host_memory_protect(&partition->memory, page * HV_PAGE_SIZE,
						       HV_PAGE_SIZE, access);
		call->reps_done = ret ? i : i + 1;
	}
	pthread_mutex_unlock(&partition->lock);
	return ret ? HV_STATUS_OPERATION_DENIED : HV_STATUS_SUCCESS;
}

static int translate(struct vp *vp, void *arg)
{
	struct hypercall *call = arg;

	translate_gva(&vp->vcpu[HOST_VTL0], &call->in.translate, &call->out.translate);
	return HV_STATUS_SUCCESS;
}

static uint16_t translate_virtual_address(struct hypercall *call)
{
	struct vp *vp = input_vp(call, call->in.translate.vp_index);
	enum host_vtl vtl;

	if (!self(call->in.translate.partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (input_vtl(call, (uint8_t)(call->in.translate.control_flags >> 56), &vtl) ||
	    vtl != HOST_VTL0)
		return HV_STATUS_ACCESS_DENIED;
	return vp_call(vp, translate, call) ? HV_STATUS_OPERATION_FAILED : HV_STATUS_SUCCESS;
}

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
static uint16_t install_intercept(struct hypercall *call)
{
	const struct hv_input_install_intercept *in = &call->in.intercept;
	struct installed_intercepts *intercepts = &call->vcpu->vp->partition->intercepts;
	uint16_t first = (uint16_t)in->intercept_parameter;
	uint16_t last = (uint16_t)(in->intercept_parameter >> 16);

	if (!self(in->partition_id))
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

static uint16_t post_message(struct hypercall *call)
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

static uint16_t signal_event(struct hypercall *call)
{
	if (!connected(call))
		return HV_STATUS_INVALID_CONNECTION_ID;
	return status_of(host_vmbus_signal(call->vcpu->vp->partition->vmbus,
					   call->in.signal.connection_id,
					   call->in.signal.flag_number));
}

static struct vcpu *direct_target(const struct hypercall *call, uint32_t index, uint8_t vtl)
{
	struct vp *vp = input_vp(call, index);

	return vp && vtl == 0 ? &vp->vcpu[HOST_VTL0] : NULL;
}

static uint16_t post_message_direct(struct hypercall *call)
{
	const struct hv_input_post_message_direct *in = &call->in.post_direct;
	struct vcpu *target = direct_target(call, in->vp_index, in->vtl);

	if (!self(in->partition_id))
		return HV_STATUS_INVALID_PARTITION_ID;
	if (!target)
		return HV_STATUS_INVALID_VP_INDEX;
	return status_of(synic_post(target, in->sint, in->message.header.message_type,
				    in->message.payload, in->message.header.payload_size));
}

static uint16_t signal_event_direct(struct hypercall *call)
{
	const struct hv_input_signal_event_direct *in = &call->in.signal_direct;
	struct vcpu *target = direct_target(call, in->target_vp, in->target_vtl);
	int ret;

	if (!self(in->target_partition))
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
	vp_signal_msi(call->vcpu->vp->partition, HOST_VTL0, address, data);
}

static uint16_t assert_virtual_interrupt(struct hypercall *call)
{
	struct hv_input_assert_virtual_interrupt *in = &call->in.interrupt;
	struct partition *partition = call->vcpu->vp->partition;
	struct vp *vp;

	if (!self(in->partition_id))
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
	  .handle = send_cluster_ipi },
	{ HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX, VTL0_VTL2, .input_size = 24,
	  .handle = send_cluster_ipi_ex },
	{ HV_CALL_MODIFY_VTL_PROTECTION_MASK, VTL2_ONLY, .input_size = 16, .element_in = 8,
	  .handle = modify_vtl_protection_mask },
	{ HV_CALL_ENABLE_PARTITION_VTL, VTL2_ONLY, .fast = true, .input_size = 16,
	  .handle = enable_partition_vtl },
	{ HV_CALL_ENABLE_VP_VTL, VTL2_ONLY, .input_size = 240, .handle = enable_vp_vtl },
	{ HV_CALL_START_VIRTUAL_PROCESSOR, VTL2_ONLY, .input_size = 240,
	  .handle = start_virtual_processor },
	{ HV_CALL_GET_VP_INDEX_FROM_APIC_ID, VTL2_ONLY, .input_size = 16, .element_in = 4,
	  .element_out = 4, .handle = get_vp_index_from_apic_id },
	{ HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, VTL0_VTL2, .input_size = 32,
	  .handle = nothing_to_do },
	{ HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX, VTL0_VTL2, .input_size = 32, .element_in = 8,
	  .handle = nothing_to_do },
	{ HV_CALL_INSTALL_INTERCEPT, VTL2_ONLY, .input_size = 24, .handle = install_intercept },
	{ HV_CALL_GET_VP_REGISTERS, VTL2_ONLY, .input_size = 16, .element_in = 4, .element_out = 16,
	  .handle = get_vp_registers },
	{ HV_CALL_SET_VP_REGISTERS, VTL2_ONLY, .input_size = 16, .element_in = 32,
	  .handle = set_vp_registers },
	{ HV_CALL_TRANSLATE_VIRTUAL_ADDRESS, VTL2_ONLY, .input_size = 32, .output_size = 16,
	  .handle = translate_virtual_address },
	{ HV_CALL_POST_MESSAGE, VTL0_VTL2, .input_size = 256, .handle = post_message },
	{ HV_CALL_SIGNAL_EVENT, VTL0_VTL2, .fast = true, .input_size = 8, .handle = signal_event },
	{ HV_CALL_POST_MESSAGE_DIRECT, VTL2_ONLY, .input_size = 276,
	  .handle = post_message_direct },
	{ HV_CALL_SIGNAL_EVENT_DIRECT, VTL2_ONLY, .fast = true, .input_size = 16, .output_size = 8,
	  .handle = signal_event_direct },
	{ HV_CALL_ASSERT_VIRTUAL_INTERRUPT, VTL2_ONLY, .input_size = 32,
	  .handle = assert_virtual_interrupt },
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

/* VTL0 has no connections but those that VTL2 may know. */
static bool for_vtl2(const struct hypercall *call)
{
	return call->vcpu->vtl == HOST_VTL0 &&
	       atomic_load(&call->vcpu->vp->partition->intercepts.connections) &&
	       (call->control.call_code == HV_CALL_POST_MESSAGE ||
		call->control.call_code == HV_CALL_SIGNAL_EVENT);
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
