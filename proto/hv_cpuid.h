#ifndef PROTO_HV_CPUID_H
#define PROTO_HV_CPUID_H

/* CPUID leaves, feature bits and synthetic MSRs (TLFS 2, 3). */

#define HV_CPUID_VENDOR_AND_MAX_FUNCTION         0x40000000u
#define HV_CPUID_INTERFACE                       0x40000001u
#define HV_CPUID_VERSION                         0x40000002u
#define HV_CPUID_FEATURES                        0x40000003u
#define HV_CPUID_ENLIGHTENMENT_INFORMATION       0x40000004u
#define HV_CPUID_IMPLEMENTATION_LIMITS           0x40000005u
#define HV_CPUID_HARDWARE_FEATURES               0x40000006u
#define HV_CPUID_CPU_MANAGEMENT_FEATURES         0x40000007u
#define HV_CPUID_NESTED_FEATURES                 0x4000000au
#define HV_CPUID_ISOLATION_CONFIGURATION         0x4000000cu
#define HV_CPUID_VIRTUALIZATION_STACK_VENDOR     0x40000080u
#define HV_CPUID_VIRTUALIZATION_STACK_INTERFACE  0x40000081u
#define HV_CPUID_VIRTUALIZATION_STACK_PROPERTIES 0x40000082u

/* "Microsoft Hv" in EBX, ECX, EDX of leaf 40000000; "Hv#1" in EAX of 40000001; "VS#1" of 40000081. */
#define HV_CPUID_VENDOR_EBX    0x7263694du
#define HV_CPUID_VENDOR_ECX    0x666f736fu
#define HV_CPUID_VENDOR_EDX    0x76482074u
#define HV_CPUID_INTERFACE_HV1 0x31237648u
#define HV_CPUID_INTERFACE_VS1 0x31235356u

/* Leaf 1, ECX: a hypervisor is present. */
#define HV_CPUID_1_ECX_HYPERVISOR_PRESENT (1u << 31)

/* HV_PARTITION_PRIVILEGE_MASK, low half: EAX of leaf 40000003. */
#define HV_ACCESS_VP_RUNTIME_MSR              (1u << 0)
#define HV_ACCESS_PARTITION_REFERENCE_COUNTER (1u << 1)
#define HV_ACCESS_SYNIC_MSRS                  (1u << 2)
#define HV_ACCESS_SYNTHETIC_TIMER_MSRS        (1u << 3)
#define HV_ACCESS_APIC_MSRS                   (1u << 4)
#define HV_ACCESS_HYPERCALL_MSRS              (1u << 5)
#define HV_ACCESS_VP_INDEX                    (1u << 6)
#define HV_ACCESS_RESET_MSR                   (1u << 7)
#define HV_ACCESS_STATS_MSR                   (1u << 8)
#define HV_ACCESS_PARTITION_REFERENCE_TSC     (1u << 9)
#define HV_ACCESS_GUEST_IDLE_MSR              (1u << 10)
#define HV_ACCESS_FREQUENCY_MSRS              (1u << 11)
#define HV_ACCESS_DEBUG_MSRS                  (1u << 12)
#define HV_ACCESS_REENLIGHTENMENT_CONTROLS    (1u << 13)
#define HV_ACCESS_TSC_INVARIANT_CONTROLS      (1u << 15)

/* HV_PARTITION_PRIVILEGE_MASK, high half: EBX of leaf 40000003. */
#define HV_CREATE_PARTITIONS          (1u << 0)
#define HV_ACCESS_PARTITION_ID        (1u << 1)
#define HV_POST_MESSAGES              (1u << 4)
#define HV_SIGNAL_EVENTS              (1u << 5)
#define HV_CONNECT_PORT               (1u << 7)
#define HV_DEBUGGING                  (1u << 11)
#define HV_CPU_MANAGEMENT             (1u << 12)
#define HV_ACCESS_VSM                 (1u << 16)
#define HV_ACCESS_VP_REGISTERS        (1u << 17)
#define HV_FAST_HYPERCALL_OUTPUT      (1u << 19)
#define HV_ENABLE_EXTENDED_HYPERCALLS (1u << 20)
#define HV_START_VIRTUAL_PROCESSOR    (1u << 21)
#define HV_ISOLATION                  (1u << 22)

/* EDX of leaf 40000003. */
#define HV_FEATURE_GUEST_DEBUGGING           (1u << 1)
#define HV_FEATURE_XMM_FAST_HYPERCALL_INPUT  (1u << 4)
#define HV_FEATURE_GUEST_IDLE                (1u << 5)
#define HV_FEATURE_FREQUENCY_MSRS            (1u << 8)
#define HV_FEATURE_GUEST_CRASH_MSRS          (1u << 10)
#define HV_FEATURE_DEBUG_MSRS                (1u << 11)
#define HV_FEATURE_EXTENDED_GVA_RANGES_FLUSH (1u << 14)
#define HV_FEATURE_XMM_FAST_HYPERCALL_OUTPUT (1u << 15)
#define HV_FEATURE_SINT_POLLING_MODE         (1u << 17)
#define HV_FEATURE_DIRECT_SYNTHETIC_TIMERS   (1u << 19)
#define HV_FEATURE_APIC_EOI_INTERCEPT        (1u << 31)

