#include "boot_guest.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "core/guest_memory.h"

void boot_guest_init(struct boot_guest *guest, size_t low_len)
{
	guest->low_len = low_len;
	guest->low = mmap(NULL, low_len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(guest->low != MAP_FAILED);
	guest->gm = guest_memory_create();
	assert_non_null(guest->gm);
	assert_int_equal(guest_memory_add(guest->gm, 0, guest->low, low_len), 0);
}

void boot_guest_done(struct boot_guest *guest)
{
	guest_memory_destroy(guest->gm);
	munmap(guest->low, guest->low_len);
}

struct linux_setup_header boot_guest_header(uint32_t kernel_len)
{
	return (struct linux_setup_header){
		.setup_sects = BOOT_GUEST_SETUP / LINUX_SECTOR - 1,
		.syssize = (kernel_len + 15) / 16,
		.boot_flag = LINUX_BOOT_FLAG,
		.jump = 0xeb,
		.jump_offset = 0x6a,
		.header = LINUX_HEADER_MAGIC,
		.version = LINUX_PROTOCOL(2, 15),
		.loadflags = LINUX_LOADED_HIGH,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = LINUX_XLF_KERNEL_64 | LINUX_XLF_ABOVE_4G,
		.cmdline_size = 2047,
		.pref_address = 0x1000000,
		.init_size = 0x800000,
	};
}

uint8_t boot_guest_pattern(uint64_t offset, uint8_t salt)
{
	return (uint8_t)(offset * 7 + (offset >> 8) * 13 + (offset >> 16) * 5 + salt);
}

void boot_guest_fill(uint8_t *at, size_t len, uint8_t salt)
{
	size_t i;

	for (i = 0; i < len; i++)
		at[i] = boot_guest_pattern(i, salt);
}

size_t boot_guest_check(const uint8_t *at, size_t len, uint8_t salt)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (at[i] != boot_guest_pattern(i, salt))
			break;
	return i;
}

struct boot_range boot_guest_bzimage(struct boot_guest *guest, uint64_t gpa,
				     const struct linux_setup_header *header, uint32_t kernel_len,
				     uint8_t salt)
{
	uint64_t len = BOOT_GUEST_SETUP + kernel_len;

	assert_true(gpa + len <= guest->low_len);
	memset(guest->low + gpa, 0, BOOT_GUEST_SETUP);
	memcpy(guest->low + gpa + 0x1f1, header, sizeof(*header));
	boot_guest_fill(guest->low + gpa + BOOT_GUEST_SETUP, kernel_len, salt);
	return (struct boot_range){ gpa, len };
}
