#ifndef PROTO_HV_MESSAGE_H
#define PROTO_HV_MESSAGE_H

#include "proto/hv_register.h"

/* SynIC messages (TLFS 11.4) and the intercept messages that VTL2 receives. */

#define HV_MESSAGE_SIZE               256
#define HV_MESSAGE_PAYLOAD_BYTE_COUNT 240

/* HV_MESSAGE_TYPE. Bit 31 marks the hypervisor's own: a guest cannot post those. */
enum hv_message_type {
	HV_MESSAGE_TYPE_NONE = 0,
	HV_MESSAGE_TYPE_UNMAPPED_GPA = 0x80000000,
	HV_MESSAGE_TYPE_GPA_INTERCEPT = 0x80000001,
	HV_MESSAGE_TYPE_UNACCEPTED_GPA = 0x80000003,
	HV_MESSAGE_TYPE_ENABLE_PARTITION_VTL_INTERCEPT = 0x80000005,
	HV_MESSAGE_TYPE_TIMER_EXPIRED = 0x80000010,
	HV_MESSAGE_TYPE_INVALID_VP_REGISTER_VALUE = 0x80000020,
	HV_MESSAGE_TYPE_UNRECOVERABLE_EXCEPTION = 0x80000021,
	HV_MESSAGE_TYPE_UNSUPPORTED_FEATURE = 0x80000022,
	HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT = 0x80000050,
	HV_MESSAGE_TYPE_SYNIC_EVENT_INTERCEPT = 0x80000060,
	HV_MESSAGE_TYPE_SYNIC_SINT_INTERCEPT = 0x80000061,
	HV_MESSAGE_TYPE_SYNIC_SINT_DELIVERABLE = 0x80000062,
	HV_MESSAGE_TYPE_X64_IO_PORT_INTERCEPT = 0x80010000,
	HV_MESSAGE_TYPE_X64_MSR_INTERCEPT = 0x80010001,
	HV_MESSAGE_TYPE_X64_CPUID_INTERCEPT = 0x80010002,
	HV_MESSAGE_TYPE_X64_EXCEPTION_INTERCEPT = 0x80010003,
	HV_MESSAGE_TYPE_X64_APIC_EOI = 0x80010004,
	HV_MESSAGE_TYPE_REGISTER_INTERCEPT = 0x80010006,
	HV_MESSAGE_TYPE_X64_HALT = 0x80010007,
	HV_MESSAGE_TYPE_X64_INTERRUPTION_DELIVERABLE = 0x80010008,
	HV_MESSAGE_TYPE_X64_SIPI_INTERCEPT = 0x80010009,
};

#define HV_MESSAGE_FLAG_PENDING 0x01u

struct hv_message_header {
	uint32_t message_type; /* enum hv_message_type */
	uint8_t payload_size;
	uint8_t message_flags; /* HV_MESSAGE_FLAG_* */
	uint16_t reserved;
	uint64_t sender; /* partition, or port */
};
_Static_assert(sizeof(struct hv_message_header) == 16, "TLFS");

struct hv_message {
	struct hv_message_header header;
	uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT] __attribute__((aligned(8)));
};
_Static_assert(sizeof(struct hv_message) == HV_MESSAGE_SIZE, "TLFS");

/* Payload of HV_MESSAGE_TYPE_TIMER_EXPIRED. */
struct hv_timer_message_payload {
	uint32_t timer_index;
	uint32_t reserved;
	uint64_t expiration_time; /* 100 ns */
	uint64_t delivery_time;
};
_Static_assert(sizeof(struct hv_timer_message_payload) == 24, "TLFS");

/* Payload of HV_MESSAGE_TYPE_SYNIC_SINT_INTERCEPT is this, too. */
struct hv_notification_message_payload {
	uint32_t sint_index;
};

/* HV_INTERCEPT_ACCESS_TYPE */
enum hv_intercept_access_type {
	HV_INTERCEPT_ACCESS_READ = 0,
	HV_INTERCEPT_ACCESS_WRITE = 1,
	HV_INTERCEPT_ACCESS_EXECUTE = 2,
};

/* HV_X64_VP_EXECUTION_STATE */
union hv_x64_vp_execution_state {
	uint16_t as_uint16;
	struct {
		uint16_t cpl : 2;
		uint16_t cr0_pe : 1;
		uint16_t cr0_am : 1;
		uint16_t efer_lma : 1;
		uint16_t debug_active : 1;
		uint16_t interruption_pending : 1;
		uint16_t vtl : 4;
		uint16_t enclave_mode : 1;
		uint16_t interrupt_shadow : 1;
		uint16_t virtualization_fault_active : 1;
		uint16_t reserved : 2;
	};
};
_Static_assert(sizeof(union hv_x64_vp_execution_state) == 2, "TLFS");

struct hv_x64_intercept_message_header {
	uint32_t vp_index;
	uint8_t instruction_length : 4; /* 0: not known */
	uint8_t cr8 : 4;
	uint8_t intercept_access_type; /* enum hv_intercept_access_type */
	union hv_x64_vp_execution_state execution_state;
	struct hv_x64_segment_register cs_segment;
	uint64_t rip;
	uint64_t rflags;
};
_Static_assert(sizeof(struct hv_x64_intercept_message_header) == 40, "TLFS");

/* HV_X64_IO_PORT_ACCESS_INFO: bits 2-0 bytes per access, then the flags. */
#define HV_X64_IO_PORT_ACCESS_SIZE_MASK 0x07u
#define HV_X64_IO_PORT_STRING_OP        0x08u
#define HV_X64_IO_PORT_REP_PREFIX       0x10u

