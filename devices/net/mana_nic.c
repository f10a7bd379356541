/*
 * The driver as a nic, and its recovery. When the function fails, or asks for it, it is reset; then
 * each queue's loop lets go, the function is brought up again, each loop starts its queue anew and
 * posts the buffers that it still has, and what was to be received is set again. The guest notices a
 * pause, and the loss of what was being sent.
 */

#include "devices/net/mana_nic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_of.h"
#include "core/log.h"
#include "devices/net/mana_nic_internal.h"

#define ATTEMPTS 5u
#define RETRY_NS UINT64_C(200000000)

/* --- Recovery, on config.loop unless said otherwise */

static void restart(void *ctx);
static void finish(void *ctx);

static void set_recovery(struct mana_nic *mana, enum mana_nic_recovery recovery)
{
	__atomic_store_n(&mana->recovery, recovery, __ATOMIC_RELEASE);
}

static void post(struct event_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	if (event_loop_post(loop, fn, ctx))
		log_error("mana: out of memory, the recovery stops");
}

static void tell_link(struct mana_nic *mana, bool up)
{
	pthread_mutex_lock(&mana->client_lock);
	mana->link_up = up;
	if (mana->client)
		mana->client->link_changed(mana->client_ctx, up);
	pthread_mutex_unlock(&mana->client_lock);
}

/* While the function comes back, what it says last counts, and it may take some attempts. */
void mana_nic_link_event(struct mana_nic *mana, bool up)
{
	mana->link_told = up;
	if (__atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_WELL)
		tell_link(mana, up);
}

/* A queue's loop has done its part; the last one to say so goes on with `next`. */
static void report(struct mana_nic *mana, void (*next)(void *ctx))
{
	bool last;

	pthread_mutex_lock(&mana->control);
	last = --mana->waiting == 0;
	mana_nic_release(mana);
	if (last)
		post(mana->config.loop, next, mana);
}

/* On the queue's loop. */
static void suspend_queue(void *ctx)
{
	struct mana_nic_queue *queue = ctx;

	if (queue->client) {
		mana_nic_queue_forget(queue);
		queue->client->batch_end(queue->ctx);
	}
	report(queue->mana, restart);
}

/* On the queue's loop. */
static void resume_queue(void *ctx)
{
	struct mana_nic_queue *queue = ctx;

	if (queue->client && !queue->live && !mana_nic_queue_start(queue)) {
		mana_nic_repost(queue);
		mana_nic_kick(&queue->mana->nic, queue->index);
		queue->client->batch_end(queue->ctx);
	}
	report(queue->mana, finish);
}

/* With `control`: every open queue's loop gets a call. False: there is none. */
static bool call_queues(struct mana_nic *mana, void (*fn)(void *ctx))
{
	mana->waiting = 0;
	for (unsigned int i = 0; i < NIC_QUEUES; i++)
		if (mana->queues[i].open)
			mana->waiting++;
	for (unsigned int i = 0; i < NIC_QUEUES; i++)
		if (mana->queues[i].open)
			post(mana->queues[i].loop, fn, &mana->queues[i]);
	return mana->waiting;
}

static void begin_recovery(struct mana_nic *mana)
{
	bool any;

	pthread_mutex_lock(&mana->control);
	set_recovery(mana, MANA_NIC_SUSPENDING);
	mana->hwc.up = false;
	mana->receive_set = false;
	mana->uncut.refused = false;
	__atomic_store_n(&mana->uncut.believed, 0, __ATOMIC_RELEASE);
	mana->config.pci->ops->reset(mana->config.pci);
	mana_nic_count(&mana->counters.resets, 1);
	any = call_queues(mana, suspend_queue);
	mana_nic_release(mana);
	if (!any)
		restart(mana);
}

static void recover(void *ctx)
{
	struct mana_nic *mana = ctx;

	if (__atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_WELL)
		begin_recovery(mana);
}

