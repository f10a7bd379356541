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
#include "host/net_open.h"
#include "host/net_split.h"
#include "host/options.h"
#include "host/partition.h"
#include "host/settings.h"
#include "host/vpci.h"
#include "proto/guid.h"

/* On VTL2's bus, behind the disks'. */
#define SERIAL    (HOST_MAX_DISKS + 1)
#define VF_SERIAL (HOST_MAX_DISKS + 2)

struct host_net {
	struct event_loop *loop;
	struct net_backend *backend;
	struct net_split *split;           /* NULL: one function */
	struct pci_function *functions[2]; /* or NULL; VPCI's, which ends after our thread */
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

static void move_filter(void *ctx, bool to_vtl0)
{
	struct host_net *net = ctx;

	log_info("frames go to VTL%u's function", to_vtl0 ? 0u : 2u);
	net_split_steer(net->split, to_vtl0);
}

/* A function on VTL2's bus. What it may touch of memory depends on whom it is for. */
static int offer(struct partition *partition, struct host_net *net, const struct guid *instance,
		 uint32_t serial, enum host_view view, struct mana_function_config *config)
{
	struct pci_function *function;
	int ret;

	config->loop = net->loop;
	config->mtu = (uint16_t)net_mtu(&partition->options->net);
	config->queues = (uint16_t)partition->vp_count;
	config->send_in_place = true;
	function = mana_function_create(config);
	if (!function)
		return -ENOMEM;
	ret = host_vpci_add(partition->vpci, instance, serial, view, function);
	if (ret) {
		function->ops->reset(function);
		function->ops->destroy(function);
		return ret;
	}
	net->functions[serial - SERIAL] = function;
	return 0;
}

static int offer_vf(struct partition *partition, struct host_net *net)
{
	struct mana_function_config config = {
		.backend = net_split_vtl0(net->split),
		.mac = HOST_NET_MAC,
		.direct = true,
	};
	struct guid instance;

	host_settings_vf_instance(&instance);
	return offer(partition, net, &instance, VF_SERIAL, HOST_VIEW_VTL0, &config);
}

static int offer_all(struct partition *partition, struct host_net *net)
{
	struct mana_function_config config = { .backend = net->backend, .mac = HOST_NET_MAC };
	struct guid instance;
	int ret;

	if (partition->options->net.vf) {
		net->split = net_split_create(net->backend);
		if (!net->split)
			return -ENOMEM;
		config.backend = net_split_vtl2(net->split);
		config.move_filter = move_filter;
		config.ctx = net;
	}
	host_settings_nic_instance(&instance);
	ret = offer(partition, net, &instance, SERIAL, HOST_VIEW_VTL2, &config);
	return ret || !net->split ? ret : offer_vf(partition, net);
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
	ret = net->loop ? offer_all(partition, net) : -errno;
	if (!ret)
		ret = start_thread(net);
	if (ret)
		log_error("cannot make a network card: %s", strerror(-ret));
	return ret;
}

static void set_link(struct host_net *net, bool up)
{
	for (unsigned int i = 0; i < 2; i++)
		if (net->functions[i])
			mana_function_set_link(net->functions[i], up);
}

int host_net_command(struct host_net *net, const char *what)
{
	if (!net)
		return -ENODEV;
	if (!strcmp(what, "up") || !strcmp(what, "down"))
		set_link(net, !strcmp(what, "up"));
	else if (!strcmp(what, "reset"))
		mana_function_request_reset(net->functions[0]);
	else
		return -EINVAL;
	return 0;
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
	net_split_destroy(net->split);
	if (net->backend)
		host_net_backend_destroy(net->backend);
	if (net->loop && !net->running)
		event_loop_destroy(net->loop);
	free(net);
}
