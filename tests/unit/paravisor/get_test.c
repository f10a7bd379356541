#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/event_loop.h"
#include "paravisor/get.h"
#include "proto/get.h"
#include "tests/unit/paravisor/fake_uio.h"

static struct get_header response(uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION_1, GET_HOST_RESPONSE, id };
}

static void queue_version(bool accepted)
{
	struct get_version_response message = { response(GET_VERSION), accepted, 0 };

	fake_uio_queue(&message, sizeof(message));
}

/* A part of the settings, said to be of `size` bytes. */
static void queue_settings(const char *text, uint32_t size, bool more)
{
	struct get_device_platform_settings_rev1 head = {
		response(GET_DEVICE_PLATFORM_SETTINGS_V2_REV1), size,
		more ? GET_PAYLOAD_MORE : GET_PAYLOAD_END
	};
	uint8_t message[9000];

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), text, strlen(text));
	fake_uio_queue(message, sizeof(head) + strlen(text));
}

static struct get *created(void)
{
	struct get *get = NULL;

	fake_uio_reset();
	queue_version(true);
	assert_int_equal(get_create(&get), 0);
	return get;
}

static void test_version(void **state)
{
	struct get_version_request request;
	struct get *get = created();

	(void)state;
	memcpy(&request, fake_uio.out, sizeof(request));
	assert_int_equal(fake_uio.out_len, sizeof(request));
	assert_int_equal(request.header.message_type, GET_HOST_REQUEST);
	assert_int_equal(request.version, GET_VERSION_NICKEL_REV2);
	get_destroy(get);

	fake_uio_reset();
	queue_version(false);
	assert_int_equal(get_create(&get), -EPROTO);
	assert_true(fake_uio.closed);

	fake_uio_reset();
	fake_uio.open_error = -ENOENT;
	assert_int_equal(get_create(&get), -ENOENT);

	fake_uio_reset();
	fake_uio.send_error = -EPROTO;
	queue_version(true);
	assert_int_equal(get_create(&get), -EPROTO);
}

static void test_bad_answers(void **state)
{
	static const uint8_t messages[][8] = {
		{ 6, 2, GET_HOST_RESPONSE, GET_VERSION, 0, 1, 0 }, /* another header version */
		{ 6, 1, GET_HOST_RESPONSE, GET_TIME, 0, 1, 0 },    /* to another request */
		{ 6, 1, GET_HOST_REQUEST, GET_VERSION, 0, 1, 0 },  /* no response */
		{ 5, 1, GET_HOST_RESPONSE, GET_VERSION, 0, 1 },    /* too short */
		{ 3, 1, GET_HOST_RESPONSE, GET_VERSION },          /* no whole header */
		{ 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct get *get;

		fake_uio_reset();
		fake_uio_queue(messages[i] + 1, messages[i][0]);
		assert_int_equal(get_create(&get), -EPROTO);
		assert_true(fake_uio.closed);
	}
}

static void test_settings(void **state)
{
	struct get *get = created();
	char *text;
	size_t len;

	(void)state;
	queue_settings("{\"V1\"", 5, true);
	queue_settings(":{}}", 4, false);
	assert_int_equal(get_platform_settings(get, &text, &len), 0);
	assert_int_equal(len, 9);
	assert_memory_equal(text, "{\"V1\":{}}", 9);
	free(text);
	get_destroy(get);
}

static void test_bad_settings(void **state)
{
	static const uint32_t sizes[] = { 4, 6, 0, UINT32_MAX, UINT32_MAX - 11 };
	struct get *get;
	char *text;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		get = created();
		queue_settings("12345", sizes[i], false);
		assert_int_equal(get_platform_settings(get, &text, &len), -EPROTO);
		get_destroy(get);
	}
	get = created();
	queue_settings("", 0, false);
	assert_int_equal(get_platform_settings(get, &text, &len), -EPROTO);
	get_destroy(get);
}

