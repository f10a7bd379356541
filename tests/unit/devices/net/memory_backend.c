#include "tests/unit/devices/net/memory_backend.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/net_frame.h"

static struct memory_backend *memory_of(struct net_backend *backend)
{
	return container_of(backend, struct memory_backend, backend);
}

static int start(struct net_backend *backend, struct event_loop *loop,
		 const struct net_backend_client *client, void *ctx)
{
	struct memory_backend *memory = memory_of(backend);

	memory->loop = loop;
	memory->client = client;
	memory->ctx = ctx;
	return 0;
}

static void stop(struct net_backend *backend)
{
	memory_of(backend)->client = NULL;
}

/* The next frame to be given back, copied. */
static bool take_frame(struct memory_backend *memory, struct memory_frame *frame)
{
	bool some;

	pthread_mutex_lock(&memory->lock);
	some = memory->reflected < memory->count;
	if (some) {
		*frame = memory->frames[memory->reflected++];
	} else {
		memory->posted = false;
		memory->count = 0;
		memory->reflected = 0;
	}
	pthread_mutex_unlock(&memory->lock);
	return some;
}

/* Posted: the card does not expect frames while it sends one. */
static void give_back(void *ctx)
{
	struct memory_backend *memory = ctx;
	struct memory_frame frame;

	while (take_frame(memory, &frame))
		memory_backend_deliver(memory, frame.bytes, frame.len);
}

static void exchange_addresses(uint8_t *bytes)
{
	for (unsigned int i = 0; i < 6; i++) {
		uint8_t byte = bytes[i];

		bytes[i] = bytes[6 + i];
		bytes[6 + i] = byte;
	}
}

/* True: it is to come back, which nothing has been posted for. */
static bool keep(struct memory_backend *memory, const struct iovec *pieces, int count)
{
	struct memory_frame *frame = &memory->frames[memory->count];
	bool post = memory->reflect && !memory->posted;

	frame->len = 0;
	for (int i = 0; i < count; i++) {
		memcpy(frame->bytes + frame->len, pieces[i].iov_base, pieces[i].iov_len);
		frame->len += pieces[i].iov_len;
	}
	memory->count++;
	if (!memory->reflect)
		return false;
	exchange_addresses(frame->bytes);
	memory->posted = true;
	return post;
}

static void send(struct net_backend *backend, const struct iovec *pieces, int count,
		 const struct net_offload *offload)
{
	struct memory_backend *memory = memory_of(backend);
	size_t len = 0;
	bool post = false;

	for (int i = 0; i < count; i++)
		len += pieces[i].iov_len;
	pthread_mutex_lock(&memory->lock);
	memory->sent++;
	memory->sent_bytes += len;
	memory->offload = offload ? *offload : (struct net_offload){ 0 };
	if (!memory->discard && memory->count < MEMORY_BACKEND_FRAMES &&
	    len <= MEMORY_BACKEND_FRAME)
		post = keep(memory, pieces, count);
	pthread_mutex_unlock(&memory->lock);
	if (post)
		event_loop_post(memory->loop, give_back, memory);
}

static bool full(struct net_backend *backend)
{
	return memory_of(backend)->full;
}

static void pause_reading(struct net_backend *backend, bool on)
{
	memory_of(backend)->paused = on;
}

static const struct net_backend_ops ops = {
	.start = start,
	.stop = stop,
	.pause = pause_reading,
	.full = full,
	.send = send,
};

void memory_backend_init(struct memory_backend *memory)
{
	*memory = (struct memory_backend){ .backend.ops = &ops };
	pthread_mutex_init(&memory->lock, NULL);
	memory->frames = calloc(MEMORY_BACKEND_FRAMES, sizeof(memory->frames[0]));
	if (!memory->frames)
		abort();
}

void memory_backend_fini(struct memory_backend *memory)
{
	free(memory->frames);
	pthread_mutex_destroy(&memory->lock);
}

void memory_backend_set_full(struct memory_backend *memory, bool full)
{
	memory->full = full;
	if (!full && memory->client)
		memory->client->room(memory->ctx);
}

void memory_backend_deliver(struct memory_backend *memory, const uint8_t *frame, size_t len)
{
	if (memory->client)
		memory->client->receive(memory->ctx, frame, len);
}

static void deliver_segment(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
			    size_t payload_len)
{
	struct memory_frame frame = { .len = header_len + payload_len };

	if (frame.len > sizeof(frame.bytes))
		return;
	memcpy(frame.bytes, header, header_len);
	memcpy(frame.bytes + header_len, payload, payload_len);
	memory_backend_deliver(ctx, frame.bytes, frame.len);
}

size_t memory_backend_deliver_send(struct memory_backend *memory, const uint8_t *bytes, size_t len,
				   size_t header_len, size_t mss)
{
	struct net_send send;
	size_t taken;

	if (!memory->client || !net_send_parse(&send, bytes, len, header_len))
		return 0;
	taken = memory->client->receive_send(memory->ctx, &send, mss);
	net_send_cut(&send, taken, mss, deliver_segment, memory);
	return taken;
}
