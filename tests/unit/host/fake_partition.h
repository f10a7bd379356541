#ifndef TESTS_UNIT_HOST_FAKE_PARTITION_H
#define TESTS_UNIT_HOST_FAKE_PARTITION_H

#include "core/retarget.h"
#include "host/partition.h"

/*
 * A partition without KVM for tests of vtlhost's hypervisor side: real memory and SynICs, vCPUs whose
 * registers are plain memory, and functions of kvm.c, vp.c and the ports that record what they got.
 */

#define FAKE_VTL0_MEMORY (8ull << 20)
#define FAKE_VTL2_MEMORY (2ull << 20)

#define FAKE_KVM_VPS 4

struct fake_interrupts {
	unsigned int count;
	uint32_t vp;
	enum host_vtl vtl;
	uint8_t vector;
	uint32_t msi_address, msi_data;
};

struct fake_messages {
	unsigned int host_port, vmbus, signals, slots_freed;
};

/* KVM's side of VTL0's timers (host/stimer_kvm.c). The first fields are the test's to set. */
struct fake_kvm {
	int refuses;   /* -errno for KVM_CAP_HYPERV_SYNIC2 */
	uint64_t skew; /* what its reference time is ahead of vtlhost's */
	uint64_t stimers[FAKE_KVM_VPS][2 * HV_SYNIC_STIMER_COUNT]; /* MSRs, by VP */
	unsigned int without_exits;                                /* timers, a bit each */
	const struct hv_reference_tsc_page *clock;
};

/* The last HvCallRetargetDeviceInterrupt; FAKE_MSI_DATA is an interrupt that exists. */
#define FAKE_MSI_DATA 5u

extern struct fake_interrupts fake_interrupts;
extern struct fake_messages fake_messages;
extern struct fake_kvm fake_kvm;
extern struct retarget fake_retarget;
extern enum run_outcome fake_outcome;

/* Two VPs or more. Aborts when out of memory. */
struct partition *fake_partition_create(unsigned int vps);
void fake_partition_destroy(struct partition *partition);

#endif
