#include <errno.h>
#include <string.h>

#include "core/guest_access.h"
#include "devices/nvme/nvme_emu_internal.h"

/* The NVM command set (6). */

#define DNR NVME_STATUS_DNR

#define CHUNK 4096u

struct nvme_emu_namespace *nvme_emu_find_namespace(struct nvme_emu *emu, uint32_t nsid)
{
	if (!nsid || nsid > NVME_EMU_MAX_NAMESPACES)
		return NULL;
	return __atomic_load_n(&emu->namespaces[nsid - 1], __ATOMIC_ACQUIRE);
}

uint16_t nvme_emu_write_status(int err)
{
	switch (err) {
	case 0:
		return 0;
	case -EFAULT:
		return NVME_SC_DATA_TRANSFER_ERROR | DNR;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG: /* the host's disk is full: the same command would fail again */
		return NVME_SC_WRITE_FAULT | DNR;
	case -EBADF:
	case -EROFS:
	case -EPERM:
		return NVME_SC_NS_WRITE_PROTECTED | DNR;
	default:
		return NVME_SC_WRITE_FAULT;
	}
}

static uint16_t read_status(int err)
{
	if (err == -EFAULT)
		return NVME_SC_DATA_TRANSFER_ERROR | DNR;
	return err ? NVME_SC_READ_ERROR : 0;
}

/* --- The blocks of a command */

struct range {
	uint64_t slba, nlb;
	uint64_t offset, len; /* bytes */
};

static bool blocks_valid(const struct nvme_emu_namespace *ns, uint64_t slba, uint64_t nlb)
{
	uint64_t blocks = nvme_emu_blocks(ns);

	return slba <= blocks && nlb <= blocks - slba;
}

static uint16_t get_range(const struct nvme_emu_namespace *ns, const struct nvme_sqe *sqe,
			  struct range *range)
{
	range->slba = sqe->cdw10 | (uint64_t)sqe->cdw11 << 32;
	range->nlb = NVME_IO_NLB(sqe->cdw12);
	if (!blocks_valid(ns, range->slba, range->nlb))
		return NVME_SC_LBA_RANGE | DNR;
	range->offset = range->slba << ns->shift;
	range->len = range->nlb << ns->shift;
	return 0;
}

/* The blocks, and where in guest memory their data is. */
static uint16_t get_transfer(struct nvme_emu_sq *sq, const struct nvme_emu_namespace *ns,
			     const struct nvme_sqe *sqe, struct range *range)
{
	uint16_t status;

	if ((uint64_t)NVME_IO_NLB(sqe->cdw12) << ns->shift > NVME_EMU_MAX_TRANSFER)
		return NVME_SC_INVALID_FIELD | DNR;
	status = get_range(ns, sqe, range);
	return status ? status : nvme_emu_map(sq->emu, sqe, range->len, &sq->lane->data);
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* --- Commands */

static uint16_t do_read(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			const struct nvme_sqe *sqe)
{
	struct range range;
	uint16_t status = get_transfer(sq, ns, sqe, &range);

	/* What is read is durable then (6.9). */
	if (!status && sqe->cdw12 & NVME_IO_FUA)
		status = nvme_emu_write_status(ns->ops->flush(ns));
	if (!status)
		status = read_status(ns->ops->read(ns, &sq->lane->data, range.offset));
	count(&sq->reads, 1);
	count(&sq->bytes_read, status ? 0 : range.len);
	return status;
}

static uint16_t do_flush(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			 const struct nvme_sqe *sqe)
{
	if (nvme_emu_flush_later(sq, ns, sqe))
		return NVME_EMU_DONE_LATER;
	return nvme_emu_write_status(ns->ops->flush(ns));
}

/* What was written is durable: asked for by the command, or because there is no write cache. */
static uint16_t make_durable(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			     const struct nvme_sqe *sqe)
{
	if (sqe->cdw12 & NVME_IO_FUA || !__atomic_load_n(&sq->emu->write_cache, __ATOMIC_RELAXED))
		return do_flush(sq, ns, sqe);
	return 0;
}

static uint16_t do_write(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			 const struct nvme_sqe *sqe)
{
	struct range range;
	uint16_t status = get_transfer(sq, ns, sqe, &range);

	if (!status)
		status = nvme_emu_write_status(ns->ops->write(ns, &sq->lane->data, range.offset));
	count(&sq->writes, 1);
	count(&sq->bytes_written, status ? 0 : range.len);
	return status ? status : make_durable(sq, ns, sqe);
}

static uint16_t do_write_zeroes(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
				const struct nvme_sqe *sqe)
{
	struct range range;
	uint16_t status = get_range(ns, sqe, &range);

	if (!status)
		status = nvme_emu_write_status(
			ns->ops->zero(ns, range.offset, range.len, sqe->cdw12 & NVME_IO_DEAC));
	return status ? status : make_durable(sq, ns, sqe);
}

static uint16_t discard_ranges(struct nvme_emu_namespace *ns, const struct nvme_dsm_range *ranges,
			       unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!blocks_valid(ns, ranges[i].slba, ranges[i].nlb))
			return NVME_SC_LBA_RANGE | DNR;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint16_t status;

		if (!ranges[i].nlb)
			continue;
		status = nvme_emu_write_status(ns->ops->discard(
			ns, ranges[i].slba << ns->shift, (uint64_t)ranges[i].nlb << ns->shift));
		if (status)
			return status;
	}
	return 0;
}

