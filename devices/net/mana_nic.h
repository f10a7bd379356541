#ifndef DEVICES_NET_MANA_NIC_H
#define DEVICES_NET_MANA_NIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Driver for a Microsoft Azure Network Adapter virtual function: a struct nic over struct
 * pci_device_access. A queue is an EQ, an SQ and an RQ with a vector of its own, on the loop of
 * whoever opens it. docs/mana.md.
 */

struct event_loop;
struct guest_memory;
struct mana_nic;
struct nic;
struct pci_device_access;

struct mana_nic_config {
	struct pci_device_access *pci; /* outlives the driver */
	const struct guest_memory *memory;
	struct event_loop *loop; /* events of the function, recovery */
};

/*
 * Brings the function up; on the loop's thread, or before it runs. 0; -ENODEV: it is not a MANA
 * function; -ETIMEDOUT, -EPROTO: it does not work; -ENOMEM.
 */
int mana_nic_create(const struct mana_nic_config *config, struct mana_nic **result);

/* All queues are closed, and their loops have run what was posted. The loop's thread. */
void mana_nic_destroy(struct mana_nic *mana);

struct nic *mana_nic_nic(struct mana_nic *mana);

/*
 * Has frames for the card's address go to the function that VTL0 has for itself, or back to this one;
 * also after a recovery. Waits for the function as opening a queue does. 0; -EOPNOTSUPP: it has no
 * such command; -EIO, -ETIMEDOUT. Any thread.
 */
int mana_nic_move_filter(struct mana_nic *mana, bool to_vtl0);

/* For tests and logs. Any thread. */
struct mana_nic_counters {
	uint64_t resets;  /* of the function, after the first */
	uint64_t bounced; /* frames of which a part was copied, for want of SGEs */
	uint64_t bounced_bytes;
	uint64_t doorbells, interrupts;
	bool dead; /* given up */
};
void mana_nic_counters(struct mana_nic *mana, struct mana_nic_counters *counters);

#endif
