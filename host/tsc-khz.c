/*
 * Prints the frequency of this machine's time-stamp counter in kHz. The outer kernel, which sees
 * the same counter inside QEMU, is told it: its own calibration against emulated timers fails now
 * and then on a busy machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#define PERIOD_NS 100000000
#define TRIES     8

struct sample {
	uint64_t ticks;
	int64_t ns;
	uint64_t
		width; /* ticks between the two readings around the clock's: how far off we may be */
};

static struct sample take_once(void)
{
	struct timespec now;
	struct sample s;
	uint64_t before = __rdtsc();

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	s.width = __rdtsc() - before;
	s.ticks = before + s.width / 2;
	s.ns = now.tv_sec * 1000000000ll + now.tv_nsec;
	return s;
}

/* The best of some tries: one of them is not preempted in the middle. */
static struct sample take(void)
{
	struct sample best = take_once();

	for (int i = 1; i < TRIES; i++) {
		struct sample s = take_once();

		if (s.width < best.width)
			best = s;
	}
	return best;
}

int main(void)
{
	const struct timespec period = { 0, PERIOD_NS };
	struct sample start = take(), end;

	nanosleep(&period, NULL);
	end = take();
	if (end.ns <= start.ns)
		return EXIT_FAILURE;
	printf("%llu\n", (unsigned long long)((end.ticks - start.ticks) * 1000000 /
					      (uint64_t)(end.ns - start.ns)));
	return EXIT_SUCCESS;
}
