#ifndef DEVICES_STORAGE_SCSI_LUN_H
#define DEVICES_STORAGE_SCSI_LUN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/disk.h"
#include "proto/scsi.h"

/*
 * A SCSI logical unit over a disk: direct access (SBC-4) or DVD (MMC-6). One initiator, which is the
 * guest; commands may run on several loops at once.
 */

struct event_loop;
struct guest_memory;
struct scsi_lun;

enum scsi_direction {
	SCSI_NO_DATA,
	SCSI_DATA_IN,
	SCSI_DATA_OUT
};

/*
 * One command. The caller owns it and leaves it alone until done(), which comes on the thread of
 * `loop`, possibly before scsi_lun_execute() returns.
 */
struct scsi_command {
	uint8_t cdb[16]; /* shorter ones are padded with zeroes */
	enum scsi_direction direction;
	struct disk_segment *segments; /* the data buffer; the target may shorten them */
	unsigned int segment_count;
	uint32_t data_len; /* of all segments together */
	const struct guest_memory *memory;
	struct event_loop *loop;
	void (*done)(struct scsi_command *command);

	/* Results. */
	uint8_t status; /* enum scsi_status */
	bool has_sense;
	uint8_t sense[SCSI_SENSE_SIZE];
	uint32_t transferred; /* bytes */

	/* The target's. */
	struct scsi_lun *lun;
	struct disk_request disk;
	uint8_t *parameters; /* of an UNMAP under way */
	uint32_t parameter_next, parameter_end;
};

/* Names by which the initiator knows a unit; an empty text, or zeroes: what there is by default. */
struct scsi_identity {
	char vendor[9], product[17], revision[5], serial[21];
	uint8_t id[16]; /* never that of another unit */
};

struct scsi_lun_config {
	struct disk *disk; /* outlives the unit */
	bool dvd; /* a drive: read-only, 2048-byte sectors, no medium while there are none (disc_tray.h) */
	bool read_only;      /* even if the disk is not */
	bool no_unmap;       /* likewise */
	bool no_fua;         /* the initiator is not told of FUA, which is honoured all the same */
	bool no_write_cache; /* there is none to be flushed: every write is durable when done */
	uint16_t rotation_rate;        /* as SBC-4 6.6.3 has it; 0: what does not rotate */
	uint32_t physical_sector_size; /* bytes; 0, or less than a sector: the disk's own */
	uint32_t max_transfer;         /* bytes that the initiator is told; 0: all that can be */
	uint64_t max_size;             /* bytes: no more of the disk is shown; 0: all is */
	struct scsi_identity identity;
	/*
	 * The disk has changed: a unit attention waits for the next command, and an idle guest will not send one
	 * before its controller asks it to (storvsp_rescan()). Any thread; must not wait. May be NULL.
	 */
	void (*changed)(void *ctx);
	/* The last reference is gone; the disk is free. May be NULL. */
	void (*released)(void *ctx);
	void *ctx; /* of both */
};

/* A unit with one reference, the caller's. NULL when out of memory. */
struct scsi_lun *scsi_lun_create(const struct scsi_lun_config *config);
void scsi_lun_get(struct scsi_lun *lun);
void scsi_lun_put(struct scsi_lun *lun);

/* Whether its disk is emulated: disk_info. Any thread. */
bool scsi_lun_emulated(struct scsi_lun *lun);

/* Starts a command, which keeps the caller's reference until it is done. On the thread of command->loop. */
void scsi_lun_execute(struct scsi_lun *lun, struct scsi_command *command);

#define SCSI_REPORT_LUNS_MAX 64

/*
 * REPORT LUNS (SPC-5 6.33) is the controller's: a target may have no unit 0 to ask. Sets the results,
 * for units of these numbers, ascending, at most SCSI_REPORT_LUNS_MAX. 0 or -EFAULT.
 */
int scsi_report_luns(struct scsi_command *command, const uint8_t *numbers, unsigned int count);

/*
 * What a controller answers for a number that has no unit: a standard INQUIRY that says so, and
 * -ENOENT for everything else.
 */
int scsi_absent_execute(struct scsi_command *command);

/* Copies data for the initiator, as much as it has room for, and sets `transferred`. 0 or -EFAULT. */
int scsi_command_put(struct scsi_command *command, const void *data, uint32_t len);

#endif
