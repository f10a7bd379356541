#include "devices/pci/pci_config_space.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define COMMAND_WRITABLE                                                                   \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | \
	 PCI_COMMAND_INTX_DISABLE)

void pci_config_space_set(struct pci_config_space *space, unsigned int offset, unsigned int size,
			  uint32_t value, uint32_t writable)
{
	if (!range_within(offset, size, PCI_CONFIG_SPACE_SIZE))
		abort();
	memcpy(&space->bytes[offset], &value, size);
	memcpy(&space->power_on[offset], &value, size);
	memcpy(&space->writable[offset], &writable, size);
}

void pci_config_space_init(struct pci_config_space *space, const struct pci_identity *identity)
{
	memset(space, 0, sizeof(*space));
	space->free = PCI_HEADER_END;
	pci_config_space_set(space, PCI_VENDOR_ID, 2, identity->vendor, 0);
	pci_config_space_set(space, PCI_DEVICE_ID, 2, identity->device, 0);
	pci_config_space_set(space, PCI_COMMAND, 2, 0, COMMAND_WRITABLE);
	pci_config_space_set(space, PCI_REVISION_ID, 1, identity->revision, 0);
	pci_config_space_set(space, PCI_CLASS_PROG, 1, identity->class_code & 0xFF, 0);
	pci_config_space_set(space, PCI_CLASS_SUB, 1, identity->class_code >> 8 & 0xFF, 0);
	pci_config_space_set(space, PCI_CLASS_BASE, 1, identity->class_code >> 16 & 0xFF, 0);
	pci_config_space_set(space, PCI_CACHE_LINE_SIZE, 1, 0, 0xFF);
	pci_config_space_set(space, PCI_SUBSYSTEM_VENDOR, 2, identity->subsystem_vendor, 0);
	pci_config_space_set(space, PCI_SUBSYSTEM_ID, 2, identity->subsystem, 0);
	pci_config_space_set(space, PCI_INTERRUPT_LINE, 1, 0, 0xFF);
}

/* Size is learned by writing ones and reading what stuck (PCI 3.0, 6.2.5.1). */
void pci_config_space_add_bar(struct pci_config_space *space, unsigned int bar, uint64_t size,
			      bool is_64bit)
{
	uint64_t mask = ~(size - 1);

	if (bar + is_64bit >= PCI_BAR_COUNT || size < 4096 || size & (size - 1))
		abort();
	space->bar_size[bar] = size;
	space->bar_64bit[bar] = is_64bit;
	pci_config_space_set(space, PCI_BAR(bar), 4, is_64bit ? PCI_BAR_64BIT : 0, (uint32_t)mask);
	if (is_64bit)
		pci_config_space_set(space, PCI_BAR(bar + 1), 4, 0, (uint32_t)(mask >> 32));
}

uint8_t pci_config_space_add_capability(struct pci_config_space *space, enum pci_capability id,
					unsigned int len)
{
	uint8_t offset = space->free;

	if (!range_within(offset, len, PCI_CONFIG_SPACE_SIZE - 4))
		abort();
	pci_config_space_set(space, offset, 1, id, 0);
	if (space->last_capability)
		pci_config_space_set(space, space->last_capability + 1u, 1, offset, 0);
	else
		pci_config_space_set(space, PCI_CAPABILITY_POINTER, 1, offset, 0);
	pci_config_space_set(space, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES, 0);
	space->last_capability = offset;
	space->free = (uint8_t)((offset + len + 3) & ~3u);
	return offset;
}

/* What software may set in Device Control, the reset bit aside: it acts and reads as zero. */
#define DEVICE_CONTROL_WRITABLE 0x7FFFu
#define DEVICE_CONTROL_POWER_ON 0x2810u /* 512-byte reads, relaxed order, no snoop */

void pci_config_space_add_express(struct pci_config_space *space)
{
	uint8_t offset = pci_config_space_add_capability(space, PCI_CAP_EXPRESS, PCI_EXPRESS_LEN);

	space->express = offset;
	pci_config_space_set(space, offset + PCI_EXPRESS_FLAGS, 2,
			     PCI_EXPRESS_FLAGS_VERSION_2 | PCI_EXPRESS_FLAGS_ENDPOINT, 0);
	pci_config_space_set(space, offset + PCI_EXPRESS_DEVICE_CAP, 4,
			     PCI_EXPRESS_DEVICE_CAP_FLR | PCI_EXPRESS_DEVICE_CAP_ROLE_ERRORS, 0);
	pci_config_space_set(space, offset + PCI_EXPRESS_DEVICE_CONTROL, 2, DEVICE_CONTROL_POWER_ON,
			     DEVICE_CONTROL_WRITABLE);
	/* x1 at 2.5 GT/s, the least there is: nobody times an emulated link. */
	pci_config_space_set(space, offset + PCI_EXPRESS_LINK_CAP, 4, 0x11, 0);
	pci_config_space_set(space, offset + PCI_EXPRESS_LINK_STATUS, 2, 0x11, 0);
}

uint32_t pci_config_space_read(const struct pci_config_space *space, unsigned int offset,
			       unsigned int size)
{
	uint32_t value = 0;

	if (range_within(offset, size, PCI_CONFIG_SPACE_SIZE))
		memcpy(&value, &space->bytes[offset], size);
	return value;
}

static bool asks_for_reset(const struct pci_config_space *space, unsigned int offset,
			   unsigned int size, uint32_t value)
{
	unsigned int high = space->express + PCI_EXPRESS_DEVICE_CONTROL + 1u;

	return space->express && offset <= high && high < offset + size &&
	       (value >> (high - offset) * 8) & PCI_EXPRESS_DEVICE_CONTROL_FLR >> 8;
}

bool pci_config_space_write(struct pci_config_space *space, unsigned int offset, unsigned int size,
			    uint32_t value)
{
	if (!range_within(offset, size, PCI_CONFIG_SPACE_SIZE))
		return false;
	for (unsigned int i = 0; i < size; i++) {
		uint8_t mask = space->writable[offset + i];
		uint8_t now =
			(uint8_t)((space->bytes[offset + i] & ~mask) | ((value >> i * 8) & mask));

		__atomic_store_n(&space->bytes[offset + i], now, __ATOMIC_RELAXED);
	}
	return asks_for_reset(space, offset, size, value);
}

void pci_config_space_reset(struct pci_config_space *space)
{
	for (unsigned int i = 0; i < PCI_CONFIG_SPACE_SIZE; i++)
		__atomic_store_n(&space->bytes[i], space->power_on[i], __ATOMIC_RELAXED);
}

uint16_t pci_config_space_command(const struct pci_config_space *space)
{
	uint8_t low = __atomic_load_n(&space->bytes[PCI_COMMAND], __ATOMIC_RELAXED);
	uint8_t high = __atomic_load_n(&space->bytes[PCI_COMMAND + 1], __ATOMIC_RELAXED);

	return (uint16_t)(low | high << 8);
}

uint64_t pci_config_space_bar_size(const struct pci_config_space *space, unsigned int bar)
{
	return bar < PCI_BAR_COUNT ? space->bar_size[bar] : 0;
}

bool pci_config_space_bar_is_64bit(const struct pci_config_space *space, unsigned int bar)
{
	return bar < PCI_BAR_COUNT && space->bar_64bit[bar];
}
