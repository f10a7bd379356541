#include "vtl/mshv_decode.h"

#include <string.h>

#include "proto/hv.h"
#include "vtl/vp_exit.h"

/* The payload as `type`, whose bytes the sender claims to have filled in. */
#define PAYLOAD(message, type) \
	((message)->header.payload_size >= sizeof(type) ? (const type *)(message)->payload : NULL)

static void decode_header(struct vp_exit *exit, const struct hv_x64_intercept_message_header *h)
{
	exit->rip = h->rip;
	exit->instruction_length = h->instruction_length;
	exit->cpl = h->execution_state.cpl;
	exit->interrupt_shadow = h->execution_state.interrupt_shadow;
	exit->long_mode =
		h->execution_state.efer_lma && (h->cs_segment.attributes & HV_X64_SEGMENT_LONG);
}

/* More than 15 bytes are no instruction: then none is known. */
static void decode_bytes(struct vp_exit *exit, const uint8_t bytes[16], unsigned int count)
{
	if (count > 15)
		return;
	exit->instruction_byte_count = count;
	memcpy(exit->instruction_bytes, bytes, count);
}

static void decode_pio(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_io_port_intercept_message *m =
		PAYLOAD(message, struct hv_x64_io_port_intercept_message);
	unsigned int size;

	if (!m)
		return;
	size = m->access_info & HV_X64_IO_PORT_ACCESS_SIZE_MASK;
	if (size != 1 && size != 2 && size != 4)
		return;
	exit->kind = VP_EXIT_PIO;
	decode_header(exit, &m->header);
	decode_bytes(exit, m->instruction_bytes, m->instruction_byte_count);
	exit->pio.port = m->port_number;
	exit->pio.size = size;
	exit->pio.write = m->header.intercept_access_type == HV_INTERCEPT_ACCESS_WRITE;
	exit->pio.string = m->access_info & HV_X64_IO_PORT_STRING_OP;
	exit->pio.value = size == 4 ? m->rax : m->rax & ((1u << (8 * size)) - 1);
}

static void decode_memory(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_memory_intercept_message *m =
		PAYLOAD(message, struct hv_x64_memory_intercept_message);
	const uint8_t both = HV_X64_MEMORY_GVA_VALID | HV_X64_MEMORY_GVA_GPA_VALID;

	if (!m || m->header.intercept_access_type > HV_INTERCEPT_ACCESS_EXECUTE)
		return;
	exit->kind = VP_EXIT_MEMORY;
	decode_header(exit, &m->header);
	decode_bytes(exit, m->instruction_bytes, m->instruction_byte_count);
	exit->memory.gpa = m->guest_physical_address;
	exit->memory.gva = m->guest_virtual_address;
	exit->memory.gva_valid = (m->memory_access_info & both) == both;
	exit->memory.access = m->header.intercept_access_type;
	exit->memory.protection = message->header.message_type == HV_MESSAGE_TYPE_GPA_INTERCEPT;
}

static void decode_msr(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_msr_intercept_message *m =
		PAYLOAD(message, struct hv_x64_msr_intercept_message);

	if (!m)
		return;
	exit->kind = VP_EXIT_MSR;
	decode_header(exit, &m->header);
	exit->msr.index = m->msr_number;
	exit->msr.write = m->header.intercept_access_type == HV_INTERCEPT_ACCESS_WRITE;
	exit->msr.value = m->rdx << 32 | (uint32_t)m->rax;
}

static void decode_cpuid(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_cpuid_intercept_message *m =
		PAYLOAD(message, struct hv_x64_cpuid_intercept_message);

	if (!m)
		return;
	exit->kind = VP_EXIT_CPUID;
	decode_header(exit, &m->header);
	exit->cpuid.leaf = m->rax;
	exit->cpuid.subleaf = m->rcx;
	exit->cpuid.eax = m->default_result_rax;
	exit->cpuid.ebx = m->default_result_rbx;
	exit->cpuid.ecx = m->default_result_rcx;
	exit->cpuid.edx = m->default_result_rdx;
}

