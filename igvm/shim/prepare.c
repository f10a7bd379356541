#include <errno.h>
#include <string.h>

#include "igvm/shim/log.h"
#include "igvm/shim/shim.h"
#include "proto/igvm.h"
#include "proto/linux_boot.h"

#define COMMAND_LINE_SIZE 2048 /* Linux's on x86, terminator included */
#define DEVICE_TREE_SIZE  0x10000
#define SETUP_DTB         2
#define E820_RAM          1
#define E820_RESERVED     2

void *shim_work_take(struct shim *shim, uint64_t len, uint64_t *gpa)
{
	const struct shim_range *work = &shim->params.work;
	uint64_t offset = work->offset + shim->work_used;
	void *at;

	len = (len + SHIM_PAGE_SIZE - 1) & ~(SHIM_PAGE_SIZE - 1);
	if (len > work->len - shim->work_used) {
		shim_stop(shim, "image: the work area is full");
		return NULL;
	}
	shim->work_used += len;
	at = shim_pointer(shim, offset);
	memset(at, 0, len); /* the host may have left anything here */
	*gpa = shim->region_gpa + offset;
	return at;
}

/* --- boot_params --- */

static void add_e820(struct linux_boot_params *params, uint64_t addr, uint64_t end, uint32_t type)
{
	struct linux_e820_entry *entry = &params->e820_table[params->e820_entries];

	if (addr == end)
		return;
	*entry = (struct linux_e820_entry){ addr, end - addr, type };
	params->e820_entries++;
}

/* VTL2's RAM; the log stays what it is. At most SHIM_MAX_RANGES + 2 entries. */
static void fill_e820(const struct shim *shim, struct linux_boot_params *params)
{
	const struct shim_machine *m = &shim->machine;
	uint64_t log = shim->log_gpa;
	unsigned int i;

	for (i = 0; i < m->ram_count; i++) {
		uint64_t start = m->ram[i].span.gpa, end = start + m->ram[i].span.len;

		if (m->ram[i].type != IGVM_MEMORY_MAP_VTL2_PROTECTABLE)
			continue;
		if (log >= start && log < end) {
			add_e820(params, start, log, E820_RAM);
			add_e820(params, log, log + SHIM_PAGE_SIZE, E820_RESERVED);
			start = log + SHIM_PAGE_SIZE;
		}
		add_e820(params, start, end, E820_RAM);
	}
}

static int build_command_line(struct shim *shim, struct linux_boot_params *params)
{
	uint64_t gpa;
	char *line = shim_work_take(shim, COMMAND_LINE_SIZE, &gpa);

	if (!line)
		return -ENOMEM;
	params->hdr.cmd_line_ptr = (uint32_t)gpa;
	params->ext_cmd_line_ptr = (uint32_t)(gpa >> 32);
	return shim_command_line_build(shim, line, COMMAND_LINE_SIZE);
}

static int build_device_tree(struct shim *shim, struct linux_boot_params *params)
{
	struct linux_setup_data *head;
	uint64_t gpa;
	int len;

	head = shim_work_take(shim, DEVICE_TREE_SIZE, &gpa);
	if (!head)
		return -ENOMEM;
	len = shim_linux_tree_build(shim, head + 1, DEVICE_TREE_SIZE - sizeof(*head));
	if (len < 0)
		return len;
	*head = (struct linux_setup_data){ .type = SETUP_DTB, .len = (uint32_t)len };
	params->hdr.setup_data = gpa;
	return 0;
}

static int build_boot_params(struct shim *shim, uint64_t *gpa)
{
	struct linux_boot_params *params = shim_work_take(shim, sizeof(*params), gpa);
	uint64_t initrd = shim->region_gpa + shim->params.initrd.offset;
	int ret;

	if (!params)
		return -ENOMEM;
	params->hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	params->hdr.boot_flag = LINUX_BOOT_FLAG;
	params->hdr.header = LINUX_HEADER_MAGIC;
	params->hdr.version = LINUX_PROTOCOL(2, 15);
	if (shim->params.initrd.len) {
		params->hdr.ramdisk_image = (uint32_t)initrd;
		params->ext_ramdisk_image = (uint32_t)(initrd >> 32);
		params->hdr.ramdisk_size = (uint32_t)shim->params.initrd.len;
		params->ext_ramdisk_size = (uint32_t)(shim->params.initrd.len >> 32);
	}
	fill_e820(shim, params);
	ret = build_command_line(shim, params);
	return ret ? ret : build_device_tree(shim, params);
}

/* --- the whole --- */

/* What the host placed has been read: none of it stays behind in the kernel's memory. */
static void wipe_host_areas(struct shim *shim)
{
	const struct shim_params *p = &shim->params;

	memset(shim_pointer(shim, p->vp_count.offset), 0, p->vp_count.len);
	memset(shim_pointer(shim, p->memory_map.offset), 0, p->memory_map.len);
	memset(shim_pointer(shim, p->device_tree.offset), 0, p->device_tree.len);
	memset(shim_pointer(shim, p->host_command_line.offset), 0, p->host_command_line.len);
}

static int read_host(struct shim *shim)
{
	int ret = shim_machine_read(shim);

	if (!ret)
		ret = shim_host_tree_read(shim);
	if (!ret)
		ret = shim_machine_check(shim);
	return ret;
}

static void log_machine(struct shim *shim)
{
	const struct shim_machine *m = &shim->machine;
	unsigned long long ram[2] = { 0 };
	unsigned int i;

	for (i = 0; i < m->ram_count; i++)
		if (m->ram[i].type != IGVM_MEMORY_MAP_PLATFORM_RESERVED)
			ram[m->ram[i].type == IGVM_MEMORY_MAP_VTL2_PROTECTABLE] +=
				m->ram[i].span.len;
	shim_log_line(shim, "region %llx + %llx, %u VPs, VTL0 %llu KiB, VTL2 %llu KiB",
		      (unsigned long long)shim->region_gpa,
		      (unsigned long long)shim->params.region_len, m->vp_count, ram[0] >> 10,
		      ram[1] >> 10);
}

int shim_prepare(struct shim *shim, struct shim_start *start)
{
	int ret = shim_params_check(shim);

	shim->work_used = 0;
	if (!ret)
		ret = shim_isolation_accept(shim);
	if (!ret)
		ret = read_host(shim);
	if (ret)
		return ret;
	log_machine(shim);
	ret = build_boot_params(shim, &start->rsi);
	if (!ret)
		ret = shim_page_tables_build(shim, &start->cr3);
	if (ret)
		return ret;
	wipe_host_areas(shim);
	start->rip = shim->region_gpa + shim->params.kernel_entry;
	return 0;
}
