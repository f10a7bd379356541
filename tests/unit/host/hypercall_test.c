#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "host/hypercall.h"
#include "host/vp.h"
#include "proto/host_port.h"
#include "tests/unit/host/fake_partition.h"

#define INPUT  0x10000
#define OUTPUT 0x11000

static struct partition *partition;

static int setup(void **state)
{
	(void)state;
	partition = fake_partition_create(2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_partition_destroy(partition);
	return 0;
}

static struct vcpu *vcpu_of(enum host_vtl vtl)
{
	return &partition->vps[0].vcpu[vtl];
}

/* Makes the call and returns RAX. */
static union hv_hypercall_result call(enum host_vtl vtl, uint64_t control, uint64_t rdx,
				      uint64_t r8)
{
	struct kvm_regs *regs = vcpu_write_regs(vcpu_of(vtl));

	regs->rcx = control;
	regs->rdx = rdx;
	regs->r8 = r8;
	regs->rax = ~0ull;
	assert_true(hypercall_dispatch(vcpu_of(vtl)));
	return (union hv_hypercall_result){ .as_uint64 = vcpu_regs(vcpu_of(vtl))->rax };
}

static union hv_hypercall_result call_with(enum host_vtl vtl, uint64_t control, const void *input,
					   size_t len)
{
	assert_int_equal(host_memory_write(&partition->memory, HOST_VIEW_VTL2, INPUT, input, len),
			 0);
	return call(vtl, control, INPUT, OUTPUT);
}

static uint64_t control(uint16_t code, unsigned int reps)
{
	union hv_hypercall_control c = { .call_code = code, .rep_count = reps };

	return c.as_uint64;
}

static void unknown_code_is_refused(void **state)
{
	(void)state;
	assert_int_equal(call(HOST_VTL2, control(0x7fff, 0), INPUT, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_CODE);
}

/* What VTL2 may do, VTL0 may not even know of. */
static void vtl0_has_none_of_vtl2s_calls(void **state)
{
	static const uint16_t codes[] = {
		HV_CALL_GET_VP_REGISTERS,           HV_CALL_SET_VP_REGISTERS,
		HV_CALL_MODIFY_VTL_PROTECTION_MASK, HV_CALL_TRANSLATE_VIRTUAL_ADDRESS,
		HV_CALL_START_VIRTUAL_PROCESSOR,    HV_CALL_ENABLE_VP_VTL,
		HV_CALL_ASSERT_VIRTUAL_INTERRUPT,   HV_CALL_POST_MESSAGE_DIRECT,
		HV_CALL_SIGNAL_EVENT_DIRECT,        HV_CALL_INSTALL_INTERCEPT,
		HV_CALL_RETARGET_DEVICE_INTERRUPT,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_int_equal(call(HOST_VTL0, control(codes[i], 0), INPUT, OUTPUT).status,
				 HV_STATUS_INVALID_HYPERCALL_CODE);
		assert_int_equal(call(HOST_VTL0, control(codes[i], 1), INPUT, OUTPUT).status,
				 HV_STATUS_INVALID_HYPERCALL_CODE);
	}
}

static void get_and_set_registers(void **state)
{
	struct {
		struct hv_input_vp_registers head;
		struct hv_register_assoc assoc[2];
	} set = {
		.head = { .partition_id = HV_PARTITION_ID_SELF,
			  .vp_index = HV_VP_INDEX_SELF,
			  .input_vtl = HV_INPUT_VTL_USE_TARGET },
		.assoc = { { .name = HV_X64_REGISTER_RIP, .value.reg64 = 0x1234 },
			   { .name = HV_X64_REGISTER_R15, .value.reg64 = 0x5678 } },
	};
	struct {
		struct hv_input_vp_registers head;
		uint32_t names[2];
	} get = { .head = set.head, .names = { HV_X64_REGISTER_R15, HV_X64_REGISTER_RIP } };
	union hv_register_value values[2];
	union hv_hypercall_result result;

	(void)state;
	result = call_with(HOST_VTL2, control(HV_CALL_SET_VP_REGISTERS, 2), &set, sizeof(set));
	assert_int_equal(result.status, HV_STATUS_SUCCESS);
	assert_int_equal(result.reps_completed, 2);
	assert_int_equal(vcpu_regs(vcpu_of(HOST_VTL0))->rip, 0x1234);
	result = call_with(HOST_VTL2, control(HV_CALL_GET_VP_REGISTERS, 2), &get, sizeof(get));
	assert_int_equal(result.status, HV_STATUS_SUCCESS);
	host_memory_read(&partition->memory, HOST_VIEW_VTL2, OUTPUT, values, sizeof(values));
	assert_int_equal(values[0].reg64, 0x5678);
	assert_int_equal(values[1].reg64, 0x1234);
}

/* KVM leaves the bits of all interrupts that were ever on their way at an exit, and would deliver one anew. */
static void old_interrupts_are_not_loaded(void **state)
{
	struct {
		struct hv_input_vp_registers head;
		struct hv_register_assoc assoc;
	} set = {
		.head = { .partition_id = HV_PARTITION_ID_SELF,
			  .vp_index = HV_VP_INDEX_SELF,
			  .input_vtl = HV_INPUT_VTL_USE_TARGET },
		.assoc = { .name = HV_X64_REGISTER_CR3, .value.reg64 = 0x5000 },
	};
	struct kvm_run *run = vcpu_of(HOST_VTL0)->run;

	(void)state;
	run->kvm_dirty_regs = 0;
	run->s.regs.sregs.interrupt_bitmap[0] = UINT64_C(1) << 33;
	assert_int_equal(
		call_with(HOST_VTL2, control(HV_CALL_SET_VP_REGISTERS, 1), &set, sizeof(set))
			.status,
		HV_STATUS_SUCCESS);
	assert_int_equal(run->s.regs.sregs.cr3, 0x5000);
	assert_true(run->kvm_dirty_regs & KVM_SYNC_X86_SREGS);
	assert_int_equal(run->s.regs.sregs.interrupt_bitmap[0], 0);
}

static void bad_register_stops_the_list(void **state)
{
	struct {
		struct hv_input_vp_registers head;
		uint32_t names[3];
	} get = {
		.head = { .partition_id = HV_PARTITION_ID_SELF, .vp_index = HV_VP_INDEX_SELF },
		.names = { HV_X64_REGISTER_RIP, 0x7777777, HV_X64_REGISTER_RSP },
	};
	union hv_hypercall_result result =
		call_with(HOST_VTL2, control(HV_CALL_GET_VP_REGISTERS, 3), &get, sizeof(get));

	(void)state;
	assert_int_equal(result.status, HV_STATUS_UNKNOWN_REGISTER_NAME);
	assert_int_equal(result.reps_completed, 1);
}

/* Input in VTL2's memory must not be read for VTL0, output there not be written. */
static void vtl0_cannot_point_into_vtl2(void **state)
{
	uint64_t vtl2 = partition->memory.vtl2_base;
	uint64_t c = control(HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0);
	struct hv_input_send_synthetic_cluster_ipi ipi = { .vector = 0x40, .processor_mask = 3 };

	(void)state;
	host_memory_write(&partition->memory, HOST_VIEW_VTL2, vtl2, &ipi, sizeof(ipi));
	assert_int_equal(call(HOST_VTL0, c, vtl2, 0).status, HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(fake_interrupts.count, 0);
	assert_int_equal(call(HOST_VTL2, c, vtl2, 0).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_interrupts.count, 2);
}

static void ipi_of_vtl0_stays_in_vtl0(void **state)
{
	struct hv_input_send_synthetic_cluster_ipi ipi = { .vector = 0x40, .processor_mask = 2 };
	uint64_t c = control(HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0);

	(void)state;
	assert_int_equal(call_with(HOST_VTL0, c, &ipi, sizeof(ipi)).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_interrupts.vtl, HOST_VTL0);
	assert_int_equal(fake_interrupts.vp, 1);
	assert_int_equal(fake_interrupts.vector, 0x40);
	ipi.target_vtl = HV_INPUT_VTL_USE_TARGET | 2;
	assert_int_equal(call_with(HOST_VTL0, c, &ipi, sizeof(ipi)).status,
			 HV_STATUS_ACCESS_DENIED);
	ipi.target_vtl = 0;
	ipi.vector = 3;
	assert_int_equal(call_with(HOST_VTL0, c, &ipi, sizeof(ipi)).status,
			 HV_STATUS_INVALID_PARAMETER);
}

static void fast_ipi(void **state)
{
	union hv_hypercall_control c = { .call_code = HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI,
					 .is_fast = 1 };

	(void)state;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, 0x51, 1).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_interrupts.vector, 0x51);
	assert_int_equal(fake_interrupts.vtl, HOST_VTL2);
}

static void malformed_control_words(void **state)
{
	union hv_hypercall_control c = { .call_code = HV_CALL_GET_VP_REGISTERS };

	(void)state;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_INPUT); /* a rep call without reps */
	c.rep_count = 1;
	c.rep_start = 1;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_INPUT);
	c.rep_start = 0;
	c.reserved1 = 1;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_INPUT);
	c.reserved1 = 0;
	c.is_fast = 1;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_INPUT);
	c.is_fast = 0;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT + 4, OUTPUT).status,
			 HV_STATUS_INVALID_ALIGNMENT);
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT + 0xff8, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_INPUT); /* crosses a page */
	c.rep_count = 4095;
	assert_int_equal(call(HOST_VTL2, c.as_uint64, INPUT, OUTPUT).status,
			 HV_STATUS_INVALID_HYPERCALL_INPUT);
}

