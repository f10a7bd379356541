/* A guest's network driver that takes coalesced segments, over a nic that says of them what a test wants. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/log.h"
#include "core/net_frame.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/netvsp_card.h"
#include "tests/unit/devices/net/tcp_frame.h"

#define OFF  NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED
#define ON   NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED
#define GOOD (NIC_RX_IP_CHECKSUM_OK | NIC_RX_TCP_CHECKSUM_OK)

/* What arrived: a frame, and which of its payload's bytes came in order. */
struct arrival {
	struct netvsc_rx rx;
	uint32_t at, payload;
	uint16_t port;
	uint16_t flags; /* what its checksums are, looked at here */
};

static struct machine {
	struct client client;
	struct netvsc net;
	struct netvsp_card card;
	struct arrival arrived[200];
	unsigned int count;
} m;

/* Every frame is TCP with the payload that tcp_frame_make() gives it. */
static void received(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	struct arrival *arrival = &m.arrived[m.count++ % 200];
	struct net_frame frame;
	uint32_t header;

	(void)ctx;
	(void)channel;
	*arrival = (struct arrival){ .rx = *rx };
	net_frame_parse(rx->bytes, rx->len, &frame);
	if (!frame.tcp || frame.l4 != (frame.ipv6 ? 54 : 34)) /* not one of ours */
		return;
	header = frame.l4 + (rx->bytes[frame.l4 + 12] >> 4) * 4u;
	arrival->flags = net_frame_verify(rx->bytes, &frame);
	arrival->port = load_be16(rx->bytes + frame.l4);
	arrival->at = load_be32(rx->bytes + frame.l4 + 4) - 0xFFFFFF00;
	arrival->payload = rx->len - header;
	for (uint32_t i = 0; i < arrival->payload; i++)
		if (rx->bytes[header + i] != tcp_frame_byte(arrival->at + i))
			fail_msg("byte %u of what begins with %u", i, arrival->at);
}

static int setup(void **state)
{
	struct netvsp_config config = { .max_sub_channels = 3 };
	struct loopback_nic_config nic = { .queues = 4 };

	(void)state;
	log_set_level(LOG_ERROR);
	memset(&m, 0, sizeof(m));
	if (client_init(&m.client, 0, 0))
		return -1;
	m.net.received = received;
	return netvsp_card_create(&m.card, &m.net, &m.client, config, nic);
}

static int setup_on(void **state)
{
	return setup(state) || netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500) ||
	       netvsc_rsc(&m.net, ON, ON);
}

static int teardown(void **state)
{
	(void)state;
	netvsp_card_destroy(&m.card, &m.client);
	assert_int_equal(m.net.bad_parts, 0);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 3; i++) {
		client_run(&m.client);
		netvsc_poll(&m.net, 0);
	}
}

/* --- A batch */

static struct tcp_frame frame;

static void start(void)
{
	loopback_nic_gather(m.card.nic, 0, true);
	m.count = 0;
}

static void end(void)
{
	assert_int_equal(m.count, 0); /* nothing is held back, nor goes early */
	loopback_nic_gather(m.card.nic, 0, false);
	run();
}

static void deliver(uint16_t flags)
{
	const struct nic_rx meta = { .flags = flags };

	assert_true(loopback_nic_deliver(m.card.nic, 0, frame.bytes, frame.len, &meta));
}

static void segment(bool ipv6, uint32_t at, uint32_t payload)
{
	tcp_frame_make(&frame, ipv6, true, at, payload);
	deliver(ipv6 ? NIC_RX_TCP_CHECKSUM_OK : GOOD);
}

static void flow(uint16_t port, uint32_t at)
{
	tcp_frame_make(&frame, false, true, at, 500);
	store_be16(frame.tcp, port);
	tcp_frame_fill(&frame);
	deliver(GOOD);
}

/* The arrival of that number: in so many parts, with these bytes. */
static void expect(unsigned int number, unsigned int parts, uint32_t at, uint32_t payload)
{
	const struct arrival *arrival = &m.arrived[number];

	assert_true(number < m.count);
	assert_int_equal(arrival->rx.parts, parts);
	assert_int_equal(arrival->at, at);
	assert_int_equal(arrival->payload, payload);
	assert_true(arrival->flags & NIC_RX_TCP_CHECKSUM_OK);
	assert_false(arrival->flags & NIC_RX_IP_CHECKSUM_BAD);
}

