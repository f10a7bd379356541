#include <string.h>

#include "core/bytes.h"
#include "core/guest_memory.h"
#include "devices/nvme/nvme_emu_internal.h"

/* Time for CSTS.RDY to follow CC.EN: what may be under way then is one transfer a lane. */
#define READY_TIMEOUT 20ull /* of 500 ms */

#define CAPABILITIES                                                                      \
	((NVME_EMU_MAX_ENTRIES - 1) | NVME_CAP_CQR | READY_TIMEOUT << NVME_CAP_TO_SHIFT | \
	 NVME_CAP_CSS_NVM)

#define PAGE_OFFSET_MASK (NVME_PAGE_SIZE - 1ull)

/* --- Reads */

static uint32_t read_locked(const struct nvme_emu *emu, uint64_t offset)
{
	switch (offset) {
	case NVME_REG_CAP:
		return (uint32_t)CAPABILITIES;
	case NVME_REG_CAP + 4:
		return (uint32_t)(CAPABILITIES >> 32);
	case NVME_REG_VS:
		return NVME_VS_1_4;
	case NVME_REG_CC:
		return emu->cc;
	case NVME_REG_CSTS:
		return emu->csts;
	case NVME_REG_AQA:
		return emu->aqa;
	case NVME_REG_ASQ:
		return (uint32_t)emu->asq;
	case NVME_REG_ASQ + 4:
		return (uint32_t)(emu->asq >> 32);
	case NVME_REG_ACQ:
		return (uint32_t)emu->acq;
	case NVME_REG_ACQ + 4:
		return (uint32_t)(emu->acq >> 32);
	default:
		return 0; /* reserved, optional, or a doorbell */
	}
}

static uint32_t read_register(struct nvme_emu *emu, uint64_t offset)
{
	uint32_t value;

	pthread_mutex_lock(&emu->lock);
	value = read_locked(emu, offset);
	pthread_mutex_unlock(&emu->lock);
	return value;
}

uint64_t nvme_emu_register_read(struct nvme_emu *emu, uint64_t offset, unsigned int size)
{
	uint64_t value = read_register(emu, offset & ~3ull);

	if (size == 8 && offset % 4 == 0)
		return value | (uint64_t)read_register(emu, offset + 4) << 32;
	return value >> (offset & 3) * 8 & bytes_mask(size);
}

/* --- Configuration (3.1.5) */

static void write_configuration(struct nvme_emu *emu, uint32_t value)
{
	uint32_t old = emu->cc;

	emu->cc = value;
	if (old & NVME_CC_EN && !(value & NVME_CC_EN))
		emu->disable = true;
	if (value & NVME_CC_SHN_MASK && !(old & NVME_CC_SHN_MASK)) {
		emu->csts = (emu->csts & ~NVME_CSTS_SHST_MASK) | NVME_CSTS_SHST_OCCURING;
		emu->shutdown = true;
	}
}

/* True when lane 0 has to look. With the lock. */
static bool write_locked(struct nvme_emu *emu, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case NVME_REG_CC:
		write_configuration(emu, value);
		return true;
	case NVME_REG_AQA:
		emu->aqa = value & 0x0FFF0FFF;
		break;
	case NVME_REG_ASQ:
		emu->asq = (emu->asq & ~0xFFFFFFFFull) | (value & ~(uint32_t)PAGE_OFFSET_MASK);
		break;
	case NVME_REG_ASQ + 4:
		emu->asq = (uint32_t)emu->asq | (uint64_t)value << 32;
		break;
	case NVME_REG_ACQ:
		emu->acq = (emu->acq & ~0xFFFFFFFFull) | (value & ~(uint32_t)PAGE_OFFSET_MASK);
		break;
	case NVME_REG_ACQ + 4:
		emu->acq = (uint32_t)emu->acq | (uint64_t)value << 32;
		break;
	}
	return false;
}

/* --- Doorbells (3.1.24, 3.1.25): any number of threads at once, no lock */

static void ring_sq(struct nvme_emu *emu, struct nvme_emu_sq *sq, uint32_t value)
{
	uint32_t limit = __atomic_load_n(&sq->limit, __ATOMIC_ACQUIRE);

	if (!limit) {
		nvme_emu_event(emu, NVME_EMU_EVENT_DOORBELL_REGISTER);
	} else if (value >= limit) {
		nvme_emu_event(emu, NVME_EMU_EVENT_DOORBELL_VALUE);
	} else {
		__atomic_store_n(&sq->tail, value, __ATOMIC_SEQ_CST);
		nvme_emu_wake(sq->lane);
	}
}

/* The driver can free no more entries than there are. */
static bool head_valid(const struct nvme_emu_cq *cq, uint32_t limit, uint32_t value)
{
	uint32_t head = __atomic_load_n(&cq->head, __ATOMIC_RELAXED);
	uint32_t tail = __atomic_load_n(&cq->tail, __ATOMIC_ACQUIRE);

	return value < limit && (value + limit - head) % limit <= (tail + limit - head) % limit;
}

static void ring_cq(struct nvme_emu *emu, struct nvme_emu_cq *cq, uint32_t value)
{
	uint32_t limit = __atomic_load_n(&cq->limit, __ATOMIC_ACQUIRE);

	if (!limit) {
		nvme_emu_event(emu, NVME_EMU_EVENT_DOORBELL_REGISTER);
		return;
	}
	if (!head_valid(cq, limit, value)) {
		nvme_emu_event(emu, NVME_EMU_EVENT_DOORBELL_VALUE);
		return;
	}
	__atomic_store_n(&cq->head, value, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&cq->stalled, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&cq->stalled, false, __ATOMIC_SEQ_CST);
		nvme_emu_wake(cq->lane);
	}
}

