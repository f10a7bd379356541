#ifndef PROTO_HV_HYPERCALL_H
#define PROTO_HV_HYPERCALL_H

#include "proto/hv_message.h"
#include "proto/hv_register.h"

/* Hypercalls: codes, control and result words, statuses, inputs and outputs (TLFS 4, appendix A). */

/* HV_CALL_CODE */
enum hv_call_code {
	HV_CALL_SWITCH_VIRTUAL_ADDRESS_SPACE = 0x0001,
	HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE = 0x0002,
	HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST = 0x0003,
	HV_CALL_NOTIFY_LONG_SPIN_WAIT = 0x0008,
	HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI = 0x000b,
	HV_CALL_MODIFY_VTL_PROTECTION_MASK = 0x000c,
	HV_CALL_ENABLE_PARTITION_VTL = 0x000d,
	HV_CALL_ENABLE_VP_VTL = 0x000f,
	HV_CALL_VTL_CALL = 0x0011,
	HV_CALL_VTL_RETURN = 0x0012,
	HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX = 0x0013,
	HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX = 0x0014,
	HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX = 0x0015,
	HV_CALL_INSTALL_INTERCEPT = 0x004d,
	HV_CALL_GET_VP_REGISTERS = 0x0050,
	HV_CALL_SET_VP_REGISTERS = 0x0051,
	HV_CALL_TRANSLATE_VIRTUAL_ADDRESS = 0x0052,
	HV_CALL_POST_MESSAGE = 0x005c,
	HV_CALL_SIGNAL_EVENT = 0x005d,
	HV_CALL_POST_DEBUG_DATA = 0x0069,
	HV_CALL_RETRIEVE_DEBUG_DATA = 0x006a,
	HV_CALL_RESET_DEBUG_SESSION = 0x006b,
	HV_CALL_OUTPUT_DEBUG_CHARACTER = 0x0071,
	HV_CALL_RETARGET_DEVICE_INTERRUPT = 0x007e,
	HV_CALL_REGISTER_INTERCEPT_RESULT = 0x0091,
	HV_CALL_ASSERT_VIRTUAL_INTERRUPT = 0x0094,
	HV_CALL_START_VIRTUAL_PROCESSOR = 0x0099,
	HV_CALL_GET_VP_INDEX_FROM_APIC_ID = 0x009a,
	HV_CALL_TRANSLATE_VIRTUAL_ADDRESS_EX = 0x00ac,
	HV_CALL_CHECK_FOR_IO_INTERCEPT = 0x00ad,
	HV_CALL_FLUSH_GUEST_PHYSICAL_ADDRESS_SPACE = 0x00af,
	HV_CALL_FLUSH_GUEST_PHYSICAL_ADDRESS_LIST = 0x00b0,
	HV_CALL_SIGNAL_EVENT_DIRECT = 0x00c0,
	HV_CALL_POST_MESSAGE_DIRECT = 0x00c1,
	HV_CALL_CHECK_SPARSE_GPA_PAGE_VTL_ACCESS = 0x00d4,
	HV_CALL_ACCEPT_GPA_PAGES = 0x00d9,
	HV_CALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY = 0x00db,
	HV_CALL_MEMORY_MAPPED_IO_READ = 0x0106,
	HV_CALL_MEMORY_MAPPED_IO_WRITE = 0x0107,
	HV_EXT_CALL_QUERY_CAPABILITIES = 0x8001,
};

/* HV_HYPERCALL_INPUT: RCX of a hypercall. */
union hv_hypercall_control {
	uint64_t as_uint64;
	struct {
		uint64_t call_code : 16;
		uint64_t is_fast : 1;               /* input in registers */
		uint64_t variable_header_size : 10; /* 8-byte units */
		uint64_t reserved0 : 4;
		uint64_t is_nested : 1;
		uint64_t rep_count : 12;
		uint64_t reserved1 : 4;
		uint64_t rep_start : 12;
		uint64_t reserved2 : 4;
	};
};
_Static_assert(sizeof(union hv_hypercall_control) == 8, "TLFS");

/* HV_HYPERCALL_OUTPUT: RAX afterwards. */
union hv_hypercall_result {
	uint64_t as_uint64;
	struct {
		uint64_t status : 16; /* HV_STATUS_* */
		uint64_t reserved0 : 16;
		uint64_t reps_completed : 12;
		uint64_t reserved1 : 20;
	};
};

