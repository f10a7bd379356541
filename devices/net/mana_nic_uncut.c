/* A send that the function did not cut: one packet in several buffers, for clients that take them so. */

#include <errno.h>

#include "devices/net/mana_nic_internal.h"

/* Buffers with a packet's bytes, from the first that is posted on, as far as they have been believed. */
struct chain {
	uint32_t size; /* of their entries in the work queue */
	uint32_t left; /* bytes of the packet that have no place yet */
	struct nic_rx *first, **end;
};

/* The one at this place. Whatever comes of the packet, what it says of its length is ours to write. */
static void add_buffer(struct chain *chain, const struct mana_nic_rx *slot)
{
	uint32_t room = nic_rx_capacity(slot->rx);

	slot->rx->len = chain->left < room ? chain->left : room;
	slot->rx->next = NULL;
	chain->left -= slot->rx->len;
	chain->size += slot->size;
	*chain->end = slot->rx;
	chain->end = &slot->rx->next;
}

/* As many as the function says, each of which has a part; what it says of their number may be anything. */
static int make_chain(const struct mana_nic_queue *queue, uint32_t len, uint32_t buffers,
		      struct chain *chain)
{
	*chain = (struct chain){ .left = len, .end = &chain->first };
	if (!len || buffers > NIC_RX_BUFFERS || buffers > queue->rx_count)
		return -EPROTO;
	for (uint32_t i = 0; i < buffers; i++) {
		if (!chain->left)
			return -EPROTO;
		add_buffer(chain, &queue->rx[(queue->rx_first + i) % MANA_NIC_RX_DEPTH]);
	}
	return chain->left ? -EPROTO : 0;
}

int mana_nic_deliver_uncut(struct mana_nic_queue *queue, const struct mana_rx_uncut_comp *comp)
{
	const uint32_t max = __atomic_load_n(&queue->mana->uncut.believed, __ATOMIC_ACQUIRE);
	uint32_t len = comp->packet.len;
	struct chain chain;

	if (len > max || !comp->frames || comp->frames > len ||
	    make_chain(queue, len, comp->buffers, &chain) ||
	    queue->rq.rung - queue->rq.tail < chain.size ||
	    ((comp->wqe_offset ^ queue->rq.tail) & (queue->rq.bytes - 1)))
		return -EPROTO;
	for (uint32_t i = 0; i < comp->buffers; i++)
		mana_nic_take_rx(queue);
	queue->rq.tail += chain.size;
	chain.first->frames = comp->frames;
	chain.first->flags = mana_nic_rx_flags(comp->flags) | NIC_RX_UNCUT;
	chain.first->hash = comp->packet.hash;
	chain.first->vlan_tci = comp->flags & MANA_RX_VLAN_MASK;
	mana_nic_count_own(&queue->stats.rx_frames, 1);
	mana_nic_count_own(&queue->stats.rx_bytes, len);
	queue->client->rx(queue->ctx, chain.first, 0);
	return 0;
}
