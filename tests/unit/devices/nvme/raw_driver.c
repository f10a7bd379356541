#include "tests/unit/devices/nvme/raw_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/container_of.h"
#include "core/guest_memory.h"
#include "core/pci_function.h"
#include "devices/pci/pci_inproc.h"
#include "proto/pci.h"

#define POOL          0x100000000ull
#define POOL_LEN      (4u << 20)
#define WAIT_NS       60000000000ull
#define ADMIN_ENTRIES 16u

static void fail(const char *what)
{
	fprintf(stderr, "raw driver: %s\n", what);
	abort();
}

static void raised(struct pci_interrupt *interrupt)
{
	container_of(interrupt, struct raw_queue, interrupt)->raised++;
}

static void alloc_queue(struct raw *raw, unsigned int id, uint32_t entries)
{
	struct raw_queue *queue = &raw->queues[id];

	*queue = (struct raw_queue){ .entries = entries, .phase = 1, .interrupt.raised = raised };
	if (raw->pci->ops->dma_alloc(raw->pci, entries * 64, &queue->sq) ||
	    raw->pci->ops->dma_alloc(raw->pci, entries * 16, &queue->cq))
		fail("no memory for queues");
	if (raw->pci->ops->bind(raw->pci, id, raw->loop, &queue->interrupt))
		fail("bind");
}

static void free_queue(struct raw *raw, unsigned int id)
{
	struct raw_queue *queue = &raw->queues[id];

	if (!queue->entries)
		return;
	raw->pci->ops->unbind(raw->pci, id);
	raw->pci->ops->dma_free(raw->pci, &queue->sq);
	raw->pci->ops->dma_free(raw->pci, &queue->cq);
	queue->entries = 0;
}

void raw_start(struct raw *raw, unsigned int workers)
{
	struct nvme_emu_config config = {
		.serial = "SN1", .controller_id = 1, .io_queues = RAW_QUEUES, .workers = workers
	};
	struct pci_inproc_config bus = { .pool_address = POOL, .pool_len = POOL_LEN };

	memset(raw, 0, sizeof(*raw));
	raw->loop = event_loop_create();
	raw->memory = guest_memory_create();
	raw->ram = mmap(NULL, RAW_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw->ram == MAP_FAILED || guest_memory_add(raw->memory, 0, raw->ram, RAW_RAM))
		fail("no RAM");
	raw->emu = nvme_emu_create(&config);
	if (!raw->emu)
		fail("no controller");
	raw->function = nvme_emu_function(raw->emu);
	bus.function = raw->function;
	bus.memory = raw->memory;
	raw->inproc = pci_inproc_create(&bus);
	if (!raw->inproc)
		fail("no bus");
	raw->pci = pci_inproc_device(raw->inproc);
	raw->pci->ops->config_write(raw->pci, PCI_COMMAND, 2,
				    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void raw_stop(struct raw *raw)
{
	for (unsigned int i = 0; i <= RAW_QUEUES; i++)
		free_queue(raw, i);
	pci_inproc_destroy(raw->inproc);
	raw->function->ops->destroy(raw->function);
	guest_memory_destroy(raw->memory);
	munmap(raw->ram, RAW_RAM);
	event_loop_destroy(raw->loop);
}

static uint32_t wait_status(struct raw *raw, uint32_t mask, uint32_t value)
{
	uint64_t end = event_loop_now_ns() + WAIT_NS;
	uint32_t csts;

	do {
		csts = pci_read32(raw->pci, 0, NVME_REG_CSTS);
		if ((csts & mask) == value || csts & NVME_CSTS_CFS)
			return csts;
		event_loop_run_once(raw->loop, 1);
	} while (event_loop_now_ns() < end);
	fail("CSTS does not change");
	return 0;
}

uint32_t raw_enable(struct raw *raw)
{
	struct raw_queue *admin = &raw->queues[0];

	for (unsigned int i = 0; i <= RAW_QUEUES; i++)
		free_queue(raw, i);
	alloc_queue(raw, 0, ADMIN_ENTRIES);
	pci_write32(raw->pci, 0, NVME_REG_AQA,
		    (ADMIN_ENTRIES - 1) << NVME_AQA_ACQS_SHIFT | (ADMIN_ENTRIES - 1));
	pci_write64(raw->pci, 0, NVME_REG_ASQ, admin->sq.address);
	pci_write64(raw->pci, 0, NVME_REG_ACQ, admin->cq.address);
	pci_write32(raw->pci, 0, NVME_REG_CC,
		    NVME_CC_EN | NVME_SQE_SIZE_LOG2 << NVME_CC_IOSQES_SHIFT |
			    NVME_CQE_SIZE_LOG2 << NVME_CC_IOCQES_SHIFT);
	return wait_status(raw, NVME_CSTS_RDY, NVME_CSTS_RDY);
}

void raw_disable(struct raw *raw)
{
	pci_write32(raw->pci, 0, NVME_REG_CC, 0);
	/* What was fatal goes away with it: only RDY and CFS together say that it is done. */
	while (pci_read32(raw->pci, 0, NVME_REG_CSTS))
		wait_status(raw, NVME_CSTS_RDY, 0);
}

void raw_create_queue(struct raw *raw, unsigned int id, uint32_t entries)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_CREATE_CQ };

	alloc_queue(raw, id, entries);
	sqe.prp1 = raw->queues[id].cq.address;
	sqe.cdw10 = id | (entries - 1) << 16;
	sqe.cdw11 = NVME_QUEUE_CONTIGUOUS | NVME_CQ_INTERRUPT | id << 16;
	if (raw_command(raw, 0, &sqe))
		fail("create CQ");
	sqe.opcode = NVME_ADMIN_CREATE_SQ;
	sqe.prp1 = raw->queues[id].sq.address;
	sqe.cdw11 = NVME_QUEUE_CONTIGUOUS | id << NVME_SQ_CQID_SHIFT;
	if (raw_command(raw, 0, &sqe))
		fail("create SQ");
}

