#ifndef DEVICES_PCI_CONFIG_H
#define DEVICES_PCI_CONFIG_H

/*
 * PCI configuration mechanism #1 (ports 0xCF8 and 0xCFC; PCI 3.0, 3.2.2.3.2) with nothing behind it
 * but a host bridge without functions of its own, and the reset control register at 0xCF9.
 *
 * The host bridge is there because kernels take its class as the proof that the mechanism works;
 * without it Linux probes 256 functions and then complains.
 */

struct pci_config;
struct device_lock;
struct io_bus;

struct pci_config_handlers {
	void (*reset)(void *ctx); /* the guest asked for a reset; called with the lock held */
	void *ctx;
};

/* NULL when out of memory. */
struct pci_config *pci_config_create(const struct pci_config_handlers *handlers,
				     struct device_lock *lock);
void pci_config_destroy(struct pci_config *pci);

/* Ports 0xCF8 to 0xCFF. 0 or what io_bus_add() returns. */
int pci_config_attach(struct pci_config *pci, struct io_bus *bus);

#endif