/* --- What is offered */

static uint32_t told(uint32_t oid)
{
	struct ndis_offload offload = { .header = { NDIS_OBJECT_TYPE_OFFLOAD, 3,
						    sizeof(offload) } };
	uint32_t len = sizeof(offload);

	assert_int_equal(netvsc_query(&m.net, oid, &offload, sizeof(offload), &offload, &len), 0);
	assert_int_equal(len, sizeof(offload));
	return (uint32_t)offload.rsc_ip4 | (uint32_t)offload.rsc_ip6 << 8;
}

/* Whoever does not know parts of frames is not given any, whatever it enables. */
static void it_is_for_those_who_know_it(void **state)
{
	(void)state;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_6, 1500), 0);
	assert_int_equal(told(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES), 0);
	assert_int_equal(netvsc_rsc(&m.net, ON, ON), 0);
	assert_int_equal(told(OID_TCP_OFFLOAD_CURRENT_CONFIG), 0);
	start();
	segment(false, 0, 1000);
	segment(false, 1000, 1000);
	end();
	assert_int_equal(m.count, 2);
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	assert_int_equal(told(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES), 0x101);
	assert_int_equal(told(OID_TCP_OFFLOAD_CURRENT_CONFIG), 0);
	start();
	segment(false, 0, 1000);
	segment(false, 1000, 1000);
	end();
	assert_int_equal(m.count, 2); /* not asked for yet */
}

static void info_without_checksums(struct nic *nic, struct nic_info *info)
{
	(void)nic;
	*info = (struct nic_info){ .max_mtu = 1500, .max_queues = 4, .link_up = true };
}

/* Each of the three it takes: the version, the guest's word, a nic that looks at checksums. */
static void it_is_not_offered_without_what_it_needs(void **state)
{
	struct nic *nic = loopback_nic_nic(m.card.nic);
	struct nic_ops plain = *nic->ops;
	const struct nic_ops *own = nic->ops;

	(void)state;
	m.net.odd_capabilities = NVSP_CAPABILITY_RSC;
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t version = i ? NVSP_PROTOCOL_VERSION_6 : NVSP_PROTOCOL_VERSION_61;

		assert_int_equal(netvsc_start(&m.net, version, 1500), 0);
		assert_int_equal(told(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES), 0);
		assert_int_equal(netvsc_rsc(&m.net, ON, ON), 0);
		assert_int_equal(told(OID_TCP_OFFLOAD_CURRENT_CONFIG), 0);
		assert_int_equal(netvsc_stop(&m.net, 0), 0);
	}
	m.net.odd_capabilities = 0;
	plain.get_info = info_without_checksums;
	nic->ops = &plain;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	nic->ops = own;
	assert_int_equal(told(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES), 0);
}

static void it_is_switched_on_and_off(void **state)
{
	static const uint8_t settings[][3] = {
		{ ON, OFF, 1 }, { 0, ON, 3 },  { OFF, 0, 2 },
		{ 0, 0, 2 },    { 7, OFF, 0 }, { ON, ON, 3 },
	};

	(void)state;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	for (unsigned int i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		uint8_t on = settings[i][2];

		assert_int_equal(netvsc_rsc(&m.net, settings[i][0], settings[i][1]), 0);
		assert_int_equal(told(OID_TCP_OFFLOAD_CURRENT_CONFIG), (on & 1) | (on & 2) << 7);
		for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
			start();
			segment(ipv6, 0, 1000);
			segment(ipv6, 1000, 1000);
			end();
			assert_int_equal(m.count, on >> ipv6 & 1 ? 1 : 2);
		}
	}
	/* A driver that starts anew begins without. */
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	assert_int_equal(told(OID_TCP_OFFLOAD_CURRENT_CONFIG), 0);
}

/* In the middle of a batch: what is begun is finished, and nothing overtakes it. */
static void it_is_switched_off_under_load(void **state)
{
	(void)state;
	start();
	segment(false, 0, 1000);
	segment(false, 1000, 1000);
	loopback_nic_gather(m.card.nic, 0, true);
	assert_int_equal(netvsc_rsc(&m.net, OFF, OFF), 0); /* the answer lets the card work */
	m.count = 0;
	segment(false, 2000, 1000);
	segment(false, 3000, 1000);
	end();
	assert_int_equal(m.count, 2);
	expect(0, 1, 2000, 1000);
	expect(1, 1, 3000, 1000);
}

