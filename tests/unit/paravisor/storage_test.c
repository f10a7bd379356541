/*
 * VTL0's disks as the host's settings say, at the start and as they change: the real driver on emulated controllers in
 * this process, the real SCSI controller, a small guest's driver. The test is the host, VTL2's kernel and the guest.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/big_endian.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/guid.h"
#include "core/log.h"
#include "core/pci_function.h"
#include "devices/nvme/nvme_emu.h"
#include "devices/nvme/nvme_emu_fault.h"
#include "devices/pci/pci_inproc.h"
#include "devices/pci/vfio.h"
#include "paravisor/machine.h"
#include "paravisor/opener.h"
#include "paravisor/settings.h"
#include "paravisor/storage.h"
#include "paravisor/storage_internal.h"
#include "paravisor/vp.h"
#include "proto/scsi.h"
#include "proto/storvsp.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

#define FUNCTIONS 4u
#define DISK_SIZE (4u << 20)
#define POOL      0x40000000ull
#define POOL_SIZE (8u << 20)
#define BUFFER    0x400000u /* guest address of the data buffer */
#define WAIT_NS   30000000000ull
#define SECTOR    512u

/* A controller that the host has offered to VTL2. */
struct controller {
	struct nvme_emu *emu;
	struct nvme_emu_namespace *ns;
	struct pci_inproc *inproc; /* NULL: VTL2 has not opened it */
	unsigned int opens;
	bool absent; /* VTL2's kernel does not find it */
};

static struct test {
	struct client client;
	struct client_channel chan;
	struct machine machine;
	struct vp vps[CLIENT_VPS];
	struct storage *storage;
	struct controller controllers[FUNCTIONS];
	uint64_t next_id;
	struct vstor_packet answer;
	bool rescan;           /* the guest was told to look again */
	unsigned int modified; /* how often the host was answered */
	char why[200];         /* the last reason, "" for success */
} t;

/* --- Below the subject: VTL2's kernel, and the end of the machine */

int opener_open(struct opener *opener, const struct guid *instance, unsigned int timeout_ms,
		char address[16], int *device)
{
	struct controller *controller = &t.controllers[instance->data1 % FUNCTIONS];

	(void)opener;
	(void)timeout_ms;
	if (controller->absent)
		return -ENOENT;
	snprintf(address, 16, "000%u:00:00.0", instance->data1 % FUNCTIONS);
	*device = 1000 + (int)(instance->data1 % FUNCTIONS);
	return 0;
}

int vfio_open(const struct vfio_config *config, struct pci_device_access **pci)
{
	unsigned int index = (unsigned int)config->device - 1000;
	struct controller *controller = &t.controllers[index];
	struct pci_inproc_config inproc = {
		.function = nvme_emu_function(controller->emu),
		.memory = t.client.memory,
		.pool_address =
			POOL + (controller->opens * FUNCTIONS + index) * (uint64_t)POOL_SIZE,
		.pool_len = POOL_SIZE,
	};

	assert_null(controller->inproc);
	controller->inproc = pci_inproc_create(&inproc);
	assert_non_null(controller->inproc);
	controller->opens++;
	*pci = pci_inproc_device(controller->inproc);
	return 0;
}

void vfio_close(struct pci_device_access *pci)
{
	for (unsigned int i = 0; i < FUNCTIONS; i++) {
		struct controller *controller = &t.controllers[i];

		if (!controller->inproc || pci_inproc_device(controller->inproc) != pci)
			continue;
		assert_int_equal(pci_inproc_allocated(controller->inproc), 0);
		assert_int_equal(pci_inproc_bound(controller->inproc), 0);
		pci_inproc_destroy(controller->inproc);
		controller->inproc = NULL;
		return;
	}
	fail();
}

void machine_end(struct machine *machine, enum host_port_result result, const char *format, ...)
{
	va_list args;

	(void)machine;
	assert_int_equal(result, HOST_PORT_FAILURE);
	va_start(args, format);
	vsnprintf(t.why, sizeof(t.why), format, args);
	va_end(args);
}

