#include "tests/unit/fake/event_loop.h"

#include <stddef.h>

static struct event_timer *timers;
static uint64_t clock_ns;

struct event_loop *fake_event_loop(void)
{
	return (struct event_loop *)&timers;
}

void fake_clock_reset(uint64_t now_ns)
{
	timers = NULL;
	clock_ns = now_ns;
}

uint64_t event_loop_now_ns(void)
{
	return clock_ns;
}

void event_timer_init(struct event_timer *timer, struct event_loop *loop,
		      void (*expired)(struct event_timer *timer))
{
	*timer = (struct event_timer){ .expired = expired, .loop = loop };
}

void event_timer_cancel(struct event_timer *timer)
{
	struct event_timer **at = &timers;

	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

void event_timer_arm(struct event_timer *timer, uint64_t deadline_ns)
{
	struct event_timer **at = &timers;

	event_timer_cancel(timer);
	timer->deadline_ns = deadline_ns;
	while (*at && (*at)->deadline_ns <= deadline_ns)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
	timer->armed = true;
}

uint64_t fake_clock_next(void)
{
	return timers ? timers->deadline_ns : UINT64_MAX;
}

void fake_clock_jump(uint64_t ns)
{
	clock_ns += ns;
}

unsigned int fake_clock_advance(uint64_t ns)
{
	uint64_t end = clock_ns + ns;
	unsigned int expired = 0;

	while (timers && timers->deadline_ns <= end) {
		struct event_timer *timer = timers;

		if (timer->deadline_ns > clock_ns)
			clock_ns = timer->deadline_ns;
		event_timer_cancel(timer);
		timer->expired(timer);
		expired++;
	}
	clock_ns = end;
	return expired;
}