static void protection_follows_vtl2s_wish(void **state)
{
	struct {
		struct hv_input_modify_vtl_protection_mask head;
		uint64_t pages[2];
	} input = {
		.head = { .partition_id = HV_PARTITION_ID_SELF,
			  .map_flags = HV_MAP_GPA_READABLE,
			  .input_vtl = HV_INPUT_VTL_USE_TARGET },
		.pages = { 0x100, 0x1ff },
	};
	uint64_t c = control(HV_CALL_MODIFY_VTL_PROTECTION_MASK, 2);
	const struct host_memory *memory = &partition->memory;
	union hv_hypercall_result result = call_with(HOST_VTL2, c, &input, sizeof(input));

	(void)state;
	assert_int_equal(result.status, HV_STATUS_SUCCESS);
	assert_true(host_memory_allows(memory, HOST_VIEW_VTL0, 0x100000, 4096, HOST_READ));
	assert_false(host_memory_allows(memory, HOST_VIEW_VTL0, 0x100000, 4096, HOST_WRITE));
	assert_false(host_memory_allows(memory, HOST_VIEW_VTL0, 0x1ff000, 1, HOST_WRITE));
	assert_true(host_memory_allows(memory, HOST_VIEW_VTL0, 0x101000, 4096, HOST_WRITE));
	input.pages[1] = ~0ull;
	result = call_with(HOST_VTL2, c, &input, sizeof(input));
	assert_int_equal(result.status, HV_STATUS_OPERATION_DENIED);
	assert_int_equal(result.reps_completed, 1);
}

