#ifndef DEVICES_NVME_NVME_EMU_FAULT_H
#define DEVICES_NVME_NVME_EMU_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* Misbehaviour on demand, for tests of drivers: what a controller may do that breaks. */

struct nvme_emu;

enum nvme_emu_fault_kind {
	NVME_EMU_FAULT_STALL, /* a command is taken and not answered, until aborted or a reset */
	NVME_EMU_FAULT_FATAL, /* CSTS.CFS; nothing is answered any more, until a reset */
	NVME_EMU_FAULT_INTERRUPT, /* it is answered without an interrupt */
	NVME_EMU_FAULT_STATUS,    /* it is not done, and answered with `status` */
	NVME_EMU_FAULT_DELAY,     /* it is done, and answered `delay_ms` later */
	NVME_EMU_FAULT_BOGUS,     /* an answer to a command that there is not, then the right one */
	NVME_EMU_FAULT_DUPLICATE, /* the answer comes twice */
	NVME_EMU_FAULT_REMOVE,    /* namespace `nsid` goes, then it is done */
	NVME_EMU_FAULT_RESIZE,    /* namespace `nsid` has `bytes` bytes, then it is done */
};

enum nvme_emu_fault_queue {
	NVME_EMU_FAULT_IO,
	NVME_EMU_FAULT_ADMIN,
	NVME_EMU_FAULT_ANY,
};

struct nvme_emu_fault {
	enum nvme_emu_fault_kind kind;
	enum nvme_emu_fault_queue queue; /* which commands count */
	int opcode;                      /* only those; -1: all */
	uint64_t after;                  /* so many pass first */
	uint64_t count;                  /* so many are hit then; 0: all */
	uint16_t status;                 /* without the phase tag, with DNR where wanted */
	uint32_t delay_ms;
	uint32_t nsid;
	uint64_t bytes;
};

#define NVME_EMU_MAX_FAULTS 8u

/* From the next command on; faults add up, the first that hits a command has it. 0, -ENOSPC. */
int nvme_emu_inject(struct nvme_emu *emu, const struct nvme_emu_fault *fault);

/* Commands that were taken and not answered stay so. */
void nvme_emu_clear_faults(struct nvme_emu *emu);

/* Commands that faults have hit so far. */
uint64_t nvme_emu_fault_hits(struct nvme_emu *emu);

/*
 * Text to fault: KIND[,KEY=VALUE]... (or with colons), numbers as strtoull() takes them. Kinds: stall fatal interrupt
 * status delay bogus duplicate remove resize. Keys: queue (io, admin, any), opcode, after, count,
 * status, ms, nsid, bytes. "status,status=0x281,after=100,count=1". 0 or -EINVAL.
 */
int nvme_emu_fault_parse(const char *text, struct nvme_emu_fault *fault);

#endif
