#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "core/guest_access.h"
#include "devices/nvme/nvme_emu_internal.h"

#define PAGE 4096u

/* --- Files and block devices: the kernel moves the data from and to guest memory */

/* Drops what has been transferred. */
static void advance(struct iovec **piece, unsigned int *count, size_t n)
{
	while (n) {
		size_t here = n < (*piece)->iov_len ? n : (*piece)->iov_len;

		(*piece)->iov_base = (uint8_t *)(*piece)->iov_base + here;
		(*piece)->iov_len -= here;
		n -= here;
		if (!(*piece)->iov_len) {
			(*piece)++;
			(*count)--;
		}
	}
}

/* Uses up data->pieces. The end of the file is before that of the namespace: -EIO. */
static int transfer(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset,
		    bool write)
{
	struct iovec *piece = data->pieces;
	unsigned int count = data->count;

	while (count) {
		ssize_t n = write ? pwritev(ns->config.fd, piece, (int)count, (off_t)offset)
				  : preadv(ns->config.fd, piece, (int)count, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		offset += (uint64_t)n;
		advance(&piece, &count, (size_t)n);
	}
	return 0;
}

static int file_read(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset)
{
	return transfer(ns, data, offset, false);
}

static int file_write(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset)
{
	return transfer(ns, data, offset, true);
}

/*
 * After a flush that failed the kernel takes the pages for clean, and the next one would succeed without what this one
 * lost. So it is the last one that can; and one at a time, since the kernel tells only one of two about an error.
 */
static int file_flush(struct nvme_emu_namespace *ns)
{
	int err;

	pthread_mutex_lock(&ns->flush_lock);
	if (!ns->lost_writes && !ns->config.read_only && fdatasync(ns->config.fd))
		ns->lost_writes = true;
	err = ns->lost_writes ? -EIO : 0;
	pthread_mutex_unlock(&ns->flush_lock);
	return err;
}

static int write_zeroes(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len)
{
	static uint8_t zeroes[16 * PAGE];

	while (len) {
		size_t here = len < sizeof(zeroes) ? len : sizeof(zeroes);
		ssize_t n = pwrite(ns->config.fd, zeroes, here, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static bool not_supported(int err)
{
	return err == EOPNOTSUPP || err == ENOSYS || err == ENODEV || err == EINVAL;
}

static int file_zero(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len, bool deallocate)
{
	int mode = FALLOC_FL_KEEP_SIZE | (deallocate ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	if (!fallocate(ns->config.fd, mode, (off_t)offset, (off_t)len))
		return 0;
	return not_supported(errno) ? write_zeroes(ns, offset, len) : -errno;
}

static int file_discard(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len)
{
	uint64_t range[2] = { offset, len };
	int err;

	if (ns->is_device)
		err = ioctl(ns->config.fd, BLKDISCARD, range);
	else
		err = fallocate(ns->config.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)offset, (off_t)len);
	return err && !not_supported(errno) ? -errno : 0;
}

const struct nvme_emu_backing_ops nvme_emu_file_backing = {
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.zero = file_zero,
	.discard = file_discard,
};

/* --- Memory: two queues that transfer the same blocks at once race as on any disk */

static int copy_pieces(const struct nvme_emu_data *data, uint8_t *memory, bool write)
{
	for (unsigned int i = 0; i < data->count; i++) {
		const struct iovec *piece = &data->pieces[i];
		int err = write ? guest_access_copy(memory, piece->iov_base, piece->iov_len)
				: guest_access_copy(piece->iov_base, memory, piece->iov_len);

		if (err)
			return err;
		memory += piece->iov_len;
	}
	return 0;
}

static int memory_read(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset)
{
	return copy_pieces(data, ns->memory + offset, false);
}

static int memory_write(struct nvme_emu_namespace *ns, struct nvme_emu_data *data, uint64_t offset)
{
	return copy_pieces(data, ns->memory + offset, true);
}

static int memory_flush(struct nvme_emu_namespace *ns)
{
	(void)ns;
	return 0;
}

static int memory_zero(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len,
		       bool deallocate)
{
	(void)deallocate;
	return guest_access_fill(ns->memory + offset, 0, len);
}

static int memory_discard(struct nvme_emu_namespace *ns, uint64_t offset, uint64_t len)
{
	return memory_zero(ns, offset, len, true);
}

const struct nvme_emu_backing_ops nvme_emu_memory_backing = {
	.read = memory_read,
	.write = memory_write,
	.flush = memory_flush,
	.zero = memory_zero,
	.discard = memory_discard,
};
