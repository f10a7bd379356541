/*
 * WRITE SAME and VERIFY (SBC-4 5.42, 5.36): one block of the initiator's for many of the disk, or as many. No data is
 * copied for it: the disk is given the same piece of memory again and again.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/container_of.h"
#include "devices/storage/scsi_internal.h"

#define SECTOR_MAX 4096u

/* Pieces of memory that one request to the disk has. */
#define PIECES 128u

/* --- The initiator's block for all sectors of an extent, some of them at a time */

/* Of the command's, which scsi_finish() frees with it. On the thread of its loop. */
struct repeat {
	enum disk_operation operation;
	bool fua;
	struct scsi_extent left;
	unsigned int block_pieces; /* of which the block is made */
	unsigned int blocks;       /* in `segments` */
	bool submitting, answered; /* an answer may come before submit() returns */
	int err;                   /* then */
	struct disk_segment segments[];
};

static struct repeat *repeat_of(struct scsi_command *command)
{
	return (struct repeat *)(void *)command->parameters;
}

static void continue_repeat(struct scsi_command *command);

static void repeat_done(struct disk_request *request, int err)
{
	struct scsi_command *command = container_of(request, struct scsi_command, disk);
	struct repeat *repeat = repeat_of(command);

	repeat->answered = true;
	repeat->err = err;
	if (!repeat->submitting)
		continue_repeat(command);
}

/* False when all is done, or waits for an answer. */
static bool next_blocks(struct scsi_command *command)
{
	struct repeat *repeat = repeat_of(command);
	uint64_t count = repeat->left.count < repeat->blocks ? repeat->left.count : repeat->blocks;

	command->disk = (struct disk_request){
		.operation = repeat->operation,
		.fua = repeat->fua,
		.sector = repeat->left.sector,
		.count = count,
		.segments = repeat->segments,
		.segment_count = (unsigned int)count * repeat->block_pieces,
		.done = repeat_done,
	};
	repeat->left.sector += count;
	repeat->left.count -= count;
	repeat->answered = false;
	repeat->submitting = true;
	scsi_submit(command->lun, command);
	repeat->submitting = false;
	return repeat->answered;
}

/* A loop where answers come at once, for they could be thousands. */
static void continue_repeat(struct scsi_command *command)
{
	struct repeat *repeat = repeat_of(command);

	while (!repeat->err && repeat->left.count)
		if (!next_blocks(command))
			return;
	if (repeat->err)
		scsi_fail_errno(command, repeat->err);
	else
		scsi_finish(command, SCSI_GOOD);
}

/* The command's buffer is the block. */
static void start_repeat(struct scsi_command *command, enum disk_operation operation, bool fua,
			 struct scsi_extent extent)
{
	unsigned int pieces = command->segment_count;
	unsigned int blocks = pieces < PIECES ? PIECES / pieces : 1;
	struct repeat *repeat =
		malloc(sizeof(*repeat) + sizeof(repeat->segments[0]) * pieces * blocks);

	if (!repeat) {
		scsi_fail_errno(command, -ENOMEM);
		return;
	}
	*repeat = (struct repeat){
		.operation = operation,
		.fua = fua,
		.left = extent,
		.block_pieces = pieces,
		.blocks = blocks,
	};
	for (unsigned int i = 0; i < pieces * blocks; i++)
		repeat->segments[i] = command->segments[i % pieces];
	command->parameters = (uint8_t *)repeat;
	continue_repeat(command);
}

/* Shortens the initiator's buffer to `len` bytes; finishes the command and returns false if it has fewer. */
static bool trim_data_out(struct scsi_command *command, uint64_t len)
{
	if (command->direction != SCSI_DATA_OUT || len > command->data_len) {
		scsi_fail_field(command);
		return false;
	}
	scsi_trim_segments(command, len);
	command->transferred = (uint32_t)len;
	return true;
}

/* --- WRITE SAME */

#define WRITE_SAME_NO_DATA 0x01
#define WRITE_SAME_UNMAP   0x08

static void write_zeroes(struct scsi_lun *lun, struct scsi_command *command,
			 struct scsi_extent extent)
{
	scsi_submit_extent(lun, command, DISK_WRITE_ZEROES, lun->config.no_write_cache, extent);
}