/* The channel that hears of it is another than the one that has a batch: that goes on as it began. */
static void a_batch_keeps_its_setting(void **state)
{
	const struct nic_rx meta = { .flags = GOOD };

	(void)state;
	assert_int_equal(netvsc_sub_channels(&m.net, 1), 0);
	run();
	loopback_nic_gather(m.card.nic, 1, true);
	m.count = 0;
	for (uint32_t at = 0; at < 300; at += 100) {
		tcp_frame_make(&frame, false, true, at, 100);
		assert_true(loopback_nic_deliver(m.card.nic, 1, frame.bytes, frame.len, &meta));
		assert_int_equal(netvsc_rsc(&m.net, OFF, OFF), 0);
	}
	assert_int_equal(m.count, 0);
	loopback_nic_gather(m.card.nic, 1, false);
	client_run(&m.client);
	netvsc_poll(&m.net, 1);
	assert_int_equal(m.count, 1);
	expect(0, 3, 0, 300);
}

/* --- What becomes one */

static void a_burst_becomes_one_frame(void **state)
{
	struct netvsp_counters counters;

	(void)state;
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		unsigned int packets = m.net.packets[0];

		start();
		for (uint32_t i = 0; i < 44; i++)
			segment(ipv6, i * 1428, 1428);
		end();
		assert_int_equal(m.count, 1);
		expect(0, 44, 0, 44 * 1428);
		assert_true(m.arrived[0].rx.has_checksum);
		assert_int_equal(m.arrived[0].rx.checksum,
				 NDIS_RX_CHECKSUM_TCP_SUCCEEDED |
					 (ipv6 ? 0 : NDIS_RX_CHECKSUM_IP_SUCCEEDED));
		assert_int_equal(m.net.packets[0] - packets, 1);
	}
	netvsp_counters(m.card.netvsp, &counters);
	assert_int_equal(counters.rx_frames, 88);
	assert_int_equal(counters.rsc_frames, 88);
	assert_int_equal(counters.rsc_units, 2);
	assert_int_equal(counters.rx_bytes, 44 * (1428 * 2 + 66 + 86));
}

static void a_batch_ends_units(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		start();
		segment(false, 2000 * i, 1000);
		segment(false, 2000 * i + 1000, 1000);
		end();
		assert_int_equal(m.count, 1);
		expect(0, 2, 2000 * i, 2000);
	}
}

static void one_segment_is_a_frame_as_ever(void **state)
{
	(void)state;
	start();
	segment(false, 0, 1000);
	end();
	assert_int_equal(m.count, 1);
	expect(0, 1, 0, 1000);
	assert_memory_equal(m.arrived[0].rx.bytes, frame.bytes, frame.len);
}