/* HV_STATUS (TLFS appendix B) */
enum hv_status {
	HV_STATUS_SUCCESS = 0x0000,
	HV_STATUS_INVALID_HYPERCALL_CODE = 0x0002,
	HV_STATUS_INVALID_HYPERCALL_INPUT = 0x0003,
	HV_STATUS_INVALID_ALIGNMENT = 0x0004,
	HV_STATUS_INVALID_PARAMETER = 0x0005,
	HV_STATUS_ACCESS_DENIED = 0x0006,
	HV_STATUS_INVALID_PARTITION_STATE = 0x0007,
	HV_STATUS_OPERATION_DENIED = 0x0008,
	HV_STATUS_UNKNOWN_PROPERTY = 0x0009,
	HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE = 0x000a,
	HV_STATUS_INSUFFICIENT_MEMORY = 0x000b,
	HV_STATUS_INVALID_PARTITION_ID = 0x000d,
	HV_STATUS_INVALID_VP_INDEX = 0x000e,
	HV_STATUS_NOT_FOUND = 0x0010,
	HV_STATUS_INVALID_PORT_ID = 0x0011,
	HV_STATUS_INVALID_CONNECTION_ID = 0x0012,
	HV_STATUS_INSUFFICIENT_BUFFERS = 0x0013,
	HV_STATUS_NOT_ACKNOWLEDGED = 0x0014,
	HV_STATUS_INVALID_VP_STATE = 0x0015,
	HV_STATUS_INVALID_SYNIC_STATE = 0x0018,
	HV_STATUS_OBJECT_IN_USE = 0x0019,
	HV_STATUS_NO_RESOURCES = 0x001d,
	HV_STATUS_FEATURE_UNAVAILABLE = 0x001e,
	HV_STATUS_INVALID_LP_INDEX = 0x0041,
	HV_STATUS_INVALID_REGISTER_VALUE = 0x0050,
	HV_STATUS_INVALID_VTL_STATE = 0x0051,
	HV_STATUS_INVALID_DEVICE_ID = 0x0057,
	HV_STATUS_OPERATION_FAILED = 0x0071,
	HV_STATUS_TIME_OUT = 0x0078,
	HV_STATUS_CALL_PENDING = 0x0079,
	HV_STATUS_VTL_ALREADY_ENABLED = 0x0086,
	HV_STATUS_UNKNOWN_REGISTER_NAME = 0x0087,
};

/* HvCallGetVpRegisters and HvCallSetVpRegisters; rep lists follow. */
struct hv_input_vp_registers {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t input_vtl; /* HV_INPUT_VTL_* */
	uint8_t reserved[3];
	/* get: uint32_t names[]; set: struct hv_register_assoc elements[] */
};
_Static_assert(sizeof(struct hv_input_vp_registers) == 16, "TLFS");

/* HV_VP_SET (TLFS 7.8.7.3) */
enum hv_generic_set_format {
	HV_GENERIC_SET_SPARSE_4K = 0,
	HV_GENERIC_SET_ALL = 1,
};

struct hv_vp_set {
	uint64_t format; /* enum hv_generic_set_format */
	uint64_t valid_banks_mask;
	/* uint64_t bank_contents[], one for each bit of the mask, 64 VPs each */
};
_Static_assert(sizeof(struct hv_vp_set) == 16, "TLFS");

/* HvCallSendSyntheticClusterIpi; as a fast call RDX is the first eight bytes, R8 the mask. */
struct hv_input_send_synthetic_cluster_ipi {
	uint32_t vector;
	uint8_t target_vtl; /* HV_INPUT_VTL_* */
	uint8_t padding[3];
	uint64_t processor_mask;
};
_Static_assert(sizeof(struct hv_input_send_synthetic_cluster_ipi) == 16, "TLFS");

struct hv_input_send_synthetic_cluster_ipi_ex {
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t padding[3];
	struct hv_vp_set vp_set;
};
_Static_assert(sizeof(struct hv_input_send_synthetic_cluster_ipi_ex) == 24, "TLFS");

/* HV_FLUSH_FLAGS */
#define HV_FLUSH_ALL_PROCESSORS             (1ull << 0)
#define HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES (1ull << 1)
#define HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY   (1ull << 2)
#define HV_FLUSH_USE_EXTENDED_RANGE_FORMAT  (1ull << 3)

