#ifndef TESTS_UNIT_DEVICES_VPCI_VPCI_BUS_H
#define TESTS_UNIT_DEVICES_VPCI_VPCI_BUS_H

#include "devices/vpci/vpci.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"
#include "tests/unit/devices/vpci/test_function.h"

/* A bus with a test function, and the client's end of its channel. For unit tests and fuzzing. */

#define BUS_MMIO     0x100000000ull
#define BUS_MMIO_LEN 0x100000ull
#define BUS_WINDOW   (BUS_MMIO + 0x10000)
#define BUS_BAR      (BUS_MMIO + 0x20000)
#define BUS_DIRECT   0x40000000ull /* of another VTL, which anything of its memory may be */
#define BUS_SERIAL   7u

struct vpci_bus {
	struct client client;
	struct client_channel channel;
	struct vpci *vpci;
	struct test_function *function;
	uint32_t relid;
	bool destroyed; /* the function */

	atomic_uint interrupts; /* how many, and the last */
	_Atomic uint32_t vp;
	_Atomic uint8_t vector;
	atomic_uint direct_interrupts; /* of these, too */
	_Atomic uint32_t direct_vp;
	_Atomic uint8_t direct_vector;
	struct {
		uint64_t gpa;
		unsigned int size, count; /* registered now */
		int fd;
	} doorbell;
	unsigned int ejected, gone;

	uint64_t next_id;
	_Alignas(8) uint8_t packet[512]; /* the last received */
	int packet_len;
};

/* Connects and opens the channel with rings of `pages` pages. 0 or -1. */
int vpci_bus_init(struct vpci_bus *bus, uint32_t pages);
void vpci_bus_fini(struct vpci_bus *bus);

/* In configuration space, by the window: a field of the function's own capability, of proto/pci_direct.h. */
void vpci_bus_set_direct(struct vpci_bus *bus, unsigned int field, unsigned int size,
			 uint32_t value);

/* All of them, the last select. */
void vpci_bus_tell(struct vpci_bus *bus, uint32_t select, uint64_t value);

/* A request with a completion: the answer's payload, or NULL when none came. */
const void *vpci_bus_request(struct vpci_bus *bus, const void *request, size_t len);

/* One without. */
void vpci_bus_send(struct vpci_bus *bus, const void *message, size_t len);

/* The next packet from the bus: its payload and type; NULL: none. */
const void *vpci_bus_receive(struct vpci_bus *bus, uint16_t *type);

#endif
