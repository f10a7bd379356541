#ifndef DEVICES_VPCI_VPCI_H
#define DEVICES_VPCI_VPCI_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/guid.h"

/*
 * A PCI Express bus with one function, offered to a guest over VMBus (proto/vpci.h). The function is
 * any struct pci_function; whoever owns the guest's address space and interrupts brings MMIO
 * accesses here and takes interrupts from here. docs/vpci.md has the states and threads.
 */

struct guest_memory;
struct pci_function;
struct vmbus_server;
struct vpci;

struct vpci_ops {
	/* A fixed interrupt for a VP of the guest's. Any thread; it must not wait. */
	void (*interrupt)(void *ctx, uint32_t vp, uint8_t vector);

	/*
	 * From now on (add), or no longer, signal eventfd `fd` when the guest writes `size` bytes (0:
	 * any number) at gpa, in place of vpci_mmio_write(). 0 or -errno: then writes keep coming.
	 * NULL: never.
	 */
	int (*doorbell)(void *ctx, uint64_t gpa, unsigned int size, int fd, bool add);

	/*
	 * One for a VP of the VTL that the guest relays the function to. As interrupt(). NULL: the
	 * function has no capability for it (devices/pci/pci_direct.h).
	 */
	void (*direct_interrupt)(void *ctx, uint32_t vp, uint8_t vector);

	/* The guest has let go of the function after vpci_eject(). The channel's loop. May be NULL. */
	void (*ejected)(void *ctx);

	/* After vpci_rescind(): nothing calls vpci any more. The channel's loop. May be NULL. */
	void (*gone)(void *ctx);
};

struct vpci_config {
	const struct vpci_ops *ops;
	void *ctx;
	struct vmbus_server *server;
	const struct guest_memory *memory; /* what the function's DMA reaches */
	struct guid instance; /* data2 becomes Linux's PCI domain, the rest its device id */
	uint32_t serial;      /* number of the slot */
	uint32_t vp_count;
	uint64_t mmio_base, mmio_len; /* where the guest may put configuration window and BARs */
};

/*
 * Plugs the function into a new bus and offers it. On success the function is the bus's. 0, -ENOMEM
 * or -ENOSPC as vmbus_server_offer().
 */
int vpci_create(const struct vpci_config *config, struct pci_function *function,
		struct vpci **vpci);

/*
 * When nothing calls it any more: after gone(), or when the server and the guest's VPs are gone.
 * Destroys the function too.
 */
void vpci_destroy(struct vpci *vpci);

/*
 * Accesses of the guest to its physical memory: true when gpa is ours; then the access is done, and
 * reads as ones where nothing is. size 1 to 8 bytes. Any thread.
 */
bool vpci_mmio_read(struct vpci *vpci, uint64_t gpa, unsigned int size, uint64_t *value);
bool vpci_mmio_write(struct vpci *vpci, uint64_t gpa, unsigned int size, uint64_t value);

/*
 * Of the VTL that the guest relays the function to, by that VTL's memory: whether the guest has said that registers are
 * there, and a write, which is done then (true). Any thread.
 */
bool vpci_is_direct(struct vpci *vpci, uint64_t gpa);
bool vpci_direct_write(struct vpci *vpci, uint64_t gpa, unsigned int size, uint64_t value);

/* The bus's number in HvCallRetargetInterrupt, without the function in bits 2:0. */
uint32_t vpci_device_id(const struct vpci *vpci);

/*
 * HvCallRetargetInterrupt: the interrupt that we told the guest to be (address, data) goes to that
 * vector of that VP from now on. -ENOENT: there is no such interrupt; -EINVAL. Any thread.
 */
int vpci_retarget(struct vpci *vpci, uint64_t address, uint32_t data, uint32_t vp, uint32_t vector);

/*
 * Asks the guest to stop using the function: ejected() follows when it has, which may be never.
 * False when no guest has opened the bus: there is nobody to ask. Any thread.
 */
bool vpci_eject(struct vpci *vpci);

/* Unplugs the bus, whether the guest uses it or not; gone() follows. Once. Any thread. */
void vpci_rescind(struct vpci *vpci);

#endif
