#include "host/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proto/hv_cpuid.h"
#include "proto/hv_synic.h"

#define CPUID_ENTRIES_MAX 256

/* Hyper-V's synthetic MSRs (TLFS appendix on MSRs): all of them exit to this process. */
#define HV_MSR_BASE  0x40000000u
#define HV_MSR_COUNT 0x200u

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, (int)request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int kvm_ioctl_value(int fd, unsigned long request, unsigned long value)
{
	return kvm_ioctl(fd, request, (void *)value);
}

static const struct {
	int capability;
	const char *why;
} required[] = {
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM lacks KVM_CAP_IMMEDIATE_EXIT (Linux 4.13)" },
	{ KVM_CAP_SYNC_REGS, "KVM lacks KVM_CAP_SYNC_REGS (Linux 4.17)" },
	{ KVM_CAP_SPLIT_IRQCHIP, "KVM lacks KVM_CAP_SPLIT_IRQCHIP (Linux 4.5)" },
	{ KVM_CAP_SIGNAL_MSI, "KVM lacks KVM_CAP_SIGNAL_MSI" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "KVM lacks KVM_CAP_X86_USER_SPACE_MSR (Linux 5.10)" },
	{ KVM_CAP_X86_MSR_FILTER, "KVM lacks KVM_CAP_X86_MSR_FILTER (Linux 5.10)" },
	{ KVM_CAP_VCPU_ATTRIBUTES, "KVM lacks KVM_CAP_VCPU_ATTRIBUTES (Linux 5.16)" },
};

