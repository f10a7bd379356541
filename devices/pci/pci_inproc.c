#include "devices/pci/pci_inproc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/pci_device.h"
#include "core/pci_function.h"
#include "devices/pci/dma_pool.h"
#include "proto/pci.h"

/* Where messages go: x86's interrupt window, the vector's number as data. */
#define MESSAGE_ADDRESS 0xFEE00000u

struct vector {
	struct event_watch watch; /* fd -1: not bound */
	struct event_loop *loop;
	struct pci_interrupt *interrupt;
};

struct pci_inproc {
	struct pci_device_access device;
	struct pci_function *function;
	struct guest_memory *memory;
	uint64_t pool_address;
	size_t pool_len;
	void *pool_base;
	struct dma_pool *pool;

	pthread_mutex_t config_lock; /* serialises config space; nothing is taken inside it */

	/* The MSI-X capability; 0 vectors: none. */
	unsigned int msix, msix_bar, vector_count;
	uint32_t msix_table;
	struct vector *vectors; /* owned by whoever binds */
};

static struct pci_inproc *inproc_of(struct pci_device_access *pci)
{
	return container_of(pci, struct pci_inproc, device);
}

/* --- Configuration space */

static uint32_t config_get(struct pci_inproc *inproc, unsigned int offset, unsigned int size)
{
	uint32_t value;

	pthread_mutex_lock(&inproc->config_lock);
	value = inproc->function->ops->config_read(inproc->function, (uint16_t)offset, size);
	pthread_mutex_unlock(&inproc->config_lock);
	return value;
}

static void config_set(struct pci_inproc *inproc, unsigned int offset, unsigned int size,
		       uint32_t value)
{
	pthread_mutex_lock(&inproc->config_lock);
	inproc->function->ops->config_write(inproc->function, (uint16_t)offset, size, value);
	pthread_mutex_unlock(&inproc->config_lock);
}

static bool config_access_valid(uint16_t offset, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && offset % size == 0 &&
	       offset < PCI_EXT_CONFIG_SPACE_SIZE;
}

static int config_read(struct pci_device_access *pci, uint16_t offset, unsigned int size,
		       uint32_t *value)
{
	if (!config_access_valid(offset, size))
		return -EINVAL;
	*value = config_get(inproc_of(pci), offset, size);
	return 0;
}

static int config_write(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			uint32_t value)
{
	if (!config_access_valid(offset, size))
		return -EINVAL;
	config_set(inproc_of(pci), offset, size, value);
	return 0;
}

static unsigned int find_capability(struct pci_inproc *inproc, enum pci_capability id)
{
	unsigned int at = config_get(inproc, PCI_CAPABILITY_POINTER, 1) & ~3u;

	/* More than fit cannot be there: a list that loops ends. */
	for (unsigned int i = 0; at >= PCI_HEADER_END && i < PCI_CONFIG_SPACE_SIZE / 4; i++) {
		if (config_get(inproc, at, 1) == (uint32_t)id)
			return at;
		at = config_get(inproc, at + 1, 1) & ~3u;
	}
	return 0;
}

/* --- Registers */

static uint64_t bar_size(struct pci_device_access *pci, unsigned int bar)
{
	struct pci_inproc *inproc = inproc_of(pci);

	return bar < PCI_BAR_COUNT ? inproc->function->ops->bar_size(inproc->function, bar) : 0;
}

static uint64_t bar_read(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	struct pci_inproc *inproc = inproc_of(pci);

	return inproc->function->ops->bar_read(inproc->function, bar, offset, size);
}

