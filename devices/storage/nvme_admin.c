/* The admin queue: NVMe 1.4, 5. */

#include <errno.h>
#include <string.h>

#include "core/container_of.h"
#include "core/log.h"
#include "devices/storage/nvme_internal.h"

#define SLOTS         (NVME_ADMIN_ENTRIES - 1)
#define LOOK_AGAIN_MS 100 /* what a lost interrupt costs at most */

static void completed(struct nvme *nvme, const struct nvme_cqe *cqe)
{
	unsigned int index = NVME_CID_SLOT(cqe->cid);
	struct nvme_admin_slot *slot = index < SLOTS ? &nvme->admin_slots[index] : NULL;

	if (!slot || !slot->busy || slot->done || slot->cid != cqe->cid || cqe->sq_id) {
		nvme_count(&nvme->counters.bad_completions, 1);
		nvme_request_reset(nvme, "completes admin commands that it does not have");
		return;
	}
	slot->status = NVME_CQE_STATUS(cqe->status);
	slot->result = cqe->result;
	slot->done = true;
	if (slot->is_event) {
		nvme->event = slot->result;
		nvme->event_came = !slot->status;
		nvme->event_asked = !!slot->status; /* one that is refused is not asked for again */
	}
	if (slot->is_event || slot->abandoned)
		slot->busy = false;
}

static void poll_admin(struct nvme *nvme)
{
	struct nvme_cqe cqe;

	while (nvme_ring_pop(&nvme->admin, &cqe))
		completed(nvme, &cqe);
	nvme_ring_popped(&nvme->admin);
}

static void admin_raised(struct pci_interrupt *interrupt)
{
	poll_admin(container_of(interrupt, struct nvme, admin_interrupt));
}

int nvme_admin_init(struct nvme *nvme)
{
	size_t ring = (nvme_ring_end(NVME_ADMIN_ENTRIES) + NVME_PAGE_SIZE - 1) &
		      ~(size_t)(NVME_PAGE_SIZE - 1);
	int err = nvme_dma_alloc(nvme, ring + NVME_PAGE_SIZE, &nvme->admin_dma);

	if (err)
		return err;
	nvme_ring_init(&nvme->admin, nvme->pci, 0, NVME_ADMIN_ENTRIES, NVME_CAP_DSTRD(nvme->cap),
		       &nvme->admin_dma);
	nvme->data = (uint8_t *)nvme->admin_dma.base + ring;
	nvme->data_address = nvme->admin_dma.address + ring;
	nvme->admin_interrupt.raised = admin_raised;
	err = nvme->pci->ops->bind(nvme->pci, 0, nvme->loop, &nvme->admin_interrupt);
	if (err)
		nvme_dma_free(nvme, &nvme->admin_dma);
	return err;
}

void nvme_admin_fini(struct nvme *nvme)
{
	if (!nvme->admin_dma.base)
		return;
	nvme->pci->ops->unbind(nvme->pci, 0);
	nvme_dma_free(nvme, &nvme->admin_dma);
	if (nvme->shadow.base)
		nvme_dma_free(nvme, &nvme->shadow);
}

void nvme_admin_reset(struct nvme *nvme)
{
	nvme_ring_reset(&nvme->admin);
	nvme_ring_set_shadow(&nvme->admin, NULL, NULL, 0);
	memset(nvme->admin_slots, 0, sizeof(nvme->admin_slots));
	nvme->event_asked = nvme->event_came = false;
	nvme->abort_count = 0;
}

static struct nvme_admin_slot *send(struct nvme *nvme, struct nvme_sqe *sqe)
{
	for (uint16_t i = 0; i < SLOTS; i++) {
		struct nvme_admin_slot *slot = &nvme->admin_slots[i];

		if (slot->busy)
			continue;
		*slot = (struct nvme_admin_slot){
			.busy = true,
			.is_event = sqe->opcode == NVME_ADMIN_ASYNC_EVENT,
			.cid = (uint16_t)(((slot->cid & ~0x3FFu) + NVME_CID_USE) | i),
		};
		sqe->cid = slot->cid;
		nvme_ring_push(&nvme->admin, sqe);
		nvme_ring_ring(&nvme->admin);
		return slot;
	}
	return NULL;
}

