#include "devices/mana/mana_function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/event_loop.h"
#include "core/log.h"
#include "core/net_backend.h"
#include "devices/mana/mana_internal.h"
#include "devices/pci/pci_direct.h"
#include "devices/pci/pci_msix.h"
#include "proto/pci.h"

bool mana_is_master(const struct mana *mana)
{
	return pci_config_space_command(&mana->space) & PCI_COMMAND_MASTER;
}

/* --- Locks */

/* For the driver's objects. */
static void lock_all(struct mana *mana)
{
	pthread_mutex_lock(&mana->lock);
	pthread_mutex_lock(&mana->sending);
}

static void unlock_all(struct mana *mana)
{
	pthread_mutex_unlock(&mana->sending);
	pthread_mutex_unlock(&mana->lock);
}

/* --- The loop */

static void run(void *ctx)
{
	struct mana *mana = ctx;

	__atomic_store_n(&mana->wake_posted, false, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&mana->lock);
	mana_backlog_run(mana);
	pthread_mutex_unlock(&mana->lock);
	pthread_mutex_lock(&mana->sending);
	mana_send_frames(mana);
	pthread_mutex_unlock(&mana->sending);
}

/* Any thread. */
void mana_wake(struct mana *mana)
{
	if (__atomic_exchange_n(&mana->wake_posted, true, __ATOMIC_SEQ_CST))
		return;
	if (event_loop_post(mana->config.loop, run, mana)) {
		__atomic_store_n(&mana->wake_posted, false, __ATOMIC_SEQ_CST);
		log_limited(LOG_ERROR, "mana: out of memory, a doorbell is lost");
	}
}

static void start_backend(void *ctx)
{
	struct mana *mana = ctx;
	struct net_backend *backend = mana->config.backend;
	int err;

	if (mana->dying)
		return;
	err = backend->ops->start(backend, mana->config.loop, &mana_backend_client, mana);
	if (err)
		log_error("mana: the network does not start: %s", strerror(-err));
	mana->started = !err;
}

/* --- Registers */

static uint64_t read_register(const struct mana *mana, uint64_t offset)
{
	(void)mana;
	switch (offset & ~7ull) {
	case GDMA_REG_DB_PAGE_OFFSET:
		return MANA_DOORBELLS;
	case GDMA_REG_DB_PAGE_SIZE:
		return GDMA_PAGE_SIZE;
	case GDMA_REG_SHM_OFFSET:
		return MANA_SHM;
	}
	return 0;
}

static uint64_t bar_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	struct mana *mana = mana_of(function);
	uint64_t value = 0;

	if (pci_msix_covers(mana->msix, bar, offset, size))
		return pci_msix_read(mana->msix, offset, size);
	if (bar)
		return 0;
	if (range_within(offset - MANA_SHM, size, SMC_SIZE)) {
		pthread_mutex_lock(&mana->lock);
		memcpy(&value, mana->shm + (offset - MANA_SHM), size);
		pthread_mutex_unlock(&mana->lock);
		return value;
	}
	return read_register(mana, offset) >> (offset & 7) * 8 & bytes_mask(size);
}

static void write_shm(struct mana *mana, uint64_t offset, unsigned int size, uint64_t value)
{
	lock_all(mana);
	memcpy(mana->shm + offset, &value, size);
	if (offset + size == SMC_SIZE)
		mana_smc_written(mana);
	unlock_all(mana);
}

/* While another sends, the loop does it: a VP is not to wait for frames that are not its own. */
static void send_or_wake(struct mana *mana, uint32_t id)
{
	if (!mana->config.send_in_place || pthread_mutex_trylock(&mana->sending)) {
		mana_wake(mana);
		return;
	}
	mana->in_place = true;
	mana_send_frames_of(mana, id);
	mana->in_place = false;
	pthread_mutex_unlock(&mana->sending);
}

static void ring_wq(struct mana *mana, uint32_t id, uint32_t tail)
{
	if (id >= MANA_WQS)
		return;
	__atomic_store_n(&mana->tails[id], tail, __ATOMIC_RELEASE);
	if (id != MANA_HWC_SQ) {
		send_or_wake(mana, id);
		return;
	}
	lock_all(mana);
	mana_hwc_run(mana);
	unlock_all(mana);
}

static void doorbell(struct mana *mana, uint32_t place, uint64_t value)
{
	uint32_t id = (uint32_t)value & GDMA_DOORBELL_ID_MASK;
	uint32_t tail = (uint32_t)(value >> GDMA_DOORBELL_TAIL_SHIFT);
	bool arm = value & GDMA_DOORBELL_ARM;

	switch (place) {
	case GDMA_DOORBELL_SQ:
		ring_wq(mana, id, tail);
		break;
	case GDMA_DOORBELL_RQ:
		if (id < MANA_WQS)
			__atomic_store_n(&mana->tails[id], tail, __ATOMIC_SEQ_CST);
		mana_backlog_look(mana);
		break;
	case GDMA_DOORBELL_CQ:
		mana_cq_doorbell(mana, id, tail & INT32_MAX, arm);
		break;
	case GDMA_DOORBELL_EQ:
		mana_eq_doorbell(mana, id & GDMA_DOORBELL_EQ_ID_MASK, tail & INT32_MAX, arm);
		break;
	}
}