/* HvCallFlushVirtualAddressSpace and ...List; the list's GVA ranges (8 bytes each) follow. */
struct hv_input_flush_virtual_address_space {
	uint64_t address_space;
	uint64_t flags; /* HV_FLUSH_* */
	uint64_t processor_mask;
};
_Static_assert(sizeof(struct hv_input_flush_virtual_address_space) == 24, "TLFS");

struct hv_input_flush_virtual_address_space_ex {
	uint64_t address_space;
	uint64_t flags;
	struct hv_vp_set vp_set;
};
_Static_assert(sizeof(struct hv_input_flush_virtual_address_space_ex) == 32, "TLFS");

struct hv_input_flush_guest_physical_address_space {
	uint64_t address_space;
	uint64_t flags;
};

/* HV_MAP_GPA_FLAGS */
#define HV_MAP_GPA_READABLE          0x1u
#define HV_MAP_GPA_WRITABLE          0x2u
#define HV_MAP_GPA_KERNEL_EXECUTABLE 0x4u
#define HV_MAP_GPA_USER_EXECUTABLE   0x8u
#define HV_MAP_GPA_PERMISSIONS_MASK  0xfu

/* HvCallModifyVtlProtectionMask; a rep list of GPA page numbers (8 bytes each) follows. */
struct hv_input_modify_vtl_protection_mask {
	uint64_t partition_id;
	uint32_t map_flags; /* HV_MAP_GPA_* */
	uint8_t input_vtl;  /* HV_INPUT_VTL_* */
	uint8_t reserved[3];
};
_Static_assert(sizeof(struct hv_input_modify_vtl_protection_mask) == 16, "TLFS");

struct hv_input_enable_partition_vtl {
	uint64_t partition_id;
	uint8_t target_vtl;
	uint8_t flags; /* bit 0: MBEC */
	uint16_t reserved0;
	uint32_t reserved1;
};
_Static_assert(sizeof(struct hv_input_enable_partition_vtl) == 16, "TLFS");

/* HvCallEnableVpVtl and HvCallStartVirtualProcessor. */
struct hv_input_start_vp {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t target_vtl;
	uint8_t reserved[3];
	struct hv_initial_vp_context vp_context;
};
_Static_assert(sizeof(struct hv_input_start_vp) == 240, "TLFS");

/* HvCallGetVpIndexFromApicId; a rep list of uint32_t APIC ids in, of VP indexes out. */
struct hv_input_get_vp_index_from_apic_id {
	uint64_t partition_id;
	uint8_t target_vtl;
	uint8_t reserved[7];
};
_Static_assert(sizeof(struct hv_input_get_vp_index_from_apic_id) == 16, "TLFS");

/* HV_INTERCEPT_TYPE */
enum hv_intercept_type {
	HV_INTERCEPT_TYPE_X64_IO_PORT = 0,
	HV_INTERCEPT_TYPE_X64_MSR = 1,
	HV_INTERCEPT_TYPE_X64_CPUID = 2,
	HV_INTERCEPT_TYPE_EXCEPTION = 3,
	HV_INTERCEPT_TYPE_HYPERCALL = 8,
	HV_INTERCEPT_TYPE_X64_MSR_INDEX = 12,
	HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION = 13,
	HV_INTERCEPT_TYPE_X64_APIC_EOI = 14,
	HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_WITH_UNKNOWN_DEVICE_ID = 15,
	HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE = 17, /* parameter: first | last << 16 */
};

#define HV_INTERCEPT_ACCESS_MASK_READ    1u
#define HV_INTERCEPT_ACCESS_MASK_WRITE   2u
#define HV_INTERCEPT_ACCESS_MASK_EXECUTE 4u

struct hv_input_install_intercept {
	uint64_t partition_id;
	uint32_t access_type_mask; /* HV_INTERCEPT_ACCESS_MASK_* */
	uint32_t intercept_type;   /* enum hv_intercept_type */
	uint64_t intercept_parameter;
};
_Static_assert(sizeof(struct hv_input_install_intercept) == 24, "TLFS");