/* *zero: the block that the initiator sent is all zeroes. 0 or -errno. */
static int look_at_block(struct scsi_command *command, uint32_t sector_size, bool *zero)
{
	uint8_t block[SECTOR_MAX];
	int err;

	if (sector_size > sizeof(block))
		return -EINVAL;
	err = scsi_command_take(command, block, sector_size);
	*zero = !err;
	for (uint32_t i = 0; *zero && i < sector_size; i++)
		*zero = !block[i];
	return err;
}

static void write_block(struct scsi_lun *lun, struct scsi_command *command,
			const struct disk_info *info, struct scsi_extent extent)
{
	bool zero;
	int err;

	if (!trim_data_out(command, info->sector_size))
		return;
	err = look_at_block(command, info->sector_size, &zero);
	if (err)
		scsi_fail_errno(command, err);
	else if (zero && info->can_write_zeroes)
		write_zeroes(lun, command, extent);
	else
		start_repeat(command, DISK_WRITE, lun->config.no_write_cache, extent);
}

void scsi_write_same(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	struct scsi_extent extent = scsi_extent_of(command->cdb);
	bool no_data =
		command->cdb[0] == SCSI_WRITE_SAME_16 && (command->cdb[1] & WRITE_SAME_NO_DATA);
	uint8_t known = WRITE_SAME_UNMAP | (no_data ? WRITE_SAME_NO_DATA : 0);

	if (info.read_only) {
		scsi_fail_errno(command, -EROFS);
		return;
	}
	if ((command->cdb[1] & ~known) || (no_data && !info.can_write_zeroes) || !extent.count ||
	    extent.count > SCSI_MAX_WRITE_SAME_SECTORS) {
		scsi_fail_field(command);
		return;
	}
	if (!scsi_check_extent(command, info.sectors, extent))
		return;
	if (no_data)
		write_zeroes(lun, command, extent);
	else
		write_block(lun, command, &info, extent);
}

/* --- VERIFY */

#define VERIFY_PROTECT 0xE0

enum byte_check {
	CHECK_MEDIUM,
	CHECK_BYTES, /* with as many blocks */
	CHECK_RESERVED,
	CHECK_SAME, /* each with the one block */
};

static void verify_medium(struct scsi_lun *lun, struct scsi_command *command, bool can_verify,
			  struct scsi_extent extent)
{
	/* A disk that cannot would find nothing that a read at the right time does not find too. */
	if (!can_verify || !extent.count) {
		scsi_finish(command, SCSI_GOOD);
		return;
	}
	scsi_submit_extent(lun, command, DISK_VERIFY, false, extent);
}

static void verify_bytes(struct scsi_lun *lun, struct scsi_command *command, uint32_t sector_size,
			 struct scsi_extent extent)
{
	uint64_t bytes = extent.count * sector_size;

	if (bytes > SCSI_MAX_TRANSFER) {
		scsi_fail_field(command);
		return;
	}
	if (trim_data_out(command, bytes))
		scsi_submit_extent(lun, command, DISK_COMPARE, false, extent);
}

void scsi_verify(struct scsi_lun *lun, struct scsi_command *command)
{
	struct disk_info info = scsi_lun_info(lun);
	struct scsi_extent extent = scsi_extent_of(command->cdb);
	enum byte_check check = command->cdb[1] >> 1 & 3;

	if (command->cdb[1] & VERIFY_PROTECT || check == CHECK_RESERVED ||
	    (check != CHECK_MEDIUM && !info.can_compare) ||
	    extent.count > SCSI_MAX_VERIFY_SECTORS) {
		scsi_fail_field(command);
		return;
	}
	if (!scsi_check_extent(command, info.sectors, extent))
		return;
	if (check == CHECK_MEDIUM || !extent.count)
		verify_medium(lun, command, info.can_verify, extent);
	else if (check == CHECK_BYTES)
		verify_bytes(lun, command, info.sector_size, extent);
	else if (trim_data_out(command, info.sector_size))
		start_repeat(command, DISK_COMPARE, false, extent);
}
