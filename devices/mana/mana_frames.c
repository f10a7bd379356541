/* Frames: from send queues to the network, and from the network into posted buffers. On the loop. */

#include <string.h>
#include <sys/uio.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "core/nic.h"
#include "devices/mana/mana_internal.h"
#include "proto/inet.h"

#define MAC_BYTES 12u
#define VLAN_TAG  4u

/* Frames of a queue in one go, so that doorbells and commands get the lock in between. */
#define SEND_BUDGET 32

void mana_count_frames(struct nic_cast_stats stats[NIC_CASTS], const uint8_t *to, size_t frames,
		       size_t bytes)
{
	static const uint8_t broadcast[NIC_MAC_SIZE] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
	enum nic_cast cast = !(to[0] & 1)                               ? NIC_UNICAST
			     : memcmp(to, broadcast, sizeof(broadcast)) ? NIC_MULTICAST
									: NIC_BROADCAST;

	stats[cast].frames += frames;
	stats[cast].bytes += bytes;
}

/* --- To the network */

struct sender {
	struct mana *mana;
	bool vlan;
	uint8_t tag[VLAN_TAG];
	const struct net_offload *left; /* to the network; NULL: nothing */
};

static void transmit(struct sender *sender, uint8_t *header, size_t header_len,
		     const uint8_t *payload, size_t payload_len)
{
	struct net_backend *backend = sender->mana->config.backend;
	struct iovec pieces[4];
	int count = 0;

	if (sender->vlan) {
		pieces[count++] = (struct iovec){ header, MAC_BYTES };
		pieces[count++] = (struct iovec){ sender->tag, VLAN_TAG };
		header += MAC_BYTES;
		header_len -= MAC_BYTES;
	}
	pieces[count++] = (struct iovec){ header, header_len };
	if (payload_len)
		pieces[count++] = (struct iovec){ (void *)(uintptr_t)payload, payload_len };
	backend->ops->send(backend, pieces, count, sender->left);
	mana_count_frames(sender->mana->stats.tx, sender->mana->frame, 1,
			  header_len + payload_len + (sender->vlan ? MAC_BYTES : 0));
}

static void transmit_segment(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
			     size_t payload_len)
{
	transmit(ctx, header, header_len, payload, payload_len);
}

/* Bytes of the frame, in mana->frame; 0: they cannot be read, or are too many. */
static size_t gather(struct mana *mana, const struct mana_wqe *wqe)
{
	size_t at = 0;

	for (uint32_t i = 0; i < wqe->sge_count; i++) {
		uint32_t size = wqe->sges[i].size;

		if (size > sizeof(mana->frame) - at ||
		    mana_dma_read(mana, wqe->sges[i].address, mana->frame + at, size))
			return 0;
		at += size;
	}
	return at;
}

static void set_vlan(struct sender *sender, const struct mana_tx_oob *oob)
{
	uint32_t fields = oob->vlan >> MANA_TX_VLAN_TCI_SHIFT;
	uint32_t tci = (fields & 7) << 13 | (fields >> 3 & 1) << 12 | fields >> 4;

	sender->vlan = true;
	sender->tag[0] = 0x81;
	sender->tag[1] = 0;
	sender->tag[2] = (uint8_t)(tci >> 8);
	sender->tag[3] = (uint8_t)tci;
}

/* A tag would be in the network's way. */
static bool may_leave_work(const struct sender *sender)
{
	return sender->mana->config.backend->offloads && !sender->vlan;
}

static struct net_offload sum_left(const struct net_frame *frame)
{
	return (struct net_offload){ .sum_start = frame->l4,
				     .sum_field = net_frame_sum_field(frame) };
}

static bool fill_l4(struct sender *sender, const struct net_frame *frame,
		    struct net_offload *offload)
{
	uint8_t *bytes = sender->mana->frame;

	if (!may_leave_work(sender))
		return net_frame_fill_l4(bytes, frame);
	*offload = sum_left(frame);
	sender->left = offload;
	return net_frame_start_l4(bytes, frame);
}

