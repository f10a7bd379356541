/* The card: its channels, from offer to end. */

#include "devices/net/netvsp.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/vmbus/vmbus_channel.h"

/* With its page list: a frame of 64 KiB in ranges of a page each. */
#define MAX_PACKET 8192u

#define DEFAULT_MTU 1500u

/* --- Packets */

static void handle_completion(struct netvsp_channel *channel, uint64_t trans_id)
{
	if (!(trans_id & NETVSP_CONTROL_TRANS_ID))
		netvsp_rx_complete(channel, trans_id);
	else if (channel == &channel->netvsp->primary)
		netvsp_rndis_complete(channel->netvsp, trans_id);
}

static bool is_frame(const struct vmbus_packet *packet)
{
	const struct nvsp_message *message = packet->payload;

	return packet->payload_len >= sizeof(message->msg_type) + sizeof(message->send_rndis_pkt) &&
	       message->msg_type == NVSP_MSG1_TYPE_SEND_RNDIS_PKT &&
	       message->send_rndis_pkt.channel_type == NVSP_CHANNEL_DATA;
}

static void handle_packet(struct netvsp_channel *channel, const struct vmbus_packet *packet)
{
	if (packet->type == VM_PKT_COMP)
		handle_completion(channel, packet->trans_id);
	else if (packet->type != VM_PKT_DATA_INBAND && packet->type != VM_PKT_DATA_USING_GPA_DIRECT)
		return;
	else if (is_frame(packet))
		netvsp_tx_packet(channel, packet);
	else if (channel == &channel->netvsp->primary)
		netvsp_nvsp_message(channel->netvsp, packet);
}

/* Sends what waited for room in the ring. False: answers still wait. */
static bool flush(struct netvsp_channel *channel)
{
	bool primary = channel == &channel->netvsp->primary;

	if (primary && !netvsp_nvsp_flush(channel->netvsp))
		return false;
	if (primary)
		netvsp_rndis_flush(channel->netvsp);
	return netvsp_tx_flush(channel);
}

static void channel_ready(void *dev, struct vmbus_channel *vmbus)
{
	struct netvsp_channel *channel = dev;
	struct vmbus_packet packet;

	netvsp_queue_update(channel);
	if (!flush(channel)) {
		vmbus_channel_pause(vmbus); /* ready() comes when the ring has room */
		return;
	}
	if (channel == &channel->netvsp->primary) {
		netvsp_nvsp_notify(channel->netvsp);
		netvsp_rndis_notify(channel->netvsp);
	}
	if (netvsp_tx_has_room(channel))
		vmbus_channel_resume(vmbus);
	while (netvsp_tx_has_room(channel) && !vmbus_channel_receive(vmbus, &packet))
		handle_packet(channel, &packet);
	if (!netvsp_tx_has_room(channel))
		vmbus_channel_pause(vmbus);
	netvsp_queue_service(channel);
}

/* --- State of the card, on the primary's loop */

void netvsp_changed(struct netvsp *netvsp)
{
	pthread_mutex_lock(&netvsp->lock);
	__atomic_fetch_add(&netvsp->generation, 1, __ATOMIC_RELEASE);
	for (struct netvsp_channel *sub = netvsp->subs; sub; sub = sub->next)
		vmbus_channel_wake(sub->channel);
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_queue_update(&netvsp->primary);
}

int netvsp_apply_receive(struct netvsp *netvsp)
{
	struct nic *nic = netvsp->config.nic;

	if (!netvsp->running)
		return 0;
	return nic->ops->set_receive(nic, &netvsp->receive);
}

void netvsp_stop(struct netvsp *netvsp)
{
	if (!netvsp->running)
		return;
	netvsp->receive = (struct nic_receive){ 0 };
	__atomic_store_n(&netvsp->filter, 0, __ATOMIC_RELAXED);
	netvsp_rsc_set(netvsp, 0);
	netvsp_apply_receive(netvsp);
	pthread_mutex_lock(&netvsp->lock);
	netvsp->running = false;
	netvsp->multicast_count = 0;
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_changed(netvsp);
}

