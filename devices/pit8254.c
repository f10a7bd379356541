#include "devices/pit8254.h"

#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/io_bus.h"

#include <stdlib.h>

#define TIMER_PORT     0x40
#define CONTROL_OFFSET 3
#define PORT_B         0x61
#define CHANNELS       3
#define NS_PER_SECOND  1000000000ull
#define IRQ_MIN_NS     100000ull
#define NEVER          UINT64_MAX

/* Control word (data sheet, figure 7) */
#define CONTROL_BCD       0x01
#define READ_BACK         3 /* in place of a channel */
#define READ_BACK_NCOUNT  0x20
#define READ_BACK_NSTATUS 0x10
#define STATUS_OUT        0x80
#define STATUS_NULL_COUNT 0x40

/* Port 0x61 */
#define PORT_B_GATE2   0x01
#define PORT_B_SPEAKER 0x02
#define PORT_B_REFRESH 0x10
#define PORT_B_OUT2    0x20
#define REFRESH_NS     15085ull /* between two refreshes of a PC's memory */

enum mode {
	MODE_TERMINAL_COUNT = 0,
	MODE_ONE_SHOT = 1,
	MODE_RATE = 2,
	MODE_SQUARE_WAVE = 3,
	MODE_SOFTWARE_STROBE = 4,
	MODE_HARDWARE_STROBE = 5
};

/* How the count is read and written. */
enum width {
	WIDTH_LATCH = 0,
	WIDTH_LOW = 1,
	WIDTH_HIGH = 2,
	WIDTH_BOTH = 3
};

/* Times are in ticks of the 1.193182 MHz clock. */
struct channel {
	enum mode mode;
	enum width width;
	bool bcd;
	bool gate;
	bool counting;    /* a count is loaded and, where one is needed, the trigger has come */
	uint64_t started; /* when `count` was loaded; with the gate low, as if it were now */
	uint32_t count;   /* 1 to 65536 */

	/* A count written while another runs: loaded at next_at, or at the next trigger (NEVER). */
	uint32_t next_count; /* 0: none */
	uint64_t next_at;
	uint64_t stopped; /* when the gate went low, in the modes that then pause */

	uint8_t low_byte; /* of a count being written */
	bool low_written, low_read;
	bool count_latched, status_latched;
	uint16_t latched_count;
	uint8_t latched_status;
};

struct pit8254 {
	struct pit8254_config config;
	struct event_timer timer;
	struct channel channels[CHANNELS];
	uint8_t port_b;
};

static uint64_t ticks_at(uint64_t ns)
{
	return ns / NS_PER_SECOND * PIT8254_HZ + ns % NS_PER_SECOND * PIT8254_HZ / NS_PER_SECOND;
}

/* The first nanosecond at which ticks_at() gives `ticks`. */
static uint64_t time_of(uint64_t ticks)
{
	uint64_t rest = ticks % PIT8254_HZ * NS_PER_SECOND;

	return ticks / PIT8254_HZ * NS_PER_SECOND + (rest + PIT8254_HZ - 1) / PIT8254_HZ;
}

static bool is_periodic(const struct channel *c)
{
	return c->mode == MODE_RATE || c->mode == MODE_SQUARE_WAVE;
}

static bool is_triggered(const struct channel *c)
{
	return c->mode == MODE_ONE_SHOT || c->mode == MODE_HARDWARE_STROBE;
}

/* A low gate stops the count in all modes but those where its edge is the trigger. */
static bool is_paused(const struct channel *c)
{
	return !c->gate && !is_triggered(c);
}

static void load(struct channel *c, uint32_t count, uint64_t at)
{
	c->count = count;
	c->started = at;
	c->stopped = at;
	c->next_count = 0;
	c->counting = true;
}

/* Lets a count take over whose time has come. */
static void settle(struct channel *c, uint64_t now)
{
	if (c->next_count && c->next_at <= now && !is_paused(c))
		load(c, c->next_count, c->next_at);
}

