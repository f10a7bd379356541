#include "core/event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

/* What ran, in order: one letter each. */
static char trace[4096];
static size_t trace_len;

static void note(char c)
{
	assert_true(trace_len < sizeof(trace) - 1);
	trace[trace_len++] = c;
	trace[trace_len] = 0;
}

static int setup(void **state)
{
	trace_len = 0;
	trace[0] = 0;
	*state = event_loop_create();
	assert_non_null(*state);
	return 0;
}

static int teardown(void **state)
{
	event_loop_destroy(*state);
	return 0;
}

struct lettered_timer {
	struct event_timer timer;
	char letter;
	struct event_timer *cancel, *arm;
	uint64_t arm_at;
};

static void on_timer(struct event_timer *timer)
{
	struct lettered_timer *t = (struct lettered_timer *)timer;

	assert_false(timer->armed);
	note(t->letter);
	if (t->cancel)
		event_timer_cancel(t->cancel);
	if (t->arm)
		event_timer_arm(t->arm, t->arm_at);
}

static void init_timers(struct lettered_timer *t, unsigned int count, struct event_loop *loop)
{
	for (unsigned int i = 0; i < count; i++) {
		t[i] = (struct lettered_timer){ .letter = (char)('a' + i) };
		event_timer_init(&t[i].timer, loop, on_timer);
	}
}

