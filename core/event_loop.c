#include "core/event_loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull
#define BATCH         16

/* The longest that event_loop_share_time() holds timers back. */
#define REST_MAX_NS 20000000ull

struct event_loop {
	int epoll_fd;
	int timer_fd;
	int post_fd;

	pthread_mutex_t lock;       /* guards the rest of this group */
	struct event_timer *timers; /* by deadline, equal ones in the order armed */
	uint64_t run;               /* counts run_timers() */
	uint64_t programmed_ns;     /* what timer_fd is set to; UINT64_MAX when it is not */
	bool shares_time;           /* see event_loop_share_time() */
	uint64_t not_before_ns;     /* timer_fd is not set to less than this */
	struct event_call *posts, **posts_tail; /* `posts` is atomic */
	bool post_fd_written;                   /* since posts were last taken; atomic */
	bool owned;                             /* by `owner`, who ran it last; atomic */
	pthread_t owner;

	/* The loop's thread only: what epoll_wait() returned and is not handled yet. */
	struct epoll_event batch[BATCH];
	int batch_len;
	bool running;
	struct event_deferred *deferred;
};

uint64_t event_loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SECOND + (uint64_t)ts.tv_nsec;
}

/* The loop's own descriptors are told from watches by the address of the field that holds them. */
static int add_own(struct event_loop *loop, int *fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = fd };

	if (*fd < 0)
		return -errno;
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, *fd, &event) ? -errno : 0;
}

static void close_fds(struct event_loop *loop)
{
	if (loop->post_fd >= 0)
		close(loop->post_fd);
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
}

static int open_fds(struct event_loop *loop)
{
	int err;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	err = add_own(loop, &loop->timer_fd, EPOLLIN);
	if (err)
		return err;
	loop->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	/* Each write is one event more: there is nothing to be read from it. */
	return add_own(loop, &loop->post_fd, EPOLLIN | EPOLLET);
}

struct event_loop *event_loop_create(void)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return NULL;
	loop->epoll_fd = loop->timer_fd = loop->post_fd = -1;
	loop->programmed_ns = UINT64_MAX;
	loop->posts_tail = &loop->posts;
	err = open_fds(loop);
	if (err)
		goto fail;
	err = -pthread_mutex_init(&loop->lock, NULL);
	if (err)
		goto fail;
	return loop;

fail:
	close_fds(loop);
	free(loop);
	errno = -err;
	return NULL;
}

void event_loop_destroy(struct event_loop *loop)
{
	if (!loop)
		return;
	for (struct event_call *call = loop->posts, *next; call; call = next) {
		next = call->next;
		if (call->allocated)
			free(call);
	}
	pthread_mutex_destroy(&loop->lock);
	close_fds(loop);
	free(loop);
}

int event_loop_fd(const struct event_loop *loop)
{
	return loop->epoll_fd;
}

int event_loop_add(struct event_loop *loop, struct event_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) ? -errno : 0;
}

int event_loop_modify(struct event_loop *loop, struct event_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) ? -errno : 0;
}

void event_loop_remove(struct event_loop *loop, struct event_watch *watch)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = 0; i < loop->batch_len; i++) {
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
	}
}

void event_timer_init(struct event_timer *timer, struct event_loop *loop,
		      void (*expired)(struct event_timer *timer))
{
	*timer = (struct event_timer){ .expired = expired, .loop = loop };
}

/*
 * Sets timer_fd when the first deadline lies before what it is set to. A cancelled deadline stays
 * programmed: waking once for nothing is cheaper than a system call each time.
 */
static void program_timer_fd(struct event_loop *loop)
{
	struct itimerspec spec = { 0 };
	uint64_t deadline;

	if (!loop->timers)
		return;
	deadline = loop->timers->deadline_ns;
	if (deadline < loop->not_before_ns)
		deadline = loop->not_before_ns;
	if (deadline >= loop->programmed_ns)
		return;
	/* Zero would disarm it. */
	spec.it_value.tv_sec = (time_t)(deadline / NS_PER_SECOND);
	spec.it_value.tv_nsec = deadline ? (long)(deadline % NS_PER_SECOND) : 1;
	if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		loop->programmed_ns = deadline;
}

