/* Sends that the emulated MANA function gives uncut to a driver that asked for them: into which buffers, and when not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/bytes.h"
#include "core/log.h"
#include "core/net_frame.h"
#include "core/nic.h"
#include "core/pci_function.h"
#include "devices/mana/mana_internal.h"
#include "proto/mana.h"
#include "tests/unit/devices/mana/mana_driver.h"
#include "tests/unit/devices/net/tcp_frame.h"

#define BOTH (MANA_UNCUT_IPV4 | MANA_UNCUT_IPV6)
#define MSS  1000u

static struct mana_driver d;
static uint32_t rq_tail, buffer_at;
static uint8_t bytes[66000];

static uint32_t ask(uint32_t versions, uint32_t max_len)
{
	struct mana_uncut_req req = { .vport = MANA_VPORT,
				      .versions = versions,
				      .max_len = max_len };

	mana_driver_header(&req.hdr, MANA_EMULATED_UNCUT, sizeof(req));
	return mana_driver_command(&d, &req, sizeof(req));
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	rq_tail = 0;
	buffer_at = MANA_DRIVER_BUFFER;
	if (mana_driver_init(&d))
		return -1;
	mana_driver_bring_up(&d);
	mana_driver_make_queues(&d);
	return (int)ask(BOTH, 65024);
}

static int teardown(void **state)
{
	(void)state;
	mana_driver_fini(&d);
	return 0;
}

static void post_at(uint32_t address, uint32_t len)
{
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	rq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_RQ + rq_tail, sizeof(oob), oob, address,
				       len);
	mana_driver_doorbell(&d, MANA_DOORBELL, GDMA_DOORBELL_RQ, MANA_DRIVER_RQ_ID, rq_tail,
			     false);
}

/* Behind the last, so that buffers one after another are one piece of memory. */
static void post(uint32_t len)
{
	post_at(buffer_at, len);
	buffer_at += len;
}

static const struct mana_rx_uncut_comp *completion(unsigned int number)
{
	return (const void *)(d.ram + MANA_DRIVER_RQ + 2 * GDMA_PAGE_SIZE +
			      number * sizeof(struct gdma_cqe));
}

static uint32_t type(unsigned int number)
{
	return completion(number)->header & MANA_CQE_TYPE_MASK;
}

static uint32_t make(bool ipv6, uint32_t payload)
{
	uint32_t len = tcp_send_make(bytes, ipv6, true, 0, payload);

	memcpy(bytes, "\x02\0\0\0\0\x01", 6);
	return len;
}

static size_t deliver(bool ipv6, uint32_t payload)
{
	uint32_t len = make(ipv6, payload);

	return memory_backend_deliver_send(&d.network, bytes, len, len - payload, MSS);
}

/* --- Where it goes */

static void fills_buffers(bool ipv6)
{
	static const uint32_t sizes[] = { 500, 40, 1, 3000, 2000 };
	const struct nic_cast_stats *stats = &mana_of(d.function)->stats.rx[NIC_UNICAST];
	const struct mana_rx_uncut_comp *comp = completion(1);
	uint32_t header = ipv6 ? 86 : 66, first;
	const uint8_t *begin;
	struct net_frame frame;

	post(100);
	memory_backend_deliver(&d.network, bytes, make(ipv6, 1));
	begin = d.ram + buffer_at;
	first = rq_tail;
	for (unsigned int i = 0; i < 5; i++)
		post(sizes[i]);
	memset(d.ram + buffer_at - 2000, 0x5A, 2000);
	assert_int_equal(deliver(ipv6, 3200), 3200);
	assert_int_equal(comp->header,
			 MANA_CQE_RX_UNCUT | MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT);
	assert_int_equal(comp->flags, MANA_RX_TCP_OK | (ipv6 ? 0 : MANA_RX_IP_OK));
	assert_int_equal(comp->packet.len, header + 3200);
	assert_int_equal(comp->frames, 4);
	assert_int_equal(comp->buffers, 4);
	assert_int_equal(comp->wqe_offset, first);
	assert_int_equal(stats->frames, 1 + 4);
	assert_int_equal(stats->bytes, header + 1 + 3200 + 4 * header);
	/* One good packet with the send's bytes, and nothing behind it. */
	net_frame_parse(begin, comp->packet.len, &frame);
	assert_int_equal(frame.l4 + frame.l4_len, comp->packet.len);
	assert_true(net_frame_verify(begin, &frame) & NIC_RX_TCP_CHECKSUM_OK);
	assert_memory_equal(begin + header, bytes + header, 3200);
	assert_int_equal(d.ram[buffer_at - 2000], 0x5A);
	/* The buffer that was not needed is the next frame's. */
	memory_backend_deliver(&d.network, bytes, make(ipv6, 1));
	assert_int_equal(type(2), MANA_CQE_RX_OKAY);
	assert_memory_equal(d.ram + buffer_at - 2000, bytes, header + 1);
}

