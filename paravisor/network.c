#include "paravisor/network.h"

#include <errno.h>
#include <stdlib.h>

#include "core/guid.h"
#include "core/log.h"
#include "devices/net/mana_nic.h"
#include "devices/net/netvsp.h"
#include "devices/pci/vfio.h"
#include "paravisor/machine.h"
#include "paravisor/settings.h"
#include "paravisor/vp.h"

/* As for disks: VTL2's kernel takes its time with each function. */
#define FUNCTION_TIMEOUT_MS 10000

/* What a function's hardware channel takes, and each of its queue pairs: one a VP (mana_nic_queue.c). */
#define POOL_FUNCTION (32u << 10)
#define POOL_QUEUE    (256u << 10)
#define POOL_UNIT     (2u << 20)

struct card {
	char address[16];
	struct pci_device_access *pci;
	struct mana_nic *driver;
	struct netvsp *netvsp;
};

struct network {
	struct machine *machine;
	struct card cards[SETTINGS_NICS_MAX];
};

uint64_t network_pool_size(const struct settings *settings, unsigned int vp_count)
{
	uint64_t size = settings->nic_count * (POOL_FUNCTION + (uint64_t)vp_count * POOL_QUEUE);

	return (size + POOL_UNIT - 1) / POOL_UNIT * POOL_UNIT;
}

static int fail(struct network *network, const char *what, const struct guid *guid, int err)
{
	char text[GUID_TEXT_SIZE];

	guid_format(guid, text);
	machine_end(network->machine, HOST_PORT_FAILURE, "%s %s: errno %d", what, text, -err);
	return err;
}

static int open_function(struct network *network, struct card *card, const struct guid *instance,
			 struct dma_pool *pool)
{
	struct vfio_config config = {
		.address = card->address,
		.memory = network->machine->memory,
		.pool = pool,
		.max_vectors = network->machine->topology.vp_count + 1,
	};
	int ret = vfio_find_vpci(instance, FUNCTION_TIMEOUT_MS, card->address);

	if (ret)
		return fail(network, "no MANA function at VPCI bus", instance, ret);
	ret = vfio_bind(card->address, false);
	if (!ret)
		ret = vfio_open(&config, &card->pci);
	return ret ? fail(network, "cannot take the MANA function at VPCI bus", instance, ret) : 0;
}

int network_open(struct machine *machine, const struct settings *settings, struct dma_pool *pool,
		 struct network **result)
{
	struct network *network = calloc(1, sizeof(*network));
	int ret = 0;

	if (!network) {
		machine_end(machine, HOST_PORT_FAILURE, "out of memory for network cards");
		return -ENOMEM;
	}
	network->machine = machine;
	for (unsigned int i = 0; !ret && i < settings->nic_count; i++)
		ret = open_function(network, &network->cards[i], &settings->nics[i].instance, pool);
	*result = network;
	return ret;
}

static int start_card(struct network *network, struct card *card, const struct settings_nic *nic,
		      struct vmbus_server *server)
{
	struct machine *machine = network->machine;
	struct mana_nic_config driver = {
		.pci = card->pci,
		.memory = machine->memory,
		.loop = machine->vps[0].loop,
	};
	struct netvsp_config config = { .server = server, .instance = nic->instance };
	unsigned int sub_channels = machine->topology.vp_count - 1;
	int ret = mana_nic_create(&driver, &card->driver);

	if (ret)
		return fail(network, "the MANA function does not start at VPCI bus", &nic->instance,
			    ret);
	if (sub_channels > nic->sub_channels)
		sub_channels = nic->sub_channels;
	config.max_sub_channels = (uint16_t)sub_channels;
	config.nic = mana_nic_nic(card->driver);
	ret = netvsp_create(&config, &card->netvsp);
	return ret ? fail(network, "network card", &nic->instance, ret) : 0;
}

int network_start(struct network *network, const struct settings *settings,
		  struct vmbus_server *server)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < settings->nic_count; i++)
		ret = start_card(network, &network->cards[i], &settings->nics[i], server);
	if (!ret && settings->nic_count)
		log_info("network: %u cards", settings->nic_count);
	return ret;
}
