/* Sends that come whole from the network to the guest: the emulated function, its driver, netvsp. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/log.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "core/tcp_unit.h"
#include "devices/mana/mana_internal.h"
#include "devices/net/mana_nic.h"
#include "devices/net/mana_nic_internal.h"
#include "devices/net/netvsp.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/mana_machine.h"
#include "tests/unit/devices/net/tcp_frame.h"

#define OFF NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED
#define ON  NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED
#define MSS 1428u

static struct mana_machine m;
static uint8_t bytes[66000];
static struct {
	unsigned int frames, parts, channel;
	uint32_t next; /* byte of the stream */
	uint32_t largest;
	uint64_t hash;
} got;

/* A function that knows commands of MANA's only, as hardware does. */
static bool is_stock;
static unsigned int refusals;
uint32_t __real_mana_command(struct mana *mana, const struct gdma_req_hdr *hdr, size_t len);
uint32_t __wrap_mana_command(struct mana *mana, const struct gdma_req_hdr *hdr, size_t len);

uint32_t __wrap_mana_command(struct mana *mana, const struct gdma_req_hdr *hdr, size_t len)
{
	if (!is_stock || hdr->req.msg_type != MANA_EMULATED_UNCUT)
		return __real_mana_command(mana, hdr, len);
	refusals++;
	return GDMA_STATUS_CMD_UNSUPPORTED;
}

/* Frames are a stream of known bytes, in order, each good. */
static void received(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	struct net_frame frame;
	uint32_t header, at;

	(void)ctx;
	net_frame_parse(rx->bytes, rx->len, &frame);
	assert_true(frame.tcp);
	assert_int_equal(frame.l4 + frame.l4_len, rx->len);
	assert_int_equal(net_frame_verify(rx->bytes, &frame),
			 NIC_RX_TCP_CHECKSUM_OK | (frame.ipv6 ? 0 : NIC_RX_IP_CHECKSUM_OK));
	header = frame.l4 + (rx->bytes[frame.l4 + 12] >> 4) * 4u;
	at = load_be32(rx->bytes + frame.l4 + 4) - 0xFFFFFF00;
	assert_int_equal(at, got.next);
	for (uint32_t i = 0; i < rx->len - header; i++)
		if (rx->bytes[header + i] != tcp_frame_byte(at + i))
			fail_msg("byte %u of what begins with %u", i, at);
	got.next += rx->len - header;
	got.frames++;
	got.parts += rx->parts;
	got.channel = channel;
	got.hash = rx->has_hash ? rx->hash : 0;
	if (rx->len > got.largest)
		got.largest = rx->len;
}

static int start(uint16_t mtu)
{
	log_set_level(LOG_ERROR);
	is_stock = false;
	refusals = 0;
	if (mana_machine_init(&m, mtu, 4))
		return -1;
	m.net.received = received;
	return netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, mtu);
}

static int setup(void **state)
{
	(void)state;
	return start(1500);
}

static int setup_on(void **state)
{
	(void)state;
	return start(1500) || netvsc_rsc(&m.net, ON, ON);
}

static int setup_jumbo(void **state)
{
	(void)state;
	return start(9000) || netvsc_rsc(&m.net, ON, ON);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(m.net.bad_parts, 0);
	return mana_machine_fini(&m);
}

static void run(void)
{
	mana_machine_run(&m, m.net.relids[3] ? 4 : 1);
}

/* Payload that the function took as one. */
static size_t deliver(bool ipv6, uint32_t at, uint32_t payload, size_t mss)
{
	uint32_t len = tcp_send_make(bytes, ipv6, true, at, payload);

	return memory_backend_deliver_send(&m.network, bytes, len, len - payload, mss);
}

/* The same in frames of the usual size, and what comes of it, alone. */
static size_t cross(bool ipv6, uint32_t payload)
{
	size_t taken;

	memset(&got, 0, sizeof(got));
	taken = deliver(ipv6, 0, payload, MSS);
	run();
	assert_int_equal(got.next, payload);
	return taken;
}

static struct mana_nic_counters counters(void)
{
	struct mana_nic_counters now;

	mana_nic_counters(m.driver, &now);
	return now;
}

static uint64_t query64(uint32_t oid)
{
	uint64_t value = 0;
	uint32_t len = sizeof(value);

	assert_int_equal(netvsc_query(&m.net, oid, NULL, 0, &value, &len), 0);
	return value;
}

/* --- What comes uncut */