void mana_nic_fail(struct mana_nic *mana, const char *why)
{
	if (__atomic_exchange_n(&mana->failing, true, __ATOMIC_ACQ_REL))
		return;
	log_limited(LOG_WARN, "mana: %s; the function is reset", why);
	post(mana->config.loop, recover, mana);
}

/* On the queue's loop: what it holds is lost, and what it is given will be. */
static void end_queue(void *ctx)
{
	struct mana_nic_queue *queue = ctx;

	if (queue->client)
		queue->client->batch_end(queue->ctx);
}

static void give_up(struct mana_nic *mana)
{
	log_error("mana: the function does not come back");
	pthread_mutex_lock(&mana->control);
	set_recovery(mana, MANA_NIC_DEAD);
	__atomic_store_n(&mana->counters.dead, true, __ATOMIC_RELAXED);
	call_queues(mana, end_queue);
	mana_nic_release(mana);
	tell_link(mana, false);
}

static void try_again(struct mana_nic *mana)
{
	if (++mana->attempts >= ATTEMPTS)
		give_up(mana);
	else
		event_timer_arm(&mana->retry, event_loop_now_ns() + RETRY_NS);
}

static void retry_expired(struct event_timer *timer)
{
	begin_recovery(container_of(timer, struct mana_nic, retry));
}

static void restart(void *ctx)
{
	struct mana_nic *mana = ctx;
	bool any = false;
	int err;

	pthread_mutex_lock(&mana->control);
	mana->link_told = true; /* nobody can be asked: it tells when it is not */
	err = mana_nic_setup(mana);
	if (!err) {
		set_recovery(mana, MANA_NIC_RESUMING);
		any = call_queues(mana, resume_queue);
	}
	mana_nic_release(mana);
	if (err)
		try_again(mana);
	else if (!any)
		finish(mana);
}

static void finish(void *ctx)
{
	struct mana_nic *mana = ctx;
	int err = 0;

	pthread_mutex_lock(&mana->control);
	if (mana->receive.enabled)
		err = mana_nic_steer(mana, &mana->receive);
	if (!err && mana->to_vtl0)
		err = mana_nic_send_filter(mana);
	if (!err)
		err = mana_nic_send_uncut(mana);
	if (!mana->hwc.up)
		err = -EIO;
	if (!err) {
		set_recovery(mana, MANA_NIC_WELL);
		__atomic_store_n(&mana->failing, false, __ATOMIC_RELEASE);
		mana->attempts = 0;
		if (mana->link_told != mana->link_up) /* nobody else changes it now */
			tell_link(mana, mana->link_told);
	}
	mana_nic_release(mana);
	if (err)
		try_again(mana);
}

/* Who has `control` may be waiting for the device: then the events are left to that thread. */
static void hwc_interrupt(struct pci_interrupt *interrupt)
{
	struct mana_nic *mana = container_of(interrupt, struct mana_nic, hwc_interrupt);

	__atomic_store_n(&mana->hwc_events, true, __ATOMIC_SEQ_CST);
	if (!pthread_mutex_trylock(&mana->control))
		mana_nic_release(mana);
}

/* --- struct nic */

static struct mana_nic *mana_of(struct nic *nic)
{
	return container_of(nic, struct mana_nic, nic);
}

static void get_info(struct nic *nic, struct nic_info *info)
{
	struct mana_nic *mana = mana_of(nic);

	pthread_mutex_lock(&mana->control);
	*info = mana->info;
	mana_nic_release(mana);
	pthread_mutex_lock(&mana->client_lock);
	info->link_up = mana->link_up;
	pthread_mutex_unlock(&mana->client_lock);
}

