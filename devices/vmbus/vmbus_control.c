/*
 * Channels as the guest's control messages see them: numbers, open and close. Everything
 * runs under the server's lock; what concerns a device is only ordered here, from the channel's
 * loop, which answers through vmbus_control_opened(), _closed() and _gone().
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/vmbus/vmbus_internal.h"

/* Unanswered requests for another VP; clients send one at a time. */
#define MOVES_MAX 8

/* --- Numbers */

struct vmbus_channel *vmbus_control_find(const struct vmbus_server *server, uint32_t id)
{
	return id < VMBUS_CHANNEL_IDS ? server->by_id[id] : NULL;
}

static int assign_id(struct vmbus_channel *channel)
{
	struct vmbus_server *server = channel->server;

	for (uint32_t id = 1; id < VMBUS_CHANNEL_IDS; id++) {
		if (server->by_id[id])
			continue;
		channel->id = id;
		channel->released = false;
		channel->state = VMBUS_CHANNEL_CLOSED;
		__atomic_store_n(&server->by_id[id], channel, __ATOMIC_RELEASE);
		return 0;
	}
	return -ENOSPC;
}

static void send_offer(struct vmbus_channel *channel)
{
	struct vmbus_server *server = channel->server;
	struct vmbus_channel_offer_channel msg = {
		.header.msgtype = CHANNELMSG_OFFERCHANNEL,
		.if_type = channel->offer.interface,
		.if_instance = channel->offer.instance,
		.chn_flags = channel->offer.flags,
		.mmio_megabytes = channel->offer.mmio_megabytes,
		.sub_channel_index = channel->offer.sub_channel_index,
		.child_relid = channel->id,
		.monitorid = VMBUS_MONITOR_ID_INVALID,
		.is_dedicated_interrupt = 1,
		.connection_id = server->connection_base | channel->id,
	};

	memcpy(msg.user_defined, channel->offer.user_defined, sizeof(msg.user_defined));
	if (!(server->features & VMBUS_FEATURE_CONFIDENTIAL_CHANNELS))
		msg.chn_flags &= (uint16_t) ~(VMBUS_OFFER_CONFIDENTIAL_RING_BUFFER |
					      VMBUS_OFFER_CONFIDENTIAL_EXTERNAL_MEMORY);
	vmbus_server_send(server, &msg, sizeof(msg));
}

static int offer_now(struct vmbus_channel *channel)
{
	int err = assign_id(channel);

	if (!err)
		send_offer(channel);
	return err;
}

void vmbus_control_send_offers(struct vmbus_server *server)
{
	for (struct vmbus_channel *channel = server->channels; channel; channel = channel->next)
		if (channel->state == VMBUS_CHANNEL_IDLE && !channel->rescinded &&
		    offer_now(channel))
			log_error("vmbus: no channel number for %s", channel->ops->name);
}

/* --- The life of a channel */

/* Forgotten by the guest and by its device: the next offer may have it. */
static void retire_if_unused(struct vmbus_channel *channel)
{
	struct vmbus_channel **link = &channel->server->channels;

	if (!channel->gone || channel->state != VMBUS_CHANNEL_IDLE)
		return;
	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
	channel->next = channel->server->retired;
	channel->server->retired = channel;
}

static void become_idle(struct vmbus_channel *channel)
{
	vmbus_gpadl_abandon(&channel->gpadls);
	__atomic_store_n(&channel->server->by_id[channel->id], NULL, __ATOMIC_RELEASE);
	channel->id = 0;
	channel->reopen = false;
	channel->state = VMBUS_CHANNEL_IDLE;
}

/* Tells the guest only now: on a rescind, clients free their memory without asking. */
static void finish_rescind(struct vmbus_channel *channel)
{
	struct vmbus_channel_id_message msg = {
		.header.msgtype = CHANNELMSG_RESCIND_CHANNELOFFER,
		.child_relid = channel->id,
	};

	if (channel->state == VMBUS_CHANNEL_CLOSED)
		vmbus_server_send(channel->server, &msg, sizeof(msg));
	channel->rescind_done = true;
	vmbus_channel_schedule(channel, VMBUS_WORK_GONE);
}

static void start_open(struct vmbus_channel *channel);

/* Does what waited for the channel not to be busy. It may be retired afterwards. */
static void settle(struct vmbus_channel *channel)
{
	if (channel->state == VMBUS_CHANNEL_CLOSED && channel->released)
		become_idle(channel);
	if (channel->rescinded && !channel->rescind_done)
		finish_rescind(channel);
	if (channel->state == VMBUS_CHANNEL_CLOSED && channel->reopen) {
		channel->reopen = false;
		start_open(channel);
	}
	retire_if_unused(channel);
}

