#include <string.h>

#include "core/bytes.h"
#include "core/event_loop.h"
#include "devices/nvme/nvme_emu_internal.h"

/* Get Log Page (5.14). */

#define DNR NVME_STATUS_DNR

#define NS_PER_HOUR    3600000000000ull
#define DATA_UNIT      (512u * 1000u)
#define TEMPERATURE    300u /* kelvin */
#define WARNING_BROKEN 0x04 /* reliability is degraded */
#define CHANGED_MAX    1024u

void nvme_emu_log_error(struct nvme_emu *emu, uint16_t sqid, const struct nvme_sqe *sqe,
			uint16_t status)
{
	struct nvme_error_log entry = {
		.sqid = sqid,
		.cid = sqid == 0xFFFF ? 0xFFFF : sqe->cid,
		.status = (uint16_t)(status << 1),
		.location = 0xFFFF,
		.lba = sqid && sqid != 0xFFFF ? sqe->cdw10 | (uint64_t)sqe->cdw11 << 32 : 0,
		.nsid = sqe->nsid,
	};

	pthread_mutex_lock(&emu->lock);
	entry.count = ++emu->error_count;
	memmove(&emu->errors[1], &emu->errors[0],
		sizeof(emu->errors) - sizeof(emu->errors[0])); /* the newest first */
	emu->errors[0] = entry;
	pthread_mutex_unlock(&emu->lock);
}

/* --- The pages: each fills `page`, returns its length */

union log_page {
	uint8_t bytes[NVME_PAGE_SIZE];
	struct nvme_error_log errors[NVME_EMU_ERROR_ENTRIES];
	struct nvme_smart_log smart;
	struct nvme_firmware_log firmware;
	struct nvme_effects_log effects;
	uint32_t changed[CHANGED_MAX];
};

static uint64_t fill_errors(struct nvme_emu *emu, union log_page *page)
{
	pthread_mutex_lock(&emu->lock);
	memcpy(page->errors, emu->errors, sizeof(page->errors));
	pthread_mutex_unlock(&emu->lock);
	return sizeof(page->errors);
}