static struct ndis_rsc_statistics_info statistics(void)
{
	struct ndis_rsc_statistics_info info = { 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(netvsc_query(&m.net, OID_TCP_RSC_STATISTICS, NULL, 0, &info, &len), 0);
	assert_int_equal(len, sizeof(info));
	assert_int_equal(info.header.type, NDIS_OBJECT_TYPE_DEFAULT);
	assert_int_equal(info.header.revision, 1);
	assert_int_equal(info.header.size, sizeof(info));
	return info;
}

/* An abort is what ends a unit early; that it is full, or its sender pushed, is none. */
static void the_guest_may_ask_what_became_one(void **state)
{
	struct ndis_rsc_statistics_info info;

	(void)state;
	start();
	for (uint32_t i = 0; i < 60; i++)
		segment(i & 1, i / 2 * 1000, 1000);
	for (uint32_t i = 0; i < 3; i++) {
		tcp_frame_make(&frame, false, true, (30 + i) * 1000, 1000);
		frame.tcp[13] |= i == 1 ? 8 : 0; /* PSH */
		tcp_frame_fill(&frame);
		deliver(GOOD);
	}
	end();
	info = statistics();
	assert_int_equal(info.coalesced_packets, 62);
	assert_int_equal(info.coalesced_octets, 62000);
	assert_int_equal(info.coalesce_events, 2);
	assert_int_equal(info.aborts, 0);
	start();
	for (uint32_t i = 0; i < 60; i++)
		segment(false, i * 1400, 1400);
	end();
	info = statistics();
	assert_int_equal(info.coalesced_octets, 62000 + 60 * 1400);
	assert_int_equal(info.coalesce_events, 4);
	assert_int_equal(info.aborts, 0);
	start();
	segment(false, 0, 1000);
	segment(false, 2000, 1000); /* one is missing */
	segment(true, 0, 1000);
	segment(true, 1000, 0); /* an acknowledgement */
	tcp_frame_make(&frame, false, true, 3000, 1000);
	frame.ip[0] = 0x46; /* options: it is not known whose */
	tcp_frame_fill(&frame);
	deliver(GOOD);
	deliver(GOOD); /* there is none any more */
	end();
	assert_int_equal(statistics().aborts, 3);
	start();
	for (uint16_t port = 0; port < 10; port++)
		flow(port, 0);
	end();
	assert_int_equal(statistics().aborts, 5); /* eight there may be */
	assert_int_equal(statistics().coalesced_packets, 122);
}

/* More than fit a unit, or a packet: none is in two packets. */
static void long_bursts_are_cut(void **state)
{
	(void)state;
	start();
	for (uint32_t i = 0; i < 60; i++)
		segment(false, i * 1400, 1400);
	end();
	assert_int_equal(m.count, 2);
	expect(0, 46, 0, 46 * 1400);
	expect(1, 14, 46 * 1400, 14 * 1400);
	start();
	for (uint32_t i = 0; i < 100; i++)
		segment(false, i * 100, 100);
	end();
	assert_int_equal(m.count, 2);
	expect(0, 64, 0, 6400);
	expect(1, 36, 6400, 3600);
}

/* Sections that were the first of a frame are others' later. */
static void bursts_of_any_length_are_whole(void **state)
{
	(void)state;
	for (uint32_t len = 1; len < 64; len++) {
		start();
		for (uint32_t i = 0; i < len; i++)
			segment(true, i * 100, 100);
		for (uint32_t i = 0; i < 64 - len / 2; i++)
			segment(true, 100000 + i * 100, 100);
		end();
		assert_int_equal(m.count, 2);
		expect(0, len, 0, len * 100);
		expect(1, 64 - len / 2, 100000, (64 - len / 2) * 100);
	}
}

static void flows_do_not_mix(void **state)
{
	unsigned int parts = 0;

	(void)state;
	for (uint16_t flows = 2; flows <= 12; flows++) {
		uint32_t next[12] = { 0 };

		start();
		for (uint32_t i = 0; i < 5; i++)
			for (uint16_t port = 0; port < flows; port++)
				flow(port, i * 500);
		end();
		/* Each flow's bytes in order; and one frame each, if there are not too many. */
		assert_true(flows > 8 || m.count == flows);
		for (unsigned int i = 0; i < m.count; i++) {
			uint16_t port = m.arrived[i].port;

			assert_int_equal(m.arrived[i].at, next[port]);
			next[port] += m.arrived[i].payload;
			parts += m.arrived[i].rx.parts;
		}
		for (uint16_t port = 0; port < flows; port++)
			assert_int_equal(next[port], 2500);
	}
	assert_int_equal(parts, 5 * (2 + 12) * 11 / 2);
}

static void tags_and_hashes_stay(void **state)
{
	struct nic_rx meta = { .flags = GOOD | NIC_RX_VLAN | NIC_RX_HASH,
			       .hash = 0x12345678,
			       .vlan_tci = 0xE005 };

	(void)state;
	start();
	for (uint32_t i = 0; i < 6; i++) {
		tcp_frame_make(&frame, false, false, i * 100, 100);
		meta.vlan_tci = i < 4 ? 0xE005 : 0xE006; /* another network, the same addresses */
		meta.hash = i < 2 ? 0x12345678 : 0x87654321;
		assert_true(loopback_nic_deliver(m.card.nic, 0, frame.bytes, frame.len, &meta));
	}
	end();
	assert_int_equal(m.count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		expect(i, 2, i * 200, 200);
		assert_true(m.arrived[i].rx.has_vlan && m.arrived[i].rx.has_hash);
		assert_int_equal(m.arrived[i].rx.vlan, 7 | (i < 2 ? 5 : 6) << 4);
		assert_int_equal(m.arrived[i].rx.hash, i < 1 ? 0x12345678 : 0x87654321);
	}
}

/* Tagged and not tagged are two networks; what has a hash goes with its like. */
static void what_the_nic_says_is_of_all(void **state)
{
	static const uint16_t more[] = { NIC_RX_VLAN, NIC_RX_HASH };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		start();
		for (uint32_t at = 0; at < 400; at += 100) {
			tcp_frame_make(&frame, false, true, at, 100);
			deliver(at < 200 ? GOOD : GOOD | more[i]);
		}
		end();
		assert_int_equal(m.count, 2);
		expect(0, 2, 0, 200);
		expect(1, 2, 200, 200);
	}
}