static void bar_write(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct pci_inproc *inproc = inproc_of(pci);

	/* What the write tells the function to look at is there when it looks. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	inproc->function->ops->bar_write(inproc->function, bar, offset, size, value);
}

/* --- DMA memory */

static int dma_alloc(struct pci_device_access *pci, size_t len, struct pci_dma *dma)
{
	return dma_pool_alloc(inproc_of(pci)->pool, len, dma);
}

static void dma_free(struct pci_device_access *pci, struct pci_dma *dma)
{
	dma_pool_free(inproc_of(pci)->pool, dma);
}

static int dma_address(struct pci_device_access *pci, uint64_t gpa, uint64_t len, uint64_t *address)
{
	struct pci_inproc *inproc = inproc_of(pci);

	if (!len || !guest_memory_bulk(inproc->memory, gpa, len))
		return -EFAULT;
	if (range_overlaps(gpa, len, inproc->pool_address, inproc->pool_len))
		return -EFAULT; /* the driver's, not the guest's */
	*address = gpa;
	return 0;
}

/* --- Interrupts */

static unsigned int vector_count(struct pci_device_access *pci)
{
	return inproc_of(pci)->vector_count;
}

/* The function's message, under the lock of its vector: unbind() masks that before it goes on. */
static void msi(void *ctx, uint64_t address, uint32_t data)
{
	struct pci_inproc *inproc = ctx;

	if (address == MESSAGE_ADDRESS && data < inproc->vector_count)
		eventfd_write(inproc->vectors[data].watch.fd, 1);
}

static const struct pci_bus_ops bus_ops = { .msi = msi };

static void vector_ready(struct event_watch *watch, uint32_t epoll_events)
{
	struct vector *vector = container_of(watch, struct vector, watch);

	(void)epoll_events;
	vector->interrupt->raised(vector->interrupt);
}

static void write_entry(struct pci_inproc *inproc, unsigned int index, bool masked)
{
	struct pci_device_access *pci = &inproc->device;
	uint64_t entry = inproc->msix_table + index * sizeof(struct pci_msix_entry);

	pci_write32(pci, inproc->msix_bar, entry + offsetof(struct pci_msix_entry, control),
		    PCI_MSIX_ENTRY_MASKED);
	if (masked)
		return;
	pci_write32(pci, inproc->msix_bar, entry + offsetof(struct pci_msix_entry, address_low),
		    MESSAGE_ADDRESS);
	pci_write32(pci, inproc->msix_bar, entry + offsetof(struct pci_msix_entry, address_high),
		    0);
	pci_write32(pci, inproc->msix_bar, entry + offsetof(struct pci_msix_entry, data), index);
	pci_write32(pci, inproc->msix_bar, entry + offsetof(struct pci_msix_entry, control), 0);
}

static void enable_msix(struct pci_inproc *inproc)
{
	unsigned int at = inproc->msix + PCI_MSIX_CONTROL;
	uint32_t control = config_get(inproc, at, 2);

	config_set(inproc, at, 2,
		   (control & ~(uint32_t)PCI_MSIX_CONTROL_MASK_ALL) | PCI_MSIX_CONTROL_ENABLE);
}

static int bind(struct pci_device_access *pci, unsigned int index, struct event_loop *loop,
		struct pci_interrupt *interrupt)
{
	struct pci_inproc *inproc = inproc_of(pci);
	struct vector *vector;
	int err;

	if (index >= inproc->vector_count)
		return -EINVAL;
	vector = &inproc->vectors[index];
	if (vector->watch.fd >= 0)
		return -EBUSY;
	vector->watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vector->watch.fd < 0)
		return -errno;
	vector->loop = loop;
	vector->interrupt = interrupt;
	/* By edges, of which every interrupt is one: its count need not be read. */
	err = event_loop_add(loop, &vector->watch, EPOLLIN | EPOLLET);
	if (err) {
		close(vector->watch.fd);
		vector->watch.fd = -1;
		return err;
	}
	write_entry(inproc, index, false);
	enable_msix(inproc);
	return 0;
}

static void unbind(struct pci_device_access *pci, unsigned int index)
{
	struct pci_inproc *inproc = inproc_of(pci);
	struct vector *vector;

	if (index >= inproc->vector_count)
		return;
	vector = &inproc->vectors[index];
	if (vector->watch.fd < 0)
		return;
	write_entry(inproc, index, true);
	event_loop_remove(vector->loop, &vector->watch);
	close(vector->watch.fd);
	vector->watch.fd = -1;
}

