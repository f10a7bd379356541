#include "devices/cmos_rtc.h"

#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/io_bus.h"
#include "devices/rtc_time.h"

#include <stdlib.h>

#define NS_PER_SECOND 1000000000ull
#define CRYSTAL_HZ    32768ull

/* CMOS bytes that belong to the clock (MC146818A data sheet, address map). */
enum {
	SECONDS = 0x00,
	SECONDS_ALARM = 0x01,
	MINUTES = 0x02,
	MINUTES_ALARM = 0x03,
	HOURS = 0x04,
	HOURS_ALARM = 0x05,
	WEEKDAY = 0x06,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
};

#define A_UPDATING     0x80 /* read-only */
#define A_DIVIDER      0x70
#define A_DIVIDER_RUNS 0x20 /* with a 32,768 Hz crystal */
#define A_RATE         0x0f

#define B_SET        0x80
#define B_PERIODIC   0x40
#define B_ALARM      0x20
#define B_UPDATE     0x10
#define B_INTERRUPTS (B_PERIODIC | B_ALARM | B_UPDATE) /* the bits of the same flags in C */
#define B_BINARY     0x04
#define B_24_HOURS   0x02

#define C_IRQ      0x80
#define D_VALID    0x80
#define HOUR_PM    0x80
#define ALARM_ANY  0xc0 /* these bits set in an alarm byte: matches whatever the time is */
#define INDEX_MASK 0x7f /* bit 7 of port 0x70 masks NMI */

/* An update takes 1984 us and is announced 244 us ahead (data sheet, update cycle). */
#define UPDATE_WINDOW_NS 2228000ull

struct cmos_rtc {
	struct cmos_rtc_config config;
	struct event_timer timer;

	/* Seconds since 1970 and when they began. While the clock is stopped memory[] has the time. */
	int64_t seconds;
	uint64_t second_began_ns;
	uint64_t tick; /* periodic ticks up to here have shown; at most CRYSTAL_HZ */

	uint8_t index;
	uint8_t flags; /* register C without C_IRQ */
	uint8_t memory[CMOS_RTC_MEMORY_LEN];
};

static bool is_running(const struct cmos_rtc *rtc)
{
	return !(rtc->memory[REG_B] & B_SET) && (rtc->memory[REG_A] & A_DIVIDER) == A_DIVIDER_RUNS;
}

/* Bytes hold BCD or binary numbers, as register B says. */
static uint8_t encode(const struct cmos_rtc *rtc, unsigned int number)
{
	if (rtc->memory[REG_B] & B_BINARY)
		return (uint8_t)number;
	return (uint8_t)(number / 10 % 10 << 4 | number % 10);
}

static unsigned int decode(const struct cmos_rtc *rtc, uint8_t byte)
{
	return rtc->memory[REG_B] & B_BINARY ? byte : (byte >> 4) * 10u + (byte & 0xf);
}

