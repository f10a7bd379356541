/* A function that its guest gives on: what the guest says in configuration space, and what the bus is told of it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/pci_function.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_direct.h"
#include "devices/pci/pci_msix.h"
#include "proto/pci_direct.h"

#define VECTORS 5u
#define TABLE   0x1000u
#define PBA     0x2000u
#define LEN     0x4000u
#define GPA     0x123456000ull
#define MESSAGE 0x77u

static struct {
	struct pci_function function;
	struct pci_config_space space;
	struct pci_msix *msix;
	struct pci_direct direct;

	unsigned int told, bar; /* direct_bar() */
	uint64_t gpa;
	unsigned int interrupts; /* direct_interrupt() */
	uint32_t vp;
	uint8_t vector;
	unsigned int messages;
} m;

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	assert_ptr_equal(ctx, &m);
	assert_int_equal(address, 0xfee00000);
	assert_int_equal(data, MESSAGE);
	m.messages++;
}

static void direct_bar(void *ctx, unsigned int bar, uint64_t gpa)
{
	assert_ptr_equal(ctx, &m);
	m.told++;
	m.bar = bar;
	m.gpa = gpa;
}

static void direct_interrupt(void *ctx, uint32_t vp, uint8_t vector)
{
	assert_ptr_equal(ctx, &m);
	m.interrupts++;
	m.vp = vp;
	m.vector = vector;
}

static const struct pci_bus_ops bus_ops = { .msi = msi,
					    .direct_bar = direct_bar,
					    .direct_interrupt = direct_interrupt };

/* --- As a function does it */

static void reset(void)
{
	pci_config_space_reset(&m.space);
	pci_msix_reset(m.msix);
	pci_direct_reset(&m.direct);
}

static void set_config(unsigned int offset, unsigned int size, uint32_t value)
{
	pci_config_space_write(&m.space, offset, size, value);
	pci_msix_config_written(m.msix);
	pci_direct_config_written(&m.direct, (uint16_t)offset, size);
}

/* --- As its guest does it */

static unsigned int capability(enum pci_capability id)
{
	unsigned int at = pci_config_space_read(&m.space, PCI_CAPABILITY_POINTER, 1);

	while (at && pci_config_space_read(&m.space, at, 1) != id)
		at = pci_config_space_read(&m.space, at + 1, 1);
	assert_true(at);
	return at;
}

static void set_field(unsigned int field, unsigned int size, uint32_t value)
{
	set_config(capability(PCI_CAP_VENDOR) + field, size, value);
}

static void tell(uint32_t select, uint64_t value)
{
	set_field(PCI_DIRECT_LOW, 4, (uint32_t)value);
	set_field(PCI_DIRECT_HIGH, 4, value >> 32);
	set_field(PCI_DIRECT_SELECT, 4, select);
}

static void tell_vector(unsigned int index, uint32_t vp, uint32_t vector)
{
	tell(PCI_DIRECT_VECTOR(index), (uint64_t)vector << 32 | vp);
}

static void set_table(unsigned int vector, unsigned int offset, uint32_t value)
{
	pci_msix_write(m.msix, TABLE + vector * 16 + offset, 4, value);
}

static void enable(void)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		set_table(i, 0, 0xfee00000);
		set_table(i, 8, MESSAGE);
		set_table(i, 12, 0);
	}
	set_config(capability(PCI_CAP_MSIX) + PCI_MSIX_CONTROL, 2, PCI_MSIX_CONTROL_ENABLE);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* BAR 0 and 1: 64 bits wide, BAR 3: 32. */
static int setup(void **state)
{
	static const struct pci_identity identity = { .vendor = 0x1234, .device = 0x5678 };
	static const struct pci_msix_layout layout = { VECTORS, 0, TABLE, PBA };

	(void)state;
	memset(&m, 0, sizeof(m));
	m.function.bus.ops = &bus_ops;
	m.function.bus.ctx = &m;
	pci_config_space_init(&m.space, &identity);
	pci_config_space_add_bar(&m.space, 0, LEN, true);
	pci_config_space_add_bar(&m.space, 3, LEN, false);
	pci_config_space_add_express(&m.space);
	m.msix = pci_msix_create(&m.function, &m.space, &layout);
	pci_direct_init(&m.direct, &m.function, &m.space, m.msix);
	return m.msix ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	pci_msix_destroy(m.msix);
	return 0;
}

/* --- */

