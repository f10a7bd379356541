#ifndef TESTS_UNIT_DEVICES_MANA_MANA_DRIVER_H
#define TESTS_UNIT_DEVICES_MANA_MANA_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/gdma.h"
#include "tests/unit/devices/net/memory_backend.h"

/*
 * The smallest driver of the emulated MANA function, for tests of what no real driver does: the hardware channel, one
 * EQ, SQ and RQ, everything else by hand. Errors are return values, so that it serves fuzz targets, too.
 */

struct event_loop;
struct guest_memory;
struct pci_function;

#define MANA_DRIVER_RAM    (1u << 20)
#define MANA_DRIVER_QUEUES 0x10000u /* EQ */
#define MANA_DRIVER_SQ     0x11000u /* two pages, then its CQ */
#define MANA_DRIVER_RQ     0x14000u
#define MANA_DRIVER_BUFFER 0x20000u /* free from here on */

/* What mana_driver_make_queues() gets: the first numbers that there are. */
#define MANA_DRIVER_EQ_ID 1u
#define MANA_DRIVER_SQ_ID 2u
#define MANA_DRIVER_RQ_ID 3u
#define MANA_DRIVER_CQ_ID 1u /* the SQ's */

struct mana_driver {
	uint8_t *ram; /* at address 0 */
	struct guest_memory *memory;
	struct event_loop *loop;
	struct memory_backend network;
	struct pci_function *function;
	uint32_t sq_head, rq_head; /* the hardware channel's */
	unsigned int moves;        /* of the filter */
	bool to_vtl0;
	unsigned int
		interrupts; /* of MSI-X vector 0, once mana_driver_take_interrupts() is called; atomic */
};

/* 0 or -1. The function's network has been started; the channel is not up. */
int mana_driver_init(struct mana_driver *driver);
void mana_driver_fini(struct mana_driver *driver);

/* Runs the loop until nothing is left. */
void mana_driver_run(struct mana_driver *driver);

/* The hardware channel. After mana_driver_init(), or a reset of the function. */
void mana_driver_bring_up(struct mana_driver *driver);

/* Enables MSI-X, with vector 0 unmasked. */
void mana_driver_take_interrupts(struct mana_driver *driver);

void mana_driver_write(struct mana_driver *driver, uint64_t offset, unsigned int size,
		       uint64_t value); /* BAR 0 */
void mana_driver_doorbell(struct mana_driver *driver, uint32_t page, uint32_t place, uint32_t id,
			  uint32_t tail, bool arm);

/* Writes a work queue entry with one SGE at `at` (64 bytes at most); returns its size. */
uint32_t mana_driver_put_wqe(uint8_t *at, uint32_t oob_size, const void *oob, uint64_t address,
			     uint32_t len);

/* The header of a request of `len` bytes, to the Ethernet device, with room for 512 bytes of answer. */
void mana_driver_header(struct gdma_req_hdr *hdr, uint32_t type, uint32_t len);

/* Sends a request of at most 4,096 bytes: the status of its answer; UINT32_MAX: none came. */
uint32_t mana_driver_command(struct mana_driver *driver, const void *message, uint32_t len);

/* What the last command was answered. */
const uint8_t *mana_driver_answer(const struct mana_driver *driver);

/* A region of consecutive pages: its handle, or 0. */
uint64_t mana_driver_region(struct mana_driver *driver, uint64_t address, uint32_t pages);

/* An EQ, an SQ and an RQ, the vport enabled, steering to the RQ: what a driver begins with. */
void mana_driver_make_queues(struct mana_driver *driver);

#endif
