#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake/fake_vtl.h"

static struct fake_vtl fake;
static struct vtl_vp *const vp = &fake.vp;

static int setup(void **state)
{
	(void)state;
	fake_vtl_init(&fake);
	fake.cpu.cpu.gpr[X86_RCX] = 7;
	fake.cpu.cpu.rip = 0x1000;
	return 0;
}

static void test_classes_are_fetched_once(void **state)
{
	(void)state;
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_GPR), 0);
	assert_int_equal(vp->registers.cpu.gpr[X86_RCX], 7);
	assert_int_equal(vp->registers.cpu.rip, 0);
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_GPR | VTL_CLASS_IP), 0);
	assert_int_equal(fake.loads, 2);
	assert_int_equal(fake.loaded, VTL_CLASS_IP);
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_GPR | VTL_CLASS_IP), 0);
	assert_int_equal(fake.loads, 2);
}

static void test_run_stores_and_forgets(void **state)
{
	struct vp_exit exit;

	(void)state;
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_GPR | VTL_CLASS_FLAGS), 0);
	vp->registers.cpu.gpr[X86_RCX] = 9;
	vtl_vp_changed(vp, VTL_CLASS_GPR);
	assert_int_equal(fake.stores, 0);
	assert_int_equal(vtl_vp_run(vp, &exit), 0);
	assert_int_equal(fake.stored, VTL_CLASS_GPR);
	assert_int_equal(fake.cpu.cpu.gpr[X86_RCX], 9);
	fake.cpu.cpu.gpr[X86_RCX] = 11; /* VTL0 ran */
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_GPR), 0);
	assert_int_equal(vp->registers.cpu.gpr[X86_RCX], 11);
	assert_int_equal(vtl_vp_run(vp, &exit), 0);
	assert_int_equal(fake.stores, 1);
}

static void test_names_and_classes_agree(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(vtl_vp_set(vp, HV_X64_REGISTER_RCX, 42), 0);
	assert_int_equal(vp->registers.cpu.gpr[X86_RCX], 42);
	assert_int_equal(vtl_vp_get(vp, HV_X64_REGISTER_RCX, &value), 0);
	assert_int_equal(value, 42);
	assert_int_equal(fake.sets, 0);
	/* A control register goes to the processor at once, and what was fetched is stale. */
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_CONTROL), 0);
	assert_int_equal(vtl_vp_set(vp, HV_X64_REGISTER_CR3, 0x5000), 0);
	assert_int_equal(fake.cpu.cr3, 0x5000);
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_CONTROL), 0);
	assert_int_equal(vp->registers.cr3, 0x5000);
}

static void test_skip(void **state)
{
	struct vp_exit exit = { .rip = 0xfffffffe, .instruction_length = 2, .long_mode = true };

	(void)state;
	assert_int_equal(vtl_vp_skip(vp, &exit, 0), 0);
	assert_int_equal(vp->registers.cpu.rip, 0x100000000);
	assert_int_equal(vp->dirty, VTL_CLASS_IP);
	exit.long_mode = false;
	assert_int_equal(vtl_vp_skip(vp, &exit, 3), 0);
	assert_int_equal(vp->registers.cpu.rip, 1);
	exit.instruction_length = 0;
	assert_int_equal(vtl_vp_skip(vp, &exit, 0), -EINVAL);
}

static void test_skip_ends_interrupt_shadow(void **state)
{
	struct vp_exit exit = { .instruction_length = 2, .interrupt_shadow = true };

	(void)state;
	fake.interrupt_state = 3; /* and NMIs masked */
	assert_int_equal(vtl_vp_skip(vp, &exit, 0), 0);
	assert_int_equal(fake.interrupt_state, 2);
	assert_int_equal(vtl_vp_retired(vp, &exit, true), 0);
	assert_int_equal(fake.interrupt_state, 2);
	exit.interrupt_shadow = false;
	assert_int_equal(vtl_vp_retired(vp, &exit, true), 0);
	assert_int_equal(fake.interrupt_state, 3);
}

static void test_inject(void **state)
{
	const struct vtl_exception fault = { X86_VECTOR_PF, true, 6, 0xdead000 };
	union hv_x64_pending_exception_event event;

	(void)state;
	assert_int_equal(vtl_vp_inject(vp, &fault), 0);
	event = fake.pending_event.pending_exception_event;
	assert_int_equal(event.event_pending, 1);
	assert_int_equal(event.event_type, HV_X64_PENDING_EVENT_EXCEPTION);
	assert_int_equal(event.vector, 14);
	assert_int_equal(event.deliver_error_code, 1);
	assert_int_equal(event.error_code, 6);
	assert_int_equal(event.exception_parameter, 0xdead000);
}

static void test_errors_are_passed_on(void **state)
{
	struct vp_exit exit;

	(void)state;
	fake.fail = -EIO;
	assert_int_equal(vtl_vp_need(vp, VTL_CLASS_GPR), -EIO);
	assert_int_equal(vp->valid, 0);
	vtl_vp_changed(vp, VTL_CLASS_GPR);
	assert_int_equal(vtl_vp_run(vp, &exit), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_classes_are_fetched_once, setup),
		cmocka_unit_test_setup(test_run_stores_and_forgets, setup),
		cmocka_unit_test_setup(test_names_and_classes_agree, setup),
		cmocka_unit_test_setup(test_skip, setup),
		cmocka_unit_test_setup(test_skip_ends_interrupt_shadow, setup),
		cmocka_unit_test_setup(test_inject, setup),
		cmocka_unit_test_setup(test_errors_are_passed_on, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
