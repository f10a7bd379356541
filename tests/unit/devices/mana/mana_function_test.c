/* What the emulated MANA function says to a driver that asks for what cannot be, and does with queues that are wrong. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/mana/mana_internal.h"
#include "proto/mana.h"
#include "proto/pci.h"
#include "tests/unit/devices/mana/mana_driver.h"

#define BUFFER MANA_DRIVER_BUFFER
#define NONE   UINT32_MAX /* no completion */

static struct mana_driver d;
static uint32_t sq_tail, rq_tail;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	sq_tail = 0;
	rq_tail = 0;
	if (mana_driver_init(&d))
		return -1;
	mana_driver_bring_up(&d);
	mana_driver_make_queues(&d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mana_driver_fini(&d);
	return 0;
}

/* --- Commands */

static uint32_t send(uint32_t type, void *message, size_t len)
{
	mana_driver_header(message, type, (uint32_t)len);
	return mana_driver_command(&d, message, (uint32_t)len);
}

/* The channel works, whatever was said on it. */
static void expect_well(void)
{
	struct gdma_req_hdr hdr;

	assert_int_equal(send(GDMA_LIST_DEVICES, &hdr, sizeof(hdr)), GDMA_STATUS_SUCCESS);
}

/* A region's message: `len` of `count` pages, `listed` of them in it. */
static uint32_t create_region(uint64_t len, uint32_t count, uint32_t listed, uint64_t page)
{
	uint64_t message[8 + 4];
	struct gdma_create_dma_region_req *req = (void *)message;

	*req = (struct gdma_create_dma_region_req){ .length = len,
						    .page_count = count,
						    .page_addr_list_len = listed };
	for (unsigned int i = 0; i < 4; i++)
		message[8 + i] = page;
	return send(GDMA_CREATE_DMA_REGION, message, sizeof(message));
}

static uint64_t region_made(void)
{
	return load_le64(mana_driver_answer(&d) + sizeof(struct gdma_resp_hdr));
}

static uint32_t add_pages(uint64_t region, uint32_t listed, size_t sent)
{
	uint64_t message[7 + 4];
	struct gdma_dma_region_add_pages_req *req = (void *)message;

	*req = (struct gdma_dma_region_add_pages_req){ .dma_region_handle = region,
						       .page_addr_list_len = listed };
	for (unsigned int i = 0; i < 4; i++)
		message[7 + i] = BUFFER;
	return send(GDMA_DMA_REGION_ADD_PAGES, message, (7 + sent) * sizeof(uint64_t));
}

static uint32_t destroy_region(uint64_t region)
{
	struct gdma_destroy_dma_region_req req = { .dma_region_handle = region };

	return send(GDMA_DESTROY_DMA_REGION, &req, sizeof(req));
}

static uint32_t create_eq(uint64_t region, uint32_t size, uint32_t vector)
{
	struct gdma_create_queue_req req = { .type = GDMA_EQ,
					     .queue_size = size,
					     .gdma_region = region,
					     .eq_pci_msix_index = vector };

	return send(GDMA_CREATE_QUEUE, &req, sizeof(req));
}

static uint32_t disable_eq(uint32_t id)
{
	struct gdma_disable_queue_req req = { .type = GDMA_EQ, .queue_index = id };

	return send(GDMA_DISABLE_QUEUE, &req, sizeof(req));
}

static uint32_t create_wq(const struct mana_create_wqobj_req *wanted)
{
	struct mana_create_wqobj_req req = *wanted;

	return send(MANA_CREATE_WQ_OBJ, &req, sizeof(req));
}

static uint32_t destroy_wq(uint32_t type, uint32_t number)
{
	struct mana_destroy_wqobj_req req = { .wq_type = type,
					      .wq_obj_handle = MANA_WQ_HANDLE + number };

	return send(MANA_DESTROY_WQ_OBJ, &req, sizeof(req));
}

static uint32_t steer(struct mana_cfg_rx_steer_req req)
{
	req.vport = MANA_VPORT;
	return send(MANA_CONFIG_VPORT_RX, &req, sizeof(req));
}

