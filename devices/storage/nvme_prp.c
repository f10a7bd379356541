/* Physical region pages: NVMe 1.4, 4.3. */

#include <errno.h>

#include "core/guest_memory.h"
#include "devices/storage/nvme_internal.h"

#define PAGE_MASK ((uint64_t)NVME_PAGE_SIZE - 1)

/* A list being made: PRP 1, then up to NVME_CHUNK_PRPS entries of a page each. */
struct prp {
	uint64_t first;
	uint64_t *entries;
	unsigned int count; /* of entries */
	uint64_t bytes;
};

void nvme_cursor_advance(const struct disk_request *request, struct nvme_cursor *cursor,
			 uint64_t len)
{
	cursor->offset += len;
	while (cursor->segment < request->segment_count &&
	       cursor->offset >= request->segments[cursor->segment].len) {
		cursor->offset -= request->segments[cursor->segment].len;
		cursor->segment++;
	}
}

/*
 * Appends [address, address + len), which is contiguous; all but the first piece of a list begins on
 * a page, all but the last ends on one. Returns how much fits, 0 when it cannot be joined.
 */
static uint64_t append(struct prp *prp, uint64_t address, uint64_t len)
{
	uint64_t taken = 0;

	if (!prp->bytes) {
		if (address & 3)
			return 0; /* dword-aligned (figure 109) */
		prp->first = address;
		taken = NVME_PAGE_SIZE - (address & PAGE_MASK);
	} else if (address & PAGE_MASK) {
		return 0;
	}
	while (taken < len && prp->count < NVME_CHUNK_PRPS) {
		prp->entries[prp->count++] = address + taken;
		taken += NVME_PAGE_SIZE;
	}
	if (taken > len)
		taken = len;
	prp->bytes += taken;
	return taken;
}

/* PRP 2 is the second page, or points at the list when there are more. */
static void finish(struct nvme_sqe *sqe, const struct prp *prp, uint64_t bytes,
		   uint64_t chunk_address)
{
	uint64_t in_first = NVME_PAGE_SIZE - (prp->first & PAGE_MASK);

	sqe->prp1 = prp->first;
	if (bytes <= in_first)
		sqe->prp2 = 0;
	else if (bytes <= in_first + NVME_PAGE_SIZE)
		sqe->prp2 = prp->entries[0];
	else
		sqe->prp2 = chunk_address;
}

int64_t nvme_prp_build(struct pci_device_access *pci, const struct disk_request *request,
		       struct nvme_cursor *cursor, uint64_t max, unsigned int shift,
		       struct nvme_sqe *sqe, uint64_t *chunk, uint64_t chunk_address)
{
	struct prp prp = { .entries = chunk };
	unsigned int segment = cursor->segment;
	uint64_t offset = cursor->offset;

	for (; segment < request->segment_count && prp.bytes < max; segment++, offset = 0) {
		const struct disk_segment *at = &request->segments[segment];
		uint64_t len = at->len - offset, address, taken;

		if (len > max - prp.bytes)
			len = max - prp.bytes;
		if (!len)
			continue;
		if (pci->ops->dma_address(pci, at->gpa + offset, len, &address))
			return -EFAULT;
		taken = append(&prp, address, len);
		if (taken < len || ((address + len) & PAGE_MASK))
			break;
	}
	prp.bytes &= ~(((uint64_t)1 << shift) - 1);
	if (!prp.bytes)
		return 0;
	finish(sqe, &prp, prp.bytes, chunk_address);
	nvme_cursor_advance(request, cursor, prp.bytes);
	return (int64_t)prp.bytes;
}

void nvme_prp_contiguous(struct nvme_sqe *sqe, uint64_t address, uint64_t len, uint64_t *chunk,
			 uint64_t chunk_address)
{
	struct prp prp = { .entries = chunk };

	append(&prp, address, len);
	finish(sqe, &prp, len, chunk_address);
}

int nvme_copy(const struct guest_memory *memory, const struct disk_request *request,
	      struct nvme_cursor *cursor, void *buffer, uint64_t len, bool to_guest)
{
	uint8_t *p = buffer;

	while (len) {
		const struct disk_segment *at;
		uint64_t n, gpa;
		int err;

		if (cursor->segment >= request->segment_count)
			return -EFAULT;
		at = &request->segments[cursor->segment];
		n = at->len - cursor->offset;
		if (n > len)
			n = len;
		gpa = at->gpa + cursor->offset;
		err = to_guest ? guest_memory_write(memory, gpa, p, n)
			       : guest_memory_read(memory, gpa, p, n);
		if (err)
			return err;
		p += n;
		len -= n;
		nvme_cursor_advance(request, cursor, n);
	}
	return 0;
}
