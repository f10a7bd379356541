/* GET's host side with a client of VMBus on the other end of the pipe. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/vmbus/vmbus_server.h"
#include "host/get.h"
#include "host/vmgs.h"
#include "proto/get.h"
#include "tests/unit/devices/vmbus/vmbus_client.h"

#define SETTINGS_LEN 20000u

static struct {
	struct client client;
	struct client_channel channel;
	struct host_get *get;
	struct vmgs *vmgs;
	char path[64];
	char settings[SETTINGS_LEN];

	unsigned int ends, modifications;
	enum host_get_end how;
	char reason[256], error[256];

	/* The last message received. */
	_Alignas(8) uint8_t packet[GET_MESSAGE_MAX + 64];
	const uint8_t *message;
	size_t len;
} t;

/* The disk below the state's file, which a test may hold up, or have fail. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held, failing;
	unsigned int begun;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int fdatasync(int fd)
{
	bool failing;

	(void)fd;
	pthread_mutex_lock(&disk.lock);
	disk.begun++;
	pthread_cond_broadcast(&disk.changed);
	while (disk.held)
		pthread_cond_wait(&disk.changed, &disk.lock);
	failing = disk.failing;
	pthread_mutex_unlock(&disk.lock);
	errno = EIO;
	return failing ? -1 : 0;
}

static void hold_disk(bool hold)
{
	pthread_mutex_lock(&disk.lock);
	disk.held = hold;
	pthread_cond_broadcast(&disk.changed);
	pthread_mutex_unlock(&disk.lock);
}

static void await_sync(unsigned int count)
{
	pthread_mutex_lock(&disk.lock);
	while (disk.begun < count)
		pthread_cond_wait(&disk.changed, &disk.lock);
	pthread_mutex_unlock(&disk.lock);
}

static void ended(void *ctx, enum host_get_end how, const char *reason)
{
	(void)ctx;
	t.ends++;
	t.how = how;
	snprintf(t.reason, sizeof(t.reason), "%s", reason);
}

static void crash_reason(void *ctx, uint64_t control, const uint64_t parameters[5], char *reason,
			 size_t size)
{
	(void)ctx;
	snprintf(reason, size, "%llx of %llu", (unsigned long long)parameters[0],
		 (unsigned long long)control);
}

static uint64_t reference_time(void *ctx)
{
	(void)ctx;
	return 1234;
}

static void modified(void *ctx, const char *error)
{
	(void)ctx;
	t.modifications++;
	snprintf(t.error, sizeof(t.error), "%s", error ? error : "none");
}

static const struct host_get_ops ops = {
	.ended = ended,
	.crash_reason = crash_reason,
	.reference_time = reference_time,
	.modified = modified,
};

static int open_channel(void)
{
	struct vmbus_channel_message_header request = { .msgtype = CHANNELMSG_REQUESTOFFERS };
	static const struct guid interface = GET_INTERFACE_TYPE;
	const struct vmbus_channel_offer_channel *offer;
	uint32_t relid;

	if (!client_connect(&t.client, VMBUS_VERSION_5_3))
		return -1;
	client_post(&t.client, &request, sizeof(request));
	offer = client_take(&t.client, CHANNELMSG_OFFERCHANNEL);
	if (!offer || memcmp(&offer->if_type, &interface, sizeof(interface)) ||
	    !(offer->chn_flags & VMBUS_OFFER_NAMED_PIPE_MODE) ||
	    offer->user_defined[0] != VMBUS_PIPE_TYPE_MESSAGE)
		return -1;
	relid = offer->child_relid;
	client_drop_messages(&t.client);
	return client_open(&t.client, &t.channel, relid, 0x2000 + relid, 0, 0x100000, 8) ? -1 : 0;
}

static int start(bool with_state)
{
	struct host_get_config config = { .ops = &ops,
					  .settings = t.settings,
					  .settings_len = sizeof(t.settings) };
	unsigned int i;

	memset(&t, 0, sizeof(t));
	disk.held = disk.failing = false;
	disk.begun = 0;
	for (i = 0; i < sizeof(t.settings); i++)
		t.settings[i] = (char)('a' + i * 7 % 26);
	if (client_init(&t.client, 0, 0))
		return -1;
	if (with_state) {
		snprintf(t.path, sizeof(t.path), "/tmp/get_test.%d", getpid());
		t.vmgs = vmgs_open(t.path);
		if (!t.vmgs)
			return -1;
	}
	config.server = t.client.server;
	config.vmgs = t.vmgs;
	return host_get_create(&config, &t.get) ? -1 : open_channel();
}

static int setup(void **state)
{
	(void)state;
	return start(true);
}

static int setup_without_state(void **state)
{
	(void)state;
	return start(false);
}

static int teardown(void **state)
{
	(void)state;
	vmbus_server_reset(t.client.server);
	client_run(&t.client);
	host_get_destroy(t.get);
	client_fini(&t.client);
	vmgs_close(t.vmgs);
	unlink(t.path);
	return 0;
}

/* --- the pipe --- */