static void jumbo_frames_are_joined(void **state)
{
	(void)state;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 9000), 0);
	assert_int_equal(netvsc_rsc(&m.net, ON, ON), 0);
	start();
	for (uint32_t i = 0; i < 8; i++)
		segment(false, i * 8948, 8948);
	end();
	assert_int_equal(m.count, 2);
	expect(0, 7, 0, 7 * 8948);
	expect(1, 1, 7 * 8948, 8948);
}

/* --- What does not */

/* What is of the connection, but no data to be joined, stays in its place. */
static void order_is_kept(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < 3; kind++) {
		start();
		segment(false, 0, 1000);
		segment(false, 1000, 1000);
		tcp_frame_make(&frame, false, true, 2000, kind ? 0 : 1000);
		if (kind == 0)
			frame.tcp[13] |= 1; /* FIN */
		else if (kind == 2)
			frame.ip[0] = 0x46; /* options: it is not known whose */
		tcp_frame_fill(&frame);
		deliver(GOOD);
		segment(false, 2000, 1000);
		segment(false, 3000, 1000);
		end();
		assert_int_equal(m.count, 3);
		expect(0, 2, 0, 2000);
		assert_int_equal(m.arrived[1].rx.parts, 1);
		expect(2, 2, 2000, 2000);
	}
}

static void a_push_ends_a_unit(void **state)
{
	(void)state;
	start();
	for (uint32_t i = 0; i < 6; i++) {
		tcp_frame_make(&frame, false, true, i * 100, 100);
		frame.tcp[13] |= i % 3 == 2 ? 8 : 0;
		tcp_frame_fill(&frame);
		deliver(GOOD);
	}
	end();
	assert_int_equal(m.count, 2);
	expect(0, 3, 0, 300);
	expect(1, 3, 300, 300);
	assert_int_equal(m.arrived[0].rx.bytes[47], 0x18);
}

/* A nic that has not looked, or found it bad; a guest that does not want its word. */
static void only_good_checksums_are_joined(void **state)
{
	static const uint16_t flags[] = { 0,
					  NIC_RX_IP_CHECKSUM_OK,
					  NIC_RX_TCP_CHECKSUM_OK,
					  NIC_RX_IP_CHECKSUM_OK | NIC_RX_TCP_CHECKSUM_BAD,
					  NIC_RX_IP_CHECKSUM_BAD | NIC_RX_TCP_CHECKSUM_OK,
					  NIC_RX_IP_CHECKSUM_OK | NIC_RX_UDP_CHECKSUM_OK };
	const struct ndis_offload_parameters off = { .tcp_ip_v4_checksum = 1 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		start();
		for (uint32_t at = 0; at < 300; at += 100) {
			tcp_frame_make(&frame, false, true, at, 100);
			deliver(flags[i]);
		}
		end();
		assert_int_equal(m.count, 3);
	}
	start();
	segment(false, 0, 100);
	segment(false, 100, 100);
	tcp_frame_make(&frame, false, true, 200, 100);
	deliver(NIC_RX_IP_CHECKSUM_OK | NIC_RX_TCP_CHECKSUM_BAD);
	segment(false, 200, 100);
	end();
	assert_int_equal(m.count, 2);
	assert_int_equal(netvsc_set(&m.net, OID_TCP_OFFLOAD_PARAMETERS, &off, sizeof(off)), 0);
	start();
	segment(false, 0, 100);
	segment(false, 100, 100);
	end();
	assert_int_equal(m.count, 2);
}