static uint64_t pair(uint64_t high, uint64_t low)
{
	return high << 32 | (uint32_t)low;
}

/* TLFS 3.7: where the registers of a hypercall are in 64-bit code and elsewhere. */
static void decode_hypercall(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_hypercall_intercept_message *m =
		PAYLOAD(message, struct hv_x64_hypercall_intercept_message);

	if (!m)
		return;
	exit->kind = VP_EXIT_HYPERCALL;
	decode_header(exit, &m->header);
	if (exit->long_mode) {
		exit->hypercall.control = m->rcx;
		exit->hypercall.input[0] = m->rdx;
		exit->hypercall.input[1] = m->r8;
	} else {
		exit->hypercall.control = pair(m->rdx, m->rax);
		exit->hypercall.input[0] = pair(m->rbx, m->rcx);
		exit->hypercall.input[1] = pair(m->rdi, m->rsi);
	}
	if (!exit->instruction_length)
		exit->instruction_length = 3; /* VMCALL and VMMCALL */
}

static void decode_eoi(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_apic_eoi_message *m = PAYLOAD(message, struct hv_x64_apic_eoi_message);

	if (!m || m->interrupt_vector > 0xff)
		return;
	exit->kind = VP_EXIT_EOI;
	exit->eoi_vector = m->interrupt_vector;
}

/* Those that say nothing beyond the header. */
static void decode_plain(const struct hv_message *message, struct vp_exit *exit,
			 enum vp_exit_kind kind)
{
	const struct hv_x64_intercept_message_header *h =
		PAYLOAD(message, struct hv_x64_intercept_message_header);

	if (!h)
		return;
	exit->kind = kind;
	decode_header(exit, h);
}

static void decode_sints(const struct hv_message *message, struct vp_exit *exit)
{
	const struct hv_x64_synic_sint_deliverable_message *m =
		PAYLOAD(message, struct hv_x64_synic_sint_deliverable_message);

	if (!m)
		return;
	exit->kind = VP_EXIT_SLOT_FREE;
	decode_header(exit, &m->header);
	exit->free_sints = m->deliverable_sints;
}

void mshv_decode_message(const struct hv_message *message, struct vp_exit *exit)
{
	*exit = (struct vp_exit){
		.kind = VP_EXIT_UNKNOWN,
		.message_type = message->header.message_type,
	};
	if (message->header.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return;
	switch (message->header.message_type) {
	case HV_MESSAGE_TYPE_X64_IO_PORT_INTERCEPT:
		decode_pio(message, exit);
		break;
	case HV_MESSAGE_TYPE_UNMAPPED_GPA:
	case HV_MESSAGE_TYPE_GPA_INTERCEPT:
		decode_memory(message, exit);
		break;
	case HV_MESSAGE_TYPE_X64_MSR_INTERCEPT:
		decode_msr(message, exit);
		break;
	case HV_MESSAGE_TYPE_X64_CPUID_INTERCEPT:
		decode_cpuid(message, exit);
		break;
	case HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT:
		decode_hypercall(message, exit);
		break;
	case HV_MESSAGE_TYPE_X64_HALT:
		decode_plain(message, exit, VP_EXIT_HALT);
		break;
	case HV_MESSAGE_TYPE_X64_APIC_EOI:
		decode_eoi(message, exit);
		break;
	case HV_MESSAGE_TYPE_X64_INTERRUPTION_DELIVERABLE:
		decode_plain(message, exit, VP_EXIT_INTERRUPTIBLE);
		break;
	case HV_MESSAGE_TYPE_SYNIC_SINT_DELIVERABLE:
		decode_sints(message, exit);
		break;
	case HV_MESSAGE_TYPE_UNRECOVERABLE_EXCEPTION:
		decode_plain(message, exit, VP_EXIT_CRASH);
		break;
	}
}
