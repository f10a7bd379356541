#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/io_bus.h"
#include "paravisor/exit.h"
#include "paravisor/get.h"
#include "paravisor/interrupt.h"
#include "paravisor/machine.h"
#include "paravisor/vmbus.h"
#include "paravisor/vp.h"
#include "proto/hv_cpuid.h"
#include "tests/unit/fake/fake_vtl.h"

#define RAM_SIZE (64u << 10)
#define PORT     0x500
#define MMIO     0xf0000000ull

static struct fake_vtl fake;
static struct machine machine;
static struct vp vp;
static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static struct vp_exit exit_;

/* One device at PORT and at MMIO: remembers the last write, answers reads with `answer`. */
static struct {
	uint64_t answer, written, offset;
	unsigned int size, reads, writes;
} device;

static uint8_t eoi;
static unsigned int interruptible;

void interrupt_eoi(struct machine *m, uint8_t vector)
{
	(void)m;
	eoi = vector;
}

static uint16_t free_sints;

void vmbus_slot_free(struct vp *v, uint16_t sints)
{
	(void)v;
	free_sints = sints;
}

int interrupt_deliverable(struct vp *v)
{
	(void)v;
	interruptible++;
	return 0;
}

void vp_wake(struct vp *v)
{
	(void)v;
}

static struct {
	unsigned int count;
	uint32_t vp;
	uint64_t control, parameters[5];
} crash;

void get_vtl_crash(struct get *get, uint32_t index, uint64_t control, const uint64_t parameters[5])
{
	assert_ptr_equal(get, &crash);
	crash.count++;
	crash.vp = index;
	crash.control = control;
	memcpy(crash.parameters, parameters, sizeof(crash.parameters));
}

static enum io_result device_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	(void)dev;
	device.offset = offset;
	device.size = size;
	device.reads++;
	*value = size == 8 ? device.answer : device.answer & ((1ull << 8 * size) - 1);
	return IO_DONE;
}

static enum io_result device_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)dev;
	device.offset = offset;
	device.size = size;
	device.written = value;
	device.writes++;
	return IO_DONE;
}

static const struct io_region_ops device_ops = { device_read, device_write };

static int setup(void **state)
{
	const struct io_region regions[] = {
		{ .name = "ports", .space = IO_PORT, .base = PORT, .len = 8, .ops = &device_ops },
		{ .name = "mmio", .space = IO_MEMORY, .base = MMIO, .len = 64, .ops = &device_ops },
	};

	(void)state;
	memset(&device, 0, sizeof(device));
	memset(ram, 0, sizeof(ram));
	eoi = interruptible = 0;
	fake_vtl_init(&fake);
	machine = (struct machine){ .end_lock = PTHREAD_MUTEX_INITIALIZER, .vtl = &fake.vtl };
	machine.bus = io_bus_create();
	machine.memory = guest_memory_create();
	assert_non_null(machine.bus);
	assert_non_null(machine.memory);
	assert_int_equal(io_bus_add(machine.bus, &regions[0]), 0);
	assert_int_equal(io_bus_add(machine.bus, &regions[1]), 0);
	assert_int_equal(guest_memory_add(machine.memory, 0, ram, RAM_SIZE), 0);
	vp = (struct vp){ .machine = &machine, .vtl = &fake.vp };
	/* Flat 32-bit code without paging, at 1000. */
	fake.cpu.cpu.cr0 = X86_CR0_PE;
	fake.cpu.cpu.rip = 0x1000;
	for (unsigned int i = 0; i < X86_SEGMENT_COUNT; i++)
		fake.cpu.cpu.segment[i] = (struct x86_segment){
			.limit = 0xffffffff,
			.selector = 8,
			.attributes = i == X86_CS ? 0xc09b : 0xc093,
		};
	exit_ = (struct vp_exit){ .rip = 0x1000, .instruction_length = 2 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	io_bus_destroy(machine.bus);
	guest_memory_destroy(machine.memory);
	return 0;
}

static void dispatch(enum vp_exit_kind kind)
{
	struct vp_exit next;

	exit_.kind = kind;
	exit_dispatch(&vp, &exit_);
	assert_int_equal(vtl_vp_run(&fake.vp, &next), 0); /* stores what changed */
}

static void expect_exception(unsigned int vector, int error_code)
{
	union hv_x64_pending_exception_event event = fake.pending_event.pending_exception_event;

	assert_true(event.event_pending);
	assert_int_equal(event.vector, vector);
	assert_int_equal(event.deliver_error_code, error_code >= 0);
	if (error_code >= 0)
		assert_int_equal(event.error_code, error_code);
	assert_int_equal(fake.cpu.cpu.rip, 0x1000);
}

static void test_port_out(void **state)
{
	(void)state;
	exit_.pio =
		(struct vp_exit_pio){ .port = PORT + 1, .size = 1, .write = true, .value = 0x5a };
	dispatch(VP_EXIT_PIO);
	assert_int_equal(device.writes, 1);
	assert_int_equal(device.written, 0x5a);
	assert_int_equal(device.offset, 1);
	assert_int_equal(fake.cpu.cpu.rip, 0x1002);
	assert_int_equal(fake.loads, 0); /* the message has all that a write needs */
}

static void port_in(unsigned int size)
{
	fake.cpu.cpu.gpr[X86_RAX] = 0x1111222233334444;
	fake.cpu.cpu.rip = 0x1000;
	exit_.pio = (struct vp_exit_pio){ .port = PORT, .size = size };
	dispatch(VP_EXIT_PIO);
}

static void test_port_in(void **state)
{
	(void)state;
	device.answer = 0xaabbccdd;
	port_in(1);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0x11112222333344dd);
	port_in(2);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0x111122223333ccdd);
	port_in(4);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0xaabbccdd);
	assert_int_equal(fake.cpu.cpu.rip, 0x1002);
	exit_.pio.port = 0x600; /* nobody: all ones */
	dispatch(VP_EXIT_PIO);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0xffffffff);
}