static bool readable(struct event_loop *loop, int timeout_ms)
{
	struct pollfd p = { .fd = event_loop_fd(loop), .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static void test_timers_run_in_order(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_timer t[4];

	init_timers(t, 4, loop);
	event_timer_arm(&t[2].timer, 30);
	event_timer_arm(&t[0].timer, 10);
	event_timer_arm(&t[3].timer, 30);
	event_timer_arm(&t[1].timer, 0);
	assert_int_equal(event_loop_run_once(loop, -1), 4);
	assert_string_equal(trace, "bacd");
	assert_int_equal(event_loop_run_once(loop, 0), 0);
}

static void test_timer_is_not_early(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_timer t[1];
	uint64_t deadline = event_loop_now_ns() + 20000000;

	init_timers(t, 1, loop);
	event_timer_arm(&t[0].timer, deadline);
	assert_int_equal(event_loop_run_once(loop, 0), 0);
	assert_false(readable(loop, 0));
	while (trace_len == 0)
		assert_true(event_loop_run_once(loop, -1) >= 0);
	assert_true(event_loop_now_ns() >= deadline);
}

/* The descriptor becomes readable for the first deadline whatever order they were armed in. */
static void test_earlier_deadline_reprograms(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_timer t[2];
	uint64_t now = event_loop_now_ns();

	init_timers(t, 2, loop);
	event_timer_arm(&t[0].timer, now + 3600000000000);
	event_timer_arm(&t[1].timer, now + 1000000);
	assert_true(readable(loop, -1));
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	assert_string_equal(trace, "b");
	assert_true(t[0].timer.armed);
	event_timer_arm(&t[0].timer, now);
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_string_equal(trace, "ba");
}

static void test_timer_cancel(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_timer t[3];

	init_timers(t, 3, loop);
	for (int i = 0; i < 3; i++)
		event_timer_arm(&t[i].timer, 10 + (uint64_t)i);
	t[0].cancel = &t[1].timer; /* due in the same run */
	event_timer_cancel(&t[2].timer);
	event_timer_cancel(&t[2].timer);
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_string_equal(trace, "a");
	event_timer_arm(&t[2].timer, 1);
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_string_equal(trace, "ac");
}

/* A handler that arms itself in the past neither hangs the run nor starves the others. */
static void test_timer_rearms_itself(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_timer t[2];

	init_timers(t, 2, loop);
	t[0].arm = &t[0].timer;
	t[0].arm_at = 1;
	event_timer_arm(&t[0].timer, 1);
	event_timer_arm(&t[1].timer, 2);
	assert_int_equal(event_loop_run_once(loop, -1), 2);
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_string_equal(trace, "abaa");
	event_timer_cancel(&t[0].timer);
}

static void test_timer_never(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_timer t[1];

	init_timers(t, 1, loop);
	event_timer_arm(&t[0].timer, UINT64_MAX);
	assert_false(readable(loop, 1));
	event_timer_arm(&t[0].timer, UINT64_MAX - 1);
	assert_false(readable(loop, 1));
}

static void post_letter(void *ctx)
{
	note(*(const char *)ctx);
}

static struct event_loop *post_to;

static void post_again(void *ctx)
{
	note('r');
	assert_int_equal(event_loop_post(post_to, post_letter, ctx), 0);
}

static void test_posts_run_in_order(void **state)
{
	struct event_loop *loop = *state;

	assert_false(readable(loop, 0));
	for (const char *c = "xyz"; *c; c++)
		assert_int_equal(event_loop_post(loop, post_letter, (void *)(uintptr_t)c), 0);
	assert_true(readable(loop, 0));
	assert_int_equal(event_loop_run_once(loop, 0), 3);
	assert_string_equal(trace, "xyz");
	assert_false(readable(loop, 0));

	post_to = loop;
	event_loop_post(loop, post_again, (void *)(uintptr_t) "w");
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	assert_string_equal(trace, "xyzrw");
}

/* No descriptor has to say what the thread knows itself. */
static void test_own_posts(void **state)
{
	struct event_loop *loop = *state;

	assert_int_equal(event_loop_run_once(loop, 0), 0);
	assert_false(event_loop_has_posts(loop));
	event_loop_post(loop, post_letter, (void *)(uintptr_t) "o");
	assert_true(event_loop_has_posts(loop));
	assert_false(readable(loop, 0));
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_string_equal(trace, "o");
	assert_false(event_loop_has_posts(loop));
}

static void *post_from_thread(void *ctx)
{
	event_loop_post(ctx, post_letter, (void *)(uintptr_t) "t");
	return NULL;
}

/* A post of this thread's does not hide that another thread's has to wake whoever waits. */
static void test_own_post_then_anothers(void **state)
{
	struct event_loop *loop = *state;
	pthread_t thread;

	event_loop_run_once(loop, 0);
	event_loop_post(loop, post_letter, (void *)(uintptr_t) "o");
	pthread_create(&thread, NULL, post_from_thread, loop);
	pthread_join(thread, NULL);
	assert_true(readable(loop, 0));
	assert_int_equal(event_loop_run_once(loop, -1), 2);
	assert_string_equal(trace, "ot");
}

/* Those, and nothing that the kernel would tell of. */
static void test_only_own_posts(void **state)
{
	struct event_loop *loop = *state;
	pthread_t thread;

	event_loop_run_once(loop, 0);
	assert_int_equal(event_loop_run_posts(loop), 0);
	event_loop_post(loop, post_letter, (void *)(uintptr_t) "o");
	event_loop_wake(loop);
	assert_int_equal(event_loop_run_posts(loop), 1);
	assert_string_equal(trace, "o");
	assert_true(readable(loop, 0));
	event_loop_run_once(loop, 0);

	/* Another's is found with its descriptor, and with it what this thread posted before. */
	event_loop_post(loop, post_letter, (void *)(uintptr_t) "p");
	pthread_create(&thread, NULL, post_from_thread, loop);
	pthread_join(thread, NULL);
	assert_int_equal(event_loop_run_posts(loop), 0);
	assert_true(readable(loop, 0));
	assert_int_equal(event_loop_run_once(loop, 0), 2);
	assert_string_equal(trace, "opt");
}

static void *run_from_thread(void *ctx)
{
	while (!trace_len)
		event_loop_run_once(ctx, -1);
	return NULL;
}

/* Whoever ran it last owns it: this thread's posts must now wake the other. */
static void test_owner_changes(void **state)
{
	struct event_loop *loop = *state;
	pthread_t thread;

	event_loop_run_once(loop, 0);
	pthread_create(&thread, NULL, run_from_thread, loop);
	event_loop_post(loop, post_letter, (void *)(uintptr_t) "o");
	pthread_join(thread, NULL);
	assert_string_equal(trace, "o");
}

struct counted_call {
	struct event_call call;
	struct event_loop *loop;
	unsigned int left;
};

static void post_itself(void *ctx)
{
	struct counted_call *counted = ctx;

	note('c');
	if (counted->left--)
		event_loop_post_call(counted->loop, &counted->call);
}

static void test_embedded_call(void **state)
{
	static struct counted_call counted;

	counted = (struct counted_call){ { post_itself, &counted, NULL, false }, *state, 2 };
	event_loop_post_call(*state, &counted.call);
	for (int i = 0; i < 3; i++)
		assert_int_equal(event_loop_run_once(*state, -1), 1);
	assert_int_equal(event_loop_run_once(*state, 0), 0);
	assert_string_equal(trace, "ccc");
	event_loop_post_call(*state, &counted.call); /* dropped, not freed */
}

static void test_wake(void **state)
{
	event_loop_run_once(*state, 0);
	event_loop_wake(*state);
	assert_true(readable(*state, 0));
	assert_int_equal(event_loop_run_once(*state, -1), 0);
	assert_false(readable(*state, 0));
}

static void test_destroy_drops_posts(void **state)
{
	event_loop_post(*state, post_letter, (void *)(uintptr_t) "x");
	event_loop_destroy(*state);
	*state = NULL;
	assert_string_equal(trace, "");
}

#define POSTERS 4
#define POSTS   2000

struct poster {
	struct event_loop *loop;
	unsigned int id, sent, seen;
	bool out_of_order;
};

struct numbered_post {
	struct poster *poster;
	unsigned int number;
};

static void count_post(void *ctx)
{
	struct numbered_post *post = ctx;

	post->poster->out_of_order |= post->number != post->poster->seen;
	post->poster->seen++;
	free(post);
}

static void *post_many(void *ctx)
{
	struct poster *poster = ctx;

	for (unsigned int i = 0; i < POSTS; i++) {
		struct numbered_post *post = malloc(sizeof(*post));

		*post = (struct numbered_post){ poster, i };
		event_loop_post(poster->loop, count_post, post);
	}
	return NULL;
}

/* Each thread's calls arrive complete and in its order, and no wake-up is lost. */
static void test_posts_from_threads(void **state)
{
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];
	unsigned int total = 0;

	for (unsigned int i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){ .loop = *state, .id = i };
		pthread_create(&threads[i], NULL, post_many, &posters[i]);
	}
	while (total < POSTERS * POSTS) {
		int run = event_loop_run_once(*state, -1);

		assert_true(run >= 0);
		total += (unsigned int)run;
	}
	for (unsigned int i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(posters[i].seen, POSTS);
		assert_false(posters[i].out_of_order);
	}
}

