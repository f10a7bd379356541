#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "devices/chipset.h"
#include "paravisor/interrupt.h"
#include "paravisor/machine.h"
#include "paravisor/vp.h"
#include "tests/unit/fake/fake_vtl.h"

static struct fake_vtl fake;
static struct machine machine;
static struct vp vp;
static struct vtl_interrupt asserted;
static unsigned int asserts, acknowledges;
static uint8_t eoi;

/* The chipset, as far as interrupts go: INT drops when the vector is fetched. */
static bool another;

uint8_t chipset_pic_acknowledge(struct chipset *chipset)
{
	(void)chipset;
	acknowledges++;
	if (!another)
		interrupt_from_pic(&machine, false);
	return 0x68;
}

void chipset_ioapic_eoi(struct chipset *chipset, uint8_t vector)
{
	(void)chipset;
	eoi = vector;
}

static int assert_interrupt(struct vtl *vtl, const struct vtl_interrupt *interrupt)
{
	(void)vtl;
	asserted = *interrupt;
	asserts++;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_vtl_init(&fake);
	fake.ops.assert_interrupt = assert_interrupt;
	vp = (struct vp){ .machine = &machine, .vtl = &fake.vp, .loop = event_loop_create() };
	machine = (struct machine){ .vtl = &fake.vtl, .vps = &vp };
	asserts = acknowledges = 0;
	another = false;
	log_set_level(LOG_ERROR);
	return vp.loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	event_loop_destroy(vp.loop);
	return 0;
}

static void test_ioapic(void **state)
{
	(void)state;
	interrupt_from_ioapic(&machine, 3, true, IOAPIC_LOWEST_PRIORITY, 0x41, true);
	assert_int_equal(asserts, 1);
	assert_int_equal(asserted.type, HV_X64_INTERRUPT_TYPE_LOWEST_PRIORITY);
	assert_int_equal(asserted.destination, 3);
	assert_true(asserted.logical);
	assert_true(asserted.level_triggered);
	assert_int_equal(asserted.vector, 0x41);
	interrupt_from_ioapic(&machine, 0, false, IOAPIC_NMI, 0, false);
	assert_int_equal(asserted.type, HV_X64_INTERRUPT_TYPE_NMI);
	assert_int_equal(asserts, 2);
	interrupt_from_ioapic(&machine, 0, false, IOAPIC_SMI, 0, false);
	interrupt_from_ioapic(&machine, 0, false, IOAPIC_EXTINT, 0, false);
	interrupt_from_ioapic(&machine, 0, false, 3, 0, false); /* reserved */
	assert_int_equal(asserts, 2);
	interrupt_eoi(&machine, 0x41);
	assert_int_equal(eoi, 0x41);
}

static void test_pic_waits_for_the_processor(void **state)
{
	union hv_x64_pending_ext_int_event event;

	(void)state;
	interrupt_from_pic(&machine, true);
	assert_int_equal(acknowledges, 0);
	assert_int_equal(event_loop_run_once(vp.loop, 0), 1);
	assert_int_equal(fake.notifications, 2); /* interrupt_notification */
	interrupt_from_pic(&machine, true);
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(fake.sets, 1); /* asked already */
	assert_int_equal(interrupt_deliverable(&vp), 0);
	assert_int_equal(acknowledges, 1);
	event = fake.pending_event.pending_ext_int_event;
	assert_int_equal(event.event_pending, 1);
	assert_int_equal(event.event_type, HV_X64_PENDING_EVENT_EXT_INT);
	assert_int_equal(event.vector, 0x68);
	assert_int_equal(fake.sets, 2); /* and not asked again */
}

static void test_pic_with_another_behind(void **state)
{
	(void)state;
	interrupt_from_pic(&machine, true);
	event_loop_run_once(vp.loop, 0);
	another = true;
	assert_int_equal(interrupt_deliverable(&vp), 0);
	assert_int_equal(fake.sets, 3); /* event, and asked again */
}

/* What was asked for stays asked for: the register holds all of it. */
static void test_notifications_add_up(void **state)
{
	const union hv_deliverability_notifications_register slot = { .sints = 1 << 2 };

	(void)state;
	interrupt_from_pic(&machine, true);
	event_loop_run_once(vp.loop, 0);
	assert_int_equal(interrupt_notify(&vp, slot), 0);
	assert_int_equal(fake.notifications, 4ull << 48 | 2);
	assert_int_equal(interrupt_notify(&vp, slot), 0);
	assert_int_equal(fake.sets, 2); /* asked already */
	another = true;
	assert_int_equal(interrupt_deliverable(&vp), 0);
	assert_int_equal(fake.notifications, 4ull << 48 | 2);
	assert_int_equal(fake.sets, 4); /* event, and asked again */
}

/* The request went away before the processor could take it. */
static void test_pic_withdrawn(void **state)
{
	(void)state;
	interrupt_from_pic(&machine, true);
	event_loop_run_once(vp.loop, 0);
	interrupt_from_pic(&machine, false);
	assert_int_equal(interrupt_deliverable(&vp), 0);
	assert_int_equal(acknowledges, 0);
	assert_int_equal(fake.pending_event.reg64, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ioapic),
		TEST(test_pic_waits_for_the_processor),
		TEST(test_pic_with_another_behind),
		TEST(test_notifications_add_up),
		TEST(test_pic_withdrawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
