#include "host/vpci.h"

#include <stdlib.h>
#include <string.h>

#include "core/guest_memory.h"
#include "devices/vpci/vpci_set.h"
#include "host/guest_view.h"
#include "host/partition.h"
#include "host/vmbus.h"
#include "host/vp.h"

struct host_vpci {
	struct partition *partition;
	struct vpci_set *set;
	struct guest_memory *vtl0_memory; /* with what VTL0 may do as page protections */
};

/* --- what the buses ask for --- */

static void raise(struct host_vpci *vpci, uint32_t vp_index, enum host_vtl vtl, uint8_t vector)
{
	struct vp *vp = vp_find(vpci->partition, vp_index);

	if (vp)
		vp_interrupt(vp, vtl, vector);
}

static void interrupt(void *ctx, uint32_t vp_index, uint8_t vector)
{
	raise(ctx, vp_index, HOST_VTL2, vector);
}

static void direct_interrupt(void *ctx, uint32_t vp_index, uint8_t vector)
{
	raise(ctx, vp_index, HOST_VTL0, vector);
}

static int doorbell(void *ctx, uint64_t gpa, unsigned int size, int fd, bool add)
{
	struct host_vpci *vpci = ctx;
	struct kvm_ioeventfd eventfd = {
		.addr = gpa,
		.len = size,
		.fd = fd,
		.flags = add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return kvm_ioctl(vpci->partition->vtl[HOST_VTL2].vm, KVM_IOEVENTFD, &eventfd);
}

/* --- life --- */

struct host_vpci *host_vpci_create(struct partition *partition)
{
	struct host_vpci *vpci = calloc(1, sizeof(*vpci));
	struct vpci_set_config config = {
		.interrupt = interrupt,
		.direct_interrupt = direct_interrupt,
		.doorbell = doorbell,
		.ctx = vpci,
		.server = host_vmbus_server(partition->vmbus),
		.vp_count = partition->vp_count,
		.mmio_base = partition->memory.vtl2_mmio_base,
		.mmio_len = HOST_VTL2_MMIO_SIZE,
	};

	if (!vpci)
		return NULL;
	vpci->partition = partition;
	vpci->set = vpci_set_create(&config);
	vpci->vtl0_memory = guest_memory_create();
	if (vpci->set && vpci->vtl0_memory &&
	    !guest_view_fill(vpci->vtl0_memory, &partition->memory, HOST_VIEW_VTL0))
		return vpci;
	host_vpci_destroy(vpci);
	return NULL;
}

void host_vpci_destroy(struct host_vpci *vpci)
{
	if (!vpci)
		return;
	vpci_set_destroy(vpci->set);
	if (vpci->vtl0_memory)
		guest_memory_destroy(vpci->vtl0_memory);
	free(vpci);
}

int host_vpci_add(struct host_vpci *vpci, const struct guid *instance, uint32_t serial,
		  enum host_view view, struct pci_function *function)
{
	struct vpci_set_bus bus = {
		.instance = *instance,
		.serial = serial,
		.memory = view == HOST_VIEW_VTL0 ? vpci->vtl0_memory
						 : host_vmbus_memory(vpci->partition->vmbus),
	};

	return vpci_set_add(vpci->set, &bus, function);
}

int host_vpci_remove(struct host_vpci *vpci, const struct guid *instance)
{
	return vpci_set_remove(vpci->set, instance);
}

/* --- from the VPs --- */

bool host_vpci_mmio(struct host_vpci *vpci, uint64_t gpa, uint8_t *data, size_t len, bool write)
{
	uint64_t value = 0;

	if (write)
		memcpy(&value, data, len);
	if (!vpci_set_mmio(vpci->set, gpa, (unsigned int)len, &value, write))
		return false;
	if (!write)
		memcpy(data, &value, len);
	return true;
}

bool host_vpci_is_direct(struct host_vpci *vpci, uint64_t gpa)
{
	return vpci_set_is_direct(vpci->set, gpa);
}

bool host_vpci_direct_write(struct host_vpci *vpci, uint64_t gpa, const void *data, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, data, len);
	return vpci_set_direct_write(vpci->set, gpa, (unsigned int)len, value);
}

int host_vpci_retarget(struct host_vpci *vpci, const struct retarget *retarget)
{
	return vpci_set_retarget(vpci->set, retarget);
}
