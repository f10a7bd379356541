/* A write of VTL0's that goes to a function without VTL2: what is done with its instruction, and what is left alone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/x86/x86.h"
#include "host/direct.h"
#include "host/fault.h"
#include "host/registers.h"
#include "host/vp.h"
#include "host/vpci.h"
#include "tests/unit/host/fake_partition.h"

#define RIP   0x401000ull
#define GVA   0xffff888000012340ull
#define GPA   0x100045340ull
#define VALUE 0x1122334455667788ull

/* RFLAGS that an instruction must neither lose nor set. */
#define FLAGS (X86_RFLAGS_FIXED | X86_RFLAGS_CF | X86_RFLAGS_ZF | X86_RFLAGS_IF)

static struct partition *partition;
static struct vcpu *vcpu;
static struct kvm_regs before;

/* The function. */
static bool there, takes;
static unsigned int asked, writes;
static uint64_t gpa, value;
static size_t len;

bool host_vpci_is_direct(struct host_vpci *vpci, uint64_t where)
{
	assert_ptr_equal(vpci, partition->vpci);
	asked++;
	gpa = where;
	return there;
}

bool host_vpci_direct_write(struct host_vpci *vpci, uint64_t where, const void *data, size_t size)
{
	assert_ptr_equal(vpci, partition->vpci);
	assert_in_range(size, 1, 8);
	writes++;
	gpa = where;
	len = size;
	value = 0;
	memcpy(&value, data, size);
	return takes;
}

static int setup(void **state)
{
	struct kvm_regs *regs;
	struct kvm_sregs *sregs;

	(void)state;
	partition = fake_partition_create(2);
	partition->vpci = (void *)0x1000; /* nobody looks into it here */
	vcpu = &partition->vps[1].vcpu[HOST_VTL0];
	regs = vcpu_write_regs(vcpu);
	for (unsigned int i = 0; i < X86_GPR_COUNT; i++)
		*registers_general(regs, i) = 0xab00 + i;
	regs->rax = VALUE;
	regs->rdi = GVA;
	regs->rip = RIP;
	regs->rflags = FLAGS;
	sregs = vcpu_write_sregs(vcpu);
	sregs->cr0 = X86_CR0_PE | X86_CR0_PG;
	sregs->cs.present = sregs->cs.s = 1;
	sregs->cs.type = X86_SEGMENT_CODE | X86_SEGMENT_READABLE;
	sregs->ss.present = sregs->ss.s = sregs->es.present = sregs->es.s = 1;
	sregs->ds = sregs->es;
	vcpu->run->kvm_dirty_regs = 0;
	before = *regs;
	there = takes = true;
	asked = writes = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_partition_destroy(partition);
	return 0;
}

/* What the host finds out of an instruction whose write at RDI's was denied. */
#define FAULT(...)                                                                                \
	{                                                                                         \
		.gpa = GPA, .gva = GVA, .gva_valid = true, .access = HOST_WRITE,                  \
		.bytes = { __VA_ARGS__ }, .byte_count = sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	}

static const struct fault mov_eax = FAULT(0x89, 0x07);

/* All general registers at once: KVM's come first, then RIP and RFLAGS. */
static void assert_registers(const struct kvm_regs *expected)
{
	assert_memory_equal(vcpu_regs(vcpu), expected, sizeof(*expected));
}

static void assert_left_alone(const struct fault *fault)
{
	assert_false(direct_write(vcpu, fault));
	assert_registers(&before);
	assert_int_equal(vcpu->run->kvm_dirty_regs, 0);
}

static void assert_written(const struct fault *fault, size_t bytes, uint64_t what)
{
	struct kvm_regs after = before;

	after.rip += fault->byte_count;
	*vcpu_write_regs(vcpu) = before;
	vcpu->run->kvm_dirty_regs = 0;
	writes = 0;
	assert_true(direct_write(vcpu, fault));
	assert_int_equal(writes, 1);
	assert_int_equal(gpa, GPA);
	assert_int_equal(len, bytes);
	assert_int_equal(value, what);
	assert_registers(&after);
	assert_true(vcpu->run->kvm_dirty_regs & KVM_SYNC_X86_REGS);
}

