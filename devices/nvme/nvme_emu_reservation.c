#include <string.h>

#include "devices/nvme/nvme_emu_internal.h"

/*
 * Reservations (8.8; commands 6.10 to 6.13). Hosts are told apart by their host identifier; a
 * controller that was given none is a host by itself.
 */

#define DNR NVME_STATUS_DNR

struct host {
	const struct nvme_emu *emu;
	uint8_t id[16];
};

static struct host this_host(struct nvme_emu *emu)
{
	struct host host = { .emu = emu };

	pthread_mutex_lock(&emu->lock);
	memcpy(host.id, emu->host_id, sizeof(host.id));
	pthread_mutex_unlock(&emu->lock);
	return host;
}

static bool is_host(const struct host *host, const uint8_t *id, const struct nvme_emu *emu)
{
	static const uint8_t none[16];

	if (memcmp(host->id, id, sizeof(host->id)))
		return false;
	return memcmp(id, none, sizeof(none)) || emu == host->emu;
}

static struct host owner_of(const struct nvme_emu_registrant *registrant)
{
	struct host host = { .emu = registrant->emu };

	memcpy(host.id, registrant->host_id, sizeof(host.id));
	return host;
}

/* Index of the host's registration, or the count when it has none. */
static unsigned int find(const struct nvme_emu_reservation *res, const struct host *host)
{
	unsigned int i = 0;

	while (i < res->count &&
	       !is_host(host, res->registrants[i].host_id, res->registrants[i].emu))
		i++;
	return i;
}

