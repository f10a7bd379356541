#ifndef DEVICES_VPCI_VPCI_SET_H
#define DEVICES_VPCI_VPCI_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/guid.h"

/* All VPCI buses of one guest: finds the bus that an access or a hypercall is for, and ends buses. */

struct guest_memory;
struct pci_function;
struct retarget;
struct vmbus_server;
struct vpci_set;

struct vpci_set_config {
	/* As struct vpci_ops has them; `doorbell` and `direct_interrupt` may be NULL. */
	void (*interrupt)(void *ctx, uint32_t vp, uint8_t vector);
	void (*direct_interrupt)(void *ctx, uint32_t vp, uint8_t vector);
	int (*doorbell)(void *ctx, uint64_t gpa, unsigned int size, int fd, bool add);
	void *ctx;
	struct vmbus_server *server;
	uint32_t vp_count;
	uint64_t mmio_base, mmio_len; /* where the guest may put configuration windows and BARs */
};

/* NULL when out of memory. */
struct vpci_set *vpci_set_create(const struct vpci_set_config *config);

/* When nothing calls it any more: VPs and VMBus have stopped. Destroys the functions. */
void vpci_set_destroy(struct vpci_set *set);

struct vpci_set_bus {
	struct guid instance;
	uint32_t serial;                   /* number of the slot */
	const struct guest_memory *memory; /* what the function's DMA reaches */
	void (*gone)(void *ctx);           /* the bus is no more. Its channel's loop. May be NULL */
	void *ctx;
};

/*
 * Offers a function on a bus of its own. On success the function is the bus's. 0 or -errno. Any
 * thread.
 */
int vpci_set_add(struct vpci_set *set, const struct vpci_set_bus *config,
		 struct pci_function *function);

/*
 * Takes the function of that instance away: the guest is asked first when it uses it. 0, or
 * -ENOENT. Any thread.
 */
int vpci_set_remove(struct vpci_set *set, const struct guid *instance);

/*
 * An access of the guest outside of RAM, `size` from 1 to 8: whether a function took it. *value is
 * what is written, or what is read, with zeroes above. Any thread.
 */
bool vpci_set_mmio(struct vpci_set *set, uint64_t gpa, unsigned int size, uint64_t *value,
		   bool write);

/* Of the VTL that functions are relayed to: whether one has registers there, and a write: whether one took it. Any thread. */
bool vpci_set_is_direct(struct vpci_set *set, uint64_t gpa);
bool vpci_set_direct_write(struct vpci_set *set, uint64_t gpa, unsigned int size, uint64_t value);

/*
 * HvCallRetargetDeviceInterrupt. 0; -ENOENT: no such function or interrupt; -EINVAL. Any thread.
 */
int vpci_set_retarget(struct vpci_set *set, const struct retarget *retarget);

#endif
