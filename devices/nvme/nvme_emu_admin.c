#include "devices/nvme/nvme_emu_internal.h"

#define DNR NVME_STATUS_DNR

/* --- Asynchronous events (5.2) */

struct event_kind {
	uint8_t type, info, log;
};

static const struct event_kind event_kinds[NVME_EMU_EVENT_COUNT] = {
	[NVME_EMU_EVENT_DOORBELL_REGISTER] = { NVME_EVENT_ERROR, NVME_EVENT_DOORBELL_REGISTER,
					       NVME_LOG_ERROR },
	[NVME_EMU_EVENT_DOORBELL_VALUE] = { NVME_EVENT_ERROR, NVME_EVENT_DOORBELL_VALUE,
					    NVME_LOG_ERROR },
	[NVME_EMU_EVENT_NS_CHANGED] = { NVME_EVENT_NOTICE, NVME_EVENT_NS_CHANGED,
					NVME_LOG_CHANGED_NS },
};

void nvme_emu_event(struct nvme_emu *emu, enum nvme_emu_event event)
{
	static const struct nvme_sqe none;

	if (event != NVME_EMU_EVENT_NS_CHANGED)
		nvme_emu_log_error(emu, 0xFFFF, &none, 0);
	pthread_mutex_lock(&emu->lock);
	emu->events |= 1u << event;
	pthread_mutex_unlock(&emu->lock);
	nvme_emu_wake(&emu->lanes[0]);
}

void nvme_emu_namespace_changed(struct nvme_emu *emu, uint32_t nsid)
{
	pthread_mutex_lock(&emu->lock);
	emu->changed |= 1ull << (nsid - 1);
	pthread_mutex_unlock(&emu->lock);
	nvme_emu_event(emu, NVME_EMU_EVENT_NS_CHANGED);
}

/* Takes an event that may be reported now; NVME_EMU_EVENT_COUNT when there is none. */
static unsigned int take_event(struct nvme_emu *emu)
{
	bool notices = emu->admin.features[NVME_FEATURE_ASYNC_EVENTS] & NVME_AEC_NS_ATTRIBUTES;
	unsigned int event;

	pthread_mutex_lock(&emu->lock);
	if (!notices) /* not asked for: it did not happen */
		emu->events &= ~(1u << NVME_EMU_EVENT_NS_CHANGED);
	for (event = 0; event < NVME_EMU_EVENT_COUNT; event++) {
		if (emu->events & 1u << event &&
		    !(emu->admin.masked_types & 1u << event_kinds[event].type))
			break;
	}
	if (event < NVME_EMU_EVENT_COUNT)
		emu->events &= ~(1u << event);
	pthread_mutex_unlock(&emu->lock);
	return event;
}

/* One of each type, until its log page has been read. */
void nvme_emu_deliver_events(struct nvme_emu *emu)
{
	struct nvme_emu_sq *sq = &emu->sqs[0];

	while (emu->admin.event_requests && nvme_emu_has_room(sq->cq)) {
		unsigned int event = take_event(emu);
		const struct event_kind *kind = &event_kinds[event];

		if (event == NVME_EMU_EVENT_COUNT)
			break;
		emu->admin.masked_types |= (uint8_t)(1u << kind->type);
		nvme_emu_complete(sq, emu->admin.event_cids[--emu->admin.event_requests], 0,
				  NVME_EVENT(kind->type, kind->info, kind->log));
	}
	nvme_emu_interrupt(emu, sq->cq);
}

static uint16_t request_event(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	if (emu->admin.event_requests == NVME_EMU_MAX_EVENTS)
		return NVME_SC_ASYNC_LIMIT | DNR;
	emu->admin.event_cids[emu->admin.event_requests++] = sqe->cid;
	return NVME_EMU_DONE_LATER;
}

/* --- Abort (5.1) */

static bool abort_event_request(struct nvme_emu *emu, uint16_t cid)
{
	struct nvme_emu_admin *admin = &emu->admin;

	for (unsigned int i = 0; i < admin->event_requests; i++) {
		if (admin->event_cids[i] != cid)
			continue;
		admin->event_cids[i] = admin->event_cids[--admin->event_requests];
		if (nvme_emu_has_room(emu->sqs[0].cq))
			nvme_emu_complete(&emu->sqs[0], cid, NVME_SC_ABORT_REQUESTED, 0);
		return true;
	}
	return false;
}

/* Only what waits can be aborted: a command that runs is done before this one is looked at. */
static uint16_t abort_command(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint16_t sqid = (uint16_t)sqe->cdw10, cid = (uint16_t)(sqe->cdw10 >> 16);
	bool aborted =
		(sqid == 0 && abort_event_request(emu, cid)) || nvme_emu_abort(emu, sqid, cid);

	*result = aborted ? 0 : NVME_ABORT_NOT_ABORTED;
	return 0;
}

/* --- Dispatch */

uint16_t nvme_emu_admin(struct nvme_emu *emu, const struct nvme_sqe *sqe, uint32_t *result)
{
	if (sqe->flags & (NVME_SQE_FUSE_MASK | NVME_SQE_PSDT_MASK))
		return NVME_SC_INVALID_FIELD | DNR;
	switch (sqe->opcode) {
	case NVME_ADMIN_DELETE_SQ:
		return nvme_emu_delete_sq(emu, sqe);
	case NVME_ADMIN_CREATE_SQ:
		return nvme_emu_create_sq(emu, sqe);
	case NVME_ADMIN_GET_LOG_PAGE:
		return nvme_emu_get_log_page(emu, sqe);
	case NVME_ADMIN_DELETE_CQ:
		return nvme_emu_delete_cq(emu, sqe);
	case NVME_ADMIN_CREATE_CQ:
		return nvme_emu_create_cq(emu, sqe);
	case NVME_ADMIN_IDENTIFY:
		return nvme_emu_identify(emu, sqe);
	case NVME_ADMIN_ABORT:
		return abort_command(emu, sqe, result);
	case NVME_ADMIN_SET_FEATURES:
		return nvme_emu_set_features(emu, sqe, result);
	case NVME_ADMIN_GET_FEATURES:
		return nvme_emu_get_features(emu, sqe, result);
	case NVME_ADMIN_ASYNC_EVENT:
		return request_event(emu, sqe);
	case NVME_ADMIN_DOORBELL_BUFFER_CONFIG:
		return nvme_emu_doorbell_buffers(emu, sqe);
	default:
		return NVME_SC_INVALID_OPCODE | DNR;
	}
}
