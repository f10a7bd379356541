#include "devices/vmbus/vmbus_ring.h"

#include <errno.h>
#include <string.h>

#include "core/guest_access.h"
#include "proto/vmbus.h"

#define DESCRIPTOR_SIZE ((uint32_t)sizeof(struct vmpacket_descriptor))
#define TRAILER_SIZE    ((uint32_t)sizeof(struct vmpacket_trailer))

/*
 * Memory ordering. Each side publishes its index with a store and then looks at a word that the
 * other side may just have changed (mask, pending size or the other index); the other side does the
 * same with the words swapped. Both need the store to be visible before the load, hence the fence.
 * The data needs no more than x86 gives: stores stay in order, and so do loads.
 *
 * A ring can lie in pages that fault when touched. A word that does reads as UINT32_MAX, which no
 * check of an index accepts, and which as a mask or a pending size asks for nothing.
 */
#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer cannot look into guest_access.c, nor at fences: the same order in its terms. */
static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void publish(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static int copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return 0;
}
#else
static uint32_t load(const uint32_t *word)
{
	uint32_t value;

	return guest_access_copy(&value, word, sizeof(value)) ? UINT32_MAX : value;
}

/* A fault here needs no answer: the next load of this page finds it too. */
static void publish(uint32_t *word, uint32_t value)
{
	guest_access_copy(word, &value, sizeof(value));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static int copy(void *to, const void *from, size_t len)
{
	return guest_access_copy(to, from, len);
}
#endif

static bool index_valid(const struct vmbus_ring *ring, uint32_t index)
{
	return index < ring->size && index % 8 == 0;
}

/* Bytes from index `from` up to index `to`. */
static uint32_t distance(const struct vmbus_ring *ring, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : ring->size - from + to;
}

static uint32_t advance(const struct vmbus_ring *ring, uint32_t index, uint32_t len)
{
	uint64_t next = (uint64_t)index + len;

	return (uint32_t)(next >= ring->size ? next - ring->size : next);
}

/* What a writer may use: one granule stays free, or a full ring would look empty. */
static uint32_t room(const struct vmbus_ring *ring, uint32_t read, uint32_t write)
{
	return ring->size - distance(ring, read, write) - 8;
}

static int ring_init(struct vmbus_ring *ring, uint8_t *const *pages, uint32_t count)
{
	if (count < 2 || count > UINT32_MAX / VMBUS_PAGE_SIZE)
		return -EINVAL;
	*ring = (struct vmbus_ring){
		.control = (struct hv_ring_buffer *)(void *)pages[0],
		.data = pages + 1,
		.flat = pages[1],
		.size = (count - 1) * VMBUS_PAGE_SIZE,
	};
	for (uint32_t i = 2; i < count; i++)
		if (pages[i] != pages[i - 1] + VMBUS_PAGE_SIZE)
			ring->flat = NULL;
	return 0;
}

/* Host address of an index, and in *len, which is not 0, how much can be had there in one piece. */
static uint8_t *piece_at(const struct vmbus_ring *ring, uint32_t index, uint32_t *len)
{
	uint32_t offset = index % VMBUS_PAGE_SIZE;
	uint32_t left = ring->flat ? ring->size - index : VMBUS_PAGE_SIZE - offset;

	if (*len > left)
		*len = left;
	return ring->flat ? ring->flat + index : ring->data[index / VMBUS_PAGE_SIZE] + offset;
}

/* Copies from the ring, around its end. 0 or -EFAULT. */
static int copy_from(const struct vmbus_ring *ring, uint32_t index, void *buf, uint32_t len)
{
	uint8_t *to = buf;

	while (len) {
		uint32_t chunk = len;
		const uint8_t *from = piece_at(ring, index, &chunk);

		if (copy(to, from, chunk))
			return -EFAULT;
		index = advance(ring, index, chunk);
		to += chunk;
		len -= chunk;
	}
	return 0;
}

/* Copies to the ring and moves *index on. 0 or -EFAULT. */
static int copy_to(const struct vmbus_ring *ring, uint32_t *index, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	while (len) {
		uint32_t chunk = (uint32_t)len;
		uint8_t *to = piece_at(ring, *index, &chunk);

		if (copy(to, from, chunk))
			return -EFAULT;
		*index = advance(ring, *index, chunk);
		from += chunk;
		len -= chunk;
	}
	return 0;
}

int vmbus_ring_reader_init(struct vmbus_ring_reader *reader, uint8_t *const *pages, uint32_t count)
{
	int err = ring_init(&reader->ring, pages, count);

	if (err)
		return err;
	reader->published = load(&reader->ring.control->read_index);
	if (!index_valid(&reader->ring, reader->published))
		return -EPROTO;
	reader->next = reader->published;
	reader->write = reader->published;
	vmbus_ring_mask(reader);
	return 0;
}

int vmbus_ring_writer_init(struct vmbus_ring_writer *writer, uint8_t *const *pages, uint32_t count)
{
	int err = ring_init(&writer->ring, pages, count);

	if (err)
		return err;
	writer->write = load(&writer->ring.control->write_index);
	writer->published = writer->write;
	writer->waiting = false;
	writer->signal = false;
	if (!index_valid(&writer->ring, writer->write))
		return -EPROTO;
	publish(&writer->ring.control->pending_send_sz, 0);
	publish(&writer->ring.control->feature_bits, VMBUS_RING_FEATURE_PENDING_SEND_SIZE);
	return 0;
}

static int refresh_write(struct vmbus_ring_reader *reader)
{
	uint32_t write = load(&reader->ring.control->write_index);

	if (!index_valid(&reader->ring, write))
		return -EPROTO;
	reader->write = write;
	return 0;
}

int vmbus_ring_read(struct vmbus_ring_reader *reader, void *buf, size_t size)
{
	struct vmpacket_descriptor desc;
	uint32_t avail, len;

	if (reader->next == reader->write) {
		if (refresh_write(reader))
			return -EPROTO;
		if (reader->next == reader->write)
			return -EAGAIN;
	}
	avail = distance(&reader->ring, reader->next, reader->write);
	if (avail < DESCRIPTOR_SIZE + TRAILER_SIZE || size < DESCRIPTOR_SIZE)
		return -EPROTO;
	if (copy_from(&reader->ring, reader->next, &desc, DESCRIPTOR_SIZE))
		return -EPROTO;
	len = desc.len8 * 8u;
	if (desc.offset8 * 8u < DESCRIPTOR_SIZE || desc.offset8 > desc.len8 ||
	    len > avail - TRAILER_SIZE || len > size)
		return -EPROTO;

	/* The checked descriptor goes first: the guest may have changed the one in the ring. */
	memcpy(buf, &desc, DESCRIPTOR_SIZE);
	if (copy_from(&reader->ring, advance(&reader->ring, reader->next, DESCRIPTOR_SIZE),
		      (uint8_t *)buf + DESCRIPTOR_SIZE, len - DESCRIPTOR_SIZE))
		return -EPROTO;
	reader->next = advance(&reader->ring, reader->next, len + TRAILER_SIZE);
	return (int)len;
}

bool vmbus_ring_commit(struct vmbus_ring_reader *reader)
{
	const struct vmbus_ring *ring = &reader->ring;
	uint32_t pending, write, before, after;

	if (reader->published == reader->next)
		return false;
	before = reader->published;
	reader->published = reader->next;
	publish(&ring->control->read_index, reader->next);

	/* The low bits are not a size: some clients ask for "all but one byte". */
	pending = load(&ring->control->pending_send_sz) & ~7u;
	if (!pending)
		return false;
	write = load(&ring->control->write_index);
	if (!index_valid(ring, write))
		return false; /* the next read reports it */
	after = room(ring, reader->next, write);
	before = room(ring, before, write);
	/*
	 * Clients differ on whether room for exactly `pending` bytes is enough, so a step onto or
	 * off that mark signals too: once too often does no harm.
	 */
	return before <= pending && after >= pending;
}

void vmbus_ring_mask(struct vmbus_ring_reader *reader)
{
	publish(&reader->ring.control->interrupt_mask, 1);
}

bool vmbus_ring_unmask(struct vmbus_ring_reader *reader)
{
	publish(&reader->ring.control->interrupt_mask, 0);
	return load(&reader->ring.control->write_index) != reader->next;
}

/* Looks at the guest's read_index: room in the ring, or -EPROTO. */
static int64_t look_for_room(struct vmbus_ring_writer *writer)
{
	uint32_t read = load(&writer->ring.control->read_index);

	if (!index_valid(&writer->ring, read))
		return -EPROTO;
	writer->read = read;
	return room(&writer->ring, read, writer->write);
}

/*
 * Asks the guest to signal when there is room. It decides that by the write_index that it knows, which
 * must be ours then.
 */
static int64_t ask_for_room(struct vmbus_ring_writer *writer, uint32_t needed)
{
	writer->signal = vmbus_ring_publish(writer);
	publish(&writer->ring.control->pending_send_sz, needed);
	writer->waiting = true;
	/* It may have made room just before it could see that. */
	return look_for_room(writer);
}

/* 0 when `needed` bytes fit; otherwise asks the guest to signal when they do. */
static int make_room(struct vmbus_ring_writer *writer, uint32_t needed)
{
	int64_t free_bytes;

	/* Of several packets in a row only the first looks, as long as what it saw is enough. */
	if (writer->write != writer->published && !writer->waiting &&
	    room(&writer->ring, writer->read, writer->write) >= needed)
		return 0;
	free_bytes = look_for_room(writer);
	if (free_bytes >= 0 && free_bytes < needed)
		free_bytes = ask_for_room(writer, needed);
	if (free_bytes < 0)
		return -EPROTO;
	if (free_bytes < needed)
		return -EAGAIN;
	if (writer->waiting) {
		publish(&writer->ring.control->pending_send_sz, 0);
		writer->waiting = false;
	}
	return 0;
}

/* A packet's bytes and its trailer, in a piece of the ring that is in one page. */
static int put_in_page(uint8_t *to, const struct vmpacket_descriptor *desc,
		       const struct vmbus_ring_packet *packet,
		       const struct vmpacket_trailer *trailer)
{
	uint8_t *payload = to + sizeof(*desc) + packet->extension_len;
	static const uint8_t padding[8];
	size_t pad = -packet->payload_len & 7;

	if (copy(to, desc, sizeof(*desc)) ||
	    (packet->extension_len &&
	     copy(to + sizeof(*desc), packet->extension, packet->extension_len)) ||
	    copy(payload, packet->payload, packet->payload_len) ||
	    (pad && copy(payload + packet->payload_len, padding, pad)) ||
	    copy(payload + packet->payload_len + pad, trailer, sizeof(*trailer)))
		return -EPROTO;
	return 0;
}

/* Lays the packet and its trailer, `len` bytes together, out from *index on. */
static int put_packet(const struct vmbus_ring *ring, uint32_t *index, uint32_t len,
		      const struct vmpacket_descriptor *desc,
		      const struct vmbus_ring_packet *packet)
{
	static const uint8_t padding[8];
	struct vmpacket_trailer trailer = { .offset = *index };
	uint8_t *page = ring->data[*index / VMBUS_PAGE_SIZE];
	uint32_t offset = *index % VMBUS_PAGE_SIZE;

	if (len <= VMBUS_PAGE_SIZE - offset) {
		*index = advance(ring, *index, len);
		return put_in_page(page + offset, desc, packet, &trailer);
	}
	if (copy_to(ring, index, desc, sizeof(*desc)) ||
	    copy_to(ring, index, packet->extension, packet->extension_len) ||
	    copy_to(ring, index, packet->payload, packet->payload_len) ||
	    copy_to(ring, index, padding, -packet->payload_len & 7) ||
	    copy_to(ring, index, &trailer, sizeof(trailer)))
		return -EPROTO;
	return 0;
}

int vmbus_ring_write(struct vmbus_ring_writer *writer, const struct vmbus_ring_packet *packet)
{
	const struct vmbus_ring *ring = &writer->ring;
	uint32_t index = writer->write, len;
	struct vmpacket_descriptor desc;
	int err;

	if (packet->payload_len > UINT16_MAX * 8u || packet->extension_len > UINT16_MAX * 8u)
		return -EMSGSIZE;
	len = DESCRIPTOR_SIZE + (uint32_t)packet->extension_len +
	      (((uint32_t)packet->payload_len + 7) & ~7u);
	if (len > UINT16_MAX * 8u || len + TRAILER_SIZE > ring->size - 8)
		return -EMSGSIZE;
	err = make_room(writer, len + TRAILER_SIZE);
	if (err)
		return err;

	desc = (struct vmpacket_descriptor){
		.type = packet->type,
		.offset8 = (uint16_t)((DESCRIPTOR_SIZE + packet->extension_len) / 8),
		.len8 = (uint16_t)(len / 8),
		.flags = packet->flags,
		.trans_id = packet->trans_id,
	};
	err = put_packet(ring, &index, len + TRAILER_SIZE, &desc, packet);
	if (err)
		return err;
	writer->write = index;
	return 0;
}

bool vmbus_ring_publish(struct vmbus_ring_writer *writer)
{
	const struct hv_ring_buffer *control = writer->ring.control;
	uint32_t start = writer->published;
	bool signal = writer->signal;

	writer->signal = false;
	if (writer->write == start)
		return signal;
	writer->published = writer->write;
	publish(&writer->ring.control->write_index, writer->write);
	/* Only the step from empty wakes a reader; one that is reading looks again by itself. */
	return signal || (!load(&control->interrupt_mask) && load(&control->read_index) == start);
}
