#include "devices/net/loopback_nic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "core/guest_memory.h"

#define MAX_FRAME (64u * 1024 + 256)

struct loopback_queue {
	bool open, hold, gather;
	const struct nic_queue_client *client;
	void *ctx;
	struct nic_tx *tx[LOOPBACK_RING];
	struct nic_rx *rx[LOOPBACK_RING];
	unsigned int tx_head, tx_count, rx_head, rx_count;
	uint8_t *frame;
};

struct loopback_nic {
	struct nic nic;
	struct loopback_nic_config config;
	pthread_mutex_t lock; /* client, receive, link, opening and closing */
	const struct nic_client *client;
	void *client_ctx;
	struct nic_receive receive;
	uint8_t uncut;
	uint16_t uncut_max;
	bool link_up;
	struct nic_stats stats; /* atomic */
	struct loopback_queue queues[NIC_QUEUES];
};

static struct loopback_nic *loopback_of(struct nic *nic)
{
	return container_of(nic, struct loopback_nic, nic);
}

/* --- Control */

static void get_info(struct nic *nic, struct nic_info *info)
{
	struct loopback_nic *loopback = loopback_of(nic);

	*info = (struct nic_info){
		.mac = { 0x02, 0x15, 0x5D, 1, 2, 3 },
		.max_mtu = 9000,
		.max_queues = loopback->config.queues,
		.rss_entries = 128,
		.tx_offloads = NIC_TX_IP_CHECKSUM | NIC_TX_TCP_CHECKSUM | NIC_TX_UDP_CHECKSUM |
			       NIC_TX_LSO | NIC_TX_VLAN,
		.max_lso = 64u * 1024,
		.bits_per_second = UINT64_C(10000000000),
		.rx_checksums = true,
	};
	pthread_mutex_lock(&loopback->lock);
	info->link_up = loopback->link_up;
	pthread_mutex_unlock(&loopback->lock);
}

static void get_stats(struct nic *nic, struct nic_stats *stats)
{
	struct loopback_nic *loopback = loopback_of(nic);

	*stats = (struct nic_stats){
		.tx_frames = __atomic_load_n(&loopback->stats.tx_frames, __ATOMIC_RELAXED),
		.rx_no_buffer = __atomic_load_n(&loopback->stats.rx_no_buffer, __ATOMIC_RELAXED),
	};
}

static void set_client(struct nic *nic, const struct nic_client *client, void *ctx)
{
	struct loopback_nic *loopback = loopback_of(nic);

	pthread_mutex_lock(&loopback->lock);
	loopback->client = client;
	loopback->client_ctx = ctx;
	pthread_mutex_unlock(&loopback->lock);
}

static int set_receive(struct nic *nic, const struct nic_receive *receive)
{
	struct loopback_nic *loopback = loopback_of(nic);
	int err = 0;

	pthread_mutex_lock(&loopback->lock);
	for (unsigned int i = 0; receive->rss && i < receive->entries; i++)
		if (!loopback->queues[receive->table[i]].open)
			err = -EINVAL;
	if (!err)
		loopback->receive = *receive;
	pthread_mutex_unlock(&loopback->lock);
	return err;
}

static void set_uncut(struct nic *nic, uint8_t versions, uint16_t max)
{
	struct loopback_nic *loopback = loopback_of(nic);

	pthread_mutex_lock(&loopback->lock);
	loopback->uncut = versions;
	loopback->uncut_max = max;
	pthread_mutex_unlock(&loopback->lock);
}

static int queue_open(struct nic *nic, unsigned int number, struct event_loop *loop,
		      const struct nic_queue_client *client, void *ctx)
{
	struct loopback_nic *loopback = loopback_of(nic);
	struct loopback_queue *queue = &loopback->queues[number];

	(void)loop;
	if (number >= loopback->config.queues)
		return -EINVAL;
	if (queue->open)
		return -EBUSY;
	queue->frame = malloc(MAX_FRAME);
	if (!queue->frame)
		return -ENOMEM;
	queue->client = client;
	queue->ctx = ctx;
	pthread_mutex_lock(&loopback->lock);
	queue->open = true;
	pthread_mutex_unlock(&loopback->lock);
	return 0;
}

static void queue_close(struct nic *nic, unsigned int number)
{
	struct loopback_nic *loopback = loopback_of(nic);
	struct loopback_queue *queue = &loopback->queues[number];

	for (; queue->tx_count; queue->tx_count--, queue->tx_head++)
		queue->client->tx_done(queue->ctx, queue->tx[queue->tx_head % LOOPBACK_RING],
				       -ECANCELED);
	for (; queue->rx_count; queue->rx_count--, queue->rx_head++)
		queue->client->rx(queue->ctx, queue->rx[queue->rx_head % LOOPBACK_RING],
				  -ECANCELED);
	free(queue->frame);
	pthread_mutex_lock(&loopback->lock);
	*queue = (struct loopback_queue){ 0 };
	pthread_mutex_unlock(&loopback->lock);
}

