#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hv.h"
#include "vtl/mshv_decode.h"
#include "vtl/vp_exit.h"

static struct hv_message message;
static struct vp_exit exit_;

/* A message of this type whose payload starts with the usual header: 64-bit code at RIP 1000. */
static void *start(uint32_t type, size_t len)
{
	struct hv_x64_intercept_message_header *h = (void *)message.payload;

	memset(&message, 0, sizeof(message));
	message.header.message_type = type;
	message.header.payload_size = len;
	h->rip = 0x1000;
	h->instruction_length = 2;
	h->execution_state.efer_lma = 1;
	h->execution_state.cpl = 3;
	h->cs_segment.attributes = HV_X64_SEGMENT_LONG;
	return message.payload;
}

static void decode(void)
{
	mshv_decode_message(&message, &exit_);
}

static void test_header(void **state)
{
	struct hv_x64_intercept_message_header *h;

	(void)state;
	h = start(HV_MESSAGE_TYPE_X64_HALT, sizeof(*h));
	h->execution_state.interrupt_shadow = 1;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_HALT);
	assert_int_equal(exit_.rip, 0x1000);
	assert_int_equal(exit_.instruction_length, 2);
	assert_int_equal(exit_.cpl, 3);
	assert_true(exit_.long_mode);
	assert_true(exit_.interrupt_shadow);
	h->cs_segment.attributes = HV_X64_SEGMENT_DEFAULT; /* compatibility mode */
	decode();
	assert_false(exit_.long_mode);
}

static void test_pio(void **state)
{
	struct hv_x64_io_port_intercept_message *m;

	(void)state;
	m = start(HV_MESSAGE_TYPE_X64_IO_PORT_INTERCEPT, sizeof(*m));
	m->header.intercept_access_type = HV_INTERCEPT_ACCESS_WRITE;
	m->port_number = 0x3f8;
	m->access_info = 2;
	m->rax = 0x1122334455667788;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_PIO);
	assert_int_equal(exit_.pio.port, 0x3f8);
	assert_int_equal(exit_.pio.size, 2);
	assert_int_equal(exit_.pio.value, 0x7788);
	assert_true(exit_.pio.write);
	assert_false(exit_.pio.string);
	m->access_info = 4 | HV_X64_IO_PORT_STRING_OP;
	m->header.intercept_access_type = HV_INTERCEPT_ACCESS_READ;
	decode();
	assert_int_equal(exit_.pio.value, 0x55667788);
	assert_true(exit_.pio.string);
	assert_false(exit_.pio.write);
	m->access_info = 3; /* no port access has that size */
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_UNKNOWN);
}

static void test_memory(void **state)
{
	struct hv_x64_memory_intercept_message *m;

	(void)state;
	m = start(HV_MESSAGE_TYPE_UNMAPPED_GPA, sizeof(*m));
	m->guest_physical_address = 0xfec00010;
	m->guest_virtual_address = 0xffff0010;
	m->memory_access_info = HV_X64_MEMORY_GVA_VALID;
	m->header.intercept_access_type = HV_INTERCEPT_ACCESS_WRITE;
	m->instruction_byte_count = 3;
	memcpy(m->instruction_bytes, "\x89\x0a\xc3", 3);
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_MEMORY);
	assert_int_equal(exit_.memory.gpa, 0xfec00010);
	assert_int_equal(exit_.memory.access, HV_INTERCEPT_ACCESS_WRITE);
	assert_false(exit_.memory.gva_valid); /* it is not said to lead to the GPA */
	assert_false(exit_.memory.protection);
	assert_int_equal(exit_.instruction_byte_count, 3);
	assert_memory_equal(exit_.instruction_bytes, "\x89\x0a\xc3", 3);
	m->memory_access_info |= HV_X64_MEMORY_GVA_GPA_VALID;
	message.header.message_type = HV_MESSAGE_TYPE_GPA_INTERCEPT;
	m->instruction_byte_count = 16; /* longer than any instruction: not believed */
	decode();
	assert_true(exit_.memory.gva_valid);
	assert_true(exit_.memory.protection);
	assert_int_equal(exit_.instruction_byte_count, 0);
	m->header.intercept_access_type = 3;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_UNKNOWN);
}

static void test_msr(void **state)
{
	struct hv_x64_msr_intercept_message *m;

	(void)state;
	m = start(HV_MESSAGE_TYPE_X64_MSR_INTERCEPT, sizeof(*m));
	m->header.intercept_access_type = HV_INTERCEPT_ACCESS_WRITE;
	m->msr_number = 0x1a0;
	m->rdx = 0xffffffff00000001;
	m->rax = 0xffffffff00000002;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_MSR);
	assert_int_equal(exit_.msr.index, 0x1a0);
	assert_true(exit_.msr.write);
	assert_int_equal(exit_.msr.value, 0x100000002);
}

