#include "tests/unit/host/fake_partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_port.h"
#include "host/level_routes.h"
#include "host/vmbus.h"
#include "host/vpci.h"
#include "host/vp.h"

struct fake_interrupts fake_interrupts;
struct fake_messages fake_messages;
struct retarget fake_retarget;
struct fake_kvm fake_kvm;
enum run_outcome fake_outcome;

static uint64_t tsc_offset;

/* --- kvm.c --- */

/* One MSR at a time. VTL2's vCPUs have no descriptor; MSRs that are not here read as they were. */
static int access_msr(int fd, struct kvm_msrs *msrs, bool set)
{
	struct kvm_msr_entry *msr = &msrs->entries[0];
	uint64_t *stimer = NULL;

	if (fd >= 0 && fd < FAKE_KVM_VPS && msr->index >= HV_X64_MSR_STIMER0_CONFIG &&
	    msr->index <= HV_X64_MSR_STIMER3_COUNT)
		stimer = &fake_kvm.stimers[fd][msr->index - HV_X64_MSR_STIMER0_CONFIG];
	if (stimer && set)
		*stimer = msr->data;
	else if (stimer)
		msr->data = *stimer;
	if (fd >= 0 && msr->index == HV_X64_MSR_TIME_REF_COUNT && fake_kvm.clock)
		msr->data =
			reference_time_now(&(struct reference_time){
				.tsc_offset = tsc_offset, .scale = fake_kvm.clock->tsc_scale }) +
			fake_kvm.skew;
	return 1;
}

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return access_msr(fd, arg, request == KVM_SET_MSRS);
	case KVM_ENABLE_CAP:
		return fake_kvm.refuses;
	default:
		return 0;
	}
}

int kvm_add_rom(int vm, uint32_t slot, uint64_t gpa, uint64_t len, void *host)
{
	(void)vm;
	(void)slot;
	(void)gpa;
	(void)len;
	fake_kvm.clock = host;
	return 0;
}

int kvm_let_stimer_counts(int vm, unsigned int stimers)
{
	(void)vm;
	fake_kvm.without_exits = stimers;
	return 0;
}

int kvm_signal_msi(int vm, uint32_t address, uint32_t data)
{
	(void)vm;
	fake_interrupts.msi_address = address;
	fake_interrupts.msi_data = data;
	return 1;
}

/* --- vp.c --- */

struct vp *vp_find(struct partition *partition, uint32_t index)
{
	return index < partition->vp_count ? &partition->vps[index] : NULL;
}

int vp_call(struct vp *vp, int (*fn)(struct vp *vp, void *arg), void *arg)
{
	return fn(vp, arg);
}

void vp_interrupt(struct vp *vp, enum host_vtl vtl, uint8_t vector)
{
	fake_interrupts.count++;
	fake_interrupts.vp = vp->index;
	fake_interrupts.vtl = vtl;
	fake_interrupts.vector = vector;
}

void vcpu_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code)
{
	struct kvm_vcpu_events *events = vcpu_write_events(vcpu);

	events->exception.injected = 1;
	events->exception.nr = vector;
	events->exception.has_error_code = error_code >= 0;
}

/* --- partition.c, ports --- */

int partition_add_memory(struct partition *partition, uint64_t gpa, uint64_t len)
{
	return host_memory_add(&partition->memory, gpa, len);
}

void partition_end(struct partition *partition, enum run_outcome outcome, const char *fmt, ...)
{
	(void)partition;
	(void)fmt;
	fake_outcome = outcome;
}

int host_port_message(struct host_port *port, uint32_t type, const uint8_t *payload, size_t len)
{
	(void)port;
	(void)type;
	(void)payload;
	(void)len;
	fake_messages.host_port++;
	return 0;
}

int host_vmbus_message(struct host_vmbus *vmbus, uint32_t connection, uint32_t type,
		       const void *payload, size_t len)
{
	(void)vmbus;
	(void)type;
	(void)payload;
	(void)len;
	fake_messages.vmbus++;
	return connection == 4 ? 0 : -ENOENT;
}

int host_vmbus_signal(struct host_vmbus *vmbus, uint32_t connection, uint16_t flag)
{
	(void)vmbus;
	(void)connection;
	(void)flag;
	fake_messages.signals++;
	return -ENOENT;
}

void host_vmbus_message_slot_free(struct host_vmbus *vmbus)
{
	(void)vmbus;
	fake_messages.slots_freed++;
}

int host_vpci_retarget(struct host_vpci *vpci, const struct retarget *retarget)
{
	(void)vpci;
	fake_retarget = *retarget;
	return retarget->data == FAKE_MSI_DATA ? 0 : -ENOENT;
}

/* --- the partition --- */

static void create_vcpu(struct vp *vp, enum host_vtl vtl)
{
	struct vcpu *vcpu = &vp->vcpu[vtl];

	vcpu->vp = vp;
	vcpu->vtl = vtl;
	vcpu->view = vtl == HOST_VTL0 ? HOST_VIEW_VTL0 : HOST_VIEW_VTL2;
	vcpu->fd = vtl == HOST_VTL0 ? (int)vp->index : -1;
	vcpu->run = calloc(1, sizeof(*vcpu->run));
	if (!vcpu->run)
		abort();
	vcpu->run->s.regs.sregs.cr0 = 1;
	vcpu->run->s.regs.sregs.efer = 0x500;
	vcpu->run->s.regs.sregs.cs.l = 1;
	synic_init(&vcpu->synic);
}

struct partition *fake_partition_create(unsigned int vps)
{
	struct partition *partition = calloc(1, sizeof(*partition));
	unsigned int i;

	if (!partition || host_memory_init(&partition->memory, FAKE_VTL0_MEMORY, FAKE_VTL2_MEMORY))
		abort();
	pthread_mutex_init(&partition->lock, NULL);
	reference_time_init(&partition->time, 2000000);
	tsc_offset = partition->time.tsc_offset;
	partition->routes = level_routes_create();
	partition->vps = calloc(vps, sizeof(*partition->vps));
	if (!partition->routes || !partition->vps)
		abort();
	partition->vp_count = vps;
	for (i = 0; i < vps; i++) {
		partition->vps[i].partition = partition;
		partition->vps[i].index = i;
		create_vcpu(&partition->vps[i], HOST_VTL0);
		create_vcpu(&partition->vps[i], HOST_VTL2);
	}
	memset(&fake_interrupts, 0, sizeof(fake_interrupts));
	memset(&fake_kvm, 0, sizeof(fake_kvm));
	memset(&fake_messages, 0, sizeof(fake_messages));
	fake_outcome = RUN_GOING;
	return partition;
}

void fake_partition_destroy(struct partition *partition)
{
	unsigned int i, vtl;

	for (i = 0; i < partition->vp_count; i++) {
		for (vtl = 0; vtl < HOST_VTL_COUNT; vtl++) {
			synic_destroy(&partition->vps[i].vcpu[vtl].synic);
			free(partition->vps[i].vcpu[vtl].run);
		}
	}
	free(partition->vtl[HOST_VTL0].under_hypercall_page);
	free(partition->vtl[HOST_VTL2].under_hypercall_page);
	level_routes_destroy(partition->routes);
	host_memory_destroy(&partition->memory);
	pthread_mutex_destroy(&partition->lock);
	free(partition->vps);
	free(partition);
}
