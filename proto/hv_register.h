#ifndef PROTO_HV_REGISTER_H
#define PROTO_HV_REGISTER_H

#include <stddef.h>
#include <stdint.h>

/* Virtual processor registers (TLFS 7.9), the register page and the VP assist page. */

#define HV_VP_INDEX_SELF     0xfffffffeu
#define HV_ANY_VP            0xffffffffu
#define HV_PARTITION_ID_SELF 0xffffffffffffffffull

/* HV_INPUT_VTL: the low four bits name a VTL, which counts only with bit 4 set. */
#define HV_INPUT_VTL_MASK       0x0fu
#define HV_INPUT_VTL_USE_TARGET 0x10u

/* HV_REGISTER_NAME */
enum hv_register_name {
	HV_REGISTER_EXPLICIT_SUSPEND = 0x00000000,
	HV_REGISTER_INTERCEPT_SUSPEND = 0x00000001,
	HV_REGISTER_INSTRUCTION_EMULATION_HINTS = 0x00000002,
	HV_REGISTER_DISPATCH_SUSPEND = 0x00000003,
	HV_REGISTER_INTERNAL_ACTIVITY_STATE = 0x00000004,

	/* 128 bits each: what CPUID 40000002 and 40000003 to 4000000C say. */
	HV_REGISTER_HYPERVISOR_VERSION = 0x00000100,
	HV_REGISTER_PRIVILEGES_AND_FEATURES_INFO = 0x00000200,
	HV_REGISTER_FEATURES_INFO = 0x00000201,
	HV_REGISTER_IMPLEMENTATION_LIMITS_INFO = 0x00000202,
	HV_REGISTER_HARDWARE_FEATURES_INFO = 0x00000203,
	HV_REGISTER_CPU_MANAGEMENT_FEATURES_INFO = 0x00000204,
	HV_REGISTER_ISOLATION_CONFIGURATION = 0x00000209,

	HV_REGISTER_GUEST_CRASH_P0 = 0x00000210,
	HV_REGISTER_GUEST_CRASH_P4 = 0x00000214,
	HV_REGISTER_GUEST_CRASH_CTL = 0x00000215,

	HV_REGISTER_PENDING_INTERRUPTION = 0x00010002,
	HV_REGISTER_INTERRUPT_STATE = 0x00010003,
	HV_REGISTER_PENDING_EVENT0 = 0x00010004,
	HV_REGISTER_PENDING_EVENT1 = 0x00010005,
	HV_REGISTER_DELIVERABILITY_NOTIFICATIONS = 0x00010006,

	/* General purpose, in the order of their encoding. */
	HV_X64_REGISTER_RAX = 0x00020000,
	HV_X64_REGISTER_RCX = 0x00020001,
	HV_X64_REGISTER_RDX = 0x00020002,
	HV_X64_REGISTER_RBX = 0x00020003,
	HV_X64_REGISTER_RSP = 0x00020004,
	HV_X64_REGISTER_RBP = 0x00020005,
	HV_X64_REGISTER_RSI = 0x00020006,
	HV_X64_REGISTER_RDI = 0x00020007,
	HV_X64_REGISTER_R8 = 0x00020008,
	HV_X64_REGISTER_R9 = 0x00020009,
	HV_X64_REGISTER_R10 = 0x0002000a,
	HV_X64_REGISTER_R11 = 0x0002000b,
	HV_X64_REGISTER_R12 = 0x0002000c,
	HV_X64_REGISTER_R13 = 0x0002000d,
	HV_X64_REGISTER_R14 = 0x0002000e,
	HV_X64_REGISTER_R15 = 0x0002000f,
	HV_X64_REGISTER_RIP = 0x00020010,
	HV_X64_REGISTER_RFLAGS = 0x00020011,

	HV_X64_REGISTER_XMM0 = 0x00030000,
	HV_X64_REGISTER_XMM15 = 0x0003000f,
	HV_X64_REGISTER_FP_MMX0 = 0x00030010,
	HV_X64_REGISTER_FP_MMX7 = 0x00030017,
	HV_X64_REGISTER_FP_CONTROL_STATUS = 0x00030018,
	HV_X64_REGISTER_XMM_CONTROL_STATUS = 0x00030019,

