#include "devices/nvme/nvme_emu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "devices/nvme/nvme_emu_internal.h"
#include "devices/pci/pci_msix.h"

/* BAR 0: registers and doorbells, then the MSI-X table and its pending bits. */
#define BAR_SIZE     0x4000u
#define TABLE_OFFSET 0x2000u
#define PBA_OFFSET   0x3000u

_Static_assert(NVME_CQ_DOORBELL(NVME_EMU_MAX_IO_QUEUES, 0) < TABLE_OFFSET, "BAR 0");

/* What Azure's NVMe disks have: the paravisor knows no other in the field. */
static const struct pci_identity identity = {
	.vendor = 0x1414,
	.device = 0xB111,
	.subsystem_vendor = 0x1414,
	.subsystem = 0xB111,
	.class_code = PCI_CLASS_NVME,
	.revision = 1,
};

static struct nvme_emu *emu_of(struct pci_function *function)
{
	return container_of(function, struct nvme_emu, function);
}

/* --- Namespaces */

static void put_namespace(struct nvme_emu *emu, struct nvme_emu_namespace *ns)
{
	nvme_emu_namespace_unshare(ns, emu);
	nvme_emu_namespace_put(ns);
}

int nvme_emu_attach(struct nvme_emu *emu, uint32_t nsid, struct nvme_emu_namespace *ns)
{
	struct nvme_emu_namespace *none = NULL;
	int err;

	if (!nsid || nsid > NVME_EMU_MAX_NAMESPACES)
		return -EINVAL;
	err = nvme_emu_namespace_share(ns, emu, nsid);
	if (err)
		return err;
	nvme_emu_namespace_get(ns);
	if (!__atomic_compare_exchange_n(&emu->namespaces[nsid - 1], &none, ns, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		put_namespace(emu, ns);
		return -EEXIST;
	}
	nvme_emu_namespace_changed(emu, nsid);
	nvme_emu_kick(emu);
	return 0;
}

int nvme_emu_detach(struct nvme_emu *emu, uint32_t nsid)
{
	struct nvme_emu_namespace *ns;

	if (!nsid || nsid > NVME_EMU_MAX_NAMESPACES)
		return -EINVAL;
	ns = __atomic_exchange_n(&emu->namespaces[nsid - 1], NULL, __ATOMIC_ACQ_REL);
	if (!ns)
		return -ENOENT;
	nvme_emu_namespace_changed(emu, nsid);
	pthread_mutex_lock(&emu->lanes[0].lock);
	nvme_emu_wait_lanes(emu);
	pthread_mutex_unlock(&emu->lanes[0].lock);
	nvme_emu_flush_wait(emu, ns);
	put_namespace(emu, ns);
	nvme_emu_kick(emu);
	return 0;
}

void nvme_emu_remove(struct nvme_emu *emu, uint32_t nsid)
{
	struct nvme_emu_namespace *ns = NULL;

	pthread_mutex_lock(&emu->lock);
	if (nsid && nsid <= NVME_EMU_MAX_NAMESPACES && !emu->dying[nsid - 1]) {
		ns = __atomic_exchange_n(&emu->namespaces[nsid - 1], NULL, __ATOMIC_ACQ_REL);
		emu->dying[nsid - 1] = ns;
	}
	pthread_mutex_unlock(&emu->lock);
	if (ns)
		nvme_emu_namespace_changed(emu, nsid);
}

/* With lane 0's lock: frees what was removed, when no lane uses it any more. */
void nvme_emu_bury(struct nvme_emu *emu)
{
	struct nvme_emu_namespace *dying[NVME_EMU_MAX_NAMESPACES];
	unsigned int n = 0;

	pthread_mutex_lock(&emu->lock);
	for (unsigned int i = 0; i < NVME_EMU_MAX_NAMESPACES; i++) {
		if (emu->dying[i])
			dying[n++] = emu->dying[i];
		emu->dying[i] = NULL;
	}
	pthread_mutex_unlock(&emu->lock);
	if (n)
		nvme_emu_wait_lanes(emu);
	while (n)
		put_namespace(emu, dying[--n]);
}

/* --- The function */

static uint32_t config_read(struct pci_function *function, uint16_t offset, unsigned int size)
{
	return pci_config_space_read(&emu_of(function)->space, offset, size);
}

/* Order: no lane touches memory, then no interrupt is left, then the registers are new. */
static void reset(struct pci_function *function)
{
	struct nvme_emu *emu = emu_of(function);

	pthread_mutex_lock(&emu->lanes[0].lock);
	nvme_emu_disable(emu);
	pthread_mutex_lock(&emu->lock);
	emu->cc = emu->aqa = 0;
	emu->asq = emu->acq = 0;
	emu->disable = emu->shutdown = false;
	pthread_mutex_unlock(&emu->lock);
	pthread_mutex_unlock(&emu->lanes[0].lock);
	pci_config_space_reset(&emu->space);
	pci_msix_reset(emu->msix);
}

/* With bus mastering, what was waiting for it goes on; without, every lane has seen that it ended. */
static void config_write(struct pci_function *function, uint16_t offset, unsigned int size,
			 uint32_t value)
{
	struct nvme_emu *emu = emu_of(function);
	uint16_t before = pci_config_space_command(&emu->space);

	if (pci_config_space_write(&emu->space, offset, size, value)) {
		reset(function);
		return;
	}
	pci_msix_config_written(emu->msix);
	if ((before ^ pci_config_space_command(&emu->space)) & PCI_COMMAND_MASTER) {
		pthread_mutex_lock(&emu->lanes[0].lock);
		nvme_emu_wait_lanes(emu);
		pthread_mutex_unlock(&emu->lanes[0].lock);
		nvme_emu_wake_all(emu);
		nvme_emu_kick(emu);
	}
}

static uint64_t bar_size(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_size(&emu_of(function)->space, bar);
}

static bool bar_is_64bit(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_is_64bit(&emu_of(function)->space, bar);
}

static uint64_t bar_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	struct nvme_emu *emu = emu_of(function);

	if (pci_msix_covers(emu->msix, bar, offset, size))
		return pci_msix_read(emu->msix, offset, size);
	return bar == 0 ? nvme_emu_register_read(emu, offset, size) : 0;
}

