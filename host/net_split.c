#include "host/net_split.h"

#include <stdlib.h>

#include "core/container_of.h"
#include "core/net_backend.h"

struct end {
	struct net_backend backend;
	struct net_split *split;
	const struct net_backend_client *client; /* NULL: not started */
	void *ctx;
	bool paused;
};

/* The loop's thread's, but for `to_vtl0`, and for sends, which may be any thread's: they look at `network` alone. */
struct net_split {
	struct net_backend *network;
	struct end vtl2, vtl0;
	bool to_vtl0; /* atomic */
};

static void receive(void *ctx, const uint8_t *frame, size_t len)
{
	struct net_split *split = ctx;
	const struct end *end =
		__atomic_load_n(&split->to_vtl0, __ATOMIC_RELAXED) ? &split->vtl0 : &split->vtl2;

	if (end->client)
		end->client->receive(end->ctx, frame, len);
}

/* What is VTL0's comes as frames: its driver is the stock one, whatever its function may be able to do. */
static size_t receive_send(void *ctx, const struct net_send *send, size_t mss)
{
	struct net_split *split = ctx;
	const struct end *end = &split->vtl2;

	if (__atomic_load_n(&split->to_vtl0, __ATOMIC_RELAXED) || !end->client ||
	    !end->client->receive_send)
		return 0;
	return end->client->receive_send(end->ctx, send, mss);
}

static void room(void *ctx)
{
	struct net_split *split = ctx;

	if (split->vtl2.client)
		split->vtl2.client->room(split->vtl2.ctx);
	if (split->vtl0.client)
		split->vtl0.client->room(split->vtl0.ctx);
}

static const struct net_backend_client network_client = { .receive = receive,
							  .receive_send = receive_send,
							  .room = room };

static struct end *end_of(struct net_backend *backend)
{
	return container_of(backend, struct end, backend);
}

static struct end *other(struct end *end)
{
	return end == &end->split->vtl0 ? &end->split->vtl2 : &end->split->vtl0;
}

static int start(struct net_backend *backend, struct event_loop *loop,
		 const struct net_backend_client *client, void *ctx)
{
	struct end *end = end_of(backend);
	struct net_backend *network = end->split->network;
	int err = 0;

	if (!other(end)->client)
		err = network->ops->start(network, loop, &network_client, end->split);
	if (err)
		return err;
	end->ctx = ctx;
	end->client = client;
	return 0;
}

static void stop(struct net_backend *backend)
{
	struct end *end = end_of(backend);
	struct net_backend *network = end->split->network;

	end->client = NULL;
	end->paused = false;
	if (!other(end)->client)
		network->ops->stop(network);
	else
		network->ops->pause(network, other(end)->paused);
}

/* What comes next may be for either. */
static void pause(struct net_backend *backend, bool on)
{
	struct end *end = end_of(backend);
	struct net_backend *network = end->split->network;

	end->paused = on;
	network->ops->pause(network, on || other(end)->paused);
}

static bool full(struct net_backend *backend)
{
	struct net_backend *network = end_of(backend)->split->network;

	return network->ops->full(network);
}

static void send(struct net_backend *backend, const struct iovec *pieces, int count,
		 const struct net_offload *offload)
{
	struct net_backend *network = end_of(backend)->split->network;

	network->ops->send(network, pieces, count, offload);
}

static const struct net_backend_ops ops = {
	.start = start,
	.stop = stop,
	.pause = pause,
	.full = full,
	.send = send,
};

struct net_split *net_split_create(struct net_backend *backend)
{
	struct net_split *split = calloc(1, sizeof(*split));

	if (!split)
		return NULL;
	split->network = backend;
	split->vtl2 = (struct end){
		.backend = { .ops = &ops, .offloads = backend->offloads },
		.split = split,
	};
	split->vtl0 = split->vtl2;
	return split;
}

void net_split_destroy(struct net_split *split)
{
	free(split);
}

struct net_backend *net_split_vtl2(struct net_split *split)
{
	return &split->vtl2.backend;
}

struct net_backend *net_split_vtl0(struct net_split *split)
{
	return &split->vtl0.backend;
}

void net_split_steer(struct net_split *split, bool to_vtl0)
{
	__atomic_store_n(&split->to_vtl0, to_vtl0, __ATOMIC_RELAXED);
}
