#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot_guest.h"
#include "paravisor/boot/boot_image.h"
#include "paravisor/boot/boot_state.h"

/*
 * Where kernel and initrd lie in relation to each other, to where the kernel goes and to the memory
 * there is. Whatever the constellation: both come out whole, or there is an error.
 */

#define MIB        0x100000u
#define KERNEL_LEN (4 * MIB)
#define WINDOW     (10 * MIB)
#define WANTED     (16 * MIB)

static const uint32_t apic_ids[] = { 0 };

struct outcome {
	int ret;
	uint64_t kernel, initrd;
	struct boot_error error;
};

static bool disjoint(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a + a_len <= b || b + b_len <= a;
}

static struct outcome load(struct boot_guest *guest, const struct linux_setup_header *header,
			   uint64_t kernel, uint64_t initrd, uint64_t initrd_len)
{
	struct linux_boot_config config = { .apic_ids = apic_ids, .vp_count = 1 };
	const struct linux_boot_params *params;
	struct boot_vp_state state;
	struct outcome o;

	config.kernel = boot_guest_bzimage(guest, kernel, header, KERNEL_LEN, 1);
	config.initrd = (struct boot_range){ initrd, initrd_len };
	boot_guest_fill(guest->low + initrd, initrd_len, 2);
	o.ret = linux_boot_load(guest->gm, &config, &state, &o.error);
	if (o.ret)
		return o;
	params = (const void *)(guest->low + state.gpr[BOOT_RSI]);
	o.kernel = params->hdr.code32_start;
	o.initrd = params->hdr.ramdisk_image;
	assert_int_equal(params->hdr.ramdisk_size, initrd_len);
	assert_int_equal(boot_guest_check(guest->low + o.kernel, KERNEL_LEN, 1), KERNEL_LEN);
	assert_int_equal(boot_guest_check(guest->low + o.initrd, initrd_len, 2), initrd_len);
	assert_true(disjoint(o.kernel, WINDOW, o.initrd, initrd_len));
	assert_true(o.kernel >= WANTED && o.kernel % header->kernel_alignment == 0);
	assert_true(o.initrd >= MIB);
	return o;
}

static struct linux_setup_header header(bool relocatable)
{
	struct linux_setup_header h = boot_guest_header(KERNEL_LEN);

	h.init_size = WINDOW;
	h.relocatable_kernel = relocatable;
	h.code32_start = WANTED;
	return h;
}

static void leaves_the_initrd(void **state)
{
	struct linux_setup_header h = header(true);
	struct boot_guest guest;
	struct outcome o;

	(void)state;
	boot_guest_init(&guest, 64 * MIB);
	o = load(&guest, &h, 40 * MIB, 50 * MIB, 8 * MIB);
	assert_int_equal(o.ret, 0);
	assert_int_equal(o.kernel, WANTED);
	assert_int_equal(o.initrd, 50 * MIB);
	boot_guest_done(&guest);
}

/* A kernel that can go elsewhere does, before the initrd has to. */
static void steps_aside(void **state)
{
	struct linux_setup_header h = header(true);
	struct boot_guest guest;
	struct outcome o;

	(void)state;
	boot_guest_init(&guest, 64 * MIB);
	o = load(&guest, &h, 40 * MIB, 20 * MIB, 8 * MIB);
	assert_int_equal(o.ret, 0);
	assert_int_equal(o.initrd, 20 * MIB);
	assert_int_equal(o.kernel, 28 * MIB);
	boot_guest_done(&guest);
}

static void moves_the_initrd(void **state)
{
	struct linux_setup_header h = header(false);
	struct boot_guest guest;
	struct outcome o;

	(void)state;
	boot_guest_init(&guest, 64 * MIB);
	o = load(&guest, &h, 40 * MIB, 20 * MIB, 8 * MIB);
	assert_int_equal(o.ret, 0);
	assert_int_equal(o.kernel, WANTED);
	assert_int_equal(o.initrd, 56 * MIB);
	/* the kernel's file where the initrd would like to go */
	o = load(&guest, &h, 58 * MIB, 20 * MIB, 8 * MIB);
	assert_int_equal(o.ret, 0);
	assert_int_equal(o.initrd, 50 * MIB);
	boot_guest_done(&guest);
}

static void obeys_the_limit(void **state)
{
	struct linux_setup_header h = header(true);
	struct boot_guest guest;
	struct outcome o;

	(void)state;
	boot_guest_init(&guest, 64 * MIB);
	h.xloadflags = LINUX_XLF_KERNEL_64;
	h.initrd_addr_max = 50 * MIB - 1;
	o = load(&guest, &h, 40 * MIB, 42 * MIB + 8 * MIB, 8 * MIB);
	assert_int_equal(o.ret, 0);
	assert_int_equal(o.initrd, 42 * MIB);
	h.initrd_addr_max = 8 * MIB - 1;
	o = load(&guest, &h, 40 * MIB, 50 * MIB, 8 * MIB);
	assert_int_equal(o.ret, -ENOSPC);
	assert_string_equal(o.error.text, "initrd: no room for its 8 MiB beside the kernel");
	/* without XLF_CAN_BE_LOADED_ABOVE_4G the field counts, with it it does not */
	h.xloadflags |= LINUX_XLF_ABOVE_4G;
	o = load(&guest, &h, 40 * MIB, 50 * MIB, 8 * MIB);
	assert_int_equal(o.ret, 0);
	assert_int_equal(o.initrd, 50 * MIB);
	boot_guest_done(&guest);
}

static void moves_files_out_of_low_memory(void **state)
{
	struct linux_setup_header h = header(true);
	struct boot_guest guest;
	struct outcome o;

	(void)state;
	boot_guest_init(&guest, 64 * MIB);
	o = load(&guest, &h, 4 * MIB, 0, 2 * MIB);
	assert_int_equal(o.ret, 0);
	o = load(&guest, &h, 0, 8 * MIB, 2 * MIB);
	assert_int_equal(o.ret, 0);
	boot_guest_done(&guest);
}

/* Reproducible; the numbers need no quality. */
static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*seed * limit >> 32);
}

static void any_constellation(void **state)
{
	const uint32_t ram = 48 * MIB, file = KERNEL_LEN + BOOT_GUEST_SETUP;
	unsigned int i, done = 0, full = 0;
	struct boot_guest guest;
	uint32_t seed = 1;

	(void)state;
	boot_guest_init(&guest, ram);
	for (i = 0; i < 120; i++) {
		struct linux_setup_header h = header(random_below(&seed, 2));
		uint64_t len = (1 + random_below(&seed, 10)) * MIB + random_below(&seed, 5000);
		uint64_t kernel = random_below(&seed, ram - file);
		uint64_t initrd = random_below(&seed, (ram - (uint32_t)len) >> 12) << 12;
		struct outcome o;

		if (!disjoint(kernel, file, initrd, len))
			continue;
		o = load(&guest, &h, kernel, initrd, len);
		if (o.ret == -ENOSPC)
			full++;
		else
			assert_int_equal(o.ret, 0);
		done++;
	}
	assert_true(done > 50 && full < done / 4);
	boot_guest_done(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_the_initrd),
		cmocka_unit_test(steps_aside),
		cmocka_unit_test(moves_the_initrd),
		cmocka_unit_test(obeys_the_limit),
		cmocka_unit_test(moves_files_out_of_low_memory),
		cmocka_unit_test(any_constellation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