/* --- Guests that are no help */

/* What the guest writes meanwhile is its own: the headers that it gets are those that were looked at. */
static void headers_that_change_are_as_they_were(void **state)
{
	(void)state;
	start();
	segment(false, 0, 1000);
	for (uint32_t at = NETVSC_RECEIVE_BUFFER; at < NETVSC_RECEIVE_BUFFER + NETVSC_RECEIVE_BYTES;
	     at += m.net.section_size)
		if (m.client.ram[at + 128 + 12] == 8)
			memset(m.client.ram + at + 128, 0xEE, 66);
	segment(false, 1000, 1000);
	end();
	assert_int_equal(m.count, 1);
	expect(0, 2, 0, 2000);
}

static void a_guest_that_keeps_sections_gets_no_more(void **state)
{
	unsigned int delivered = 0;

	(void)state;
	m.net.keep = true;
	for (uint32_t at = 0; m.net.kept_count < 60; at += 200) {
		const struct nic_rx meta = { .flags = GOOD };

		loopback_nic_gather(m.card.nic, 0, true);
		for (uint32_t i = 0; i < 2; i++) {
			tcp_frame_make(&frame, false, true, at + i * 100, 100);
			delivered +=
				loopback_nic_deliver(m.card.nic, 0, frame.bytes, frame.len, &meta);
		}
		loopback_nic_gather(m.card.nic, 0, false);
		run();
	}
	assert_int_equal(delivered, 120);
	assert_int_equal(m.count, 60);
	netvsc_give_back(&m.net);
	run();
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), LOOPBACK_RING);
	/* All of them are there again: three times through the buffer. */
	m.net.keep = false;
	for (uint32_t at = 0; at < 3 * m.net.sections; at += 32) {
		start();
		for (uint32_t i = 0; i < 32; i++)
			segment(false, i * 100, 100);
		end();
		assert_int_equal(m.count, 1);
		expect(0, 32, 0, 3200);
	}
}

/* A ring that is full, and a queue that ends, with units in it. */
static void units_wait_for_room(void **state)
{
	unsigned int parts = 0;

	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		loopback_nic_gather(m.card.nic, 0, true);
		segment(false, i * 400, 100);
		segment(false, i * 400 + 100, 100);
		segment(false, i * 400 + 200, 100);
		segment(false, i * 400 + 300, 100);
		loopback_nic_gather(m.card.nic, 0, false);
		client_run(&m.client);
	}
	for (int i = 0; i < 30; i++)
		run();
	for (unsigned int i = 0; i < m.count; i++) {
		assert_int_equal(m.arrived[i].at, parts * 100);
		parts += m.arrived[i].rx.parts;
	}
	assert_int_equal(parts, 240);
	loopback_nic_gather(m.card.nic, 0, true);
	segment(false, 0, 100);
	segment(false, 100, 100);
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), 0);
}

/* --- Sends that the nic did not cut */

static uint8_t bytes[66000];

/* Of 1000 bytes a frame. False: the nic has no room for it. */
static bool uncut(bool ipv6, uint32_t at, uint32_t payload)
{
	const struct nic_rx meta = { .flags = (ipv6 ? NIC_RX_TCP_CHECKSUM_OK : GOOD) | NIC_RX_HASH,
				     .hash = 0x12345678 };
	uint32_t len = tcp_send_make(bytes, ipv6, true, at, payload);

	return loopback_nic_deliver_uncut(m.card.nic, 0, bytes, len, (payload + 999) / 1000, &meta);
}

/* Parts are sections of 2 KiB without their heads. */
static unsigned int parts_of(bool ipv6, uint32_t payload)
{
	return ((ipv6 ? 86 : 66) + payload + 1919) / 1920;
}

