#ifndef HOST_REFERENCE_TIME_H
#define HOST_REFERENCE_TIME_H

#include <stdint.h>

/*
 * The partition's reference time (TLFS 12.4): 100 ns units since the partition's start, derived
 * from the TSC so that it agrees with the reference TSC page to the bit. Immutable after init.
 */
struct reference_time {
	uint64_t tsc_offset; /* guest TSC = host TSC + this */
	uint64_t tsc_khz;
	uint64_t scale; /* time = (guest TSC * scale) >> 64 */
};

void reference_time_init(struct reference_time *time, uint64_t tsc_khz);
uint64_t reference_time_now(const struct reference_time *time);

/* The CLOCK_MONOTONIC time, in ns, at which reference_time_now() reaches `when`. */
uint64_t reference_time_to_monotonic(const struct reference_time *time, uint64_t when);

#endif
