#include "host/net_offload.h"

#include <stdbool.h>
#include <string.h>

#include "core/log.h"
#include "core/net_backend.h"
#include "core/net_frame.h"
#include "proto/inet.h"

#define MAC_BYTES  12u
#define VLAN_TAG   4u
#define TCP_LENGTH 12u /* its place in the header */

void net_offload_header(const struct net_offload *offload, struct virtio_net_hdr *header)
{
	*header = (struct virtio_net_hdr){ 0 };
	if (!offload)
		return;
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = offload->sum_start;
	header->csum_offset = (uint16_t)(offload->sum_field - offload->sum_start);
	if (!offload->mss)
		return;
	header->gso_type = offload->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	header->gso_size = offload->mss;
	header->hdr_len = offload->header_len;
}

/* --- from the device --- */

struct cutter {
	uint8_t *frame;
	size_t size;
	bool tagged;
	uint8_t tag[VLAN_TAG];
	const struct net_backend_client *client;
	void *ctx;
};

static void add_segment(void *ctx, uint8_t *header, size_t header_len, const uint8_t *payload,
			size_t payload_len)
{
	struct cutter *cutter = ctx;
	size_t at = MAC_BYTES;

	if (header_len + payload_len + VLAN_TAG > cutter->size)
		return;
	memcpy(cutter->frame, header, MAC_BYTES);
	if (cutter->tagged) {
		memcpy(cutter->frame + at, cutter->tag, VLAN_TAG);
		at += VLAN_TAG;
	}
	memcpy(cutter->frame + at, header + MAC_BYTES, header_len - MAC_BYTES);
	at += header_len - MAC_BYTES;
	memcpy(cutter->frame + at, payload, payload_len);
	cutter->client->receive(cutter->ctx, cutter->frame, at + payload_len);
}

/* Tagged sends always come as frames. */
static size_t offer(const struct cutter *cutter, const struct net_send *send, size_t mss)
{
	if (cutter->tagged || !cutter->client->receive_send)
		return 0;
	return cutter->client->receive_send(cutter->ctx, send, mss);
}

/* A tag is taken out for that, and put into each frame. */
static bool cut_send(struct cutter *cutter, uint8_t *frame, size_t len, size_t tcp, size_t mss)
{
	struct net_send send;
	size_t header_len;

	if (!mss || tcp < MAC_BYTES + 2 || tcp + TCP_HEADER_MIN > len)
		return false;
	header_len = tcp + (frame[tcp + TCP_LENGTH] >> 4) * 4u;
	if (frame[MAC_BYTES] == 0x81 && !frame[MAC_BYTES + 1]) {
		memcpy(cutter->tag, frame + MAC_BYTES, VLAN_TAG);
		cutter->tagged = true;
		memmove(frame + VLAN_TAG, frame, MAC_BYTES);
		frame += VLAN_TAG;
		len -= VLAN_TAG;
		header_len -= VLAN_TAG;
	}
	if (!net_send_parse(&send, frame, len, header_len))
		return false;
	net_send_cut(&send, offer(cutter, &send, mss), mss, add_segment, cutter);
	return true;
}

/* The field has the pseudo-header's sum, so it is summed with the rest. */
static bool finish_sum(uint8_t *frame, size_t len, size_t start, size_t offset)
{
	uint16_t sum;

	if (start + offset + 2 > len)
		return false;
	sum = (uint16_t)~net_sum(0, frame + start, len - start);
	if (!sum)
		sum = 0xFFFF; /* as good, and for UDP 0 would mean none (RFC 768) */
	frame[start + offset] = (uint8_t)(sum >> 8);
	frame[start + offset + 1] = (uint8_t)sum;
	return true;
}

void net_offload_finish(const struct virtio_net_hdr *header, uint8_t *frame, size_t len,
			uint8_t *cut, size_t cut_size, const struct net_backend_client *client,
			void *ctx)
{
	struct cutter cutter = { .frame = cut, .size = cut_size, .client = client, .ctx = ctx };
	bool good = true;

	if ((header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE)
		good = cut_send(&cutter, frame, len, header->csum_start, header->gso_size);
	else if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		good = finish_sum(frame, len, header->csum_start, header->csum_offset);
	if (!good)
		log_limited(LOG_DEBUG, "a frame is lost: the device says what cannot be of it");
	else if (!(header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN))
		client->receive(ctx, frame, len);
}
