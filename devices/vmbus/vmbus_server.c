#include "devices/vmbus/vmbus_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/vmbus/vmbus_internal.h"

#define SINT_COUNT 16

static const uint32_t supported_versions[] = {
	VMBUS_VERSION_4_0, VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1,
	VMBUS_VERSION_5_2, VMBUS_VERSION_5_3, VMBUS_VERSION_6_0,
};

static int send_to_transport(void *ctx, const struct vmbus_message *message)
{
	struct vmbus_server *server = ctx;

	return server->config.ops->post_message(server->config.ctx, message->vp, message->sint,
						VMBUS_HV_MESSAGE_TYPE, message->payload,
						message->len);
}

static struct vmbus_outbox_sink sink_of(struct vmbus_server *server)
{
	return (struct vmbus_outbox_sink){ .send = send_to_transport, .ctx = server };
}

static void send_to(struct vmbus_server *server, uint32_t vp, uint8_t sint, const void *message,
		    size_t len)
{
	struct vmbus_outbox_sink sink = sink_of(server);
	int err = vmbus_outbox_add(&server->outbox, &sink, vp, sint, message, len);

	if (err)
		log_limited(LOG_ERROR, "vmbus: message to the guest lost: %s", strerror(-err));
}

void vmbus_server_send(struct vmbus_server *server, const void *message, size_t len)
{
	send_to(server, server->message_vp, server->sint, message, len);
}

static bool version_supported(const struct vmbus_server *server, uint32_t version)
{
	uint32_t max = server->config.max_version;

	for (size_t i = 0; i < sizeof(supported_versions) / sizeof(supported_versions[0]); i++)
		if (supported_versions[i] == version)
			return !max || version <= max;
	return false;
}

static uint32_t supported_features(const struct vmbus_server *server)
{
	uint32_t features = VMBUS_FEATURE_CLIENT_ID | VMBUS_FEATURE_MODIFY_CONNECTION;

	if (server->config.confidential)
		features |= VMBUS_FEATURE_CONFIDENTIAL_CHANNELS;
	return features;
}

static void send_unsupported(struct vmbus_server *server, const struct vmbus_contact *contact)
{
	struct vmbus_channel_version_response response = {
		.header.msgtype = CHANNELMSG_VERSION_RESPONSE,
	};

	send_to(server, contact->message_vp, contact->sint, &response,
		VMBUS_VERSION_RESPONSE_SIZE_BEFORE_6_0);
}

static void send_version_response(struct vmbus_server *server, const struct vmbus_contact *contact,
				  enum vmbus_connection_state state)
{
	struct vmbus_channel_version_response response = {
		.header.msgtype = CHANNELMSG_VERSION_RESPONSE,
		.version_supported = 1,
		.connection_state = (uint8_t)state,
		.msg_conn_id = contact->version >= VMBUS_VERSION_5_0 ? VMBUS_MESSAGE_CONNECTION_ID_4
								     : contact->version,
		.supported_features = contact->features,
	};
	size_t len = contact->version >= VMBUS_VERSION_6_0 ? sizeof(response)
							   : VMBUS_VERSION_RESPONSE_SIZE_BEFORE_6_0;

	send_to(server, contact->message_vp, contact->sint, &response, len);
}

/* As Hyper-V composes them; the channel's number is added. None of the message connections. */
static uint32_t connection_base(const struct vmbus_server *server)
{
	return (uint32_t)server->config.vtl << 16 | (uint32_t)server->sint << 12;
}

/* The old connection, if any, is gone. */
static void connect_guest(struct vmbus_server *server, const struct vmbus_contact *contact)
{
	struct vmbus_contact accepted = *contact;

	if (!version_supported(server, contact->version)) {
		send_unsupported(server, contact);
		return;
	}
	accepted.features &= supported_features(server);
	if (!contact->monitor_pages_valid) {
		send_version_response(server, &accepted, VMBUS_CONNECTION_FAILED_UNKNOWN);
		return;
	}

	server->state = VMBUS_CONNECTED;
	__atomic_store_n(&server->version, accepted.version, __ATOMIC_RELAXED);
	server->features = accepted.features;
	server->message_vp = accepted.message_vp;
	server->sint = accepted.sint;
	server->offers_sent = false;
	__atomic_store_n(&server->connection_base, connection_base(server), __ATOMIC_RELAXED);
	log_info("vmbus: VTL%u connected, version %u.%u", server->config.vtl,
		 accepted.version >> 16, accepted.version & 0xFFFF);
	send_version_response(server, &accepted, VMBUS_CONNECTION_SUCCESSFUL);
}

