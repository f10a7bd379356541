/* What MMC-6 adds for a drive with a finished, data-only disc in it. */

#include <errno.h>
#include <string.h>

#include "devices/storage/scsi_bytes.h"
#include "devices/storage/scsi_internal.h"

#define PROFILE_DVD_ROM 0x0010

static void invalid_field(struct scsi_command *command)
{
	scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
}

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
		invalid_field(command);
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

/* GET CONFIGURATION (MMC-6 6.6): the profile list, then core and removable medium. */
void scsi_dvd_configuration(struct scsi_lun *lun, struct scsi_command *command)
{
	static const uint8_t features[] = {
		0x00, 0x00, 0x03, 0x04, 0x00, 0x10, 0x01, 0x00, /* profiles: DVD-ROM, current */
		0x00, 0x01, 0x0B, 0x08, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, /* core */
		0x00, 0x03, 0x07, 0x04, 0x29, 0x00, 0x00, 0x00, /* tray, locks and ejects */
	};
	static const uint32_t starts[] = { 0, 8, 20, sizeof(features) };
	uint8_t type = command->cdb[1] & 0x03;
	uint16_t from = load_be16(&command->cdb[2]);
	uint8_t data[8 + sizeof(features)] = { 0 };
	uint32_t len = 8;

	(void)lun;
	store_be16(data + 6, PROFILE_DVD_ROM);
	for (unsigned int i = 0; i < 3; i++) {
		uint16_t feature = load_be16(&features[starts[i]]);

		if (type == 2 ? feature != from : feature < from)
			continue;
		memcpy(data + len, &features[starts[i]], starts[i + 1] - starts[i]);
		len += starts[i + 1] - starts[i];
	}
	store_be32(data, len - 4);
	scsi_finish_with(command, data, len, load_be16(&command->cdb[7]));
}

/* GET EVENT STATUS NOTIFICATION (MMC-6 6.7): polled, media class; nothing ever happens. */
void scsi_dvd_event_status(struct scsi_lun *lun, struct scsi_command *command)
{
	bool media = command->cdb[4] & 0x10;
	uint8_t data[8] = { [2] = media ? 0x04 : 0x80, [3] = 0x10, [5] = 0x02 };
	uint32_t len = media ? 8 : 4;

	(void)lun;
	if (!(command->cdb[1] & 1)) {
		invalid_field(command);
		return;
	}
	store_be16(data, (uint16_t)(len - 2));
	scsi_finish_with(command, data, len, load_be16(&command->cdb[7]));
}

/* READ DISC INFORMATION (MMC-6 6.22): finished, one session, one track. */
void scsi_dvd_disc_info(struct scsi_lun *lun, struct scsi_command *command)
{
	uint8_t data[34] = { [1] = 32, [2] = 0x0E, [3] = 1, [4] = 1, [5] = 1, [6] = 1 };

	(void)lun;
	if (command->cdb[1] & 0x07) {
		invalid_field(command);
		return;
	}
	scsi_finish_with(command, data, sizeof(data), load_be16(&command->cdb[7]));
}
