/*
 * A guest's storage driver that does what the input says: any SRB with any CDB and buffer, any other
 * packet, sub-channels, units that come and go, disk errors, resets; memory that is protected from us, or changes behind
 * our looks. Afterwards everything must be given back.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/event_loop.h"
#include "core/guest_access.h"
#include "core/log.h"
#include "devices/storage/disc_tray.h"
#include "devices/storage/file_disk.h"
#include "devices/storage/scsi_lun.h"
#include "devices/storage/storvsp.h"
#include "devices/vmbus/vmbus_server.h"
#include "proto/storvsp.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/restless_memory.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_SIZE (256u << 10)
#define BUFFER    0x400000u

#define BUFFER_PAGES 40u

static struct client client;
static struct client_channel channels[2];
static struct storvsp *storvsp;
static struct file_disk *file;
static struct scsi_lun *luns[2];
static int fd = -1;
static struct disc_tray *tray; /* unit 1's: the file, or nothing */
static unsigned int released, loaded, unloaded;
static bool gone;

static void lun_released(void *ctx)
{
	(void)ctx;
	released++;
}

static void controller_gone(void *ctx)
{
	(void)ctx;
	gone = true;
}

static void medium_released(void *ctx)
{
	(void)ctx;
	unloaded++;
}

static void load(bool medium)
{
	const struct disc_medium disc = { medium ? file_disk_disk(file) : NULL, medium_released,
					  NULL };

	if (disc_tray_load(tray, &disc))
		abort();
	loaded += medium;
}

static void make_units(bool emulated)
{
	struct file_disk_config disk = {
		.fd = fd,
		.memory = client.memory,
		.sector_size = 512,
		.physical_sector_size = 4096,
		.emulated = emulated,
	};

	file = file_disk_create(&disk);
	tray = disc_tray_create();
	if (!file || !tray)
		abort();
	load(true);
	for (int i = 0; i < 2; i++) {
		struct scsi_lun_config config = { .disk = i ? disc_tray_disk(tray)
							    : file_disk_disk(file),
						  .dvd = i,
						  .released = lun_released };

		luns[i] = scsi_lun_create(&config);
		if (!luns[i] || storvsp_attach(storvsp, 0, (uint8_t)i, luns[i]))
			abort();
	}
}

static void control(uint32_t operation, uint16_t argument)
{
	struct vstor_packet packet = { .operation = operation };
	uint8_t buf[128];

	packet.version.major_minor = argument;
	client_send(&channels[0], VM_PKT_DATA_INBAND, 1, operation, NULL, 0, &packet,
		    sizeof(packet));
	client_run(&client);
	client_receive(&channels[0], buf, sizeof(buf));
}

static uint32_t take_offer(void)
{
	const struct vmbus_channel_offer_channel *offer =
		client_take(&client, CHANNELMSG_OFFERCHANNEL);

	if (!offer)
		abort();
	return offer->child_relid;
}

static void open_channel(struct client_channel *channel, uint32_t relid, uint64_t gpa)
{
	if (client_open(&client, channel, relid, 0x2000 + relid, relid % CLIENT_VPS, gpa, 4))
		abort();
}

static void prologue(bool emulated)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	struct storvsp_config config = { .server = client.server, .max_sub_channels = 2 };
	uint32_t relid;

	if (storvsp_create(&config, &storvsp))
		abort();
	make_units(emulated);
	if (!client_connect(&client, VMBUS_VERSION_5_3))
		abort();
	client_post(&client, &request, sizeof(request));
	relid = take_offer();
	client_drop_messages(&client);
	open_channel(&channels[0], relid, 0x100000);
}

static void initialize(void)
{
	uint32_t relid;

	control(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
	control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VMSTOR_PROTO_VERSION_WIN10);
	control(VSTOR_OPERATION_QUERY_PROPERTIES, 0);
	control(VSTOR_OPERATION_END_INITIALIZATION, 0);
	control(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 1);
	relid = take_offer();
	open_channel(&channels[1], relid, 0x200000);
}

