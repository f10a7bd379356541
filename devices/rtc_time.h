#ifndef DEVICES_RTC_TIME_H
#define DEVICES_RTC_TIME_H

#include <stdint.h>

/* Civil time in the proleptic Gregorian calendar, without leap seconds. */
struct rtc_time {
	int year;                /* 1970 and the like */
	unsigned int month, day; /* from 1 */
	unsigned int hour, minute, second;
	unsigned int weekday; /* 1 is Sunday */
};

/* seconds: since 1970-01-01, 00:00. */
void rtc_time_from_seconds(struct rtc_time *time, int64_t seconds);

/* Fields beyond their range carry over (32 January is 1 February); weekday is not looked at. */
int64_t rtc_time_to_seconds(const struct rtc_time *time);

#endif
