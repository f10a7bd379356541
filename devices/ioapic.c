#include "devices/ioapic.h"

#include "core/container_of.h"
#include "core/device_lock.h"
#include "core/event_loop.h"
#include "core/io_bus.h"

#include <stdlib.h>

/* Offsets in its page. */
#define IOREGSEL 0x00
#define IOWIN    0x10
#define IOEOI    0x40

/* Registers behind the window. */
#define REG_ID          0x00
#define REG_VERSION     0x01
#define REG_ARBITRATION 0x02
#define REG_REDIRECTION 0x10 /* two each */
#define ID_MASK         0x0f000000u
#define VERSION         (((IOAPIC_PINS - 1) << 16) | 0x20)

/* A redirection entry (data sheet 3.2.4). */
#define RTE_VECTOR     0xffull
#define RTE_MODE_SHIFT 8
#define RTE_LOGICAL    (1ull << 11)
#define RTE_REMOTE_IRR (1ull << 14)
#define RTE_LEVEL      (1ull << 15)
#define RTE_MASKED     (1ull << 16)
#define RTE_DEST_SHIFT 56
#define RTE_WRITABLE   0xff0000000001afffull /* all but delivery status, remote IRR, reserved */

/*
 * An input that is still asserted after so many EOIs in a row sends its next interrupt only after a rest, or a guest
 * whose handler does not quiet the device would do nothing but handle it.
 */
#define REPEATS_MAX 1000
#define REST_NS     10000000u

struct ioapic {
	struct device_lock *lock;
	struct ioapic_delivery delivery;
	uint32_t id;
	uint8_t selected;
	uint64_t redirection[IOAPIC_PINS];
	uint32_t asserted; /* inputs, a bit each */
	uint32_t resting;  /* likewise */
	uint16_t repeats[IOAPIC_PINS];
	struct event_timer rest;
};

static void deliver(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t rte = ioapic->redirection[pin];

	ioapic->delivery.deliver(ioapic->delivery.ctx, (uint8_t)(rte >> RTE_DEST_SHIFT),
				 rte & RTE_LOGICAL, (rte >> RTE_MODE_SHIFT) & 7,
				 (uint8_t)(rte & RTE_VECTOR), rte & RTE_LEVEL);
}

/* A level-triggered input sends when asserted, unmasked, and waiting neither for an EOI nor for a rest's end. */
static void evaluate_level(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t *rte = &ioapic->redirection[pin];

	if (!(*rte & RTE_LEVEL) || (*rte & (RTE_MASKED | RTE_REMOTE_IRR)))
		return;
	if (!(ioapic->asserted & ~ioapic->resting & (1u << pin)))
		return;
	*rte |= RTE_REMOTE_IRR;
	deliver(ioapic, pin);
}

static void become_quiet(struct ioapic *ioapic, unsigned int pin)
{
	ioapic->repeats[pin] = 0;
	ioapic->resting &= ~(1u << pin);
}

static void repeat_level(struct ioapic *ioapic, unsigned int pin)
{
	if (!(ioapic->asserted & (1u << pin))) {
		become_quiet(ioapic, pin);
		return;
	}
	if (++ioapic->repeats[pin] == REPEATS_MAX) {
		ioapic->repeats[pin] = 0;
		ioapic->resting |= 1u << pin;
		event_timer_arm(&ioapic->rest, event_loop_now_ns() + REST_NS);
	}
	evaluate_level(ioapic, pin);
}

static void end_rest(struct event_timer *timer)
{
	struct ioapic *ioapic = container_of(timer, struct ioapic, rest);

	device_lock_acquire(ioapic->lock);
	ioapic->resting = 0;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		evaluate_level(ioapic, pin);
	device_lock_release(ioapic->lock);
}

