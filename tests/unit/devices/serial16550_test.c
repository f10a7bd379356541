#include "devices/serial16550.h"
#include "tests/unit/devices/device_test.h"

#include <string.h>

#define BASE 0x3f8
#define DATA (BASE + 0)
#define IER  (BASE + 1)
#define IIR  (BASE + 2)
#define FCR  (BASE + 2)
#define LCR  (BASE + 3)
#define MCR  (BASE + 4)
#define LSR  (BASE + 5)
#define MSR  (BASE + 6)
#define SCR  (BASE + 7)

static struct rig rig;
static struct serial16550 *serial;
static char output[1024];
static size_t output_len;
static unsigned int batches, rooms;
static const char *refill; /* what receive_ready() offers */

static void transmit(void *ctx, const uint8_t *bytes, size_t len)
{
	assert_ptr_equal(ctx, &rig);
	assert_true(len > 0 && output_len + len < sizeof(output));
	memcpy(output + output_len, bytes, len);
	output_len += len;
	output[output_len] = 0;
	batches++;
}

static size_t receive(const char *text)
{
	return serial16550_receive(serial, (const uint8_t *)text, strlen(text));
}

static void room(void *ctx)
{
	(void)ctx;
	rooms++;
	if (refill)
		refill += receive(refill);
}

static int setup(void **state)
{
	struct serial16550_config config;

	(void)state;
	rig_init(&rig);
	config = (struct serial16550_config){
		.loop = fake_event_loop(),
		.lock = &rig.lock,
		.irq = { rig_set_level, &rig, 4 },
		.backend = { transmit, room, &rig },
	};
	serial = serial16550_create(&config);
	assert_non_null(serial);
	assert_int_equal(serial16550_attach(serial, rig.bus, BASE), 0);
	output_len = 0;
	output[0] = 0;
	batches = rooms = 0;
	refill = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serial16550_destroy(serial);
	rig_finish(&rig);
	return 0;
}

static void test_reset_state(void **state)
{
	(void)state;
	assert_int_equal(inb(&rig, IER), 0);
	assert_int_equal(inb(&rig, IIR), 0x01);
	assert_int_equal(inb(&rig, LCR), 0);
	assert_int_equal(inb(&rig, MCR), 0);
	assert_int_equal(inb(&rig, LSR), 0x60);
	assert_int_equal(inb(&rig, MSR), 0xb0);
	assert_int_equal(inb(&rig, DATA), 0);
	assert_false(rig.level);
}

/* The steps by which drivers tell a 16550A from its relatives. */
static void test_detection(void **state)
{
	(void)state;
	outb(&rig, IER, 0x00);
	assert_int_equal(inb(&rig, IER), 0x00);
	outb(&rig, IER, 0xff);
	assert_int_equal(inb(&rig, IER), 0x0f); /* no sleep mode, no extended registers */
	outb(&rig, IER, 0);

	outb(&rig, MCR, 0x1a); /* loopback, OUT2, RTS */
	assert_int_equal(inb(&rig, MSR) & 0xf0, 0x90);
	outb(&rig, MCR, 0);

	outb(&rig, FCR, 0x21); /* a 16750's 64-byte FIFO */
	assert_int_equal(inb(&rig, IIR) & 0xe0, 0xc0);
	outb(&rig, LCR, 0xbf); /* a 16650's extended feature register */
	assert_int_not_equal(inb(&rig, IIR), 0);
	outb(&rig, LCR, 0);

	outb(&rig, FCR, 0x00);
	assert_int_equal(inb(&rig, IIR) & 0xc0, 0);
	outb(&rig, SCR, 0xa5);
	assert_int_equal(inb(&rig, SCR), 0xa5);
}

static void test_divisor_latch(void **state)
{
	(void)state;
	outb(&rig, IER, 0x05);
	outb(&rig, LCR, 0x83);
	outb(&rig, DATA, 0x34);
	outb(&rig, IER, 0x12);
	assert_int_equal(inb(&rig, DATA), 0x34);
	assert_int_equal(inb(&rig, IER), 0x12);
	outb(&rig, LCR, 0x03);
	assert_int_equal(inb(&rig, IER), 0x05);
	assert_int_equal(output_len, 0);
	assert_true(fake_clock_next() == UINT64_MAX);
}