static int send_raw(const void *payload, size_t len)
{
	return client_send(&t.channel, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, payload, len);
}

static int send_message(const void *message, size_t len)
{
	uint8_t payload[GET_MESSAGE_MAX + sizeof(struct vmbus_pipe_header)];
	struct vmbus_pipe_header pipe = { VMBUS_PIPE_PACKET_DATA, (uint32_t)len };
	int ret;

	memcpy(payload, &pipe, sizeof(pipe));
	memcpy(payload + sizeof(pipe), message, len);
	ret = send_raw(payload, sizeof(pipe) + len);
	client_run(&t.client);
	return ret;
}

static bool receive(void)
{
	const struct vmpacket_descriptor *desc = (const void *)t.packet;
	struct vmbus_pipe_header pipe;

	if (client_receive(&t.channel, t.packet, sizeof(t.packet)) < 0)
		return false;
	assert_int_equal(desc->type, VM_PKT_DATA_INBAND);
	memcpy(&pipe, t.packet + desc->offset8 * 8, sizeof(pipe));
	assert_int_equal(pipe.packet_type, VMBUS_PIPE_PACKET_DATA);
	t.message = t.packet + desc->offset8 * 8 + sizeof(pipe);
	t.len = pipe.len;
	assert_true(t.message + t.len <= t.packet + desc->len8 * 8);
	client_run(&t.client); /* there may be more for the room */
	return true;
}

static struct get_header request(uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION_1, GET_HOST_REQUEST, id };
}

static struct get_header notice(uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION_1, GET_HOST_NOTIFICATION, id };
}

/* What the disk was waited for is answered. */
static void run_past_disk(void)
{
	vmgs_wait(t.vmgs);
	client_run(&t.client);
}

static const void *ask(const void *message, size_t len, uint16_t id)
{
	struct get_header header;

	assert_int_equal(send_message(message, len), 0);
	run_past_disk();
	if (!receive())
		return NULL;
	memcpy(&header, t.message, sizeof(header));
	assert_int_equal(header.message_type, GET_HOST_RESPONSE);
	assert_int_equal(header.message_id, id);
	return t.message;
}

static bool negotiate(uint32_t version)
{
	struct get_version_request message = { request(GET_VERSION), version };
	const struct get_version_response *reply = ask(&message, sizeof(message), GET_VERSION);

	assert_non_null(reply);
	return reply->version_accepted;
}

/* --- tests --- */

static void versions(void **state)
{
	struct get_header time = request(GET_TIME);

	(void)state;
	assert_null(ask(&time, sizeof(time), GET_TIME)); /* not before a version */
	assert_false(negotiate(0x00050000));
	assert_null(ask(&time, sizeof(time), GET_TIME));
	assert_true(negotiate(GET_VERSION_NICKEL_REV2));
	assert_non_null(ask(&time, sizeof(time), GET_TIME));
}

static void the_time(void **state)
{
	struct get_header message = request(GET_TIME);
	struct get_time_response reply;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	memcpy(&reply, ask(&message, sizeof(message), GET_TIME), sizeof(reply));
	assert_int_equal(reply.vm_reference_time, 1234);
	assert_true(reply.utc > 133000000000000000ll); /* 2022 */
	assert_true(reply.utc < 180000000000000000ll); /* 2171 */
}

/* A text longer than a message may be. */
static void settings_come_in_parts(void **state)
{
	struct get_header message = request(GET_DEVICE_PLATFORM_SETTINGS_V2);
	struct get_device_platform_settings_rev1 part;
	size_t got = 0;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	ask(&message, sizeof(message), GET_DEVICE_PLATFORM_SETTINGS_V2_REV1);
	for (;;) {
		memcpy(&part, t.message, sizeof(part));
		assert_int_equal(t.len, sizeof(part) + part.size);
		assert_in_range(part.size, 1, GET_PAYLOAD_MAX);
		assert_memory_equal(t.message + sizeof(part), t.settings + got, part.size);
		got += part.size;
		if (part.payload_state == GET_PAYLOAD_END)
			break;
		assert_true(receive());
	}
	assert_int_equal(got, SETTINGS_LEN);
	assert_false(receive());
}