/* --- The guest's driver */

static void send_srb(const uint8_t *cdb, size_t cdb_len, uint8_t lun, uint32_t len,
		     uint8_t direction)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };
	struct {
		struct vmdata_gpa_direct_header header;
		struct gpa_range range;
		uint64_t page;
	} ext = { .header.range_cnt = 1, .range = { len, 0 }, .page = BUFFER / 4096 };

	packet.vm_srb.cdb_length = (uint8_t)cdb_len;
	packet.vm_srb.lun = lun;
	packet.vm_srb.data_in = len ? direction : VMSCSI_DATA_NONE;
	packet.vm_srb.data_transfer_length = len;
	memcpy(packet.vm_srb.cdb_or_sense, cdb, cdb_len);
	assert_int_equal(client_send(&t.chan,
				     len ? VM_PKT_DATA_USING_GPA_DIRECT : VM_PKT_DATA_INBAND, 1,
				     ++t.next_id, len ? &ext : NULL, len ? sizeof(ext) : 0, &packet,
				     sizeof(packet)),
			 0);
}

/* Takes the answer to `id` if it is there; what the controller says of itself beside it. */
static bool take_answer(uint64_t id)
{
	struct {
		struct vmpacket_descriptor desc;
		struct vstor_packet packet;
	} buf;

	while (client_receive(&t.chan, &buf, sizeof(buf)) > 0) {
		if (buf.packet.operation == VSTOR_OPERATION_ENUMERATE_BUS) {
			t.rescan = true;
			continue;
		}
		assert_int_equal(buf.desc.trans_id, id);
		t.answer = buf.packet;
		return true;
	}
	return false;
}

static bool rescan_came(uint64_t unused)
{
	(void)unused;
	take_answer(0);
	return t.rescan;
}

static bool host_was_answered(uint64_t times)
{
	return t.modified >= times;
}

/* Runs the VPs' loops until the condition is true. */
static void run_until(bool (*condition)(uint64_t), uint64_t argument)
{
	uint64_t deadline = event_loop_now_ns() + WAIT_NS;

	while (!condition(argument)) {
		assert_true(event_loop_now_ns() < deadline);
		for (unsigned int vp = 0; vp < CLIENT_VPS; vp++)
			event_loop_run_once(t.client.loops[vp], vp == 0);
	}
}

/* The SRB's status without its flags. */
static uint8_t srb(const uint8_t *cdb, size_t cdb_len, uint8_t lun, uint32_t len)
{
	send_srb(cdb, cdb_len, lun, len, VMSCSI_DATA_IN);
	run_until(take_answer, t.next_id);
	return t.answer.vm_srb.srb_status & 0x3F;
}

static uint32_t sense(void)
{
	const uint8_t *data = t.answer.vm_srb.cdb_or_sense;

	return (uint32_t)(data[2] & 0xF) << 16 | load_be16(&data[12]);
}

/* With 24 bytes of parameters: a key and another one. */
static uint8_t reserve_out(uint8_t lun, uint8_t action, uint8_t type, uint64_t key,
			   uint64_t other_key)
{
	uint8_t *parameters = t.client.ram + BUFFER;

	memset(parameters, 0, 24);
	store_be64(parameters, key);
	store_be64(parameters + 8, other_key);
	send_srb((const uint8_t[10]){ SCSI_PERSISTENT_RESERVE_OUT, action, type, [8] = 24 }, 10,
		 lun, 24, VMSCSI_DATA_OUT);
	run_until(take_answer, t.next_id);
	return t.answer.vm_srb.scsi_status;
}

/* The answer is in the buffer; its length without the header. */
static uint32_t reserve_in(uint8_t lun, uint8_t action)
{
	assert_int_equal(srb((const uint8_t[10]){ SCSI_PERSISTENT_RESERVE_IN, action, [8] = 200 },
			     10, lun, 200),
			 SRB_STATUS_SUCCESS);
	return load_be32(t.client.ram + BUFFER + 4);
}