static void put(const char *text)
{
	while (*text)
		outb(&rig, DATA, (uint8_t)*text++);
}

static void test_transmit_a_line(void **state)
{
	(void)state;
	put("one\r\ntwo");
	assert_string_equal(output, "one\r\n");
	assert_int_equal(batches, 1);
	assert_int_equal(inb(&rig, LSR), 0x60);
	fake_clock_advance(20 * NS_PER_MILLISECOND);
	assert_string_equal(output, "one\r\ntwo");
	assert_int_equal(batches, 2);
}

static void test_transmit_does_not_wait_longer(void **state)
{
	(void)state;
	put("a");
	fake_clock_advance(10 * NS_PER_MILLISECOND);
	put("b");
	assert_int_equal(output_len, 0);
	fake_clock_advance(10 * NS_PER_MILLISECOND);
	assert_string_equal(output, "ab");
	/* A batch that has ended by itself does not cut the next one short. */
	put("c");
	fake_clock_advance(15 * NS_PER_MILLISECOND);
	put("\nd");
	fake_clock_advance(19 * NS_PER_MILLISECOND);
	assert_string_equal(output, "abc\n");
	fake_clock_advance(NS_PER_MILLISECOND);
	assert_string_equal(output, "abc\nd");
}

static void test_transmit_full_batch(void **state)
{
	(void)state;
	for (int i = 0; i < 240; i++)
		put("x");
	assert_int_equal(output_len, 240);
	put("y");
	serial16550_flush(serial);
	assert_int_equal(output_len, 241);
	serial16550_flush(serial);
	assert_int_equal(batches, 2);
}

static void test_receive(void **state)
{
	(void)state;
	outb(&rig, FCR, 0x01);
	assert_int_equal(receive("ab"), 2);
	assert_int_equal(inb(&rig, LSR), 0x61);
	assert_int_equal(inb(&rig, DATA), 'a');
	assert_int_equal(inb(&rig, DATA), 'b');
	assert_int_equal(inb(&rig, LSR), 0x60);
	assert_int_equal(inb(&rig, DATA), 0);
}

/* A sender with more than fits is called when there is room, and nothing is lost or reordered. */
static void test_back_pressure(void **state)
{
	const char *text = "The quick brown fox jumps over the lazy dog";
	char got[64] = "";
	size_t len = 0;

	(void)state;
	outb(&rig, FCR, 0x01);
	refill = text;
	refill += receive(refill);
	assert_ptr_equal(refill, text + 16);
	while (inb(&rig, LSR) & 0x01)
		got[len++] = (char)inb(&rig, DATA);
	assert_string_equal(got, text);
	assert_int_equal(inb(&rig, LSR) & 0x02, 0);
	/* Satisfied, it is not called again. */
	assert_int_equal(rooms, strlen(text) - 16);
	receive("z");
	inb(&rig, DATA);
	assert_int_equal(rooms, strlen(text) - 16);
}

/* A sender that does not answer at once is not called again until it has tried. */
static void test_room_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(receive("ab"), 1);
	inb(&rig, DATA);
	inb(&rig, DATA);
	assert_int_equal(rooms, 1);
	assert_int_equal(receive("bc"), 1);
	inb(&rig, DATA);
	assert_int_equal(rooms, 2);
}

static void test_receive_without_fifo(void **state)
{
	(void)state;
	assert_int_equal(receive("abc"), 1);
	assert_int_equal(inb(&rig, DATA), 'a');
	assert_int_equal(rooms, 1);
	assert_int_equal(receive("bc"), 1);
	refill = "c";
	outb(&rig, FCR, 0x01); /* clears the receiver, and makes room */
	assert_int_equal(inb(&rig, DATA), 'c');
}

