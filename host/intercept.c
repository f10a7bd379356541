#include "host/intercept.h"

#include <string.h>

#include "host/registers.h"
#include "host/translate.h"
#include "host/vp.h"
#include "host/vtl_switch.h"

#define CR0_PE   (1u << 0)
#define CR0_AM   (1u << 18)
#define EFER_LMA (1u << 10)

static void fill_header(const struct vcpu *vcpu, struct hv_x64_intercept_message_header *header,
			enum hv_intercept_access_type access, uint8_t length)
{
	const struct kvm_sregs *sregs = vcpu_sregs(vcpu);

	header->vp_index = vcpu->vp->index;
	header->instruction_length = length & 15;
	header->cr8 = sregs->cr8 & 15;
	header->intercept_access_type = (uint8_t)access;
	header->execution_state.cpl = sregs->ss.dpl;
	header->execution_state.cr0_pe = (sregs->cr0 & CR0_PE) != 0;
	header->execution_state.cr0_am = (sregs->cr0 & CR0_AM) != 0;
	header->execution_state.efer_lma = (sregs->efer & EFER_LMA) != 0;
	header->execution_state.interruption_pending =
		registers_get_pending_interruption(vcpu).interruption_pending;
	header->execution_state.interrupt_shadow = vcpu->run->s.regs.events.interrupt.shadow != 0;
	registers_get_segment(&sregs->cs, &header->cs_segment);
	header->rip = vcpu_regs(vcpu)->rip;
	header->rflags = vcpu_regs(vcpu)->rflags;
}

static void send(struct vcpu *vcpu, uint32_t type, const void *payload, size_t len)
{
	struct hv_message message = {
		.header = { .message_type = type, .payload_size = (uint8_t)len },
	};

	memcpy(message.payload, payload, len);
	vtl_switch_to_vtl2(vcpu->vp, &message);
}

void intercept_port(struct vcpu *vcpu, const struct port_access *access)
{
	const struct kvm_regs *regs = vcpu_regs(vcpu);
	struct hv_x64_io_port_intercept_message message = {
		.port_number = access->port,
		.access_info = access->size,
		.rax = regs->rax,
		.rcx = regs->rcx,
		.rsi = regs->rsi,
		.rdi = regs->rdi,
	};

	fill_header(vcpu, &message.header,
		    access->write ? HV_INTERCEPT_ACCESS_WRITE : HV_INTERCEPT_ACCESS_READ,
		    access->length);
	if (access->write)
		memcpy(&message.rax, &access->data, access->size);
	if (access->string) {
		message.access_info |= HV_X64_IO_PORT_STRING_OP;
		message.access_info |= access->rep ? HV_X64_IO_PORT_REP_PREFIX : 0;
		message.instruction_byte_count =
			(uint8_t)translate_fetch(vcpu, message.instruction_bytes);
	}
	registers_get_segment(&vcpu_sregs(vcpu)->ds, &message.ds_segment);
	registers_get_segment(&vcpu_sregs(vcpu)->es, &message.es_segment);
	send(vcpu, HV_MESSAGE_TYPE_X64_IO_PORT_INTERCEPT, &message, sizeof(message));
}

void intercept_memory(struct vcpu *vcpu, const struct fault *fault)
{
	static const enum hv_intercept_access_type types[] = {
		[HOST_READ] = HV_INTERCEPT_ACCESS_READ,
		[HOST_WRITE] = HV_INTERCEPT_ACCESS_WRITE,
		[HOST_EXECUTE] = HV_INTERCEPT_ACCESS_EXECUTE,
	};
	bool ram = host_memory_is_ram(&vcpu->vp->partition->memory, fault->gpa, 1);
	struct hv_x64_memory_intercept_message message = {
		.cache_type = ram ? HV_CACHE_TYPE_WRITE_BACK : HV_CACHE_TYPE_UNCACHED,
		.instruction_byte_count = fault->byte_count,
		.memory_access_info =
			fault->gva_valid ? HV_X64_MEMORY_GVA_VALID | HV_X64_MEMORY_GVA_GPA_VALID
					 : 0,
		.guest_virtual_address = fault->gva,
		.guest_physical_address = fault->gpa,
	};

	fill_header(vcpu, &message.header, types[fault->access], 0);
	memcpy(message.instruction_bytes, fault->bytes, fault->byte_count);
	send(vcpu, ram ? HV_MESSAGE_TYPE_GPA_INTERCEPT : HV_MESSAGE_TYPE_UNMAPPED_GPA, &message,
	     sizeof(message));
}

void intercept_msr(struct vcpu *vcpu, uint32_t msr, bool write, uint64_t value, uint8_t length)
{
	struct hv_x64_msr_intercept_message message = {
		.msr_number = msr,
		.rdx = value >> 32,
		.rax = (uint32_t)value,
	};

	fill_header(vcpu, &message.header,
		    write ? HV_INTERCEPT_ACCESS_WRITE : HV_INTERCEPT_ACCESS_READ, length);
	send(vcpu, HV_MESSAGE_TYPE_X64_MSR_INTERCEPT, &message, sizeof(message));
}

void intercept_hypercall(struct vcpu *vcpu, uint8_t length)
{
	const struct kvm_regs *regs = vcpu_regs(vcpu);
	struct hv_x64_hypercall_intercept_message message = {
		.rax = regs->rax,
		.rbx = regs->rbx,
		.rcx = regs->rcx,
		.rdx = regs->rdx,
		.r8 = regs->r8,
		.rsi = regs->rsi,
		.rdi = regs->rdi,
	};

	fill_header(vcpu, &message.header, HV_INTERCEPT_ACCESS_EXECUTE, length);
	memcpy(message.xmm_registers, vcpu->vp->fx + 160, sizeof(message.xmm_registers));
	send(vcpu, HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT, &message, sizeof(message));
}

void intercept_eoi(struct vcpu *vcpu, uint8_t vector)
{
	struct hv_x64_apic_eoi_message message = {
		.vp_index = vcpu->vp->index,
		.interrupt_vector = vector,
	};

	send(vcpu, HV_MESSAGE_TYPE_X64_APIC_EOI, &message, sizeof(message));
}

void intercept_unrecoverable(struct vcpu *vcpu)
{
	struct hv_x64_unrecoverable_exception_message message = { 0 };

	fill_header(vcpu, &message.header, HV_INTERCEPT_ACCESS_EXECUTE, 0);
	send(vcpu, HV_MESSAGE_TYPE_UNRECOVERABLE_EXCEPTION, &message, sizeof(message));
}

void intercept_deliverable(struct vcpu *vcpu)
{
	struct hv_x64_interruption_deliverable_message message = {
		.deliverable_type = HV_X64_PENDING_INTERRUPT,
	};

	fill_header(vcpu, &message.header, HV_INTERCEPT_ACCESS_EXECUTE, 0);
	send(vcpu, HV_MESSAGE_TYPE_X64_INTERRUPTION_DELIVERABLE, &message, sizeof(message));
}

void intercept_sints(struct vcpu *vcpu, uint16_t sints)
{
	struct hv_x64_synic_sint_deliverable_message message = { .deliverable_sints = sints };

	fill_header(vcpu, &message.header, HV_INTERCEPT_ACCESS_EXECUTE, 0);
	send(vcpu, HV_MESSAGE_TYPE_SYNIC_SINT_DELIVERABLE, &message, sizeof(message));
}