static void test_string_port_in(void **state)
{
	(void)state;
	memcpy(ram + 0x1000, "\xf3\x6d", 2); /* REP INSD */
	fake.cpu.cpu.gpr[X86_RDX] = PORT;
	fake.cpu.cpu.gpr[X86_RDI] = 0x2000;
	fake.cpu.cpu.gpr[X86_RCX] = 3;
	device.answer = 0x01020304;
	exit_.pio = (struct vp_exit_pio){ .port = PORT, .size = 4, .string = true };
	dispatch(VP_EXIT_PIO);
	assert_int_equal(device.reads, 3);
	assert_memory_equal(ram + 0x2000, "\4\3\2\1\4\3\2\1\4\3\2\1\0", 13);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RCX], 0);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDI], 0x200c);
	assert_int_equal(fake.cpu.cpu.rip, 0x1002);
}

static void set_code(const char *bytes, unsigned int count)
{
	exit_.instruction_byte_count = count;
	memcpy(exit_.instruction_bytes, bytes, count);
}

static void test_mmio(void **state)
{
	(void)state;
	fake.cpu.cpu.gpr[X86_RBX] = MMIO + 0x10;
	fake.cpu.cpu.gpr[X86_RAX] = 0x12345678;
	set_code("\x89\x03", 2); /* MOV [EBX], EAX */
	exit_.memory =
		(struct vp_exit_memory){ .gpa = MMIO + 0x10, .access = HV_INTERCEPT_ACCESS_WRITE };
	dispatch(VP_EXIT_MEMORY);
	assert_int_equal(device.writes, 1);
	assert_int_equal(device.offset, 0x10);
	assert_int_equal(device.size, 4);
	assert_int_equal(device.written, 0x12345678);
	assert_int_equal(fake.cpu.cpu.rip, 0x1002);
	device.answer = 0xcafe;
	fake.cpu.cpu.rip = 0x1000;
	memcpy(ram + 0x1000, "\x0f\xb7\x03", 3); /* MOVZX EAX, word [EBX], not in the message */
	exit_.instruction_byte_count = 0;
	dispatch(VP_EXIT_MEMORY);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0xcafe);
	assert_int_equal(fake.cpu.cpu.rip, 0x1003);
}

/* The exit's own translation is used, so tables that lead elsewhere do not matter. */
static void test_mmio_by_known_address(void **state)
{
	(void)state;
	fake.cpu.cpu.gpr[X86_RBX] = 0x7000;
	set_code("\xc6\x03\x77", 3); /* MOV byte [EBX], 77 */
	exit_.memory = (struct vp_exit_memory){
		.gpa = MMIO, .gva = 0x7000, .gva_valid = true, .access = HV_INTERCEPT_ACCESS_WRITE
	};
	dispatch(VP_EXIT_MEMORY);
	assert_int_equal(device.written, 0x77);
	assert_int_equal(ram[0x7000], 0);
}