/* IIR goes from timeout to data available at the trigger level and back. */
static void test_trigger_levels(void **state)
{
	static const struct {
		uint8_t fcr;
		unsigned int level;
	} levels[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

	(void)state;
	outb(&rig, MCR, 0x08);
	outb(&rig, IER, 0x01);
	for (unsigned int i = 0; i < 4; i++) {
		outb(&rig, FCR, levels[i].fcr | 0x02);
		assert_int_equal(inb(&rig, IIR), 0xc1);
		for (unsigned int n = 1; n <= 16; n++) {
			receive("r");
			assert_int_equal(inb(&rig, IIR), n >= levels[i].level ? 0xc4 : 0xcc);
			assert_true(rig.level);
		}
		for (unsigned int n = 16; n > 0; n--) {
			assert_int_equal(inb(&rig, IIR), n >= levels[i].level ? 0xc4 : 0xcc);
			inb(&rig, DATA);
		}
		assert_false(rig.level);
	}
}

static void test_thre_interrupt(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x08);
	outb(&rig, IER, 0x02);
	assert_true(rig.level);
	assert_int_equal(inb(&rig, IIR), 0x02);
	assert_false(rig.level); /* reading the identification clears it */
	assert_int_equal(inb(&rig, IIR), 0x01);
	put("x");
	assert_true(rig.level);
	assert_int_equal(inb(&rig, IIR), 0x02);
	/* Enabling it again raises it again. */
	outb(&rig, IER, 0x00);
	outb(&rig, IER, 0x02);
	assert_int_equal(rig.rises, 3);
	outb(&rig, IER, 0x02);
	assert_int_equal(rig.rises, 3);
}

/* One edge for each FIFO's worth, one for each byte without FIFOs. */
static void test_thre_edges(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x08);
	outb(&rig, FCR, 0x01);
	outb(&rig, IER, 0x02);
	inb(&rig, IIR);
	rig.rises = 0;
	put("0123456789abcdef");
	assert_int_equal(rig.rises, 1);
	put("0");
	assert_int_equal(rig.rises, 2);
	assert_int_equal(inb(&rig, IIR), 0xc2);
	outb(&rig, FCR, 0x00);
	put("01");
	assert_int_equal(rig.rises, 4);
}

static void test_break_and_line_status(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x08);
	outb(&rig, FCR, 0x01);
	outb(&rig, IER, 0x05);
	receive("a");
	serial16550_receive_break(serial);
	/* It shows when its byte is at the top; that there is one in the FIFO shows before. */
	assert_int_equal(inb(&rig, IIR), 0xc4);
	assert_int_equal(inb(&rig, LSR), 0xe1);
	assert_int_equal(inb(&rig, DATA), 'a');
	assert_int_equal(inb(&rig, IIR), 0xc6);
	assert_int_equal(inb(&rig, LSR), 0xf9);
	assert_int_equal(inb(&rig, IIR), 0xc4);
	assert_int_equal(inb(&rig, LSR), 0x61);
	assert_int_equal(inb(&rig, DATA), 0);
	assert_int_equal(inb(&rig, IIR), 0xc1);
	assert_false(rig.level);
}

static void test_interrupt_priority(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x18); /* loopback: deltas of DSR and CTS */
	outb(&rig, MCR, 0x08);
	outb(&rig, IER, 0x0f);
	receive("x");
	serial16550_receive_break(serial); /* overruns */
	assert_int_equal(inb(&rig, IIR), 0x06);
	inb(&rig, LSR);
	assert_int_equal(inb(&rig, IIR), 0x04);
	inb(&rig, DATA);
	assert_int_equal(inb(&rig, IIR), 0x02);
	assert_int_equal(inb(&rig, IIR), 0x00);
	inb(&rig, MSR);
	assert_int_equal(inb(&rig, IIR), 0x01);
	assert_false(rig.level);
}

static void test_out2_gates_the_wire(void **state)
{
	(void)state;
	outb(&rig, IER, 0x02);
	assert_false(rig.level);
	outb(&rig, MCR, 0x08);
	assert_true(rig.level);
	outb(&rig, MCR, 0x18);
	assert_false(rig.level);
}