static void test_cpuid(void **state)
{
	struct hv_x64_cpuid_intercept_message *m;

	(void)state;
	m = start(HV_MESSAGE_TYPE_X64_CPUID_INTERCEPT, sizeof(*m));
	m->rax = 0x40000003;
	m->rcx = 1;
	m->default_result_rax = 10;
	m->default_result_rbx = 11;
	m->default_result_rcx = 12;
	m->default_result_rdx = 13;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_CPUID);
	assert_int_equal(exit_.cpuid.leaf, 0x40000003);
	assert_int_equal(exit_.cpuid.subleaf, 1);
	assert_int_equal(exit_.cpuid.eax, 10);
	assert_int_equal(exit_.cpuid.ebx, 11);
	assert_int_equal(exit_.cpuid.ecx, 12);
	assert_int_equal(exit_.cpuid.edx, 13);
}

static void test_hypercall(void **state)
{
	struct hv_x64_hypercall_intercept_message *m;

	(void)state;
	m = start(HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT, sizeof(*m));
	m->header.instruction_length = 0;
	m->rcx = 0x1005d;
	m->rdx = 0x123400000004;
	m->r8 = 5;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_HYPERCALL);
	assert_int_equal(exit_.hypercall.control, 0x1005d);
	assert_int_equal(exit_.hypercall.call_code, 0x5d);
	assert_int_equal(exit_.hypercall.input[0], 0x123400000004);
	assert_int_equal(exit_.hypercall.input[1], 5);
	assert_int_equal(exit_.instruction_length, 3);
}

static void test_hypercall_of_32_bit_code(void **state)
{
	struct hv_x64_hypercall_intercept_message *m;

	(void)state;
	m = start(HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT, sizeof(*m));
	m->header.execution_state.efer_lma = 0;
	m->rdx = 1;
	m->rax = 0xffffffff0001005d;
	m->rbx = 2;
	m->rcx = 3;
	m->rdi = 4;
	m->rsi = 5;
	decode();
	assert_int_equal(exit_.hypercall.control, 0x10001005d);
	assert_int_equal(exit_.hypercall.input[0], 0x200000003);
	assert_int_equal(exit_.hypercall.input[1], 0x400000005);
}

static void test_eoi(void **state)
{
	struct hv_x64_apic_eoi_message *m = (void *)message.payload;

	(void)state;
	start(HV_MESSAGE_TYPE_X64_APIC_EOI, sizeof(*m));
	m->vp_index = 1;
	m->interrupt_vector = 0x31;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_EOI);
	assert_int_equal(exit_.eoi_vector, 0x31);
	m->interrupt_vector = 0x131;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_UNKNOWN);
}

/* Whatever needs more than the sender sent is not decoded. */
static void test_short_payloads(void **state)
{
	static const struct {
		uint32_t type;
		size_t len;
	} types[] = {
		{ HV_MESSAGE_TYPE_X64_IO_PORT_INTERCEPT, 128 },
		{ HV_MESSAGE_TYPE_UNMAPPED_GPA, 80 },
		{ HV_MESSAGE_TYPE_GPA_INTERCEPT, 80 },
		{ HV_MESSAGE_TYPE_X64_MSR_INTERCEPT, 64 },
		{ HV_MESSAGE_TYPE_X64_CPUID_INTERCEPT, 104 },
		{ HV_MESSAGE_TYPE_HYPERCALL_INTERCEPT, 208 },
		{ HV_MESSAGE_TYPE_X64_HALT, 40 },
		{ HV_MESSAGE_TYPE_X64_APIC_EOI, 8 },
		{ HV_MESSAGE_TYPE_X64_INTERRUPTION_DELIVERABLE, 40 },
		{ HV_MESSAGE_TYPE_SYNIC_SINT_DELIVERABLE, 48 },
		{ HV_MESSAGE_TYPE_UNRECOVERABLE_EXCEPTION, 40 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct hv_x64_io_port_intercept_message *m = start(types[i].type, types[i].len);

		if (types[i].type == HV_MESSAGE_TYPE_X64_IO_PORT_INTERCEPT)
			m->access_info = 1;
		if (types[i].len == 8)
			memset(message.payload, 0, 8);
		decode();
		assert_int_not_equal(exit_.kind, VP_EXIT_UNKNOWN);
		message.header.payload_size--;
		decode();
		assert_int_equal(exit_.kind, VP_EXIT_UNKNOWN);
		assert_int_equal(exit_.message_type, types[i].type);
	}
	message.header.payload_size = 255;
	decode();
	assert_int_equal(exit_.kind, VP_EXIT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_pio),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_msr),
		cmocka_unit_test(test_cpuid),
		cmocka_unit_test(test_hypercall),
		cmocka_unit_test(test_hypercall_of_32_bit_code),
		cmocka_unit_test(test_eoi),
		cmocka_unit_test(test_short_payloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