	HV_X64_REGISTER_CR0 = 0x00040000,
	HV_X64_REGISTER_CR2 = 0x00040001,
	HV_X64_REGISTER_CR3 = 0x00040002,
	HV_X64_REGISTER_CR4 = 0x00040003,
	HV_X64_REGISTER_CR8 = 0x00040004,
	HV_X64_REGISTER_XFEM = 0x00040005,

	HV_X64_REGISTER_DR0 = 0x00050000,
	HV_X64_REGISTER_DR1 = 0x00050001,
	HV_X64_REGISTER_DR2 = 0x00050002,
	HV_X64_REGISTER_DR3 = 0x00050003,
	HV_X64_REGISTER_DR6 = 0x00050004,
	HV_X64_REGISTER_DR7 = 0x00050005,

	HV_X64_REGISTER_ES = 0x00060000,
	HV_X64_REGISTER_CS = 0x00060001,
	HV_X64_REGISTER_SS = 0x00060002,
	HV_X64_REGISTER_DS = 0x00060003,
	HV_X64_REGISTER_FS = 0x00060004,
	HV_X64_REGISTER_GS = 0x00060005,
	HV_X64_REGISTER_LDTR = 0x00060006,
	HV_X64_REGISTER_TR = 0x00060007,

	HV_X64_REGISTER_IDTR = 0x00070000,
	HV_X64_REGISTER_GDTR = 0x00070001,

	HV_X64_REGISTER_TSC = 0x00080000,
	HV_X64_REGISTER_EFER = 0x00080001,
	HV_X64_REGISTER_KERNEL_GS_BASE = 0x00080002,
	HV_X64_REGISTER_APIC_BASE = 0x00080003,
	HV_X64_REGISTER_PAT = 0x00080004,
	HV_X64_REGISTER_SYSENTER_CS = 0x00080005,
	HV_X64_REGISTER_SYSENTER_EIP = 0x00080006,
	HV_X64_REGISTER_SYSENTER_ESP = 0x00080007,
	HV_X64_REGISTER_STAR = 0x00080008,
	HV_X64_REGISTER_LSTAR = 0x00080009,
	HV_X64_REGISTER_CSTAR = 0x0008000a,
	HV_X64_REGISTER_SFMASK = 0x0008000b,
	HV_X64_REGISTER_INITIAL_APIC_ID = 0x0008000c,

	HV_X64_REGISTER_MSR_MTRR_CAP = 0x0008000d,
	HV_X64_REGISTER_MSR_MTRR_DEF_TYPE = 0x0008000e,
	HV_X64_REGISTER_MSR_MTRR_PHYS_BASE0 = 0x00080010,
	HV_X64_REGISTER_MSR_MTRR_PHYS_BASEF = 0x0008001f,
	HV_X64_REGISTER_MSR_MTRR_PHYS_MASK0 = 0x00080040,
	HV_X64_REGISTER_MSR_MTRR_PHYS_MASKF = 0x0008004f,
	HV_X64_REGISTER_MSR_MTRR_FIX64K00000 = 0x00080070,
	HV_X64_REGISTER_MSR_MTRR_FIX16K80000 = 0x00080071,
	HV_X64_REGISTER_MSR_MTRR_FIX16KA0000 = 0x00080072,
	HV_X64_REGISTER_MSR_MTRR_FIX4KC0000 = 0x00080073,
	HV_X64_REGISTER_MSR_MTRR_FIX4KF8000 = 0x0008007a,

	HV_X64_REGISTER_TSC_AUX = 0x0008007b,
	HV_X64_REGISTER_XSS = 0x0008008b,
	HV_X64_REGISTER_TSC_DEADLINE = 0x00080095,
	HV_X64_REGISTER_TSC_ADJUST = 0x00080096,