static void messages_go_where_they_belong(void **state)
{
	struct hv_input_post_message input = { .connection_id = HOST_PORT_CONNECTION_ID,
					       .message_type = 1,
					       .payload_size = 240 };
	uint64_t c = control(HV_CALL_POST_MESSAGE, 0);

	(void)state;
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_messages.host_port, 1);
	input.connection_id = 4;
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_messages.vmbus, 1);
	input.connection_id = 0x800074;
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_CONNECTION_ID);
	input.payload_size = 241;
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_PARAMETER);
}

/* Once VTL2 has asked for them, dispatch leaves VTL0's calls of this kind to it. */
static void vtl2_takes(enum hv_intercept_type type, uint64_t c)
{
	struct hv_input_install_intercept intercept = {
		.partition_id = HV_PARTITION_ID_SELF,
		.access_type_mask = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
		.intercept_type = type,
	};

	assert_int_equal(call_with(HOST_VTL2, control(HV_CALL_INSTALL_INTERCEPT, 0), &intercept,
				   sizeof(intercept))
				 .status,
			 HV_STATUS_SUCCESS);
	vcpu_write_regs(vcpu_of(HOST_VTL0))->rcx = c;
	assert_false(hypercall_dispatch(vcpu_of(HOST_VTL0)));
}

