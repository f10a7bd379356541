#include "host/vtl2_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "host/device_tree.h"
#include "host/partition.h"
#include "host/vp.h"
#include "proto/elf.h"
#include "proto/linux_boot.h"

#define SETUP_DTB_TYPE 2
#define MIB2           0x200000ull

/* Offsets from VTL2's base, all below the kernel. */
#define AT_BOOT_PARAMS  0x1000
#define AT_COMMAND_LINE 0x2000
#define AT_GDT          0x3000
#define AT_DEVICE_TREE  0x4000
#define AT_PAGE_TABLES  0x20000
#define AT_KERNEL       0x200000

#define DEVICE_TREE_SPACE (AT_PAGE_TABLES - AT_DEVICE_TREE)
#define COMMAND_LINE_MAX  2048

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18

/* --- files --- */

struct file {
	const char *path;
	const uint8_t *data;
	size_t len;
};

static int open_file(struct file *file, const char *path)
{
	struct stat st;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;

	*file = (struct file){ .path = path };
	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = -errno;
		log_error("cannot open '%s': %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || !st.st_size) {
		ret = -EINVAL;
		log_error("'%s' is %s", path, S_ISREG(st.st_mode) ? "empty" : "not a file");
	} else {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED) {
			ret = -errno;
			log_error("cannot read '%s': %s", path, strerror(errno));
		} else {
			file->data = map;
			file->len = (size_t)st.st_size;
		}
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

static void close_file(struct file *file)
{
	if (file->data)
		munmap((void *)file->data, file->len);
}

/* --- VTL2's kernel --- */

struct image {
	uint64_t base;  /* VTL2's */
	uint64_t entry; /* GPAs */
	uint64_t kernel_end;
	uint64_t initrd, initrd_len;
};

static const struct elf64_segment *program_header(const struct file *file, unsigned int i)
{
	const struct elf64_header *elf = (const void *)file->data;

	return (const void *)(file->data + elf->phoff + i * sizeof(struct elf64_segment));
}

static bool valid_elf(const struct file *file)
{
	const struct elf64_header *elf = (const void *)file->data;
	unsigned int i;

	if (file->len < sizeof(*elf) || elf->magic != ELF_MAGIC || elf->class != ELF_CLASS_64 ||
	    elf->machine != ELF_X86_64 || elf->phentsize != sizeof(struct elf64_segment) ||
	    elf->phoff % 8 || elf->phoff > file->len ||
	    elf->phnum > (file->len - elf->phoff) / sizeof(struct elf64_segment))
		return false;
	for (i = 0; i < elf->phnum; i++) {
		const struct elf64_segment *p = program_header(file, i);

		if (p->type == ELF_PT_LOAD &&
		    (p->filesz > p->memsz || p->offset > file->len ||
		     p->filesz > file->len - p->offset || p->memsz >> 40 || p->paddr >> 40))
			return false;
	}
	return true;
}

static uint64_t lowest_address(const struct file *file)
{
	const struct elf64_header *elf = (const void *)file->data;
	uint64_t lowest = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < elf->phnum; i++)
		if (program_header(file, i)->type == ELF_PT_LOAD &&
		    program_header(file, i)->paddr < lowest)
			lowest = program_header(file, i)->paddr;
	return lowest;
}

static int load_kernel(struct partition *partition, const struct file *file, struct image *image)
{
	struct host_memory *memory = &partition->memory;
	const struct elf64_header *elf = (const void *)file->data;
	uint64_t lowest, at;
	unsigned int i;

	if (!valid_elf(file)) {
		log_error("'%s' is no 64-bit x86 ELF kernel", file->path);
		return -ENOEXEC;
	}
	lowest = lowest_address(file);
	for (i = 0; i < elf->phnum; i++) {
		const struct elf64_segment *p = program_header(file, i);

		if (p->type != ELF_PT_LOAD)
			continue;
		at = image->base + AT_KERNEL + (p->paddr - lowest);
		if (at + p->memsz > memory->vtl2_base + memory->vtl2_size ||
		    host_memory_write(memory, HOST_VIEW_VTL2, at, file->data + p->offset,
				      p->filesz)) {
			log_error("VTL2's %llu MiB are too small for its kernel: --vtl2-memory",
				  (unsigned long long)(memory->vtl2_size >> 20));
			return -ENOMEM;
		}
		if (at + p->memsz > image->kernel_end)
			image->kernel_end = at + p->memsz;
	}
	image->entry = image->base + AT_KERNEL + (elf->entry - lowest);
	return 0;
}

