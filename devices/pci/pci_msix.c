#include "devices/pci/pci_msix.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/pci_function.h"
#include "devices/pci/pci_config_space.h"

#define ENTRY_SIZE sizeof(struct pci_msix_entry)

struct vector {
	pthread_mutex_t lock; /* guards the rest */
	struct pci_msix_entry entry;
	bool pending;
	uint8_t direct_vector; /* 0: messages are sent */
	uint32_t direct_vp;
};

struct pci_msix {
	struct pci_function *function;
	struct pci_config_space *space;
	struct pci_msix_layout layout;
	unsigned int capability; /* its offset */
	bool open;               /* atomic: nothing but a vector's own mask holds it back */
	struct vector vectors[];
};

static void add_capability(struct pci_msix *msix)
{
	const struct pci_msix_layout *layout = &msix->layout;
	unsigned int at = pci_config_space_add_capability(msix->space, PCI_CAP_MSIX, PCI_MSIX_LEN);

	msix->capability = at;
	pci_config_space_set(msix->space, at + PCI_MSIX_CONTROL, 2, layout->vectors - 1,
			     PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK_ALL);
	pci_config_space_set(msix->space, at + PCI_MSIX_TABLE, 4,
			     layout->table_offset | layout->bar, 0);
	pci_config_space_set(msix->space, at + PCI_MSIX_PBA, 4, layout->pba_offset | layout->bar,
			     0);
}

struct pci_msix *pci_msix_create(struct pci_function *function, struct pci_config_space *space,
				 const struct pci_msix_layout *layout)
{
	struct pci_msix *msix =
		calloc(1, sizeof(*msix) + layout->vectors * sizeof(msix->vectors[0]));

	if (!msix)
		return NULL;
	msix->function = function;
	msix->space = space;
	msix->layout = *layout;
	for (unsigned int i = 0; i < layout->vectors; i++) {
		pthread_mutex_init(&msix->vectors[i].lock, NULL);
		msix->vectors[i].entry.control = PCI_MSIX_ENTRY_MASKED;
	}
	add_capability(msix);
	return msix;
}

void pci_msix_destroy(struct pci_msix *msix)
{
	if (!msix)
		return;
	for (unsigned int i = 0; i < msix->layout.vectors; i++)
		pthread_mutex_destroy(&msix->vectors[i].lock);
	free(msix);
}

static bool is_masked(const struct pci_msix *msix, const struct vector *vector)
{
	return !__atomic_load_n(&msix->open, __ATOMIC_RELAXED) ||
	       vector->entry.control & PCI_MSIX_ENTRY_MASKED;
}

static uint64_t message_address(const struct vector *vector)
{
	return (uint64_t)vector->entry.address_high << 32 | vector->entry.address_low;
}

/* Sends the message if it is due and nothing masks it. With the vector's lock. */
static void deliver(struct pci_msix *msix, struct vector *vector)
{
	const struct pci_bus *bus = &msix->function->bus;

	if (!vector->pending || is_masked(msix, vector))
		return;
	vector->pending = false;
	if (vector->direct_vector)
		bus->ops->direct_interrupt(bus->ctx, vector->direct_vp, vector->direct_vector);
	else
		bus->ops->msi(bus->ctx, message_address(vector), vector->entry.data);
}

void pci_msix_raise(struct pci_msix *msix, unsigned int index)
{
	struct vector *vector;

	if (index >= msix->layout.vectors)
		return;
	vector = &msix->vectors[index];
	pthread_mutex_lock(&vector->lock);
	vector->pending = true;
	deliver(msix, vector);
	pthread_mutex_unlock(&vector->lock);
}

/*
 * Through every vector's lock also when it closes: whoever saw it open has sent by then, and no
 * interrupt comes after the write that forbade it.
 */
static void set_open(struct pci_msix *msix, bool open)
{
	if (__atomic_exchange_n(&msix->open, open, __ATOMIC_RELAXED) == open)
		return;
	for (unsigned int i = 0; i < msix->layout.vectors; i++) {
		pthread_mutex_lock(&msix->vectors[i].lock);
		deliver(msix, &msix->vectors[i]);
		pthread_mutex_unlock(&msix->vectors[i].lock);
	}
}

void pci_msix_config_written(struct pci_msix *msix)
{
	uint32_t control =
		pci_config_space_read(msix->space, msix->capability + PCI_MSIX_CONTROL, 2);
	bool enabled = control & PCI_MSIX_CONTROL_ENABLE;
	bool masked = control & PCI_MSIX_CONTROL_MASK_ALL;
	bool master = pci_config_space_command(msix->space) & PCI_COMMAND_MASTER;

	set_open(msix, enabled && !masked && master);
}

