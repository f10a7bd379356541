#include "tests/unit/devices/vpci/vpci_bus.h"

#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/pci_direct.h"
#include "proto/vpci.h"

#define RINGS 0x100000u

static void interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	struct vpci_bus *bus = ctx;

	bus->interrupts++;
	bus->vp = vp;
	bus->vector = vector;
}

static void direct_interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	struct vpci_bus *bus = ctx;

	bus->direct_interrupts++;
	bus->direct_vp = vp;
	bus->direct_vector = vector;
}

/* One doorbell at most, added once and taken away as it was added: anything else is a mistake. */
static int doorbell(void *ctx, uint64_t gpa, unsigned int size, int fd, bool add)
{
	struct vpci_bus *bus = ctx;

	if (add == (bus->doorbell.count != 0))
		abort();
	if (!add &&
	    (bus->doorbell.gpa != gpa || bus->doorbell.size != size || bus->doorbell.fd != fd))
		abort();
	bus->doorbell.gpa = gpa;
	bus->doorbell.size = size;
	bus->doorbell.fd = fd;
	bus->doorbell.count = add;
	return 0;
}

static void ejected(void *ctx)
{
	struct vpci_bus *bus = ctx;

	bus->ejected++;
}

static void gone(void *ctx)
{
	struct vpci_bus *bus = ctx;

	bus->gone++;
}

static const struct vpci_ops ops = {
	.interrupt = interrupt,
	.direct_interrupt = direct_interrupt,
	.doorbell = doorbell,
	.ejected = ejected,
	.gone = gone,
};

static int create_bus(struct vpci_bus *bus)
{
	struct vpci_config config = {
		.ops = &ops,
		.ctx = bus,
		.server = bus->client.server,
		.memory = bus->client.memory,
		.instance = { 0x11223344, 0x5566, 0x778f, { 1, 2, 3, 4, 5, 6, 7, 8 } },
		.serial = BUS_SERIAL,
		.vp_count = CLIENT_VPS,
		.mmio_base = BUS_MMIO,
		.mmio_len = BUS_MMIO_LEN,
	};

	bus->function = test_function_create(&bus->destroyed);
	if (!bus->function)
		return -1;
	test_function_add_direct(bus->function);
	return vpci_create(&config, &bus->function->function, &bus->vpci);
}

int vpci_bus_init(struct vpci_bus *bus, uint32_t pages)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	const struct vmbus_channel_offer_channel *offer;

	memset(bus, 0, sizeof(*bus));
	bus->next_id = 1;
	if (client_init(&bus->client, 0, 0) || create_bus(bus) ||
	    !client_connect(&bus->client, VMBUS_VERSION_5_3))
		return -1;
	client_post(&bus->client, &request, sizeof(request));
	offer = client_take(&bus->client, CHANNELMSG_OFFERCHANNEL);
	if (!offer)
		return -1;
	bus->relid = offer->child_relid;
	client_drop_messages(&bus->client);
	return client_open(&bus->client, &bus->channel, bus->relid, 0x2000 + bus->relid, 0, RINGS,
			   pages)
		       ? -1
		       : 0;
}

void vpci_bus_fini(struct vpci_bus *bus)
{
	vmbus_server_reset(bus->client.server);
	client_run(&bus->client);
	vpci_destroy(bus->vpci);
	if (bus->doorbell.count || !bus->destroyed)
		abort();
	client_fini(&bus->client);
}

void vpci_bus_set_direct(struct vpci_bus *bus, unsigned int field, unsigned int size,
			 uint32_t value)
{
	vpci_mmio_write(bus->vpci,
			BUS_WINDOW + VPCI_CONFIG_SPACE + bus->function->direct.capability + field,
			size, value);
}

void vpci_bus_tell(struct vpci_bus *bus, uint32_t select, uint64_t value)
{
	vpci_bus_set_direct(bus, PCI_DIRECT_LOW, 4, (uint32_t)value);
	vpci_bus_set_direct(bus, PCI_DIRECT_HIGH, 4, value >> 32);
	vpci_bus_set_direct(bus, PCI_DIRECT_SELECT, 4, select);
}

const void *vpci_bus_receive(struct vpci_bus *bus, uint16_t *type)
{
	const struct vmpacket_descriptor *desc = (const void *)bus->packet;

	bus->packet_len = client_receive(&bus->channel, bus->packet, sizeof(bus->packet));
	if (bus->packet_len < 0)
		return NULL;
	*type = desc->type;
	return bus->packet + desc->offset8 * 8;
}

void vpci_bus_send(struct vpci_bus *bus, const void *message, size_t len)
{
	if (client_send(&bus->channel, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, message, len))
		abort();
	client_run(&bus->client);
}

const void *vpci_bus_request(struct vpci_bus *bus, const void *request, size_t len)
{
	const struct vmpacket_descriptor *desc = (const void *)bus->packet;
	const void *payload;
	uint16_t type;

	if (client_send(&bus->channel, VM_PKT_DATA_INBAND,
			VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED, ++bus->next_id, NULL, 0,
			request, len))
		return NULL;
	client_run(&bus->client);
	payload = vpci_bus_receive(bus, &type);
	return payload && type == VM_PKT_COMP && desc->trans_id == bus->next_id ? payload : NULL;
}
