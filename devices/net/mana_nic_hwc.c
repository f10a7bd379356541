/*
 * The hardware channel: one command at a time, waited for. Commands are for opening, closing and
 * configuring, which a guest does rarely, and a function that is well answers within a millisecond;
 * one that does not answer is waited for once, then reset.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/bytes.h"
#include "core/log.h"
#include "devices/net/mana_nic_internal.h"

#define TIMEOUT_NS     UINT64_C(2000000000)
#define SPIN_NS        UINT64_C(100000) /* no sleep before that */
#define REQUEST_OFFSET (4 * GDMA_PAGE_SIZE)
#define ANSWER_OFFSET  (5 * GDMA_PAGE_SIZE)

static void pause_poll(uint64_t since)
{
	struct timespec ts = { .tv_nsec = 50000 };

	if (event_loop_now_ns() - since > SPIN_NS)
		nanosleep(&ts, NULL);
	else
		__builtin_ia32_pause();
}

/* --- Events */

static void init_data(struct mana_nic *mana, uint32_t detail, uint32_t *seen)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	uint32_t type = detail >> HWC_INIT_TYPE_SHIFT, value = detail & HWC_INIT_VALUE_MASK;

	switch (type) {
	case HWC_INIT_DATA_CQID:
		hwc->cq.id = value;
		break;
	case HWC_INIT_DATA_RQID:
		hwc->rq.id = value;
		break;
	case HWC_INIT_DATA_SQID:
		hwc->sq.id = value;
		break;
	case HWC_INIT_DATA_MAX_REQUEST:
	case HWC_INIT_DATA_MAX_RESPONSE:
		if (value < HWC_MESSAGE_MAX)
			return; /* its bit stays clear: less will not do */
		break;
	case HWC_INIT_DATA_GPA_MKEY:
		hwc->gpa_key = value;
		break;
	}
	if (type < 32)
		*seen |= 1u << type;
}

/* What must have been told for the channel to be of use. */
#define INIT_NEEDED                                                                       \
	(1u << HWC_INIT_DATA_CQID | 1u << HWC_INIT_DATA_RQID | 1u << HWC_INIT_DATA_SQID | \
	 1u << HWC_INIT_DATA_MAX_REQUEST | 1u << HWC_INIT_DATA_MAX_RESPONSE)

static void handle_event(struct mana_nic *mana, const struct gdma_eqe *eqe, uint32_t *seen)
{
	switch (eqe->info & GDMA_EQE_TYPE_MASK) {
	case GDMA_EQE_HWC_INIT_EQ_ID_DB:
		mana->hwc.eq.id = eqe->details[0] & 0xFFFF;
		mana->hwc.doorbell = eqe->details[0] >> 16;
		break;
	case GDMA_EQE_HWC_INIT_DATA:
		init_data(mana, eqe->details[0], seen);
		break;
	case GDMA_EQE_HWC_INIT_DONE:
		*seen |= 1; /* no data has this number */
		break;
	case GDMA_EQE_HWC_RECONFIG_DATA:
		if (eqe->details[0] >> HWC_INIT_TYPE_SHIFT == HWC_RECONFIG_LINK_CONNECT)
			mana_nic_link_event(mana, true);
		else if (eqe->details[0] >> HWC_INIT_TYPE_SHIFT == HWC_RECONFIG_LINK_DISCONNECT)
			mana_nic_link_event(mana, false);
		break;
	case GDMA_EQE_HWC_FPGA_RECONFIG:
	case GDMA_EQE_HWC_RESET_REQUEST:
		mana_nic_fail(mana, "the hardware asks for a reset");
		break;
	}
}

/* 0, or -EPROTO. */
static int take_events(struct mana_nic *mana, uint32_t *seen)
{
	struct gdma_eqe eqe;
	int some;

	while ((some = mana_nic_ring_take(&mana->hwc.eq, &eqe)) > 0) {
		mana->hwc.idle = 0;
		handle_event(mana, &eqe, seen);
	}
	return some;
}

static void arm(struct mana_nic *mana)
{
	struct mana_nic_hwc *hwc = &mana->hwc;

	mana_nic_doorbell(mana, hwc->doorbell, GDMA_DOORBELL_CQ, hwc->cq.id,
			  mana_nic_ring_tail(&hwc->cq), true);
	mana_nic_doorbell(mana, hwc->doorbell, GDMA_DOORBELL_EQ, hwc->eq.id,
			  mana_nic_ring_tail(&hwc->eq), true);
}

static void look_for_events(struct mana_nic *mana)
{
	uint32_t seen = 0;
	struct gdma_cqe cqe;

	if (!mana->hwc.up)
		return;
	mana->hwc.idle++;
	/* Whoever sends a command takes its completions; one that is left would bring us here for ever. */
	if (take_events(mana, &seen) || mana_nic_ring_take(&mana->hwc.cq, &cqe) ||
	    mana->hwc.idle > MANA_NIC_IDLE_MAX)
		mana_nic_fail(mana, "the hardware channel says what cannot be");
	else
		arm(mana);
}

