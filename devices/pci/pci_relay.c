#include "devices/pci/pci_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/container_of.h"
#include "core/log.h"
#include "core/pci_device.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_msix.h"
#include "devices/pci/pci_relay_direct.h"

#define PAGE     4096ull
#define ALL_ONES UINT64_MAX
#define CAPABILITIES_MAX \
	48 /* that configuration space has room for: ends a list that is a circle */

/* Of the function's own MSI-X table, or pending bits: nobody else reaches its pages. */
struct hidden {
	unsigned int bar;
	uint64_t offset, len;
};

struct vector {
	struct pci_interrupt interrupt;
	struct pci_relay *relay;
	unsigned int index;
};

struct pci_relay {
	struct pci_function function;
	struct pci_config_space space;
	struct pci_device_access *pci;
	struct pci_msix *msix;
	struct hidden table, pba;
	struct pci_relay_direct direct;
	uint64_t bars[PCI_BAR_COUNT]; /* where the bus has them, 0: nowhere */
	uint16_t command;             /* as the function has it */
	bool used; /* atomic: since the last reset somebody has had access to it */
	unsigned int vector_count;
	struct vector *vectors;
	void (*watch)(void *ctx); /* or NULL */
	void *watch_ctx;
};

static struct pci_relay *relay_of(struct pci_function *function)
{
	return container_of(function, struct pci_relay, function);
}

/* --- What the host may do without us */

/* Not the registers of a BAR that we answer for in part; and none of a function that has no memory. */
static void tell_bars(struct pci_relay *relay)
{
	bool master = pci_config_space_command(&relay->space) & PCI_COMMAND_MASTER;

	for (unsigned int bar = 0; bar < PCI_BAR_COUNT; bar++) {
		bool ours = bar == relay->table.bar || bar == relay->pba.bar;

		pci_relay_direct_bar(&relay->direct, bar, master && !ours ? relay->bars[bar] : 0);
	}
}

static bool find_target(void *ctx, unsigned int index, uint32_t *vp, uint8_t *vector)
{
	struct pci_relay *relay = ctx;
	const struct pci_bus *bus = &relay->function.bus;
	uint64_t address;
	uint32_t data;

	return pci_msix_message(relay->msix, index, &address, &data) && bus->ops->msi_target &&
	       bus->ops->msi_target(bus->ctx, address, data, vp, vector);
}

/* A vector that is masked, or means nothing, is ours: what is pending has to wait somewhere. */
static void tell_vectors(struct pci_relay *relay)
{
	for (unsigned int i = 0; i < relay->direct.vector_count; i++)
		pci_relay_direct_vector(&relay->direct, i, find_target, relay);
}

static void bar_moved(struct pci_function *function, unsigned int bar, uint64_t gpa)
{
	struct pci_relay *relay = relay_of(function);

	relay->bars[bar] = gpa;
	tell_bars(relay);
}

static void targets_changed(struct pci_function *function)
{
	tell_vectors(relay_of(function));
}

/* --- Registers */

static bool overlaps(const struct hidden *hidden, unsigned int bar, uint64_t offset,
		     unsigned int size)
{
	return bar == hidden->bar && range_overlaps(offset, size, hidden->offset, hidden->len);
}

/* What the seam can do: others do not occur with functions that anybody relays. */
static bool passes(const struct pci_relay *relay, unsigned int bar, uint64_t offset,
		   unsigned int size)
{
	return (size == 4 || size == 8) && offset % size == 0 &&
	       !overlaps(&relay->table, bar, offset, size) &&
	       !overlaps(&relay->pba, bar, offset, size);
}

static uint64_t bar_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	struct pci_relay *relay = relay_of(function);

	if (pci_msix_covers(relay->msix, bar, offset, size))
		return pci_msix_read(relay->msix, offset, size);
	if (!passes(relay, bar, offset, size))
		return ALL_ONES;
	return relay->pci->ops->read(relay->pci, bar, offset, size);
}

static void bar_write(struct pci_function *function, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct pci_relay *relay = relay_of(function);

	if (pci_msix_covers(relay->msix, bar, offset, size)) {
		pci_msix_write(relay->msix, offset, size, value);
		tell_vectors(relay);
	} else if (passes(relay, bar, offset, size)) {
		__atomic_store_n(&relay->used, true, __ATOMIC_RELAXED);
		relay->pci->ops->write(relay->pci, bar, offset, size, value);
	}
}

static uint64_t bar_size(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_size(&relay_of(function)->space, bar);
}

static bool bar_is_64bit(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_is_64bit(&relay_of(function)->space, bar);
}

/* --- Configuration space */

