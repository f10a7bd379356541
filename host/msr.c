#include "host/msr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "host/crash.h"
#include "host/registers.h"
#include "host/shim_log.h"
#include "host/vmbus.h"
#include "host/vp.h"

#define APIC_FREQUENCY_HZ 1000000000ull /* KVM's LAPIC timer counts nanoseconds */

/* What the hypercall page holds: OUT to the port that vtlhost answers, then RET. */
static void fill_hypercall_page(uint8_t *page, enum host_vtl vtl)
{
	static const uint8_t hypercall[] = { 0xe6, HYPERCALL_PORT, 0xc3 };
	static const uint8_t vtl_return[] = { 0xe6, VTL_RETURN_PORT, 0xc3 };
	static const uint8_t no_vtl_call[] = { 0x0f, 0x0b, 0xc3 }; /* ud2: there is none */

	memset(page, 0xcc, HV_PAGE_SIZE);
	memcpy(page, hypercall, sizeof(hypercall));
	if (vtl != HOST_VTL2)
		return;
	memcpy(page + HYPERCALL_PAGE_VTL_CALL, no_vtl_call, sizeof(no_vtl_call));
	memcpy(page + HYPERCALL_PAGE_VTL_RETURN, vtl_return, sizeof(vtl_return));
}

/* The page is an overlay (TLFS 5.2.1): what it hides comes back when it goes. */
static void show_hypercall_page(struct vcpu *vcpu, uint64_t msr)
{
	struct partition *partition = vcpu->vp->partition;
	struct partition_vtl *vtl = &partition->vtl[vcpu->vtl];
	uint64_t gpa = msr & HV_X64_MSR_PAGE_MASK;
	uint8_t *page = host_memory_pointer(&partition->memory, gpa, HV_PAGE_SIZE);

	if (!page ||
	    !host_memory_allows(&partition->memory, vcpu->view, gpa, HV_PAGE_SIZE, HOST_ALL))
		return;
	vtl->under_hypercall_page = malloc(HV_PAGE_SIZE);
	if (vtl->under_hypercall_page)
		memcpy(vtl->under_hypercall_page, page, HV_PAGE_SIZE);
	fill_hypercall_page(page, vcpu->vtl);
}

static void hide_hypercall_page(struct vcpu *vcpu, uint64_t msr)
{
	struct partition *partition = vcpu->vp->partition;
	struct partition_vtl *vtl = &partition->vtl[vcpu->vtl];

	if (!vtl->under_hypercall_page)
		return;
	host_memory_write(&partition->memory, vcpu->view, msr & HV_X64_MSR_PAGE_MASK,
			  vtl->under_hypercall_page, HV_PAGE_SIZE);
	free(vtl->under_hypercall_page);
	vtl->under_hypercall_page = NULL;
}

/* Without an OS identity the page cannot be enabled (TLFS 3.13); locked, it stays as it is. */
static int write_hypercall(struct vcpu *vcpu, uint64_t value)
{
	struct partition_vtl *vtl = &vcpu->vp->partition->vtl[vcpu->vtl];

	if (vtl->hypercall & HV_X64_MSR_HYPERCALL_LOCKED)
		return 0;
	if (!vtl->guest_os_id)
		value &= ~(uint64_t)HV_X64_MSR_HYPERCALL_ENABLE;
	if (vtl->hypercall & HV_X64_MSR_HYPERCALL_ENABLE)
		hide_hypercall_page(vcpu, vtl->hypercall);
	vtl->hypercall = value;
	if (value & HV_X64_MSR_HYPERCALL_ENABLE)
		show_hypercall_page(vcpu, value);
	return 0;
}

static int write_guest_os_id(struct vcpu *vcpu, uint64_t value)
{
	struct partition_vtl *vtl = &vcpu->vp->partition->vtl[vcpu->vtl];

	if (vcpu->vtl == HOST_VTL2 && value && !vtl->guest_os_id)
		shim_log_show(vcpu->vp->partition);
	vtl->guest_os_id = value;
	if (!value && (vtl->hypercall & HV_X64_MSR_HYPERCALL_ENABLE)) {
		hide_hypercall_page(vcpu, vtl->hypercall);
		vtl->hypercall &= ~(uint64_t)HV_X64_MSR_HYPERCALL_ENABLE;
	}
	return 0;
}

