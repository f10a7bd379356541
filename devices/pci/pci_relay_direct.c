#include "devices/pci/pci_relay_direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/pci_device.h"
#include "proto/pci_direct.h"

static bool is_ours(struct pci_device_access *pci, unsigned int capability, int *err)
{
	uint32_t len = 0, name = 0;

	if (!capability || capability + PCI_DIRECT_LEN > PCI_CONFIG_SPACE_SIZE)
		return false;
	*err = pci->ops->config_read(pci, (uint16_t)(capability + PCI_DIRECT_LENGTH), 1, &len);
	if (!*err)
		*err = pci->ops->config_read(pci, (uint16_t)(capability + PCI_DIRECT_SIGNATURE), 4,
					     &name);
	return !*err && len == PCI_DIRECT_LEN && name == PCI_DIRECT_NAME;
}

int pci_relay_direct_init(struct pci_relay_direct *direct, struct pci_device_access *pci,
			  unsigned int capability, unsigned int vectors)
{
	int err = 0;

	if (!is_ours(pci, capability, &err))
		return err;
	direct->vectors = calloc(vectors, sizeof(direct->vectors[0]));
	if (!direct->vectors)
		return -ENOMEM;
	pthread_mutex_init(&direct->lock, NULL);
	direct->pci = pci;
	direct->vector_count = vectors;
	direct->capability = capability;
	return 0;
}

void pci_relay_direct_fini(struct pci_relay_direct *direct)
{
	if (!direct->capability)
		return;
	pthread_mutex_destroy(&direct->lock);
	free(direct->vectors);
}

static int write_field(struct pci_relay_direct *direct, unsigned int offset, uint32_t value)
{
	return direct->pci->ops->config_write(direct->pci, (uint16_t)(direct->capability + offset),
					      4, value);
}

/* With the lock. What the host has not taken is told again with the next change. */
static void tell(struct pci_relay_direct *direct, uint32_t select, uint64_t *known, uint64_t value)
{
	int err;

	if (*known == value)
		return;
	err = write_field(direct, PCI_DIRECT_LOW, (uint32_t)value);
	if (!err)
		err = write_field(direct, PCI_DIRECT_HIGH, (uint32_t)(value >> 32));
	if (!err)
		err = write_field(direct, PCI_DIRECT_SELECT, select);
	if (err)
		log_limited(LOG_WARN, "a relayed function's host is not told: errno %d", -err);
	else
		*known = value;
}

void pci_relay_direct_forgotten(struct pci_relay_direct *direct)
{
	if (!direct->capability)
		return;
	pthread_mutex_lock(&direct->lock);
	memset(direct->bars, 0, sizeof(direct->bars));
	memset(direct->vectors, 0, direct->vector_count * sizeof(direct->vectors[0]));
	pthread_mutex_unlock(&direct->lock);
}

void pci_relay_direct_bar(struct pci_relay_direct *direct, unsigned int bar, uint64_t gpa)
{
	if (!direct->capability)
		return;
	pthread_mutex_lock(&direct->lock);
	tell(direct, PCI_DIRECT_BAR(bar), &direct->bars[bar], gpa);
	pthread_mutex_unlock(&direct->lock);
}

void pci_relay_direct_vector(struct pci_relay_direct *direct, unsigned int index,
			     bool (*find)(void *ctx, unsigned int index, uint32_t *vp,
					  uint8_t *vector),
			     void *ctx)
{
	uint32_t vp = 0;
	uint8_t vector = 0;
	uint64_t value;

	if (!direct->capability)
		return;
	pthread_mutex_lock(&direct->lock);
	value = find(ctx, index, &vp, &vector) ? (uint64_t)vector << 32 | vp : 0;
	tell(direct, PCI_DIRECT_VECTOR(index), &direct->vectors[index], value);
	pthread_mutex_unlock(&direct->lock);
}
