#ifndef PROTO_LINUX_BOOT_H
#define PROTO_LINUX_BOOT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The two ways of starting a Linux kernel without firmware. Linux: Documentation/arch/x86/boot.rst
 * and zero-page.rst. PVH: xen/include/public/arch-x86/hvm/start_info.h.
 */

#define LINUX_SECTOR             512
#define LINUX_BOOT_FLAG          0xaa55
#define LINUX_HEADER_MAGIC       0x53726448u /* "HdrS" */
#define LINUX_PROTOCOL(maj, min) ((uint16_t)((maj) << 8 | (min)))

#define LINUX_LOADED_HIGH (1u << 0) /* loadflags */

/* xloadflags */
#define LINUX_XLF_KERNEL_64 (1u << 0)
#define LINUX_XLF_ABOVE_4G  (1u << 1)

/* Where the 64-bit entry lies in the protected-mode part. */
#define LINUX_ENTRY_64 0x200u

#define LINUX_LOADER_UNDEFINED 0xff
#define LINUX_VIDEO_NORMAL     0xffff

/* boot.rst, "The Real-Mode Kernel Header"; at 0x1f1 of the file and of the zero page */
struct linux_setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize; /* in 16 bytes */
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint8_t jump;
	uint8_t jump_offset; /* the header ends that far behind 0x202 */
	uint32_t header;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max; /* the highest legal byte */
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size; /* without the final zero */
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size;
	uint32_t handover_offset;
	uint32_t kernel_info_offset;
} __attribute__((packed));
static_assert(sizeof(struct linux_setup_header) == 0x26c - 0x1f1, "boot.rst");

struct linux_e820_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));
static_assert(sizeof(struct linux_e820_entry) == 20, "zero-page.rst");

#define LINUX_E820_MAX 128

/* zero-page.rst; screen_info and others that stay zero are named by their offset */
struct linux_boot_params {
	uint8_t screen_info[0x40];
	uint8_t reserved_040[0x30];
	uint64_t acpi_rsdp_addr;
	uint8_t reserved_078[0x48];
	uint32_t ext_ramdisk_image;
	uint32_t ext_ramdisk_size;
	uint32_t ext_cmd_line_ptr;
	uint8_t reserved_0cc[0x114];
	uint32_t alt_mem_k;
	uint8_t reserved_1e4[4];
	uint8_t e820_entries;
	uint8_t reserved_1e9[8];
	struct linux_setup_header hdr;
	uint8_t reserved_26c[0x64];
	struct linux_e820_entry e820_table[LINUX_E820_MAX];
	uint8_t reserved_cd0[0x330];
} __attribute__((packed));
static_assert(sizeof(struct linux_boot_params) == 4096, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x70, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, ext_ramdisk_image) == 0xc0, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, alt_mem_k) == 0x1e0, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1e8, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, hdr) == 0x1f1, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, e820_table) == 0x2d0, "zero-page.rst");

struct linux_setup_data {
	uint64_t next;
	uint32_t type;
	uint32_t len;
};
static_assert(sizeof(struct linux_setup_data) == 16, "boot.rst, setup_data");

#define LINUX_SETUP_E820_EXT 1

/* start_info.h, version 1 */
#define PVH_START_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memmap;
	uint32_t memmap_entries;
	uint32_t reserved_34;
};
static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h");

struct pvh_module {
	uint64_t addr;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved_18;
};
static_assert(sizeof(struct pvh_module) == 32, "start_info.h");

struct pvh_memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* as in E820 */
	uint32_t reserved_14;
};
static_assert(sizeof(struct pvh_memmap_entry) == 24, "start_info.h");

#endif