static void regions_are_whole_pages_of_memory(void **state)
{
	uint64_t region;

	(void)state;
	assert_int_equal(create_region(4096, 1, 1, BUFFER + 8), GDMA_STATUS_INVALID);
	assert_int_equal(create_region(4095, 1, 1, BUFFER), GDMA_STATUS_INVALID);
	assert_int_equal(create_region(0, 0, 0, BUFFER), GDMA_STATUS_INVALID);
	assert_int_equal(create_region(4096, 1, 2, BUFFER), GDMA_STATUS_INVALID);
	assert_int_equal(create_region(5 * 4096, 5, 5, BUFFER),
			 GDMA_STATUS_INVALID); /* four came */
	assert_int_equal(
		create_region((MANA_RING_PAGES + 1) * 4096ull, MANA_RING_PAGES + 1, 1, BUFFER),
		GDMA_STATUS_INVALID);
	assert_int_equal(create_region(2 * 4096, 2, 1, BUFFER), GDMA_STATUS_MORE_ENTRIES);
	assert_int_equal(create_eq(region_made(), 2 * 4096, 0),
			 GDMA_STATUS_INVALID); /* not all of it */
	assert_int_equal(create_region(3 * 4096, 3, 1, BUFFER), GDMA_STATUS_MORE_ENTRIES);
	region = region_made();
	assert_int_equal(add_pages(region, 3, 3), GDMA_STATUS_INVALID);
	assert_int_equal(add_pages(region, 2, 1), GDMA_STATUS_INVALID);
	assert_int_equal(add_pages(region, 1, 1), GDMA_STATUS_MORE_ENTRIES);
	assert_int_equal(add_pages(region, 1, 1), GDMA_STATUS_SUCCESS);
	assert_int_equal(add_pages(region, 1, 1), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_region(region), GDMA_STATUS_SUCCESS);
	assert_int_equal(destroy_region(region), GDMA_STATUS_INVALID);
	assert_int_equal(add_pages(region, 1, 1), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_region(0), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_region(MANA_REGIONS + 1), GDMA_STATUS_INVALID);
	expect_well();
}

static void regions_end(void **state)
{
	unsigned int made = 0;

	(void)state;
	while (mana_driver_region(&d, BUFFER, 1))
		made++;
	assert_true(made >= 5 * 4 && made <= MANA_REGIONS);
	assert_int_equal(create_region(4096, 1, 1, BUFFER), GDMA_STATUS_NO_RESOURCES);
	assert_int_equal(destroy_region(1), GDMA_STATUS_SUCCESS);
	assert_int_equal(create_region(4096, 1, 1, BUFFER), GDMA_STATUS_SUCCESS);
}

static void event_queues_are_as_they_can_be(void **state)
{
	uint64_t region = mana_driver_region(&d, BUFFER, 3);

	(void)state;
	assert_int_equal(create_eq(region, 3 * 4096, 0), GDMA_STATUS_INVALID);
	assert_int_equal(create_eq(region, 4096, 0), GDMA_STATUS_INVALID);
	region = mana_driver_region(&d, BUFFER, 1);
	assert_int_equal(create_eq(region, 4096, 5), GDMA_STATUS_INVALID); /* of four and one */
	assert_int_equal(create_eq(region, 4096, 4), GDMA_STATUS_SUCCESS);
	assert_int_equal(create_eq(region, 4096, 4), GDMA_STATUS_INVALID); /* it is a queue now */
	assert_int_equal(disable_eq(0), GDMA_STATUS_INVALID);              /* the channel's */
	assert_int_equal(disable_eq(MANA_EQS), GDMA_STATUS_INVALID);
	assert_int_equal(disable_eq(2), GDMA_STATUS_SUCCESS);
	assert_int_equal(disable_eq(2), GDMA_STATUS_INVALID);
	expect_well();
}

static void work_queues_are_as_they_can_be(void **state)
{
	struct mana_create_wqobj_req good = { .vport = MANA_VPORT,
					      .wq_type = GDMA_RQ,
					      .wq_size = 3 * 4096,
					      .cq_size = 4096,
					      .cq_parent_qid = MANA_DRIVER_EQ_ID };
	struct mana_create_wqobj_req bad;

	(void)state;
	good.wq_gdma_region = mana_driver_region(&d, BUFFER, 3);
	good.cq_gdma_region = mana_driver_region(&d, BUFFER + 3 * 4096, 1);
	bad = good;
	bad.vport++;
	assert_int_equal(create_wq(&bad), GDMA_STATUS_INVALID);
	bad = good;
	bad.wq_type = GDMA_CQ;
	assert_int_equal(create_wq(&bad), GDMA_STATUS_INVALID);
	bad = good;
	bad.cq_parent_qid = MANA_DRIVER_EQ_ID + 1;
	assert_int_equal(create_wq(&bad), GDMA_STATUS_INVALID);
	bad = good;
	bad.cq_gdma_region = good.wq_gdma_region;
	bad.cq_size = good.wq_size;
	assert_int_equal(create_wq(&bad), GDMA_STATUS_INVALID);
	bad = good; /* completion queues have a power of two of entries */
	bad.wq_gdma_region = good.cq_gdma_region;
	bad.wq_size = good.cq_size;
	bad.cq_gdma_region = good.wq_gdma_region;
	bad.cq_size = good.wq_size;
	assert_int_equal(create_wq(&bad), GDMA_STATUS_INVALID);
	bad = good; /* nor is one region two queues */
	bad.wq_gdma_region = mana_driver_region(&d, BUFFER + 4 * 4096, 1);
	bad.wq_size = 4096;
	bad.cq_gdma_region = bad.wq_gdma_region;
	assert_int_equal(create_wq(&bad), GDMA_STATUS_INVALID);
	assert_int_equal(create_wq(&good), GDMA_STATUS_SUCCESS);
	assert_int_equal(destroy_wq(GDMA_SQ, 4), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_wq(GDMA_RQ, 4), GDMA_STATUS_SUCCESS);
	assert_int_equal(destroy_wq(GDMA_RQ, 4), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_wq(GDMA_SQ, MANA_HWC_SQ), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_wq(GDMA_RQ, MANA_HWC_RQ), GDMA_STATUS_INVALID);
	assert_int_equal(destroy_wq(GDMA_RQ, MANA_WQS), GDMA_STATUS_INVALID);
	expect_well();
}