static enum mana_cqe_type send_whole(struct sender *sender, const struct mana_tx_oob *oob,
				     size_t len)
{
	struct mana *mana = sender->mana;
	struct net_offload offload = { 0 };
	struct net_frame frame;

	if (len > mana->config.mtu + ETHERNET_HEADER + VLAN_TAG)
		return MANA_CQE_TX_MTU_DROP;
	net_frame_parse(mana->frame, len, &frame);
	if ((oob->flags & (MANA_TX_TCP_CHECKSUM | MANA_TX_UDP_CHECKSUM)) &&
	    !fill_l4(sender, &frame, &offload))
		return MANA_CQE_TX_HDR_PROCESSING_ERROR;
	if ((oob->flags & MANA_TX_IP_CHECKSUM) && !frame.ipv6 &&
	    !net_frame_fill_ip(mana->frame, &frame))
		return MANA_CQE_TX_HDR_PROCESSING_ERROR;
	transmit(sender, mana->frame, len, NULL, 0);
	return MANA_CQE_TX_OKAY;
}

/* A network that cuts sends by itself gets them whole. False: it is for us to do. */
static bool send_uncut(struct sender *sender, size_t len, uint32_t header_len, uint32_t mss)
{
	struct mana *mana = sender->mana;
	struct net_backend *backend = mana->config.backend;
	struct iovec piece = { mana->frame, len };
	struct net_offload offload;
	struct net_frame frame;
	size_t frames;

	if (!may_leave_work(sender) || !mss || len <= header_len || len > NET_SEND_MAX ||
	    !net_frame_prepare_send(mana->frame, len, header_len, &frame))
		return false;
	offload = sum_left(&frame);
	offload.mss = (uint16_t)mss;
	offload.header_len = (uint16_t)header_len;
	offload.ipv6 = frame.ipv6;
	backend->ops->send(backend, &piece, 1, &offload);
	frames = (len - header_len + mss - 1) / mss;
	mana_count_frames(mana->stats.tx, mana->frame, frames, len + (frames - 1) * header_len);
	return true;
}

static enum mana_cqe_type send_cut(struct sender *sender, const struct mana_wqe *wqe, size_t len)
{
	struct mana *mana = sender->mana;
	uint32_t header_len = wqe->sges[0].size, mss = wqe->data_unit;

	if (len > MANA_LSO_MAX + 256 || header_len + mss > mana->config.mtu + ETHERNET_HEADER)
		return MANA_CQE_TX_HDR_PROCESSING_ERROR;
	if (send_uncut(sender, len, header_len, mss) ||
	    net_frame_segment(mana->frame, len, header_len, mss, transmit_segment, sender))
		return MANA_CQE_TX_OKAY;
	return MANA_CQE_TX_HDR_PROCESSING_ERROR;
}

static enum mana_cqe_type send_one(struct mana *mana, const struct mana_wqe *wqe,
				   const struct mana_tx_oob *oob)
{
	struct sender sender = { .mana = mana };
	size_t len;

	if (!mana->vport_tx)
		return MANA_CQE_TX_VPORT_DISABLED;
	len = gather(mana, wqe);
	if (len < ETHERNET_HEADER) {
		mana->stats.tx_gdma++;
		return MANA_CQE_TX_INVALID_OOB;
	}
	if ((oob->flags & MANA_TX_FORMAT_MASK) == MANA_TX_FORMAT_LONG &&
	    (oob->vlan & MANA_TX_INJECT_VLAN))
		set_vlan(&sender, oob);
	return wqe->oob_in_sgl ? send_cut(&sender, wqe, len) : send_whole(&sender, oob, len);
}

static void complete_send(struct mana *mana, struct mana_wq *wq, const struct mana_wqe *wqe,
			  enum mana_cqe_type type)
{
	struct mana_tx_comp comp = {
		.header = type | MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT,
		.offsets = wqe->offset / GDMA_WQE_UNIT << 5,
	};

	if (mana->in_place && !wqe->oob_in_sgl)
		mana_complete_later(mana, wq, &comp);
	else
		mana_complete(mana, wq, &comp);
}

