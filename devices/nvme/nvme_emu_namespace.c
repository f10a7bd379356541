#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/fs.h>
#include <linux/magic.h>

#include "devices/nvme/nvme_emu_internal.h"

/* --- Size */

/* Of a file: device nodes are in such a system too. */
static bool in_memory(int fd)
{
	struct statfs system;

	return !fstatfs(fd, &system) &&
	       (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

static int file_size(int fd, uint64_t *bytes, bool *is_device)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*is_device = S_ISBLK(st.st_mode);
	*bytes = (uint64_t)st.st_size;
	if (*is_device && ioctl(fd, BLKGETSIZE64, bytes))
		return -errno;
	return 0;
}

int nvme_emu_namespace_set_size(struct nvme_emu_namespace *ns, uint64_t bytes)
{
	if (ns->memory && bytes > ns->config.memory_len)
		return -EINVAL;
	__atomic_store_n(&ns->blocks, bytes >> ns->shift, __ATOMIC_RELAXED);
	pthread_mutex_lock(&ns->lock);
	for (unsigned int i = 0; i < ns->sharer_count; i++)
		nvme_emu_namespace_changed(ns->sharers[i].emu, ns->sharers[i].nsid);
	pthread_mutex_unlock(&ns->lock);
	return 0;
}

int nvme_emu_namespace_resize(struct nvme_emu_namespace *ns, uint64_t bytes)
{
	struct nvme_emu_sharer sharers[NVME_EMU_MAX_SHARERS];
	unsigned int count;
	int err = nvme_emu_namespace_set_size(ns, bytes);

	pthread_mutex_lock(&ns->lock);
	count = ns->sharer_count;
	memcpy(sharers, ns->sharers, sizeof(sharers));
	pthread_mutex_unlock(&ns->lock);
	for (unsigned int i = 0; i < count; i++)
		nvme_emu_kick(sharers[i].emu);
	return err;
}

int nvme_emu_namespace_resized(struct nvme_emu_namespace *ns)
{
	uint64_t bytes;
	bool is_device;
	int err;

	if (ns->memory)
		return -EINVAL;
	err = file_size(ns->config.fd, &bytes, &is_device);
	return err ? err : nvme_emu_namespace_resize(ns, bytes);
}

/* --- Controllers that have it */

int nvme_emu_namespace_share(struct nvme_emu_namespace *ns, struct nvme_emu *emu, uint32_t nsid)
{
	int err = -ENOSPC;

	pthread_mutex_lock(&ns->lock);
	if (ns->sharer_count < NVME_EMU_MAX_SHARERS) {
		ns->sharers[ns->sharer_count++] = (struct nvme_emu_sharer){ emu, nsid };
		err = 0;
	}
	pthread_mutex_unlock(&ns->lock);
	return err;
}

void nvme_emu_namespace_unshare(struct nvme_emu_namespace *ns, struct nvme_emu *emu)
{
	pthread_mutex_lock(&ns->lock);
	for (unsigned int i = 0; i < ns->sharer_count; i++) {
		if (ns->sharers[i].emu == emu) {
			ns->sharers[i] = ns->sharers[--ns->sharer_count];
			break;
		}
	}
	nvme_emu_reservation_forget(ns, emu);
	pthread_mutex_unlock(&ns->lock);
}

/* --- Life */

static int open_backing(struct nvme_emu_namespace *ns)
{
	uint64_t bytes = ns->config.memory_len;
	int err = 0;

	if (ns->config.fd >= 0) {
		ns->ops = &nvme_emu_file_backing;
		err = file_size(ns->config.fd, &bytes, &ns->is_device);
		ns->in_memory = !ns->is_device && in_memory(ns->config.fd);
	} else {
		ns->ops = &nvme_emu_memory_backing;
		ns->in_memory = true;
		ns->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (ns->memory == MAP_FAILED)
			err = -errno;
	}
	ns->blocks = bytes >> ns->shift;
	return err;
}

struct nvme_emu_namespace *nvme_emu_namespace_create(const struct nvme_emu_namespace_config *config)
{
	struct nvme_emu_namespace *ns;
	int err;

	if (config->block_size != 512 && config->block_size != 4096) {
		errno = EINVAL;
		return NULL;
	}
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return NULL;
	ns->config = *config;
	ns->shift = config->block_size == 512 ? 9 : 12;
	ns->refs = 1;
	err = open_backing(ns);
	if (err) {
		free(ns);
		errno = -err;
		return NULL;
	}
	pthread_mutex_init(&ns->flush_lock, NULL);
	pthread_mutex_init(&ns->lock, NULL);
	return ns;
}

void nvme_emu_namespace_get(struct nvme_emu_namespace *ns)
{
	__atomic_fetch_add(&ns->refs, 1, __ATOMIC_RELAXED);
}

void nvme_emu_namespace_put(struct nvme_emu_namespace *ns)
{
	if (__atomic_sub_fetch(&ns->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (ns->memory)
		munmap(ns->memory, ns->config.memory_len);
	pthread_mutex_destroy(&ns->flush_lock);
	pthread_mutex_destroy(&ns->lock);
	free(ns);
}