static uint8_t test_ready(uint8_t lun)
{
	return srb((const uint8_t[6]){ SCSI_TEST_UNIT_READY }, 6, lun, 0);
}

static uint32_t sectors(uint8_t lun)
{
	assert_int_equal(srb((const uint8_t[10]){ SCSI_READ_CAPACITY_10 }, 10, lun, 8),
			 SRB_STATUS_SUCCESS);
	return load_be32(t.client.ram + BUFFER) + 1;
}

static const uint8_t read_10[10] = { SCSI_READ_10, [8] = 1 };

static void control(uint32_t operation, uint16_t argument)
{
	struct vstor_packet packet = { .operation = operation };

	packet.version.major_minor = argument;
	client_send(&t.chan, VM_PKT_DATA_INBAND, 1, ++t.next_id, NULL, 0, &packet, sizeof(packet));
	run_until(take_answer, t.next_id);
	assert_int_equal(t.answer.status, 0);
}

static void open_controller(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	const struct vmbus_channel_offer_channel *message;
	struct vmbus_channel_offer_channel offer;

	assert_true(client_connect(&t.client, VMBUS_VERSION_5_3));
	client_post(&t.client, &request, sizeof(request));
	message = client_take(&t.client, CHANNELMSG_OFFERCHANNEL);
	assert_non_null(message);
	offer = *message;
	client_drop_messages(&t.client);
	assert_int_equal(client_open(&t.client, &t.chan, offer.child_relid, offer.connection_id, 0,
				     0x100000, 8),
			 0);
	control(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
	control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VMSTOR_PROTO_VERSION_WIN10);
	control(VSTOR_OPERATION_QUERY_PROPERTIES, 0);
	control(VSTOR_OPERATION_END_INITIALIZATION, 0);
}

/* --- The host */

/*
 * "0=0;1=1,2": LUN 0 is the disk of controller 0, LUN 1 a stripe of two. A digit after a dot: the namespace. "0=d1",
 * "0=d": a drive with that disk in it, or nothing.
 */
static char *settings_text(const char *luns, unsigned int scsi_controllers)
{
	static char text[8192];
	const char *end = "";
	size_t n = 0;

#define ADD(...) (n += (size_t)snprintf(text + n, sizeof(text) - n, __VA_ARGS__))
	ADD("{\"version\":\"V1\",\"fixed\":{},\"dynamic\":{\"storage_controllers\":[");
	for (unsigned int i = 1; i < scsi_controllers; i++)
		ADD("{\"instance_id\":\"0000000%u-0000-0000-0000-0000000000AA\",\"protocol\":"
		    "\"SCSI\","
		    "\"luns\":[]},",
		    i);
	ADD("{\"instance_id\":\"00000000-0000-0000-0000-0000000000AA\",\"protocol\":\"SCSI\","
	    "\"luns\":[");
	for (const char *p = luns; *p; p++) {
		if (*p == '=')
			end = p[1] != 'd' ? "]}}" : p[2] >= '0' && p[2] <= '9' ? "}}" : "}";
		if (p[1] == '=' && p[2] == 'd')
			ADD("%s{\"location\":%c,\"is_dvd\":true", p == luns ? "" : ",", *p);
		else if (p[0] == 'd' && p[1] >= '0' && p[1] <= '9')
			ADD(",\"physical_devices\":{\"type\":\"single\",\"device\":");
		else if (p[1] == '=')
			ADD("%s{\"location\":%c,\"physical_devices\":{\"type\":\"striped\","
			    "\"devices\":[",
			    p == luns ? "" : ",", *p);
		else if (*p == ';')
			ADD("%s", end);
		else if (*p == ',')
			ADD(",");
		else if (*p >= '0' && *p <= '9' && p[-1] != '.')
			ADD("{\"device_type\":\"nvme\",\"device_path\":"
			    "\"0000000%c-0000-0000-0000-000000000000\",\"sub_device_path\":%c}",
			    *p, p[1] == '.' ? p[2] : '1');
	}
	ADD("%s]}]}}", *luns ? end : "");
#undef ADD
	return text;
}