	HV_REGISTER_VP_RUNTIME = 0x00090000,
	HV_X64_REGISTER_HYPERCALL = 0x00090001,
	HV_REGISTER_GUEST_OS_ID = 0x00090002,
	HV_REGISTER_VP_INDEX = 0x00090003,
	HV_REGISTER_TIME_REF_COUNT = 0x00090004,
	HV_REGISTER_VP_ASSIST_PAGE = 0x00090013,
	HV_REGISTER_REFERENCE_TSC = 0x00090017,
	HV_X64_REGISTER_REG_PAGE = 0x0009001c,
	HV_X64_REGISTER_PM_TIMER_ASSIST = 0x00090032,

	HV_REGISTER_SINT0 = 0x000a0000,
	HV_REGISTER_SINT15 = 0x000a000f,
	HV_REGISTER_SCONTROL = 0x000a0010,
	HV_REGISTER_SVERSION = 0x000a0011,
	HV_REGISTER_SIEFP = 0x000a0012,
	HV_REGISTER_SIMP = 0x000a0013,
	HV_REGISTER_EOM = 0x000a0014,

	HV_REGISTER_STIMER0_CONFIG = 0x000b0000,
	HV_REGISTER_STIMER0_COUNT = 0x000b0001,
	HV_REGISTER_STIMER3_COUNT = 0x000b0007,

	HV_REGISTER_VSM_CODE_PAGE_OFFSETS = 0x000d0002,
	HV_REGISTER_VSM_VP_STATUS = 0x000d0003,
	HV_REGISTER_VSM_PARTITION_STATUS = 0x000d0004,
	HV_REGISTER_VSM_VINA = 0x000d0005,
	HV_REGISTER_VSM_CAPABILITIES = 0x000d0006,
	HV_REGISTER_VSM_PARTITION_CONFIG = 0x000d0007,
	HV_REGISTER_GUEST_VSM_PARTITION_CONFIG = 0x000d0008,
	HV_REGISTER_VSM_VP_SECURE_CONFIG_VTL0 = 0x000d0010,
	HV_REGISTER_VSM_VP_WAIT_FOR_TLB_LOCK = 0x000d0020,
};

struct hv_u128 {
	uint64_t low_part;
	uint64_t high_part;
};

/* HV_X64_SEGMENT_REGISTER; the attributes are those of a descriptor, as VMX packs them. */
struct hv_x64_segment_register {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attributes;
};
_Static_assert(sizeof(struct hv_x64_segment_register) == 16, "TLFS");

#define HV_X64_SEGMENT_TYPE_MASK   0x000fu
#define HV_X64_SEGMENT_NON_SYSTEM  0x0010u
#define HV_X64_SEGMENT_DPL_SHIFT   5
#define HV_X64_SEGMENT_DPL_MASK    0x0060u
#define HV_X64_SEGMENT_PRESENT     0x0080u
#define HV_X64_SEGMENT_AVAILABLE   0x1000u
#define HV_X64_SEGMENT_LONG        0x2000u
#define HV_X64_SEGMENT_DEFAULT     0x4000u
#define HV_X64_SEGMENT_GRANULARITY 0x8000u

struct hv_x64_table_register {
	uint16_t pad[3];
	uint16_t limit;
	uint64_t base;
};
_Static_assert(sizeof(struct hv_x64_table_register) == 16, "TLFS");

/* HV_REGISTER_INTERRUPT_STATE */
union hv_x64_interrupt_state_register {
	uint64_t as_uint64;
	struct {
		uint64_t interrupt_shadow : 1;
		uint64_t nmi_masked : 1;
		uint64_t reserved : 62;
	};
};

enum hv_x64_pending_interruption_type {
	HV_X64_PENDING_INTERRUPT = 0,
	HV_X64_PENDING_NMI = 2,
	HV_X64_PENDING_EXCEPTION = 3,
	HV_X64_PENDING_SOFTWARE_INTERRUPT = 4,
	HV_X64_PENDING_PRIVILEGED_SOFTWARE_EXCEPTION = 5,
	HV_X64_PENDING_SOFTWARE_EXCEPTION = 6,
};

