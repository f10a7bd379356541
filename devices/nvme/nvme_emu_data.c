#include <string.h>

#include "core/guest_access.h"
#include "core/guest_memory.h"
#include "devices/nvme/nvme_emu_internal.h"

#define DNR NVME_STATUS_DNR

#define PRP_SIZE         8u
#define PAGE_OFFSET(a)   ((a) & (NVME_PAGE_SIZE - 1))
#define SGL_MAX_SEGMENTS 64u /* a chain of empty segments ends somewhere */

/* --- A piece of memory to the list */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Appends len bytes at `address`; joins what is contiguous in the process. */
static uint16_t add_piece(struct nvme_emu *emu, struct nvme_emu_data *data, uint64_t address,
			  uint64_t len)
{
	uint8_t *memory = guest_memory_bulk(emu->function.bus.memory, address, len);
	struct iovec *last = &data->pieces[data->count ? data->count - 1 : 0];

	if (!memory)
		return NVME_SC_DATA_TRANSFER_ERROR | DNR;
	data->len += len;
	if (data->count && (uint8_t *)last->iov_base + last->iov_len == memory) {
		last->iov_len += len;
		return 0;
	}
	if (data->count == NVME_EMU_MAX_PIECES)
		return NVME_SC_SGL_INVALID_COUNT | DNR;
	data->pieces[data->count++] = (struct iovec){ memory, len };
	return 0;
}

/* --- PRPs (4.3) */

/*
 * The entries of a list that begins at `list`. When there are more than fit up to its page's end,
 * the last one there is the address of the next list, which begins a page: so a chain that loops
 * ends with the transfer's length. Each page of entries is copied before it is looked at.
 */
static uint16_t map_prp_list(struct nvme_emu *emu, uint64_t list, uint64_t left,
			     struct nvme_emu_data *data)
{
	uint64_t entries[NVME_PAGE_SIZE / PRP_SIZE];
	uint16_t status = 0;

	while (left && !status) {
		uint64_t pages = (left + NVME_PAGE_SIZE - 1) / NVME_PAGE_SIZE;
		uint64_t room = (NVME_PAGE_SIZE - PAGE_OFFSET(list)) / PRP_SIZE;
		uint64_t here = min(pages, room), count = pages > room ? here - 1 : here;

		if (guest_memory_read(emu->function.bus.memory, list, entries, here * PRP_SIZE))
			return NVME_SC_DATA_TRANSFER_ERROR | DNR;
		for (uint64_t i = 0; i < count && !status; i++) {
			uint64_t len = min(left, NVME_PAGE_SIZE);

			status = PAGE_OFFSET(entries[i]) ? NVME_SC_PRP_INVALID_OFFSET | DNR
							 : add_piece(emu, data, entries[i], len);
			left -= len;
		}
		if (status || !left)
			break;
		list = entries[count];
		if (PAGE_OFFSET(list))
			return NVME_SC_PRP_INVALID_OFFSET | DNR;
	}
	return status;
}

static uint16_t map_prps(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint64_t len,
			 struct nvme_emu_data *data)
{
	uint64_t first = min(len, NVME_PAGE_SIZE - PAGE_OFFSET(sqe->prp1));
	uint64_t left = len - first;
	uint16_t status;

	if (sqe->prp1 & 3)
		return NVME_SC_PRP_INVALID_OFFSET | DNR;
	status = add_piece(emu, data, sqe->prp1, first);
	if (status || !left)
		return status;
	if (left > NVME_PAGE_SIZE) {
		if (sqe->prp2 & (PRP_SIZE - 1))
			return NVME_SC_PRP_INVALID_OFFSET | DNR;
		return map_prp_list(emu, sqe->prp2, left, data);
	}
	if (PAGE_OFFSET(sqe->prp2))
		return NVME_SC_PRP_INVALID_OFFSET | DNR;
	return add_piece(emu, data, sqe->prp2, left);
}

/* --- SGLs (4.4) */

static bool is_segment(const struct nvme_sgl *sgl)
{
	return sgl->type == NVME_SGL_SEGMENT || sgl->type == NVME_SGL_LAST_SEGMENT;
}