static void the_filter_moves_for_its_vport(void **state)
{
	struct mana_move_filter_req req = { .vport = MANA_VPORT, .to_vtl0 = 1 };

	(void)state;
	assert_int_equal(send(MANA_VTL2_MOVE_FILTER, &req, sizeof(req)), GDMA_STATUS_SUCCESS);
	assert_int_equal(d.moves, 1);
	assert_true(d.to_vtl0);
	req.to_vtl0 = 2;
	assert_int_equal(send(MANA_VTL2_MOVE_FILTER, &req, sizeof(req)), GDMA_STATUS_INVALID);
	req.to_vtl0 = 0;
	req.vport++;
	assert_int_equal(send(MANA_VTL2_MOVE_FILTER, &req, sizeof(req)), GDMA_STATUS_INVALID);
	assert_int_equal(d.moves, 1);
}

static void unknown_commands_and_short_ones(void **state)
{
	uint8_t message[GDMA_PAGE_SIZE + 1] = { 0 };
	static const uint32_t types[] = { GDMA_GENERATE_TEST_EQE,    GDMA_CREATE_QUEUE,
					  GDMA_DISABLE_QUEUE,        GDMA_CREATE_DMA_REGION,
					  GDMA_DMA_REGION_ADD_PAGES, GDMA_DESTROY_DMA_REGION,
					  MANA_CONFIG_VPORT_TX,      MANA_CREATE_WQ_OBJ,
					  MANA_DESTROY_WQ_OBJ,       MANA_FENCE_RQ,
					  MANA_CONFIG_VPORT_RX,      MANA_QUERY_VPORT_CONFIG,
					  MANA_VTL2_MOVE_FILTER };
	struct gdma_req_hdr *hdr = (void *)message;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(send(types[i], message, sizeof(*hdr)), GDMA_STATUS_INVALID);
	assert_int_equal(send(0x12345, message, sizeof(*hdr)), GDMA_STATUS_CMD_UNSUPPORTED);
	/* Less than a header is no request; and an answer is as long as the buffer at most. */
	mana_driver_header(hdr, GDMA_LIST_DEVICES, sizeof(*hdr));
	assert_int_equal(mana_driver_command(&d, message, sizeof(*hdr) - 1), UINT32_MAX);
	assert_int_equal(mana_driver_command(&d, message, sizeof(message)), UINT32_MAX);
	hdr->resp.msg_size = UINT32_MAX;
	assert_int_equal(mana_driver_command(&d, message, sizeof(*hdr)), GDMA_STATUS_SUCCESS);
	expect_well();
}

/* --- Frames */

/* The completion of this number on the queue's CQ, in its first round; NONE: none yet. */
static uint32_t completion(uint32_t queue, unsigned int number)
{
	const uint8_t *cqe = d.ram + queue + 2 * GDMA_PAGE_SIZE + number * sizeof(struct gdma_cqe);
	uint32_t owner = load_le32(cqe + GDMA_CQE_DATA) >> GDMA_OWNER_SHIFT & GDMA_OWNER_MASK;

	return owner == 1 ? load_le32(cqe) & MANA_CQE_TYPE_MASK : NONE;
}

static void ring(uint32_t place, uint32_t id, uint32_t tail)
{
	mana_driver_doorbell(&d, MANA_DOORBELL, place, id, tail, false);
	mana_driver_run(&d);
}

static void send_frame(uint32_t address, uint32_t len)
{
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	sq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_SQ + sq_tail, sizeof(oob), oob, address,
				       len);
	ring(GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID, sq_tail);
}

/* A send to be cut: a header of 54 bytes, then `len`. */
static void send_large(uint32_t len, uint32_t mss)
{
	uint8_t *at = d.ram + MANA_DRIVER_SQ + sq_tail;
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	mana_driver_put_wqe(at, sizeof(oob), oob, BUFFER, 54);
	store_le32(at + 4, 2 | GDMA_OOB_SMALL / 4 << GDMA_WQE_OOB_SHIFT | GDMA_WQE_OOB_IN_SGL |
				   mss << GDMA_WQE_DATA_UNIT_SHIFT);
	store_le64(at + 32, BUFFER + 54);
	store_le32(at + 40, 0);
	store_le32(at + 44, len);
	sq_tail += 64;
	ring(GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID, sq_tail);
}

static void post_buffer(uint32_t len)
{
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	rq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_RQ + rq_tail, sizeof(oob), oob, BUFFER,
				       len);
	ring(GDMA_DOORBELL_RQ, MANA_DRIVER_RQ_ID, rq_tail);
}

static void deliver(size_t len)
{
	static const uint8_t frame[2000] = { 0x02, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0, 0x45 };

	memory_backend_deliver(&d.network, frame, len);
}

