#ifndef TESTS_UNIT_PARAVISOR_BOOT_BOOT_GUEST_H
#define TESTS_UNIT_PARAVISOR_BOOT_BOOT_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "paravisor/boot/linux_boot.h"
#include "proto/linux_boot.h"

/* A guest's memory, and made-up kernels to put into it. */
struct boot_guest {
	struct guest_memory *gm;
	uint8_t *low;
	size_t low_len;
};

/* Low RAM of that many bytes, from 0. */
void boot_guest_init(struct boot_guest *guest, size_t low_len);
void boot_guest_done(struct boot_guest *guest);

/* A bzImage of protocol 2.15 as a stock x86-64 kernel's, for changing fields before use. */
struct linux_setup_header boot_guest_header(uint32_t kernel_len);

/* The byte that test images have at `offset` of their payload; `salt` tells images apart. */
uint8_t boot_guest_pattern(uint64_t offset, uint8_t salt);
void boot_guest_fill(uint8_t *at, size_t len, uint8_t salt);
/* Offset of the first byte that is not the pattern's, or len. */
size_t boot_guest_check(const uint8_t *at, size_t len, uint8_t salt);

/* The setup part's size of boot_guest_header()'s images. */
#define BOOT_GUEST_SETUP 1024u

/* Writes header and a patterned kernel of that length at gpa; returns the file's range. */
struct boot_range boot_guest_bzimage(struct boot_guest *guest, uint64_t gpa,
				     const struct linux_setup_header *header, uint32_t kernel_len,
				     uint8_t salt);

#endif
