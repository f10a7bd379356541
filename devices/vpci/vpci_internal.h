#ifndef DEVICES_VPCI_VPCI_INTERNAL_H
#define DEVICES_VPCI_VPCI_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/pci_function.h"
#include "devices/vpci/vpci.h"
#include "proto/vpci.h"

/* Between vpci.c (the channel), vpci_mmio.c and vpci_interrupt.c. */

#define VPCI_BARS           6
#define VPCI_DOORBELLS_MAX  256
#define VPCI_INTERRUPTS_MAX 1024u /* as many as Linux asks for on one bus */
#define VPCI_REPLY_MAX      144u  /* bytes of the longest answer */
#define VPCI_ALL_ONES       UINT64_MAX

struct vmbus_channel;

/* Where a BAR is now: 0 when it is not decoded. */
struct vpci_bar {
	_Atomic uint64_t base;
	_Atomic uint64_t
		direct; /* where the VTL has it that the guest relays the function to; 0: nowhere */
	uint64_t size;  /* 0: there is none; never changes */
	bool is_64bit;
};

/* A packet that found the ring full. */
struct vpci_unsent {
	bool pending, completion;
	uint64_t trans_id;
	size_t len;
	_Alignas(8) uint8_t bytes[VPCI_REPLY_MAX];
};

struct vpci {
	struct vpci_config config;
	struct pci_function *function;
	struct vmbus_channel *channel;
	atomic_bool open, eject_wanted;

	/* The channel's loop's. */
	uint32_t version;
	bool in_d0, ejecting;
	struct vpci_unsent unsent;

	pthread_mutex_t lock; /* of configuration space and what follows */
	uint64_t window;      /* of configuration space; 0: not there */
	uint32_t slot;        /* that the window shows */
	struct vpci_bar bars[VPCI_BARS];

	/*
	 * Which VP and vector an interrupt goes to: vpci_interrupt.c. Read without the lock, since
	 * the function raises interrupts under locks of its own.
	 */
	_Atomic uint64_t interrupts[VPCI_INTERRUPTS_MAX];
	unsigned int next_interrupt; /* where the search for free ones begins */

	/* Taken after `lock`, or alone. The function is asked for its doorbells under it. */
	pthread_mutex_t doorbell_lock;
	struct vpci_doorbell {
		uint64_t gpa;
		unsigned int size;
		int fd;
	} doorbells[VPCI_DOORBELLS_MAX];
	unsigned int doorbell_count;
};

/* --- vpci_mmio.c */

/* Learns the BARs of the function, which does not change their sizes. */
void vpci_mmio_init(struct vpci *vpci);

/* The configuration window is at gpa, 0: nowhere. -EINVAL: not a place for it. */
int vpci_mmio_set_window(struct vpci *vpci, uint64_t gpa);

/* For struct pci_bus_ops. */
void vpci_direct_bar(void *ctx, unsigned int bar, uint64_t gpa);

/* Resets the function; its BARs, doorbells and interrupts are gone when this returns. */
void vpci_reset_function(struct vpci *vpci);

/* Registers the doorbells that the function has now, where its BARs are now. Any thread. */
void vpci_sync_doorbells(struct vpci *vpci);

/* Aligned reads of configuration space, for answers. */
uint32_t vpci_config_read(struct vpci *vpci, uint16_t offset, unsigned int size);

/* --- vpci_interrupt.c */

/*
 * Translates `count` interrupts (a power of two up to 32) with vectors from `vector` on. 0;
 * -EINVAL; -ENOSPC: none are free.
 */
int vpci_interrupt_create(struct vpci *vpci, uint32_t vp, uint32_t vector, uint16_t count,
			  struct vpci_translated_interrupt *interrupt);

/* What was not created is not deleted: a guest hurts itself only. */
void vpci_interrupt_delete(struct vpci *vpci, const struct vpci_translated_interrupt *interrupt);
void vpci_interrupt_delete_all(struct vpci *vpci);

/* Which VP and vector an MSI of the function is for; false: none. Any thread. */
bool vpci_interrupt_target(void *ctx, uint64_t address, uint32_t data, uint32_t *vp,
			   uint8_t *vector);

/* The function's write of an MSI. Any thread. */
void vpci_interrupt_raise(struct vpci *vpci, uint64_t address, uint32_t data);

#endif
