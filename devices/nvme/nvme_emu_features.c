#include <string.h>
#include <time.h>

#include "core/event_loop.h"
#include "devices/nvme/nvme_emu_internal.h"

/* Get and Set Features (5.13, 5.21). Nothing is saved over a reset: the host configures anew. */

#define DNR NVME_STATUS_DNR

#define NS_PER_MS 1000000ull

#define TIMESTAMP_BY_HOST     (1ull << 49) /* origin, bits 51:49: 001 */
#define TIMESTAMP_MASK        0xFFFFFFFFFFFFull
#define HOST_ID_EXTENDED      0x1u
#define ARBITRATION_UNLIMITED 0x7u

static const uint32_t defaults[16] = {
	[NVME_FEATURE_ARBITRATION] = ARBITRATION_UNLIMITED,
	[NVME_FEATURE_TEMPERATURE] = 343,
	[NVME_FEATURE_WRITE_CACHE] = 1,
};

void nvme_emu_reset_features(struct nvme_emu *emu)
{
	struct nvme_emu_admin *admin = &emu->admin;

	memset(admin, 0, sizeof(*admin));
	memcpy(admin->features, defaults, sizeof(defaults));
	admin->sq_granted = admin->cq_granted = emu->config.io_queues;
	__atomic_store_n(&emu->write_cache, true, __ATOMIC_RELAXED);
}

static struct nvme_emu_data *working_space(struct nvme_emu *emu)
{
	return &emu->lanes[0].data;
}

/* Those that are a number to keep, and otherwise without effect here. */
static bool is_plain(uint32_t id)
{
	switch (id) {
	case NVME_FEATURE_ARBITRATION:
	case NVME_FEATURE_POWER:
	case NVME_FEATURE_TEMPERATURE:
	case NVME_FEATURE_ERROR_RECOVERY:
	case NVME_FEATURE_WRITE_CACHE:
	case NVME_FEATURE_COALESCING:
	case NVME_FEATURE_ATOMICITY:
	case NVME_FEATURE_ASYNC_EVENTS:
		return true;
	default:
		return false;
	}
}

/* --- Number of queues */

static bool has_io_queues(const struct nvme_emu *emu)
{
	for (unsigned int i = 1; i <= NVME_EMU_MAX_IO_QUEUES; i++) {
		if (emu->sqs[i].limit || emu->cqs[i].limit)
			return true;
	}
	return false;
}

static uint16_t set_queues(struct nvme_emu *emu, uint32_t value, uint32_t *result)
{
	uint32_t sq = (value & 0xFFFF) + 1, cq = (value >> 16) + 1, most = emu->config.io_queues;

	if (sq > 0xFFFF || cq > 0xFFFF)
		return NVME_SC_INVALID_FIELD | DNR;
	if (has_io_queues(emu))
		return NVME_SC_COMMAND_SEQUENCE | DNR;
	emu->admin.sq_granted = sq < most ? sq : most;
	emu->admin.cq_granted = cq < most ? cq : most;
	*result = NVME_QUEUES(emu->admin.sq_granted, emu->admin.cq_granted);
	return 0;
}

/* --- Timestamp: milliseconds since 1970 */

static uint64_t wall_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

static uint16_t set_timestamp(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	uint64_t value = 0;
	uint16_t status = nvme_emu_copy_in(emu, sqe, &value, sizeof(value), working_space(emu));

	if (status)
		return status;
	emu->admin.timestamp_ms = value & TIMESTAMP_MASK;
	emu->admin.timestamp_set_ns = event_loop_now_ns();
	emu->admin.timestamp_by_host = true;
	return 0;
}

static uint16_t get_timestamp(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	const struct nvme_emu_admin *admin = &emu->admin;
	uint64_t since = (event_loop_now_ns() - admin->timestamp_set_ns) / NS_PER_MS;
	uint64_t value = wall_clock_ms() & TIMESTAMP_MASK;

	if (admin->timestamp_by_host)
		value = ((admin->timestamp_ms + since) & TIMESTAMP_MASK) | TIMESTAMP_BY_HOST;
	return nvme_emu_copy_out(emu, sqe, &value, sizeof(value), working_space(emu));
}

/* --- Host identifier: 64 or 128 bits */

static uint16_t set_host_id(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	uint64_t len = sqe->cdw11 & HOST_ID_EXTENDED ? 16 : 8;
	uint8_t id[16] = { 0 };
	uint16_t status = nvme_emu_copy_in(emu, sqe, id, len, working_space(emu));

	if (status)
		return status;
	pthread_mutex_lock(&emu->lock);
	memcpy(emu->host_id, id, sizeof(id));
	pthread_mutex_unlock(&emu->lock);
	return 0;
}

