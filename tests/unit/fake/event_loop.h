#ifndef TESTS_UNIT_FAKE_EVENT_LOOP_H
#define TESTS_UNIT_FAKE_EVENT_LOOP_H

#include "core/event_loop.h"

/*
 * core/event_loop.h's timers over a clock that the test moves. event_loop_now_ns() is that clock.
 * The loop pointer that devices are given is not looked at: fake_event_loop() is as good as any.
 */

struct event_loop *fake_event_loop(void);

/* Forgets all timers and sets the clock. */
void fake_clock_reset(uint64_t now_ns);

/* Moves the clock, stopping at each timer on the way. Returns the number that expired. */
unsigned int fake_clock_advance(uint64_t ns);

/* Moves the clock without running timers, as when the loop's thread is held up. */
void fake_clock_jump(uint64_t ns);

/* When the next timer expires; UINT64_MAX if none is armed. */
uint64_t fake_clock_next(void);

#endif
