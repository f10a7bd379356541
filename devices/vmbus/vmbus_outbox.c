#include "devices/vmbus/vmbus_outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

static void drop_head(struct vmbus_outbox *outbox)
{
	struct vmbus_message *message = outbox->head;

	outbox->head = message->next;
	if (!outbox->head)
		outbox->tail = NULL;
	outbox->count--;
	free(message);
}

void vmbus_outbox_flush(struct vmbus_outbox *outbox, const struct vmbus_outbox_sink *sink)
{
	while (outbox->head) {
		int err = sink->send(sink->ctx, outbox->head);

		if (err == -EAGAIN)
			return;
		if (err)
			log_limited(LOG_WARN, "vmbus: message to VP %u SINT %u dropped: %s",
				    outbox->head->vp, outbox->head->sint, strerror(-err));
		drop_head(outbox);
	}
}

int vmbus_outbox_add(struct vmbus_outbox *outbox, const struct vmbus_outbox_sink *sink, uint32_t vp,
		     uint8_t sint, const void *payload, size_t len)
{
	struct vmbus_message *message;

	if (len > sizeof(message->payload))
		return -EINVAL;
	message = malloc(sizeof(*message));
	if (!message)
		return -ENOMEM;
	message->next = NULL;
	message->vp = vp;
	message->sint = sint;
	message->len = (uint8_t)len;
	memcpy(message->payload, payload, len);

	if (outbox->tail)
		outbox->tail->next = message;
	else
		outbox->head = message;
	outbox->tail = message;
	outbox->count++;
	vmbus_outbox_flush(outbox, sink);
	return 0;
}

void vmbus_outbox_clear(struct vmbus_outbox *outbox)
{
	while (outbox->head)
		drop_head(outbox);
}
