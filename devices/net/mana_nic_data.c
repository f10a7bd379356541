/* Frames and buffers of a queue, on its loop. */

#include <errno.h>
#include <string.h>

#include "core/container_of.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/net/mana_nic_internal.h"

/* A whole queue's completions at most in one interrupt: then others of the loop have their turn. */
#define BUDGET 256

/* Of a receive queue: what a device has that has few buffers. 64 KiB in frames of 1,500 bytes are 45. */
#define FEW_BUFFERS (48 * GDMA_WQE_UNIT)

static struct mana_nic_queue *queue_of(struct nic *nic, unsigned int index)
{
	return &((struct mana_nic *)nic)->queues[index];
}

/* --- Sending */

static int add_sge(struct mana_nic_queue *queue, struct mana_nic_list *list, uint64_t gpa,
		   uint32_t len)
{
	struct pci_device_access *pci = queue->mana->config.pci;
	struct gdma_sge *sge = &list->sges[list->count];

	if (pci->ops->dma_address(pci, gpa, len, &sge->address))
		return -EFAULT;
	sge->mem_key = queue->mana->gpa_key;
	sge->size = len;
	list->count++;
	return 0;
}

/* A place in a frame's segments. */
struct cursor {
	const struct nic_tx *tx;
	unsigned int segment;
	uint32_t offset;
};

/* Copies `len` bytes, at most a slot's, into a bounce slot: -EAGAIN: none is free. */
static int bounce(struct mana_nic_queue *queue, struct mana_nic_list *list, struct cursor *at,
		  uint32_t len)
{
	int slot = queue->bounce_used & 1 ? queue->bounce_used & 2 ? -1 : 1 : 0;
	uint8_t *to = queue->bounce + (uint32_t)slot * MANA_NIC_BOUNCE_BYTES;
	uint32_t left = len;

	if (slot < 0 || list->bounce >= 0)
		return slot < 0 ? -EAGAIN : -EINVAL;
	if (len > MANA_NIC_BOUNCE_BYTES)
		return -EINVAL;
	while (left) {
		const struct nic_segment *segment = &at->tx->segments[at->segment];
		uint32_t chunk = segment->len - at->offset;

		if (chunk > left)
			chunk = left;
		if (guest_memory_read(queue->mana->config.memory, segment->gpa + at->offset, to,
				      chunk))
			return -EFAULT;
		to += chunk;
		left -= chunk;
		at->offset += chunk;
		if (at->offset == segment->len) {
			at->segment++;
			at->offset = 0;
		}
	}
	list->sges[list->count++] = (struct gdma_sge){
		.address = queue->bounce_address + (uint32_t)slot * MANA_NIC_BOUNCE_BYTES,
		.mem_key = queue->mana->gpa_key,
		.size = len,
	};
	list->bounce = slot;
	queue->bounce_used |= 1u << slot;
	mana_nic_count(&queue->mana->counters.bounced, 1);
	mana_nic_count(&queue->mana->counters.bounced_bytes, len);
	return 0;
}
_Static_assert(MANA_NIC_BOUNCE_SLOTS == 2, "bounce() chooses between two");

/* The headers of a send to be segmented are an SGE of their own. */
static int add_header(struct mana_nic_queue *queue, struct mana_nic_list *list, struct cursor *at)
{
	const struct nic_tx *tx = at->tx;

	if (tx->segments[0].len < tx->header_len)
		return bounce(queue, list, at, tx->header_len);
	at->offset = tx->header_len;
	if (at->offset == tx->segments[0].len) {
		at->segment = 1;
		at->offset = 0;
	}
	return add_sge(queue, list, tx->segments[0].gpa, tx->header_len);
}

static uint32_t rest_of(const struct cursor *at)
{
	uint32_t len = 0;

	for (unsigned int i = at->segment; i < at->tx->segment_count; i++)
		len += at->tx->segments[i].len;
	return len - at->offset;
}

