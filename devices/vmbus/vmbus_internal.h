#ifndef DEVICES_VMBUS_VMBUS_INTERNAL_H
#define DEVICES_VMBUS_VMBUS_INTERNAL_H

#include <pthread.h>

#include "devices/vmbus/vmbus_outbox.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/vmbus.h"

/* Shared by the server's own files only. "Under the lock" is the server's lock. */

/* A guest that posts requests while this many answers wait is told to try again. */
#define VMBUS_OUTBOX_LIMIT 256

struct vmbus_contact {
	uint32_t version;
	uint32_t features;
	uint32_t message_vp;
	uint8_t sint;
	uint8_t vtl;
	bool monitor_pages_valid;
};

enum vmbus_server_state {
	VMBUS_DISCONNECTED,
	VMBUS_CONNECTED,
	VMBUS_DISCONNECTING, /* channels still use memory of the guest */
};

/* What to do when the last channel has let go of the guest's memory. */
enum vmbus_after_disconnect {
	VMBUS_AFTER_NOTHING,
	VMBUS_AFTER_UNLOAD,
	VMBUS_AFTER_CONTACT,
};

struct vmbus_server {
	struct vmbus_server_config config;
	pthread_mutex_t lock;

	/* All below: under the lock. */
	enum vmbus_server_state state;
	uint32_t version;  /* of the connection; 0 while disconnected */
	uint32_t features; /* enum vmbus_feature, of the connection */
	uint32_t message_vp;
	uint8_t sint;
	bool offers_sent;
	enum vmbus_after_disconnect next;
	struct vmbus_contact next_contact;
	struct vmbus_outbox outbox;
};

/* Queues a message for the guest, to the VP and SINT of its connection. Under the lock. */
void vmbus_server_send(struct vmbus_server *server, const void *message, size_t len);

#endif
