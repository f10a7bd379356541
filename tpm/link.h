/* SPDX-License-Identifier: MIT */
#ifndef TPM_LINK_H
#define TPM_LINK_H

#include "proto/vtpm_link.h"
#include "tpm/store.h"

/* The vTPM's end of proto/vtpm_link.h. One thread; everything blocks. */
struct link {
	int in, out;
	uint32_t id; /* of our last request */
	/* Of a sync that nobody waits for: its request while it is under way, or how it went. */
	uint32_t sync_id;
	int sync_error;
	union { /* what came last */
		uint8_t packet[VTPM_LINK_PACKET];
		struct vtpm_link_header header;
		struct vtpm_link_power_on power_on;
		struct vtpm_link_execute execute;
		struct vtpm_link_store_done store_done;
	};
	size_t len; /* of it */
};

/* Waits for a packet, at least a header long. 0, -EPIPE when the other side has gone, or -errno. */
int link_receive(struct link *link);
/* Header and payload as one packet. 0, -EMSGSIZE, or -errno. */
int link_send(struct link *link, const void *header, size_t header_len, const void *payload,
	      size_t len);

/* The last packet is a VTPM_LINK_STORE_DONE that nobody waits for: of a sync that was begun, or of a process that died. */
void link_store_done(struct link *link);

/* The stored state at the other end. The context is the struct link, whose packet it overwrites. */
extern const struct store_device link_store_device;

#endif
