#ifndef DEVICES_MANA_MANA_FUNCTION_H
#define DEVICES_MANA_MANA_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A Microsoft Azure Network Adapter virtual function, emulated: one vport over a network backend.
 * docs/mana.md.
 */

struct event_loop;
struct net_backend;
struct pci_function;

#define MANA_FUNCTION_QUEUES 64 /* of the vport, at most */

struct mana_function_config {
	struct event_loop *loop; /* frames move on its thread */
	struct net_backend *backend;
	uint8_t mac[6];
	uint16_t mtu; /* of IP packets */
	uint16_t queues;

	/*
	 * Whoever rings a send queue's doorbell sends what is there, if not too much, rather than waking the loop for it:
	 * where VPs wait for the loop anyway. The backend's send() and full() are then for any thread.
	 */
	bool send_in_place;

	/* It has a capability by which VTL2 gives it on to VTL0, and is left out then (devices/pci/pci_direct.h). */
	bool direct;

	/*
	 * The driver moves frames to the function that VTL0 has for itself, or back. Of VTL2's function
	 * only: NULL, the command is not known. Any thread; must not call back.
	 */
	void (*move_filter)(void *ctx, bool to_vtl0);
	void *ctx;
};

/*
 * Copies *config; what it points at outlives the function. The backend is started on the loop's
 * thread, by a posted call. NULL when out of memory.
 */
struct pci_function *mana_function_create(const struct mana_function_config *config);

/* Any thread. The driver is told by an event of the hardware channel: now, or when it has one. */
void mana_function_set_link(struct pci_function *function, bool up);

/* Asks the driver to reset the function, as hardware that is to be serviced does. Any thread. */
void mana_function_request_reset(struct pci_function *function);

/* Bytes that were copied between guest memory and the emulator: what a card's DMA would move. */
uint64_t mana_function_dma_bytes(struct pci_function *function);

#endif
