/* From requests to commands of the NVM command set (NVMe 1.4, 6). */

#include <errno.h>
#include <string.h>

#include "devices/storage/nvme_internal.h"

struct nvme_slot *nvme_slot_take(struct nvme_queue *queue)
{
	struct nvme_slot *slot;

	if (queue->free_slot == queue->slot_count)
		return NULL;
	slot = &queue->slots[queue->free_slot];
	queue->free_slot = slot->next_free;
	queue->in_flight++;
	slot->bounce = NVME_NO_BOUNCE;
	slot->retries = slot->replays = 0;
	slot->aborting = false;
	slot->bytes = 0;
	return slot;
}

void nvme_slot_free(struct nvme_queue *queue, struct nvme_slot *slot)
{
	if (slot->bounce != NVME_NO_BOUNCE)
		queue->bounce_free |= (uint8_t)(1u << slot->bounce);
	slot->io = NULL;
	slot->next_free = queue->free_slot;
	queue->free_slot = (uint16_t)(slot - queue->slots);
	queue->in_flight--;
}

void nvme_slot_send(struct nvme_queue *queue, struct nvme_slot *slot)
{
	slot->tick = queue->tick;
	slot->sqe.cid = (uint16_t)(slot->sqe.cid + NVME_CID_USE);
	nvme_ring_push(&queue->ring, &slot->sqe);
	nvme_count(&queue->counters.commands, 1);
}

static uint64_t *chunk_of(struct nvme_queue *queue, const struct nvme_slot *slot, uint64_t *address)
{
	size_t offset = (size_t)(slot - queue->slots) * NVME_CHUNK_SIZE;

	*address = queue->chunks_address + offset;
	return (void *)(queue->chunks + offset);
}

/* --- Bounce buffers, for what no PRP can describe */

static int bounce_take(struct nvme_queue *queue, struct nvme_slot *slot)
{
	if (!queue->bounce.base) {
		int err = nvme_dma_alloc(queue->nvme, NVME_BOUNCE_COUNT * NVME_BOUNCE_SIZE,
					 &queue->bounce);

		if (err)
			return err;
		queue->bounce_free = (1u << NVME_BOUNCE_COUNT) - 1;
	}
	if (!queue->bounce_free)
		return -EAGAIN;
	slot->bounce = (uint8_t)__builtin_ctz(queue->bounce_free);
	queue->bounce_free &= (uint8_t) ~(1u << slot->bounce);
	return 0;
}

static void *bounce_of(struct nvme_queue *queue, const struct nvme_slot *slot)
{
	return (uint8_t *)queue->bounce.base + slot->bounce * NVME_BOUNCE_SIZE;
}

/* Returns the bytes that go through a buffer, or -errno. */
static int64_t bounce(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io,
		      uint64_t max)
{
	const struct disk_request *request = io->request;
	uint64_t chunk_address, len = max < NVME_BOUNCE_SIZE ? max : NVME_BOUNCE_SIZE;
	uint64_t *chunk = chunk_of(queue, slot, &chunk_address);
	int err = bounce_take(queue, slot);

	if (err)
		return err;
	slot->cursor = io->cursor;
	if (request->operation != DISK_READ)
		err = nvme_copy(queue->nvme->config.memory, request, &io->cursor,
				bounce_of(queue, slot), len, false);
	else
		nvme_cursor_advance(request, &io->cursor, len);
	if (err)
		return err;
	nvme_prp_contiguous(&slot->sqe,
			    queue->bounce.address + slot->bounce * (uint64_t)NVME_BOUNCE_SIZE, len,
			    chunk, chunk_address);
	return (int64_t)len;
}

int nvme_issue_finish(struct nvme_queue *queue, struct nvme_slot *slot)
{
	const struct disk_request *request = slot->io->request;
	uint8_t report[NVME_CHUNK_SIZE];
	uint64_t address;
	int err = 0;

	if (request->operation == DISK_RESERVATION) {
		memcpy(report, chunk_of(queue, slot, &address), sizeof(report));
		if (request->reservation->action == DISK_RESERVATION_REPORT)
			nvme_reservation_report(report, request->reservation);
		return 0;
	}
	if (slot->bounce == NVME_NO_BOUNCE) {
		nvme_count(&queue->counters.bytes_direct, slot->bytes);
		return 0;
	}
	if (request->operation == DISK_READ)
		err = nvme_copy(queue->nvme->config.memory, request, &slot->cursor,
				bounce_of(queue, slot), slot->bytes, true);
	nvme_count(&queue->counters.bytes_copied, slot->bytes);
	return err;
}

/* --- Commands: each returns the sectors that it covers, or -errno */

static void set_range(struct nvme_sqe *sqe, uint64_t sector, uint64_t count)
{
	sqe->cdw10 = (uint32_t)sector;
	sqe->cdw11 = (uint32_t)(sector >> 32);
	sqe->cdw12 |= (uint32_t)(count - 1);
}

