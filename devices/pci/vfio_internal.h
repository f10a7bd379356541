#ifndef DEVICES_PCI_VFIO_INTERNAL_H
#define DEVICES_PCI_VFIO_INTERNAL_H

#include <pthread.h>
#include <stdint.h>

#include "core/event_loop.h"
#include "core/pci_device.h"
#include "devices/pci/vfio.h"

/* Shared by the VFIO files only. */

#define VFIO_BARS 6u

struct vfio_bar {
	uint64_t size;
	uint64_t offset;  /* in the device's file */
	uint8_t *mapping; /* or NULL: by read and write */
};

struct vfio_vector {
	struct event_watch watch; /* fd: an eventfd, for the function's life */
	struct event_loop *loop;  /* NULL: not bound */
	struct pci_interrupt *interrupt;
	int affinity_fd; /* its smp_affinity_list, or -1 */
};

struct vfio_function {
	struct pci_device_access device;
	const struct guest_memory *memory;
	struct dma_pool *pool; /* NULL: `next_iova` and on are mapped as needed */
	char address[16];
	int container, group, fd;
	uint64_t config_offset;
	bool can_reset;
	struct vfio_bar bars[VFIO_BARS];
	unsigned int vector_count;
	struct vfio_vector *vectors;
	pthread_mutex_t lock; /* of next_iova */
	uint64_t next_iova;
};

/* vfio_irq.c: makes eventfds and turns MSI-X on. 0 or -errno. */
int vfio_vectors_open(struct vfio_function *function, unsigned int max);
void vfio_vectors_close(struct vfio_function *function);

unsigned int vfio_vector_count(struct pci_device_access *pci);
int vfio_vector_bind(struct pci_device_access *pci, unsigned int index, struct event_loop *loop,
		     struct pci_interrupt *interrupt);
void vfio_vector_unbind(struct pci_device_access *pci, unsigned int index);

/* vfio_dma.c */
int vfio_dma_open(struct vfio_function *function);
int vfio_dma_alloc(struct pci_device_access *pci, size_t len, struct pci_dma *dma);
void vfio_dma_free(struct pci_device_access *pci, struct pci_dma *dma);
int vfio_dma_address(struct pci_device_access *pci, uint64_t gpa, uint64_t len, uint64_t *address);

#endif
