#ifndef DEVICES_VMBUS_VMBUS_RING_H
#define DEVICES_VMBUS_VMBUS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/vmbus.h"

/*
 * The two rings of a channel, in guest memory, seen from the server: it reads the upstream ring and
 * writes the downstream one. One thread uses a ring at a time.
 *
 * Nothing in a ring is believed: indices are checked at every load, our own are kept privately and
 * only ever written to the ring, and a packet is copied out once. -EPROTO means that the guest broke
 * the protocol; the ring is of no further use then.
 */

/* A batch of packets is copied from or to the ring by one copy of at most so many bytes. */
#define VMBUS_RING_BATCH 1024u

/* Guest pages by host address: the control page, then the data pages. */
struct vmbus_ring {
	struct hv_ring_buffer *control;
	uint8_t *const *data; /* the owner's; outlives the ring */
	uint8_t *flat;        /* all of the data when its pages follow each other here, else NULL */
	uint32_t size;        /* bytes of data */
};

struct vmbus_ring_reader {
	struct vmbus_ring ring;
	uint32_t published; /* the read_index that the guest knows */
	uint32_t next;      /* where the next packet starts */
	uint32_t write;     /* the guest's write_index when last looked at */
	uint8_t *copy;      /* the owner's: what has been copied from the ring */
	uint32_t copy_size; /* bytes; a packet is no larger */
	uint32_t at, end;   /* in the copy: the next packet, as far as it is there */
};

struct vmbus_ring_writer {
	struct vmbus_ring ring;
	uint32_t write;     /* where the next packet goes */
	uint32_t published; /* the write_index that the guest knows */
	uint32_t read;      /* the guest's read_index when last looked at */
	bool waiting;       /* pending_send_sz is set */
	bool signal;        /* for what has been published */
	uint32_t staged;    /* bytes of packets that are in `stage` yet, and not in the ring */
	uint32_t staged_at; /* where they go */
	uint64_t stage[VMBUS_RING_BATCH / 8];
};

/* What a packet is made of, in the order in which it lies in the ring. */
struct vmbus_ring_packet {
	uint16_t type; /* enum vmbus_packet_type */
	uint16_t flags;
	uint64_t trans_id;
	const void *extension; /* transfer-page header and ranges; a multiple of 8 bytes */
	size_t extension_len;
	const void *payload;
	size_t payload_len; /* padded to a multiple of 8 with zeroes */
};

/*
 * pages[0] is the control page, the `count` - 1 pages after it hold the data. Both rings start from
 * the indices that they find. The reader copies packets to `copy`, of `size` bytes and aligned to 8, which
 * is the caller's and outlives it. -EINVAL: no data page, or more than 4 GiB; -EPROTO.
 */
int vmbus_ring_reader_init(struct vmbus_ring_reader *reader, uint8_t *const *pages, uint32_t count,
			   void *copy, size_t size);
int vmbus_ring_writer_init(struct vmbus_ring_writer *writer, uint8_t *const *pages, uint32_t count);

static inline uint32_t vmbus_ring_advance(const struct vmbus_ring *ring, uint32_t index,
					  uint32_t len)
{
	uint64_t next = (uint64_t)index + len;

	return (uint32_t)(next >= ring->size ? next - ring->size : next);
}

/* The same as vmbus_ring_read(), which it is for: a packet that has to be copied first, or is none. */
int vmbus_ring_read_on(struct vmbus_ring_reader *reader, const void **packet);

/*
 * Takes the next packet: *packet is its private copy, descriptor included, valid until the next call.
 * Returns its length, at least that of its descriptor, whose offset8 and len8 fit that length.
 * -EAGAIN: the ring is empty; -EPROTO, also when the packet is larger than the reader's copy may be.
 */
static inline int vmbus_ring_read(struct vmbus_ring_reader *reader, const void **packet)
{
	const struct vmpacket_descriptor *desc = (const void *)(reader->copy + reader->at);
	uint32_t have = reader->end - reader->at, len;

	if (have < sizeof(*desc))
		return vmbus_ring_read_on(reader, packet);
	len = desc->len8 * 8u;
	if (desc->offset8 * 8u < sizeof(*desc) || desc->offset8 > desc->len8 ||
	    have < len + sizeof(struct vmpacket_trailer))
		return vmbus_ring_read_on(reader, packet);
	*packet = desc;
	len += sizeof(struct vmpacket_trailer);
	reader->at += len;
	reader->next = vmbus_ring_advance(&reader->ring, reader->next, len);
	return (int)(len - sizeof(struct vmpacket_trailer));
}

/* Gives the guest back the room of what was read. True: it waits for room and must be signalled. */
bool vmbus_ring_commit(struct vmbus_ring_reader *reader);

/* Tells the guest not to signal when it makes the ring non-empty. */
void vmbus_ring_mask(struct vmbus_ring_reader *reader);

/*
 * Tells the guest to signal again, after a commit. True: there is something to read after all, for
 * which no signal may come.
 */
bool vmbus_ring_unmask(struct vmbus_ring_reader *reader);

/*
 * Writes one packet, which the guest sees after vmbus_ring_publish(). 0; -EAGAIN: no room now, the guest
 * will signal when there is, given vmbus_ring_publish(); -EMSGSIZE: it never fits; -EPROTO.
 */
int vmbus_ring_write(struct vmbus_ring_writer *writer, const struct vmbus_ring_packet *packet);

/* Shows the guest what has been written. 1: it must be signalled; 0; -EPROTO. */
int vmbus_ring_publish(struct vmbus_ring_writer *writer);

#endif
