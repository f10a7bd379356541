#include "host/vmgs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

#define NEW_SIZE (4 << 20) /* as Hyper-V's */

/* A disk that needs longer is why the guest's TPM is slow, and who runs the guest should know. */
#define SLOW_SECONDS 5

struct vmgs {
	int fd;
	uint64_t sectors;
	pthread_t thread; /* syncs */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	void (*done)(void *ctx, int err); /* of a sync that has not begun; NULL: there is none */
	void *ctx;
	bool syncing; /* until done() has returned */
	bool stopping;
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

/* --- the thread that syncs --- */

static int sync_file(const struct vmgs *vmgs)
{
	struct timespec begin, end;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	ret = fdatasync(vmgs->fd) ? -EIO : 0;
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (end.tv_sec - begin.tv_sec > SLOW_SECONDS)
		log_warn("the guest's state took %lld s to reach the disk",
			 (long long)(end.tv_sec - begin.tv_sec));
	return ret;
}

static void *sync_thread(void *arg)
{
	struct vmgs *vmgs = arg;

	pthread_mutex_lock(&vmgs->lock);
	for (;;) {
		void (*done)(void *ctx, int err);
		void *ctx;

		while (!vmgs->done && !vmgs->stopping)
			pthread_cond_wait(&vmgs->changed, &vmgs->lock);
		if (!vmgs->done)
			break;
		done = vmgs->done;
		ctx = vmgs->ctx;
		vmgs->done = NULL; /* from done() on there may be another */
		vmgs->syncing = true;
		pthread_mutex_unlock(&vmgs->lock);
		done(ctx, sync_file(vmgs));
		pthread_mutex_lock(&vmgs->lock);
		vmgs->syncing = false;
		pthread_cond_broadcast(&vmgs->changed);
	}
	pthread_mutex_unlock(&vmgs->lock);
	return NULL;
}

void vmgs_sync(struct vmgs *vmgs, void (*done)(void *ctx, int err), void *ctx)
{
	pthread_mutex_lock(&vmgs->lock);
	vmgs->done = done;
	vmgs->ctx = ctx;
	pthread_cond_broadcast(&vmgs->changed);
	pthread_mutex_unlock(&vmgs->lock);
}

void vmgs_wait(struct vmgs *vmgs)
{
	if (!vmgs)
		return;
	pthread_mutex_lock(&vmgs->lock);
	while (vmgs->done || vmgs->syncing)
		pthread_cond_wait(&vmgs->changed, &vmgs->lock);
	pthread_mutex_unlock(&vmgs->lock);
}

/* --- life --- */

struct vmgs *vmgs_open(const char *path)
{
	struct vmgs *vmgs = calloc(1, sizeof(*vmgs));
	struct stat status;

	if (!vmgs)
		return NULL;
	errno = 0;
	vmgs->fd = open_file(path, &status);
	if (vmgs->fd < 0)
		goto free_vmgs;
	vmgs->sectors = (uint64_t)status.st_size / VMGS_SECTOR;
	pthread_mutex_init(&vmgs->lock, NULL);
	pthread_cond_init(&vmgs->changed, NULL);
	errno = pthread_create(&vmgs->thread, NULL, sync_thread, vmgs);
	if (errno)
		goto destroy_lock;
	return vmgs;

destroy_lock:
	pthread_cond_destroy(&vmgs->changed);
	pthread_mutex_destroy(&vmgs->lock);
	close(vmgs->fd);
free_vmgs:
	free(vmgs);
	return NULL;
}

void vmgs_close(struct vmgs *vmgs)
{
	if (!vmgs)
		return;
	pthread_mutex_lock(&vmgs->lock);
	vmgs->stopping = true;
	pthread_cond_broadcast(&vmgs->changed);
	pthread_mutex_unlock(&vmgs->lock);
	pthread_join(vmgs->thread, NULL);
	pthread_cond_destroy(&vmgs->changed);
	pthread_mutex_destroy(&vmgs->lock);
	close(vmgs->fd);
	free(vmgs);
}

/* --- reads and writes --- */

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

int vmgs_write(struct vmgs *vmgs, uint64_t sector, uint32_t count, const void *buf)
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
	return 0;
}
