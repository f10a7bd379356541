/* The MANA driver with a device that answers in place: when it is looked at, when interrupts are asked for, and that no frame waits for long. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "core/nic.h"
#include "core/pci_device.h"
#include "devices/mana/mana_function.h"
#include "devices/mana/mana_internal.h"
#include "devices/net/mana_nic.h"
#include "devices/net/mana_nic_internal.h"
#include "devices/pci/pci_inproc.h"
#include "tests/unit/devices/net/mana_machine.h"

#define HEAD_GPA  NETVSC_FRAMES
#define FRAME_GPA (NETVSC_FRAMES + 0x1000)

#define MS_NS     1000000ull
#define PERIOD_NS (10 * MS_NS)

/* Sends that it takes to begin. */
#define IN_A_ROW 4

static struct mana_machine m;
static unsigned int received, answers; /* frames that come while a send's doorbell is rung */
static const struct pci_device_ops *plain;
static struct pci_device_ops answering;

/* Far ahead of the loops' own clock, so that the timer expires when a test says so. */
static uint64_t now_ns;

uint64_t __wrap_event_loop_now_ns(void);
uint64_t __wrap_event_loop_now_ns(void)
{
	return now_ns;
}

static void on_frame(void *ctx, unsigned int channel, const struct netvsc_rx *rx)
{
	(void)ctx;
	(void)channel;
	assert_int_equal(rx->len, 100);
	received++;
}

static void deliver(unsigned int count)
{
	static const uint8_t frame[100] = { 0x02, 0x15, 0x5D, 1, 2, 3 };

	while (count--)
		memory_backend_deliver(&m.network, frame, sizeof(frame));
}

static void answering_write(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			    unsigned int size, uint64_t value)
{
	plain->write(pci, bar, offset, size, value);
	if (!bar && size == 8 && offset % GDMA_PAGE_SIZE == GDMA_DOORBELL_SQ &&
	    (value & GDMA_DOORBELL_ID_MASK) > MANA_HWC_RQ)
		deliver(answers);
}

static int setup(void **state)
{
	struct pci_device_access *pci;

	(void)state;
	log_set_level(LOG_ERROR);
	received = answers = 0;
	now_ns = __LONG_MAX__ / 2;
	if (mana_machine_init_in_place(&m, 1500, 4))
		return -1;
	pci = pci_inproc_device(m.bus);
	plain = pci->ops;
	answering = *plain;
	answering.write = answering_write;
	pci->ops = &answering;
	m.net.received = on_frame;
	return netvsc_start(&m.net, NVSP_PROTOCOL_VERSION_61, 1500);
}

static int teardown(void **state)
{
	(void)state;
	return mana_machine_fini(&m);
}

static void run(void)
{
	mana_machine_run(&m, 1);
}

static struct mana_nic_queue *queue(void)
{
	return &((struct mana_nic *)m.driver)->queues[0];
}

static struct mana_nic_counters counters(void)
{
	struct mana_nic_counters now;

	mana_nic_counters(m.driver, &now);
	return now;
}

static bool looking(void)
{
	assert_int_equal(queue()->poll.on, queue()->poll.timer.armed);
	return queue()->poll.on;
}

static void post_send(void)
{
	struct netvsc_tx tx = { FRAME_GPA, 60, NULL, 0 };

	assert_int_equal(netvsc_send(&m.net, 0, 1, HEAD_GPA, &tx), 0);
}

/* Each is answered with so many frames. */
static void sends(unsigned int count, unsigned int answered)
{
	uint64_t completed = m.net.completed[0];
	unsigned int before = received;

	answers = answered;
	for (unsigned int i = 0; i < count; i++) {
		post_send();
		run();
	}
	answers = 0;
	assert_int_equal(m.net.completed[0], completed + count);
	assert_int_equal(received, before + count * answered);
}

/* The timer's time has come. */
static void expire(void)
{
	struct event_timer *timer = &queue()->poll.timer;

	assert_true(looking());
	assert_in_range(timer->deadline_ns - now_ns, PERIOD_NS / 4, PERIOD_NS + PERIOD_NS / 4);
	assert_int_equal(timer->deadline_ns % PERIOD_NS, 0); /* with the kernel's tick */
	now_ns = timer->deadline_ns;
	event_timer_cancel(timer);
	timer->expired(timer);
	looking();
	run();
}

static void begin(void)
{
	uint64_t doorbells;

	sends(IN_A_ROW - 1, 1);
	assert_false(looking());
	doorbells = counters().doorbells;
	sends(1, 1);
	assert_true(looking());
	assert_int_equal(counters().doorbells, doorbells + 1); /* nothing was armed again */
}

/* Frames come by themselves, in time. */
static void interrupts_work(void)
{
	unsigned int before = received;
	uint64_t interrupts = counters().interrupts;

	assert_false(looking());
	deliver(2);
	run();
	assert_int_equal(received, before + 2);
	assert_true(counters().interrupts > interrupts);
}

/* Of a send the doorbell is left, and now and then one for buffers. */
static void answers_in_place_need_no_interrupt(void **state)
{
	struct mana_nic_counters before, after;

	(void)state;
	begin();
	before = counters();
	sends(100, 2);
	after = counters();
	assert_true(looking());
	assert_int_equal(after.interrupts, before.interrupts);
	assert_in_range(after.doorbells - before.doorbells, 100, 105);
}