/* An edge on a masked input is lost (data sheet 3.2.4, Interrupt Mask). */
void ioapic_set_pin(void *ctx, unsigned int pin, bool asserted)
{
	struct ioapic *ioapic = ctx;
	bool rises;

	if (pin >= IOAPIC_PINS)
		return;
	device_lock_acquire(ioapic->lock);
	rises = asserted && !(ioapic->asserted & (1u << pin));
	if (asserted)
		ioapic->asserted |= 1u << pin;
	else
		ioapic->asserted &= ~(1u << pin);
	if (!asserted)
		become_quiet(ioapic, pin);
	if (ioapic->redirection[pin] & RTE_LEVEL)
		evaluate_level(ioapic, pin);
	else if (rises && !(ioapic->redirection[pin] & RTE_MASKED))
		deliver(ioapic, pin);
	device_lock_release(ioapic->lock);
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
	device_lock_acquire(ioapic->lock);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *rte = &ioapic->redirection[pin];

		if (!(*rte & RTE_LEVEL) || (*rte & RTE_VECTOR) != vector)
			continue;
		*rte &= ~RTE_REMOTE_IRR;
		repeat_level(ioapic, pin);
	}
	device_lock_release(ioapic->lock);
}

static void write_redirection(struct ioapic *ioapic, unsigned int pin, bool high, uint32_t value)
{
	uint64_t *rte = &ioapic->redirection[pin];
	uint64_t half = high ? (uint64_t)value << 32 : value;
	uint64_t writable = RTE_WRITABLE & (high ? 0xffffffff00000000ull : 0xffffffffull);

	*rte = (*rte & ~writable) | (half & writable);
	/* Edge-triggered inputs have no remote IRR; kernels switch to edge and back to clear it. */
	if (!(*rte & RTE_LEVEL))
		*rte &= ~RTE_REMOTE_IRR;
	evaluate_level(ioapic, pin);
}

static void write_window(struct ioapic *ioapic, uint32_t value)
{
	unsigned int index = ioapic->selected - REG_REDIRECTION;

	if (ioapic->selected == REG_ID)
		ioapic->id = value & ID_MASK;
	else if (ioapic->selected >= REG_REDIRECTION && index < 2 * IOAPIC_PINS)
		write_redirection(ioapic, index / 2, index & 1, value);
}

static uint32_t read_window(const struct ioapic *ioapic)
{
	unsigned int index = ioapic->selected - REG_REDIRECTION;

	switch (ioapic->selected) {
	case REG_ID:
	case REG_ARBITRATION:
		return ioapic->id;
	case REG_VERSION:
		return VERSION;
	default:
		if (ioapic->selected < REG_REDIRECTION || index >= 2 * IOAPIC_PINS)
			return 0;
		return (uint32_t)(ioapic->redirection[index / 2] >> (index & 1 ? 32 : 0));
	}
}

/* Registers are 32 bits at 16-byte steps; of a narrower read the low bytes are given. */
static enum io_result mmio_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct ioapic *ioapic = dev;

	(void)size;
	if (offset == IOREGSEL)
		*value = ioapic->selected;
	else if (offset == IOWIN)
		*value = read_window(ioapic);
	else
		*value = 0;
	return IO_DONE;
}

static enum io_result mmio_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct ioapic *ioapic = dev;

	if (offset == IOREGSEL)
		ioapic->selected = (uint8_t)value;
	else if (offset == IOWIN && size >= 4)
		write_window(ioapic, (uint32_t)value);
	else if (offset == IOEOI)
		ioapic_eoi(ioapic, (uint8_t)value);
	return IO_DONE;
}

static const struct io_region_ops mmio_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

struct ioapic *ioapic_create(const struct ioapic_delivery *delivery, struct device_lock *lock,
			     struct event_loop *loop)
{
	struct ioapic *ioapic = calloc(1, sizeof(*ioapic));

	if (!ioapic)
		return NULL;
	ioapic->delivery = *delivery;
	ioapic->lock = lock;
	event_timer_init(&ioapic->rest, loop, end_rest);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->redirection[pin] = RTE_MASKED;
	return ioapic;
}

void ioapic_destroy(struct ioapic *ioapic)
{
	if (!ioapic)
		return;
	event_timer_cancel(&ioapic->rest);
	free(ioapic);
}

int ioapic_attach(struct ioapic *ioapic, struct io_bus *bus)
{
	const struct io_region region = {
		.name = "ioapic",
		.space = IO_MEMORY,
		.base = IOAPIC_BASE,
		.len = IOAPIC_LEN,
		.ops = &mmio_ops,
		.dev = ioapic,
		.lock = ioapic->lock,
	};

	return io_bus_add(bus, &region);
}