static void it_says_what_it_is(void **state)
{
	unsigned int at = capability(PCI_CAP_VENDOR);

	(void)state;
	assert_int_equal(pci_config_space_read(&m.space, at + PCI_DIRECT_LENGTH, 1),
			 PCI_DIRECT_LEN);
	assert_int_equal(pci_config_space_read(&m.space, at + PCI_DIRECT_SIGNATURE, 4),
			 PCI_DIRECT_NAME);
	set_field(PCI_DIRECT_SIGNATURE, 4, 0);
	set_field(PCI_DIRECT_LENGTH, 1, 0);
	assert_int_equal(pci_config_space_read(&m.space, at + PCI_DIRECT_SIGNATURE, 4),
			 PCI_DIRECT_NAME);
	assert_int_equal(pci_config_space_read(&m.space, at + PCI_DIRECT_LENGTH, 1),
			 PCI_DIRECT_LEN);
}

static void the_bus_knows_the_bars(void **state)
{
	(void)state;
	set_field(PCI_DIRECT_LOW, 4, (uint32_t)GPA);
	set_field(PCI_DIRECT_HIGH, 4, GPA >> 32);
	assert_int_equal(m.told, 0); /* before it says of what */
	set_field(PCI_DIRECT_SELECT, 4, PCI_DIRECT_BAR(3));
	assert_int_equal(m.told, 1);
	assert_int_equal(m.bar, 3);
	assert_int_equal(m.gpa, GPA);
	tell(PCI_DIRECT_BAR(0), UINT64_MAX - LEN + 1);
	assert_int_equal(m.bar, 0);
	assert_int_equal(m.gpa, UINT64_MAX - LEN + 1);
	tell(PCI_DIRECT_BAR(0), 0);
	assert_int_equal(m.told, 3);
	assert_int_equal(m.gpa, 0);
}

/* Such a BAR is nowhere. */
static void bars_are_where_they_can_be(void **state)
{
	static const uint64_t impossible[] = { GPA + 1, GPA + 0x800, UINT64_MAX - LEN + 0x1001,
					       UINT64_MAX - 0xfff, UINT64_MAX };

	(void)state;
	for (unsigned int i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		tell(PCI_DIRECT_BAR(0), GPA);
		assert_int_equal(m.gpa, GPA);
		tell(PCI_DIRECT_BAR(0), impossible[i]);
		assert_int_equal(m.told, 2 * (i + 1));
		assert_int_equal(m.bar, 0);
		assert_int_equal(m.gpa, 0);
	}
}

static void what_there_is_not_means_nothing(void **state)
{
	static const uint32_t none[] = {
		PCI_DIRECT_BAR(1), PCI_DIRECT_BAR(2),        PCI_DIRECT_BAR(5),
		PCI_DIRECT_BAR(6), PCI_DIRECT_VECTOR(0) - 1, PCI_DIRECT_VECTOR(VECTORS),
		UINT32_MAX
	};

	(void)state;
	enable();
	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		tell(none[i], 0x4100000000);
	assert_int_equal(m.told, 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		pci_msix_raise(m.msix, i);
	assert_int_equal(m.interrupts, 0);
	assert_int_equal(m.messages, VECTORS);
}

/* Each says of what, with what is there of it by then. */
static void small_writes_say_it_too(void **state)
{
	(void)state;
	tell(UINT32_MAX, GPA);
	set_field(PCI_DIRECT_SELECT + 2, 2, 0);
	assert_int_equal(m.told, 0);
	set_field(PCI_DIRECT_SELECT + 1, 1, 0);
	assert_int_equal(m.told, 0);
	set_field(PCI_DIRECT_SELECT, 1, PCI_DIRECT_BAR(3));
	assert_int_equal(m.told, 1);
	assert_int_equal(m.bar, 3);
	assert_int_equal(m.gpa, GPA);
	set_field(PCI_DIRECT_LOW + 2, 2, 0); /* of the address this is not */
	set_field(PCI_DIRECT_HIGH, 1, 9);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(m.told, 1);
	set_field(PCI_DIRECT_SELECT + 3, 1, 0);
	assert_int_equal(m.told, 2);
	assert_int_equal(m.gpa, 0x900006000);
}

/* --- Interrupts */

static void an_interrupt_is_for_whom_it_was_given(void **state)
{
	(void)state;
	enable();
	tell_vector(2, 7, 0x41);
	pci_msix_raise(m.msix, 2);
	assert_int_equal(m.interrupts, 1);
	assert_int_equal(m.vp, 7);
	assert_int_equal(m.vector, 0x41);
	pci_msix_raise(m.msix, 1);
	assert_int_equal(m.interrupts, 1);
	assert_int_equal(m.messages, 1);
	tell_vector(2, 8, 0xff);
	pci_msix_raise(m.msix, 2);
	assert_int_equal(m.vp, 8);
	assert_int_equal(m.vector, 0xff);
	tell_vector(VECTORS - 1, 9, 16);
	pci_msix_raise(m.msix, VECTORS - 1);
	assert_int_equal(m.vp, 9);
	assert_int_equal(m.vector, 16);
	assert_int_equal(m.interrupts, 3);
	assert_int_equal(m.messages, 1);
}

static void without_a_vector_it_is_a_message(void **state)
{
	static const uint32_t none[] = { 0, 1, 15, 256, 256 + 0x41, UINT32_MAX };

	(void)state;
	enable();
	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		tell_vector(2, 7, 0x41);
		tell_vector(2, 7, none[i]);
		pci_msix_raise(m.msix, 2);
		assert_int_equal(m.messages, i + 1);
	}
	assert_int_equal(m.interrupts, 0);
}