/* Segments as they are; when they are more than SGEs, the last ones are copied into one. */
static int add_segments(struct mana_nic_queue *queue, struct mana_nic_list *list, struct cursor *at)
{
	while (at->segment < at->tx->segment_count) {
		const struct nic_segment *segment = &at->tx->segments[at->segment];
		int err;

		if (list->count == MANA_NIC_SGES - 1 && at->segment + 1 < at->tx->segment_count)
			return bounce(queue, list, at, rest_of(at));
		err = add_sge(queue, list, segment->gpa + at->offset, segment->len - at->offset);
		if (err)
			return err;
		at->segment++;
		at->offset = 0;
	}
	return 0;
}

static int map_frame(struct mana_nic_queue *queue, const struct nic_tx *tx,
		     struct mana_nic_list *list)
{
	struct cursor at = { .tx = tx };
	int err = 0;

	list->count = 0;
	list->bounce = -1;
	if (tx->flags & NIC_TX_LSO)
		err = add_header(queue, list, &at);
	if (!err)
		err = add_segments(queue, list, &at);
	if (err && list->bounce >= 0)
		queue->bounce_used &= ~(1u << list->bounce);
	return err;
}

static uint32_t fill_oob(const struct mana_nic_queue *queue, const struct nic_tx *tx,
			 struct mana_tx_oob *oob)
{
	const struct mana_nic *mana = queue->mana;
	bool lso = tx->flags & NIC_TX_LSO;
	uint32_t l4 = NIC_TX_TCP_CHECKSUM | NIC_TX_UDP_CHECKSUM | NIC_TX_LSO;

	*oob = (struct mana_tx_oob){
		.flags = (tx->flags & NIC_TX_IPV4 ? MANA_TX_IPV4 : 0) |
			 (tx->flags & NIC_TX_IPV6 ? MANA_TX_IPV6 : 0) |
			 (tx->flags & NIC_TX_IP_CHECKSUM || (lso && tx->flags & NIC_TX_IPV4)
				  ? MANA_TX_IP_CHECKSUM
				  : 0) |
			 (tx->flags & NIC_TX_TCP_CHECKSUM || lso ? MANA_TX_TCP_CHECKSUM : 0) |
			 (tx->flags & NIC_TX_UDP_CHECKSUM ? MANA_TX_UDP_CHECKSUM : 0) |
			 queue->tx_cq.id << MANA_TX_VCQ_SHIFT,
		.placement = (tx->flags & l4 ? tx->l4_offset & MANA_TX_TRANSPORT_MASK : 0) |
			     (queue->sq.id >> 10 & MANA_TX_VSQ_FRAME_MASK)
				     << MANA_TX_VSQ_FRAME_SHIFT,
	};
	if (tx->flags & NIC_TX_VLAN) {
		oob->flags |= MANA_TX_FORMAT_LONG;
		oob->vlan = MANA_TX_INJECT_VLAN |
			    ((uint32_t)tx->vlan_tci >> 13 | (tx->vlan_tci >> 12 & 1u) << 3 |
			     (tx->vlan_tci & 0xFFFu) << 4)
				    << MANA_TX_VLAN_TCI_SHIFT;
	}
	if (mana->vport_offset > 0xFF) {
		oob->flags |= MANA_TX_FORMAT_LONG;
		oob->inner = (uint32_t)mana->vport_offset << MANA_TX_LONG_VPORT_SHIFT;
	} else {
		oob->placement |= (uint32_t)mana->vport_offset << MANA_TX_SHORT_VPORT_SHIFT;
	}
	return oob->flags & MANA_TX_FORMAT_MASK ? GDMA_OOB_LARGE : GDMA_OOB_SMALL;
}

static void add_failed(struct mana_nic_queue *queue, struct nic_tx *tx)
{
	tx->next = NULL;
	*queue->failed_end = tx;
	queue->failed_end = &tx->next;
}

static bool is_dead(const struct mana_nic *mana)
{
	return __atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_DEAD;
}

