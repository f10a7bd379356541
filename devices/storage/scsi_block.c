/* The commands of SBC-4 that reach the medium. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/big_endian.h"
#include "core/container_of.h"
#include "devices/storage/scsi_internal.h"

/* The opcode's group is its top three bits. */
struct scsi_extent scsi_extent_of(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0: /* 6 bytes; a length of zero means 256 */
		return (struct scsi_extent){ load_be32(cdb) & 0x1FFFFF, cdb[4] ? cdb[4] : 256 };
	case 4: /* 16 bytes */
		return (struct scsi_extent){ load_be64(cdb + 2), load_be32(cdb + 10) };
	case 5: /* 12 bytes */
		return (struct scsi_extent){ load_be32(cdb + 2), load_be32(cdb + 6) };
	default: /* 10 bytes */
		return (struct scsi_extent){ load_be32(cdb + 2), load_be16(cdb + 7) };
	}
}

bool scsi_check_extent(struct scsi_command *command, uint64_t sectors, struct scsi_extent extent)
{
	if (sectors && extent.sector <= sectors && extent.count <= sectors - extent.sector)
		return true;
	if (!sectors)
		scsi_fail_not_present(command);
	else
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
	return false;
}

void scsi_trim_segments(struct scsi_command *command, uint64_t len)
{
	unsigned int i = 0;

	for (; len; i++) {
		if (command->segments[i].len > len)
			command->segments[i].len = len;
		len -= command->segments[i].len;
	}
	command->segment_count = i;
}

void scsi_submit(struct scsi_lun *lun, struct scsi_command *command)
{
	command->disk.disk = lun->config.disk;
	lun->config.disk->ops->submit(lun->config.disk, command->loop, &command->disk);
}

static void request_done(struct disk_request *request, int err)
{
	struct scsi_command *command = container_of(request, struct scsi_command, disk);

	if (err)
		scsi_fail_errno(command, err);
	else
		scsi_finish(command, SCSI_GOOD);
}

void scsi_submit_extent(struct scsi_lun *lun, struct scsi_command *command,
			enum disk_operation operation, bool fua, struct scsi_extent extent)
{
	command->disk = (struct disk_request){
		.operation = operation,
		.fua = fua,
		.sector = extent.sector,
		.count = extent.count,
		.segments = command->segments,
		.segment_count = command->segment_count,
		.done = request_done,
	};
	scsi_submit(lun, command);
}

/* --- READ and WRITE */

static void transfer(struct scsi_lun *lun, struct scsi_command *command,
		     enum disk_operation operation, enum scsi_direction direction)
{
	struct scsi_shape shape = scsi_lun_shape(lun);
	struct scsi_extent extent = scsi_extent_of(command->cdb);
	bool six = command->cdb[0] < 0x20;
	uint64_t bytes;

	if (!six && (command->cdb[1] & 0xE0)) { /* protection information */
		scsi_fail_field(command);
		return;
	}
	if (!scsi_check_extent(command, shape.sectors, extent))
		return;
	if (!extent.count) {
		scsi_finish(command, SCSI_GOOD);
		return;
	}
	bytes = extent.count * shape.sector_size;
	if (bytes > SCSI_MAX_TRANSFER || bytes > command->data_len ||
	    command->direction != direction) {
		scsi_fail_field(command);
		return;
	}
	scsi_trim_segments(command, bytes);
	command->transferred = (uint32_t)bytes;
	scsi_submit_extent(lun, command, operation,
			   (!six && (command->cdb[1] & 0x08)) ||
				   (operation == DISK_WRITE && lun->config.no_write_cache),
			   extent);
}

void scsi_read(struct scsi_lun *lun, struct scsi_command *command)
{
	transfer(lun, command, DISK_READ, SCSI_DATA_IN);
}

void scsi_write(struct scsi_lun *lun, struct scsi_command *command)
{
	if (scsi_lun_shape(lun).read_only)
		scsi_fail_errno(command, -EROFS);
	else
		transfer(lun, command, DISK_WRITE, SCSI_DATA_OUT);
}

void scsi_flush(struct scsi_lun *lun, struct scsi_command *command)
{
	command->disk = (struct disk_request){ .operation = DISK_FLUSH, .done = request_done };
	scsi_submit(lun, command);
}

void scsi_synchronize(struct scsi_lun *lun, struct scsi_command *command)
{
	if (scsi_check_extent(command, scsi_lun_shape(lun).sectors, scsi_extent_of(command->cdb)))
		scsi_flush(lun, command);
}

