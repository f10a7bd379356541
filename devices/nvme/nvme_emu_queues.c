#include "core/guest_memory.h"
#include "devices/nvme/nvme_emu_internal.h"
#include "devices/pci/pci_msix.h"

/* Admin commands that make and end I/O queues (5.3 to 5.7). */

#define DNR NVME_STATUS_DNR

#define QUEUE_ID(sqe)      ((sqe)->cdw10 & 0xFFFF)
#define QUEUE_ENTRIES(sqe) (((sqe)->cdw10 >> 16) + 1)
#define CQ_VECTOR(sqe)     ((sqe)->cdw11 >> 16)
#define SQ_CQID(sqe)       ((sqe)->cdw11 >> 16)

static void doorbells_changed(struct nvme_emu *emu)
{
	if (__atomic_load_n(&emu->eventfds, __ATOMIC_RELAXED) && emu->function.doorbells_changed)
		emu->function.doorbells_changed(&emu->function, emu->function.doorbells_ctx);
}

/* What both kinds have in common. `entry_log2` from CC; it must be the one that there is. */
static uint16_t check_queue(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t limit,
			    unsigned int granted, unsigned int entry_log2, unsigned int expected,
			    uint8_t **ring)
{
	if (!QUEUE_ID(sqe) || QUEUE_ID(sqe) > granted || limit)
		return NVME_SC_INVALID_QID | DNR;
	if (QUEUE_ENTRIES(sqe) < 2 || QUEUE_ENTRIES(sqe) > NVME_EMU_MAX_ENTRIES)
		return NVME_SC_INVALID_QUEUE_SIZE | DNR;
	if (!(sqe->cdw11 & NVME_QUEUE_CONTIGUOUS) || entry_log2 != expected)
		return NVME_SC_INVALID_FIELD | DNR;
	if (sqe->prp1 & (NVME_PAGE_SIZE - 1))
		return NVME_SC_PRP_INVALID_OFFSET | DNR;
	*ring = guest_memory_bulk(emu->function.bus.memory, sqe->prp1,
				  (uint64_t)QUEUE_ENTRIES(sqe) << expected);
	return *ring ? 0 : NVME_SC_DATA_TRANSFER_ERROR | DNR;
}

static uint32_t configuration(struct nvme_emu *emu)
{
	uint32_t cc;

	pthread_mutex_lock(&emu->lock);
	cc = emu->cc;
	pthread_mutex_unlock(&emu->lock);
	return cc;
}

uint16_t nvme_emu_create_cq(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	unsigned int id = QUEUE_ID(sqe);
	uint32_t limit = id <= NVME_EMU_MAX_IO_QUEUES ? emu->cqs[id].limit : 0;
	uint16_t status;
	uint8_t *ring;

	status = check_queue(emu, sqe, limit, emu->admin.cq_granted,
			     NVME_CC_IOCQES(configuration(emu)), NVME_CQE_SIZE_LOG2, &ring);
	if (status)
		return status;
	if (CQ_VECTOR(sqe) >= pci_msix_vectors(emu->msix))
		return NVME_SC_INVALID_VECTOR | DNR;
	nvme_emu_start_cq(emu, (uint16_t)id, ring, QUEUE_ENTRIES(sqe), (uint16_t)CQ_VECTOR(sqe),
			  sqe->cdw11 & NVME_CQ_INTERRUPT);
	doorbells_changed(emu);
	return 0;
}

uint16_t nvme_emu_create_sq(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	unsigned int id = QUEUE_ID(sqe), cq = SQ_CQID(sqe);
	uint32_t limit = id <= NVME_EMU_MAX_IO_QUEUES ? emu->sqs[id].limit : 0;
	uint16_t status;
	uint8_t *ring;

	if (!cq || cq > emu->admin.cq_granted)
		return NVME_SC_INVALID_QID | DNR;
	if (!emu->cqs[cq].limit)
		return NVME_SC_INVALID_CQ | DNR;
	status = check_queue(emu, sqe, limit, emu->admin.sq_granted,
			     NVME_CC_IOSQES(configuration(emu)), NVME_SQE_SIZE_LOG2, &ring);
	if (status)
		return status;
	nvme_emu_start_sq(emu, (uint16_t)id, (uint16_t)cq, ring, QUEUE_ENTRIES(sqe));
	doorbells_changed(emu);
	return 0;
}

uint16_t nvme_emu_delete_cq(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	unsigned int id = QUEUE_ID(sqe);

	if (!id || id > NVME_EMU_MAX_IO_QUEUES || !emu->cqs[id].limit)
		return NVME_SC_INVALID_QID | DNR;
	if (emu->cqs[id].users)
		return NVME_SC_INVALID_QUEUE_DELETION | DNR;
	nvme_emu_stop_cq(emu, (uint16_t)id);
	doorbells_changed(emu);
	return 0;
}

uint16_t nvme_emu_delete_sq(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	unsigned int id = QUEUE_ID(sqe);

	if (!id || id > NVME_EMU_MAX_IO_QUEUES || !emu->sqs[id].limit)
		return NVME_SC_INVALID_QID | DNR;
	nvme_emu_stop_sq(emu, (uint16_t)id);
	doorbells_changed(emu);
	return 0;
}

/* 5.7: one page of doorbell values from the driver, one of when to ring, for it. */
uint16_t nvme_emu_doorbell_buffers(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	const struct guest_memory *memory = emu->function.bus.memory;
	void *shadow = guest_memory_bulk(memory, sqe->prp1, NVME_PAGE_SIZE);
	void *event = guest_memory_bulk(memory, sqe->prp2, NVME_PAGE_SIZE);

	if (emu->config.no_shadow_doorbells)
		return NVME_SC_INVALID_OPCODE | DNR;
	if ((sqe->prp1 | sqe->prp2) & (NVME_PAGE_SIZE - 1))
		return NVME_SC_PRP_INVALID_OFFSET | DNR;
	if (!shadow || !event)
		return NVME_SC_DATA_TRANSFER_ERROR | DNR;
	emu->admin.shadow = shadow;
	emu->admin.event = event;
	nvme_emu_set_shadows(emu);
	__atomic_store_n(&emu->eventfds, emu->config.workers != 0, __ATOMIC_RELEASE);
	doorbells_changed(emu);
	nvme_emu_wake_all(emu);
	return 0;
}