static void modified(void *ctx, const struct settings *settings, const char *why)
{
	assert_ptr_equal(ctx, &t);
	assert_int_equal(!settings, why != NULL);
	snprintf(t.why, sizeof(t.why), "%s", why ? why : "");
	t.modified++;
}

static int ask(const char *text)
{
	return storage_modify(t.storage, strdup(text), strlen(text), modified, &t);
}

/* To its end: true when the settings are in force. */
static bool modify(const char *text)
{
	unsigned int before = t.modified;

	assert_int_equal(ask(text), 0);
	run_until(host_was_answered, before + 1);
	return !t.why[0];
}

static unsigned int open_functions(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < FUNCTIONS; i++)
		count += t.controllers[i].inproc != NULL;
	return count;
}

static void inject(unsigned int controller, const char *text)
{
	struct nvme_emu_fault fault;

	assert_int_equal(nvme_emu_fault_parse(text, &fault), 0);
	assert_int_equal(nvme_emu_inject(t.controllers[controller].emu, &fault), 0);
}

/* --- Set-up */

static int make_controller(struct controller *controller)
{
	struct nvme_emu_config config = {
		.serial = "TEST", .shared = true, .io_queues = CLIENT_VPS, .workers = 1
	};
	struct nvme_emu_namespace_config ns = { .fd = -1,
						.memory_len = DISK_SIZE,
						.block_size = SECTOR };

	controller->emu = nvme_emu_create(&config);
	controller->ns = nvme_emu_namespace_create(&ns);
	return !controller->emu || !controller->ns ||
	       nvme_emu_attach(controller->emu, 1, controller->ns);
}

static int start(const char *luns)
{
	const char *text = settings_text(luns, 1);
	char why[160];

	assert_int_equal(settings_parse(t.machine.settings, text, strlen(text), why, sizeof(why)),
			 0);
	return storage_start(&t.machine, t.machine.settings, NULL, NULL, &t.storage);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	log_set_level(LOG_ERROR);
	if (client_init(&t.client, 0, 0))
		return -1;
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		if (make_controller(&t.controllers[i]))
			return -1;
	t.machine.memory = t.client.memory;
	t.machine.vmbus = t.client.server;
	t.machine.topology.vp_count = CLIENT_VPS;
	t.machine.vps = t.vps;
	for (unsigned int i = 0; i < CLIENT_VPS; i++)
		t.vps[i].loop = t.client.loops[i];
	t.machine.settings = calloc(1, sizeof(*t.machine.settings));
	return 0;
}

static int setup_two(void **state)
{
	if (setup(state) || start("0=0;1=1,2"))
		return -1;
	open_controller();
	return 0;
}

static void leave(void *ctx)
{
	(void)ctx;
	pthread_exit(NULL);
}

/* The paravisor's lasts as long as it does. It is done with the VPs' loops when it has ended. */
static void end_thread(void)
{
	assert_int_equal(event_loop_post(t.storage->loop, leave, NULL), 0);
	pthread_join(t.storage->thread, NULL);
	event_loop_destroy(t.storage->loop);
	free(t.storage);
}

/* The host takes everything away. */
static int teardown(void **state)
{
	(void)state;
	if (t.storage) {
		assert_true(modify("{\"version\":\"V1\"}"));
		end_thread();
	}
	for (unsigned int i = 0; i < FUNCTIONS; i++) {
		struct pci_function *function = nvme_emu_function(t.controllers[i].emu);

		assert_null(t.controllers[i].inproc);
		function->ops->reset(function);
		function->ops->destroy(function);
		nvme_emu_namespace_put(t.controllers[i].ns);
	}
	free(t.machine.settings);
	client_fini(&t.client);
	return 0;
}

/* --- Tests */

static void units_are_as_the_settings_say(void **state)
{
	(void)state;
	assert_int_equal(sectors(0), DISK_SIZE / SECTOR);
	assert_int_equal(sectors(1), 2 * DISK_SIZE / SECTOR);
	assert_int_equal(test_ready(2), SRB_STATUS_INVALID_LUN);
	assert_int_equal(open_functions(), 3);
}

