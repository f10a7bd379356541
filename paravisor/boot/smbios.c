#include "paravisor/boot/smbios.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "paravisor/boot/byte_writer.h"

/* DSP0134 5.2.2 */
struct smbios_entry {
	char anchor[5]; /* "_SM3_" */
	uint8_t checksum;
	uint8_t length;
	uint8_t major;
	uint8_t minor;
	uint8_t docrev;
	uint8_t revision;
	uint8_t reserved_0b;
	uint32_t max_size;
	uint64_t address;
} __attribute__((packed));
static_assert(sizeof(struct smbios_entry) == 24, "DSP0134 5.2.2");

enum smbios_type {
	SMBIOS_BIOS = 0,
	SMBIOS_SYSTEM = 1,
	SMBIOS_CHASSIS = 3,
	SMBIOS_MEMORY_ARRAY = 16,
	SMBIOS_MEMORY_DEVICE = 17,
	SMBIOS_BOOT = 32,
	SMBIOS_END = 127,
};

/* 6.1.2: handles are ours to choose */
#define HANDLE(type) ((uint16_t)((type) << 8))

/* The formatted parts, behind the four bytes that they all start with; strings count from 1. */
struct smbios_bios {
	uint8_t vendor, version;
	uint16_t segment;
	uint8_t date, rom_size;
	uint64_t characteristics;
	uint8_t extension[2];
	uint8_t major, minor, ec_major, ec_minor;
	uint16_t extended_rom_size;
} __attribute__((packed));
static_assert(sizeof(struct smbios_bios) == 0x1a - 4, "DSP0134 7.1");

struct smbios_system {
	uint8_t vendor, product, version, serial;
	uint8_t uuid[16];
	uint8_t wake_up, sku, family;
} __attribute__((packed));
static_assert(sizeof(struct smbios_system) == 0x1b - 4, "DSP0134 7.2");

struct smbios_chassis {
	uint8_t vendor, type, version, serial, asset;
	uint8_t boot_up, power, thermal, security;
	uint32_t oem;
	uint8_t height, cords, elements, element_size, sku;
} __attribute__((packed));
static_assert(sizeof(struct smbios_chassis) == 0x16 - 4, "DSP0134 7.4");

struct smbios_memory_array {
	uint8_t location, use, correction;
	uint32_t capacity;
	uint16_t error_handle, devices;
	uint64_t extended_capacity;
} __attribute__((packed));
static_assert(sizeof(struct smbios_memory_array) == 0x17 - 4, "DSP0134 7.17");

struct smbios_memory_device {
	uint16_t array, error_handle, total_width, data_width, size;
	uint8_t form, set, locator, bank, type;
	uint16_t detail, speed;
	uint8_t vendor, serial, asset, part, attributes;
	uint32_t extended_size;
	uint16_t configured_speed;
	uint16_t voltage[3];
} __attribute__((packed));
static_assert(sizeof(struct smbios_memory_device) == 0x28 - 4, "DSP0134 7.18, version 2.8");

#define UNKNOWN 2

/* 6.1: header, formatted part, strings, and an empty string behind the last */
static void put(struct byte_writer *w, uint8_t type, const void *body, size_t len,
		const char *const *strings)
{
	byte_writer_u8(w, type);
	byte_writer_u8(w, (uint8_t)(len + 4));
	byte_writer_number(w, HANDLE(type), 2);
	byte_writer_put(w, body, len);
	if (!*strings)
		byte_writer_u8(w, 0);
	for (; *strings; strings++)
		byte_writer_put(w, *strings, strlen(*strings) + 1);
	byte_writer_u8(w, 0);
}

static void put_machine(struct byte_writer *w)
{
	/* Characteristics: none of the list; extension byte 2, bit 4 is "virtual machine" (7.1.2.2). */
	static const struct smbios_bios bios = { .vendor = 1,
						 .version = 2,
						 .date = 3,
						 .characteristics = 1u << 3,
						 .extension = { 0, 1u << 4 },
						 .major = 1,
						 .ec_major = 0xff,
						 .ec_minor = 0xff };
	/* No UUID: all zeros says so (7.2.1). */
	static const struct smbios_system machine = {
		.vendor = 1, .product = 2, .version = 3, .wake_up = UNKNOWN
	};
	static const struct smbios_chassis chassis = { .vendor = 1,
						       .type = 1, /* other */
						       .boot_up = 3,
						       .power = 3,
						       .thermal = 3,
						       .security = UNKNOWN };
	static const char *const bios_strings[] = { "Entresol", "1.0", "01/01/2026", NULL };
	static const char *const strings[] = { "Entresol", "Virtual Machine", "1.0", NULL };
	static const char *const vendor[] = { "Entresol", NULL };

	put(w, SMBIOS_BIOS, &bios, sizeof(bios), bios_strings);
	put(w, SMBIOS_SYSTEM, &machine, sizeof(machine), strings);
	put(w, SMBIOS_CHASSIS, &chassis, sizeof(chassis), vendor);
}

/* One array with one device. Sizes in KiB and MiB that do not fit go to the extended fields. */
static void put_memory(struct byte_writer *w, uint64_t memory)
{
	struct smbios_memory_array array = { .location = 1, /* other */
					     .use = 3,      /* system memory */
					     .correction = UNKNOWN,
					     .error_handle = 0xfffe,
					     .devices = 1 };
	struct smbios_memory_device device = { .array = HANDLE(SMBIOS_MEMORY_ARRAY),
					       .error_handle = 0xfffe,
					       .total_width = 0xffff,
					       .data_width = 0xffff,
					       .form = UNKNOWN,
					       .locator = 1,
					       .type = UNKNOWN,
					       .detail = 1u << 2 };
	static const char *const none[] = { NULL };
	static const char *const locator[] = { "RAM", NULL };

	if (memory >> 10 < 0x80000000u) {
		array.capacity = (uint32_t)(memory >> 10);
	} else {
		array.capacity = 0x80000000u;
		array.extended_capacity = memory;
	}
	if (memory >> 20 < 0x7fff) {
		device.size = (uint16_t)(memory >> 20);
	} else {
		device.size = 0x7fff;
		device.extended_size = (uint32_t)(memory >> 20) & 0x7fffffff;
	}
	put(w, SMBIOS_MEMORY_ARRAY, &array, sizeof(array), none);
	put(w, SMBIOS_MEMORY_DEVICE, &device, sizeof(device), locator);
}

static void put_end(struct byte_writer *w)
{
	static const uint8_t no_errors[7]; /* 7.33: six reserved bytes, then the status */
	static const char *const none[] = { NULL };

	put(w, SMBIOS_BOOT, no_errors, sizeof(no_errors), none);
	put(w, SMBIOS_END, NULL, 0, none);
}

int smbios_build(uint64_t memory, uint64_t gpa, void *buf, size_t cap, size_t *len)
{
	struct smbios_entry entry = { .anchor = { '_', 'S', 'M', '3', '_' },
				      .length = sizeof(entry),
				      .major = 3,
				      .revision = 1 };
	struct byte_writer w = byte_writer_over(buf, cap);

	if (gpa % 16)
		return -EINVAL;
	byte_writer_put(&w, &entry, sizeof(entry));
	byte_writer_align(&w, 16);
	entry.address = gpa + w.len;
	put_machine(&w);
	put_memory(&w, memory);
	put_end(&w);
	if (w.full)
		return -ENOSPC;
	entry.max_size = (uint32_t)(gpa + w.len - entry.address);
	entry.checksum = byte_checksum(&entry, sizeof(entry));
	memcpy(buf, &entry, sizeof(entry));
	*len = w.len;
	return 0;
}
