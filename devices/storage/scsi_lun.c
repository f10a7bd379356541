#include "devices/storage/scsi_lun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/big_endian.h"
#include "core/container_of.h"
#include "core/guest_memory.h"
#include "devices/storage/scsi_internal.h"

/* --- Data and results */

void scsi_build_sense(uint8_t sense[SCSI_SENSE_SIZE], enum scsi_sense_key key,
		      enum scsi_additional_sense code)
{
	memset(sense, 0, SCSI_SENSE_SIZE);
	sense[0] = 0x70; /* current error, fixed format */
	sense[2] = (uint8_t)key;
	sense[7] = SCSI_SENSE_SIZE - 8;
	store_be16(&sense[12], (uint16_t)code);
}

/* The guest's buffer as one piece: copies from its start. */
static int copy(struct scsi_command *command, uint8_t *buf, uint32_t len, bool to_guest)
{
	for (unsigned int i = 0; len && i < command->segment_count; i++) {
		const struct disk_segment *segment = &command->segments[i];
		uint32_t chunk = segment->len < len ? (uint32_t)segment->len : len;
		int err = to_guest ? guest_memory_write(command->memory, segment->gpa, buf, chunk)
				   : guest_memory_read(command->memory, segment->gpa, buf, chunk);

		if (err)
			return err;
		buf += chunk;
		len -= chunk;
	}
	return len ? -EINVAL : 0;
}

int scsi_command_put(struct scsi_command *command, const void *data, uint32_t len)
{
	int err;

	if (len > command->data_len)
		len = command->data_len;
	if (len && command->direction != SCSI_DATA_IN)
		return -EFAULT;
	err = copy(command, (uint8_t *)data, len, true);
	if (err)
		return -EFAULT;
	command->transferred = len;
	return 0;
}

int scsi_command_take(struct scsi_command *command, void *buf, uint32_t len)
{
	if (command->direction != SCSI_DATA_OUT || len > command->data_len)
		return -EINVAL;
	command->transferred = len;
	return copy(command, buf, len, false);
}

void scsi_finish(struct scsi_command *command, enum scsi_status status)
{
	struct scsi_lun *lun = command->lun;

	command->status = (uint8_t)status;
	if (status != SCSI_GOOD)
		command->transferred = 0;
	free(command->parameters);
	command->parameters = NULL;
	command->done(command);
	scsi_lun_put(lun);
}

void scsi_fail(struct scsi_command *command, enum scsi_sense_key key,
	       enum scsi_additional_sense code)
{
	scsi_build_sense(command->sense, key, code);
	command->has_sense = true;
	scsi_finish(command, SCSI_CHECK_CONDITION);
}

void scsi_fail_field(struct scsi_command *command)
{
	scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
}

void scsi_fail_not_present(struct scsi_command *command)
{
	bool open = __atomic_load_n(&command->lun->drive.open, __ATOMIC_RELAXED);

	scsi_fail(command, SCSI_SENSE_NOT_READY,
		  open ? SCSI_ASC_TRAY_OPEN : SCSI_ASC_MEDIUM_NOT_PRESENT);
}