void pci_msix_reset(struct pci_msix *msix)
{
	__atomic_store_n(&msix->open, false, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < msix->layout.vectors; i++) {
		struct vector *vector = &msix->vectors[i];

		pthread_mutex_lock(&vector->lock);
		vector->entry = (struct pci_msix_entry){ .control = PCI_MSIX_ENTRY_MASKED };
		vector->pending = false;
		vector->direct_vector = 0;
		pthread_mutex_unlock(&vector->lock);
	}
}

void pci_msix_direct(struct pci_msix *msix, unsigned int index, uint32_t vp, uint8_t vector)
{
	if (index >= msix->layout.vectors)
		return;
	pthread_mutex_lock(&msix->vectors[index].lock);
	msix->vectors[index].direct_vp = vp;
	msix->vectors[index].direct_vector = vector;
	pthread_mutex_unlock(&msix->vectors[index].lock);
}

bool pci_msix_message(struct pci_msix *msix, unsigned int index, uint64_t *address, uint32_t *data)
{
	struct vector *vector;
	bool open;

	if (index >= msix->layout.vectors)
		return false;
	vector = &msix->vectors[index];
	pthread_mutex_lock(&vector->lock);
	open = !is_masked(msix, vector);
	*address = message_address(vector);
	*data = vector->entry.data;
	pthread_mutex_unlock(&vector->lock);
	return open;
}

static uint64_t table_len(const struct pci_msix *msix)
{
	return msix->layout.vectors * ENTRY_SIZE;
}

static uint64_t pba_len(const struct pci_msix *msix)
{
	return (msix->layout.vectors + 63) / 64 * 8;
}

bool pci_msix_covers(const struct pci_msix *msix, unsigned int bar, uint64_t offset,
		     unsigned int size)
{
	const struct pci_msix_layout *layout = &msix->layout;

	return bar == layout->bar && range_valid(offset, size) &&
	       (range_overlaps(offset, size, layout->table_offset, table_len(msix)) ||
		range_overlaps(offset, size, layout->pba_offset, pba_len(msix)));
}

static uint64_t read_table(struct pci_msix *msix, uint64_t offset, unsigned int size)
{
	struct vector *vector = &msix->vectors[offset / ENTRY_SIZE];
	uint64_t value = 0;

	pthread_mutex_lock(&vector->lock);
	memcpy(&value, (const uint8_t *)&vector->entry + offset % ENTRY_SIZE, size);
	pthread_mutex_unlock(&vector->lock);
	return value;
}

static uint64_t read_pending(struct pci_msix *msix, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int bit = 0; bit < size * 8; bit++) {
		uint64_t i = offset * 8 + bit;

		if (i >= msix->layout.vectors)
			break;
		pthread_mutex_lock(&msix->vectors[i].lock);
		value |= (uint64_t)msix->vectors[i].pending << bit;
		pthread_mutex_unlock(&msix->vectors[i].lock);
	}
	return value;
}

static bool access_valid(uint64_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

uint64_t pci_msix_read(struct pci_msix *msix, uint64_t offset, unsigned int size)
{
	const struct pci_msix_layout *layout = &msix->layout;

	if (!access_valid(offset, size))
		return 0;
	if (offset >= layout->table_offset && offset - layout->table_offset < table_len(msix))
		return read_table(msix, offset - layout->table_offset, size);
	if (offset >= layout->pba_offset && offset - layout->pba_offset < pba_len(msix))
		return read_pending(msix, offset - layout->pba_offset, size);
	return 0;
}

/* The pending bits cannot be written. */
void pci_msix_write(struct pci_msix *msix, uint64_t offset, unsigned int size, uint64_t value)
{
	const struct pci_msix_layout *layout = &msix->layout;
	struct vector *vector;

	if (!access_valid(offset, size) || offset < layout->table_offset ||
	    offset - layout->table_offset >= table_len(msix))
		return;
	offset -= layout->table_offset;
	vector = &msix->vectors[offset / ENTRY_SIZE];
	pthread_mutex_lock(&vector->lock);
	memcpy((uint8_t *)&vector->entry + offset % ENTRY_SIZE, &value, size);
	vector->entry.address_low &= ~3u; /* reserved (6.8.2.7) */
	vector->entry.control &= PCI_MSIX_ENTRY_MASKED;
	deliver(msix, vector);
	pthread_mutex_unlock(&vector->lock);
}

unsigned int pci_msix_vectors(const struct pci_msix *msix)
{
	return msix->layout.vectors;
}
