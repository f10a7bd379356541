#include "tests/unit/devices/net/netvsp_card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

int netvsp_card_create(struct netvsp_card *card, struct netvsc *net, struct client *client,
		       struct netvsp_config config, struct loopback_nic_config nic)
{
	nic.memory = client->memory;
	card->nic = loopback_nic_create(&nic);
	if (!card->nic)
		return -1;
	config.server = client->server;
	config.nic = loopback_nic_nic(card->nic);
	net->client = client;
	return netvsp_create(&config, &card->netvsp);
}

static void gone(void *ctx)
{
	*(bool *)ctx = true;
}

void netvsp_card_destroy(struct netvsp_card *card, struct client *client)
{
	bool is_gone = false;

	netvsp_destroy(card->netvsp, gone, &is_gone);
	client_run(client);
	assert_true(is_gone);
	loopback_nic_destroy(card->nic);
	client_fini(client);
}
