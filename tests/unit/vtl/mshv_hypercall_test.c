#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "core/log.h"
#include "proto/hv_cpuid.h"
#include "vtl/mshv_private.h"

/* The driver by --wrap=ioctl: remembers the last call, answers as the test says. */
static uint8_t bitmap[32], input[HV_PAGE_SIZE];
static struct mshv_vtl_hvcall last;
static unsigned int calls, at_most; /* repetitions that a call completes; 0: all */
static uint64_t status;
static struct mshv mshv = { .hypercall_fd = 9 };
static struct vtl *const vtl = &mshv.vtl;

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	union hv_hypercall_control control;
	struct mshv_vtl_hvcall *call;
	unsigned int reps;
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	assert_int_equal(fd, 9);
	if (request == MSHV_HVCALL_SETUP) {
		const struct mshv_vtl_hvcall_setup *setup = arg;

		assert_in_range(setup->bitmap_array_size, 1, sizeof(bitmap));
		memcpy(bitmap, (void *)(uintptr_t)setup->allow_bitmap_ptr,
		       setup->bitmap_array_size);
		return 0;
	}
	assert_int_equal(request, MSHV_HVCALL);
	call = arg;
	calls++;
	last = *call;
	assert_in_range(call->input_size, 0, sizeof(input));
	memcpy(input, (void *)(uintptr_t)call->input_ptr, call->input_size);
	control.as_uint64 = call->control;
	reps = at_most && at_most < control.rep_count ? at_most : control.rep_count;
	call->status = status | (uint64_t)reps << 32;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(bitmap, 0, sizeof(bitmap));
	calls = at_most = 0;
	status = 0;
	log_set_level(LOG_ERROR);
	return 0;
}

static void test_allow_list(void **state)
{
	static const uint16_t wanted[] = { 0x0c, 0x4d, 0x94, 0xc0, 0xc1 };
	unsigned int set = 0;

	(void)state;
	status = HV_STATUS_INVALID_HYPERCALL_CODE; /* of the intercepts: not fatal */
	assert_int_equal(mshv_hypercall_setup(&mshv), 0);
	for (unsigned int i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		assert_true(bitmap[wanted[i] / 8] & 1 << wanted[i] % 8);
	for (unsigned int i = 0; i < 8 * sizeof(bitmap); i++)
		set += bitmap[i / 8] >> i % 8 & 1;
	assert_int_equal(set, sizeof(wanted) / sizeof(*wanted));
}

static void test_assert_interrupt(void **state)
{
	const struct vtl_interrupt interrupt = {
		.type = HV_X64_INTERRUPT_TYPE_LOWEST_PRIORITY,
		.destination = 3,
		.logical = true,
		.level_triggered = true,
		.vector = 0x51,
	};
	struct hv_input_assert_virtual_interrupt *in = (void *)input;

	(void)state;
	assert_int_equal(mshv_assert_interrupt(vtl, &interrupt), 0);
	assert_int_equal(last.control, HV_CALL_ASSERT_VIRTUAL_INTERRUPT);
	assert_int_equal(last.input_size, sizeof(*in));
	assert_int_equal(in->partition_id, HV_PARTITION_ID_SELF);
	assert_int_equal(in->interrupt_control.as_uint64, 0x300000001);
	assert_int_equal(in->destination_address, 3);
	assert_int_equal(in->requested_vector, 0x51);
	assert_int_equal(in->target_vtl, 0);
	status = HV_STATUS_INVALID_VP_INDEX;
	assert_int_equal(mshv_assert_interrupt(vtl, &interrupt), -ENOENT);
}

static void test_post_message(void **state)
{
	const uint8_t long_payload[241] = { 0 };

	(void)state;
	assert_int_equal(mshv_post_message(vtl, 2, 4, 1, "abc", 3), 0);
	assert_int_equal(last.control, HV_CALL_POST_MESSAGE_DIRECT);
	assert_int_equal(last.input_size, 276);
	assert_int_equal(input[8], 2);  /* VP */
	assert_int_equal(input[12], 0); /* VTL */
	assert_int_equal(input[16], 4); /* SINT */
	assert_int_equal(input[20], 1); /* type */
	assert_int_equal(input[24], 3); /* length */
	assert_memory_equal(input + 36, "abc", 4);
	status = HV_STATUS_INSUFFICIENT_BUFFERS;
	assert_int_equal(mshv_post_message(vtl, 2, 4, 1, "abc", 3), -EAGAIN);
	assert_int_equal(mshv_post_message(vtl, 2, 4, 1, long_payload, 241), -EMSGSIZE);
	assert_int_equal(calls, 2);
}

/* mshv_vp.c's: an action of the VTL return as long as there is room. */
static unsigned int room;

bool mshv_vp_signal_at_return(const struct mshv *m, uint32_t vp, uint8_t sint, uint16_t flag)
{
	assert_ptr_equal(m, &mshv);
	assert_int_equal(vp, 1);
	assert_int_equal(sint, 2);
	assert_int_equal(flag, 0x123);
	return room && room--;
}

static void test_signal_event(void **state)
{
	(void)state;
	room = 2;
	assert_int_equal(mshv_signal_event(vtl, 1, 2, 0x123), 0);
	assert_int_equal(mshv_signal_event(vtl, 1, 2, 0x123), 0);
	assert_int_equal(calls, 0);
	assert_int_equal(mshv_signal_event(vtl, 1, 2, 0x123), 0);
	assert_int_equal(last.control, HV_CALL_SIGNAL_EVENT_DIRECT);
	assert_int_equal(input[8], 1);
	assert_int_equal(input[13], 2);
	assert_int_equal(input[14] | input[15] << 8, 0x123);
}

/* 1,000 pages do not fit one page of input, and the hypervisor may do fewer than it is given. */
static void test_protect(void **state)
{
	uint64_t first;

	(void)state;
	assert_int_equal(mshv_protect(vtl, 0x10000000, 1000 * 4096, HV_MAP_GPA_READABLE), 0);
	assert_int_equal(calls, 2);
	assert_int_equal(last.control, HV_CALL_MODIFY_VTL_PROTECTION_MASK | 490ull << 32);
	memcpy(&first, input + 16, 8);
	assert_int_equal(first, 0x10000 + 510);
	assert_int_equal(input[8], HV_MAP_GPA_READABLE);
	assert_int_equal(input[12], HV_INPUT_VTL_USE_TARGET);
	at_most = 100;
	calls = 0;
	assert_int_equal(mshv_protect(vtl, 0, 250 * 4096, 0), 0);
	assert_int_equal(calls, 3);
	status = HV_STATUS_ACCESS_DENIED;
	assert_int_equal(mshv_protect(vtl, 0, 4096, 0), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_allow_list, setup),
		cmocka_unit_test_setup(test_assert_interrupt, setup),
		cmocka_unit_test_setup(test_post_message, setup),
		cmocka_unit_test_setup(test_signal_event, setup),
		cmocka_unit_test_setup(test_protect, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
