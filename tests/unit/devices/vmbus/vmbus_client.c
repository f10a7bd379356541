#include "tests/unit/devices/vmbus/vmbus_client.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "devices/vmbus/vmbus_server.h"

/* --- The transport */

static int post_message(void *ctx, uint32_t vp, uint8_t sint, uint32_t type, const void *payload,
			size_t len)
{
	struct client *client = ctx;
	struct client_message *message;
	int err = -EAGAIN;

	if (vp >= CLIENT_VPS || type != VMBUS_HV_MESSAGE_TYPE)
		return -EINVAL;
	pthread_mutex_lock(&client->lock);
	if (client->message_count < CLIENT_MESSAGES) {
		message = &client->messages[(client->message_head + client->message_count++) %
					    CLIENT_MESSAGES];
		message->vp = vp;
		message->sint = sint;
		message->len = len;
		memset(message->bytes, 0, sizeof(message->bytes));
		memcpy(message->bytes, payload, len);
		pthread_cond_broadcast(&client->arrived);
		err = 0;
	}
	pthread_mutex_unlock(&client->lock);
	return err;
}

static int signal_event(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag)
{
	struct client *client = ctx;

	(void)sint;
	if (vp >= CLIENT_VPS || flag >= CLIENT_FLAGS)
		return -EINVAL;
	__atomic_store_n(&client->event_vp[flag], vp, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&client->lock);
	__atomic_fetch_add(&client->events[flag], 1, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&client->arrived);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

uint32_t client_events(struct client *client, uint32_t relid)
{
	return __atomic_load_n(&client->events[relid], __ATOMIC_SEQ_CST);
}

static struct timespec deadline_in(unsigned int seconds)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += seconds;
	return deadline;
}

bool client_wait_event(struct client *client, uint32_t relid, uint32_t seen, unsigned int seconds)
{
	struct timespec deadline = deadline_in(seconds);
	int err = 0;

	pthread_mutex_lock(&client->lock);
	while (client_events(client, relid) == seen && !err)
		err = pthread_cond_timedwait(&client->arrived, &client->lock, &deadline);
	pthread_mutex_unlock(&client->lock);
	return !err;
}

bool client_wait_message(struct client *client, unsigned int seconds)
{
	struct timespec deadline = deadline_in(seconds);
	int err = 0;

	pthread_mutex_lock(&client->lock);
	while (!client->message_count && !err)
		err = pthread_cond_timedwait(&client->arrived, &client->lock, &deadline);
	pthread_mutex_unlock(&client->lock);
	return !err;
}

static struct event_loop *vp_loop(void *ctx, uint32_t vp)
{
	struct client *client = ctx;

	return vp < CLIENT_VPS ? client->loops[vp] : NULL;
}

static const struct vmbus_transport_ops transport = {
	.post_message = post_message,
	.signal_event = signal_event,
	.vp_loop = vp_loop,
};

/* --- Start and end */

int client_init(struct client *client, uint8_t vtl, uint32_t max_version)
{
	struct vmbus_server_config config = {
		.ops = &transport, .ctx = client, .vtl = vtl, .max_version = max_version
	};

	memset(client, 0, sizeof(*client));
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->arrived, NULL);
	client->next_gpadl = 0xE1E10;
	client->ram =
		mmap(NULL, CLIENT_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (client->ram == MAP_FAILED)
		return -ENOMEM;
	for (int vp = 0; vp < CLIENT_VPS; vp++) {
		client->loops[vp] = event_loop_create();
		if (!client->loops[vp])
			return -errno;
	}
	client->memory = guest_memory_create();
	if (!client->memory || guest_memory_add(client->memory, 0, client->ram, CLIENT_RAM))
		return -ENOMEM;
	config.memory = client->memory;
	client->server = vmbus_server_create(&config);
	return client->server ? 0 : -ENOMEM;
}

void client_fini(struct client *client)
{
	vmbus_server_reset(client->server);
	client_run(client);
	vmbus_server_destroy(client->server);
	guest_memory_destroy(client->memory);
	for (int vp = 0; vp < CLIENT_VPS; vp++)
		event_loop_destroy(client->loops[vp]);
	munmap(client->ram, CLIENT_RAM);
	pthread_cond_destroy(&client->arrived);
	pthread_mutex_destroy(&client->lock);
}