static void test_page_fault_of_emulated_access(void **state)
{
	(void)state;
	fake.cpu.cpu.cr0 = X86_CR0_PE | X86_CR0_PG;
	fake.cpu.cr3 = 0x8000; /* empty tables */
	fake.cpu.cpu.gpr[X86_RBX] = 0x7000;
	set_code("\xc6\x03\x77", 3);
	exit_.memory = (struct vp_exit_memory){ .gpa = MMIO, .access = HV_INTERCEPT_ACCESS_WRITE };
	dispatch(VP_EXIT_MEMORY);
	expect_exception(X86_VECTOR_PF, 2);
	assert_int_equal(fake.pending_event.pending_exception_event.exception_parameter, 0x7000);
	assert_int_equal(device.writes, 0);
}

static void test_protected_and_absent_memory(void **state)
{
	(void)state;
	exit_.memory = (struct vp_exit_memory){ .gpa = 0x100000000, .protection = true };
	dispatch(VP_EXIT_MEMORY);
	expect_exception(X86_VECTOR_GP, 0);
	exit_.memory =
		(struct vp_exit_memory){ .gpa = 0xe0000000, .access = HV_INTERCEPT_ACCESS_EXECUTE };
	dispatch(VP_EXIT_MEMORY);
	expect_exception(X86_VECTOR_UD, -1);
	fake.pending_event = (union hv_register_value){ 0 };
	fake.cpu.cpu.gpr[X86_RBX] = 0xe0000000;
	set_code("\x8b\x03", 2); /* MOV EAX, [EBX] */
	exit_.memory.access = HV_INTERCEPT_ACCESS_READ;
	dispatch(VP_EXIT_MEMORY);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0xffffffff);
	assert_int_equal(fake.pending_event.pending_exception_event.event_pending, 0);
}

static void test_not_emulated(void **state)
{
	(void)state;
	set_code("\x0f\xae\x03", 3); /* FXSAVE [EBX] */
	fake.cpu.cpu.gpr[X86_RBX] = MMIO;
	exit_.memory = (struct vp_exit_memory){ .gpa = MMIO, .access = HV_INTERCEPT_ACCESS_WRITE };
	dispatch(VP_EXIT_MEMORY);
	expect_exception(X86_VECTOR_UD, -1);
	assert_false(machine_has_ended(&machine));
}

static void test_msrs(void **state)
{
	(void)state;
	fake.cpu.cpu.gpr[X86_RAX] = fake.cpu.cpu.gpr[X86_RDX] = ~0ull;
	exit_.msr = (struct vp_exit_msr){ .index = 0x17 };
	dispatch(VP_EXIT_MSR);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 0);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDX], 0);
	assert_int_equal(fake.cpu.cpu.rip, 0x1002);
	fake.cpu.cpu.rip = 0x1000;
	exit_.msr = (struct vp_exit_msr){ .index = 0x12345, .write = true };
	dispatch(VP_EXIT_MSR);
	expect_exception(X86_VECTOR_GP, 0);
}

static void access_msr(uint32_t index, bool write, uint64_t value)
{
	exit_.msr = (struct vp_exit_msr){ index, write, value };
	dispatch(VP_EXIT_MSR);
}

static void test_crash_report(void **state)
{
	struct vp first = { .machine = &machine };

	(void)state;
	first.loop = event_loop_create();
	machine.vps = &first;
	machine.get = (struct get *)&crash;
	crash.count = 0;
	access_msr(HV_X64_MSR_CRASH_CTL, false, 0);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDX], 0xC0000000); /* notify, with a message */
	for (uint32_t i = 0; i < 5; i++)
		access_msr(HV_X64_MSR_CRASH_P0 + i, true, 0x123456789ull * (i + 1));
	access_msr(HV_X64_MSR_CRASH_P4, false, 0);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDX] << 32 | fake.cpu.cpu.gpr[X86_RAX],
			 0x123456789ull * 5);
	access_msr(HV_X64_MSR_CRASH_CTL, true, 0);
	assert_false(crash_flush(&machine));
	vp.index = 3;
	access_msr(HV_X64_MSR_CRASH_CTL, true, HV_CRASH_CTL_CRASH_NOTIFY);
	access_msr(HV_X64_MSR_CRASH_CTL, true, HV_CRASH_CTL_CRASH_NOTIFY);
	assert_int_equal(crash.count, 0); /* VP 0's to say, and once */
	event_loop_run_once(first.loop, 0);
	assert_int_equal(crash.count, 1);
	assert_int_equal(crash.vp, 3);
	assert_int_equal(crash.control, HV_CRASH_CTL_CRASH_NOTIFY);
	assert_int_equal(crash.parameters[0], 0x123456789ull);
	assert_int_equal(crash.parameters[4], 0x123456789ull * 5);
	assert_true(crash_flush(&machine));
	assert_int_equal(crash.count, 1);
	access_msr(HV_X64_MSR_CRASH_CTL, true, HV_CRASH_CTL_CRASH_NOTIFY);
	assert_true(crash_flush(&machine)); /* the machine ends before VP 0's loop runs */
	assert_int_equal(crash.count, 2);
	event_loop_run_once(first.loop, 0);
	vp.index = 0;
	access_msr(HV_X64_MSR_CRASH_CTL, true, HV_CRASH_CTL_CRASH_NOTIFY);
	assert_int_equal(crash.count, 3); /* VP 0 says it at once */
	assert_false(machine_has_ended(&machine));

	machine.get = NULL;
	machine.vps = NULL;
	access_msr(HV_X64_MSR_CRASH_CTL, true, HV_CRASH_CTL_CRASH_NOTIFY);
	assert_int_equal(machine.outcome.result, HOST_PORT_CRASH);
	event_loop_destroy(first.loop);
}

