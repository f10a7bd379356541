#include "tests/unit/devices/pci/fake_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/container_of.h"
#include "proto/pci_direct.h"

static struct fake_device *fake_of(struct pci_device_access *pci)
{
	return container_of(pci, struct fake_device, pci);
}

static int config_read(struct pci_device_access *pci, uint16_t offset, unsigned int size,
		       uint32_t *value)
{
	*value = 0;
	if (offset % size || !range_within(offset, size, PCI_CONFIG_SPACE_SIZE))
		abort();
	memcpy(value, fake_of(pci)->config + offset, size);
	return 0;
}

/* Whether the configuration space says that the register is one of the capability's. */
static bool is_direct(const struct fake_device *fake, unsigned int offset, unsigned int reg)
{
	const uint8_t *at = fake->config + offset - reg;

	return range_within(offset - reg, PCI_DIRECT_LEN, PCI_CONFIG_SPACE_SIZE) &&
	       at[0] == PCI_CAP_VENDOR && at[PCI_DIRECT_LENGTH] == PCI_DIRECT_LEN &&
	       load_le32(at + PCI_DIRECT_SIGNATURE) == PCI_DIRECT_NAME;
}

/* What is told has to mean something. */
static void direct_select(struct fake_device *fake, uint32_t select)
{
	uint64_t value = (uint64_t)fake->direct_high << 32 | fake->direct_low;
	uint32_t vector = select - PCI_DIRECT_VECTOR(0);

	if (select < PCI_BAR_COUNT && (!value || fake->bar_size[select])) {
		fake->direct_bar[select] = value;
	} else if (select >= PCI_DIRECT_VECTOR(0) && vector < fake->vectors &&
		   (!value || (fake->direct_high >= 16 && fake->direct_high <= UINT8_MAX))) {
		if (vector < sizeof(fake->direct_vector) / sizeof(fake->direct_vector[0]))
			fake->direct_vector[vector] = value;
	} else {
		abort();
	}
}

static int direct_write(struct fake_device *fake, unsigned int offset, uint32_t value)
{
	if (fake->direct_fails && is_direct(fake, offset, fake->direct_fails))
		return -EIO;
	fake->direct_words++;
	if (is_direct(fake, offset, PCI_DIRECT_LOW))
		fake->direct_low = value;
	else if (is_direct(fake, offset, PCI_DIRECT_HIGH))
		fake->direct_high = value;
	else if (is_direct(fake, offset, PCI_DIRECT_SELECT))
		direct_select(fake, value);
	else
		abort(); /* nothing else is a relay's to write */
	return 0;
}

static int config_write(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			uint32_t value)
{
	if (offset == PCI_COMMAND && size == 2) {
		memcpy(fake_of(pci)->config + offset, &value, size);
		return 0;
	}
	if (size != 4)
		abort();
	return direct_write(fake_of(pci), offset, value);
}

static uint64_t bar_size(struct pci_device_access *pci, unsigned int bar)
{
	return fake_of(pci)->bar_size[bar];
}

static void check_access(struct fake_device *fake, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	if (bar >= PCI_BAR_COUNT || (size != 4 && size != 8) || offset % size ||
	    !range_within(offset, size, fake->bar_size[bar]))
		abort();
}

static uint64_t read_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			      unsigned int size)
{
	check_access(fake_of(pci), bar, offset, size);
	fake_of(pci)->reads++;
	return 0x1122334455667788u & bytes_mask(size);
}

static void write_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			   unsigned int size, uint64_t value)
{
	struct fake_device *fake = fake_of(pci);

	check_access(fake, bar, offset, size);
	fake->writes++;
	fake->bar = bar;
	fake->offset = offset;
	fake->value = value;
}

static unsigned int vector_count(struct pci_device_access *pci)
{
	return fake_of(pci)->vectors;
}

static int bind(struct pci_device_access *pci, unsigned int vector, struct event_loop *loop,
		struct pci_interrupt *interrupt)
{
	if (vector < sizeof(fake_of(pci)->bound) / sizeof(fake_of(pci)->bound[0])) {
		fake_of(pci)->bound[vector] = interrupt;
		fake_of(pci)->loops[vector] = loop;
	}
	return 0;
}

static void unbind(struct pci_device_access *pci, unsigned int vector)
{
	if (vector < sizeof(fake_of(pci)->bound) / sizeof(fake_of(pci)->bound[0]))
		fake_of(pci)->bound[vector] = NULL;
}

static int reset(struct pci_device_access *pci)
{
	struct fake_device *fake = fake_of(pci);

	fake->resets++;
	memset(fake->direct_bar, 0, sizeof(fake->direct_bar));
	memset(fake->direct_vector, 0, sizeof(fake->direct_vector));
	return 0;
}

static const struct pci_device_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.read = read_register,
	.write = write_register,
	.vector_count = vector_count,
	.bind = bind,
	.unbind = unbind,
	.reset = reset,
};

void fake_device_init(struct fake_device *fake)
{
	static const uint8_t msix[PCI_MSIX_LEN] = { PCI_CAP_MSIX, 0, 4, 0, 4, 0, 0, 0, 4, 0x10 };

	memset(fake, 0, sizeof(*fake));
	fake->pci.ops = &ops;
	fake->vectors = 5;
	fake->bar_size[0] = 0x20000;
	fake->bar_size[4] = 0x4000;
	store_le32(fake->config + PCI_VENDOR_ID, 0x00BA1414);
	store_le32(fake->config + PCI_REVISION_ID, PCI_CLASS_ETHERNET << 8 | 7);
	fake->config[PCI_BAR(0)] = fake->config[PCI_BAR(4)] = PCI_BAR_64BIT;
	fake->config[PCI_CAPABILITY_POINTER] = 0x40;
	fake->config[0x40] = PCI_CAP_POWER;
	fake->config[0x41] = 0x50;
	memcpy(fake->config + 0x50, msix, sizeof(msix));
}

void fake_device_add_direct(struct fake_device *fake)
{
	uint8_t *at = fake->config + FAKE_DEVICE_DIRECT;

	fake->config[0x51] = FAKE_DEVICE_DIRECT;
	at[0] = PCI_CAP_VENDOR;
	at[PCI_DIRECT_LENGTH] = PCI_DIRECT_LEN;
	store_le32(at + PCI_DIRECT_SIGNATURE, PCI_DIRECT_NAME);
}
