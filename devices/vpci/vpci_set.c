#include "devices/vpci/vpci_set.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/guid.h"
#include "core/retarget.h"
#include "devices/vpci/vpci.h"

struct bus {
	struct bus *next;
	struct vpci_set *set;
	struct vpci *vpci;
	struct vpci_set_bus config;
};

struct vpci_set {
	struct vpci_set_config config;
	pthread_rwlock_t lock; /* of the list; a bus on it may be used under it */
	struct bus *buses;
};

/* --- what the buses ask for --- */

static void interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	const struct bus *bus = ctx;

	bus->set->config.interrupt(bus->set->config.ctx, vp, vector);
}

static void direct_interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	const struct bus *bus = ctx;

	if (bus->set->config.direct_interrupt)
		bus->set->config.direct_interrupt(bus->set->config.ctx, vp, vector);
}

static int doorbell(void *ctx, uint64_t gpa, unsigned int size, int fd, bool add)
{
	const struct bus *bus = ctx;

	return bus->set->config.doorbell
		       ? bus->set->config.doorbell(bus->set->config.ctx, gpa, size, fd, add)
		       : -EOPNOTSUPP;
}

static void ejected(void *ctx)
{
	struct bus *bus = ctx;

	vpci_rescind(bus->vpci);
}

/* On the channel's loop: VPs may be using the bus, and none will when the lock is had. */
static void gone(void *ctx)
{
	struct bus *bus = ctx, **link;
	struct vpci_set *set = bus->set;

	pthread_rwlock_wrlock(&set->lock);
	for (link = &set->buses; *link != bus; link = &(*link)->next)
		;
	*link = bus->next;
	pthread_rwlock_unlock(&set->lock);
	vpci_destroy(bus->vpci);
	if (bus->config.gone)
		bus->config.gone(bus->config.ctx);
	free(bus);
}

static const struct vpci_ops bus_ops = {
	.interrupt = interrupt,
	.direct_interrupt = direct_interrupt,
	.doorbell = doorbell,
	.ejected = ejected,
	.gone = gone,
};

/* --- the list --- */

struct vpci_set *vpci_set_create(const struct vpci_set_config *config)
{
	struct vpci_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->config = *config;
	pthread_rwlock_init(&set->lock, NULL);
	return set;
}

void vpci_set_destroy(struct vpci_set *set)
{
	struct bus *bus;

	if (!set)
		return;
	while ((bus = set->buses)) {
		set->buses = bus->next;
		vpci_destroy(bus->vpci);
		free(bus);
	}
	pthread_rwlock_destroy(&set->lock);
	free(set);
}

int vpci_set_add(struct vpci_set *set, const struct vpci_set_bus *config,
		 struct pci_function *function)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	struct vpci_config vpci = {
		.ops = &bus_ops,
		.ctx = bus,
		.server = set->config.server,
		.memory = config->memory,
		.instance = config->instance,
		.serial = config->serial,
		.vp_count = set->config.vp_count,
		.mmio_base = set->config.mmio_base,
		.mmio_len = set->config.mmio_len,
	};
	int ret;

	if (!bus)
		return -ENOMEM;
	bus->set = set;
	bus->config = *config;
	pthread_rwlock_wrlock(&set->lock);
	ret = vpci_create(&vpci, function, &bus->vpci);
	if (!ret) {
		bus->next = set->buses;
		set->buses = bus;
	}
	pthread_rwlock_unlock(&set->lock);
	if (ret)
		free(bus);
	return ret;
}

int vpci_set_remove(struct vpci_set *set, const struct guid *instance)
{
	struct bus *bus;

	pthread_rwlock_rdlock(&set->lock);
	for (bus = set->buses; bus; bus = bus->next)
		if (guid_equal(&bus->config.instance, instance))
			break;
	if (bus && !vpci_eject(bus->vpci))
		vpci_rescind(bus->vpci);
	pthread_rwlock_unlock(&set->lock);
	return bus ? 0 : -ENOENT;
}

/* --- from the guest --- */

bool vpci_set_mmio(struct vpci_set *set, uint64_t gpa, unsigned int size, uint64_t *value,
		   bool write)
{
	struct bus *bus;
	bool taken = false;

	pthread_rwlock_rdlock(&set->lock);
	for (bus = set->buses; bus && !taken; bus = bus->next)
		taken = write ? vpci_mmio_write(bus->vpci, gpa, size, *value)
			      : vpci_mmio_read(bus->vpci, gpa, size, value);
	pthread_rwlock_unlock(&set->lock);
	if (taken && !write)
		*value &= bytes_mask(size);
	return taken;
}

bool vpci_set_is_direct(struct vpci_set *set, uint64_t gpa)
{
	struct bus *bus;

	pthread_rwlock_rdlock(&set->lock);
	for (bus = set->buses; bus && !vpci_is_direct(bus->vpci, gpa); bus = bus->next)
		;
	pthread_rwlock_unlock(&set->lock);
	return bus;
}

bool vpci_set_direct_write(struct vpci_set *set, uint64_t gpa, unsigned int size, uint64_t value)
{
	struct bus *bus;
	bool taken = false;

	pthread_rwlock_rdlock(&set->lock);
	for (bus = set->buses; bus && !taken; bus = bus->next)
		taken = vpci_direct_write(bus->vpci, gpa, size, value);
	pthread_rwlock_unlock(&set->lock);
	return taken;
}

int vpci_set_retarget(struct vpci_set *set, const struct retarget *retarget)
{
	struct bus *bus;
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&set->lock);
	for (bus = set->buses; bus; bus = bus->next)
		if (vpci_device_id(bus->vpci) == (retarget->device_id & ~7u))
			break;
	if (bus)
		ret = vpci_retarget(bus->vpci, retarget->address, retarget->data, retarget->vp,
				    retarget->vector);
	pthread_rwlock_unlock(&set->lock);
	return ret;
}