static void post_frame(struct mana_nic_queue *queue, struct nic_tx *tx,
		       const struct mana_nic_list *list)
{
	struct mana_tx_oob oob;
	uint32_t oob_size = fill_oob(queue, tx, &oob), flags = 0, vbytes = 0;
	struct mana_nic_tx *slot =
		&queue->tx[(queue->tx_first + queue->tx_count++) % MANA_NIC_TX_DEPTH];

	if (tx->flags & NIC_TX_LSO) {
		flags = GDMA_WQE_OOB_IN_SGL | (uint32_t)tx->mss << GDMA_WQE_DATA_UNIT_SHIFT;
		vbytes = tx->header_len;
	}
	slot->tx = tx;
	slot->bounce = (int8_t)list->bounce;
	slot->size = (uint16_t)mana_nic_wq_post(&queue->sq, flags, vbytes, &oob, oob_size,
						list->sges, list->count);
}

int mana_nic_tx(struct nic *nic, unsigned int index, struct nic_tx *tx)
{
	struct mana_nic_queue *queue = queue_of(nic, index);
	int err;

	if (!queue->live) {
		if (!is_dead(queue->mana))
			return -EAGAIN;
		add_failed(queue, tx);
		return 0;
	}
	if (queue->tx_count == MANA_NIC_TX_DEPTH || !mana_nic_wq_has_room(&queue->sq, GDMA_SQE_MAX))
		return -EAGAIN;
	err = map_frame(queue, tx, &queue->list);
	if (err == -EAGAIN)
		return -EAGAIN;
	if (err)
		add_failed(queue, tx);
	else
		post_frame(queue, tx, &queue->list);
	return 0;
}

/* --- Receiving */

/* False: no room. A buffer that the device cannot reach is not asked for: its owner checked. */
static bool post_buffer(struct mana_nic_queue *queue, struct mana_nic_rx *slot)
{
	static const uint8_t oob[GDMA_OOB_SMALL];
	struct mana_nic_list *list = &queue->list;

	list->count = 0;
	for (unsigned int i = 0; i < slot->rx->segment_count; i++)
		if (add_sge(queue, list, slot->rx->segments[i].gpa, slot->rx->segments[i].len))
			return false;
	if (!mana_nic_wq_has_room(&queue->rq, mana_nic_wqe_size(sizeof(oob), list->count)))
		return false;
	slot->size = (uint16_t)mana_nic_wq_post(&queue->rq, 0, 0, oob, sizeof(oob), list->sges,
						list->count);
	return true;
}

int mana_nic_rx_post(struct nic *nic, unsigned int index, struct nic_rx *rx)
{
	struct mana_nic_queue *queue = queue_of(nic, index);
	struct mana_nic_rx *slot =
		&queue->rx[(queue->rx_first + queue->rx_count) % MANA_NIC_RX_DEPTH];

	if (!queue->live || queue->rx_count == MANA_NIC_RX_DEPTH)
		return -EAGAIN;
	slot->rx = rx;
	if (!post_buffer(queue, slot))
		return -EAGAIN;
	queue->rx_count++;
	return 0;
}

/* After a reset: what was posted before. The ring is as large as then, so there is room. */
void mana_nic_repost(struct mana_nic_queue *queue)
{
	for (unsigned int i = 0; i < queue->rx_count; i++)
		post_buffer(queue, &queue->rx[(queue->rx_first + i) % MANA_NIC_RX_DEPTH]);
}

static void return_failed(struct mana_nic_queue *queue, int err)
{
	struct nic_tx *tx = queue->failed;

	queue->failed = NULL;
	queue->failed_end = &queue->failed;
	while (tx) {
		struct nic_tx *next = tx->next;

		mana_nic_count_own(&queue->stats.tx_errors, 1);
		queue->client->tx_done(queue->ctx, tx, err);
		tx = next;
	}
}

/* --- Back to the client */

static struct mana_nic_tx take_tx(struct mana_nic_queue *queue)
{
	struct mana_nic_tx slot = queue->tx[queue->tx_first];

