#include "devices/pic8259.h"

#include "core/device_lock.h"
#include "core/io_bus.h"

#include <stdlib.h>

#define MASTER_PORT 0x20
#define SLAVE_PORT  0xa0
#define ELCR_PORT   0x4d0
#define CASCADE     2 /* the master's input that the slave drives */
#define SPURIOUS    7
#define NO_PIN      8

/* Which inputs the edge/level control registers let be level-triggered. */
#define MASTER_ELCR_MASK 0xf8
#define SLAVE_ELCR_MASK  0xde

#define ICW1          0x10 /* in a command byte: this is ICW1 */
#define ICW1_ICW4     0x01
#define ICW1_SINGLE   0x02
#define ICW4_AUTO_EOI 0x02
#define ICW4_SPECIAL  0x10 /* special fully nested mode */
#define OCW3          0x08 /* in a command byte: this is OCW3, else OCW2 */
#define OCW3_READ_ISR 0x01
#define OCW3_READ     0x02
#define OCW3_POLL     0x04
#define OCW3_SPECIAL  0x20
#define OCW3_SET_SM   0x40 /* special mask mode becomes OCW3_SPECIAL */

/* What the next byte to the data port is. */
enum expected {
	EXPECT_OCW1,
	EXPECT_ICW2,
	EXPECT_ICW3,
	EXPECT_ICW4
};

struct pic_chip {
	uint8_t irr, isr, imr;
	uint8_t lines; /* the inputs' levels */
	uint8_t elcr, elcr_mask;
	uint8_t always_level; /* inputs that are level-triggered by wiring */
	uint8_t vector_base;
	uint8_t lowest; /* the input with the lowest priority */
	enum expected expected;
	bool initialised, single, needs_icw4;
	bool auto_eoi, rotate_in_auto_eoi;
	bool special_mask, special_nested;
	bool read_isr, poll;
};

struct pic8259 {
	struct device_lock *lock;
	struct pic8259_output output;
	struct pic_chip master, slave;
	bool asserted;
};

/* How far an input is from the highest priority: 0 to 7; 8 when no bit is set. */
static unsigned int highest_priority(const struct pic_chip *chip, uint8_t bits)
{
	unsigned int priority;

	for (priority = 0; priority < 8; priority++) {
		if (bits & (1u << ((chip->lowest + 1u + priority) & 7)))
			break;
	}
	return priority;
}

static unsigned int pin_at(const struct pic_chip *chip, unsigned int priority)
{
	return priority == 8 ? NO_PIN : (chip->lowest + 1u + priority) & 7;
}

/* The input that the chip requests service for, or NO_PIN. */
static unsigned int requested_pin(const struct pic_chip *chip)
{
	unsigned int request = highest_priority(chip, chip->irr & (uint8_t)~chip->imr);
	uint8_t in_service = chip->isr;

	if (!chip->initialised || chip->expected != EXPECT_OCW1)
		return NO_PIN;
	/* Masked levels do not hold others back in special mask mode. */
	if (chip->special_mask)
		in_service &= (uint8_t)~chip->imr;
	/* The slave may interrupt itself in special fully nested mode; it knows its priorities. */
	if (chip->special_nested)
		in_service &= (uint8_t)~chip->always_level;
	if (request >= highest_priority(chip, in_service))
		return NO_PIN;
	return pin_at(chip, request);
}

/* Edge-triggered inputs latch; a request is withdrawn when the input falls (data sheet, "IR"). */
static void set_line(struct pic_chip *chip, unsigned int pin, bool level)
{
	uint8_t bit = (uint8_t)(1u << pin);

	if (!level) {
		chip->irr &= (uint8_t)~bit;
		chip->lines &= (uint8_t)~bit;
		return;
	}
	if (!(chip->lines & bit) || ((chip->elcr | chip->always_level) & bit))
		chip->irr |= bit;
	chip->lines |= bit;
}

static void update(struct pic8259 *pic)
{
	bool asserted;

	set_line(&pic->master, CASCADE, requested_pin(&pic->slave) != NO_PIN);
	asserted = requested_pin(&pic->master) != NO_PIN;
	if (asserted == pic->asserted)
		return;
	pic->asserted = asserted;
	pic->output.intr(pic->output.ctx, asserted);
}

