/*
 * Frames with any bytes in their headers, good checksums or not, given to a unit one after another. Whatever it takes,
 * it must become a frame of the right lengths, whose checksums are as good as the segments' were, with what the last said.
 */

#include <stdlib.h>
#include <string.h>

#include "core/big_endian.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "core/tcp_unit.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/devices/net/tcp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t whole[TCP_UNIT_BYTES + 9100];
static struct tcp_frame frame;
static uint32_t at; /* in the stream */

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* The next segment, or nearly that. True: its TCP checksum is good. */
static bool make(struct fuzz_input *in)
{
	uint64_t what = fuzz_take(in, 1);
	uint32_t payload = (uint32_t)fuzz_take(in, 1) * (what & 1 ? 30 : 1);
	struct net_frame parsed;

	tcp_frame_make(&frame, what & 2, what & 4, at, payload);
	for (uint64_t i = what >> 6; i > 0; i--) {
		uint64_t place = fuzz_take(in, 1) % (frame.len < 90 ? frame.len : 90);

		frame.bytes[place] = (uint8_t)fuzz_take(in, 1);
	}
	if (what & 8)
		tcp_frame_fill(&frame);
	if (what & 16)
		frame.len = 14 + (uint32_t)(fuzz_take(in, 1) % (frame.len - 13));
	net_frame_parse(frame.bytes, frame.len, &parsed);
	return net_frame_verify(frame.bytes, &parsed) & NIC_RX_TCP_CHECKSUM_OK;
}

/* What the parser says of a frame, it says of bytes that there are. */
static bool parse(struct tcp_segment *segment)
{
	struct net_frame parsed;

	memset(segment, 0xA5, sizeof(*segment));
	memcpy(segment->headers, frame.bytes,
	       frame.len < TCP_UNIT_HEADERS ? frame.len : TCP_UNIT_HEADERS);
	if (!tcp_segment_parse(segment, frame.len))
		return false;
	require(segment->l4 + 20u <= frame.len && segment->addresses < segment->l4);
	if (!segment->header_len)
		return false;
	net_frame_parse(frame.bytes, frame.len, &parsed);
	require(parsed.tcp && parsed.l4 == segment->l4 && parsed.ipv6 == segment->ipv6);
	require(segment->header_len <= TCP_UNIT_HEADERS && segment->payload &&
		segment->header_len + segment->payload == frame.len);
	return true;
}

static void check(const struct tcp_unit *unit, const uint8_t *last, bool good)
{
	struct tcp_unit copy = *unit;
	uint32_t header = unit->head.header_len;
	struct net_frame parsed;
	uint16_t flags;

	tcp_unit_finish(&copy);
	memcpy(whole, copy.head.headers, header);
	require(header + copy.payload <= TCP_UNIT_BYTES);
	net_frame_parse(whole, header + copy.payload, &parsed);
	require(parsed.tcp && parsed.l4_len == header - parsed.l4 + copy.payload);
	flags = net_frame_verify(whole, &parsed);
	require(!(flags & NIC_RX_IP_CHECKSUM_BAD));
	require(!good || (flags & NIC_RX_TCP_CHECKSUM_OK));
	require(load_be32(whole + parsed.l4 + 8) == load_be32(last + 8));
	require(whole[parsed.l4 + 13] == last[13]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct tcp_segment segment;
	struct tcp_unit unit = { 0 };
	bool good = true;

	at = 0;
	while (in.size) {
		bool fits = make(&in);
		uint32_t next = unit.next;

		if (!parse(&segment))
			continue;
		if (unit.segments && tcp_segment_same_flow(&unit.head, &segment) &&
		    tcp_unit_join(&unit, &segment)) {
			require(load_be32(frame.bytes + segment.l4 + 4) == next);
			good &= fits;
		} else {
			tcp_unit_begin(&unit, &segment);
			good = fits;
		}
		memcpy(whole + unit.head.header_len + unit.payload - segment.payload,
		       frame.bytes + segment.header_len, segment.payload);
		if (unit.segments > 1)
			check(&unit, frame.bytes + segment.l4, good);
		at = unit.next - 0xFFFFFF00;
	}
	return 0;
}
