#include "host/vp.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/log.h"
#include "host/cpuid.h"
#include "host/exit.h"
#include "host/intercept.h"
#include "host/vtl_switch.h"

#define KICK_SIGNAL SIGUSR1

#define SYNCED_REGS (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)

/* Offsets in the LAPIC's register page (SDM vol. 3, 11.4.1). */
#define LAPIC_TPR 0x080
#define LAPIC_ISR 0x100
#define LAPIC_IRR 0x200

struct vp_mailbox_entry {
	struct vp_mailbox_entry *next;
	int (*fn)(struct vp *vp, void *arg);
	void *arg;
	struct vp *caller;
	int result;
	atomic_bool done;
};

static __thread struct vp *current_vp;

/*
 * Whatever KVM_RUN comes next, or runs now, ends with EINTR. An alarm that is early by reference
 * time, which runs a little differently from the alarm's clock, has to be set again.
 */
static void on_kick(int sig, siginfo_t *info, void *context)
{
	struct vp *vp = current_vp;

	(void)sig;
	(void)context;
	if (!vp)
		return;
	if (info->si_code == SI_TIMER)
		atomic_store(&vp->timers_changed, true);
	vp->vcpu[HOST_VTL0].run->immediate_exit = 1;
	vp->vcpu[HOST_VTL2].run->immediate_exit = 1;
}

void vp_kick(struct vp *vp)
{
	pid_t tid;

	/* A VP looks at everything before it runs again. Its flag stays for others, who signal. */
	if (vp == current_vp || atomic_exchange(&vp->kicked, true))
		return;
	/*
	 * By the kernel's number: threads of devices kick while VP threads end, and a number that
	 * is none any more, or another thread's by now, does no harm.
	 */
	tid = atomic_load(&vp->tid);
	if (tid)
		syscall(SYS_tgkill, getpid(), tid, KICK_SIGNAL);
}

struct vp *vp_find(struct partition *partition, uint32_t index)
{
	return index < partition->vp_count ? &partition->vps[index] : NULL;
}

/*
 * KVM tells nobody that VTL2's LAPIC got something while the VP runs VTL0, so everything for VTL2
 * comes through here: note it, then bring the VP back. A VP that runs VTL2 takes it by itself, and
 * looks at the flag again when it returns to VTL0; hence the order of the two accesses.
 */
static void notice_vtl2_interrupt(struct vp *vp)
{
	atomic_store(&vp->vtl2_irq, true);
	if (atomic_load(&vp->active) == HOST_VTL0)
		vp_kick(vp);
}

void vp_interrupt(struct vp *vp, enum host_vtl vtl, uint8_t vector)
{
	kvm_signal_msi(vp->partition->vtl[vtl].vm, HOST_LAPIC_BASE | vp->index << 12, vector);
	if (vtl == HOST_VTL2)
		notice_vtl2_interrupt(vp);
}

void vcpu_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code)
{
	struct kvm_vcpu_events *events = vcpu_write_events(vcpu);

	events->exception.injected = 1;
	events->exception.nr = vector;
	events->exception.has_error_code = error_code >= 0;
	events->exception.error_code = error_code >= 0 ? (uint32_t)error_code : 0;
}

/* --- creation --- */

static int init_registers(struct vcpu *vcpu)
{
	struct kvm_sync_regs *regs = &vcpu->run->s.regs;
	int ret = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs->regs);

	if (!ret)
		ret = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &regs->sregs);
	if (!ret)
		ret = kvm_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &regs->events);
	vcpu->run->kvm_valid_regs = SYNCED_REGS;
	return ret;
}

