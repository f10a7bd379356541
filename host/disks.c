#include "host/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/pci_function.h"
#include "devices/nvme/nvme_emu.h"
#include "devices/nvme/nvme_emu_fault.h"
#include "host/partition.h"
#include "host/settings.h"
#include "host/vpci.h"
#include "proto/guid.h"

#define NSID 1u

struct host_disk {
	int fd; /* -1: memory, or none */
	struct nvme_emu_namespace *ns;
	struct nvme_emu *emu; /* VPCI's; NULL when it is gone or going */
	bool removed;         /* VTL2 has been told, and emu goes when it has agreed */
};

struct host_disks {
	struct partition *partition;
	pthread_mutex_t lock; /* of emu and removed */
	unsigned int count;
	struct host_disk disks[HOST_MAX_DISKS];
};

/* --- what backs a disk --- */

/* A file that is not there is made when the command line says how large. */
static int open_file(const struct disk_option *option)
{
	int fd = open(option->path, (option->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT || !option->size)
		return fd;
	fd = open(option->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)option->size)) {
		close(fd);
		return -1;
	}
	return fd;
}

static const char *name_of(const struct disk_option *option)
{
	return option->path ? option->path : "memory";
}

/* Two guests that write one file-system would destroy it. */
static int open_backing(const struct disk_option *option, int *fd)
{
	*fd = -1;
	if (!option->path)
		return 0;
	*fd = open_file(option);
	if (*fd < 0) {
		log_error("cannot open the disk '%s': %s", option->path, strerror(errno));
		return -EIO;
	}
	if (flock(*fd, (option->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		log_error("the disk '%s' is in use", option->path);
		return -EBUSY;
	}
	return 0;
}

static struct nvme_emu_namespace *create_namespace(const struct host_disks *disks,
						   unsigned int index)
{
	const struct options *options = disks->partition->options;
	const struct disk_option *option = &options->disks[index];
	struct nvme_emu_namespace_config config = {
		.fd = disks->disks[index].fd,
		.memory_len = option->size,
		.block_size = option->sector_size,
		.read_only = option->read_only,
	};
	struct guid id;

	host_settings_disk_id(option, &id);
	memcpy(config.nguid, &id, sizeof(config.nguid));
	return nvme_emu_namespace_create(&config);
}

/* --- the controller --- */

static unsigned int workers(unsigned int vps)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : (unsigned int)cpus < vps ? (unsigned int)cpus : vps;
}

/* A queue for each VP's driver. */
static struct nvme_emu *create_controller(const struct host_disks *disks, unsigned int index)
{
	const struct disk_option *option = &disks->partition->options->disks[index];
	unsigned int vps = disks->partition->vp_count, i;
	struct nvme_emu *emu;
	struct nvme_emu_config config = {
		.io_queues = vps < NVME_EMU_MAX_IO_QUEUES ? vps : NVME_EMU_MAX_IO_QUEUES,
		.workers = workers(vps),
	};

	snprintf(config.serial, sizeof(config.serial), "ENTRESOL%04u", index);
	emu = nvme_emu_create(&config);
	for (i = 0; emu && i < option->fault_count; i++)
		nvme_emu_inject(emu, &option->faults[i]);
	return emu;
}

static int offer(struct host_disks *disks, unsigned int index)
{
	struct nvme_emu *emu = create_controller(disks, index);
	struct guid instance;
	int ret;

	if (!emu)
		return -errno;
	ret = nvme_emu_attach(emu, NSID, disks->disks[index].ns);
	if (ret)
		goto destroy;
	host_settings_disk_instance(index, &instance);
	ret = host_vpci_add(disks->partition->vpci, &instance, index + 1, HOST_VIEW_VTL2,
			    nvme_emu_function(emu));
	if (ret)
		goto destroy;
	disks->disks[index].emu = emu;
	return 0;

destroy:
	nvme_emu_function(emu)->ops->reset(nvme_emu_function(emu));
	nvme_emu_function(emu)->ops->destroy(nvme_emu_function(emu));
	return ret;
}

static int create_disk(struct host_disks *disks, unsigned int index)
{
	const struct disk_option *option = &disks->partition->options->disks[index];
	struct host_disk *disk = &disks->disks[index];
	int ret;

	disk->fd = -1;
	if (option->empty)
		return 0;
	ret = open_backing(option, &disk->fd);
	if (ret)
		return ret;
	disk->ns = create_namespace(disks, index);
	ret = disk->ns ? offer(disks, index) : -errno;
	if (ret)
		log_error("cannot make a disk of '%s': %s", name_of(option), strerror(-ret));
	return ret;
}

int host_disks_add(struct host_disks *disks, unsigned int index)
{
	if (index >= HOST_MAX_DISKS || index < disks->count)
		return -EINVAL;
	disks->count = index + 1;
	return create_disk(disks, index);
}

/* --- changes during the run --- */

void host_disks_note_removed(struct host_disks *disks)
{
	unsigned int i;

	pthread_mutex_lock(&disks->lock);
	for (i = 0; i < disks->count; i++)
		disks->disks[i].removed = disks->partition->options->disks[i].removed;
	pthread_mutex_unlock(&disks->lock);
}

void host_disks_take_removed(struct host_disks *disks)
{
	struct guid instance;
	unsigned int i;

	pthread_mutex_lock(&disks->lock);
	for (i = 0; i < disks->count; i++) {
		struct host_disk *disk = &disks->disks[i];

		if (!disk->removed || !disk->emu)
			continue;
		disk->emu = NULL;
		host_settings_disk_instance(i, &instance);
		host_vpci_remove(disks->partition->vpci, &instance);
	}
	pthread_mutex_unlock(&disks->lock);
}

/* Under the lock. */
static struct host_disk *find(struct host_disks *disks, unsigned int lun)
{
	unsigned int i;

	for (i = 0; i < disks->count; i++)
		if (disks->partition->options->disks[i].lun == lun && disks->disks[i].emu)
			return &disks->disks[i];
	return NULL;
}

/* A file is cut or grown; of a block device less can be shown than there is. */
static int resize_backing(int fd, uint64_t size)
{
	struct stat status;
	off_t end;

	if (fd < 0)
		return 0; /* memory */
	if (fstat(fd, &status))
		return -errno;
	if (S_ISREG(status.st_mode))
		return ftruncate(fd, (off_t)size) ? -errno : 0;
	end = lseek(fd, 0, SEEK_END);
	return end < 0 ? -errno : (uint64_t)end < size ? -ENOSPC : 0;
}

int host_disks_resize(struct host_disks *disks, unsigned int lun, uint64_t size)
{
	struct host_disk *disk;
	int ret = -ENOENT;

	pthread_mutex_lock(&disks->lock);
	disk = find(disks, lun);
	if (disk)
		ret = resize_backing(disk->fd, size);
	if (!ret)
		ret = nvme_emu_namespace_resize(disk->ns, size);
	pthread_mutex_unlock(&disks->lock);
	return ret;
}

int host_disks_fault(struct host_disks *disks, unsigned int lun, const char *text)
{
	struct nvme_emu_fault fault;
	struct host_disk *disk;
	bool none = !strcmp(text, "none");
	int ret = none ? 0 : nvme_emu_fault_parse(text, &fault);

	if (ret)
		return ret;
	pthread_mutex_lock(&disks->lock);
	disk = find(disks, lun);
	if (!disk)
		ret = -ENOENT;
	else if (none)
		nvme_emu_clear_faults(disk->emu);
	else
		ret = nvme_emu_inject(disk->emu, &fault);
	pthread_mutex_unlock(&disks->lock);
	return ret;
}

/* --- life --- */

int host_disks_create(struct partition *partition, struct host_disks **out)
{
	struct host_disks *disks = calloc(1, sizeof(*disks));
	int ret = 0;

	*out = disks;
	if (!disks)
		return -ENOMEM;
	disks->partition = partition;
	pthread_mutex_init(&disks->lock, NULL);
	while (!ret && disks->count < partition->options->disk_count) {
		unsigned int i = disks->count++;

		disks->disks[i].fd = -1;
		if (!partition->options->disks[i].removed)
			ret = create_disk(disks, i);
	}
	return ret;
}

void host_disks_destroy(struct host_disks *disks)
{
	unsigned int i;

	if (!disks)
		return;
	for (i = 0; i < disks->count; i++) {
		if (disks->disks[i].ns)
			nvme_emu_namespace_put(disks->disks[i].ns);
		if (disks->disks[i].fd >= 0)
			close(disks->disks[i].fd);
	}
	pthread_mutex_destroy(&disks->lock);
	free(disks);
}
