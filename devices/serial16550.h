#ifndef DEVICES_SERIAL16550_H
#define DEVICES_SERIAL16550_H

#include <stddef.h>
#include <stdint.h>

#include "core/irq.h"

/*
 * A 16550A UART whose line is infinitely fast: the transmitter is empty at once, and whatever is
 * received has arrived when serial16550_receive() returns. The modem at the other end is always
 * there (DCD, DSR and CTS are on). National Semiconductor PC16550D data sheet.
 */

struct serial16550;
struct event_loop;
struct device_lock;
struct io_bus;

/* Called with the device's lock held. */
struct serial_backend {
	/*
	 * Output, in batches: at a line's end, when 240 bytes have gathered, and at the latest 20 ms
	 * after the first byte of a batch. The bytes are the device's. NULL: output is dropped.
	 */
	void (*transmit)(void *ctx, const uint8_t *bytes, size_t len);

	/*
	 * There is room again after serial16550_receive() took less than it was offered; it may be
	 * called from here. May be NULL.
	 */
	void (*receive_ready)(void *ctx);
	void *ctx;
};

struct serial16550_config {
	struct event_loop *loop;
	struct device_lock *lock;
	struct irq_line irq;
	struct serial_backend backend;
};

/* Copies *config. NULL when out of memory. Destroying drops what has not been transmitted. */
struct serial16550 *serial16550_create(const struct serial16550_config *config);
void serial16550_destroy(struct serial16550 *serial);

/* Puts its 8 ports at `base`. 0 or what io_bus_add() returns. */
int serial16550_attach(struct serial16550 *serial, struct io_bus *bus, uint16_t base);

/* How many of the bytes the receiver had room for. Any thread. */
size_t serial16550_receive(struct serial16550 *serial, const uint8_t *bytes, size_t len);

/* A break on the line. Any thread. */
void serial16550_receive_break(struct serial16550 *serial);

/* Hands out what has gathered, without waiting for the end of the batch. Any thread. */
void serial16550_flush(struct serial16550 *serial);

#endif
