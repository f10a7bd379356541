/*
 * What the guest sees of a bus in its physical memory: the configuration window, and the function's
 * BARs where the guest has put them.
 */

#include <errno.h>

#include "devices/vpci/vpci_internal.h"

/* Configuration space (PCI Local Bus Specification 3.0, 6.1 and 6.2.5). */
#define CONFIG_COMMAND 0x04
#define COMMAND_MEMORY 0x2u
#define CONFIG_BAR(n)  ((uint16_t)(0x10 + 4 * (n)))
#define BAR_FLAGS      0xfu

void vpci_mmio_init(struct vpci *vpci)
{
	struct pci_function *function = vpci->function;
	unsigned int i;

	for (i = 0; i < VPCI_BARS; i++) {
		vpci->bars[i].size = function->ops->bar_size(function, i);
		vpci->bars[i].is_64bit =
			vpci->bars[i].size && function->ops->bar_is_64bit(function, i);
	}
}

static bool inside_window(const struct vpci *vpci, uint64_t gpa, uint64_t len)
{
	const struct vpci_config *config = &vpci->config;

	return gpa >= config->mmio_base && len <= config->mmio_len &&
	       gpa - config->mmio_base <= config->mmio_len - len;
}

/* --- doorbells --- */

static bool same(const struct vpci_doorbell *a, const struct vpci_doorbell *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->fd == b->fd;
}

static bool among(const struct vpci_doorbell *doorbell, const struct vpci_doorbell *list,
		  unsigned int count)
{
	while (count--)
		if (same(doorbell, &list[count]))
			return true;
	return false;
}

static int set_doorbell(struct vpci *vpci, const struct vpci_doorbell *doorbell, bool add)
{
	return vpci->config.ops->doorbell(vpci->config.ctx, doorbell->gpa, doorbell->size,
					  doorbell->fd, add);
}

/* The function's doorbells where its BARs are; those of BARs that are nowhere are none. */
static unsigned int wanted_doorbells(struct vpci *vpci, struct vpci_doorbell *wanted)
{
	struct pci_doorbell offered[VPCI_DOORBELLS_MAX];
	unsigned int count, used = 0, i;

	count = vpci->function->ops->doorbells(vpci->function, offered, VPCI_DOORBELLS_MAX);
	for (i = 0; i < count; i++) {
		uint64_t base = atomic_load(&vpci->bars[offered[i].bar].base);

		if (base)
			wanted[used++] = (struct vpci_doorbell){ base + offered[i].offset,
								 offered[i].size, offered[i].fd };
	}
	return used;
}

/* Only what changes: each change costs KVM a wait for all its readers. */
void vpci_sync_doorbells(struct vpci *vpci)
{
	struct vpci_doorbell wanted[VPCI_DOORBELLS_MAX];
	unsigned int count, kept = 0, i;

	if (!vpci->config.ops->doorbell || !vpci->function->ops->doorbells)
		return;
	pthread_mutex_lock(&vpci->doorbell_lock);
	count = wanted_doorbells(vpci, wanted);
	for (i = 0; i < vpci->doorbell_count; i++) {
		if (among(&vpci->doorbells[i], wanted, count))
			vpci->doorbells[kept++] = vpci->doorbells[i];
		else
			set_doorbell(vpci, &vpci->doorbells[i], false);
	}
	vpci->doorbell_count = kept;
	for (i = 0; i < count; i++)
		if (!among(&wanted[i], vpci->doorbells, kept) &&
		    !set_doorbell(vpci, &wanted[i], true))
			vpci->doorbells[vpci->doorbell_count++] = wanted[i];
	pthread_mutex_unlock(&vpci->doorbell_lock);
}

/* --- BARs --- */

static uint32_t config_read(struct vpci *vpci, uint16_t offset, unsigned int size)
{
	return vpci->function->ops->config_read(vpci->function, offset, size);
}

/* Where the BAR is by configuration space; 0 when it is not decoded, or nowhere it could be. */
static uint64_t bar_base(struct vpci *vpci, unsigned int i)
{
	const struct vpci_bar *bar = &vpci->bars[i];
	uint64_t base;

	if (!bar->size || !(config_read(vpci, CONFIG_COMMAND, 2) & COMMAND_MEMORY))
		return 0;
	base = config_read(vpci, CONFIG_BAR(i), 4) & ~BAR_FLAGS;
	if (bar->is_64bit)
		base |= (uint64_t)config_read(vpci, CONFIG_BAR(i + 1), 4) << 32;
	return inside_window(vpci, base, bar->size) ? base : 0;
}

/* Under the lock, after anything that may have moved the BARs. */
static void update_bars(struct vpci *vpci)
{
	bool moved = false;
	unsigned int i;

	for (i = 0; i < VPCI_BARS; i++) {
		uint64_t base = bar_base(vpci, i);

		if (atomic_exchange(&vpci->bars[i].base, base) == base)
			continue;
		moved = true;
		if (vpci->function->ops->bar_moved)
			vpci->function->ops->bar_moved(vpci->function, i, base);
	}
	if (moved)
		vpci_sync_doorbells(vpci);
}

static bool is_in(const struct vpci_bar *bar, const _Atomic uint64_t *where, uint64_t gpa,
		  uint64_t *offset)
{
	uint64_t base = atomic_load_explicit(where, memory_order_acquire);

	*offset = gpa - base;
	return base && gpa >= base && *offset < bar->size;
}