static uint64_t elapsed(const struct channel *c, uint64_t now)
{
	return (is_paused(c) ? c->stopped : now) - c->started;
}

/* Where a periodic counter is in its period. */
static uint32_t phase(const struct channel *c, uint64_t now)
{
	return (uint32_t)(elapsed(c, now) % c->count);
}

static bool output(const struct channel *c, uint64_t now)
{
	if (!c->counting)
		return c->mode != MODE_TERMINAL_COUNT;
	switch (c->mode) {
	case MODE_TERMINAL_COUNT:
	case MODE_ONE_SHOT:
		return elapsed(c, now) >= c->count;
	case MODE_RATE:
		return is_paused(c) || phase(c, now) != c->count - 1;
	case MODE_SQUARE_WAVE:
		return is_paused(c) || phase(c, now) < (c->count + 1) / 2;
	default:
		return elapsed(c, now) != c->count;
	}
}

/* In mode 3 the counter goes down by two, twice a period; an odd count's low bit does not show. */
static uint32_t square_wave_counter(const struct channel *c, uint32_t at)
{
	uint32_t even = c->count & ~1u, high = (c->count + 1) / 2;

	if (at >= high)
		at -= high;
	return even - 2 * at;
}

static uint16_t to_bcd(uint32_t n)
{
	return (uint16_t)(n / 1000 % 10 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

static uint16_t counter(const struct channel *c, uint64_t now)
{
	uint32_t modulus = c->bcd ? 10000 : 65536, value;

	if (c->count == 0)
		return 0;
	if (!c->counting)
		value = c->count;
	else if (c->mode == MODE_RATE)
		value = c->count - phase(c, now);
	else if (c->mode == MODE_SQUARE_WAVE)
		value = square_wave_counter(c, phase(c, now));
	else /* goes on below zero */
		value = c->count + modulus - (uint32_t)(elapsed(c, now) % modulus);
	value %= modulus;
	return c->bcd ? to_bcd(value) : (uint16_t)value;
}

/* When channel 0's output next rises, after `now`. */
static uint64_t next_rise(const struct channel *c, uint64_t now)
{
	if (!c->counting || c->next_count)
		return c->next_count ? c->next_at : NEVER;
	if (is_periodic(c))
		return c->started + (elapsed(c, now) / c->count + 1) * c->count;
	/* The strobe lasts a tick. */
	now -= c->started;
	if (c->mode == MODE_TERMINAL_COUNT && now < c->count)
		return c->started + c->count;
	if (c->mode == MODE_SOFTWARE_STROBE && now <= c->count)
		return c->started + c->count + 1;
	return NEVER;
}

/*
 * Only rising edges get a timer: the interrupt controllers look at nothing else, so a low phase
 * appears on the wire just before the edge that ends it.
 */
static void arm_timer(struct pit8254 *pit, uint64_t from_ns)
{
	uint64_t rise = next_rise(&pit->channels[0], ticks_at(from_ns));

	if (rise != NEVER)
		event_timer_arm(&pit->timer, time_of(rise));
	else
		event_timer_cancel(&pit->timer);
}

static void timer_expired(struct event_timer *timer)
{
	struct pit8254 *pit = container_of(timer, struct pit8254, timer);
	uint64_t now = event_loop_now_ns();

	device_lock_acquire(pit->config.lock);
	/* The guest may have changed the count while we waited for the lock. */
	if (next_rise(&pit->channels[0], ticks_at(timer->deadline_ns) - 1) <= ticks_at(now)) {
		settle(&pit->channels[0], ticks_at(now));
		irq_line_set(&pit->config.irq, false);
		irq_line_set(&pit->config.irq, true);
	}
	arm_timer(pit, is_periodic(&pit->channels[0]) ? now + IRQ_MIN_NS : now);
	device_lock_release(pit->config.lock);
}

/* After channel 0 was programmed. */
static void update_channel0(struct pit8254 *pit)
{
	uint64_t now = event_loop_now_ns();

	irq_line_set(&pit->config.irq, output(&pit->channels[0], ticks_at(now)));
	arm_timer(pit, now);
}

static void write_count(struct channel *c, uint16_t raw, uint64_t now)
{
	uint32_t count = raw;

	if (c->bcd)
		count = (raw >> 12) * 1000u + (raw >> 8 & 15) * 100u + (raw >> 4 & 15) * 10u +
			(raw & 15);
	if (count == 0)
		count = c->bcd ? 10000 : 65536;
	/* A period of one does not exist (data sheet, figure 21). */
	if (count == 1 && is_periodic(c))
		count = 2;

	if (is_triggered(c)) {
		c->next_count = count;
		c->next_at = NEVER;
	} else if (is_periodic(c) && c->counting) {
		c->next_count = count;
		c->next_at = c->started + (elapsed(c, now) / c->count + 1) * c->count;
	} else {
		load(c, count, now);
	}
}

/* In mode 0 the first of two bytes stops the counting. */
static void write_count_byte(struct channel *c, uint8_t byte, uint64_t now)
{
	switch (c->width) {
	case WIDTH_LOW:
		write_count(c, byte, now);
		break;
	case WIDTH_HIGH:
		write_count(c, (uint16_t)(byte << 8), now);
		break;
	default:
		c->low_written = !c->low_written;
		if (!c->low_written) {
			write_count(c, (uint16_t)(byte << 8 | c->low_byte), now);
		} else {
			c->low_byte = byte;
			if (c->mode == MODE_TERMINAL_COUNT)
				c->counting = false;
		}
		break;
	}
}

static void latch_count(struct channel *c, uint64_t now)
{
	if (c->count_latched)
		return;
	c->latched_count = counter(c, now);
	c->count_latched = true;
}

static void latch_status(struct channel *c, uint64_t now)
{
	bool null_count = !c->counting || c->next_count;

	if (c->status_latched)
		return;
	c->latched_status =
		(uint8_t)((output(c, now) ? STATUS_OUT : 0) | (null_count ? STATUS_NULL_COUNT : 0) |
			  c->width << 4 | c->mode << 1 | (c->bcd ? CONTROL_BCD : 0));
	c->status_latched = true;
}

static void read_back(struct pit8254 *pit, uint8_t command, uint64_t now)
{
	for (unsigned int i = 0; i < CHANNELS; i++) {
		struct channel *c = &pit->channels[i];

		if (!(command & (2u << i)))
			continue;
		settle(c, now);
		if (!(command & READ_BACK_NCOUNT))
			latch_count(c, now);
		if (!(command & READ_BACK_NSTATUS))
			latch_status(c, now);
	}
}

static void program(struct channel *c, uint8_t control)
{
	unsigned int mode = control >> 1 & 7;
	bool gate = c->gate;

	/* 6 and 7 stand for 2 and 3. */
	*c = (struct channel){
		.mode = (enum mode)(mode > 5 ? mode - 4 : mode),
		.width = (enum width)(control >> 4 & 3),
		.bcd = control & CONTROL_BCD,
		.gate = gate,
		.count = c->count,
	};
}

static void write_control(struct pit8254 *pit, uint8_t control, uint64_t now)
{
	unsigned int index = control >> 6;
	struct channel *c = &pit->channels[index % CHANNELS];

	if (index == READ_BACK) {
		read_back(pit, control, now);
	} else if ((control >> 4 & 3) == WIDTH_LATCH) {
		settle(c, now);
		latch_count(c, now);
	} else {
		program(c, control);
		if (index == 0)
			update_channel0(pit);
	}
}

/* One byte, or with both two in turn. A latched count goes when its last byte is read. */
static uint8_t read_count_byte(struct channel *c, uint64_t now)
{
	uint16_t value = c->count_latched ? c->latched_count : counter(c, now);
	bool high = c->width == WIDTH_HIGH;

	if (c->width == WIDTH_BOTH) {
		high = c->low_read;
		c->low_read = !c->low_read;
	}
	if (high || c->width == WIDTH_LOW)
		c->count_latched = false;
	return (uint8_t)(high ? value >> 8 : value);
}

static uint8_t read_channel(struct channel *c, uint64_t now)
{
	settle(c, now);
	if (c->status_latched) {
		c->status_latched = false;
		return c->latched_status;
	}
	return read_count_byte(c, now);
}

/* The gate: its level pauses, its rising edge restarts (data sheet, figure 21). */
static void set_gate(struct channel *c, bool gate, uint64_t now)
{
	if (gate == c->gate)
		return;
	settle(c, now);
	if (!gate) {
		c->stopped = now;
		c->gate = false;
		return;
	}
	if (is_triggered(c) && c->next_count)
		load(c, c->next_count, now);
	else if ((is_triggered(c) || is_periodic(c)) && c->counting)
		load(c, c->next_count ? c->next_count : c->count, now);
	else if (c->counting)
		c->started += now - c->stopped;
	c->gate = true;
}

static enum io_result timer_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct pit8254 *pit = dev;
	uint64_t now = ticks_at(event_loop_now_ns());

	(void)size;
	/* The control word cannot be read. */
	*value = offset == CONTROL_OFFSET ? 0xff : read_channel(&pit->channels[offset], now);
	return IO_DONE;
}

static enum io_result timer_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pit8254 *pit = dev;
	uint64_t now = ticks_at(event_loop_now_ns());

	(void)size;
	if (offset == CONTROL_OFFSET) {
		write_control(pit, (uint8_t)value, now);
		return IO_DONE;
	}
	settle(&pit->channels[offset], now);
	write_count_byte(&pit->channels[offset], (uint8_t)value, now);
	if (offset == 0)
		update_channel0(pit);
	return IO_DONE;
}