static uint64_t sum(uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_traffic(struct nvme_emu *emu, struct nvme_smart_log *smart)
{
	uint64_t bytes_read = 0, bytes_written = 0;

	for (unsigned int i = 1; i <= NVME_EMU_MAX_IO_QUEUES; i++) {
		struct nvme_emu_sq *sq = &emu->sqs[i];

		smart->host_reads.low += sum(&sq->reads);
		smart->host_writes.low += sum(&sq->writes);
		bytes_read += sum(&sq->bytes_read);
		bytes_written += sum(&sq->bytes_written);
	}
	smart->data_units_read.low = (bytes_read + DATA_UNIT - 1) / DATA_UNIT;
	smart->data_units_written.low = (bytes_written + DATA_UNIT - 1) / DATA_UNIT;
}

static uint64_t fill_smart(struct nvme_emu *emu, union log_page *page)
{
	struct nvme_smart_log *smart = &page->smart;

	for (uint32_t nsid = 1; nsid <= NVME_EMU_MAX_NAMESPACES; nsid++) {
		struct nvme_emu_namespace *ns = nvme_emu_find_namespace(emu, nsid);

		if (ns && __atomic_load_n(&ns->lost_writes, __ATOMIC_RELAXED))
			smart->critical_warning |= WARNING_BROKEN;
	}
	store_le16(smart->temperature, TEMPERATURE);
	smart->spare = 100;
	smart->spare_threshold = 10;
	add_traffic(emu, smart);
	smart->power_cycles.low = emu->power_cycles;
	smart->power_on_hours.low = (event_loop_now_ns() - emu->power_on_ns) / NS_PER_HOUR;
	pthread_mutex_lock(&emu->lock);
	smart->error_log_entries.low = emu->error_count;
	pthread_mutex_unlock(&emu->lock);
	return sizeof(*smart);
}

static uint64_t fill_firmware(struct nvme_emu *emu, union log_page *page)
{
	(void)emu;
	page->firmware.afi = 1;
	memcpy(page->firmware.frs[0], NVME_EMU_FIRMWARE, sizeof(page->firmware.frs[0]));
	return sizeof(page->firmware);
}

/* Reading it empties it (5.14.1.4), unless the event is to be retained. */
static uint64_t fill_changed(struct nvme_emu *emu, union log_page *page, bool retain)
{
	unsigned int n = 0;

	pthread_mutex_lock(&emu->lock);
	for (uint32_t nsid = 1; nsid <= NVME_EMU_MAX_NAMESPACES; nsid++) {
		if (emu->changed & 1ull << (nsid - 1))
			page->changed[n++] = nsid;
	}
	if (!retain)
		emu->changed = 0;
	pthread_mutex_unlock(&emu->lock);
	return sizeof(page->changed);
}

static const uint8_t admin_commands[] = {
	NVME_ADMIN_DELETE_SQ,   NVME_ADMIN_CREATE_SQ,    NVME_ADMIN_GET_LOG_PAGE,
	NVME_ADMIN_DELETE_CQ,   NVME_ADMIN_CREATE_CQ,    NVME_ADMIN_IDENTIFY,
	NVME_ADMIN_ABORT,       NVME_ADMIN_SET_FEATURES, NVME_ADMIN_GET_FEATURES,
	NVME_ADMIN_ASYNC_EVENT,
};

static const uint8_t quiet_commands[] = {
	NVME_IO_FLUSH,
	NVME_IO_READ,
	NVME_IO_COMPARE,
	NVME_IO_VERIFY,
	NVME_IO_RESERVATION_REGISTER,
	NVME_IO_RESERVATION_REPORT,
	NVME_IO_RESERVATION_ACQUIRE,
	NVME_IO_RESERVATION_RELEASE,
};

static const uint8_t changing_commands[] = { NVME_IO_WRITE, NVME_IO_WRITE_ZEROES, NVME_IO_DSM };

static uint64_t fill_effects(struct nvme_emu *emu, union log_page *page)
{
	struct nvme_effects_log *effects = &page->effects;

	for (size_t i = 0; i < sizeof(admin_commands); i++)
		effects->acs[admin_commands[i]] = NVME_EFFECT_SUPPORTED;
	if (!emu->config.no_shadow_doorbells)
		effects->acs[NVME_ADMIN_DOORBELL_BUFFER_CONFIG] = NVME_EFFECT_SUPPORTED;
	for (size_t i = 0; i < sizeof(quiet_commands); i++)
		effects->iocs[quiet_commands[i]] = NVME_EFFECT_SUPPORTED;
	for (size_t i = 0; i < sizeof(changing_commands); i++)
		effects->iocs[changing_commands[i]] =
			NVME_EFFECT_SUPPORTED | NVME_EFFECT_DATA_CHANGE;
	return sizeof(*effects);
}

/* 0: there is no such page. */
static uint64_t fill(struct nvme_emu *emu, uint32_t id, bool retain, union log_page *page)
{
	switch (id) {
	case NVME_LOG_ERROR:
		return fill_errors(emu, page);
	case NVME_LOG_SMART:
		return fill_smart(emu, page);
	case NVME_LOG_FIRMWARE:
		return fill_firmware(emu, page);
	case NVME_LOG_CHANGED_NS:
		return fill_changed(emu, page, retain);
	case NVME_LOG_EFFECTS:
		return fill_effects(emu, page);
	case NVME_LOG_RESERVATION:
		return 64; /* no notifications: an empty one */
	default:
		return 0;
	}
}

/* An event of this type may be reported again. */
static void unmask(struct nvme_emu *emu, uint32_t id)
{
	if (id == NVME_LOG_ERROR)
		emu->admin.masked_types &= (uint8_t) ~(1u << NVME_EVENT_ERROR);
	else if (id == NVME_LOG_CHANGED_NS)
		emu->admin.masked_types &= (uint8_t) ~(1u << NVME_EVENT_NOTICE);
}

uint16_t nvme_emu_get_log_page(struct nvme_emu *emu, const struct nvme_sqe *sqe)
{
	uint64_t dwords = ((uint64_t)(sqe->cdw11 & 0xFFFF) << 16 | sqe->cdw10 >> 16) + 1;
	uint64_t offset = sqe->cdw12 | (uint64_t)sqe->cdw13 << 32;
	bool retain = sqe->cdw10 & NVME_LOG_RETAIN_EVENT;
	uint8_t out[NVME_PAGE_SIZE] = { 0 };
	union log_page page = { 0 };
	uint64_t len;
	uint16_t status;

	/* Beyond a page's end there is nothing to say, and no page is longer than this. */
	if (dwords * 4 > sizeof(out) || offset % 4)
		return NVME_SC_INVALID_FIELD | DNR;
	if (sqe->nsid && sqe->nsid != NVME_NSID_ALL && (sqe->cdw10 & 0xFF) != NVME_LOG_RESERVATION)
		return NVME_SC_INVALID_FIELD | DNR; /* no page is a namespace's */
	len = fill(emu, sqe->cdw10 & 0xFF, retain, &page);
	if (!len)
		return NVME_SC_INVALID_LOG_PAGE | DNR;
	if (offset >= len)
		return NVME_SC_INVALID_FIELD | DNR;
	memcpy(out, page.bytes + offset, len - offset);
	status = nvme_emu_copy_out(emu, sqe, out, dwords * 4, &emu->lanes[0].data);
	if (!status && !retain)
		unmask(emu, sqe->cdw10 & 0xFF);
	return status;
}
