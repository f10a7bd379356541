/* NVSP messages that come too early, too late, too large: what the card's driver never sends. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"
#include "proto/rndis.h"
#include "tests/unit/devices/net/netvsp_card.h"

static struct client client;
static struct netvsc net;
static struct netvsp_card card;
static unsigned int switches;

static bool data_path(void *ctx, bool to_vf)
{
	(void)ctx;
	(void)to_vf;
	switches++;
	return true;
}

/* A card of so many sub-channels. */
static int make_card(uint16_t sub_channels)
{
	const struct netvsp_config config = { .max_sub_channels = sub_channels,
					      .data_path = data_path };
	const struct loopback_nic_config nic = { .queues = 4 };

	return netvsp_card_create(&card, &net, &client, config, nic);
}

static int setup_client(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	memset(&net, 0, sizeof(net));
	switches = 0;
	return client_init(&client, 0, 0);
}

static int setup(void **state)
{
	return setup_client(state) || make_card(3);
}

static int setup_single(void **state)
{
	return setup_client(state) || make_card(0);
}

static int teardown(void **state)
{
	(void)state;
	netvsp_card_destroy(&card, &client);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 3; i++) {
		client_run(&client);
		netvsc_poll(&net, 0);
	}
}

static void init(uint32_t version)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG_TYPE_INIT,
					.init = { version, version } };

	assert_int_equal(netvsc_call(&net, &message), 0);
	assert_int_equal(net.reply.init_complete.status, NVSP_STAT_SUCCESS);
}

/* The answer's status to a receive buffer there. */
static uint32_t give_receive_buffer(uint64_t gpa, uint32_t bytes)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_RECV_BUF };

	net.receive_gpadl = client.next_gpadl++;
	assert_int_equal(client_gpadl(&client, net.relids[0], net.receive_gpadl, gpa, bytes), 0);
	message.send_buffer.gpadl_handle = net.receive_gpadl;
	message.send_buffer.id = NETVSC_RECEIVE_ID;
	assert_int_equal(netvsc_call(&net, &message), 0);
	return net.reply.send_recv_buf_complete.status;
}

static void buffers_come_after_the_version(void **state)
{
	(void)state;
	assert_int_equal(netvsc_open(&net), 0);
	assert_int_equal(give_receive_buffer(NETVSC_RECEIVE_BUFFER, NETVSC_RECEIVE_BYTES),
			 NVSP_STAT_FAIL);
	init(NVSP_PROTOCOL_VERSION_61);
	assert_int_equal(give_receive_buffer(NETVSC_RECEIVE_BUFFER, NETVSC_RECEIVE_BYTES),
			 NVSP_STAT_SUCCESS);
	assert_int_equal(give_receive_buffer(0x200000, NETVSC_RECEIVE_BYTES), NVSP_STAT_FAIL);
}

/* A card that works keeps the buffers that it has: one that was let go of comes back when it stands still. */
static void buffers_come_while_it_stands_still(void **state)
{
	struct nvsp_message revoke = { .msg_type = NVSP_MSG1_TYPE_REVOKE_SEND_BUF };
	struct nvsp_message give = { .msg_type = NVSP_MSG1_TYPE_SEND_SEND_BUF };

	(void)state;
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	assert_int_equal(netvsc_call(&net, &revoke), 0);
	give.send_buffer.gpadl_handle = net.send_gpadl;
	assert_int_equal(netvsc_rndis_init(&net), 0);
	assert_int_equal(netvsc_filter(&net, NDIS_PACKET_TYPE_DIRECTED), 0);
	assert_int_equal(netvsc_call(&net, &give), 0);
	assert_int_equal(net.reply.send_send_buf_complete.status, NVSP_STAT_FAIL);
}

/* A queue takes so many sections, however large the buffer. */
static void a_queue_has_its_sections_at_most(void **state)
{
	const struct nvsp_receive_buffer_section *section =
		&net.reply.send_recv_buf_complete.sections[0];

	(void)state;
	assert_int_equal(netvsc_open(&net), 0);
	init(NVSP_PROTOCOL_VERSION_61);
	assert_int_equal(give_receive_buffer(0x300000, 0x400000), NVSP_STAT_SUCCESS);
	assert_int_equal(section->num_sub_allocs, 16 + 1024);
	assert_int_equal(section->end_offset, (16 + 1024) * section->sub_alloc_size);
}

static uint32_t section_size(uint32_t mtu)
{
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, mtu), 0);
	assert_int_equal(netvsc_stop(&net, 0), 0);
	return net.section_size;
}