void scsi_fail_errno(struct scsi_command *command, int err)
{
	bool read = command->direction == SCSI_DATA_IN; /* what moves no data changes the medium */

	switch (err) {
	case -EIO:
		scsi_fail(command, SCSI_SENSE_MEDIUM_ERROR,
			  read ? SCSI_ASC_UNRECOVERED_READ_ERROR : SCSI_ASC_WRITE_ERROR);
		break;
	case -EROFS:
		scsi_fail(command, SCSI_SENSE_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
		break;
	case -ENOSPC:
		scsi_fail(command, SCSI_SENSE_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION_FAILED);
		break;
	case -EBADE:
		scsi_finish(command, SCSI_RESERVATION_CONFLICT);
		break;
	case -EILSEQ:
		scsi_fail(command, SCSI_SENSE_MISCOMPARE, SCSI_ASC_MISCOMPARE);
		break;
	case -ENODEV:
		scsi_fail_not_present(command);
		break;
	case -ENOMEM:
		scsi_finish(command, SCSI_BUSY);
		break;
	case -ETIMEDOUT:
	case -ECANCELED:
		scsi_fail(command, SCSI_SENSE_ABORTED_COMMAND, SCSI_ASC_NONE);
		break;
	case -EFAULT:
	case -EINVAL:
		scsi_fail_field(command);
		break;
	default:
		scsi_fail(command, SCSI_SENSE_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE);
		break;
	}
}

void scsi_finish_with(struct scsi_command *command, const void *data, uint32_t len,
		      uint32_t allocation)
{
	int err = scsi_command_put(command, data, len < allocation ? len : allocation);

	if (err)
		scsi_fail_errno(command, err);
	else
		scsi_finish(command, SCSI_GOOD);
}

struct disk_info scsi_lun_info(struct scsi_lun *lun)
{
	static const uint8_t none[16];
	const struct scsi_identity *identity = &lun->config.identity;
	struct disk_info info;

	lun->config.disk->ops->get_info(lun->config.disk, &info);
	if (lun->config.dvd || lun->config.read_only)
		info.read_only = true;
	if (__atomic_load_n(&lun->drive.open, __ATOMIC_RELAXED))
		info.sectors = 0;
	if (lun->config.no_unmap)
		info.can_unmap = false;
	if (lun->config.max_size && info.sectors > lun->config.max_size / info.sector_size)
		info.sectors = lun->config.max_size / info.sector_size;
	if (lun->config.physical_sector_size >= info.sector_size)
		info.physical_sector_size = lun->config.physical_sector_size;
	if (memcmp(identity->id, none, sizeof(none)))
		memcpy(info.id, identity->id, sizeof(info.id));
	if (identity->serial[0])
		memcpy(info.serial, identity->serial, sizeof(info.serial));
	return info;
}

/* Threads that find a change at the same time all look; the last look that counts is of the last change. */
static void look_at_disk(struct scsi_lun *lun, uint32_t changes)
{
	struct disk_info info = scsi_lun_info(lun);

	__atomic_store_n(&lun->shape.sectors, info.sectors, __ATOMIC_RELAXED);
	__atomic_store_n(&lun->shape.sector_size, info.sector_size, __ATOMIC_RELAXED);
	__atomic_store_n(&lun->shape.read_only, info.read_only, __ATOMIC_RELAXED);
	__atomic_store_n(&lun->shape.emulated, info.emulated, __ATOMIC_RELAXED);
	__atomic_store_n(&lun->shape_of, changes, __ATOMIC_RELEASE);
}

void scsi_lun_changed(struct scsi_lun *lun)
{
	__atomic_fetch_add(&lun->changes, 1, __ATOMIC_RELEASE);
}

struct scsi_shape scsi_lun_shape(struct scsi_lun *lun)
{
	uint32_t changes = __atomic_load_n(&lun->changes, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&lun->shape_of, __ATOMIC_ACQUIRE) != changes)
		look_at_disk(lun, changes);
	return (struct scsi_shape){
		.sectors = __atomic_load_n(&lun->shape.sectors, __ATOMIC_RELAXED),
		.sector_size = __atomic_load_n(&lun->shape.sector_size, __ATOMIC_RELAXED),
		.read_only = __atomic_load_n(&lun->shape.read_only, __ATOMIC_RELAXED),
		.emulated = __atomic_load_n(&lun->shape.emulated, __ATOMIC_RELAXED),
	};
}

bool scsi_lun_emulated(struct scsi_lun *lun)
{
	return scsi_lun_shape(lun).emulated;
}

/* --- Commands that are small enough to be here */

/* A disk that is gone has no sectors. */
static void test_unit_ready(struct scsi_lun *lun, struct scsi_command *command)
{
	if (scsi_lun_shape(lun).sectors)
		scsi_finish(command, SCSI_GOOD);
	else
		scsi_fail_not_present(command);
}

#define START_STOP_START     0x01
#define START_STOP_NO_FLUSH  0x04
#define START_STOP_CONDITION 0xF0

/* Nothing spins: a disk that is stopped is one whose writes are durable (SBC-4 5.31). */
static void start_stop(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t flags = command->cdb[4];

	if (lun->config.dvd)
		scsi_dvd_start_stop(lun, command);
	else if (flags & START_STOP_CONDITION)
		scsi_fail_field(command);
	else if (flags & (START_STOP_START | START_STOP_NO_FLUSH))
		scsi_finish(command, SCSI_GOOD);
	else
		scsi_flush(lun, command);
}

/* The unit attention that is pending, once; mostly there is none, which costs less to see. */
static uint32_t take_attention(struct scsi_lun *lun)
{
	return __atomic_load_n(&lun->attention, __ATOMIC_RELAXED)
		       ? __atomic_exchange_n(&lun->attention, 0, __ATOMIC_RELAXED)
		       : 0;
}