static void stores_of_registers(void **state)
{
	static const struct fault al = FAULT(0x88, 0x07), ax = FAULT(0x66, 0x89, 0x07),
				  rax = FAULT(0x48, 0x89, 0x07), r15 = FAULT(0x4c, 0x89, 0x3f);

	(void)state;
	assert_written(&al, 1, 0x88);
	assert_written(&ax, 2, 0x7788);
	assert_written(&mov_eax, 4, 0x55667788);
	assert_written(&rax, 8, VALUE);
	assert_written(&r15, 8, 0xab0f);
}

static void stores_of_constants(void **state)
{
	static const struct fault one = FAULT(0xc6, 0x07, 0x81),
				  two = FAULT(0x66, 0xc7, 0x07, 1, 0x82),
				  four = FAULT(0xc7, 0x07, 1, 2, 3, 0x84),
				  eight = FAULT(0x48, 0xc7, 0x07, 1, 2, 3, 0x84);

	(void)state;
	assert_written(&one, 1, 0x81);
	assert_written(&two, 2, 0x8201);
	assert_written(&four, 4, 0x84030201);
	assert_written(&eight, 8, 0xffffffff84030201); /* sign-extended */
}

/* Bytes behind the instruction are the next one's. */
static void only_the_instruction_is_done(void **state)
{
	struct fault fault = FAULT(0x89, 0x07, 0x48, 0xff, 0xc0, 0xf4);
	struct kvm_regs after = before;

	(void)state;
	after.rip += 2;
	vcpu_write_regs(vcpu)->rflags |= X86_RFLAGS_RF; /* is of one instruction */
	assert_true(direct_write(vcpu, &fault));
	assert_registers(&after);
}

static void a_page_is_written_to_its_end(void **state)
{
	struct fault fault = mov_eax;

	(void)state;
	fault.gpa = (GPA | 0xfff) - 3;
	assert_true(direct_write(vcpu, &fault));
	assert_int_equal(gpa, fault.gpa);
	*vcpu_write_regs(vcpu) = before;
	vcpu->run->kvm_dirty_regs = 0;
	writes = 0;
	fault.gpa++;
	assert_left_alone(&fault);
	assert_int_equal(writes, 0);
}

/* --- What is VTL2's */

static void other_accesses(void **state)
{
	struct fault fault = mov_eax;

	(void)state;
	fault.access = HOST_READ;
	assert_left_alone(&fault);
	fault.access = HOST_EXECUTE;
	assert_left_alone(&fault);
	fault.access = HOST_WRITE;
	fault.gva_valid = false;
	assert_left_alone(&fault);
	assert_int_equal(writes, 0);
}

static void where_no_function_is(void **state)
{
	(void)state;
	there = false;
	assert_left_alone(&mov_eax);
	assert_int_equal(asked, 1);
	assert_int_equal(gpa, GPA);
	assert_int_equal(writes, 0);
}

/* The write that was denied is not the one that begins here: it is the rest of one in two pages. */
static void another_address(void **state)
{
	struct fault fault = mov_eax;

	(void)state;
	fault.gva += 2;
	assert_left_alone(&fault);
	fault.gva -= 4;
	assert_left_alone(&fault);
	assert_int_equal(writes, 0);
}

