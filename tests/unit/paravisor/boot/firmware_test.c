#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_state.h"
#include "paravisor/boot/firmware.h"
#include "tests/unit/paravisor/boot/boot_guest.h"

#define MIB  (1u << 20)
#define TOP  0x100000000ull
#define SALT 7

static struct boot_guest guest;
static uint8_t top[17 * MIB] __attribute__((aligned(4096)));
static struct boot_vp_state bsp;
static struct boot_error error;

/* VTL0's RAM, and `size` bytes up to 4 GiB as an image fills them. */
static void begin(uint64_t size)
{
	boot_guest_init(&guest, 4 * MIB);
	memset(guest.low, 0xee, guest.low_len);
	boot_guest_fill(top, size, SALT);
	assert_int_equal(guest_memory_add(guest.gm, TOP - size, top, size), 0);
	memset(&bsp, 0xff, sizeof(bsp));
}

static int load(uint64_t gpa, uint64_t len)
{
	error.text[0] = '\0';
	return firmware_load(guest.gm, (struct boot_range){ gpa, len }, &bsp, &error);
}

static void expect_alias(uint64_t size, uint64_t shown)
{
	begin(size);
	assert_int_equal(load(TOP - size, size), 0);
	assert_memory_equal(guest.low + MIB - shown, top + size - shown, shown);
	assert_int_equal(guest.low[MIB - shown - 1], 0xee);
	assert_int_equal(guest.low[MIB], 0xee);
	boot_guest_done(&guest);
}

static void test_shown_below_1_mib(void **state)
{
	(void)state;
	expect_alias(0x1000, 0x1000);
	expect_alias(0x20000, 0x20000);
	expect_alias(0x21000, 0x20000);
	expect_alias(16 * MIB, 0x20000);
}

/* Intel SDM volume 3, table 10-1 */
static void test_reset_state(void **state)
{
	(void)state;
	begin(0x10000);
	assert_int_equal(load(TOP - 0x10000, 0x10000), 0);
	assert_int_equal(bsp.cs.base + bsp.rip, 0xfffffff0);
	assert_int_equal(bsp.rip, 0xfff0);
	assert_int_equal(bsp.cs.selector, 0xf000);
	assert_int_equal(bsp.cs.limit, 0xffff);
	assert_int_equal(bsp.cs.attributes, 0x9b);
	assert_int_equal(bsp.ds.attributes, 0x93);
	assert_int_equal(bsp.ss.base, 0);
	assert_int_equal(bsp.ss.selector, 0);
	assert_int_equal(bsp.ldtr.attributes, 0x82);
	assert_int_equal(bsp.tr.attributes, 0x8b);
	assert_int_equal(bsp.idtr.base, 0);
	assert_int_equal(bsp.idtr.limit, 0xffff);
	assert_int_equal(bsp.cr0, 0x60000010);
	assert_int_equal(bsp.cr3, 0);
	assert_int_equal(bsp.cr4, 0);
	assert_int_equal(bsp.efer, 0);
	assert_int_equal(bsp.rflags, 2);
	assert_int_equal(bsp.mtrr_def_type, 0);
	assert_int_equal(bsp.gpr[BOOT_RSP], 0);
	assert_int_not_equal(bsp.gpr[BOOT_RDX], 0);
	boot_guest_done(&guest);
}

static uint32_t cmos(const struct firmware_cmos_byte *bytes, uint8_t index)
{
	for (unsigned int i = 0; i < FIRMWARE_CMOS_BYTES; i++)
		if (bytes[i].index == index)
			return bytes[i].value;
	fail_msg("byte %#x is not told", index);
	return 0;
}

static void test_cmos(void **state)
{
	struct firmware_cmos_byte bytes[FIRMWARE_CMOS_BYTES];
	static uint8_t more[32 * MIB] __attribute__((aligned(4096)));

	(void)state;
	begin(0x10000);
	firmware_describe_memory(guest.gm, bytes);
	assert_int_equal(cmos(bytes, 0x15) | cmos(bytes, 0x16) << 8, 640);
	assert_int_equal(cmos(bytes, 0x30) | cmos(bytes, 0x31) << 8, 3 * 1024);
	assert_int_equal(cmos(bytes, 0x17), cmos(bytes, 0x30));
	assert_int_equal(cmos(bytes, 0x18), cmos(bytes, 0x31));
	assert_int_equal(cmos(bytes, 0x34) | cmos(bytes, 0x35), 0);
	/* The firmware's own memory is not told, nor what lies behind a gap. */
	assert_int_equal(cmos(bytes, 0x5b) | cmos(bytes, 0x5c) | cmos(bytes, 0x5d), 0);
	assert_int_equal(guest_memory_add(guest.gm, 4 * MIB, more, 16 * MIB), 0);
	assert_int_equal(guest_memory_add(guest.gm, 24 * MIB, more + 16 * MIB, 8 * MIB), 0);
	assert_int_equal(guest_memory_add(guest.gm, TOP, more + 24 * MIB, 2 * MIB), 0);
	firmware_describe_memory(guest.gm, bytes);
	assert_int_equal(cmos(bytes, 0x30) | cmos(bytes, 0x31) << 8, 19 * 1024);
	assert_int_equal(cmos(bytes, 0x34) | cmos(bytes, 0x35) << 8, 64);
	assert_int_equal(cmos(bytes, 0x5b) | cmos(bytes, 0x5c) << 8, 32);
	boot_guest_done(&guest);
}

static void expect_refused(uint64_t gpa, uint64_t len, int ret, const char *why)
{
	assert_int_equal(load(gpa, len), ret);
	if (!strstr(error.text, why))
		fail_msg("'%s', not '%s'", error.text, why);
}

static void test_refusals(void **state)
{
	(void)state;
	begin(0x10000);
	expect_refused(TOP, 0, -EINVAL, "0 bytes are not whole pages");
	expect_refused(TOP - 0x10001, 0x10001, -EINVAL, "65537 bytes are not whole pages");
	expect_refused(TOP - 17 * MIB, 17 * MIB, -EINVAL, "17825792 bytes, more than 16 MiB");
	expect_refused(MIB, 0x10000, -EINVAL, "at 0x100000 it does not end at 4 GiB");
	expect_refused(TOP - 0x20000, 0x10000, -EINVAL, "does not end at 4 GiB");
	expect_refused(TOP - 0x20000, 0x20000, -EFAULT, "no memory at 0xfffe0000");
	boot_guest_done(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shown_below_1_mib),
		cmocka_unit_test(test_reset_state),
		cmocka_unit_test(test_cmos),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
