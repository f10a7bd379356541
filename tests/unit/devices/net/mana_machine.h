#ifndef TESTS_UNIT_DEVICES_NET_MANA_MACHINE_H
#define TESTS_UNIT_DEVICES_NET_MANA_MACHINE_H

#include <stdbool.h>

#include "tests/unit/devices/net/memory_backend.h"
#include "tests/unit/devices/net/netvsc.h"

/*
 * All of it in one process: guest's netvsc, VMBus, netvsp, the MANA driver, a bus of one function,
 * the emulated function, a network in memory.
 */

struct mana_nic;
struct netvsp;
struct pci_function;
struct pci_inproc;
struct pci_relay;

struct mana_machine {
	struct client client;
	struct netvsc net;
	struct memory_backend network;
	struct pci_function *function;
	struct pci_inproc *bus; /* that the driver has the function on */

	/* Relayed: what the driver has is the relay's, which has the function on a bus of its own. */
	struct pci_inproc *relay_bus;
	struct pci_relay *relay;

	struct mana_nic *driver;
	struct netvsp *netvsp;
	bool gone;
	bool to_vtl0; /* where the driver wants frames to go */
	unsigned int moves;
};

#define MANA_MACHINE_POOL 0x10000000u /* address of the driver's memory */

/* 0, or -1. The emulator's loop is the client's last VP's, the driver's the first's. */
int mana_machine_init(struct mana_machine *m, uint16_t mtu, uint16_t queues);
int mana_machine_init_relayed(struct mana_machine *m, uint16_t mtu, uint16_t queues);
/* Whoever rings a doorbell sends. */
int mana_machine_init_in_place(struct mana_machine *m, uint16_t mtu, uint16_t queues);
/* The loops are not run by others any more. -1 when something was not given back. */
int mana_machine_fini(struct mana_machine *m);

/* Runs everything, and takes what came on each of the channels. */
void mana_machine_run(struct mana_machine *m, unsigned int channels);

#endif
