#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * An I/O APIC, version 0x20 (with an EOI register), 24 inputs. Intel 82093AA data sheet; for the EOI
 * register, Intel's I/O controller hub data sheets.
 *
 * An input's level says whether its interrupt is asserted, not what voltage the wire has: the
 * polarity that a guest programs is kept and otherwise without effect, so a guest that disagrees
 * with the tables about it still gets its interrupts.
 */

#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_LEN  0x1000u
#define IOAPIC_PINS 24u

struct ioapic;
struct device_lock;
struct event_loop;
struct io_bus;

/* Delivery modes of a redirection entry (data sheet 3.2.4). */
enum ioapic_delivery_mode {
	IOAPIC_FIXED = 0,
	IOAPIC_LOWEST_PRIORITY = 1,
	IOAPIC_SMI = 2,
	IOAPIC_NMI = 4,
	IOAPIC_INIT = 5,
	IOAPIC_EXTINT = 7
};

/*
 * Sends an interrupt to local APICs. destination: an APIC ID, or in logical mode a logical address.
 * mode: enum ioapic_delivery_mode, or a reserved value that the guest programmed. level: the local
 * APIC's EOI for the vector is to come back through ioapic_eoi(). Called with the device's lock held.
 */
struct ioapic_delivery {
	void (*deliver)(void *ctx, uint8_t destination, bool logical, unsigned int mode,
			uint8_t vector, bool level);
	void *ctx;
};

/* NULL when out of memory. The loop's timer paces an input that no guest quiets. */
struct ioapic *ioapic_create(const struct ioapic_delivery *delivery, struct device_lock *lock,
			     struct event_loop *loop);
void ioapic_destroy(struct ioapic *ioapic);

/* Puts its page at IOAPIC_BASE. 0 or what io_bus_add() returns. */
int ioapic_attach(struct ioapic *ioapic, struct io_bus *bus);

/* Fits struct irq_line: ctx is the struct ioapic. A pin that is not there is ignored. Any thread. */
void ioapic_set_pin(void *ioapic, unsigned int pin, bool asserted);

/*
 * A local APIC has finished a level-triggered interrupt: inputs that sent it may send it again, and
 * those still asserted do. Any thread.
 */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

#endif