/* Where the guest has it, or (direct) the VTL that the guest relays the function to. */
static bool find_bar(struct vpci *vpci, bool direct, uint64_t gpa, unsigned int *bar,
		     uint64_t *offset)
{
	unsigned int i;

	for (i = 0; i < VPCI_BARS; i++) {
		struct vpci_bar *at = &vpci->bars[i];

		if (!is_in(at, direct ? &at->direct : &at->base, gpa, offset))
			continue;
		*bar = i;
		return true;
	}
	return false;
}

/* What a function answers to: a power of two up to 8 that does not run out of the BAR. */
static bool bar_takes(const struct vpci *vpci, unsigned int bar, uint64_t offset, unsigned int size)
{
	return size && size <= 8 && !(size & (size - 1)) && size <= vpci->bars[bar].size - offset;
}

/* --- the configuration window --- */

int vpci_mmio_set_window(struct vpci *vpci, uint64_t gpa)
{
	if (gpa && (gpa % 4096 || !inside_window(vpci, gpa, VPCI_CONFIG_WINDOW_SIZE)))
		return -EINVAL;
	pthread_mutex_lock(&vpci->lock);
	vpci->window = gpa;
	vpci->slot = 0;
	pthread_mutex_unlock(&vpci->lock);
	return 0;
}

/* Under the lock. */
static bool in_config(const struct vpci *vpci, uint64_t gpa)
{
	return vpci->window && gpa >= vpci->window && gpa - vpci->window < VPCI_CONFIG_WINDOW_SIZE;
}

static bool config_takes(const struct vpci *vpci, uint64_t offset, unsigned int size)
{
	return offset >= VPCI_CONFIG_SPACE && vpci->slot == VPCI_SLOT(0, 0) &&
	       (size == 1 || size == 2 || size == 4) && offset % size == 0;
}

static uint64_t read_window(struct vpci *vpci, uint64_t offset, unsigned int size)
{
	if (config_takes(vpci, offset, size))
		return config_read(vpci, (uint16_t)(offset - VPCI_CONFIG_SPACE), size);
	return offset == VPCI_CONFIG_SLOT && size == 4 ? vpci->slot : VPCI_ALL_ONES;
}

static void write_window(struct vpci *vpci, uint64_t offset, unsigned int size, uint64_t value)
{
	if (offset == VPCI_CONFIG_SLOT && size == 4)
		vpci->slot = (uint32_t)value;
	if (!config_takes(vpci, offset, size))
		return;
	vpci->function->ops->config_write(vpci->function, (uint16_t)(offset - VPCI_CONFIG_SPACE),
					  size, (uint32_t)value);
	update_bars(vpci);
}

uint32_t vpci_config_read(struct vpci *vpci, uint16_t offset, unsigned int size)
{
	uint32_t value;

	pthread_mutex_lock(&vpci->lock);
	value = config_read(vpci, offset, size);
	pthread_mutex_unlock(&vpci->lock);
	return value;
}

/* --- accesses --- */

bool vpci_mmio_read(struct vpci *vpci, uint64_t gpa, unsigned int size, uint64_t *value)
{
	uint64_t offset;
	unsigned int bar;
	bool ours;

	*value = VPCI_ALL_ONES;
	if (find_bar(vpci, false, gpa, &bar, &offset)) {
		if (bar_takes(vpci, bar, offset, size))
			*value = vpci->function->ops->bar_read(vpci->function, bar, offset, size);
		return true;
	}
	pthread_mutex_lock(&vpci->lock);
	ours = in_config(vpci, gpa);
	if (ours)
		*value = read_window(vpci, gpa - vpci->window, size);
	pthread_mutex_unlock(&vpci->lock);
	return ours;
}

/* Whether the BAR is there; what it does not answer to does nothing. */
static bool write_bar(struct vpci *vpci, bool direct, uint64_t gpa, unsigned int size,
		      uint64_t value)
{
	uint64_t offset;
	unsigned int bar;

	if (!find_bar(vpci, direct, gpa, &bar, &offset))
		return false;
	if (bar_takes(vpci, bar, offset, size))
		vpci->function->ops->bar_write(vpci->function, bar, offset, size, value);
	return true;
}

bool vpci_mmio_write(struct vpci *vpci, uint64_t gpa, unsigned int size, uint64_t value)
{
	bool ours;

	if (write_bar(vpci, false, gpa, size, value))
		return true;
	pthread_mutex_lock(&vpci->lock);
	ours = in_config(vpci, gpa);
	if (ours)
		write_window(vpci, gpa - vpci->window, size, value);
	pthread_mutex_unlock(&vpci->lock);
	return ours;
}

/* --- of the VTL that the function is relayed to */

void vpci_direct_bar(void *ctx, unsigned int bar, uint64_t gpa)
{
	struct vpci *vpci = ctx;

	atomic_store(&vpci->bars[bar].direct, gpa);
}

bool vpci_is_direct(struct vpci *vpci, uint64_t gpa)
{
	uint64_t offset;
	unsigned int bar;

	return find_bar(vpci, true, gpa, &bar, &offset);
}

bool vpci_direct_write(struct vpci *vpci, uint64_t gpa, unsigned int size, uint64_t value)
{
	return write_bar(vpci, true, gpa, size, value);
}

void vpci_reset_function(struct vpci *vpci)
{
	pthread_mutex_lock(&vpci->lock);
	vpci->function->ops->reset(vpci->function);
	update_bars(vpci);
	vpci_interrupt_delete_all(vpci);
	pthread_mutex_unlock(&vpci->lock);
}
