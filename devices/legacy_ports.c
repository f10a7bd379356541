#include "devices/legacy_ports.h"

#include "core/io_bus.h"

#include <stdbool.h>
#include <stdlib.h>

#define KEYBOARD_COMMAND       0x64
#define KEYBOARD_COMMAND_RESET 0xfe
#define PORT_A                 0x92
#define PORT_A_RESET           0x01
#define PORT_A_A20             0x02

struct legacy_ports {
	struct device_lock *lock;
	struct legacy_ports_handlers handlers;
	uint8_t port_a;
};

/* Read as ones, writes go nowhere: where kernels, boot loaders and memory testers look. */
static const struct absent_range {
	const char *name;
	uint16_t base, len;
} absent[] = {
	{ "dma1", 0x00, 0x20 },
	{ "imcr", 0x22, 2 },
	{ "superio", 0x2e, 2 },
	{ "superio2", 0x4e, 2 },
	{ "keyboard-data", 0x60, 1 },
	{ "cmos-extended", 0x72, 6 },
	{ "dma-page", 0x80, 0x10 }, /* and POST codes, which double as a delay */
	{ "port-90", 0x90, 2 },
	{ "port-93", 0x93, 0xd },
	{ "apm", 0xb2, 2 },
	{ "dma2", 0xc0, 0x20 },
	{ "debug-console", 0xe9, 1 },
	{ "delay", 0xed, 1 },
	{ "coprocessor", 0xf0, 0x10 },
	{ "ide2", 0x170, 8 },
	{ "ide1", 0x1f0, 8 },
	{ "game", 0x200, 8 },
	{ "parallel2", 0x278, 8 }, /* and the ISA PnP address port, 0x279 */
	{ "hardware-monitor", 0x290, 8 },
	{ "vbe", 0x1ce, 4 },
	{ "com4", 0x2e8, 8 },
	{ "floppy2-ide2", 0x370, 8 },
	{ "parallel1", 0x378, 8 },
	{ "vga", 0x3b0, 0x30 },
	{ "com3", 0x3e8, 8 },
	{ "floppy1-ide1", 0x3f0, 8 },
	{ "eisa-dma", 0x480, 0x10 },
	{ "fw-cfg", 0x510, 4 },
	{ "isapnp-write", 0xa79, 1 },
	{ "eisa-id", 0xc80, 4 },
	{ "backdoor", 0x5658, 2 },
};

static enum io_result absent_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	(void)dev;
	(void)offset;
	(void)size;
	*value = UINT64_MAX;
	return IO_DONE;
}

static enum io_result absent_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)value;
	return IO_DONE;
}

static enum io_result keyboard_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct legacy_ports *ports = dev;

	(void)offset;
	(void)size;
	if (value == KEYBOARD_COMMAND_RESET)
		ports->handlers.reset(ports->handlers.ctx);
	return IO_DONE;
}

static enum io_result port_a_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	const struct legacy_ports *ports = dev;

	(void)offset;
	(void)size;
	*value = ports->port_a;
	return IO_DONE;
}

/* A20 can be switched only in appearance. The reset bit acts when it goes from 0 to 1. */
static enum io_result port_a_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct legacy_ports *ports = dev;
	bool reset = (value & ~ports->port_a) & PORT_A_RESET;

	(void)offset;
	(void)size;
	ports->port_a = (uint8_t)value;
	if (reset)
		ports->handlers.reset(ports->handlers.ctx);
	return IO_DONE;
}

static const struct io_region_ops absent_ops = { .read = absent_read, .write = absent_write };
static const struct io_region_ops keyboard_ops = { .read = absent_read, .write = keyboard_write };
static const struct io_region_ops port_a_ops = { .read = port_a_read, .write = port_a_write };

struct legacy_ports *legacy_ports_create(const struct legacy_ports_handlers *handlers,
					 struct device_lock *lock)
{
	struct legacy_ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	ports->handlers = *handlers;
	ports->lock = lock;
	ports->port_a = PORT_A_A20;
	return ports;
}

void legacy_ports_destroy(struct legacy_ports *ports)
{
	free(ports);
}

static int add(struct legacy_ports *ports, struct io_bus *bus, const struct absent_range *range,
	       const struct io_region_ops *ops)
{
	const struct io_region region = {
		.name = range->name,
		.space = IO_PORT,
		.base = range->base,
		.len = range->len,
		.ops = ops,
		.dev = ports,
		.lock = ops == &absent_ops ? NULL : ports->lock,
		.max_size = ops == &absent_ops ? 0 : 1,
	};

	return io_bus_add(bus, &region);
}

int legacy_ports_attach(struct legacy_ports *ports, struct io_bus *bus)
{
	int err;

	err = add(ports, bus, &(struct absent_range){ "keyboard", KEYBOARD_COMMAND, 1 },
		  &keyboard_ops);
	if (!err)
		err = add(ports, bus, &(struct absent_range){ "port-a", PORT_A, 1 }, &port_a_ops);
	for (unsigned int i = 0; !err && i < sizeof(absent) / sizeof(absent[0]); i++)
		err = add(ports, bus, &absent[i], &absent_ops);
	return err;
}