/* Its memory is always decoded: where the guest has it is the bus's to know. */
static int set_command(struct pci_relay *relay, bool master)
{
	uint16_t command = (uint16_t)(PCI_COMMAND_MEMORY | (master ? PCI_COMMAND_MASTER : 0));
	int err = 0;

	if (command != relay->command)
		err = relay->pci->ops->config_write(relay->pci, PCI_COMMAND, 2, command);
	if (!err)
		relay->command = command;
	return err;
}

/*
 * In this order: no DMA any more, none of our interrupts, then the function's own state. What has not
 * been touched is not reset again: it takes a tenth of a second, and buses ask more often than needed.
 */
static void reset(struct pci_function *function)
{
	struct pci_relay *relay = relay_of(function);
	int err = set_command(relay, false);

	pci_config_space_reset(&relay->space);
	pci_msix_reset(relay->msix);
	tell_bars(relay);
	tell_vectors(relay);
	if (__atomic_exchange_n(&relay->used, false, __ATOMIC_SEQ_CST)) {
		if (relay->watch)
			relay->watch(relay->watch_ctx);
		if (!err)
			err = relay->pci->ops->reset(relay->pci);
		if (!err)
			pci_relay_direct_forgotten(&relay->direct);
	}
	if (err)
		log_limited(LOG_WARN, "a relayed function cannot be reset: errno %d", -err);
}

static uint32_t config_read(struct pci_function *function, uint16_t offset, unsigned int size)
{
	return pci_config_space_read(&relay_of(function)->space, offset, size);
}

static void config_write(struct pci_function *function, uint16_t offset, unsigned int size,
			 uint32_t value)
{
	struct pci_relay *relay = relay_of(function);
	bool master;

	if (pci_config_space_write(&relay->space, offset, size, value)) {
		reset(function);
		return;
	}
	master = pci_config_space_command(&relay->space) & PCI_COMMAND_MASTER;
	if (master)
		__atomic_store_n(&relay->used, true, __ATOMIC_RELAXED);
	if (set_command(relay, master))
		log_limited(LOG_WARN, "a relayed function's command register is not written");
	pci_msix_config_written(relay->msix);
	tell_bars(relay);
	tell_vectors(relay);
}

static const struct pci_function_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.bar_is_64bit = bar_is_64bit,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_moved = bar_moved,
	.targets_changed = targets_changed,
	.reset = reset,
	.destroy = reset,
};

/* --- What the function is */

static uint32_t own(struct pci_relay *relay, unsigned int offset, unsigned int size, int *err)
{
	uint32_t value = 0;

	if (!*err)
		*err = relay->pci->ops->config_read(relay->pci, (uint16_t)offset, size, &value);
	return value;
}

static int learn_identity(struct pci_relay *relay)
{
	int err = 0;
	struct pci_identity identity = {
		.vendor = (uint16_t)own(relay, PCI_VENDOR_ID, 2, &err),
		.device = (uint16_t)own(relay, PCI_DEVICE_ID, 2, &err),
		.subsystem_vendor = (uint16_t)own(relay, PCI_SUBSYSTEM_VENDOR, 2, &err),
		.subsystem = (uint16_t)own(relay, PCI_SUBSYSTEM_ID, 2, &err),
		.class_code = own(relay, PCI_REVISION_ID, 4, &err) >> 8,
		.revision = (uint8_t)own(relay, PCI_REVISION_ID, 1, &err),
	};

	pci_config_space_init(&relay->space, &identity);
	return err;
}

static int learn_bars(struct pci_relay *relay)
{
	int err = 0;

	for (unsigned int bar = 0; bar < PCI_BAR_COUNT && !err; bar++) {
		uint64_t size = relay->pci->ops->bar_size(relay->pci, bar);
		uint32_t type = own(relay, PCI_BAR(bar), 4, &err);
		bool wide = type & PCI_BAR_64BIT;

		if (!size || type & PCI_BAR_IO || err)
			continue;
		if (size < PAGE || size & (size - 1) || bar + wide >= PCI_BAR_COUNT)
			return -EINVAL;
		pci_config_space_add_bar(&relay->space, bar, size, wide);
		bar += wide;
	}
	return err;
}

static unsigned int find_capability(struct pci_relay *relay, enum pci_capability id, int *err)
{
	unsigned int at = own(relay, PCI_CAPABILITY_POINTER, 1, err) & ~3u;

	for (unsigned int i = 0; i < CAPABILITIES_MAX && at >= PCI_HEADER_END && !*err; i++) {
		if (own(relay, at, 1, err) == id)
			return at;
		at = own(relay, at + 1, 1, err) & ~3u;
	}
	return 0;
}