/* One offset for all vCPUs of both VMs: setting the TSC itself would skew them. */
static int set_tsc_offset(struct vcpu *vcpu)
{
	uint64_t offset = vcpu->vp->partition->time.tsc_offset;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	return kvm_ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static int create_vcpu(struct vp *vp, enum host_vtl vtl)
{
	struct partition *partition = vp->partition;
	struct vcpu *vcpu = &vp->vcpu[vtl];
	int ret;

	vcpu->vp = vp;
	vcpu->vtl = vtl;
	vcpu->view = vtl == HOST_VTL0 ? HOST_VIEW_VTL0 : HOST_VIEW_VTL2;
	synic_init(&vcpu->synic);
	vcpu->fd = kvm_create_vcpu(partition->kvm, partition->vtl[vtl].vm, vp->index, &vcpu->run);
	if (vcpu->fd < 0)
		return vcpu->fd;
	ret = cpuid_install(vcpu);
	if (!ret)
		ret = set_tsc_offset(vcpu);
	if (!ret)
		ret = init_registers(vcpu);
	return ret;
}

int vp_create(struct vp *vp, struct partition *partition, uint32_t index)
{
	unsigned int vtl;
	int ret;

	vp->partition = partition;
	vp->index = index;
	vp->active = HOST_VTL2;
	vp->fx_shared = true; /* until VTL2 has been entered */
	vp->next_deadline = UINT64_MAX;
	vp->vcpu[HOST_VTL0].fd = vp->vcpu[HOST_VTL2].fd = -1;
	pthread_mutex_init(&vp->mailbox_lock, NULL);
	for (vtl = 0; vtl < HOST_VTL_COUNT; vtl++) {
		ret = create_vcpu(vp, vtl);
		if (ret)
			return ret;
	}
	return 0;
}

void vp_destroy(struct vp *vp)
{
	unsigned int vtl;

	for (vtl = 0; vtl < HOST_VTL_COUNT; vtl++) {
		struct vcpu *vcpu = &vp->vcpu[vtl];

		if (!vcpu->vp)
			continue;
		synic_destroy(&vcpu->synic);
		if (vcpu->fd < 0)
			continue;
		munmap(vcpu->run, vp->partition->kvm->run_size);
		close(vcpu->fd);
	}
	pthread_mutex_destroy(&vp->mailbox_lock);
}

/* --- the mailbox --- */

static void serve_mailbox(struct vp *vp)
{
	struct vp_mailbox_entry *entry;

	for (;;) {
		pthread_mutex_lock(&vp->mailbox_lock);
		entry = vp->mailbox;
		if (entry)
			vp->mailbox = entry->next;
		pthread_mutex_unlock(&vp->mailbox_lock);
		if (!entry)
			return;
		struct vp *caller = entry->caller; /* the entry dies when it is done */

		entry->result = entry->fn(vp, entry->arg);
		atomic_store(&entry->done, true);
		vp_kick(caller);
	}
}

static void unpost(struct vp *vp, struct vp_mailbox_entry *entry)
{
	struct vp_mailbox_entry **link;

	pthread_mutex_lock(&vp->mailbox_lock);
	for (link = &vp->mailbox; *link; link = &(*link)->next) {
		if (*link == entry) {
			*link = entry->next;
			atomic_store(&entry->done, true);
			break;
		}
	}
	pthread_mutex_unlock(&vp->mailbox_lock);
}

int vp_call(struct vp *vp, int (*fn)(struct vp *vp, void *arg), void *arg)
{
	struct vp_mailbox_entry entry = {
		.fn = fn, .arg = arg, .caller = current_vp, .result = -ECANCELED
	};
	sigset_t kick, old;

	if (vp == current_vp)
		return fn(vp, arg);
	/* Blocked while we look, let in while we sleep: a kick between the two is not lost. */
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &kick, &old);
	pthread_mutex_lock(&vp->mailbox_lock);
	entry.next = vp->mailbox;
	vp->mailbox = &entry;
	pthread_mutex_unlock(&vp->mailbox_lock);
	vp_kick(vp);
	while (!atomic_load(&entry.done)) {
		atomic_store(&current_vp->kicked, false);
		serve_mailbox(current_vp);
		if (partition_ended(vp->partition))
			unpost(vp, &entry);
		else if (!atomic_load(&entry.done))
			sigsuspend(&old);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return entry.result;
}

/* --- the thread --- */

/* Whether VTL2's LAPIC holds an interrupt above its processor priority (SDM vol. 3, 11.8.3). */
static bool vtl2_interrupt_pending(struct vp *vp)
{
	struct kvm_lapic_state lapic;
	const uint8_t *regs = (const uint8_t *)lapic.regs;
	uint32_t irr = 0, isr = 0, word, tpr;
	int i;

	if (kvm_ioctl(vp->vcpu[HOST_VTL2].fd, KVM_GET_LAPIC, &lapic))
		return false;
	memcpy(&tpr, regs + LAPIC_TPR, sizeof(tpr));
	for (i = 7; i >= 0; i--) {
		memcpy(&word, regs + LAPIC_IRR + 16 * i, sizeof(word));
		if (word && !irr)
			irr = (uint32_t)i * 32 + 31 - (uint32_t)__builtin_clz(word);
		memcpy(&word, regs + LAPIC_ISR + 16 * i, sizeof(word));
		if (word && !isr)
			isr = (uint32_t)i * 32 + 31 - (uint32_t)__builtin_clz(word);
	}
	return irr >> 4 > (tpr & 0xff) >> 4 && irr >> 4 > isr >> 4;
}

static void service(struct vp *vp)
{
	uint16_t sints;

	vp->vcpu[HOST_VTL0].run->immediate_exit = 0;
	vp->vcpu[HOST_VTL2].run->immediate_exit = 0;
	atomic_store(&vp->kicked, false);
	serve_mailbox(vp);
	stimer_service(vp);
	if (vp->active == HOST_VTL0 && atomic_exchange(&vp->vtl2_irq, false) &&
	    vtl2_interrupt_pending(vp))
		vtl_switch_to_vtl2(vp, NULL);
	if (vp->active != HOST_VTL0)
		return;
	sints = synic_deliverable(&vp->vcpu[HOST_VTL0]);
	if (sints)
		intercept_sints(&vp->vcpu[HOST_VTL0], sints);
}

/* How much VTL2 runs until VTL0's first instruction is worth knowing: docs/testing.md. */
static int run_vcpu(struct vp *vp, struct vcpu *vcpu)
{
	bool booting = vcpu->vtl == HOST_VTL2 && !vp->counters.vtl_switches;
	uint64_t before = booting ? __rdtsc() : 0;
	int err = 0;

	if (booting && !vp->counters.began)
		vp->counters.began = reference_time_now(&vp->partition->time);
	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
		err = errno;
	if (booting)
		vp->counters.boot_ticks += __rdtsc() - before;
	return err;
}

static void run_once(struct vp *vp)
{
	struct vcpu *vcpu = &vp->vcpu[vp->active];
	int err;

	/* KVM_RUN of a vCPU that waited for its SIPI returns 0 and sets no exit reason. */
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	err = run_vcpu(vp, vcpu);
	vp->counters.kvm_exits++;
	if (err == EINTR || err == EAGAIN)
		return;
	if (!err && vcpu->run->exit_reason == KVM_EXIT_INTR)
		return;
	if (vcpu->vtl == HOST_VTL0)
		exit_vtl0(vcpu, err);
	else
		exit_vtl2(vcpu, err);
}

/* Where a VP was when the time was over: all there is to say about a guest that hangs. */
static void log_state(struct vp *vp)
{
	const struct vcpu *vtl0 = &vp->vcpu[HOST_VTL0], *vtl2 = &vp->vcpu[HOST_VTL2];
	uint64_t now = reference_time_now(&vp->partition->time);

	log_info("VP %u at the end: VTL%u; VTL0 at %#llx, flags %#llx; VTL2 at %#llx, flags "
		 "%#llx%s; "
		 "next timer in %lld us; %llu VTL switches, %llu KVM exits",
		 vp->index, vp->active == HOST_VTL0 ? 0u : 2u,
		 (unsigned long long)vcpu_regs(vtl0)->rip,
		 (unsigned long long)vcpu_regs(vtl0)->rflags,
		 (unsigned long long)vcpu_regs(vtl2)->rip,
		 (unsigned long long)vcpu_regs(vtl2)->rflags,
		 vtl2_interrupt_pending(vp) ? ", interrupt pending" : "",
		 vp->next_deadline == UINT64_MAX ? -1ll : (long long)(vp->next_deadline - now) / 10,
		 (unsigned long long)vp->counters.vtl_switches,
		 (unsigned long long)vp->counters.kvm_exits);
}

static void *vp_thread(void *arg)
{
	struct vp *vp = arg;
	struct sigevent kick = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = KICK_SIGNAL,
	};

	current_vp = vp;
	atomic_store(&vp->tid, gettid());
	kick.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &kick, &vp->timer) < 0) {
		partition_end(vp->partition, RUN_FAILURE, "timer_create: %s", strerror(errno));
		return NULL;
	}
	/* Asked after service(), like all that a kick may be about: it takes the kick's flag back. */
	for (;;) {
		service(vp);
		if (partition_ended(vp->partition))
			break;
		run_once(vp);
	}
	serve_mailbox(vp);
	timer_delete(vp->timer);
	if (atomic_load(&vp->partition->outcome) == RUN_TIMEOUT)
		log_state(vp);
	return NULL;
}

int vp_start_thread(struct vp *vp)
{
	struct sigaction action = { .sa_sigaction = on_kick, .sa_flags = SA_SIGINFO };
	int ret;

	sigaction(KICK_SIGNAL, &action, NULL);
	ret = pthread_create(&vp->thread, NULL, vp_thread, vp);
	if (ret)
		return -ret;
	vp->thread_started = true;
	return 0;
}
