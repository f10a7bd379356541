#ifndef TESTS_UNIT_DEVICES_NVME_RAW_DRIVER_H
#define TESTS_UNIT_DEVICES_NVME_RAW_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/event_loop.h"
#include "core/pci_device.h"
#include "devices/nvme/nvme_emu.h"
#include "devices/nvme/nvme_emu_fault.h"
#include "proto/nvme.h"

/*
 * The least that drives an NVMe controller, with a controller to drive: so that tests see what goes
 * over the wire. Aborts when something fails that a test does not look at. Each queue may have a
 * thread of its own that pushes, rings and polls.
 */

#define RAW_RAM    (8u << 20) /* guest RAM from 0 */
#define RAW_BUFFER 0x100000u  /* data of commands */
#define RAW_LISTS  0x10000u   /* PRP lists and other structures */
#define RAW_QUEUES 8u         /* I/O queues */

struct raw_queue {
	struct pci_dma sq, cq;
	uint32_t entries;
	uint32_t sq_tail, cq_head;
	uint16_t phase;
	uint16_t next_cid;
	struct pci_interrupt interrupt;
	unsigned int raised; /* interrupts seen */
};

struct raw {
	struct guest_memory *memory;
	uint8_t *ram;
	struct event_loop *loop;
	struct nvme_emu *emu;
	struct pci_function *function;
	struct pci_inproc *inproc;
	struct pci_device_access *pci;
	struct raw_queue queues[1 + RAW_QUEUES];
	uint32_t result; /* of the last raw_command() */
	uint32_t *shadow, *event;
};

/* A controller with as many workers, not enabled; bus mastering is on, vector 0 bound. */
void raw_start(struct raw *raw, unsigned int workers);
void raw_stop(struct raw *raw);

/* CC.EN and a wait for CSTS.RDY, or CSTS.CFS; then the admin queue. Returns CSTS. */
uint32_t raw_enable(struct raw *raw);
void raw_disable(struct raw *raw);

/* One completion queue, one submission queue, vector `id`. */
void raw_create_queue(struct raw *raw, unsigned int id, uint32_t entries);

/* Puts a command into the queue (its cid is filled in, and returned); rings the doorbell. */
uint16_t raw_push(struct raw *raw, unsigned int queue, const struct nvme_sqe *sqe);
void raw_ring(struct raw *raw, unsigned int queue);
uint16_t raw_submit(struct raw *raw, unsigned int queue, const struct nvme_sqe *sqe);

/* Takes a completion when there is one; waits for one; no more than a minute. */
bool raw_poll(struct raw *raw, unsigned int queue, struct nvme_cqe *cqe);
void raw_wait(struct raw *raw, unsigned int queue, struct nvme_cqe *cqe);

/* Submits and waits. The status; the result is in raw->result. */
uint16_t raw_command(struct raw *raw, unsigned int queue, const struct nvme_sqe *sqe);

/* Read or write of blocks of namespace 1 at RAW_BUFFER (up to 8 KiB, for there is no list). */
uint16_t raw_transfer(struct raw *raw, unsigned int queue, uint8_t opcode, uint64_t slba,
		      uint32_t blocks);

/* Interrupts of a queue since the last call. */
unsigned int raw_interrupts(struct raw *raw, unsigned int queue);

#endif