static uint64_t lost(void)
{
	return mana_of(d.function)->stats.rx_no_wqe;
}

static void frames_are_of_the_size_of_the_network(void **state)
{
	(void)state;
	send_frame(BUFFER, 1518);
	assert_int_equal(completion(MANA_DRIVER_SQ, 0), MANA_CQE_TX_OKAY);
	send_frame(BUFFER, 1519);
	assert_int_equal(completion(MANA_DRIVER_SQ, 1), MANA_CQE_TX_MTU_DROP);
	send_frame(BUFFER, 13);
	assert_int_equal(completion(MANA_DRIVER_SQ, 2), MANA_CQE_TX_INVALID_OOB);
	assert_int_equal(mana_of(d.function)->stats.tx_gdma, 1);
	send_frame(BUFFER, 1u << 19); /* more than any send, and all of it is memory */
	assert_int_equal(completion(MANA_DRIVER_SQ, 3), MANA_CQE_TX_INVALID_OOB);
	send_frame(MANA_DRIVER_RAM - 10, 60);
	assert_int_equal(completion(MANA_DRIVER_SQ, 4), MANA_CQE_TX_INVALID_OOB);
	assert_int_equal(d.network.sent, 1);
	post_buffer(2048);
	deliver(1519);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), NONE);
	deliver(1518);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), MANA_CQE_RX_OKAY);
	post_buffer(100);
	deliver(101);
	assert_int_equal(completion(MANA_DRIVER_RQ, 1), MANA_CQE_RX_TRUNCATED);
}

/* 54 bytes of headers of TCP over IPv4, from whom sends. */
static void put_headers(void)
{
	static const uint8_t header[54] = {
		0x02, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, [17] = 40, [23] = 6, [46] = 0x50
	};

	memcpy(d.ram + BUFFER, header, sizeof(header));
}

static void large_sends_are_cut_to_what_fits(void **state)
{
	(void)state;
	put_headers();
	send_large(3000, 1460);
	assert_int_equal(completion(MANA_DRIVER_SQ, 0), MANA_CQE_TX_OKAY);
	assert_int_equal(d.network.sent, 3);
	send_large(3000, 1461); /* a byte more than the network takes */
	assert_int_equal(completion(MANA_DRIVER_SQ, 1), MANA_CQE_TX_HDR_PROCESSING_ERROR);
	send_large(3000, 0);
	assert_int_equal(completion(MANA_DRIVER_SQ, 2), MANA_CQE_TX_HDR_PROCESSING_ERROR);
	send_large(MANA_LSO_MAX + 256 - 54 + 1, 1460);
	assert_int_equal(completion(MANA_DRIVER_SQ, 3), MANA_CQE_TX_HDR_PROCESSING_ERROR);
	assert_int_equal(d.network.sent, 3);
}

static void nothing_is_sent_before_the_vport_is(void **state)
{
	(void)state;
	d.function->ops->reset(d.function);
	mana_driver_bring_up(&d);
	mana_driver_make_queues(&d);
	send_frame(BUFFER, 60);
	assert_int_equal(d.network.sent, 1);
	mana_of(d.function)->vport_tx = false;
	send_frame(BUFFER, 60);
	assert_int_equal(completion(MANA_DRIVER_SQ, 1), MANA_CQE_TX_VPORT_DISABLED);
	assert_int_equal(d.network.sent, 1);
}

/* Without bus mastering nothing is read or written. */
static void a_function_that_is_no_master_is_silent(void **state)
{
	static uint8_t before[MANA_DRIVER_RAM];

	(void)state;
	d.function->ops->config_write(d.function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	send_frame(BUFFER, 60);
	assert_int_equal(completion(MANA_DRIVER_SQ, 0), NONE);
	assert_int_equal(d.network.sent, 0);
	memset(d.ram + BUFFER, 0x55, 100);
	post_buffer(2048);
	deliver(60);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), NONE);
	assert_int_equal(d.ram[BUFFER], 0x55);
	memcpy(before, d.ram, sizeof(before));
	mana_function_set_link(d.function, false);
	assert_memory_equal(before, d.ram, sizeof(before));
}

/* A network that does the rest gets sends uncut, which are the frames that they become; but what is tagged is done here. */
static void work_is_left_to_a_network_that_takes_it(void **state)
{
	const struct mana_tx_oob oob = { .flags = MANA_TX_FORMAT_LONG | MANA_TX_TCP_CHECKSUM,
					 .vlan = MANA_TX_INJECT_VLAN |
						 (5u << 4) << MANA_TX_VLAN_TCI_SHIFT };

	(void)state;
	d.network.backend.offloads = true;
	put_headers();
	send_large(3000, 1460);
	assert_int_equal(d.network.sent, 1);
	assert_int_equal(d.network.offload.mss, 1460);
	assert_int_equal(mana_of(d.function)->stats.tx[NIC_UNICAST].frames, 3);
	assert_int_equal(mana_of(d.function)->stats.tx[NIC_UNICAST].bytes, 3 * 54 + 3000);
	put_headers();
	sq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_SQ + sq_tail, sizeof(oob), &oob, BUFFER,
				       60);
	ring(GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID, sq_tail);
	assert_int_equal(completion(MANA_DRIVER_SQ, 1), MANA_CQE_TX_OKAY);
	assert_int_equal(d.network.frames[d.network.count - 1].len, 64);
	assert_memory_equal(d.network.frames[d.network.count - 1].bytes + 12, "\x81\0\0\5", 4);
	assert_int_equal(d.network.offload.sum_start, 0);
}