/* EAX of leaf 40000004. */
#define HV_USE_HYPERCALL_FOR_REMOTE_FLUSH (1u << 2)
#define HV_USE_APIC_MSRS                  (1u << 3)
#define HV_USE_RELAXED_TIMING             (1u << 5)
#define HV_USE_X2APIC_MSRS                (1u << 8)
#define HV_DEPRECATE_AUTO_EOI             (1u << 9)
#define HV_USE_SYNTHETIC_CLUSTER_IPI      (1u << 10)
#define HV_USE_EX_PROCESSOR_MASKS         (1u << 11)
#define HV_NO_NONARCH_CORESHARING         (1u << 18)
#define HV_USE_HYPERCALL_FOR_MMIO         (1u << 21)

/* EAX of leaf 40000082. */
#define HV_VS1_IS_PORTABLE          (1u << 0)
#define HV_VS1_DEBUG_DEVICE_PRESENT (1u << 1)
#define HV_VS1_EXTENDED_IOAPIC_RTE  (1u << 2)

/* Synthetic MSRs (TLFS 3.14, appendix C). */
#define HV_X64_MSR_GUEST_OS_ID             0x40000000u
#define HV_X64_MSR_HYPERCALL               0x40000001u
#define HV_X64_MSR_VP_INDEX                0x40000002u
#define HV_X64_MSR_RESET                   0x40000003u
#define HV_X64_MSR_VP_RUNTIME              0x40000010u
#define HV_X64_MSR_TIME_REF_COUNT          0x40000020u
#define HV_X64_MSR_REFERENCE_TSC           0x40000021u
#define HV_X64_MSR_TSC_FREQUENCY           0x40000022u
#define HV_X64_MSR_APIC_FREQUENCY          0x40000023u
#define HV_X64_MSR_NPIEP_CONFIG            0x40000040u
#define HV_X64_MSR_EOI                     0x40000070u
#define HV_X64_MSR_ICR                     0x40000071u
#define HV_X64_MSR_TPR                     0x40000072u
#define HV_X64_MSR_VP_ASSIST_PAGE          0x40000073u
#define HV_X64_MSR_SCONTROL                0x40000080u
#define HV_X64_MSR_SVERSION                0x40000081u
#define HV_X64_MSR_SIEFP                   0x40000082u
#define HV_X64_MSR_SIMP                    0x40000083u
#define HV_X64_MSR_EOM                     0x40000084u
#define HV_X64_MSR_SINT0                   0x40000090u
#define HV_X64_MSR_SINT15                  0x4000009fu
#define HV_X64_MSR_STIMER0_CONFIG          0x400000b0u /* four timers: config, count, config, ... */
#define HV_X64_MSR_STIMER0_COUNT           0x400000b1u
#define HV_X64_MSR_STIMER3_COUNT           0x400000b7u
#define HV_X64_MSR_GUEST_IDLE              0x400000f0u
#define HV_X64_MSR_CRASH_P0                0x40000100u
#define HV_X64_MSR_CRASH_P4                0x40000104u
#define HV_X64_MSR_CRASH_CTL               0x40000105u
#define HV_X64_MSR_REENLIGHTENMENT_CONTROL 0x40000106u
#define HV_X64_MSR_TSC_EMULATION_CONTROL   0x40000107u
#define HV_X64_MSR_TSC_EMULATION_STATUS    0x40000108u
#define HV_X64_MSR_TSC_INVARIANT_CONTROL   0x40000118u

/* HV_X64_MSR_HYPERCALL; the page number of every "address" MSR is its bits 63-12. */
#define HV_X64_MSR_HYPERCALL_ENABLE (1u << 0)
#define HV_X64_MSR_HYPERCALL_LOCKED (1u << 1)
#define HV_X64_MSR_PAGE_ENABLE      (1u << 0)
#define HV_X64_MSR_PAGE_MASK        0xfffffffffffff000ull

/* HV_X64_MSR_CRASH_CTL. */
#define HV_CRASH_CTL_NO_CRASH_DUMP (1ull << 61)
#define HV_CRASH_CTL_CRASH_MESSAGE (1ull << 62) /* P3: GPA, P4: length of a text */
#define HV_CRASH_CTL_CRASH_NOTIFY  (1ull << 63)

/* The reference time's unit: 100 ns (TLFS 12.3). */
#define HV_REFERENCE_TIME_HZ 10000000u

#define HV_PAGE_SIZE  4096u
#define HV_PAGE_SHIFT 12

#endif