/* HV_REGISTER_PENDING_INTERRUPTION: an event whose delivery an intercept interrupted. */
union hv_x64_pending_interruption_register {
	uint64_t as_uint64;
	struct {
		uint32_t interruption_pending : 1;
		uint32_t interruption_type : 3; /* enum hv_x64_pending_interruption_type */
		uint32_t deliver_error_code : 1;
		uint32_t instruction_length : 4;
		uint32_t nested_event : 1;
		uint32_t reserved : 6;
		uint32_t interruption_vector : 16;
		uint32_t error_code;
	};
};
_Static_assert(sizeof(union hv_x64_pending_interruption_register) == 8, "TLFS");

/* What HV_REGISTER_PENDING_EVENT0 (and EVENT1 for the long ones) can hold. */
enum hv_x64_pending_event_type {
	HV_X64_PENDING_EVENT_EXCEPTION = 0,
	HV_X64_PENDING_EVENT_MEMORY_INTERCEPT = 1,
	HV_X64_PENDING_EVENT_NESTED_MEMORY_INTERCEPT = 2,
	HV_X64_PENDING_EVENT_VIRTUALIZATION_FAULT = 3,
	HV_X64_PENDING_EVENT_HYPERCALL_OUTPUT = 4,
	HV_X64_PENDING_EVENT_EXT_INT = 5,
	HV_X64_PENDING_EVENT_SHADOW_IPT = 6,
};

union hv_x64_pending_exception_event {
	struct hv_u128 as_u128;
	struct {
		uint32_t event_pending : 1;
		uint32_t event_type : 3; /* enum hv_x64_pending_event_type */
		uint32_t reserved0 : 4;
		uint32_t deliver_error_code : 1;
		uint32_t reserved1 : 7;
		uint32_t vector : 16;
		uint32_t error_code;
		uint64_t exception_parameter; /* CR2 of a page fault, DR6 of a debug trap */
	};
};
_Static_assert(sizeof(union hv_x64_pending_exception_event) == 16, "TLFS");

/* An interrupt that the 8259 acknowledged: set when it is deliverable. */
union hv_x64_pending_ext_int_event {
	struct hv_u128 as_u128;
	struct {
		uint64_t event_pending : 1;
		uint64_t event_type : 3;
		uint64_t reserved0 : 4;
		uint64_t vector : 8;
		uint64_t reserved1 : 48;
		uint64_t reserved2;
	};
};
_Static_assert(sizeof(union hv_x64_pending_ext_int_event) == 16, "TLFS");

/* HV_REGISTER_DELIVERABILITY_NOTIFICATIONS: asks for one interruption-deliverable intercept. */
union hv_deliverability_notifications_register {
	uint64_t as_uint64;
	struct {
		uint64_t nmi_notification : 1;
		uint64_t interrupt_notification : 1;
		uint64_t interrupt_priority : 4; /* 0: any */
		uint64_t reserved : 42;
		uint64_t sints : 16;
	};
};

/* HV_REGISTER_INTERNAL_ACTIVITY_STATE */
union hv_internal_activity_register {
	uint64_t as_uint64;
	struct {
		uint64_t
			startup_suspend : 1; /* waits for INIT/SIPI or HvCallStartVirtualProcessor */
		uint64_t halt_suspend : 1;
		uint64_t idle_suspend : 1;
		uint64_t reserved : 61;
	};
};

union hv_register_vsm_code_page_offsets {
	uint64_t as_uint64;
	struct {
		uint64_t vtl_call_offset : 12;
		uint64_t vtl_return_offset : 12;
		uint64_t reserved : 40;
	};
};

union hv_register_vsm_vp_status {
	uint64_t as_uint64;
	struct {
		uint64_t active_vtl : 4;
		uint64_t active_mbec_enabled : 1;
		uint64_t reserved0 : 11;
		uint64_t enabled_vtl_set : 16;
		uint64_t reserved1 : 32;
	};
};

union hv_register_vsm_partition_status {
	uint64_t as_uint64;
	struct {
		uint64_t enabled_vtl_set : 16;
		uint64_t maximum_vtl : 4;
		uint64_t mbec_enabled_vtl_set : 16;
		uint64_t reserved : 28;
	};
};

