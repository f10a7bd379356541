#ifndef TESTS_UNIT_DEVICES_STORAGE_NVME_RIG_H
#define TESTS_UNIT_DEVICES_STORAGE_NVME_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/disk.h"
#include "core/pci_device.h"
#include "devices/nvme/nvme_emu.h"
#include "devices/nvme/nvme_emu_fault.h"
#include "devices/storage/nvme.h"

/*
 * The NVMe driver on the emulated controller in this process, with namespaces in memory, and between
 * the two a layer that can make the function vanish, its reset fail or DMA memory run out.
 */

struct event_loop;
struct guest_memory;
struct pci_inproc;

#define RIG_RAM_SIZE   (64ul << 20) /* of the guest, from 0 on */
#define RIG_POOL       0x40000000ull
#define RIG_POOL_SIZE  (16ul << 20)
#define RIG_LOOPS      4u
#define RIG_NAMESPACES 2u

struct rig {
	/* What the test wants, before rig_start(). */
	struct nvme_emu_config emu_config;
	struct nvme_config config; /* pci and memory are filled in */
	uint32_t sector_size[RIG_NAMESPACES];
	uint64_t size[RIG_NAMESPACES]; /* bytes; 0: no such namespace */
	int fd;                        /* of namespace 1; -1: memory */

	struct guest_memory *memory;
	uint8_t *ram;
	struct nvme_emu *emu;
	struct nvme_emu_namespace *namespaces[RIG_NAMESPACES];
	struct pci_inproc *inproc;
	struct pci_device_access pci; /* the layer */
	struct nvme *nvme;
	struct event_loop *loops[RIG_LOOPS];
	struct disk *disk; /* of namespace 1 */

	/* What the layer does; atomic. */
	bool gone, no_reset, no_dma, never_ready;
	bool changed; /* config.changed was called; atomic */
};

/* Four queues, threads, 8 MiB of 512-byte sectors and as much of 4096. 0 or -1. */
int rig_init(struct rig *rig);

/* Makes controller and driver: what nvme_create() returns. */
int rig_start(struct rig *rig);

/* Stops the driver and looks that it left nothing. Returns what it left: bytes and vectors. */
uint64_t rig_stop(struct rig *rig);
void rig_fini(struct rig *rig);

/* Runs all loops until *flag or, after 30 seconds, for good: false. */
bool rig_wait(struct rig *rig, const bool *flag);

/* One request to its end, on loop 0: its error, or -EBUSY if it has no end. */
int rig_execute(struct rig *rig, struct disk_request *request);
int rig_transfer(struct rig *rig, enum disk_operation operation, uint64_t sector, uint64_t count,
		 uint64_t gpa);

struct nvme_counters rig_counters(struct rig *rig);
int rig_fault(struct rig *rig, const char *text);

#endif
