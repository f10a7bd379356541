#include "paravisor/network.h"

#include <errno.h>
#include <stdlib.h>

#include "core/guid.h"
#include "core/log.h"
#include "devices/net/mana_nic.h"
#include "devices/net/netvsp.h"
#include "devices/pci/vfio.h"
#include "paravisor/machine.h"
#include "paravisor/relay.h"
#include "paravisor/settings.h"
#include "paravisor/vp.h"

/* As for disks: VTL2's kernel takes its time with each function. */
#define FUNCTION_TIMEOUT_MS 10000

/* What a function's hardware channel takes, and each of its queue pairs: one a VP (mana_nic_queue.c). */
#define POOL_FUNCTION (32u << 10)
#define POOL_QUEUE    (256u << 10)
#define POOL_UNIT     (2u << 20)

struct card {
	struct guid instance, vf_instance;
	char address[16], vf_address[16];
	struct pci_device_access *pci;
	struct mana_nic *driver;
	struct netvsp *netvsp;

	/* VTL0's own function: NULL, there is none. */
	struct pci_device_access *vf_pci;
	struct relay_function *vf;
	uint32_t vf_serial;
	bool vf_wanted; /* VP 0's thread's */
};

struct network {
	struct machine *machine;
	struct relay *relay; /* NULL: no card has a function of VTL0's */
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

static int open_function(struct network *network, const struct guid *instance,
			 struct dma_pool *pool, char address[16], struct pci_device_access **pci)
{
	struct vfio_config config = {
		.address = address,
		.memory = network->machine->memory,
		.pool = pool,
		.max_vectors = network->machine->topology.vp_count + 1,
	};
	int ret = vfio_find_vpci(instance, FUNCTION_TIMEOUT_MS, address);

	if (ret)
		return fail(network, "no MANA function at VPCI bus", instance, ret);
	ret = vfio_bind(address, false);
	if (!ret)
		ret = vfio_open(&config, pci);
	return ret ? fail(network, "cannot take the MANA function at VPCI bus", instance, ret) : 0;
}

static int open_card(struct network *network, struct card *card, const struct settings_nic *nic,
		     struct dma_pool *pool)
{
	int ret = open_function(network, &nic->instance, pool, card->address, &card->pci);

	if (!ret && nic->has_vf)
		ret = open_function(network, &nic->vf_instance, pool, card->vf_address,
				    &card->vf_pci);
	return ret;
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
		ret = open_card(network, &network->cards[i], &settings->nics[i], pool);
	*result = network;
	return ret;
}

/* --- VTL0's own functions */

/* Only to a function that is driven: VTL0 may leave without a word, and then there is its reset. */
static bool data_path(void *ctx, bool to_vf)
{
	struct card *card = ctx;
	int ret;

	if (to_vf && (!card->vf || !relay_in_use(card->vf)))
		return false;
	ret = mana_nic_move_filter(card->driver, to_vf);
	if (ret)
		log_limited(LOG_WARN, "network: traffic not moved %s VTL0's function: errno %d",
			    to_vf ? "to" : "from", -ret);
	else
		log_info("network: traffic moved %s VTL0's function", to_vf ? "to" : "from");
	return ret != -EOPNOTSUPP;
}

static void vf_left(void *ctx)
{
	const struct card *card = ctx;

	netvsp_vf_left(card->netvsp);
}

/* The guest is told of the function before it comes, and that it goes before it does. */
static void want_vf(struct card *card, bool wanted)
{
	if (!card->vf || wanted == card->vf_wanted)
		return;
	card->vf_wanted = wanted;
	netvsp_set_vf(card->netvsp, wanted, card->vf_serial);
	relay_want(card->vf, wanted);
}

static int start_vf(struct network *network, struct card *card, const struct settings_nic *nic)
{
	int ret = 0;

	if (!network->relay) {
		ret = relay_create(network->machine, &network->relay);
		network->machine->relay = network->relay;
	}
	card->vf_serial = (uint32_t)(card - network->cards) + 1;
	if (!ret)
		ret = relay_add(network->relay, card->vf_pci, &nic->vf_instance, card->vf_serial,
				&card->vf);
	if (ret)
		return fail(network, "cannot relay the function at VPCI bus", &nic->vf_instance,
			    ret);
	relay_watch(card->vf, vf_left, card);
	want_vf(card, true);
	return 0;
}

/* --- */

static int start_card(struct network *network, struct card *card, const struct settings_nic *nic,
		      struct vmbus_server *server)
{
	struct machine *machine = network->machine;
	struct mana_nic_config driver = {
		.pci = card->pci,
		.memory = machine->memory,
		.loop = machine->vps[0].loop,
	};
	struct netvsp_config config = {
		.server = server,
		.instance = nic->instance,
		.data_path = data_path,
		.ctx = card,
	};
	unsigned int sub_channels = machine->topology.vp_count - 1;
	int ret;

	card->instance = nic->instance;
	card->vf_instance = nic->vf_instance;
	ret = mana_nic_create(&driver, &card->driver);
	if (ret)
		return fail(network, "the MANA function does not start at VPCI bus", &nic->instance,
			    ret);
	if (sub_channels > nic->sub_channels)
		sub_channels = nic->sub_channels;
	config.max_sub_channels = (uint16_t)sub_channels;
	config.nic = mana_nic_nic(card->driver);
	ret = netvsp_create(&config, &card->netvsp);
	if (ret)
		return fail(network, "network card", &nic->instance, ret);
	return card->vf_pci ? start_vf(network, card, nic) : 0;
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

/* A card that the settings have no more stays, as docs/net.md says; its function goes, also if they have another one. */
static bool vf_in(const struct settings *settings, const struct card *card)
{
	for (unsigned int i = 0; i < settings->nic_count; i++) {
		const struct settings_nic *nic = &settings->nics[i];

		if (nic->has_vf && guid_equal(&nic->instance, &card->instance) &&
		    guid_equal(&nic->vf_instance, &card->vf_instance))
			return true;
	}
	return false;
}

void network_update(struct network *network, const struct settings *settings)
{
	for (unsigned int i = 0; i < SETTINGS_NICS_MAX; i++)
		want_vf(&network->cards[i], vf_in(settings, &network->cards[i]));
}
