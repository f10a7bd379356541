#ifndef TESTS_UNIT_DEVICES_PCI_FAKE_DEVICE_H
#define TESTS_UNIT_DEVICES_PCI_FAKE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/pci_device.h"
#include "proto/pci.h"

/* A function as VFIO has it, whose configuration space and BARs say whatever a test likes. */
struct fake_device {
	struct pci_device_access pci;
	uint8_t config[PCI_CONFIG_SPACE_SIZE];
	uint64_t bar_size[PCI_BAR_COUNT];
	unsigned int vectors; /* that can be had */
	struct pci_interrupt *bound[8];
	struct event_loop *loops[8]; /* that they are bound to */

	/* What came. */
	unsigned int reads, writes, resets;
	uint64_t offset, value; /* of the last write of a register */
	unsigned int bar;

	/* By the capability of proto/pci_direct.h. */
	unsigned int direct_fails; /* a register, writing it returns -EIO; 0: none */
	unsigned int direct_words; /* that were written to it */
	uint32_t direct_low, direct_high;
	uint64_t direct_bar[PCI_BAR_COUNT];
	uint64_t direct_vector[8]; /* VP in the low half, vector in the high */
};

/* One as there are: BAR 0 of registers, BAR 4 with an MSI-X table of five vectors and its pending bits. */
void fake_device_init(struct fake_device *fake);

/* That has the capability of proto/pci_direct.h, too, behind MSI-X. */
#define FAKE_DEVICE_DIRECT 0x60u
void fake_device_add_direct(struct fake_device *fake);

#endif