struct hv_x64_io_port_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint16_t port_number;
	uint8_t access_info;
	uint8_t instruction_byte_count;
	uint32_t reserved;
	uint64_t rax;
	uint8_t instruction_bytes[16];
	struct hv_x64_segment_register ds_segment; /* of the source operand: overrides applied */
	struct hv_x64_segment_register es_segment;
	uint64_t rcx;
	uint64_t rsi;
	uint64_t rdi;
};
_Static_assert(sizeof(struct hv_x64_io_port_intercept_message) == 128, "TLFS");
_Static_assert(offsetof(struct hv_x64_io_port_intercept_message, rcx) == 104, "TLFS");

/* HV_X64_MEMORY_ACCESS_INFO */
#define HV_X64_MEMORY_GVA_VALID        0x01u
#define HV_X64_MEMORY_GVA_GPA_VALID    0x02u
#define HV_X64_MEMORY_HYPERCALL_OUTPUT 0x04u
#define HV_X64_MEMORY_TLB_LOCKED       0x08u

/* HV_CACHE_TYPE */
enum hv_cache_type {
	HV_CACHE_TYPE_UNCACHED = 0,
	HV_CACHE_TYPE_WRITE_COMBINING = 1,
	HV_CACHE_TYPE_WRITE_THROUGH = 4,
	HV_CACHE_TYPE_WRITE_PROTECTED = 5,
	HV_CACHE_TYPE_WRITE_BACK = 6,
};

/* Payload of HV_MESSAGE_TYPE_UNMAPPED_GPA and HV_MESSAGE_TYPE_GPA_INTERCEPT. */
struct hv_x64_memory_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t cache_type; /* enum hv_cache_type */
	uint8_t instruction_byte_count;
	uint8_t memory_access_info; /* HV_X64_MEMORY_* */
	uint8_t tpr_priority;
	uint8_t reserved;
	uint64_t guest_virtual_address;
	uint64_t guest_physical_address;
	uint8_t instruction_bytes[16];
};
_Static_assert(sizeof(struct hv_x64_memory_intercept_message) == 80, "TLFS");
_Static_assert(offsetof(struct hv_x64_memory_intercept_message, guest_physical_address) == 56,
	       "TLFS");

struct hv_x64_msr_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t msr_number;
	uint32_t reserved;
	uint64_t rdx;
	uint64_t rax;
};
_Static_assert(sizeof(struct hv_x64_msr_intercept_message) == 64, "TLFS");

struct hv_x64_cpuid_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint64_t default_result_rax;
	uint64_t default_result_rcx;
	uint64_t default_result_rdx;
	uint64_t default_result_rbx;
};
_Static_assert(sizeof(struct hv_x64_cpuid_intercept_message) == 104, "TLFS");

#define HV_X64_EXCEPTION_ERROR_CODE_VALID 0x01u
#define HV_X64_EXCEPTION_SOFTWARE         0x02u

struct hv_x64_exception_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint16_t exception_vector;
	uint8_t exception_info; /* HV_X64_EXCEPTION_* */
	uint8_t instruction_byte_count;
	uint32_t error_code;
	uint64_t exception_parameter;
	uint64_t reserved;
	uint8_t instruction_bytes[16];
	struct hv_x64_segment_register ds_segment;
	struct hv_x64_segment_register ss_segment;
	uint64_t gp_registers[16];
};
_Static_assert(sizeof(struct hv_x64_exception_intercept_message) == 240, "TLFS");

/* The layout of a halt, and of an unrecoverable exception (a triple fault). */
struct hv_x64_halt_message {
	struct hv_x64_intercept_message_header header;
};

struct hv_x64_unrecoverable_exception_message {
	struct hv_x64_intercept_message_header header;
};

struct hv_x64_hypercall_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rbx;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t r8;
	uint64_t rsi;
	uint64_t rdi;
	struct hv_u128 xmm_registers[6];
	uint32_t flags; /* bit 0: from an isolated VTL */
	uint32_t reserved[3];
};
_Static_assert(sizeof(struct hv_x64_hypercall_intercept_message) == 208, "TLFS");
_Static_assert(offsetof(struct hv_x64_hypercall_intercept_message, xmm_registers) == 96, "TLFS");

/* No header: the VP is the one whose APIC saw the EOI. */
struct hv_x64_apic_eoi_message {
	uint32_t vp_index;
	uint32_t interrupt_vector;
};
_Static_assert(sizeof(struct hv_x64_apic_eoi_message) == 8, "TLFS");

struct hv_invalid_vp_register_message {
	uint32_t vp_index;
	uint32_t reserved;
};

struct hv_x64_interruption_deliverable_message {
	struct hv_x64_intercept_message_header header;
	uint8_t deliverable_type; /* enum hv_x64_pending_interruption_type */
	uint8_t reserved[7];
};
_Static_assert(sizeof(struct hv_x64_interruption_deliverable_message) == 48, "TLFS");

struct hv_x64_sipi_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t target_vp_index;
	uint32_t interrupt_vector;
};
_Static_assert(sizeof(struct hv_x64_sipi_intercept_message) == 48, "TLFS");

struct hv_x64_synic_sint_deliverable_message {
	struct hv_x64_intercept_message_header header;
	uint16_t deliverable_sints;
	uint16_t reserved1;
	uint32_t reserved2;
};
_Static_assert(sizeof(struct hv_x64_synic_sint_deliverable_message) == 48, "TLFS");

#endif
