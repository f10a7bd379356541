#ifndef HOST_PARTITION_H
#define HOST_PARTITION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "host/kvm.h"
#include "host/memory.h"
#include "host/options.h"
#include "host/reference_time.h"
#include "host/stimer.h"
#include "host/stimer_kvm.h"
#include "host/synic.h"
#include "proto/hv.h"

/*
 * The state of one partition: two VMs (one per VTL) over one memory, and its virtual processors.
 *
 * Threads: each VP has a thread, which owns everything in struct vp and struct vcpu but for what is
 * marked otherwise. Other threads reach a VP by atomics and a kick (vp.h), by its SynIC's own lock,
 * or by a call that its thread executes (vp_call()).
 */

enum host_vtl {
	HOST_VTL0,
	HOST_VTL2,
	HOST_VTL_COUNT
};

struct partition;
struct vp;

/* One VTL of one VP. */
struct vcpu {
	struct vp *vp;
	enum host_vtl vtl;
	enum host_view view;
	int fd;
	struct kvm_run *run; /* its sync regs are the registers while the vCPU does not run */
	uint64_t vp_assist;  /* HV_X64_MSR_VP_ASSIST_PAGE */
	struct synic synic;
	struct stimer stimers[HV_SYNIC_STIMER_COUNT];
};

struct vp_mailbox_entry;

struct vp {
	struct partition *partition;
	uint32_t index; /* and APIC id */
	pthread_t thread;
	bool thread_started;
	_Atomic pid_t tid; /* of the thread, 0 before it runs */
	struct vcpu vcpu[HOST_VTL_COUNT];
	_Atomic(enum host_vtl) active;
	uint64_t register_page;     /* HV_X64_REGISTER_REG_PAGE of VTL0, written by VTL2 */
	atomic_bool timers_changed; /* or the alarm went off */
	uint64_t next_deadline;     /* of any stimer, reference time */
	timer_t timer;              /* kicks this thread at the next stimer deadline */
	uint8_t fx[512];            /* x87 and SSE state as VTLs last shared it, FXSAVE format */
	bool fx_shared; /* VTL2 was entered with VTL0's, and returns with what becomes VTL0's */
	bool fx_apart;  /* VTL2's own need not be `fx` */

	atomic_bool kicked;
	atomic_bool vtl2_irq;     /* VTL2's LAPIC may hold a deliverable interrupt */
	atomic_bool vtl2_started; /* HvCallStartVirtualProcessor was made, or VP 0 */

	pthread_mutex_t mailbox_lock;
	struct vp_mailbox_entry *mailbox;

	unsigned int unexplained_faults; /* in a row: see exit.c */
	bool pending_out; /* VTL0's last exit was a hypercall that KVM has not completed */
	uint64_t pending_out_rip;
	struct {
		uint64_t vtl_switches, intercepts, interrupts, kvm_exits, direct;
		uint64_t began; /* reference time of VTL2's first run */
		uint64_t
			boot_ticks; /* of the TSC, in KVM_RUN of VTL2 before the first VTL return */
	} counters;
};

/* Per VTL of the partition; the MSRs are written by any VP under partition.lock. */
struct partition_vtl {
	int vm;
	uint64_t guest_os_id;
	uint64_t hypercall;            /* HV_X64_MSR_HYPERCALL */
	uint8_t *under_hypercall_page; /* what the overlay hides, one page */
	uint64_t reference_tsc;
	uint64_t crash[5];
};

/*
 * What VTL2 asked to see of VTL0 by HvCallInstallIntercept. Set by any VTL2 VP, read by all: bytes
 * and flags of their own, so that a race means "a moment earlier or later" and nothing else.
 */
struct installed_intercepts {
	uint8_t ports[65536 / 8][2]; /* a bit a port; [0]: reads, [1]: writes */
	atomic_bool msrs;            /* those that nobody else knows */
	atomic_bool connections;     /* messages and events to unknown connections */
	atomic_bool eoi;
	atomic_bool retargets; /* of interrupts of functions that nobody else knows */
};

/* How a run ended. */
enum run_outcome {
	RUN_GOING,
	RUN_POWER_OFF,
	RUN_RESET,
	RUN_GUEST_CRASH,
	RUN_VTL2_CRASH,
	RUN_FAILURE, /* of the paravisor, or of KVM */
	RUN_TIMEOUT,
	RUN_QUIT, /* the user's wish */
};

struct host_port;
struct vtl2_uart;
struct level_routes;
struct host_vmbus;
struct host_vpci;
struct host_devices;

struct partition {
	const struct options *options;
	struct kvm *kvm;
	struct host_memory memory;
	struct reference_time time;
	struct stimer_kvm stimer_kvm;
	struct partition_vtl vtl[HOST_VTL_COUNT];
	struct installed_intercepts intercepts;
	uint64_t vsm_config; /* HV_REGISTER_VSM_PARTITION_CONFIG */
	struct vp *vps;
	unsigned int vp_count;

	pthread_mutex_t lock;
	struct level_routes *routes;
	struct host_port *port;
	struct vtl2_uart *uart;
	struct host_vmbus *vmbus;
	struct host_vpci *vpci;
	struct host_devices *devices;

	/* The first outcome stands; ended_fd (an eventfd) tells the main thread. */
	atomic_int outcome;
	char reason[240];
	int ended_fd;
};

/* Creates memory, VMs and vCPUs; no thread runs yet. On failure logs one line. 0 or -errno. */
int partition_create(struct partition *partition, struct kvm *kvm, const struct options *options);

/* RAM of VTL0's besides what the options ask for, as host_memory_add(). Before VPs run. 0 or -errno. */
int partition_add_memory(struct partition *partition, uint64_t gpa, uint64_t len);

/* Starts the VP threads. */
int partition_start(struct partition *partition);

/* Stops and joins every VP thread: what they call may go then. */
void partition_stop(struct partition *partition);

/* The same, then frees everything. */
void partition_destroy(struct partition *partition);

/* Records how the run ended, unless it has ended before, and stops it. Any thread. */
void partition_end(struct partition *partition, enum run_outcome outcome, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static inline bool partition_ended(struct partition *partition)
{
	return atomic_load_explicit(&partition->outcome, memory_order_relaxed) != RUN_GOING;
}

#endif
