#include "devices/vmbus/vmbus_ring.h"

#include <errno.h>
#include <string.h>

#include "core/bytes.h"
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
		index = vmbus_ring_advance(ring, index, chunk);
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
		*index = vmbus_ring_advance(ring, *index, chunk);
		from += chunk;
		len -= chunk;
	}
	return 0;
}

int vmbus_ring_reader_init(struct vmbus_ring_reader *reader, uint8_t *const *pages, uint32_t count,
			   void *copy, size_t size)
{
	int err = ring_init(&reader->ring, pages, count);

	if (err)
		return err;
	reader->published = load(&reader->ring.control->read_index);
	if (!index_valid(&reader->ring, reader->published))
		return -EPROTO;
	reader->next = reader->published;
	reader->write = reader->published;
	reader->copy = copy;
	reader->copy_size = (uint32_t)size & ~7u;
	reader->at = reader->end = 0;
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
	writer->staged = 0;
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

static uint32_t copied(const struct vmbus_ring_reader *reader)
{
	return reader->end - reader->at;
}

/*
 * Copies what the next packet's first `len` bytes still lack, which are in the ring and fit. What follows,
 * `avail` bytes together, comes along, up to a batch: each copy has its price. What is in the copy already is
 * not copied again, for it has been checked.
 */
static int fill(struct vmbus_ring_reader *reader, uint32_t avail, uint32_t len)
{
	uint32_t have = copied(reader), want = avail;

	if (want > VMBUS_RING_BATCH)
		want = len > VMBUS_RING_BATCH ? len : VMBUS_RING_BATCH;
	if (want > reader->copy_size)
		want = reader->copy_size;
	memmove(reader->copy, reader->copy + reader->at, have);
	reader->at = 0;
	reader->end = want;
	return copy_from(&reader->ring, vmbus_ring_advance(&reader->ring, reader->next, have),
			 reader->copy + have, want - have);
}

/* The length of the packet whose descriptor is in the copy; 0: it cannot be. */
static uint32_t packet_len(const struct vmbus_ring_reader *reader, uint32_t avail)
{
	struct vmpacket_descriptor desc;
	uint32_t len;

	memcpy(&desc, reader->copy + reader->at, DESCRIPTOR_SIZE);
	len = desc.len8 * 8u;
	if (desc.offset8 * 8u < DESCRIPTOR_SIZE || desc.offset8 > desc.len8 ||
	    len > avail - TRAILER_SIZE || len > reader->copy_size)
		return 0;
	return len;
}

int vmbus_ring_read_on(struct vmbus_ring_reader *reader, const void **packet)
{
	uint32_t avail, len;

	if (reader->next == reader->write) {
		if (refresh_write(reader))
			return -EPROTO;
		if (reader->next == reader->write)
			return -EAGAIN;
	}
	avail = distance(&reader->ring, reader->next, reader->write);
	if (avail < DESCRIPTOR_SIZE + TRAILER_SIZE || reader->copy_size < DESCRIPTOR_SIZE)
		return -EPROTO;
	if (copied(reader) < DESCRIPTOR_SIZE && fill(reader, avail, DESCRIPTOR_SIZE))
		return -EPROTO;
	len = packet_len(reader, avail);
	if (!len || (copied(reader) < len && fill(reader, avail, len)))
		return -EPROTO;

	*packet = reader->copy + reader->at;
	reader->next = vmbus_ring_advance(&reader->ring, reader->next, len + TRAILER_SIZE);
	reader->at += len + TRAILER_SIZE;
	if (reader->at > reader->end)
		reader->at = reader->end; /* the trailer is not missed */
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
	int signal = vmbus_ring_publish(writer);

	if (signal < 0)
		return signal;
	writer->signal = signal;
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

/*
 * Private copies of some words, the last one filled up with zeroes. (What the C library has for any length takes
 * longer to begin.) Words that were just written are read as they were written, or the processor waits for them.
 */
static uint64_t *put_words(uint64_t *to, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (; len >= 8; from += 8, len -= 8) {
		*to++ = load_le64(from);
		__asm__("" : "+r"(from)); /* or the compiler makes one memcpy() of them all */
	}
	if (len) {
		*to = 0;
		memcpy(to++, from, len);
	}
	return to;
}

/* What has been laid out goes to the ring. 0 or -EPROTO. */
static int flush(struct vmbus_ring_writer *writer)
{
	uint32_t index = writer->staged_at;
	int err = copy_to(&writer->ring, &index, writer->stage, writer->staged);

	writer->staged = 0;
	return err ? -EPROTO : 0;
}

static struct vmpacket_descriptor describe(const struct vmbus_ring_packet *packet, uint32_t len)
{
	return (struct vmpacket_descriptor){
		.type = packet->type,
		.offset8 = (uint16_t)((DESCRIPTOR_SIZE + packet->extension_len) / 8),
		.len8 = (uint16_t)(len / 8),
		.flags = packet->flags,
		.trans_id = packet->trans_id,
	};
}

/* Lays a packet out, of `len` bytes and a trailer, to go to the ring with others. */
static int stage_packet(struct vmbus_ring_writer *writer, uint32_t len,
			const struct vmbus_ring_packet *packet)
{
	uint64_t *to;

	if (writer->staged + len + TRAILER_SIZE > sizeof(writer->stage) && flush(writer))
		return -EPROTO;
	if (!writer->staged)
		writer->staged_at = writer->write;
	to = &writer->stage[writer->staged / 8];
	*(struct vmpacket_descriptor *)(void *)to = describe(packet, len);
	to = put_words(to + DESCRIPTOR_SIZE / 8, packet->extension, packet->extension_len);
	to = put_words(to, packet->payload, packet->payload_len);
	*(struct vmpacket_trailer *)(void *)to =
		(struct vmpacket_trailer){ .offset = writer->write };
	writer->staged += len + TRAILER_SIZE;
	return 0;
}

/* The same, straight to the ring: a packet that is too large for that. */
static int put_packet(struct vmbus_ring_writer *writer, uint32_t len,
		      const struct vmbus_ring_packet *packet)
{
	static const uint8_t padding[8];
	const struct vmbus_ring *ring = &writer->ring;
	struct vmpacket_descriptor desc = describe(packet, len);
	struct vmpacket_trailer trailer = { .offset = writer->write };
	uint32_t index = writer->write;

	if (flush(writer) || copy_to(ring, &index, &desc, sizeof(desc)) ||
	    copy_to(ring, &index, packet->extension, packet->extension_len) ||
	    copy_to(ring, &index, packet->payload, packet->payload_len) ||
	    copy_to(ring, &index, padding, -packet->payload_len & 7) ||
	    copy_to(ring, &index, &trailer, sizeof(trailer)))
		return -EPROTO;
	return 0;
}

int vmbus_ring_write(struct vmbus_ring_writer *writer, const struct vmbus_ring_packet *packet)
{
	size_t parts = packet->extension_len + packet->payload_len;
	uint32_t len;
	int err;

	if (parts > UINT16_MAX * 8u || packet->payload_len > parts)
		return -EMSGSIZE;
	len = DESCRIPTOR_SIZE + (((uint32_t)parts + 7) & ~7u);
	if (len > UINT16_MAX * 8u || len + TRAILER_SIZE > writer->ring.size - 8)
		return -EMSGSIZE;
	err = make_room(writer, len + TRAILER_SIZE);
	if (err)
		return err;
	if (len + TRAILER_SIZE <= sizeof(writer->stage))
		err = stage_packet(writer, len, packet);
	else
		err = put_packet(writer, len, packet);
	if (!err)
		writer->write =
			vmbus_ring_advance(&writer->ring, writer->write, len + TRAILER_SIZE);
	return err;
}

int vmbus_ring_publish(struct vmbus_ring_writer *writer)
{
	const struct hv_ring_buffer *control = writer->ring.control;
	uint32_t start = writer->published;
	bool signal = writer->signal;

	writer->signal = false;
	if (writer->write == start)
		return signal;
	if (flush(writer))
		return -EPROTO;
	writer->published = writer->write;
	publish(&writer->ring.control->write_index, writer->write);
	/* Only the step from empty wakes a reader; one that is reading looks again by itself. */
	return signal || (!load(&control->interrupt_mask) && load(&control->read_index) == start);
}
