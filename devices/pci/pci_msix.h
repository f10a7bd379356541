#ifndef DEVICES_PCI_PCI_MSIX_H
#define DEVICES_PCI_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

/*
 * MSI-X of an emulated function (PCI 3.0, 6.8.2): the capability, and the table and pending bits in
 * a BAR. A vector that is masked, by itself, for the function, or because MSI-X or bus mastering is
 * off, becomes pending and is sent when nothing masks it any more.
 *
 * Each vector has a lock of its own, so vectors of different queues do not meet. It is held during
 * pci_bus_ops.msi() and direct_interrupt(), which therefore must not call back into the function; in return, no interrupt
 * of a vector comes after the write that masked it.
 */

struct pci_config_space;
struct pci_function;
struct pci_msix;

struct pci_msix_layout {
	unsigned int vectors; /* 1 to 2048 */
	unsigned int bar;
	uint32_t table_offset; /* in the BAR, a multiple of 8; 16 bytes a vector */
	uint32_t pba_offset;   /* a multiple of 8; 8 bytes for each 64 vectors begun */
};

/*
 * Adds the capability to `space`; the function's bus is used for messages. Both outlive it.
 * NULL when out of memory.
 */
struct pci_msix *pci_msix_create(struct pci_function *function, struct pci_config_space *space,
				 const struct pci_msix_layout *layout);
void pci_msix_destroy(struct pci_msix *msix);

/* After every write to config space: takes over enable and mask bits, sends what may now go. */
void pci_msix_config_written(struct pci_msix *msix);

/* Back to power-on; after it returned no interrupt comes. After pci_config_space_reset(). */
void pci_msix_reset(struct pci_msix *msix);

/* Is [offset, offset + size) of that BAR the table or the pending bits? */
bool pci_msix_covers(const struct pci_msix *msix, unsigned int bar, uint64_t offset,
		     unsigned int size);

/* Where pci_msix_covers(); size 1, 2, 4 or 8. What is not 4 or 8 bytes, aligned, does nothing. */
uint64_t pci_msix_read(struct pci_msix *msix, uint64_t offset, unsigned int size);
void pci_msix_write(struct pci_msix *msix, uint64_t offset, unsigned int size, uint64_t value);

/* Sends a vector's message, or makes it pending. Any thread. Beyond the table: nothing. */
void pci_msix_raise(struct pci_msix *msix, unsigned int vector);

/*
 * From now on a vector that nothing masks is no message but pci_bus_ops.direct_interrupt() with these; vector 0: a message
 * again, as after pci_msix_reset(). Beyond the table: nothing. Any thread.
 */
void pci_msix_direct(struct pci_msix *msix, unsigned int index, uint32_t vp, uint8_t vector);

/* The message of a vector that nothing masks; false: it is masked, or beyond the table. Any thread. */
bool pci_msix_message(struct pci_msix *msix, unsigned int index, uint64_t *address, uint32_t *data);

unsigned int pci_msix_vectors(const struct pci_msix *msix);

#endif