static void test_loopback_data(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x10);
	outb(&rig, FCR, 0x01);
	put("loop");
	fake_clock_advance(100 * NS_PER_MILLISECOND);
	assert_int_equal(output_len, 0);
	assert_int_equal(receive("x"), 0); /* the input is disconnected */
	assert_int_equal(inb(&rig, DATA), 'l');
	put("0123456789abcdef"); /* 3 + 16: three overrun */
	assert_int_equal(inb(&rig, LSR), 0x63);
	assert_int_equal(inb(&rig, LSR), 0x61);
	for (int i = 0; i < 15; i++)
		inb(&rig, DATA);
	assert_int_equal(inb(&rig, DATA), 'c'); /* the last that had room */
	assert_int_equal(inb(&rig, LSR), 0x60);
	assert_int_equal(rooms, 0);
	outb(&rig, MCR, 0x00);
	assert_int_equal(rooms, 1);
}

/* Without FIFOs the byte that comes destroys the one that was there. */
static void test_overrun_without_fifo(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x10);
	put("ab");
	assert_int_equal(inb(&rig, LSR), 0x63);
	assert_int_equal(inb(&rig, DATA), 'b');
	assert_int_equal(inb(&rig, LSR), 0x60);
}

static void test_loopback_break(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x10);
	outb(&rig, LCR, 0x43);
	assert_int_equal(inb(&rig, LSR) & 0x11, 0x11);
	inb(&rig, DATA);
	outb(&rig, LCR, 0x43);
	assert_int_equal(inb(&rig, LSR), 0x60);
}

static void test_loopback_modem(void **state)
{
	static const struct {
		uint8_t mcr, msr;
	} wires[] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 }, { 0x08, 0x80 } };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		outb(&rig, MCR, 0x10);
		inb(&rig, MSR);
		outb(&rig, MCR, 0x10 | wires[i].mcr);
		/* RI's beginning is no event, the others' is. */
		assert_int_equal(inb(&rig, MSR), wires[i].msr | (i == 2 ? 0 : wires[i].msr >> 4));
		outb(&rig, MCR, 0x10);
		assert_int_equal(inb(&rig, MSR), wires[i].msr >> 4);
		assert_int_equal(inb(&rig, MSR), 0);
	}
}

static void test_fifo_reset(void **state)
{
	(void)state;
	outb(&rig, MCR, 0x08);
	outb(&rig, IER, 0x01);
	outb(&rig, FCR, 0x01);
	receive("abc");
	outb(&rig, FCR, 0x01);
	assert_int_equal(inb(&rig, LSR), 0x61);
	assert_true(rig.level);
	outb(&rig, FCR, 0x03);
	assert_false(rig.level);
	assert_int_equal(inb(&rig, LSR), 0x60);
	receive("d");
	outb(&rig, FCR, 0x00); /* changing the mode clears it too */
	assert_int_equal(inb(&rig, LSR), 0x60);
}

static void test_wide_access_is_bytes(void **state)
{
	(void)state;
	out(&rig, DATA, 2, 0x0a41 & 0xff);
	serial16550_flush(serial);
	assert_string_equal(output, "A");
	outb(&rig, SCR, 0x77);
	assert_int_equal(in(&rig, MSR, 2), 0x77b0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reset_state),
		TEST(test_detection),
		TEST(test_divisor_latch),
		TEST(test_transmit_a_line),
		TEST(test_transmit_does_not_wait_longer),
		TEST(test_transmit_full_batch),
		TEST(test_receive),
		TEST(test_back_pressure),
		TEST(test_room_is_told_once),
		TEST(test_receive_without_fifo),
		TEST(test_trigger_levels),
		TEST(test_thre_interrupt),
		TEST(test_thre_edges),
		TEST(test_break_and_line_status),
		TEST(test_interrupt_priority),
		TEST(test_out2_gates_the_wire),
		TEST(test_loopback_data),
		TEST(test_overrun_without_fifo),
		TEST(test_loopback_break),
		TEST(test_loopback_modem),
		TEST(test_fifo_reset),
		TEST(test_wide_access_is_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
