#ifndef CORE_IO_BUS_H
#define CORE_IO_BUS_H

#include <stdint.h>

/*
 * The port and memory address spaces of VTL0's emulated devices.
 *
 * Regions are added once, before VTL0 runs, in one ordered list in paravisor/; they may not
 * overlap. Accesses come from any VP thread. A region names the mutex of the device that it belongs
 * to and the bus holds it during the handler, so handlers run one at a time per device.
 */

struct io_bus;
struct device_lock;

enum io_space {
	IO_PORT,
	IO_MEMORY
};

/*
 * IO_DONE: handled. IO_DEFERRED: the device finishes later and wakes the VP itself.
 * IO_FAULT: the device refuses this access; the guest sees what unbacked addresses give.
 */
enum io_result {
	IO_DONE,
	IO_DEFERRED,
	IO_FAULT
};

/* offset: bytes from the region's base. size: 1, 2, 4 or 8 (ports: 1, 2, 4). */
struct io_region_ops {
	enum io_result (*read)(void *dev, uint64_t offset, unsigned int size, uint64_t *value);
	enum io_result (*write)(void *dev, uint64_t offset, unsigned int size, uint64_t value);
};

struct io_region {
	const char *name;
	enum io_space space;
	uint64_t base, len;
	const struct io_region_ops *ops;
	void *dev;
	struct device_lock *lock; /* may be NULL: the handlers lock for themselves */
	unsigned int max_size;    /* larger accesses are split into accesses of this size; 0: 8 */
};

/* Returns NULL when out of memory. */
struct io_bus *io_bus_create(void);
void io_bus_destroy(struct io_bus *bus);

/*
 * Copies *region. -EEXIST: overlaps another; -EINVAL: empty, wraps, beyond port FFFF, or a max_size
 * that is no access size; -ENOMEM.
 */
int io_bus_add(struct io_bus *bus, const struct io_region *region);

/*
 * One access. A read that nobody answers gives all ones and a write that nobody answers is dropped,
 * as on a PC; both then return IO_FAULT so that the caller can count or log it. An access that
 * straddles an end of a region is split into bytes. A split access is IO_DONE when a device answered
 * any part of it; the other parts read as ones. It cannot be deferred: a part that tries counts as
 * refused. Bits of *value above `size` bytes are zero. Any thread.
 */
enum io_result io_bus_read(struct io_bus *bus, enum io_space space, uint64_t addr,
			   unsigned int size, uint64_t *value);
enum io_result io_bus_write(struct io_bus *bus, enum io_space space, uint64_t addr,
			    unsigned int size, uint64_t value);

#endif
