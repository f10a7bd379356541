#ifndef HOST_VPCI_H
#define HOST_VPCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/memory.h"

/* The PCI functions assigned to VTL2: buses of devices/vpci over KVM. */

struct guid;
struct host_vpci;
struct partition;
struct pci_function;
struct retarget;

/* After the partition's VMBus. NULL when out of memory. */
struct host_vpci *host_vpci_create(struct partition *partition);

/* When no VP runs any more and VMBus has stopped. Destroys the functions. */
void host_vpci_destroy(struct host_vpci *vpci);

/*
 * Offers a function on a bus of its own, whose number is `serial`, to VTL2. Its DMA reaches what
 * `view` may touch: HOST_VIEW_VTL0 is for a function that VTL2 leaves to VTL0. On success the
 * function is the bus's. 0 or -errno. Any thread.
 */
int host_vpci_add(struct host_vpci *vpci, const struct guid *instance, uint32_t serial,
		  enum host_view view, struct pci_function *function);

/*
 * Takes the function of that instance away: the guest is asked first when it uses it. 0, or
 * -ENOENT. Any thread.
 */
int host_vpci_remove(struct host_vpci *vpci, const struct guid *instance);

/* An access of VTL2 outside RAM, len at most 8 bytes: whether a function took it. VP threads. */
bool host_vpci_mmio(struct host_vpci *vpci, uint64_t gpa, uint8_t *data, size_t len, bool write);

/*
 * Of VTL0, where its view of memory denies it: whether a function that VTL2 has given on to VTL0 has registers there, and a
 * write, of at most 8 bytes: whether one took it. VP threads.
 */
bool host_vpci_is_direct(struct host_vpci *vpci, uint64_t gpa);
bool host_vpci_direct_write(struct host_vpci *vpci, uint64_t gpa, const void *data, size_t len);

/* HvCallRetargetInterrupt. 0; -ENOENT: no such function or interrupt; -EINVAL. VP threads. */
int host_vpci_retarget(struct host_vpci *vpci, const struct retarget *retarget);

#endif
