/* What a relay tells the host of a function that has the capability for it, and when it takes that back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/log.h"
#include "devices/pci/pci_relay.h"
#include "proto/pci_direct.h"
#include "tests/unit/devices/pci/fake_device.h"

#define GPA      0x100040000ull
#define MSIX_GPA 0x100080000ull
#define ENABLE   PCI_MSIX_CONTROL_ENABLE
#define ON       (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define WORDS    3u /* of one thing that is told */

/* As the fake has it. */
#define TARGET(vp, vector) ((uint64_t)(vector) << 32 | (vp))

static struct fake_device fake;
static struct pci_relay *relay;
static struct pci_function *function;
static uint32_t target_vp;
static unsigned int messages;

static void msi(void *ctx, uint64_t address, uint32_t data)
{
	(void)ctx;
	(void)address;
	(void)data;
	messages++;
}

/* The data is the vector; 99 is no interrupt of the bus. */
static bool msi_target(void *ctx, uint64_t address, uint32_t data, uint32_t *vp, uint8_t *vector)
{
	(void)ctx;
	*vp = target_vp;
	*vector = (uint8_t)data;
	return address == 0xfee00000 && data != 99;
}

static const struct pci_bus_ops bus_ops = { .msi = msi, .msi_target = msi_target };

static int create(void)
{
	target_vp = 1;
	messages = 0;
	if (pci_relay_create(&fake.pci, &relay))
		return -1;
	function = pci_relay_function(relay);
	function->bus.ops = &bus_ops;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	fake_device_init(&fake);
	fake_device_add_direct(&fake);
	return create();
}

static int teardown(void **state)
{
	(void)state;
	pci_relay_destroy(relay);
	return 0;
}

static void set_config(unsigned int offset, unsigned int size, uint32_t value)
{
	function->ops->config_write(function, (uint16_t)offset, size, value);
}

static uint32_t config(unsigned int offset, unsigned int size)
{
	return function->ops->config_read(function, (uint16_t)offset, size);
}

static unsigned int capability(enum pci_capability id)
{
	unsigned int at = config(PCI_CAPABILITY_POINTER, 1);

	while (at && config(at, 1) != id)
		at = config(at + 1, 1);
	assert_true(at);
	return at;
}

static void set_msix(uint32_t control)
{
	set_config(capability(PCI_CAP_MSIX) + PCI_MSIX_CONTROL, 2, control);
}

static void set_table(unsigned int vector, unsigned int offset, uint32_t value)
{
	function->ops->bar_write(function, 4, vector * 16 + offset, 4, value);
}

static void mask(unsigned int vector, bool masked)
{
	set_table(vector, 12, masked);
}

/* Nothing masks the vector afterwards but what the function is set to. */
static void program(unsigned int vector, uint32_t data)
{
	set_table(vector, 0, 0xfee00000);
	set_table(vector, 4, 0);
	set_table(vector, 8, data);
	mask(vector, false);
}

static void move(unsigned int bar, uint64_t gpa)
{
	function->ops->bar_moved(function, bar, gpa);
}

/* As a guest has it that uses it. */
static void use(void)
{
	program(2, 0x42);
	set_msix(ENABLE);
	set_config(PCI_COMMAND, 2, ON);
	move(0, GPA);
	move(4, MSIX_GPA);
}

static void assert_nothing_is_told(void)
{
	for (unsigned int i = 0; i < PCI_BAR_COUNT; i++)
		assert_int_equal(fake.direct_bar[i], 0);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(fake.direct_vector[i], 0);
}

/* --- The capability */

static void use_another(void)
{
	pci_relay_destroy(relay);
	assert_int_equal(create(), 0);
	use();
	function->ops->targets_changed(function);
	function->ops->reset(function);
	assert_int_equal(fake.direct_words, 0);
	fake_device_init(&fake);
	fake_device_add_direct(&fake);
}

/* The fake aborts when anything is told by what is no such capability. */
static void it_has_to_be_the_capability(void **state)
{
	(void)state;
	fake.config[0x51] = 0;
	use_another();
	fake.config[FAKE_DEVICE_DIRECT + PCI_DIRECT_SIGNATURE] ^= 1;
	use_another();
	fake.config[FAKE_DEVICE_DIRECT + PCI_DIRECT_LENGTH]++;
	use_another();
	fake.config[FAKE_DEVICE_DIRECT] = PCI_CAP_POWER;
	use_another();
}

/* At the last place that it fits, and at the first where it does not. */
static void it_has_to_be_in_configuration_space(void **state)
{
	unsigned int last = (PCI_CONFIG_SPACE_SIZE - PCI_DIRECT_LEN) & ~3u;

	(void)state;
	for (unsigned int at = last; at <= last + 4; at += 4) {
		pci_relay_destroy(relay);
		fake_device_init(&fake);
		fake.config[0x51] = (uint8_t)at;
		fake.config[at] = PCI_CAP_VENDOR;
		fake.config[at + PCI_DIRECT_LENGTH] = PCI_DIRECT_LEN;
		store_le32(fake.config + at + PCI_DIRECT_SIGNATURE, PCI_DIRECT_NAME);
		assert_int_equal(create(), 0);
		use();
		assert_int_equal(fake.direct_words, at == last ? 2 * WORDS : 0);
	}
}

/* --- BARs */

static void a_bar_is_told_once_it_is_used(void **state)
{
	(void)state;
	move(0, GPA);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake.direct_words, 0);
	set_config(PCI_COMMAND, 2, ON);
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(fake.direct_words, WORDS);
	/* And in the other order; only what is new. */
	set_config(PCI_COMMAND, 2, ON);
	move(0, GPA);
	assert_int_equal(fake.direct_words, WORDS);
	move(0, 2 * GPA);
	assert_int_equal(fake.direct_bar[0], 2 * GPA);
	assert_int_equal(fake.direct_words, 2 * WORDS);
}