/* A pending unit attention is what there is to tell; otherwise no sense. */
static void request_sense(struct scsi_lun *lun, struct scsi_command *command)
{
	uint32_t code = take_attention(lun);
	uint8_t sense[SCSI_SENSE_SIZE];

	if (command->cdb[1] & 1) { /* descriptor format */
		scsi_fail_field(command);
		return;
	}
	scsi_build_sense(sense, code ? SCSI_SENSE_UNIT_ATTENTION : SCSI_SENSE_NONE,
			 (enum scsi_additional_sense)code);
	scsi_finish_with(command, sense, sizeof(sense), command->cdb[4]);
}

static void service_action_in(struct scsi_lun *lun, struct scsi_command *command)
{
	switch (command->cdb[1] & 0x1F) {
	case SCSI_SAI_READ_CAPACITY_16:
		scsi_read_capacity_16(lun, command);
		break;
	case SCSI_SAI_GET_LBA_STATUS:
		scsi_get_lba_status(lun, command);
		break;
	default:
		scsi_fail_field(command);
		break;
	}
}

/* --- Dispatch */

#define ON_DISK     0x1
#define ON_DVD      0x2
#define DESPITE_UA  0x4 /* answered although a unit attention is pending (SPC-5 5.14) */
#define ON_BOTH     (ON_DISK | ON_DVD)
#define WITH_MEDIUM 0x8

struct scsi_dispatch {
	void (*handle)(struct scsi_lun *lun, struct scsi_command *command);
	unsigned int flags;
};

static const struct scsi_dispatch dispatch[256] = {
	[SCSI_TEST_UNIT_READY] = { test_unit_ready, ON_BOTH },
	[SCSI_REQUEST_SENSE] = { request_sense, ON_BOTH | DESPITE_UA },
	[SCSI_READ_6] = { scsi_read, ON_DISK },
	[SCSI_WRITE_6] = { scsi_write, ON_DISK },
	[SCSI_INQUIRY] = { scsi_inquiry, ON_BOTH | DESPITE_UA },
	[SCSI_MODE_SENSE_6] = { scsi_mode_sense, ON_BOTH },
	[SCSI_START_STOP_UNIT] = { start_stop, ON_BOTH },
	[SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL] = { scsi_dvd_prevent, ON_DVD },
	[SCSI_READ_CAPACITY_10] = { scsi_read_capacity_10, ON_BOTH },
	[SCSI_READ_10] = { scsi_read, ON_BOTH },
	[SCSI_WRITE_10] = { scsi_write, ON_DISK },
	[SCSI_VERIFY_10] = { scsi_verify, ON_DISK },
	[SCSI_SYNCHRONIZE_CACHE_10] = { scsi_synchronize, ON_BOTH },
	[SCSI_WRITE_SAME_10] = { scsi_write_same, ON_DISK },
	[SCSI_UNMAP] = { scsi_unmap, ON_DISK },
	[SCSI_READ_TOC] = { scsi_dvd_toc, ON_DVD | WITH_MEDIUM },
	[SCSI_GET_CONFIGURATION] = { scsi_dvd_configuration, ON_DVD | DESPITE_UA },
	[SCSI_GET_EVENT_STATUS_NOTIFICATION] = { scsi_dvd_event_status, ON_DVD | DESPITE_UA },
	[SCSI_READ_DISC_INFORMATION] = { scsi_dvd_disc_info, ON_DVD | WITH_MEDIUM },
	[SCSI_READ_TRACK_INFORMATION] = { scsi_dvd_track_info, ON_DVD | WITH_MEDIUM },
	[SCSI_READ_DISC_STRUCTURE] = { scsi_dvd_structure, ON_DVD | WITH_MEDIUM },
	[SCSI_MODE_SENSE_10] = { scsi_mode_sense, ON_BOTH },
	[SCSI_PERSISTENT_RESERVE_IN] = { scsi_reserve_in, ON_DISK },
	[SCSI_PERSISTENT_RESERVE_OUT] = { scsi_reserve_out, ON_DISK },
	[SCSI_READ_16] = { scsi_read, ON_DISK },
	[SCSI_WRITE_16] = { scsi_write, ON_DISK },
	[SCSI_VERIFY_16] = { scsi_verify, ON_DISK },
	[SCSI_SYNCHRONIZE_CACHE_16] = { scsi_synchronize, ON_DISK },
	[SCSI_WRITE_SAME_16] = { scsi_write_same, ON_DISK },
	[SCSI_SERVICE_ACTION_IN_16] = { service_action_in, ON_DISK },
	[SCSI_READ_12] = { scsi_read, ON_BOTH },
	[SCSI_WRITE_12] = { scsi_write, ON_DISK },
	[SCSI_VERIFY_12] = { scsi_verify, ON_DISK },
};