/* A host that never comes to an end of its settings does not fill VTL2's memory. */
static void test_endless_settings(void **state)
{
	static char part[8193];
	struct get *get = created();
	unsigned int parts = 0;
	char *text;
	size_t len;

	(void)state;
	memset(part, ' ', 8192);
	for (; parts < 15; parts++)
		queue_settings(part, 8192, true);
	fake_uio.in_end = -EPIPE;
	assert_int_equal(get_platform_settings(get, &text, &len), -EPIPE);
	get_destroy(get);
}

/* --- notifications */

static char modification[64];

/* "later" is not answered yet. */
static void take_settings(void *ctx, char *text, size_t len)
{
	snprintf(modification, sizeof(modification), "%.*s", (int)len, text);
	free(text);
	if (strcmp(modification, "later"))
		get_settings_modified(*(struct get **)ctx,
				      strcmp(modification, "bad") ? NULL : "no good");
}

static void queue_modification(const char *text, bool more)
{
	struct get_modify_vtl2_settings_rev1 head = {
		{ GET_HEADER_VERSION_1, GET_GUEST_NOTIFICATION, GET_MODIFY_VTL2_SETTINGS_REV1 },
		(uint32_t)strlen(text),
		more ? GET_PAYLOAD_MORE : GET_PAYLOAD_END
	};
	uint8_t message[256];

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), text, strlen(text));
	fake_uio_queue(message, sizeof(head) + strlen(text));
}

static struct get_result last_result(void)
{
	struct get_result result;

	assert_true(fake_uio.out_len >= sizeof(result));
	memcpy(&result, fake_uio.out, sizeof(result));
	assert_int_equal(result.header.message_type, GET_HOST_NOTIFICATION);
	assert_int_equal(result.result_document_size, fake_uio.out_len - sizeof(result));
	return result;
}

static void test_modifications(void **state)
{
	struct get *get = created();
	const struct get_handler handler = { .modify_settings = take_settings, .ctx = &get };
	const struct get_header unknown = { GET_HEADER_VERSION_1, GET_GUEST_NOTIFICATION, 999 };
	struct event_loop *loop = event_loop_create();

	(void)state;
	assert_int_equal(get_start(get, loop, &handler), 0);
	fake_uio_queue(&unknown, sizeof(unknown));
	queue_modification("one,", true);
	queue_modification("two", false);
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	assert_string_equal(modification, "one,two");
	assert_int_equal(last_result().header.message_id, GET_MODIFY_VTL2_SETTINGS_COMPLETED);
	assert_int_equal(last_result().status, GET_RESULT_SUCCESS);

	queue_modification("bad", false);
	event_loop_run_once(loop, 0);
	assert_int_equal(last_result().status, GET_RESULT_FAILURE);
	assert_memory_equal(fake_uio.out + sizeof(struct get_result), "no good", 7);

	fake_uio.sent = 0;
	queue_modification("later", false);
	event_loop_run_once(loop, 0);
	assert_int_equal(fake_uio.sent, 0);
	get_settings_modified(get, NULL);
	assert_int_equal(last_result().status, GET_RESULT_SUCCESS);

	queue_modification("", false);
	event_loop_run_once(loop, 0);
	assert_int_equal(last_result().status, GET_RESULT_FAILURE);

	/* A dead channel is left alone, though it stays readable. */
	fake_uio.in_end = -EPROTO;
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	assert_int_equal(event_loop_run_once(loop, 0), 0);
	event_loop_destroy(loop);
	get_destroy(get);
}

