#ifndef CORE_NIC_H
#define CORE_NIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The seam between a guest-facing network device and what backs it: a hardware queue driver, a
 * loopback in tests. Queues carry single Ethernet frames (or one TCP send to be segmented), scattered
 * over guest memory, so that a backing device can transfer straight from and to the guest's pages.
 *
 * A queue belongs to one loop: what is marked "queue" is called on that loop's thread, and the
 * queue's callbacks come there. Control operations come from any thread and may wait for the device,
 * some milliseconds when it is well.
 */

struct event_loop;
struct nic;

#define NIC_MAC_SIZE 6
#define NIC_QUEUES   64 /* more than any nic has */

/* A piece of guest memory. */
struct nic_segment {
	uint64_t gpa;
	uint32_t len; /* bytes */
};

enum nic_tx_flag {
	NIC_TX_IPV4 = 0x01, /* what the frame is, where an offload needs to know */
	NIC_TX_IPV6 = 0x02,
	NIC_TX_IP_CHECKSUM = 0x04,  /* fill in the IPv4 header's */
	NIC_TX_TCP_CHECKSUM = 0x08, /* the field holds the pseudo-header's sum */
	NIC_TX_UDP_CHECKSUM = 0x10,
	NIC_TX_LSO =
		0x20, /* IP length is 0 or anything, the pseudo-header's sum is without length */
	NIC_TX_VLAN = 0x40, /* insert a tag */
};

/*
 * A frame to send. The caller owns it and what it points at, and changes nothing until done(). The
 * flags are consistent with each other and the offsets inside the frame; what the bytes hold is the
 * guest's business and may change at any time.
 */
struct nic_tx {
	const struct nic_segment *segments; /* RAM; together `len` bytes */
	unsigned int segment_count;         /* at most NIC_TX_SEGMENTS */
	uint32_t len;        /* without LSO at most the nic's MTU and Ethernet header */
	uint32_t flags;      /* enum nic_tx_flag */
	uint16_t l4_offset;  /* checksums, LSO: of the TCP or UDP header */
	uint16_t header_len; /* LSO: of all headers, at most NIC_TX_HEADER_MAX */
	uint16_t mss;        /* LSO: bytes of payload a frame */
	uint16_t vlan_tci;
	struct nic_tx *next; /* the nic's, while it has the frame */
};

#define NIC_TX_SEGMENTS   40
#define NIC_TX_HEADER_MAX 255

enum nic_rx_flag {
	NIC_RX_IP_CHECKSUM_OK = 0x01,
	NIC_RX_IP_CHECKSUM_BAD = 0x02,
	NIC_RX_TCP_CHECKSUM_OK = 0x04,
	NIC_RX_TCP_CHECKSUM_BAD = 0x08,
	NIC_RX_UDP_CHECKSUM_OK = 0x10,
	NIC_RX_UDP_CHECKSUM_BAD = 0x20,
	NIC_RX_VLAN = 0x40, /* a tag was removed */
	NIC_RX_HASH = 0x80,
	NIC_RX_UNCUT = 0x100, /* `frames` and `next` say more */
};

/*
 * A buffer for one received frame, or a part of an uncut send (set_uncut() below). The client's until posted, the nic's until
 * it comes back.
 */
#define NIC_RX_SEGMENTS 4
#define NIC_RX_BUFFERS  64 /* of an uncut send, at most */

struct nic_rx {
	struct nic_segment segments[NIC_RX_SEGMENTS]; /* RAM */
	unsigned int segment_count;

	/* Filled in by the nic. */
	uint32_t len; /* of the frame: at most the segments' */
	uint32_t hash;
	uint16_t vlan_tci;
	uint16_t flags; /* enum nic_rx_flag */

	/*
	 * With NIC_RX_UNCUT: the buffer with its rest, or NULL, of which only `len` and `next` are filled in; and how many
	 * frames it would have been. The client has them all, with the first.
	 */
	struct nic_rx *next;
	uint32_t frames;
};

/* Bytes that its segments hold. */
static inline uint32_t nic_rx_capacity(const struct nic_rx *rx)
{
	uint32_t len = 0;

	for (unsigned int i = 0; i < rx->segment_count; i++)
		len += rx->segments[i].len;
	return len;
}

/* IP versions of uncut sends. */
enum nic_uncut {
	NIC_UNCUT_IPV4 = 1,
	NIC_UNCUT_IPV6 = 2
};

/* Of a queue, on its loop's thread. */
struct nic_queue_client {
	/* err: 0; -EFAULT, -EINVAL: this frame; -EIO, -ECANCELED: the device. The frame is lost then. */
	void (*tx_done)(void *ctx, struct nic_tx *tx, int err);