	queue->tx_first = (queue->tx_first + 1) % MANA_NIC_TX_DEPTH;
	queue->tx_count--;
	if (slot.bounce >= 0)
		queue->bounce_used &= ~(1u << slot.bounce);
	return slot;
}

struct mana_nic_rx mana_nic_take_rx(struct mana_nic_queue *queue)
{
	struct mana_nic_rx slot = queue->rx[queue->rx_first];

	queue->rx_first = (queue->rx_first + 1) % MANA_NIC_RX_DEPTH;
	queue->rx_count--;
	return slot;
}

void mana_nic_return_tx(struct mana_nic_queue *queue, int err)
{
	while (queue->tx_count)
		queue->client->tx_done(queue->ctx, take_tx(queue).tx, err);
	return_failed(queue, err);
}

void mana_nic_return_rx(struct mana_nic_queue *queue)
{
	while (queue->rx_count)
		queue->client->rx(queue->ctx, mana_nic_take_rx(queue).rx, -ECANCELED);
}

/* --- Completions. -EPROTO: the device says what cannot be. */

static int complete_tx(struct mana_nic_queue *queue, const struct gdma_cqe *cqe)
{
	const struct mana_tx_comp *comp = (const void *)cqe->data; /* a copy already */
	struct mana_nic_tx slot;
	bool ok;

	if (!(cqe->info & GDMA_CQE_IS_SQ) || (cqe->info & GDMA_CQE_WQ_MASK) != queue->sq.id ||
	    !queue->tx_count ||
	    (comp->header >> MANA_CQE_CLIENT_SHIFT & MANA_CQE_CLIENT_MASK) != MANA_CQE_COMPLETION)
		return -EPROTO;
	/* Entries the device has not been told of it cannot have sent. */
	slot = queue->tx[queue->tx_first];
	if (queue->sq.rung - queue->sq.tail < slot.size)
		return -EPROTO;
	ok = (comp->header & MANA_CQE_TYPE_MASK) == MANA_CQE_TX_OKAY;
	take_tx(queue);
	queue->sq.tail += slot.size;
	mana_nic_count_own(ok ? &queue->stats.tx_frames : &queue->stats.tx_errors, 1);
	if (ok)
		mana_nic_count_own(&queue->stats.tx_bytes, slot.tx->len);
	queue->client->tx_done(queue->ctx, slot.tx, ok ? 0 : -EINVAL);
	return 0;
}

uint16_t mana_nic_rx_flags(uint32_t flags)
{
	static const struct {
		uint32_t mana;
		uint16_t nic;
	} bits[] = {
		{ MANA_RX_IP_OK, NIC_RX_IP_CHECKSUM_OK },
		{ MANA_RX_IP_BAD, NIC_RX_IP_CHECKSUM_BAD },
		{ MANA_RX_TCP_OK, NIC_RX_TCP_CHECKSUM_OK },
		{ MANA_RX_TCP_BAD, NIC_RX_TCP_CHECKSUM_BAD },
		{ MANA_RX_UDP_OK, NIC_RX_UDP_CHECKSUM_OK },
		{ MANA_RX_UDP_BAD, NIC_RX_UDP_CHECKSUM_BAD },
		{ MANA_RX_VLAN_PRESENT, NIC_RX_VLAN },
	};
	uint16_t nic = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (flags & bits[i].mana)
			nic |= bits[i].nic;
	if (flags >> MANA_RX_HASH_TYPE_SHIFT & MANA_RX_HASH_TYPE_MASK)
		nic |= NIC_RX_HASH;
	return nic;
}

