#ifndef DEVICES_VMBUS_VMBUS_INTERNAL_H
#define DEVICES_VMBUS_VMBUS_INTERNAL_H

#include <pthread.h>

#include "core/event_loop.h"
#include "devices/vmbus/vmbus_channel.h"
#include "devices/vmbus/vmbus_gpadl.h"
#include "devices/vmbus/vmbus_outbox.h"
#include "devices/vmbus/vmbus_ring.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/vmbus.h"

/*
 * Shared by the server's own files only. "Under the lock" is the server's lock. Lock order: server,
 * then a channel's wake_lock, then whatever an event loop needs to take a call.
 */

/* A guest that posts requests while this many answers wait is told to try again. */
#define VMBUS_OUTBOX_LIMIT 256

/* Channel numbers are event flag numbers too, of which a SINT has 2048 (TLFS 11.9). 0 is not used. */
#define VMBUS_CHANNEL_IDS 1024

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

	/* All below: under the lock, but for what is said to be atomic. */
	enum vmbus_server_state state;
	uint32_t version;  /* of the connection; 0 while disconnected; atomic */
	uint32_t features; /* enum vmbus_feature, of the connection */
	uint32_t message_vp;
	uint8_t sint;
	bool offers_sent;
	enum vmbus_after_disconnect next;
	struct vmbus_contact next_contact;
	struct vmbus_outbox outbox;

	struct vmbus_channel *channels;                 /* in the order offered */
	struct vmbus_channel *retired;                  /* for the next offers */
	struct vmbus_channel *by_id[VMBUS_CHANNEL_IDS]; /* atomic */
	uint32_t connection_base;                       /* of the guest's signals; atomic */
	unsigned int busy;                              /* channels that may use guest memory */
	size_t gpadl_bytes;
};

enum vmbus_channel_state {
	VMBUS_CHANNEL_IDLE, /* the guest does not know it */
	VMBUS_CHANNEL_CLOSED,
	VMBUS_CHANNEL_OPENING, /* from here on it counts as busy */
	VMBUS_CHANNEL_OPEN,
	VMBUS_CHANNEL_CLOSING,
};

/* What a channel's loop has been asked to do. */
enum vmbus_work {
	VMBUS_WORK_OPEN = 0x01,
	VMBUS_WORK_SIGNAL = 0x02,
	VMBUS_WORK_MOVE = 0x04,
	VMBUS_WORK_CLOSE = 0x08,
	VMBUS_WORK_GONE = 0x10,
};

/*
 * Never freed before the server: the signal path looks channels up without a lock, and a stale
 * signal may reach a channel that has since been retired or offered anew, where it is harmless.
 */
struct vmbus_channel {
	struct vmbus_server *server;
	struct vmbus_offer offer; /* this and the next two: set before the guest can know it */
	const struct vmbus_channel_ops *ops;
	void *dev;

	/* Under the lock. */
	struct vmbus_channel *next;
	enum vmbus_channel_state state;
	uint32_t id;
	bool released;     /* the guest has forgotten it: IDLE once it is closed */
	bool reopen;       /* the guest opened it again before it was closed: `request` is new */
	bool rescinded;    /* by the device */
	bool rescind_done; /* the guest has been told, and gone() is under way */
	bool gone;
	uint32_t moves; /* requests of the guest not yet answered */
	uint32_t move_vp;
	struct vmbus_channel_open_channel request;
	struct vmbus_gpadl_set gpadls;
	struct vmbus_gpadl *ring_gpadl; /* a reference, while busy */

	pthread_mutex_t wake_lock; /* the group below */
	uint32_t work;             /* enum vmbus_work; not 0: a run on `loop` is to come */
	struct event_call run;     /* posted while there is work */
	struct event_loop *loop;
	struct event_loop *wanted_loop;

	/* The loop's. */
	bool running; /* between open() and close() of the device */
	bool paused;
	bool broken;
	bool in_ready;
	uint8_t sint;
	uint32_t vp;     /* that is signalled */
	uint32_t flag;   /* the number, while open */
	uint32_t budget; /* packets left in this run */
	uint8_t **pages; /* of the rings */
	uint32_t packets_size;
	uint64_t *packets; /* private copies */
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	struct event_deferred publish; /* of what a run of the loop sends */
};

/* --- vmbus_server.c. Under the lock. */

/* Queues a message for the guest, to the VP and SINT of its connection. */
void vmbus_server_send(struct vmbus_server *server, const void *message, size_t len);

/* Goes on with a disconnect that waited for channels, when the last of them has closed. */
void vmbus_server_check_disconnect(struct vmbus_server *server);

/* --- vmbus_control.c and vmbus_control_gpadl.c: what the guest's messages do. Under the lock. */

/* The channel that the guest knows under this number, or NULL. */
struct vmbus_channel *vmbus_control_find(const struct vmbus_server *server, uint32_t id);

/* Numbers every channel that is offered and tells the guest of it. */
void vmbus_control_send_offers(struct vmbus_server *server);

/* The guest has forgotten all channels; those that are busy close. */
void vmbus_control_release_all(struct vmbus_server *server);

/* Handlers of the guest's messages: 0, or -errno for the log. */
int vmbus_control_open(struct vmbus_server *server, const void *payload, size_t len);
int vmbus_control_close(struct vmbus_server *server, const void *payload, size_t len);
int vmbus_control_gpadl_header(struct vmbus_server *server, const void *payload, size_t len);
int vmbus_control_gpadl_body(struct vmbus_server *server, const void *payload, size_t len);
int vmbus_control_gpadl_teardown(struct vmbus_server *server, const void *payload, size_t len);
int vmbus_control_relid_released(struct vmbus_server *server, const void *payload, size_t len);
int vmbus_control_modify(struct vmbus_server *server, const void *payload, size_t len);

/* The loop's answers. */
void vmbus_control_opened(struct vmbus_channel *channel, int err);
void vmbus_control_closed(struct vmbus_channel *channel);
void vmbus_control_gone(struct vmbus_channel *channel);
void vmbus_control_gpadl_put(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl);

/* Makes the guest's requests for another VP, as the loop now has it, known to be done. */
void vmbus_control_moved(struct vmbus_channel *channel);

/* Prepares a retired or new channel for an offer. NULL when out of memory. */
struct vmbus_channel *vmbus_control_channel_alloc(struct vmbus_server *server);

/* --- vmbus_channel.c. */

/* Asks the channel's loop for `work`. Any thread, with or without the lock. */
void vmbus_channel_schedule(struct vmbus_channel *channel, uint32_t work);

void vmbus_channel_init(struct vmbus_channel *channel);

/* Frees what a channel still holds. The server is being destroyed. */
void vmbus_channel_free(struct vmbus_channel *channel);

#endif
