#ifndef CORE_EVENT_LOOP_H
#define CORE_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One thread's event loop: file descriptors, timers, and calls posted by other threads.
 *
 * Everything but event_loop_post() is for the owning thread only. A VP thread does not sleep here:
 * it gives event_loop_fd() to the kernel (MSHV_SET_POLL_FILE), which brings the VP back from VTL0
 * when the descriptor becomes readable, and then calls event_loop_run_once() without waiting.
 */

struct event_loop;

/* Embedded by the owner, who keeps it alive until removed or cancelled. */
struct event_watch {
	void (*ready)(struct event_watch *watch, uint32_t epoll_events);
	int fd;
};

struct event_timer {
	void (*expired)(struct event_timer *timer);
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; set by event_timer_arm() */
	struct event_timer *next;
	struct event_loop *loop;
	bool armed;
};

/* Returns NULL with errno set. */
struct event_loop *event_loop_create(void);
void event_loop_destroy(struct event_loop *loop);

/* The epoll descriptor: readable when the loop has something to do. */
int event_loop_fd(const struct event_loop *loop);

/* events: EPOLLIN and so on, level-triggered. 0 or -errno. */
int event_loop_add(struct event_loop *loop, struct event_watch *watch, uint32_t events);
int event_loop_modify(struct event_loop *loop, struct event_watch *watch, uint32_t events);
void event_loop_remove(struct event_loop *loop, struct event_watch *watch);

/* Handlers may add, remove, arm and cancel freely, themselves included. */
void event_timer_init(struct event_timer *timer, struct event_loop *loop,
		      void (*expired)(struct event_timer *timer));
void event_timer_arm(struct event_timer *timer, uint64_t deadline_ns);
void event_timer_cancel(struct event_timer *timer);

/* Any thread: run fn(ctx) on the loop's thread, in the order posted. 0 or -ENOMEM. */
int event_loop_post(struct event_loop *loop, void (*fn)(void *ctx), void *ctx);

/*
 * Handles what is ready, waiting at most timeout_ms for the first event (0: do not wait, -1: for
 * ever). Returns the number of handlers run, or -errno.
 */
int event_loop_run_once(struct event_loop *loop, int timeout_ms);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t event_loop_now_ns(void);

#endif