static void unlink_timer(struct event_loop *loop, struct event_timer *timer)
{
	struct event_timer **at = &loop->timers;

	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

static void link_timer(struct event_loop *loop, struct event_timer *timer)
{
	struct event_timer **at = &loop->timers;

	while (*at && (*at)->deadline_ns <= timer->deadline_ns)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
	timer->armed = true;
}

void event_loop_share_time(struct event_loop *loop)
{
	loop->shares_time = true;
}

/*
 * What a wake-up for timers cost: from the time that timer_fd was set to until its handlers have
 * run. A hiccup of the machine is not held against the timers for long.
 */
static void leave_time(struct event_loop *loop, uint64_t woken_for)
{
	uint64_t now = event_loop_now_ns();
	uint64_t rest = now > woken_for ? 2 * (now - woken_for) : 0;

	loop->not_before_ns = now + (rest < REST_MAX_NS ? rest : REST_MAX_NS);
}

void event_timer_arm(struct event_timer *timer, uint64_t deadline_ns)
{
	struct event_loop *loop = timer->loop;

	pthread_mutex_lock(&loop->lock);
	unlink_timer(loop, timer);
	timer->deadline_ns = deadline_ns;
	timer->run = loop->run;
	link_timer(loop, timer);
	program_timer_fd(loop);
	pthread_mutex_unlock(&loop->lock);
}

void event_timer_cancel(struct event_timer *timer)
{
	pthread_mutex_lock(&timer->loop->lock);
	unlink_timer(timer->loop, timer);
	pthread_mutex_unlock(&timer->loop->lock);
}

void event_loop_wake(struct event_loop *loop)
{
	uint64_t one = 1;

	/* EAGAIN: 2^64 - 2 wake-ups, which is so many that this one is not missed. */
	while (write(loop->post_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void event_loop_post_call(struct event_loop *loop, struct event_call *call)
{
	bool write_fd;

	call->next = NULL;
	pthread_mutex_lock(&loop->lock);
	write_fd = !loop->post_fd_written &&
		   !(loop->owned && pthread_equal(loop->owner, pthread_self()));
	if (write_fd)
		__atomic_store_n(&loop->post_fd_written, true, __ATOMIC_RELAXED);
	__atomic_store_n(loop->posts_tail, call, __ATOMIC_RELAXED);
	loop->posts_tail = &call->next;
	pthread_mutex_unlock(&loop->lock);
	if (write_fd)
		event_loop_wake(loop);
}

int event_loop_post(struct event_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	struct event_call *call = malloc(sizeof(*call));

	if (!call)
		return -ENOMEM;
	*call = (struct event_call){ .fn = fn, .ctx = ctx, .allocated = true };
	event_loop_post_call(loop, call);
	return 0;
}

bool event_loop_has_posts(const struct event_loop *loop)
{
	return __atomic_load_n(&loop->posts, __ATOMIC_RELAXED);
}

bool event_loop_is_ready(const struct event_loop *loop)
{
	struct pollfd poller = { .fd = loop->epoll_fd, .events = POLLIN };

	return poll(&poller, 1, 0) > 0;
}

/* What was armed since this run began waits for the next, or a handler could keep itself going. */
static struct event_timer *pop_expired(struct event_loop *loop, uint64_t now)
{
	struct event_timer *timer;

	pthread_mutex_lock(&loop->lock);
	timer = loop->timers;
	while (timer && timer->deadline_ns <= now && timer->run == loop->run)
		timer = timer->next;
	if (timer && timer->deadline_ns <= now)
		unlink_timer(loop, timer);
	else
		timer = NULL;
	pthread_mutex_unlock(&loop->lock);
	return timer;
}

static int run_timers(struct event_loop *loop)
{
	uint64_t now = event_loop_now_ns();
	struct event_timer *timer;
	int run = 0;

	while ((timer = pop_expired(loop, now)) != NULL) {
		timer->expired(timer);
		run++;
	}
	return run;
}

static int on_timer_fd(struct event_loop *loop)
{
	uint64_t expirations, woken_for;
	int run;

	pthread_mutex_lock(&loop->lock);
	woken_for = loop->programmed_ns;
	/* Setting it anew between epoll_wait() and here made it unreadable, which is as good. */
	if (read(loop->timer_fd, &expirations, sizeof(expirations)) > 0)
		loop->programmed_ns = UINT64_MAX;
	if (loop->shares_time)
		loop->not_before_ns = UINT64_MAX; /* until the handlers' time is known */
	loop->run++;
	pthread_mutex_unlock(&loop->lock);

	run = run_timers(loop);

	pthread_mutex_lock(&loop->lock);
	if (loop->shares_time)
		leave_time(loop, woken_for);
	program_timer_fd(loop);
	pthread_mutex_unlock(&loop->lock);
	return run;
}

static int run_posts(struct event_loop *loop)
{
	struct event_call *call, *next;
	int run = 0;

	pthread_mutex_lock(&loop->lock);
	call = loop->posts;
	__atomic_store_n(&loop->posts, NULL, __ATOMIC_RELAXED);
	loop->posts_tail = &loop->posts;
	__atomic_store_n(&loop->post_fd_written, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&loop->lock);

	for (; call; call = next, run++) {
		void (*fn)(void *ctx) = call->fn;
		void *ctx = call->ctx;

		/* From its call on, it is its owner's again. */
		next = call->next;
		if (call->allocated)
			free(call);
		fn(ctx);
	}
	return run;
}

/* Takes one of the loop's own descriptors out of the batch if it is there. */
static bool take_from_batch(struct event_loop *loop, const int *fd)
{
	for (int i = 0; i < loop->batch_len; i++) {
		if (loop->batch[i].data.ptr == fd) {
			loop->batch[i].data.ptr = NULL;
			return true;
		}
	}
	return false;
}

static int run_watches(struct event_loop *loop)
{
	int run = 0;

	for (int i = 0; i < loop->batch_len; i++) {
		struct event_watch *watch = loop->batch[i].data.ptr;

		if (!watch)
			continue;
		watch->ready(watch, loop->batch[i].events);
		run++;
	}
	return run;
}

bool event_loop_defer(struct event_loop *loop, struct event_deferred *deferred)
{
	if (!loop->running)
		return false;
	if (!deferred->pending) {
		deferred->pending = true;
		deferred->next = loop->deferred;
		loop->deferred = deferred;
	}
	return true;
}

void event_loop_undefer(struct event_loop *loop, struct event_deferred *deferred)
{
	struct event_deferred **at = &loop->deferred;

	while (*at && *at != deferred)
		at = &(*at)->next;
	if (*at)
		*at = deferred->next;
	deferred->pending = false;
}

static void run_deferred(struct event_loop *loop)
{
	while (loop->deferred) {
		struct event_deferred *deferred = loop->deferred;

		loop->deferred = deferred->next;
		deferred->pending = false;
		deferred->call(deferred);
	}
}

/* From here on, what this thread posts is found at the beginning of its next run. */
static void own(struct event_loop *loop)
{
	if (__atomic_load_n(&loop->owned, __ATOMIC_ACQUIRE) &&
	    pthread_equal(loop->owner, pthread_self()))
		return;
	pthread_mutex_lock(&loop->lock);
	loop->owner = pthread_self();
	__atomic_store_n(&loop->owned, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&loop->lock);
}

/* What epoll_wait() found. */
static int run_batch(struct event_loop *loop)
{
	int run = 0;

	if (take_from_batch(loop, &loop->timer_fd))
		run += on_timer_fd(loop);
	if (take_from_batch(loop, &loop->post_fd))
		run += run_posts(loop);
	run += run_watches(loop);
	loop->batch_len = 0;
	return run;
}

/* What this thread posted to itself: how many. */
static int run_own_posts(struct event_loop *loop)
{
	int run;

	if (!event_loop_has_posts(loop) ||
	    __atomic_load_n(&loop->post_fd_written, __ATOMIC_RELAXED))
		return 0;
	run = run_posts(loop);
	run_deferred(loop); /* a fast device answers at once */
	return run;
}

static int run_ready(struct event_loop *loop, int timeout_ms)
{
	int run, found = epoll_wait(loop->epoll_fd, loop->batch, BATCH, timeout_ms);

	if (found < 0)
		return errno == EINTR ? 0 : -errno;
	loop->batch_len = found;
	run = run_batch(loop);
	run_deferred(loop);
	return run;
}

int event_loop_run_once(struct event_loop *loop, int timeout_ms)
{
	int posts, run;

	own(loop);
	loop->running = true;
	posts = run_own_posts(loop);
	run = run_ready(loop, posts ? 0 : timeout_ms);
	loop->running = false;
	return posts && run < 0 ? posts : posts + run;
}

int event_loop_run_posts(struct event_loop *loop)
{
	int run;

	own(loop);
	loop->running = true;
	run = run_own_posts(loop);
	loop->running = false;
	return run;
}
