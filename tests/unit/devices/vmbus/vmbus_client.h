#ifndef TESTS_UNIT_DEVICES_VMBUS_VMBUS_CLIENT_H
#define TESTS_UNIT_DEVICES_VMBUS_VMBUS_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/vmbus.h"

/*
 * A small VMBus client for tests: guest memory, a transport that keeps what the server sends, and
 * the guest's end of rings, written from the protocol and not from the server. What goes wrong is
 * reported by return values, so that it serves cmocka tests and fuzz targets alike.
 */

struct event_loop;
struct guest_memory;
struct vmbus_server;

#define CLIENT_VPS      4
#define CLIENT_RAM      (8u << 20)
#define CLIENT_MESSAGES 512
#define CLIENT_FLAGS    1024

struct client_message {
	uint32_t vp;
	uint8_t sint;
	size_t len;
	_Alignas(8) uint8_t bytes[VMBUS_MESSAGE_MAX];
};

/* What runs a VP's loop. */
struct client_thread {
	pthread_t thread;
	struct event_loop *loop;
	bool stopping; /* the thread's own */
};

struct client {
	struct vmbus_server *server;
	struct guest_memory *memory;
	uint8_t *ram; /* at guest address 0 */
	struct event_loop *loops[CLIENT_VPS];
	pthread_mutex_t lock;   /* messages; the transport is called from loops */
	pthread_cond_t arrived; /* a message or an event */
	struct client_message messages[CLIENT_MESSAGES];
	unsigned int message_head, message_count;
	uint32_t events[CLIENT_FLAGS]; /* how often; atomic */
	uint32_t event_vp[CLIENT_FLAGS];
	uint32_t next_gpadl;
	struct client_thread threads[CLIENT_VPS];
};

struct client_ring {
	struct hv_ring_buffer *control;
	uint8_t *data;
	uint32_t size;
};

struct client_channel {
	struct client *client;
	uint32_t relid, connection_id;
	uint32_t gpadl;
	struct client_ring out, in; /* of the guest */
};

int client_init(struct client *client, uint8_t vtl, uint32_t max_version);
void client_fini(struct client *client);

/* Runs all loops, here, until nothing is left. */
void client_run(struct client *client);

/* All loops on threads of their own, from start to stop; nobody else runs them then. 0 or -errno. */
int client_start_loops(struct client *client);
void client_stop_loops(struct client *client);

int client_post(struct client *client, const void *msg, size_t len);

/* The oldest message, which must be of this type; NULL otherwise. Valid until the next call. */
const void *client_take(struct client *client, uint32_t msgtype);
void client_drop_messages(struct client *client);
unsigned int client_message_count(struct client *client);

/* InitiateContact and its answer: true when it succeeded. */
bool client_connect(struct client *client, uint32_t version);

/* A GPADL of one range, or of whatever `words` holds, and its answer's status (or -1: none). */
uint32_t client_gpadl_words(struct client *client, uint32_t relid, uint32_t gpadl, uint16_t ranges,
			    const uint64_t *words, size_t count);
uint32_t client_gpadl(struct client *client, uint32_t relid, uint32_t gpadl, uint64_t gpa,
		      uint32_t bytes);
bool client_gpadl_teardown(struct client *client, uint32_t relid, uint32_t gpadl);

/*
 * Opens with two rings of `pages` pages each at gpa: status of the answer, -1 when none came. With
 * its own loops running elsewhere, a caller uses the two halves.
 */
uint32_t client_open(struct client *client, struct client_channel *channel, uint32_t relid,
		     uint32_t connection_id, uint32_t vp, uint64_t gpa, uint32_t pages);
void client_open_start(struct client *client, struct client_channel *channel, uint32_t relid,
		       uint32_t connection_id, uint32_t vp, uint64_t gpa, uint32_t pages);
void client_close(struct client_channel *channel);

/*
 * Waits until the channel's event count differs from `seen`, for at most `seconds`: false when
 * nothing came. For tests whose loops run on other threads.
 */
bool client_wait_event(struct client *client, uint32_t relid, uint32_t seen, unsigned int seconds);
/* The same for a message in the queue. */
bool client_wait_message(struct client *client, unsigned int seconds);
uint32_t client_events(struct client *client, uint32_t relid);

/* Rings. 0, -EAGAIN: full or empty; -EPROTO: the server broke the protocol. */
int client_send(struct client_channel *channel, uint16_t type, uint16_t flags, uint64_t trans_id,
		const void *extension, size_t extension_len, const void *payload, size_t len);
/* Returns the packet's length. */
int client_receive(struct client_channel *channel, void *buf, size_t size);

#endif
