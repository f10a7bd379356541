/*
 * The NVMe driver against a controller that answers whatever the input says: any identification, any
 * status, commands that do not exist, answers that never come or come twice, a function that fails or
 * vanishes. Whatever it does, every request is answered once, memory is only that of the driver,
 * and stopping leaves nothing.
 */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/disk.h"
#include "core/event_loop.h"
#include "core/guest_memory.h"
#include "core/log.h"
#include "core/pci_device.h"
#include "devices/storage/nvme.h"
#include "proto/nvme.h"
#include "tests/fuzz/fuzz_input.h"

#define RAM_SIZE    65536u
#define REQUESTS    12u
#define SEGMENTS    4u
#define VECTORS     3u
#define QUEUES      VECTORS
#define ALLOCATIONS 32u
#define PATIENCE_NS 10000000000ull

struct queue {
	uint64_t sq, cq; /* 0: there is none */
	uint32_t entries, head, tail, cq_tail;
	uint16_t phase;
};

struct vector {
	struct event_loop *loop;
	struct pci_interrupt *interrupt;
};

/* Both the driver's threads call it: everything under the lock. */
struct liar {
	struct pci_device_access pci;
	pthread_mutex_t lock;
	struct fuzz_input in;
	struct guest_memory *memory;
	struct pci_dma allocations[ALLOCATIONS];
	struct vector vectors[VECTORS];
	struct queue queues[QUEUES];
	uint32_t cc, aqa;
	uint64_t asq, acq, cap;
	bool fatal, gone;
};

static struct liar *liar_of(struct pci_device_access *pci)
{
	return container_of(pci, struct liar, pci);
}

/* --- Memory */

/* The driver must not name memory that it does not have. */
static void *reach(struct liar *liar, uint64_t address, uint64_t len)
{
	for (unsigned int i = 0; i < ALLOCATIONS; i++) {
		struct pci_dma *dma = &liar->allocations[i];

		if (dma->base && address >= dma->address && len <= dma->len &&
		    address - dma->address <= dma->len - len)
			return (uint8_t *)dma->base + (address - dma->address);
	}
	abort();
}

static int dma_alloc(struct pci_device_access *pci, size_t len, struct pci_dma *dma)
{
	struct liar *liar = liar_of(pci);
	unsigned int i = 0;

	pthread_mutex_lock(&liar->lock);
	while (i < ALLOCATIONS && liar->allocations[i].base)
		i++;
	if (i == ALLOCATIONS)
		abort();
	dma->base = aligned_alloc(4096, len);
	dma->address = (uintptr_t)dma->base;
	dma->len = len;
	memset(dma->base, 0, len);
	liar->allocations[i] = *dma;
	pthread_mutex_unlock(&liar->lock);
	return 0;
}

static void dma_free(struct pci_device_access *pci, struct pci_dma *dma)
{
	struct liar *liar = liar_of(pci);

	pthread_mutex_lock(&liar->lock);
	for (unsigned int i = 0; i < ALLOCATIONS; i++)
		if (liar->allocations[i].base == dma->base)
			liar->allocations[i].base = NULL;
	pthread_mutex_unlock(&liar->lock);
	free(dma->base);
	dma->base = NULL;
}

static int dma_address(struct pci_device_access *pci, uint64_t gpa, uint64_t len, uint64_t *address)
{
	if (!guest_memory_contains(liar_of(pci)->memory, gpa, len))
		return -EFAULT;
	*address = gpa;
	return 0;
}

/* --- Answers */

static void raise_vector(void *ctx)
{
	struct vector *vector = ctx;

	if (vector->interrupt)
		vector->interrupt->raised(vector->interrupt);
}

static void interrupt(struct liar *liar, unsigned int index)
{
	struct vector *vector = &liar->vectors[index];

	if (vector->loop)
		event_loop_post(vector->loop, raise_vector, vector);
}