void scsi_lun_execute(struct scsi_lun *lun, struct scsi_command *command)
{
	const struct scsi_dispatch *entry = &dispatch[command->cdb[0]];
	uint32_t attention;

	command->lun = lun;
	command->has_sense = false;
	command->transferred = 0;
	command->parameters = NULL;
	if (!entry->handle || !(entry->flags & (lun->config.dvd ? ON_DVD : ON_DISK))) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPCODE);
		return;
	}
	if (!(entry->flags & DESPITE_UA)) {
		attention = take_attention(lun);
		if (attention) {
			scsi_fail(command, SCSI_SENSE_UNIT_ATTENTION,
				  (enum scsi_additional_sense)attention);
			return;
		}
	}
	if ((entry->flags & WITH_MEDIUM) && !scsi_lun_shape(lun).sectors)
		scsi_fail_not_present(command);
	else
		entry->handle(lun, command);
}

#define SELECT_ALL_BUT_WELL_KNOWN 0x00
#define SELECT_WELL_KNOWN         0x01
#define SELECT_ALL                0x02

int scsi_report_luns(struct scsi_command *command, const uint8_t *numbers, unsigned int count)
{
	uint8_t data[8 + 8 * SCSI_REPORT_LUNS_MAX] = { 0 };
	uint32_t allocation = load_be32(&command->cdb[6]);
	uint32_t len;

	command->transferred = 0;
	command->has_sense = false;
	if (command->cdb[2] > SELECT_ALL) {
		scsi_build_sense(command->sense, SCSI_SENSE_ILLEGAL_REQUEST,
				 SCSI_ASC_INVALID_FIELD_IN_CDB);
		command->has_sense = true;
		command->status = SCSI_CHECK_CONDITION;
		return 0;
	}
	if (command->cdb[2] == SELECT_WELL_KNOWN)
		count = 0;
	for (unsigned int i = 0; i < count; i++)
		data[8 + 8 * i + 1] = numbers[i];
	store_be32(data, 8 * count);
	len = 8 + 8 * count;
	command->status = SCSI_GOOD;
	return scsi_command_put(command, data, len < allocation ? len : allocation);
}

int scsi_absent_execute(struct scsi_command *command)
{
	uint8_t data[36] = { SCSI_TYPE_NOT_PRESENT, 0, 0x06, 0x02, 31 };
	uint16_t allocation = load_be16(&command->cdb[3]);

	command->transferred = 0;
	command->has_sense = false;
	if (command->cdb[0] != SCSI_INQUIRY || (command->cdb[1] & 1))
		return -ENOENT;
	command->status = SCSI_GOOD;
	return scsi_command_put(command, data,
				allocation < sizeof(data) ? allocation : sizeof(data));
}

/* --- Life */

static void disk_has_changed(struct disk_watcher *watcher)
{
	struct scsi_lun *lun = container_of(watcher, struct scsi_lun, watcher);

	if (lun->config.dvd) {
		scsi_dvd_changed(lun);
	} else {
		scsi_lun_changed(lun);
		__atomic_store_n(&lun->attention, SCSI_ASC_CAPACITY_CHANGED, __ATOMIC_RELEASE);
	}
	if (lun->config.changed)
		lun->config.changed(lun->config.ctx);
}

struct scsi_lun *scsi_lun_create(const struct scsi_lun_config *config)
{
	struct scsi_lun *lun = calloc(1, sizeof(*lun));

	if (!lun)
		return NULL;
	lun->config = *config;
	lun->references = 1;
	lun->watcher.changed = disk_has_changed;
	pthread_mutex_init(&lun->lock, NULL);
	disk_watch(config->disk, &lun->watcher);
	look_at_disk(lun, 0);
	return lun;
}

void scsi_lun_get(struct scsi_lun *lun)
{
	__atomic_fetch_add(&lun->references, 1, __ATOMIC_RELAXED);
}

void scsi_lun_put(struct scsi_lun *lun)
{
	if (__atomic_fetch_sub(&lun->references, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	disk_unwatch(lun->config.disk, &lun->watcher);
	pthread_mutex_destroy(&lun->lock);
	if (lun->config.released)
		lun->config.released(lun->config.ctx);
	free(lun);
}