/* --- Data */

static int post_tx(struct nic *nic, unsigned int number, struct nic_tx *tx)
{
	struct loopback_queue *queue = &loopback_of(nic)->queues[number];

	if (queue->tx_count == LOOPBACK_RING)
		return -EAGAIN;
	queue->tx[(queue->tx_head + queue->tx_count++) % LOOPBACK_RING] = tx;
	return 0;
}

static int post_rx(struct nic *nic, unsigned int number, struct nic_rx *rx)
{
	struct loopback_queue *queue = &loopback_of(nic)->queues[number];

	if (queue->rx_count == LOOPBACK_RING)
		return -EAGAIN;
	queue->rx[(queue->rx_head + queue->rx_count++) % LOOPBACK_RING] = rx;
	return 0;
}

static int scatter(struct loopback_nic *loopback, const struct nic_rx *rx, const uint8_t *frame,
		   uint32_t len)
{
	for (unsigned int i = 0; i < rx->segment_count && len; i++) {
		uint32_t chunk = rx->segments[i].len < len ? rx->segments[i].len : len;

		if (guest_memory_write(loopback->config.memory, rx->segments[i].gpa, frame, chunk))
			return -EFAULT;
		frame += chunk;
		len -= chunk;
	}
	return len ? -EMSGSIZE : 0;
}

/* Does anything come on it? */
static bool receives(struct loopback_nic *loopback, const struct loopback_queue *queue)
{
	bool enabled;

	pthread_mutex_lock(&loopback->lock);
	enabled = loopback->receive.enabled;
	pthread_mutex_unlock(&loopback->lock);
	return queue->open && enabled;
}

static struct nic_rx *take_buffer(struct loopback_queue *queue)
{
	queue->rx_count--;
	return queue->rx[queue->rx_head++ % LOOPBACK_RING];
}

static void fill_in(struct nic_rx *rx, uint32_t len, const struct nic_rx *meta)
{
	rx->len = len;
	rx->flags = meta->flags;
	rx->hash = meta->hash;
	rx->vlan_tci = meta->vlan_tci;
}

static bool deliver(struct loopback_nic *loopback, unsigned int number, const uint8_t *frame,
		    uint32_t len, const struct nic_rx *meta)
{
	struct loopback_queue *queue = &loopback->queues[number];
	struct nic_rx *rx;

	if (!receives(loopback, queue))
		return false;
	if (!queue->rx_count) {
		__atomic_fetch_add(&loopback->stats.rx_no_buffer, 1, __ATOMIC_RELAXED);
		return false;
	}
	rx = take_buffer(queue);
	fill_in(rx, len, meta);
	queue->client->rx(queue->ctx, rx, scatter(loopback, rx, frame, len));
	return true;
}

/* The first of the buffers, whose memory is filled; what is said of them is not. NULL: there are too few. */
static struct nic_rx *fill_buffers(struct loopback_nic *loopback, struct loopback_queue *queue,
				   const uint8_t *frame, uint32_t len)
{
	struct nic_rx *first = NULL, **end = &first;
	unsigned int used = 0;

	while (len) {
		struct nic_rx *rx = queue->rx[(queue->rx_head + used) % LOOPBACK_RING];
		uint32_t chunk;

		if (used++ == queue->rx_count || used > NIC_RX_BUFFERS)
			return NULL;
		chunk = nic_rx_capacity(rx) < len ? nic_rx_capacity(rx) : len;
		if (scatter(loopback, rx, frame, chunk))
			return NULL;
		rx->len = chunk;
		rx->next = NULL;
		*end = rx;
		end = &rx->next;
		frame += chunk;
		len -= chunk;
	}
	queue->rx_head += used;
	queue->rx_count -= used;
	return first;
}

static int gather(struct loopback_nic *loopback, const struct nic_tx *tx, uint8_t *frame)
{
	if (tx->len > MAX_FRAME)
		return -EINVAL;
	for (unsigned int i = 0; i < tx->segment_count; i++) {
		if (guest_memory_read(loopback->config.memory, tx->segments[i].gpa, frame,
				      tx->segments[i].len))
			return -EFAULT;
		frame += tx->segments[i].len;
	}
	return 0;
}

