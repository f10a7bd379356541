#include "devices/pci/pci_direct.h"

#include "core/bytes.h"
#include "core/pci_function.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_msix.h"
#include "proto/pci_direct.h"

#define PAGE         4096u
#define FIRST_VECTOR 16u

void pci_direct_init(struct pci_direct *direct, struct pci_function *function,
		     struct pci_config_space *space, struct pci_msix *msix)
{
	unsigned int at = pci_config_space_add_capability(space, PCI_CAP_VENDOR, PCI_DIRECT_LEN);

	*direct = (struct pci_direct){ function, space, msix, at };
	pci_config_space_set(space, at + PCI_DIRECT_LENGTH, 1, PCI_DIRECT_LEN, 0);
	pci_config_space_set(space, at + PCI_DIRECT_SIGNATURE, 4, PCI_DIRECT_NAME, 0);
	pci_config_space_set(space, at + PCI_DIRECT_LOW, 4, 0, UINT32_MAX);
	pci_config_space_set(space, at + PCI_DIRECT_HIGH, 4, 0, UINT32_MAX);
	pci_config_space_set(space, at + PCI_DIRECT_SELECT, 4, 0, UINT32_MAX);
}

static uint32_t field(const struct pci_direct *direct, unsigned int offset)
{
	return pci_config_space_read(direct->space, direct->capability + offset, 4);
}

static void set_bar(const struct pci_direct *direct, unsigned int bar, uint64_t gpa)
{
	const struct pci_bus *bus = &direct->function->bus;
	uint64_t size = pci_config_space_bar_size(direct->space, bar);

	if (!size)
		return;
	if (gpa % PAGE || !range_valid(gpa, size))
		gpa = 0;
	bus->ops->direct_bar(bus->ctx, bar, gpa);
}

static void set_vector(const struct pci_direct *direct, unsigned int index, uint32_t vp,
		       uint32_t vector)
{
	bool valid = vector >= FIRST_VECTOR && vector <= UINT8_MAX;

	pci_msix_direct(direct->msix, index, vp, valid ? (uint8_t)vector : 0);
}

void pci_direct_config_written(const struct pci_direct *direct, uint16_t offset, unsigned int size)
{
	uint32_t select = field(direct, PCI_DIRECT_SELECT);
	uint32_t low = field(direct, PCI_DIRECT_LOW), high = field(direct, PCI_DIRECT_HIGH);

	if (!range_overlaps(offset, size, direct->capability + PCI_DIRECT_SELECT, 4) ||
	    !direct->function->bus.ops->direct_bar)
		return;
	if (select < PCI_BAR_COUNT)
		set_bar(direct, select, (uint64_t)high << 32 | low);
	else if (select >= PCI_DIRECT_VECTOR(0))
		set_vector(direct, select - PCI_DIRECT_VECTOR(0), low, high);
}

void pci_direct_reset(const struct pci_direct *direct)
{
	const struct pci_bus *bus = &direct->function->bus;

	if (bus->ops && bus->ops->direct_bar)
		for (unsigned int bar = 0; bar < PCI_BAR_COUNT; bar++)
			set_bar(direct, bar, 0);
}
