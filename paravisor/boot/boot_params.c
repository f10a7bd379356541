#include "paravisor/boot/boot_params.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/guest_memory.h"
#include "paravisor/boot/boot_image.h"
#include "paravisor/boot/low_memory.h"
#include "proto/linux_boot.h"

static struct linux_e820_entry e820_entry(const struct boot_region *region)
{
	return (struct linux_e820_entry){ region->range.gpa, region->range.len, region->type };
}

/* boot.rst, setup_data: what does not fit into the zero page is chained behind it (2.09). */
static int write_e820_ext(struct guest_memory *gm, const struct memory_map *map,
			  struct linux_boot_params *params)
{
	struct {
		struct linux_setup_data data;
		struct linux_e820_entry entries[MEMORY_MAP_ENTRIES - LINUX_E820_MAX];
	} ext = { .data = { .type = LINUX_SETUP_E820_EXT } };
	unsigned int i, count = map->count - LINUX_E820_MAX;

	if (params->hdr.version < LINUX_PROTOCOL(2, 9))
		return -ENOSPC;
	for (i = 0; i < count; i++)
		ext.entries[i] = e820_entry(&map->entries[LINUX_E820_MAX + i]);
	ext.data.len = count * (uint32_t)sizeof(ext.entries[0]);
	params->hdr.setup_data = LOW_E820_EXT;
	return guest_memory_write(gm, LOW_E820_EXT, &ext, sizeof(ext.data) + ext.data.len);
}

static int put_memory_map(struct guest_memory *gm, const struct memory_map *map,
			  struct linux_boot_params *params)
{
	unsigned int i, count = map->count < LINUX_E820_MAX ? map->count : LINUX_E820_MAX;

	for (i = 0; i < count; i++)
		params->e820_table[i] = e820_entry(&map->entries[i]);
	params->e820_entries = (uint8_t)count;
	return map->count > LINUX_E820_MAX ? write_e820_ext(gm, map, params) : 0;
}

/*
 * boot.rst, the fields that a loader must or may write. No display: an all-zero screen_info, in
 * which a text screen has no lines, keeps the unpacker and the kernel off VGA's registers.
 */
static void put_header(const struct boot_parameters *p, struct linux_boot_params *params)
{
	struct linux_setup_header *hdr = &params->hdr;

	*hdr = p->image->header;
	hdr->vid_mode = LINUX_VIDEO_NORMAL;
	hdr->type_of_loader = LINUX_LOADER_UNDEFINED;
	hdr->ext_loader_type = 0;
	hdr->ext_loader_ver = 0;
	hdr->code32_start = (uint32_t)(p->image->window_gpa + p->image->load);
	hdr->cmd_line_ptr = LOW_CMDLINE;
	hdr->ramdisk_image = (uint32_t)p->initrd.gpa;
	hdr->ramdisk_size = (uint32_t)p->initrd.len;
	hdr->setup_data = 0;
	hdr->hardware_subarch = 0; /* a PC */
	hdr->hardware_subarch_data = 0;
	params->ext_ramdisk_image = (uint32_t)(p->initrd.gpa >> 32);
	params->ext_ramdisk_size = (uint32_t)(p->initrd.len >> 32);
	params->acpi_rsdp_addr = p->rsdp;
}

int boot_params_write(struct guest_memory *gm, const struct boot_parameters *p)
{
	struct linux_boot_params params = { 0 };
	int ret;

	put_header(p, &params);
	ret = put_memory_map(gm, p->map, &params);
	return ret ? ret : guest_memory_write(gm, LOW_ZERO_PAGE, &params, sizeof(params));
}

int pvh_info_write(struct guest_memory *gm, const struct boot_parameters *p)
{
	struct {
		struct pvh_start_info info;
		struct pvh_module initrd;
		struct pvh_memmap_entry memmap[MEMORY_MAP_ENTRIES];
	} all = { 0 };
	unsigned int i;

	_Static_assert(LOW_START_INFO + sizeof(all) <= LOW_E820_EXT, "low_memory.h");
	all.info = (struct pvh_start_info){
		.magic = PVH_START_MAGIC,
		.version = 1,
		.nr_modules = p->initrd.len != 0,
		.modlist = LOW_START_INFO + offsetof(__typeof__(all), initrd),
		.cmdline = LOW_CMDLINE,
		.rsdp = p->rsdp,
		.memmap = LOW_START_INFO + offsetof(__typeof__(all), memmap),
		.memmap_entries = p->map->count,
	};
	all.initrd = (struct pvh_module){ .addr = p->initrd.gpa, .size = p->initrd.len };
	for (i = 0; i < p->map->count; i++)
		all.memmap[i] = (struct pvh_memmap_entry){ p->map->entries[i].range.gpa,
							   p->map->entries[i].range.len,
							   p->map->entries[i].type, 0 };
	return guest_memory_write(gm, LOW_START_INFO, &all, sizeof(all));
}