static void an_uncut_send_is_one_frame(void **state)
{
	static const uint32_t payloads[] = { 1001, 1855, 1834, 1835, 4000, 64938 };
	struct netvsp_counters counters;
	uint64_t frames = 0, payload = 0, headers = 0;

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		uint32_t len = payloads[i / 2];
		unsigned int packets = m.net.packets[0];

		start();
		assert_true(uncut(i & 1, 300, len));
		end();
		assert_int_equal(m.count, 1);
		expect(0, parts_of(i & 1, len), 300, len);
		assert_true(m.arrived[0].rx.has_checksum && m.arrived[0].rx.has_hash);
		assert_int_equal(m.arrived[0].rx.hash, 0x12345678);
		assert_int_equal(m.net.packets[0] - packets, 1);
		frames += (len + 999) / 1000;
		payload += len;
		headers += (len + 999) / 1000 * (i & 1 ? 86 : 66);
	}
	netvsp_counters(m.card.netvsp, &counters);
	assert_int_equal(counters.rx_frames, frames);
	assert_int_equal(counters.rsc_frames, frames);
	assert_int_equal(counters.rx_bytes, payload + headers);
	assert_int_equal(counters.rx_errors, 0);
	assert_int_equal(statistics().coalesced_octets, payload);
	assert_int_equal(statistics().coalesce_events, 12);
	assert_int_equal(statistics().aborts, 0);
	assert_false(uncut(true, 0, 64939)); /* a Linux guest could not take it well */
}

/* Sections that were the first of a send are others' later. */
static void uncut_sends_of_any_length_are_whole(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t len = 64900 - i % 7 * 1920;

		start();
		assert_true(uncut(true, i, len));
		end();
		assert_int_equal(m.count, 1);
		expect(0, parts_of(true, len), i, len);
	}
}

/* The nic hears of what the guest wants when it changes, and of the end of that. */
static void uncut_sends_are_asked_for(void **state)
{
	static const uint8_t settings[][3] = { { ON, OFF, 1 }, { 0, ON, 3 }, { OFF, 0, 2 } };
	const struct ndis_offload_parameters off = { .tcp_ip_v4_checksum = 1 };
	const struct ndis_offload_parameters on = { .tcp_ip_v4_checksum = 4 };

	(void)state;
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_6, 1500), 0);
	assert_int_equal(netvsc_rsc(&m.net, ON, ON), 0);
	assert_int_equal(loopback_nic_uncut(m.card.nic), 0);
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	assert_int_equal(loopback_nic_uncut(m.card.nic), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(netvsc_rsc(&m.net, settings[i][0], settings[i][1]), 0);
		assert_int_equal(loopback_nic_uncut(m.card.nic), settings[i][2]);
	}
	assert_int_equal(netvsc_set(&m.net, OID_TCP_OFFLOAD_PARAMETERS, &off, sizeof(off)), 0);
	assert_int_equal(loopback_nic_uncut(m.card.nic), 0); /* units have good checksums */
	assert_int_equal(netvsc_set(&m.net, OID_TCP_OFFLOAD_PARAMETERS, &on, sizeof(on)), 0);
	assert_int_equal(loopback_nic_uncut(m.card.nic), 2);
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(loopback_nic_uncut(m.card.nic), 0);
}

/* One that was on its way when the guest said no arrives all the same. */
static void an_uncut_send_may_be_late(void **state)
{
	const struct ndis_offload_parameters off = { .tcp_ip_v4_checksum = 1 };

	(void)state;
	assert_int_equal(netvsc_rsc(&m.net, OFF, OFF), 0);
	assert_int_equal(netvsc_set(&m.net, OID_TCP_OFFLOAD_PARAMETERS, &off, sizeof(off)), 0);
	start();
	assert_true(uncut(false, 0, 5000));
	end();
	assert_int_equal(m.count, 1);
	expect(0, 3, 0, 5000);
	assert_false(m.arrived[0].rx.has_checksum);
}

/* Segments before it and behind it: those of its connection stay where they were. */
static void uncut_sends_keep_their_place(void **state)
{
	(void)state;
	start();
	segment(true, 0, 1000); /* another connection: the end of the batch ends it */
	segment(false, 0, 1000);
	segment(false, 1000, 1000);
	assert_true(uncut(false, 2000, 20000));
	segment(false, 22000, 1000);
	segment(true, 1000, 1000);
	segment(false, 23000, 1000);
	assert_true(uncut(false, 24000, 20000));
	end();
	assert_int_equal(m.count, 5);
	expect(0, 2, 0, 2000);
	expect(1, 11, 2000, 20000);
	expect(2, 2, 22000, 2000);
	expect(3, 11, 24000, 20000);
	expect(4, 2, 0, 2000);
	assert_int_equal(statistics().aborts, 2);
}