/* An SRB with a CDB from the input and a buffer that is mostly, but not always, fit for it. */
static void send_srb(struct fuzz_input *in)
{
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t pages[20];
	} ext = { .header.range_cnt = 1 };
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };
	uint8_t how = (uint8_t)fuzz_take(in, 1);
	struct client_channel *channel = &channels[how & 1];
	uint32_t len =
		how & 2 ? (uint32_t)fuzz_take(in, 1) * 512 % 0x10000 : (uint32_t)fuzz_take(in, 1);
	size_t pages = (len + 4095) / 4096;

	packet.vm_srb.cdb_length = 16;
	packet.vm_srb.lun = (how >> 2) & 3;
	packet.vm_srb.data_in = (how >> 4) & 3;
	packet.vm_srb.data_transfer_length = len + ((how & 0xC0) == 0xC0);
	fuzz_take_bytes(in, packet.vm_srb.cdb_or_sense, 16);
	fuzz_take_bytes(in, client.ram + BUFFER, how >> 4 & 1 ? 0 : 48);
	ext.range.byte_count = len;
	for (size_t i = 0; i < pages; i++)
		ext.pages[i] =
			(how & 0xC0) == 0x80 ? CLIENT_RAM / 4096 - 1 + i : BUFFER / 4096 + 2 * i;
	client_send(channel, len ? VM_PKT_DATA_USING_GPA_DIRECT : VM_PKT_DATA_INBAND, 1, 9, &ext,
		    len ? 16 + 8 * pages : 0, &packet, sizeof(packet));
}

static void send_any(struct fuzz_input *in)
{
	uint8_t buf[80] = { 0 };

	fuzz_take_bytes(in, buf, 16);
	client_send(&channels[fuzz_take(in, 1) & 1], VM_PKT_DATA_INBAND, 1, 3, NULL, 0, buf,
		    fuzz_take(in, 1) % sizeof(buf));
}

/* A page of the buffers, but the first, which we write ourselves. */
static void protect(size_t page, unsigned int rights)
{
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };

	if (mprotect(client.ram + BUFFER + page * 4096, 4096, protections[rights]))
		abort();
}

static void step(struct fuzz_input *in)
{
	static const int errors[] = { 0, 0, -EIO, -ENOSPC, -ENOMEM, -EBADE, -EOPNOTSUPP, -ENODEV };
	uint8_t buf[256];
	uint8_t unit;

	switch (fuzz_take(in, 1) % 13) {
	case 0:
	case 1:
	case 2:
		send_srb(in);
		break;
	case 3:
		send_any(in);
		break;
	case 4:
		client_run(&client);
		break;
	case 5:
		while (client_receive(&channels[0], buf, sizeof(buf)) > 0 ||
		       client_receive(&channels[1], buf, sizeof(buf)) > 0)
			;
		break;
	case 6:
		unit = (uint8_t)fuzz_take(in, 1);
		if (unit & 2)
			storvsp_detach(storvsp, 0, unit & 1);
		else
			storvsp_attach(storvsp, 0, unit & 1, luns[unit & 1]);
		break;
	case 7:
		file_disk_inject(file, errors[fuzz_take(in, 1) % 8]);
		file_disk_resized(file);
		break;
	case 8:
		client_drop_messages(&client);
		client_close(&channels[fuzz_take(in, 1) & 1]);
		break;
	case 9:
		event_loop_run_once(client.loops[fuzz_take(in, 1) % CLIENT_VPS], 0);
		break;
	case 10:
		load(fuzz_take(in, 1) & 1);
		break;
	case 11:
		restless_memory_start(client.ram, CLIENT_RAM, (uint32_t)fuzz_take(in, 1));
		break;
	case 12:
		protect(1 + fuzz_take(in, 1) % BUFFER_PAGES, (unsigned int)fuzz_take(in, 1) % 3);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	log_set_level(LOG_ERROR);
	released = loaded = unloaded = 0;
	gone = false;
	if (fd < 0) {
		fd = memfd_create("disk", 0);
		if (guest_access_install_fault_handler())
			abort();
	}
	if (client_init(&client, 0, 0) || ftruncate(fd, 0) || ftruncate(fd, DISK_SIZE))
		abort();
	prologue(size & 1);
	initialize();
	while (in.size)
		step(&in);

	vmbus_server_reset(client.server);
	client_run(&client);
	if (!vmbus_server_is_idle(client.server))
		abort();
	for (int i = 0; i < 2; i++)
		scsi_lun_put(luns[i]);
	storvsp_destroy(storvsp, controller_gone, NULL);
	client_run(&client);
	if (!gone || released != 2)
		abort();
	disc_tray_destroy(tray);
	if (loaded != unloaded)
		abort();
	restless_memory_start(NULL, 0, 0);
	client_fini(&client);
	file_disk_destroy(file);
	return 0;
}