void client_run(struct client *client)
{
	int handled;

	do {
		handled = 0;
		for (int vp = 0; vp < CLIENT_VPS; vp++)
			handled += event_loop_run_once(client->loops[vp], 0);
	} while (handled > 0);
}

static void stop(void *ctx)
{
	*(bool *)ctx = true;
}

static void *run_loop(void *ctx)
{
	struct client_thread *thread = ctx;

	while (!thread->stopping)
		event_loop_run_once(thread->loop, -1);
	return NULL;
}

static void stop_loops(struct client *client, int count)
{
	for (int vp = 0; vp < count; vp++) {
		struct client_thread *thread = &client->threads[vp];

		event_loop_post(thread->loop, stop, &thread->stopping);
		pthread_join(thread->thread, NULL);
	}
}

int client_start_loops(struct client *client)
{
	for (int vp = 0; vp < CLIENT_VPS; vp++) {
		struct client_thread *thread = &client->threads[vp];
		int err;

		thread->loop = client->loops[vp];
		thread->stopping = false;
		err = pthread_create(&thread->thread, NULL, run_loop, thread);
		if (err) {
			stop_loops(client, vp);
			return -err;
		}
	}
	return 0;
}

void client_stop_loops(struct client *client)
{
	stop_loops(client, CLIENT_VPS);
}

/* --- Messages */

int client_post(struct client *client, const void *msg, size_t len)
{
	return vmbus_server_handle_message(client->server, VMBUS_MESSAGE_CONNECTION_ID_4,
					   VMBUS_HV_MESSAGE_TYPE, msg, len);
}

const void *client_take(struct client *client, uint32_t msgtype)
{
	static _Thread_local _Alignas(8) uint8_t taken[VMBUS_MESSAGE_MAX];
	struct vmbus_channel_message_header header;
	bool found = false;

	pthread_mutex_lock(&client->lock);
	if (client->message_count) {
		memcpy(taken, client->messages[client->message_head].bytes, sizeof(taken));
		memcpy(&header, taken, sizeof(header));
		found = header.msgtype == msgtype;
		client->message_head = (client->message_head + 1) % CLIENT_MESSAGES;
		client->message_count--;
	}
	pthread_mutex_unlock(&client->lock);
	vmbus_server_message_slot_free(client->server);
	return found ? taken : NULL;
}

unsigned int client_message_count(struct client *client)
{
	unsigned int count;

	pthread_mutex_lock(&client->lock);
	count = client->message_count;
	pthread_mutex_unlock(&client->lock);
	return count;
}

void client_drop_messages(struct client *client)
{
	while (client_message_count(client))
		client_take(client, CHANNELMSG_INVALID);
}

bool client_connect(struct client *client, uint32_t version)
{
	struct vmbus_channel_initiate_contact msg = {
		.header.msgtype = CHANNELMSG_INITIATE_CONTACT,
		.vmbus_version_requested = version,
		.msg_sint = VMBUS_MESSAGE_SINT,
	};
	const struct vmbus_channel_version_response *response;

	client_post(client, &msg, sizeof(msg));
	client_run(client);
	response = client_take(client, CHANNELMSG_VERSION_RESPONSE);
	return response && response->version_supported &&
	       response->connection_state == VMBUS_CONNECTION_SUCCESSFUL;
}

/* --- GPADLs: as many words as fit in the header message, the rest in bodies. */

static void post_gpadl(struct client *client, uint32_t relid, uint32_t gpadl, uint16_t ranges,
		       const uint64_t *words, size_t count)
{
	_Alignas(8) uint8_t buf[VMBUS_MESSAGE_MAX];
	struct vmbus_channel_gpadl_header header = {
		.header.msgtype = CHANNELMSG_GPADL_HEADER,
		.child_relid = relid,
		.gpadl = gpadl,
		.range_buflen = (uint16_t)(count * 8),
		.rangecount = ranges,
	};
	struct vmbus_channel_gpadl_body body = {
		.header.msgtype = CHANNELMSG_GPADL_BODY,
		.gpadl = gpadl,
	};
	size_t n = (sizeof(buf) - sizeof(header)) / 8;

	n = n < count ? n : count;
	memcpy(buf, &header, sizeof(header));
	memcpy(buf + sizeof(header), words, n * 8);
	client_post(client, buf, sizeof(header) + n * 8);
	for (words += n, count -= n; count; words += n, count -= n) {
		n = (sizeof(buf) - sizeof(body)) / 8;
		n = n < count ? n : count;
		memcpy(buf, &body, sizeof(body));
		memcpy(buf + sizeof(body), words, n * 8);
		client_post(client, buf, sizeof(body) + n * 8);
		body.msgnumber++;
	}
}

