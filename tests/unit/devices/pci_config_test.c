#include "devices/pci_config.h"
#include "tests/unit/devices/device_test.h"

static struct rig rig;
static struct pci_config *pci;
static unsigned int resets;

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
}

static int setup(void **state)
{
	const struct pci_config_handlers handlers = { .reset = on_reset };

	(void)state;
	rig_init(&rig);
	resets = 0;
	pci = pci_config_create(&handlers, &rig.lock);
	assert_non_null(pci);
	assert_int_equal(pci_config_attach(pci, rig.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_config_destroy(pci);
	rig_finish(&rig);
	return 0;
}

static uint32_t config(uint32_t bdf, uint8_t reg)
{
	out(&rig, 0xcf8, 4, 0x80000000 | bdf << 8 | reg);
	return in(&rig, 0xcfc, 4);
}

/* How kernels find the mechanism: the address register keeps what they write, and only in dwords. */
static void test_mechanism(void **state)
{
	(void)state;
	assert_int_equal(in(&rig, 0xcf8, 4), 0);
	outb(&rig, 0xcfb, 0x01);
	out(&rig, 0xcf8, 4, 0x80000000);
	assert_int_equal(in(&rig, 0xcf8, 4), 0x80000000);
	outb(&rig, 0xcf8, 0);
	assert_int_equal(in(&rig, 0xcf8, 4), 0x80000000);
	assert_int_equal(inb(&rig, 0xcf8), 0xff); /* no mechanism #2 */
	assert_int_equal(inb(&rig, 0xcfa), 0xff);
	out(&rig, 0xcf8, 4, 0xffffffff);
	assert_int_equal(in(&rig, 0xcf8, 4), 0x80fffffc);
}

static void test_host_bridge(void **state)
{
	(void)state;
	assert_int_equal(config(0, 0x00), 0x0d578086);
	assert_int_equal(config(0, 0x08) >> 16, 0x0600);
	assert_int_equal(in(&rig, 0xcfe, 2), 0x0600);
	assert_int_equal(inb(&rig, 0xcff), 0x06);
	assert_int_equal(config(0, 0x0c), 0);
	for (unsigned int reg = 0x10; reg < 0x100; reg += 4) {
		out(&rig, 0xcf8, 4, 0x80000000 | reg);
		out(&rig, 0xcfc, 4, 0xffffffff);
		assert_int_equal(in(&rig, 0xcfc, 4), 0); /* no BARs, no capabilities */
	}
	assert_int_equal(config(0, 0x00), 0x0d578086);
}

static void test_nothing_else(void **state)
{
	(void)state;
	for (uint32_t bdf = 1; bdf < 0x10000; bdf++)
		assert_int_equal(config(bdf, 0), 0xffffffff);
	out(&rig, 0xcf8, 4, 0); /* not enabled */
	assert_int_equal(in(&rig, 0xcfc, 4), 0xffffffff);
	assert_int_equal(in(&rig, 0xcfc, 2), 0xffff);
}

static void test_reset_control(void **state)
{
	(void)state;
	outb(&rig, 0xcf9, 0x0a);
	assert_int_equal(inb(&rig, 0xcf9), 0x0a);
	assert_int_equal(resets, 0);
	outb(&rig, 0xcf9, 0x0e);
	assert_int_equal(resets, 1);
	assert_int_equal(inb(&rig, 0xcf9), 0x0a);
	for (uint16_t port = 0xcf8; port <= 0xcff; port++) {
		if (port != 0xcf9)
			outb(&rig, port, 0x06);
	}
	out(&rig, 0xcf9, 2, 0x0606);
	out(&rig, 0xcf8, 4, 0x80000600); /* a dword is an address, not a reset */
	assert_int_equal(resets, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mechanism),
		TEST(test_host_bridge),
		TEST(test_nothing_else),
		TEST(test_reset_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