static void buffers_are_filled_one_after_another(void **state)
{
	(void)state;
	fills_buffers(false);
}

static void so_they_are_by_ipv6(void **state)
{
	(void)state;
	fills_buffers(true);
}

/* Whole frames, as far as the driver wants them. */
static void as_much_as_is_wanted_is_one(void **state)
{
	static const struct {
		uint32_t max_len, taken;
	} wanted[] = { { 65024, 5500 }, { 5566, 5500 }, { 5565, 5000 }, { 2066, 2000 },
		       { 2065, 0 },     { 66, 0 },      { 65, 0 },      { 0, 0 } };

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(ask(MANA_UNCUT_IPV4, wanted[i].max_len), 0);
		for (unsigned int j = 0; j < 7; j++)
			post_at(MANA_DRIVER_BUFFER, 6000);
		assert_int_equal(deliver(false, 5500), wanted[i].taken);
		rq_tail = mana_of(d.function)->wqs[MANA_DRIVER_RQ_ID].head;
		__atomic_store_n(&mana_of(d.function)->tails[MANA_DRIVER_RQ_ID], rq_tail,
				 __ATOMIC_SEQ_CST);
	}
	post(6000);
	assert_int_equal(ask(MANA_UNCUT_IPV4, 65024), 0);
	assert_int_equal(deliver(true, 500), 0);
	assert_int_equal(deliver(true, 5000), 0);
}

/* --- Where it does not */

static void what_is_asked_is_looked_at(void **state)
{
	struct mana_uncut_req req = { .vport = MANA_VPORT + 1, .versions = BOTH, .max_len = 9000 };

	(void)state;
	assert_int_equal(ask(BOTH + 1, 9000), GDMA_STATUS_INVALID);
	assert_int_equal(ask(BOTH, 65536), GDMA_STATUS_INVALID);
	mana_driver_header(&req.hdr, MANA_EMULATED_UNCUT, sizeof(req));
	assert_int_equal(mana_driver_command(&d, &req, sizeof(req)), GDMA_STATUS_INVALID);
	req.vport = MANA_VPORT;
	assert_int_equal(mana_driver_command(&d, &req, sizeof(req) - 1), GDMA_STATUS_INVALID);
	post(6000);
	assert_int_equal(deliver(false, 3000), 3000); /* it is as it was */
	assert_int_equal(ask(0, 0), 0);
	for (unsigned int i = 0; i < 3; i++)
		post(6000);
	assert_int_equal(deliver(false, 3000), 0);
	assert_int_equal(type(3), MANA_CQE_RX_OKAY);
}

/* All of it fits, or its frames go into what there is. */
static void too_few_buffers_are_for_frames(void **state)
{
	(void)state;
	post(2000);
	post(2000);
	assert_int_equal(deliver(false, 5000), 0);
	mana_driver_run(&d);
	assert_true(d.network.paused);
	assert_int_equal(type(0), MANA_CQE_RX_OKAY);
	assert_int_equal(type(1), MANA_CQE_RX_OKAY);
	assert_int_equal(completion(1)->wqe_offset, GDMA_WQE_UNIT);
	assert_int_equal(mana_of(d.function)->stats.rx_no_wqe, 0);
}