static void drop_buffers(struct netvsp *netvsp)
{
	struct netvsp_buffer *receive, *send;

	pthread_mutex_lock(&netvsp->lock);
	receive = netvsp->receive_buffer;
	send = netvsp->send_buffer;
	netvsp->receive_buffer = NULL;
	netvsp->send_buffer = NULL;
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_buffer_put(receive);
	netvsp_buffer_put(send);
}

/* --- Open and close */

static int open_channel(struct netvsp_channel *channel)
{
	int err = netvsp_tx_init(channel);

	if (err)
		return err;
	channel->open = true;
	channel->generation = 0; /* the card's is never that */
	netvsp_queue_update(channel);
	return 0;
}

static void close_channel(struct netvsp_channel *channel)
{
	netvsp_queue_close(channel);
	channel->open = false;
	netvsp_tx_fini(channel);
}

static int primary_open(void *dev, struct vmbus_channel *vmbus, const uint8_t *user_data)
{
	struct netvsp_channel *channel = dev;
	struct netvsp *netvsp = channel->netvsp;
	struct nic *nic = netvsp->config.nic;

	(void)user_data;
	netvsp->loop = vmbus_channel_loop(vmbus);
	nic->ops->get_info(nic, &netvsp->info);
	__atomic_store_n(&netvsp->link_up, netvsp->info.link_up, __ATOMIC_RELEASE);
	__atomic_store_n(&netvsp->version, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&netvsp->mtu,
			 netvsp->info.max_mtu < DEFAULT_MTU ? netvsp->info.max_mtu : DEFAULT_MTU,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&netvsp->rx_checksums, netvsp->info.rx_checksums, __ATOMIC_RELAXED);
	__atomic_store_n(&netvsp->table_pending, false, __ATOMIC_RELEASE);
	__atomic_store_n(&netvsp->vf_pending, __atomic_load_n(&netvsp->vf, __ATOMIC_ACQUIRE) & 1,
			 __ATOMIC_RELEASE);
	netvsp->knows_vf = false;
	netvsp->knows_rsc = false;
	netvsp->reply_count = 0;
	netvsp->closing = false;
	netvsp_rndis_reset(netvsp);
	return open_channel(channel);
}

static int sub_open(void *dev, struct vmbus_channel *vmbus, const uint8_t *user_data)
{
	struct netvsp_channel *channel = dev;
	struct netvsp *netvsp = channel->netvsp;
	bool all;
	int err;

	(void)vmbus;
	(void)user_data;
	err = open_channel(channel);
	if (err)
		return err;
	pthread_mutex_lock(&netvsp->lock);
	all = ++netvsp->open_subs == netvsp->wanted_subs;
	pthread_mutex_unlock(&netvsp->lock);
	if (all) {
		__atomic_store_n(&netvsp->table_pending, true, __ATOMIC_RELEASE);
		vmbus_channel_wake(netvsp->primary.channel);
	}
	return 0;
}

static void sub_close(void *dev, struct vmbus_channel *vmbus)
{
	struct netvsp_channel *channel = dev;
	struct netvsp *netvsp = channel->netvsp;

	close_channel(channel);
	pthread_mutex_lock(&netvsp->lock);
	netvsp->open_subs--;
	pthread_mutex_unlock(&netvsp->lock);
	vmbus_channel_closed(vmbus);
}

/* The primary is closed when its sub-channels are gone. */
static void check_closed(struct netvsp *netvsp)
{
	if (!netvsp->closing || netvsp->sub_count)
		return;
	netvsp->closing = false;
	vmbus_channel_closed(netvsp->primary.channel);
}