/* The request moves to in-service; a level-triggered one stays requested too. */
static void acknowledge(struct pic_chip *chip, unsigned int pin)
{
	uint8_t bit = (uint8_t)(1u << pin);

	if (!((chip->elcr | chip->always_level) & bit))
		chip->irr &= (uint8_t)~bit;
	if (!chip->auto_eoi)
		chip->isr |= bit;
	else if (chip->rotate_in_auto_eoi)
		chip->lowest = (uint8_t)pin;
}

uint8_t pic8259_acknowledge(struct pic8259 *pic)
{
	struct pic_chip *chip = &pic->master;
	unsigned int pin;

	device_lock_acquire(pic->lock);
	pin = requested_pin(chip);
	if (pin != NO_PIN)
		acknowledge(chip, pin);
	if (pin == CASCADE) {
		chip = &pic->slave;
		pin = requested_pin(chip);
		if (pin != NO_PIN)
			acknowledge(chip, pin);
	}
	pin = chip->vector_base + (pin == NO_PIN ? SPURIOUS : pin);
	update(pic);
	device_lock_release(pic->lock);
	return (uint8_t)pin;
}

/* Resets all but the mode bits that ICW4 will set, and the lines themselves. */
static void write_icw1(struct pic_chip *chip, uint8_t value)
{
	chip->initialised = true;
	chip->expected = EXPECT_ICW2;
	chip->single = value & ICW1_SINGLE;
	chip->needs_icw4 = value & ICW1_ICW4;
	chip->imr = 0;
	chip->isr = 0;
	chip->irr = chip->lines & (chip->elcr | chip->always_level);
	chip->lowest = 7;
	chip->auto_eoi = chip->rotate_in_auto_eoi = false;
	chip->special_mask = chip->special_nested = false;
	chip->read_isr = chip->poll = false;
}

static void end_of_interrupt(struct pic_chip *chip, unsigned int pin, bool rotate)
{
	if (pin == NO_PIN)
		return;
	chip->isr &= (uint8_t) ~(1u << pin);
	if (rotate)
		chip->lowest = (uint8_t)pin;
}

/* Without a level given: the one of highest priority, but not one masked in special mask mode. */
static unsigned int pin_in_service(const struct pic_chip *chip)
{
	uint8_t bits = chip->isr;

	if (chip->special_mask)
		bits &= (uint8_t)~chip->imr;
	return pin_at(chip, highest_priority(chip, bits));
}

static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
	unsigned int pin = value & 7;

	switch (value >> 5) { /* R, SL, EOI */
	case 0:
		chip->rotate_in_auto_eoi = false;
		break;
	case 1:
		end_of_interrupt(chip, pin_in_service(chip), false);
		break;
	case 3:
		end_of_interrupt(chip, pin, false);
		break;
	case 4:
		chip->rotate_in_auto_eoi = true;
		break;
	case 5:
		end_of_interrupt(chip, pin_in_service(chip), true);
		break;
	case 6:
		chip->lowest = (uint8_t)pin;
		break;
	case 7:
		end_of_interrupt(chip, pin, true);
		break;
	default:
		break;
	}
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
	if (value & OCW3_SET_SM)
		chip->special_mask = value & OCW3_SPECIAL;
	if (value & OCW3_POLL)
		chip->poll = true;
	else if (value & OCW3_READ)
		chip->read_isr = value & OCW3_READ_ISR;
}

static void write_command(struct pic_chip *chip, uint8_t value)
{
	if (value & ICW1)
		write_icw1(chip, value);
	else if (value & OCW3)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
}

static void write_data(struct pic_chip *chip, uint8_t value)
{
	enum expected after = chip->needs_icw4 ? EXPECT_ICW4 : EXPECT_OCW1;

	switch (chip->expected) {
	case EXPECT_OCW1:
		chip->imr = value;
		break;
	case EXPECT_ICW2:
		chip->vector_base = value & 0xf8;
		chip->expected = chip->single ? after : EXPECT_ICW3;
		break;
	case EXPECT_ICW3: /* the wiring is what it is */
		chip->expected = after;
		break;
	case EXPECT_ICW4:
		chip->auto_eoi = value & ICW4_AUTO_EOI;
		chip->special_nested = value & ICW4_SPECIAL;
		chip->expected = EXPECT_OCW1;
		break;
	}
}

