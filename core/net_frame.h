#ifndef CORE_NET_FRAME_H
#define CORE_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Ethernet frames for an emulated network card: headers, checksums (RFC 1071), the Toeplitz hash of
 * receive-side scaling, segmentation. Frames are private copies; any bytes may be in them.
 */

struct net_frame {
	uint16_t l3; /* offset of the IP header; 0: not IP */
	uint16_t l4; /* of the TCP or UDP header; 0: neither, or not the first fragment */
	bool ipv6;
	bool tcp, udp;
	uint16_t l4_len; /* bytes of TCP or UDP header and payload, as IP says, inside the frame */
};

/* Untagged frames; a tagged one is not IP. */
void net_frame_parse(const uint8_t *bytes, size_t len, struct net_frame *frame);

/* Folded ones' complement sum of bytes, over a start value that is one. */
uint16_t net_sum(uint32_t start, const uint8_t *bytes, size_t len);

/* What nic_rx has to say about the checksums: enum nic_rx_flag. */
uint16_t net_frame_verify(const uint8_t *bytes, const struct net_frame *frame);

/*
 * Fills in the IPv4 header's checksum, and that of TCP or UDP. The latter's field is not read: the
 * pseudo-header is computed. False: there is no such header.
 */
bool net_frame_fill_ip(uint8_t *bytes, const struct net_frame *frame);
bool net_frame_fill_l4(uint8_t *bytes, const struct net_frame *frame);

/* Where the TCP or UDP checksum is; of a frame with such a header. */
uint16_t net_frame_sum_field(const struct net_frame *frame);

/* Makes the TCP or UDP checksum the pseudo-header's sum: whoever sums the rest completes it. False as above. */
bool net_frame_start_l4(uint8_t *bytes, const struct net_frame *frame);

/* Toeplitz, by table: for 36 bytes of addresses and ports. */
#define NET_HASH_INPUT 36
struct net_hash {
	uint32_t table[NET_HASH_INPUT][256];
};
void net_hash_init(struct net_hash *hash, const uint8_t key[40]);

/* The hash of the best of the wanted types (enum nic_hash_type); *type 0: none applies. */
uint32_t net_frame_hash(const struct net_hash *hash, const uint8_t *bytes,
			const struct net_frame *frame, uint8_t wanted, uint8_t *type);

/*
 * A TCP send that is to become frames of at most mss bytes of payload, headers and checksums complete. What it is made
 * from stays where it is; the lengths in its headers may be anything.
 */
#define NET_SEND_HEADERS 256u
struct net_send {
	const uint8_t *bytes;
	size_t len, header_len;
	struct net_frame frame;            /* where things are in the headers */
	uint8_t headers[NET_SEND_HEADERS]; /* as they came, but for the length that IP has */
};

/* header_len is below NET_SEND_HEADERS, at most len. False: it is not TCP over IP with such headers. */
bool net_send_parse(struct net_send *send, const uint8_t *bytes, size_t len, size_t header_len);

/* The headers, header_len bytes, of the frame with payload_len bytes of payload from payload byte `at` on. */
void net_send_headers(const struct net_send *send, size_t at, size_t payload_len, size_t mss,
		      uint8_t *headers);

/* Gives each frame to out(), from payload byte `at` on, a multiple of the mss, which is not 0. */
void net_send_cut(const struct net_send *send, size_t at, size_t mss,
		  void (*out)(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
			      size_t payload_len),
		  void *ctx);

/* The three together, for all of a send. False: as above, or no mss. */
bool net_frame_segment(const uint8_t *bytes, size_t len, size_t header_len, size_t mss,
		       void (*out)(void *ctx, uint8_t *header, size_t header_len,
				   const uint8_t *payload, size_t payload_len),
		       void *ctx);

/*
 * The same send, left to another to cut: lengths and the IP checksum become those of one large packet, TCP's
 * checksum that of its pseudo-header; *frame says where things are. False: as above, or it is larger than IP allows.
 */
bool net_frame_prepare_send(uint8_t *bytes, size_t len, size_t header_len, struct net_frame *frame);

#endif
