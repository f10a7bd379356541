#ifndef TESTS_NETVSP_CARD_H
#define TESTS_NETVSP_CARD_H

#include "devices/net/loopback_nic.h"
#include "devices/net/netvsp.h"
#include "tests/unit/devices/net/netvsc.h"

/* A card over a loopback nic, and the driver of the client's guest for it. */
struct netvsp_card {
	struct loopback_nic *nic;
	struct netvsp *netvsp;
};

/*
 * The configurations lack what joins the two and the client, which is begun. The driver keeps what the test put into
 * it. 0, or what a cmocka setup fails with.
 */
int netvsp_card_create(struct netvsp_card *card, struct netvsc *net, struct client *client,
		       struct netvsp_config config, struct loopback_nic_config nic);

/* Asserts that the card goes. The client ends with it. */
void netvsp_card_destroy(struct netvsp_card *card, struct client *client);

#endif
