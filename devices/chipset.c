#include "devices/chipset.h"

#include "core/device_lock.h"
#include "devices/acpi_pm.h"
#include "devices/cmos_rtc.h"
#include "devices/legacy_ports.h"
#include "devices/pci_config.h"
#include "devices/pit8254.h"

#include <errno.h>
#include <stdlib.h>

#define COM1_PORT 0x3f8
#define COM2_PORT 0x2f8

enum isa_irq {
	IRQ_PIT = 0,
	IRQ_COM2 = 3,
	IRQ_COM1 = 4,
	IRQ_RTC = 8,
	IRQ_SCI = 9
};

#define ISA_IRQS       16
#define PIT_IOAPIC_PIN 2 /* the MADT's interrupt source override says so */

struct chipset {
	struct chipset_config config;
	struct ioapic *ioapic;
	struct pic8259 *pic;
	struct pit8254 *pit;
	struct cmos_rtc *rtc;
	struct acpi_pm *pm;
	struct pci_config *pci;
	struct legacy_ports *legacy;
	struct serial16550 *serial[CHIPSET_SERIAL_PORTS];
};

/* As on a PC, ISA interrupts go to both controllers and the guest unmasks one. */
static void set_irq(void *ctx, unsigned int gsi, bool level)
{
	struct chipset *chipset = ctx;

	if (gsi < ISA_IRQS)
		pic8259_set_pin(chipset->pic, gsi, level);
	ioapic_set_pin(chipset->ioapic, gsi == IRQ_PIT ? PIT_IOAPIC_PIN : gsi, level);
}

struct irq_line chipset_irq(struct chipset *chipset, unsigned int gsi)
{
	return (struct irq_line){ .set = set_irq, .ctx = chipset, .pin = gsi };
}

static void power_off(void *ctx)
{
	struct chipset *chipset = ctx;

	chipset_serial_flush(chipset);
	chipset->config.power_off(chipset->config.ctx);
}

static void reset(void *ctx)
{
	struct chipset *chipset = ctx;

	chipset_serial_flush(chipset);
	chipset->config.reset(chipset->config.ctx);
}

static struct serial16550 *create_serial(struct chipset *c, enum chipset_serial_port port,
					 enum isa_irq irq)
{
	const struct serial16550_config config = {
		.loop = c->config.loop,
		.lock = c->config.lock,
		.irq = chipset_irq(c, irq),
		.backend = c->config.serial[port],
	};

	return serial16550_create(&config);
}

static struct pit8254 *create_pit(struct chipset *c)
{
	const struct pit8254_config config = {
		.loop = c->config.loop,
		.lock = c->config.lock,
		.irq = chipset_irq(c, IRQ_PIT),
	};

	return pit8254_create(&config);
}

static struct cmos_rtc *create_rtc(struct chipset *c)
{
	const struct cmos_rtc_config config = {
		.loop = c->config.loop,
		.lock = c->config.lock,
		.irq = chipset_irq(c, IRQ_RTC),
		.wall_clock = c->config.wall_clock,
	};

	return cmos_rtc_create(&config);
}

static struct acpi_pm *create_pm(struct chipset *c)
{
	const struct acpi_pm_config config = {
		.loop = c->config.loop,
		.lock = c->config.lock,
		.sci = chipset_irq(c, IRQ_SCI),
		.power_off = power_off,
		.ctx = c,
	};

	return acpi_pm_create(&config);
}

/* Controllers first: the others' wires end there. */
static int create_devices(struct chipset *c)
{
	const struct pci_config_handlers pci_handlers = { .reset = reset, .ctx = c };
	const struct legacy_ports_handlers legacy_handlers = { .reset = reset, .ctx = c };

	c->ioapic = ioapic_create(&c->config.ioapic, c->config.lock, c->config.loop);
	c->pic = pic8259_create(&c->config.pic, c->config.lock);
	c->pit = create_pit(c);
	c->rtc = create_rtc(c);
	c->pm = create_pm(c);
	c->pci = pci_config_create(&pci_handlers, c->config.lock);
	c->legacy = legacy_ports_create(&legacy_handlers, c->config.lock);
	c->serial[CHIPSET_COM1] = create_serial(c, CHIPSET_COM1, IRQ_COM1);
	c->serial[CHIPSET_COM2] = create_serial(c, CHIPSET_COM2, IRQ_COM2);
	if (!c->ioapic || !c->pic || !c->pit || !c->rtc || !c->pm || !c->pci || !c->legacy ||
	    !c->serial[CHIPSET_COM1] || !c->serial[CHIPSET_COM2])
		return -ENOMEM;
	return 0;
}

static int attach_devices(struct chipset *c)
{
	struct io_bus *bus = c->config.bus;
	int err;

	err = ioapic_attach(c->ioapic, bus);
	if (!err)
		err = pic8259_attach(c->pic, bus);
	if (!err)
		err = pit8254_attach(c->pit, bus);
	if (!err)
		err = cmos_rtc_attach(c->rtc, bus);
	if (!err)
		err = acpi_pm_attach(c->pm, bus);
	if (!err)
		err = pci_config_attach(c->pci, bus);
	if (!err)
		err = serial16550_attach(c->serial[CHIPSET_COM1], bus, COM1_PORT);
	if (!err)
		err = serial16550_attach(c->serial[CHIPSET_COM2], bus, COM2_PORT);
	if (!err)
		err = legacy_ports_attach(c->legacy, bus);
	return err;
}

struct chipset *chipset_create(const struct chipset_config *config)
{
	struct chipset *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return NULL;
	c->config = *config;
	err = create_devices(c);
	if (!err)
		err = attach_devices(c);
	if (err) {
		chipset_destroy(c);
		errno = -err;
		return NULL;
	}
	return c;
}

void chipset_destroy(struct chipset *c)
{
	if (!c)
		return;
	for (unsigned int i = 0; i < CHIPSET_SERIAL_PORTS; i++)
		serial16550_destroy(c->serial[i]);
	legacy_ports_destroy(c->legacy);
	pci_config_destroy(c->pci);
	acpi_pm_destroy(c->pm);
	cmos_rtc_destroy(c->rtc);
	pit8254_destroy(c->pit);
	pic8259_destroy(c->pic);
	ioapic_destroy(c->ioapic);
	free(c);
}

size_t chipset_serial_receive(struct chipset *c, enum chipset_serial_port port,
			      const uint8_t *bytes, size_t len)
{
	return serial16550_receive(c->serial[port], bytes, len);
}

void chipset_serial_flush(struct chipset *c)
{
	for (unsigned int i = 0; i < CHIPSET_SERIAL_PORTS; i++)
		serial16550_flush(c->serial[i]);
}

void chipset_set_cmos(struct chipset *c, uint8_t index, uint8_t value)
{
	cmos_rtc_set_byte(c->rtc, index, value);
}

void chipset_ioapic_eoi(struct chipset *c, uint8_t vector)
{
	ioapic_eoi(c->ioapic, vector);
}

uint8_t chipset_pic_acknowledge(struct chipset *c)
{
	return pic8259_acknowledge(c->pic);
}

void chipset_press_power_button(struct chipset *c)
{
	acpi_pm_press_power_button(c->pm);
}
