/*
 * VTL0's and VTL2's hypercalls into vtlhost: random control words and registers, with the input page
 * filled from what the fuzzer gives. Whatever a call says, it must not write VTL2's memory for VTL0.
 */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "host/hypercall.h"
#include "host/vp.h"
#include "tests/unit/host/fake_partition.h"

#define INPUT  0x10000
#define OUTPUT 0x12000

struct call {
	uint64_t control, rdx, r8;
	uint8_t vtl2, place, mode, reserved[5];
};

static void check_untouched(const struct partition *partition)
{
	const uint8_t *base = partition->memory.view[HOST_VIEW_VTL2] + partition->memory.vtl2_base;
	unsigned int i;

	for (i = 0; i < HV_PAGE_SIZE; i++)
		if (base[i] != 0x5a)
			abort();
}

static void make_call(struct partition *partition, const struct call *call)
{
	struct vcpu *vcpu = &partition->vps[0].vcpu[call->vtl2 & 1];
	struct kvm_regs *regs = vcpu_write_regs(vcpu);

	/* Mostly aligned and in place, so that the handlers are reached. */
	regs->rcx = call->control;
	regs->rdx = call->place & 1 ? call->rdx : INPUT + (call->rdx & 0xff8);
	regs->r8 = call->place & 2 ? call->r8 : OUTPUT + (call->r8 & 0xff8);
	if (call->place & 4)
		regs->rdx = partition->memory.vtl2_base;
	if (call->place & 8)
		regs->r8 = partition->memory.vtl2_base;
	regs->rax = call->control;
	vcpu->run->s.regs.sregs.efer = call->mode & 1 ? 0 : 0x500;
	hypercall_dispatch(vcpu);
}

static void drop(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	(void)level;
	(void)line;
	(void)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct log_sink sink = { drop, NULL };
	struct partition *partition = fake_partition_create(2);
	uint8_t *pages = host_memory_pointer(&partition->memory, INPUT, 2 * HV_PAGE_SIZE);
	struct call call;
	unsigned int n;

	log_set_sink(&sink);
	memset(partition->memory.view[HOST_VIEW_VTL2] + partition->memory.vtl2_base, 0x5a,
	       HV_PAGE_SIZE);
	for (n = 0; n < 8 && len >= sizeof(call); n++) {
		memcpy(&call, data, sizeof(call));
		data += sizeof(call);
		len -= sizeof(call);
		memcpy(pages + (call.rdx & 0xff8), data, len < 256 ? len : 256);
		make_call(partition, &call);
		if (!(call.vtl2 & 1))
			check_untouched(partition);
		else
			memset(partition->memory.view[HOST_VIEW_VTL2] + partition->memory.vtl2_base,
			       0x5a, HV_PAGE_SIZE);
	}
	fake_partition_destroy(partition);
	return 0;
}