uint32_t client_gpadl_words(struct client *client, uint32_t relid, uint32_t gpadl, uint16_t ranges,
			    const uint64_t *words, size_t count)
{
	const struct vmbus_channel_gpadl_created *created;

	post_gpadl(client, relid, gpadl, ranges, words, count);
	created = client_take(client, CHANNELMSG_GPADL_CREATED);
	return created && created->gpadl == gpadl && created->child_relid == relid
		       ? created->creation_status
		       : UINT32_MAX;
}

static size_t one_range(uint64_t *words, uint64_t gpa, uint32_t bytes)
{
	struct gpa_range range = { .byte_count = bytes, .byte_offset = gpa % VMBUS_PAGE_SIZE };
	size_t pages = (range.byte_offset + bytes + VMBUS_PAGE_SIZE - 1) / VMBUS_PAGE_SIZE;

	memcpy(&words[0], &range, sizeof(range));
	for (size_t i = 0; i < pages; i++)
		words[1 + i] = gpa / VMBUS_PAGE_SIZE + i;
	return 1 + pages;
}

uint32_t client_gpadl(struct client *client, uint32_t relid, uint32_t gpadl, uint64_t gpa,
		      uint32_t bytes)
{
	uint64_t words[1 + CLIENT_RAM / VMBUS_PAGE_SIZE + 1];
	size_t count = one_range(words, gpa, bytes);

	return client_gpadl_words(client, relid, gpadl, 1, words, count);
}

bool client_gpadl_teardown(struct client *client, uint32_t relid, uint32_t gpadl)
{
	struct vmbus_channel_gpadl_teardown msg = {
		.header.msgtype = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = relid,
		.gpadl = gpadl,
	};
	const struct vmbus_channel_gpadl_torndown *torndown;

	client_post(client, &msg, sizeof(msg));
	client_run(client);
	torndown = client_take(client, CHANNELMSG_GPADL_TORNDOWN);
	return torndown && torndown->gpadl == gpadl;
}

/* --- Channels */

static struct client_ring ring_at(struct client *client, uint64_t gpa, uint32_t pages)
{
	struct client_ring ring = {
		.control = (struct hv_ring_buffer *)(void *)(client->ram + gpa),
		.data = client->ram + gpa + VMBUS_PAGE_SIZE,
		.size = (pages - 1) * VMBUS_PAGE_SIZE,
	};

	memset(ring.control, 0, sizeof(*ring.control));
	ring.control->feature_bits = VMBUS_RING_FEATURE_PENDING_SEND_SIZE;
	return ring;
}

void client_open_start(struct client *client, struct client_channel *channel, uint32_t relid,
		       uint32_t connection_id, uint32_t vp, uint64_t gpa, uint32_t pages)
{
	struct vmbus_channel_open_channel msg = {
		.header.msgtype = CHANNELMSG_OPENCHANNEL,
		.child_relid = relid,
		.openid = relid,
		.ringbuffer_gpadlhandle = client->next_gpadl++,
		.target_vp = vp,
		.downstream_ringbuffer_pageoffset = pages,
	};

	*channel = (struct client_channel){
		.client = client,
		.relid = relid,
		.connection_id = connection_id,
		.gpadl = msg.ringbuffer_gpadlhandle,
		.out = ring_at(client, gpa, pages),
		.in = ring_at(client, gpa + (uint64_t)pages * VMBUS_PAGE_SIZE, pages),
	};
	client_gpadl(client, relid, channel->gpadl, gpa, 2 * pages * VMBUS_PAGE_SIZE);
	client_post(client, &msg, sizeof(msg));
}

uint32_t client_open(struct client *client, struct client_channel *channel, uint32_t relid,
		     uint32_t connection_id, uint32_t vp, uint64_t gpa, uint32_t pages)
{
	const struct vmbus_channel_open_result *result;

	client_open_start(client, channel, relid, connection_id, vp, gpa, pages);
	client_run(client);
	result = client_take(client, CHANNELMSG_OPENCHANNEL_RESULT);
	return result && result->child_relid == relid && result->openid == relid ? result->status
										 : UINT32_MAX;
}