/* True: there may be more, and room for it. (A wire is waited for: what is posted stays where it is.) */
static bool send_queue(struct mana *mana, struct mana_wq *wq)
{
	struct net_backend *backend = mana->config.backend;
	struct mana_wqe wqe;

	for (unsigned int i = 0; i < SEND_BUDGET; i++) {
		struct mana_tx_oob oob = { 0 };
		enum mana_cqe_type type;

		if (backend->ops->full(backend) || mana_wq_peek(mana, wq, &wqe))
			return false;
		memcpy(&oob, wqe.oob, wqe.oob_size);
		type = send_one(mana, &wqe, &oob);
		if (type != MANA_CQE_TX_OKAY)
			mana->stats.tx_invalid_oob++;
		mana_wq_consume(wq, &wqe);
		if (type != MANA_CQE_TX_OKAY || !(oob.flags & MANA_TX_SUPPRESS_CQE))
			complete_send(mana, wq, &wqe, type);
	}
	return true;
}

static bool send_from(struct mana *mana, uint32_t wq)
{
	return mana->wqs[wq].used && mana->wqs[wq].type == GDMA_SQ &&
	       send_queue(mana, &mana->wqs[wq]);
}

void mana_send_frames(struct mana *mana)
{
	bool more = false;

	for (uint32_t i = MANA_HWC_RQ + 1; i < MANA_WQS; i++)
		more |= send_from(mana, i);
	if (more)
		mana_wake(mana);
}

void mana_send_frames_of(struct mana *mana, uint32_t wq)
{
	if (wq > MANA_HWC_RQ && send_from(mana, wq))
		mana_wake(mana);
}

/* --- From the network */

bool mana_is_ours(const struct mana *mana, const uint8_t *frame)
{
	return (frame[0] & 1) || !memcmp(frame, mana->config.mac, sizeof(mana->config.mac));
}

uint32_t mana_steer(const struct mana *mana, const uint8_t *bytes, const struct net_frame *frame,
		    uint32_t *flags, uint32_t *hash)
{
	static const struct {
		uint8_t nic, mana;
	} types[] = {
		{ NIC_HASH_IPV4, MANA_HASH_IPV4 },
		{ NIC_HASH_TCP_IPV4, MANA_HASH_TCP_IPV4 },
		{ NIC_HASH_UDP_IPV4, MANA_HASH_UDP_IPV4 },
		{ NIC_HASH_IPV6, MANA_HASH_IPV6 },
		{ NIC_HASH_TCP_IPV6, MANA_HASH_TCP_IPV6 },
		{ NIC_HASH_UDP_IPV6, MANA_HASH_UDP_IPV6 },
	};
	const struct mana_steering *steering = &mana->steering;
	uint32_t value;
	uint8_t type;

	if (!steering->rss || !steering->entries)
		return steering->default_wq;
	value = net_frame_hash(&steering->hash, bytes, frame, steering->hash_types, &type);
	if (!type)
		return steering->default_wq;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].nic == type)
			*flags |= (uint32_t)types[i].mana << MANA_RX_HASH_TYPE_SHIFT;
	*hash = value;
	return steering->table[value % steering->entries];
}

uint32_t mana_checksum_flags(uint16_t nic)
{
	return (nic & NIC_RX_IP_CHECKSUM_OK ? MANA_RX_IP_OK : 0) |
	       (nic & NIC_RX_IP_CHECKSUM_BAD ? MANA_RX_IP_BAD : 0) |
	       (nic & NIC_RX_TCP_CHECKSUM_OK ? MANA_RX_TCP_OK : 0) |
	       (nic & NIC_RX_TCP_CHECKSUM_BAD ? MANA_RX_TCP_BAD : 0) |
	       (nic & NIC_RX_UDP_CHECKSUM_OK ? MANA_RX_UDP_OK : 0) |
	       (nic & NIC_RX_UDP_CHECKSUM_BAD ? MANA_RX_UDP_BAD : 0);
}