/* Of the hints only deallocation means something here (6.7). */
static uint16_t do_dsm(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
		       const struct nvme_sqe *sqe)
{
	struct nvme_dsm_range ranges[NVME_DSM_MAX_RANGES];
	unsigned int n = (sqe->cdw10 & 0xFF) + 1;
	uint16_t status =
		nvme_emu_copy_in(sq->emu, sqe, ranges, n * sizeof(ranges[0]), &sq->lane->data);

	if (status || !(sqe->cdw11 & NVME_DSM_DEALLOCATE))
		return status;
	return discard_ranges(ns, ranges, n);
}

/* Reads a piece of the medium that is at most CHUNK bytes. */
static int read_chunk(struct nvme_emu_namespace *ns, uint64_t offset, uint8_t *buf, size_t len)
{
	struct nvme_emu_data data;

	data.pieces[0] = (struct iovec){ buf, len };
	data.count = 1;
	data.len = len;
	return ns->ops->read(ns, &data, offset);
}

static uint16_t compare_piece(struct nvme_emu_namespace *ns, const struct iovec *piece,
			      uint64_t offset)
{
	uint8_t medium[CHUNK], memory[CHUNK];

	for (size_t at = 0; at < piece->iov_len; at += CHUNK) {
		size_t len = piece->iov_len - at < CHUNK ? piece->iov_len - at : CHUNK;
		int err = read_chunk(ns, offset + at, medium, len);

		if (err)
			return read_status(err);
		if (guest_access_copy(memory, (const uint8_t *)piece->iov_base + at, len))
			return NVME_SC_DATA_TRANSFER_ERROR | DNR;
		if (memcmp(medium, memory, len))
			return NVME_SC_COMPARE_FAILED | DNR;
	}
	return 0;
}

static uint16_t do_compare(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			   const struct nvme_sqe *sqe)
{
	const struct nvme_emu_data *data = &sq->lane->data;
	struct range range;
	uint16_t status = get_transfer(sq, ns, sqe, &range);

	for (unsigned int i = 0; i < data->count && !status; i++) {
		status = compare_piece(ns, &data->pieces[i], range.offset);
		range.offset += data->pieces[i].iov_len;
	}
	return status;
}

static uint16_t do_verify(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			  const struct nvme_sqe *sqe)
{
	uint8_t buf[CHUNK];
	struct range range;
	uint16_t status = get_range(ns, sqe, &range);

	(void)sq;
	if (!status && range.len > NVME_EMU_MAX_TRANSFER)
		status = NVME_SC_INVALID_FIELD | DNR;
	for (uint64_t at = 0; !status && at < range.len; at += CHUNK) {
		size_t len = range.len - at < CHUNK ? (size_t)(range.len - at) : CHUNK;

		status = read_status(read_chunk(ns, range.offset + at, buf, len));
	}
	return status;
}

static uint16_t flush_all(struct nvme_emu *emu)
{
	uint16_t status = 0;

	for (uint32_t nsid = 1; nsid <= NVME_EMU_MAX_NAMESPACES && !status; nsid++) {
		struct nvme_emu_namespace *ns = nvme_emu_find_namespace(emu, nsid);

		if (ns)
			status = nvme_emu_write_status(ns->ops->flush(ns));
	}
	return status;
}

/* --- Dispatch */

enum access {
	ACCESS_NONE, /* reservations do not matter */
	ACCESS_READ,
	ACCESS_WRITE,
};

struct command {
	uint16_t (*run)(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			const struct nvme_sqe *sqe);
	enum access access;
};

static const struct command commands[] = {
	[NVME_IO_FLUSH] = { do_flush, ACCESS_WRITE },
	[NVME_IO_WRITE] = { do_write, ACCESS_WRITE },
	[NVME_IO_READ] = { do_read, ACCESS_READ },
	[NVME_IO_COMPARE] = { do_compare, ACCESS_READ },
	[NVME_IO_WRITE_ZEROES] = { do_write_zeroes, ACCESS_WRITE },
	[NVME_IO_DSM] = { do_dsm, ACCESS_WRITE },
	[NVME_IO_VERIFY] = { do_verify, ACCESS_READ },
	[NVME_IO_RESERVATION_REGISTER] = { nvme_emu_reservation_command, ACCESS_NONE },
	[NVME_IO_RESERVATION_REPORT] = { nvme_emu_reservation_command, ACCESS_NONE },
	[NVME_IO_RESERVATION_ACQUIRE] = { nvme_emu_reservation_command, ACCESS_NONE },
	[NVME_IO_RESERVATION_RELEASE] = { nvme_emu_reservation_command, ACCESS_NONE },
};

uint16_t nvme_emu_io(struct nvme_emu_sq *sq, const struct nvme_sqe *sqe)
{
	const struct command *command = &commands[0];
	struct nvme_emu_namespace *ns;

	if (sqe->opcode >= sizeof(commands) / sizeof(commands[0]) || !commands[sqe->opcode].run)
		return NVME_SC_INVALID_OPCODE | DNR;
	if (sqe->flags & NVME_SQE_FUSE_MASK)
		return NVME_SC_INVALID_FIELD | DNR;
	if (sqe->opcode == NVME_IO_FLUSH && sqe->nsid == NVME_NSID_ALL)
		return flush_all(sq->emu);
	command = &commands[sqe->opcode];
	ns = nvme_emu_find_namespace(sq->emu, sqe->nsid);
	if (!ns)
		return NVME_SC_INVALID_NS | DNR;
	if (command->access == ACCESS_WRITE && ns->config.read_only && sqe->opcode != NVME_IO_FLUSH)
		return NVME_SC_NS_WRITE_PROTECTED | DNR;
	if (command->access != ACCESS_NONE &&
	    !nvme_emu_reservation_allows(sq->emu, ns, command->access == ACCESS_WRITE))
		return NVME_SC_RESERVATION_CONFLICT | DNR;
	return command->run(sq, ns, sqe);
}