static void a_start_without_its_disk_fails(void **state)
{
	(void)state;
	t.controllers[1].absent = true;
	assert_int_equal(start("0=0;1=1,2"), -ENOENT);
	assert_non_null(strstr(t.why, "no NVMe controller at VPCI bus 00000001"));
	assert_int_equal(open_functions(), 0);
	t.controllers[1].absent = false;
	free(t.storage);
	assert_int_equal(start("0=0;1=1.2"), -ENOENT);
	assert_non_null(strstr(t.why, "the namespace is not in"));
	assert_int_equal(open_functions(), 0);
	free(t.storage);
	t.storage = NULL;
}

static void a_unit_comes(void **state)
{
	(void)state;
	assert_true(modify(settings_text("0=0;1=1,2;5=3", 1)));
	run_until(rescan_came, 0);
	assert_int_equal(sectors(5), DISK_SIZE / SECTOR);
	assert_int_equal(sectors(0), DISK_SIZE / SECTOR);
	assert_int_equal(sectors(1), 2 * DISK_SIZE / SECTOR);
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		assert_int_equal(t.controllers[i].opens, 1);
}

static void a_unit_goes(void **state)
{
	(void)state;
	sectors(1);
	assert_true(modify(settings_text("0=0", 1)));
	run_until(rescan_came, 0);
	assert_int_equal(test_ready(1), SRB_STATUS_INVALID_LUN);
	assert_int_equal(sectors(0), DISK_SIZE / SECTOR);
	assert_int_equal(open_functions(), 1);
	assert_true(modify(settings_text("0=0;1=1,2", 1)));
	assert_int_equal(sectors(1), 2 * DISK_SIZE / SECTOR);
	assert_int_equal(t.controllers[0].opens, 1);
	assert_int_equal(t.controllers[1].opens, 2);
}

static void a_unit_is_replaced(void **state)
{
	(void)state;
	assert_true(modify(settings_text("0=3;1=1,2", 1)));
	assert_int_equal(sectors(0), DISK_SIZE / SECTOR);
	assert_int_equal(t.controllers[0].inproc != NULL, 0);
	/* The same disk in another place: its controller goes on. */
	assert_true(modify(settings_text("3=3;1=1,2", 1)));
	assert_int_equal(test_ready(0), SRB_STATUS_INVALID_LUN);
	assert_int_equal(sectors(3), DISK_SIZE / SECTOR);
	assert_int_equal(t.controllers[3].opens, 1);
}

/* What is under way ends first, other units' commands do not wait for it, and the host hears of it when it is over. */
static void a_unit_goes_with_commands_under_way(void **state)
{
	uint64_t slow;

	(void)state;
	inject(1, "delay,ms=300,opcode=2");
	send_srb(read_10, sizeof(read_10), 1, SECTOR, VMSCSI_DATA_IN);
	slow = t.next_id;
	event_loop_run_once(t.client.loops[0], 0);
	assert_int_equal(ask(settings_text("0=0", 1)), 0);
	assert_int_equal(srb(read_10, sizeof(read_10), 0, SECTOR), SRB_STATUS_SUCCESS);
	assert_int_equal(t.modified, 0);
	run_until(take_answer, slow);
	assert_int_equal(t.answer.vm_srb.srb_status & 0x3F, SRB_STATUS_SUCCESS);
	run_until(host_was_answered, 1);
	assert_string_equal(t.why, "");
	assert_int_equal(open_functions(), 1);
	assert_int_equal(srb(read_10, sizeof(read_10), 1, SECTOR), SRB_STATUS_INVALID_LUN);
}

