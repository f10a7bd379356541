#include "host/net.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/mana/mana_function.h"
#include "host/net_backend.h"
#include "host/partition.h"
#include "host/settings.h"
#include "host/vpci.h"
#include "proto/guid.h"

/* On VTL2's bus, behind the disks'. */
#define SERIAL (HOST_MAX_DISKS + 1)

/* What user-mode networks and Ethernets carry. */
#define MTU 1500

struct host_net {
	struct event_loop *loop;
	struct net_backend *backend;
	pthread_t thread;
	bool running;
	bool stopping; /* the thread's */
};

static void stop(void *ctx)
{
	*(bool *)ctx = true;
}

static void *thread(void *ctx)
{
	struct host_net *net = ctx;

	while (!net->stopping)
		event_loop_run_once(net->loop, -1);
	return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct host_net *net)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&net->thread, NULL, thread, net);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	net->running = !ret;
	return ret;
}

static int offer(struct partition *partition, struct host_net *net)
{
	struct mana_function_config config = {
		.loop = net->loop,
		.backend = net->backend,
		.mac = HOST_NET_MAC,
		.mtu = MTU,
		.queues = (uint16_t)partition->vp_count,
	};
	struct pci_function *function = mana_function_create(&config);
	struct guid instance;
	int ret;

	if (!function)
		return -ENOMEM;
	host_settings_nic_instance(&instance);
	ret = host_vpci_add(partition->vpci, &instance, SERIAL, function);
	if (ret) {
		function->ops->reset(function);
		function->ops->destroy(function);
	}
	return ret;
}

int host_net_create(struct partition *partition, struct host_net **out)
{
	struct host_net *net;
	int ret;

	*out = NULL;
	if (partition->options->net.kind == NET_NONE)
		return 0;
	net = calloc(1, sizeof(*net));
	if (!net)
		return -ENOMEM;
	*out = net;
	ret = host_net_backend_create(&partition->options->net, &net->backend);
	if (ret)
		return ret;
	net->loop = event_loop_create();
	ret = net->loop ? offer(partition, net) : -errno;
	if (!ret)
		ret = start_thread(net);
	if (ret)
		log_error("cannot make a network card: %s", strerror(-ret));
	return ret;
}

void host_net_stop(struct host_net *net)
{
	if (!net || !net->running)
		return;
	if (event_loop_post(net->loop, stop, &net->stopping))
		return; /* out of memory at the end: the process ends the thread */
	pthread_join(net->thread, NULL);
	net->running = false;
}

void host_net_destroy(struct host_net *net)
{
	if (!net)
		return;
	if (net->backend)
		host_net_backend_destroy(net->backend);
	if (net->loop && !net->running)
		event_loop_destroy(net->loop);
	free(net);
}
