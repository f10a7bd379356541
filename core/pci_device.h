#ifndef CORE_PCI_DEVICE_H
#define CORE_PCI_DEVICE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The seam between a driver and the PCI function that it drives: registers, memory that the function
 * can reach, interrupts. In VTL2 it is VFIO, in tests an emulated function in the same process.
 */

struct event_loop;
struct pci_device_access;

/* Memory of the driver that the function can reach: physically contiguous, page-aligned. */
struct pci_dma {
	void *base;
	uint64_t address; /* as the function sees it */
	size_t len;       /* bytes, whole pages */
};

/* Embedded by the driver. Called on the loop's thread, once for any number of interrupts. */
struct pci_interrupt {
	void (*raised)(struct pci_interrupt *interrupt);
};

struct pci_device_ops {
	/* size: 1, 2 or 4, offset a multiple of it and below 4096. 0 or -errno. Any thread. */
	int (*config_read)(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			   uint32_t *value);
	int (*config_write)(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			    uint32_t value);

	/* Bytes of a memory BAR (0 to 5); 0 when there is none. */
	uint64_t (*bar_size)(struct pci_device_access *pci, unsigned int bar);

	/*
	 * Registers of a BAR: size 4 or 8, naturally aligned, inside the BAR. Any thread. A write is
	 * ordered after all earlier stores to memory. A function that is gone reads as all ones.
	 */
	uint64_t (*read)(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			 unsigned int size);
	void (*write)(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value);

	/* Zeroed memory, the driver's until freed; 0, -ENOMEM. Any thread. */
	int (*dma_alloc)(struct pci_device_access *pci, size_t len, struct pci_dma *dma);
	void (*dma_free)(struct pci_device_access *pci, struct pci_dma *dma);

	/*
	 * Where the function sees guest RAM [gpa, gpa + len), which is contiguous there too: 0, or
	 * -EFAULT when the range is not RAM that the function may reach. Any thread.
	 */
	int (*dma_address)(struct pci_device_access *pci, uint64_t gpa, uint64_t len,
			   uint64_t *address);

	/* MSI-X vectors that can be had. */
	unsigned int (*vector_count)(struct pci_device_access *pci);

	/*
	 * Delivers a vector to a handler on that loop's thread, by preference on that thread's
	 * processor. 0 or -errno. unbind() returns when the handler will not be called again; on the
	 * loop's thread, or when that no longer runs.
	 */
	int (*bind)(struct pci_device_access *pci, unsigned int vector, struct event_loop *loop,
		    struct pci_interrupt *interrupt);
	void (*unbind)(struct pci_device_access *pci, unsigned int vector);

	/* Function-level reset: no DMA and no interrupt comes after it returned. 0 or -errno. */
	int (*reset)(struct pci_device_access *pci);
};

/* Embedded by an implementation. */
struct pci_device_access {
	const struct pci_device_ops *ops;
};

static inline uint32_t pci_read32(struct pci_device_access *pci, unsigned int bar, uint64_t offset)
{
	return (uint32_t)pci->ops->read(pci, bar, offset, 4);
}

static inline uint64_t pci_read64(struct pci_device_access *pci, unsigned int bar, uint64_t offset)
{
	return pci->ops->read(pci, bar, offset, 8);
}

static inline void pci_write32(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			       uint32_t value)
{
	pci->ops->write(pci, bar, offset, 4, value);
}

static inline void pci_write64(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			       uint64_t value)
{
	pci->ops->write(pci, bar, offset, 8, value);
}

#endif