static void what_waits_comes_first(void **state)
{
	(void)state;
	assert_int_equal(deliver(false, 500), 0);
	assert_true(d.network.paused);
	for (unsigned int i = 0; i < 5; i++)
		post(4000);
	assert_int_equal(deliver(false, 3000),
			 0); /* there are buffers, which the loop has not seen */
	mana_driver_run(&d);
	assert_false(d.network.paused);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(type(i), MANA_CQE_RX_OKAY);
	assert_int_equal(completion(0)->packet.len, 566);
	assert_int_equal(deliver(false, 3000), 3000);
}

static void a_packet_has_so_many_buffers(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 64; i++)
		post_at(MANA_DRIVER_BUFFER, 100);
	assert_int_equal(deliver(false, 6400 - 66), 6400 - 66);
	assert_int_equal(completion(0)->buffers, 64);
	for (unsigned int i = 0; i < 65; i++)
		post_at(MANA_DRIVER_BUFFER, 100);
	assert_int_equal(deliver(false, 6400 - 65), 0);
	assert_int_equal(type(1), MANA_CQE_RX_TRUNCATED); /* as ever when a buffer is too small */
}

static void memory_that_is_not_there_is_not_used(void **state)
{
	(void)state;
	post(2000);
	post_at(MANA_DRIVER_RAM - 100, 2000);
	for (unsigned int i = 0; i < 2; i++)
		post(2000);
	assert_int_equal(deliver(false, 4000), 0);
	assert_int_equal(type(0), MANA_CQE_RX_OKAY);
	assert_int_equal(type(1), MANA_CQE_RX_TRUNCATED);
	assert_int_equal(type(2), MANA_CQE_RX_OKAY);
}

/* Steering that leads nowhere, a function that receives nothing, a channel that comes anew. */
static void nobody_gets_what_nobody_may_have(void **state)
{
	struct mana_cfg_rx_steer_req req = { .vport = MANA_VPORT, .rss_enable = UINT32_MAX };
	struct mana_destroy_wqobj_req destroy = { .wq_type = GDMA_RQ,
						  .wq_obj_handle =
							  MANA_WQ_HANDLE + MANA_DRIVER_RQ_ID };

	(void)state;
	post(6000);
	mana_driver_header(&req.hdr, MANA_CONFIG_VPORT_RX, sizeof(req));
	assert_int_equal(mana_driver_command(&d, &req, sizeof(req)), 0);
	assert_int_equal(deliver(false, 3000), 0);
	req.rx_enable = 1;
	assert_int_equal(mana_driver_command(&d, &req, sizeof(req)), 0);
	mana_driver_header(&destroy.hdr, MANA_DESTROY_WQ_OBJ, sizeof(destroy));
	assert_int_equal(mana_driver_command(&d, &destroy, sizeof(destroy)), 0);
	assert_int_equal(deliver(false, 3000), 0);
	mana_driver_bring_up(&d);
	mana_driver_make_queues(&d);
	rq_tail = 0;
	for (unsigned int i = 0; i < 3; i++)
		post(6000);
	assert_int_equal(deliver(false, 3000), 0); /* it was asked on the other */
	assert_false(d.network.paused);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(buffers_are_filled_one_after_another),
		TEST(so_they_are_by_ipv6),
		TEST(as_much_as_is_wanted_is_one),
		TEST(what_is_asked_is_looked_at),
		TEST(too_few_buffers_are_for_frames),
		TEST(what_waits_comes_first),
		TEST(a_packet_has_so_many_buffers),
		TEST(memory_that_is_not_there_is_not_used),
		TEST(nobody_gets_what_nobody_may_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
