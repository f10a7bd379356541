/*
 * Receive segment coalescing: TCP segments of a batch that follow each other become one frame for the guest, in several
 * messages of one packet. The first's headers are read once, rewritten when the unit is finished; payload stays where the
 * nic put it. Nothing waits for what may come after the batch.
 */

#include <errno.h>

#include "core/guest_memory.h"
#include "devices/net/netvsp_internal.h"
#include "devices/vmbus/vmbus_channel.h"
#include "proto/nvsp.h"

/* Acknowledgements and the like begin no unit, so where there is none they are not looked at. */
#define SMALL_FRAME 128u

/* Clients that know it take parts of a frame. */
bool netvsp_rsc_offered(const struct netvsp *netvsp)
{
	return netvsp_version(netvsp) >= NVSP_PROTOCOL_VERSION_61 && netvsp->knows_rsc &&
	       netvsp->info.rx_checksums;
}

/* --- Units to the guest */

/* All but the first hold their payload at this offset, behind headers that nobody needs. */
static int write_parts(struct netvsp_channel *channel, uint32_t first, uint32_t last,
		       uint32_t offset)
{
	const struct netvsp_rx_buffer *buffers = channel->rx.buffers;
	uint32_t number = first;

	if (first == last)
		return netvsp_rx_write_head(channel, &buffers[first], NULL);
	for (;;) {
		const struct rndis_fragment fragment = {
			.offset = number == first ? 0 : offset,
			.id = (uint16_t)first,
			.first = number == first,
			.last = number == last,
		};
		int err = netvsp_rx_write_head(channel, &buffers[number], &fragment);

		if (err || fragment.last)
			return err;
		number = buffers[number].next;
	}
}

static void count_unit(struct netvsp_channel *channel, uint32_t frames, uint32_t payload)
{
	netvsp_count(&channel->counters->rsc_units, 1);
	netvsp_count(&channel->counters->rsc_frames, frames);
	netvsp_count(&channel->counters->rsc_payload, payload);
}

static int write_unit(struct netvsp_channel *channel, struct netvsp_rsc_unit *unit)
{
	const struct guest_memory *memory = vmbus_channel_memory(channel->channel);
	const struct netvsp_rx_buffer *first = &channel->rx.buffers[unit->first];
	const struct tcp_segment *head = &unit->tcp.head;

	if (unit->tcp.segments == 1)
		return netvsp_rx_write_head(channel, first, NULL);
	tcp_unit_finish(&unit->tcp);
	count_unit(channel, unit->tcp.segments, unit->tcp.payload);
	netvsp_count(&channel->counters->copied_bytes, head->header_len);
	if (guest_memory_write(memory, first->nic.segments[0].gpa, head->headers, head->header_len))
		return -EFAULT;
	return write_parts(channel, unit->first, unit->last, head->header_len);
}

/* Takes the unit's place, too: the last has it now. */
static void finish(struct netvsp_channel *channel, unsigned int index)
{
	struct netvsp_rsc *rsc = &channel->rx.rsc;
	struct netvsp_rsc_unit *unit = &rsc->units[index];
	const struct tcp_unit *tcp = &unit->tcp;
	const struct netvsp_rx_run run = {
		unit->first,
		unit->last,
		tcp->segments,
		tcp->segments,
		tcp->segments * tcp->head.header_len + tcp->payload,
	};

	if (write_unit(channel, unit))
		netvsp_rx_drop(channel, &run);
	else
		netvsp_rx_queue(channel, &run);
	rsc->count--;
	if (index != rsc->count)
		*unit = rsc->units[rsc->count];
}

void netvsp_rsc_finish(struct netvsp_channel *channel)
{
	while (channel->rx.rsc.count)
		finish(channel, channel->rx.rsc.count - 1);
}

/* --- Frames from the nic */

static bool same_metadata(const struct nic_rx *a, const struct nic_rx *b)
{
	return a->flags == b->flags && (!(a->flags & NIC_RX_HASH) || a->hash == b->hash) &&
	       (!(a->flags & NIC_RX_VLAN) || a->vlan_tci == b->vlan_tci);
}

static struct netvsp_rsc_unit *find(struct netvsp_rsc *rsc, const struct tcp_segment *segment)
{
	for (unsigned int i = 0; i < rsc->count; i++)
		if (tcp_segment_same_flow(&rsc->units[i].tcp.head, segment))
			return &rsc->units[i];
	return NULL;
}

static bool join(struct netvsp_rx *rx, struct netvsp_rsc_unit *unit,
		 const struct tcp_segment *segment, const struct netvsp_rx_buffer *buffer)
{
	uint32_t number = (uint32_t)(buffer - rx->buffers);

	if (unit->tcp.segments == NETVSP_SEND_RANGES ||
	    !same_metadata(&rx->buffers[unit->first].nic, &buffer->nic) ||
	    !tcp_unit_join(&unit->tcp, segment))
		return false;
	rx->buffers[unit->last].next = number;
	rx->buffers[number].parts = 0;
	unit->last = number;
	return true;
}

/* As OID_TCP_RSC_STATISTICS has it: not when the unit would be too long, nor when its sender ended it. */
static bool is_abort(const struct tcp_unit *unit, const struct tcp_segment *segment)
{
	return !unit->complete && (!segment->header_len || tcp_unit_fits(unit, segment));
}