static void mtus_are_the_networks(void **state)
{
	uint32_t largest;

	(void)state;
	largest = section_size(9000);
	assert_int_equal(section_size(9001), largest);
	assert_int_equal(section_size(100000), largest);
	assert_int_equal(section_size(0), 2048);
}

/* A request is copied, so it has to fit; a guest's own page list says how long it is. */
static void a_control_message_fits(void **state)
{
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t pages[4];
	} ext = { .header.range_cnt = 1, .pages = { 0x200, 0x201, 0x202, 0x203 } };
	const struct nvsp_message message = {
		.msg_type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.send_rndis_pkt = { NVSP_CHANNEL_CONTROL, NVSP_SEND_BUFFER_NONE, 0 },
	};
	static const uint32_t lens[] = { 8192, 8193, 4 * 4096 };
	uint64_t before;

	(void)state;
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	before = net.completed[0];
	for (unsigned int i = 0; i < 3; i++) {
		ext.range.byte_count = lens[i];
		assert_int_equal(client_send(&net.channels[0], VM_PKT_DATA_USING_GPA_DIRECT, 1, 9,
					     &ext, 16 + (lens[i] + 4095) / 4096 * 8, &message,
					     sizeof(message)),
				 0);
		run();
		assert_int_equal(net.completed[0], before + 1 + i);
		assert_int_equal(net.failed[0], i);
	}
}

static void there_are_two_data_paths(void **state)
{
	struct nvsp_message message = { .msg_type = NVSP_MSG4_TYPE_SWITCH_DATA_PATH };

	(void)state;
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	message.switch_data_path.active_datapath = NVSP_DATAPATH_VF;
	assert_int_equal(netvsc_call(&net, &message), 0);
	assert_int_equal(switches, 1);
	message.switch_data_path.active_datapath = 2;
	assert_int_equal(netvsc_call(&net, &message), 0);
	assert_int_equal(switches, 1);
}

/* Of a VF is told whom it was said to that there are such. */
static void an_old_guest_hears_of_no_vf(void **state)
{
	struct nvsp_message config = { .msg_type = NVSP_MSG2_TYPE_SEND_NDIS_CONFIG };

	(void)state;
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_2, 1500), 0);
	netvsp_set_vf(card.netvsp, true, 7);
	run();
	assert_int_equal(net.inbands, 0);
	assert_int_equal(netvsc_stop(&net, 0), 0);
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	run();
	assert_int_equal(net.inbands, 1);
	config.send_ndis_config.mtu = 1514; /* without the capability */
	assert_int_equal(netvsc_call(&net, &config), 0);
	netvsp_set_vf(card.netvsp, false, 7);
	run();
	assert_int_equal(net.inbands, 1);
}

/* Answers and news that find the ring full come when there is room. */
static void a_full_ring_delays_news(void **state)
{
	const struct nvsp_message message = { .msg_type = NVSP_MSG1_TYPE_SEND_NDIS_VER };
	static const uint8_t frame[60] = { 2 };

	(void)state;
	net.ring_pages = 2;
	assert_int_equal(netvsc_start(&net, NVSP_PROTOCOL_VERSION_61, 1500), 0);
	for (unsigned int i = 0; i < 120; i++) {
		loopback_nic_deliver(card.nic, 0, frame, sizeof(frame), NULL);
		client_run(&client);
		client_send(&net.channels[0], VM_PKT_DATA_INBAND, 1, 0x55, NULL, 0, &message,
			    sizeof(message));
		client_run(&client);
	}
	netvsp_set_vf(card.netvsp, true, 7);
	client_run(&client);
	for (int i = 0; i < 10; i++)
		run();
	assert_int_equal(net.inbands, 1);
	assert_int_equal(net.inband.vf_association.serial, 7);
	net.replied = false;
	run();
	assert_false(net.replied); /* no answer is given twice */
	assert_int_equal(netvsc_filter(&net, NDIS_PACKET_TYPE_DIRECTED), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(buffers_come_after_the_version),
		TEST(buffers_come_while_it_stands_still),
		cmocka_unit_test_setup_teardown(a_queue_has_its_sections_at_most, setup_single,
						teardown),
		TEST(mtus_are_the_networks),
		TEST(a_control_message_fits),
		TEST(there_are_two_data_paths),
		TEST(an_old_guest_hears_of_no_vf),
		TEST(a_full_ring_delays_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