static void complete(struct liar *liar, unsigned int id, const struct nvme_cqe *cqe)
{
	struct queue *queue = &liar->queues[id];
	struct nvme_cqe *entry;
	uint32_t last;

	if (!queue->cq)
		return;
	entry = reach(liar, queue->cq + queue->cq_tail * sizeof(*entry), sizeof(*entry));
	entry->result = cqe->result;
	entry->sq_head = cqe->sq_head;
	entry->sq_id = cqe->sq_id;
	last = cqe->cid | (uint32_t)(uint16_t)(cqe->status << 1 | queue->phase) << 16;
	__atomic_store_n((uint32_t *)(void *)&entry->cid, last, __ATOMIC_RELEASE);
	if (++queue->cq_tail == queue->entries) {
		queue->cq_tail = 0;
		queue->phase ^= 1;
	}
}

/* What a decent controller says, with bytes of the input over it. */
static void lie(struct liar *liar, void *data, size_t size)
{
	unsigned int count = (unsigned int)fuzz_take(&liar->in, 1) % 8;

	while (count--) {
		size_t at = fuzz_take(&liar->in, 2) % size;
		size_t len = 1 + fuzz_take(&liar->in, 1) % 8;

		fuzz_take_bytes(&liar->in, (uint8_t *)data + at, len < size - at ? len : size - at);
	}
}

static void identify(struct liar *liar, const struct nvme_sqe *sqe)
{
	void *page = reach(liar, sqe->prp1, NVME_IDENTIFY_SIZE);
	struct nvme_id_ctrl *ctrl = page;
	struct nvme_id_ns *ns = page;
	uint32_t *list = page;

	memset(page, 0, NVME_IDENTIFY_SIZE);
	switch (sqe->cdw10 & 0xFF) {
	case NVME_CNS_CONTROLLER:
		memcpy(ctrl->sn, "LIAR", 4);
		ctrl->nn = 2;
		ctrl->oncs = NVME_ONCS_DSM | NVME_ONCS_WRITE_ZEROES;
		ctrl->oaes = NVME_AEC_NS_ATTRIBUTES;
		ctrl->vwc = NVME_VWC_PRESENT;
		break;
	case NVME_CNS_ACTIVE_LIST:
		list[0] = 1;
		list[1] = 2;
		break;
	default:
		ns->nsze = ns->ncap = 4096;
		ns->lbaf[0].lbads = sqe->nsid == 2 ? 12 : 9;
		break;
	}
	lie(liar, page, NVME_IDENTIFY_SIZE);
}

static void create(struct liar *liar, const struct nvme_sqe *sqe)
{
	unsigned int id = sqe->cdw10 & 0xFFFF;

	if (!id || id >= QUEUES)
		abort();
	if (sqe->opcode == NVME_ADMIN_CREATE_CQ) {
		liar->queues[id] = (struct queue){ .cq = sqe->prp1,
						   .entries = (sqe->cdw10 >> 16) + 1,
						   .phase = 1 };
		reach(liar, sqe->prp1, liar->queues[id].entries * sizeof(struct nvme_cqe));
	} else {
		liar->queues[id].sq = sqe->prp1;
	}
}

static uint32_t admin_command(struct liar *liar, const struct nvme_sqe *sqe)
{
	switch (sqe->opcode) {
	case NVME_ADMIN_IDENTIFY:
		identify(liar, sqe);
		return 0;
	case NVME_ADMIN_GET_LOG_PAGE:
		lie(liar, reach(liar, sqe->prp1, 4096), 4096);
		return 0;
	case NVME_ADMIN_CREATE_CQ:
	case NVME_ADMIN_CREATE_SQ:
		create(liar, sqe);
		return 0;
	case NVME_ADMIN_SET_FEATURES:
		return sqe->cdw11 ^ (uint32_t)fuzz_take(&liar->in, 1);
	default:
		return (uint32_t)fuzz_take(&liar->in, 1);
	}
}

