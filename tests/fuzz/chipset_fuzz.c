#include "core/bytes.h"
#include "core/device_lock.h"
#include "core/io_bus.h"
#include "devices/chipset.h"
#include "tests/unit/fake/event_loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The input is a sequence of steps: a byte that selects one and up to nine of arguments. A guest's
 * accesses, input on the serial port, interrupts from outside and the passing of time come in any
 * order. Beyond not crashing, the chipset may not let a guest make it busy: timers stay rare.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS           4096
#define NS_PER_MILLISECOND  1000000ull
#define EXPIRATIONS_PER_MS  12 /* the interval timer's ten, and room for the others' */
#define EXPIRATIONS_AT_ONCE 16

#define CHECK(condition)                                               \
	do {                                                           \
		if (!(condition)) {                                    \
			fprintf(stderr, "violated: %s\n", #condition); \
			abort();                                       \
		}                                                      \
	} while (0)

struct input {
	const uint8_t *data;
	size_t left;
};

struct board {
	struct io_bus *bus;
	struct device_lock lock;
	struct chipset *chipset;
	bool intr;
	unsigned int depth;
};

/* The next bytes of the input; zeros after its end. */
static uint64_t take(struct input *in, unsigned int bytes)
{
	uint8_t value[8] = { 0 };

	if (bytes > in->left)
		bytes = (unsigned int)in->left;
	memcpy(value, in->data, bytes);
	in->data += bytes;
	in->left -= bytes;
	return load_le64(value);
}

static void transmit(void *ctx, const uint8_t *bytes, size_t len)
{
	uint8_t copy[240];

	(void)ctx;
	CHECK(len > 0 && len <= sizeof(copy));
	memcpy(copy, bytes, len);
}

/* The sender with an endless supply: it takes all the room there is, from inside. */
static void receive_ready(void *ctx)
{
	struct board *board = ctx;
	const uint8_t bytes[32] = { 0 };

	CHECK(board->depth++ == 0);
	chipset_serial_receive(board->chipset, CHIPSET_COM1, bytes, sizeof(bytes));
	board->depth--;
}

static void deliver(void *ctx, uint8_t destination, bool logical, unsigned int mode, uint8_t vector,
		    bool level)
{
	(void)ctx;
	(void)destination;
	(void)logical;
	(void)vector;
	(void)level;
	CHECK(mode < 8);
}

static void on_intr(void *ctx, bool level)
{
	struct board *board = ctx;

	CHECK(level != board->intr);
	board->intr = level;
}

static void ignore(void *ctx)
{
	(void)ctx;
}

/* Mostly ports where something is, now and then any port. */
static uint16_t take_port(struct input *in)
{
	static const uint16_t bases[] = { 0x20,  0x40,  0x60,  0x70,  0x90,  0xa0,
					  0x2f8, 0x3f8, 0x400, 0x408, 0x4d0, 0xcf8 };
	uint8_t selector = (uint8_t)take(in, 1);

	if ((selector >> 4) < sizeof(bases) / sizeof(bases[0]))
		return (uint16_t)(bases[selector >> 4] + (selector & 0xf));
	return (uint16_t)take(in, 2);
}

static void access_port(struct board *board, struct input *in, unsigned int size, bool write)
{
	uint16_t port = take_port(in);
	uint64_t value;

	if (write) {
		io_bus_write(board->bus, IO_PORT, port, size, take(in, size));
		return;
	}
	io_bus_read(board->bus, IO_PORT, port, size, &value);
	CHECK((value & ~bytes_mask(size)) == 0);
}

static void access_ioapic(struct board *board, struct input *in, bool write)
{
	static const uint16_t offsets[] = { 0x00, 0x10, 0x40, 0xffc };
	uint8_t selector = (uint8_t)take(in, 1);
	uint64_t addr = IOAPIC_BASE + offsets[selector & 3], value;
	unsigned int size = selector & 0x80 ? 1u << (selector >> 4 & 3) : 4;

	if (write)
		io_bus_write(board->bus, IO_MEMORY, addr, size, take(in, size));
	else
		io_bus_read(board->bus, IO_MEMORY, addr, size, &value);
}

/* Up to 65 ms with all timers on time, or up to 19 hours in one go, as after a long wait. */
static void pass_time(struct input *in, bool jump)
{
	uint64_t ns = take(in, 2) * 1000;

	if (jump) {
		fake_clock_jump(ns * 1000000);
		ns = 0;
	}
	CHECK(fake_clock_advance(ns) <=
	      EXPIRATIONS_AT_ONCE + EXPIRATIONS_PER_MS * ns / NS_PER_MILLISECOND);
}

static void type(struct board *board, struct input *in)
{
	uint8_t selector = (uint8_t)take(in, 1), bytes[256] = { 0 };
	enum chipset_serial_port port = selector & 1 ? CHIPSET_COM2 : CHIPSET_COM1;
	size_t len = selector >> 1;

	CHECK(chipset_serial_receive(board->chipset, port, bytes, len) <= (len < 16 ? len : 16));
}

static void step(struct board *board, struct input *in)
{
	uint8_t selector = (uint8_t)take(in, 1);
	struct irq_line line;

	switch (selector & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		access_port(board, in, selector & 0x80 ? 1u << (selector >> 4 & 3) : 1,
			    selector & 1);
		break;
	case 4:
	case 5:
		access_ioapic(board, in, selector & 1);
		break;
	case 6:
	case 7:
		pass_time(in, selector & 1);
		break;
	case 8:
		type(board, in);
		break;
	case 9:
		chipset_serial_flush(board->chipset);
		break;
	case 10:
		chipset_ioapic_eoi(board->chipset, (uint8_t)take(in, 1));
		break;
	case 11:
		chipset_pic_acknowledge(board->chipset);
		break;
	case 12:
		chipset_press_power_button(board->chipset);
		break;
	default:
		line = chipset_irq(board->chipset, selector >> 3);
		irq_line_set(&line, selector & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct board board = { .bus = io_bus_create() };
	const struct chipset_config config = {
		.loop = fake_event_loop(),
		.lock = &board.lock,
		.bus = board.bus,
		.serial = { { transmit, receive_ready, &board }, { transmit, NULL, &board } },
		.ioapic = { deliver, &board },
		.pic = { on_intr, &board },
		.power_off = ignore,
		.reset = ignore,
		.wall_clock = 1700000000,
	};

	CHECK(board.bus && device_lock_init(&board.lock) == 0);
	fake_clock_reset(1000000000);
	board.chipset = chipset_create(&config);
	CHECK(board.chipset);
	for (unsigned int i = 0; i < MAX_STEPS && in.left > 0; i++)
		step(&board, &in);
	chipset_destroy(board.chipset);
	CHECK(fake_clock_next() == UINT64_MAX);
	io_bus_destroy(board.bus);
	device_lock_destroy(&board.lock);
	return 0;
}
