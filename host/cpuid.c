#include "host/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/msr.h"
#include "host/partition.h"
#include "proto/hv_cpuid.h"

/* What is not for guests here: nested virtualization and what would need more than KVM gives. */
#define LEAF1_ECX_VMX          (1u << 5)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_EDX_HTT          (1u << 28)
#define EXT1_ECX_CMP_LEGACY    (1u << 1)
#define EXT1_ECX_SVM           (1u << 2)

#define HV_FEATURES_EAX                                                                    \
	(HV_ACCESS_PARTITION_REFERENCE_COUNTER | HV_ACCESS_SYNIC_MSRS |                    \
	 HV_ACCESS_SYNTHETIC_TIMER_MSRS | HV_ACCESS_APIC_MSRS | HV_ACCESS_HYPERCALL_MSRS | \
	 HV_ACCESS_VP_INDEX | HV_ACCESS_PARTITION_REFERENCE_TSC | HV_ACCESS_FREQUENCY_MSRS)
#define HV_FEATURES_EBX_VTL0 (HV_POST_MESSAGES | HV_SIGNAL_EVENTS)
#define HV_FEATURES_EBX_VTL2 \
	(HV_FEATURES_EBX_VTL0 | HV_ACCESS_VSM | HV_ACCESS_VP_REGISTERS | HV_START_VIRTUAL_PROCESSOR)
#define HV_FEATURES_EDX                                            \
	(HV_FEATURE_FREQUENCY_MSRS | HV_FEATURE_GUEST_CRASH_MSRS | \
	 HV_FEATURE_DIRECT_SYNTHETIC_TIMERS)

/*
 * VTL2's interprocessor interrupts must come as hypercalls, because KVM tells nobody of those that
 * go through the LAPIC. VTL0's are KVM's own business and faster so: no exit.
 */
#define HV_HINTS_VTL0 (HV_USE_RELAXED_TIMING | HV_DEPRECATE_AUTO_EOI)
#define HV_HINTS_VTL2 (HV_HINTS_VTL0 | HV_USE_SYNTHETIC_CLUSTER_IPI)

/* Whether KVM has Hyper-V's MSRs of the local APIC: they are an option of the kernel's. */
static bool kvm_has_apic_msrs(struct vcpu *vcpu)
{
	uint64_t value = 0;

	return !msr_access_kvm(vcpu, HV_X64_MSR_VP_ASSIST_PAGE, &value, true);
}

static unsigned int bits_for(unsigned int count)
{
	return count > 1 ? 32 - (unsigned int)__builtin_clz(count - 1) : 0;
}

/* Leaf 0Bh (SDM vol. 2A, CPUID): level 0 has one thread a core, level 1 all cores. */
static void set_extended_topology(struct kvm_cpuid_entry2 *e, uint32_t apic_id, unsigned int cpus)
{
	static const uint32_t types[2] = { 1, 2 };
	uint32_t level = e->index;

	e->eax = level == 1 ? bits_for(cpus) : 0;
	e->ebx = level == 0 ? 1 : level == 1 ? cpus : 0;
	e->ecx = level | (level < 2 ? types[level] << 8 : 0);
	e->edx = apic_id;
}

static void set_leaf1(struct kvm_cpuid_entry2 *e, const struct vcpu *vcpu, unsigned int cpus)
{
	e->ecx &= ~(LEAF1_ECX_VMX | LEAF1_ECX_TSC_DEADLINE);
	e->ecx |= HV_CPUID_1_ECX_HYPERVISOR_PRESENT | LEAF1_ECX_X2APIC;
	/* VTL2 must use synthetic timers: its LAPIC's timer cannot interrupt VTL0 (trap 11). */
	if (vcpu->vtl == HOST_VTL0)
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	e->ebx = (e->ebx & 0xff00) | cpus << 16 | vcpu->vp->index << 24;
	e->edx = (e->edx & ~LEAF1_EDX_HTT) | (cpus > 1 ? LEAF1_EDX_HTT : 0);
}

