#include "devices/acpi_pm.h"
#include "devices/chipset.h"
#include "tests/unit/devices/device_test.h"

#include <errno.h>
#include <string.h>

#define COM1 0x3f8

struct board {
	struct rig rig;
	struct chipset *chipset;
	char output[64];
	size_t output_len;
	unsigned int power_offs, resets, rooms;
	size_t output_at_power_off;
	struct {
		unsigned int count, mode;
		uint8_t destination, vector;
		bool logical, level;
	} delivered;
};

static struct board board;

static void transmit(void *ctx, const uint8_t *bytes, size_t len)
{
	struct board *b = ctx;

	assert_true(b->output_len + len < sizeof(b->output));
	memcpy(b->output + b->output_len, bytes, len);
	b->output_len += len;
}

static void room(void *ctx)
{
	((struct board *)ctx)->rooms++;
}

static void deliver(void *ctx, uint8_t destination, bool logical, unsigned int mode, uint8_t vector,
		    bool level)
{
	struct board *b = ctx;

	b->delivered.count++;
	b->delivered.destination = destination;
	b->delivered.logical = logical;
	b->delivered.mode = mode;
	b->delivered.vector = vector;
	b->delivered.level = level;
}

static void on_intr(void *ctx, bool level)
{
	rig_set_level(&((struct board *)ctx)->rig, 0, level);
}

static void on_power_off(void *ctx)
{
	struct board *b = ctx;

	b->power_offs++;
	b->output_at_power_off = b->output_len;
}

static void on_reset(void *ctx)
{
	((struct board *)ctx)->resets++;
}

static struct chipset_config board_config(void)
{
	return (struct chipset_config){
		.loop = fake_event_loop(),
		.lock = &board.rig.lock,
		.bus = board.rig.bus,
		.serial = { { transmit, room, &board }, { .transmit = NULL } },
		.ioapic = { deliver, &board },
		.pic = { on_intr, &board },
		.power_off = on_power_off,
		.reset = on_reset,
		.ctx = &board,
		.wall_clock = 1700000000, /* 2023-11-14 22:13:20 */
	};
}

static int setup(void **state)
{
	struct chipset_config config;

	memset(&board, 0, sizeof(board));
	rig_init(&board.rig);
	config = board_config();
	board.chipset = chipset_create(&config);
	assert_non_null(board.chipset);
	*state = &board.rig;
	return 0;
}

static int teardown(void **state)
{
	chipset_destroy(board.chipset);
	rig_finish(*state);
	return 0;
}

static void ioapic_write(struct rig *rig, uint8_t reg, uint32_t value)
{
	io_bus_write(rig->bus, IO_MEMORY, IOAPIC_BASE, 4, reg);
	io_bus_write(rig->bus, IO_MEMORY, IOAPIC_BASE + 0x10, 4, value);
}

static void ioapic_route(struct rig *rig, unsigned int pin, uint32_t low)
{
	ioapic_write(rig, (uint8_t)(0x11 + 2 * pin), 0x01000000);
	ioapic_write(rig, (uint8_t)(0x10 + 2 * pin), low);
}

static void pic_start(struct rig *rig)
{
	outb(rig, 0x20, 0x11);
	outb(rig, 0x21, 0x30);
	outb(rig, 0x21, 0x04);
	outb(rig, 0x21, 0x01);
	outb(rig, 0xa0, 0x11);
	outb(rig, 0xa1, 0x38);
	outb(rig, 0xa1, 0x02);
	outb(rig, 0xa1, 0x01);
}

static void test_serial_interrupt_through_both(void **state)
{
	struct rig *rig = *state;

	pic_start(rig);
	outb(rig, 0x21, 0xef); /* IRQ 4 */
	ioapic_route(rig, 4, 0x34);
	outb(rig, COM1 + 4, 0x08);
	outb(rig, COM1 + 1, 0x01);
	assert_int_equal(
		chipset_serial_receive(board.chipset, CHIPSET_COM1, (const uint8_t *)"k", 1), 1);
	assert_int_equal(board.delivered.count, 1);
	assert_int_equal(board.delivered.vector, 0x34);
	assert_int_equal(board.delivered.destination, 1);
	assert_true(rig->level);
	assert_int_equal(chipset_pic_acknowledge(board.chipset), 0x34);
	assert_int_equal(inb(rig, COM1), 'k');
}

/* COM2 is IRQ 3, and a port without a backend swallows its output. */
static void test_com2(void **state)
{
	struct rig *rig = *state;

	ioapic_route(rig, 3, 0x33);
	outb(rig, 0x2f8 + 4, 0x08);
	outb(rig, 0x2f8 + 1, 0x02);
	assert_int_equal(board.delivered.vector, 0x33);
	outb(rig, 0x2f8, '\n');
	assert_int_equal(board.output_len, 0);
}

