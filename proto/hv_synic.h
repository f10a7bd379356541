#ifndef PROTO_HV_SYNIC_H
#define PROTO_HV_SYNIC_H

#include "proto/hv_message.h"

/* Synthetic interrupt controller, synthetic timers and reference time (TLFS 11, 12). */

#define HV_SYNIC_SINT_COUNT              16
#define HV_SYNIC_STIMER_COUNT            4
#define HV_SYNIC_VERSION_1               1
#define HV_SYNIC_FIRST_VALID_VECTOR      16
#define HV_SYNIC_INTERCEPTION_SINT_INDEX 0
#define HV_SYNIC_VMBUS_SINT_INDEX        2
#define HV_SYNIC_VTL2_VMBUS_SINT_INDEX   7 /* where VTL2 receives on behalf of VTL0 */

#define HV_EVENT_FLAGS_COUNT      2048
#define HV_EVENT_FLAGS_BYTE_COUNT 256

/* HV_SYNIC_SINT */
union hv_synic_sint {
	uint64_t as_uint64;
	struct {
		uint64_t vector : 8;
		uint64_t reserved1 : 8;
		uint64_t masked : 1;
		uint64_t auto_eoi : 1;
		uint64_t polling : 1;
		uint64_t as_intercept : 1;
		uint64_t proxy : 1;
		uint64_t reserved2 : 43;
	};
};

/* HV_SYNIC_SIMP, HV_SYNIC_SIEFP, HV_X64_MSR_VP_ASSIST_PAGE, HV_X64_MSR_REFERENCE_TSC, REG_PAGE */
union hv_page_msr {
	uint64_t as_uint64;
	struct {
		uint64_t enable : 1;
		uint64_t preserved : 11;
		uint64_t gpa_page_number : 52;
	};
};

/* HV_SYNIC_SCONTROL */
#define HV_SYNIC_SCONTROL_ENABLE 1ull

/* The page at SIMP: one slot a SINT. */
struct hv_message_page {
	struct hv_message sint_message[HV_SYNIC_SINT_COUNT];
};
_Static_assert(sizeof(struct hv_message_page) == 4096, "one page");

/* The page at SIEFP: 2,048 flags a SINT. */
struct hv_synic_event_flags_page {
	uint8_t event_flags[HV_SYNIC_SINT_COUNT][HV_EVENT_FLAGS_BYTE_COUNT];
};
_Static_assert(sizeof(struct hv_synic_event_flags_page) == 4096, "one page");

/* HV_X64_MSR_STIMER_CONFIG_CONTENTS */
union hv_stimer_config {
	uint64_t as_uint64;
	struct {
		uint64_t enable : 1;
		uint64_t periodic : 1;
		uint64_t lazy : 1;
		uint64_t auto_enable : 1;
		uint64_t apic_vector : 8;
		uint64_t direct_mode : 1;
		uint64_t reserved_z0 : 3;
		uint64_t sintx : 4;
		uint64_t reserved_z1 : 44;
	};
};

/* HV_REFERENCE_TSC_PAGE: time = ((tsc * tsc_scale) >> 64) + tsc_offset, in 100 ns (TLFS 12.7). */
#define HV_REFERENCE_TSC_SEQUENCE_INVALID 0

struct hv_reference_tsc_page {
	uint32_t tsc_sequence;
	uint32_t reserved1;
	uint64_t tsc_scale;
	int64_t tsc_offset;
	uint8_t reserved2[4072];
};
_Static_assert(sizeof(struct hv_reference_tsc_page) == 4096, "one page");

#endif
