/*
 * The controller with its loops on threads of their own: a primary and a sub-channel read and write
 * at once, units come and go, and everything is closed and opened again, many times over. For the
 * thread sanitizer (make tsan), and for what only happens when nothing else keeps the loops busy.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "devices/storage/file_disk.h"
#include "devices/storage/scsi_lun.h"
#include "devices/storage/storvsp.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/storvsp.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

#define WAIT_SECONDS 30
#define ROUNDS       8
#define TRANSFERS    300
#define HALF_SECTORS 1024u /* of the disk, for each channel */

struct machine {
	struct client client;
	struct storvsp *storvsp;
	struct file_disk *file;
	struct scsi_lun *lun;
	struct client_channel channels[2];
	int fd;
	bool gone;
};

static struct machine m;

/* --- Messages: answers come from other threads */

static const void *await(uint32_t msgtype)
{
	if (!client_wait_message(&m.client, WAIT_SECONDS))
		fail_msg("no message %u", msgtype);
	return client_take(&m.client, msgtype);
}

static struct vmbus_channel_offer_channel await_offer(void)
{
	const struct vmbus_channel_offer_channel *offer = await(CHANNELMSG_OFFERCHANNEL);

	assert_non_null(offer);
	return *offer;
}

static void open_channel(unsigned int index, uint32_t relid, uint32_t connection_id)
{
	const struct vmbus_channel_open_result *result;

	client_open_start(&m.client, &m.channels[index], relid, connection_id, index,
			  0x100000 + index * 0x40000u, 6);
	result = await(CHANNELMSG_OPENCHANNEL_RESULT);
	assert_non_null(result);
	assert_int_equal(result->status, 0);
}

static void teardown_ring(const struct client_channel *channel)
{
	struct vmbus_channel_gpadl_teardown msg = {
		.header.msgtype = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = channel->relid,
		.gpadl = channel->gpadl,
	};

	client_post(&m.client, &msg, sizeof(msg));
}

/* --- Packets */

static void call(struct client_channel *channel, struct vstor_packet *packet, uint64_t gpa,
		 uint32_t len)
{
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t pages[16];
	} ext = { .header.range_cnt = 1, .range.byte_count = len };
	struct {
		struct vmpacket_descriptor desc;
		struct vstor_packet packet;
	} answer;
	uint32_t seen = client_events(&m.client, channel->relid);
	size_t pages = (len + 4095) / 4096;

	for (size_t i = 0; i < pages; i++)
		ext.pages[i] = gpa / 4096 + i;
	while (client_send(channel, len ? VM_PKT_DATA_USING_GPA_DIRECT : VM_PKT_DATA_INBAND, 1, 1,
			   &ext, len ? 16 + 8 * pages : 0, packet, sizeof(*packet)))
		assert_true(client_wait_event(&m.client, channel->relid, seen, WAIT_SECONDS));
	/* The count is taken before the look, so what comes in between is not slept through. */
	for (;;) {
		seen = client_events(&m.client, channel->relid);
		if (client_receive(channel, &answer, sizeof(answer)) > 0) {
			if (answer.packet.operation == VSTOR_OPERATION_COMPLETE_IO)
				break;
		} else if (!client_wait_event(&m.client, channel->relid, seen, WAIT_SECONDS)) {
			fail_msg("operation %u has no answer", packet->operation);
		}
	}
	*packet = answer.packet;
}

static uint32_t control(uint32_t operation, uint16_t argument)
{
	struct vstor_packet packet = { .operation = operation };

	packet.version.major_minor = argument;
	call(&m.channels[0], &packet, 0, 0);
	return packet.status;
}

static void transfer(struct client_channel *channel, bool write, uint32_t sector, uint16_t count,
		     uint64_t gpa)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = write ? VMSCSI_DATA_OUT : VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = count * 512u;
	packet.vm_srb.cdb_or_sense[0] = write ? SCSI_WRITE_10 : SCSI_READ_10;
	store_be32(&packet.vm_srb.cdb_or_sense[2], sector);
	store_be16(&packet.vm_srb.cdb_or_sense[7], count);
	call(channel, &packet, gpa, count * 512u);
	assert_int_equal(packet.vm_srb.srb_status, SRB_STATUS_SUCCESS);
}