static void a_send_arrives_as_one_frame(void **state)
{
	static const uint32_t payloads[] = { MSS + 1, 1855, 2 * MSS, 10000, 64000, 44 * MSS };

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		uint32_t payload = payloads[i / 2], len = payload + (i & 1 ? 86 : 66);

		assert_int_equal(cross(i & 1, payload), payload);
		assert_int_equal(got.frames, 1);
		assert_int_equal(got.parts, (len + 1919) / 1920);
	}
	assert_int_equal(counters().resets, 0);
}

/* What is too large is a frame that is not, and the rest. */
static void a_larger_one_has_a_rest(void **state)
{
	(void)state;
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		assert_int_equal(cross(ipv6, 65400), 45 * MSS);
		assert_int_equal(got.frames, 2);
		assert_int_equal(got.largest, 45 * MSS + (ipv6 ? 86 : 66));
		assert_true(got.largest <= TCP_UNIT_BYTES);
	}
}

/* By the frames that it would have been. */
static void it_is_counted_as_on_a_wire(void **state)
{
	struct netvsp_counters now;

	(void)state;
	cross(false, 10 * MSS);
	cross(true, 10 * MSS + 1);
	assert_int_equal(query64(OID_GEN_DIRECTED_FRAMES_RCV), 21);
	assert_int_equal(query64(OID_GEN_DIRECTED_BYTES_RCV), 20 * MSS + 1 + 10 * 66 + 11 * 86);
	netvsp_counters(m.netvsp, &now);
	assert_int_equal(now.rx_frames, 21);
	assert_int_equal(now.rx_bytes, 20 * MSS + 1 + 10 * 66 + 11 * 86);
	assert_int_equal(now.rsc_units, 2);
}

static void jumbo_sends_need_few_buffers(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	assert_int_equal(deliver(false, 0, 60000, 8948), 60000);
	run();
	assert_int_equal(got.next, 60000);
	assert_int_equal(got.frames, 1);
	assert_true(got.parts < 8);
	assert_int_equal(cross(false, 2 * MSS), 2 * MSS);
	assert_int_equal(got.parts, 1);
}

/* As its frames would. */
static void it_comes_on_the_channel_of_its_flow(void **state)
{
	uint8_t key[NIC_RSS_KEY_SIZE];
	unsigned int seen = 0;

	(void)state;
	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 37 + 11);
	assert_int_equal(netvsc_sub_channels(&m.net, 3), 0);
	run();
	assert_int_equal(netvsc_rss(&m.net, 4, 64, key), 0);
	for (uint16_t port = 0; port < 32; port++) {
		uint32_t len = tcp_send_make(bytes, false, true, 0, 9000);
		unsigned int channel[2];
		uint64_t hash[2];

		store_be16(bytes + 34, port);
		for (unsigned int cut = 0; cut < 2; cut++) {
			memset(&got, 0, sizeof(got));
			assert_int_equal(memory_backend_deliver_send(&m.network, bytes, len, 66,
								     cut ? 9000 : 1000),
					 cut ? 0 : 9000);
			run();
			if (!cut)
				assert_int_equal(got.next, 9000);
			channel[cut] = got.channel;
			hash[cut] = got.hash;
			len = cut ? len : 66 + 1000; /* a frame alone */
			store_be16(bytes + 16, 20 + 32 + 1000);
		}
		assert_int_equal(channel[0], channel[1]);
		assert_true(hash[0] && hash[0] == hash[1]);
		seen |= 1u << channel[0];
	}
	assert_int_equal(seen, 0xF);
	assert_int_equal(netvsc_stop(&m.net, 3), 0);
}

/* --- What does not */

