/*
 * The named peer of the exit benchmark: a plain KVM program without VTLs, which runs a test guest (ELF with
 * a PVH note). The LAPIC is KVM's, as in vtlhost; ports and the IOAPIC's page are exits to here.
 *   plain_kvm GUEST [COMMAND-LINE]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/acpi_pm.h"
#include "proto/elf.h"

#define MEMORY_SIZE      0x4000000u
#define START_INFO       0x1000
#define MEMORY_MAP       0x1100
#define COMMAND_LINE     0x2000
#define COMMAND_LINE_MAX 4095

#define COM1        0x3f8
#define COM1_STATUS (COM1 + 5)
#define COM1_EMPTY  0x60
#define PM1_CONTROL (ACPI_PM_BASE + ACPI_PM_CONTROL)
#define PVH_MAGIC   0x336ec578
#define IOAPIC_PINS 24

struct machine {
	int kvm, vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
};

/* xen/include/public/arch-x86/hvm/start_info.h */
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp, map;
	uint32_t map_count, reserved;
};

struct map_entry {
	uint64_t base, len;
	uint32_t type, reserved;
};

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "plain_kvm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int call(int fd, unsigned long request, void *arg, const char *what)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		fail(what);
	return ret;
}

static void create(struct machine *m)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };
	struct kvm_userspace_memory_region slot = { .memory_size = MEMORY_SIZE };
	int size;

	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm < 0)
		fail("/dev/kvm");
	m->vm = call(m->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	call(m->vm, KVM_ENABLE_CAP, &split, "KVM_CAP_SPLIT_IRQCHIP");
	m->memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		fail("memory");
	slot.userspace_addr = (uintptr_t)m->memory;
	call(m->vm, KVM_SET_USER_MEMORY_REGION, &slot, "KVM_SET_USER_MEMORY_REGION");
	m->vcpu = call(m->vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	size = call(m->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	if (m->run == MAP_FAILED)
		fail("kvm_run");
}

static void set_cpuid(struct machine *m)
{
	size_t size = sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *cpuid = calloc(1, size);

	if (!cpuid)
		fail("CPUID");
	cpuid->nent = 256;
	call(m->kvm, KVM_GET_SUPPORTED_CPUID, cpuid, "KVM_GET_SUPPORTED_CPUID");
	call(m->vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
	free(cpuid);
}

static uint8_t *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(MEMORY_SIZE);

	if (!file || !data)
		fail(path);
	*len = fread(data, 1, MEMORY_SIZE, file);
	fclose(file);
	return data;
}

/* The file is ours; what is checked is checked against mistakes. Returns the PVH entry. */
static uint32_t load(struct machine *m, const uint8_t *file, size_t len)
{
	const struct elf64_header *elf = (const void *)file;
	const struct elf64_segment *segments = (const void *)(file + elf->phoff);
	uint32_t entry = 0;

	if (len < sizeof(*elf) || elf->magic != ELF_MAGIC || elf->phoff > len ||
	    elf->phnum > (len - elf->phoff) / sizeof(*segments))
		return 0;
	for (unsigned int i = 0; i < elf->phnum; i++) {
		const struct elf64_segment *s = &segments[i];

		if (s->offset > len || s->filesz > len - s->offset || s->paddr > MEMORY_SIZE ||
		    s->memsz > MEMORY_SIZE - s->paddr)
			return 0;
		if (s->type == ELF_PT_LOAD)
			memcpy(m->memory + s->paddr, file + s->offset, s->filesz);
		/* One note: sizes and type, "Xen", the entry. */
		else if (s->type == ELF_PT_NOTE && s->filesz >= 20)
			memcpy(&entry, file + s->offset + 16, sizeof(entry));
	}
	return entry;
}

static void set_start_info(struct machine *m, const char *command_line)
{
	struct map_entry map = { .len = MEMORY_SIZE, .type = 1 };
	struct start_info info = {
		.magic = PVH_MAGIC,
		.version = 1,
		.cmdline = COMMAND_LINE,
		.map = MEMORY_MAP,
		.map_count = 1,
	};

	snprintf((char *)m->memory + COMMAND_LINE, COMMAND_LINE_MAX, "%s", command_line);
	memcpy(m->memory + MEMORY_MAP, &map, sizeof(map));
	memcpy(m->memory + START_INFO, &info, sizeof(info));
}

/* PVH's: 32-bit protected mode, flat, paging off. */
static void set_registers(struct machine *m, uint32_t entry)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = entry, .rbx = START_INFO, .rflags = 2 };
	struct kvm_sregs sregs;

	data.selector = 16;
	data.type = 3;
	call(m->vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr0 = 0x11;
	call(m->vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	call(m->vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

/* Returns true when the guest has powered itself off. */
static bool port(struct machine *m)
{
	uint8_t *data = (uint8_t *)m->run + m->run->io.data_offset;
	bool out = m->run->io.direction == KVM_EXIT_IO_OUT;

	if (out && m->run->io.port == PM1_CONTROL)
		return true;
	if (out && m->run->io.port == COM1)
		putchar(*data);
	else if (!out)
		memset(data, m->run->io.port == COM1_STATUS ? COM1_EMPTY : 0xff,
		       (size_t)m->run->io.size * m->run->io.count);
	return false;
}

static int run(struct machine *m)
{
	for (;;) {
		if (ioctl(m->vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
			fail("KVM_RUN");
		switch (m->run->exit_reason) {
		case KVM_EXIT_IO:
			if (port(m))
				return 0;
			break;
		case KVM_EXIT_MMIO:
			if (!m->run->mmio.is_write)
				memset(m->run->mmio.data, 0, sizeof(m->run->mmio.data));
			break;
		case KVM_EXIT_INTR:
			break;
		default:
			fprintf(stderr, "plain_kvm: unexpected exit %u\n", m->run->exit_reason);
			return 1;
		}
	}
}

int main(int argc, char **argv)
{
	struct machine m;
	uint32_t entry;
	uint8_t *file;
	size_t len;
	int ret;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: plain_kvm GUEST [COMMAND-LINE]\n");
		return 2;
	}
	create(&m);
	set_cpuid(&m);
	file = read_file(argv[1], &len);
	entry = load(&m, file, len);
	free(file);
	if (!entry) {
		fprintf(stderr, "plain_kvm: '%s' is no test guest\n", argv[1]);
		return 1;
	}
	set_start_info(&m, argc > 2 ? argv[2] : "");
	set_registers(&m, entry);
	printf("tsc-khz %d\n", call(m.vcpu, KVM_GET_TSC_KHZ, NULL, "KVM_GET_TSC_KHZ"));
	ret = run(&m);
	fflush(stdout);
	return ret;
}