/* Runs what waited for the guest's channels to let go of its memory. */
static void finish_disconnect(struct vmbus_server *server)
{
	static const struct vmbus_channel_message_header unloaded = {
		.msgtype = CHANNELMSG_UNLOAD_RESPONSE,
	};

	server->state = VMBUS_DISCONNECTED;
	__atomic_store_n(&server->version, 0, __ATOMIC_RELAXED);
	server->features = 0;
	server->offers_sent = false;
	switch (server->next) {
	case VMBUS_AFTER_NOTHING:
		break;
	case VMBUS_AFTER_UNLOAD:
		vmbus_server_send(server, &unloaded, sizeof(unloaded));
		break;
	case VMBUS_AFTER_CONTACT:
		connect_guest(server, &server->next_contact);
		break;
	}
}

/* A later request replaces an earlier one: the guest that made the earlier one is gone. */
static void disconnect_guest(struct vmbus_server *server, enum vmbus_after_disconnect next)
{
	/* What was still to be said, was for the connection that ends. */
	vmbus_outbox_clear(&server->outbox);
	server->next = next;
	if (server->state == VMBUS_CONNECTED)
		vmbus_control_release_all(server);
	server->state = VMBUS_DISCONNECTING;
	vmbus_server_check_disconnect(server);
}

void vmbus_server_check_disconnect(struct vmbus_server *server)
{
	if (server->state == VMBUS_DISCONNECTING && !server->busy)
		finish_disconnect(server);
}

/*
 * Fills *contact from the guest's request. The meaning of its fields depends on the version and on
 * the connection that it came by: connection 1 is older than the SINT and VTL fields.
 */
static void parse_contact(const struct vmbus_channel_initiate_contact *msg, uint32_t connection_id,
			  uint8_t own_vtl, struct vmbus_contact *contact)
{
	bool multiclient = connection_id == VMBUS_MESSAGE_CONNECTION_ID_4;
	uint32_t version = msg->vmbus_version_requested;

	*contact = (struct vmbus_contact){
		.version = version,
		.message_vp = msg->target_vcpu,
		.sint = VMBUS_MESSAGE_SINT,
		.vtl = own_vtl,
		.monitor_pages_valid = !msg->monitor_page1 == !msg->monitor_page2,
	};
	if (multiclient && version >= VMBUS_VERSION_5_0)
		contact->sint = msg->msg_sint;
	if (multiclient && version >= VMBUS_VERSION_5_1)
		contact->vtl = msg->msg_vtl;
	if (version >= VMBUS_VERSION_6_0)
		contact->features = msg->feature_flags;
}

static int handle_initiate_contact(struct vmbus_server *server, uint32_t connection_id,
				   const void *payload, size_t len)
{
	struct vmbus_contact contact;

	if (len < sizeof(struct vmbus_channel_initiate_contact))
		return -EMSGSIZE;
	parse_contact(payload, connection_id, server->config.vtl, &contact);
	if (!contact.sint || contact.sint >= SINT_COUNT)
		return -EINVAL;
	if ((contact.features & VMBUS_FEATURE_CLIENT_ID) &&
	    len < sizeof(struct vmbus_channel_initiate_contact) + sizeof(struct guid))
		return -EINVAL;
	if (contact.vtl != server->config.vtl) {
		/* Another VTL's server: there is none behind us to hand it to. */
		send_unsupported(server, &contact);
		return 0;
	}
	server->next_contact = contact;
	disconnect_guest(server, VMBUS_AFTER_CONTACT);
	return 0;
}

static int handle_unload(struct vmbus_server *server, const void *payload, size_t len)
{
	(void)payload;
	(void)len;
	disconnect_guest(server, VMBUS_AFTER_UNLOAD);
	return 0;
}