static void what_reads_first(void **state)
{
	static const struct fault faults[] = {
		FAULT(0x01, 0x07),             /* add [rdi], eax */
		FAULT(0x83, 0x0f, 0x01),       /* or dword [rdi], 1 */
		FAULT(0xf0, 0x01, 0x07),       /* lock add [rdi], eax */
		FAULT(0x87, 0x07),             /* xchg [rdi], eax */
		FAULT(0xf0, 0x0f, 0xb1, 0x0f), /* lock cmpxchg [rdi], ecx */
		FAULT(0xff, 0x07),             /* inc dword [rdi] */
		FAULT(0xa4),                   /* movsb */
		FAULT(0x8b, 0x07),             /* mov eax, [rdi], which is no write */
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_left_alone(&faults[i]);
	assert_int_equal(writes, 0);
}

static void what_is_no_simple_store(void **state)
{
	static const struct fault faults[] = {
		FAULT(0x0f, 0x29, 0x07),       /* movaps [rdi], xmm0: 16 bytes */
		FAULT(0x66, 0x0f, 0xd6, 0x07), /* movq [rdi], xmm0 */
		FAULT(0xf0, 0x89, 0x07),       /* lock mov: an exception */
		FAULT(0x0f, 0x0b),             /* ud2 */
		FAULT(0x6d),                   /* insd */
		FAULT(0xc7, 0x07, 1, 2),       /* the rest could not be read */
		FAULT(0x48),
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_left_alone(&faults[i]);
	assert_int_equal(writes, 0);
}

static void no_bytes(void **state)
{
	struct fault fault = mov_eax;

	(void)state;
	fault.byte_count = 0;
	assert_left_alone(&fault);
	assert_int_equal(writes, 0);
}

/* The trap that is due after it is VTL2's to raise. */
static void single_steps(void **state)
{
	(void)state;
	vcpu_write_regs(vcpu)->rflags |= X86_RFLAGS_TF;
	vcpu->run->kvm_dirty_regs = 0;
	before.rflags |= X86_RFLAGS_TF;
	assert_left_alone(&mov_eax);
	assert_int_equal(writes, 0);
}

static void what_no_function_takes(void **state)
{
	(void)state;
	takes = false;
	assert_left_alone(&mov_eax);
	assert_int_equal(writes, 1);
}

/* --- Others that only write */

static void a_repeated_store_is_done_one_by_one(void **state)
{
	static const struct fault rep_stosq = FAULT(0xf3, 0x48, 0xab);
	struct fault second = rep_stosq;
	struct kvm_regs after = before;

	(void)state;
	vcpu_write_regs(vcpu)->rcx = 2;
	after.rcx = 1;
	after.rdi += 8;
	assert_true(direct_write(vcpu, &rep_stosq));
	assert_int_equal(writes, 1);
	assert_int_equal(len, 8);
	assert_int_equal(value, VALUE);
	assert_registers(&after); /* and RIP where it is */
	second.gva += 8;
	second.gpa += 8;
	after.rcx = 0;
	after.rdi += 8;
	after.rip += 3;
	assert_true(direct_write(vcpu, &second));
	assert_int_equal(gpa, GPA + 8);
	assert_registers(&after);
}

static void a_push_moves_the_stack(void **state)
{
	static const struct fault push_rax = FAULT(0x50);
	struct kvm_regs after = before;

	(void)state;
	vcpu_write_regs(vcpu)->rsp = GVA + 8;
	after.rsp = GVA;
	after.rip++;
	assert_true(direct_write(vcpu, &push_rax));
	assert_int_equal(value, VALUE);
	assert_registers(&after);
}

/* As STI has: interrupts wait until the instruction behind it is done, and no longer. */
static void a_shadow_ends_with_the_instruction(void **state)
{
	static const struct fault rep_stosb = FAULT(0xf3, 0xaa);
	struct kvm_vcpu_events *events = vcpu_write_events(vcpu);

	(void)state;
	events->interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	vcpu_write_regs(vcpu)->rcx = 2;
	assert_true(direct_write(vcpu, &rep_stosb));
	assert_int_equal(events->interrupt.shadow, KVM_X86_SHADOW_INT_STI);
	*vcpu_write_regs(vcpu) = before;
	assert_true(direct_write(vcpu, &mov_eax));
	assert_int_equal(events->interrupt.shadow, 0);
	assert_int_equal(events->flags, KVM_VCPUEVENT_VALID_SHADOW);
	assert_true(vcpu->run->kvm_dirty_regs & KVM_SYNC_X86_EVENTS);
	/* Where there is none nothing is loaded for it. */
	vcpu->run->kvm_dirty_regs = 0;
	*vcpu_write_regs(vcpu) = before;
	assert_true(direct_write(vcpu, &mov_eax));
	assert_false(vcpu->run->kvm_dirty_regs & KVM_SYNC_X86_EVENTS);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stores_of_registers),
		TEST(stores_of_constants),
		TEST(only_the_instruction_is_done),
		TEST(a_page_is_written_to_its_end),
		TEST(other_accesses),
		TEST(where_no_function_is),
		TEST(another_address),
		TEST(what_reads_first),
		TEST(what_is_no_simple_store),
		TEST(no_bytes),
		TEST(single_steps),
		TEST(what_no_function_takes),
		TEST(a_repeated_store_is_done_one_by_one),
		TEST(a_push_moves_the_stack),
		TEST(a_shadow_ends_with_the_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