/* A controller that died under the guest is let go of like any other. */
static void a_dead_unit_goes(void **state)
{
	(void)state;
	sectors(1);
	inject(1, "status,status=0x4002,opcode=2");
	assert_int_equal(srb(read_10, sizeof(read_10), 1, SECTOR), SRB_STATUS_ERROR);
	nvme_emu_detach(t.controllers[1].emu, 1);
	run_until(rescan_came, 0);
	assert_int_equal(test_ready(1), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SCSI_SENSE_UNIT_ATTENTION << 16 | SCSI_ASC_CAPACITY_CHANGED);
	assert_int_equal(test_ready(1), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SCSI_SENSE_NOT_READY << 16 | SCSI_ASC_MEDIUM_NOT_PRESENT);
	assert_int_equal(srb((const uint8_t[10]){ SCSI_READ_CAPACITY_10 }, 10, 1, 8),
			 SRB_STATUS_ERROR);
	assert_true(modify(settings_text("0=0", 1)));
	assert_int_equal(open_functions(), 1);
}

static void a_resize_is_seen(void **state)
{
	(void)state;
	assert_int_equal(nvme_emu_namespace_resize(t.controllers[0].ns, DISK_SIZE / 2), 0);
	run_until(rescan_came, 0);
	assert_int_equal(test_ready(0), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SCSI_SENSE_UNIT_ATTENTION << 16 | SCSI_ASC_CAPACITY_CHANGED);
	assert_int_equal(sectors(0), DISK_SIZE / 2 / SECTOR);
	t.rescan = false;
	assert_int_equal(nvme_emu_namespace_resize(t.controllers[2].ns, DISK_SIZE / 4), 0);
	run_until(rescan_came, 0);
	assert_int_equal(test_ready(1), SRB_STATUS_ERROR);
	assert_int_equal(sectors(1), 2 * (DISK_SIZE / 4) / SECTOR);
}

static void expect_refused(const char *text, const char *reason)
{
	assert_false(modify(text));
	assert_non_null(strstr(t.why, reason));
	assert_int_equal(sectors(0), DISK_SIZE / SECTOR);
	assert_int_equal(sectors(1), 2 * DISK_SIZE / SECTOR);
	assert_int_equal(test_ready(5), SRB_STATUS_INVALID_LUN);
	assert_int_equal(open_functions(), 3);
}

/* All or nothing: here the unit that would go stays, and the controller that was opened is closed. */
static void a_bad_change_changes_nothing(void **state)
{
	(void)state;
	t.rescan = false;
	expect_refused("{", "not JSON");
	expect_refused("{\"version\":\"V1\",\"dynamic\":{\"nic_devices\":[{\"instance_id\":"
		       "\"00000000-0000-0000-0000-000000000001\"}]}}",
		       "network cards");
	expect_refused(settings_text("5=3;6=2.7", 1), "the namespace is not in");
	expect_refused(settings_text("5=3;5=2", 1), "two LUNs");
	t.controllers[3].absent = true;
	expect_refused(settings_text("0=0;5=3", 1), "no NVMe controller at VPCI bus 00000003");
	inject(3, "fatal,queue=admin");
	assert_false(t.rescan);
}

/* VTL0's own function of a card goes, and the same one comes again; no other. */
static void network_cards_stay(void **state)
{
#define ID(n)          "_id\":\"0000000" #n "-0000-0000-0000-000000000000\""
#define SUBORDINATE(n) ",\"subordinate_instance" ID(n)
#define NIC(more)      "{\"version\":\"V1\",\"dynamic\":{\"nic_devices\":[{\"instance" ID(1) more "}]}}"
	struct settings_nic *nic = &t.machine.settings->nics[0];

	(void)state;
	t.machine.settings->nic_count = 1;
	nic->instance.data1 = 1;
	nic->vf_instance.data1 = 2;
	nic->has_vf = true;
	assert_true(modify(NIC("")));
	assert_true(modify(NIC(SUBORDINATE(2))));
	assert_false(modify(NIC(SUBORDINATE(3))));
	assert_non_null(strstr(t.why, "network cards"));
	nic->has_vf = false;
	nic->vf_instance.data1 = 0;
	assert_false(modify(NIC(SUBORDINATE(2))));
	t.machine.settings->nic_count = 0;
}