static enum io_result port_b_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct pit8254 *pit = dev;
	uint64_t now_ns = event_loop_now_ns(), now = ticks_at(now_ns);

	(void)offset;
	(void)size;
	settle(&pit->channels[2], now);
	*value = pit->port_b | (now_ns / REFRESH_NS & 1 ? PORT_B_REFRESH : 0) |
		 (output(&pit->channels[2], now) ? PORT_B_OUT2 : 0);
	return IO_DONE;
}

static enum io_result port_b_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pit8254 *pit = dev;

	(void)offset;
	(void)size;
	pit->port_b = value & (PORT_B_GATE2 | PORT_B_SPEAKER);
	set_gate(&pit->channels[2], value & PORT_B_GATE2, ticks_at(event_loop_now_ns()));
	return IO_DONE;
}

static const struct io_region_ops timer_ops = { .read = timer_read, .write = timer_write };
static const struct io_region_ops port_b_ops = { .read = port_b_read, .write = port_b_write };

struct pit8254 *pit8254_create(const struct pit8254_config *config)
{
	struct pit8254 *pit = calloc(1, sizeof(*pit));

	if (!pit)
		return NULL;
	pit->config = *config;
	for (unsigned int i = 0; i < CHANNELS; i++) {
		pit->channels[i].width = WIDTH_BOTH;
		pit->channels[i].gate = i != 2;
	}
	event_timer_init(&pit->timer, config->loop, timer_expired);
	return pit;
}

void pit8254_destroy(struct pit8254 *pit)
{
	if (!pit)
		return;
	event_timer_cancel(&pit->timer);
	free(pit);
}

int pit8254_attach(struct pit8254 *pit, struct io_bus *bus)
{
	struct io_region region = {
		.name = "pit",
		.space = IO_PORT,
		.base = TIMER_PORT,
		.len = 4,
		.ops = &timer_ops,
		.dev = pit,
		.lock = pit->config.lock,
		.max_size = 1,
	};
	int err;

	err = io_bus_add(bus, &region);
	if (err)
		return err;
	region.name = "port-b";
	region.base = PORT_B;
	region.len = 1;
	region.ops = &port_b_ops;
	return io_bus_add(bus, &region);
}
