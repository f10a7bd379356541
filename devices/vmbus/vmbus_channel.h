#ifndef DEVICES_VMBUS_VMBUS_CHANNEL_H
#define DEVICES_VMBUS_VMBUS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/vmbus/vmbus_packet.h"
#include "proto/vmbus.h"

/*
 * What a VMBus device sees of the server: it offers channels, and talks through those that the guest
 * opened.
 *
 * Every callback of a channel runs on one thread: the event loop of the VP that the guest chose for
 * the channel's interrupts. Functions marked "loop" are for that thread only; the others are for
 * any. No lock of the server is held during a callback.
 */

struct event_loop;
struct guest_memory;
struct vmbus_channel;
struct vmbus_gpadl;
struct vmbus_server;

struct vmbus_channel_ops {
	const char *name;
	uint32_t max_packet; /* bytes: a larger packet from the guest breaks the channel */

	/*
	 * The guest opens the channel, with 120 bytes for the device. 0, or -errno to refuse. On
	 * success, ready() follows.
	 */
	int (*open)(void *dev, struct vmbus_channel *channel, const uint8_t *user_data);

	/*
	 * No more packets will come. The device finishes or abandons what it is doing with guest
	 * memory, gives back its GPADLs, and calls vmbus_channel_closed(), now or later: the guest,
	 * a reset or a reconnect waits for that. vmbus_channel_send() fails from here on.
	 */
	void (*close)(void *dev, struct vmbus_channel *channel);

	/*
	 * The guest signalled: there may be packets, or room for packets that did not fit. The device
	 * receives until -EAGAIN, or pauses; it is called again as long as packets are left.
	 */
	void (*ready)(void *dev, struct vmbus_channel *channel);

	/*
	 * After vmbus_channel_rescind(): the last callback of the channel, which is invalid from here
	 * on. May be NULL.
	 */
	void (*gone)(void *dev, struct vmbus_channel *channel);

	/*
	 * The guest moved the channel's interrupts to another VP. True: the device has nothing under
	 * way on this loop, and the next callback comes on that VP's. False, or NULL: only the
	 * interrupts move.
	 */
	bool (*may_move)(void *dev, struct vmbus_channel *channel);
};

struct vmbus_offer {
	struct guid interface;
	struct guid instance;
	uint16_t
		flags; /* enum vmbus_offer_flag; confidential ones only reach guests that know them */
	uint16_t mmio_megabytes;
	uint16_t sub_channel_index; /* 0: primary. A sub-channel has its primary's GUIDs. */
	uint8_t user_defined[VMBUS_USER_DEFINED_BYTES];
};

/*
 * Offers a channel, at once when the guest has already asked for its offers. Copies *offer; *ops and
 * dev outlive the channel. 0 and *channel, -ENOMEM, -ENOSPC: no channel number is left.
 */
int vmbus_server_offer(struct vmbus_server *server, const struct vmbus_offer *offer,
		       const struct vmbus_channel_ops *ops, void *dev,
		       struct vmbus_channel **channel);

/*
 * Takes the offer back: close() when the channel is open, then the guest is told, then gone(). Once
 * only, never from gone().
 */
void vmbus_channel_rescind(struct vmbus_channel *channel);

/* Answers close(). Loop. The channel no longer uses guest memory. */
void vmbus_channel_closed(struct vmbus_channel *channel);

/*
 * Takes the next packet. It stays valid until the next call or the end of the callback. Loop, from
 * ready() only. 0; -EAGAIN: no more now, return from ready(); -EPROTO: the guest broke the protocol
 * and the channel is dead until the guest closes it. -EPIPE: not open.
 */
int vmbus_channel_receive(struct vmbus_channel *channel, struct vmbus_packet *packet);

/*
 * Stops ready() while the device has no room for more work, until vmbus_channel_resume(). The guest
 * finds the ring filling up. Loop.
 */
void vmbus_channel_pause(struct vmbus_channel *channel);
void vmbus_channel_resume(struct vmbus_channel *channel);

/* Has ready() called soon, as if the guest had signalled; nothing happens unless it is open. */
void vmbus_channel_wake(struct vmbus_channel *channel);

/*
 * Sends a packet and signals the guest if that is needed. Loop. 0; -EAGAIN: no room, ready() will
 * come when there is; -EMSGSIZE: can never fit; -EPROTO as above; -EPIPE: not open.
 */
int vmbus_channel_send(struct vmbus_channel *channel, bool wants_completion, uint64_t trans_id,
		       const void *payload, size_t len);
int vmbus_channel_complete(struct vmbus_channel *channel, uint64_t trans_id, const void *payload,
			   size_t len);
int vmbus_channel_send_pages(struct vmbus_channel *channel, uint64_t trans_id, uint16_t page_set,
			     const struct vmtransfer_page_range *ranges, uint32_t range_count,
			     const void *payload, size_t len);

/*
 * The buffer that the guest established for this channel under `id`; NULL when there is none. The
 * reference keeps it, and the guest's tear-down waiting, until it is put back.
 */
struct vmbus_gpadl *vmbus_channel_gpadl_get(struct vmbus_channel *channel, uint32_t id);
void vmbus_channel_gpadl_put(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl);
const struct vmbus_gpa_list *vmbus_channel_gpadl_list(const struct vmbus_gpadl *gpadl);

/* The loop that the callbacks run on. Loop. */
struct event_loop *vmbus_channel_loop(const struct vmbus_channel *channel);

/* The guest's memory, for what a packet or GPADL points at. */
const struct guest_memory *vmbus_channel_memory(const struct vmbus_channel *channel);

/* The connection's VMBUS_VERSION_*. */
uint32_t vmbus_channel_version(const struct vmbus_channel *channel);

#endif
