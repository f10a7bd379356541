#include "host/vpci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/vpci/vpci.h"
#include "host/partition.h"
#include "host/vmbus.h"
#include "host/vp.h"
#include "proto/guid.h"

struct bus {
	struct bus *next;
	struct host_vpci *owner;
	struct vpci *vpci;
	struct guid instance;
};

struct host_vpci {
	struct partition *partition;
	pthread_rwlock_t lock; /* of the list; a bus on it may be used under it */
	struct bus *buses;
};

/* --- what the buses ask for --- */

static void interrupt(void *ctx, uint32_t vp_index, uint8_t vector)
{
	struct bus *bus = ctx;
	struct vp *vp = vp_find(bus->owner->partition, vp_index);

	if (vp)
		vp_interrupt(vp, HOST_VTL2, vector);
}

static int doorbell(void *ctx, uint64_t gpa, unsigned int size, int fd, bool add)
{
	struct bus *bus = ctx;
	struct kvm_ioeventfd eventfd = {
		.addr = gpa,
		.len = size,
		.fd = fd,
		.flags = add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return kvm_ioctl(bus->owner->partition->vtl[HOST_VTL2].vm, KVM_IOEVENTFD, &eventfd);
}

static void ejected(void *ctx)
{
	struct bus *bus = ctx;

	vpci_rescind(bus->vpci);
}

/* On VMBus's loop: VPs may be using the bus, and none will when the lock is had. */
static void gone(void *ctx)
{
	struct bus *bus = ctx, **link;
	struct host_vpci *vpci = bus->owner;

	pthread_rwlock_wrlock(&vpci->lock);
	for (link = &vpci->buses; *link != bus; link = &(*link)->next)
		;
	*link = bus->next;
	pthread_rwlock_unlock(&vpci->lock);
	vpci_destroy(bus->vpci);
	free(bus);
}

static const struct vpci_ops bus_ops = {
	.interrupt = interrupt,
	.doorbell = doorbell,
	.ejected = ejected,
	.gone = gone,
};

/* --- the list --- */

struct host_vpci *host_vpci_create(struct partition *partition)
{
	struct host_vpci *vpci = calloc(1, sizeof(*vpci));

	if (!vpci)
		return NULL;
	vpci->partition = partition;
	pthread_rwlock_init(&vpci->lock, NULL);
	return vpci;
}

void host_vpci_destroy(struct host_vpci *vpci)
{
	struct bus *bus;

	if (!vpci)
		return;
	while ((bus = vpci->buses)) {
		vpci->buses = bus->next;
		vpci_destroy(bus->vpci);
		free(bus);
	}
	pthread_rwlock_destroy(&vpci->lock);
	free(vpci);
}

int host_vpci_add(struct host_vpci *vpci, const struct guid *instance, uint32_t serial,
		  struct pci_function *function)
{
	struct partition *partition = vpci->partition;
	struct bus *bus = calloc(1, sizeof(*bus));
	struct vpci_config config = {
		.ops = &bus_ops,
		.ctx = bus,
		.server = host_vmbus_server(partition->vmbus),
		.memory = host_vmbus_memory(partition->vmbus),
		.instance = *instance,
		.serial = serial,
		.vp_count = partition->vp_count,
		.mmio_base = partition->memory.vtl2_mmio_base,
		.mmio_len = HOST_VTL2_MMIO_SIZE,
	};
	int ret;

	if (!bus)
		return -ENOMEM;
	bus->owner = vpci;
	bus->instance = *instance;
	pthread_rwlock_wrlock(&vpci->lock);
	ret = vpci_create(&config, function, &bus->vpci);
	if (!ret) {
		bus->next = vpci->buses;
		vpci->buses = bus;
	}
	pthread_rwlock_unlock(&vpci->lock);
	if (ret)
		free(bus);
	return ret;
}

int host_vpci_remove(struct host_vpci *vpci, const struct guid *instance)
{
	struct bus *bus;

	pthread_rwlock_rdlock(&vpci->lock);
	for (bus = vpci->buses; bus; bus = bus->next)
		if (!memcmp(&bus->instance, instance, sizeof(*instance)))
			break;
	if (bus && !vpci_eject(bus->vpci))
		vpci_rescind(bus->vpci);
	pthread_rwlock_unlock(&vpci->lock);
	return bus ? 0 : -ENOENT;
}

/* --- from the VPs --- */

bool host_vpci_mmio(struct host_vpci *vpci, uint64_t gpa, uint8_t *data, size_t len, bool write)
{
	unsigned int size = (unsigned int)len;
	uint64_t value = 0;
	struct bus *bus;
	bool taken = false;

	if (write)
		memcpy(&value, data, len);
	pthread_rwlock_rdlock(&vpci->lock);
	for (bus = vpci->buses; bus && !taken; bus = bus->next)
		taken = write ? vpci_mmio_write(bus->vpci, gpa, size, value)
			      : vpci_mmio_read(bus->vpci, gpa, size, &value);
	pthread_rwlock_unlock(&vpci->lock);
	if (taken && !write)
		memcpy(data, &value, len);
	return taken;
}

int host_vpci_retarget(struct host_vpci *vpci, uint32_t device_id, uint64_t address, uint32_t data,
		       uint32_t vp, uint32_t vector)
{
	struct bus *bus;
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&vpci->lock);
	for (bus = vpci->buses; bus; bus = bus->next)
		if (vpci_device_id(bus->vpci) == (device_id & ~7u))
			break;
	if (bus)
		ret = vpci_retarget(bus->vpci, address, data, vp, vector);
	pthread_rwlock_unlock(&vpci->lock);
	return ret;
}
