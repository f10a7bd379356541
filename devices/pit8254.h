#ifndef DEVICES_PIT8254_H
#define DEVICES_PIT8254_H

#include "core/irq.h"

/*
 * A PC's 8254 interval timer (ports 0x40 to 0x43) and system control port B (0x61). Intel 82C54
 * data sheet. Channel 0 drives IRQ0, channel 1 nothing, channel 2's gate and output are in port 0x61.
 *
 * A count takes effect when it is written rather than at the next clock pulse. IRQ0 comes at most
 * 10,000 times a second: periods that are due earlier are merged.
 */

#define PIT8254_HZ 1193182u

struct pit8254;
struct event_loop;
struct device_lock;
struct io_bus;

struct pit8254_config {
	struct event_loop *loop;
	struct device_lock *lock;
	struct irq_line irq;
};

/* Copies *config. NULL when out of memory. */
struct pit8254 *pit8254_create(const struct pit8254_config *config);
void pit8254_destroy(struct pit8254 *pit);

/* Ports 0x40 to 0x43 and 0x61. 0 or what io_bus_add() returns. */
int pit8254_attach(struct pit8254 *pit, struct io_bus *bus);

#endif