static int load_initrd(struct partition *partition, const struct file *file, struct image *image)
{
	struct host_memory *memory = &partition->memory;
	uint64_t end = memory->vtl2_base + memory->vtl2_size;
	uint64_t space = end - ((image->kernel_end + HV_PAGE_SIZE - 1) & HV_X64_MSR_PAGE_MASK);

	if (file->len > space) {
		log_error("VTL2's %llu MiB are too small for its initramfs: --vtl2-memory",
			  (unsigned long long)(memory->vtl2_size >> 20));
		return -ENOMEM;
	}
	image->initrd = (end - file->len) & HV_X64_MSR_PAGE_MASK;
	image->initrd_len = file->len;
	return host_memory_write(memory, HOST_VIEW_VTL2, image->initrd, file->data, file->len);
}

/* --- VTL0's payload: raw files, high in low RAM --- */

struct payload {
	uint64_t at, len;
};

static int stage(struct partition *partition, const struct file *file, uint64_t *top,
		 struct payload *payload)
{
	if (!file->len)
		return 0;
	if (file->len + MIB2 > *top) {
		log_error("'%s' does not fit into %llu MiB of memory", file->path,
			  (unsigned long long)(partition->options->memory >> 20));
		return -ENOMEM;
	}
	payload->at = (*top - file->len) & HV_X64_MSR_PAGE_MASK;
	payload->len = file->len;
	*top = payload->at;
	return host_memory_write(&partition->memory, HOST_VIEW_VTL0, payload->at, file->data,
				 file->len);
}

static int load_payload(struct partition *partition, struct payload payloads[3])
{
	const struct options *options = partition->options;
	struct file kernel = { 0 }, initrd = { 0 }, append = { 0 };
	uint64_t top = partition->memory.ranges[0].len;
	int ret;

	append.path = "--append";
	append.data = (const uint8_t *)options->append;
	append.len = options->append ? strlen(options->append) : 0;
	ret = open_file(&kernel, options->kernel);
	if (!ret && options->initrd)
		ret = open_file(&initrd, options->initrd);
	if (!ret)
		ret = stage(partition, &initrd, &top, &payloads[1]);
	if (!ret)
		ret = stage(partition, &kernel, &top, &payloads[0]);
	if (!ret)
		ret = stage(partition, &append, &top, &payloads[2]);
	close_file(&kernel);
	close_file(&initrd);
	return ret;
}

/* --- what the kernel is told --- */

static int write_command_line(struct partition *partition, uint64_t at,
			      const struct payload payloads[3])
{
	static const char *const names[3] = { "kernel", "initrd", "cmdline" };
	const char *append = partition->options->vtl2_append;
	char line[COMMAND_LINE_MAX];
	int len, i;

	len = snprintf(line, sizeof(line),
		       "noxsave swiotlb=noforce quiet loglevel=4 panic=-1 console=ttyS1 ");
	/* Each tick of VTL2 takes a VP out of VTL0: only VP 0, which keeps the time, has one. */
	if (partition->vp_count > 1)
		len += snprintf(line + len, sizeof(line) - (size_t)len, "nohz_full=1-%u ",
				partition->vp_count - 1);
	len += snprintf(line + len, sizeof(line) - (size_t)len, "%.1500s --", append ? append : "");
	for (i = 0; i < 3 && len < (int)sizeof(line); i++)
		if (payloads[i].len)
			len += snprintf(line + len, sizeof(line) - (size_t)len, " --%s=%llx:%llx",
					names[i], (unsigned long long)payloads[i].at,
					(unsigned long long)payloads[i].len);
	if (len < (int)sizeof(line))
		len += snprintf(line + len, sizeof(line) - (size_t)len, " --wall-clock=%lld",
				(long long)time(NULL));
	if (len >= (int)sizeof(line)) {
		log_error("--vtl2-append is too long");
		return -E2BIG;
	}
	return host_memory_write(&partition->memory, HOST_VIEW_VTL2, at, line, (size_t)len + 1);
}

static int write_device_tree(struct partition *partition, uint64_t at)
{
	uint8_t *data = host_memory_pointer(&partition->memory, at, DEVICE_TREE_SPACE);
	struct linux_setup_data *head = (void *)data;
	int len = device_tree_build(partition, data + sizeof(*head),
				    DEVICE_TREE_SPACE - sizeof(*head));

	if (len < 0) {
		log_error("VTL2's device tree does not fit");
		return len;
	}
	*head = (struct linux_setup_data){ .type = SETUP_DTB_TYPE, .len = (uint32_t)len };
	return 0;
}

