/* A guest's storage driver against the controller, the SCSI target and a disk in a file. */

#include <errno.h>
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
#include "core/guest_memory.h"
#include "core/log.h"
#include "devices/storage/disc_tray.h"
#include "devices/storage/file_disk.h"
#include "devices/storage/scsi_lun.h"
#include "devices/storage/storvsp.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/storvsp.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

#define DISK_SIZE (4u << 20)
#define BUFFER    0x400000u /* guest address of the data buffer */

struct machine {
	struct client client;
	struct storvsp *storvsp;
	struct client_channel chan;
	int fd;
	struct file_disk *file;
	struct scsi_lun *lun;
	bool released, gone;
	uint64_t next_id;
	struct vstor_packet answer;
};

static struct machine m;

static void lun_released(void *ctx)
{
	*(bool *)ctx = true;
}

/* A unit of this nature on a new disk. */
static struct scsi_lun *make_lun(struct scsi_lun_config lun, uint32_t sector, uint32_t physical)
{
	struct file_disk_config config = {
		.fd = m.fd,
		.memory = m.client.memory,
		.sector_size = sector,
		.physical_sector_size = physical,
		.id = { 1, 2, 3, 4, 5, 6, 7, 8, 9 },
		.serial = "SN0123",
	};

	m.file = file_disk_create(&config);
	assert_non_null(m.file);
	lun.disk = file_disk_disk(m.file);
	lun.released = lun_released;
	lun.ctx = &m.released;
	return scsi_lun_create(&lun);
}

/* --- The driver */

static void send_packet(struct client_channel *chan, const struct vstor_packet *packet, uint64_t id,
			uint64_t gpa, uint32_t len)
{
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t pages[260];
	} ext = { .header.range_cnt = 1, .range = { len, gpa % 4096 } };
	size_t pages = (gpa % 4096 + len + 4095) / 4096;

	for (size_t i = 0; i < pages; i++)
		ext.pages[i] = gpa / 4096 + i;
	if (len)
		assert_int_equal(client_send(chan, VM_PKT_DATA_USING_GPA_DIRECT, 1, id, &ext,
					     16 + 8 * pages, packet, sizeof(*packet)),
				 0);
	else
		assert_int_equal(client_send(chan, VM_PKT_DATA_INBAND, 1, id, NULL, 0, packet,
					     sizeof(*packet)),
				 0);
}

static bool receive(struct client_channel *chan, uint64_t *id, struct vstor_packet *packet)
{
	struct {
		struct vmpacket_descriptor desc;
		struct vstor_packet packet;
	} buf;
	int len = client_receive(chan, &buf, sizeof(buf));

	if (len < 0)
		return false;
	assert_int_equal(len, sizeof(buf));
	*id = buf.desc.trans_id;
	*packet = buf.packet;
	return true;
}

static uint32_t call(struct vstor_packet *packet, uint64_t gpa, uint32_t len)
{
	uint64_t id, sent = ++m.next_id;

	send_packet(&m.chan, packet, sent, gpa, len);
	client_run(&m.client);
	assert_true(receive(&m.chan, &id, &m.answer));
	assert_int_equal(id, sent);
	assert_int_equal(m.answer.operation, VSTOR_OPERATION_COMPLETE_IO);
	return m.answer.status;
}

static uint32_t control(uint32_t operation, uint16_t argument)
{
	struct vstor_packet packet = { .operation = operation };

	packet.version.major_minor = argument; /* the same place as sub_channel_count */
	return call(&packet, 0, 0);
}

/* Runs a CDB with `len` bytes of buffer. Returns the SRB's status without its flags. */
static uint8_t srb(const uint8_t *cdb, size_t cdb_len, uint8_t direction, uint32_t len)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	packet.vm_srb.cdb_length = (uint8_t)cdb_len;
	packet.vm_srb.data_in = direction;
	packet.vm_srb.data_transfer_length = len;
	memcpy(packet.vm_srb.cdb_or_sense, cdb, cdb_len);
	call(&packet, BUFFER, len);
	return m.answer.vm_srb.srb_status & 0x3F;
}

#define IN(len, ...)                                                                    \
	srb((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	    VMSCSI_DATA_IN, len)
#define OUT(len, ...)                                                                   \
	srb((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	    VMSCSI_DATA_OUT, len)
#define NONE(...)                                                                       \
	srb((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	    VMSCSI_DATA_NONE, 0)

static const uint8_t *buffer(void)
{
	return m.client.ram + BUFFER;
}

/* Key << 16 | code | qualifier of the last answer, 0 without sense. */
static uint32_t sense(void)
{
	const uint8_t *data = m.answer.vm_srb.cdb_or_sense;

	if (!(m.answer.vm_srb.srb_status & SRB_STATUS_AUTOSENSE_VALID))
		return 0;
	assert_int_equal(m.answer.vm_srb.scsi_status, SCSI_CHECK_CONDITION);
	assert_int_equal(m.answer.vm_srb.sense_info_length, SCSI_SENSE_SIZE);
	return (uint32_t)(data[2] & 0xF) << 16 | load_be16(&data[12]);
}

#define SENSE(key, code) ((uint32_t)(key) << 16 | (code))

/* --- Set-up */

static struct vmbus_channel_offer_channel take_offer(void)
{
	const struct vmbus_channel_offer_channel *msg =
		client_take(&m.client, CHANNELMSG_OFFERCHANNEL);

	assert_non_null(msg);
	return *msg;
}

static void open_controller(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	struct vmbus_channel_offer_channel offer;

	assert_true(client_connect(&m.client, VMBUS_VERSION_5_3));
	client_post(&m.client, &request, sizeof(request));
	offer = take_offer();
	client_drop_messages(&m.client);
	assert_int_equal(client_open(&m.client, &m.chan, offer.child_relid, offer.connection_id, 0,
				     0x100000, 8),
			 0);
}

static void initialize(uint16_t version)
{
	assert_int_equal(control(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0), 0);
	assert_int_equal(control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, version), 0);
	assert_int_equal(control(VSTOR_OPERATION_QUERY_PROPERTIES, 0), 0);
	assert_int_equal(control(VSTOR_OPERATION_END_INITIALIZATION, 0), 0);
}

static int setup(void **state)
{
	struct storvsp_config config = { .max_sub_channels = 3 };

	(void)state;
	log_set_level(LOG_ERROR);
	memset(&m, 0, sizeof(m));
	if (client_init(&m.client, 0, 0))
		return -1;
	m.fd = memfd_create("disk", 0);
	if (m.fd < 0 || ftruncate(m.fd, DISK_SIZE))
		return -1;
	config.server = m.client.server;
	if (storvsp_create(&config, &m.storvsp))
		return -1;
	m.lun = make_lun((struct scsi_lun_config){ .dvd = false }, 512, 4096);
	if (storvsp_attach(m.storvsp, 0, 0, m.lun))
		return -1;
	scsi_lun_put(m.lun); /* the controller's reference stays */
	open_controller();
	return 0;
}

static int setup_ready(void **state)
{
	if (setup(state))
		return -1;
	initialize(VMSTOR_PROTO_VERSION_WIN10);
	return 0;
}

static void controller_gone(void *ctx)
{
	*(bool *)ctx = true;
}

static int teardown(void **state)
{
	(void)state;
	storvsp_destroy(m.storvsp, controller_gone, &m.gone);
	client_run(&m.client);
	assert_true(m.gone);
	assert_true(m.released);
	client_fini(&m.client);
	file_disk_destroy(m.file);
	close(m.fd);
	return 0;
}

/* --- The protocol */

static void every_version_initializes(void **state)
{
	static const uint16_t versions[] = { VMSTOR_PROTO_VERSION_WIN6, VMSTOR_PROTO_VERSION_WIN7,
					     VMSTOR_PROTO_VERSION_WIN8, VMSTOR_PROTO_VERSION_BLUE,
					     VMSTOR_PROTO_VERSION_WIN10 };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(control(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0), 0);
		assert_int_equal(control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x6300),
				 (uint32_t)VSTOR_STATUS_REVISION_MISMATCH);
		assert_int_equal(control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, versions[i]), 0);
		assert_int_equal(control(VSTOR_OPERATION_QUERY_PROPERTIES, 0), 0);
		assert_int_equal(m.answer.properties.max_channel_cnt,
				 versions[i] >= VMSTOR_PROTO_VERSION_WIN8 ? 3 : 0);
		assert_true(m.answer.properties.max_transfer_bytes >= 0x40000);
		assert_int_equal(control(VSTOR_OPERATION_END_INITIALIZATION, 0), 0);
		assert_int_equal(NONE(SCSI_TEST_UNIT_READY, 0, 0, 0, 0, 0), SRB_STATUS_SUCCESS);
		client_close(&m.chan);
		client_run(&m.client);
		assert_true(client_gpadl_teardown(&m.client, m.chan.relid, m.chan.gpadl));
		assert_int_equal(client_open(&m.client, &m.chan, m.chan.relid, m.chan.connection_id,
					     0, 0x100000, 8),
				 0);
	}
}

