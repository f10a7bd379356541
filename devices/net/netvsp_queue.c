/* A channel's queue of the nic: open while the channel is and the card has what it needs. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/net/netvsp_internal.h"
#include "devices/vmbus/vmbus_channel.h"

/*
 * What there is room for goes to the nic, what the nic gave goes to the guest. A nic that answers
 * inside kick() comes back here; the outer call goes on then.
 */
void netvsp_queue_service(struct netvsp_channel *channel)
{
	struct nic *nic = channel->netvsp->config.nic;

	if (!channel->queue_open)
		return;
	if (channel->in_service) {
		channel->service_again = true;
		return;
	}
	channel->in_service = true;
	do {
		channel->service_again = false;
		netvsp_rx_flush(channel);
		netvsp_tx_submit_waiting(channel);
		netvsp_rx_post(channel);
		if (channel->kick) {
			channel->kick = false;
			nic->ops->kick(nic, channel->index);
		}
	} while (channel->service_again);
	channel->in_service = false;
}

static void batch_end(void *ctx)
{
	struct netvsp_channel *channel = ctx;

	netvsp_queue_service(channel);
	if (netvsp_tx_has_room(channel))
		vmbus_channel_resume(channel->channel);
}

static const struct nic_queue_client queue_client = {
	.tx_done = netvsp_tx_done,
	.rx = netvsp_rx_frame,
	.batch_end = batch_end,
};

/* The card's buffers, when RNDIS runs and there is one to receive into. */
static bool take_buffers(struct netvsp_channel *channel)
{
	struct netvsp *netvsp = channel->netvsp;
	bool usable;

	pthread_mutex_lock(&netvsp->lock);
	channel->generation = netvsp->generation;
	usable = netvsp->running && netvsp->receive_buffer;
	if (usable) {
		channel->receive_buffer = netvsp_buffer_get(netvsp->receive_buffer);
		channel->send_buffer = netvsp_buffer_get(netvsp->send_buffer);
	}
	pthread_mutex_unlock(&netvsp->lock);
	return usable;
}

static void put_buffers(struct netvsp_channel *channel)
{
	netvsp_buffer_put(channel->receive_buffer);
	netvsp_buffer_put(channel->send_buffer);
	channel->receive_buffer = NULL;
	channel->send_buffer = NULL;
}

static int open_queue(struct netvsp_channel *channel)
{
	struct nic *nic = channel->netvsp->config.nic;
	int err = netvsp_rx_init(channel);

	if (err)
		return err;
	err = nic->ops->queue_open(nic, channel->index, vmbus_channel_loop(channel->channel),
				   &queue_client, channel);
	if (err) {
		netvsp_rx_fini(channel);
		return err;
	}
	channel->queue_open = true;
	netvsp_queue_service(channel); /* gives the nic its buffers */
	return 0;
}

void netvsp_queue_close(struct netvsp_channel *channel)
{
	struct nic *nic = channel->netvsp->config.nic;

	if (!channel->queue_open)
		return;
	channel->queue_open = false;
	nic->ops->queue_close(nic, channel->index);
	/* What waited for the nic goes the same way. */
	while (channel->tx->waiting) {
		struct netvsp_tx_frame *frame = channel->tx->waiting;

		channel->tx->waiting = frame->next;
		netvsp_tx_done(channel, &frame->nic, -ECANCELED);
	}
	channel->tx->waiting_end = &channel->tx->waiting;
	netvsp_rx_fini(channel);
	put_buffers(channel);
}

void netvsp_queue_update(struct netvsp_channel *channel)
{
	uint32_t generation = __atomic_load_n(&channel->netvsp->generation, __ATOMIC_ACQUIRE);
	int err;

	if (!channel->open || generation == channel->generation)
		return;
	netvsp_queue_close(channel);
	if (!take_buffers(channel))
		return;
	err = open_queue(channel);
	if (!err)
		return;
	put_buffers(channel);
	log_limited(LOG_ERROR, "netvsp: queue %u does not open: %s", channel->index,
		    strerror(-err));
}