/* An interrupt that could not get `control` sees to it that who had it finds the mark, before or after letting go. */
void mana_nic_release(struct mana_nic *mana)
{
	do {
		if (__atomic_exchange_n(&mana->hwc_events, false, __ATOMIC_SEQ_CST))
			look_for_events(mana);
		pthread_mutex_unlock(&mana->control);
	} while (__atomic_load_n(&mana->hwc_events, __ATOMIC_SEQ_CST) &&
		 !pthread_mutex_trylock(&mana->control));
}

/* --- Establishing */

static int poll_smc(struct mana_nic *mana, uint32_t *header)
{
	uint64_t start = event_loop_now_ns();

	do {
		*header = pci_read32(mana->config.pci, 0, mana->shm + SMC_HEADER_OFFSET);
		if (!(*header & SMC_OWNER_PF))
			return 0;
		pause_poll(start);
	} while (event_loop_now_ns() - start < TIMEOUT_NS);
	return -ETIMEDOUT;
}

static int smc_result(struct mana_nic *mana, uint32_t type)
{
	uint32_t header;
	int err = poll_smc(mana, &header);

	if (err)
		return err;
	if ((header & SMC_TYPE_MASK) != type || !(header & SMC_DIRECTION_RESPONSE) ||
	    header >> SMC_STATUS_SHIFT & SMC_STATUS_MASK)
		return -EPROTO;
	return 0;
}

static void put_page(uint8_t *shm, unsigned int index, uint64_t address)
{
	uint64_t page = address >> GDMA_PAGE_SHIFT;
	uint16_t high = load_le16(shm + SMC_HIGH_BITS_OFFSET);

	memcpy(shm + index * SMC_PAGE_NUMBER_BYTES, &page, SMC_PAGE_NUMBER_BYTES);
	store_le16(shm + SMC_HIGH_BITS_OFFSET, (uint16_t)(high | (page >> 48 & 0xF) << index * 4));
}

static int establish(struct mana_nic *mana)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	uint8_t shm[SMC_SIZE] = { 0 };
	uint32_t header;
	int err = poll_smc(mana, &header);

	if (err)
		return err;
	put_page(shm, 0, hwc->eq.address);
	put_page(shm, 1, hwc->cq.address);
	put_page(shm, 2, hwc->rq.address);
	put_page(shm, 3, hwc->sq.address);
	store_le16(shm + SMC_VECTOR_OFFSET, 0);
	store_le32(shm + SMC_HEADER_OFFSET, SMC_TYPE_ESTABLISH_HWC);
	for (uint32_t i = 0; i < SMC_SIZE; i += 4) /* the last starts it */
		pci_write32(mana->config.pci, 0, mana->shm + i, load_le32(shm + i));
	return smc_result(mana, SMC_TYPE_ESTABLISH_HWC);
}

static int await_init(struct mana_nic *mana)
{
	uint64_t start = event_loop_now_ns();
	uint32_t seen = 0;

	while (!(seen & 1)) {
		if (take_events(mana, &seen))
			return -EPROTO;
		if (event_loop_now_ns() - start > TIMEOUT_NS)
			return -ETIMEDOUT;
		pause_poll(start);
	}
	if ((seen & INIT_NEEDED) != INIT_NEEDED ||
	    (mana->hwc.doorbell + 1) * mana->doorbell_bytes > mana->bar_bytes - mana->doorbells)
		return -EPROTO;
	return 0;
}

static void post_answer_buffer(struct mana_nic *mana)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	const uint8_t oob[GDMA_OOB_SMALL] = { 0 };
	const struct gdma_sge sge = { hwc->memory.address + ANSWER_OFFSET, hwc->gpa_key,
				      HWC_MESSAGE_MAX };

	mana_nic_wq_post(&hwc->rq, 0, 0, oob, sizeof(oob), &sge, 1);
	mana_nic_doorbell(mana, hwc->doorbell, GDMA_DOORBELL_RQ, hwc->rq.id, hwc->rq.head, false);
}

int mana_nic_hwc_create(struct mana_nic *mana)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	int err = 0;

	if (!hwc->memory.base)
		err = mana->config.pci->ops->dma_alloc(mana->config.pci, 6 * GDMA_PAGE_SIZE,
						       &hwc->memory);
	if (err)
		return err;
	mana_nic_ring_init(&hwc->eq, &hwc->memory, 0, GDMA_PAGE_SIZE, sizeof(struct gdma_eqe));
	mana_nic_ring_init(&hwc->cq, &hwc->memory, GDMA_PAGE_SIZE, GDMA_PAGE_SIZE,
			   sizeof(struct gdma_cqe));
	mana_nic_wq_init(&hwc->rq, &hwc->memory, 2 * GDMA_PAGE_SIZE, GDMA_PAGE_SIZE);
	mana_nic_wq_init(&hwc->sq, &hwc->memory, 3 * GDMA_PAGE_SIZE, GDMA_PAGE_SIZE);
	err = establish(mana);
	if (!err)
		err = await_init(mana);
	if (err)
		return err;
	hwc->up = true;
	hwc->idle = 0;
	post_answer_buffer(mana);
	arm(mana);
	return 0;
}