static void bar_write(struct pci_function *function, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct nvme_emu *emu = emu_of(function);

	if (pci_msix_covers(emu->msix, bar, offset, size)) {
		pci_msix_write(emu->msix, offset, size, value);
	} else if (bar == 0 && offset < TABLE_OFFSET) {
		nvme_emu_register_write(emu, offset, size, value);
		nvme_emu_kick(emu);
	}
}

/*
 * An eventfd has no value, so there are none until the driver puts values into memory. Any thread,
 * also from doorbells_changed(): no locks.
 */
static unsigned int doorbells(struct pci_function *function, struct pci_doorbell *out,
			      unsigned int max)
{
	struct nvme_emu *emu = emu_of(function);
	unsigned int n = 0;

	if (!__atomic_load_n(&emu->eventfds, __ATOMIC_ACQUIRE))
		return 0;
	for (unsigned int i = 1; i <= NVME_EMU_MAX_IO_QUEUES; i++) {
		struct nvme_emu_sq *sq = &emu->sqs[i];
		struct nvme_emu_cq *cq = &emu->cqs[i];

		if (n < max && __atomic_load_n(&sq->limit, __ATOMIC_ACQUIRE))
			out[n++] = (struct pci_doorbell){ .size = 4,
							  .offset = NVME_SQ_DOORBELL(i, 0),
							  .fd = sq->lane->wake_fd };
		if (n < max && __atomic_load_n(&cq->limit, __ATOMIC_ACQUIRE))
			out[n++] = (struct pci_doorbell){ .size = 4,
							  .offset = NVME_CQ_DOORBELL(i, 0),
							  .fd = cq->lane->wake_fd };
	}
	return n;
}

static void destroy(struct pci_function *function)
{
	struct nvme_emu *emu = emu_of(function);

	nvme_emu_lanes_destroy(emu);
	for (unsigned int i = 0; i < NVME_EMU_MAX_NAMESPACES; i++) {
		if (emu->namespaces[i])
			put_namespace(emu, emu->namespaces[i]);
		if (emu->dying[i])
			put_namespace(emu, emu->dying[i]);
	}
	pci_msix_destroy(emu->msix);
	pthread_mutex_destroy(&emu->lock);
	free(emu);
}

static const struct pci_function_ops function_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.bar_is_64bit = bar_is_64bit,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.reset = reset,
	.doorbells = doorbells,
	.destroy = destroy,
};

/* --- Creation */

static int make_config_space(struct nvme_emu *emu)
{
	const struct pci_msix_layout layout = {
		.vectors = 1 + emu->config.io_queues,
		.table_offset = TABLE_OFFSET,
		.pba_offset = PBA_OFFSET,
	};

	pci_config_space_init(&emu->space, &identity);
	pci_config_space_add_bar(&emu->space, 0, BAR_SIZE, true);
	pci_config_space_add_express(&emu->space);
	emu->msix = pci_msix_create(&emu->function, &emu->space, &layout);
	return emu->msix ? 0 : -ENOMEM;
}

static void init_queues(struct nvme_emu *emu)
{
	for (unsigned int i = 0; i <= NVME_EMU_MAX_IO_QUEUES; i++) {
		emu->sqs[i].emu = emu;
		emu->sqs[i].id = (uint16_t)i;
	}
}

struct nvme_emu *nvme_emu_create(const struct nvme_emu_config *config)
{
	struct nvme_emu *emu;
	int err = -EINVAL;

	if (!config->io_queues || config->io_queues > NVME_EMU_MAX_IO_QUEUES ||
	    config->workers > NVME_EMU_MAX_WORKERS)
		goto fail;
	emu = calloc(1, sizeof(*emu));
	if (!emu)
		return NULL;
	emu->function.ops = &function_ops;
	emu->config = *config;
	emu->config.serial[sizeof(emu->config.serial) - 1] = '\0';
	emu->stop = true;
	emu->power_on_ns = event_loop_now_ns();
	pthread_mutex_init(&emu->lock, NULL);
	init_queues(emu);
	nvme_emu_reset_features(emu);
	err = make_config_space(emu);
	if (err)
		goto free_emu;
	err = nvme_emu_lanes_create(emu);
	if (err)
		goto destroy_msix;
	return emu;

destroy_msix:
	pci_msix_destroy(emu->msix);
free_emu:
	pthread_mutex_destroy(&emu->lock);
	free(emu);
fail:
	errno = -err;
	return NULL;
}

struct pci_function *nvme_emu_function(struct nvme_emu *emu)
{
	return &emu->function;
}
