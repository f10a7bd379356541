#include "host/reference_time.h"

#include <time.h>
#include <x86intrin.h>

void reference_time_init(struct reference_time *time, uint64_t tsc_khz)
{
	time->tsc_khz = tsc_khz;
	time->tsc_offset = 0 - __rdtsc();
	/* 10,000 units a millisecond, tsc_khz ticks a millisecond */
	time->scale = (uint64_t)(((unsigned __int128)10000 << 64) / tsc_khz);
}

uint64_t reference_time_now(const struct reference_time *time)
{
	uint64_t tsc = __rdtsc() + time->tsc_offset;

	return (uint64_t)(((unsigned __int128)tsc * time->scale) >> 64);
}

uint64_t reference_time_to_monotonic(const struct reference_time *time, uint64_t when)
{
	const uint64_t far = 1ull << 54; /* in units: 57 years; and ns cannot overflow below it */
	uint64_t now = reference_time_now(time);
	uint64_t ahead = when > now ? when - now : 0;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec +
	       (ahead < far ? ahead : far) * 100;
}
