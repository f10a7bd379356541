#include "devices/rtc_time.h"

#define SECONDS_PER_DAY 86400

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Days from 1970-01-01 to the first of a month (0 is January; any value). The year is taken to start
 * in March, which puts the leap day last; then a month starts after (153 m + 2) / 5 days of it.
 */
static int64_t days_to_month(int64_t year, int64_t month)
{
	int64_t from_march = month - 2;
	int64_t y = year + floor_div(from_march, 12);
	int64_t m = from_march - floor_div(from_march, 12) * 12;
	int64_t leap_days = floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400);
	/* From 0000-03-01 to 1970-01-01. */
	const int64_t epoch = 719468;

	return y * 365 + leap_days + (153 * m + 2) / 5 - epoch;
}

int64_t rtc_time_to_seconds(const struct rtc_time *t)
{
	int64_t days = days_to_month(t->year, (int64_t)t->month - 1) + (int64_t)t->day - 1;

	return days * SECONDS_PER_DAY + (int64_t)t->hour * 3600 + (int64_t)t->minute * 60 +
	       t->second;
}

/* 400 years have 146,097 days: the estimate is at most a year too late or too early. */
static int64_t year_of(int64_t days)
{
	int64_t year = 1970 + floor_div(days * 400, 146097);

	while (days_to_month(year, 0) > days)
		year--;
	while (days_to_month(year + 1, 0) <= days)
		year++;
	return year;
}

void rtc_time_from_seconds(struct rtc_time *t, int64_t seconds)
{
	int64_t days = floor_div(seconds, SECONDS_PER_DAY);
	unsigned int rest = (unsigned int)(seconds - days * SECONDS_PER_DAY);
	int64_t year = year_of(days);
	unsigned int month = 0;

	while (month < 11 && days_to_month(year, month + 1) <= days)
		month++;
	*t = (struct rtc_time){
		.year = (int)year,
		.month = month + 1,
		.day = (unsigned int)(days - days_to_month(year, month)) + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
		/* 1970-01-01 was a Thursday. */
		.weekday = (unsigned int)((days + 4) - floor_div(days + 4, 7) * 7) + 1,
	};
}
