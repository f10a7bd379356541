#ifndef DEVICES_LEGACY_PORTS_H
#define DEVICES_LEGACY_PORTS_H

/*
 * What is left of a PC at fixed ports: the ways to reset it (keyboard controller command 0xFE, port
 * 0x92), and the quiet absence of everything that kernels look for there.
 *
 * There is no keyboard controller (the FADT says so): its ports read as ones, which drivers
 * understand at the first read.
 */

struct legacy_ports;
struct device_lock;
struct io_bus;

struct legacy_ports_handlers {
	void (*reset)(void *ctx); /* the guest asked for a reset; called with the lock held */
	void *ctx;
};

/* NULL when out of memory. */
struct legacy_ports *legacy_ports_create(const struct legacy_ports_handlers *handlers,
					 struct device_lock *lock);
void legacy_ports_destroy(struct legacy_ports *ports);

/* 0 or what io_bus_add() returns. */
int legacy_ports_attach(struct legacy_ports *ports, struct io_bus *bus);

#endif
