#ifndef DEVICES_NET_NETVSP_INTERNAL_H
#define DEVICES_NET_NETVSP_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/nic.h"
#include "core/tcp_unit.h"
#include "devices/net/netvsp.h"
#include "devices/net/rndis_packet.h"
#include "proto/inet.h"
#include "proto/nvsp.h"

/*
 * What the parts of netvsp share. Every field belongs to the loop of its channel unless it says
 * otherwise; the fields of the card itself belong to the primary's.
 */

struct event_loop;
struct guest_memory;
struct netvsp_channel;
struct vmbus_channel;
struct vmbus_gpadl;
struct vmbus_packet;

#define NETVSP_VLAN_TAG 4u
#define NETVSP_MTU_MIN  68u

/* A packet of the guest may batch so many messages in a send buffer section: told to the guest. */
#define NETVSP_MESSAGES_MAX 8u

/* Packets and frames of a channel under way. */
#define NETVSP_TX_PACKETS 256u
#define NETVSP_TX_FRAMES  256u

/* Pieces of memory of one packet: frames' segments, and a head before each. */
#define NETVSP_TX_PIECES (NETVSP_MESSAGES_MAX * (NIC_TX_SEGMENTS + 1))

#define NETVSP_SEND_SECTION 6144u

/* Sections of the receive buffer: for RNDIS answers and indications, and for frames, by queue. */
#define NETVSP_CONTROL_SECTIONS 16u
#define NETVSP_RX_SECTIONS_MAX  1024u
#define NETVSP_RX_SECTION_MIN   2048u
#define NETVSP_CONTROL_MESSAGE  1024u /* bytes: an answer of ours */
#define NETVSP_CONTROL_REQUEST  8192u /* bytes: a request of the guest */
#define NETVSP_CONTROL_TRANS_ID 0x80000000u
#define NETVSP_SEND_RANGES      64u
_Static_assert(NETVSP_SEND_RANGES >= NIC_RX_BUFFERS, "an uncut send is in one packet");
#define NETVSP_MULTICAST_LIST 32u

/*
 * A send or receive buffer of the guest: page-aligned, all RAM. Shared by the channels that use it;
 * the last to let go gives the GPADL back.
 */
struct netvsp_buffer {
	unsigned int references; /* atomic */
	struct vmbus_channel *owner;
	struct vmbus_gpadl *gpadl;
	const uint64_t *pages; /* page numbers */
	uint32_t len;          /* bytes */
	uint16_t id;
	uint32_t section_size;
	uint32_t
		per_queue; /* receive: sections of a queue; queue q's start at 16 + q * per_queue */
};

struct netvsp_buffer *netvsp_buffer_create(struct vmbus_channel *owner, uint32_t gpadl);
struct netvsp_buffer *netvsp_buffer_get(struct netvsp_buffer *buffer);
void netvsp_buffer_put(struct netvsp_buffer *buffer); /* NULL is allowed */

static inline uint64_t netvsp_buffer_gpa(const struct netvsp_buffer *buffer, uint32_t offset)
{
	return (buffer->pages[offset >> 12] << 12) + (offset & 0xFFF);
}

/* The pieces of [offset, offset + len): how many, at most `max`, or 0: they are more. */
unsigned int netvsp_buffer_segments(const struct netvsp_buffer *buffer, uint32_t offset,
				    uint32_t len, struct nic_segment *segments, unsigned int max);

/* A packet of the guest, until its completion is in the ring. */
struct netvsp_tx_packet {
	struct netvsp_tx_packet *next;
	uint64_t trans_id;
	unsigned int frames; /* under way, and one while it is being taken apart */
	uint32_t status;     /* enum nvsp_status */
	bool wants_completion;
};

struct netvsp_tx_frame {
	struct nic_tx nic;
	struct netvsp_tx_frame *next;
	struct netvsp_tx_packet *packet;
	struct nic_segment segments[NIC_TX_SEGMENTS];
};

struct netvsp_tx {
	struct netvsp_tx_packet *free_packets;
	struct netvsp_tx_packet *unsent, **unsent_end; /* completions that found the ring full */
	struct netvsp_tx_frame *free_frames;
	unsigned int free_frame_count;
	struct netvsp_tx_frame *waiting, **waiting_end; /* found the nic full */
	_Alignas(8) uint8_t head[RNDIS_HEAD_MAX];    /* of the message that is being taken apart */
	struct nic_segment pieces[NETVSP_TX_PIECES]; /* of that packet */
	struct netvsp_tx_packet packets[NETVSP_TX_PACKETS];
	struct netvsp_tx_frame frames[NETVSP_TX_FRAMES];
};

/* A section of the receive buffer. */
struct netvsp_rx_buffer {
	struct nic_rx nic;
	uint8_t *head;  /* the guest's memory: for core/guest_access.h only */
	uint32_t next;  /* in a list, by number; UINT32_MAX: last */
	uint32_t count; /* head of a packet that the guest has: of how many; else 0 */
	uint32_t parts; /* of a frame's first section: how many it is in; of the others: 0 */
};

