#include "tests/unit/devices/net/mana_machine.h"

#include <string.h>

#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "devices/net/mana_nic.h"
#include "devices/net/netvsp.h"
#include "devices/pci/pci_inproc.h"
#include "devices/pci/pci_relay.h"

#define RELAY_POOL 0x20000000u

static void move_filter(void *ctx, bool to_vtl0)
{
	struct mana_machine *m = ctx;

	m->to_vtl0 = to_vtl0;
	m->moves++;
}

/* The function moves to a bus of the relay's; the driver's bus gets what the relay makes of it. */
static int relay_function(struct mana_machine *m, struct pci_inproc_config *bus)
{
	struct pci_inproc_config inner = { .function = m->function,
					   .memory = m->client.memory,
					   .pool_address = RELAY_POOL,
					   .pool_len = 4096 };

	m->relay_bus = pci_inproc_create(&inner);
	if (!m->relay_bus || pci_relay_create(pci_inproc_device(m->relay_bus), &m->relay))
		return -1;
	for (unsigned int i = 0; i < pci_relay_vectors(m->relay); i++)
		if (pci_relay_bind(m->relay, i, m->client.loops[0]))
			return -1;
	bus->function = pci_relay_function(m->relay);
	return 0;
}

static void end_relay(struct mana_machine *m)
{
	if (!m->relay)
		return;
	for (unsigned int i = 0; i < pci_relay_vectors(m->relay); i++)
		pci_relay_unbind(m->relay, i);
	pci_relay_destroy(m->relay);
	pci_inproc_destroy(m->relay_bus);
}

static int make_function(struct mana_machine *m, uint16_t mtu, uint16_t queues, bool relayed,
			 bool in_place)
{
	struct mana_function_config config = {
		.loop = m->client.loops[CLIENT_VPS - 1],
		.backend = &m->network.backend,
		.mac = { 0x02, 0x15, 0x5D, 1, 2, 3 },
		.mtu = mtu,
		.queues = queues,
		.send_in_place = in_place,
		.move_filter = move_filter,
		.ctx = m,
	};
	struct pci_inproc_config bus = { .memory = m->client.memory,
					 .pool_address = MANA_MACHINE_POOL,
					 .pool_len = 4u << 20 };

	m->function = mana_function_create(&config);
	if (!m->function)
		return -1;
	bus.function = m->function;
	if (relayed && relay_function(m, &bus))
		return -1;
	m->bus = pci_inproc_create(&bus);
	client_run(&m->client); /* starts the network */
	return m->bus ? 0 : -1;
}

static int init(struct mana_machine *m, uint16_t mtu, uint16_t queues, bool relayed, bool in_place)
{
	struct mana_nic_config driver = { 0 };
	struct netvsp_config card = { .max_sub_channels = 3 };

	memset(m, 0, sizeof(*m));
	if (client_init(&m->client, 0, 0))
		return -1;
	memory_backend_init(&m->network);
	if (make_function(m, mtu, queues, relayed, in_place))
		return -1;
	driver.pci = pci_inproc_device(m->bus);
	driver.memory = m->client.memory;
	driver.loop = m->client.loops[0];
	if (mana_nic_create(&driver, &m->driver))
		return -1;
	card.server = m->client.server;
	card.nic = mana_nic_nic(m->driver);
	m->net.client = &m->client;
	return netvsp_create(&card, &m->netvsp);
}

int mana_machine_init(struct mana_machine *m, uint16_t mtu, uint16_t queues)
{
	return init(m, mtu, queues, false, false);
}

int mana_machine_init_relayed(struct mana_machine *m, uint16_t mtu, uint16_t queues)
{
	return init(m, mtu, queues, true, false);
}

int mana_machine_init_in_place(struct mana_machine *m, uint16_t mtu, uint16_t queues)
{
	return init(m, mtu, queues, false, true);
}

static void card_gone(void *ctx)
{
	*(bool *)ctx = true;
}

int mana_machine_fini(struct mana_machine *m)
{
	bool clean;

	netvsp_destroy(m->netvsp, card_gone, &m->gone);
	client_run(&m->client);
	mana_nic_destroy(m->driver);
	clean = m->gone && !pci_inproc_allocated(m->bus) && !pci_inproc_bound(m->bus);
	pci_inproc_destroy(m->bus);
	end_relay(m);
	client_run(&m->client);
	m->function->ops->destroy(m->function);
	memory_backend_fini(&m->network);
	client_fini(&m->client);
	return clean ? 0 : -1;
}

void mana_machine_run(struct mana_machine *m, unsigned int channels)
{
	for (int i = 0; i < 4; i++) {
		client_run(&m->client);
		for (unsigned int channel = 0; channel < channels; channel++)
			netvsc_poll(&m->net, channel);
	}
}