static int wait_done(struct nvme *nvme, struct nvme_admin_slot *slot)
{
	uint64_t deadline = event_loop_now_ns() + nvme->config.admin_timeout_ms * 1000000ull;

	while (!slot->done) {
		uint64_t now = event_loop_now_ns();
		bool last = now >= deadline;
		uint64_t ms = last ? 0 : (deadline - now) / 1000000 + 1;

		if (event_loop_run_once(nvme->loop, ms < LOOK_AGAIN_MS ? (int)ms : LOOK_AGAIN_MS) <=
		    0)
			poll_admin(nvme);
		if (slot->done)
			break;
		if (last) {
			slot->abandoned = true;
			return -ETIMEDOUT;
		}
		if (!nvme_controller_present(nvme))
			return -ENODEV;
	}
	slot->busy = false;
	return 0;
}

int nvme_admin_execute(struct nvme *nvme, struct nvme_sqe *sqe, uint32_t *result)
{
	struct nvme_admin_slot *slot = send(nvme, sqe);
	int err = slot ? wait_done(nvme, slot) : -ETIMEDOUT;

	if (err)
		return err;
	if (result)
		*result = slot->result;
	return NVME_STATUS_CODE(slot->status);
}

int nvme_admin_call(struct nvme *nvme, struct nvme_sqe *sqe, uint32_t *result)
{
	int ret = nvme_admin_execute(nvme, sqe, result);

	if (ret)
		log_warn("%s: admin command %02x: %s %x", nvme->name, sqe->opcode,
			 ret > 0 ? "status" : "errno", ret > 0 ? ret : -ret);
	return ret > 0 ? -EIO : ret;
}

int nvme_admin_identify(struct nvme *nvme, uint8_t cns, uint32_t nsid)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = nvme->data_address,
		.cdw10 = cns,
	};

	return nvme_admin_call(nvme, &sqe, NULL);
}

int nvme_admin_set_feature(struct nvme *nvme, uint8_t feature, uint32_t value, uint32_t *result)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = feature,
		.cdw11 = value,
	};

	return nvme_admin_call(nvme, &sqe, result);
}

int nvme_admin_set_host_id(struct nvme *nvme, uint64_t id)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = NVME_FEATURE_HOST_ID,
		.prp1 = nvme->data_address,
	};

	memcpy(nvme->data, &id, sizeof(id));
	return nvme_admin_call(nvme, &sqe, NULL);
}

/* The completion queue first: the submission queue names it (5.3, 5.4). */
int nvme_admin_create_queue(struct nvme *nvme, struct nvme_queue *queue)
{
	uint32_t id = ((uint32_t)queue->ring.entries - 1) << 16 | queue->qid;
	struct nvme_sqe cq = {
		.opcode = NVME_ADMIN_CREATE_CQ,
		.prp1 = queue->ring.cq_address,
		.cdw10 = id,
		.cdw11 = (uint32_t)queue->vector << 16 | NVME_CQ_INTERRUPT | NVME_QUEUE_CONTIGUOUS,
	};
	struct nvme_sqe sq = {
		.opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = queue->ring.sq_address,
		.cdw10 = id,
		.cdw11 = (uint32_t)queue->qid << NVME_SQ_CQID_SHIFT | NVME_QUEUE_CONTIGUOUS,
	};
	uint8_t *shadow = nvme->shadow.base;
	int err;

	nvme_ring_set_shadow(&queue->ring, shadow, shadow ? shadow + NVME_PAGE_SIZE : NULL,
			     NVME_CAP_DSTRD(nvme->cap));
	err = nvme_admin_call(nvme, &cq, NULL);
	return err ? err : nvme_admin_call(nvme, &sq, NULL);
}

void nvme_admin_abort(struct nvme *nvme, const struct nvme_abort *abort)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_ABORT,
		.cdw10 = (uint32_t)abort->cid << 16 | abort->qid,
	};

	if (nvme_admin_execute(nvme, &sqe, NULL) < 0)
		nvme_request_reset(nvme, "does not answer an Abort");
}

void nvme_admin_ask_event(struct nvme *nvme)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_ASYNC_EVENT };

	if (!nvme->event_asked && send(nvme, &sqe))
		nvme->event_asked = true;
}

/* Reading the page that an event names lets the next of its kind come (5.2). */
void nvme_admin_clear_event(struct nvme *nvme)
{
	uint8_t page = NVME_EVENT_LOG(nvme->event);
	uint32_t bytes = page == NVME_LOG_ERROR ? 64 : page == NVME_LOG_CHANGED_NS ? 4096 : 512;
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_GET_LOG_PAGE,
		.nsid = NVME_NSID_ALL,
		.prp1 = nvme->data_address,
		.cdw10 = (bytes / 4 - 1) << 16 | page,
	};

	nvme->event_came = false;
	log_info("%s: event %06x", nvme->name, nvme->event);
	if (page)
		nvme_admin_call(nvme, &sqe, NULL);
}