static void a_guest_that_gives_buffers_back_gets_more(void **state)
{
	struct nic *nic = mana_nic_nic(m.driver);

	(void)state;
	begin();
	deliver(3);
	run();
	assert_int_equal(received, IN_A_ROW); /* nobody has looked */
	nic->ops->kick(nic, 0);
	run();
	assert_int_equal(received, IN_A_ROW + 3);
	assert_true(looking());
}

/* By frames that came otherwise, though not by sends without an answer. */
static void a_row_is_broken(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		sends(IN_A_ROW - 1, 1);
		interrupts_work();
	}
	assert_false(looking());
	sends(2, 1);
	sends(10, 0);
	assert_false(looking());
	sends(IN_A_ROW - 2, 1);
	assert_true(looking());
}

static void it_goes_on_while_somebody_looks(void **state)
{
	(void)state;
	begin();
	for (unsigned int i = 0; i < 5; i++) {
		sends(1, i & 1);
		expire();
		assert_true(looking());
	}
	expire();
	interrupts_work();
	begin(); /* at once, for nothing had waited */
}

/* It expires with the kernel's tick, if that is not too near: expire() asserts both. */
static void the_timer_keeps_to_ticks(void **state)
{
	static const uint64_t after_tick[] = { 0, 1, PERIOD_NS / 2, PERIOD_NS / 4 * 3,
					       PERIOD_NS - 1 };
	unsigned int i;

	(void)state;
	begin();
	for (i = 0; i < sizeof(after_tick) / sizeof(after_tick[0]); i++) {
		now_ns += PERIOD_NS - now_ns % PERIOD_NS + after_tick[i];
		queue()->poll.timer.expired(&queue()->poll.timer);
		sends(1, 1);
		expire();
		sends(1, 1);
	}
}

/* Of frames that wait the timer takes care, and it is off then for longer and longer. */
static void frames_wait_for_a_period_at_most(void **state)
{
	uint64_t wait = 40 * MS_NS;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int before;

		begin();
		before = received;
		deliver(1);
		run();
		assert_int_equal(received, before);
		expire();
		assert_int_equal(received, before + 1);
		interrupts_work();
		now_ns += wait - 1;
		sends(IN_A_ROW, 1);
		assert_false(looking());
		interrupts_work();
		now_ns++;
		wait = wait * 2 < 1000 * MS_NS ? wait * 2 : 1000 * MS_NS;
	}
	/* What was good for many frames may begin again sooner. */
	begin();
	sends(256, 1);
	deliver(1);
	expire();
	now_ns += 40 * MS_NS;
	begin();
	deliver(1);
	expire();
	now_ns += 80 * MS_NS - 1;
	sends(IN_A_ROW, 1);
	assert_false(looking());
}

/* Sends that the network does not take at once are interrupted for, and the frames that came meanwhile are there, too. */
static void sends_under_way_are_heard_of(void **state)
{
	uint64_t completed;

	(void)state;
	begin();
	completed = m.net.completed[0];
	for (unsigned int i = 1; i <= 3; i++) {
		uint64_t interrupts = counters().interrupts;
		unsigned int before = received;

		memory_backend_set_full(&m.network, true);
		post_send();
		run();
		deliver(1);
		run();
		assert_int_equal(m.net.completed[0], completed);
		assert_int_equal(received, before);
		memory_backend_set_full(&m.network, false);
		run();
		assert_int_equal(m.net.completed[0], ++completed);
		assert_int_equal(received, before + 1);
		assert_int_equal(counters().interrupts, interrupts + 1);
	}
	assert_true(looking());
}

static void a_reset_ends_it(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		begin();
		mana_function_request_reset(m.function);
		run();
		assert_int_equal(counters().resets, i + 1);
		interrupts_work();
	}
}

static void a_lie_ends_it(void **state)
{
	const struct mana_rx_comp comp = {
		.header = MANA_CQE_COMPLETION << MANA_CQE_CLIENT_SHIFT | MANA_CQE_RX_OKAY,
		.packets = { { 60, 0, 0 } },
		.wqe_offset = 1,
	};
	struct mana *mana = mana_of(m.function);
	struct nic *nic = mana_nic_nic(m.driver);
	unsigned int rq = MANA_HWC_RQ + 1;

	(void)state;
	while (mana->wqs[rq].type != GDMA_RQ)
		rq++;
	for (unsigned int i = 0; i < 2; i++) {
		begin();
		sends(1, 0);
		mana_complete(mana, &mana->wqs[rq], &comp);
		if (i)
			expire();
		else
			nic->ops->kick(nic, 0);
		assert_false(looking());
		run();
		assert_int_equal(counters().resets, i + 1);
		interrupts_work();
		now_ns += 1000 * MS_NS;
	}
}

static void closing_ends_it(void **state)
{
	(void)state;
	begin();
	assert_int_equal(netvsc_stop(&m.net, 0), 0);
	assert_false(looking());
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_in_place_need_no_interrupt),
		TEST(a_guest_that_gives_buffers_back_gets_more),
		TEST(a_row_is_broken),
		TEST(it_goes_on_while_somebody_looks),
		TEST(the_timer_keeps_to_ticks),
		TEST(frames_wait_for_a_period_at_most),
		TEST(sends_under_way_are_heard_of),
		TEST(a_reset_ends_it),
		TEST(a_lie_ends_it),
		TEST(closing_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
