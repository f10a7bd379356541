#ifndef DEVICES_PCI_PCI_RELAY_DIRECT_H
#define DEVICES_PCI_PCI_RELAY_DIRECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/pci.h"

/*
 * A relay's use of the capability of proto/pci_direct.h, where the host's function has it: the host is told only what has
 * changed, since each word is an exit.
 */

struct pci_device_access;

/* Embedded. */
struct pci_relay_direct {
	struct pci_device_access *pci;
	unsigned int capability; /* its offset; 0: there is none, nothing is told */
	unsigned int vector_count;
	pthread_mutex_t lock; /* guards the rest: what the host knows, and `find` of ..._vector() */
	uint64_t bars[PCI_BAR_COUNT];
	uint64_t *vectors;
};

/* `capability`: of the first vendor-specific one, 0: none; it may turn out to be another. 0, -ENOMEM, -errno. */
int pci_relay_direct_init(struct pci_relay_direct *direct, struct pci_device_access *pci,
			  unsigned int capability, unsigned int vectors);
void pci_relay_direct_fini(struct pci_relay_direct *direct);

/* The function has been reset: the host knows nothing any more. Any thread. */
void pci_relay_direct_forgotten(struct pci_relay_direct *direct);

/* The guest has the BAR at gpa; 0: it is not to reach it so. Any thread. */
void pci_relay_direct_bar(struct pci_relay_direct *direct, unsigned int bar, uint64_t gpa);

/*
 * The vector is for the VP and vector that find() says; false: for the relay. It is asked under a lock, so that of several that
 * tell at once the last has what is true. It must not call back. Any thread.
 */
void pci_relay_direct_vector(struct pci_relay_direct *direct, unsigned int index,
			     bool (*find)(void *ctx, unsigned int index, uint32_t *vp,
					  uint8_t *vector),
			     void *ctx);

#endif
