/* A VP between VTL0, which follows a script, and a real event loop, of which a fake kernel tells it or not. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/exit.h"
#include "paravisor/machine.h"
#include "paravisor/start_state.h"
#include "paravisor/vp.h"
#include "tests/unit/fake/fake_vtl.h"

/* Enough for every rare thing that a VP does to happen. */
#define MANY 5000

static struct fake_vtl fake;
static struct machine machine;
static struct vp vp;
static bool told; /* what clear_wake() takes back */

/* Called with the number of the visit, from 1, at each return to VTL0: gives the exit. The machine ends after `last`. */
static void (*script)(unsigned int visit, struct vp_exit *exit);
static unsigned int visit, last;
static int run_error;

static struct event_watch watch;
static unsigned int handled, handled_at, dispatched, warnings;
static enum host_port_result outcome;
static bool ended;

bool machine_has_ended(const struct machine *m)
{
	assert_ptr_equal(m, &machine);
	return ended || visit >= last;
}

void machine_end(struct machine *m, enum host_port_result result, const char *format, ...)
{
	(void)m;
	(void)format;
	ended = true;
	outcome = result;
}

int start_state_set_memory_type(struct vtl_vp *v, uint64_t type)
{
	(void)v;
	(void)type;
	return 0;
}

static void (*at_dispatch)(void);

void exit_dispatch(struct vp *v, const struct vp_exit *exit)
{
	assert_ptr_equal(v, &vp);
	assert_int_not_equal(exit->kind, VP_EXIT_WAKE);
	dispatched++;
	if (at_dispatch)
		at_dispatch();
}

static int run(struct vtl_vp *v, struct vp_exit *exit)
{
	(void)v;
	*exit = (struct vp_exit){ .kind = VP_EXIT_PIO };
	visit++;
	if (script)
		script(visit, exit);
	return run_error;
}

static bool clear_wake(struct vtl_vp *v)
{
	bool was = told;

	(void)v;
	told = false;
	return was;
}

static void on_ready(struct event_watch *w, uint32_t events)
{
	eventfd_t value;

	(void)events;
	assert_int_equal(eventfd_read(w->fd, &value), 0);
	handled++;
	handled_at = visit;
}

static void write_log(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	(void)len;
	assert_int_equal(level, LOG_WARN);
	assert_non_null(strstr(line, "the kernel told nobody"));
	warnings++;
}

static int setup(void **state)
{
	static const struct log_sink sink = { .write = write_log };

	(void)state;
	log_set_sink(&sink);
	fake_vtl_init(&fake);
	fake.ops.run = run;
	fake.ops.clear_wake = clear_wake;
	memset(&vp, 0, sizeof(vp));
	machine = (struct machine){ .vtl = &fake.vtl, .vps = &vp };
	script = NULL;
	at_dispatch = NULL;
	visit = handled = handled_at = dispatched = warnings = 0;
	last = 1;
	run_error = 0;
	ended = told = false;
	if (vp_init(&vp, &machine, 0))
		return -1;
	vp.vtl = &fake.vp;
	watch = (struct event_watch){ on_ready, eventfd(0, EFD_NONBLOCK) };
	return event_loop_add(vp.loop, &watch, EPOLLIN);
}

static int teardown(void **state)
{
	(void)state;
	event_loop_destroy(vp.loop);
	close(watch.fd);
	return 0;
}

/* Something becomes ready; the kernel says so, or not. */
static void become_ready(bool tell)
{
	assert_int_equal(eventfd_write(watch.fd, 1), 0);
	told = tell;
}

/* --- */

static void ready_at_the_start(void **state)
{
	(void)state;
	become_ready(true);
	vp_run(&vp);
	assert_int_equal(handled, 1);
	assert_int_equal(handled_at, 0);
	assert_int_equal(visit, 1);
}

static void wake_at_3(unsigned int n, struct vp_exit *exit)
{
	if (n != 3)
		return;
	become_ready(true);
	exit->kind = VP_EXIT_WAKE;
}

static void a_wake_runs_the_loop(void **state)
{
	(void)state;
	script = wake_at_3;
	last = 6;
	vp_run(&vp);
	assert_int_equal(handled, 1);
	assert_int_equal(handled_at, 3);
	assert_int_equal(dispatched, 5);
	assert_int_equal(vp.exits[VP_EXIT_WAKE], 1);
	assert_int_equal(vp.exits[VP_EXIT_PIO], 5);
}

/* As when the kernel has set its flag and run() has not looked at it yet. */
static void told_at_3(unsigned int n, struct vp_exit *exit)
{
	(void)exit;
	if (n == 3)
		become_ready(true);
}

static void an_exit_is_no_look(void **state)
{
	(void)state;
	script = told_at_3;
	last = 1000;
	vp_run(&vp);
	assert_int_equal(handled, 0);
	assert_true(told); /* nothing was lost: run() would end at once */
}

