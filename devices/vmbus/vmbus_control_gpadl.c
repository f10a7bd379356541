/*
 * The guest's messages about GPADLs: established in a header and as many bodies as it takes, torn down
 * when the last reference is gone. Under the server's lock, but for what devices call.
 */

#include <errno.h>

#include "core/guest_memory.h"
#include "devices/vmbus/vmbus_internal.h"

static void send_gpadl_created(struct vmbus_server *server, uint32_t channel_id, uint32_t gpadl,
			       uint32_t status)
{
	struct vmbus_channel_gpadl_created msg = {
		.header.msgtype = CHANNELMSG_GPADL_CREATED,
		.child_relid = channel_id,
		.gpadl = gpadl,
		.creation_status = status,
	};

	vmbus_server_send(server, &msg, sizeof(msg));
}

static void send_gpadl_torndown(struct vmbus_server *server, uint32_t gpadl)
{
	struct vmbus_channel_gpadl_torndown msg = {
		.header.msgtype = CHANNELMSG_GPADL_TORNDOWN,
		.gpadl = gpadl,
	};

	vmbus_server_send(server, &msg, sizeof(msg));
}

static bool all_ram(const struct vmbus_gpa_list *list, const struct guest_memory *memory)
{
	struct vmbus_gpa_cursor cursor;
	uint64_t gpa, len;

	vmbus_gpa_cursor_init(&cursor, list);
	while (vmbus_gpa_next(&cursor, UINT64_MAX, &gpa, &len))
		if (!guest_memory_contains(memory, gpa, len))
			return false;
	return true;
}

/* After the last message of a GPADL. */
static int gpadl_complete(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl)
{
	struct vmbus_server *server = channel->server;
	uint32_t id = gpadl->id;

	if (!all_ram(&gpadl->list, server->config.memory)) {
		vmbus_gpadl_remove(&channel->gpadls, gpadl);
		send_gpadl_created(server, channel->id, id, VMBUS_STATUS_UNSUCCESSFUL);
		return -EFAULT;
	}
	send_gpadl_created(server, channel->id, id, VMBUS_STATUS_SUCCESS);
	return 0;
}

int vmbus_control_gpadl_header(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_gpadl_header *msg = payload;
	struct vmbus_channel *channel = vmbus_control_find(server, msg->child_relid);
	struct vmbus_gpadl *gpadl;
	int err;

	if (!channel) {
		send_gpadl_created(server, msg->child_relid, msg->gpadl, VMBUS_STATUS_UNSUCCESSFUL);
		return -ENODEV;
	}
	gpadl = vmbus_gpadl_add(&channel->gpadls, msg->gpadl, msg->rangecount, msg->range_buflen,
				msg + 1, len - sizeof(*msg), &err);
	if (!gpadl) {
		send_gpadl_created(server, channel->id, msg->gpadl, VMBUS_STATUS_UNSUCCESSFUL);
		return err;
	}
	return gpadl->state == VMBUS_GPADL_READY ? gpadl_complete(channel, gpadl) : 0;
}

/* Body messages name no channel, so look for a GPADL that waits for one. */
static struct vmbus_channel *find_building(struct vmbus_server *server, uint32_t id,
					   struct vmbus_gpadl **gpadl)
{
	for (struct vmbus_channel *channel = server->channels; channel; channel = channel->next) {
		*gpadl = vmbus_gpadl_find(&channel->gpadls, id);
		if (*gpadl && (*gpadl)->state == VMBUS_GPADL_BUILDING)
			return channel;
	}
	return NULL;
}

int vmbus_control_gpadl_body(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_gpadl_body *msg = payload;
	struct vmbus_gpadl *gpadl;
	struct vmbus_channel *channel = find_building(server, msg->gpadl, &gpadl);
	int err;

	if (!channel)
		return -ENOENT;
	err = vmbus_gpadl_extend(&channel->gpadls, gpadl, msg + 1, len - sizeof(*msg));
	if (err) {
		send_gpadl_created(server, channel->id, msg->gpadl, VMBUS_STATUS_UNSUCCESSFUL);
		return err;
	}
	return gpadl->state == VMBUS_GPADL_READY ? gpadl_complete(channel, gpadl) : 0;
}

int vmbus_control_gpadl_teardown(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_gpadl_teardown *msg = payload;
	struct vmbus_channel *channel = vmbus_control_find(server, msg->child_relid);
	struct vmbus_gpadl *gpadl;

	(void)len;
	if (!channel)
		return -ENODEV;
	gpadl = vmbus_gpadl_find(&channel->gpadls, msg->gpadl);
	if (!gpadl || gpadl->state != VMBUS_GPADL_READY)
		return -ENOENT;
	/* One reference for the guest's own hold, so that the last put is one place. */
	gpadl->references++;
	gpadl->state = VMBUS_GPADL_TEARING_DOWN;
	vmbus_control_gpadl_put(channel, gpadl);
	return 0;
}

void vmbus_control_gpadl_put(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl)
{
	uint32_t id = gpadl->id;
	bool torn_down = gpadl->state == VMBUS_GPADL_TEARING_DOWN;

	if (--gpadl->references || gpadl->state == VMBUS_GPADL_READY)
		return;
	vmbus_gpadl_remove(&channel->gpadls, gpadl);
	if (torn_down)
		send_gpadl_torndown(channel->server, id);
}

struct vmbus_gpadl *vmbus_channel_gpadl_get(struct vmbus_channel *channel, uint32_t id)
{
	struct vmbus_gpadl *gpadl;

	pthread_mutex_lock(&channel->server->lock);
	gpadl = vmbus_gpadl_find(&channel->gpadls, id);
	if (gpadl && gpadl->state == VMBUS_GPADL_READY)
		gpadl->references++;
	else
		gpadl = NULL;
	pthread_mutex_unlock(&channel->server->lock);
	return gpadl;
}

void vmbus_channel_gpadl_put(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl)
{
	pthread_mutex_lock(&channel->server->lock);
	vmbus_control_gpadl_put(channel, gpadl);
	pthread_mutex_unlock(&channel->server->lock);
}
