#ifndef DEVICES_CHIPSET_H
#define DEVICES_CHIPSET_H

#include <stddef.h>
#include <stdint.h>

#include "core/irq.h"
#include "devices/ioapic.h"
#include "devices/pic8259.h"
#include "devices/serial16550.h"

/*
 * VTL0's chipset: two serial ports, RTC, interval timer, interrupt controllers, ACPI power
 * management, PCI configuration ports and the legacy rest, wired as in a PC.
 *
 * All devices share the lock given here. The bus takes it around accesses; the functions below take
 * it themselves, so they are for any thread. The callbacks are made with it held.
 */

struct chipset;
struct event_loop;
struct device_lock;
struct io_bus;

enum chipset_serial_port {
	CHIPSET_COM1,
	CHIPSET_COM2,
	CHIPSET_SERIAL_PORTS
};

struct chipset_config {
	struct event_loop *loop; /* runs the devices' timers */
	struct device_lock *lock;
	struct io_bus *bus;
	struct serial_backend serial[CHIPSET_SERIAL_PORTS];
	struct ioapic_delivery ioapic; /* interrupts to VTL0's local APICs */
	struct pic8259_output pic;     /* ExtINT to VP 0's LINT0 */
	void (*power_off)(void *ctx);  /* the guest switched itself off; serial output is flushed */
	void (*reset)(void *ctx);      /* the guest asked for a reset; likewise */
	void *ctx;                     /* of the two above */
	int64_t wall_clock;            /* what the RTC shows: UTC, seconds since 1970 */
};

/*
 * Creates the devices and puts them on the bus. Returns NULL with errno set; the bus may then have
 * some of the regions and is of no more use. Destroy the bus, or stop using it, first.
 */
struct chipset *chipset_create(const struct chipset_config *config);
void chipset_destroy(struct chipset *chipset);

/* How many of the bytes, typed for the guest, the port had room for (see struct serial_backend). */
size_t chipset_serial_receive(struct chipset *chipset, enum chipset_serial_port port,
			      const uint8_t *bytes, size_t len);

/* Hands out serial output that has gathered. */
void chipset_serial_flush(struct chipset *chipset);

/* VTL0's local APIC finished a level-triggered interrupt that struct ioapic_delivery sent. */
void chipset_ioapic_eoi(struct chipset *chipset, uint8_t vector);

/* VP 0 takes the 8259s' interrupt: its vector. */
uint8_t chipset_pic_acknowledge(struct chipset *chipset);

/* Presets a byte of CMOS memory, for firmware: cmos_rtc_set_byte(). Before VTL0 runs. */
void chipset_set_cmos(struct chipset *chipset, uint8_t index, uint8_t value);

/* Asks the guest to shut down. */
void chipset_press_power_button(struct chipset *chipset);

/*
 * A wire for a device outside the chipset: an ISA interrupt (0 to 15, to both controllers) or a
 * further I/O APIC input (16 to 23). One device a wire.
 */
struct irq_line chipset_irq(struct chipset *chipset, unsigned int gsi);

#endif