static void the_guest_decides(void **state)
{
	static const uint8_t settings[][2] = { { OFF, ON }, { ON, OFF }, { OFF, OFF }, { ON, ON } };

	(void)state;
	assert_int_equal(cross(false, 10000), 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(netvsc_rsc(&m.net, settings[i][0], settings[i][1]), 0);
		assert_int_equal(cross(false, 10000), settings[i][0] == ON ? 10000 : 0);
		assert_int_equal(cross(true, 10000), settings[i][1] == ON ? 10000 : 0);
	}
	/* Another driver of the guest's begins without. */
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_int_equal(netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	assert_int_equal(cross(false, 10000), 0);
}

static void change_flags(void)
{
	bytes[47] |= 1; /* FIN */
}

static void change_options(void)
{
	bytes[54] = 5; /* selective acknowledgements, say */
}

static void change_address(void)
{
	bytes[5] ^= 1; /* another's */
}

static void make_broadcast(void)
{
	memset(bytes, 0xFF, 6);
}

static void change_length(void)
{
	bytes[17]++;
}

/* Such as no units are made of either, or of which there is no telling whose they are. */
static void only_plain_sends_are_uncut(void **state)
{
	static void (*const changes[])(void) = { change_flags, change_options, change_address,
						 make_broadcast, change_length };

	(void)state;
	m.net.received = NULL;
	for (unsigned int i = 0; i < 5; i++) {
		uint32_t len = tcp_send_make(bytes, false, true, 0, 5000);

		changes[i]();
		assert_int_equal(memory_backend_deliver_send(&m.network, bytes, len, 66, MSS), 0);
		run();
	}
	assert_int_equal(deliver(false, 0, 5000, 1449), 0); /* its frames are too large */
	run();
	m.net.received = received;
	assert_int_equal(cross(false, MSS), 0); /* it is one frame */
	assert_int_equal(cross(false, MSS + 1), MSS + 1);
}

/* --- Buffers */

/* More than there are, in any order of sends and frames: they wait, and none overtakes. */
static void sends_wait_for_buffers(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 4; round++) {
		uint32_t at = 0;
		unsigned int whole = 0;

		memset(&got, 0, sizeof(got));
		while (!m.network.paused) {
			whole += deliver(round & 1, at, 60000, MSS) != 0;
			at += 60000;
			client_run(&m.client);
		}
		assert_int_equal(deliver(round & 1, at, 1000, 100), 0); /* behind those that wait */
		at += 1000;
		assert_true(whole > 5);
		for (int i = 0; i < 4; i++)
			run();
		assert_false(m.network.paused);
		assert_int_equal(got.next, at);
	}
	assert_int_equal(mana_of(m.function)->stats.rx_no_wqe, 0);
	assert_int_equal(counters().resets, 0);
}

/* --- Resets, and functions that are otherwise */

static void it_is_asked_for_again_after_a_reset(void **state)
{
	(void)state;
	for (uint64_t i = 1; i < 4; i++) {
		assert_int_equal(cross(false, 20000), 20000);
		mana_function_request_reset(m.function);
		run();
		assert_int_equal(counters().resets, i);
		assert_int_equal(cross(true, 20000), 20000);
	}
	assert_int_equal(netvsc_rsc(&m.net, OFF, OFF), 0);
	mana_function_request_reset(m.function);
	run();
	assert_int_equal(cross(false, 20000), 0);
}

/* One reset more than before was the answer, and all is well. */
static void expect_reset(unsigned int lie)
{
	uint64_t before = counters().resets;

	run();
	if (counters().resets != before + 1)
		fail_msg("lie %u: %lu resets", lie, counters().resets - before);
	cross(false, 20000);
	assert_int_equal(counters().resets, before + 1);
}

static void a_function_need_not_know_of_it(void **state)
{
	(void)state;
	is_stock = true;
	assert_int_equal(netvsc_rsc(&m.net, ON, ON), 0);
	assert_int_equal(netvsc_rsc(&m.net, OFF, ON), 0);
	assert_int_equal(refusals, 1); /* it is not asked again */
	assert_int_equal(cross(true, 20000), 0);
	assert_int_equal(counters().resets, 0);
	mana_function_request_reset(m.function);
	run();
	assert_int_equal(refusals, 2); /* it may be another now */
	assert_int_equal(cross(true, 20000), 0);
	is_stock = false;
	mana_function_request_reset(m.function);
	run();
	assert_int_equal(cross(true, 20000), 20000);
}

static struct mana_wq *receive_queue(void)
{
	struct mana *mana = mana_of(m.function);
	unsigned int i = 2;

	while (!mana->wqs[i].used || mana->wqs[i].type != GDMA_RQ)
		i++;
	return &mana->wqs[i];
}

static void complete(struct mana_rx_uncut_comp comp)
{
	struct mana_wq *rq = receive_queue();

	comp.header = MANA_CQE_RX_UNCUT | MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT;
	comp.wqe_offset += rq->head % rq->ring.size;
	mana_complete(mana_of(m.function), rq, &comp);
}

