#ifndef CORE_PCI_FUNCTION_H
#define CORE_PCI_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The seam between an emulated PCI Express function and the bus that it sits on: VPCI in vtlhost, a
 * bus of one function in driver tests.
 */

struct guest_memory;
struct pci_function;

/* What the bus does for a function. */
struct pci_bus_ops {
	/* A memory write by the function that is an interrupt: an MSI-X entry's content. Any thread. */
	void (*msi)(void *ctx, uint64_t address, uint32_t data);

	/*
	 * Which VP and vector such a write is for. False: none. Any thread. NULL on buses on which nothing is
	 * relayed.
	 */
	bool (*msi_target)(void *ctx, uint64_t address, uint32_t data, uint32_t *vp,
			   uint8_t *vector);

	/*
	 * Of a function that its guest relays to a less privileged VTL (devices/pci/pci_direct.h). The BAR is
	 * at gpa of that VTL's, too, for what it writes; 0: nowhere. During config_write() or reset(). NULL on
	 * buses that cannot.
	 */
	void (*direct_bar)(void *ctx, unsigned int bar, uint64_t gpa);

	/* And an interrupt for that VTL. As msi(), NULL as direct_bar(). */
	void (*direct_interrupt)(void *ctx, uint32_t vp, uint8_t vector);
};

struct pci_bus {
	const struct pci_bus_ops *ops;
	void *ctx;
	const struct guest_memory *memory; /* what DMA reaches, addressed as the function sees it */
};

/* A register whose writes need no answer, only a wake-up: the bus may signal fd instead. */
struct pci_doorbell {
	uint64_t offset;
	int fd; /* an eventfd, the function's */
	uint8_t bar;
	uint8_t size; /* bytes of the access, 0: any */
};

struct pci_function_ops {
	/* size 1, 2 or 4, naturally aligned, below 4096. Any thread; no two calls at once. */
	uint32_t (*config_read)(struct pci_function *function, uint16_t offset, unsigned int size);
	void (*config_write)(struct pci_function *function, uint16_t offset, unsigned int size,
			     uint32_t value);

	/*
	 * Bytes of memory BAR 0 to 5, a power of two and at least 4096, or 0: none, or the upper
	 * half of a 64-bit one.
	 */
	uint64_t (*bar_size)(struct pci_function *function, unsigned int bar);
	bool (*bar_is_64bit)(struct pci_function *function, unsigned int bar);

	/* size 1, 2, 4 or 8, inside the BAR, aligned or not as the initiator likes. Any thread. */
	uint64_t (*bar_read)(struct pci_function *function, unsigned int bar, uint64_t offset,
			     unsigned int size);
	void (*bar_write)(struct pci_function *function, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value);

	/*
	 * The bus has moved a BAR to gpa, 0: it is not decoded. May be NULL. As config_write(), and
	 * not beside it.
	 */
	void (*bar_moved)(struct pci_function *function, unsigned int bar, uint64_t gpa);

	/* What msi_target() says has changed. May be NULL. Any thread. */
	void (*targets_changed)(struct pci_function *function);

	/* Function-level reset: back to power-on; no DMA, no interrupt after it returned. */
	void (*reset)(struct pci_function *function);

	/*
	 * Doorbells as they are now: fills at most `max`, returns how many there are. They change
	 * only as the function says by `doorbells_changed` below. NULL: none ever.
	 */
	unsigned int (*doorbells)(struct pci_function *function, struct pci_doorbell *doorbells,
				  unsigned int max);

	/* After reset(), when nothing calls it any more. */
	void (*destroy)(struct pci_function *function);
};

/* Embedded by an implementation. The bus is filled in by whoever plugs it in, before the first call. */
struct pci_function {
	const struct pci_function_ops *ops;
	struct pci_bus bus;
	/*
	 * Set by a bus that wants doorbells: called on whichever thread changed them, with no lock
	 * held that doorbells() takes. May be NULL.
	 */
	void (*doorbells_changed)(struct pci_function *function, void *ctx);
	void *doorbells_ctx;
};

#endif