/* TCP segments of a connection that are to become one frame, in sections that follow each other. */
struct netvsp_rsc_unit {
	struct tcp_unit tcp;
	uint32_t first, last; /* sections */
};

/*
 * Units of a batch, of different connections. At its end they are the guest's, so between batches there are
 * none.
 */
#define NETVSP_RSC_UNITS 8u
struct netvsp_rsc {
	unsigned int count, victim; /* who goes when there is one too many */
	uint8_t versions;           /* that are coalesced in this batch: enum netvsp_rsc_version */
	struct netvsp_rsc_unit units[NETVSP_RSC_UNITS];
};

enum netvsp_rsc_version {
	NETVSP_RSC_IPV4 = NIC_UNCUT_IPV4,
	NETVSP_RSC_IPV6 = NIC_UNCUT_IPV6
};

struct netvsp_rx {
	struct netvsp_rx_buffer *buffers;
	uint32_t buffer_count;
	uint32_t first_section;
	uint32_t free;                /* list: to be posted */
	uint32_t unsent, unsent_last; /* list: frames for the guest */
	struct netvsp_rsc rsc;
};

struct netvsp_channel {
	struct netvsp *netvsp;
	struct vmbus_channel *channel;
	struct netvsp_channel *next; /* sub-channels; under the lock */
	uint16_t index;              /* queue of the nic */
	bool open;
	bool queue_open;
	bool in_service, service_again;
	bool kick;           /* the nic got something that it need not have seen */
	uint32_t generation; /* of the card's buffers when the queue was opened */
	struct netvsp_buffer *receive_buffer, *send_buffer; /* references, while queue_open */
	struct netvsp_tx *tx;
	struct netvsp_rx rx;
	struct netvsp_counters *counters; /* in the card; atomic */
};

/* An RNDIS message of ours on its way to the guest: one for each control section. */
struct netvsp_control_slot {
	uint32_t len;
	bool busy;   /* written, until the guest gives it back */
	bool unsent; /* the ring was full */
};

/* An NVSP completion that found the ring full. */
struct netvsp_reply {
	uint64_t trans_id;
	size_t len;
	struct nvsp_message message;
};
#define NETVSP_REPLIES 16u

struct netvsp {
	struct netvsp_config config;
	struct nic_info info;
	struct netvsp_channel primary;
	struct netvsp_counters counters[NIC_QUEUES];

	pthread_mutex_t lock;
	struct netvsp_channel *subs;                        /* under the lock */
	unsigned int open_subs;                             /* under the lock */
	struct netvsp_buffer *receive_buffer, *send_buffer; /* references; under the lock */
	bool running;        /* RNDIS is initialised; under the lock */
	uint32_t generation; /* of the three; atomic */

	pthread_mutex_t path_lock; /* held while the owner moves the traffic */
	bool on_vf;                /* the guest's traffic is not here; under path_lock */

	/* Signals to the primary's loop; atomic. */
	bool link_pending, vf_pending, table_pending;
	bool link_up;
	uint64_t vf; /* serial << 1 | present */

	/* The primary's loop's. */
	struct event_loop *loop;
	uint32_t version; /* enum nvsp_version; 0: not negotiated; atomic */
	uint32_t mtu;     /* of IP packets; atomic */
	bool knows_vf;
	bool knows_rsc;
	unsigned int sub_count; /* sub-channels not yet gone */
	unsigned int wanted_subs;
	struct netvsp_control_slot control[NETVSP_CONTROL_SECTIONS];
	struct netvsp_reply replies[NETVSP_REPLIES];
	unsigned int reply_head, reply_count;
	uint8_t request[NETVSP_CONTROL_REQUEST];
	struct nic_receive receive;
	uint32_t filter;   /* NDIS_PACKET_TYPE_*; atomic */
	bool rx_checksums; /* the guest wants them; atomic */
	uint8_t rsc;       /* enum netvsp_rsc_version that the guest wants; atomic */
	uint8_t uncut;     /* of these the nic was told: enum nic_uncut */
	uint32_t multicast_count;
	uint8_t multicast[NETVSP_MULTICAST_LIST][NIC_MAC_SIZE]; /* under the lock */
	bool closing;

	void (*gone)(void *ctx);
	void *gone_ctx;
};

static inline uint32_t netvsp_version(const struct netvsp *netvsp)
{
	return __atomic_load_n(&netvsp->version, __ATOMIC_ACQUIRE);
}

static inline size_t netvsp_message_size(const struct netvsp *netvsp)
{
	return netvsp_version(netvsp) >= NVSP_PROTOCOL_VERSION_61 ? NVSP_MESSAGE_SIZE
								  : NVSP_MESSAGE_SIZE_BEFORE_61;
}

static inline void netvsp_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED); /* one writer */
}

static inline unsigned int netvsp_queues(const struct netvsp *netvsp)
{
	return netvsp->config.max_sub_channels + 1u;
}