/* The caller resets the function afterwards, which is what makes sure. */
void mana_nic_hwc_destroy(struct mana_nic *mana)
{
	mana->hwc.up = false;
	if (mana->hwc.memory.base)
		mana->config.pci->ops->dma_free(mana->config.pci, &mana->hwc.memory);
}

/* --- Commands */

static void send_request(struct mana_nic *mana, const void *req, uint32_t len)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	struct hwc_tx_oob oob = { .vscq = hwc->cq.id, .vsq = hwc->sq.id };
	const struct gdma_sge sge = { hwc->memory.address + REQUEST_OFFSET, hwc->gpa_key, len };

	memcpy((uint8_t *)hwc->memory.base + REQUEST_OFFSET, req, len);
	mana_nic_wq_post(&hwc->sq, 0, 0, &oob, sizeof(oob), &sge, 1);
	mana_nic_doorbell(mana, hwc->doorbell, GDMA_DOORBELL_SQ, hwc->sq.id, hwc->sq.head, false);
}

/* A completion of either queue: 0, or -EPROTO for what cannot be. */
static int handle_completion(struct mana_nic *mana, const struct gdma_cqe *cqe)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	struct hwc_rx_oob oob;

	if (cqe->info & GDMA_CQE_IS_SQ) {
		hwc->sq.tail = hwc->sq.head;
		return 0;
	}
	memcpy(&oob, cqe->data, sizeof(oob));
	if ((cqe->info & GDMA_CQE_WQ_MASK) != hwc->rq.id || hwc->answered ||
	    oob.tx_oob_data_size > HWC_MESSAGE_MAX)
		return -EPROTO;
	hwc->answered = true;
	hwc->answer_len = oob.tx_oob_data_size;
	return 0;
}

static int await_answer(struct mana_nic *mana)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	uint64_t start = event_loop_now_ns();
	uint32_t seen = 0;
	struct gdma_cqe cqe;

	while (!hwc->answered || hwc->sq.tail != hwc->sq.head) {
		int some = mana_nic_ring_take(&hwc->cq, &cqe);

		if (some < 0 || (some && handle_completion(mana, &cqe)) || take_events(mana, &seen))
			return -EPROTO;
		if (some)
			continue;
		if (event_loop_now_ns() - start > TIMEOUT_NS)
			return -ETIMEDOUT;
		pause_poll(start);
	}
	return 0;
}

/* The answer, copied once, against what was asked. */
static int check_answer(const struct gdma_req_hdr *req, const struct gdma_resp_hdr *resp,
			uint32_t len)
{
	if (len < sizeof(*resp) || resp->response.msg_type != req->req.msg_type ||
	    resp->activity_id != req->activity_id)
		return -EPROTO;
	if (resp->status == GDMA_STATUS_CMD_UNSUPPORTED)
		return -EOPNOTSUPP;
	return resp->status && resp->status != GDMA_STATUS_MORE_ENTRIES ? -EINVAL : 0;
}

int mana_nic_command(struct mana_nic *mana, uint32_t type, void *req, uint32_t len, void *resp,
		     uint32_t resp_len)
{
	struct mana_nic_hwc *hwc = &mana->hwc;
	struct gdma_req_hdr *hdr = req;
	int err;

	if (!hwc->up)
		return -EIO;
	hdr->req.msg_type = type;
	hdr->req.msg_size = len;
	hdr->resp.msg_type = type;
	hdr->resp.msg_size = resp_len;
	if (!hdr->req.msg_version)
		hdr->req.msg_version = 1;
	if (!hdr->resp.msg_version)
		hdr->resp.msg_version = 1;
	hdr->activity_id = ++hwc->activity;
	hwc->answered = false;
	send_request(mana, req, len);
	err = await_answer(mana);
	if (err) {
		hwc->up = false; /* no further command waits for it */
		mana_nic_fail(mana, "the hardware channel does not answer");
		return err;
	}
	memcpy(resp, (uint8_t *)hwc->memory.base + ANSWER_OFFSET,
	       hwc->answer_len < resp_len ? hwc->answer_len : resp_len);
	hwc->rq.tail = hwc->rq.head;
	post_answer_buffer(mana);
	arm(mana);
	err = check_answer(hdr, resp, hwc->answer_len < resp_len ? hwc->answer_len : resp_len);
	if (err && err != -EOPNOTSUPP)
		log_limited(LOG_WARN, "mana: command %#x: %s", type, strerror(-err));
	return err;
}