static void add(uint64_t *sum, const uint64_t *counter)
{
	*sum += __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* A counter that fell began anew. */
static void tally(struct mana_nic_tally *tally, const uint64_t now[MANA_NIC_TALLIES])
{
	for (unsigned int i = 0; i < MANA_NIC_TALLIES; i++) {
		if (now[i] < tally->last[i])
			tally->before[i] += tally->last[i];
		tally->last[i] = now[i];
	}
}

static uint64_t take(const struct mana_nic_tally *tally, unsigned int *i)
{
	uint64_t sum = tally->before[*i] + tally->last[*i];

	++*i;
	return sum;
}

static void take_casts(const struct mana_nic_tally *tally, unsigned int *i,
		       struct nic_cast_stats casts[NIC_CASTS])
{
	for (unsigned int cast = 0; cast < NIC_CASTS; cast++) {
		casts[cast].frames = take(tally, i);
		casts[cast].bytes = take(tally, i);
	}
}

/* Frames without a buffer only the function has counted, and it has looked at addresses anyway. */
static void ask_function(struct mana_nic *mana, struct nic_stats *sum)
{
	struct mana_query_gf_stat_req req = { .req_stats = UINT64_MAX };
	struct mana_query_gf_stat_resp resp = { 0 };
	unsigned int i = 0;

	req.hdr.dev_id.type = GDMA_DEVICE_MANA;
	pthread_mutex_lock(&mana->control);
	if (!mana_nic_command(mana, MANA_QUERY_GF_STAT, &req, sizeof(req), &resp, sizeof(resp))) {
		const uint64_t now[MANA_NIC_TALLIES] = {
			resp.rx_discards_nowqe, resp.hc_tx_ucast_pkts,  resp.hc_tx_ucast_bytes,
			resp.hc_tx_mcast_pkts,  resp.hc_tx_mcast_bytes, resp.hc_tx_bcast_pkts,
			resp.hc_tx_bcast_bytes, resp.hc_rx_ucast_pkts,  resp.hc_rx_ucast_bytes,
			resp.hc_rx_mcast_pkts,  resp.hc_rx_mcast_bytes, resp.hc_rx_bcast_pkts,
			resp.hc_rx_bcast_bytes,
		};

		tally(&mana->device, now);
	}
	sum->rx_no_buffer = take(&mana->device, &i);
	take_casts(&mana->device, &i, sum->tx_cast);
	take_casts(&mana->device, &i, sum->rx_cast);
	mana_nic_release(mana);
}

static void get_stats(struct nic *nic, struct nic_stats *sum)
{
	struct mana_nic *mana = mana_of(nic);

	*sum = (struct nic_stats){ 0 };
	ask_function(mana, sum);
	for (unsigned int i = 0; i < NIC_QUEUES; i++) {
		const struct nic_stats *queue = &mana->queues[i].stats;

		add(&sum->tx_frames, &queue->tx_frames);
		add(&sum->tx_bytes, &queue->tx_bytes);
		add(&sum->tx_errors, &queue->tx_errors);
		add(&sum->rx_frames, &queue->rx_frames);
		add(&sum->rx_bytes, &queue->rx_bytes);
		add(&sum->rx_errors, &queue->rx_errors);
	}
}

static void set_client(struct nic *nic, const struct nic_client *client, void *ctx)
{
	struct mana_nic *mana = mana_of(nic);

	pthread_mutex_lock(&mana->client_lock);
	mana->client = client;
	mana->client_ctx = ctx;
	pthread_mutex_unlock(&mana->client_lock);
}

/* While the function is away it is only noted: the recovery ends with it. */
static int set_receive(struct nic *nic, const struct nic_receive *receive)
{
	struct mana_nic *mana = mana_of(nic);
	int err = 0;

	pthread_mutex_lock(&mana->control);
	for (unsigned int i = 0; receive->rss && i < receive->entries; i++)
		if (!mana->queues[receive->table[i]].open)
			err = -EINVAL;
	if (!err && __atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_WELL &&
	    mana->hwc.up)
		err = mana_nic_steer(mana, receive);
	if (err != -EINVAL)
		mana->receive = *receive;
	mana_nic_release(mana);
	return err == -EINVAL ? err : 0;
}

/* As above; and a function that does not know of it cuts. */
static void set_uncut(struct nic *nic, uint8_t versions, uint16_t max)
{
	struct mana_nic *mana = mana_of(nic);

	pthread_mutex_lock(&mana->control);
	mana->uncut.versions = versions;
	mana->uncut.max = max;
	if (__atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_WELL && mana->hwc.up)
		mana_nic_send_uncut(mana);
	mana_nic_release(mana);
}

static const struct nic_ops ops = {
	.get_info = get_info,
	.get_stats = get_stats,
	.set_client = set_client,
	.queue_open = mana_nic_queue_open,
	.queue_close = mana_nic_queue_close,
	.set_receive = set_receive,
	.set_uncut = set_uncut,
	.tx = mana_nic_tx,
	.rx_post = mana_nic_rx_post,
	.kick = mana_nic_kick,
};

/* --- For the owner */

static void init_queues(struct mana_nic *mana)
{
	for (unsigned int i = 0; i < NIC_QUEUES; i++) {
		mana->queues[i].mana = mana;
		mana->queues[i].index = i;
		mana->queues[i].sq.handle = MANA_INVALID_HANDLE;
		mana->queues[i].rq.handle = MANA_INVALID_HANDLE;
	}
}

int mana_nic_create(const struct mana_nic_config *config, struct mana_nic **result)
{
	struct mana_nic *mana = calloc(1, sizeof(*mana));
	int err;

	if (!mana)
		return -ENOMEM;
	mana->nic.ops = &ops;
	mana->config = *config;
	mana->link_up = true;
	mana->hwc_interrupt.raised = hwc_interrupt;
	pthread_mutex_init(&mana->control, NULL);
	pthread_mutex_init(&mana->client_lock, NULL);
	event_timer_init(&mana->retry, config->loop, retry_expired);
	init_queues(mana);
	err = config->pci->ops->bind(config->pci, 0, config->loop, &mana->hwc_interrupt);
	if (err)
		goto free_mana;
	/* A failure now is the caller's, not a recovery's. */
	__atomic_store_n(&mana->failing, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&mana->control);
	err = mana_nic_setup(mana);
	mana_nic_release(mana);
	if (err)
		goto teardown;
	__atomic_store_n(&mana->failing, false, __ATOMIC_RELAXED);
	*result = mana;
	return 0;

teardown:
	mana_nic_teardown(mana);
	config->pci->ops->unbind(config->pci, 0);
free_mana:
	pthread_mutex_destroy(&mana->control);
	pthread_mutex_destroy(&mana->client_lock);
	free(mana);
	return err;
}

void mana_nic_destroy(struct mana_nic *mana)
{
	event_timer_cancel(&mana->retry);
	mana->config.pci->ops->unbind(mana->config.pci, 0);
	mana_nic_teardown(mana);
	pthread_mutex_destroy(&mana->control);
	pthread_mutex_destroy(&mana->client_lock);
	free(mana);
}

struct nic *mana_nic_nic(struct mana_nic *mana)
{
	return &mana->nic;
}

int mana_nic_move_filter(struct mana_nic *mana, bool to_vtl0)
{
	int err = 0;

	pthread_mutex_lock(&mana->control);
	mana->to_vtl0 = to_vtl0;
	if (__atomic_load_n(&mana->recovery, __ATOMIC_ACQUIRE) == MANA_NIC_WELL && mana->hwc.up)
		err = mana_nic_send_filter(mana);
	if (err == -EOPNOTSUPP)
		mana->to_vtl0 = false;
	mana_nic_release(mana);
	return err;
}

void mana_nic_counters(struct mana_nic *mana, struct mana_nic_counters *counters)
{
	counters->resets = __atomic_load_n(&mana->counters.resets, __ATOMIC_RELAXED);
	counters->bounced = __atomic_load_n(&mana->counters.bounced, __ATOMIC_RELAXED);
	counters->bounced_bytes = __atomic_load_n(&mana->counters.bounced_bytes, __ATOMIC_RELAXED);
	counters->doorbells = __atomic_load_n(&mana->counters.doorbells, __ATOMIC_RELAXED);
	counters->interrupts = __atomic_load_n(&mana->counters.interrupts, __ATOMIC_RELAXED);
	counters->dead = __atomic_load_n(&mana->counters.dead, __ATOMIC_RELAXED);
}
