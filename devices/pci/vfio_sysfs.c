/* Finding functions and giving them to vfio-pci, through sysfs. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/pci/vfio.h"

#define PCI_DEVICES "/sys/bus/pci/devices/"
#define LOOK_NS     5000000
#define BIND_NS     5000000000ull

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Does the link in the function's folder have that in its target? */
static bool link_has(const char *address, const char *name, const char *what)
{
	char path[96], target[128];
	ssize_t len;

	snprintf(path, sizeof(path), PCI_DEVICES "%.32s/%s", address, name);
	len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0)
		return false;
	target[len] = 0;
	return strstr(target, what) != NULL;
}

static bool has_vfio(const char *address)
{
	return link_has(address, "driver", "/vfio-pci");
}

/*
 * A function that has just come cannot be bound before its bus has added it, which may be at any moment; and the
 * bus may bind it by itself. The driver's link is there before its probe is over and VFIO knows the function. But
 * who asks for it to be bound waits for the lock under which it is probed, and hears EBUSY when it has a driver.
 */
static int bind_function(const char *address)
{
	static const char bind[] = "/sys/bus/pci/drivers/vfio-pci/bind";
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	int err = 0;

	for (uint64_t waited = 0; waited < BIND_NS; waited += LOOK_NS) {
		err = write_file(bind, address);
		if ((!err || err == -EBUSY) && has_vfio(address))
			return 0;
		nanosleep(&pause, NULL);
	}
	return err ? err : -ENODEV;
}

int vfio_bind(const char *address, bool iommu)
{
	char path[96];
	int err;

	if (!iommu) {
		err = write_file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
		if (err)
			return err;
	}
	if (has_vfio(address))
		return bind_function(address);
	snprintf(path, sizeof(path), PCI_DEVICES "%.32s/driver_override", address);
	err = write_file(path, "vfio-pci");
	if (err)
		return err;
	snprintf(path, sizeof(path), PCI_DEVICES "%.32s/driver/unbind", address);
	err = write_file(path, address);
	if (err && err != -ENOENT)
		return err;
	return bind_function(address);
}

/* The first entry of a folder whose name has this form; -ENOENT. */
static int find_entry(const char *folder, bool (*matches)(const char *name), char *name, size_t len)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir)) != NULL) {
		if (!matches(entry->d_name))
			continue;
		snprintf(name, len, "%.*s", (int)len - 1, entry->d_name);
		err = 0;
	}
	closedir(dir);
	return err;
}

static bool is_bus(const char *name)
{
	unsigned int domain, bus;
	int end = 0;

	return sscanf(name, "pci%4x:%2x%n", &domain, &bus, &end) == 2 && !name[end];
}

static bool is_function(const char *name)
{
	unsigned int domain, bus, device, function;
	int end = 0;

	return sscanf(name, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) == 4 &&
	       !name[end];
}

/*
 * pci-hyperv makes a host bridge below the VMBus device, with one function behind it. The function has all of its files
 * when it is among its bus's, not before.
 */
static int look(const char *device, char address[16])
{
	char bus[32], path[160], target[8];
	int err = find_entry(device, is_bus, bus, sizeof(bus));

	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/%s", device, bus);
	err = find_entry(path, is_function, address, 16);
	if (err)
		return err;
	snprintf(path, sizeof(path), PCI_DEVICES "%s", address);
	return readlink(path, target, sizeof(target)) > 0 ? 0 : -ENOENT;
}

int vfio_find_vpci(const struct guid *instance, unsigned int timeout_ms, char address[16])
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	const uint8_t *d = instance->data4;
	char path[96];

	snprintf(path, sizeof(path),
		 "/sys/bus/vmbus/devices/%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 instance->data1, instance->data2, instance->data3, d[0], d[1], d[2], d[3], d[4],
		 d[5], d[6], d[7]);
	for (uint64_t waited = 0;; waited += LOOK_NS) {
		int err = look(path, address);

		if (err != -ENOENT || waited >= timeout_ms * 1000000ull)
			return err;
		nanosleep(&pause, NULL);
	}
}