static void ring_doorbell(struct nvme_emu *emu, uint64_t offset, uint32_t value)
{
	uint64_t index = (offset - NVME_REG_DOORBELLS) / 4;

	if (!__atomic_load_n(&emu->running, __ATOMIC_ACQUIRE))
		return;
	if (index / 2 > NVME_EMU_MAX_IO_QUEUES)
		nvme_emu_event(emu, NVME_EMU_EVENT_DOORBELL_REGISTER);
	else if (index % 2)
		ring_cq(emu, &emu->cqs[index / 2], value);
	else
		ring_sq(emu, &emu->sqs[index / 2], value);
}

void nvme_emu_register_write(struct nvme_emu *emu, uint64_t offset, unsigned int size,
			     uint64_t value)
{
	bool look = false;

	if (size < 4 || offset % 4)
		return;
	if (offset >= NVME_REG_DOORBELLS) {
		if (size == 4)
			ring_doorbell(emu, offset, (uint32_t)value);
		return;
	}
	pthread_mutex_lock(&emu->lock);
	look = write_locked(emu, offset, (uint32_t)value);
	if (size == 8)
		look |= write_locked(emu, offset + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&emu->lock);
	if (look)
		nvme_emu_wake(&emu->lanes[0]);
}

/* --- What lane 0 does about it */

void nvme_emu_fatal(struct nvme_emu *emu)
{
	__atomic_store_n(&emu->stop, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&emu->lock);
	emu->csts |= NVME_CSTS_CFS;
	pthread_mutex_unlock(&emu->lock);
}

/* 7.3.2: queues and what was outstanding are gone; ASQ, ACQ and AQA stay. */
void nvme_emu_disable(struct nvme_emu *emu)
{
	__atomic_store_n(&emu->stop, true, __ATOMIC_RELAXED);
	__atomic_store_n(&emu->running, false, __ATOMIC_RELEASE);
	nvme_emu_drop_queues(emu);
	nvme_emu_reset_features(emu);
	pthread_mutex_lock(&emu->lock);
	emu->csts = 0;
	emu->events = 0;
	emu->changed = 0;
	memset(emu->host_id, 0, sizeof(emu->host_id));
	pthread_mutex_unlock(&emu->lock);
	if (__atomic_exchange_n(&emu->eventfds, false, __ATOMIC_ACQ_REL) &&
	    emu->function.doorbells_changed)
		emu->function.doorbells_changed(&emu->function, emu->function.doorbells_ctx);
}

static bool configuration_valid(uint32_t cc)
{
	return NVME_CC_MPS(cc) == 0 && NVME_CC_CSS(cc) == 0 && NVME_CC_AMS(cc) == 0;
}

/* 7.6.1. With a configuration that is not to be had, the controller does not become ready. */
static void enable(struct nvme_emu *emu, uint32_t cc, uint32_t aqa, uint64_t asq, uint64_t acq)
{
	uint32_t sq_entries = NVME_AQA_ASQS(aqa) + 1, cq_entries = NVME_AQA_ACQS(aqa) + 1;
	const struct guest_memory *memory = emu->function.bus.memory;
	uint8_t *sq_ring =
		guest_memory_bulk(memory, asq, (uint64_t)sq_entries << NVME_SQE_SIZE_LOG2);
	uint8_t *cq_ring =
		guest_memory_bulk(memory, acq, (uint64_t)cq_entries << NVME_CQE_SIZE_LOG2);

	if (!configuration_valid(cc) || sq_entries < 2 || cq_entries < 2 || !sq_ring || !cq_ring) {
		nvme_emu_fatal(emu);
		return;
	}
	nvme_emu_start_cq(emu, 0, cq_ring, cq_entries, 0, true);
	nvme_emu_start_sq(emu, 0, 0, sq_ring, sq_entries);
	emu->power_cycles++;
	__atomic_store_n(&emu->stop, false, __ATOMIC_RELAXED);
	__atomic_store_n(&emu->running, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&emu->lock);
	emu->events = 0; /* the driver is about to look at everything anyway */
	emu->changed = 0;
	emu->csts |= NVME_CSTS_RDY;
	pthread_mutex_unlock(&emu->lock);
}

/* 7.6.2: what was written is on the medium when the status says that shutdown is complete. */
static void shut_down(struct nvme_emu *emu)
{
	for (uint32_t nsid = 1; nsid <= NVME_EMU_MAX_NAMESPACES; nsid++) {
		struct nvme_emu_namespace *ns = nvme_emu_find_namespace(emu, nsid);

		if (ns)
			ns->ops->flush(ns);
	}
	pthread_mutex_lock(&emu->lock);
	emu->csts = (emu->csts & ~NVME_CSTS_SHST_MASK) | NVME_CSTS_SHST_COMPLETE;
	pthread_mutex_unlock(&emu->lock);
}

void nvme_emu_control(struct nvme_emu *emu)
{
	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	bool disable, shutdown;

	pthread_mutex_lock(&emu->lock);
	cc = emu->cc;
	aqa = emu->aqa;
	asq = emu->asq;
	acq = emu->acq;
	csts = emu->csts;
	disable = emu->disable;
	shutdown = emu->shutdown;
	emu->disable = emu->shutdown = false;
	pthread_mutex_unlock(&emu->lock);

	if (disable)
		nvme_emu_disable(emu);
	if (shutdown)
		shut_down(emu);
	if (cc & NVME_CC_EN && !emu->running && (disable || !(csts & NVME_CSTS_CFS)))
		enable(emu, cc, aqa, asq, acq);
}
