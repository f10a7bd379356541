#ifndef DEVICES_VMBUS_VMBUS_OUTBOX_H
#define DEVICES_VMBUS_VMBUS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/vmbus.h"

/*
 * Messages to the guest, in order, while the guest's one message slot is taken. The owner calls
 * everything under its own lock.
 */

struct vmbus_message {
	struct vmbus_message *next;
	uint32_t vp;
	uint8_t sint;
	uint8_t len;
	uint8_t payload[VMBUS_MESSAGE_MAX];
};

struct vmbus_outbox {
	struct vmbus_message *head, *tail;
	unsigned int count;
};

/* Sends a message: 0, -EAGAIN to keep it, another error to drop it. */
struct vmbus_outbox_sink {
	int (*send)(void *ctx, const struct vmbus_message *message);
	void *ctx;
};

/* Adds a message and sends what can be sent. 0, -EINVAL: too long, -ENOMEM. */
int vmbus_outbox_add(struct vmbus_outbox *outbox, const struct vmbus_outbox_sink *sink, uint32_t vp,
		     uint8_t sint, const void *payload, size_t len);
void vmbus_outbox_flush(struct vmbus_outbox *outbox, const struct vmbus_outbox_sink *sink);

/* Drops everything: the guest that it was for is gone. */
void vmbus_outbox_clear(struct vmbus_outbox *outbox);

#endif