static void test_ends(void **state)
{
	struct get *get = created();
	struct get_power_off off;
	struct get_triple_fault fault;
	struct get_vtl_crash crash;

	(void)state;
	get_power_off(get);
	memcpy(&off, fake_uio.out, sizeof(off));
	assert_int_equal(fake_uio.out_len, sizeof(off));
	assert_int_equal(off.header.message_id, GET_POWER_OFF);
	assert_int_equal(off.hibernate, 0);
	get_reset(get);
	assert_int_equal(fake_uio.out_len, sizeof(struct get_header));
	get_triple_fault(get, 3);
	memcpy(&fault, fake_uio.out, sizeof(fault));
	assert_int_equal(fault.vp_index, 3);
	get_vtl_crash(get, 2, 1ull << 63, (uint64_t[5]){ [4] = 7 });
	memcpy(&crash, fake_uio.out, sizeof(crash));
	assert_int_equal(fake_uio.out_len, sizeof(crash));
	assert_int_equal(crash.header.message_id, GET_VTL_CRASH);
	assert_int_equal(crash.vp_index, 2);
	assert_int_equal(crash.control, 1ull << 63);
	assert_int_equal(crash.parameters[4], 7);
	get_vtl0_started(get, false, "why");
	assert_int_equal(last_result().header.message_id, GET_START_VTL0_COMPLETED);
	assert_int_equal(last_result().status, GET_RESULT_FAILURE);
	get_vtl0_started(get, true, NULL);
	assert_int_equal(last_result().status, GET_RESULT_SUCCESS);
	fake_uio.sent = 0;
	get_power_off(NULL);
	get_reset(NULL);
	get_triple_fault(NULL, 0);
	get_vtl0_started(NULL, true, NULL);
	assert_int_equal(fake_uio.sent, 0);
	get_destroy(get);
}

/* --- VMGS */

#define SECTOR 512

static void queue_info(uint32_t status, uint64_t sectors, uint16_t sector)
{
	struct get_vmgs_device_info info = {
		.header = response(GET_VMGS_GET_DEVICE_INFO),
		.status = status,
		.capacity = sectors,
		.bytes_per_logical_sector = sector,
	};

	fake_uio_queue(&info, sizeof(info));
}

static void queue_io(uint16_t id, uint32_t status, uint8_t byte, size_t len)
{
	struct {
		struct get_vmgs_response head;
		uint8_t data[GET_PAYLOAD_MAX];
	} message = { .head = { response(id), status } };

	memset(message.data, byte, len);
	fake_uio_queue(&message, sizeof(message.head) + len);
}

static struct get *with_vmgs(void)
{
	struct get *get = created();
	uint64_t bytes;
	uint32_t sector;

	queue_info(GET_VMGS_SUCCESS, 8192, SECTOR);
	assert_int_equal(get_vmgs_info(get, &bytes, &sector), 0);
	assert_int_equal(bytes, 8192 * SECTOR);
	assert_int_equal(sector, SECTOR);
	return get;
}

static void test_vmgs_info(void **state)
{
	struct get *get = created();
	uint64_t bytes;
	uint32_t sector;

	(void)state;
	queue_info(GET_VMGS_DEVICE_ERROR, 0, 0);
	assert_int_equal(get_vmgs_info(get, &bytes, &sector), -ENODEV);
	queue_info(GET_VMGS_SUCCESS, 8, 0);
	assert_int_equal(get_vmgs_info(get, &bytes, &sector), -EPROTO);
	queue_info(GET_VMGS_SUCCESS, 8, 513);
	assert_int_equal(get_vmgs_info(get, &bytes, &sector), -EPROTO);
	queue_info(GET_VMGS_SUCCESS, UINT64_MAX, SECTOR);
	assert_int_equal(get_vmgs_info(get, &bytes, &sector), -EPROTO);
	get_destroy(get);
}

static void test_vmgs_read(void **state)
{
	uint8_t buf[GET_PAYLOAD_MAX + SECTOR];
	struct get *get = with_vmgs();

	(void)state;
	queue_io(GET_VMGS_READ, GET_VMGS_SUCCESS, 1, GET_PAYLOAD_MAX);
	queue_io(GET_VMGS_READ, GET_VMGS_SUCCESS, 2, SECTOR);
	assert_int_equal(get_vmgs_read(get, 4096, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0] + buf[GET_PAYLOAD_MAX - 1], 2);
	assert_int_equal(buf[GET_PAYLOAD_MAX] + buf[sizeof(buf) - 1], 4);
	queue_io(GET_VMGS_READ, GET_VMGS_SUCCESS, 1, SECTOR - 1);
	assert_int_equal(get_vmgs_read(get, 0, buf, SECTOR), -EPROTO);
	queue_io(GET_VMGS_READ, GET_VMGS_DEVICE_ERROR, 1, 0);
	assert_int_equal(get_vmgs_read(get, 0, buf, SECTOR), -EIO);
	get_destroy(get);
}

