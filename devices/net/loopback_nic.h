#ifndef DEVICES_NET_LOOPBACK_NIC_H
#define DEVICES_NET_LOOPBACK_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/nic.h"

/*
 * A nic for tests: what a queue sends comes back on it, unless a test looks at it or holds it. Every
 * queue works on its loop's thread only.
 */

struct guest_memory;
struct loopback_nic;

#define LOOPBACK_RING 128 /* frames, and buffers, that a queue holds */

struct loopback_nic_config {
	const struct guest_memory *memory;
	uint16_t queues;
	/* Sees a frame that was sent, before it comes back; true: it does not. May be NULL. */
	bool (*sent)(void *ctx, unsigned int queue, const struct nic_tx *tx, const uint8_t *frame);
	void *ctx;
};

struct loopback_nic *loopback_nic_create(const struct loopback_nic_config *config);
void loopback_nic_destroy(struct loopback_nic *loopback); /* all queues are closed */
struct nic *loopback_nic_nic(struct loopback_nic *loopback);

/* Delivers a frame as if from the wire. False: no buffer, or the queue does not receive. Queue. */
bool loopback_nic_deliver(struct loopback_nic *loopback, unsigned int queue, const uint8_t *frame,
			  uint32_t len, const struct nic_rx *meta);

/*
 * The same of a send that was not cut, which would have been so many frames: in as many buffers as it fills. False also when
 * these are too few.
 */
bool loopback_nic_deliver_uncut(struct loopback_nic *loopback, unsigned int queue,
				const uint8_t *frame, uint32_t len, uint32_t frames,
				const struct nic_rx *meta);

/* While it gathers, what is delivered is one batch, which ends when it gathers no more. Queue. */
void loopback_nic_gather(struct loopback_nic *loopback, unsigned int queue, bool gather);

/* While held, frames stay with the nic; letting go runs them. Queue. */
void loopback_nic_hold(struct loopback_nic *loopback, unsigned int queue, bool hold);

void loopback_nic_set_link(struct loopback_nic *loopback, bool up);

/* As last set. */
const struct nic_receive *loopback_nic_receive(const struct loopback_nic *loopback);
uint8_t loopback_nic_uncut(const struct loopback_nic *loopback); /* enum nic_uncut */
unsigned int loopback_nic_posted(const struct loopback_nic *loopback, unsigned int queue);

#endif