static void a_bar_is_taken_back(void **state)
{
	(void)state;
	use();
	assert_int_equal(fake.direct_bar[0], GPA);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_nothing_is_told();
	set_config(PCI_COMMAND, 2, ON);
	assert_int_equal(fake.direct_bar[0], GPA);
	move(0, 0);
	assert_int_equal(fake.direct_bar[0], 0);
	set_config(PCI_COMMAND, 2, ON);
	assert_int_equal(fake.direct_bar[0], 0);
}

/* We answer for a part of it. */
static void the_bar_of_interrupts_is_never_told(void **state)
{
	(void)state;
	move(4, MSIX_GPA);
	set_config(PCI_COMMAND, 2, ON);
	move(4, 2 * MSIX_GPA);
	assert_int_equal(fake.direct_words, 0);
}

static void ask_for_reset(void)
{
	set_config(capability(PCI_CAP_EXPRESS) + PCI_EXPRESS_DEVICE_CONTROL, 2,
		   PCI_EXPRESS_DEVICE_CONTROL_FLR);
}

static void a_reset_takes_everything_back(void **state)
{
	(void)state;
	use();
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
	function->ops->reset(function);
	assert_nothing_is_told();
	use();
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
	ask_for_reset();
	assert_nothing_is_told();
	/* What it was told before is no reason not to tell it again. */
	use();
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
}

/* --- Vectors */

static void a_vector_is_told_once_it_is_used(void **state)
{
	(void)state;
	program(2, 0x42);
	set_msix(ENABLE);
	assert_int_equal(fake.direct_words, 0);
	set_config(PCI_COMMAND, 2, ON);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
	assert_int_equal(fake.direct_words, WORDS);
	program(4, 0xff);
	assert_int_equal(fake.direct_vector[4], TARGET(1, 0xff));
	assert_int_equal(fake.direct_words, 2 * WORDS);
	mask(2, false);
	set_msix(ENABLE);
	function->ops->targets_changed(function);
	assert_int_equal(fake.direct_words, 2 * WORDS);
}

static void a_vector_that_is_masked_is_ours(void **state)
{
	(void)state;
	use();
	mask(2, true);
	assert_int_equal(fake.direct_vector[2], 0);
	mask(2, false);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
	set_msix(ENABLE | PCI_MSIX_CONTROL_MASK_ALL);
	assert_int_equal(fake.direct_vector[2], 0);
	set_msix(ENABLE);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
	set_msix(0);
	assert_int_equal(fake.direct_vector[2], 0);
	set_msix(ENABLE);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake.direct_vector[2], 0);
}

static void a_message_that_means_nothing_is_ours(void **state)
{
	(void)state;
	use();
	set_table(2, 8, 99);
	assert_int_equal(fake.direct_vector[2], 0);
	set_table(2, 8, 0x43);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x43));
	set_table(2, 0, 0xfee01000);
	assert_int_equal(fake.direct_vector[2], 0);
}

static void a_vector_moves_with_its_target(void **state)
{
	unsigned int words;

	(void)state;
	use();
	words = fake.direct_words;
	target_vp = 3;
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
	function->ops->targets_changed(function);
	assert_int_equal(fake.direct_vector[2], TARGET(3, 0x42));
	assert_int_equal(fake.direct_words, words + WORDS);
}

static void a_bus_that_knows_no_targets_has_messages(void **state)
{
	static const struct pci_bus_ops plain = { .msi = msi };

	(void)state;
	function->bus.ops = &plain;
	use();
	function->ops->targets_changed(function);
	assert_int_equal(fake.direct_vector[2], 0);
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(pci_relay_bind(relay, 2, NULL), 0);
	fake.bound[2]->raised(fake.bound[2]);
	assert_int_equal(messages, 1);
}

/* --- */

static void what_was_not_taken_is_told_again(void **state)
{
	(void)state;
	for (unsigned int reg = PCI_DIRECT_LOW; reg <= PCI_DIRECT_SELECT; reg += 4) {
		fake.direct_fails = reg;
		use();
		assert_nothing_is_told();
		fake.direct_fails = 0;
		move(4, MSIX_GPA);
		assert_int_equal(fake.direct_bar[0], GPA);
		function->ops->targets_changed(function);
		assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
		/* Also that it is over. */
		fake.direct_fails = reg;
		set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		assert_int_equal(fake.direct_bar[0], GPA);
		fake.direct_fails = 0;
		set_config(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		assert_nothing_is_told();
	}
}

/* The function's reset does it, if nothing else did. */
static void what_a_reset_has_withdrawn_is_told_again(void **state)
{
	(void)state;
	use();
	fake.direct_fails = PCI_DIRECT_SELECT;
	function->ops->reset(function);
	assert_int_equal(fake.resets, 2);
	fake.direct_fails = 0;
	use();
	assert_int_equal(fake.direct_bar[0], GPA);
	assert_int_equal(fake.direct_vector[2], TARGET(1, 0x42));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_has_to_be_the_capability),
		TEST(it_has_to_be_in_configuration_space),
		TEST(a_bar_is_told_once_it_is_used),
		TEST(a_bar_is_taken_back),
		TEST(the_bar_of_interrupts_is_never_told),
		TEST(a_reset_takes_everything_back),
		TEST(a_vector_is_told_once_it_is_used),
		TEST(a_vector_that_is_masked_is_ours),
		TEST(a_message_that_means_nothing_is_ours),
		TEST(a_vector_moves_with_its_target),
		TEST(a_bus_that_knows_no_targets_has_messages),
		TEST(what_was_not_taken_is_told_again),
		TEST(what_a_reset_has_withdrawn_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