static int64_t transfer(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io,
			uint8_t opcode)
{
	unsigned int shift = io->ns->sector_shift;
	uint64_t max = io->left << shift, chunk_address;
	uint64_t *chunk = chunk_of(queue, slot, &chunk_address);
	int64_t bytes;

	if (max > queue->nvme->max_transfer)
		max = queue->nvme->max_transfer;
	slot->sqe.opcode = opcode;
	slot->sqe.cdw12 = io->request->fua ? NVME_IO_FUA : 0;
	bytes = nvme_prp_build(queue->nvme->pci, io->request, &io->cursor, max, shift, &slot->sqe,
			       chunk, chunk_address);
	if (!bytes)
		bytes = bounce(queue, slot, io, max);
	if (bytes <= 0)
		return bytes;
	slot->bytes = (uint32_t)bytes;
	set_range(&slot->sqe, io->sector, (uint64_t)bytes >> shift);
	return bytes >> shift;
}

/* One range; 6.7 */
static int64_t unmap(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io)
{
	uint64_t address, count = io->left < UINT32_MAX ? io->left : UINT32_MAX;
	struct nvme_dsm_range *range = (void *)chunk_of(queue, slot, &address);

	if (!(queue->nvme->oncs & NVME_ONCS_DSM))
		return -EOPNOTSUPP;
	*range = (struct nvme_dsm_range){ .nlb = (uint32_t)count, .slba = io->sector };
	slot->sqe.opcode = NVME_IO_DSM;
	slot->sqe.prp1 = address;
	slot->sqe.cdw11 = NVME_DSM_DEALLOCATE;
	return (int64_t)count;
}

static int64_t write_zeroes(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io)
{
	uint64_t count = io->left < 0x10000 ? io->left : 0x10000;

	if (!(queue->nvme->oncs & NVME_ONCS_WRITE_ZEROES))
		return -EOPNOTSUPP;
	slot->sqe.opcode = NVME_IO_WRITE_ZEROES;
	slot->sqe.cdw12 = io->request->fua ? NVME_IO_FUA : 0;
	set_range(&slot->sqe, io->sector, count);
	return (int64_t)count;
}

static int64_t compare(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io)
{
	if (!(queue->nvme->oncs & NVME_ONCS_COMPARE))
		return -EOPNOTSUPP;
	return transfer(queue, slot, io, NVME_IO_COMPARE);
}

/* No data moves, and controllers limit it like commands that move some all the same. */
static int64_t verify(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io)
{
	uint64_t max = queue->nvme->max_transfer >> io->ns->sector_shift;
	uint64_t count = io->left < max ? io->left : max;

	if (!(queue->nvme->oncs & NVME_ONCS_VERIFY))
		return -EOPNOTSUPP;
	slot->sqe.opcode = NVME_IO_VERIFY;
	set_range(&slot->sqe, io->sector, count);
	return (int64_t)count;
}

static int64_t reservation(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io)
{
	if (!(queue->nvme->oncs & NVME_ONCS_RESERVATIONS))
		return -EOPNOTSUPP;
	nvme_reservation_command(io->request->reservation, &slot->sqe,
				 chunk_of(queue, slot, &slot->sqe.prp1));
	return 0;
}

static int64_t build(struct nvme_queue *queue, struct nvme_slot *slot, struct nvme_io *io)
{
	slot->sqe = (struct nvme_sqe){
		.cid = slot->sqe.cid,
		.nsid = io->ns->nsid,
	};
	switch (io->request->operation) {
	case DISK_READ:
		return transfer(queue, slot, io, NVME_IO_READ);
	case DISK_WRITE:
		return transfer(queue, slot, io, NVME_IO_WRITE);
	case DISK_FLUSH:
		slot->sqe.opcode = NVME_IO_FLUSH;
		return 0;
	case DISK_UNMAP:
		return unmap(queue, slot, io);
	case DISK_WRITE_ZEROES:
		return write_zeroes(queue, slot, io);
	case DISK_COMPARE:
		return compare(queue, slot, io);
	case DISK_VERIFY:
		return verify(queue, slot, io);
	case DISK_RESERVATION:
		return reservation(queue, slot, io);
	}
	return -EOPNOTSUPP;
}

int nvme_issue(struct nvme_queue *queue, struct nvme_io *io)
{
	while (io->left || io->unissued) {
		struct nvme_slot *slot = nvme_slot_take(queue);
		int64_t sectors;

		if (!slot)
			return -EAGAIN;
		sectors = build(queue, slot, io);
		if (sectors < 0) {
			nvme_slot_free(queue, slot);
			return (int)sectors;
		}
		io->sector += (uint64_t)sectors;
		io->left -= (uint64_t)sectors;
		io->unissued = false;
		io->commands++;
		slot->io = io;
		nvme_slot_send(queue, slot);
	}
	return 0;
}