/* Writes and reads back within the channel's half of the disk. */
static void *worker(void *ctx)
{
	unsigned int index = (unsigned int)(uintptr_t)ctx;
	uint64_t gpa = 0x400000 + index * 0x100000ul;
	uint8_t *buf = m.client.ram + gpa;
	uint32_t random = index + 1;

	for (unsigned int i = 0; i < TRANSFERS; i++) {
		uint16_t count;
		uint32_t sector;

		random = random * 1103515245 + 12345;
		count = (uint16_t)(1 + (random >> 16) % 64);
		sector = index * HALF_SECTORS + (random >> 8) % (HALF_SECTORS - count);
		memset(buf, (int)(i + index), count * 512u);
		transfer(&m.channels[index], true, sector, count, gpa);
		memset(buf, 0xEE, count * 512u);
		transfer(&m.channels[index], false, sector, count, gpa);
		for (uint32_t byte = 0; byte < count * 512u; byte++)
			if (buf[byte] != (uint8_t)(i + index))
				fail_msg("channel %u, transfer %u: byte %u differs", index, i,
					 byte);
	}
	return NULL;
}

static void initialize(void)
{
	assert_int_equal(control(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0), 0);
	assert_int_equal(
		control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VMSTOR_PROTO_VERSION_WIN10), 0);
	assert_int_equal(control(VSTOR_OPERATION_QUERY_PROPERTIES, 0), 0);
	assert_int_equal(control(VSTOR_OPERATION_END_INITIALIZATION, 0), 0);
	assert_int_equal(control(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 1), 0);
}

/* As drivers/hv closes a device: each sub-channel, then the primary, each waiting for its ring. */
static void close_both(void)
{
	struct vmbus_channel_id_message released = { .header.msgtype = CHANNELMSG_RELID_RELEASED };

	client_close(&m.channels[1]);
	teardown_ring(&m.channels[1]);
	assert_non_null(await(CHANNELMSG_GPADL_TORNDOWN));
	client_close(&m.channels[0]);
	teardown_ring(&m.channels[0]);
	assert_non_null(await(CHANNELMSG_RESCIND_CHANNELOFFER));
	assert_non_null(await(CHANNELMSG_GPADL_TORNDOWN));
	released.child_relid = m.channels[1].relid;
	client_post(&m.client, &released, sizeof(released));
}

static void channels_work_at_once_and_close(void **state)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	struct vmbus_channel_offer_channel primary, sub;

	(void)state;
	assert_true(client_connect(&m.client, VMBUS_VERSION_5_3));
	client_post(&m.client, &request, sizeof(request));
	primary = await_offer();
	assert_non_null(await(CHANNELMSG_ALLOFFERS_DELIVERED));
	assert_int_equal(client_start_loops(&m.client), 0);

	for (unsigned int round = 0; round < ROUNDS; round++) {
		pthread_t second;

		open_channel(0, primary.child_relid, primary.connection_id);
		initialize();
		sub = await_offer();
		open_channel(1, sub.child_relid, sub.connection_id);
		assert_int_equal(pthread_create(&second, NULL, worker, (void *)1), 0);
		assert_int_equal(storvsp_attach(m.storvsp, 1, 5, m.lun), 0);
		worker((void *)0);
		assert_int_equal(storvsp_detach(m.storvsp, 1, 5), 0);
		pthread_join(second, NULL);
		close_both();
	}

	client_stop_loops(&m.client);
}

static void controller_gone(void *ctx)
{
	*(bool *)ctx = true;
}

static int setup(void **state)
{
	struct storvsp_config config = { .max_sub_channels = 1 };
	struct file_disk_config disk = { .sector_size = 512, .physical_sector_size = 512 };
	struct scsi_lun_config lun = { 0 };

	(void)state;
	log_set_level(LOG_ERROR);
	if (client_init(&m.client, 0, 0))
		return -1;
	m.fd = memfd_create("disk", 0);
	if (m.fd < 0 || ftruncate(m.fd, 2 * HALF_SECTORS * 512))
		return -1;
	disk.fd = m.fd;
	disk.memory = m.client.memory;
	m.file = file_disk_create(&disk);
	lun.disk = file_disk_disk(m.file);
	m.lun = scsi_lun_create(&lun);
	config.server = m.client.server;
	return storvsp_create(&config, &m.storvsp) || storvsp_attach(m.storvsp, 0, 0, m.lun);
}

static int teardown(void **state)
{
	(void)state;
	storvsp_destroy(m.storvsp, controller_gone, &m.gone);
	client_run(&m.client);
	assert_true(m.gone);
	scsi_lun_put(m.lun);
	client_fini(&m.client);
	file_disk_destroy(m.file);
	close(m.fd);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(channels_work_at_once_and_close, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