static void adjust(struct kvm_cpuid_entry2 *e, const struct vcpu *vcpu)
{
	unsigned int cpus = vcpu->vp->partition->vp_count;
	uint32_t apic_id = vcpu->vp->index;

	switch (e->function) {
	case 1:
		set_leaf1(e, vcpu, cpus);
		break;
	case 4: /* cores in the package */
		e->eax &= 0x3ff;
		e->eax |= (cpus - 1) << 26;
		break;
	case 0xb:
		set_extended_topology(e, apic_id, cpus);
		break;
	case 0x80000001:
		e->ecx &= ~EXT1_ECX_SVM;
		if (cpus > 1)
			e->ecx |= EXT1_ECX_CMP_LEGACY;
		break;
	case 0x80000008: /* APM vol. 3: number of cores, size of the APIC id */
		e->ecx = (e->ecx & ~0xf0ffu) | (cpus - 1) | bits_for(cpus) << 12;
		break;
	case 0x8000001e:
		e->eax = apic_id;
		e->ebx = apic_id; /* core id, one thread each */
		e->ecx = 0;
		break;
	}
}

static bool dropped(uint32_t leaf)
{
	return (leaf & 0xf0000000) == 0x40000000 || /* KVM's own */
	       leaf == 0x1f ||                      /* leaf 0Bh says it all */
	       leaf == 0x8000000a;                  /* SVM */
}

static void add(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
		uint32_t edx)
{
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = leaf, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx
	};
}

#define HYPERV_LEAVES 10

static void add_hyperv(struct kvm_cpuid2 *cpuid, struct vcpu *vcpu)
{
	bool vtl2 = vcpu->vtl == HOST_VTL2;
	uint32_t hints = vtl2 ? HV_HINTS_VTL2 : HV_HINTS_VTL0;

	if (kvm_has_apic_msrs(vcpu))
		hints |= HV_USE_APIC_MSRS;

	add(cpuid, HV_CPUID_VENDOR_AND_MAX_FUNCTION, HV_CPUID_VIRTUALIZATION_STACK_PROPERTIES,
	    HV_CPUID_VENDOR_EBX, HV_CPUID_VENDOR_ECX, HV_CPUID_VENDOR_EDX);
	add(cpuid, HV_CPUID_INTERFACE, HV_CPUID_INTERFACE_HV1, 0, 0, 0);
	add(cpuid, HV_CPUID_VERSION, 1, 10u << 16, 0, 0);
	add(cpuid, HV_CPUID_FEATURES, HV_FEATURES_EAX,
	    vtl2 ? HV_FEATURES_EBX_VTL2 : HV_FEATURES_EBX_VTL0, 0, HV_FEATURES_EDX);
	add(cpuid, HV_CPUID_ENLIGHTENMENT_INFORMATION, hints, ~0u /* never notify of long spins */,
	    0, 0);
	add(cpuid, HV_CPUID_IMPLEMENTATION_LIMITS, HOST_MAX_VPS, HOST_MAX_VPS, 0, 0);
	add(cpuid, HV_CPUID_HARDWARE_FEATURES, 0, 0, 0, 0);
	/* The virtualization stack's leaves: Linux reads the last without asking. */
	add(cpuid, HV_CPUID_VIRTUALIZATION_STACK_VENDOR, HV_CPUID_VIRTUALIZATION_STACK_PROPERTIES,
	    HV_CPUID_VENDOR_EBX, HV_CPUID_VENDOR_ECX, HV_CPUID_VENDOR_EDX);
	add(cpuid, HV_CPUID_VIRTUALIZATION_STACK_INTERFACE, HV_CPUID_INTERFACE_VS1, 0, 0, 0);
	add(cpuid, HV_CPUID_VIRTUALIZATION_STACK_PROPERTIES, 0, 0, 0, 0);
}

int cpuid_install(struct vcpu *vcpu)
{
	const struct kvm_cpuid2 *host = vcpu->vp->partition->kvm->cpuid;
	struct kvm_cpuid2 *cpuid;
	uint32_t i;
	int ret;

	cpuid = calloc(1, sizeof(*cpuid) +
				  (host->nent + HYPERV_LEAVES + 3) * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	for (i = 0; i < host->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent];

		/* KVM lists however many levels of 0Bh the host has: ours come below. */
		if (dropped(host->entries[i].function) || host->entries[i].function == 0xb)
			continue;
		*e = host->entries[i];
		adjust(e, vcpu);
		cpuid->nent++;
	}
	for (i = 0; i < 3; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent++];

		e->function = 0xb;
		e->index = i;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		adjust(e, vcpu);
	}
	add_hyperv(cpuid, vcpu);
	ret = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ret;
}
