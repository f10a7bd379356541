#include "paravisor/boot/linux_boot.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/acpi_platform.h"
#include "paravisor/boot/boot_image.h"
#include "paravisor/boot/boot_params.h"
#include "paravisor/boot/boot_state.h"
#include "paravisor/boot/entry_state.h"
#include "paravisor/boot/firmware_tables.h"
#include "paravisor/boot/low_memory.h"

/* Chipset registers where a PC's memory map has reserved pages: IOAPIC and local APIC. */
static const struct boot_range fixed_mmio[] = { { IOAPIC_BASE, IOAPIC_LEN },
						{ ACPI_LOCAL_APIC, 0x1000 } };

struct boot {
	struct guest_memory *gm;
	const struct linux_boot_config *config;
	struct boot_error *error;
	struct memory_map map;
	struct boot_image image;
	struct boot_range initrd; /* where it is by now */
	char cmdline[LOW_CMDLINE_MAX];
	uint32_t cmdline_len;
	uint64_t memory;
};

int boot_fail(struct boot_error *error, int ret, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return ret;
}

static int check_staged(struct boot *b, const char *what, struct boot_range range)
{
	if (!range.len || guest_memory_contains(b->gm, range.gpa, range.len))
		return 0;
	return boot_fail(b->error, -EFAULT, "%s: 0x%llx:0x%llx is not in the guest's memory", what,
			 (unsigned long long)range.gpa, (unsigned long long)range.len);
}

static int check_config(struct boot *b)
{
	int ret;

	if (!b->config->kernel.len)
		return boot_fail(b->error, -EINVAL, "kernel: an empty file");
	if (!b->config->vp_count)
		return boot_fail(b->error, -EINVAL, "no processor to start");
	ret = check_staged(b, "kernel", b->config->kernel);
	if (!ret)
		ret = check_staged(b, "initrd", b->config->initrd);
	if (!ret)
		ret = check_staged(b, "command line", b->config->cmdline);
	return ret;
}

static int make_memory_map(struct boot *b)
{
	uint64_t gpa, len;
	unsigned int i;
	int ret;

	ret = memory_map_init(&b->map, b->gm, b->config->reserved, b->config->reserved_count);
	for (i = 0; i < sizeof(fixed_mmio) / sizeof(fixed_mmio[0]) && !ret; i++)
		ret = memory_map_set(&b->map, fixed_mmio[i].gpa, fixed_mmio[i].len, E820_RESERVED);
	if (ret)
		return boot_fail(b->error, ret, "memory: no usable map of it (%s)", strerror(-ret));
	for (i = 0; !guest_memory_range(b->gm, i, &gpa, &len); i++)
		b->memory += len;
	return 0;
}

/* Up to a zero byte, less the newlines that an editor leaves at the end of a file. */
static int read_cmdline(struct boot *b)
{
	struct boot_range staged = b->config->cmdline;
	size_t len;

	if (staged.len >= sizeof(b->cmdline))
		return boot_fail(b->error, -EINVAL, "command line: %llu bytes are too long",
				 (unsigned long long)staged.len);
	if (staged.len && guest_memory_read(b->gm, staged.gpa, b->cmdline, staged.len))
		return -EFAULT;
	len = strnlen(b->cmdline, staged.len);
	while (len && (b->cmdline[len - 1] == '\n' || b->cmdline[len - 1] == '\r'))
		len--;
	b->cmdline[len] = '\0';
	b->cmdline_len = (uint32_t)len;
	return 0;
}

static int parse_kernel(struct boot *b)
{
	struct boot_range file = b->config->kernel;
	int ret;

	ret = bzimage_parse(b->gm, file, &b->image, b->error);
	if (ret == -ENOEXEC)
		ret = elf_image_parse(b->gm, file, &b->image, b->error);
	if (ret == -ENOEXEC)
		return boot_fail(b->error, -EINVAL, "kernel: neither a bzImage nor an ELF file");
	if (!ret && b->cmdline_len > b->image.cmdline_max)
		return boot_fail(b->error, -EINVAL,
				 "command line: %u bytes, but this kernel takes at most %u",
				 b->cmdline_len, b->image.cmdline_max);
	return ret;
}

/* Only now, with the files out of the way, is the first MiB ours to write. */
static int write_parameters(struct boot *b)
{
	const struct boot_parameters parameters = { &b->map, &b->image, b->initrd, b->cmdline_len,
						    FIRMWARE_ACPI };
	int ret;

	ret = firmware_tables_write(b->gm, b->config, b->memory, b->error);
	if (!ret)
		ret = guest_memory_write(b->gm, LOW_CMDLINE, b->cmdline, b->cmdline_len + 1);
	if (ret)
		return ret;
	ret = b->image.protocol == BOOT_PVH ? pvh_info_write(b->gm, &parameters)
					    : boot_params_write(b->gm, &parameters);
	if (ret == -ENOSPC)
		boot_fail(b->error, ret, "kernel: too old for %u ranges of memory", b->map.count);
	return ret;
}

static int load(struct boot *b, struct boot_vp_state *bsp)
{
	bool pvh;
	int ret;

	ret = check_config(b);
	if (!ret)
		ret = make_memory_map(b);
	if (!ret)
		ret = read_cmdline(b);
	if (!ret)
		ret = parse_kernel(b);
	if (!ret)
		ret = boot_image_load(b->gm, &b->map, &b->image, b->config->kernel, &b->initrd,
				      b->error);
	if (!ret)
		ret = write_parameters(b);
	if (ret)
		return ret;
	pvh = b->image.protocol == BOOT_PVH;
	return entry_state_prepare(b->gm, b->image.protocol, b->image.window_gpa + b->image.entry,
				   pvh ? LOW_START_INFO : LOW_ZERO_PAGE, bsp);
}

int linux_boot_load(struct guest_memory *gm, const struct linux_boot_config *config,
		    struct boot_vp_state *bsp, struct boot_error *error)
{
	struct boot *b = calloc(1, sizeof(*b));
	int ret;

	error->text[0] = '\0';
	if (!b)
		return boot_fail(error, -ENOMEM, "out of memory");
	b->gm = gm;
	b->config = config;
	b->error = error;
	b->initrd = config->initrd;
	ret = load(b, bsp);
	if (ret && !error->text[0])
		boot_fail(error, ret, "loading the kernel: %s", strerror(-ret));
	free(b);
	return ret;
}