static void bar_write(struct pci_function *function, unsigned int bar, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct mana *mana = mana_of(function);

	if (pci_msix_covers(mana->msix, bar, offset, size))
		pci_msix_write(mana->msix, offset, size, value);
	else if (!bar && range_within(offset - MANA_SHM, size, SMC_SIZE))
		write_shm(mana, offset - MANA_SHM, size, value);
	else if (!bar && offset >= MANA_DOORBELLS && size == 8)
		doorbell(mana, offset & (GDMA_PAGE_SIZE - 1), value);
}

/* --- Configuration space */

static void reset(struct pci_function *function)
{
	struct mana *mana = mana_of(function);

	lock_all(mana);
	pci_config_space_reset(&mana->space);
	pci_msix_reset(mana->msix);
	if (mana->config.direct)
		pci_direct_reset(&mana->direct);
	mana_hwc_down(mana);
	memset(mana->shm, 0, sizeof(mana->shm));
	unlock_all(mana);
	mana_backlog_look(mana);
}

static uint32_t config_read(struct pci_function *function, uint16_t offset, unsigned int size)
{
	return pci_config_space_read(&mana_of(function)->space, offset, size);
}

static void config_write(struct pci_function *function, uint16_t offset, unsigned int size,
			 uint32_t value)
{
	struct mana *mana = mana_of(function);

	if (pci_config_space_write(&mana->space, offset, size, value)) {
		reset(function);
		return;
	}
	pci_msix_config_written(mana->msix);
	if (mana->config.direct)
		pci_direct_config_written(&mana->direct, offset, size);
}

static uint64_t bar_size(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_size(&mana_of(function)->space, bar);
}

static bool bar_is_64bit(struct pci_function *function, unsigned int bar)
{
	return pci_config_space_bar_is_64bit(&mana_of(function)->space, bar);
}

/* --- Creation and end */

static void destroy(struct pci_function *function)
{
	struct mana *mana = mana_of(function);

	mana->dying = true;
	if (mana->started)
		mana->config.backend->ops->stop(mana->config.backend);
	mana_backlog_fini(mana);
	mana_events_fini(mana);
	mana_objects_free(mana);
	pci_msix_destroy(mana->msix);
	pthread_mutex_destroy(&mana->lock);
	pthread_mutex_destroy(&mana->sending);
	pthread_mutex_destroy(&mana->events);
	free(mana);
}

static const struct pci_function_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.bar_is_64bit = bar_is_64bit,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.reset = reset,
	.destroy = destroy,
};

static int build_config_space(struct mana *mana)
{
	const struct pci_identity identity = {
		.vendor = GDMA_PCI_VENDOR,
		.device = GDMA_PCI_DEVICE_VF,
		.subsystem_vendor = GDMA_PCI_VENDOR,
		.class_code = PCI_CLASS_ETHERNET,
	};
	const struct pci_msix_layout layout = {
		.vectors = mana->config.queues + 1u,
		.bar = MANA_MSIX_BAR,
		.pba_offset = MANA_MSIX_PBA,
	};

	pci_config_space_init(&mana->space, &identity);
	pci_config_space_add_bar(&mana->space, 0, MANA_BAR_SIZE, true);
	pci_config_space_add_bar(&mana->space, MANA_MSIX_BAR, MANA_MSIX_SIZE, true);
	pci_config_space_add_express(&mana->space);
	mana->msix = pci_msix_create(&mana->function, &mana->space, &layout);
	if (!mana->msix)
		return -ENOMEM;
	if (mana->config.direct)
		pci_direct_init(&mana->direct, &mana->function, &mana->space, mana->msix);
	return 0;
}

struct pci_function *mana_function_create(const struct mana_function_config *config)
{
	struct mana *mana = calloc(1, sizeof(*mana));

	if (!mana)
		return NULL;
	mana->function.ops = &ops;
	mana->config = *config;
	if (mana->config.queues > MANA_FUNCTION_QUEUES)
		mana->config.queues = MANA_FUNCTION_QUEUES;
	mana->steering.default_wq = MANA_WQS;
	mana_backlog_init(mana);
	mana_events_init(mana);
	pthread_mutex_init(&mana->lock, NULL);
	pthread_mutex_init(&mana->sending, NULL);
	pthread_mutex_init(&mana->events, NULL);
	if (build_config_space(mana))
		goto free_mana;
	if (event_loop_post(config->loop, start_backend, mana))
		goto free_msix;
	return &mana->function;

free_msix:
	pci_msix_destroy(mana->msix);
free_mana:
	free(mana);
	return NULL;
}

/* --- For the owner */

void mana_function_set_link(struct pci_function *function, bool up)
{
	struct mana *mana = mana_of(function);

	pthread_mutex_lock(&mana->lock);
	mana->link_down = !up;
	if (mana->hwc_up)
		mana_hwc_tell_link(mana);
	pthread_mutex_unlock(&mana->lock);
}

void mana_function_request_reset(struct pci_function *function)
{
	struct mana *mana = mana_of(function);

	pthread_mutex_lock(&mana->lock);
	if (mana->hwc_up)
		mana_event(mana, 0, GDMA_EQE_HWC_RESET_REQUEST, 0);
	pthread_mutex_unlock(&mana->lock);
}

uint64_t mana_function_dma_bytes(struct pci_function *function)
{
	return __atomic_load_n(&mana_of(function)->dma_bytes, __ATOMIC_RELAXED);
}
