/* What the function can reach: guest RAM at its GPA, and memory of the driver's. */

#include <errno.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "core/container_of.h"
#include "core/guest_memory.h"
#include "devices/pci/vfio_internal.h"
#include "devices/pci/dma_pool.h"

#define PAGE 4096u

/* The first address for the driver's memory lies above the guest's, and above x86's 4 GiB hole. */
#define IOVA_BASE 0x100000000ull

static int map(struct vfio_function *function, uint64_t iova, void *base, uint64_t len)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)base,
		.iova = iova,
		.size = len,
	};

	return ioctl(function->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

/* With an IOMMU: guest RAM at its GPA. */
int vfio_dma_open(struct vfio_function *function)
{
	uint64_t gpa, len;

	function->next_iova = IOVA_BASE;
	for (unsigned int i = 0; !guest_memory_range(function->memory, i, &gpa, &len); i++) {
		int err = map(function, gpa, guest_memory_bulk(function->memory, gpa, len), len);

		if (err)
			return err;
		if (gpa + len > function->next_iova)
			function->next_iova = gpa + len;
	}
	return 0;
}

/* Addresses are not used again: 2^48 of them last. */
static uint64_t take_iova(struct vfio_function *function, uint64_t len)
{
	uint64_t iova;

	pthread_mutex_lock(&function->lock);
	iova = function->next_iova;
	function->next_iova += len;
	pthread_mutex_unlock(&function->lock);
	return iova;
}

int vfio_dma_alloc(struct pci_device_access *pci, size_t len, struct pci_dma *dma)
{
	struct vfio_function *function = container_of(pci, struct vfio_function, device);
	void *base;
	int err;

	if (function->pool)
		return dma_pool_alloc(function->pool, len, dma);
	len = (len + PAGE - 1) & ~(size_t)(PAGE - 1);
	base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	*dma = (struct pci_dma){ base, take_iova(function, len), len };
	err = map(function, dma->address, base, len);
	if (err)
		munmap(base, len);
	return err;
}

void vfio_dma_free(struct pci_device_access *pci, struct pci_dma *dma)
{
	struct vfio_function *function = container_of(pci, struct vfio_function, device);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = dma->address,
		.size = dma->len,
	};

	if (function->pool) {
		dma_pool_free(function->pool, dma);
		return;
	}
	ioctl(function->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	munmap(dma->base, dma->len);
	*dma = (struct pci_dma){ 0 };
}

int vfio_dma_address(struct pci_device_access *pci, uint64_t gpa, uint64_t len, uint64_t *address)
{
	struct vfio_function *function = container_of(pci, struct vfio_function, device);

	if (!guest_memory_contains(function->memory, gpa, len))
		return -EFAULT;
	*address = gpa;
	return 0;
}