struct vmgs_message {
	struct get_vmgs_io io;
	uint8_t data[GET_PAYLOAD_MAX];
};

static size_t make_io(struct vmgs_message *message, uint16_t id, uint64_t sector, uint32_t count,
		      size_t bytes, uint8_t fill)
{
	message->io = (struct get_vmgs_io){ .header = request(id),
					    .flags = GET_VMGS_WRITE_THROUGH,
					    .sector_offset = sector,
					    .sector_count = count };
	memset(message->data, fill, bytes);
	return sizeof(message->io) + bytes;
}

static uint32_t vmgs_io(uint16_t id, uint64_t sector, uint32_t count, size_t bytes, uint8_t fill)
{
	struct vmgs_message message;
	size_t len = make_io(&message, id, sector, count, bytes, fill);
	struct get_vmgs_response reply;

	memcpy(&reply, ask(&message, len, id), sizeof(reply));
	return reply.status;
}

static void guest_state(void **state)
{
	struct get_header info = request(GET_VMGS_GET_DEVICE_INFO), flush = request(GET_VMGS_FLUSH);
	struct get_vmgs_device_info device;
	struct get_vmgs_response reply;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	memcpy(&device, ask(&info, sizeof(info), GET_VMGS_GET_DEVICE_INFO), sizeof(device));
	assert_int_equal(device.status, GET_VMGS_SUCCESS);
	assert_int_equal(device.capacity * device.bytes_per_logical_sector, 4 << 20);
	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 8190, 2, 1024, 0x5a), GET_VMGS_SUCCESS);
	assert_int_equal(vmgs_io(GET_VMGS_READ, 8188, 4, 0, 0), GET_VMGS_SUCCESS);
	assert_int_equal(t.len, sizeof(reply) + 2048);
	assert_int_equal(t.message[sizeof(reply) + 1023], 0);
	assert_int_equal(t.message[sizeof(reply) + 1024], 0x5a);
	memcpy(&reply, ask(&flush, sizeof(flush), GET_VMGS_FLUSH), sizeof(reply));
	assert_int_equal(reply.status, GET_VMGS_SUCCESS);

	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 8191, 2, 1024, 1), GET_VMGS_INVALID_COMMAND);
	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 0, 2, 1023, 1), GET_VMGS_INVALID_COMMAND);
	assert_int_equal(vmgs_io(GET_VMGS_READ, ~0ull, 1, 0, 0), GET_VMGS_INVALID_COMMAND);
	assert_int_equal(vmgs_io(GET_VMGS_READ, 0, 17, 0, 0), GET_VMGS_INVALID_COMMAND);
	assert_int_equal(t.len, sizeof(reply));
	assert_int_equal(vmgs_io(GET_VMGS_READ, 0, ~0u, 0, 0), GET_VMGS_INVALID_COMMAND);
}

/* Only what is asked to be durable waits for the disk, and whoever asks hears when it is not. */
static void durable_is_what_the_disk_says(void **state)
{
	struct get_header flush = request(GET_VMGS_FLUSH);
	struct vmgs_message message;
	struct get_vmgs_response reply;
	size_t len;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	len = make_io(&message, GET_VMGS_WRITE, 0, 1, 512, 1);
	message.io.flags = 0;
	memcpy(&reply, ask(&message, len, GET_VMGS_WRITE), sizeof(reply));
	assert_int_equal(reply.status, GET_VMGS_SUCCESS);
	assert_int_equal(disk.begun, 0);
	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 0, 1, 512, 1), GET_VMGS_SUCCESS);
	assert_int_equal(disk.begun, 1);
	memcpy(&reply, ask(&flush, sizeof(flush), GET_VMGS_FLUSH), sizeof(reply));
	assert_int_equal(reply.status, GET_VMGS_SUCCESS);
	assert_int_equal(disk.begun, 2);
	disk.failing = true;
	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 0, 1, 512, 1), GET_VMGS_DEVICE_ERROR);
	memcpy(&reply, ask(&flush, sizeof(flush), GET_VMGS_FLUSH), sizeof(reply));
	assert_int_equal(reply.status, GET_VMGS_DEVICE_ERROR);
	assert_int_equal(disk.begun, 4);
	/* What cannot be written is not made durable. */
	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 8192, 1, 512, 1), GET_VMGS_INVALID_COMMAND);
	assert_int_equal(disk.begun, 4);
}