/* A place by one of the capability's registers, rounded to pages. */
static int hide(struct pci_relay *relay, struct hidden *hidden, uint32_t place, uint64_t len)
{
	uint64_t offset = place & ~PCI_MSIX_BAR_MASK, size;

	hidden->bar = place & PCI_MSIX_BAR_MASK;
	size = pci_config_space_bar_size(&relay->space, hidden->bar);
	if (!range_within(offset, len, size))
		return -EINVAL;
	hidden->offset = offset & ~(PAGE - 1);
	hidden->len = (offset + len + PAGE - 1) / PAGE * PAGE - hidden->offset;
	return 0;
}

/* Ours are where the function's are, with as many vectors as we can have. */
static int learn_msix(struct pci_relay *relay)
{
	int err = 0;
	unsigned int at = find_capability(relay, PCI_CAP_MSIX, &err);
	uint32_t table = own(relay, at + PCI_MSIX_TABLE, 4, &err);
	uint32_t pba = own(relay, at + PCI_MSIX_PBA, 4, &err);
	unsigned int count =
		(own(relay, at + PCI_MSIX_CONTROL, 2, &err) & PCI_MSIX_CONTROL_SIZE_MASK) + 1;
	struct pci_msix_layout layout = {
		.vectors = relay->pci->ops->vector_count(relay->pci),
		.bar = table & PCI_MSIX_BAR_MASK,
		.table_offset = table & ~PCI_MSIX_BAR_MASK,
		.pba_offset = pba & ~PCI_MSIX_BAR_MASK,
	};

	if (err)
		return err;
	if (!at || layout.vectors > count || !layout.vectors ||
	    layout.bar != (pba & PCI_MSIX_BAR_MASK) ||
	    hide(relay, &relay->table, table, count * sizeof(struct pci_msix_entry)) ||
	    hide(relay, &relay->pba, pba, (count + 63) / 64 * 8))
		return -EINVAL;
	relay->vector_count = layout.vectors;
	relay->msix = pci_msix_create(&relay->function, &relay->space, &layout);
	return relay->msix ? 0 : -ENOMEM;
}

static int learn_direct(struct pci_relay *relay)
{
	int err = 0;
	unsigned int at = find_capability(relay, PCI_CAP_VENDOR, &err);

	return err ? err
		   : pci_relay_direct_init(&relay->direct, relay->pci, at, relay->vector_count);
}

/* --- Interrupts */

static void raised(struct pci_interrupt *interrupt)
{
	struct vector *vector = container_of(interrupt, struct vector, interrupt);

	pci_msix_raise(vector->relay->msix, vector->index);
}

int pci_relay_bind(struct pci_relay *relay, unsigned int index, struct event_loop *loop)
{
	struct vector *vector;

	if (index >= relay->vector_count)
		return -EINVAL;
	vector = &relay->vectors[index];
	return relay->pci->ops->bind(relay->pci, index, loop, &vector->interrupt);
}

void pci_relay_unbind(struct pci_relay *relay, unsigned int index)
{
	relay->pci->ops->unbind(relay->pci, index);
}

/* --- Life */

static int make_vectors(struct pci_relay *relay)
{
	relay->vectors = calloc(relay->vector_count, sizeof(*relay->vectors));
	if (!relay->vectors)
		return -ENOMEM;
	for (unsigned int i = 0; i < relay->vector_count; i++)
		relay->vectors[i] = (struct vector){ { raised }, relay, i };
	return 0;
}

int pci_relay_create(struct pci_device_access *pci, struct pci_relay **result)
{
	struct pci_relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return -ENOMEM;
	relay->function.ops = &ops;
	relay->pci = pci;
	relay->used = true;
	err = learn_identity(relay);
	if (!err)
		err = learn_bars(relay);
	if (!err)
		err = learn_msix(relay);
	if (!err)
		err = learn_direct(relay);
	if (!err)
		err = make_vectors(relay);
	if (err) {
		pci_relay_destroy(relay);
		return err;
	}
	pci_config_space_add_express(&relay->space);
	reset(&relay->function);
	*result = relay;
	return 0;
}

void pci_relay_destroy(struct pci_relay *relay)
{
	pci_msix_destroy(relay->msix);
	pci_relay_direct_fini(&relay->direct);
	free(relay->vectors);
	free(relay);
}

struct pci_function *pci_relay_function(struct pci_relay *relay)
{
	return &relay->function;
}

unsigned int pci_relay_vectors(const struct pci_relay *relay)
{
	return relay->vector_count;
}

bool pci_relay_used(const struct pci_relay *relay)
{
	return __atomic_load_n(&relay->used, __ATOMIC_SEQ_CST);
}

void pci_relay_watch(struct pci_relay *relay, void (*fn)(void *ctx), void *ctx)
{
	relay->watch_ctx = ctx;
	relay->watch = fn;
}