static void *arm_from_thread(void *ctx)
{
	event_timer_arm(ctx, event_loop_now_ns() + 1000000);
	return NULL;
}

/* Another thread's timer wakes a loop that already sleeps. */
static void test_arm_from_thread(void **state)
{
	struct lettered_timer t[1];
	pthread_t thread;

	init_timers(t, 1, *state);
	pthread_create(&thread, NULL, arm_from_thread, &t[0].timer);
	while (trace_len == 0)
		assert_true(event_loop_run_once(*state, -1) >= 0);
	pthread_join(thread, NULL);
	assert_string_equal(trace, "a");
}

static void on_signal(int signal)
{
	(void)signal;
}

/* A signal ends the wait; that is no error. */
static void test_signal(void **state)
{
	const struct itimerval soon = { .it_value.tv_usec = 1000 };
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(event_loop_run_once(*state, -1), 0);
}

/* The loop takes the lowest free descriptors; afterwards they are free again. */
static void test_descriptors_are_closed(void **state)
{
	int lowest = dup(STDIN_FILENO);

	(void)state;
	close(lowest);
	event_loop_destroy(event_loop_create());
	for (int fd = lowest; fd < lowest + 3; fd++)
		assert_int_equal(fcntl(fd, F_GETFD), -1);
}

struct lettered_watch {
	struct event_watch watch;
	struct event_loop *loop;
	struct event_watch *remove;
	char letter;
};

static void on_ready(struct event_watch *watch, uint32_t events)
{
	struct lettered_watch *w = (struct lettered_watch *)watch;

	assert_true(events & (EPOLLIN | EPOLLOUT));
	note(w->letter);
	if (w->remove)
		event_loop_remove(w->loop, w->remove);
}

static struct lettered_watch make_watch(struct event_loop *loop, char letter)
{
	return (struct lettered_watch){ .watch = { .ready = on_ready,
						   .fd = eventfd(1, EFD_NONBLOCK) },
					.loop = loop,
					.letter = letter };
}

static void test_watch(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_watch w = make_watch(loop, 'w');
	uint64_t value;

	assert_int_equal(event_loop_add(loop, &w.watch, EPOLLIN), 0);
	assert_int_equal(event_loop_add(loop, &w.watch, EPOLLIN), -EEXIST);
	assert_int_equal(event_loop_run_once(loop, -1), 1);
	assert_int_equal(event_loop_run_once(loop, 0), 1); /* level-triggered */
	assert_int_equal(read(w.watch.fd, &value, 8), 8);
	assert_int_equal(event_loop_run_once(loop, 0), 0);
	assert_int_equal(event_loop_modify(loop, &w.watch, EPOLLOUT), 0);
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	event_loop_remove(loop, &w.watch);
	assert_int_equal(event_loop_run_once(loop, 0), 0);
	assert_string_equal(trace, "www");
	close(w.watch.fd);
}

/* Both are ready at once; whichever runs first removes both. */
static void test_watch_removed_while_pending(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_watch a = make_watch(loop, 'a'), b = make_watch(loop, 'b');

	a.remove = &b.watch;
	b.remove = &a.watch;
	event_loop_add(loop, &a.watch, EPOLLIN);
	event_loop_add(loop, &b.watch, EPOLLIN);
	assert_int_equal(event_loop_run_once(loop, 0), 1);
	assert_int_equal(strlen(trace), 1);
	close(a.watch.fd);
	close(b.watch.fd);
}

