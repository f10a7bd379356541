#ifndef DEVICES_PIC8259_H
#define DEVICES_PIC8259_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A PC's pair of 8259A interrupt controllers, with the edge/level control registers of later
 * chipsets (ports 0x4D0, 0x4D1) in place of the level-trigger bit of ICW1. Intel 8259A data sheet.
 */

struct pic8259;
struct device_lock;
struct io_bus;

/* The INT output towards the processor; called with the lock held, when it changes. */
struct pic8259_output {
	void (*intr)(void *ctx, bool asserted);
	void *ctx;
};

/* NULL when out of memory. */
struct pic8259 *pic8259_create(const struct pic8259_output *output, struct device_lock *lock);
void pic8259_destroy(struct pic8259 *pic);

/* Ports 0x20, 0x21, 0xA0, 0xA1, 0x4D0 and 0x4D1. 0 or what io_bus_add() returns. */
int pic8259_attach(struct pic8259 *pic, struct io_bus *bus);

/* Fits struct irq_line: ctx is the struct pic8259, pin 0 to 15. Pin 2 does not exist. Any thread. */
void pic8259_set_pin(void *pic, unsigned int pin, bool level);

/*
 * The processor's interrupt acknowledge: the vector. When the request has gone meanwhile it is that
 * of a spurious interrupt, as the data sheet says. Any thread.
 */
uint8_t pic8259_acknowledge(struct pic8259 *pic);

#endif