static void a_completion_may_be_suppressed(void **state)
{
	const struct mana_tx_oob oob = { .flags = MANA_TX_SUPPRESS_CQE };

	(void)state;
	sq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_SQ, GDMA_OOB_SMALL, &oob, BUFFER, 60);
	ring(GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID, sq_tail);
	assert_int_equal(d.network.sent, 1);
	assert_int_equal(completion(MANA_DRIVER_SQ, 0), NONE);
	sq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_SQ + sq_tail, GDMA_OOB_SMALL, &oob,
				       BUFFER, 10);
	ring(GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID, sq_tail);
	assert_int_equal(completion(MANA_DRIVER_SQ, 0),
			 MANA_CQE_TX_INVALID_OOB); /* not of errors */
}

/* Whoever rings the doorbell sends some, the loop the rest. */
static void a_doorbell_does_not_send_for_ever(void **state)
{
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	(void)state;
	mana_of(d.function)->config.send_in_place = true;
	for (unsigned int i = 0; i < 50; i++)
		sq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_SQ + sq_tail, sizeof(oob), oob,
					       BUFFER, 60);
	mana_driver_doorbell(&d, MANA_DOORBELL, GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID, sq_tail,
			     false);
	assert_in_range(d.network.sent, 1, 49);
	mana_driver_run(&d);
	assert_int_equal(d.network.sent, 50);
}

static void arm(uint32_t place, uint32_t id, uint32_t tail)
{
	mana_driver_doorbell(&d, MANA_DOORBELL, place, id, tail, true);
}

/* Once for each time that it is armed; at once, where there is what the driver has not seen. */
static void interrupts_come_when_they_are_asked_for(void **state)
{
	const uint32_t cqes = 4096 / sizeof(struct gdma_cqe), eqes = 4096 / sizeof(struct gdma_eqe);
	unsigned int before;

	(void)state;
	mana_driver_take_interrupts(&d);
	before = d.interrupts;
	send_frame(BUFFER, 60);
	assert_int_equal(d.interrupts, before); /* its CQ is not armed */
	arm(GDMA_DOORBELL_CQ, MANA_DRIVER_CQ_ID, cqes);
	assert_int_equal(d.interrupts, before + 1);
	arm(GDMA_DOORBELL_CQ, MANA_DRIVER_CQ_ID, cqes + 1);
	send_frame(BUFFER, 60);
	assert_int_equal(d.interrupts, before + 1); /* there is an event, but the EQ is not armed */
	arm(GDMA_DOORBELL_EQ, MANA_DRIVER_EQ_ID, eqes + 1);
	assert_int_equal(d.interrupts, before + 2);
	arm(GDMA_DOORBELL_EQ, MANA_DRIVER_EQ_ID, eqes + 2);
	assert_int_equal(d.interrupts, before + 2);
	arm(GDMA_DOORBELL_CQ, MANA_DRIVER_CQ_ID, cqes + 2);
	send_frame(BUFFER, 60);
	assert_int_equal(d.interrupts, before + 3);
}

static void arm_for_sends(unsigned int sent, unsigned int told)
{
	arm(GDMA_DOORBELL_CQ, MANA_DRIVER_CQ_ID, 4096 / sizeof(struct gdma_cqe) + sent);
	arm(GDMA_DOORBELL_EQ, MANA_DRIVER_EQ_ID, 4096 / sizeof(struct gdma_eqe) + told);
}

/* By the doorbell's writer. */
static void send_in_place(unsigned int count)
{
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	while (count--) {
		sq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_SQ + sq_tail, sizeof(oob), oob,
					       BUFFER, 60);
		mana_driver_doorbell(&d, MANA_DOORBELL, GDMA_DOORBELL_SQ, MANA_DRIVER_SQ_ID,
				     sq_tail, false);
	}
}

static void interrupts_of_sends_wait_for_more(void **state)
{
	unsigned int before;

	(void)state;
	mana_of(d.function)->config.send_in_place = true;
	mana_driver_take_interrupts(&d);
	before = d.interrupts;
	arm_for_sends(0, 0);
	send_in_place(15);
	assert_int_equal(d.interrupts, before);
	send_in_place(1);
	assert_int_equal(d.interrupts, before + 1);
	arm_for_sends(16, 1);
	send_in_place(1);
	assert_int_equal(d.interrupts, before + 1);
	while (d.interrupts == before + 1)
		event_loop_run_once(d.loop, -1); /* its time comes */
	assert_int_equal(d.interrupts, before + 2);
	/* What a driver has seen by itself is not told of. */
	arm_for_sends(17, 2);
	send_in_place(15);
	arm_for_sends(32, 2);
	send_in_place(15);
	assert_int_equal(d.interrupts, before + 2);
}