union hv_register_vsm_capabilities {
	uint64_t as_uint64;
	struct {
		uint64_t dr6_shared : 1;
		uint64_t mbec_vtl_mask : 16;
		uint64_t deny_lower_vtl_startup : 1;
		uint64_t supervisor_shadow_stack : 1;
		uint64_t hardware_hvpt_available : 1;
		uint64_t software_hvpt_available : 1;
		uint64_t hardware_hvpt_range_bits : 6;
		uint64_t intercept_page_available : 1;
		uint64_t return_action_available : 1;
		uint64_t vtl0_alias_map_available : 1;
		uint64_t intercept_not_present_available : 1;
		uint64_t install_intercept_ex : 1;
		uint64_t intercept_system_reset_available : 1;
		uint64_t reserved : 31;
	};
};

union hv_register_vsm_partition_config {
	uint64_t as_uint64;
	struct {
		uint64_t enable_vtl_protection : 1;
		uint64_t default_vtl_protection_mask : 4; /* HV_MAP_GPA_* */
		uint64_t zero_memory_on_reset : 1;
		uint64_t deny_lower_vtl_startup : 1;
		uint64_t intercept_acceptance : 1;
		uint64_t intercept_enable_vtl_protection : 1;
		uint64_t intercept_vp_startup : 1;
		uint64_t intercept_cpuid_unimplemented : 1;
		uint64_t intercept_unrecoverable_exception : 1;
		uint64_t intercept_page : 1;
		uint64_t intercept_restore_partition_time : 1;
		uint64_t intercept_not_present : 1; /* unmapped GPAs go to VTL2, not to the host */
		uint64_t intercept_system_reset : 1;
		uint64_t reserved : 48;
	};
};

union hv_register_value {
	struct hv_u128 reg128;
	uint64_t reg64;
	uint32_t reg32;
	uint16_t reg16;
	uint8_t reg8;
	struct hv_x64_segment_register segment;
	struct hv_x64_table_register table;
	union hv_x64_interrupt_state_register interrupt_state;
	union hv_x64_pending_interruption_register pending_interruption;
	union hv_x64_pending_exception_event pending_exception_event;
	union hv_x64_pending_ext_int_event pending_ext_int_event;
};
_Static_assert(sizeof(union hv_register_value) == 16, "TLFS");

struct hv_register_assoc {
	uint32_t name; /* enum hv_register_name */
	uint32_t reserved1;
	uint64_t reserved2;
	union hv_register_value value;
};
_Static_assert(sizeof(struct hv_register_assoc) == 32, "TLFS");

/* Bit numbers of hv_vp_register_page.dirty: what the reader wrote and the hypervisor is to load. */
enum hv_x64_register_class {
	HV_X64_REGISTER_CLASS_GENERAL = 0,
	HV_X64_REGISTER_CLASS_IP = 1,
	HV_X64_REGISTER_CLASS_XMM = 2,
	HV_X64_REGISTER_CLASS_SEGMENT = 3,
	HV_X64_REGISTER_CLASS_FLAGS = 4,
};

#define HV_VP_REGISTER_PAGE_VERSION_1 1

struct hv_vp_register_page {
	uint16_t version;
	uint8_t isvalid;
	uint8_t vtl;
	uint32_t dirty;
	uint64_t gp_registers[16]; /* in the order of their encoding, RSP among them */
	uint64_t rip;
	uint64_t rflags;
	uint64_t reserved;
	struct hv_u128 xmm_registers[6];
	struct hv_x64_segment_register segment_registers[6]; /* ES CS SS DS FS GS */
	/* Read-only from here on. */
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t cr8;
	uint64_t efer;
	uint64_t dr7;
	union hv_x64_pending_interruption_register pending_interruption;
	union hv_x64_interrupt_state_register interrupt_state;
	uint64_t instruction_emulation_hints;
	uint64_t xfem;
	uint8_t reserved_end[3664];
};
_Static_assert(sizeof(struct hv_vp_register_page) == 4096, "one page");
_Static_assert(offsetof(struct hv_vp_register_page, rip) == 136, "TLFS");
_Static_assert(offsetof(struct hv_vp_register_page, xmm_registers) == 160, "TLFS");
_Static_assert(offsetof(struct hv_vp_register_page, segment_registers) == 256, "TLFS");
_Static_assert(offsetof(struct hv_vp_register_page, cr0) == 352, "TLFS");
_Static_assert(offsetof(struct hv_vp_register_page, pending_interruption) == 400, "TLFS");

