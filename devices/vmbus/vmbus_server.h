#ifndef DEVICES_VMBUS_VMBUS_SERVER_H
#define DEVICES_VMBUS_VMBUS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The VMBus server of one guest: version negotiation, offers and the life of channels. The
 * paravisor runs one toward VTL0, the development host one toward VTL2. docs/vmbus.md has the
 * threads and the states.
 */

struct event_loop;
struct guest_memory;
struct vmbus_server;

/*
 * How the server reaches its guest. No operation may call back into the server, and none may wait
 * for a lock that is held by a caller of the server: they run under the server's own lock.
 */
struct vmbus_transport_ops {
	/*
	 * Puts one message (at most 240 bytes) into the slot of `sint` on `vp`. -EAGAIN: the slot is
	 * taken; the server keeps the message until vmbus_server_message_slot_free(). Any other
	 * error drops it: the guest named a VP or SINT that cannot take messages.
	 */
	int (*post_message)(void *ctx, uint32_t vp, uint8_t sint, uint32_t message_type,
			    const void *payload, size_t len);

	/* Sets event flag `flag` of `sint` on `vp` and interrupts it. 0 or -errno. Any thread. */
	int (*signal_event)(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag);

	/*
	 * The loop that runs the channels whose interrupts go to `vp`; NULL when the guest has no
	 * such VP. Always the same loop for a VP; it outlives the server.
	 */
	struct event_loop *(*vp_loop)(void *ctx, uint32_t vp);
};

struct vmbus_server_config {
	const struct vmbus_transport_ops *ops;
	void *ctx;
	const struct guest_memory *memory;
	uint8_t vtl;       /* of the guest served: what InitiateContact of 5.1 names */
	bool confidential; /* the guest is isolated and this server is inside its trust boundary */
	uint32_t max_version; /* VMBUS_VERSION_*; 0: the newest we know */
};

/* Copies *config; what it points at outlives the server. NULL when out of memory. */
struct vmbus_server *vmbus_server_create(const struct vmbus_server_config *config);

/*
 * After a reset that left the server idle, when nothing calls it any more and the loops have run
 * what was posted to them. Offers that still stand go without gone().
 */
void vmbus_server_destroy(struct vmbus_server *server);

/*
 * A message that the guest posted. Any thread; the payload is the caller's copy, not guest memory.
 * 0: taken, which says nothing about the guest's request. -ENXIO: not a connection of this server
 * (HV_STATUS_INVALID_CONNECTION_ID). -EINVAL: not a VMBus message. -ENOBUFS: too many answers wait
 * for a message slot (HV_STATUS_INSUFFICIENT_BUFFERS: guests try again).
 */
int vmbus_server_handle_message(struct vmbus_server *server, uint32_t connection_id,
				uint32_t message_type, const void *payload, size_t len);

/*
 * An event that the guest signalled. Any thread. 0, or -ENXIO: not a connection of this server.
 * Channels have one flag each, so any flag number but 0 is ignored.
 */
int vmbus_server_handle_signal(struct vmbus_server *server, uint32_t connection_id, uint16_t flag);

/* A message slot that post_message found taken is free again. Any thread; cheap when not needed. */
void vmbus_server_message_slot_free(struct vmbus_server *server);

/*
 * Back to what a guest finds at power-on: closes every channel and forgets the connection. Any
 * thread. Devices close on their own threads; see vmbus_server_is_idle().
 */
void vmbus_server_reset(struct vmbus_server *server);

/* True when no guest is connected and no channel uses guest memory. */
bool vmbus_server_is_idle(struct vmbus_server *server);

/* The negotiated VMBUS_VERSION_*, 0 while disconnected. */
uint32_t vmbus_server_version(struct vmbus_server *server);

#endif
