#ifndef DEVICES_CMOS_RTC_H
#define DEVICES_CMOS_RTC_H

#include <stdint.h>

#include "core/irq.h"

/*
 * The real-time clock and CMOS memory of a PC: Motorola MC146818A behind ports 0x70 and 0x71, with
 * the century in byte 0x32 (FADT: century). Time goes on with CLOCK_MONOTONIC.
 */

#define CMOS_RTC_PORT       0x70
#define CMOS_RTC_CENTURY    0x32
#define CMOS_RTC_MEMORY_LEN 128u

struct cmos_rtc;
struct event_loop;
struct device_lock;
struct io_bus;

struct cmos_rtc_config {
	struct event_loop *loop;
	struct device_lock *lock;
	struct irq_line irq; /* level: asserted until the guest reads register C */
	int64_t wall_clock;  /* at creation: what the clock shows, in seconds since 1970 */
};

/* Copies *config. NULL when out of memory. */
struct cmos_rtc *cmos_rtc_create(const struct cmos_rtc_config *config);
void cmos_rtc_destroy(struct cmos_rtc *rtc);

/* Puts its two ports at CMOS_RTC_PORT. 0 or what io_bus_add() returns. */
int cmos_rtc_attach(struct cmos_rtc *rtc, struct io_bus *bus);

/* Presets a byte of CMOS memory, as firmware does; the clock's own bytes are ignored. */
void cmos_rtc_set_byte(struct cmos_rtc *rtc, uint8_t index, uint8_t value);

#endif
