/*
 * The shared memory channel, through which a driver makes its first queues known, and the hardware
 * channel made of them: requests on a send queue, answers into posted buffers.
 */

#include <errno.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "devices/mana/mana_internal.h"

/* --- Establishing */

static uint64_t page_address(const uint8_t *shm, unsigned int index)
{
	uint64_t low = 0, high = load_le16(shm + SMC_HIGH_BITS_OFFSET) >> index * 4 & 0xF;

	memcpy(&low, shm + index * SMC_PAGE_NUMBER_BYTES, SMC_PAGE_NUMBER_BYTES);
	return (low | high << 48) << GDMA_PAGE_SHIFT;
}

static int set_ring(struct mana_ring *ring, const uint8_t *shm, unsigned int index)
{
	uint64_t page = page_address(shm, index);

	mana_ring_free(ring);
	return mana_ring_init(ring, &page, GDMA_PAGE_SIZE);
}

static int make_queues(struct mana *mana)
{
	struct mana_eq *eq = &mana->eqs[0];
	struct mana_cq *cq = &mana->cqs[0];
	struct mana_wq *rq = &mana->wqs[MANA_HWC_RQ], *sq = &mana->wqs[MANA_HWC_SQ];

	if (set_ring(&eq->ring, mana->shm, 0) || set_ring(&cq->ring, mana->shm, 1) ||
	    set_ring(&rq->ring, mana->shm, 2) || set_ring(&sq->ring, mana->shm, 3))
		return -ENOMEM;
	eq->head = GDMA_PAGE_SIZE / sizeof(struct gdma_eqe);
	eq->vector = load_le16(mana->shm + SMC_VECTOR_OFFSET);
	eq->armed = true;
	eq->used = true;
	cq->head = GDMA_PAGE_SIZE / sizeof(struct gdma_cqe);
	cq->eq = 0;
	cq->armed = true;
	cq->used = true;
	__atomic_store_n(&mana->tails[MANA_HWC_RQ], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&mana->tails[MANA_HWC_SQ], 0, __ATOMIC_RELAXED);
	*rq = (struct mana_wq){ .used = true, .type = GDMA_RQ, .ring = rq->ring };
	*sq = (struct mana_wq){ .used = true, .type = GDMA_SQ, .ring = sq->ring };
	return 0;
}

void mana_hwc_tell_link(struct mana *mana)
{
	uint32_t what = mana->link_down ? HWC_RECONFIG_LINK_DISCONNECT : HWC_RECONFIG_LINK_CONNECT;

	mana_event(mana, 0, GDMA_EQE_HWC_RECONFIG_DATA, what << HWC_INIT_TYPE_SHIFT);
}

static void tell_queues(struct mana *mana)
{
	const struct {
		uint8_t type;
		uint32_t value;
	} data[] = {
		{ HWC_INIT_DATA_CQID, 0 },
		{ HWC_INIT_DATA_RQID, MANA_HWC_RQ },
		{ HWC_INIT_DATA_SQID, MANA_HWC_SQ },
		{ HWC_INIT_DATA_QUEUE_DEPTH, HWC_QUEUE_DEPTH },
		{ HWC_INIT_DATA_MAX_REQUEST, HWC_MESSAGE_MAX },
		{ HWC_INIT_DATA_MAX_RESPONSE, HWC_MESSAGE_MAX },
		{ HWC_INIT_DATA_MAX_NUM_CQS, MANA_CQS },
		{ HWC_INIT_DATA_PDID, MANA_PD },
		{ HWC_INIT_DATA_GPA_MKEY, MANA_GPA_KEY },
	};

	mana_event(mana, 0, GDMA_EQE_HWC_INIT_EQ_ID_DB, 0); /* EQ 0, doorbell page 0 */
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		mana_event(mana, 0, GDMA_EQE_HWC_INIT_DATA,
			   (uint32_t)data[i].type << HWC_INIT_TYPE_SHIFT | data[i].value);
	mana_event(mana, 0, GDMA_EQE_HWC_INIT_DONE, 0);
	if (mana->link_down) /* a driver that begins takes it to be up */
		mana_hwc_tell_link(mana);
}

static int establish(struct mana *mana)
{
	int err;

	if (mana->hwc_up)
		mana_hwc_down(mana);
	pthread_mutex_lock(&mana->events);
	err = make_queues(mana);
	pthread_mutex_unlock(&mana->events);
	mana->hwc_up = !err;
	return err;
}