static void assert_answer(uint16_t id)
{
	struct get_header header;

	assert_true(receive());
	memcpy(&header, t.message, sizeof(header));
	assert_int_equal(header.message_id, id);
}

/* The loop goes on, and answers come in the order of their requests. */
static void a_slow_disk_holds_up_its_own_answers(void **state)
{
	struct get_header time = request(GET_TIME), flush = request(GET_VMGS_FLUSH);
	struct vmgs_message message;
	size_t len = make_io(&message, GET_VMGS_WRITE, 0, 1, 512, 1);

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	hold_disk(true);
	assert_int_equal(send_message(&message, len), 0);
	await_sync(1);
	assert_int_equal(send_message(&time, sizeof(time)), 0);
	assert_int_equal(send_message(&flush, sizeof(flush)), 0);
	assert_int_equal(send_message(&time, sizeof(time)), 0);
	assert_false(receive());
	assert_int_equal(disk.begun, 1);
	hold_disk(false);
	run_past_disk();
	assert_answer(GET_VMGS_WRITE);
	assert_answer(GET_TIME);
	await_sync(2);
	run_past_disk();
	assert_answer(GET_VMGS_FLUSH);
	assert_answer(GET_TIME);
	assert_false(receive());
}

/* What the host itself has to say need not wait. */
static void a_slow_disk_holds_up_no_notification(void **state)
{
	struct get_header flush = request(GET_VMGS_FLUSH);

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	hold_disk(true);
	assert_int_equal(send_message(&flush, sizeof(flush)), 0);
	await_sync(1);
	assert_int_equal(host_get_modify(t.get, "{}", 2), 0);
	client_run(&t.client);
	assert_answer(GET_MODIFY_VTL2_SETTINGS_REV1);
	hold_disk(false);
	run_past_disk();
	assert_answer(GET_VMGS_FLUSH);
}

/* Of a VTL2 that is gone: the next one gets no answer to it. */
static void answers_do_not_outlive_their_channel(void **state)
{
	struct get_header flush = request(GET_VMGS_FLUSH);

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	for (unsigned int i = 1; i <= 50; i++) {
		uint32_t relid = t.channel.relid;

		hold_disk(true);
		assert_int_equal(send_message(&flush, sizeof(flush)), 0);
		await_sync(i);
		hold_disk(false);
		client_close(&t.channel);
		client_run(&t.client);
		client_drop_messages(&t.client);
		assert_int_equal(
			client_open(&t.client, &t.channel, relid, 0x2000 + relid, 0, 0x100000, 8),
			0);
		assert_true(negotiate(GET_VERSION_NICKEL_REV2));
	}
}

static void no_guest_state(void **state)
{
	struct get_header info = request(GET_VMGS_GET_DEVICE_INFO);
	struct get_vmgs_device_info device;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	memcpy(&device, ask(&info, sizeof(info), GET_VMGS_GET_DEVICE_INFO), sizeof(device));
	assert_int_equal(device.status, GET_VMGS_DEVICE_ERROR);
	assert_int_equal(vmgs_io(GET_VMGS_READ, 0, 1, 0, 0), GET_VMGS_DEVICE_ERROR);
	assert_int_equal(vmgs_io(GET_VMGS_WRITE, 0, 1, 512, 0), GET_VMGS_DEVICE_ERROR);
}

static void ends(void **state)
{
	struct get_power_off off = { .header = notice(GET_POWER_OFF) };
	struct get_header reset = notice(GET_RESET);
	struct get_vtl_crash crash = { .header = notice(GET_VTL_CRASH),
				       .vp_index = 1,
				       .control = 5,
				       .parameters = { 0xabc } };
	struct get_triple_fault fault = { .header = notice(GET_TRIPLE_FAULT), .vp_index = 3 };

	(void)state;
	send_message(&off, sizeof(off));
	assert_int_equal(t.ends, 0); /* before a version */
	negotiate(GET_VERSION_NICKEL_REV2);
	send_message(&off, sizeof(off));
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.how, HOST_GET_POWER_OFF);
	send_message(&reset, sizeof(reset));
	assert_int_equal(t.how, HOST_GET_RESET);
	send_message(&crash, sizeof(crash));
	assert_int_equal(t.how, HOST_GET_CRASH);
	assert_string_equal(t.reason, "abc of 5, reported by VP 1");
	send_message(&fault, sizeof(fault));
	assert_int_equal(t.how, HOST_GET_TRIPLE_FAULT);
	assert_non_null(strstr(t.reason, "VP 3"));
	assert_int_equal(t.ends, 4);
}

