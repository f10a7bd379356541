#ifndef CORE_NET_BACKEND_H
#define CORE_NET_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The seam between an emulated network card and the network: single Ethernet frames without FCS.
 * Everything on the thread of the loop that start() names.
 */

struct event_loop;
struct iovec;
struct net_backend;

struct net_backend_client {
	/* A frame from the network, valid during the call. */
	void (*receive)(void *ctx, const uint8_t *frame, size_t len);

	/* It is no longer full. */
	void (*room)(void *ctx);
};

struct net_backend_ops {
	int (*start)(struct net_backend *backend, struct event_loop *loop,
		     const struct net_backend_client *client, void *ctx);
	void (*stop)(struct net_backend *backend); /* no receive() from here on */

	/* Does it still hold frames that the network has not taken? Then room() comes when it does not. */
	bool (*full)(struct net_backend *backend);

	/* Sends, or keeps what the network does not take. One that is full may drop it: networks do. */
	void (*send)(struct net_backend *backend, const struct iovec *pieces, int count);
};

/* Embedded by an implementation. */
struct net_backend {
	const struct net_backend_ops *ops;
};

#endif