/* --- UNMAP (SBC-4 5.35): descriptors one after the other */

#define UNMAP_ANCHOR          0x01 /* not for thin provisioning that has none */
#define UNMAP_HEADER_SIZE     8u
#define UNMAP_DESCRIPTOR_SIZE 16u

static void unmap_next(struct scsi_command *command);

static void unmap_done(struct disk_request *request, int err)
{
	struct scsi_command *command = container_of(request, struct scsi_command, disk);

	/* A hint that is not taken is no error. */
	if (err && err != -EOPNOTSUPP)
		scsi_fail_errno(command, err);
	else
		unmap_next(command);
}

static void unmap_next(struct scsi_command *command)
{
	const uint8_t *descriptor = command->parameters + command->parameter_next;

	if (command->parameter_next == command->parameter_end) {
		scsi_finish(command, SCSI_GOOD);
		return;
	}
	command->parameter_next += UNMAP_DESCRIPTOR_SIZE;
	command->disk = (struct disk_request){
		.operation = DISK_UNMAP,
		.sector = load_be64(descriptor),
		.count = load_be32(descriptor + 8),
		.done = unmap_done,
	};
	scsi_submit(command->lun, command);
}

/* The parameters, already a private copy: 0, or the sense code of what is wrong with them. */
static enum scsi_additional_sense check_unmap(const struct disk_info *info,
					      const uint8_t *parameters, uint32_t len,
					      uint32_t *end)
{
	uint32_t descriptors = load_be16(parameters + 2) / UNMAP_DESCRIPTOR_SIZE;

	if (descriptors > (len - UNMAP_HEADER_SIZE) / UNMAP_DESCRIPTOR_SIZE)
		return SCSI_ASC_PARAMETER_LIST_LENGTH;
	if (descriptors > SCSI_MAX_UNMAP_DESCRIPTORS)
		return SCSI_ASC_INVALID_FIELD_IN_PARAMETERS;
	for (uint32_t i = 0; i < descriptors; i++) {
		const uint8_t *descriptor =
			parameters + UNMAP_HEADER_SIZE + i * UNMAP_DESCRIPTOR_SIZE;
		uint32_t count = load_be32(descriptor + 8);

		if (!disk_range_valid(info, load_be64(descriptor), count))
			return SCSI_ASC_LBA_OUT_OF_RANGE;
		if (count > SCSI_MAX_UNMAP_SECTORS)
			return SCSI_ASC_INVALID_FIELD_IN_PARAMETERS;
	}
	*end = UNMAP_HEADER_SIZE + descriptors * UNMAP_DESCRIPTOR_SIZE;
	return SCSI_ASC_NONE;
}

void scsi_unmap(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	uint32_t len = load_be16(&command->cdb[7]);
	enum scsi_additional_sense wrong;
	int err;

	if (!info.can_unmap) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPCODE);
		return;
	}
	if (command->cdb[1] & UNMAP_ANCHOR) {
		scsi_fail_field(command);
		return;
	}
	if (info.read_only) {
		scsi_fail_errno(command, -EROFS);
		return;
	}
	if (!len) {
		scsi_finish(command, SCSI_GOOD);
		return;
	}
	if (len < UNMAP_HEADER_SIZE) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH);
		return;
	}
	command->parameters = malloc(len);
	err = command->parameters ? scsi_command_take(command, command->parameters, len) : -ENOMEM;
	if (err) {
		scsi_fail_errno(command, err);
		return;
	}
	wrong = check_unmap(&info, command->parameters, len, &command->parameter_end);
	if (wrong) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, wrong);
		return;
	}
	command->parameter_next = UNMAP_HEADER_SIZE;
	unmap_next(command);
}

/* What is allocated is the backing's secret: everything counts as mapped (SBC-4 5.6). */
void scsi_get_lba_status(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	uint64_t sector = load_be64(&command->cdb[2]), left;
	uint8_t data[24] = { [3] = 20 };

	if (sector >= info.sectors) {
		scsi_fail(command, SCSI_SENSE_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
		return;
	}
	left = info.sectors - sector;
	store_be64(&data[8], sector);
	store_be32(&data[16], left > UINT32_MAX ? UINT32_MAX : (uint32_t)left);
	scsi_finish_with(command, data, sizeof(data), load_be32(&command->cdb[10]));
}