/* --- netvsp_queue.c: a channel's queue of the nic, from open to close */
void netvsp_queue_update(
	struct netvsp_channel *channel); /* opens or closes as the card's state says */
void netvsp_queue_service(struct netvsp_channel *channel);
void netvsp_queue_close(struct netvsp_channel *channel);

/* --- netvsp_tx.c: frames from the guest */
int netvsp_tx_init(struct netvsp_channel *channel);
void netvsp_tx_fini(struct netvsp_channel *channel);
/* A packet is taken only when there is room for whatever it holds. */
static inline bool netvsp_tx_has_room(const struct netvsp_channel *channel)
{
	const struct netvsp_tx *tx = channel->tx;

	return tx->free_packets && tx->free_frame_count >= NETVSP_MESSAGES_MAX && !tx->unsent;
}
void netvsp_tx_packet(struct netvsp_channel *channel, const struct vmbus_packet *packet);
bool netvsp_tx_flush(struct netvsp_channel *channel); /* completions; false: the ring is full */
void netvsp_tx_submit_waiting(struct netvsp_channel *channel);
void netvsp_tx_done(void *ctx, struct nic_tx *tx, int err);

/* --- netvsp_rx.c: frames to the guest */
int netvsp_rx_init(struct netvsp_channel *channel);
void netvsp_rx_fini(struct netvsp_channel *channel);
void netvsp_rx_post(struct netvsp_channel *channel);
void netvsp_rx_flush(struct netvsp_channel *channel);
void netvsp_rx_complete(struct netvsp_channel *channel, uint64_t trans_id);
void netvsp_rx_frame(void *ctx, struct nic_rx *rx, int err);
int netvsp_rx_write_head(struct netvsp_channel *channel, const struct netvsp_rx_buffer *buffer,
			 const struct rndis_fragment *fragment);
/* Sections in a list, from the first to the last, of what is one frame for the guest, and how many frames it was. */
struct netvsp_rx_run {
	uint32_t first, last, parts;
	uint32_t frames;
	uint64_t bytes; /* of these frames */
};
/* It is for the guest; or it is lost: the sections are free. */
void netvsp_rx_queue(struct netvsp_channel *channel, const struct netvsp_rx_run *run);
void netvsp_rx_drop(struct netvsp_channel *channel, const struct netvsp_rx_run *run);

/* --- netvsp_rsc.c: TCP segments that become one frame */
bool netvsp_rsc_offered(const struct netvsp *netvsp);
/*
 * Takes a frame whose TCP checksum the nic found good, until the unit that it becomes part of is finished. False: it goes by
 * itself.
 */
bool netvsp_rsc_take(struct netvsp_channel *channel, struct netvsp_rx_buffer *buffer);
/* A send that the nic did not cut, in sections that are linked: it is a unit. */
void netvsp_rsc_take_uncut(struct netvsp_channel *channel, struct netvsp_rx_run *run);
/* What the guest has enabled; the nic is told. On the primary's loop. */
void netvsp_rsc_set(struct netvsp *netvsp, uint8_t versions);
/* All units go to the guest. */
void netvsp_rsc_finish(struct netvsp_channel *channel);

/* --- netvsp_nvsp.c: NVSP messages of the primary channel */
void netvsp_nvsp_message(struct netvsp *netvsp, const struct vmbus_packet *packet);
bool netvsp_nvsp_flush(struct netvsp *netvsp);
void netvsp_nvsp_notify(struct netvsp *netvsp);                /* VF, send table */
void netvsp_nvsp_data_path(struct netvsp *netvsp, bool to_vf); /* any thread */

/* --- netvsp_rndis.c: RNDIS control messages, and what we indicate */
void netvsp_rndis_message(struct netvsp *netvsp, size_t len); /* in netvsp->request */
void netvsp_rndis_reset(struct netvsp *netvsp);
void netvsp_rndis_flush(struct netvsp *netvsp);
void netvsp_rndis_complete(struct netvsp *netvsp, uint64_t trans_id);
void netvsp_rndis_notify(struct netvsp *netvsp); /* link */

/* --- netvsp_oid.c: OIDs. RNDIS_STATUS_*. Answers go to `info`, of 512 bytes. */
#define NETVSP_INFO_MAX 512u
uint32_t netvsp_oid_query(struct netvsp *netvsp, uint32_t oid, const void *in, size_t in_len,
			  void *info, size_t *len);
uint32_t netvsp_oid_set(struct netvsp *netvsp, uint32_t oid, const void *in, size_t in_len);

/* --- netvsp.c */
int netvsp_offer_sub_channels(struct netvsp *netvsp, unsigned int count);
void netvsp_changed(struct netvsp *netvsp); /* the card's buffers or state: channels look */
int netvsp_apply_receive(struct netvsp *netvsp);
void netvsp_stop(struct netvsp *netvsp); /* RNDIS is no longer initialised */

#endif