static int write_reference_tsc(struct vcpu *vcpu, uint64_t value)
{
	struct partition *partition = vcpu->vp->partition;
	struct hv_reference_tsc_page page = {
		.tsc_sequence = 1,
		.tsc_scale = partition->time.scale,
	};

	partition->vtl[vcpu->vtl].reference_tsc = value;
	if (value & HV_X64_MSR_PAGE_ENABLE)
		host_memory_write(&partition->memory, vcpu->view, value & HV_X64_MSR_PAGE_MASK,
				  &page, sizeof(page));
	return 0;
}

static int write_crash_control(struct vcpu *vcpu, uint64_t value)
{
	struct partition *partition = vcpu->vp->partition;
	char why[160];

	if (!(value & HV_CRASH_CTL_CRASH_NOTIFY))
		return 0;
	host_crash_reason(&partition->memory, vcpu->view, value, partition->vtl[vcpu->vtl].crash,
			  why, sizeof(why));
	if (vcpu->vtl == HOST_VTL2)
		partition_end(partition, RUN_VTL2_CRASH, "%s", why);
	else
		partition_end(partition, RUN_GUEST_CRASH, "%s", why);
	return 0;
}

/* As on Hyper-V, VTL0's crash MSRs are VTL2's to have, which passes on what it makes of them. */
static bool crash_is_for_vtl2(const struct vcpu *vcpu)
{
	return vcpu->vtl == HOST_VTL0 && atomic_load(&vcpu->vp->partition->intercepts.msrs);
}

/*
 * MTRRs are one set for all VTLs of a VP (TLFS 15.11.1). KVM keeps one in each vCPU; VTL0's is the
 * one that counts, and VTL2's accesses go there.
 */
static bool is_shared_mtrr(const struct vcpu *vcpu, uint32_t msr)
{
	return vcpu->vtl == HOST_VTL2 &&
	       (msr - KVM_MTRR_BASE < KVM_MTRR_COUNT || msr == KVM_MTRR_DEFAULT_TYPE);
}

int msr_access_kvm(struct vcpu *vcpu, uint32_t msr, uint64_t *value, bool set)
{
	uint64_t space[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) / 8] = { 0 };
	struct kvm_msrs *request = (void *)space;

	request->nmsrs = 1;
	request->entries[0].index = msr;
	request->entries[0].data = *value;
	if (kvm_ioctl(vcpu->fd, set ? KVM_SET_MSRS : KVM_GET_MSRS, request) != 1)
		return -EINVAL;
	*value = request->entries[0].data;
	return 0;
}

int msr_read_synthetic(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct partition *partition = vcpu->vp->partition;
	struct partition_vtl *vtl = &partition->vtl[vcpu->vtl];

	if (is_shared_mtrr(vcpu, msr))
		return msr_access_kvm(&vcpu->vp->vcpu[HOST_VTL0], msr, value, false);
	switch (msr) {
	case HV_X64_MSR_GUEST_OS_ID:
		*value = vtl->guest_os_id;
		return 0;
	case HV_X64_MSR_HYPERCALL:
		*value = vtl->hypercall;
		return 0;
	case HV_X64_MSR_VP_INDEX:
		*value = vcpu->vp->index;
		return 0;
	case HV_X64_MSR_TIME_REF_COUNT:
		*value = reference_time_now(&partition->time);
		return 0;
	case HV_X64_MSR_REFERENCE_TSC:
		*value = vtl->reference_tsc;
		return 0;
	case HV_X64_MSR_TSC_FREQUENCY:
		*value = partition->time.tsc_khz * 1000;
		return 0;
	case HV_X64_MSR_APIC_FREQUENCY:
		*value = APIC_FREQUENCY_HZ;
		return 0;
	case HV_X64_MSR_VP_ASSIST_PAGE:
		*value = vcpu->vp_assist;
		return 0;
	case HV_X64_MSR_SCONTROL ... HV_X64_MSR_EOM:
	case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
		return synic_read_msr(vcpu, msr, value);
	case HV_X64_MSR_STIMER0_CONFIG ... HV_X64_MSR_STIMER3_COUNT: {
		unsigned int index = (msr - HV_X64_MSR_STIMER0_CONFIG) / 2;

		*value = msr & 1 ? stimer_read_count(vcpu, index) : stimer_read_config(vcpu, index);
		return 0;
	}
	case HV_X64_MSR_CRASH_P0 ... HV_X64_MSR_CRASH_P4:
		if (crash_is_for_vtl2(vcpu))
			return -ENOENT;
		*value = vtl->crash[msr - HV_X64_MSR_CRASH_P0];
		return 0;
	case HV_X64_MSR_CRASH_CTL:
		if (crash_is_for_vtl2(vcpu))
			return -ENOENT;
		*value = HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE;
		return 0;
	default:
		return -ENOENT;
	}
}