/* Everything the driver made goes with the channel. */
void mana_hwc_down(struct mana *mana)
{
	mana->hwc_up = false;
	mana_objects_free(mana);
}

void mana_smc_written(struct mana *mana)
{
	uint32_t header = load_le32(mana->shm + SMC_HEADER_OFFSET);
	uint32_t answer = (header & (SMC_TYPE_MASK | SMC_VERSION_MASK << SMC_VERSION_SHIFT)) |
			  SMC_DIRECTION_RESPONSE;
	bool established = false;
	int err = -EINVAL;

	switch (header & SMC_TYPE_MASK) {
	case SMC_TYPE_ESTABLISH_HWC:
		err = establish(mana);
		established = !err;
		break;
	case SMC_TYPE_DESTROY_HWC:
		mana_hwc_down(mana);
		err = 0;
		break;
	}
	if (err)
		answer |= 1u << SMC_STATUS_SHIFT;
	store_le32(mana->shm + SMC_HEADER_OFFSET, answer);
	if (established)
		tell_queues(mana);
}

/* --- Messages */

static int gather(struct mana *mana, const struct mana_wqe *wqe, uint8_t *buf, size_t size)
{
	size_t at = 0;

	for (uint32_t i = 0; i < wqe->sge_count; i++) {
		if (wqe->sges[i].size > size - at ||
		    mana_dma_read(mana, wqe->sges[i].address, buf + at, wqe->sges[i].size))
			return -EFAULT;
		at += wqe->sges[i].size;
	}
	return (int)at;
}

static void complete_message(struct mana *mana, uint32_t number, const struct mana_wqe *wqe,
			     uint32_t len)
{
	struct {
		struct hwc_rx_oob oob;
		uint8_t rest[GDMA_CQE_DATA - sizeof(struct hwc_rx_oob)];
	} data = { .oob = { .wqe_offset = wqe->offset, .tx_oob_data_size = len } };

	mana_complete(mana, &mana->wqs[number], &data);
}

static void send_response(struct mana *mana, size_t len)
{
	struct mana_wq *rq = &mana->wqs[MANA_HWC_RQ];
	struct mana_wqe wqe;

	if (mana_wq_peek(mana, rq, &wqe) || wqe.sges[0].size < len ||
	    mana_dma_write(mana, wqe.sges[0].address, mana->response, len)) {
		log_limited(LOG_WARN, "mana: no buffer for an answer on the hardware channel");
		return;
	}
	mana_wq_consume(rq, &wqe);
	complete_message(mana, MANA_HWC_RQ, &wqe, (uint32_t)len);
}

/* Answers are as long as the driver expects them; what we do not know of reads as zero. */
static void handle_request(struct mana *mana, size_t len)
{
	struct gdma_resp_hdr *resp = (struct gdma_resp_hdr *)(void *)mana->response;
	struct gdma_req_hdr hdr;
	size_t resp_len;

	if (len < sizeof(hdr))
		return;
	memcpy(&hdr, mana->request, sizeof(hdr));
	resp_len = hdr.resp.msg_size;
	if (resp_len < sizeof(*resp))
		resp_len = sizeof(*resp);
	if (resp_len > sizeof(mana->response))
		resp_len = sizeof(mana->response);
	memset(mana->response, 0, sizeof(mana->response));
	resp->status = mana_command(mana, &hdr, len);
	resp->response.msg_type = hdr.req.msg_type;
	resp->response.msg_version = hdr.resp.msg_version ? hdr.resp.msg_version : 1;
	resp->response.hwc_msg_id = hdr.req.hwc_msg_id;
	resp->response.msg_size = (uint32_t)resp_len;
	resp->dev_id = hdr.dev_id;
	resp->activity_id = hdr.activity_id;
	send_response(mana, resp_len);
}

void mana_hwc_run(struct mana *mana)
{
	struct mana_wq *sq = &mana->wqs[MANA_HWC_SQ];
	struct mana_wqe wqe;

	while (mana->hwc_up && !mana_wq_peek(mana, sq, &wqe)) {
		int len = gather(mana, &wqe, mana->request, sizeof(mana->request));

		mana_wq_consume(sq, &wqe);
		complete_message(mana, MANA_HWC_SQ, &wqe, 0);
		if (len > 0)
			handle_request(mana, (size_t)len);
	}
}
