/* Two functions on one network. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "core/net_backend.h"
#include "host/net_split.h"

static struct {
	const struct net_backend_client *client;
	void *ctx;
	unsigned int starts, stops, sends;
	int fails;
	bool full, paused;
} network;

static int start(struct net_backend *backend, struct event_loop *loop,
		 const struct net_backend_client *client, void *ctx)
{
	(void)backend;
	(void)loop;
	network.client = client;
	network.ctx = ctx;
	network.starts++;
	return network.fails;
}

static void stop(struct net_backend *backend)
{
	(void)backend;
	network.stops++;
}

static void send(struct net_backend *backend, const struct iovec *pieces, int count,
		 const struct net_offload *offload)
{
	(void)backend;
	(void)pieces;
	(void)count;
	(void)offload;
	network.sends++;
}

static bool full(struct net_backend *backend)
{
	(void)backend;
	return network.full;
}

static void pause_network(struct net_backend *backend, bool on)
{
	(void)backend;
	network.paused = on;
}

static const struct net_backend_ops ops = {
	.start = start,
	.stop = stop,
	.pause = pause_network,
	.full = full,
	.send = send,
};
static struct net_backend backend = { .ops = &ops };

static void received(void *ctx, const uint8_t *frame, size_t len)
{
	(void)frame;
	assert_int_equal(len, 60);
	(*(unsigned int *)ctx)++;
}

static unsigned int rooms;

static void room(void *ctx)
{
	(void)ctx;
	rooms++;
}

static size_t received_send(void *ctx, const struct net_send *send, size_t mss)
{
	(void)send;
	*(unsigned int *)ctx += 100;
	return mss;
}

static const struct net_backend_client client = { .receive = received,
						  .receive_send = received_send,
						  .room = room };

static void deliver(void)
{
	static const uint8_t frame[60];

	network.client->receive(network.ctx, frame, sizeof(frame));
}

static void frames_go_to_one_and_come_from_both(void **state)
{
	struct net_split *split = net_split_create(&backend);
	struct net_backend *vtl2 = net_split_vtl2(split), *vtl0 = net_split_vtl0(split);
	unsigned int to_vtl2 = 0, to_vtl0 = 0;

	(void)state;
	network.fails = -EIO;
	assert_int_equal(vtl2->ops->start(vtl2, NULL, &client, &to_vtl2), -EIO);
	network.fails = 0;
	assert_int_equal(vtl2->ops->start(vtl2, NULL, &client, &to_vtl2), 0);
	net_split_steer(split, true);
	deliver(); /* to one that has not started */
	assert_int_equal(vtl0->ops->start(vtl0, NULL, &client, &to_vtl0), 0);
	assert_int_equal(network.starts, 2);
	deliver();
	assert_int_equal(to_vtl0, 1);
	assert_int_equal(to_vtl2, 0);
	net_split_steer(split, false);
	deliver();
	deliver();
	assert_int_equal(to_vtl0, 1);
	assert_int_equal(to_vtl2, 2);
	vtl0->ops->send(vtl0, NULL, 0, NULL);
	vtl2->ops->send(vtl2, NULL, 0, NULL);
	assert_int_equal(network.sends, 2);
	assert_false(vtl0->ops->full(vtl0));
	network.full = true;
	assert_true(vtl0->ops->full(vtl0) && vtl2->ops->full(vtl2));
	network.client->room(network.ctx); /* to both */
	assert_int_equal(rooms, 2);
	vtl2->ops->stop(vtl2);
	assert_int_equal(network.stops, 0);
	deliver();
	assert_int_equal(to_vtl2, 2);
	vtl0->ops->stop(vtl0);
	assert_int_equal(network.stops, 1);
	net_split_destroy(split);
}

/* A frame may be for either function, so each may hold the network up. */
static void either_pauses_the_network(void **state)
{
	struct net_split *split = net_split_create(&backend);
	struct net_backend *vtl2 = net_split_vtl2(split), *vtl0 = net_split_vtl0(split);
	unsigned int to_vtl2 = 0, to_vtl0 = 0;

	(void)state;
	assert_int_equal(vtl2->ops->start(vtl2, NULL, &client, &to_vtl2), 0);
	assert_int_equal(vtl0->ops->start(vtl0, NULL, &client, &to_vtl0), 0);
	vtl2->ops->pause(vtl2, true);
	assert_true(network.paused);
	vtl0->ops->pause(vtl0, true);
	vtl2->ops->pause(vtl2, false);
	assert_true(network.paused);
	vtl0->ops->stop(vtl0);
	assert_false(network.paused);
	vtl2->ops->pause(vtl2, true);
	vtl2->ops->pause(vtl2, false); /* for which the one that stopped does not count */
	assert_false(network.paused);
	vtl2->ops->stop(vtl2);
	net_split_destroy(split);
}

static size_t deliver_send(void)
{
	return network.client->receive_send(network.ctx, NULL, 7);
}

/* VTL0's own function gets frames. */
static void sends_are_uncut_for_vtl2_only(void **state)
{
	static const struct net_backend_client plain = { .receive = received, .room = room };
	struct net_split *split = net_split_create(&backend);
	struct net_backend *vtl2 = net_split_vtl2(split), *vtl0 = net_split_vtl0(split);
	unsigned int to_vtl2 = 0, to_vtl0 = 0;

	(void)state;
	assert_int_equal(vtl0->ops->start(vtl0, NULL, &client, &to_vtl0), 0);
	assert_int_equal(deliver_send(), 0); /* there is no other yet */
	assert_int_equal(vtl2->ops->start(vtl2, NULL, &client, &to_vtl2), 0);
	assert_int_equal(deliver_send(), 7);
	net_split_steer(split, true);
	assert_int_equal(deliver_send(), 0);
	net_split_steer(split, false);
	assert_int_equal(deliver_send(), 7);
	assert_int_equal(to_vtl2, 200);
	assert_int_equal(to_vtl0, 0);
	vtl2->ops->stop(vtl2);
	assert_int_equal(vtl2->ops->start(vtl2, NULL, &plain, &to_vtl2), 0);
	assert_int_equal(deliver_send(), 0);
	vtl2->ops->stop(vtl2);
	vtl0->ops->stop(vtl0);
	net_split_destroy(split);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_to_one_and_come_from_both),
		cmocka_unit_test(either_pauses_the_network),
		cmocka_unit_test(sends_are_uncut_for_vtl2_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