/* What happens to a command. Zeroes of an exhausted input are an honest controller. */
enum action {
	ANSWER,
	FAIL = 10,
	DROP,
	NO_INTERRUPT,
	TWICE,
	ANOTHER,
	FATAL,
	VANISH,
	ACTIONS
};

static void command(struct liar *liar, unsigned int id, const struct nvme_sqe *sqe)
{
	enum action action = fuzz_take(&liar->in, 1) % ACTIONS;
	struct nvme_cqe cqe = { .cid = sqe->cid, .sq_id = (uint16_t)id };

	/* An event comes when the input says so. */
	if (!id && sqe->opcode == NVME_ADMIN_ASYNC_EVENT && action != FAIL) {
		if (action != ANOTHER)
			return;
		cqe.result = NVME_EVENT(NVME_EVENT_NOTICE, 0, NVME_LOG_CHANGED_NS);
		action = ANSWER;
	}
	if (action == DROP)
		return;
	liar->fatal |= action == FATAL;
	liar->gone |= action == VANISH && !(fuzz_take(&liar->in, 1) & 7);
	if (action == FAIL)
		cqe.status = (uint16_t)fuzz_take(&liar->in, 2) & 0x7FFF;
	else if (!id)
		cqe.result |= admin_command(liar, sqe);
	if (action == ANOTHER) {
		cqe.cid = (uint16_t)fuzz_take(&liar->in, 2);
		cqe.sq_id = (uint16_t)(id ^ (fuzz_take(&liar->in, 1) & 1));
	}
	complete(liar, id, &cqe);
	if (action == TWICE)
		complete(liar, id, &cqe);
	if (action != NO_INTERRUPT)
		interrupt(liar, id);
}

static void doorbell(struct liar *liar, uint64_t offset, uint32_t value)
{
	unsigned int index = (unsigned int)(offset - NVME_REG_DOORBELLS) / 4, id = index / 2;
	struct queue *queue;

	if (index & 1 || id >= QUEUES)
		return;
	queue = &liar->queues[id];
	/* One without a completion queue: our own lie. */
	if (!queue->sq || !queue->cq || liar->fatal)
		return;
	if (value >= queue->entries)
		abort();
	while (queue->head != value && !liar->fatal) {
		struct nvme_sqe sqe;

		memcpy(&sqe, reach(liar, queue->sq + queue->head * sizeof(sqe), sizeof(sqe)),
		       sizeof(sqe));
		queue->head = (queue->head + 1) % queue->entries;
		command(liar, id, &sqe);
	}
}

/* --- Registers */

static void enable(struct liar *liar, uint32_t cc)
{
	if ((cc ^ liar->cc) & NVME_CC_EN) {
		memset(liar->queues, 0, sizeof(liar->queues));
		liar->fatal = false;
		liar->queues[0] = (struct queue){ .sq = liar->asq,
						  .cq = liar->acq,
						  .entries = NVME_AQA_ASQS(liar->aqa) + 1,
						  .phase = 1 };
	}
	liar->cc = cc;
}

static uint64_t read_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			      unsigned int size)
{
	struct liar *liar = liar_of(pci);
	uint64_t value = 0;

	(void)bar;
	pthread_mutex_lock(&liar->lock);
	if (offset == NVME_REG_CAP)
		value = liar->cap;
	else if (offset == NVME_REG_VS)
		value = NVME_VS_1_4;
	else if (offset == NVME_REG_CC)
		value = liar->cc;
	else if (offset == NVME_REG_CSTS)
		value = (liar->cc & NVME_CC_EN ? NVME_CSTS_RDY : 0) |
			(liar->fatal ? NVME_CSTS_CFS : 0) |
			(liar->cc & NVME_CC_SHN_MASK ? NVME_CSTS_SHST_COMPLETE : 0);
	if (liar->gone)
		value = size == 4 ? UINT32_MAX : UINT64_MAX;
	pthread_mutex_unlock(&liar->lock);
	return value;
}