/* A reset loses the command register and the vectors; VFIO's kernel brings them back. */
static int reset(struct pci_device_access *pci)
{
	struct pci_inproc *inproc = inproc_of(pci);
	uint32_t command = config_get(inproc, PCI_COMMAND, 2);
	bool any = false;

	inproc->function->ops->reset(inproc->function);
	for (unsigned int i = 0; i < inproc->vector_count; i++) {
		if (inproc->vectors[i].watch.fd < 0)
			continue;
		write_entry(inproc, i, false);
		any = true;
	}
	if (any)
		enable_msix(inproc);
	config_set(inproc, PCI_COMMAND, 2, command);
	return 0;
}

static const struct pci_device_ops device_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.read = bar_read,
	.write = bar_write,
	.dma_alloc = dma_alloc,
	.dma_free = dma_free,
	.dma_address = dma_address,
	.vector_count = vector_count,
	.bind = bind,
	.unbind = unbind,
	.reset = reset,
};

/* --- Creation */

static int make_pool(struct pci_inproc *inproc)
{
	size_t len = inproc->pool_len;
	int err;

	inproc->pool_base =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (inproc->pool_base == MAP_FAILED)
		return -errno;
	inproc->pool = dma_pool_create(inproc->pool_address, inproc->pool_base, len);
	if (!inproc->pool) {
		err = -ENOMEM;
		goto unmap;
	}
	err = guest_memory_add(inproc->memory, inproc->pool_address, inproc->pool_base, len);
	if (!err)
		return 0;
	dma_pool_destroy(inproc->pool);
unmap:
	munmap(inproc->pool_base, len);
	return err;
}

static int find_vectors(struct pci_inproc *inproc)
{
	uint32_t table;

	inproc->msix = find_capability(inproc, PCI_CAP_MSIX);
	if (!inproc->msix)
		return 0;
	table = config_get(inproc, inproc->msix + PCI_MSIX_TABLE, 4);
	inproc->msix_bar = table & PCI_MSIX_BAR_MASK;
	inproc->msix_table = table & ~PCI_MSIX_BAR_MASK;
	inproc->vector_count = (config_get(inproc, inproc->msix + PCI_MSIX_CONTROL, 2) &
				PCI_MSIX_CONTROL_SIZE_MASK) +
			       1;
	inproc->vectors = calloc(inproc->vector_count, sizeof(*inproc->vectors));
	if (!inproc->vectors)
		return -ENOMEM;
	for (unsigned int i = 0; i < inproc->vector_count; i++)
		inproc->vectors[i].watch = (struct event_watch){ .ready = vector_ready, .fd = -1 };
	return 0;
}

struct pci_inproc *pci_inproc_create(const struct pci_inproc_config *config)
{
	struct pci_inproc *inproc = calloc(1, sizeof(*inproc));
	int err;

	if (!inproc)
		return NULL;
	inproc->device.ops = &device_ops;
	inproc->function = config->function;
	inproc->memory = config->memory;
	inproc->pool_address = config->pool_address;
	inproc->pool_len = config->pool_len;
	pthread_mutex_init(&inproc->config_lock, NULL);
	inproc->function->bus =
		(struct pci_bus){ .ops = &bus_ops, .ctx = inproc, .memory = inproc->memory };
	err = find_vectors(inproc);
	if (err)
		goto free_inproc;
	err = make_pool(inproc);
	if (err)
		goto free_vectors;
	return inproc;

free_vectors:
	free(inproc->vectors);
free_inproc:
	free(inproc);
	errno = -err;
	return NULL;
}

void pci_inproc_destroy(struct pci_inproc *inproc)
{
	inproc->function->ops->reset(inproc->function);
	for (unsigned int i = 0; i < inproc->vector_count; i++)
		unbind(&inproc->device, i);
	pthread_mutex_destroy(&inproc->config_lock);
	dma_pool_destroy(inproc->pool);
	munmap(inproc->pool_base, inproc->pool_len);
	free(inproc->vectors);
	free(inproc);
}

struct pci_device_access *pci_inproc_device(struct pci_inproc *inproc)
{
	return &inproc->device;
}

size_t pci_inproc_allocated(struct pci_inproc *inproc)
{
	return dma_pool_used(inproc->pool);
}

unsigned int pci_inproc_bound(struct pci_inproc *inproc)
{
	unsigned int bound = 0;

	for (unsigned int i = 0; i < inproc->vector_count; i++)
		bound += inproc->vectors[i].watch.fd >= 0;
	return bound;
}