static const char *check_capabilities(int fd)
{
	size_t i;

	if (kvm_ioctl_value(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return "/dev/kvm speaks another API version";
	for (i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (kvm_ioctl_value(fd, KVM_CHECK_EXTENSION, required[i].capability) <= 0)
			return required[i].why;
	return NULL;
}

int kvm_open(struct kvm *kvm, const char **why)
{
	int ret;

	kvm->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->fd < 0) {
		*why = errno == EACCES ? "no access to /dev/kvm: join the group kvm"
				       : "there is no /dev/kvm: enable virtualization, load kvm";
		return -errno;
	}
	*why = check_capabilities(kvm->fd);
	if (*why) {
		ret = -EOPNOTSUPP;
		goto close_fd;
	}
	kvm->cpuid =
		calloc(1, sizeof(*kvm->cpuid) + CPUID_ENTRIES_MAX * sizeof(kvm->cpuid->entries[0]));
	if (!kvm->cpuid) {
		*why = "out of memory";
		ret = -ENOMEM;
		goto close_fd;
	}
	kvm->cpuid->nent = CPUID_ENTRIES_MAX;
	ret = kvm_ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, kvm->cpuid);
	if (ret < 0) {
		*why = "KVM_GET_SUPPORTED_CPUID failed";
		goto free_cpuid;
	}
	kvm->run_size = (size_t)kvm_ioctl_value(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	return 0;

free_cpuid:
	free(kvm->cpuid);
close_fd:
	close(kvm->fd);
	return ret;
}

void kvm_close(struct kvm *kvm)
{
	free(kvm->cpuid);
	close(kvm->fd);
}

static int enable_capability(int vm, uint32_t capability, uint64_t arg)
{
	struct kvm_enable_cap cap = { .cap = capability, .args = { arg } };

	return kvm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* stimers: a bit for each timer whose COUNT does not exit */
static int filter_msrs(int vm, bool mtrrs, unsigned int stimers)
{
	static uint8_t nothing_allowed[HV_MSR_COUNT / 8];
	/* Those of the local APIC, which is KVM's: EOI, ICR and TPR (TLFS 10.2.1). */
	uint8_t allowed[HV_MSR_COUNT / 8] = {
		[(HV_X64_MSR_EOI - HV_MSR_BASE) / 8] = 7,
	};
	const uint32_t both = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { both, HV_MSR_COUNT, HV_MSR_BASE, allowed },
	};
	unsigned int i;

	for (i = 0; i < HV_SYNIC_STIMER_COUNT; i++) {
		unsigned int msr = HV_X64_MSR_STIMER0_COUNT + 2 * i - HV_MSR_BASE;

		allowed[msr / 8] |= (uint8_t)((stimers >> i & 1) << msr % 8);
	}

	if (mtrrs) {
		filter.ranges[1] = (struct kvm_msr_filter_range){ both, KVM_MTRR_COUNT,
								  KVM_MTRR_BASE, nothing_allowed };
		filter.ranges[2] = (struct kvm_msr_filter_range){ both, 1, KVM_MTRR_DEFAULT_TYPE,
								  nothing_allowed };
	}
	return kvm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static int create_vm(const struct kvm *kvm, bool mtrrs)
{
	int vm = kvm_ioctl_value(kvm->fd, KVM_CREATE_VM, 0);
	int ret;

	if (vm < 0)
		return vm;
	/* Intel before "unrestricted guest" needs a place for a TSS; others ignore it. */
	ret = kvm_ioctl_value(vm, KVM_SET_TSS_ADDR, 0xFEFFD000);
	if (ret < 0)
		goto close_vm;
	ret = enable_capability(vm, KVM_CAP_SPLIT_IRQCHIP, KVM_LEVEL_PINS);
	if (ret < 0)
		goto close_vm;
	ret = enable_capability(vm, KVM_CAP_X86_USER_SPACE_MSR,
				KVM_MSR_EXIT_REASON_FILTER | KVM_MSR_EXIT_REASON_UNKNOWN);
	if (ret < 0)
		goto close_vm;
	ret = filter_msrs(vm, mtrrs, 0);
	if (ret < 0)
		goto close_vm;
	return vm;

close_vm:
	close(vm);
	return ret;
}

int kvm_create_vm(const struct kvm *kvm)
{
	return create_vm(kvm, false);
}

int kvm_create_vm_sharing_mtrrs(const struct kvm *kvm)
{
	return create_vm(kvm, true);
}

int kvm_let_stimer_counts(int vm, unsigned int stimers)
{
	return filter_msrs(vm, false, stimers);
}

static int add_memory(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t len, void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

int kvm_add_memory(int vm, uint32_t slot, uint64_t gpa, uint64_t len, void *host)
{
	return add_memory(vm, slot, 0, gpa, len, host);
}

int kvm_add_rom(int vm, uint32_t slot, uint64_t gpa, uint64_t len, void *host)
{
	return add_memory(vm, slot, KVM_MEM_READONLY, gpa, len, host);
}

int kvm_create_vcpu(const struct kvm *kvm, int vm, uint32_t id, struct kvm_run **run)
{
	int fd = kvm_ioctl_value(vm, KVM_CREATE_VCPU, id);
	void *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		return -errno;
	}
	*run = map;
	return fd;
}

int kvm_signal_msi(int vm, uint32_t address, uint32_t data)
{
	struct kvm_msi msi = { .address_lo = address, .data = data };

	return kvm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
}

/* --- the probe --- */

/*
 * What an ordinary kernel does in its first microseconds, in long mode with paging: reload CR3,
 * read EFER, use SSE and a stack in the upper half of the address space, exit by port I/O and halt.
 * KVMs that are only half there (nested without hardware support) give up at one of these.
 */
static const uint8_t probe_code[] = {
	0x48, 0xbc, 0x00, 0x10, 0x00, 0x00, 0x00, 0x80, 0xff, 0xff, /* mov rsp, ffff800000001000h */
	0xb3, 0x08,                                                 /* mov bl, 8 */
	0x0f, 0x20, 0xd8,                                           /* 1: mov rax, cr3 */
	0x0f, 0x22, 0xd8,                                           /* mov cr3, rax */
	0xb9, 0x80, 0x00, 0x00, 0xc0,                               /* mov ecx, EFER */
	0x0f, 0x32,                                                 /* rdmsr */
	0x50,                                                       /* push rax */
	0xf3, 0x0f, 0x6f, 0x04, 0x24,                               /* movdqu xmm0, [rsp] */
	0x66, 0x48, 0x0f, 0x7e, 0xc0,                               /* movq rax, xmm0 */
	0x59,                                                       /* pop rcx */
	0x0f, 0x01, 0xf8,                                           /* swapgs */
	0xe7, 0x7e,                                                 /* out 7eh, eax */
	0xfe, 0xcb,                                                 /* dec bl */
	0x75, 0xdf,                                                 /* jnz 1b */
	0xf4,                                                       /* hlt */
};

#define PROBE_PAGES 4096 * 8
#define PROBE_CODE  0x4000
#define PROBE_EFER  0x500u /* LME and LMA */
#define PROBE_TURNS 8

static void probe_alarm(int sig)
{
	(void)sig;
}

/* Maps the first 2 MiB at 0 and at ffff800000000000h. */
static void probe_fill(uint8_t *ram)
{
	uint64_t *pml4 = (uint64_t *)(ram + 0x1000);
	uint64_t *pdpt = (uint64_t *)(ram + 0x2000);
	uint64_t *pd = (uint64_t *)(ram + 0x3000);

	pml4[0] = pml4[256] = 0x2003;
	pdpt[0] = 0x3003;
	pd[0] = 0x83;
	memcpy(ram + PROBE_CODE, probe_code, sizeof(probe_code));
}

static int probe_registers(int vcpu)
{
	struct kvm_segment code = {
		.selector = 8, .limit = ~0u, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = {
		.selector = 16, .limit = ~0u, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_regs regs = { .rip = PROBE_CODE, .rflags = 2 };
	struct kvm_sregs sregs;
	int ret = kvm_ioctl(vcpu, KVM_GET_SREGS, &sregs);

	if (ret)
		return ret;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr0 = 0x80050033;
	sregs.cr3 = 0x1000;
	sregs.cr4 = 0x620; /* PAE, OSFXSR, OSXMMEXCPT */
	sregs.efer = PROBE_EFER;
	ret = kvm_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	return ret ? ret : kvm_ioctl(vcpu, KVM_SET_REGS, &regs);
}

/* 0 when the code ran to its HLT with all its port writes seen. */
static int probe_run(int vcpu, struct kvm_run *run, const char **why)
{
	unsigned int turns = 0;
	uint32_t value;

	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			*why = errno == EINTR ? "a test guest did not finish within 5 seconds"
					      : "KVM_RUN of a test guest failed";
			return -errno;
		}
		memcpy(&value, (uint8_t *)run + run->io.data_offset % 4096, sizeof(value));
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == 0x7e &&
		    value == PROBE_EFER && turns < PROBE_TURNS) {
			turns++;
		} else if (run->exit_reason == KVM_EXIT_HLT && turns == PROBE_TURNS) {
			return 0;
		} else {
			*why = "an ordinary 64-bit test guest does not run";
			return -EIO;
		}
	}
}

static int probe_vm(const struct kvm *kvm, int vm, void *ram, const char **why)
{
	struct kvm_run *run;
	int vcpu, ret;

	*why = "KVM cannot set up a test guest";
	probe_fill(ram);
	ret = kvm_add_memory(vm, 0, 0, PROBE_PAGES, ram);
	if (ret < 0)
		return ret;
	vcpu = kvm_create_vcpu(kvm, vm, 0, &run);
	if (vcpu < 0)
		return vcpu;
	ret = kvm_ioctl(vcpu, KVM_SET_CPUID2, kvm->cpuid);
	if (!ret)
		ret = probe_registers(vcpu);
	if (!ret)
		ret = probe_run(vcpu, run, why);
	munmap(run, kvm->run_size);
	close(vcpu);
	return ret;
}

int kvm_probe(const struct kvm *kvm, const char **why)
{
	struct sigaction action = { .sa_handler = probe_alarm }, old;
	void *ram;
	int vm, ret;

	*why = "KVM cannot create a VM";
	vm = kvm_ioctl_value(kvm->fd, KVM_CREATE_VM, 0); /* no irqchip: HLT exits */
	if (vm < 0)
		return vm;
	ram = mmap(NULL, PROBE_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED) {
		close(vm);
		return -ENOMEM;
	}
	kvm_ioctl_value(vm, KVM_SET_TSS_ADDR, 0xFEFFD000);
	sigaction(SIGALRM, &action, &old);
	alarm(5);
	ret = probe_vm(kvm, vm, ram, why);
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	munmap(ram, PROBE_PAGES);
	close(vm);
	return ret;
}