	/* A frame, or err: an empty buffer comes back (the nic could not use it, or lost the frame). */
	void (*rx)(void *ctx, struct nic_rx *rx, int err);

	/* After the last of some tx_done() and rx() that came together. */
	void (*batch_end)(void *ctx);
};

/* Of the nic: any thread; must not wait nor call back. */
struct nic_client {
	void (*link_changed)(void *ctx, bool up);
};

struct nic_info {
	uint8_t mac[NIC_MAC_SIZE];
	uint16_t max_mtu;         /* of IP packets */
	uint16_t max_queues;      /* at most NIC_QUEUES */
	uint16_t rss_entries;     /* size of the indirection table: a power of two, or 0: none */
	uint32_t tx_offloads;     /* enum nic_tx_flag */
	uint32_t max_lso;         /* bytes of a TCP send with its headers */
	uint64_t bits_per_second; /* of the link */
	bool rx_checksums;
	bool link_up;
};

#define NIC_RSS_KEY_SIZE 40
#define NIC_RSS_ENTRIES  256

enum nic_hash_type {
	NIC_HASH_IPV4 = 0x01,
	NIC_HASH_TCP_IPV4 = 0x02,
	NIC_HASH_IPV6 = 0x04,
	NIC_HASH_TCP_IPV6 = 0x08,
	NIC_HASH_UDP_IPV4 = 0x10,
	NIC_HASH_UDP_IPV6 = 0x20,
};

/* What is to be received, and on which queues. */
struct nic_receive {
	bool enabled;
	bool rss;           /* else everything comes on queue 0 */
	uint8_t hash_types; /* enum nic_hash_type */
	uint8_t key[NIC_RSS_KEY_SIZE];
	uint16_t entries;               /* nic_info's rss_entries */
	uint8_t table[NIC_RSS_ENTRIES]; /* of open queues */
};

/* Whom a frame is for, by the address it goes to. */
enum nic_cast {
	NIC_UNICAST,
	NIC_MULTICAST,
	NIC_BROADCAST,
	NIC_CASTS
};

struct nic_cast_stats {
	uint64_t frames, bytes;
};

struct nic_stats {
	uint64_t tx_frames, tx_bytes, tx_errors;
	uint64_t rx_frames, rx_bytes, rx_errors, rx_no_buffer;

	/* As they are on the wire, where a large send is many. */
	struct nic_cast_stats tx_cast[NIC_CASTS], rx_cast[NIC_CASTS];
};

struct nic_ops {
	/* Any thread. */
	void (*get_info)(struct nic *nic, struct nic_info *info);
	void (*get_stats)(struct nic *nic, struct nic_stats *stats);

	/* Whom events go to; NULL: nobody, and none is under way when this returns. Any thread. */
	void (*set_client)(struct nic *nic, const struct nic_client *client, void *ctx);

	/*
	 * Queue: opens it on this loop. 0; -EBUSY: it is open; -EIO, -ENODEV, -ETIMEDOUT, -ENOMEM.
	 * close returns when the device uses neither frames nor buffers any more; they all come back
	 * with -ECANCELED before that, and no callback after.
	 */
	int (*queue_open)(struct nic *nic, unsigned int queue, struct event_loop *loop,
			  const struct nic_queue_client *client, void *ctx);
	void (*queue_close)(struct nic *nic, unsigned int queue);

	/* Any thread, one call at a time. 0; -EINVAL: a queue of the table is not open; -EIO, ... */
	int (*set_receive)(struct nic *nic, const struct nic_receive *receive);

	/*
	 * TCP sends that the nic has whole may come as one frame of at most `max` bytes, with lengths and checksums right,
	 * in as many buffers as it fills: those whose headers tcp_segment_parse() takes, of IP versions that are said here, at
	 * first none. Some may still come after they were taken back. NULL: it never has such. Any thread.
	 */
	void (*set_uncut)(struct nic *nic, uint8_t versions, uint16_t max);

	/*
	 * Queue: gives a frame or a buffer. 0; -EAGAIN: no room, try again at the next batch_end().
	 * The device need not look before kick(). Callbacks may come from inside kick(), never from
	 * inside tx() or rx_post().
	 */
	int (*tx)(struct nic *nic, unsigned int queue, struct nic_tx *tx);
	int (*rx_post)(struct nic *nic, unsigned int queue, struct nic_rx *rx);
	void (*kick)(struct nic *nic, unsigned int queue);
};

/* Embedded by an implementation. */
struct nic {
	const struct nic_ops *ops;
};

#endif