/* HV_VTL_ENTRY_REASON */
enum hv_vtl_entry_reason {
	HV_VTL_ENTRY_VTL_CALL = 1,
	HV_VTL_ENTRY_INTERRUPT = 2,
	HV_VTL_ENTRY_INTERCEPT = 3, /* by the intercept message below */
};

/* HV_VP_ASSIST_PAGE, at the GPA that HV_X64_MSR_VP_ASSIST_PAGE names. */
struct hv_vp_assist_page {
	uint32_t apic_assist;
	uint32_t reserved0;
	uint32_t vtl_entry_reason; /* enum hv_vtl_entry_reason */
	uint8_t vina_status;
	uint8_t reserved1[3];
	uint64_t vtl_return_x64_rax;
	uint64_t vtl_return_x64_rcx;
	uint64_t nested_enlightenments_control;
	uint8_t enlighten_vm_entry;
	uint8_t reserved2[7];
	uint64_t current_nested_vmcs;
	uint8_t synthetic_time_unhalted_timer_expired;
	uint8_t reserved3[7];
	uint8_t virtualization_fault_information[40];
	uint8_t reserved4[8];
	uint8_t intercept_message[256]; /* struct hv_message */
	uint8_t vtl_return_actions[256];
};
_Static_assert(sizeof(struct hv_vp_assist_page) == 624, "TLFS");
_Static_assert(offsetof(struct hv_vp_assist_page, vtl_entry_reason) == 8, "TLFS");
_Static_assert(offsetof(struct hv_vp_assist_page, vtl_return_x64_rax) == 16, "TLFS");
_Static_assert(offsetof(struct hv_vp_assist_page, intercept_message) == 112, "TLFS");
_Static_assert(offsetof(struct hv_vp_assist_page, vtl_return_actions) == 368, "TLFS");

/* One of vtl_return_actions: what the hypervisor does at the VTL return, and clears. */
#define HV_VTL_RETURN_ACTION_NONE         0u /* and none after it */
#define HV_VTL_RETURN_ACTION_SIGNAL_EVENT 1u
#define HV_VTL_RETURN_ACTIONS_MAX         16u

struct hv_vtl_return_action {
	uint64_t type;
	uint32_t target_vp;
	uint8_t target_vtl;
	uint8_t target_sint;
	uint16_t flag_number;
};
_Static_assert(sizeof(struct hv_vtl_return_action) == 16, "as Hyper-V's");

/* An action for the hypervisor to take on the next VTL return. */
#define HV_VP_ASSIST_PAGE_ACTION_SIGNAL_EVENT 1

struct hv_vp_assist_page_signal_event {
	uint64_t action_type;
	uint32_t target_vp;
	uint8_t target_vtl;
	uint8_t target_sint;
	uint16_t flag_number;
};
_Static_assert(sizeof(struct hv_vp_assist_page_signal_event) == 16, "TLFS");

/* HV_INITIAL_VP_CONTEXT (x64) */
struct hv_initial_vp_context {
	uint64_t rip;
	uint64_t rsp;
	uint64_t rflags;
	struct hv_x64_segment_register cs, ds, es, fs, gs, ss, tr, ldtr;
	struct hv_x64_table_register idtr, gdtr;
	uint64_t efer;
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t msr_cr_pat;
};
_Static_assert(sizeof(struct hv_initial_vp_context) == 224, "TLFS");
_Static_assert(offsetof(struct hv_initial_vp_context, idtr) == 152, "TLFS");
_Static_assert(offsetof(struct hv_initial_vp_context, efer) == 184, "TLFS");

#endif