static void send_open_result(struct vmbus_channel *channel, uint32_t open_id, uint32_t status)
{
	struct vmbus_channel_open_result msg = {
		.header.msgtype = CHANNELMSG_OPENCHANNEL_RESULT,
		.child_relid = channel->id,
		.openid = open_id,
		.status = status,
	};

	vmbus_server_send(channel->server, &msg, sizeof(msg));
}

/* The loop of the VP; interrupts may be off, but the channel still needs a thread. */
static struct event_loop *loop_of(struct vmbus_server *server, uint32_t vp)
{
	return server->config.ops->vp_loop(server->config.ctx,
					   vp == VMBUS_VP_NO_INTERRUPT ? 0 : vp);
}

static void want_loop(struct vmbus_channel *channel, struct event_loop *loop)
{
	pthread_mutex_lock(&channel->wake_lock);
	channel->wanted_loop = loop;
	pthread_mutex_unlock(&channel->wake_lock);
}

/* `request` of a CLOSED channel. */
static void start_open(struct vmbus_channel *channel)
{
	struct vmbus_server *server = channel->server;
	struct event_loop *loop = loop_of(server, channel->request.target_vp);
	struct vmbus_gpadl *gpadl =
		vmbus_gpadl_find(&channel->gpadls, channel->request.ringbuffer_gpadlhandle);

	if (!loop || !gpadl || gpadl->state != VMBUS_GPADL_READY || channel->rescinded) {
		send_open_result(channel, channel->request.openid, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	gpadl->references++;
	channel->ring_gpadl = gpadl;
	channel->state = VMBUS_CHANNEL_OPENING;
	channel->sint = server->sint;
	server->busy++;
	want_loop(channel, loop);
	vmbus_channel_schedule(channel, VMBUS_WORK_OPEN);
}

static void start_close(struct vmbus_channel *channel)
{
	channel->state = VMBUS_CHANNEL_CLOSING;
	vmbus_channel_schedule(channel, VMBUS_WORK_CLOSE);
}

static void not_busy(struct vmbus_channel *channel)
{
	struct vmbus_server *server = channel->server;

	vmbus_control_gpadl_put(channel, channel->ring_gpadl);
	channel->ring_gpadl = NULL;
	channel->state = VMBUS_CHANNEL_CLOSED;
	server->busy--;
	settle(channel);
	vmbus_server_check_disconnect(server);
}

void vmbus_control_opened(struct vmbus_channel *channel, int err)
{
	if (!channel->released)
		send_open_result(channel, channel->request.openid,
				 err ? VMBUS_STATUS_UNSUCCESSFUL : VMBUS_STATUS_SUCCESS);
	if (err) {
		not_busy(channel);
		return;
	}
	channel->state = VMBUS_CHANNEL_OPEN;
	if (channel->released || channel->rescinded)
		start_close(channel);
}

void vmbus_control_closed(struct vmbus_channel *channel)
{
	not_busy(channel);
}

void vmbus_control_gone(struct vmbus_channel *channel)
{
	channel->gone = true;
	retire_if_unused(channel);
}

static void release(struct vmbus_channel *channel)
{
	channel->reopen = false;
	switch (channel->state) {
	case VMBUS_CHANNEL_IDLE:
		break;
	case VMBUS_CHANNEL_CLOSED:
		channel->released = true;
		settle(channel);
		break;
	case VMBUS_CHANNEL_OPENING:
	case VMBUS_CHANNEL_CLOSING:
		channel->released = true;
		break;
	case VMBUS_CHANNEL_OPEN:
		channel->released = true;
		start_close(channel);
		break;
	}
}

void vmbus_control_release_all(struct vmbus_server *server)
{
	struct vmbus_channel *channel = server->channels;

	while (channel) {
		struct vmbus_channel *next = channel->next;

		release(channel); /* may retire it */
		channel = next;
	}
}

/* --- The device's side */

struct vmbus_channel *vmbus_control_channel_alloc(struct vmbus_server *server)
{
	struct vmbus_channel *channel = server->retired;

	if (channel) {
		server->retired = channel->next;
	} else {
		channel = calloc(1, sizeof(*channel));
		if (!channel)
			return NULL;
		vmbus_channel_init(channel);
		channel->server = server;
		channel->gpadls.bytes_used = &server->gpadl_bytes;
	}
	channel->next = NULL;
	channel->released = false;
	channel->reopen = false;
	channel->rescinded = false;
	channel->rescind_done = false;
	channel->gone = false;
	channel->moves = 0;
	return channel;
}

static void append_channel(struct vmbus_server *server, struct vmbus_channel *channel)
{
	struct vmbus_channel **link = &server->channels;

	while (*link)
		link = &(*link)->next;
	*link = channel;
}

int vmbus_server_offer(struct vmbus_server *server, const struct vmbus_offer *offer,
		       const struct vmbus_channel_ops *ops, void *dev,
		       struct vmbus_channel **channel)
{
	struct vmbus_channel *new;
	int err = 0;

	pthread_mutex_lock(&server->lock);
	new = vmbus_control_channel_alloc(server);
	if (!new) {
		pthread_mutex_unlock(&server->lock);
		return -ENOMEM;
	}
	new->offer = *offer;
	new->ops = ops;
	new->dev = dev;
	pthread_mutex_lock(&new->wake_lock);
	if (!new->work) /* else a stale signal is on its way to the old loop, which is as good */
		new->loop = loop_of(server, 0);
	new->wanted_loop = new->loop;
	pthread_mutex_unlock(&new->wake_lock);
	append_channel(server, new);
	*channel = new; /* before the guest can open it */
	if (server->state == VMBUS_CONNECTED && server->offers_sent)
		err = offer_now(new);
	if (err)
		vmbus_control_gone(new);
	pthread_mutex_unlock(&server->lock);
	return err;
}

void vmbus_channel_rescind(struct vmbus_channel *channel)
{
	struct vmbus_server *server = channel->server;

	pthread_mutex_lock(&server->lock);
	channel->rescinded = true;
	channel->reopen = false;
	if (channel->state == VMBUS_CHANNEL_OPEN)
		start_close(channel);
	else if (channel->state == VMBUS_CHANNEL_IDLE || channel->state == VMBUS_CHANNEL_CLOSED)
		settle(channel);
	pthread_mutex_unlock(&server->lock);
}

/* --- The guest's messages */

int vmbus_control_open(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_open_channel *msg = payload;
	struct vmbus_channel *channel = vmbus_control_find(server, msg->child_relid);

	(void)len;
	if (!channel)
		return -ENODEV;
	if (channel->state == VMBUS_CHANNEL_CLOSED) {
		channel->request = *msg;
		start_open(channel);
		return 0;
	}
	/* There is no answer to a close, so a client may well be ahead of the device. */
	if (channel->state == VMBUS_CHANNEL_CLOSING && !channel->released && !channel->rescinded &&
	    !channel->reopen) {
		channel->request = *msg;
		channel->reopen = true;
		return 0;
	}
	send_open_result(channel, msg->openid, VMBUS_STATUS_UNSUCCESSFUL);
	return -EBUSY;
}

int vmbus_control_close(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_id_message *msg = payload;
	struct vmbus_channel *channel = vmbus_control_find(server, msg->child_relid);

	(void)len;
	if (!channel)
		return -ENODEV;
	if (channel->state != VMBUS_CHANNEL_OPEN)
		return -EINVAL;
	start_close(channel);
	return 0;
}

int vmbus_control_relid_released(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_id_message *msg = payload;
	struct vmbus_channel *channel = vmbus_control_find(server, msg->child_relid);

	(void)len;
	if (!channel)
		return -ENODEV;
	if (channel->state != VMBUS_CHANNEL_CLOSED && channel->state != VMBUS_CHANNEL_CLOSING)
		return -EBUSY;
	release(channel);
	return 0;
}

static void send_modify_response(struct vmbus_server *server, uint32_t id, uint32_t status)
{
	struct vmbus_channel_modifychannel_response msg = {
		.header.msgtype = CHANNELMSG_MODIFYCHANNEL_RESPONSE,
		.child_relid = id,
		.status = status,
	};

	if (server->version >= VMBUS_VERSION_5_3)
		vmbus_server_send(server, &msg, sizeof(msg));
}

/*
 * The loop does it and answers: the guest may rely on it that after the answer the old VP is not
 * interrupted any more.
 */
int vmbus_control_modify(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_modifychannel *msg = payload;
	struct vmbus_channel *channel = vmbus_control_find(server, msg->child_relid);
	struct event_loop *loop;

	(void)len;
	loop = msg->target_vp == VMBUS_VP_NO_INTERRUPT ? NULL : loop_of(server, msg->target_vp);
	if (!channel || !loop || channel->state != VMBUS_CHANNEL_OPEN ||
	    channel->moves >= MOVES_MAX) {
		send_modify_response(server, msg->child_relid, VMBUS_STATUS_UNSUCCESSFUL);
		return -EINVAL;
	}
	channel->moves++;
	channel->move_vp = msg->target_vp;
	want_loop(channel, loop);
	vmbus_channel_schedule(channel, VMBUS_WORK_MOVE);
	return 0;
}

void vmbus_control_moved(struct vmbus_channel *channel)
{
	for (; channel->moves; channel->moves--)
		if (!channel->released)
			send_modify_response(channel->server, channel->id, VMBUS_STATUS_SUCCESS);
}