static void controllers_come_and_go(void **state)
{
	const struct vmbus_channel_offer_channel *offer;

	(void)state;
	assert_true(modify(settings_text("0=0;1=1,2", 2)));
	offer = client_take(&t.client, CHANNELMSG_OFFERCHANNEL);
	assert_non_null(offer);
	assert_int_equal(offer->if_instance.data1, 1);
	assert_true(modify(settings_text("0=0;1=1,2", 4)));
	client_drop_messages(&t.client);
	assert_false(modify(settings_text("0=0;1=1,2", 5)));
	assert_int_equal(client_message_count(&t.client), 0);
	assert_true(modify(settings_text("0=0", 1)));
	client_run(&t.client);
	assert_non_null(client_take(&t.client, CHANNELMSG_RESCIND_CHANNELOFFER));
	assert_int_equal(sectors(0), DISK_SIZE / SECTOR);
}

/* A host that does not wait for answers is held to a few changes at a time; all of those are made, in order. */
static void changes_wait_their_turn(void **state)
{
	unsigned int taken = 0;

	(void)state;
	while (!ask(settings_text(taken % 2 ? "0=0;1=1,2" : "0=0", 1)))
		taken++;
	assert_in_range(taken, 2, 64);
	run_until(host_was_answered, taken);
	assert_true(modify(settings_text("0=0", 1)));
	assert_int_equal(test_ready(1), SRB_STATUS_INVALID_LUN);
	assert_int_equal(t.controllers[1].opens, 1 + taken / 2);
}

/* The medium changes, the drive stays: the guest sees no unit come or go. */
static void a_medium_is_exchanged(void **state)
{
	(void)state;
	assert_true(modify(settings_text("0=0;2=d", 1)));
	run_until(rescan_came, 0);
	t.rescan = false;
	assert_int_equal(test_ready(2), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SCSI_SENSE_NOT_READY << 16 | SCSI_ASC_MEDIUM_NOT_PRESENT);
	assert_true(modify(settings_text("0=0;2=d3", 1)));
	assert_int_equal(test_ready(2), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SCSI_SENSE_UNIT_ATTENTION << 16 | SCSI_ASC_MEDIUM_CHANGED);
	assert_int_equal(sectors(2), DISK_SIZE / 2048);
	assert_int_equal(nvme_emu_namespace_resize(t.controllers[1].ns, DISK_SIZE / 2), 0);
	assert_true(modify(settings_text("0=0;2=d1", 1)));
	assert_int_equal(test_ready(2), SRB_STATUS_ERROR);
	assert_int_equal(sectors(2), DISK_SIZE / 2 / 2048);
	assert_null(t.controllers[3].inproc);
	assert_false(modify(settings_text("0=0;2=d1.9", 1)));
	assert_int_equal(sectors(2), DISK_SIZE / 2 / 2048);
	assert_true(modify(settings_text("0=0;2=d", 1)));
	assert_int_equal(test_ready(2), SRB_STATUS_ERROR);
	assert_int_equal(sense(), SCSI_SENSE_NOT_READY << 16 | SCSI_ASC_MEDIUM_NOT_PRESENT);
	assert_int_equal(open_functions(), 1);
	assert_true(modify(settings_text("0=0", 1)));
	assert_int_equal(test_ready(2), SRB_STATUS_INVALID_LUN);
}