static int handle_request_offers(struct vmbus_server *server, const void *payload, size_t len)
{
	static const struct vmbus_channel_message_header delivered = {
		.msgtype = CHANNELMSG_ALLOFFERS_DELIVERED,
	};

	(void)payload;
	(void)len;
	if (server->offers_sent)
		return -EALREADY;
	server->offers_sent = true;
	vmbus_control_send_offers(server);
	vmbus_server_send(server, &delivered, sizeof(delivered));
	return 0;
}

/* The monitor pages are never used, so new ones are as good as the old ones. */
static int handle_modify_connection(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_modifyconnection *msg = payload;
	struct vmbus_channel_modifyconnection_response response = {
		.header.msgtype = CHANNELMSG_MODIFYCONNECTION_RESPONSE,
		.connection_state = VMBUS_CONNECTION_SUCCESSFUL,
	};

	(void)len;
	if (!(server->features & VMBUS_FEATURE_MODIFY_CONNECTION))
		return -EINVAL;
	if (!msg->monitor_page1 != !msg->monitor_page2)
		response.connection_state = VMBUS_CONNECTION_FAILED_UNKNOWN;
	vmbus_server_send(server, &response, sizeof(response));
	return 0;
}

/* We have no Hyper-V sockets to offer. */
static int handle_tl_connect(struct vmbus_server *server, const void *payload, size_t len)
{
	const struct vmbus_channel_tl_connect_request *msg = payload;
	struct vmbus_channel_tl_connect_result result = {
		.header.msgtype = CHANNELMSG_TL_CONNECT_RESULT,
		.guest_endpoint_id = msg->guest_endpoint_id,
		.host_service_id = msg->host_service_id,
		.status = VMBUS_STATUS_CONNECTION_REFUSED,
	};

	(void)len;
	if (server->version >= VMBUS_VERSION_4_1)
		vmbus_server_send(server, &result, sizeof(result));
	return 0;
}

struct message_handler {
	size_t min_len;
	uint32_t min_version; /* 0: also while disconnected */
	int (*handle)(struct vmbus_server *server, const void *payload, size_t len);
};

static const struct message_handler handlers[] = {
	[CHANNELMSG_REQUESTOFFERS] = { sizeof(struct vmbus_channel_message_header),
				       VMBUS_VERSION_4_0, handle_request_offers },
	[CHANNELMSG_OPENCHANNEL] = { sizeof(struct vmbus_channel_open_channel), VMBUS_VERSION_4_0,
				     vmbus_control_open },
	[CHANNELMSG_CLOSECHANNEL] = { sizeof(struct vmbus_channel_id_message), VMBUS_VERSION_4_0,
				      vmbus_control_close },
	[CHANNELMSG_GPADL_HEADER] = { sizeof(struct vmbus_channel_gpadl_header), VMBUS_VERSION_4_0,
				      vmbus_control_gpadl_header },
	[CHANNELMSG_GPADL_BODY] = { sizeof(struct vmbus_channel_gpadl_body), VMBUS_VERSION_4_0,
				    vmbus_control_gpadl_body },
	[CHANNELMSG_GPADL_TEARDOWN] = { sizeof(struct vmbus_channel_gpadl_teardown),
					VMBUS_VERSION_4_0, vmbus_control_gpadl_teardown },
	[CHANNELMSG_RELID_RELEASED] = { sizeof(struct vmbus_channel_id_message), VMBUS_VERSION_4_0,
					vmbus_control_relid_released },
	[CHANNELMSG_UNLOAD] = { sizeof(struct vmbus_channel_message_header), 0, handle_unload },
	[CHANNELMSG_TL_CONNECT_REQUEST] = { sizeof(struct vmbus_channel_tl_connect_request),
					    VMBUS_VERSION_4_0, handle_tl_connect },
	[CHANNELMSG_MODIFYCHANNEL] = { sizeof(struct vmbus_channel_modifychannel),
				       VMBUS_VERSION_4_1, vmbus_control_modify },
	[CHANNELMSG_MODIFYCONNECTION] = { sizeof(struct vmbus_channel_modifyconnection),
					  VMBUS_VERSION_6_0, handle_modify_connection },
};