static bool scatter(struct mana *mana, const struct mana_wqe *wqe, const uint8_t *bytes, size_t len)
{
	for (uint32_t i = 0; i < wqe->sge_count && len; i++) {
		size_t chunk = wqe->sges[i].size < len ? wqe->sges[i].size : len;

		if (mana_dma_write(mana, wqe->sges[i].address, bytes, chunk))
			return false;
		bytes += chunk;
		len -= chunk;
	}
	return !len;
}

/* Nothing is lost yet: a driver that is slow gets time, though not for ever. */
static bool worth_waiting(struct mana *mana, uint32_t number, bool last_time)
{
	struct mana_wq *wq = &mana->wqs[number];
	uint32_t tail = __atomic_load_n(&mana->tails[number], __ATOMIC_SEQ_CST);

	if (!wq->used || wq->stuck || (wq->starved && wq->starved_tail == tail))
		return false;
	wq->starved = last_time;
	wq->starved_tail = tail;
	return !last_time;
}

static bool deliver(struct mana *mana, const uint8_t *bytes, size_t len, struct mana_rx_comp *comp,
		    bool last_time)
{
	struct net_frame frame;
	struct mana_wqe wqe;
	uint32_t number;

	net_frame_parse(bytes, len, &frame);
	comp->flags |= mana_checksum_flags(net_frame_verify(bytes, &frame));
	number = mana_steer(mana, bytes, &frame, &comp->flags, &comp->packets[0].hash);
	if (number >= MANA_WQS || mana->wqs[number].type != GDMA_RQ) {
		mana->stats.rx_no_wqe++;
		return true;
	}
	if (mana_wq_peek(mana, &mana->wqs[number], &wqe)) {
		if (worth_waiting(mana, number, last_time))
			return false;
		mana->stats.rx_no_wqe++;
		return true;
	}
	mana_wq_consume(&mana->wqs[number], &wqe);
	comp->header = MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT |
		       (scatter(mana, &wqe, bytes, len) ? MANA_CQE_RX_OKAY : MANA_CQE_RX_TRUNCATED);
	comp->packets[0].len = (uint32_t)len;
	comp->wqe_offset = wqe.offset;
	mana_complete(mana, &mana->wqs[number], comp);
	mana_count_frames(mana->stats.rx, bytes, 1, len);
	return true;
}

bool mana_receive_frame(struct mana *mana, const uint8_t *bytes, size_t len, bool last_time)
{
	struct mana_rx_comp comp = { 0 };

	if (!mana->steering.enabled) {
		mana->stats.rx_disabled++;
		return true;
	}
	if (len < ETHERNET_HEADER || !mana_is_ours(mana, bytes) ||
	    len > mana->config.mtu + ETHERNET_HEADER + VLAN_TAG)
		return true;
	if (len >= ETHERNET_HEADER + VLAN_TAG && bytes[12] == 0x81 && bytes[13] == 0) {
		comp.flags = MANA_RX_VLAN_PRESENT |
			     ((uint32_t)(bytes[14] << 8 | bytes[15]) & MANA_RX_VLAN_MASK);
		memcpy(mana->received, bytes, MAC_BYTES);
		memcpy(mana->received + MAC_BYTES, bytes + MAC_BYTES + VLAN_TAG,
		       len - MAC_BYTES - VLAN_TAG);
		bytes = mana->received;
		len -= VLAN_TAG;
	}
	return deliver(mana, bytes, len, &comp, last_time);
}

/* In order: behind those that wait. */
static void receive(void *ctx, const uint8_t *bytes, size_t len)
{
	struct mana *mana = ctx;

	pthread_mutex_lock(&mana->lock);
	if (mana_backlog_waits(mana) || !mana_receive_frame(mana, bytes, len, false))
		mana_backlog_keep(mana, bytes, len);
	pthread_mutex_unlock(&mana->lock);
}

static void room(void *ctx)
{
	mana_wake(ctx);
}

const struct net_backend_client mana_backend_client = { .receive = receive,
							.receive_send = mana_receive_send,
							.room = room };