static void count_post(void *ctx)
{
	(void)ctx;
	handled++;
	handled_at = visit;
}

static void post_at_3(void)
{
	if (visit == 3)
		assert_int_equal(event_loop_post(vp.loop, count_post, NULL), 0);
}

static void what_an_exit_posts_runs_at_once(void **state)
{
	(void)state;
	at_dispatch = post_at_3;
	last = 4;
	vp_run(&vp);
	assert_int_equal(handled, 1);
	assert_int_equal(handled_at, 3);
}

/* Together with what the kernel has told of by then. */
static void post_and_be_told_at_3(void)
{
	if (visit == 3)
		become_ready(true);
	post_at_3();
}

static void what_is_told_by_then_runs_too(void **state)
{
	(void)state;
	at_dispatch = post_and_be_told_at_3;
	last = 4;
	vp_run(&vp);
	assert_int_equal(handled, 2);
	assert_false(told);
}

static void be_ready_again(struct event_watch *w, uint32_t events)
{
	on_ready(w, events);
	become_ready(true);
}

/* VTL0 gets its turn, and the loop the next. */
static void a_loop_that_always_finds_work(void **state)
{
	(void)state;
	watch.ready = be_ready_again;
	become_ready(true);
	last = 0;
	vp_run(&vp);
	assert_in_range(handled, 2, 1000);
	assert_true(event_loop_is_ready(vp.loop));
	assert_int_equal(visit, 0);
}

static void post_again(void *ctx)
{
	handled++;
	assert_int_equal(event_loop_post(vp.loop, post_again, ctx), 0);
}

/* What it has posted to itself is no news for the kernel. */
static void a_loop_that_always_posts(void **state)
{
	(void)state;
	assert_int_equal(event_loop_post(vp.loop, post_again, NULL), 0);
	last = 0;
	vp_run(&vp);
	assert_in_range(handled, 2, 1000);
	assert_true(event_loop_is_ready(vp.loop));
}

static void ready_at_3_and_untold(unsigned int n, struct vp_exit *exit)
{
	(void)exit;
	if (n == 3)
		become_ready(false);
}

static void what_the_kernel_forgot_is_found(void **state)
{
	(void)state;
	script = ready_at_3_and_untold;
	last = MANY;
	vp_run(&vp);
	assert_int_equal(handled, 1);
	assert_in_range(handled_at, 4, 2000);
	assert_int_equal(warnings, 1);
}

static void always_untold(unsigned int n, struct vp_exit *exit)
{
	(void)exit;
	if (n % 2)
		become_ready(false);
}

static void each_time_it_forgets(void **state)
{
	(void)state;
	script = always_untold;
	last = MANY;
	vp_run(&vp);
	assert_in_range(handled, 2, 5);
	assert_int_equal(warnings, handled);
}

/* Told after the look: that is how it should be, whichever of the two comes first. */
static void wake_after_look(unsigned int n, struct vp_exit *exit)
{
	if (vp.ready) {
		told = true;
		exit->kind = VP_EXIT_WAKE;
	} else if (n == 3) {
		become_ready(false);
	}
}

static void told_after_look(unsigned int n, struct vp_exit *exit)
{
	(void)exit;
	if (vp.ready)
		told = true;
	else if (n == 3)
		become_ready(false);
}

static void what_is_told_late_was_told(void **state)
{
	(void)state;
	last = MANY;
	script = wake_after_look;
	vp_run(&vp);
	assert_int_equal(handled, 1);
	assert_false(vp.ready);
	assert_int_equal(warnings, 0);
	visit = 0;
	script = told_after_look;
	vp_run(&vp);
	assert_int_equal(handled, 2);
	assert_int_equal(warnings, 0);
}

static void nothing_to_find(void **state)
{
	(void)state;
	last = MANY;
	vp_run(&vp);
	assert_int_equal(handled, 0);
	assert_int_equal(warnings, 0);
	assert_int_equal(dispatched, MANY);
}

static void vtl0_cannot_be_run(void **state)
{
	(void)state;
	run_error = -EIO;
	last = MANY;
	vp_run(&vp);
	assert_int_equal(visit, 1);
	assert_int_equal(dispatched, 0);
	assert_true(ended);
	assert_int_equal(outcome, HOST_PORT_FAILURE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(ready_at_the_start),
		TEST(a_wake_runs_the_loop),
		TEST(an_exit_is_no_look),
		TEST(what_an_exit_posts_runs_at_once),
		TEST(what_is_told_by_then_runs_too),
		TEST(a_loop_that_always_finds_work),
		TEST(a_loop_that_always_posts),
		TEST(what_the_kernel_forgot_is_found),
		TEST(each_time_it_forgets),
		TEST(what_is_told_late_was_told),
		TEST(nothing_to_find),
		TEST(vtl0_cannot_be_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
