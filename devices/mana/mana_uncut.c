/*
 * Sends from the network that are not cut: the driver gets the first frames of one, mostly all of them, as one packet in
 * several of its buffers. It asked for that; whatever stands against it, the send comes as frames. On the loop.
 */

#include <string.h>
#include <sys/uio.h>

#include "core/net_backend.h"
#include "core/net_frame.h"
#include "core/tcp_unit.h"
#include "devices/mana/mana_internal.h"
#include "proto/inet.h"

/* A packet while it is written, and what is left of it. */
struct packet {
	struct iovec pieces[2]; /* headers, payload */
	size_t left;
	uint32_t buffers;
};

/* Whose frames, one by one, netvsp or its like would make one of. */
static bool is_plain(const struct net_send *send)
{
	struct tcp_segment segment;

	if (send->len < sizeof(segment.headers))
		return false;
	memcpy(segment.headers, send->bytes, sizeof(segment.headers));
	return tcp_segment_parse(&segment, (uint32_t)send->len) && segment.header_len;
}

static bool is_wanted(const struct mana *mana, const struct net_send *send, size_t mss)
{
	uint32_t version = send->frame.ipv6 ? MANA_UNCUT_IPV6 : MANA_UNCUT_IPV4;

	return (mana->uncut.versions & version) && mana->steering.enabled &&
	       !mana_backlog_waits(mana) && !(send->bytes[0] & 1) &&
	       mana_is_ours(mana, send->bytes) &&
	       send->header_len + mss <= mana->config.mtu + ETHERNET_HEADER && is_plain(send);
}

/* Payload that one packet may have; no more than is there. */
static size_t payload_of(const struct mana *mana, const struct net_send *send, size_t mss)
{
	size_t payload = send->len - send->header_len, max = mana->uncut.max_len;

	if (max < send->len)
		payload = max < send->header_len ? 0 : (max - send->header_len) / mss * mss;
	return payload;
}

/* The next `len` bytes. False: there is no such memory. */
static bool write_piece(struct mana *mana, struct packet *packet, uint64_t address, size_t len)
{
	for (unsigned int i = 0; i < 2 && len; i++) {
		struct iovec *piece = &packet->pieces[i];
		size_t chunk = piece->iov_len < len ? piece->iov_len : len;

		if (chunk && mana_dma_write(mana, address, piece->iov_base, chunk))
			return false;
		piece->iov_base = (uint8_t *)piece->iov_base + chunk;
		piece->iov_len -= chunk;
		packet->left -= chunk;
		address += chunk;
		len -= chunk;
	}
	return true;
}

static bool fill_buffer(struct mana *mana, struct packet *packet, const struct mana_wqe *wqe)
{
	for (uint32_t i = 0; i < wqe->sge_count && packet->left; i++) {
		size_t size = wqe->sges[i].size < packet->left ? wqe->sges[i].size : packet->left;

		if (!write_piece(mana, packet, wqe->sges[i].address, size))
			return false;
	}
	packet->buffers++;
	return true;
}

/* False: there are too few buffers. They are as posted as before, whatever is in them. */
static bool fill_buffers(struct mana *mana, struct mana_wq *wq, struct packet *packet)
{
	const uint32_t head = wq->head;
	struct mana_wqe wqe;

	while (packet->left) {
		if (packet->buffers == MANA_UNCUT_BUFFERS || mana_wq_peek(mana, wq, &wqe) ||
		    !fill_buffer(mana, packet, &wqe)) {
			wq->head = head;
			return false;
		}
		mana_wq_consume(wq, &wqe);
	}
	return true;
}

static bool deliver(struct mana *mana, struct mana_wq *wq, const struct net_send *send,
		    size_t payload, size_t mss, struct mana_rx_uncut_comp *comp)
{
	uint8_t headers[NET_SEND_HEADERS];
	struct packet packet = {
		.pieces = { { headers, send->header_len },
			    { (void *)(uintptr_t)(send->bytes + send->header_len), payload } },
		.left = send->header_len + payload,
	};
	size_t frames = (payload + mss - 1) / mss;

	comp->wqe_offset = wq->head % wq->ring.size;
	net_send_headers(send, 0, payload, mss, headers);
	if (!fill_buffers(mana, wq, &packet))
		return false;
	comp->header = MANA_CQE_RX_UNCUT | MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT;
	comp->flags |= mana_checksum_flags(NIC_RX_TCP_CHECKSUM_OK |
					   (send->frame.ipv6 ? 0 : NIC_RX_IP_CHECKSUM_OK));
	comp->packet.len = (uint32_t)(send->header_len + payload);
	comp->frames = (uint32_t)frames;
	comp->buffers = packet.buffers;
	mana_complete(mana, wq, comp);
	mana_count_frames(mana->stats.rx, send->bytes, frames, frames * send->header_len + payload);
	return true;
}

/* With the lock. */
static size_t take(struct mana *mana, const struct net_send *send, size_t mss)
{
	struct mana_rx_uncut_comp comp = { 0 };
	size_t payload = payload_of(mana, send, mss);
	uint32_t number;

	if (payload <= mss)
		return 0; /* a frame */
	number = mana_steer(mana, send->bytes, &send->frame, &comp.flags, &comp.packet.hash);
	if (number >= MANA_WQS || mana->wqs[number].type != GDMA_RQ ||
	    !deliver(mana, &mana->wqs[number], send, payload, mss, &comp))
		return 0;
	return payload;
}

size_t mana_receive_send(void *ctx, const struct net_send *send, size_t mss)
{
	struct mana *mana = ctx;
	size_t taken = 0;

	pthread_mutex_lock(&mana->lock);
	if (is_wanted(mana, send, mss))
		taken = take(mana, send, mss);
	pthread_mutex_unlock(&mana->lock);
	return taken;
}
