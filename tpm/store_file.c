// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "tpm/store_file.h"

static int file_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct store_file *f = ctx;
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(f->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) { /* beyond the end: never written */
			memset(p, 0, len);
			return 0;
		}
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct store_file *f = ctx;
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(f->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_sync(void *ctx)
{
	struct store_file *f = ctx;

	return f->durable && fdatasync(f->fd) ? -errno : 0;
}

const struct store_device store_file_device = {
	.read = file_read,
	.write = file_write,
	.sync = file_sync,
};

int store_file_open(struct store_file *f, const char *path, bool durable)
{
	int err;

	f->durable = durable;
	f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return -errno;
	if (flock(f->fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(f->fd);
		return err;
	}
	return 0;
}

void store_file_close(struct store_file *f)
{
	close(f->fd);
}