/* A reservation is the namespace's: of LUN 0's, SCSI's words become NVMe's. LUN 1, a stripe, keeps its own. */
static void reservations_go_down(void **state)
{
	const uint8_t *data = t.client.ram + BUFFER;

	(void)state;
	for (uint8_t lun = 0; lun < 2; lun++) {
		assert_int_equal(reserve_in(lun, 0), 0);
		assert_int_equal(reserve_out(lun, 1, 1, 7, 0), SCSI_RESERVATION_CONFLICT);
		assert_int_equal(reserve_out(lun, 0, 0, 0, 0), SCSI_GOOD);
		assert_int_equal(reserve_out(lun, 6, 0, 0, 0), SCSI_GOOD); /* ignore, none: none */
		assert_int_equal(reserve_out(lun, 0, 0, 0, 0xABCD), SCSI_GOOD);
		assert_int_equal(reserve_in(lun, 0), 8);
		assert_int_equal(load_be64(data + 8), 0xABCD);
		assert_int_equal(reserve_in(lun, 1), 0);
		assert_int_equal(reserve_out(lun, 0, 0, 1, 2), SCSI_RESERVATION_CONFLICT);
		assert_int_equal(reserve_out(lun, 1, 5, 0xABCD, 0), SCSI_GOOD);
		assert_int_equal(reserve_in(lun, 1), 16);
		assert_int_equal(load_be64(data + 8), 0xABCD);
		assert_int_equal(data[21], 5);
		assert_int_equal(reserve_in(lun, 3), 24);
		assert_int_equal(load_be64(data + 8), 0xABCD);
		assert_int_equal(data[20] & 1, 1);
		assert_int_equal(data[21], 5);
		assert_int_equal(reserve_out(lun, 1, 6, 0xABCD, 0), SCSI_RESERVATION_CONFLICT);
		assert_int_equal(reserve_out(lun, 2, 6, 0xABCD, 0), SCSI_CHECK_CONDITION);
		assert_int_equal(sense(),
				 SCSI_SENSE_ILLEGAL_REQUEST << 16 | SCSI_ASC_INVALID_RELEASE);
		assert_int_equal(reserve_out(lun, 0, 0, 0xABCD, 0x77), SCSI_GOOD);
		assert_int_equal(reserve_out(lun, 2, 5, 0x77, 0), SCSI_GOOD);
		assert_int_equal(reserve_in(lun, 1), 0);
		assert_int_equal(reserve_out(lun, 1, 8, 0x77, 0), SCSI_GOOD);
		assert_int_equal(reserve_in(lun, 1), 16);
		assert_int_equal(load_be64(data + 8), 0);
		assert_int_equal(data[21], 8);
		assert_int_equal(reserve_out(lun, 3, 0, 0x77, 0), SCSI_GOOD);
		assert_int_equal(reserve_in(lun, 0), 0);
	}
	/* By another controller of the namespace's it is seen, too. */
	assert_int_equal(nvme_emu_attach(t.controllers[3].emu, 2, t.controllers[0].ns), 0);
	assert_int_equal(reserve_out(0, 6, 0, 0, 0x99), SCSI_GOOD);
	assert_true(modify(settings_text("0=0;1=1,2;4=3.2", 1)));
	assert_int_equal(reserve_in(4, 0), 8);
	assert_int_equal(load_be64(data + 8), 0x99);
}

static void the_end_is_told_to_controllers(void **state)
{
	(void)state;
	assert_int_equal(srb(read_10, sizeof(read_10), 0, SECTOR), SRB_STATUS_SUCCESS);
	storage_shut_down(t.storage);
	assert_int_equal(srb(read_10, sizeof(read_10), 0, SECTOR), SRB_STATUS_ERROR);
}

static void the_pool_has_room_for_more(void **state)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	uint64_t none, two;

	(void)state;
	assert_int_equal(storage_pool_size(settings, 4), 0);
	settings->controller_count = 1;
	none = storage_pool_size(settings, 16);
	settings->device_count = 2;
	two = storage_pool_size(settings, 16);
	assert_true(none > 0);
	assert_true(two > none);
	assert_int_equal(two % (2u << 20), 0);
	free(settings);
}

#define test(f)     cmocka_unit_test_setup_teardown(f, setup, teardown)
#define test_two(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_two(units_are_as_the_settings_say),
		test(a_start_without_its_disk_fails),
		test_two(a_unit_comes),
		test_two(a_unit_goes),
		test_two(a_unit_is_replaced),
		test_two(a_unit_goes_with_commands_under_way),
		test_two(a_dead_unit_goes),
		test_two(a_resize_is_seen),
		test_two(a_bad_change_changes_nothing),
		test_two(controllers_come_and_go),
		test_two(network_cards_stay),
		test_two(changes_wait_their_turn),
		test_two(a_medium_is_exchanged),
		test_two(reservations_go_down),
		test_two(the_end_is_told_to_controllers),
		cmocka_unit_test(the_pool_has_room_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
