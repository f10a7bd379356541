#include "devices/pci/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/container_of.h"
#include "core/guest_access.h"
#include "devices/pci/vfio_internal.h"

static struct vfio_function *function_of(struct pci_device_access *pci)
{
	return container_of(pci, struct vfio_function, device);
}

/* --- Registers */

static int config_read(struct pci_device_access *pci, uint16_t offset, unsigned int size,
		       uint32_t *value)
{
	struct vfio_function *function = function_of(pci);
	ssize_t n;

	*value = 0;
	n = pread(function->fd, value, size, (off_t)(function->config_offset + offset));
	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}

static int config_write(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			uint32_t value)
{
	struct vfio_function *function = function_of(pci);
	ssize_t n = pwrite(function->fd, &value, size, (off_t)(function->config_offset + offset));

	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}

static uint64_t bar_size(struct pci_device_access *pci, unsigned int bar)
{
	return bar < VFIO_BARS ? function_of(pci)->bars[bar].size : 0;
}

/* A BAR of a function that is gone, or whose memory decoding is off, faults. */
static uint64_t read_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			      unsigned int size)
{
	struct vfio_function *function = function_of(pci);
	const struct vfio_bar *at = &function->bars[bar];
	uint64_t value = 0;

	if (at->mapping) {
		if (guest_access_copy(&value, at->mapping + offset, size))
			value = UINT64_MAX;
	} else if (pread(function->fd, &value, size, (off_t)(at->offset + offset)) !=
		   (ssize_t)size) {
		value = UINT64_MAX;
	}
	return size == 4 ? (uint32_t)value : value;
}

/* x86 keeps stores in order, those to memory before those to registers; the call is a barrier for
 * the compiler.
 */
static void write_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			   unsigned int size, uint64_t value)
{
	struct vfio_function *function = function_of(pci);
	const struct vfio_bar *at = &function->bars[bar];

	if (at->mapping)
		guest_access_copy(at->mapping + offset, &value, size);
	else if (pwrite(function->fd, &value, size, (off_t)(at->offset + offset)) < 0)
		return; /* gone: reads will tell */
}

/* The kernel saves and restores configuration space with MSI-X around it. */
static int reset(struct pci_device_access *pci)
{
	struct vfio_function *function = function_of(pci);

	if (!function->can_reset)
		return -ENOTSUP;
	return ioctl(function->fd, VFIO_DEVICE_RESET, NULL) ? -errno : 0;
}

static const struct pci_device_ops vfio_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.read = read_register,
	.write = write_register,
	.dma_alloc = vfio_dma_alloc,
	.dma_free = vfio_dma_free,
	.dma_address = vfio_dma_address,
	.vector_count = vfio_vector_count,
	.bind = vfio_vector_bind,
	.unbind = vfio_vector_unbind,
	.reset = reset,
};

/* --- Opening */

static int open_group(struct vfio_function *function, bool no_iommu)
{
	char path[96], target[256];
	const char *number;
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", function->address);
	len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0)
		return -ENODEV;
	target[len] = 0;
	number = strrchr(target, '/');
	if (!number)
		return -ENODEV;
	snprintf(path, sizeof(path), "/dev/vfio/%s%.16s", no_iommu ? "noiommu-" : "", number + 1);
	function->group = open(path, O_RDWR | O_CLOEXEC);
	return function->group < 0 ? -errno : 0;
}

/* Documentation/driver-api/vfio.rst has the order of these. */
static int open_device(struct vfio_function *function, unsigned long type)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int err;

	function->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (function->container < 0)
		return -errno;
	if (ioctl(function->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		return -EPROTO;
	err = open_group(function, type == VFIO_NOIOMMU_IOMMU);
	if (err)
		return err;
	if (ioctl(function->group, VFIO_GROUP_GET_STATUS, &status))
		return -errno;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return -EBUSY; /* another function of the group has another driver */
	if (ioctl(function->group, VFIO_GROUP_SET_CONTAINER, &function->container) ||
	    ioctl(function->container, VFIO_SET_IOMMU, type))
		return -errno;
	err = type == VFIO_NOIOMMU_IOMMU ? 0 : vfio_dma_open(function);
	if (err)
		return err;
	function->fd = ioctl(function->group, VFIO_GROUP_GET_DEVICE_FD, function->address);
	return function->fd < 0 ? -errno : 0;
}

static int open_bar(struct vfio_function *function, unsigned int index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };
	struct vfio_bar *bar = &function->bars[index];
	void *mapping;

	if (ioctl(function->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return -errno;
	bar->size = info.size;
	bar->offset = info.offset;
	if (!info.size || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	mapping = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, function->fd,
		       (off_t)info.offset);
	if (mapping != MAP_FAILED)
		bar->mapping = mapping;
	return 0;
}

static int open_regions(struct vfio_function *function)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info config = { .argsz = sizeof(config),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	int err = 0;

	if (ioctl(function->fd, VFIO_DEVICE_GET_INFO, &device) ||
	    ioctl(function->fd, VFIO_DEVICE_GET_REGION_INFO, &config))
		return -errno;
	function->can_reset = device.flags & VFIO_DEVICE_FLAGS_RESET;
	function->config_offset = config.offset;
	for (unsigned int i = 0; i < VFIO_BARS && !err; i++)
		err = open_bar(function, i);
	return err;
}

void vfio_close(struct pci_device_access *pci)
{
	struct vfio_function *function = function_of(pci);

	vfio_vectors_close(function);
	for (unsigned int i = 0; i < VFIO_BARS; i++)
		if (function->bars[i].mapping)
			munmap(function->bars[i].mapping, function->bars[i].size);
	if (function->fd >= 0)
		close(function->fd);
	if (function->group >= 0)
		close(function->group);
	if (function->container >= 0)
		close(function->container);
	pthread_mutex_destroy(&function->lock);
	free(function);
}

/* The device's descriptor keeps the group's and the container's open. */
int vfio_open_device(const char *address)
{
	struct vfio_function function = { .container = -1, .group = -1, .fd = -1 };
	int err;

	snprintf(function.address, sizeof(function.address), "%s", address);
	err = open_device(&function, VFIO_NOIOMMU_IOMMU);
	if (function.group >= 0)
		close(function.group);
	if (function.container >= 0)
		close(function.container);
	return err ? err : function.fd;
}

static int open_or_take_device(struct vfio_function *function, int device)
{
	if (!device)
		return open_device(function,
				   function->pool ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU);
	function->fd = device;
	return 0;
}

int vfio_open(const struct vfio_config *config, struct pci_device_access **pci)
{
	struct vfio_function *function = calloc(1, sizeof(*function));
	int err;

	if (!function) {
		if (config->device)
			close(config->device);
		return -ENOMEM;
	}
	function->device.ops = &vfio_ops;
	function->memory = config->memory;
	function->pool = config->pool;
	function->container = function->group = function->fd = -1;
	snprintf(function->address, sizeof(function->address), "%s", config->address);
	pthread_mutex_init(&function->lock, NULL);
	err = open_or_take_device(function, config->device);
	if (!err)
		err = open_regions(function);
	if (!err)
		err = vfio_vectors_open(function, config->max_vectors);
	if (err) {
		vfio_close(&function->device);
		return err;
	}
	*pci = &function->device;
	return 0;
}
