#ifndef HOST_NET_OFFLOAD_H
#define HOST_NET_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Work that a TAP device leaves to the other side of it, in the header before each frame
 * (virtio 1.2, 5.1.6.1, the legacy layout of ten bytes).
 */

struct net_backend_client;
struct net_offload;

/* What goes before a frame to the device. offload: NULL, or what is left of it. */
void net_offload_header(const struct net_offload *offload, struct virtio_net_hdr *header);

/*
 * Does what the device left of a frame, and gives it to the client, or the frames that it is cut into, with checksums as on a
 * wire; of a send what the client takes uncut first. Headers that make no sense: the frame is lost. `cut` has room for a frame.
 */
void net_offload_finish(const struct virtio_net_hdr *header, uint8_t *frame, size_t len,
			uint8_t *cut, size_t cut_size, const struct net_backend_client *client,
			void *ctx);

#endif
