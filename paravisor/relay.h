#ifndef PARAVISOR_RELAY_H
#define PARAVISOR_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/guid.h"

/*
 * PCI functions that VTL0 has for itself: what VTL2 has by VFIO, offered to VTL0 on VPCI buses of our
 * own. docs/vpci.md.
 */

struct machine;
struct pci_device_access;
struct relay;
struct relay_function;
struct retarget;

/* Takes what VTL0 does in the MMIO windows of its VMBus. Before VTL0 runs. 0 or -errno. */
int relay_create(struct machine *machine, struct relay **relay);

/*
 * Makes a function ready to be offered as `instance`, in the slot of that number (not 0). Before the
 * VPs' threads start; for good. 0 or -errno.
 */
int relay_add(struct relay *relay, struct pci_device_access *pci, const struct guid *instance,
	      uint32_t serial, struct relay_function **function);

/*
 * Whether VTL0 is to have the function. It is asked to give it back; until it has, and whatever is
 * asked for in between, it keeps it. VP 0's thread.
 */
void relay_want(struct relay_function *function, bool wanted);

/* Does VTL0 drive the function? Any thread. */
bool relay_in_use(const struct relay_function *function);

/*
 * From now on fn(ctx) is called when VTL0 has let go of the function, in whatever way: relay_in_use()
 * says no by then. On the thread of the VP that notices. Before VTL0 runs.
 */
void relay_watch(struct relay_function *function, void (*fn)(void *ctx), void *ctx);

/* HvCallRetargetDeviceInterrupt of VTL0: 0, -ENOENT, -EINVAL. Any thread. */
int relay_retarget(struct relay *relay, const struct retarget *retarget);

#endif
