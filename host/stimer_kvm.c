#include "host/stimer_kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/log.h"
#include "host/msr.h"
#include "host/partition.h"
#include "proto/hv_cpuid.h"

/* Behind those of partition.c. */
#define CLOCK_SLOT 2

#define CLOCK_READINGS 8

static int enable_timers(struct partition *partition)
{
	/* Timers come with the SynIC, which stays without pages and SINTs: its MSRs do not reach KVM. */
	struct kvm_enable_cap synic = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	unsigned int i;
	int ret = 0;

	for (i = 0; i < partition->vp_count && !ret; i++)
		ret = kvm_ioctl(partition->vps[i].vcpu[HOST_VTL0].fd, KVM_ENABLE_CAP, &synic);
	return ret;
}

/*
 * KVM writes the reference TSC page by its own clock, but believes what it finds in the page while
 * "TSC emulation" is on, as after a migration to a machine with another TSC. The page lies beyond
 * the guest's addresses and cannot be written.
 */
static int set_clock(struct partition *partition)
{
	struct hv_reference_tsc_page *page = partition->stimer_kvm.clock;
	struct vcpu *vcpu = &partition->vps[0].vcpu[HOST_VTL0];
	uint64_t gpa = partition->memory.space_end, value = 1;
	int ret;

	page->tsc_sequence = 1;
	page->tsc_scale = partition->time.scale;
	ret = kvm_add_rom(partition->vtl[HOST_VTL0].vm, CLOCK_SLOT, gpa, HOST_PAGE_SIZE, page);
	if (!ret)
		ret = msr_access_kvm(vcpu, HV_X64_MSR_TSC_EMULATION_CONTROL, &value, true);
	value = gpa | HV_X64_MSR_PAGE_ENABLE;
	if (!ret)
		ret = msr_access_kvm(vcpu, HV_X64_MSR_REFERENCE_TSC, &value, true);
	return ret;
}

void stimer_kvm_init(struct partition *partition)
{
	struct stimer_kvm *timers = &partition->stimer_kvm;
	int ret;

	if (partition->options->own_timers)
		return;
	timers->clock = mmap(NULL, HOST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (timers->clock == MAP_FAILED) {
		timers->clock = NULL;
		return;
	}
	ret = enable_timers(partition);
	if (!ret)
		ret = set_clock(partition);
	if (ret)
		log_info("VTL0's timers exit: KVM has none (%s)", strerror(-ret));
	else
		atomic_store(&timers->state, STIMER_KVM_PREPARED);
}

void stimer_kvm_destroy(struct partition *partition)
{
	if (partition->stimer_kvm.clock)
		munmap(partition->stimer_kvm.clock, HOST_PAGE_SIZE);
}

/* Those whose COUNTs need no exits. */
static int filter(struct partition *partition)
{
	const struct stimer_kvm *timers = &partition->stimer_kvm;
	unsigned int i, without_exits = 0;

	for (i = 0; i < HV_SYNIC_STIMER_COUNT; i++)
		without_exits |= (unsigned int)!timers->messages[i] << i;
	return kvm_let_stimer_counts(partition->vtl[HOST_VTL0].vm, without_exits);
}

/*
 * KVM's reference time lies between two readings of ours, however close these are, only if both are the
 * same function of the TSC: several times, because another clock may fall between two that are far apart.
 */
static bool same_clock(struct vcpu *vcpu)
{
	const struct reference_time *time = &vcpu->vp->partition->time;
	uint64_t before, kvm = 0;
	unsigned int i;

	for (i = 0; i < CLOCK_READINGS; i++) {
		before = reference_time_now(time);
		if (msr_access_kvm(vcpu, HV_X64_MSR_TIME_REF_COUNT, &kvm, false) || kvm < before ||
		    kvm > reference_time_now(time))
			return false;
	}
	return true;
}

void stimer_kvm_settle(struct vcpu *vcpu)
{
	struct partition *partition = vcpu->vp->partition;
	struct stimer_kvm *timers = &partition->stimer_kvm;
	bool on;

	if (vcpu->vtl != HOST_VTL0 || atomic_load(&timers->state) != STIMER_KVM_PREPARED)
		return;
	pthread_mutex_lock(&partition->lock);
	if (atomic_load(&timers->state) == STIMER_KVM_PREPARED) {
		on = same_clock(vcpu) && !filter(partition);
		atomic_store(&timers->state, on ? STIMER_KVM_ON : STIMER_KVM_OFF);
		if (!on)
			log_info("VTL0's timers exit: KVM's reference time is not ours");
	}
	pthread_mutex_unlock(&partition->lock);
}

bool stimer_kvm_on(const struct vcpu *vcpu)
{
	return vcpu->vtl == HOST_VTL0 &&
	       atomic_load(&vcpu->vp->partition->stimer_kvm.state) == STIMER_KVM_ON;
}

int stimer_kvm_message_mode(struct vcpu *vcpu, unsigned int index, bool begins)
{
	struct partition *partition = vcpu->vp->partition;
	unsigned int *users = &partition->stimer_kvm.messages[index];
	int ret = 0;

	pthread_mutex_lock(&partition->lock);
	*users += begins ? 1 : -1;
	if (*users == begins) /* the first, or none any more */
		ret = filter(partition);
	pthread_mutex_unlock(&partition->lock);
	return ret;
}