static uint16_t get_host_id(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	uint64_t len = sqe->cdw11 & HOST_ID_EXTENDED ? 16 : 8;

	return nvme_emu_copy_out(emu, sqe, emu->host_id, len, working_space(emu));
}

/* --- Those of a namespace */

/* Reservations end with the machine: there is no persistence through power loss to set. */
static uint16_t set_persistence(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	if (sqe->nsid != NVME_NSID_ALL && !nvme_emu_find_namespace(emu, sqe->nsid))
		return NVME_SC_INVALID_NS | DNR;
	return sqe->cdw11 & 1 ? NVME_SC_INVALID_FIELD | DNR : 0;
}

static uint16_t set_plain(struct nvme_emu *emu, uint32_t id, uint32_t value)
{
	if (id == NVME_FEATURE_POWER && value & 0x1F)
		return NVME_SC_INVALID_FIELD | DNR; /* there is one power state */
	emu->admin.features[id] = value;
	if (id == NVME_FEATURE_WRITE_CACHE)
		__atomic_store_n(&emu->write_cache, value & 1, __ATOMIC_RELAXED);
	return 0;
}

uint16_t nvme_emu_set_features(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint32_t id = NVME_FEATURE_ID(sqe->cdw10);

	if (sqe->cdw10 & NVME_FEATURE_SAVE)
		return NVME_SC_FEATURE_NOT_SAVEABLE | DNR;
	if (is_plain(id))
		return set_plain(emu, id, sqe->cdw11);
	switch (id) {
	case NVME_FEATURE_QUEUES:
		return set_queues(emu, sqe->cdw11, result);
	case NVME_FEATURE_VECTOR:
		return (sqe->cdw11 & 0xFFFF) <= emu->config.io_queues ? 0
								      : NVME_SC_INVALID_FIELD | DNR;
	case NVME_FEATURE_TIMESTAMP:
		return set_timestamp(emu, sqe);
	case NVME_FEATURE_HOST_ID:
		return set_host_id(emu, sqe);
	case NVME_FEATURE_RESERVATION_MASK:
		return nvme_emu_find_namespace(emu, sqe->nsid) || sqe->nsid == NVME_NSID_ALL
			       ? 0
			       : NVME_SC_INVALID_NS | DNR;
	case NVME_FEATURE_RESERVATION_PERSIST:
		return set_persistence(emu, sqe);
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

static uint16_t get_current(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint32_t id = NVME_FEATURE_ID(sqe->cdw10);

	if (is_plain(id)) {
		*result = emu->admin.features[id];
		return 0;
	}
	switch (id) {
	case NVME_FEATURE_QUEUES:
		*result = NVME_QUEUES(emu->admin.sq_granted, emu->admin.cq_granted);
		return 0;
	case NVME_FEATURE_VECTOR:
		*result = sqe->cdw11 & 0xFFFF;
		return *result <= emu->config.io_queues ? 0 : NVME_SC_INVALID_FIELD | DNR;
	case NVME_FEATURE_TIMESTAMP:
		return get_timestamp(emu, sqe);
	case NVME_FEATURE_HOST_ID:
		return get_host_id(emu, sqe);
	case NVME_FEATURE_RESERVATION_MASK:
	case NVME_FEATURE_RESERVATION_PERSIST:
		return nvme_emu_find_namespace(emu, sqe->nsid) ? 0 : NVME_SC_INVALID_NS | DNR;
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

/* 5.13, figure 186. Also says which features there are. */
static uint16_t get_capabilities(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint32_t id = NVME_FEATURE_ID(sqe->cdw10);
	bool per_ns = id == NVME_FEATURE_RESERVATION_MASK || id == NVME_FEATURE_RESERVATION_PERSIST;

	(void)emu;
	if (!is_plain(id) && !per_ns && id != NVME_FEATURE_QUEUES && id != NVME_FEATURE_VECTOR &&
	    id != NVME_FEATURE_TIMESTAMP && id != NVME_FEATURE_HOST_ID)
		return NVME_SC_INVALID_FIELD | DNR;
	*result = NVME_FEATURE_CAP_CHANGEABLE | (per_ns ? NVME_FEATURE_CAP_PER_NS : 0);
	return 0;
}

uint16_t nvme_emu_get_features(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint32_t id = NVME_FEATURE_ID(sqe->cdw10);

	switch (NVME_FEATURE_SELECT(sqe->cdw10)) {
	case NVME_SELECT_CURRENT:
		return get_current(emu, sqe, result);
	case NVME_SELECT_DEFAULT:
	case NVME_SELECT_SAVED: /* not saveable: the default (5.13.1) */
		if (!is_plain(id))
			return get_current(emu, sqe, result);
		*result = defaults[id];
		return 0;
	case NVME_SELECT_SUPPORTED:
		return get_capabilities(emu, sqe, result);
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}