static void lost_sections_come_back(unsigned int frames)
{
	struct netvsp_counters counters;

	assert_int_equal(m.count, 0);
	netvsp_counters(m.card.netvsp, &counters);
	assert_int_equal(counters.rx_errors + counters.rx_filtered, frames);
	run();
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), LOOPBACK_RING);
	for (uint32_t at = 0; at < 3 * m.net.sections; at += 34) { /* through all of them */
		start();
		assert_true(uncut(true, at, 64900));
		end();
		assert_int_equal(m.count, 1);
		expect(0, 34, at, 64900);
	}
}

/* As the nic promises not to give one, or as a guest may make one of it. */
static void what_is_no_such_send_is_lost(void **state)
{
	const struct nic_rx meta = { .flags = GOOD };
	uint32_t len = tcp_send_make(bytes, false, true, 0, 5000);

	(void)state;
	bytes[47] |= 1; /* FIN */
	start();
	assert_true(loopback_nic_deliver_uncut(m.card.nic, 0, bytes, len, 5, &meta));
	bytes[47] ^= 1;
	bytes[17]++; /* another length */
	assert_true(loopback_nic_deliver_uncut(m.card.nic, 0, bytes, len, 5, &meta));
	end();
	lost_sections_come_back(10);
}

static void what_is_filtered_is_so_uncut(void **state)
{
	(void)state;
	assert_int_equal(netvsc_filter(&m.net, NDIS_PACKET_TYPE_BROADCAST), 0);
	start();
	assert_true(uncut(false, 0, 5000));
	end();
	assert_int_equal(m.count, 0);
	assert_int_equal(netvsc_filter(&m.net, 0xB), 0); /* directed, broadcast, all groups */
	lost_sections_come_back(5);
}

/* As many as there are sections for, in order, when the ring is full, too. */
static void uncut_sends_wait_for_room(void **state)
{
	uint32_t sent = 0, next = 0;

	(void)state;
	m.net.keep = true;
	while (uncut(false, sent * 60000, 60000)) {
		sent++;
		client_run(&m.client);
	}
	assert_true(sent > 2);
	for (int i = 0; i < 10; i++)
		run();
	netvsc_give_back(&m.net);
	run();
	assert_int_equal(m.count, sent);
	for (; next < sent; next++)
		expect(next, parts_of(false, 60000), next * 60000, 60000);
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), LOOPBACK_RING);
	assert_true(uncut(false, 0, 60000));
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(loopback_nic_posted(m.card.nic, 0), 0);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, setup_on, teardown)
#define CLOSED(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLOSED(it_is_for_those_who_know_it),
		CLOSED(it_is_not_offered_without_what_it_needs),
		CLOSED(it_is_switched_on_and_off),
		STARTED(it_is_switched_off_under_load),
		STARTED(a_batch_keeps_its_setting),
		STARTED(a_burst_becomes_one_frame),
		STARTED(the_guest_may_ask_what_became_one),
		STARTED(a_batch_ends_units),
		STARTED(one_segment_is_a_frame_as_ever),
		STARTED(long_bursts_are_cut),
		STARTED(bursts_of_any_length_are_whole),
		STARTED(flows_do_not_mix),
		STARTED(tags_and_hashes_stay),
		STARTED(what_the_nic_says_is_of_all),
		CLOSED(jumbo_frames_are_joined),
		STARTED(order_is_kept),
		STARTED(a_push_ends_a_unit),
		STARTED(only_good_checksums_are_joined),
		STARTED(headers_that_change_are_as_they_were),
		STARTED(a_guest_that_keeps_sections_gets_no_more),
		STARTED(units_wait_for_room),
		STARTED(an_uncut_send_is_one_frame),
		STARTED(uncut_sends_of_any_length_are_whole),
		CLOSED(uncut_sends_are_asked_for),
		STARTED(an_uncut_send_may_be_late),
		STARTED(uncut_sends_keep_their_place),
		STARTED(what_is_no_such_send_is_lost),
		STARTED(what_is_filtered_is_so_uncut),
		STARTED(uncut_sends_wait_for_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
