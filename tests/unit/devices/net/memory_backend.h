#ifndef TESTS_UNIT_DEVICES_NET_MEMORY_BACKEND_H
#define TESTS_UNIT_DEVICES_NET_MEMORY_BACKEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/net_backend.h"

/* A network that a test looks at and speaks for: what is sent is kept, or comes back. */

#define MEMORY_BACKEND_FRAMES 256
#define MEMORY_BACKEND_FRAME  10000

struct memory_frame {
	size_t len;
	uint8_t bytes[MEMORY_BACKEND_FRAME];
};

struct memory_backend {
	struct net_backend backend;
	struct event_loop *loop;
	const struct net_backend_client *client;
	void *ctx;
	pthread_mutex_t lock; /* guards frames and counts while threads send */
	bool reflect;         /* what is sent comes back, with its addresses exchanged */
	bool posted;
	bool paused;  /* the card wants no more; what is delivered comes nevertheless */
	bool full;    /* it takes nothing for now */
	bool discard; /* frames are counted only */
	uint64_t sent, sent_bytes;
	struct net_offload offload;    /* what was left of the last frame sent */
	unsigned int count, reflected; /* of frames kept, and given back */
	struct memory_frame *frames;
};

void memory_backend_init(struct memory_backend *memory);
void memory_backend_fini(struct memory_backend *memory);

/* On the loop's thread. */
void memory_backend_set_full(struct memory_backend *memory, bool full);

/* As if from the network, on the loop's thread. */
void memory_backend_deliver(struct memory_backend *memory, const uint8_t *frame, size_t len);

/*
 * The same of a TCP send, whose rest comes as frames of mss bytes of payload when the card has taken what it wants of it.
 * Bytes of payload that it took.
 */
size_t memory_backend_deliver_send(struct memory_backend *memory, const uint8_t *bytes, size_t len,
				   size_t header_len, size_t mss);

#endif