static void written(void *token, int error)
{
	int *result = token;

	assert_int_equal(*result, 1); /* once */
	*result = error;
}

/* The last message, a write: its flags. */
static uint32_t sent_flags(void)
{
	struct get_vmgs_io io;

	memcpy(&io, fake_uio.out, sizeof(io));
	assert_int_equal(io.header.message_id, GET_VMGS_WRITE);
	return io.flags;
}

static void test_vmgs_write(void **state)
{
	static const uint8_t data[GET_PAYLOAD_MAX + SECTOR];
	static const struct get_handler handler;
	struct event_loop *loop = event_loop_create();
	struct get *get = with_vmgs();
	int result = 1, second = 1;
	unsigned int sent = fake_uio.sent;

	(void)state;
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	queue_io(GET_VMGS_FLUSH, GET_VMGS_SUCCESS, 0, 0);
	get_vmgs_write(get, 4096, data, sizeof(data), written, &result);
	assert_int_equal(result, 0);
	assert_int_equal(fake_uio.sent, sent + 3);

	/* what fits one message is written through, and needs no flush */
	result = 1;
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	get_vmgs_write(get, 4096, data, GET_PAYLOAD_MAX, written, &result);
	assert_int_equal(result, 0);
	assert_int_equal(fake_uio.sent, sent + 4);
	assert_int_equal(sent_flags(), GET_VMGS_WRITE_THROUGH);

	/* the same with the loop, which brings the answers */
	assert_int_equal(get_start(get, loop, &handler), 0);
	result = 1;
	get_vmgs_write(get, 4096, data, sizeof(data), written, &result);
	assert_int_equal(sent_flags(), 0);
	/* a flush's answer before there was one is not taken for the end */
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	queue_io(GET_VMGS_FLUSH, GET_VMGS_SUCCESS, 0, 0);
	event_loop_run_once(loop, 0);
	assert_int_equal(result, 1);
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	event_loop_run_once(loop, 0);
	assert_int_equal(result, 1);
	queue_io(GET_VMGS_FLUSH, GET_VMGS_DEVICE_ERROR, 0, 0);
	event_loop_run_once(loop, 0);
	assert_int_equal(result, -EIO);

	result = 1;
	get_vmgs_write(get, 4096, data, sizeof(data), written, &result);
	get_vmgs_write(get, 0, data, SECTOR, written, &second);
	assert_int_equal(second, -EBUSY);
	assert_int_equal(result, 1);
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	queue_io(GET_VMGS_WRITE, GET_VMGS_DEVICE_ERROR, 0, 0);
	event_loop_run_once(loop, 0);
	assert_int_equal(result, -EIO);

	/* an answer that nobody waits for is the host's mistake, and no more */
	queue_io(GET_VMGS_WRITE, GET_VMGS_SUCCESS, 0, 0);
	event_loop_run_once(loop, 0);

	/* a host that breaks off fails what is under way */
	result = 1;
	get_vmgs_write(get, 0, data, SECTOR, written, &result);
	fake_uio.in_end = -EPROTO;
	event_loop_run_once(loop, 0);
	assert_int_equal(result, -EPIPE);
	get_destroy(get);
	event_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vmgs_info),     cmocka_unit_test(test_vmgs_read),
		cmocka_unit_test(test_vmgs_write),    cmocka_unit_test(test_version),
		cmocka_unit_test(test_bad_answers),   cmocka_unit_test(test_settings),
		cmocka_unit_test(test_bad_settings),  cmocka_unit_test(test_endless_settings),
		cmocka_unit_test(test_modifications), cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
