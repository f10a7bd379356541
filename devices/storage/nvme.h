#ifndef DEVICES_STORAGE_NVME_H
#define DEVICES_STORAGE_NVME_H

#include <stdint.h>

/*
 * NVMe driver (NVM Express Base 2.0, NVM Command Set 1.0; controllers from 1.0 on). Each namespace is
 * a struct disk. An event loop that submits gets an I/O queue pair of its own, whose interrupt comes
 * to that loop, so a request never leaves its thread and takes no lock. A thread of the driver's does
 * the rest: enabling, admin commands, events, recovery.
 */

struct disk;
struct event_loop;
struct guest_memory;
struct nvme;
struct pci_device_access;

struct nvme_config {
	struct pci_device_access *pci;     /* outlives the driver, which is its only user */
	const struct guest_memory *memory; /* what disk_segments are of */
	const char *name;                  /* in log lines; "" if NULL; copied */
	unsigned int max_queues;       /* I/O queue pairs; 0: as many as the function has vectors */
	unsigned int queue_depth;      /* commands a queue, 2 to 1024; 0: 128 */
	unsigned int io_timeout_ms;    /* 0: 30,000 */
	unsigned int admin_timeout_ms; /* 0: 10,000 */
	/*
	 * By which reservations know this machine: the same after a restart and never that of another that may have the
	 * same namespaces. 0: there is none, and disks have no reservations.
	 */
	uint64_t host_id;
	/*
	 * A namespace has come, gone or changed size, or the controller has failed for good. On the
	 * driver's thread; must not wait. May be NULL. Disks' watchers are told beside this.
	 */
	void (*changed)(void *ctx);
	void *ctx;
};

struct nvme_counters {
	uint64_t commands;        /* I/O commands sent */
	uint64_t bytes_direct;    /* transferred from and to guest pages */
	uint64_t bytes_copied;    /* through a bounce buffer */
	uint64_t doorbells;       /* MMIO writes; fewer than commands with shadow doorbells */
	uint64_t interrupts;      /* of I/O queues */
	uint64_t lost_interrupts; /* completions found without one */
	uint64_t retries;         /* commands sent again upon a passing error */
	uint64_t timeouts;        /* commands that took too long */
	uint64_t aborts;          /* of those, ended by Abort */
	uint64_t resets;          /* of the controller */
	uint64_t bad_completions; /* of unknown or duplicate commands: each leads to a reset */
	uint64_t dma_bytes;       /* device-visible memory that the driver holds */
	uint64_t queues;          /* I/O queue pairs */
};

/*
 * Resets and enables the controller and finds its namespaces, waiting for it (CAP.TO at worst). The
 * loops need not run yet. Any thread. 0, -ENODEV: nothing there; -ETIMEDOUT; -EPROTO: it does not
 * behave; -ENOTSUP: it lacks what the driver needs; -ENOMEM; what `pci` returns.
 */
int nvme_create(const struct nvme_config *config, struct nvme **nvme);

/*
 * The disk of a namespace, or NULL. Lives until nvme_destroy(); when its namespace goes, requests end
 * with -ENODEV. Any thread.
 */
struct disk *nvme_namespace_disk(struct nvme *nvme, uint32_t nsid);

/* The nsid of the index-th namespace in ascending order, 0 past the last. Any thread. */
uint32_t nvme_namespace_id(struct nvme *nvme, unsigned int index);

/* Has the controller looked at: one that is gone or has failed is then noticed at once. Any thread. */
void nvme_check(struct nvme *nvme);

/*
 * Tells the controller that the machine ends (shutdown notification) and waits for it to make all
 * data durable. No request may be under way; those to come end with -ENODEV. Any thread but the
 * driver's.
 */
void nvme_shutdown(struct nvme *nvme);

/*
 * Takes the driver off the controller: shutdown notification, interrupts unbound. Returns at once;
 * stopped(ctx) comes on the driver's thread, after which nvme_destroy() may be called (on another).
 * The loops run; no request is under way and none comes.
 */
void nvme_stop(struct nvme *nvme, void (*stopped)(void *ctx), void *ctx);

/* After nvme_stop() said so, with the disks' watchers gone. */
void nvme_destroy(struct nvme *nvme);

/* Any thread; figures of queues that are busy may be a little old. */
void nvme_get_counters(struct nvme *nvme, struct nvme_counters *counters);

#endif
