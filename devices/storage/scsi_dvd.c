/* What MMC-6 adds for a drive that has a finished, data-only DVD in it, or nothing. */

#include <errno.h>
#include <string.h>

#include "core/big_endian.h"
#include "devices/storage/scsi_internal.h"

#define PROFILE_DVD_ROM 0x0010

/* A position as sectors, or as minutes, seconds and frames (75 a second, 2 seconds of lead-in). */
static void store_position(uint8_t *p, uint32_t sector, bool msf)
{
	if (!msf) {
		store_be32(p, sector);
		return;
	}
	sector += 150;
	p[0] = 0;
	p[1] = (uint8_t)(sector / 75 / 60);
	p[2] = (uint8_t)(sector / 75 % 60);
	p[3] = (uint8_t)(sector % 75);
}

/* READ TOC (MMC-6 6.25): one data track and the lead-out. */
void scsi_dvd_toc(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	bool msf = command->cdb[1] & 0x02;
	uint8_t format = command->cdb[2] & 0x0F, start = command->cdb[6];
	uint8_t data[20] = { [2] = 1, [3] = 1, [5] = 0x14, [6] = 1, [13] = 0x14, [14] = 0xAA };
	uint32_t len = sizeof(data);

	if (format > 1 || (start > 1 && start != 0xAA)) {
		scsi_fail_field(command);
		return;
	}
	store_position(&data[8], 0, msf);
	store_position(&data[16], info.sectors > UINT32_MAX ? UINT32_MAX : (uint32_t)info.sectors,
		       msf);
	if (format == 1) { /* sessions: the first track of the only one */
		len = 12;
	} else if (start == 0xAA) {
		memmove(&data[4], &data[12], 8);
		len = 12;
	}
	store_be16(data, (uint16_t)(len - 2));
	scsi_finish_with(command, data, len, load_be16(&command->cdb[7]));
}

static bool has_medium(struct scsi_lun *lun)
{
	return scsi_lun_shape(lun).sectors != 0;
}

/* --- GET CONFIGURATION (MMC-6 6.6) */

#define FEATURE_CURRENT 0x01

struct feature {
	uint16_t code;
	uint8_t flags;  /* version and persistence; current is added */
	bool of_medium; /* current only with a medium */
	uint8_t len;
	uint8_t data[8];
};

/* In ascending order (MMC-6 5.2.2). The profile list's entry has a current bit of its own. */
static const struct feature features[] = {
	{ 0x0000, 0x02, false, 4, { 0x00, 0x10, 0, 0 } },          /* profiles: DVD-ROM */
	{ 0x0001, 0x0A, false, 8, { 0, 0, 0, 1, 0x01, 0, 0, 0 } }, /* core: SCSI, DBE */
	{ 0x0002, 0x06, false, 4, { 0x02, 0, 0, 0 } },             /* morphing: polled events */
	{ 0x0003, 0x02, false, 4, { 0x29, 0, 0, 0 } },             /* tray: locks and ejects */
	{ 0x0010, 0x00, true, 8, { 0, 0, 0x08, 0, 0, 0x10, 0x01, 0 } }, /* random readable */
	{ 0x001F, 0x04, true, 4, { 0, 0, 0, 0 } },                      /* DVD read */
	{ 0x0105, 0x02, false, 4, { 0, 0, 0, 0 } },                     /* time-out */
};

static uint32_t put_feature(const struct feature *feature, bool medium, uint8_t *data)
{
	bool current = medium || !feature->of_medium;

	store_be16(data, feature->code);
	data[2] = (uint8_t)(feature->flags | (current ? FEATURE_CURRENT : 0));
	data[3] = feature->len;
	memcpy(data + 4, feature->data, feature->len);
	if (!feature->code && medium)
		data[6] = FEATURE_CURRENT;
	return 4u + feature->len;
}

/* Requested type (MMC-6 6.6.2.1): 0 all from a number on, 1 those that are current, 2 that one. */
static bool is_asked_for(const struct feature *feature, uint8_t type, uint16_t from, bool medium)
{
	if (type == 2)
		return feature->code == from;
	return feature->code >= from && (type == 0 || medium || !feature->of_medium);
}

void scsi_dvd_configuration(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t data[8 + sizeof(features)] = { 0 };
	uint8_t type = command->cdb[1] & 0x03;
	uint16_t from = load_be16(&command->cdb[2]);
	bool medium = has_medium(lun);
	uint32_t len = 8;

	if (type == 3) {
		scsi_fail_field(command);
		return;
	}
	store_be16(data + 6, medium ? PROFILE_DVD_ROM : 0);
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (is_asked_for(&features[i], type, from, medium))
			len += put_feature(&features[i], medium, data + len);
	store_be32(data, len - 4);
	scsi_finish_with(command, data, len, load_be16(&command->cdb[7]));
}

/* --- Loading, ejecting, and what is told of it */

static void set_event(struct scsi_lun *lun, enum scsi_media_event event)
{
	__atomic_store_n(&lun->drive.event, event, __ATOMIC_RELEASE);
	if (event == SCSI_MEDIA_NEW)
		__atomic_store_n(&lun->attention, SCSI_ASC_MEDIUM_CHANGED, __ATOMIC_RELEASE);
}

