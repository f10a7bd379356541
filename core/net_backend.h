#ifndef CORE_NET_BACKEND_H
#define CORE_NET_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The seam between an emulated network card and the network: single Ethernet frames without FCS.
 * Everything on the thread of the loop that start() names, but for send() and full(), which are for any thread
 * when the card says so (mana_function.h).
 */

struct event_loop;
struct iovec;
struct net_backend;
struct net_send;

struct net_backend_client {
	/* A frame from the network, valid during the call. */
	void (*receive)(void *ctx, const uint8_t *frame, size_t len);

	/*
	 * A TCP send from the network, to be cut into frames with mss (not 0) bytes of payload, valid during the call. The card may
	 * take some of its first frames as one: bytes of payload that it took, a multiple of the mss or all; the rest is to be
	 * given as frames. NULL: it never does.
	 */
	size_t (*receive_send)(void *ctx, const struct net_send *send, size_t mss);

	/* It is no longer full. */
	void (*room)(void *ctx);
};

/*
 * What a card leaves of a frame to a network that can do it, as virtio_net_hdr does (virtio 1.2, 5.1.6.2):
 * the sum over all bytes from sum_start on goes to sum_field, where the pseudo-header's sum is now; one
 * with an MSS is TCP, its checksum left too, and is to be cut into frames.
 */
struct net_offload {
	uint16_t sum_start, sum_field; /* offsets in the frame */
	uint16_t mss;                  /* 0: a frame as it is */
	uint16_t header_len;           /* of the send to be cut: to the end of the TCP header */
	bool ipv6;
};

struct net_backend_ops {
	int (*start)(struct net_backend *backend, struct event_loop *loop,
		     const struct net_backend_client *client, void *ctx);
	void (*stop)(struct net_backend *backend); /* no receive() from here on */

	/*
	 * The card has no buffers for more: nothing is read from the network, but for what came with the same read (up to
	 * NET_SEND_MAX bytes of frames), until pause(false). The network slows down or loses frames, as it does.
	 */
	void (*pause)(struct net_backend *backend, bool on);

	/* Does it still hold frames that the network has not taken? Then room() comes when it does not. */
	bool (*full)(struct net_backend *backend);

	/*
	 * Sends, or keeps what the network does not take. One that is full may drop it: networks do.
	 * offload: NULL, or work that is left, to a backend that can do that.
	 */
	void (*send)(struct net_backend *backend, const struct iovec *pieces, int count,
		     const struct net_offload *offload);
};

/* Embedded by an implementation. */
struct net_backend {
	const struct net_backend_ops *ops;
	bool offloads; /* it takes frames with work left, of NET_SEND_MAX bytes at most */
};

/* A send of TCP over IPv4 cannot be larger. */
#define NET_SEND_MAX (14u + 65535)

#endif
