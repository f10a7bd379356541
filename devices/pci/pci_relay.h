#ifndef DEVICES_PCI_PCI_RELAY_H
#define DEVICES_PCI_PCI_RELAY_H

#include <stdbool.h>

#include "core/pci_function.h"

/*
 * A function that we have, given on: a struct pci_function (for a guest's bus) over a struct
 * pci_device_access (VFIO). Registers are the function's own; configuration space and MSI-X table are
 * ours, so that whom it belongs to has no say in where its interrupts and registers really are. DMA
 * is not looked at: whoever gave us the function has to confine it to the guest's memory. docs/vpci.md.
 */

struct event_loop;
struct pci_device_access;
struct pci_relay;

/*
 * Learns what the function is and resets it. `pci` outlives the relay. 0, -EINVAL: it is nothing that
 * can be relayed (no MSI-X, strange BARs), -ENOMEM, -errno.
 */
int pci_relay_create(struct pci_device_access *pci, struct pci_relay **relay);

/* All vectors are unbound, and the function is on no bus. */
void pci_relay_destroy(struct pci_relay *relay);

/*
 * What goes on a bus. The bus's destroy() only resets it: the relay stays its creator's, and may be
 * put on another bus then.
 */
struct pci_function *pci_relay_function(struct pci_relay *relay);

unsigned int pci_relay_vectors(const struct pci_relay *relay);

/* Since its last reset somebody has written to its registers, or let it have memory. Any thread. */
bool pci_relay_used(const struct pci_relay *relay);

/*
 * From now on fn(ctx) is called when a function that was used is reset: it has no driver any more. On
 * the thread that resets it, which may hold the bus's lock. pci_relay_used() says no by then.
 */
void pci_relay_watch(struct pci_relay *relay, void (*fn)(void *ctx), void *ctx);

/* Relays interrupts of a vector on that loop's thread: called there, once. 0 or -errno. */
int pci_relay_bind(struct pci_relay *relay, unsigned int vector, struct event_loop *loop);

/* On the loop's thread, or when that no longer runs. */
void pci_relay_unbind(struct pci_relay *relay, unsigned int vector);

#endif
