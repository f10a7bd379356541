#ifndef DEVICES_STORAGE_NVME_RING_H
#define DEVICES_STORAGE_NVME_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pci_device.h"
#include "proto/nvme.h"

/*
 * A submission queue and the completion queue that answers it (NVMe 1.4, 4.1): memory, indices and
 * doorbells. Used by one thread. Its user has at most entries - 1 commands under way, so neither
 * queue can overflow.
 */
struct nvme_ring {
	struct pci_device_access *pci;
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	uint64_t sq_address, cq_address; /* as the function sees them */
	uint16_t qid;
	uint16_t entries;
	uint16_t sq_tail, sq_rung; /* filled; the controller knows of */
	uint16_t cq_head, cq_rung;
	uint16_t phase;                    /* of entries that are new */
	uint64_t sq_doorbell, cq_doorbell; /* offsets in BAR 0 */
	/* Shadow doorbells and event indices (NVMe 1.4, 7.13), or NULL. */
	uint32_t *sq_shadow, *cq_shadow, *sq_event, *cq_event;
	uint64_t doorbells; /* MMIO writes */
};

/* Bytes of device-visible memory that both queues take: where the completion queue ends. */
size_t nvme_ring_end(uint16_t entries);

/* `dma` has at least nvme_ring_end() bytes and stays its owner's. dstrd: CAP.DSTRD. */
void nvme_ring_init(struct nvme_ring *ring, struct pci_device_access *pci, uint16_t qid,
		    uint16_t entries, unsigned int dstrd, const struct pci_dma *dma);

/* Both queues empty, as before they are created. */
void nvme_ring_reset(struct nvme_ring *ring);

/* With shadow doorbells in these two pages, if the queue's lie in them; NULL: without. */
void nvme_ring_set_shadow(struct nvme_ring *ring, void *shadow, void *event, unsigned int dstrd);

/* Appends a command, of which the controller does not know until nvme_ring_ring(). */
void nvme_ring_push(struct nvme_ring *ring, const struct nvme_sqe *sqe);
void nvme_ring_ring(struct nvme_ring *ring);

/* Takes the next completion, if there is one. */
bool nvme_ring_pop(struct nvme_ring *ring, struct nvme_cqe *cqe);

/* Gives back the entries that were taken. */
void nvme_ring_popped(struct nvme_ring *ring);

#endif
