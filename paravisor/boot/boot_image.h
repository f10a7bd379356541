#ifndef PARAVISOR_BOOT_BOOT_IMAGE_H
#define PARAVISOR_BOOT_BOOT_IMAGE_H

#include <stdint.h>

#include "paravisor/boot/linux_boot.h"
#include "paravisor/boot/memory_map.h"
#include "proto/linux_boot.h"

struct guest_memory;

/* What a kernel file turned out to be, and what it asks for. */
enum boot_protocol {
	BOOT_LINUX_32,
	BOOT_LINUX_64,
	BOOT_PVH
};

#define BOOT_IMAGE_SEGMENTS 32

/* [offset, offset + filesz) of the file goes to `at`, zeros behind it up to memsz. */
struct boot_image_segment {
	uint64_t offset, filesz;
	uint64_t at; /* from the start of the window */
	uint64_t memsz;
};

struct boot_image {
	enum boot_protocol protocol;

	/* The memory it occupies until it has read the memory map itself. */
	uint64_t window_gpa; /* wanted by the parser, final once loaded */
	uint64_t window_len;
	uint64_t alignment; /* of other places that it may go to, all above; 0: none */

	struct boot_image_segment segments[BOOT_IMAGE_SEGMENTS];
	unsigned int segment_count;

	uint64_t load;        /* from the window's start: what boot_params calls code32_start */
	uint64_t entry;       /* likewise: where execution begins */
	uint64_t initrd_end;  /* no byte of the initrd at or above this address */
	uint32_t cmdline_max; /* bytes, without the final zero */
	struct linux_setup_header header; /* not for BOOT_PVH */
};

/*
 * Parsers of what lies at `file` in guest memory, all of it untrusted. They fill *image and touch
 * nothing else. -ENOEXEC, with no error text: not this format. Else -EINVAL, -EFAULT or -ENOMEM and
 * error->text.
 */
int bzimage_parse(const struct guest_memory *gm, struct boot_range file, struct boot_image *image,
		  struct boot_error *error);
int elf_image_parse(const struct guest_memory *gm, struct boot_range file, struct boot_image *image,
		    struct boot_error *error);

/*
 * Brings the kernel to its window and, if it is in the way or where the kernel must not have it,
 * the initrd to some other place, which *initrd then tells. Both files, and the window, may overlap
 * in any way. Takes the first MiB for others. -ENOSPC and error->text, or -EFAULT.
 */
int boot_image_load(struct guest_memory *gm, struct memory_map *map, struct boot_image *image,
		    struct boot_range kernel, struct boot_range *initrd, struct boot_error *error);

/* Sets error->text and returns ret. */
int boot_fail(struct boot_error *error, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