/* The host has put another one in, or taken it out: the tray is then closed. */
void scsi_dvd_changed(struct scsi_lun *lun)
{
	struct disk_info info;

	lun->config.disk->ops->get_info(lun->config.disk, &info);
	__atomic_store_n(&lun->drive.open, false, __ATOMIC_RELEASE);
	scsi_lun_changed(lun);
	set_event(lun, info.sectors ? SCSI_MEDIA_NEW : SCSI_MEDIA_REMOVED);
}

/* GET EVENT STATUS NOTIFICATION (MMC-6 6.7): polled, media class. */
void scsi_dvd_event_status(struct scsi_lun *lun, struct scsi_command *command)
{
	bool media = command->cdb[4] & 0x10;
	bool open = __atomic_load_n(&lun->drive.open, __ATOMIC_ACQUIRE);
	uint8_t data[8] = { [2] = media ? 0x04 : 0x80, [3] = 0x10 };
	uint32_t len = media ? 8 : 4;

	if (!(command->cdb[1] & 1)) {
		scsi_fail_field(command);
		return;
	}
	if (media)
		data[4] = (uint8_t)__atomic_exchange_n(&lun->drive.event, SCSI_MEDIA_NO_EVENT,
						       __ATOMIC_ACQ_REL);
	data[5] = (uint8_t)((open ? 0x01 : 0) | (has_medium(lun) ? 0x02 : 0));
	store_be16(data, (uint16_t)(len - 2));
	scsi_finish_with(command, data, len, load_be16(&command->cdb[7]));
}

/* START STOP UNIT (MMC-6 6.42): with LoEj the tray goes out or in, else there is no motor. */
void scsi_dvd_start_stop(struct scsi_lun *lun, struct scsi_command *command)
{
	bool load = command->cdb[4] & 0x01, move = command->cdb[4] & 0x02;

	if (move && !load && __atomic_load_n(&lun->drive.prevented, __ATOMIC_RELAXED)) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_REMOVAL_PREVENTED);
		return;
	}
	if (move && __atomic_exchange_n(&lun->drive.open, !load, __ATOMIC_ACQ_REL) == load) {
		scsi_lun_changed(lun);
		set_event(lun, load && has_medium(lun) ? SCSI_MEDIA_NEW : SCSI_MEDIA_REMOVED);
	}
	scsi_finish(command, SCSI_GOOD);
}

/* PREVENT ALLOW MEDIUM REMOVAL (MMC-6 6.18): the guest's own eject; the host may take what is its. */
void scsi_dvd_prevent(struct scsi_lun *lun, struct scsi_command *command)
{
	__atomic_store_n(&lun->drive.prevented, command->cdb[4] & 0x01, __ATOMIC_RELAXED);
	scsi_finish(command, SCSI_GOOD);
}

/* --- What is on the disc: one session, one track, finished */

/* READ DISC INFORMATION (MMC-6 6.22). */
void scsi_dvd_disc_info(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t data[34] = { [1] = 32, [2] = 0x0E, [3] = 1, [4] = 1, [5] = 1, [6] = 1 };

	(void)lun;
	if (command->cdb[1] & 0x07) {
		scsi_fail_field(command);
		return;
	}
	scsi_finish_with(command, data, sizeof(data), load_be16(&command->cdb[7]));
}

static uint32_t last_sector(struct scsi_lun *lun)
{
	uint64_t sectors = scsi_lun_info(lun).sectors;

	return sectors > UINT32_MAX ? UINT32_MAX : (uint32_t)sectors - 1;
}

/* READ TRACK INFORMATION (MMC-6 6.26): a sector of it, its number, or its session's. */
void scsi_dvd_track_info(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t type = command->cdb[1] & 0x03;
	uint32_t address = load_be32(&command->cdb[2]), last = last_sector(lun);
	uint8_t data[36] = { [1] = 34, [2] = 1, [3] = 1, [5] = 0x04, [6] = 0x01 };

	if (type == 3 || (type == 0 && address > last) || (type != 0 && address != 1)) {
		scsi_fail_field(command);
		return;
	}
	store_be32(&data[24], last + 1);
	scsi_finish_with(command, data, sizeof(data), load_be16(&command->cdb[7]));
}

/* READ DISC STRUCTURE (MMC-6 6.24) of a DVD: the physical format, and that nothing is protected. */
void scsi_dvd_structure(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t data[4 + 2048] = { 0 };
	uint32_t len;

	switch (command->cdb[7]) {
	case 0x00: /* 12 cm, one layer, data from 30000h on (ECMA-267) */
		data[4] = 0x01;
		data[5] = 0x0F;
		data[6] = 0x01;
		store_be32(&data[8], 0x30000);
		store_be32(&data[12], 0x30000 + last_sector(lun));
		len = sizeof(data);
		break;
	case 0x01: /* copyright */
		len = 8;
		break;
	default:
		scsi_fail_field(command);
		return;
	}
	store_be16(data, (uint16_t)(len - 2));
	scsi_finish_with(command, data, len, load_be16(&command->cdb[8]));
}