static void test_timers_then_posts_then_watches(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_watch w = make_watch(loop, 'w');
	struct lettered_timer t[1];

	event_loop_add(loop, &w.watch, EPOLLIN);
	event_loop_post(loop, post_letter, (void *)(uintptr_t) "p");
	init_timers(t, 1, loop);
	event_timer_arm(&t[0].timer, 1);
	assert_int_equal(event_loop_run_once(loop, 0), 3);
	assert_string_equal(trace, "apw");
	close(w.watch.fd);
}

static void post_for_ever(void *ctx)
{
	note('p');
	event_loop_post(ctx, post_for_ever, ctx);
}

/* Descriptors are looked at in every run, whatever this thread keeps giving itself. */
static void test_own_posts_hold_up_nothing(void **state)
{
	struct event_loop *loop = *state;
	struct lettered_watch w = make_watch(loop, 'w');

	event_loop_run_once(loop, 0); /* from here on it is this thread's */
	event_loop_add(loop, &w.watch, EPOLLIN);
	event_loop_post(loop, post_for_ever, loop);
	for (int i = 0; i < 3; i++)
		event_loop_run_once(loop, 0);
	assert_string_equal(trace, "pwpwpw");
	close(w.watch.fd);
}

static struct event_loop *deferring_loop;

static void say_end(struct event_deferred *deferred)
{
	(void)deferred;
	note('z');
}

static struct event_deferred end_of_run = { .call = say_end };

static void post_and_defer(void *ctx)
{
	note(*(char *)ctx);
	assert_true(event_loop_defer(deferring_loop, &end_of_run));
}

static void post_and_undefer(void *ctx)
{
	note(*(char *)ctx);
	event_loop_undefer(deferring_loop, &end_of_run);
}

static void test_deferred_runs_once_at_the_end(void **state)
{
	struct event_loop *loop = deferring_loop = *state;
	static char letters[] = "abcd";

	assert_false(event_loop_defer(loop, &end_of_run));
	event_loop_post(loop, post_and_defer, &letters[0]);
	event_loop_post(loop, post_and_defer, &letters[1]);
	event_loop_run_once(loop, 0);
	assert_string_equal(trace, "abz");
	assert_false(event_loop_defer(loop, &end_of_run));
	event_loop_post(loop, post_and_defer, &letters[2]);
	event_loop_post(loop, post_and_undefer, &letters[3]);
	event_loop_run_once(loop, 0);
	assert_string_equal(trace, "abzcd");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static struct {
	unsigned int runs;
	uint64_t ended, shortest_rest;
} greedy;

/* Takes a millisecond and is due again at once. */
static void run_greedy(struct event_timer *timer)
{
	uint64_t start = event_loop_now_ns();

	if (greedy.runs++ && start - greedy.ended < greedy.shortest_rest)
		greedy.shortest_rest = start - greedy.ended;
	while (event_loop_now_ns() < start + 1000000)
		;
	event_timer_arm(timer, 0);
	greedy.ended = event_loop_now_ns();
}

static void test_sharing_time(void **state)
{
	struct event_loop *loop = *state;
	struct event_timer timer;

	event_loop_share_time(loop);
	event_timer_init(&timer, loop, run_greedy);
	greedy.runs = 0;
	greedy.shortest_rest = UINT64_MAX;
	event_timer_arm(&timer, 0);
	while (greedy.runs < 5)
		assert_true(event_loop_run_once(loop, 1000) >= 0);
	assert_true(greedy.shortest_rest >= 2000000);
	event_timer_cancel(&timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sharing_time),
		TEST(test_timers_run_in_order),
		TEST(test_timer_is_not_early),
		TEST(test_earlier_deadline_reprograms),
		TEST(test_timer_cancel),
		TEST(test_timer_rearms_itself),
		TEST(test_timer_never),
		TEST(test_posts_run_in_order),
		TEST(test_own_posts),
		TEST(test_own_post_then_anothers),
		TEST(test_only_own_posts),
		TEST(test_owner_changes),
		TEST(test_embedded_call),
		TEST(test_wake),
		TEST(test_destroy_drops_posts),
		TEST(test_posts_from_threads),
		TEST(test_arm_from_thread),
		TEST(test_signal),
		TEST(test_descriptors_are_closed),
		TEST(test_watch),
		TEST(test_watch_removed_while_pending),
		TEST(test_timers_then_posts_then_watches),
		TEST(test_own_posts_hold_up_nothing),
		TEST(test_deferred_runs_once_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
