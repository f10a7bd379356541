#include "devices/storage/file_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/disk.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"

#define PIECE 4096u /* the largest sector */

struct file_disk {
	struct disk disk;
	struct file_disk_config config;
	uint64_t sectors; /* atomic */
	int injected;     /* atomic */
};

static void get_info(struct disk *disk, struct disk_info *info)
{
	struct file_disk *file = container_of(disk, struct file_disk, disk);

	*info = (struct disk_info){
		.sectors = __atomic_load_n(&file->sectors, __ATOMIC_RELAXED),
		.sector_size = file->config.sector_size,
		.physical_sector_size = file->config.physical_sector_size,
		.read_only = file->config.read_only,
		.emulated = file->config.emulated,
		.can_unmap = true,
		.can_write_zeroes = true,
		.can_compare = true,
		.can_verify = true,
		.unmap_reads_zero = true,
	};
	memcpy(info->id, file->config.id, sizeof(info->id));
	memcpy(info->serial, file->config.serial, sizeof(info->serial));
}

/* One segment, all of it. */
static int transfer_segment(struct file_disk *file, bool write, uint8_t *mem, uint64_t len,
			    uint64_t offset)
{
	while (len) {
		ssize_t n = write ? pwrite(file->config.fd, mem, len, (off_t)offset)
				  : pread(file->config.fd, mem, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n && errno == ENOSPC   ? -ENOSPC
			       : n && errno == EFAULT ? -EFAULT
						      : -EIO;
		mem += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int transfer(struct file_disk *file, const struct disk_request *request)
{
	bool write = request->operation == DISK_WRITE;
	uint64_t offset = request->sector * file->config.sector_size;

	if (!write && request->fua && fdatasync(file->config.fd))
		return -EIO;
	for (unsigned int i = 0; i < request->segment_count; i++) {
		const struct disk_segment *segment = &request->segments[i];
		uint8_t *mem = guest_memory_bulk(file->config.memory, segment->gpa, segment->len);
		int err;

		if (!mem)
			return -EFAULT;
		err = transfer_segment(file, write, mem, segment->len, offset);
		if (err)
			return err;
		offset += segment->len;
	}
	if (write && request->fua && fdatasync(file->config.fd))
		return -EIO;
	return 0;
}

/* A piece of one segment, of at most PIECE bytes. */
static int compare_piece(struct file_disk *file, uint64_t gpa, uint64_t len, uint64_t offset)
{
	uint8_t medium[PIECE], memory[PIECE];
	int err = guest_memory_read(file->config.memory, gpa, memory, len);

	if (err)
		return err;
	err = transfer_segment(file, false, medium, len, offset);
	if (err)
		return err;
	return memcmp(medium, memory, len) ? -EILSEQ : 0;
}

static int compare(struct file_disk *file, const struct disk_request *request)
{
	uint64_t offset = request->sector * file->config.sector_size;
	int err = 0;

	for (unsigned int i = 0; i < request->segment_count && !err; i++) {
		const struct disk_segment *segment = &request->segments[i];

		for (uint64_t at = 0; at < segment->len && !err; at += PIECE) {
			uint64_t len = segment->len - at < PIECE ? segment->len - at : PIECE;

			err = compare_piece(file, segment->gpa + at, len, offset);
			offset += len;
		}
	}
	return err;
}

static int verify(struct file_disk *file, const struct disk_request *request)
{
	uint8_t sector[PIECE];
	uint64_t size = file->config.sector_size, end = request->sector + request->count;
	int err = 0;

	for (uint64_t at = request->sector; at < end && !err; at++)
		err = transfer_segment(file, false, sector, size, at * size);
	return err;
}

static int punch(struct file_disk *file, const struct disk_request *request)
{
	uint64_t size = file->config.sector_size;

	if (!request->count)
		return 0;
	if (fallocate(file->config.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(request->sector * size), (off_t)(request->count * size)))
		return errno == EOPNOTSUPP ? -EOPNOTSUPP : -EIO;
	return request->fua && fdatasync(file->config.fd) ? -EIO : 0;
}

static int perform(struct file_disk *file, const struct disk_request *request)
{
	int injected = __atomic_load_n(&file->injected, __ATOMIC_RELAXED);

	if (injected)
		return injected;
	if (file->config.read_only && request->operation != DISK_READ &&
	    request->operation != DISK_FLUSH && request->operation != DISK_COMPARE &&
	    request->operation != DISK_VERIFY)
		return -EROFS;
	switch (request->operation) {
	case DISK_READ:
	case DISK_WRITE:
		return transfer(file, request);
	case DISK_FLUSH:
		return fdatasync(file->config.fd) ? -EIO : 0;
	case DISK_UNMAP:
	case DISK_WRITE_ZEROES:
		return punch(file, request);
	case DISK_COMPARE:
		return compare(file, request);
	case DISK_VERIFY:
		return verify(file, request);
	case DISK_RESERVATION:
		break;
	}
	return -EOPNOTSUPP;
}

static void complete(void *ctx)
{
	struct disk_request *request = ctx;

	request->done(request, request->err);
}

static void submit(struct disk *disk, struct event_loop *loop, struct disk_request *request)
{
	struct file_disk *file = container_of(disk, struct file_disk, disk);

	request->err = perform(file, request);
	if (event_loop_post(loop, complete, request))
		request->done(request, -ENOMEM);
}

static const struct disk_ops file_ops = { .get_info = get_info, .submit = submit };

static int read_size(struct file_disk *file)
{
	struct stat st;

	if (fstat(file->config.fd, &st))
		return -errno;
	__atomic_store_n(&file->sectors, (uint64_t)st.st_size / file->config.sector_size,
			 __ATOMIC_RELAXED);
	return 0;
}

struct file_disk *file_disk_create(const struct file_disk_config *config)
{
	struct file_disk *file = calloc(1, sizeof(*file));
	int err;

	if (!file)
		return NULL;
	file->config = *config;
	err = read_size(file);
	if (err) {
		free(file);
		errno = -err;
		return NULL;
	}
	disk_init(&file->disk, &file_ops);
	return file;
}

void file_disk_destroy(struct file_disk *file)
{
	disk_fini(&file->disk);
	free(file);
}

struct disk *file_disk_disk(struct file_disk *file)
{
	return &file->disk;
}

int file_disk_resized(struct file_disk *file)
{
	int err = read_size(file);

	if (!err)
		disk_changed(&file->disk);
	return err;
}

void file_disk_inject(struct file_disk *file, int err)
{
	__atomic_store_n(&file->injected, err, __ATOMIC_RELAXED);
}
