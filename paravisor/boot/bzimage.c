#include <errno.h>
#include <stddef.h>
#include <stdbool.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_image.h"

#define HEADER_AT 0x1f1u
#define MEBIBYTE  0x100000ull
#define FOUR_GIB  0x100000000ull

/* Kernels before 2.10 do not say how much memory they need to unpack. This was always enough. */
#define UNPACK_FACTOR 4

/* Before 2.03, and when a kernel leaves the field empty. */
#define INITRD_END_DEFAULT  0x38000000u
#define CMDLINE_MAX_DEFAULT 255

/*
 * boot.rst, "32-bit Boot Protocol": the header is as long as the jump at its start says. What this
 * kernel's header does not have reads as zero.
 */
static int read_header(const struct guest_memory *gm, struct boot_range file,
		       struct linux_setup_header *header)
{
	size_t end, present;
	int ret;

	memset(header, 0, sizeof(*header));
	present = file.len < HEADER_AT + sizeof(*header) ? (size_t)file.len - HEADER_AT
							 : sizeof(*header);
	ret = guest_memory_read(gm, file.gpa + HEADER_AT, header, present);
	if (ret)
		return ret;
	end = 0x202u - HEADER_AT + header->jump_offset;
	if (end < sizeof(*header))
		memset((uint8_t *)header + end, 0, sizeof(*header) - end);
	return 0;
}

static uint64_t setup_size(const struct linux_setup_header *header)
{
	return ((header->setup_sects ? header->setup_sects : 4u) + 1u) * LINUX_SECTOR;
}

static int check_header(const struct linux_setup_header *header, struct boot_range file,
			struct boot_error *error)
{
	if (file.len <= setup_size(header))
		return boot_fail(error, -EINVAL, "kernel: truncated bzImage, only %llu bytes",
				 (unsigned long long)file.len);
	if (header->version < LINUX_PROTOCOL(2, 6))
		return boot_fail(error, -EINVAL, "kernel: boot protocol %u.%02u is older than 2.06",
				 header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LINUX_LOADED_HIGH))
		return boot_fail(error, -EINVAL, "kernel: a zImage, which loads below 1 MiB");
	if (!header->syssize)
		return boot_fail(error, -EINVAL, "kernel: damaged bzImage, its size field is zero");
	return 0;
}

/* The protected-mode part, as the image's only segment. */
static int find_kernel(const struct linux_setup_header *header, struct boot_range file,
		       struct boot_image *image, struct boot_error *error)
{
	uint64_t setup = setup_size(header), said = (uint64_t)header->syssize * 16;
	uint64_t len = file.len - setup;

	/* The size is in paragraphs, and the last one need not be full. */
	if (said > ((len + 15) & ~15ull))
		return boot_fail(error, -EINVAL, "kernel: truncated bzImage, %llu of %llu bytes",
				 (unsigned long long)file.len, (unsigned long long)(setup + said));
	if (len > said)
		len = said;
	image->segments[0] = (struct boot_image_segment){ setup, len, 0, len };
	image->segment_count = 1;
	return 0;
}

/*
 * boot.rst, init_size: a relocatable kernel runs at the first aligned address at or above both its
 * load address and pref_address, so it is loaded there in the first place.
 */
static int relocatable_window(const struct linux_setup_header *header, uint64_t needed,
			      struct boot_image *image, struct boot_error *error)
{
	uint64_t align = header->kernel_alignment;
	uint64_t at = header->pref_address < MEBIBYTE ? MEBIBYTE : header->pref_address;

	if (!align || align & (align - 1))
		return boot_fail(error, -EINVAL, "kernel: damaged bzImage, alignment 0x%llx",
				 (unsigned long long)align);
	if (at >= FOUR_GIB)
		return boot_fail(error, -EINVAL, "kernel: wants to run above 4 GiB");
	image->alignment = align;
	image->window_gpa = (at + align - 1) & ~(align - 1);
	image->window_len = needed;
	image->load = 0;
	return 0;
}

/* One that is not relocatable is loaded at code32_start and may move itself to pref_address. */
static int fixed_window(const struct linux_setup_header *header, uint64_t needed,
			struct boot_image *image, struct boot_error *error)
{
	uint64_t load = header->code32_start, len = image->segments[0].filesz;
	uint64_t run = header->pref_address ? header->pref_address : load;
	uint64_t start = load < run ? load : run;
	uint64_t end = load + len > run + needed ? load + len : run + needed;

	if (start < MEBIBYTE || load >= FOUR_GIB || run >= FOUR_GIB)
		return boot_fail(error, -EINVAL, "kernel: wants to run at 0x%llx",
				 (unsigned long long)(start < MEBIBYTE ? start : run));
	image->alignment = 0;
	image->window_gpa = start;
	image->window_len = end - start;
	image->load = load - start;
	image->segments[0].at = image->load;
	return 0;
}

static int find_window(const struct linux_setup_header *header, struct boot_image *image,
		       struct boot_error *error)
{
	uint64_t len = image->segments[0].filesz, needed = header->init_size;

	if (!needed)
		needed = len * UNPACK_FACTOR;
	if (needed < len)
		needed = len;
	return header->relocatable_kernel ? relocatable_window(header, needed, image, error)
					  : fixed_window(header, needed, image, error);
}

static void find_limits(struct boot_image *image)
{
	const struct linux_setup_header *header = &image->header;
	bool long_mode = header->xloadflags & LINUX_XLF_KERNEL_64 &&
			 image->segments[0].filesz > LINUX_ENTRY_64;

	image->protocol = long_mode ? BOOT_LINUX_64 : BOOT_LINUX_32;
	image->entry = image->load + (long_mode ? LINUX_ENTRY_64 : 0);
	image->initrd_end = header->initrd_addr_max ? (uint64_t)header->initrd_addr_max + 1
						    : INITRD_END_DEFAULT;
	if (long_mode && header->xloadflags & LINUX_XLF_ABOVE_4G)
		image->initrd_end = UINT64_MAX;
	image->cmdline_max = header->cmdline_size ? header->cmdline_size : CMDLINE_MAX_DEFAULT;
}

int bzimage_parse(const struct guest_memory *gm, struct boot_range file, struct boot_image *image,
		  struct boot_error *error)
{
	struct linux_setup_header *header = &image->header;
	int ret;

	memset(image, 0, sizeof(*image));
	if (file.len < HEADER_AT + offsetof(struct linux_setup_header, realmode_swtch))
		return -ENOEXEC;
	if (read_header(gm, file, header))
		return boot_fail(error, -EFAULT, "kernel: not in the guest's memory");
	if (header->boot_flag != LINUX_BOOT_FLAG || header->header != LINUX_HEADER_MAGIC)
		return -ENOEXEC;

	ret = check_header(header, file, error);
	if (!ret)
		ret = find_kernel(header, file, image, error);
	if (!ret)
		ret = find_window(header, image, error);
	if (!ret)
		find_limits(image);
	return ret;
}