static void test_timer_is_ioapic_pin_2(void **state)
{
	struct rig *rig = *state;

	ioapic_route(rig, 2, 0x20);
	outb(rig, 0x43, 0x30);
	outb(rig, 0x40, 0xff);
	outb(rig, 0x40, 0x00);
	assert_int_equal(board.delivered.count, 0);
	fake_clock_advance(NS_PER_MILLISECOND);
	assert_int_equal(board.delivered.count, 1);
	assert_int_equal(board.delivered.vector, 0x20);
}

static void test_rtc_is_irq_8(void **state)
{
	struct rig *rig = *state;

	ioapic_route(rig, 8, 0x38);
	outb(rig, 0x70, 0x0b);
	outb(rig, 0x71, 0x12);
	fake_clock_advance(NS_PER_SECOND);
	assert_int_equal(board.delivered.count, 1);
	outb(rig, 0x71, 0x02);
	outb(rig, 0x70, 0x00);
	assert_int_equal(inb(rig, 0x71), 0x21);
	outb(rig, 0x70, 0x32);
	assert_int_equal(inb(rig, 0x71), 0x20);
}

/* The SCI is level-triggered: it comes again after EOI until the guest clears its cause. */
static void test_power_button_is_sci(void **state)
{
	struct rig *rig = *state;

	ioapic_route(rig, 9, 0x8039);
	out(rig, ACPI_PM_BASE + 2, 2, 0x100);
	chipset_press_power_button(board.chipset);
	assert_int_equal(board.delivered.count, 1);
	assert_true(board.delivered.level);
	chipset_ioapic_eoi(board.chipset, 0x39);
	assert_int_equal(board.delivered.count, 2);
	out(rig, ACPI_PM_BASE, 2, 0x100);
	chipset_ioapic_eoi(board.chipset, 0x39);
	assert_int_equal(board.delivered.count, 2);
}

static void test_power_off_flushes_first(void **state)
{
	struct rig *rig = *state;

	outb(rig, COM1, 'x');
	assert_int_equal(board.output_len, 0);
	out(rig, ACPI_PM_BASE + 4, 2, 5 << 10);
	assert_int_equal(board.power_offs, 0);
	out(rig, ACPI_PM_BASE + 4, 2, 5 << 10 | 1 << 13);
	assert_int_equal(board.power_offs, 1);
	assert_int_equal(board.output_at_power_off, 1);
	assert_int_equal(board.resets, 0);
}

static void test_every_reset(void **state)
{
	struct rig *rig = *state;

	outb(rig, 0xcf9, 0x02);
	assert_int_equal(board.resets, 0);
	outb(rig, 0xcf9, 0x06);
	assert_int_equal(board.resets, 1);
	outb(rig, 0x64, 0xfe);
	assert_int_equal(board.resets, 2);
	outb(rig, 0x64, 0xd1);
	outb(rig, 0x92, 0x02);
	assert_int_equal(board.resets, 2);
	outb(rig, 0x92, 0x03);
	assert_int_equal(board.resets, 3);
	assert_int_equal(board.power_offs, 0);
}

static void test_wire_of_an_outside_device(void **state)
{
	struct irq_line line = chipset_irq(board.chipset, 20);

	ioapic_route(*state, 20, 0x55);
	irq_line_set(&line, true);
	assert_int_equal(board.delivered.vector, 0x55);
	line = chipset_irq(board.chipset, 24);
	irq_line_set(&line, true);
	assert_int_equal(board.delivered.count, 1);
}

/* Whatever kernels poke at is answered, and reads as ones. */
static void test_absent_ports(void **state)
{
	static const uint16_t ports[] = { 0x00,  0x22,  0x60,  0x64,  0x80,  0x87,  0xc0,
					  0xed,  0xf0,  0x170, 0x1f0, 0x278, 0x2e8, 0x378,
					  0x3c0, 0x3d4, 0x3e8, 0x3f6, 0x481, 0xa79 };

	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		outb(*state, ports[i], 0);
		assert_int_equal(inb(*state, ports[i]), 0xff);
	}
}

static void test_address_taken(void **state)
{
	struct chipset_config config = board_config();

	(void)state;
	assert_null(chipset_create(&config));
	assert_int_equal(errno, EEXIST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_serial_interrupt_through_both),
		TEST(test_com2),
		TEST(test_timer_is_ioapic_pin_2),
		TEST(test_rtc_is_irq_8),
		TEST(test_power_button_is_sci),
		TEST(test_power_off_flushes_first),
		TEST(test_every_reset),
		TEST(test_wire_of_an_outside_device),
		TEST(test_absent_ports),
		TEST(test_address_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