static uint16_t add_sgl_data(struct nvme_emu *emu, const struct nvme_sgl *sgl, uint64_t len,
			     struct nvme_emu_data *data)
{
	if (sgl->type != NVME_SGL_DATA)
		return NVME_SC_SGL_INVALID_TYPE | DNR;
	if (!sgl->length)
		return 0;
	if (sgl->length > len - data->len)
		return NVME_SC_SGL_INVALID_DATA | DNR;
	return add_piece(emu, data, sgl->address, sgl->length);
}

/* One segment; *next is the descriptor of the one after it, or of type 0. Copied in batches. */
static uint16_t map_sgl_segment(struct nvme_emu *emu, const struct nvme_sgl *segment, uint64_t len,
				struct nvme_emu_data *data, struct nvme_sgl *next)
{
	bool last = segment->type == NVME_SGL_LAST_SEGMENT;
	uint32_t count = segment->length / sizeof(struct nvme_sgl);
	struct nvme_sgl sgls[64];
	uint16_t status = 0;

	memset(next, 0, sizeof(*next));
	if (!count || segment->length % sizeof(struct nvme_sgl) || count > NVME_EMU_MAX_PIECES + 1)
		return NVME_SC_SGL_INVALID_COUNT | DNR;
	for (uint32_t i = 0; i < count && !status; i++) {
		const struct nvme_sgl *sgl = &sgls[i % 64];

		if (i % 64 == 0 &&
		    guest_memory_read(emu->function.bus.memory, segment->address + i * sizeof(*sgl),
				      sgls, min(count - i, 64) * sizeof(*sgl)))
			return NVME_SC_DATA_TRANSFER_ERROR | DNR;
		if (!is_segment(sgl))
			status = add_sgl_data(emu, sgl, len, data);
		else if (last || i + 1 != count)
			status = NVME_SC_SGL_INVALID_LAST | DNR;
		else
			*next = *sgl;
	}
	return status;
}

static uint16_t map_sgls(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint64_t len,
			 struct nvme_emu_data *data)
{
	struct nvme_sgl segment = sqe->sgl, next;
	uint16_t status = 0;

	if (!is_segment(&segment))
		status = add_sgl_data(emu, &segment, len, data);
	for (unsigned int i = 0; is_segment(&segment) && !status; i++) {
		if (i == SGL_MAX_SEGMENTS)
			return NVME_SC_SGL_INVALID_COUNT | DNR;
		status = map_sgl_segment(emu, &segment, len, data, &next);
		segment = next;
	}
	return !status && data->len != len ? NVME_SC_SGL_INVALID_DATA | DNR : status;
}

/* Admin commands have PRPs (4.4: over PCI Express). */
uint16_t nvme_emu_map(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint64_t len,
		      struct nvme_emu_data *data)
{
	data->count = 0;
	data->len = 0;
	switch (sqe->flags & NVME_SQE_PSDT_MASK) {
	case NVME_SQE_PSDT_PRP:
		return map_prps(emu, sqe, len, data);
	case NVME_SQE_PSDT_SGL:
		return map_sgls(emu, sqe, len, data);
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

/* --- Control structures */

uint16_t nvme_emu_copy_out(struct nvme_emu *emu, const struct nvme_sqe *sqe, const void *buf,
			   uint64_t len, struct nvme_emu_data *data)
{
	uint16_t status = nvme_emu_map(emu, sqe, len, data);
	const uint8_t *from = buf;

	for (unsigned int i = 0; i < data->count && !status; i++) {
		const struct iovec *piece = &data->pieces[i];

		if (guest_access_copy(piece->iov_base, from, piece->iov_len))
			status = NVME_SC_DATA_TRANSFER_ERROR | DNR;
		from += piece->iov_len;
	}
	return status;
}

uint16_t nvme_emu_copy_in(struct nvme_emu *emu, const struct nvme_sqe *sqe, void *buf, uint64_t len,
			  struct nvme_emu_data *data)
{
	uint16_t status = nvme_emu_map(emu, sqe, len, data);
	uint8_t *to = buf;

	for (unsigned int i = 0; i < data->count && !status; i++) {
		const struct iovec *piece = &data->pieces[i];

		if (guest_access_copy(to, piece->iov_base, piece->iov_len))
			status = NVME_SC_DATA_TRANSFER_ERROR | DNR;
		to += piece->iov_len;
	}
	return status;
}