static void out_of_order_is_refused(void **state)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	assert_int_equal(call(&packet, 0, 0), (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
	for (uint32_t op = 7; op <= 13; op++)
		if (op != VSTOR_OPERATION_BEGIN_INITIALIZATION)
			assert_int_equal(control(op, VMSTOR_PROTO_VERSION_WIN10),
					 (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
	assert_int_equal(control(0, 0), (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
	assert_int_equal(control(0xFFFFFFFF, 0), (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
	initialize(VMSTOR_PROTO_VERSION_BLUE);
	assert_int_equal(control(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0),
			 (uint32_t)VSTOR_STATUS_INVALID_DEVICE_STATE);
	assert_int_equal(control(VSTOR_OPERATION_RESET_BUS, 0), 0);
}

static void short_packets_are_answered(void **state)
{
	uint64_t buf[16];

	(void)state;
	client_send(&m.chan, VM_PKT_DATA_INBAND, 1, 77, NULL, 0, "short", 6);
	client_run(&m.client);
	assert_int_equal(client_receive(&m.chan, buf, sizeof(buf)),
			 16 + VSTOR_PACKET_SIZE_BEFORE_WIN8);
	assert_int_equal(buf[1], 77);
}

static void sub_channels_serve_too(void **state)
{
	struct vmbus_channel_offer_channel offers[3];
	struct client_channel subs[3];
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB }, answer;
	uint64_t id;

	(void)state;
	assert_int_equal(control(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 4),
			 (uint32_t)VSTOR_STATUS_INVALID_PARAMETER);
	assert_int_equal(control(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 3), 0);
	for (uint32_t i = 0; i < 3; i++)
		offers[i] = take_offer();
	for (uint32_t i = 0; i < 3; i++) {
		struct vmbus_channel_offer_channel offer = offers[i];

		assert_int_equal(offer.sub_channel_index, i + 1);
		assert_int_equal(client_open(&m.client, &subs[i], offer.child_relid,
					     offer.connection_id, i + 1, 0x200000 + i * 0x20000, 4),
				 0);
		packet.vm_srb.cdb_length = 6;
		send_packet(&subs[i], &packet, 5 + i, 0, 0);
		client_run(&m.client);
		assert_true(receive(&subs[i], &id, &answer));
		assert_int_equal(id, 5 + i);
		assert_int_equal(answer.vm_srb.srb_status, SRB_STATUS_SUCCESS);
		assert_int_equal(m.client.event_vp[subs[i].relid], i + 1);
	}
	assert_int_equal(control(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 1),
			 (uint32_t)VSTOR_STATUS_INVALID_PARAMETER);
	/* A guest that closes the primary loses the others, and can start again. */
	client_close(&m.chan);
	client_run(&m.client);
	for (int i = 0; i < 3; i++)
		assert_non_null(client_take(&m.client, CHANNELMSG_RESCIND_CHANNELOFFER));
	assert_true(client_gpadl_teardown(&m.client, m.chan.relid, m.chan.gpadl));
	assert_int_equal(
		client_open(&m.client, &m.chan, m.chan.relid, m.chan.connection_id, 0, 0x100000, 8),
		0);
	initialize(VMSTOR_PROTO_VERSION_WIN10);
	assert_int_equal(control(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 2), 0);
	assert_int_equal(client_message_count(&m.client), 2);
}

/* More commands than may be outstanding, more answers than fit: none is lost, none out of turn. */
static void a_flood_is_served(void **state)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB }, answer;
	uint64_t sent = 0, received = 0, id;

	(void)state;
	packet.vm_srb.cdb_length = 6;
	while (received < 5000) {
		while (sent < 5000 && !client_send(&m.chan, VM_PKT_DATA_INBAND, 1, sent, NULL, 0,
						   &packet, sizeof(packet)))
			sent++;
		client_run(&m.client);
		for (int i = 0; i < 7 && receive(&m.chan, &id, &answer); i++)
			assert_int_equal(id, received++);
	}
}

static void closing_waits_for_the_disk(void **state)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = 4096;
	memcpy(packet.vm_srb.cdb_or_sense, (uint8_t[]){ SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 8 }, 9);
	send_packet(&m.chan, &packet, 1, BUFFER, 4096);
	event_loop_run_once(m.client.loops[0], 0); /* the command is now with the disk */
	vmbus_server_reset(m.client.server);
	assert_false(vmbus_server_is_idle(m.client.server));
	client_run(&m.client);
	assert_true(vmbus_server_is_idle(m.client.server));
}

/* --- Reads and writes */

/* Sends it with a buffer of `len` bytes that begins at `offset` of the first of these pages. */
static void send_pages(const struct vstor_packet *packet, uint32_t offset, const uint64_t *pages,
		       size_t count, uint32_t len)
{
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t pages[4];
	} ext = { .header.range_cnt = 1, .range = { len, offset } };
	uint64_t id;

	assert_true(count <= 4);
	memcpy(ext.pages, pages, 8 * count);
	assert_int_equal(client_send(&m.chan, VM_PKT_DATA_USING_GPA_DIRECT, 1, ++m.next_id, &ext,
				     16 + 8 * count, packet, sizeof(*packet)),
			 0);
	client_run(&m.client);
	assert_true(receive(&m.chan, &id, &m.answer));
	assert_int_equal(id, m.next_id);
}

static void fill(uint8_t seed, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		m.client.ram[BUFFER + i] = (uint8_t)(seed + i * 13 + i / 256);
}

static void expect_on_disk(uint8_t seed, uint64_t offset, uint32_t len)
{
	uint8_t *data = malloc(len);

	assert_int_equal(pread(m.fd, data, len, (off_t)offset), len);
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != (uint8_t)(seed + i * 13 + i / 256))
			fail_msg("byte %u differs", i);
	free(data);
}

static void every_read_and_write_works(void **state)
{
	(void)state;
	fill(1, 4096);
	assert_int_equal(OUT(4096, SCSI_WRITE_6, 0, 0, 8, 8, 0), SRB_STATUS_SUCCESS);
	expect_on_disk(1, 8 * 512, 4096);
	fill(2, 4096);
	assert_int_equal(OUT(4096, SCSI_WRITE_10, 8, 0, 0, 0, 16, 0, 0, 8, 0), SRB_STATUS_SUCCESS);
	expect_on_disk(2, 16 * 512, 4096);
	fill(3, 4096);
	assert_int_equal(OUT(4096, SCSI_WRITE_12, 0, 0, 0, 0, 24, 0, 0, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	expect_on_disk(3, 24 * 512, 4096);
	fill(4, 4096);
	assert_int_equal(OUT(4096, SCSI_WRITE_16, 8, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	expect_on_disk(4, 32 * 512, 4096);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 4096);

	memset(m.client.ram + BUFFER, 0, 4096);
	assert_int_equal(IN(4096, SCSI_READ_6, 0, 0, 8, 8, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[1], (uint8_t)(1 + 13));
	assert_int_equal(IN(4096, SCSI_READ_10, 0, 0, 0, 0, 16, 0, 0, 8, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[1], (uint8_t)(2 + 13));
	assert_int_equal(IN(4096, SCSI_READ_12, 0, 0, 0, 0, 24, 0, 0, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[1], (uint8_t)(3 + 13));
	assert_int_equal(IN(4096, SCSI_READ_16, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[1], (uint8_t)(4 + 13));
	assert_int_equal(NONE(SCSI_SYNCHRONIZE_CACHE_10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_VERIFY_10, 0, 0, 0, 0, 0, 0, 0, 8, 0), SRB_STATUS_SUCCESS);
}

static void the_largest_transfer_works(void **state)
{
	(void)state;
	fill(9, 1u << 20);
	assert_int_equal(OUT(1u << 20, SCSI_WRITE_10, 0, 0, 0, 0, 1, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	expect_on_disk(9, 512, 1u << 20);
	/* A read of less than the buffer leaves the rest alone. */
	memset(m.client.ram + BUFFER, 0xEE, 4096);
	assert_int_equal(IN(4096, SCSI_READ_10, 0, 0, 0, 0, 1, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 512);
	assert_int_equal(buffer()[511], (uint8_t)(9 + 511 * 13 + 1));
	assert_int_equal(buffer()[512], 0xEE);
}

static void bad_transfers_are_refused(void **state)
{
	const uint32_t last = DISK_SIZE / 512 - 1;
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	assert_int_equal(IN(4096, SCSI_READ_10, 0, 0, (uint8_t)(last >> 16), (uint8_t)(last >> 8),
			    (uint8_t)last, 0, 0, 2, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE));
	assert_int_equal(
		IN(4096, SCSI_READ_16, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 8, 0, 0),
		SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE));
	/* A buffer that is too short, after one of two pieces: those must not be taken for its own. */
	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = 8192;
	memcpy(packet.vm_srb.cdb_or_sense, (uint8_t[]){ SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 16 }, 9);
	send_pages(&packet, 0, (uint64_t[]){ BUFFER / 4096, BUFFER / 4096 + 2 }, 2, 8192);
	assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_SUCCESS);
	assert_int_equal(IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 2, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB));
	assert_int_equal(OUT(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(IN(512, SCSI_READ_10, 0x20, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(NONE(SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(NONE(SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 0, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(0xEE), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPCODE));

	/* Memory that is not RAM, and a length that the page list does not have. */
	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = 4096;
	memcpy(packet.vm_srb.cdb_or_sense, (uint8_t[]){ SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 8 }, 9);
	call(&packet, CLIENT_RAM - 2048, 4096);
	assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_INVALID_REQUEST);
	packet.vm_srb.data_transfer_length = 8192;
	call(&packet, BUFFER, 4096);
	assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_INVALID_REQUEST);

	/* More than the controller says that it takes. */
	packet.vm_srb.data_transfer_length = 4096;
	call(&packet, BUFFER, (1u << 20) + 512);
	assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_INVALID_REQUEST);
	call(&packet, BUFFER, 1u << 20);
	assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_SUCCESS);
}

/* Of the numbers that a packet has room for. */
static void numbers_beyond_the_last_have_no_unit(void **state)
{
	static const struct {
		uint8_t path, target, lun;
	} bad[] = { { 1, 0, 0 },
		    { 0, STORVSP_TARGETS, 0 },
		    { 0, 255, 0 },
		    { 0, 0, 255 },
		    { 0, STORVSP_TARGETS - 1, STORVSP_LUNS } };
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	packet.vm_srb.cdb_length = 6;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		packet.vm_srb.path_id = bad[i].path;
		packet.vm_srb.target_id = bad[i].target;
		packet.vm_srb.lun = bad[i].lun;
		call(&packet, 0, 0);
		assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_INVALID_LUN);
	}
}

static void disk_errors_reach_the_guest(void **state)
{
	static const struct {
		int err;
		uint32_t sense;
	} cases[] = {
		{ -EIO, SENSE(SCSI_SENSE_MEDIUM_ERROR, SCSI_ASC_UNRECOVERED_READ_ERROR) },
		{ -ENODEV, SENSE(SCSI_SENSE_NOT_READY, SCSI_ASC_MEDIUM_NOT_PRESENT) },
		{ -ETIMEDOUT, SENSE(SCSI_SENSE_ABORTED_COMMAND, 0) },
		{ -EPROTO, SENSE(SCSI_SENSE_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE) },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		file_disk_inject(m.file, cases[i].err);
		assert_int_equal(IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0),
				 SRB_STATUS_ERROR);
		assert_int_equal(sense(), cases[i].sense);
		assert_int_equal(m.answer.vm_srb.data_transfer_length, 0);
	}
	file_disk_inject(m.file, -EIO);
	assert_int_equal(NONE(SCSI_SYNCHRONIZE_CACHE_10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_MEDIUM_ERROR, SCSI_ASC_WRITE_ERROR));
	file_disk_inject(m.file, -ENOSPC);
	assert_int_equal(OUT(512, SCSI_WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION_FAILED));
	file_disk_inject(m.file, -ENOMEM);
	assert_int_equal(IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_BUSY);
	assert_int_equal(m.answer.vm_srb.scsi_status, SCSI_BUSY);
	file_disk_inject(m.file, -EBADE);
	IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(m.answer.vm_srb.scsi_status, SCSI_RESERVATION_CONFLICT);
	file_disk_inject(m.file, 0);
	assert_int_equal(IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
}

static void expect_zeroes(uint64_t offset, uint32_t len)
{
	uint8_t data[512], zero[512] = { 0 };

	assert_true(len <= sizeof(data));
	assert_int_equal(pread(m.fd, data, len, (off_t)offset), len);
	assert_memory_equal(data, zero, len);
}

static void unmap_and_write_same_clear(void **state)
{
	uint8_t *parameters = m.client.ram + BUFFER, data[4096], zero[4096] = { 0 };

	(void)state;
	fill(5, 65536);
	assert_int_equal(OUT(65536, SCSI_WRITE_10, 0, 0, 0, 0, 0, 0, 0, 128, 0),
			 SRB_STATUS_SUCCESS);
	memset(parameters, 0, 4096);
	store_be16(parameters, 38);
	store_be16(parameters + 2, 32);
	store_be64(parameters + 8, 8);
	store_be32(parameters + 16, 8);
	store_be64(parameters + 24, 32);
	store_be32(parameters + 32, 8);
	assert_int_equal(OUT(40, SCSI_UNMAP, 0, 0, 0, 0, 0, 0, 0, 40, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(pread(m.fd, data, 4096, 4096), 4096);
	assert_memory_equal(data, zero, 4096);
	assert_int_equal(pread(m.fd, data, 4096, 32 * 512), 4096);
	assert_memory_equal(data, zero, 4096);
	assert_int_equal(pread(m.fd, data, 1, 16 * 512), 1);
	assert_int_not_equal(data[0], 0);

	store_be64(parameters + 24, DISK_SIZE / 512); /* the second one is off the disk */
	assert_int_equal(OUT(40, SCSI_UNMAP, 0, 0, 0, 0, 0, 0, 0, 40, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE));
	assert_int_equal(OUT(24, SCSI_UNMAP, 0, 0, 0, 0, 0, 0, 0, 24, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(),
			 SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH));

	memset(parameters, 0, 512);
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_16, 8, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(pread(m.fd, data, 4096, 64 * 512), 4096);
	assert_memory_equal(data, zero, 4096);
	assert_int_equal(NONE(SCSI_WRITE_SAME_16, 1, 0, 0, 0, 0, 0, 0, 0, 72, 0, 0, 0, 8, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(OUT(40, SCSI_UNMAP, 1, 0, 0, 0, 0, 0, 0, 40, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB));
}

/* Any block for many, in memory that begins anywhere; of as many as one round takes, and of more. */
static void write_same_repeats_a_block(void **state)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	fill(7, 512);
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 2, 1, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 512);
	for (uint64_t sector = 80; sector < 80 + 513; sector++)
		expect_on_disk(7, sector * 512, 512);
	expect_zeroes(79 * 512, 512);
	expect_zeroes((80 + 513) * 512, 512);

	/* The block lies in two pages, which are not neighbours. */
	packet.vm_srb.cdb_length = 16;
	packet.vm_srb.data_in = VMSCSI_DATA_OUT;
	packet.vm_srb.data_transfer_length = 512;
	memcpy(packet.vm_srb.cdb_or_sense,
	       (uint8_t[]){ SCSI_WRITE_SAME_16, 8, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0 }, 14);
	fill(3, 512);
	memcpy(m.client.ram + BUFFER + 0x20000, m.client.ram + BUFFER + 100, 412);
	memcpy(m.client.ram + BUFFER + 0x1000 - 100, m.client.ram + BUFFER, 100);
	send_pages(&packet, 4096 - 100, (uint64_t[]){ BUFFER / 4096, BUFFER / 4096 + 0x20 }, 2,
		   512);
	assert_int_equal(m.answer.vm_srb.srb_status, SRB_STATUS_SUCCESS);
	expect_on_disk(3, 0x1000 * 512, 512);
	expect_on_disk(3, (0x1000 + 255) * 512, 512);

	assert_int_equal(OUT(511, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 0, 8, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 0, 0, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(IN(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 0, 8, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB));
	file_disk_inject(m.file, -ENOSPC);
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 2, 1, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION_FAILED));
	file_disk_inject(m.file, 0);
}

static void verify_compares(void **state)
{
	const uint32_t miscompare = SENSE(SCSI_SENSE_MISCOMPARE, SCSI_ASC_MISCOMPARE);

	(void)state;
	fill(4, 8192);
	assert_int_equal(OUT(8192, SCSI_WRITE_10, 0, 0, 0, 1, 0, 0, 0, 16, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(OUT(8192, SCSI_VERIFY_10, 2, 0, 0, 1, 0, 0, 0, 16, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 8192);
	assert_int_equal(OUT(8192, SCSI_VERIFY_12, 2, 0, 0, 1, 0, 0, 0, 0, 16, 0, 0),
			 SRB_STATUS_SUCCESS);
	m.client.ram[BUFFER + 8191] ^= 1;
	assert_int_equal(OUT(8192, SCSI_VERIFY_16, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 16, 0, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), miscompare);
	assert_int_equal(OUT(8192, SCSI_VERIFY_10, 2, 0, 0, 1, 0, 0, 0, 15, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(OUT(8192, SCSI_VERIFY_10, 2, 0, 0, 1, 0, 0, 0, 17, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB));
	assert_int_equal(NONE(SCSI_VERIFY_10, 2, 0, 0, 1, 0, 0, 0, 0, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(OUT(8192, SCSI_VERIFY_10, 0x22, 0, 0, 1, 0, 0, 0, 16, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB));
	assert_int_equal(OUT(8192, SCSI_VERIFY_10, 4, 0, 0, 1, 0, 0, 0, 16, 0), SRB_STATUS_ERROR);
	assert_int_equal(NONE(SCSI_VERIFY_10, 2, 0, 0, 1, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);

	/* One block for all, of which one differs. */
	fill(5, 512);
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 2, 0, 0, 1, 44, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(OUT(512, SCSI_VERIFY_10, 6, 0, 0, 2, 0, 0, 1, 44, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 512);
	assert_int_equal(OUT(512, SCSI_VERIFY_10, 6, 0, 0, 2, 0, 0, 1, 45, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), miscompare);

	/* What cannot be read is found without a comparison, too. */
	assert_int_equal(NONE(SCSI_VERIFY_16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_VERIFY_16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 1, 0, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE));
	file_disk_inject(m.file, -EIO);
	assert_int_equal(NONE(SCSI_VERIFY_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense() >> 16, SCSI_SENSE_MEDIUM_ERROR);
	file_disk_inject(m.file, 0);
}

/* --- What the unit says */

static void inquiry_pages_are_consistent(void **state)
{
	(void)state;
	assert_int_equal(IN(96, SCSI_INQUIRY, 0, 0, 0, 96, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[0], 0);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, buffer()[4] + 5);
	assert_memory_equal(buffer() + 8, "ENTRESOL", 8);

	assert_int_equal(IN(255, SCSI_INQUIRY, 1, 0, 0, 255, 0), SRB_STATUS_SUCCESS);
	{
		uint8_t codes[16];
		uint8_t count = buffer()[3];

		assert_int_equal(count, 6);
		memcpy(codes, buffer() + 4, count);
		for (int i = 0; i < count; i++) {
			assert_int_equal(IN(255, SCSI_INQUIRY, 1, codes[i], 0, 255, 0),
					 SRB_STATUS_SUCCESS);
			assert_int_equal(buffer()[1], codes[i]);
			assert_int_equal(m.answer.vm_srb.data_transfer_length,
					 load_be16(buffer() + 2) + 4);
		}
	}
	IN(255, SCSI_INQUIRY, 1, 0x80, 0, 255, 0);
	assert_memory_equal(buffer() + 4, "SN0123", 6);
	IN(255, SCSI_INQUIRY, 1, 0x83, 0, 255, 0);
	assert_int_equal(buffer()[8] >> 4, 3); /* NAA */
	IN(255, SCSI_INQUIRY, 1, 0xB0, 0, 255, 0);
	assert_int_equal(load_be32(buffer() + 8), (1u << 20) / 512);
	assert_int_equal(load_be16(buffer() + 6), 8);
	assert_int_equal(IN(255, SCSI_INQUIRY, 1, 0x99, 0, 255, 0), SRB_STATUS_ERROR);
	assert_int_equal(IN(255, SCSI_INQUIRY, 0, 0x80, 0, 255, 0), SRB_STATUS_ERROR);
	/* Allocation length cuts. */
	IN(255, SCSI_INQUIRY, 0, 0, 0, 5, 0);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 5);
}

static void capacity_and_modes(void **state)
{
	(void)state;
	assert_int_equal(IN(8, SCSI_READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be32(buffer()), DISK_SIZE / 512 - 1);
	assert_int_equal(load_be32(buffer() + 4), 512);
	assert_int_equal(
		IN(32, SCSI_SERVICE_ACTION_IN_16, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0),
		SRB_STATUS_SUCCESS);
	assert_int_equal(load_be64(buffer()), DISK_SIZE / 512 - 1);
	assert_int_equal(buffer()[13], 3); /* 512e */
	assert_int_equal(buffer()[14] & 0xC0, 0xC0);
	assert_int_equal(
		IN(24, SCSI_SERVICE_ACTION_IN_16, 0x12, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 24, 0, 0),
		SRB_STATUS_SUCCESS);
	assert_int_equal(load_be64(buffer() + 8), 5);
	assert_int_equal(load_be32(buffer() + 16), DISK_SIZE / 512 - 5);

	assert_int_equal(IN(192, SCSI_MODE_SENSE_6, 0, 0x3F, 0, 192, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, buffer()[0] + 1);
	assert_int_equal(buffer()[2], 0x10);
	assert_int_equal(IN(192, SCSI_MODE_SENSE_10, 8, 0x08, 0, 0, 0, 0, 0, 192, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be16(buffer()) + 2, 28);
	assert_int_equal(buffer()[8], 0x08);
	assert_int_equal(buffer()[10], 0x04); /* write cache */
	assert_int_equal(IN(192, SCSI_MODE_SENSE_6, 0, 0xC8, 0, 192, 0), SRB_STATUS_ERROR);
	assert_int_equal(IN(192, SCSI_MODE_SENSE_6, 0, 0x55, 0, 192, 0), SRB_STATUS_ERROR);
	assert_int_equal(IN(18, SCSI_REQUEST_SENSE, 0, 0, 0, 18, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[2], 0);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 0x20, 0), SRB_STATUS_ERROR);
}

static void units_come_and_go(void **state)
{
	struct vstor_packet packet;
	struct scsi_lun *lun = m.lun;
	uint64_t id;

	(void)state;
	assert_int_equal(IN(64, SCSI_REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be32(buffer()), 8);
	assert_int_equal(IN(64, SCSI_REPORT_LUNS, 0, 1, 0, 0, 0, 0, 0, 0, 64, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be32(buffer()), 0);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, 8);
	assert_int_equal(IN(64, SCSI_REPORT_LUNS, 0, 2, 0, 0, 0, 0, 0, 0, 64, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be32(buffer()), 8);
	assert_int_equal(IN(64, SCSI_REPORT_LUNS, 0, 3, 0, 0, 0, 0, 0, 0, 64, 0, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB));
	scsi_lun_get(lun);
	assert_int_equal(storvsp_attach(m.storvsp, 0, 7, lun), 0);
	assert_int_equal(storvsp_attach(m.storvsp, 0, 7, lun), -EEXIST);
	assert_int_equal(storvsp_attach(m.storvsp, 2, 0, lun), -EINVAL);
	client_run(&m.client);
	assert_true(receive(&m.chan, &id, &packet));
	assert_int_equal(packet.operation, VSTOR_OPERATION_ENUMERATE_BUS);
	assert_int_equal(id, 0);
	IN(64, SCSI_REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	assert_int_equal(load_be32(buffer()), 16);
	assert_int_equal(buffer()[8 + 8 + 1], 7);
	assert_int_equal(storvsp_detach(m.storvsp, 0, 7), 0);
	assert_int_equal(storvsp_detach(m.storvsp, 0, 7), -ENOENT);
	assert_int_equal(storvsp_detach(m.storvsp, 0, 0), 0);
	client_run(&m.client);
	while (receive(&m.chan, &id, &packet))
		assert_int_equal(packet.operation, VSTOR_OPERATION_ENUMERATE_BUS);

	/* Nobody is there: INQUIRY says so, everything else finds no unit. */
	assert_int_equal(IN(36, SCSI_INQUIRY, 0, 0, 0, 36, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[0], SCSI_TYPE_NOT_PRESENT);
	assert_int_equal(NONE(SCSI_TEST_UNIT_READY), SRB_STATUS_INVALID_LUN);
	assert_int_equal(m.answer.status, (uint32_t)VSTOR_STATUS_DEVICE_DOES_NOT_EXIST);
	scsi_lun_put(lun);
}

static void a_resize_is_noticed_once(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(m.fd, DISK_SIZE * 2), 0);
	assert_int_equal(file_disk_resized(m.file), 0);
	assert_int_equal(IN(36, SCSI_INQUIRY, 0, 0, 0, 36, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_TEST_UNIT_READY), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_UNIT_ATTENTION, SCSI_ASC_CAPACITY_CHANGED));
	assert_int_equal(NONE(SCSI_TEST_UNIT_READY), SRB_STATUS_SUCCESS);
	IN(8, SCSI_READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(load_be32(buffer()), DISK_SIZE * 2 / 512 - 1);
}

/* --- Persistent reservations */

static uint8_t reserve_out(uint8_t action, uint8_t type, uint64_t key, uint64_t action_key)
{
	memset(m.client.ram + BUFFER, 0, 24);
	store_be64(m.client.ram + BUFFER, key);
	store_be64(m.client.ram + BUFFER + 8, action_key);
	OUT(24, SCSI_PERSISTENT_RESERVE_OUT, action, type, 0, 0, 0, 0, 0, 24, 0);
	return m.answer.vm_srb.scsi_status;
}

static uint32_t reserve_in(uint8_t action)
{
	assert_int_equal(IN(64, SCSI_PERSISTENT_RESERVE_IN, action, 0, 0, 0, 0, 0, 0, 64, 0),
			 SRB_STATUS_SUCCESS);
	return load_be32(buffer() + 4);
}

static void reservations_follow_their_rules(void **state)
{
	(void)state;
	assert_int_equal(reserve_out(1, 1, 0, 0), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(reserve_out(0, 0, 5, 0x11), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(reserve_out(0, 0, 0, 0x11), SCSI_GOOD);
	assert_int_equal(reserve_in(0), 8);
	assert_int_equal(load_be64(buffer() + 8), 0x11);
	assert_int_equal(load_be32(buffer()), 1);
	assert_int_equal(reserve_out(1, 1, 0x12, 0), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(reserve_out(1, 2, 0x11, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(reserve_out(1, 0x11, 0x11, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(reserve_out(1, 1, 0x11, 0), SCSI_GOOD);
	assert_int_equal(reserve_out(1, 3, 0x11, 0), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(reserve_in(1), 16);
	assert_int_equal(buffer()[21], 1);
	assert_int_equal(reserve_in(3), 24);
	assert_int_equal(reserve_out(2, 3, 0x11, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_RELEASE));
	assert_int_equal(reserve_out(4, 3, 0x11, 0x11), SCSI_GOOD); /* preempts itself */
	reserve_in(1);
	assert_int_equal(buffer()[21], 3);
	assert_int_equal(reserve_out(2, 3, 0x11, 0), SCSI_GOOD);
	assert_int_equal(reserve_in(1), 0);
	assert_int_equal(reserve_out(6, 0, 0x99, 0x22), SCSI_GOOD);
	assert_int_equal(reserve_out(3, 0, 0x22, 0), SCSI_GOOD);
	assert_int_equal(reserve_in(0), 0);
	reserve_in(2);
	assert_int_equal(buffer()[4], 0xEA);
}

/* --- Other kinds of units */

static void replace_unit(struct scsi_lun_config nature, uint32_t sector)
{
	struct vstor_packet packet;
	uint64_t id;

	assert_int_equal(storvsp_detach(m.storvsp, 0, 0), 0);
	file_disk_destroy(m.file);
	m.released = false;
	m.lun = make_lun(nature, sector, sector);
	assert_int_equal(storvsp_attach(m.storvsp, 0, 0, m.lun), 0);
	scsi_lun_put(m.lun);
	client_run(&m.client);
	while (receive(&m.chan, &id, &packet))
		;
}

static void a_read_only_disk(void **state)
{
	(void)state;
	replace_unit((struct scsi_lun_config){ .read_only = true }, 512);
	assert_int_equal(OUT(512, SCSI_WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED));
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 0, 8, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED));
	IN(64, SCSI_MODE_SENSE_6, 0, 0x3F, 0, 64, 0);
	assert_int_equal(buffer()[2] & 0x80, 0x80);
	assert_int_equal(IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
}

static unsigned int syncs;

/* The disk's. */
int fdatasync(int fd)
{
	(void)fd;
	syncs++;
	return 0;
}

/* What the host's settings may say of a unit. */
static void the_nature_of_a_disk(void **state)
{
	const struct scsi_lun_config nature = {
		.no_fua = true,
		.no_write_cache = true,
		.rotation_rate = 7200,
		.physical_sector_size = 4096,
		.max_transfer = 65536,
	};

	(void)state;
	fill(1, 512);
	syncs = 0;
	assert_int_equal(OUT(512, SCSI_WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 0);
	assert_int_equal(OUT(512, SCSI_WRITE_10, 8, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 1);
	IN(255, SCSI_INQUIRY, 1, 0xB1, 0, 255, 0);
	assert_int_equal(load_be16(buffer() + 4), 1);

	replace_unit(nature, 512);
	assert_int_equal(OUT(512, SCSI_WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 2);
	memset(m.client.ram + BUFFER, 0, 512);
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 0, 8, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 3);
	assert_int_equal(IN(512, SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 3);
	assert_int_equal(IN(512, SCSI_READ_10, 8, 0, 0, 0, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 4);
	m.client.ram[BUFFER] = 1;
	assert_int_equal(OUT(512, SCSI_WRITE_SAME_10, 0, 0, 0, 0, 80, 0, 0, 8, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 5);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 4, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 5);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 0, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(syncs, 6);
	IN(192, SCSI_MODE_SENSE_10, 8, 0x3F, 0, 0, 0, 0, 0, 192, 0);
	assert_int_equal(buffer()[3], 0); /* no FUA */
	assert_int_equal(buffer()[8], 0x08);
	assert_int_equal(buffer()[10], 0); /* no cache */
	IN(255, SCSI_INQUIRY, 1, 0xB0, 0, 255, 0);
	assert_int_equal(load_be16(buffer() + 6), 8);
	assert_int_equal(load_be32(buffer() + 8), 65536 / 512);
	IN(255, SCSI_INQUIRY, 1, 0xB1, 0, 255, 0);
	assert_int_equal(load_be16(buffer() + 4), 7200);
	IN(32, SCSI_SERVICE_ACTION_IN_16, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	assert_int_equal(buffer()[13], 3);
}

static void a_4kn_disk(void **state)
{
	(void)state;
	replace_unit((struct scsi_lun_config){ .dvd = false }, 4096);
	IN(8, SCSI_READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(load_be32(buffer()), DISK_SIZE / 4096 - 1);
	assert_int_equal(load_be32(buffer() + 4), 4096);
	fill(8, 4096);
	assert_int_equal(OUT(4096, SCSI_WRITE_10, 0, 0, 0, 0, 3, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	expect_on_disk(8, 3 * 4096, 4096);
}

static void a_dvd(void **state)
{
	(void)state;
	replace_unit((struct scsi_lun_config){ .dvd = true }, 2048);
	IN(36, SCSI_INQUIRY, 0, 0, 0, 36, 0);
	assert_int_equal(buffer()[0], SCSI_TYPE_DVD);
	assert_int_equal(buffer()[1], 0x80);
	assert_int_equal(IN(2048, SCSI_READ_10, 0, 0, 0, 0, 1, 0, 0, 1, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(OUT(2048, SCSI_WRITE_10, 0, 0, 0, 0, 1, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(IN(64, SCSI_READ_TOC, 0, 0, 0, 0, 0, 0, 0, 64, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(load_be16(buffer()), 18);
	assert_int_equal(load_be32(buffer() + 16), DISK_SIZE / 2048);
	assert_int_equal(IN(128, SCSI_GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 0, 128, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be16(buffer() + 6), 0x10);
	assert_int_equal(load_be32(buffer()) + 4, m.answer.vm_srb.data_transfer_length);
	assert_int_equal(IN(64, SCSI_GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 64, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[5], 2);
	assert_int_equal(IN(64, SCSI_READ_DISC_INFORMATION, 0, 0, 0, 0, 0, 0, 0, 64, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(IN(64, SCSI_MODE_SENSE_10, 0, 0x2A, 0, 0, 0, 0, 0, 64, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(IN(64, SCSI_INQUIRY, 1, 0xB0, 0, 64, 0), SRB_STATUS_ERROR);
}

/* --- A drive whose medium comes and goes */

static bool medium_free;

static void medium_released(void *ctx)
{
	assert_ptr_equal(ctx, &m);
	medium_free = true;
}

/* The controller's unit is a drive over a tray; 512-byte sectors lie in it, or nothing. */
static struct disc_tray *replace_by_drive(void)
{
	struct disc_tray *tray = disc_tray_create();
	struct scsi_lun_config config = { .disk = disc_tray_disk(tray),
					  .dvd = true,
					  .released = lun_released,
					  .ctx = &m.released };

	replace_unit((struct scsi_lun_config){ .dvd = false }, 512);
	assert_int_equal(storvsp_detach(m.storvsp, 0, 0), 0);
	m.released = false;
	m.lun = scsi_lun_create(&config);
	assert_int_equal(storvsp_attach(m.storvsp, 0, 0, m.lun), 0);
	scsi_lun_put(m.lun);
	client_run(&m.client);
	while (receive(&m.chan, &(uint64_t){ 0 }, &(struct vstor_packet){ 0 }))
		;
	return tray;
}

static void load(struct disc_tray *tray, bool medium)
{
	const struct disc_medium disc = { medium ? file_disk_disk(m.file) : NULL, medium_released,
					  &m };

	medium_free = false;
	assert_int_equal(disc_tray_load(tray, &disc), 0);
}

static void remove_drive(struct disc_tray *tray)
{
	assert_int_equal(storvsp_detach(m.storvsp, 0, 0), 0);
	assert_true(m.released);
	disc_tray_destroy(tray);
}

/* Event code << 8 | status of the medium. */
static uint32_t media_event(void)
{
	assert_int_equal(IN(8, SCSI_GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 8, 0),
			 SRB_STATUS_SUCCESS);
	return load_be16(buffer() + 4);
}

static void expect_absent(enum scsi_additional_sense code)
{
	const uint32_t absent = SENSE(SCSI_SENSE_NOT_READY, code);

	assert_int_equal(NONE(SCSI_TEST_UNIT_READY, 0, 0, 0, 0, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), absent);
	assert_int_equal(IN(2048, SCSI_READ_10, 0, 0, 0, 0, 1, 0, 0, 1, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), absent);
	assert_int_equal(IN(64, SCSI_READ_TOC, 0, 0, 0, 0, 0, 0, 0, 64, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), absent);
	assert_int_equal(IN(8, SCSI_READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0), SRB_STATUS_ERROR);
	assert_int_equal(IN(128, SCSI_GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 0, 128, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be16(buffer() + 6), 0);
}

static void expect_new_medium(void)
{
	assert_int_equal(NONE(SCSI_TEST_UNIT_READY, 0, 0, 0, 0, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_UNIT_ATTENTION, SCSI_ASC_MEDIUM_CHANGED));
	assert_int_equal(media_event(), 0x0202);
	assert_int_equal(media_event(), 0x0002);
	assert_int_equal(NONE(SCSI_TEST_UNIT_READY, 0, 0, 0, 0, 0), SRB_STATUS_SUCCESS);
}

static void a_medium_comes_and_goes(void **state)
{
	struct disc_tray *tray = replace_by_drive();

	(void)state;
	expect_absent(SCSI_ASC_MEDIUM_NOT_PRESENT);
	assert_int_equal(media_event(), 0x0000);
	load(tray, true);
	expect_new_medium();
	assert_int_equal(IN(8, SCSI_READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(load_be32(buffer()), DISK_SIZE / 2048 - 1);
	assert_int_equal(load_be32(buffer() + 4), 2048);
	fill(3, 4096);
	assert_int_equal(pwrite(m.fd, buffer(), 4096, 5 * 2048), 4096);
	memset(m.client.ram + BUFFER, 0, 4096);
	assert_int_equal(IN(4096, SCSI_READ_10, 0, 0, 0, 0, 5, 0, 0, 2, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(buffer()[4095], (uint8_t)(3 + 4095 * 13 + 15));
	assert_int_equal(IN(4096, SCSI_READ_10, 0, 0, 0, DISK_SIZE / 2048 / 256, 0, 0, 0, 1, 0),
			 SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE));
	load(tray, false);
	assert_true(medium_free);
	assert_int_equal(media_event(), 0x0300);
	client_run(&m.client);
	expect_absent(SCSI_ASC_MEDIUM_NOT_PRESENT);
	remove_drive(tray);
}

/* A read keeps the medium that it began with. */
static void a_medium_goes_under_a_read(void **state)
{
	struct disc_tray *tray = replace_by_drive();
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };
	uint64_t id;

	(void)state;
	load(tray, true);
	expect_new_medium();
	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = 2048;
	memcpy(packet.vm_srb.cdb_or_sense, (uint8_t[]){ SCSI_READ_10, 0, 0, 0, 0, 0, 0, 0, 1 }, 9);
	send_packet(&m.chan, &packet, 1, BUFFER, 2048);
	event_loop_run_once(m.client.loops[0], 0);
	load(tray, false);
	assert_false(medium_free);
	client_run(&m.client);
	assert_true(medium_free);
	assert_true(receive(&m.chan, &id, &packet));
	assert_int_equal(packet.vm_srb.srb_status, SRB_STATUS_SUCCESS);
	remove_drive(tray);
}

static void the_guest_ejects(void **state)
{
	struct disc_tray *tray = replace_by_drive();

	(void)state;
	load(tray, true);
	expect_new_medium();
	assert_int_equal(NONE(SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 2, 0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SENSE(SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_REMOVAL_PREVENTED));
	assert_int_equal(NONE(SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 0, 0),
			 SRB_STATUS_SUCCESS);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 2, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(media_event(), 0x0301);
	expect_absent(SCSI_ASC_TRAY_OPEN);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 3, 0), SRB_STATUS_SUCCESS);
	expect_new_medium();
	/* The motor is none of the tray's business, and the host closes a tray that it fills. */
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 0, 0), SRB_STATUS_SUCCESS);
	assert_int_equal(media_event(), 0x0002);
	assert_int_equal(NONE(SCSI_START_STOP_UNIT, 0, 0, 0, 2, 0), SRB_STATUS_SUCCESS);
	load(tray, true);
	expect_new_medium();
	remove_drive(tray);
}

static void a_drive_describes_its_disc(void **state)
{
	struct disc_tray *tray = replace_by_drive();

	(void)state;
	load(tray, true);
	expect_new_medium();
	IN(64, SCSI_READ_TRACK_INFORMATION, 1, 0, 0, 0, 1, 0, 0, 64, 0);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, load_be16(buffer()) + 2);
	assert_int_equal(load_be32(buffer() + 24), DISK_SIZE / 2048);
	assert_int_equal(IN(64, SCSI_READ_TRACK_INFORMATION, 1, 0, 0, 0, 2, 0, 0, 64, 0),
			 SRB_STATUS_ERROR);
	IN(4096, SCSI_READ_DISC_STRUCTURE, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0);
	assert_int_equal(m.answer.vm_srb.data_transfer_length, load_be16(buffer()) + 2);
	assert_int_equal(load_be32(buffer() + 12), 0x30000 + DISK_SIZE / 2048 - 1);
	assert_int_equal(IN(64, SCSI_READ_DISC_STRUCTURE, 0, 0, 0, 0, 0, 0, 9, 0, 64, 0, 0),
			 SRB_STATUS_ERROR);
	IN(64, SCSI_MODE_SENSE_10, 0, 0x2A, 0, 0, 0, 0, 0, 64, 0);
	assert_int_equal(buffer()[8 + 6], 0x29);
	for (unsigned int type = 0; type < 3; type++) {
		IN(128, SCSI_GET_CONFIGURATION, (uint8_t)type, 0, 0x1F, 0, 0, 0, 0, 128, 0);
		assert_int_equal(load_be16(buffer() + 8), 0x1F);
		assert_int_equal(buffer()[10] & 1, 1);
		assert_int_equal(load_be32(buffer()) + 4, type == 2 ? 16 : 24);
	}
	remove_drive(tray);
}

/* --- A ring that waits for requests under way */

/* A disk that keeps its requests until it is told to answer the oldest. */
static struct {
	struct disk disk;
	struct disk_request *requests[8];
	unsigned int count;
	bool emulated;
	bool at_once;            /* not slow at all: it answers before submit() returns */
	uint64_t sectors, limit; /* of what it answered so; more of them fail */
} slow;

static void slow_info(struct disk *disk, struct disk_info *info)
{
	(void)disk;
	*info = (struct disk_info){
		.sectors = 1 << 20,
		.sector_size = 512,
		.physical_sector_size = 512,
		.emulated = slow.emulated,
	};
}

static void slow_submit(struct disk *disk, struct event_loop *loop, struct disk_request *request)
{
	(void)disk;
	(void)loop;
	if (slow.at_once) {
		slow.sectors += request->count;
		request->done(request, slow.sectors > slow.limit ? -EIO : 0);
		return;
	}
	assert_true(slow.count < 8);
	slow.requests[slow.count++] = request;
}

static const struct disk_ops slow_ops = { .get_info = slow_info, .submit = slow_submit };

static void attach_slow(bool emulated)
{
	struct scsi_lun_config config = { .disk = &slow.disk };
	struct scsi_lun *lun;

	slow.count = 0;
	slow.at_once = false;
	slow.sectors = 0;
	slow.limit = UINT64_MAX;
	slow.emulated = emulated;
	disk_init(&slow.disk, &slow_ops);
	lun = scsi_lun_create(&config);
	assert_non_null(lun);
	assert_int_equal(storvsp_attach(m.storvsp, 0, 1, lun), 0);
	scsi_lun_put(lun);
	client_run(&m.client);
}

/* Puts a read of that unit into the ring, with a signal if the ring asks for one. */
static void read_slow(void)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	packet.vm_srb.lun = 1;
	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_IN;
	packet.vm_srb.data_transfer_length = 512;
	packet.vm_srb.cdb_or_sense[0] = SCSI_READ_10;
	packet.vm_srb.cdb_or_sense[8] = 1;
	send_packet(&m.chan, &packet, ++m.next_id, BUFFER, 512);
	client_run(&m.client);
}

static void answer_slow(void)
{
	struct disk_request *request = slow.requests[0];

	slow.count--;
	memmove(slow.requests, slow.requests + 1, slow.count * sizeof(slow.requests[0]));
	request->done(request, 0);
	client_run(&m.client);
}

/* Whatever the ring still has to say, and the unit goes. */
static void detach_slow(void)
{
	uint64_t id;

	while (slow.count)
		answer_slow();
	while (receive(&m.chan, &id, &m.answer))
		;
	assert_int_equal(storvsp_detach(m.storvsp, 0, 1), 0);
	client_run(&m.client);
	disk_fini(&slow.disk);
}

static void a_ring_waits_for_an_emulated_disk(void **state)
{
	(void)state;
	attach_slow(true);
	read_slow();
	assert_int_equal(slow.count, 1);
	assert_int_equal(m.chan.out.control->interrupt_mask, 1);
	read_slow();
	read_slow();
	assert_int_equal(slow.count, 1);
	answer_slow();
	assert_int_equal(slow.count, 2);
	assert_int_equal(m.chan.out.control->interrupt_mask, 1);
	answer_slow();
	answer_slow();
	assert_int_equal(m.chan.out.control->interrupt_mask, 0);
	detach_slow();
}

static void a_ring_does_not_wait_for_others(void **state)
{
	(void)state;
	attach_slow(false);
	read_slow();
	assert_int_equal(m.chan.out.control->interrupt_mask, 0);
	read_slow();
	assert_int_equal(slow.count, 2);
	detach_slow();
}

/* A request that is never answered holds nobody up for long, and then nobody at all. */
static void a_ring_does_not_wait_for_ever(void **state)
{
	(void)state;
	attach_slow(true);
	read_slow();
	read_slow();
	assert_int_equal(slow.count, 1);
	while (slow.count < 2)
		assert_true(event_loop_run_once(m.client.loops[0], 10000) >= 0);
	assert_int_equal(m.chan.out.control->interrupt_mask, 0);
	read_slow();
	assert_int_equal(slow.count, 3);
	detach_slow();
}

/* A block for many, of a disk that answers at once, which fails in the end. */
static void repeats_do_not_nest(void **state)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	attach_slow(false);
	while (receive(&m.chan, &(uint64_t){ 0 }, &m.answer))
		;
	slow.at_once = true;
	slow.limit = 900;
	packet.vm_srb.lun = 1;
	packet.vm_srb.cdb_length = 10;
	packet.vm_srb.data_in = VMSCSI_DATA_OUT;
	packet.vm_srb.data_transfer_length = 512;
	memcpy(packet.vm_srb.cdb_or_sense,
	       (uint8_t[]){ SCSI_WRITE_SAME_10, 0, 0, 0, 0, 0, 0, 2, 0x58 }, 9);
	call(&packet, BUFFER, 512);
	assert_int_equal(m.answer.vm_srb.srb_status & 0x3F, SRB_STATUS_SUCCESS);
	assert_int_equal(slow.sectors, 600);
	call(&packet, BUFFER, 512);
	assert_int_equal(m.answer.vm_srb.srb_status & 0x3F, SRB_STATUS_ERROR);
	assert_int_equal(sense() >> 16, SCSI_SENSE_MEDIUM_ERROR);
	assert_int_equal(slow.sectors, 600 + 3 * 128);
	detach_slow();
}

/* Of a disk that can do nothing but read and write, and of more than a command may ask for. */
static void what_a_disk_cannot_is_refused(void **state)
{
	static const struct {
		uint8_t cdb[16];
		uint32_t len;
		bool good;
	} cases[] = {
		{ { SCSI_WRITE_SAME_16, 1, [13] = 8 }, 0, false },
		{ { SCSI_WRITE_SAME_16, 0, [11] = 1 }, 512, true },
		{ { SCSI_WRITE_SAME_16, 0, [11] = 1, [13] = 1 }, 512, false },
		{ { SCSI_VERIFY_16, 0, [11] = 1 }, 0, true },
		{ { SCSI_VERIFY_16, 0, [11] = 1, [13] = 1 }, 0, false },
		{ { SCSI_VERIFY_16, 2, [13] = 1 }, 512, false },
		{ { SCSI_VERIFY_16, 6, [13] = 1 }, 512, false },
		{ { SCSI_UNMAP }, 0, false },
	};
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };

	(void)state;
	attach_slow(false);
	while (receive(&m.chan, &(uint64_t){ 0 }, &m.answer))
		;
	slow.at_once = true;
	packet.vm_srb.lun = 1;
	packet.vm_srb.cdb_length = 16;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		slow.sectors = 0;
		packet.vm_srb.data_in = cases[i].len ? VMSCSI_DATA_OUT : VMSCSI_DATA_NONE;
		packet.vm_srb.data_transfer_length = cases[i].len;
		memcpy(packet.vm_srb.cdb_or_sense, cases[i].cdb, 16);
		call(&packet, BUFFER, cases[i].len);
		if (!cases[i].good)
			assert_int_equal(sense() >> 16, SCSI_SENSE_ILLEGAL_REQUEST);
		assert_int_equal(slow.sectors, cases[i].good && cases[i].len ? 65536 : 0);
	}
	detach_slow();
}

#define test(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define test_ready(name) cmocka_unit_test_setup_teardown(name, setup_ready, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_version_initializes),
		test(out_of_order_is_refused),
		test(short_packets_are_answered),
		test_ready(sub_channels_serve_too),
		test_ready(a_flood_is_served),
		test_ready(closing_waits_for_the_disk),
		test_ready(every_read_and_write_works),
		test_ready(the_largest_transfer_works),
		test_ready(bad_transfers_are_refused),
		test_ready(numbers_beyond_the_last_have_no_unit),
		test_ready(disk_errors_reach_the_guest),
		test_ready(unmap_and_write_same_clear),
		test_ready(write_same_repeats_a_block),
		test_ready(verify_compares),
		test_ready(inquiry_pages_are_consistent),
		test_ready(capacity_and_modes),
		test_ready(units_come_and_go),
		test_ready(a_resize_is_noticed_once),
		test_ready(reservations_follow_their_rules),
		test_ready(a_read_only_disk),
		test_ready(the_nature_of_a_disk),
		test_ready(a_4kn_disk),
		test_ready(a_dvd),
		test_ready(a_medium_comes_and_goes),
		test_ready(a_medium_goes_under_a_read),
		test_ready(the_guest_ejects),
		test_ready(a_drive_describes_its_disc),
		test_ready(a_ring_waits_for_an_emulated_disk),
		test_ready(a_ring_does_not_wait_for_others),
		test_ready(a_ring_does_not_wait_for_ever),
		test_ready(repeats_do_not_nest),
		test_ready(what_a_disk_cannot_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