static uint8_t encode_hour(const struct cmos_rtc *rtc, unsigned int hour)
{
	if (rtc->memory[REG_B] & B_24_HOURS)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned int decode_hour(const struct cmos_rtc *rtc, uint8_t byte)
{
	if (rtc->memory[REG_B] & B_24_HOURS)
		return decode(rtc, byte);
	return decode(rtc, byte & ~HOUR_PM & 0xff) % 12 + (byte & HOUR_PM ? 12 : 0);
}

static void time_to_memory(struct cmos_rtc *rtc)
{
	struct rtc_time t;

	rtc_time_from_seconds(&t, rtc->seconds);
	rtc->memory[SECONDS] = encode(rtc, t.second);
	rtc->memory[MINUTES] = encode(rtc, t.minute);
	rtc->memory[HOURS] = encode_hour(rtc, t.hour);
	rtc->memory[WEEKDAY] = encode(rtc, t.weekday);
	rtc->memory[DAY] = encode(rtc, t.day);
	rtc->memory[MONTH] = encode(rtc, t.month);
	rtc->memory[YEAR] = encode(rtc, (unsigned int)t.year % 100);
	/* Not part of the MC146818: it is BCD or binary like the rest. */
	rtc->memory[CMOS_RTC_CENTURY] = encode(rtc, (unsigned int)t.year / 100);
}

static void time_from_memory(struct cmos_rtc *rtc)
{
	const uint8_t *m = rtc->memory;
	const struct rtc_time t = {
		.year = (int)(decode(rtc, m[CMOS_RTC_CENTURY]) * 100 + decode(rtc, m[YEAR])),
		.month = decode(rtc, m[MONTH]),
		.day = decode(rtc, m[DAY]),
		.hour = decode_hour(rtc, m[HOURS]),
		.minute = decode(rtc, m[MINUTES]),
		.second = decode(rtc, m[SECONDS]),
	};

	rtc->seconds = rtc_time_to_seconds(&t);
}

static bool alarm_matches(const struct cmos_rtc *rtc, unsigned int reg, uint8_t now)
{
	return (rtc->memory[reg] & ALARM_ANY) == ALARM_ANY || rtc->memory[reg] == now;
}

/*
 * The first second after rtc->seconds at which the alarm goes off, or INT64_MAX when it never does.
 * Fields that do not match are skipped whole, the largest first: 24 + 60 + 60 steps at most.
 */
static int64_t next_alarm(const struct cmos_rtc *rtc)
{
	int64_t seconds = rtc->seconds + 1, end = rtc->seconds + 86400;
	struct rtc_time t;

	while (seconds <= end) {
		rtc_time_from_seconds(&t, seconds);
		if (!alarm_matches(rtc, HOURS_ALARM, encode_hour(rtc, t.hour)))
			seconds += 3600 - (t.minute * 60 + t.second);
		else if (!alarm_matches(rtc, MINUTES_ALARM, encode(rtc, t.minute)))
			seconds += 60 - t.second;
		else if (!alarm_matches(rtc, SECONDS_ALARM, encode(rtc, t.second)))
			seconds++;
		else
			return seconds;
	}
	return INT64_MAX;
}

/* Crystal ticks between two periodic interrupts; 0: none (data sheet, table 5). All divide a second. */
static uint64_t periodic_ticks(const struct cmos_rtc *rtc)
{
	unsigned int rate = rtc->memory[REG_A] & A_RATE;

	if (rate == 0)
		return 0;
	/* 1 and 2 stand for 8 and 9 with this crystal. */
	return 1ull << (rate <= 2 ? rate + 6 : rate - 1);
}

static void update_irq(struct cmos_rtc *rtc)
{
	irq_line_set(&rtc->config.irq, rtc->flags & rtc->memory[REG_B] & B_INTERRUPTS);
}

/* Shows in register C the periodic ticks in the current second up to crystal tick `tick`. */
static void advance_ticks(struct cmos_rtc *rtc, uint64_t tick)
{
	uint64_t period = periodic_ticks(rtc);

	if (period && tick / period > rtc->tick / period)
		rtc->flags |= B_PERIODIC;
	rtc->tick = tick;
}

/* Brings the time and the flags of register C up to date. */
static void catch_up(struct cmos_rtc *rtc)
{
	uint64_t now = event_loop_now_ns(), passed = (now - rtc->second_began_ns) / NS_PER_SECOND;

	if (!is_running(rtc)) {
		rtc->second_began_ns = now;
		return;
	}
	if (passed > 0) {
		if (next_alarm(rtc) <= rtc->seconds + (int64_t)passed)
			rtc->flags |= B_ALARM;
		rtc->flags |= B_UPDATE;
		advance_ticks(rtc, CRYSTAL_HZ);
		rtc->tick = 0;
		rtc->seconds += (int64_t)passed;
		rtc->second_began_ns += passed * NS_PER_SECOND;
		time_to_memory(rtc);
	}
	advance_ticks(rtc, (now - rtc->second_began_ns) * CRYSTAL_HZ / NS_PER_SECOND);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Wakes at the next event whose interrupt is enabled and whose flag does not show yet. */
static void arm_timer(struct cmos_rtc *rtc)
{
	uint8_t wanted = rtc->memory[REG_B] & ~rtc->flags & B_INTERRUPTS;
	uint64_t began = rtc->second_began_ns, next = UINT64_MAX, period = periodic_ticks(rtc);

	if (is_running(rtc) && (wanted & B_UPDATE))
		next = began + NS_PER_SECOND;
	if (is_running(rtc) && (wanted & B_ALARM)) {
		int64_t at = next_alarm(rtc);

		if (at != INT64_MAX)
			next = earlier(next, began + (uint64_t)(at - rtc->seconds) * NS_PER_SECOND);
	}
	if (is_running(rtc) && (wanted & B_PERIODIC) && period) {
		uint64_t tick = (rtc->tick / period + 1) * period;

		next = earlier(next, began + (tick * NS_PER_SECOND + CRYSTAL_HZ - 1) / CRYSTAL_HZ);
	}
	if (next != UINT64_MAX)
		event_timer_arm(&rtc->timer, next);
	else
		event_timer_cancel(&rtc->timer);
}

static void timer_expired(struct event_timer *timer)
{
	struct cmos_rtc *rtc = container_of(timer, struct cmos_rtc, timer);

	device_lock_acquire(rtc->config.lock);
	catch_up(rtc);
	arm_timer(rtc);
	update_irq(rtc);
	device_lock_release(rtc->config.lock);
}

static bool is_time(uint8_t index)
{
	return index == SECONDS || index == MINUTES || index == HOURS ||
	       (index >= WEEKDAY && index <= YEAR) || index == CMOS_RTC_CENTURY;
}

static uint8_t read_reg_c(struct cmos_rtc *rtc)
{
	uint8_t value = rtc->flags;

	if (value & rtc->memory[REG_B] & B_INTERRUPTS)
		value |= C_IRQ;
	rtc->flags = 0;
	arm_timer(rtc);
	update_irq(rtc);
	return value;
}

static uint8_t read_reg_a(const struct cmos_rtc *rtc)
{
	uint64_t into_second = event_loop_now_ns() - rtc->second_began_ns;
	bool updating = is_running(rtc) && into_second >= NS_PER_SECOND - UPDATE_WINDOW_NS;

	return rtc->memory[REG_A] | (updating ? A_UPDATING : 0);
}

static uint8_t read_byte(struct cmos_rtc *rtc)
{
	catch_up(rtc);
	switch (rtc->index) {
	case REG_A:
		return read_reg_a(rtc);
	case REG_C:
		return read_reg_c(rtc);
	case REG_D:
		return D_VALID;
	default:
		return rtc->memory[rtc->index];
	}
}

/* The clock starts from what memory[] says, at the beginning of that second. */
static void start(struct cmos_rtc *rtc)
{
	time_from_memory(rtc);
	time_to_memory(rtc);
	rtc->second_began_ns = event_loop_now_ns();
	rtc->tick = 0;
}

/* Registers A and B start and stop the clock. */
static void write_control(struct cmos_rtc *rtc, uint8_t index, uint8_t value)
{
	bool was_running = is_running(rtc);

	if (index == REG_B && (value & B_SET))
		value &= (uint8_t)~B_UPDATE;
	rtc->memory[index] = index == REG_A ? value & ~A_UPDATING & 0xff : value;
	if (!was_running && is_running(rtc))
		start(rtc);
	else if (was_running && is_running(rtc))
		time_to_memory(rtc); /* the number format may have changed */
}

static void write_byte(struct cmos_rtc *rtc, uint8_t value)
{
	catch_up(rtc);
	if (rtc->index == REG_A || rtc->index == REG_B) {
		write_control(rtc, rtc->index, value);
	} else if (rtc->index != REG_C && rtc->index != REG_D) {
		rtc->memory[rtc->index] = value;
		/* Setting a running clock keeps where it is in the second. */
		if (is_time(rtc->index) && is_running(rtc)) {
			time_from_memory(rtc);
			time_to_memory(rtc);
		}
	}
	arm_timer(rtc);
	update_irq(rtc);
}

/* Port 0x70 cannot be read back. */
static enum io_result port_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	(void)size;
	*value = offset == 0 ? 0xff : read_byte(dev);
	return IO_DONE;
}

static enum io_result port_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct cmos_rtc *rtc = dev;

	(void)size;
	if (offset == 0)
		rtc->index = value & INDEX_MASK;
	else
		write_byte(rtc, (uint8_t)value);
	return IO_DONE;
}