/* The receive queue itself is not armed. */
static void interrupts_of_sends_come_with_received_frames(void **state)
{
	unsigned int before;

	(void)state;
	mana_of(d.function)->config.send_in_place = true;
	mana_driver_take_interrupts(&d);
	before = d.interrupts;
	post_buffer(2048);
	post_buffer(2048);
	arm_for_sends(0, 0);
	send_in_place(1);
	deliver(60);
	assert_int_equal(d.interrupts, before); /* not each of a sender that waits for answers */
	send_in_place(1);
	deliver(60);
	assert_int_equal(d.interrupts, before + 1);
}

/* Nor do queues that are no more tell of anything. */
static void interrupts_of_sends_end_with_a_reset(void **state)
{
	unsigned int before;

	(void)state;
	mana_of(d.function)->config.send_in_place = true;
	mana_driver_take_interrupts(&d);
	before = d.interrupts;
	arm_for_sends(0, 0);
	send_in_place(2);
	d.function->ops->reset(d.function);
	while (mana_of(d.function)->holding)
		event_loop_run_once(d.loop, -1);
	assert_int_equal(d.interrupts, before);
}

/* The queue stops; the others, and what is made in its place, go on. */
static void entries_that_cannot_be_stop_their_queue(void **state)
{
	static const struct {
		uint32_t flags, tail;
	} bad[] = {
		{ 0 | 2 << GDMA_WQE_OOB_SHIFT, 32 },                       /* no SGE */
		{ (MANA_RX_SGES_MAX + 1) | 2 << GDMA_WQE_OOB_SHIFT, 512 }, /* too many of them */
		{ 1 | 3 << GDMA_WQE_OOB_SHIFT, 32 },                       /* a size of OOB */
		{ 2 | 2 << GDMA_WQE_OOB_SHIFT, 32 },                       /* longer than posted */
		{ 1 | 2 << GDMA_WQE_OOB_SHIFT, 33 },                       /* half an entry */
		{ 1 | 2 << GDMA_WQE_OOB_SHIFT, 8192 + 32 },                /* more than fits */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rq_tail = 0;
		post_buffer(2048);
		store_le32(d.ram + MANA_DRIVER_RQ + 4, bad[i].flags);
		ring(GDMA_DOORBELL_RQ, MANA_DRIVER_RQ_ID, bad[i].tail);
		deliver(60);
		assert_int_equal(completion(MANA_DRIVER_RQ, 0), NONE);
		assert_int_equal(lost(), i + 1);
		post_buffer(2048); /* too late */
		deliver(60);
		assert_int_equal(completion(MANA_DRIVER_RQ, 0), NONE);
		send_frame(BUFFER, 60);
		assert_int_equal(completion(MANA_DRIVER_SQ, 0), MANA_CQE_TX_OKAY);
		teardown(state);
		assert_int_equal(setup(state), 0);
		mana_of(d.function)->stats.rx_no_wqe = i + 1;
	}
	post_buffer(2048);
	deliver(60);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), MANA_CQE_RX_OKAY);
}

static void frames_go_where_they_are_steered(void **state)
{
	const struct mana_cfg_rx_steer_req as_it_is = { .rx_enable = UINT32_MAX,
							.rss_enable = UINT32_MAX };
	struct mana_cfg_rx_steer_req req = as_it_is;
	enum {
		stale = 400
	};
	uint64_t old[60] = { [stale / 8] = MANA_WQ_HANDLE + MANA_DRIVER_RQ_ID };

	(void)state;
	post_buffer(2048);
	assert_int_equal(steer(as_it_is), GDMA_STATUS_SUCCESS);
	deliver(60);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), MANA_CQE_RX_OKAY);
	/* To a send queue, to what is none, by a table that is not in the message, or of none. */
	req.rx_enable = 1;
	req.update_default_rxobj = 1;
	req.default_rxobj = MANA_WQ_HANDLE + MANA_DRIVER_SQ_ID;
	assert_int_equal(steer(req), GDMA_STATUS_INVALID);
	req.default_rxobj = MANA_WQ_HANDLE + MANA_HWC_RQ;
	assert_int_equal(steer(req), GDMA_STATUS_INVALID);
	req = as_it_is;
	req.update_indir_tab = 1;
	assert_int_equal(steer(req), GDMA_STATUS_INVALID);
	req.num_indir_entries = 1;
	req.indir_tab_offset = sizeof(req) - 7;
	assert_int_equal(steer(req), GDMA_STATUS_INVALID);
	req.indir_tab_offset = stale; /* there was one in the message before */
	assert_int_equal(send(0x12345, old, sizeof(old)), GDMA_STATUS_CMD_UNSUPPORTED);
	assert_int_equal(steer(req), GDMA_STATUS_INVALID);
	req.num_indir_entries = MANA_INDIRECTION_MAX + 1;
	req.indir_tab_offset = 0;
	assert_int_equal(steer(req), GDMA_STATUS_INVALID);
	assert_false(mana_of(d.function)->steering.rss);
	/* RSS that is on stays on. */
	req = as_it_is;
	req.rss_enable = 1;
	assert_int_equal(steer(req), GDMA_STATUS_SUCCESS);
	assert_int_equal(steer(as_it_is), GDMA_STATUS_SUCCESS);
	assert_int_equal(mana_of(d.function)->steering.rss, 1);
	expect_well();
}