static int write_boot_params(struct partition *partition, const struct image *image)
{
	struct linux_boot_params params = { 0 };
	uint64_t line = image->base + AT_COMMAND_LINE;

	params.hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	params.hdr.boot_flag = LINUX_BOOT_FLAG;
	params.hdr.header = LINUX_HEADER_MAGIC;
	params.hdr.version = LINUX_PROTOCOL(2, 15);
	params.hdr.cmd_line_ptr = (uint32_t)line;
	params.ext_cmd_line_ptr = (uint32_t)(line >> 32);
	params.hdr.ramdisk_image = (uint32_t)image->initrd;
	params.ext_ramdisk_image = (uint32_t)(image->initrd >> 32);
	params.hdr.ramdisk_size = (uint32_t)image->initrd_len;
	params.hdr.setup_data = image->base + AT_DEVICE_TREE;
	params.e820_entries = 1;
	params.e820_table[0].addr = partition->memory.vtl2_base;
	params.e820_table[0].size = partition->memory.vtl2_size;
	params.e820_table[0].type = 1; /* RAM */
	return host_memory_write(&partition->memory, HOST_VIEW_VTL2, image->base + AT_BOOT_PARAMS,
				 &params, sizeof(params));
}

/* Identity map of VTL2's RAM by 2 MiB pages; tables are taken from AT_PAGE_TABLES on. */
struct tables {
	struct partition *partition;
	uint64_t next;
};

static uint64_t *table_below(struct tables *tables, uint64_t *table, unsigned int index)
{
	const struct host_memory *memory = &tables->partition->memory;

	if (!table[index]) {
		table[index] = tables->next | 3;
		tables->next += HV_PAGE_SIZE;
	}
	return host_memory_pointer(memory, table[index] & HV_X64_MSR_PAGE_MASK, HV_PAGE_SIZE);
}

static uint64_t build_page_tables(struct partition *partition, uint64_t base)
{
	const struct host_memory *memory = &partition->memory;
	struct tables tables = { partition, base + AT_PAGE_TABLES + HV_PAGE_SIZE };
	uint64_t root = base + AT_PAGE_TABLES, at;
	uint64_t *pml4 = host_memory_pointer(memory, root, HV_PAGE_SIZE);

	for (at = base; at < base + memory->vtl2_size; at += MIB2) {
		uint64_t *pdpt = table_below(&tables, pml4, at >> 39 & 511);
		uint64_t *pd = table_below(&tables, pdpt, at >> 30 & 511);

		pd[at >> 21 & 511] = at | 0x83; /* present, writable, 2 MiB */
	}
	return root;
}

static void set_entry_state(struct partition *partition, const struct image *image, uint64_t cr3)
{
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	struct vcpu *vcpu = &partition->vps[0].vcpu[HOST_VTL2];
	struct kvm_sregs *sregs = vcpu_write_sregs(vcpu);
	struct kvm_segment code = { .selector = SELECTOR_CODE,
				    .limit = ~0u,
				    .type = 11,
				    .present = 1,
				    .s = 1,
				    .l = 1,
				    .g = 1 };
	struct kvm_segment data = { .selector = SELECTOR_DATA,
				    .limit = ~0u,
				    .type = 3,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };

	host_memory_write(&partition->memory, HOST_VIEW_VTL2, image->base + AT_GDT, gdt,
			  sizeof(gdt));
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->ss = sregs->fs = sregs->gs = data;
	sregs->gdt = (struct kvm_dtable){ .base = image->base + AT_GDT, .limit = sizeof(gdt) - 1 };
	sregs->cr0 = 0x80050033; /* PG, AM, WP, NE, ET, MP, PE */
	sregs->cr3 = cr3;
	sregs->cr4 = 0x220;  /* PAE, OSFXSR */
	sregs->efer = 0x500; /* LME, LMA */
	*vcpu_write_regs(vcpu) = (struct kvm_regs){ .rip = image->entry,
						    .rsi = image->base + AT_BOOT_PARAMS,
						    .rflags = 2 };
	atomic_store(&partition->vps[0].vtl2_started, true);
}

int vtl2_boot_load(struct partition *partition)
{
	struct image image = { .base = partition->memory.vtl2_base };
	struct payload payloads[3] = { 0 };
	struct file kernel = { 0 }, initrd = { 0 };
	int ret = open_file(&kernel, partition->options->vtl2_kernel);

	if (!ret)
		ret = open_file(&initrd, partition->options->vtl2_initrd);
	if (!ret)
		ret = load_kernel(partition, &kernel, &image);
	if (!ret)
		ret = load_initrd(partition, &initrd, &image);
	if (!ret)
		ret = load_payload(partition, payloads);
	if (!ret)
		ret = write_command_line(partition, image.base + AT_COMMAND_LINE, payloads);
	if (!ret)
		ret = write_device_tree(partition, image.base + AT_DEVICE_TREE);
	if (!ret)
		ret = write_boot_params(partition, &image);
	if (!ret)
		set_entry_state(partition, &image, build_page_tables(partition, image.base));
	close_file(&kernel);
	close_file(&initrd);
	return ret;
}
