#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/guest_memory.h"
#include "core/retarget.h"
#include "paravisor/hypercall.h"
#include "vtl/vp_exit.h"

static uint8_t ram[8192] __attribute__((aligned(4096)));
static struct guest_memory *memory;

static struct {
	struct hv_input_post_message message;
	uint32_t connection_id;
	uint16_t flag;
	struct retarget retarget;
	unsigned int calls;
	enum hv_status status;
} seen;

static enum hv_status take_message(void *ctx, const struct hv_input_post_message *input)
{
	(void)ctx;
	seen.message = *input;
	seen.calls++;
	return seen.status;
}

static enum hv_status take_event(void *ctx, uint32_t connection_id, uint16_t flag)
{
	(void)ctx;
	seen.connection_id = connection_id;
	seen.flag = flag;
	seen.calls++;
	return seen.status;
}

static enum hv_status take_retarget(void *ctx, const struct retarget *retarget)
{
	(void)ctx;
	seen.retarget = *retarget;
	seen.calls++;
	return seen.status;
}

static const struct hypercall_sink sink = { take_message, take_event, take_retarget, NULL };

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(ram, 0, sizeof(ram));
	memory = guest_memory_create();
	return memory ? guest_memory_add(memory, 0x10000, ram, sizeof(ram)) : -1;
}

static int teardown(void **state)
{
	(void)state;
	guest_memory_destroy(memory);
	return 0;
}

static uint64_t call(uint64_t control, uint64_t input)
{
	struct vp_exit_hypercall h = { .control = control, .input = { input } };

	return hypercall_handle(memory, &sink, &h).as_uint64;
}

static void test_post_message(void **state)
{
	const struct hv_input_post_message input = {
		.connection_id = 4, .message_type = 1, .payload_size = 3, .payload = "abc"
	};

	(void)state;
	memcpy(ram + 8, &input, sizeof(input));
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x10008), HV_STATUS_SUCCESS);
	assert_int_equal(seen.message.connection_id, 4);
	assert_memory_equal(seen.message.payload, "abc", 3);
	seen.status = HV_STATUS_INSUFFICIENT_BUFFERS;
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x10008), HV_STATUS_INSUFFICIENT_BUFFERS);
}

static void test_post_message_refused(void **state)
{
	struct hv_input_post_message *input = (void *)ram;

	(void)state;
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x10004), HV_STATUS_INVALID_ALIGNMENT);
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x10f08), HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x90000), HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(call(HV_CALL_POST_MESSAGE, ~7ull), HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(call(HV_CALL_POST_MESSAGE | 1 << 16, 0x10000),
			 HV_STATUS_INVALID_HYPERCALL_INPUT);
	input->payload_size = 241;
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x10000), HV_STATUS_INVALID_PARAMETER);
	input->payload_size = 240;
	input->message_type = 0x80000000;
	assert_int_equal(call(HV_CALL_POST_MESSAGE, 0x10000), HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(seen.calls, 0);
}

static void test_signal_event(void **state)
{
	const struct hv_input_signal_event input = { .connection_id = 0x10007, .flag_number = 9 };

	(void)state;
	assert_int_equal(call(HV_CALL_SIGNAL_EVENT | 1 << 16, 0x300010002), HV_STATUS_SUCCESS);
	assert_int_equal(seen.connection_id, 0x10002);
	assert_int_equal(seen.flag, 3);
	memcpy(ram + 4088, &input, sizeof(input));
	assert_int_equal(call(HV_CALL_SIGNAL_EVENT, 0x10ff8), HV_STATUS_SUCCESS);
	assert_int_equal(seen.connection_id, 0x10007);
	assert_int_equal(seen.flag, 9);
}

/* As Linux's pci-hyperv asks: a sparse set in the variable header, here at a page's end. */
static void test_retarget(void **state)
{
	const struct {
		struct hv_input_retarget_device_interrupt in;
		uint64_t set[2];
	} input = {
		.in = { .partition_id = HV_PARTITION_ID_SELF,
			.device_id = 0x12345678,
			.interrupt_entry = { .source = HV_INTERRUPT_SOURCE_MSI,
					     .data = { 0xfee00000, 9 } },
			.vector = 77,
			.flags = HV_DEVICE_INTERRUPT_TARGET_PROCESSOR_SET,
			.processor_mask_or_format = HV_GENERIC_SET_SPARSE_4K },
		.set = { 1, 1 << 3 },
	};
	const uint64_t code = HV_CALL_RETARGET_DEVICE_INTERRUPT, two = 2 << 17;
	const uint64_t at = 0x11000 - sizeof(input);

	(void)state;
	memcpy(ram + 4096 - sizeof(input), &input, sizeof(input));
	assert_int_equal(call(code | two, at), HV_STATUS_SUCCESS);
	assert_int_equal(seen.retarget.device_id, 0x12345678);
	assert_int_equal(seen.retarget.address, 0xfee00000);
	assert_int_equal(seen.retarget.data, 9);
	assert_int_equal(seen.retarget.vp, 3);
	assert_int_equal(seen.retarget.vector, 77);
	seen.calls = 0;
	assert_int_equal(call(code | two, at + 8), HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(call(code | two | 1 << 16, at), HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(call(code | 1 << 17, at), HV_STATUS_INVALID_PARAMETER); /* no bank */
	assert_int_equal(call(code, at), HV_STATUS_INVALID_PARAMETER);
	ram[4096 - sizeof(input)] = 0; /* another partition */
	assert_int_equal(call(code | two, at), HV_STATUS_INVALID_PARTITION_ID);
	assert_int_equal(seen.calls, 0);
}

static void test_malformed_control(void **state)
{
	(void)state;
	assert_int_equal(call(HV_CALL_SIGNAL_EVENT | 1 << 16 | 1ull << 32, 0),
			 HV_STATUS_INVALID_HYPERCALL_INPUT); /* a repeat count */
	assert_int_equal(call(HV_CALL_SIGNAL_EVENT | 1 << 16 | 1 << 17, 0),
			 HV_STATUS_INVALID_HYPERCALL_INPUT); /* a variable header */
	assert_int_equal(call(HV_CALL_SIGNAL_EVENT | 1 << 16 | 1ull << 63, 0),
			 HV_STATUS_INVALID_HYPERCALL_INPUT); /* a reserved bit */
	assert_int_equal(call(0x7777, 0), HV_STATUS_INVALID_HYPERCALL_CODE);
	assert_int_equal(seen.calls, 0);
}

static void test_no_sink(void **state)
{
	struct vp_exit_hypercall h = { .control = HV_CALL_POST_MESSAGE, .input = { 0x10000 } };

	(void)state;
	assert_int_equal(hypercall_handle(memory, NULL, &h).as_uint64,
			 HV_STATUS_INVALID_CONNECTION_ID);
	h.control = HV_CALL_SIGNAL_EVENT | 1 << 16;
	assert_int_equal(hypercall_handle(memory, NULL, &h).as_uint64,
			 HV_STATUS_INVALID_CONNECTION_ID);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_post_message),
		TEST(test_post_message_refused),
		TEST(test_signal_event),
		TEST(test_retarget),
		TEST(test_malformed_control),
		TEST(test_no_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