/* And one that gets its number is not what they were steered to. */
static void a_queue_that_is_destroyed_receives_nothing(void **state)
{
	struct mana_create_wqobj_req req = { .vport = MANA_VPORT,
					     .wq_type = GDMA_RQ,
					     .wq_size = 2 * GDMA_PAGE_SIZE,
					     .cq_size = GDMA_PAGE_SIZE,
					     .cq_parent_qid = MANA_DRIVER_EQ_ID };

	(void)state;
	assert_int_equal(destroy_wq(GDMA_RQ, MANA_DRIVER_RQ_ID), GDMA_STATUS_SUCCESS);
	deliver(60);
	assert_int_equal(lost(), 1);
	req.wq_gdma_region = mana_driver_region(&d, MANA_DRIVER_RQ, 2);
	req.cq_gdma_region = mana_driver_region(&d, MANA_DRIVER_RQ + 2 * GDMA_PAGE_SIZE, 1);
	assert_int_equal(create_wq(&req), GDMA_STATUS_SUCCESS);
	post_buffer(2048);
	deliver(60);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), NONE);
	assert_int_equal(lost(), 2);
}

/* Nor is one that sends what the table leads to. */
static void a_table_leads_to_receive_queues_only(void **state)
{
	struct {
		struct mana_cfg_rx_steer_req req;
		uint64_t table[1];
	} message = { .req = { .vport = MANA_VPORT,
			       .rx_enable = 1,
			       .rss_enable = 1,
			       .update_indir_tab = 1,
			       .num_indir_entries = 1,
			       .indir_tab_offset = sizeof(message.req) },
		      .table = { MANA_WQ_HANDLE + MANA_DRIVER_RQ_ID } };
	struct mana_create_wqobj_req req = { .vport = MANA_VPORT,
					     .wq_type = GDMA_SQ,
					     .wq_size = GDMA_PAGE_SIZE,
					     .cq_size = GDMA_PAGE_SIZE,
					     .cq_parent_qid = MANA_DRIVER_EQ_ID };

	(void)state;
	assert_int_equal(send(MANA_CONFIG_VPORT_RX, &message, sizeof(message)),
			 GDMA_STATUS_SUCCESS);
	put_headers();
	memset(d.ram + BUFFER, 0xFF, 6);
	post_buffer(2048);
	memory_backend_deliver(&d.network, d.ram + BUFFER, 60);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), MANA_CQE_RX_OKAY);
	assert_int_equal(destroy_wq(GDMA_RQ, MANA_DRIVER_RQ_ID), GDMA_STATUS_SUCCESS);
	req.wq_gdma_region = mana_driver_region(&d, MANA_DRIVER_RQ, 1);
	req.cq_gdma_region = mana_driver_region(&d, MANA_DRIVER_RQ + GDMA_PAGE_SIZE, 1);
	assert_int_equal(create_wq(&req), GDMA_STATUS_SUCCESS);
	memory_backend_deliver(&d.network, d.ram + BUFFER, 60);
	mana_driver_run(&d);
	assert_int_equal(lost(), 1);
	assert_false(d.network.paused);
}

/* A driver that makes its channel anew, without a reset, has nothing of what there was. */
static void a_channel_that_comes_anew_finds_nothing(void **state)
{
	const struct mana_steering *steering = &mana_of(d.function)->steering;

	(void)state;
	assert_true(steering->enabled);
	mana_driver_bring_up(&d);
	assert_false(steering->enabled);
	assert_int_equal(steering->default_wq, MANA_WQS);
	assert_false(mana_of(d.function)->vport_tx);
	assert_int_equal(destroy_wq(GDMA_RQ, MANA_DRIVER_RQ_ID), GDMA_STATUS_INVALID);
	assert_int_equal(disable_eq(MANA_DRIVER_EQ_ID), GDMA_STATUS_INVALID);
	mana_driver_make_queues(&d);
	send_frame(BUFFER, 60);
	assert_int_equal(d.network.sent, 1);
}

/* --- Frames that wait */

/* No buffer, and a frame: nothing more is read from the network. */
static void starve(void)
{
	deliver(60);
	mana_driver_run(&d);
	assert_true(d.network.paused);
}

static void a_buffer_ends_the_wait(void **state)
{
	(void)state;
	starve();
	deliver(61);
	post_buffer(2048);
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), MANA_CQE_RX_OKAY);
	assert_true(d.network.paused);
	post_buffer(2048);
	assert_int_equal(completion(MANA_DRIVER_RQ, 1), MANA_CQE_RX_OKAY);
	assert_false(d.network.paused);
	assert_int_equal(lost(), 0);
}