static void write_register(struct pci_device_access *pci, unsigned int bar, uint64_t offset,
			   unsigned int size, uint64_t value)
{
	struct liar *liar = liar_of(pci);

	(void)bar;
	(void)size;
	pthread_mutex_lock(&liar->lock);
	if (liar->gone)
		;
	else if (offset == NVME_REG_CC)
		enable(liar, (uint32_t)value);
	else if (offset == NVME_REG_AQA)
		liar->aqa = (uint32_t)value;
	else if (offset == NVME_REG_ASQ)
		liar->asq = value;
	else if (offset == NVME_REG_ACQ)
		liar->acq = value;
	else if (offset >= NVME_REG_DOORBELLS)
		doorbell(liar, offset, (uint32_t)value);
	pthread_mutex_unlock(&liar->lock);
}

static int config_read(struct pci_device_access *pci, uint16_t offset, unsigned int size,
		       uint32_t *value)
{
	(void)pci;
	(void)offset;
	(void)size;
	*value = 0;
	return 0;
}

static int config_write(struct pci_device_access *pci, uint16_t offset, unsigned int size,
			uint32_t value)
{
	(void)pci;
	(void)offset;
	(void)size;
	(void)value;
	return 0;
}

static uint64_t bar_size(struct pci_device_access *pci, unsigned int bar)
{
	(void)pci;
	return bar ? 0 : 16384;
}

static unsigned int vector_count(struct pci_device_access *pci)
{
	(void)pci;
	return VECTORS;
}

static int bind(struct pci_device_access *pci, unsigned int index, struct event_loop *loop,
		struct pci_interrupt *to)
{
	struct liar *liar = liar_of(pci);

	pthread_mutex_lock(&liar->lock);
	liar->vectors[index] = (struct vector){ loop, to };
	pthread_mutex_unlock(&liar->lock);
	return 0;
}

static void unbind(struct pci_device_access *pci, unsigned int index)
{
	struct liar *liar = liar_of(pci);

	pthread_mutex_lock(&liar->lock);
	liar->vectors[index] = (struct vector){ 0 };
	pthread_mutex_unlock(&liar->lock);
}

static int reset(struct pci_device_access *pci)
{
	struct liar *liar = liar_of(pci);

	pthread_mutex_lock(&liar->lock);
	if (!liar->gone)
		enable(liar, 0);
	pthread_mutex_unlock(&liar->lock);
	return 0;
}

static const struct pci_device_ops liar_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.read = read_register,
	.write = write_register,
	.dma_alloc = dma_alloc,
	.dma_free = dma_free,
	.dma_address = dma_address,
	.vector_count = vector_count,
	.bind = bind,
	.unbind = unbind,
	.reset = reset,
};

/* --- Requests */

struct asked {
	struct disk_request request;
	struct disk_segment segments[SEGMENTS];
	struct disk_reservation reservation;
	bool answered;
};

static unsigned int answers;

static void done(struct disk_request *request, int err)
{
	struct asked *asked = container_of(request, struct asked, request);

	if (asked->answered || err > 0 ||
	    asked->reservation.registrant_count > DISK_REGISTRANTS_MAX)
		abort();
	asked->answered = true;
	answers++;
}

static uint64_t take(struct liar *liar, size_t len)
{
	uint64_t value;

	pthread_mutex_lock(&liar->lock);
	value = fuzz_take(&liar->in, len);
	pthread_mutex_unlock(&liar->lock);
	return value;
}