static void lies_are_answered_with_a_reset(void **state)
{
	static const struct mana_rx_uncut_comp lies[] = {
		{ .packet.len = 65025, .frames = 40, .buffers = 34 }, /* more than was asked for */
		{ .packet.len = 0, .frames = 1, .buffers = 0 },
		{ .packet.len = 0, .frames = 1, .buffers = 1 },
		{ .packet.len = 1921, .frames = 2, .buffers = 1 },
		{ .packet.len = 1920, .frames = 2, .buffers = 2 }, /* one of them with nothing */
		{ .packet.len = 5000, .frames = 2, .buffers = 65 },
		{ .packet.len = 5000, .frames = 2, .buffers = UINT32_MAX },
		{ .packet.len = 5000, .frames = 0, .buffers = 3 },
		{ .packet.len = 5000, .frames = 5001, .buffers = 3 },
		{ .packet.len = 5000, .frames = 4, .buffers = 3, .wqe_offset = 32 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		complete(lies[i]);
		expect_reset(i);
	}
}

/* As the function does it. */
static void complete_well(void)
{
	struct mana_wq *rq = receive_queue();

	complete((struct mana_rx_uncut_comp){ .packet.len = 5000, .frames = 4, .buffers = 3 });
	rq->head += 3 * GDMA_WQE_UNIT;
	run();
}

static void nobody_is_given_what_was_not_asked_for(void **state)
{
	(void)state;
	complete_well();
	assert_int_equal(counters().resets, 1);
	assert_int_equal(netvsc_rsc(&m.net, ON, ON), 0);
	complete_well(); /* netvsp finds that it is no send */
	assert_int_equal(netvsc_rsc(&m.net, OFF, OFF), 0);
	complete_well(); /* it may be late */
	assert_int_equal(counters().resets, 1);
	mana_function_request_reset(m.function);
	run();
	assert_int_equal(counters().resets, 2);
	complete_well(); /* but not so late */
	assert_int_equal(counters().resets, 3);
	cross(false, 20000);
}

/* A queue whose buffers are a test's. */
#define RAW_QUEUE 3

static struct {
	struct nic_rx rx[80];
	unsigned int back;
	int err;
} raw;

static void raw_rx(void *ctx, struct nic_rx *rx, int err)
{
	(void)ctx;
	raw.err = err;
	for (; rx && !err; rx = rx->next)
		raw.back++;
	raw.back += err != 0;
}

static void raw_batch_end(void *ctx)
{
	(void)ctx;
}

/* Its function completes a packet of them all, of which it has been told or not. */
static void complete_raw(unsigned int posted, uint32_t size, bool told, uint32_t buffers)
{
	static const struct nic_queue_client client = { .rx = raw_rx, .batch_end = raw_batch_end };
	struct mana_rx_uncut_comp comp = { .header = MANA_CQE_RX_UNCUT | 1 << 6,
					   .packet.len = buffers * size,
					   .frames = 5,
					   .buffers = buffers };
	struct nic *nic = mana_nic_nic(m.driver);
	struct mana *mana = mana_of(m.function);

	raw.back = 0;
	assert_int_equal(nic->ops->queue_open(nic, RAW_QUEUE, m.client.loops[0], &client, NULL), 0);
	for (unsigned int i = 0; i < posted; i++) {
		raw.rx[i] = (struct nic_rx){ .segments = { { NETVSC_FRAMES, size } },
					     .segment_count = 1 };
		assert_int_equal(nic->ops->rx_post(nic, RAW_QUEUE, &raw.rx[i]), 0);
	}
	if (told)
		nic->ops->kick(nic, RAW_QUEUE);
	mana_complete(mana, &mana->wqs[m.driver->queues[RAW_QUEUE].rq.id], &comp);
}

static void close_raw(unsigned int posted)
{
	struct nic *nic = mana_nic_nic(m.driver);

	nic->ops->queue_close(nic, RAW_QUEUE);
	assert_int_equal(raw.back, posted);
}

/* They are not there, or the device does not know of them, or they are more than anybody takes. */
static void buffers_must_be_the_device_s(void **state)
{
	(void)state;
	for (unsigned int posted = 0; posted < 5; posted++) {
		complete_raw(posted, 2000, posted < 4, 4);
		expect_reset(posted);
		assert_true(!raw.back);
		close_raw(posted);
		assert_true(!posted || raw.err == -ECANCELED);
	}
	complete_raw(80, 100, true, 65);
	expect_reset(5);
	close_raw(80);
	complete_raw(80, 100, true, 64);
	run();
	assert_int_equal(raw.back, 64);
	assert_int_equal(raw.err, 0);
	close_raw(80);
	assert_int_equal(counters().resets, 6);
}

#define WANTED(test) cmocka_unit_test_setup_teardown(test, setup_on, teardown)
#define JUMBO(test)  cmocka_unit_test_setup_teardown(test, setup_jumbo, teardown)
#define TEST(test)   cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WANTED(a_send_arrives_as_one_frame),
		WANTED(a_larger_one_has_a_rest),
		WANTED(it_is_counted_as_on_a_wire),
		JUMBO(jumbo_sends_need_few_buffers),
		WANTED(it_comes_on_the_channel_of_its_flow),
		TEST(the_guest_decides),
		WANTED(only_plain_sends_are_uncut),
		WANTED(sends_wait_for_buffers),
		WANTED(it_is_asked_for_again_after_a_reset),
		TEST(a_function_need_not_know_of_it),
		WANTED(lies_are_answered_with_a_reset),
		TEST(nobody_is_given_what_was_not_asked_for),
		WANTED(buffers_must_be_the_device_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