static int write_locked(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct partition *partition = vcpu->vp->partition;
	int ret;

	pthread_mutex_lock(&partition->lock);
	ret = msr == HV_X64_MSR_GUEST_OS_ID ? write_guest_os_id(vcpu, value)
	      : msr == HV_X64_MSR_HYPERCALL ? write_hypercall(vcpu, value)
					    : write_reference_tsc(vcpu, value);
	pthread_mutex_unlock(&partition->lock);
	return ret;
}

static int write_eom(struct vcpu *vcpu, uint64_t value)
{
	int ret = synic_write_msr(vcpu, HV_X64_MSR_EOM, value);

	if (vcpu->vtl == HOST_VTL2)
		host_vmbus_message_slot_free(vcpu->vp->partition->vmbus);
	return ret;
}

int msr_write_synthetic(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct partition_vtl *vtl = &vcpu->vp->partition->vtl[vcpu->vtl];
	unsigned int index;

	if (is_shared_mtrr(vcpu, msr))
		return msr_access_kvm(&vcpu->vp->vcpu[HOST_VTL0], msr, &value, true);
	switch (msr) {
	case HV_X64_MSR_GUEST_OS_ID:
	case HV_X64_MSR_HYPERCALL:
	case HV_X64_MSR_REFERENCE_TSC:
		return write_locked(vcpu, msr, value);
	case HV_X64_MSR_VP_ASSIST_PAGE:
		vcpu->vp_assist = value;
		/* With the page KVM spares most exits for EOIs (TLFS 10.3.5); it has to be VTL's RAM. */
		if (msr_access_kvm(vcpu, msr, &value, true))
			log_limited(LOG_DEBUG, "VP %u: no lazy EOIs with %#llx", vcpu->vp->index,
				    (unsigned long long)value);
		return 0;
	case HV_X64_MSR_EOM:
		return write_eom(vcpu, value);
	case HV_X64_MSR_SCONTROL ... HV_X64_MSR_SIMP:
	case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
		return synic_write_msr(vcpu, msr, value);
	case HV_X64_MSR_STIMER0_CONFIG ... HV_X64_MSR_STIMER3_COUNT:
		index = (msr - HV_X64_MSR_STIMER0_CONFIG) / 2;
		return msr & 1 ? stimer_write_count(vcpu, index, value)
			       : stimer_write_config(vcpu, index, value);
	case HV_X64_MSR_CRASH_P0 ... HV_X64_MSR_CRASH_P4:
		if (crash_is_for_vtl2(vcpu))
			return -ENOENT;
		vtl->crash[msr - HV_X64_MSR_CRASH_P0] = value;
		return 0;
	case HV_X64_MSR_CRASH_CTL:
		if (crash_is_for_vtl2(vcpu))
			return -ENOENT;
		return write_crash_control(vcpu, value);
	default:
		return -ENOENT;
	}
}
