#ifndef DEVICES_STORAGE_SCSI_INTERNAL_H
#define DEVICES_STORAGE_SCSI_INTERNAL_H

#include <pthread.h>

#include "devices/storage/scsi_lun.h"

/* Shared by the SCSI target's own files only. */

/* Bytes that one READ, WRITE, WRITE SAME or UNMAP may ask for: block limits say it too. */
#define SCSI_MAX_TRANSFER           (1u << 20)
#define SCSI_MAX_UNMAP_DESCRIPTORS  256u
#define SCSI_MAX_WRITE_SAME_SECTORS (1u << 16)
#define SCSI_MAX_VERIFY_SECTORS     (1u << 16)
#define SCSI_MAX_UNMAP_SECTORS      (1u << 22)

/* Persistent reservations (SPC-5 5.13), of the one initiator. */
struct scsi_reservation {
	uint64_t key; /* 0: not registered */
	uint32_t generation;
	bool held;
	uint8_t type;
};

/* What reading and writing need of struct disk_info. */
struct scsi_shape {
	uint64_t sectors;
	uint32_t sector_size;
	bool read_only;
	bool emulated;
};

/* What a drive has to tell of its medium (MMC-6 6.7.2.5), once. */
enum scsi_media_event {
	SCSI_MEDIA_NO_EVENT = 0,
	SCSI_MEDIA_NEW = 2,
	SCSI_MEDIA_REMOVED = 3,
};

/* A drive's; all atomic. */
struct scsi_drive {
	bool open; /* the guest has ejected the medium: the tray is out, until it is loaded again */
	bool prevented; /* the guest wants the medium to stay */
	uint32_t event; /* enum scsi_media_event */
};

struct scsi_lun {
	struct scsi_lun_config config;
	uint32_t changes;        /* of the disk, so far; atomic, like the next two */
	uint32_t shape_of;       /* how many `shape` knows of */
	struct scsi_shape shape; /* for scsi_lun_shape() */
	unsigned int references; /* atomic */
	uint32_t attention; /* unit attention to report once, enum scsi_additional_sense; atomic */
	struct disk_watcher watcher;
	struct scsi_drive drive;
	pthread_mutex_t lock; /* of reservation */
	struct scsi_reservation reservation;
};

void scsi_finish(struct scsi_command *command, enum scsi_status status);
void scsi_fail(struct scsi_command *command, enum scsi_sense_key key,
	       enum scsi_additional_sense code);
void scsi_fail_errno(struct scsi_command *command, int err);

/* A field of the CDB asks for what there is not. */
void scsi_fail_field(struct scsi_command *command);

/* There is nothing to read: a disk that is gone, a drive without a medium. */
void scsi_fail_not_present(struct scsi_command *command);

/* Puts the first `len` bytes, cut at the CDB's allocation length, and finishes. */
void scsi_finish_with(struct scsi_command *command, const void *data, uint32_t len,
		      uint32_t allocation);

/* Copies `len` bytes of parameters from the initiator. 0, -EINVAL: it sent fewer; -EFAULT. */
int scsi_command_take(struct scsi_command *command, void *buf, uint32_t len);

struct disk_info scsi_lun_info(struct scsi_lun *lun);

/* It is not what it was: to be called before the initiator is told so. Any thread. */
void scsi_lun_changed(struct scsi_lun *lun);

/* The part of it that every transfer wants, without the disk's lock. */
struct scsi_shape scsi_lun_shape(struct scsi_lun *lun);

/* Sectors that a CDB names, wherever its length has them (SPC-5 4.2.5). */
struct scsi_extent {
	uint64_t sector;
	uint64_t count;
};

struct scsi_extent scsi_extent_of(const uint8_t *cdb);

/* Finishes the command and returns false when the extent is not on a disk of `sectors`. */
bool scsi_check_extent(struct scsi_command *command, uint64_t sectors, struct scsi_extent extent);

/* Shortens the buffer, which is at least that long, to `len` bytes. */
void scsi_trim_segments(struct scsi_command *command, uint64_t len);

/* Hands command->disk to the disk. */
void scsi_submit(struct scsi_lun *lun, struct scsi_command *command);

/* Hands the disk an operation on an extent, with the command's buffer, and finishes when it is done. */
void scsi_submit_extent(struct scsi_lun *lun, struct scsi_command *command,
			enum disk_operation operation, bool fua, struct scsi_extent extent);

/* Makes what is written so far durable, and finishes. */
void scsi_flush(struct scsi_lun *lun, struct scsi_command *command);

/* What a sense buffer holds, in fixed format. */
void scsi_build_sense(uint8_t sense[SCSI_SENSE_SIZE], enum scsi_sense_key key,
		      enum scsi_additional_sense code);

/* Handlers: each finishes its command, now or later, by exactly one of the above. */
void scsi_inquiry(struct scsi_lun *lun, struct scsi_command *command);
void scsi_mode_sense(struct scsi_lun *lun, struct scsi_command *command);
void scsi_read_capacity_10(struct scsi_lun *lun, struct scsi_command *command);
void scsi_read_capacity_16(struct scsi_lun *lun, struct scsi_command *command);

void scsi_read(struct scsi_lun *lun, struct scsi_command *command);
void scsi_write(struct scsi_lun *lun, struct scsi_command *command);
void scsi_verify(struct scsi_lun *lun, struct scsi_command *command);
void scsi_synchronize(struct scsi_lun *lun, struct scsi_command *command);
void scsi_unmap(struct scsi_lun *lun, struct scsi_command *command);
void scsi_write_same(struct scsi_lun *lun, struct scsi_command *command);
void scsi_get_lba_status(struct scsi_lun *lun, struct scsi_command *command);

void scsi_reserve_in(struct scsi_lun *lun, struct scsi_command *command);
void scsi_reserve_out(struct scsi_lun *lun, struct scsi_command *command);

void scsi_dvd_toc(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_configuration(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_event_status(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_disc_info(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_track_info(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_structure(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_start_stop(struct scsi_lun *lun, struct scsi_command *command);
void scsi_dvd_prevent(struct scsi_lun *lun, struct scsi_command *command);

/* The medium has changed. Any thread. */
void scsi_dvd_changed(struct scsi_lun *lun);

#endif