static int deliver(struct mana_nic_queue *queue, const struct mana_rx_comp *comp, bool truncated)
{
	struct mana_nic_rx slot;
	uint32_t len = comp->packets[0].len & 0xFFFF;

	if (!queue->rx_count)
		return -EPROTO;
	slot = queue->rx[queue->rx_first];
	if (queue->rq.rung - queue->rq.tail < slot.size ||
	    ((comp->wqe_offset ^ queue->rq.tail) & (queue->rq.bytes - 1)) ||
	    (!truncated && len > nic_rx_capacity(slot.rx)))
		return -EPROTO;
	mana_nic_take_rx(queue);
	queue->rq.tail += slot.size;
	slot.rx->len = len;
	slot.rx->flags = mana_nic_rx_flags(comp->flags);
	slot.rx->hash = comp->packets[0].hash;
	slot.rx->vlan_tci = comp->flags & MANA_RX_VLAN_MASK;
	mana_nic_count_own(truncated ? &queue->stats.rx_errors : &queue->stats.rx_frames, 1);
	mana_nic_count_own(&queue->stats.rx_bytes, truncated ? 0 : len);
	queue->client->rx(queue->ctx, slot.rx, truncated ? -EMSGSIZE : 0);
	return 0;
}

static int complete_rx(struct mana_nic_queue *queue, const struct gdma_cqe *cqe)
{
	const struct mana_rx_comp *comp = (const void *)cqe->data; /* a copy already */

	if ((cqe->info & GDMA_CQE_IS_SQ) || (cqe->info & GDMA_CQE_WQ_MASK) != queue->rq.id ||
	    (comp->header >> MANA_CQE_CLIENT_SHIFT & MANA_CQE_CLIENT_MASK) != MANA_CQE_COMPLETION)
		return -EPROTO;
	switch (comp->header & MANA_CQE_TYPE_MASK) {
	case MANA_CQE_RX_OKAY:
		return deliver(queue, comp, false);
	case MANA_CQE_RX_TRUNCATED:
		return deliver(queue, comp, true);
	case MANA_CQE_RX_OBJECT_FENCE:
		return 0;
	case MANA_CQE_RX_UNCUT:
		return mana_nic_deliver_uncut(queue, (const void *)cqe->data);
	}
	return -EPROTO; /* coalescing was not asked for */
}

/* How many, or -EPROTO. */
static int drain(struct mana_nic_queue *queue, struct mana_nic_ring *cq,
		 int (*complete)(struct mana_nic_queue *queue, const struct gdma_cqe *cqe))
{
	struct gdma_cqe cqe;
	int some, taken = 0;

	while (taken < BUDGET && (some = mana_nic_ring_take(cq, &cqe))) {
		if (some < 0 || complete(queue, &cqe))
			return -EPROTO;
		taken++;
	}
	return taken;
}

static int take_events(struct mana_nic_queue *queue)
{
	struct gdma_eqe eqe;
	int some;

	/* Both completion queues are looked at. Which of them it was is not armed any more, though. */
	queue->idle++;
	while ((some = mana_nic_ring_take(&queue->eq, &eqe)) > 0) {
		uint32_t cq = eqe.details[0] & GDMA_EQE_CQ_MASK;

		queue->idle = 0;
		if (cq == queue->tx_cq.id)
			queue->tx_armed = false;
		else if (cq == queue->rx_cq.id)
			queue->rx_armed = false;
	}
	return queue->idle > MANA_NIC_IDLE_MAX ? -EPROTO : some;
}

static void disbelieve(struct mana_nic_queue *queue)
{
	queue->live = false; /* nothing that it writes is looked at any more */
	mana_nic_poll_end(queue);
	mana_nic_fail(queue->mana, "a queue says what cannot be");
}

/* Of both completion queues: how many, the client being owed a batch_end(). */
static int take_completions(struct mana_nic_queue *queue, bool *received)
{
	int tx = drain(queue, &queue->tx_cq, complete_tx);
	int rx = tx < 0 ? tx : drain(queue, &queue->rx_cq, complete_rx);

	*received = rx > 0;
	if (rx >= 0)
		return tx + rx;
	disbelieve(queue);
	return tx > 0;
}

bool mana_nic_look(struct mana_nic_queue *queue)
{
	bool received;

	if (take_completions(queue, &received))
		queue->client->batch_end(queue->ctx);
	return received;
}

