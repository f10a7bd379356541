#ifndef DEVICES_NET_NETVSP_H
#define DEVICES_NET_NETVSP_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/guid.h"

/*
 * A network card on VMBus, as netvsc drivers know it: NVSP versions 1 to 6.1, RNDIS inside, a
 * primary channel and sub-channels, backed by a struct nic. A channel is a queue pair of the nic:
 * its frames run on the channel's event loop, both ways.
 */

struct netvsp;
struct nic;
struct vmbus_server;

struct netvsp_config {
	struct vmbus_server *server;
	struct guid instance;
	struct nic *nic;           /* outlives the card */
	uint16_t max_sub_channels; /* what the guest may ask for: VPs less one */

	/*
	 * The guest switched its traffic to the VF, or back: before it is answered, on the primary's
	 * loop, or netvsp_vf_left()'s thread. False: it stays where it is. Traffic on the VF stays there
	 * while the card is closed: guests open it anew for another MTU, and do not switch again. May be NULL.
	 */
	bool (*data_path)(void *ctx, bool to_vf);
	void *ctx;
};

/* Offers the card. 0 or -errno. */
int netvsp_create(const struct netvsp_config *config, struct netvsp **netvsp);

/*
 * Takes the card from the guest; when the last of its channels is gone, calls gone(ctx), on the
 * primary channel's loop, and is no more.
 */
void netvsp_destroy(struct netvsp *netvsp, void (*gone)(void *ctx), void *ctx);

/*
 * Tells the guest, when it can know it, that a VF with this serial number (its slot on the VPCI bus)
 * belongs to the card, or no longer does. Any thread.
 */
void netvsp_set_vf(struct netvsp *netvsp, bool present, uint32_t serial);

/* The VF is driven no more: the card has its traffic back, whatever the guest said last. Any thread. */
void netvsp_vf_left(struct netvsp *netvsp);

/* What went through since the card was created. Any thread. */
struct netvsp_counters {
	uint64_t tx_frames, tx_bytes, tx_errors;
	uint64_t rx_frames, rx_bytes, rx_errors, rx_filtered;
	uint64_t rsc_units, rsc_frames; /* coalesced packets, and the frames that became them */
	uint64_t rsc_payload;           /* bytes of TCP in these */
	uint64_t rsc_aborts;            /* units that ended early */
	uint64_t copied_bytes; /* by the card: heads of messages and of frames, never payload */
};
void netvsp_counters(struct netvsp *netvsp, struct netvsp_counters *counters);

#endif