/* Inside the disk and as long as its segments, as a caller has to; what they name is any memory. */
static bool make(struct liar *liar, struct disk *disk, struct asked *asked)
{
	struct disk_request *request = &asked->request;
	struct disk_info info;
	uint64_t left;

	disk->ops->get_info(disk, &info);
	*asked = (struct asked){ 0 };
	*request = (struct disk_request){ .operation = take(liar, 1) % (DISK_RESERVATION + 1),
					  .fua = take(liar, 1) & 1,
					  .segments = asked->segments,
					  .done = done };
	if (!info.sectors)
		return false;
	if (request->operation == DISK_RESERVATION) {
		asked->reservation.action = take(liar, 1) % (DISK_RESERVATION_REPORT + 1);
		request->reservation = &asked->reservation;
		return true;
	}
	request->sector = take(liar, 2) % info.sectors;
	request->count = 1 + take(liar, 1) % 64;
	if (request->count > info.sectors - request->sector)
		request->count = info.sectors - request->sector;
	left = request->count * info.sector_size;
	if (request->operation != DISK_READ && request->operation != DISK_WRITE &&
	    request->operation != DISK_COMPARE)
		return true;
	for (unsigned int i = 0; i < SEGMENTS && left; i++) {
		uint64_t len = i + 1 == SEGMENTS ? left : take(liar, 2) % (left + 1);

		asked->segments[request->segment_count++] =
			(struct disk_segment){ take(liar, 3) % (2 * RAM_SIZE), len };
		left -= len;
	}
	return true;
}

static void wait_for(struct event_loop **loops, const unsigned int *count, unsigned int target)
{
	uint64_t deadline = event_loop_now_ns() + PATIENCE_NS;

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < target) {
		event_loop_run_once(loops[0], 1);
		event_loop_run_once(loops[1], 0);
		if (event_loop_now_ns() > deadline)
			abort();
	}
}

static void work(struct liar *liar, struct nvme *nvme, struct event_loop **loops)
{
	static struct asked asked[REQUESTS];
	unsigned int count = 0;

	answers = 0;
	for (unsigned int i = 0; i < REQUESTS; i++) {
		struct disk *disk = nvme_namespace_disk(nvme, 1 + (take(liar, 1) & 1));

		if (!disk || !make(liar, disk, &asked[i]))
			continue;
		count++;
		disk->ops->submit(disk, loops[take(liar, 1) & 1], &asked[i].request);
		if (take(liar, 1) & 1)
			wait_for(loops, &answers, count);
	}
	wait_for(loops, &answers, count);
}

static void stopped(void *ctx)
{
	__atomic_fetch_add((unsigned int *)ctx, 1, __ATOMIC_RELEASE);
}

static void run(struct liar *liar, struct event_loop **loops)
{
	struct nvme_config config = { .pci = &liar->pci,
				      .memory = liar->memory,
				      .queue_depth = 8,
				      .host_id = 1,
				      .io_timeout_ms = 8,
				      .admin_timeout_ms = 20 };
	unsigned int over = 0;
	struct nvme *nvme;

	if (nvme_create(&config, &nvme))
		return;
	work(liar, nvme, loops);
	if (take(liar, 1) & 1)
		nvme_shutdown(nvme);
	nvme_stop(nvme, stopped, &over);
	wait_for(loops, &over, 1);
	nvme_destroy(nvme);
}

static void drop(void *ctx, enum log_level level, const char *line, size_t len)
{
	(void)ctx;
	(void)level;
	(void)line;
	(void)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
	struct liar liar = { .pci.ops = &liar_ops, .in = { data, size } };
	struct event_loop *loops[2] = { event_loop_create(), event_loop_create() };

	log_set_level(LOG_ERROR);
	log_set_sink(&(struct log_sink){ .write = drop });
	pthread_mutex_init(&liar.lock, NULL);
	liar.memory = guest_memory_create();
	if (guest_memory_add(liar.memory, 0, ram, RAM_SIZE))
		abort();
	liar.cap = NVME_CAP_CSS_NVM | (1 + fuzz_take(&liar.in, 1));
	run(&liar, loops);
	for (unsigned int i = 0; i < ALLOCATIONS; i++)
		if (liar.allocations[i].base)
			abort();
	for (unsigned int i = 0; i < VECTORS; i++)
		if (liar.vectors[i].loop)
			abort();
	event_loop_destroy(loops[0]);
	event_loop_destroy(loops[1]);
	guest_memory_destroy(liar.memory);
	pthread_mutex_destroy(&liar.lock);
	return 0;
}
