#ifndef CORE_EVENT_LOOP_H
#define CORE_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One thread's event loop: file descriptors, timers, and calls posted by other threads.
 *
 * Descriptors belong to the loop's own thread. Timers and posts are for any thread: the chipset's
 * timers run on one VP's loop and are armed by whichever VP touches the device. All handlers run on
 * the loop's thread, without locks of the loop.
 *
 * A VP thread does not sleep here: it gives event_loop_fd() to the kernel (MSHV_SET_POLL_FILE),
 * which brings the VP back from VTL0 when the descriptor becomes readable, and then calls
 * event_loop_run_once() without waiting.
 */

struct event_loop;

/* Embedded by the owner, who keeps it alive until removed or cancelled. */
struct event_watch {
	void (*ready)(struct event_watch *watch, uint32_t epoll_events);
	int fd;
};

/* Fields other than `expired` are the loop's. */
struct event_timer {
	void (*expired)(struct event_timer *timer);
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	struct event_timer *next;
	struct event_loop *loop;
	uint64_t run; /* the loop's run during which it was armed */
	bool armed;
};

/* Embedded by the owner. Fields other than `call` are the loop's. */
struct event_deferred {
	void (*call)(struct event_deferred *deferred);
	struct event_deferred *next;
	bool pending;
};

/* A call to be posted, embedded by the owner, who sets `fn` and `ctx`. */
struct event_call {
	void (*fn)(void *ctx);
	void *ctx;
	struct event_call *next;
	bool allocated; /* by event_loop_post() */
};

/* Returns NULL with errno set. */
struct event_loop *event_loop_create(void);

/*
 * No thread uses the loop any more and the owners of timers and watches are gone or will not touch
 * them again. Posted calls that have not run are not made.
 */
void event_loop_destroy(struct event_loop *loop);

/* The epoll descriptor: readable when the loop has something to do. */
int event_loop_fd(const struct event_loop *loop);

/*
 * events: EPOLLIN and so on; level-triggered unless EPOLLET is among them. 0 or -errno. Loop's
 * thread. A removed watch is not called again, not even for an event that was already found.
 */
int event_loop_add(struct event_loop *loop, struct event_watch *watch, uint32_t events);
int event_loop_modify(struct event_loop *loop, struct event_watch *watch, uint32_t events);
void event_loop_remove(struct event_loop *loop, struct event_watch *watch);

/*
 * For a loop that runs between other work of its thread: leaves at least twice the time that a
 * wake-up for timers costs (its handlers included, at most 20 ms) before the next one. Else a
 * device whose guest asks for more interrupts than can be had keeps that guest from running at all.
 * Once, after creation.
 */
void event_loop_share_time(struct event_loop *loop);

/*
 * One-shot timers; any thread. Arming an armed timer moves its deadline (CLOCK_MONOTONIC); a
 * deadline that has passed expires in the next run. Handlers may arm and cancel freely, themselves
 * included. Timers that expire in one run are called in the order of their deadlines.
 *
 * Arming or cancelling from another thread does not wait for a handler that has already begun: that
 * handler takes its device's lock and looks at its device's state before it acts on it.
 */
void event_timer_init(struct event_timer *timer, struct event_loop *loop,
		      void (*expired)(struct event_timer *timer));
void event_timer_arm(struct event_timer *timer, uint64_t deadline_ns);
void event_timer_cancel(struct event_timer *timer);

/*
 * Any thread: run fn(ctx) on the loop's thread, in the order posted. 0 or -ENOMEM. What a posted
 * call posts is not run before all that was posted by then, mostly in the next run.
 *
 * A thread that posts to the loop that it was the last to run spares itself the descriptor: its next
 * run does not wait. One that sleeps elsewhere looks at event_loop_has_posts() before.
 */
int event_loop_post(struct event_loop *loop, void (*fn)(void *ctx), void *ctx);

/* The same with a call of the caller's, which is not posted already; from its fn on, it may be again. */
void event_loop_post_call(struct event_loop *loop, struct event_call *call);

/* Whether the next run has calls to make. Loop's thread. */
bool event_loop_has_posts(const struct event_loop *loop);

/* Whether the descriptor is readable: asks the kernel. Any thread. */
bool event_loop_is_ready(const struct event_loop *loop);

/* Makes the descriptor readable, and ends a wait of the loop. Any thread. */
void event_loop_wake(struct event_loop *loop);

/*
 * From a handler: has deferred->call made once at the end of this run (or before the run goes on to
 * look at descriptors), however often it is asked for, so that what many handlers have to say (a doorbell) is said once. False: no run is under way.
 * event_loop_undefer() takes it back. Loop's thread.
 */
bool event_loop_defer(struct event_loop *loop, struct event_deferred *deferred);
void event_loop_undefer(struct event_loop *loop, struct event_deferred *deferred);

/*
 * Handles what is ready, waiting at most timeout_ms for the first event (0: do not wait, -1: for
 * ever): calls posted by this thread, then timers, other posted calls, descriptors. Returns the number of
 * handlers run (a signal ends the wait with 0), or -errno. Loop's thread, not from a handler.
 */
int event_loop_run_once(struct event_loop *loop, int timeout_ms);

/*
 * Only the calls that this thread has posted, without asking the kernel: for a thread that is told when event_loop_fd() becomes
 * readable, and has not been. Returns how many. Loop's thread, not from a handler.
 */
int event_loop_run_posts(struct event_loop *loop);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t event_loop_now_ns(void);

#endif
