#ifndef HOST_KVM_H
#define HOST_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

/* Thin wrappers of the KVM API (Documentation/virt/kvm/api.rst): 0 or a value, or -errno. */

struct host_memory;

/* Pins of the split irqchip that stand for level-triggered vectors: see kvm_route_level_vector(). */
#define KVM_LEVEL_PINS 240

/* MTRRs by their MSRs (SDM vol. 3, 12.11): all of 200h to 26Fh but PAT's neighbours, and 2FFh. */
#define KVM_MTRR_BASE         0x200u
#define KVM_MTRR_COUNT        0x70u
#define KVM_MTRR_DEFAULT_TYPE 0x2ffu

struct kvm {
	int fd;
	size_t run_size;
	struct kvm_cpuid2 *cpuid; /* what the host supports */
};

/*
 * Opens /dev/kvm and checks every capability that vtlhost needs. On failure *why is one line of
 * text that says what is missing.
 */
int kvm_open(struct kvm *kvm, const char **why);
void kvm_close(struct kvm *kvm);

/* ioctl with -errno, restarted after EINTR. */
int kvm_ioctl(int fd, unsigned long request, void *arg);

/* A VM with a split irqchip and exits for unknown and for Hyper-V's MSRs. Returns its descriptor. */
int kvm_create_vm(const struct kvm *kvm);

/* The same with exits for MTRRs, too. */
int kvm_create_vm_sharing_mtrrs(const struct kvm *kvm);

/*
 * Of such a VM, while it runs, too: accesses to the COUNTs of these timers (bit n: timer n) do not exit but
 * are KVM's. All exit at first.
 */
int kvm_let_stimer_counts(int vm, unsigned int stimers);

int kvm_add_memory(int vm, uint32_t slot, uint64_t gpa, uint64_t len, void *host);
/* Memory that the guest can only read: its writes exit as MMIO. */
int kvm_add_rom(int vm, uint32_t slot, uint64_t gpa, uint64_t len, void *host);
int kvm_create_vcpu(const struct kvm *kvm, int vm, uint32_t id, struct kvm_run **run);

/* An interrupt message (SDM vol. 3, 11.11) into a VM's LAPICs: 1 delivered, 0 blocked, -errno. */
int kvm_signal_msi(int vm, uint32_t address, uint32_t data);

/* Runs a few instructions in a new VM: 0 when KVM can run guests here, else -errno and *why. */
int kvm_probe(const struct kvm *kvm, const char **why);

#endif