static void pause_too_late(struct net_backend *backend, bool on)
{
	(void)backend;
	d.network.paused = on;
	if (on)
		__atomic_store_n(&mana_of(d.function)->tails[MANA_DRIVER_RQ_ID], rq_tail,
				 __ATOMIC_SEQ_CST);
}

/* The doorbell came when nobody waited yet, so it woke nobody, but the frame had been refused by then. */
static void a_buffer_that_comes_meanwhile_ends_the_wait(void **state)
{
	struct net_backend_ops late = *d.network.backend.ops;
	const struct net_backend_ops *own = d.network.backend.ops;
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	(void)state;
	late.pause = pause_too_late;
	d.network.backend.ops = &late;
	rq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_RQ + rq_tail, sizeof(oob), oob, BUFFER,
				       2048);
	deliver(60);
	assert_true(d.network.paused);
	mana_driver_run(&d);
	d.network.backend.ops = own;
	assert_int_equal(completion(MANA_DRIVER_RQ, 0), MANA_CQE_RX_OKAY);
	assert_false(d.network.paused);
	assert_int_equal(lost(), 0);
}

/* Whom they wait for goes: the network need not wait for the time to pass. */
static void nobody_waits_for_what_is_gone(void **state)
{
	struct mana_cfg_rx_steer_req req = { .rss_enable = UINT32_MAX };

	(void)state;
	starve();
	assert_int_equal(steer(req), GDMA_STATUS_SUCCESS);
	mana_driver_run(&d);
	assert_false(d.network.paused);
	req.rx_enable = 1;
	assert_int_equal(steer(req), GDMA_STATUS_SUCCESS);
	starve();
	assert_int_equal(destroy_wq(GDMA_RQ, MANA_DRIVER_RQ_ID), GDMA_STATUS_SUCCESS);
	mana_driver_run(&d);
	assert_false(d.network.paused);
	assert_int_equal(lost(), 1);
	mana_driver_bring_up(&d);
	mana_driver_make_queues(&d);
	starve();
	d.function->ops->reset(d.function);
	mana_driver_run(&d);
	assert_false(d.network.paused);
}

/* Also when there are buffers already, but those that wait have not had them yet. */
static void frames_that_wait_come_first(void **state)
{
	const uint8_t *length = d.ram + MANA_DRIVER_RQ + 2 * GDMA_PAGE_SIZE +
				offsetof(struct mana_rx_comp, packets[0].len);
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };

	(void)state;
	starve();
	for (unsigned int i = 0; i < 2; i++)
		rq_tail += mana_driver_put_wqe(d.ram + MANA_DRIVER_RQ + rq_tail, sizeof(oob), oob,
					       BUFFER, 2048);
	mana_driver_doorbell(&d, MANA_DOORBELL, GDMA_DOORBELL_RQ, MANA_DRIVER_RQ_ID, rq_tail,
			     false);
	deliver(61);
	mana_driver_run(&d);
	assert_int_equal(load_le32(length), 60);
	assert_int_equal(load_le32(length + sizeof(struct gdma_cqe)), 61);
}

static void more_than_can_wait_is_lost(void **state)
{
	unsigned int count = 0;

	(void)state;
	starve();
	for (; !lost(); count++)
		deliver(1500);
	assert_true(count > NET_SEND_MAX / 1500);
	assert_true(count < 3 * NET_SEND_MAX / 1500);
	assert_true(d.network.paused);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(regions_are_whole_pages_of_memory),
		TEST(regions_end),
		TEST(event_queues_are_as_they_can_be),
		TEST(work_queues_are_as_they_can_be),
		TEST(the_filter_moves_for_its_vport),
		TEST(unknown_commands_and_short_ones),
		TEST(frames_are_of_the_size_of_the_network),
		TEST(large_sends_are_cut_to_what_fits),
		TEST(nothing_is_sent_before_the_vport_is),
		TEST(a_function_that_is_no_master_is_silent),
		TEST(work_is_left_to_a_network_that_takes_it),
		TEST(a_completion_may_be_suppressed),
		TEST(a_doorbell_does_not_send_for_ever),
		TEST(interrupts_come_when_they_are_asked_for),
		TEST(interrupts_of_sends_wait_for_more),
		TEST(interrupts_of_sends_come_with_received_frames),
		TEST(interrupts_of_sends_end_with_a_reset),
		TEST(entries_that_cannot_be_stop_their_queue),
		TEST(frames_go_where_they_are_steered),
		TEST(a_queue_that_is_destroyed_receives_nothing),
		TEST(a_table_leads_to_receive_queues_only),
		TEST(a_channel_that_comes_anew_finds_nothing),
		TEST(a_buffer_ends_the_wait),
		TEST(a_buffer_that_comes_meanwhile_ends_the_wait),
		TEST(nobody_waits_for_what_is_gone),
		TEST(frames_that_wait_come_first),
		TEST(more_than_can_wait_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
