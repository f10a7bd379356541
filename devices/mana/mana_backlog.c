/*
 * Frames that found their queue without a buffer. They wait here, in order, and the network is not read meanwhile, so that a
 * driver that is slow for a moment slows the sender down instead of losing its frames. A queue that stays without is not
 * waited for any more until it gets buffers: others are behind it. On the loop, with the lock.
 */

#include <string.h>

#include "core/container_of.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "devices/mana/mana_internal.h"

/* Without a frame taken. VPs that share a processor with others have been seen to take 100 ms for their next buffers. */
#define WAIT_NS 1000000000u

static void arm(struct mana_backlog *backlog)
{
	event_timer_arm(&backlog->timer, event_loop_now_ns() + WAIT_NS);
}

/* The doorbells of receive queues look at `waiting`: those that came before it was set are looked for once more. */
static void set_waiting(struct mana *mana, bool waiting)
{
	struct net_backend *backend = mana->config.backend;

	__atomic_store_n(&mana->backlog.waiting, waiting, __ATOMIC_SEQ_CST);
	backend->ops->pause(backend, waiting);
	if (!waiting) {
		event_timer_cancel(&mana->backlog.timer);
		return;
	}
	arm(&mana->backlog);
	mana_wake(mana);
}

void mana_backlog_keep(struct mana *mana, const uint8_t *frame, size_t len)
{
	struct mana_backlog *backlog = &mana->backlog;
	uint32_t size = (uint32_t)len;

	if (sizeof(size) + len > sizeof(backlog->bytes) - backlog->end) {
		mana->stats.rx_no_wqe++;
		return;
	}
	memcpy(backlog->bytes + backlog->end, &size, sizeof(size));
	memcpy(backlog->bytes + backlog->end + sizeof(size), frame, len);
	backlog->end += sizeof(size) + len;
	if (!mana_backlog_waits(mana))
		set_waiting(mana, true);
}

static void give(struct mana *mana, bool last_time)
{
	struct mana_backlog *backlog = &mana->backlog;
	size_t at = backlog->at;
	uint32_t size;

	if (!mana_backlog_waits(mana))
		return;
	while (at < backlog->end) {
		memcpy(&size, backlog->bytes + at, sizeof(size));
		if (!mana_receive_frame(mana, backlog->bytes + at + sizeof(size), size, last_time))
			break;
		at += sizeof(size) + size;
	}
	if (at == backlog->end) {
		backlog->at = backlog->end = 0;
		set_waiting(mana, false);
	} else if (at != backlog->at) {
		backlog->at = at;
		arm(backlog);
	}
}

void mana_backlog_run(struct mana *mana)
{
	give(mana, false);
}

static void expired(struct event_timer *timer)
{
	struct mana *mana = container_of(timer, struct mana, backlog.timer);

	log_limited(LOG_INFO,
		    "mana: a queue has been without buffers for a second: it loses frames");
	pthread_mutex_lock(&mana->lock);
	give(mana, true);
	pthread_mutex_unlock(&mana->lock);
}

void mana_backlog_init(struct mana *mana)
{
	event_timer_init(&mana->backlog.timer, mana->config.loop, expired);
}

void mana_backlog_fini(struct mana *mana)
{
	event_timer_cancel(&mana->backlog.timer);
}
