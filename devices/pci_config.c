#include "devices/pci_config.h"

#include "core/bytes.h"
#include "core/io_bus.h"

#include <stdlib.h>

#define BASE_PORT      0xcf8
#define ADDRESS_OFFSET 0
#define RESET_OFFSET   1
#define DATA_OFFSET    4
#define LEN            8
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_MASK   0x80fffffcu
#define ADDRESS_BDF(a) ((a) >> 8 & 0xffff)
#define ADDRESS_REG(a) ((a)&0xfc)
#define RESET_TYPES    0x0a /* full reset, system reset: kept */
#define RESET_CPU      0x04 /* the edge does it */

/* The host bridge's configuration header (PCI 3.0, 6.1); beyond it and all else: zero. */
static const uint8_t host_bridge[16] = {
	0x86, 0x80, 0x57, 0x0d, /* the identity that virtual machines' host bridges share */
	0x00, 0x00, 0x00, 0x00, /* command, status */
	0x00, 0x00, 0x00, 0x06, /* revision, class: host bridge */
	0x00, 0x00, 0x00, 0x00, /* header type 0 */
};

struct pci_config {
	struct device_lock *lock;
	struct pci_config_handlers handlers;
	uint32_t address;
	uint8_t reset_control;
};

static uint32_t read_register(const struct pci_config *pci)
{
	unsigned int reg = ADDRESS_REG(pci->address);

	if (!(pci->address & ADDRESS_ENABLE) || ADDRESS_BDF(pci->address) != 0)
		return UINT32_MAX;
	return reg < sizeof(host_bridge) ? load_le32(host_bridge + reg) : 0;
}

static enum io_result port_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	const struct pci_config *pci = dev;

	if (offset == ADDRESS_OFFSET && size == 4)
		*value = pci->address;
	else if (offset == RESET_OFFSET && size == 1)
		*value = pci->reset_control;
	else if (offset >= DATA_OFFSET)
		*value = read_register(pci) >> ((offset - DATA_OFFSET) * 8);
	else
		*value = UINT64_MAX;
	return IO_DONE;
}

static void write_reset_control(struct pci_config *pci, uint8_t value)
{
	pci->reset_control = value & RESET_TYPES;
	if (value & RESET_CPU)
		pci->handlers.reset(pci->handlers.ctx);
}

/* Nothing in the host bridge can be written. */
static enum io_result port_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_config *pci = dev;

	if (offset == ADDRESS_OFFSET && size == 4)
		pci->address = (uint32_t)value & ADDRESS_MASK;
	else if (offset == RESET_OFFSET && size == 1)
		write_reset_control(pci, (uint8_t)value);
	return IO_DONE;
}

static const struct io_region_ops port_ops = {
	.read = port_read,
	.write = port_write,
};

struct pci_config *pci_config_create(const struct pci_config_handlers *handlers,
				     struct device_lock *lock)
{
	struct pci_config *pci = calloc(1, sizeof(*pci));

	if (!pci)
		return NULL;
	pci->handlers = *handlers;
	pci->lock = lock;
	return pci;
}

void pci_config_destroy(struct pci_config *pci)
{
	free(pci);
}

int pci_config_attach(struct pci_config *pci, struct io_bus *bus)
{
	const struct io_region region = {
		.name = "pci-config",
		.space = IO_PORT,
		.base = BASE_PORT,
		.len = LEN,
		.ops = &port_ops,
		.dev = pci,
		.lock = pci->lock,
		.max_size = 4,
	};

	return io_bus_add(bus, &region);
}