/* Whose it is, is asked when it goes. */
static void masks_hold_it_back(void **state)
{
	(void)state;
	enable();
	tell_vector(2, 7, 0x41);
	set_table(2, 12, 1);
	pci_msix_raise(m.msix, 2);
	assert_int_equal(m.interrupts, 0);
	assert_int_equal(pci_msix_read(m.msix, PBA, 8), 4);
	set_table(2, 12, 0);
	assert_int_equal(m.interrupts, 1);
	assert_int_equal(pci_msix_read(m.msix, PBA, 8), 0);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_msix_raise(m.msix, 2);
	assert_int_equal(m.interrupts, 1);
	tell_vector(2, 3, 0x42);
	assert_int_equal(m.interrupts, 1);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(m.interrupts, 2);
	assert_int_equal(m.vp, 3);
	assert_int_equal(m.vector, 0x42);
	set_table(2, 12, 1);
	pci_msix_raise(m.msix, 2);
	tell_vector(2, 0, 0);
	set_table(2, 12, 0);
	assert_int_equal(m.interrupts, 2);
	assert_int_equal(m.messages, 1);
}

static void messages_are_known_while_nothing_masks_them(void **state)
{
	uint64_t address;
	uint32_t data;

	(void)state;
	assert_false(pci_msix_message(m.msix, 1, &address, &data));
	enable();
	set_table(1, 4, 5);
	assert_true(pci_msix_message(m.msix, 1, &address, &data));
	assert_int_equal(address, 0x5fee00000);
	assert_int_equal(data, MESSAGE);
	assert_false(pci_msix_message(m.msix, VECTORS, &address, &data));
	set_table(1, 12, 1);
	assert_false(pci_msix_message(m.msix, 1, &address, &data));
	assert_true(pci_msix_message(m.msix, 2, &address, &data));
}

/* --- */

static void a_reset_takes_everything_back(void **state)
{
	(void)state;
	enable();
	tell(PCI_DIRECT_BAR(0), GPA);
	tell(PCI_DIRECT_BAR(3), GPA + LEN);
	tell_vector(2, 7, 0x41);
	m.told = 0;
	reset();
	assert_int_equal(m.told, 2);
	assert_int_equal(m.bar, 3);
	assert_int_equal(m.gpa, 0);
	enable();
	pci_msix_raise(m.msix, 2);
	assert_int_equal(m.interrupts, 0);
	assert_int_equal(m.messages, 1);
	/* Nor is anything left of what was written. */
	set_field(PCI_DIRECT_SELECT, 4, PCI_DIRECT_BAR(0));
	assert_int_equal(m.gpa, 0);
}

static void on_a_bus_that_cannot_it_does_nothing(void **state)
{
	static const struct pci_bus_ops plain = { .msi = msi };

	(void)state;
	m.function.bus.ops = NULL; /* not plugged in yet */
	reset();
	m.function.bus.ops = &plain;
	enable();
	tell(PCI_DIRECT_BAR(0), GPA);
	tell_vector(2, 7, 0x41);
	pci_msix_raise(m.msix, 2);
	assert_int_equal(m.messages, 1);
	reset();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_it_is),
		TEST(the_bus_knows_the_bars),
		TEST(bars_are_where_they_can_be),
		TEST(what_there_is_not_means_nothing),
		TEST(small_writes_say_it_too),
		TEST(an_interrupt_is_for_whom_it_was_given),
		TEST(without_a_vector_it_is_a_message),
		TEST(masks_hold_it_back),
		TEST(messages_are_known_while_nothing_masks_them),
		TEST(a_reset_takes_everything_back),
		TEST(on_a_bus_that_cannot_it_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