static void send(struct loopback_nic *loopback, unsigned int number, struct nic_tx *tx)
{
	struct loopback_queue *queue = &loopback->queues[number];
	struct nic_rx meta = { .flags = NIC_RX_TCP_CHECKSUM_OK };
	int err = gather(loopback, tx, queue->frame);

	if (tx->flags & NIC_TX_VLAN) {
		meta.flags |= NIC_RX_VLAN;
		meta.vlan_tci = tx->vlan_tci;
	}
	if (!err && !(loopback->config.sent &&
		      loopback->config.sent(loopback->config.ctx, number, tx, queue->frame)))
		deliver(loopback, number, queue->frame, tx->len, &meta);
	__atomic_fetch_add(&loopback->stats.tx_frames, 1, __ATOMIC_RELAXED);
	queue->client->tx_done(queue->ctx, tx, err);
}

static void kick(struct nic *nic, unsigned int number)
{
	struct loopback_nic *loopback = loopback_of(nic);
	struct loopback_queue *queue = &loopback->queues[number];
	bool some = false;

	while (queue->tx_count && !queue->hold) {
		struct nic_tx *tx = queue->tx[queue->tx_head++ % LOOPBACK_RING];

		queue->tx_count--;
		send(loopback, number, tx);
		some = true;
	}
	if (some)
		queue->client->batch_end(queue->ctx);
}

static const struct nic_ops ops = {
	.get_info = get_info,
	.get_stats = get_stats,
	.set_client = set_client,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.set_receive = set_receive,
	.set_uncut = set_uncut,
	.tx = post_tx,
	.rx_post = post_rx,
	.kick = kick,
};

/* --- For tests */

struct loopback_nic *loopback_nic_create(const struct loopback_nic_config *config)
{
	struct loopback_nic *loopback = calloc(1, sizeof(*loopback));

	if (!loopback)
		return NULL;
	loopback->nic.ops = &ops;
	loopback->config = *config;
	loopback->link_up = true;
	pthread_mutex_init(&loopback->lock, NULL);
	return loopback;
}

void loopback_nic_destroy(struct loopback_nic *loopback)
{
	pthread_mutex_destroy(&loopback->lock);
	free(loopback);
}

struct nic *loopback_nic_nic(struct loopback_nic *loopback)
{
	return &loopback->nic;
}

static const struct nic_rx nothing_known;

static void end_batch(struct loopback_queue *queue)
{
	if (!queue->gather)
		queue->client->batch_end(queue->ctx);
}

bool loopback_nic_deliver(struct loopback_nic *loopback, unsigned int queue, const uint8_t *frame,
			  uint32_t len, const struct nic_rx *meta)
{
	if (!deliver(loopback, queue, frame, len, meta ? meta : &nothing_known))
		return false;
	end_batch(&loopback->queues[queue]);
	return true;
}

bool loopback_nic_deliver_uncut(struct loopback_nic *loopback, unsigned int number,
				const uint8_t *frame, uint32_t len, uint32_t frames,
				const struct nic_rx *meta)
{
	struct loopback_queue *queue = &loopback->queues[number];
	struct nic_rx *first = NULL;

	if (receives(loopback, queue) && len <= loopback->uncut_max)
		first = fill_buffers(loopback, queue, frame, len);
	if (!first)
		return false;
	fill_in(first, first->len, meta ? meta : &nothing_known);
	first->flags |= NIC_RX_UNCUT;
	first->frames = frames;
	queue->client->rx(queue->ctx, first, 0);
	end_batch(queue);
	return true;
}

void loopback_nic_gather(struct loopback_nic *loopback, unsigned int number, bool gather)
{
	struct loopback_queue *queue = &loopback->queues[number];

	if (!queue->open)
		return;
	queue->gather = gather;
	if (!gather)
		queue->client->batch_end(queue->ctx);
}

void loopback_nic_hold(struct loopback_nic *loopback, unsigned int queue, bool hold)
{
	loopback->queues[queue].hold = hold;
	if (!hold && loopback->queues[queue].open)
		kick(&loopback->nic, queue);
}

void loopback_nic_set_link(struct loopback_nic *loopback, bool up)
{
	pthread_mutex_lock(&loopback->lock);
	loopback->link_up = up;
	if (loopback->client)
		loopback->client->link_changed(loopback->client_ctx, up);
	pthread_mutex_unlock(&loopback->lock);
}

const struct nic_receive *loopback_nic_receive(const struct loopback_nic *loopback)
{
	return &loopback->receive;
}

uint8_t loopback_nic_uncut(const struct loopback_nic *loopback)
{
	return loopback->uncut;
}

unsigned int loopback_nic_posted(const struct loopback_nic *loopback, unsigned int queue)
{
	return loopback->queues[queue].rx_count;
}
