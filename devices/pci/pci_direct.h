#ifndef DEVICES_PCI_PCI_DIRECT_H
#define DEVICES_PCI_PCI_DIRECT_H

#include <stdint.h>

/*
 * The capability of proto/pci_direct.h in an emulated function: its guest, VTL2, relays the function to VTL0 and tells here
 * where VTL0 sees its BARs and which interrupts are VTL0's. The bus then has VTL0's writes come to bar_write() at once, and MSI-X
 * raises such interrupts in VTL0.
 */

struct pci_config_space;
struct pci_function;
struct pci_msix;

/* Embedded; what it points at is its owner's. */
struct pci_direct {
	struct pci_function *function;
	struct pci_config_space *space;
	struct pci_msix *msix;
	unsigned int capability; /* its offset */
};

/* Adds the capability, while configuration space is built. */
void pci_direct_init(struct pci_direct *direct, struct pci_function *function,
		     struct pci_config_space *space, struct pci_msix *msix);

/* After each write to configuration space. A function on a bus that cannot do it does nothing. */
void pci_direct_config_written(const struct pci_direct *direct, uint16_t offset, unsigned int size);

/* In the function's reset, beside pci_msix_reset(), which does the interrupts: VTL0 reaches nothing. */
void pci_direct_reset(const struct pci_direct *direct);

#endif