/* VTL0's messages are nobody's until VTL2 asks for them; then dispatch leaves them to VTL2. */
static void vtl0_messages_need_an_intercept(void **state)
{
	struct hv_input_post_message input = { .connection_id = HOST_PORT_CONNECTION_ID,
					       .message_type = 1,
					       .payload_size = 8 };
	uint64_t c = control(HV_CALL_POST_MESSAGE, 0);

	(void)state;
	assert_int_equal(call_with(HOST_VTL0, c, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_CONNECTION_ID);
	assert_int_equal(fake_messages.host_port, 0);
	vtl2_takes(HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION, c);
}

/* An interrupt of a function that VTL0 has from VTL2. */
static void vtl0_retargets_need_an_intercept(void **state)
{
	struct hv_input_retarget_device_interrupt input = {
		.partition_id = HV_PARTITION_ID_SELF,
		.interrupt_entry = { .source = HV_INTERRUPT_SOURCE_MSI,
				     .data = { 0xfee00000, FAKE_MSI_DATA } },
		.vector = 77,
		.processor_mask_or_format = 1,
	};
	uint64_t c = control(HV_CALL_RETARGET_DEVICE_INTERRUPT, 0);

	(void)state;
	fake_retarget.vector = 0;
	assert_int_equal(call_with(HOST_VTL0, c, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_HYPERCALL_CODE);
	vtl2_takes(HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_WITH_UNKNOWN_DEVICE_ID, c);
	assert_int_equal(fake_retarget.vector, 0); /* VTL2's own functions are not VTL0's */
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_retarget.vector, 77);
}

static void level_interrupt_becomes_a_message(void **state)
{
	struct hv_input_assert_virtual_interrupt input = {
		.partition_id = HV_PARTITION_ID_SELF,
		.interrupt_control = { .interrupt_type = HV_X64_INTERRUPT_TYPE_FIXED,
				       .level_triggered = 1 },
		.destination_address = 1,
		.requested_vector = 0x31,
	};
	uint64_t c = control(HV_CALL_ASSERT_VIRTUAL_INTERRUPT, 0);

	(void)state;
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status, HV_STATUS_SUCCESS);
	assert_int_equal(fake_interrupts.msi_address, 0xfee01000);
	assert_int_equal(fake_interrupts.msi_data, 0xc031);
	input.target_vtl = 2;
	assert_int_equal(call_with(HOST_VTL2, c, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_PARAMETER);
}

static void thirty_two_bit_callers_use_pairs(void **state)
{
	struct vcpu *vcpu = vcpu_of(HOST_VTL0);
	struct kvm_regs *regs = vcpu_write_regs(vcpu);

	(void)state;
	vcpu->run->s.regs.sregs.efer = 0;
	regs->rdx = 0;
	regs->rax = HV_CALL_NOTIFY_LONG_SPIN_WAIT | 1 << 16;
	regs->rbx = regs->rcx = 0;
	assert_true(hypercall_dispatch(vcpu));
	assert_int_equal(regs->rax, HV_STATUS_SUCCESS);
	assert_int_equal(regs->rdx, 0);
}

/* As Linux's pci-hyperv makes it: a sparse set in the variable header. */
static void interrupts_are_retargeted(void **state)
{
	struct {
		struct hv_input_retarget_device_interrupt in;
		uint64_t banks[2];
	} input = {
		.in = {
			.partition_id = HV_PARTITION_ID_SELF,
			.device_id = 0x12345678,
			.interrupt_entry = { .source = HV_INTERRUPT_SOURCE_MSI,
					     .data = { 0xfee00000, FAKE_MSI_DATA } },
			.vector = 77,
			.flags = HV_DEVICE_INTERRUPT_TARGET_PROCESSOR_SET,
			.processor_mask_or_format = HV_GENERIC_SET_SPARSE_4K,
		},
		.banks = { 1, 1 << 1 },
	};
	union hv_hypercall_control c = { .call_code = HV_CALL_RETARGET_DEVICE_INTERRUPT,
					 .variable_header_size = 2 };

	(void)state;
	assert_int_equal(call_with(HOST_VTL2, c.as_uint64, &input, sizeof(input)).status, 0);
	assert_int_equal(fake_retarget.device_id, 0x12345678);
	assert_int_equal(fake_retarget.address, 0xfee00000);
	assert_int_equal(fake_retarget.vp, 1);
	assert_int_equal(fake_retarget.vector, 77);
	input.in.interrupt_entry.data[1] = FAKE_MSI_DATA + 1;
	assert_int_equal(call_with(HOST_VTL2, c.as_uint64, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_PARAMETER);
	input.in.interrupt_entry.data[1] = FAKE_MSI_DATA;
	input.banks[1] = 0;
	assert_int_equal(call_with(HOST_VTL2, c.as_uint64, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_PARAMETER);
	c.variable_header_size = 1; /* a set without banks */
	assert_int_equal(call_with(HOST_VTL2, c.as_uint64, &input, sizeof(input)).status,
			 HV_STATUS_INVALID_PARAMETER);
	c.variable_header_size = 0;
	input.in.flags = 0;
	input.in.processor_mask_or_format = 1;
	assert_int_equal(call_with(HOST_VTL2, c.as_uint64, &input, sizeof(input.in)).status, 0);
	assert_int_equal(fake_retarget.vp, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unknown_code_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupts_are_retargeted, setup, teardown),
		cmocka_unit_test_setup_teardown(vtl0_has_none_of_vtl2s_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(get_and_set_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(old_interrupts_are_not_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_register_stops_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(vtl0_cannot_point_into_vtl2, setup, teardown),
		cmocka_unit_test_setup_teardown(ipi_of_vtl0_stays_in_vtl0, setup, teardown),
		cmocka_unit_test_setup_teardown(fast_ipi, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_control_words, setup, teardown),
		cmocka_unit_test_setup_teardown(protection_follows_vtl2s_wish, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_go_where_they_belong, setup, teardown),
		cmocka_unit_test_setup_teardown(vtl0_messages_need_an_intercept, setup, teardown),
		cmocka_unit_test_setup_teardown(vtl0_retargets_need_an_intercept, setup, teardown),
		cmocka_unit_test_setup_teardown(level_interrupt_becomes_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(thirty_two_bit_callers_use_pairs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
