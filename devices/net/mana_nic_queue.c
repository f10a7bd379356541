/* A queue pair: its memory, its objects in the function, its vector. */

#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "devices/net/mana_nic_internal.h"

/* Where things are in a queue's memory. */
enum layout {
	AT_EQ = 0,
	AT_SQ = AT_EQ + MANA_NIC_EQ_BYTES,
	AT_TX_CQ = AT_SQ + MANA_NIC_SQ_BYTES,
	AT_RQ = AT_TX_CQ + MANA_NIC_TX_CQ_BYTES,
	AT_RX_CQ = AT_RQ + MANA_NIC_RQ_BYTES,
	AT_BOUNCE = AT_RX_CQ + MANA_NIC_RX_CQ_BYTES,
	QUEUE_BYTES = AT_BOUNCE + MANA_NIC_BOUNCE_SLOTS * MANA_NIC_BOUNCE_BYTES,
};

/* --- Objects, under `control` */

static int create_eq(struct mana_nic_queue *queue)
{
	struct mana_nic *mana = queue->mana;
	struct gdma_create_queue_req req = {
		.type = GDMA_EQ,
		.pdid = mana->pdid,
		.doorbell_id = mana->doorbell,
		.queue_size = MANA_NIC_EQ_BYTES,
		.eq_pci_msix_index = queue->index + 1,
	};
	struct gdma_create_queue_resp resp = { 0 };
	int err;

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	err = mana_nic_create_region(mana, queue->eq.address, MANA_NIC_EQ_BYTES, &req.gdma_region);
	if (!err)
		err = mana_nic_command(mana, GDMA_CREATE_QUEUE, &req, sizeof(req), &resp,
				       sizeof(resp));
	queue->eq.id = resp.queue_index & GDMA_DOORBELL_EQ_ID_MASK;
	return err;
}

static int create_wq(struct mana_nic_queue *queue, enum gdma_queue_type type,
		     struct mana_nic_wq *wq, struct mana_nic_ring *cq)
{
	struct mana_nic *mana = queue->mana;
	struct mana_create_wqobj_req req = {
		.vport = mana->vport,
		.wq_type = type,
		.wq_size = wq->bytes,
		.cq_size = cq->bytes,
		.cq_parent_qid = queue->eq.id,
	};
	struct mana_create_wqobj_resp resp = { 0 };
	int err;

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	err = mana_nic_create_region(mana, wq->address, wq->bytes, &req.wq_gdma_region);
	if (!err)
		err = mana_nic_create_region(mana, cq->address, cq->bytes, &req.cq_gdma_region);
	if (!err)
		err = mana_nic_command(mana, MANA_CREATE_WQ_OBJ, &req, sizeof(req), &resp,
				       sizeof(resp));
	if (err)
		return err;
	if (resp.wq_obj == MANA_INVALID_HANDLE || resp.wq_id > GDMA_CQE_WQ_MASK)
		return -EPROTO;
	wq->id = resp.wq_id;
	wq->handle = resp.wq_obj;
	cq->id = resp.cq_id & GDMA_DOORBELL_ID_MASK;
	return 0;
}

static int destroy_wq(struct mana_nic *mana, enum gdma_queue_type type, struct mana_nic_wq *wq)
{
	struct mana_destroy_wqobj_req req = { .wq_type = type, .wq_obj_handle = wq->handle };
	struct gdma_resp_hdr resp = { 0 };

	if (wq->handle == MANA_INVALID_HANDLE)
		return 0;
	wq->handle = MANA_INVALID_HANDLE;
	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	return mana_nic_command(mana, MANA_DESTROY_WQ_OBJ, &req, sizeof(req), &resp, sizeof(resp));
}

static int destroy_eq(struct mana_nic_queue *queue)
{
	struct gdma_disable_queue_req req = { .type = GDMA_EQ,
					      .queue_index = queue->eq.id,
					      .alloc_res_id_on_creation = 1 };
	struct gdma_resp_hdr resp = { 0 };

	if (!queue->eq.id)
		return 0;
	queue->eq.id = 0;
	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	return mana_nic_command(queue->mana, GDMA_DISABLE_QUEUE, &req, sizeof(req), &resp,
				sizeof(resp));
}

/* When the function does not let go of its objects, a reset makes it. */
static void destroy_objects(struct mana_nic_queue *queue)
{
	struct mana_nic *mana = queue->mana;
	int err = 0;

	if (mana->hwc.up) {
		err |= destroy_wq(mana, GDMA_SQ, &queue->sq);
		err |= destroy_wq(mana, GDMA_RQ, &queue->rq);
		err |= destroy_eq(queue);
	}
	queue->sq.handle = MANA_INVALID_HANDLE;
	queue->rq.handle = MANA_INVALID_HANDLE;
	if (err || !mana->hwc.up) {
		mana->config.pci->ops->reset(mana->config.pci);
		mana->hwc.up = false;
		mana_nic_fail(mana, "a queue could not be destroyed");
	}
}

static int create_objects(struct mana_nic_queue *queue)
{
	int err = create_eq(queue);

	if (!err)
		err = create_wq(queue, GDMA_SQ, &queue->sq, &queue->tx_cq);
	if (!err)
		err = create_wq(queue, GDMA_RQ, &queue->rq, &queue->rx_cq);
	return err;
}