/* HvCallRegisterInterceptResult for a CPUID leaf: bits of the answer, overridden where masked. */
struct hv_input_register_intercept_result_cpuid {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t intercept_type; /* HV_INTERCEPT_TYPE_X64_CPUID */
	uint32_t input_eax;
	uint32_t input_ecx;
	uint8_t subleaf_specific;
	uint8_t always_override;
	uint16_t padding;
	uint32_t eax, eax_mask;
	uint32_t ebx, ebx_mask;
	uint32_t ecx, ecx_mask;
	uint32_t edx, edx_mask;
	uint32_t padding2;
};
_Static_assert(sizeof(struct hv_input_register_intercept_result_cpuid) == 64, "TLFS");

/* HV_TRANSLATE_GVA_CONTROL_FLAGS; the target VTL (HV_INPUT_VTL_*) is in bits 63-56. */
#define HV_TRANSLATE_GVA_VALIDATE_READ       (1ull << 0)
#define HV_TRANSLATE_GVA_VALIDATE_WRITE      (1ull << 1)
#define HV_TRANSLATE_GVA_VALIDATE_EXECUTE    (1ull << 2)
#define HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT    (1ull << 3)
#define HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS (1ull << 4)
#define HV_TRANSLATE_GVA_TLB_FLUSH_INHIBIT   (1ull << 5)
#define HV_TRANSLATE_GVA_SUPERVISOR_ACCESS   (1ull << 6)
#define HV_TRANSLATE_GVA_USER_ACCESS         (1ull << 7)
#define HV_TRANSLATE_GVA_ENFORCE_SMAP        (1ull << 8)
#define HV_TRANSLATE_GVA_OVERRIDE_SMAP       (1ull << 9)
#define HV_TRANSLATE_GVA_VTL_SHIFT           56

struct hv_input_translate_virtual_address {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t padding;
	uint64_t control_flags;
	uint64_t gva_page;
};
_Static_assert(sizeof(struct hv_input_translate_virtual_address) == 32, "TLFS");

enum hv_translate_gva_result_code {
	HV_TRANSLATE_GVA_SUCCESS = 0,
	HV_TRANSLATE_GVA_PAGE_NOT_PRESENT = 1,
	HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION = 2,
	HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS = 3,
	HV_TRANSLATE_GVA_GPA_UNMAPPED = 4,
	HV_TRANSLATE_GVA_GPA_NO_READ_ACCESS = 5,
	HV_TRANSLATE_GVA_GPA_NO_WRITE_ACCESS = 6,
	HV_TRANSLATE_GVA_GPA_ILLEGAL_OVERLAY_ACCESS = 7,
	HV_TRANSLATE_GVA_INTERCEPT = 8,
	HV_TRANSLATE_GVA_GPA_UNACCEPTED = 9,
};

struct hv_output_translate_virtual_address {
	uint32_t result_code; /* enum hv_translate_gva_result_code */
	uint8_t cache_type;
	uint8_t overlay_page; /* bit 0 */
	uint16_t reserved;
	uint64_t gpa_page;
};
_Static_assert(sizeof(struct hv_output_translate_virtual_address) == 16, "TLFS");

struct hv_output_translate_virtual_address_ex {
	uint32_t result_code;
	uint8_t cache_type;
	uint8_t overlay_page;
	uint16_t reserved0;
	uint64_t reserved1;
	struct hv_u128 event_info[2]; /* pending event 0 and 1 */
	uint64_t gpa_page;
	uint64_t reserved2;
};
_Static_assert(sizeof(struct hv_output_translate_virtual_address_ex) == 64, "TLFS");

struct hv_input_post_message {
	uint32_t connection_id;
	uint32_t reserved;
	uint32_t message_type;
	uint32_t payload_size;
	uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
};
_Static_assert(sizeof(struct hv_input_post_message) == 256, "TLFS");

struct hv_input_signal_event {
	uint32_t connection_id;
	uint16_t flag_number;
	uint16_t reserved;
};
_Static_assert(sizeof(struct hv_input_signal_event) == 8, "TLFS");

/* HvCallPostMessageDirect; what is not aligned to 8 here is not in the specification either. */
struct hv_input_post_message_direct {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t vtl;
	uint8_t padding0[3];
	uint8_t sint;
	uint8_t padding1[3];
	struct hv_message message;
} __attribute__((packed));
_Static_assert(sizeof(struct hv_input_post_message_direct) == 276, "TLFS");
_Static_assert(offsetof(struct hv_input_post_message_direct, message) == 20, "TLFS");