/* --- Doorbells */

/*
 * A quarter of what there is at a time, for each doorbell is an exit; or any, when the device has few. So one that has run out is told
 * when there is something again: this is looked at whenever buffers were given, and whenever the device has used some.
 */
static bool wants_buffers(const struct mana_nic_wq *rq)
{
	uint32_t told = rq->rung - rq->tail, untold = rq->head - rq->rung;

	return untold && (told < FEW_BUFFERS || untold >= told / 3);
}

static void tell_of_buffers(struct mana_nic_queue *queue)
{
	struct mana_nic *mana = queue->mana;

	if (!queue->live || !wants_buffers(&queue->rq))
		return;
	queue->rq.rung = queue->rq.head;
	mana_nic_doorbell(mana, mana->doorbell, GDMA_DOORBELL_RQ, queue->rq.id, queue->rq.head,
			  false);
}

static bool tell_of_frames(struct mana_nic_queue *queue)
{
	struct mana_nic *mana = queue->mana;

	if (!queue->live || queue->sq.rung == queue->sq.head)
		return false;
	queue->sq.rung = queue->sq.head;
	mana_nic_doorbell(mana, mana->doorbell, GDMA_DOORBELL_SQ, queue->sq.id, queue->sq.head,
			  false);
	return true;
}

static void arm_ring(struct mana_nic_queue *queue, const struct mana_nic_ring *ring, uint32_t place,
		     bool *armed)
{
	if (*armed)
		return;
	*armed = true;
	mana_nic_doorbell(queue->mana, queue->mana->doorbell, place, ring->id,
			  mana_nic_ring_tail(ring), true);
}

/*
 * Sends that are under way are to be heard of, and received frames when nobody looks for them. What is armed already need not be
 * told of it: each doorbell is an exit. (Arming a queue that has entries that were not seen interrupts at once.)
 */
void mana_nic_arm(struct mana_nic_queue *queue)
{
	if (!queue->live)
		return;
	if (queue->tx_count)
		arm_ring(queue, &queue->tx_cq, GDMA_DOORBELL_CQ, &queue->tx_armed);
	if (!queue->poll.on)
		arm_ring(queue, &queue->rx_cq, GDMA_DOORBELL_CQ, &queue->rx_armed);
	if (queue->tx_armed || queue->rx_armed)
		arm_ring(queue, &queue->eq, GDMA_DOORBELL_EQ, &queue->eq_armed);
}

/*
 * A device that is emulated may have sent all when the doorbell comes back, and its interrupt costs more than the sends.
 * So it is asked for only when something is left. Answers may have come, too.
 */
void mana_nic_kick(struct nic *nic, unsigned int index)
{
	struct mana_nic_queue *queue = queue_of(nic, index);
	bool failed = queue->failed, sent, received;
	int some = 0;

	tell_of_buffers(queue);
	sent = tell_of_frames(queue);
	if (queue->live && (sent || queue->poll.on)) {
		some = take_completions(queue, &received);
		mana_nic_poll_looked(queue, received);
		mana_nic_arm(queue);
	}
	if (failed)
		return_failed(queue, is_dead(queue->mana) ? -EIO : -EFAULT);
	if (failed || some)
		queue->client->batch_end(queue->ctx);
}

/*
 * Events go first: the completions that they tell of are found then, and an event that comes later is
 * still in its queue when that is armed, which makes the device interrupt at once.
 */
void mana_nic_interrupt(struct pci_interrupt *interrupt)
{
	struct mana_nic_queue *queue = container_of(interrupt, struct mana_nic_queue, interrupt);

	mana_nic_count(&queue->mana->counters.interrupts, 1);
	if (!queue->live)
		return;
	queue->eq_armed = false;
	if (take_events(queue)) {
		disbelieve(queue);
		return;
	}
	if (mana_nic_look(queue))
		queue->poll.in_place = 0; /* they came otherwise */
	if (queue->live)
		tell_of_buffers(queue);
	mana_nic_arm(queue);
}
