#include "host/partition.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"
#include "host/igvm_loader.h"
#include "host/level_routes.h"
#include "host/vp.h"
#include "host/vtl2_uart.h"

/* VTL0's slots cover all of its address space, holes included, but for the LAPIC's page. */
static int add_vtl0_memory(struct partition *partition)
{
	struct host_memory *memory = &partition->memory;
	uint8_t *view = memory->view[HOST_VIEW_VTL0];
	uint64_t after = HOST_LAPIC_BASE + HOST_PAGE_SIZE;
	int vm = partition->vtl[HOST_VTL0].vm;
	int ret = kvm_add_memory(vm, 0, 0, HOST_LAPIC_BASE, view);

	return ret ? ret : kvm_add_memory(vm, 1, after, memory->space_end - after, view + after);
}

/* VTL2's have a slot for each range. */
static int add_vtl2_slot(struct partition *partition, unsigned int i)
{
	const struct host_memory *memory = &partition->memory;

	return kvm_add_memory(partition->vtl[HOST_VTL2].vm, i, memory->ranges[i].gpa,
			      memory->ranges[i].len,
			      memory->view[HOST_VIEW_VTL2] + memory->ranges[i].gpa);
}

static int add_vtl2_memory(struct partition *partition)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < partition->memory.range_count && !ret; i++)
		ret = add_vtl2_slot(partition, i);
	return ret;
}

int partition_add_memory(struct partition *partition, uint64_t gpa, uint64_t len)
{
	int ret = host_memory_add(&partition->memory, gpa, len);

	return ret ? ret : add_vtl2_slot(partition, partition->memory.range_count - 1);
}

static int create_vms(struct partition *partition)
{
	unsigned int vtl;
	int ret;

	for (vtl = 0; vtl < HOST_VTL_COUNT; vtl++) {
		partition->vtl[vtl].vm = vtl == HOST_VTL2
						 ? kvm_create_vm_sharing_mtrrs(partition->kvm)
						 : kvm_create_vm(partition->kvm);
		if (partition->vtl[vtl].vm < 0)
			return partition->vtl[vtl].vm;
	}
	ret = add_vtl0_memory(partition);
	return ret ? ret : add_vtl2_memory(partition);
}

/* KVM knows the TSC's frequency by vCPU only: ask a throw-away VM's. */
static int tsc_khz(const struct kvm *kvm)
{
	int vm = kvm_create_vm(kvm), vcpu, khz = -ENODEV;
	struct kvm_run *run;

	if (vm < 0)
		return vm;
	vcpu = kvm_create_vcpu(kvm, vm, 0, &run);
	if (vcpu >= 0) {
		khz = kvm_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL);
		munmap(run, kvm->run_size); /* it would keep the whole VM */
		close(vcpu);
	}
	close(vm);
	return khz > 0 ? khz : -ENODEV;
}

static int create_vps(struct partition *partition)
{
	unsigned int i;
	int ret;

	partition->vps = calloc(partition->options->cpus, sizeof(*partition->vps));
	if (!partition->vps)
		return -ENOMEM;
	partition->vp_count = partition->options->cpus;
	for (i = 0; i < partition->vp_count; i++) {
		ret = vp_create(&partition->vps[i], partition, i);
		if (ret)
			return ret;
	}
	return 0;
}

int partition_create(struct partition *partition, struct kvm *kvm, const struct options *options)
{
	int ret, khz;

	memset(partition, 0, sizeof(*partition));
	partition->kvm = kvm;
	partition->options = options;
	partition->memory.fd = partition->ended_fd = -1;
	partition->vtl[HOST_VTL0].vm = partition->vtl[HOST_VTL2].vm = -1;
	pthread_mutex_init(&partition->lock, NULL);
	atomic_init(&partition->outcome, RUN_GOING);
	ret = host_memory_init(&partition->memory, options->memory, options->vtl2_memory);
	if (ret) {
		log_error("cannot reserve the guest's memory: %s", strerror(-ret));
		goto destroy;
	}
	partition->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	partition->routes = level_routes_create();
	partition->uart = vtl2_uart_create();
	if (partition->ended_fd < 0 || !partition->routes || !partition->uart) {
		ret = -ENOMEM;
		goto log_failure;
	}
	ret = khz = tsc_khz(kvm);
	if (khz < 0)
		goto log_failure;
	reference_time_init(&partition->time, (uint64_t)khz);
	ret = create_vms(partition);
	if (!ret)
		ret = create_vps(partition);
	if (ret)
		goto log_failure;
	stimer_kvm_init(partition);
	ret = igvm_loader_load(partition);
	if (ret)
		goto destroy;
	return 0;

log_failure:
	log_error("cannot create the virtual machine: %s", strerror(-ret));
destroy:
	partition_destroy(partition);
	return ret;
}

int partition_start(struct partition *partition)
{
	unsigned int i;
	int ret;

	for (i = 0; i < partition->vp_count; i++) {
		ret = vp_start_thread(&partition->vps[i]);
		if (ret) {
			partition_end(partition, RUN_FAILURE, "cannot start a thread: %s",
				      strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static void log_counters(const struct vp *vp)
{
	log_info(
		"VP %u: %llu KVM exits, %llu VTL returns, VTL2 entered by %llu intercepts and %llu "
		"interrupts, %llu register writes of VTL0 without it",
		vp->index, (unsigned long long)vp->counters.kvm_exits,
		(unsigned long long)vp->counters.vtl_switches,
		(unsigned long long)vp->counters.intercepts,
		(unsigned long long)vp->counters.interrupts,
		(unsigned long long)vp->counters.direct);
}

static void free_vtl(struct partition_vtl *vtl)
{
	free(vtl->under_hypercall_page);
	if (vtl->vm >= 0)
		close(vtl->vm);
}

void partition_stop(struct partition *partition)
{
	unsigned int i;

	partition_end(partition, RUN_QUIT, "torn down");
	for (i = 0; i < partition->vp_count; i++) {
		if (partition->vps[i].thread_started)
			pthread_join(partition->vps[i].thread, NULL);
		partition->vps[i].thread_started = false;
	}
}

void partition_destroy(struct partition *partition)
{
	unsigned int i;

	partition_stop(partition);
	for (i = 0; i < partition->vp_count; i++)
		log_counters(&partition->vps[i]);
	for (i = 0; i < partition->vp_count; i++)
		vp_destroy(&partition->vps[i]);
	free(partition->vps);
	free_vtl(&partition->vtl[HOST_VTL0]);
	free_vtl(&partition->vtl[HOST_VTL2]);
	stimer_kvm_destroy(partition);
	level_routes_destroy(partition->routes);
	vtl2_uart_destroy(partition->uart);
	if (partition->ended_fd >= 0)
		close(partition->ended_fd);
	if (partition->memory.fd >= 0)
		host_memory_destroy(&partition->memory);
	pthread_mutex_destroy(&partition->lock);
}

void partition_end(struct partition *partition, enum run_outcome outcome, const char *fmt, ...)
{
	uint64_t one = 1;
	unsigned int i;
	va_list args;

	pthread_mutex_lock(&partition->lock);
	if (!partition_ended(partition)) {
		va_start(args, fmt);
		vsnprintf(partition->reason, sizeof(partition->reason), fmt, args);
		va_end(args);
		atomic_store(&partition->outcome, outcome);
	}
	pthread_mutex_unlock(&partition->lock);
	for (i = 0; i < partition->vp_count; i++)
		vp_kick(&partition->vps[i]);
	if (partition->ended_fd >= 0 && write(partition->ended_fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable anyway */
}