static void test_cpuid(void **state)
{
	(void)state;
	exit_.cpuid = (struct vp_exit_cpuid){ .leaf = 1, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4 };
	dispatch(VP_EXIT_CPUID);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], 1);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RBX], 2);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RCX], 3);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDX], 4);
	assert_int_equal(fake.cpu.cpu.rip, 0x1002);
}

static void test_hypercall(void **state)
{
	(void)state;
	exit_.instruction_length = 3;
	exit_.hypercall = (struct vp_exit_hypercall){ .control = HV_CALL_SIGNAL_EVENT | 1 << 16 };
	fake.cpu.cpu.gpr[X86_RDX] = 99;
	dispatch(VP_EXIT_HYPERCALL);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RAX], HV_STATUS_INVALID_CONNECTION_ID);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDX], 0); /* 32-bit code: EDX:EAX */
	assert_int_equal(fake.cpu.cpu.rip, 0x1003);
	exit_.long_mode = true;
	fake.cpu.cpu.gpr[X86_RDX] = 99;
	dispatch(VP_EXIT_HYPERCALL);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RDX], 99);
}

static void test_interrupts(void **state)
{
	(void)state;
	exit_.eoi_vector = 0x31;
	dispatch(VP_EXIT_EOI);
	assert_int_equal(eoi, 0x31);
	dispatch(VP_EXIT_INTERRUPTIBLE);
	assert_int_equal(interruptible, 1);
	exit_.free_sints = 5;
	dispatch(VP_EXIT_SLOT_FREE);
	assert_int_equal(free_sints, 5);
	dispatch(VP_EXIT_HALT);
	assert_int_equal(fake.cpu.cpu.rip, 0x1000);
}

static void test_triple_fault_ends_the_run(void **state)
{
	(void)state;
	fake.cpu.cr3 = 0xabc000;
	vp.index = 2;
	dispatch(VP_EXIT_CRASH);
	assert_true(machine_has_ended(&machine));
	assert_int_equal(machine.outcome.result, HOST_PORT_CRASH);
	assert_non_null(strstr(machine.outcome.reason, "RIP 0x1000"));
	assert_int_equal(machine.crashed_vp, 2);
	assert_non_null(strstr(machine.outcome.reason, "CR3 0xabc000"));
	assert_non_null(strstr(machine.outcome.reason, "protected mode"));
	machine_end(&machine, HOST_PORT_POWER_OFF, "later"); /* the first reason counts */
	assert_int_equal(machine.outcome.result, HOST_PORT_CRASH);
}

static void test_backend_errors_end_the_run(void **state)
{
	(void)state;
	fake.fail = -EIO;
	exit_.kind = VP_EXIT_CPUID;
	exit_dispatch(&vp, &exit_);
	assert_int_equal(machine.outcome.result, HOST_PORT_FAILURE);
}

static void test_unknown_messages(void **state)
{
	(void)state;
	exit_.message_type = 0x12345678;
	dispatch(VP_EXIT_UNKNOWN);
	assert_false(machine_has_ended(&machine));
	exit_.message_type = HV_MESSAGE_TYPE_INVALID_VP_REGISTER_VALUE;
	dispatch(VP_EXIT_UNKNOWN);
	assert_int_equal(machine.outcome.result, HOST_PORT_CRASH);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_port_out),
		TEST(test_port_in),
		TEST(test_string_port_in),
		TEST(test_mmio),
		TEST(test_mmio_by_known_address),
		TEST(test_page_fault_of_emulated_access),
		TEST(test_protected_and_absent_memory),
		TEST(test_not_emulated),
		TEST(test_msrs),
		TEST(test_crash_report),
		TEST(test_cpuid),
		TEST(test_hypercall),
		TEST(test_interrupts),
		TEST(test_triple_fault_ends_the_run),
		TEST(test_backend_errors_end_the_run),
		TEST(test_unknown_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