uint16_t raw_push(struct raw *raw, unsigned int id, const struct nvme_sqe *sqe)
{
	struct raw_queue *queue = &raw->queues[id];
	struct nvme_sqe *slot = (struct nvme_sqe *)queue->sq.base + queue->sq_tail;

	*slot = *sqe;
	slot->cid = queue->next_cid;
	queue->next_cid = (queue->next_cid + 1) & 0x7FFF;
	queue->sq_tail = (queue->sq_tail + 1) % queue->entries;
	return slot->cid;
}

/* With doorbell buffers: the register only when the controller asked for it (7.13). */
static void ring(struct raw *raw, uint32_t index, uint32_t value)
{
	uint32_t old, event;

	if (raw->shadow && index >= 2) {
		old = raw->shadow[index];
		__atomic_store_n(&raw->shadow[index], value, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		event = __atomic_load_n(&raw->event[index], __ATOMIC_SEQ_CST);
		if ((uint16_t)(value - event - 1) >= (uint16_t)(value - old))
			return;
	}
	pci_write32(raw->pci, 0, NVME_REG_DOORBELLS + 4 * index, value);
}

void raw_ring(struct raw *raw, unsigned int id)
{
	ring(raw, 2 * id, raw->queues[id].sq_tail);
}

uint16_t raw_submit(struct raw *raw, unsigned int id, const struct nvme_sqe *sqe)
{
	uint16_t cid = raw_push(raw, id, sqe);

	raw_ring(raw, id);
	return cid;
}

bool raw_poll(struct raw *raw, unsigned int id, struct nvme_cqe *cqe)
{
	struct raw_queue *queue = &raw->queues[id];
	const struct nvme_cqe *entry = (struct nvme_cqe *)queue->cq.base + queue->cq_head;

	uint32_t last =
		__atomic_load_n((const uint32_t *)(const void *)&entry->cid, __ATOMIC_ACQUIRE);

	if ((last >> 16 & NVME_CQE_PHASE) != queue->phase)
		return false;
	*cqe = *entry;
	if (++queue->cq_head == queue->entries) {
		queue->cq_head = 0;
		queue->phase ^= NVME_CQE_PHASE;
	}
	ring(raw, 2 * id + 1, queue->cq_head);
	return true;
}

void raw_wait(struct raw *raw, unsigned int id, struct nvme_cqe *cqe)
{
	uint64_t end = event_loop_now_ns() + WAIT_NS;

	while (!raw_poll(raw, id, cqe)) {
		event_loop_run_once(raw->loop, 1);
		if (event_loop_now_ns() > end)
			fail("no completion");
	}
}

uint16_t raw_command(struct raw *raw, unsigned int id, const struct nvme_sqe *sqe)
{
	uint16_t cid = raw_submit(raw, id, sqe);
	struct nvme_cqe cqe;

	raw_wait(raw, id, &cqe);
	if (cqe.cid != cid || cqe.sq_id != id)
		fail("a completion of something else");
	raw->result = cqe.result;
	return NVME_CQE_STATUS(cqe.status);
}

uint16_t raw_transfer(struct raw *raw, unsigned int id, uint8_t opcode, uint64_t slba,
		      uint32_t blocks)
{
	struct nvme_sqe sqe = {
		.opcode = opcode,
		.nsid = 1,
		.prp1 = RAW_BUFFER,
		.prp2 = RAW_BUFFER + NVME_PAGE_SIZE,
		.cdw10 = (uint32_t)slba,
		.cdw11 = (uint32_t)(slba >> 32),
		.cdw12 = blocks - 1,
	};

	return raw_command(raw, id, &sqe);
}

unsigned int raw_interrupts(struct raw *raw, unsigned int id)
{
	unsigned int count;

	while (event_loop_run_once(raw->loop, 0) > 0)
		;
	count = raw->queues[id].raised;
	raw->queues[id].raised = 0;
	return count;
}