/* --- Start, also after a reset */

static void init_rings(struct mana_nic_queue *queue)
{
	const struct pci_dma *memory = &queue->memory;

	mana_nic_ring_init(&queue->eq, memory, AT_EQ, MANA_NIC_EQ_BYTES, sizeof(struct gdma_eqe));
	mana_nic_ring_init(&queue->tx_cq, memory, AT_TX_CQ, MANA_NIC_TX_CQ_BYTES,
			   sizeof(struct gdma_cqe));
	mana_nic_ring_init(&queue->rx_cq, memory, AT_RX_CQ, MANA_NIC_RX_CQ_BYTES,
			   sizeof(struct gdma_cqe));
	mana_nic_wq_init(&queue->sq, memory, AT_SQ, MANA_NIC_SQ_BYTES);
	mana_nic_wq_init(&queue->rq, memory, AT_RQ, MANA_NIC_RQ_BYTES);
	queue->bounce = (uint8_t *)memory->base + AT_BOUNCE;
	queue->bounce_address = memory->address + AT_BOUNCE;
	queue->bounce_used = 0;
	queue->idle = 0;
}

int mana_nic_queue_start(struct mana_nic_queue *queue)
{
	struct mana_nic *mana = queue->mana;
	int err;

	pthread_mutex_lock(&mana->control);
	init_rings(queue);
	err = create_objects(queue);
	if (err)
		destroy_objects(queue);
	mana_nic_release(mana);
	if (err)
		return err;
	queue->started = true;
	queue->live = true;
	queue->tx_armed = false; /* until frames are under way */
	queue->rx_armed = false;
	queue->eq_armed = true; /* from its creation on */
	mana_nic_arm(queue);
	return 0;
}

/* --- Open and close */

static int prepare(struct mana_nic_queue *queue, struct event_loop *loop)
{
	struct pci_device_access *pci = queue->mana->config.pci;
	int err = pci->ops->dma_alloc(pci, QUEUE_BYTES, &queue->memory);

	if (err)
		return err;
	queue->interrupt.raised = mana_nic_interrupt;
	err = pci->ops->bind(pci, queue->index + 1, loop, &queue->interrupt);
	if (err)
		pci->ops->dma_free(pci, &queue->memory);
	return err;
}

/* In the middle of a recovery the queue is opened in name; the recovery starts it with the others. */
static int open_now_or_later(struct mana_nic_queue *queue)
{
	struct mana_nic *mana = queue->mana;
	bool now;

	pthread_mutex_lock(&mana->control);
	now = __atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) != MANA_NIC_SUSPENDING &&
	      mana->hwc.up;
	if (!now)
		init_rings(queue);
	queue->open = true;
	mana_nic_release(mana);
	return now ? mana_nic_queue_start(queue) : 0;
}

int mana_nic_queue_open(struct nic *nic, unsigned int index, struct event_loop *loop,
			const struct nic_queue_client *client, void *ctx)
{
	struct mana_nic *mana = (struct mana_nic *)nic;
	struct mana_nic_queue *queue;
	int err;

	if (index >= mana->info.max_queues)
		return -EINVAL;
	if (__atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_DEAD)
		return -EIO;
	queue = &mana->queues[index];
	if (queue->client)
		return -EBUSY;
	queue->client = client;
	queue->ctx = ctx;
	queue->loop = loop;
	queue->failed_end = &queue->failed;
	mana_nic_poll_init(queue);
	err = prepare(queue, loop);
	if (err) {
		queue->client = NULL;
		return err;
	}
	err = open_now_or_later(queue);
	if (err)
		mana_nic_queue_close(nic, index);
	return err;
}

static bool is_steered_to(const struct mana_nic *mana, unsigned int index)
{
	if (!mana->receive_set)
		return false;
	if (!index)
		return true;
	for (unsigned int i = 0; mana->receive.rss && i < mana->receive.entries; i++)
		if (mana->receive.table[i] == index)
			return true;
	return false;
}

void mana_nic_queue_close(struct nic *nic, unsigned int index)
{
	struct mana_nic *mana = (struct mana_nic *)nic;
	struct mana_nic_queue *queue = &mana->queues[index];
	struct pci_device_access *pci = mana->config.pci;
	const struct nic_receive nothing = { 0 };

	pthread_mutex_lock(&mana->control);
	queue->open = false;
	if (queue->started) {
		if (mana->hwc.up && is_steered_to(mana, index)) {
			mana->receive.enabled = false;
			mana_nic_steer(mana, &nothing);
		}
		destroy_objects(queue);
	}
	queue->started = false;
	queue->live = false;
	mana_nic_release(mana);
	mana_nic_poll_end(queue);
	pci->ops->unbind(pci, index + 1);
	mana_nic_return_tx(queue, -ECANCELED);
	mana_nic_return_rx(queue);
	pci->ops->dma_free(pci, &queue->memory);
	queue->client = NULL;
}

/* No DMA comes any more. Frames are lost; buffers stay, to be posted again. */
void mana_nic_queue_forget(struct mana_nic_queue *queue)
{
	queue->started = false;
	queue->live = false;
	mana_nic_poll_end(queue);
	queue->sq.handle = MANA_INVALID_HANDLE;
	queue->rq.handle = MANA_INVALID_HANDLE;
	mana_nic_return_tx(queue, -EIO);
}