static void primary_close(void *dev, struct vmbus_channel *vmbus)
{
	struct netvsp_channel *channel = dev, *sub;
	struct netvsp *netvsp = channel->netvsp;

	(void)vmbus;
	netvsp->closing = true;
	netvsp_stop(netvsp);
	close_channel(channel);
	drop_buffers(netvsp);
	__atomic_store_n(&netvsp->version, 0, __ATOMIC_RELEASE);

	pthread_mutex_lock(&netvsp->lock);
	sub = netvsp->subs;
	netvsp->subs = NULL;
	pthread_mutex_unlock(&netvsp->lock);
	while (sub) {
		struct netvsp_channel *next = sub->next;

		vmbus_channel_rescind(sub->channel); /* it may be gone before this returns */
		sub = next;
	}
	check_closed(netvsp);
}

/* On the primary's loop. */
static void sub_left(void *ctx)
{
	struct netvsp *netvsp = ctx;

	netvsp->sub_count--;
	check_closed(netvsp);
}

static void sub_gone(void *dev, struct vmbus_channel *vmbus)
{
	struct netvsp_channel *channel = dev;
	struct netvsp *netvsp = channel->netvsp;

	(void)vmbus;
	free(channel);
	if (event_loop_post(netvsp->loop, sub_left, netvsp))
		log_error("netvsp: out of memory, the card cannot close");
}

static void primary_gone(void *dev, struct vmbus_channel *vmbus)
{
	struct netvsp_channel *channel = dev;
	struct netvsp *netvsp = channel->netvsp;

	(void)vmbus;
	netvsp->config.nic->ops->set_client(netvsp->config.nic, NULL, NULL);
	if (netvsp->gone)
		netvsp->gone(netvsp->gone_ctx);
	pthread_mutex_destroy(&netvsp->path_lock);
	pthread_mutex_destroy(&netvsp->lock);
	free(netvsp);
}

static const struct vmbus_channel_ops primary_ops = {
	.name = "netvsp",
	.max_packet = MAX_PACKET,
	.open = primary_open,
	.close = primary_close,
	.ready = channel_ready,
	.gone = primary_gone,
};

static const struct vmbus_channel_ops sub_ops = {
	.name = "netvsp sub-channel",
	.max_packet = MAX_PACKET,
	.open = sub_open,
	.close = sub_close,
	.ready = channel_ready,
	.gone = sub_gone,
};

/* --- Offers */

static int offer(struct netvsp *netvsp, const struct vmbus_channel_ops *ops,
		 struct netvsp_channel *channel)
{
	struct vmbus_offer offer = {
		.interface = NVSP_INTERFACE,
		.instance = netvsp->config.instance,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE,
		.sub_channel_index = channel->index,
	};

	channel->netvsp = netvsp;
	channel->counters = &netvsp->counters[channel->index];
	return vmbus_server_offer(netvsp->config.server, &offer, ops, channel, &channel->channel);
}

static int offer_sub_channel(struct netvsp *netvsp, uint16_t index)
{
	struct netvsp_channel *channel = calloc(1, sizeof(*channel));
	int err;

	if (!channel)
		return -ENOMEM;
	channel->index = index;
	err = offer(netvsp, &sub_ops, channel);
	if (err) {
		free(channel);
		return err;
	}
	netvsp->sub_count++;
	pthread_mutex_lock(&netvsp->lock);
	channel->next = netvsp->subs;
	netvsp->subs = channel;
	pthread_mutex_unlock(&netvsp->lock);
	return 0;
}

/* How many could be offered. Clients use what they get. */
int netvsp_offer_sub_channels(struct netvsp *netvsp, unsigned int count)
{
	unsigned int offered = 0;

	pthread_mutex_lock(&netvsp->lock);
	netvsp->wanted_subs = count;
	netvsp->open_subs = 0;
	pthread_mutex_unlock(&netvsp->lock);
	while (offered < count) {
		int err = offer_sub_channel(netvsp, (uint16_t)(offered + 1));

		if (err) {
			log_limited(LOG_WARN, "netvsp: %u of %u sub-channels offered: %s", offered,
				    count, strerror(-err));
			break;
		}
		offered++;
	}
	pthread_mutex_lock(&netvsp->lock);
	netvsp->wanted_subs = offered;
	pthread_mutex_unlock(&netvsp->lock);
	return (int)offered;
}