static const struct io_region_ops port_ops = {
	.read = port_read,
	.write = port_write,
};

struct cmos_rtc *cmos_rtc_create(const struct cmos_rtc_config *config)
{
	struct cmos_rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return NULL;
	rtc->config = *config;
	rtc->seconds = config->wall_clock;
	rtc->second_began_ns = event_loop_now_ns();
	/* As firmware leaves it: running, 1024 Hz selected, BCD, 24 hours. */
	rtc->memory[REG_A] = A_DIVIDER_RUNS | 6;
	rtc->memory[REG_B] = B_24_HOURS;
	time_to_memory(rtc);
	event_timer_init(&rtc->timer, config->loop, timer_expired);
	return rtc;
}

void cmos_rtc_destroy(struct cmos_rtc *rtc)
{
	if (!rtc)
		return;
	event_timer_cancel(&rtc->timer);
	free(rtc);
}

int cmos_rtc_attach(struct cmos_rtc *rtc, struct io_bus *bus)
{
	const struct io_region region = {
		.name = "cmos-rtc",
		.space = IO_PORT,
		.base = CMOS_RTC_PORT,
		.len = 2,
		.ops = &port_ops,
		.dev = rtc,
		.lock = rtc->config.lock,
		.max_size = 1,
	};

	return io_bus_add(bus, &region);
}

void cmos_rtc_set_byte(struct cmos_rtc *rtc, uint8_t index, uint8_t value)
{
	if (index > REG_D && index < CMOS_RTC_MEMORY_LEN && index != CMOS_RTC_CENTURY)
		rtc->memory[index] = value;
}
