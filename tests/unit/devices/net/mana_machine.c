#include "tests/unit/devices/net/mana_machine.h"

#include <string.h>

#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "devices/net/mana_nic.h"
#include "devices/net/netvsp.h"
#include "devices/pci/pci_inproc.h"

static int make_function(struct mana_machine *m, uint16_t mtu, uint16_t queues)
{
	struct mana_function_config config = {
		.loop = m->client.loops[CLIENT_VPS - 1],
		.backend = &m->network.backend,
		.mac = { 0x02, 0x15, 0x5D, 1, 2, 3 },
		.mtu = mtu,
		.queues = queues,
	};
	struct pci_inproc_config bus = { .memory = m->client.memory,
					 .pool_address = MANA_MACHINE_POOL,
					 .pool_len = 4u << 20 };

	m->function = mana_function_create(&config);
	if (!m->function)
		return -1;
	bus.function = m->function;
	m->bus = pci_inproc_create(&bus);
	client_run(&m->client); /* starts the network */
	return m->bus ? 0 : -1;
}

int mana_machine_init(struct mana_machine *m, uint16_t mtu, uint16_t queues)
{
	struct mana_nic_config driver = { 0 };
	struct netvsp_config card = { .max_sub_channels = 3 };

	memset(m, 0, sizeof(*m));
	if (client_init(&m->client, 0, 0))
		return -1;
	memory_backend_init(&m->network);
	if (make_function(m, mtu, queues))
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