struct hv_input_signal_event_direct {
	uint64_t target_partition;
	uint32_t target_vp;
	uint8_t target_vtl;
	uint8_t target_sint;
	uint16_t flag_number;
};
_Static_assert(sizeof(struct hv_input_signal_event_direct) == 16, "TLFS");

struct hv_output_signal_event_direct {
	uint8_t newly_signaled;
	uint8_t reserved[7];
};
_Static_assert(sizeof(struct hv_output_signal_event_direct) == 8, "TLFS");

/* HV_INTERRUPT_TYPE (x64) */
enum hv_interrupt_type {
	HV_X64_INTERRUPT_TYPE_FIXED = 0,
	HV_X64_INTERRUPT_TYPE_LOWEST_PRIORITY = 1,
	HV_X64_INTERRUPT_TYPE_SMI = 2,
	HV_X64_INTERRUPT_TYPE_REMOTE_READ = 3,
	HV_X64_INTERRUPT_TYPE_NMI = 4,
	HV_X64_INTERRUPT_TYPE_INIT = 5,
	HV_X64_INTERRUPT_TYPE_SIPI = 6,
	HV_X64_INTERRUPT_TYPE_EXT_INT = 7,
	HV_X64_INTERRUPT_TYPE_LOCAL_INT0 = 8,
	HV_X64_INTERRUPT_TYPE_LOCAL_INT1 = 9,
};

/* HV_INTERRUPT_CONTROL */
union hv_interrupt_control {
	uint64_t as_uint64;
	struct {
		uint32_t interrupt_type; /* enum hv_interrupt_type */
		uint32_t level_triggered : 1;
		uint32_t logical_dest_mode : 1;
		uint32_t reserved : 30;
	};
};

struct hv_input_assert_virtual_interrupt {
	uint64_t partition_id;
	union hv_interrupt_control interrupt_control;
	uint64_t destination_address; /* APIC id, or logical destination */
	uint32_t requested_vector;
	uint8_t target_vtl;
	uint8_t reserved0;
	uint16_t reserved1;
};
_Static_assert(sizeof(struct hv_input_assert_virtual_interrupt) == 32, "TLFS");

/* HV_INTERRUPT_ENTRY */
enum hv_interrupt_source {
	HV_INTERRUPT_SOURCE_MSI = 1,
	HV_INTERRUPT_SOURCE_IOAPIC = 2,
};

struct hv_interrupt_entry {
	uint32_t source; /* enum hv_interrupt_source */
	uint32_t reserved;
	uint32_t data[2]; /* MSI: address (low half), data; IOAPIC: redirection entry */
};
_Static_assert(sizeof(struct hv_interrupt_entry) == 16, "TLFS");

#define HV_DEVICE_INTERRUPT_TARGET_MULTICAST     1u
#define HV_DEVICE_INTERRUPT_TARGET_PROCESSOR_SET 2u

/* HvCallRetargetDeviceInterrupt; with PROCESSOR_SET the banks of the set follow. */
struct hv_input_retarget_device_interrupt {
	uint64_t partition_id;
	uint64_t device_id;
	struct hv_interrupt_entry interrupt_entry;
	uint64_t reserved;
	uint32_t vector;
	uint32_t flags;                    /* HV_DEVICE_INTERRUPT_TARGET_* */
	uint64_t processor_mask_or_format; /* mask, or hv_vp_set.format */
};
_Static_assert(sizeof(struct hv_input_retarget_device_interrupt) == 56, "TLFS");

#define HV_HYPERCALL_MMIO_MAX_DATA_LENGTH 64

struct hv_input_memory_mapped_io_read {
	uint64_t gpa;
	uint32_t access_width; /* bytes */
	uint32_t reserved;
};

struct hv_output_memory_mapped_io_read {
	uint8_t data[HV_HYPERCALL_MMIO_MAX_DATA_LENGTH];
};

struct hv_input_memory_mapped_io_write {
	uint64_t gpa;
	uint32_t access_width;
	uint32_t reserved;
	uint8_t data[HV_HYPERCALL_MMIO_MAX_DATA_LENGTH];
};
_Static_assert(sizeof(struct hv_input_memory_mapped_io_write) == 80, "TLFS");

#endif