/* --- For the owner */

static void link_changed(void *ctx, bool up)
{
	struct netvsp *netvsp = ctx;

	__atomic_store_n(&netvsp->link_up, up, __ATOMIC_RELEASE);
	__atomic_store_n(&netvsp->link_pending, true, __ATOMIC_RELEASE);
	vmbus_channel_wake(netvsp->primary.channel);
}

static const struct nic_client nic_client = { .link_changed = link_changed };

int netvsp_create(const struct netvsp_config *config, struct netvsp **result)
{
	struct netvsp *netvsp = calloc(1, sizeof(*netvsp));
	int err;

	if (!netvsp)
		return -ENOMEM;
	netvsp->config = *config;
	netvsp->generation = 1;
	config->nic->ops->get_info(config->nic, &netvsp->info);
	if (netvsp->config.max_sub_channels >= netvsp->info.max_queues)
		netvsp->config.max_sub_channels = netvsp->info.max_queues - 1;
	pthread_mutex_init(&netvsp->lock, NULL);
	pthread_mutex_init(&netvsp->path_lock, NULL);
	err = offer(netvsp, &primary_ops, &netvsp->primary);
	if (err) {
		pthread_mutex_destroy(&netvsp->path_lock);
		pthread_mutex_destroy(&netvsp->lock);
		free(netvsp);
		return err;
	}
	config->nic->ops->set_client(config->nic, &nic_client, netvsp);
	*result = netvsp;
	return 0;
}

void netvsp_destroy(struct netvsp *netvsp, void (*gone)(void *ctx), void *ctx)
{
	netvsp->gone = gone;
	netvsp->gone_ctx = ctx;
	vmbus_channel_rescind(netvsp->primary.channel);
}

void netvsp_set_vf(struct netvsp *netvsp, bool present, uint32_t serial)
{
	__atomic_store_n(&netvsp->vf, (uint64_t)serial << 1 | present, __ATOMIC_RELEASE);
	__atomic_store_n(&netvsp->vf_pending, true, __ATOMIC_RELEASE);
	vmbus_channel_wake(netvsp->primary.channel);
}

void netvsp_vf_left(struct netvsp *netvsp)
{
	netvsp_nvsp_data_path(netvsp, false);
}

static void add_counter(uint64_t *sum, const uint64_t *counter)
{
	*sum += __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void netvsp_counters(struct netvsp *netvsp, struct netvsp_counters *sum)
{
	*sum = (struct netvsp_counters){ 0 };
	for (unsigned int i = 0; i < NIC_QUEUES; i++) {
		const struct netvsp_counters *queue = &netvsp->counters[i];

		add_counter(&sum->tx_frames, &queue->tx_frames);
		add_counter(&sum->tx_bytes, &queue->tx_bytes);
		add_counter(&sum->tx_errors, &queue->tx_errors);
		add_counter(&sum->rx_frames, &queue->rx_frames);
		add_counter(&sum->rx_bytes, &queue->rx_bytes);
		add_counter(&sum->rx_errors, &queue->rx_errors);
		add_counter(&sum->rx_filtered, &queue->rx_filtered);
		add_counter(&sum->rsc_units, &queue->rsc_units);
		add_counter(&sum->rsc_frames, &queue->rsc_frames);
		add_counter(&sum->rsc_payload, &queue->rsc_payload);
		add_counter(&sum->rsc_aborts, &queue->rsc_aborts);
		add_counter(&sum->copied_bytes, &queue->copied_bytes);
	}
}
