#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "host/vp.h"
#include "tests/unit/host/fake_partition.h"

#define SIMP  0x20000
#define SIEFP 0x21000
#define SINT  2

static struct partition *partition;
static struct vcpu *vcpu;
static struct hv_message *slot;

static int setup(void **state)
{
	(void)state;
	partition = fake_partition_create(2);
	vcpu = &partition->vps[1].vcpu[HOST_VTL0];
	synic_write_msr(vcpu, HV_X64_MSR_SCONTROL, 1);
	synic_write_msr(vcpu, HV_X64_MSR_SIMP, SIMP | 1);
	synic_write_msr(vcpu, HV_X64_MSR_SIEFP, SIEFP | 1);
	synic_write_msr(vcpu, HV_X64_MSR_SINT0 + SINT, 0x71);
	slot = (struct hv_message *)(partition->memory.view[HOST_VIEW_VTL0] + SIMP) + SINT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_partition_destroy(partition);
	return 0;
}

static void free_slot(void)
{
	slot->header.message_type = HV_MESSAGE_TYPE_NONE;
	synic_write_msr(vcpu, HV_X64_MSR_EOM, 0);
}

static void message_lands_and_interrupts(void **state)
{
	(void)state;
	assert_int_equal(synic_post(vcpu, SINT, 1, "hello", 5), 0);
	assert_int_equal(slot->header.message_type, 1);
	assert_int_equal(slot->header.payload_size, 5);
	assert_memory_equal(slot->payload, "hello", 5);
	assert_int_equal(fake_interrupts.count, 1);
	assert_int_equal(fake_interrupts.vp, 1);
	assert_int_equal(fake_interrupts.vtl, HOST_VTL0);
	assert_int_equal(fake_interrupts.vector, 0x71);
}

static void messages_keep_their_order(void **state)
{
	uint8_t i;

	(void)state;
	for (i = 1; i <= 5; i++)
		assert_int_equal(synic_post(vcpu, SINT, i, &i, 1), 0);
	for (i = 1; i <= 5; i++) {
		assert_int_equal(slot->header.message_type, i);
		assert_int_equal(slot->payload[0], i);
		/* The flag says whether it is worth telling us that the slot is free. */
		assert_int_equal(slot->header.message_flags, i < 5 ? HV_MESSAGE_FLAG_PENDING : 0);
		free_slot();
	}
	assert_int_equal(slot->header.message_type, HV_MESSAGE_TYPE_NONE);
}

static void full_queue_pushes_back(void **state)
{
	unsigned int i;
	int ret = 0;

	(void)state;
	for (i = 0; i < 1000 && !ret; i++)
		ret = synic_post(vcpu, SINT, 1, "", 0);
	assert_int_equal(ret, -EAGAIN);
	assert_in_range(i, 2, 100);
	free_slot();
	assert_int_equal(synic_post(vcpu, SINT, 1, "", 0), 0);
}

/* VTL2's own messages do not queue: it hears when the slot is free, if it wants to. */
static void direct_messages_do_not_wait(void **state)
{
	(void)state;
	assert_int_equal(synic_post_direct(vcpu, SINT, 1, "a", 1), 0);
	assert_int_equal(synic_post_direct(vcpu, SINT, 2, "b", 1), -EAGAIN);
	assert_int_equal(slot->header.message_flags, HV_MESSAGE_FLAG_PENDING);
	assert_int_equal(synic_deliverable(vcpu), 0);
	synic_want(vcpu, 1 << SINT);
	assert_int_equal(synic_deliverable(vcpu), 0);
	free_slot();
	assert_int_equal(slot->header.message_type, HV_MESSAGE_TYPE_NONE);
	assert_int_equal(synic_deliverable(vcpu), 1 << SINT);
	assert_int_equal(synic_deliverable(vcpu), 0); /* said once */
	assert_int_equal(synic_post_direct(vcpu, SINT, 2, "b", 1), 0);
	assert_int_equal(fake_interrupts.count, 2);
}

