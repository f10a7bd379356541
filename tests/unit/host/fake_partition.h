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

/* The last HvCallRetargetDeviceInterrupt; FAKE_MSI_DATA is an interrupt that exists. */
#define FAKE_MSI_DATA 5u

extern struct fake_interrupts fake_interrupts;
extern struct fake_messages fake_messages;
extern struct retarget fake_retarget;
extern enum run_outcome fake_outcome;

/* Two VPs or more. Aborts when out of memory. */
struct partition *fake_partition_create(unsigned int vps);
void fake_partition_destroy(struct partition *partition);

#endif