void client_close(struct client_channel *channel)
{
	struct vmbus_channel_id_message msg = {
		.header.msgtype = CHANNELMSG_CLOSECHANNEL,
		.child_relid = channel->relid,
	};

	client_post(channel->client, &msg, sizeof(msg));
}

/* --- Rings */

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static uint32_t used(const struct client_ring *ring, uint32_t read, uint32_t write)
{
	return (write + ring->size - read) % ring->size;
}

static uint32_t put(const struct client_ring *ring, uint32_t at, const void *data, size_t len)
{
	size_t first = ring->size - at < len ? ring->size - at : len;

	if (len) {
		memcpy(ring->data + at, data, first);
		memcpy(ring->data, (const uint8_t *)data + first, len - first);
	}
	return (uint32_t)((at + len) % ring->size);
}

static uint32_t get(const struct client_ring *ring, uint32_t at, void *data, size_t len)
{
	size_t first = ring->size - at < len ? ring->size - at : len;

	memcpy(data, ring->data + at, first);
	memcpy((uint8_t *)data + first, ring->data, len - first);
	return (uint32_t)((at + len) % ring->size);
}

static void signal_server(struct client_channel *channel)
{
	vmbus_server_handle_signal(channel->client->server, channel->connection_id, 0);
}

int client_send(struct client_channel *channel, uint16_t type, uint16_t flags, uint64_t trans_id,
		const void *extension, size_t extension_len, const void *payload, size_t len)
{
	static const uint8_t zero[8];
	struct client_ring *ring = &channel->out;
	uint32_t start = load(&ring->control->write_index), at = start;
	size_t padded = (len + 7) & ~(size_t)7;
	struct vmpacket_descriptor desc = {
		.type = type,
		.offset8 = (uint16_t)((sizeof(desc) + extension_len) / 8),
		.len8 = (uint16_t)((sizeof(desc) + extension_len + padded) / 8),
		.flags = flags,
		.trans_id = trans_id,
	};
	size_t needed = sizeof(desc) + extension_len + padded + 8;
	uint64_t trailer = (uint64_t)start << 32;

	if (start >= ring->size)
		return -EPROTO;
	if (ring->size - used(ring, load(&ring->control->read_index), start) <= needed) {
		store(&ring->control->pending_send_sz, (uint32_t)needed);
		if (ring->size - used(ring, load(&ring->control->read_index), start) <= needed)
			return -EAGAIN;
	}
	if (load(&ring->control->pending_send_sz))
		store(&ring->control->pending_send_sz, 0);
	at = put(ring, at, &desc, sizeof(desc));
	at = put(ring, at, extension, extension_len);
	at = put(ring, at, payload, len);
	at = put(ring, at, zero, padded - len);
	at = put(ring, at, &trailer, sizeof(trailer));
	store(&ring->control->write_index, at);
	if (!load(&ring->control->interrupt_mask) && load(&ring->control->read_index) == start)
		signal_server(channel);
	return 0;
}

int client_receive(struct client_channel *channel, void *buf, size_t size)
{
	struct client_ring *ring = &channel->in;
	uint32_t start = load(&ring->control->read_index), at;
	uint32_t write = load(&ring->control->write_index);
	uint32_t pending, before, after;
	struct vmpacket_descriptor desc;
	struct vmpacket_trailer trailer;
	size_t len;

	if (start >= ring->size || write >= ring->size)
		return -EPROTO;
	if (start == write)
		return -EAGAIN;
	get(ring, start, &desc, sizeof(desc));
	len = desc.len8 * 8u;
	if (len < sizeof(desc) || len + 8 > used(ring, start, write) || len > size)
		return -EPROTO;
	at = get(ring, start, buf, len);
	at = get(ring, at, &trailer, sizeof(trailer));
	if (trailer.offset != start)
		return -EPROTO;
	store(&ring->control->read_index, at);

	/* As drivers/hv decides it: signal on the step from too little room to enough. */
	pending = load(&ring->control->pending_send_sz);
	write = load(&ring->control->write_index);
	before = ring->size - used(ring, start, write);
	after = ring->size - used(ring, at, write);
	if (pending && before <= pending && after > pending)
		signal_server(channel);
	return (int)len;
}