static bool is_all_registrants(uint8_t type)
{
	return type == NVME_RESERVATION_WRITE_EXCLUSIVE_ALL ||
	       type == NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

static bool holds(const struct nvme_emu_reservation *res, const struct host *host)
{
	if (!res->type)
		return false;
	if (is_all_registrants(res->type))
		return find(res, host) < res->count;
	return is_host(host, res->holder_id, res->holder);
}

static void set_type(struct nvme_emu_reservation *res, uint8_t type)
{
	__atomic_store_n(&res->type, type, __ATOMIC_RELEASE);
}

static void take(struct nvme_emu_reservation *res, const struct host *host, uint8_t type)
{
	memcpy(res->holder_id, host->id, sizeof(res->holder_id));
	res->holder = host->emu;
	set_type(res, type);
}

/* Figure 440: what a reservation keeps others from. */
bool nvme_emu_reservation_allows(struct nvme_emu *emu, struct nvme_emu_namespace *ns, bool write)
{
	struct nvme_emu_reservation *res = &ns->reservation;
	struct host host;
	bool allowed;

	if (!__atomic_load_n(&res->type, __ATOMIC_ACQUIRE))
		return true;
	host = this_host(emu);
	pthread_mutex_lock(&ns->lock);
	switch (res->type) {
	case NVME_RESERVATION_WRITE_EXCLUSIVE:
		allowed = !write || holds(res, &host);
		break;
	case NVME_RESERVATION_EXCLUSIVE_ACCESS:
		allowed = holds(res, &host);
		break;
	case NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS:
	case NVME_RESERVATION_WRITE_EXCLUSIVE_ALL:
		allowed = !write || find(res, &host) < res->count;
		break;
	case NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS:
	case NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL:
		allowed = find(res, &host) < res->count;
		break;
	default:
		allowed = true;
	}
	pthread_mutex_unlock(&ns->lock);
	return allowed;
}

/* --- Registrations. All below with the namespace's lock. */

/* Its reservation goes with it, unless others share it (8.8.4). */
static void drop(struct nvme_emu_reservation *res, unsigned int index)
{
	struct host gone = owner_of(&res->registrants[index]);
	bool held = !is_all_registrants(res->type) && holds(res, &gone);

	res->registrants[index] = res->registrants[--res->count];
	if (held || !res->count)
		set_type(res, NVME_RESERVATION_NONE);
}

static uint16_t add_registrant(struct nvme_emu_reservation *res, const struct host *host,
			       uint64_t key)
{
	struct nvme_emu_registrant *registrant = &res->registrants[res->count];

	if (res->count == NVME_EMU_MAX_REGISTRANTS)
		return NVME_SC_INTERNAL;
	registrant->emu = host->emu;
	registrant->controller_id = host->emu->config.controller_id;
	registrant->key = key;
	memcpy(registrant->host_id, host->id, sizeof(registrant->host_id));
	res->count++;
	res->generation++;
	return 0;
}

/*
 * Linux asks for persistence through power loss with every registration, whether or not the controller
 * has it. Ours has not, says so (RESCAP, PTPLS), and registers all the same.
 */
static uint16_t do_register(struct nvme_emu_reservation *res, const struct host *host,
			    const struct nvme_sqe *sqe, const struct nvme_reservation_keys *keys)
{
	unsigned int index = find(res, host);
	bool registered = index < res->count;
	bool right = sqe->cdw10 & NVME_RESERVATION_IEKEY ||
		     (registered && res->registrants[index].key == keys->crkey);

	switch (NVME_RESERVATION_ACTION(sqe->cdw10)) {
	case NVME_RREGA_REGISTER:
		if (!registered)
			return add_registrant(res, host, keys->second);
		return res->registrants[index].key == keys->second
			       ? 0
			       : NVME_SC_RESERVATION_CONFLICT | DNR;
	case NVME_RREGA_UNREGISTER:
		if (!registered || !right)
			return NVME_SC_RESERVATION_CONFLICT | DNR;
		drop(res, index);
		break;
	case NVME_RREGA_REPLACE:
		if (!registered && sqe->cdw10 & NVME_RESERVATION_IEKEY)
			return add_registrant(res, host, keys->second);
		if (!registered || !right)
			return NVME_SC_RESERVATION_CONFLICT | DNR;
		res->registrants[index].key = keys->second;
		break;
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
	res->generation++;
	return 0;
}

void nvme_emu_reservation_forget(struct nvme_emu_namespace *ns, const struct nvme_emu *emu)
{
	struct nvme_emu_reservation *res = &ns->reservation;

	for (unsigned int i = res->count; i-- > 0;) {
		if (res->registrants[i].emu == emu)
			drop(res, i);
	}
}

/* --- Acquire and release */

static uint16_t acquire(struct nvme_emu_reservation *res, const struct host *host, uint8_t type)
{
	if (!res->type) {
		take(res, host, type);
		return 0;
	}
	return holds(res, host) && res->type == type ? 0 : NVME_SC_RESERVATION_CONFLICT | DNR;
}

/* Does the key belong to whoever holds the reservation? Key 0 is all registrants'. */
static bool is_holders_key(const struct nvme_emu_reservation *res, uint64_t key)
{
	if (!res->type)
		return false;
	if (is_all_registrants(res->type))
		return key == 0;
	for (unsigned int i = 0; i < res->count; i++) {
		struct host owner = owner_of(&res->registrants[i]);

		if (res->registrants[i].key == key && holds(res, &owner))
			return true;
	}
	return false;
}

/* Unregisters the hosts with that key (all: every one), the caller aside. Were there any? */
static bool unregister_others(struct nvme_emu_reservation *res, const struct host *host,
			      uint64_t key, bool all)
{
	bool any = false;

	for (unsigned int i = res->count; i-- > 0;) {
		const struct nvme_emu_registrant *registrant = &res->registrants[i];

		if (is_host(host, registrant->host_id, registrant->emu) ||
		    (!all && registrant->key != key))
			continue;
		drop(res, i);
		any = true;
	}
	return any;
}

/* 8.8.7. Commands are not queued inside, so preempt-and-abort finds nothing to abort. */
static uint16_t preempt(struct nvme_emu_reservation *res, const struct host *host, uint8_t type,
			uint64_t key)
{
	bool holders = is_holders_key(res, key), all = is_all_registrants(res->type) && !key;
	bool any;

	if (!holders && res->type && !key)
		return NVME_SC_INVALID_FIELD | DNR;
	any = unregister_others(res, host, key, all);
	if (!any && !holders && res->type)
		return NVME_SC_RESERVATION_CONFLICT | DNR;
	if (holders || !res->type)
		take(res, host, type);
	res->generation++;
	return 0;
}

static uint16_t do_acquire(struct nvme_emu_reservation *res, const struct host *host,
			   const struct nvme_sqe *sqe, const struct nvme_reservation_keys *keys)
{
	unsigned int index = find(res, host);
	uint32_t type = NVME_RESERVATION_TYPE(sqe->cdw10);

	if (type < NVME_RESERVATION_WRITE_EXCLUSIVE ||
	    type > NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL || sqe->cdw10 & NVME_RESERVATION_IEKEY)
		return NVME_SC_INVALID_FIELD | DNR;
	if (index == res->count || res->registrants[index].key != keys->crkey)
		return NVME_SC_RESERVATION_CONFLICT | DNR;
	switch (NVME_RESERVATION_ACTION(sqe->cdw10)) {
	case NVME_RACQA_ACQUIRE:
		return acquire(res, host, (uint8_t)type);
	case NVME_RACQA_PREEMPT:
	case NVME_RACQA_PREEMPT_ABORT:
		return preempt(res, host, (uint8_t)type, keys->second);
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

static uint16_t do_release(struct nvme_emu_reservation *res, const struct host *host,
			   const struct nvme_sqe *sqe, const struct nvme_reservation_keys *keys)
{
	unsigned int index = find(res, host);

	if (sqe->cdw10 & NVME_RESERVATION_IEKEY)
		return NVME_SC_INVALID_FIELD | DNR;
	if (index == res->count || res->registrants[index].key != keys->crkey)
		return NVME_SC_RESERVATION_CONFLICT | DNR;
	switch (NVME_RESERVATION_ACTION(sqe->cdw10)) {
	case NVME_RRELA_RELEASE:
		if (!holds(res, host))
			return 0; /* releasing what one does not hold is no error (8.8.5) */
		if (NVME_RESERVATION_TYPE(sqe->cdw10) != res->type)
			return NVME_SC_INVALID_FIELD | DNR;
		set_type(res, NVME_RESERVATION_NONE);
		return 0;
	case NVME_RRELA_CLEAR:
		res->count = 0;
		set_type(res, NVME_RESERVATION_NONE);
		res->generation++;
		return 0;
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

/* --- Report (6.13) */

union report {
	uint8_t bytes[NVME_RESERVATION_EXTENDED_HEADER +
		      NVME_EMU_MAX_REGISTRANTS *
			      sizeof(struct nvme_registered_controller_extended)];
	struct nvme_reservation_status status;
};

static void report_one(const struct nvme_emu_registrant *registrant, bool holder, bool extended,
		       uint8_t *at)
{
	uint16_t id = registrant->controller_id;
	struct nvme_registered_controller_extended large = { .cntlid = id,
							     .rcsts = holder,
							     .rkey = registrant->key };
	struct nvme_registered_controller small = { .cntlid = id,
						    .rcsts = holder,
						    .rkey = registrant->key };

	if (extended) {
		memcpy(large.hostid, registrant->host_id, sizeof(large.hostid));
		memcpy(at, &large, sizeof(large));
	} else {
		memcpy(&small.hostid, registrant->host_id, sizeof(small.hostid));
		memcpy(at, &small, sizeof(small));
	}
}

static void fill_report(const struct nvme_emu_reservation *res, bool extended, union report *report)
{
	uint8_t *at = report->bytes + (extended ? NVME_RESERVATION_EXTENDED_HEADER
						: sizeof(struct nvme_reservation_status));

	report->status.gen = res->generation;
	report->status.rtype = res->type;
	report->status.regctl[0] = (uint8_t)res->count;
	for (unsigned int i = 0; i < res->count; i++) {
		struct host owner = owner_of(&res->registrants[i]);

		report_one(&res->registrants[i], holds(res, &owner), extended, at);
		at += extended ? sizeof(struct nvme_registered_controller_extended)
			       : sizeof(struct nvme_registered_controller);
	}
}

static uint16_t do_report(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
			  const struct nvme_sqe *sqe)
{
	uint64_t len = ((uint64_t)sqe->cdw10 + 1) * 4;
	union report report = { .bytes = { 0 } };

	pthread_mutex_lock(&ns->lock);
	fill_report(&ns->reservation, sqe->cdw11 & NVME_RESERVATION_EDS, &report);
	pthread_mutex_unlock(&ns->lock);
	/* A buffer that is too small gets what fits, of one that is too large the rest is kept. */
	return nvme_emu_copy_out(sq->emu, sqe, report.bytes,
				 len < sizeof(report) ? len : sizeof(report), &sq->lane->data);
}

uint16_t nvme_emu_reservation_command(struct nvme_emu_sq *sq, struct nvme_emu_namespace *ns,
				      const struct nvme_sqe *sqe)
{
	struct nvme_reservation_keys keys = { 0 };
	struct host host = this_host(sq->emu);
	uint16_t status;

	if (sqe->opcode == NVME_IO_RESERVATION_REPORT)
		return do_report(sq, ns, sqe);
	status = nvme_emu_copy_in(sq->emu, sqe, &keys,
				  sqe->opcode == NVME_IO_RESERVATION_RELEASE ? 8 : sizeof(keys),
				  &sq->lane->data);
	if (status)
		return status;
	pthread_mutex_lock(&ns->lock);
	if (sqe->opcode == NVME_IO_RESERVATION_REGISTER)
		status = do_register(&ns->reservation, &host, sqe, &keys);
	else if (sqe->opcode == NVME_IO_RESERVATION_ACQUIRE)
		status = do_acquire(&ns->reservation, &host, sqe, &keys);
	else
		status = do_release(&ns->reservation, &host, sqe, &keys);
	pthread_mutex_unlock(&ns->lock);
	return status;
}