/* Something came that cannot be joined, or there are too many connections. */
static void count_abort(struct netvsp_channel *channel)
{
	netvsp_count(&channel->counters->rsc_aborts, 1);
}

static void begin(struct netvsp_channel *channel, const struct tcp_segment *segment,
		  const struct netvsp_rx_buffer *buffer)
{
	struct netvsp_rsc *rsc = &channel->rx.rsc;
	struct netvsp_rsc_unit *unit;

	if (rsc->count == NETVSP_RSC_UNITS) {
		count_abort(channel);
		finish(channel, rsc->victim++ % NETVSP_RSC_UNITS);
	}
	unit = &rsc->units[rsc->count++];
	tcp_unit_begin(&unit->tcp, segment);
	unit->first = (uint32_t)(buffer - channel->rx.buffers);
	unit->last = unit->first;
}

/* Behind it comes a segment that cannot be joined. */
static void finish_for(struct netvsp_channel *channel, struct netvsp_rsc_unit *unit,
		       const struct tcp_segment *segment)
{
	if (is_abort(&unit->tcp, segment))
		count_abort(channel);
	finish(channel, (unsigned int)(unit - channel->rx.rsc.units));
}

static bool read_segment(struct netvsp_channel *channel, const struct nic_rx *nic,
			 struct tcp_segment *segment)
{
	uint32_t len = nic->len < TCP_UNIT_HEADERS ? nic->len : TCP_UNIT_HEADERS;

	if (len > nic->segments[0].len)
		return false;
	netvsp_count(&channel->counters->copied_bytes, len);
	return !guest_memory_read(vmbus_channel_memory(channel->channel), nic->segments[0].gpa,
				  segment->headers, len);
}

static bool may_begin(const struct netvsp_rsc *rsc, const struct tcp_segment *segment,
		      const struct nic_rx *nic)
{
	if (!segment->header_len)
		return false;
	return segment->ipv6
		       ? rsc->versions & NETVSP_RSC_IPV6
		       : (rsc->versions & NETVSP_RSC_IPV4) && (nic->flags & NIC_RX_IP_CHECKSUM_OK);
}

bool netvsp_rsc_take(struct netvsp_channel *channel, struct netvsp_rx_buffer *buffer)
{
	struct netvsp_rsc *rsc = &channel->rx.rsc;
	struct tcp_segment segment;
	struct netvsp_rsc_unit *unit;

	if (!rsc->count) /* one setting for what is in units, or a frame could overtake its predecessors */
		rsc->versions = __atomic_load_n(&channel->netvsp->rsc, __ATOMIC_RELAXED);
	if (!rsc->versions || (!rsc->count && buffer->nic.len < SMALL_FRAME) ||
	    !read_segment(channel, &buffer->nic, &segment))
		return false;
	if (!tcp_segment_parse(&segment, buffer->nic.len)) {
		if (rsc->count)
			count_abort(channel);
		netvsp_rsc_finish(channel); /* it may be of any of them */
		return false;
	}
	unit = find(rsc, &segment);
	if (unit && join(&channel->rx, unit, &segment, buffer))
		return true;
	if (unit)
		finish_for(channel, unit, &segment);
	if (!may_begin(rsc, &segment, &buffer->nic))
		return false;
	begin(channel, &segment, buffer);
	return true;
}

/* --- Sends from the nic */

/* False: no such send as the nic promises; the guest may have spoilt it. */
static bool write_uncut(struct netvsp_channel *channel, struct netvsp_rx_run *run)
{
	const struct nic_rx *nic = &channel->rx.buffers[run->first].nic;
	struct tcp_segment segment;
	struct netvsp_rsc_unit *unit;

	if (run->bytes > TCP_UNIT_BYTES || run->parts > NETVSP_SEND_RANGES ||
	    !read_segment(channel, nic, &segment) ||
	    !tcp_segment_parse(&segment, (uint32_t)run->bytes) || !segment.header_len)
		return false;
	unit = find(&channel->rx.rsc, &segment);
	if (unit)
		finish_for(channel, unit, &segment);
	if (write_parts(channel, run->first, run->last, 0))
		return false;
	count_unit(channel, run->frames, segment.payload);
	run->bytes += (run->frames - 1) * (uint64_t)segment.header_len;
	return true;
}

void netvsp_rsc_take_uncut(struct netvsp_channel *channel, struct netvsp_rx_run *run)
{
	if (write_uncut(channel, run))
		netvsp_rx_queue(channel, run);
	else
		netvsp_rx_drop(channel, run);
}

/* Sends may come whole as long as the guest wants units, whose checksums it need not look at. */
void netvsp_rsc_set(struct netvsp *netvsp, uint8_t versions)
{
	struct nic *nic = netvsp->config.nic;
	uint8_t uncut = netvsp->rx_checksums ? versions : 0;

	__atomic_store_n(&netvsp->rsc, versions, __ATOMIC_RELAXED);
	if (uncut == netvsp->uncut || !nic->ops->set_uncut)
		return;
	netvsp->uncut = uncut;
	nic->ops->set_uncut(nic, uncut, TCP_UNIT_BYTES);
}