/* A read after a poll command is an acknowledge (data sheet, "Poll Command"). */
static uint8_t read_chip(struct pic_chip *chip, uint64_t offset)
{
	unsigned int pin;

	if (!chip->poll) {
		if (offset == 1)
			return chip->imr;
		return chip->read_isr ? chip->isr : chip->irr;
	}
	chip->poll = false;
	pin = requested_pin(chip);
	if (pin == NO_PIN)
		return 0;
	acknowledge(chip, pin);
	return (uint8_t)(0x80 | pin);
}

static void write_chip(struct pic_chip *chip, uint64_t offset, uint8_t value)
{
	if (offset == 0)
		write_command(chip, value);
	else
		write_data(chip, value);
}

static enum io_result master_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct pic8259 *pic = dev;

	(void)size;
	*value = read_chip(&pic->master, offset);
	update(pic);
	return IO_DONE;
}

static enum io_result slave_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct pic8259 *pic = dev;

	(void)size;
	*value = read_chip(&pic->slave, offset);
	update(pic);
	return IO_DONE;
}

static enum io_result master_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pic8259 *pic = dev;

	(void)size;
	write_chip(&pic->master, offset, (uint8_t)value);
	update(pic);
	return IO_DONE;
}

static enum io_result slave_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pic8259 *pic = dev;

	(void)size;
	write_chip(&pic->slave, offset, (uint8_t)value);
	update(pic);
	return IO_DONE;
}

static enum io_result elcr_read(void *dev, uint64_t offset, unsigned int size, uint64_t *value)
{
	struct pic8259 *pic = dev;

	(void)size;
	*value = offset ? pic->slave.elcr : pic->master.elcr;
	return IO_DONE;
}

static enum io_result elcr_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pic8259 *pic = dev;
	struct pic_chip *chip = offset ? &pic->slave : &pic->master;

	(void)size;
	chip->elcr = (uint8_t)value & chip->elcr_mask;
	chip->irr |= chip->lines & chip->elcr;
	update(pic);
	return IO_DONE;
}

static const struct io_region_ops master_ops = { .read = master_read, .write = master_write };
static const struct io_region_ops slave_ops = { .read = slave_read, .write = slave_write };
static const struct io_region_ops elcr_ops = { .read = elcr_read, .write = elcr_write };

struct pic8259 *pic8259_create(const struct pic8259_output *output, struct device_lock *lock)
{
	struct pic8259 *pic = calloc(1, sizeof(*pic));

	if (!pic)
		return NULL;
	pic->output = *output;
	pic->lock = lock;
	pic->master.elcr_mask = MASTER_ELCR_MASK;
	pic->master.always_level = 1u << CASCADE;
	pic->slave.elcr_mask = SLAVE_ELCR_MASK;
	pic->master.imr = pic->slave.imr = 0xff;
	pic->master.lowest = pic->slave.lowest = 7;
	return pic;
}

void pic8259_destroy(struct pic8259 *pic)
{
	free(pic);
}

int pic8259_attach(struct pic8259 *pic, struct io_bus *bus)
{
	const struct io_region regions[] = {
		{ .name = "pic-master", .base = MASTER_PORT, .ops = &master_ops },
		{ .name = "pic-slave", .base = SLAVE_PORT, .ops = &slave_ops },
		{ .name = "elcr", .base = ELCR_PORT, .ops = &elcr_ops },
	};

	for (unsigned int i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		struct io_region region = regions[i];
		int err;

		region.space = IO_PORT;
		region.len = 2;
		region.dev = pic;
		region.lock = pic->lock;
		region.max_size = 1;
		err = io_bus_add(bus, &region);
		if (err)
			return err;
	}
	return 0;
}

void pic8259_set_pin(void *ctx, unsigned int pin, bool level)
{
	struct pic8259 *pic = ctx;

	if (pin > 15 || pin == CASCADE)
		return;
	device_lock_acquire(pic->lock);
	set_line(pin < 8 ? &pic->master : &pic->slave, pin & 7, level);
	update(pic);
	device_lock_release(pic->lock);
}