static void start_failure(void **state)
{
	struct {
		struct get_result result;
		char text[400];
	} message = { .result = { notice(GET_START_VTL0_COMPLETED), GET_RESULT_FAILURE, 0 } };

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	memset(message.text, '\n', sizeof(message.text));
	memcpy(message.text, "no kernel\033[2J", 13);
	send_message(&message, sizeof(message));
	assert_int_equal(t.how, HOST_GET_FAILURE);
	assert_memory_equal(t.reason, "no kernel?[2J?", 14);
	assert_true(strlen(t.reason) < 200);
}

static void modification(void **state)
{
	struct get_result done = { notice(GET_MODIFY_VTL2_SETTINGS_COMPLETED), GET_RESULT_SUCCESS,
				   0 };
	struct get_modify_vtl2_settings_rev1 part;
	size_t got = 0;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	assert_int_equal(host_get_modify(t.get, t.settings, SETTINGS_LEN), 0);
	client_run(&t.client);
	do {
		assert_true(receive());
		memcpy(&part, t.message, sizeof(part));
		assert_int_equal(part.header.message_type, GET_GUEST_NOTIFICATION);
		assert_int_equal(part.header.message_id, GET_MODIFY_VTL2_SETTINGS_REV1);
		assert_memory_equal(t.message + sizeof(part), t.settings + got, part.size);
		got += part.size;
	} while (part.payload_state == GET_PAYLOAD_MORE);
	assert_int_equal(got, SETTINGS_LEN);
	send_message(&done, sizeof(done));
	assert_int_equal(t.modifications, 1);
	assert_string_equal(t.error, "none");
}

static void nobody_to_modify(void **state)
{
	(void)state;
	client_close(&t.channel);
	client_run(&t.client);
	assert_int_not_equal(host_get_modify(t.get, t.settings, 10), 0);
}

/* Each is ignored, and the next request is answered. */
static void malformed(void **state)
{
	struct {
		struct vmbus_pipe_header pipe;
		struct get_header header;
	} bad = { { VMBUS_PIPE_PACKET_DATA, sizeof(struct get_header) }, request(GET_TIME) };
	struct get_vmgs_io io = { .header = request(GET_VMGS_WRITE) };
	struct get_header unknown = request(999);

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	bad.pipe.len = 400; /* beyond the packet */
	send_raw(&bad, sizeof(bad));
	bad.pipe.len = 3;
	send_raw(&bad, sizeof(bad));
	bad.pipe.len = 4;
	bad.pipe.packet_type = 2;
	send_raw(&bad, sizeof(bad));
	bad.pipe.packet_type = VMBUS_PIPE_PACKET_DATA;
	bad.header.message_version = 2;
	send_raw(&bad, sizeof(bad));
	send_raw("", 0);
	client_send(&t.channel, VM_PKT_COMP, 0, 0, NULL, 0, &bad, sizeof(bad));
	send_message(&io, sizeof(io) - 1);
	send_message(&unknown, sizeof(unknown));
	assert_false(receive());
	assert_true(negotiate(GET_VERSION_NICKEL_REV2));
}

/* A VTL2 that asks and never reads: requests wait, and in the end all are answered. */
static void full_ring(void **state)
{
	struct get_header message = request(GET_TIME);
	unsigned int sent = 0, received = 0;

	(void)state;
	negotiate(GET_VERSION_NICKEL_REV2);
	while (sent < 10000 && !send_message(&message, sizeof(message)))
		sent++;
	assert_in_range(sent, 500, 9999);
	while (receive())
		received++;
	assert_int_equal(received, sent);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(versions),
		TEST(the_time),
		TEST(settings_come_in_parts),
		TEST(guest_state),
		TEST(durable_is_what_the_disk_says),
		TEST(a_slow_disk_holds_up_its_own_answers),
		TEST(a_slow_disk_holds_up_no_notification),
		TEST(answers_do_not_outlive_their_channel),
		cmocka_unit_test_setup_teardown(no_guest_state, setup_without_state, teardown),
		TEST(ends),
		TEST(start_failure),
		TEST(modification),
		TEST(nobody_to_modify),
		TEST(malformed),
		TEST(full_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
