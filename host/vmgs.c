#include "host/vmgs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_SIZE (4 << 20) /* as Hyper-V's */

struct vmgs {
	int fd;
	uint64_t sectors;
};

static int open_file(const char *path, struct stat *status)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (fstat(fd, status) || (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))) {
		errno = errno ? errno : EINVAL;
		goto close_file;
	}
	if (S_ISBLK(status->st_mode)) {
		status->st_size = lseek(fd, 0, SEEK_END);
		if (status->st_size <= 0)
			goto close_file;
		return fd;
	}
	if (!status->st_size && (ftruncate(fd, NEW_SIZE) || fstat(fd, status)))
		goto close_file;
	return fd;

close_file:
	close(fd);
	return -1;
}

struct vmgs *vmgs_open(const char *path)
{
	struct vmgs *vmgs = calloc(1, sizeof(*vmgs));
	struct stat status;

	if (!vmgs)
		return NULL;
	errno = 0;
	vmgs->fd = open_file(path, &status);
	if (vmgs->fd < 0) {
		free(vmgs);
		return NULL;
	}
	vmgs->sectors = (uint64_t)status.st_size / VMGS_SECTOR;
	return vmgs;
}

void vmgs_close(struct vmgs *vmgs)
{
	if (!vmgs)
		return;
	close(vmgs->fd);
	free(vmgs);
}

uint64_t vmgs_sectors(const struct vmgs *vmgs)
{
	return vmgs->sectors;
}

static bool inside(const struct vmgs *vmgs, uint64_t sector, uint32_t count)
{
	return sector <= vmgs->sectors && count <= vmgs->sectors - sector;
}

/* The file has the device's size, so an end before that is an error of the medium. */
int vmgs_read(struct vmgs *vmgs, uint64_t sector, uint32_t count, void *buf)
{
	size_t done = 0, len = (size_t)count * VMGS_SECTOR;
	off_t at = (off_t)(sector * VMGS_SECTOR);

	if (!inside(vmgs, sector, count))
		return -EINVAL;
	while (done < len) {
		ssize_t n = pread(vmgs->fd, (char *)buf + done, len - done, at + (off_t)done);

		if (n == 0 || (n < 0 && errno != EINTR))
			return -EIO;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int vmgs_write(struct vmgs *vmgs, uint64_t sector, uint32_t count, const void *buf, bool durable)
{
	size_t done = 0, len = (size_t)count * VMGS_SECTOR;
	off_t at = (off_t)(sector * VMGS_SECTOR);

	if (!inside(vmgs, sector, count))
		return -EINVAL;
	while (done < len) {
		ssize_t n =
			pwrite(vmgs->fd, (const char *)buf + done, len - done, at + (off_t)done);

		if (n == 0 || (n < 0 && errno != EINTR))
			return -EIO;
		done += n > 0 ? (size_t)n : 0;
	}
	return durable ? vmgs_flush(vmgs) : 0;
}

int vmgs_flush(struct vmgs *vmgs)
{
	return fdatasync(vmgs->fd) ? -EIO : 0;
}