/* Behind those that wait; and the guest is made to tell of a slot that is only wanted. */
static void direct_messages_do_not_overtake(void **state)
{
	(void)state;
	assert_int_equal(synic_post(vcpu, SINT, 1, "", 0), 0);
	synic_want(vcpu, 1 << SINT | 1 << (SINT + 1));
	assert_int_equal(synic_deliverable(vcpu), 1 << (SINT + 1));
	assert_int_equal(slot->header.message_flags, HV_MESSAGE_FLAG_PENDING);
	assert_int_equal(synic_post(vcpu, SINT, 2, "", 0), 0);
	slot->header.message_type = HV_MESSAGE_TYPE_NONE;
	assert_int_equal(synic_post_direct(vcpu, SINT, 3, "", 0), -EAGAIN);
	assert_int_equal(synic_deliverable(vcpu), 0);
	synic_write_msr(vcpu, HV_X64_MSR_SIMP, SIMP); /* nothing would wait then */
	assert_int_equal(synic_deliverable(vcpu), 1 << SINT);
	assert_int_equal(synic_post_direct(vcpu, SINT, 3, "", 0), -ENODEV);
}

static void masked_sint_is_silent(void **state)
{
	(void)state;
	assert_true(synic_listening(vcpu, SINT));
	synic_write_msr(vcpu, HV_X64_MSR_SINT0 + SINT, 0x10071);
	assert_false(synic_listening(vcpu, SINT));
	assert_int_equal(synic_post(vcpu, SINT, 1, "", 0), 0);
	assert_int_equal(slot->header.message_type, 1);
	assert_int_equal(fake_interrupts.count, 0);
}

static void event_flag_is_set_once(void **state)
{
	uint8_t *flags = partition->memory.view[HOST_VIEW_VTL0] + SIEFP + SINT * 256;

	(void)state;
	assert_int_equal(synic_signal(vcpu, SINT, 2047), 1);
	assert_int_equal(flags[255], 0x80);
	assert_int_equal(fake_interrupts.count, 1);
	assert_int_equal(synic_signal(vcpu, SINT, 2047), 0);
	assert_int_equal(fake_interrupts.count, 1);
	assert_int_equal(synic_signal(vcpu, SINT, 2048), -EINVAL);
	assert_int_equal(synic_signal(vcpu, 16, 0), -EINVAL);
}

static void disabled_pages_take_nothing(void **state)
{
	(void)state;
	synic_write_msr(vcpu, HV_X64_MSR_SIMP, SIMP);
	synic_write_msr(vcpu, HV_X64_MSR_SIEFP, SIEFP);
	assert_int_equal(synic_post(vcpu, SINT, 1, "", 0), -ENODEV);
	assert_int_equal(synic_signal(vcpu, SINT, 0), -ENODEV);
}

/* VTL0 may name VTL2's memory as its pages: nothing may be written there. */
static void pages_in_vtl2_are_left_alone(void **state)
{
	uint64_t vtl2 = partition->memory.vtl2_base;
	uint8_t *there = partition->memory.view[HOST_VIEW_VTL2] + vtl2;

	(void)state;
	memset(there, 0xa5, HV_PAGE_SIZE);
	synic_write_msr(vcpu, HV_X64_MSR_SIMP, vtl2 | 1);
	synic_write_msr(vcpu, HV_X64_MSR_SIEFP, vtl2 | 1);
	assert_int_equal(synic_post(vcpu, SINT, 1, "x", 1), -ENODEV);
	assert_int_equal(synic_signal(vcpu, SINT, 3), -ENODEV);
	for (unsigned int i = 0; i < HV_PAGE_SIZE; i++)
		assert_int_equal(there[i], 0xa5);
}

static void bad_msr_values(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(synic_write_msr(vcpu, HV_X64_MSR_SINT0, 3), -EINVAL); /* a low vector */
	assert_int_equal(synic_write_msr(vcpu, HV_X64_MSR_SVERSION, 1), -EINVAL);
	assert_int_equal(synic_read_msr(vcpu, HV_X64_MSR_SVERSION, &value), 0);
	assert_int_equal(value, HV_SYNIC_VERSION_1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(message_lands_and_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue_pushes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(direct_messages_do_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(direct_messages_do_not_overtake, setup, teardown),
		cmocka_unit_test_setup_teardown(masked_sint_is_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(event_flag_is_set_once, setup, teardown),
		cmocka_unit_test_setup_teardown(disabled_pages_take_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_in_vtl2_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_msr_values, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
