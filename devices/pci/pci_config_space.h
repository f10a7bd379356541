#ifndef DEVICES_PCI_PCI_CONFIG_SPACE_H
#define DEVICES_PCI_PCI_CONFIG_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/pci.h"

/*
 * Configuration space of an emulated PCI Express function (PCI 3.0, chapter 6): bytes, and which
 * bits of them can be written. Built once with the functions below; the header has no other
 * expansion than capabilities, and what lies beyond 256 bytes reads as zero.
 *
 * Whoever embeds it looks at the bits that matter to it after each write. No locks: calls come one
 * at a time, as struct pci_function_ops has it, but pci_config_space_command() is for any thread
 * at any moment.
 */

struct pci_identity {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class_code; /* PCI_CLASS_* */
	uint8_t revision;
};

struct pci_config_space {
	uint8_t bytes[PCI_CONFIG_SPACE_SIZE];
	uint8_t writable[PCI_CONFIG_SPACE_SIZE]; /* bits */
	uint8_t power_on[PCI_CONFIG_SPACE_SIZE]; /* what pci_config_space_reset() goes back to */
	uint64_t bar_size[PCI_BAR_COUNT];
	bool bar_64bit[PCI_BAR_COUNT];
	uint8_t last_capability; /* offset, 0: none yet */
	uint8_t free;            /* where the next capability goes */
	uint8_t express;         /* offset of the PCI Express capability, 0: none */
};

void pci_config_space_init(struct pci_config_space *space, const struct pci_identity *identity);

/* Memory BAR of `size` bytes, a power of two from 4096 on. A 64-bit one takes the next number too. */
void pci_config_space_add_bar(struct pci_config_space *space, unsigned int bar, uint64_t size,
			      bool is_64bit);

/*
 * A capability of `len` bytes, its two-byte header included: zeroes that cannot be written until
 * the caller sets them. Returns its offset. There is room for 192 bytes; beyond that it aborts.
 */
uint8_t pci_config_space_add_capability(struct pci_config_space *space, enum pci_capability id,
					unsigned int len);

/* An endpoint's PCI Express capability, with function-level reset. */
void pci_config_space_add_express(struct pci_config_space *space);

/* Sets a register's power-on value and the bits of it that can be written; while building. */
void pci_config_space_set(struct pci_config_space *space, unsigned int offset, unsigned int size,
			  uint32_t value, uint32_t writable);

/* size 1, 2 or 4, naturally aligned, below 4096: reads and writes as from the bus. */
uint32_t pci_config_space_read(const struct pci_config_space *space, unsigned int offset,
			       unsigned int size);

/* True when the write asked for a function-level reset: the owner performs it. */
bool pci_config_space_write(struct pci_config_space *space, unsigned int offset, unsigned int size,
			    uint32_t value);

/* What a function-level reset does: everything as it was built. */
void pci_config_space_reset(struct pci_config_space *space);

/* The command register. Any thread. */
uint16_t pci_config_space_command(const struct pci_config_space *space);

/* For struct pci_function_ops: as it asks for them. */
uint64_t pci_config_space_bar_size(const struct pci_config_space *space, unsigned int bar);
bool pci_config_space_bar_is_64bit(const struct pci_config_space *space, unsigned int bar);

#endif