/* Under the lock. `payload` is aligned and holds at least a header. */
static int dispatch(struct vmbus_server *server, uint32_t connection_id, const void *payload,
		    size_t len)
{
	const struct vmbus_channel_message_header *header = payload;
	const struct message_handler *handler;

	if (header->msgtype == CHANNELMSG_INITIATE_CONTACT)
		return handle_initiate_contact(server, connection_id, payload, len);
	if (header->msgtype >= sizeof(handlers) / sizeof(handlers[0]))
		return -ENOSYS;
	handler = &handlers[header->msgtype];
	if (!handler->handle)
		return -ENOSYS;
	if (len < handler->min_len)
		return -EMSGSIZE;
	if (handler->min_version && server->state != VMBUS_CONNECTED)
		return -ENOTCONN;
	if (server->version < handler->min_version)
		return -ENOSYS;
	return handler->handle(server, payload, len);
}

int vmbus_server_handle_message(struct vmbus_server *server, uint32_t connection_id,
				uint32_t message_type, const void *payload, size_t len)
{
	_Alignas(8) uint8_t copy[VMBUS_MESSAGE_MAX] = { 0 };
	int err;

	if (connection_id != VMBUS_MESSAGE_CONNECTION_ID &&
	    connection_id != VMBUS_MESSAGE_CONNECTION_ID_4)
		return -ENXIO;
	if (message_type != VMBUS_HV_MESSAGE_TYPE || len > sizeof(copy) ||
	    len < sizeof(struct vmbus_channel_message_header))
		return -EINVAL;
	memcpy(copy, payload, len); /* for its alignment */

	pthread_mutex_lock(&server->lock);
	if (server->outbox.count >= VMBUS_OUTBOX_LIMIT) {
		pthread_mutex_unlock(&server->lock);
		return -ENOBUFS;
	}
	err = dispatch(server, connection_id, copy, len);
	pthread_mutex_unlock(&server->lock);
	if (err)
		log_limited(LOG_WARN, "vmbus: VTL%u's message %u of %zu bytes refused: %s",
			    server->config.vtl, copy[0], len, strerror(-err));
	return 0;
}

int vmbus_server_handle_signal(struct vmbus_server *server, uint32_t connection_id, uint16_t flag)
{
	uint32_t id = connection_id - __atomic_load_n(&server->connection_base, __ATOMIC_RELAXED);
	struct vmbus_channel *channel;

	if (id >= VMBUS_CHANNEL_IDS)
		return -ENXIO;
	channel = __atomic_load_n(&server->by_id[id], __ATOMIC_ACQUIRE);
	if (!channel)
		return -ENXIO;
	if (!flag)
		vmbus_channel_schedule(channel, VMBUS_WORK_SIGNAL);
	return 0;
}

void vmbus_server_message_slot_free(struct vmbus_server *server)
{
	struct vmbus_outbox_sink sink = sink_of(server);

	pthread_mutex_lock(&server->lock);
	vmbus_outbox_flush(&server->outbox, &sink);
	pthread_mutex_unlock(&server->lock);
}

void vmbus_server_reset(struct vmbus_server *server)
{
	pthread_mutex_lock(&server->lock);
	disconnect_guest(server, VMBUS_AFTER_NOTHING);
	pthread_mutex_unlock(&server->lock);
}

bool vmbus_server_is_idle(struct vmbus_server *server)
{
	bool idle;

	pthread_mutex_lock(&server->lock);
	idle = server->state == VMBUS_DISCONNECTED;
	pthread_mutex_unlock(&server->lock);
	return idle;
}

uint32_t vmbus_server_version(struct vmbus_server *server)
{
	return __atomic_load_n(&server->version, __ATOMIC_RELAXED);
}

struct vmbus_server *vmbus_server_create(const struct vmbus_server_config *config)
{
	struct vmbus_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->config = *config;
	server->sint = VMBUS_MESSAGE_SINT;
	pthread_mutex_init(&server->lock, NULL);
	return server;
}

static void free_channels(struct vmbus_channel *channel)
{
	while (channel) {
		struct vmbus_channel *next = channel->next;

		vmbus_channel_free(channel);
		channel = next;
	}
}

void vmbus_server_destroy(struct vmbus_server *server)
{
	if (!server)
		return;
	free_channels(server->channels);
	free_channels(server->retired);
	vmbus_outbox_clear(&server->outbox);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
