#ifndef CORE_DISK_H
#define CORE_DISK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The seam between guest-facing storage controllers and what backs a disk: an NVMe namespace, a
 * stripe of several, a file in tests. Asynchronous, scatter/gather over guest memory, so that a
 * backing device can transfer straight from and to the guest's pages.
 */

struct disk;
struct event_loop;

enum disk_operation {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH, /* all writes that are done are durable; sector and count are not used */
	DISK_UNMAP, /* a hint; what is unmapped may or may not read as zeroes */
	DISK_WRITE_ZEROES,
	DISK_COMPARE,     /* what is there with the segments' bytes */
	DISK_VERIFY,      /* it can be read */
	DISK_RESERVATION, /* `reservation` says what; sector and count are not used */
};

/*
 * Persistent reservations of a disk that other machines may have too: every machine may register a
 * key, and one of them, or all that have, hold the reservation. Types and rules are NVMe's (NVMe 1.4, 8.8),
 * which are SCSI's (SPC-5 5.13).
 */
enum disk_reservation_action {
	DISK_RESERVATION_REGISTER, /* key `other_key`, by a machine that has none */
	DISK_RESERVATION_UNREGISTER,
	DISK_RESERVATION_REPLACE, /* one's key by `other_key` */
	DISK_RESERVATION_ACQUIRE,
	DISK_RESERVATION_PREEMPT, /* from who has `other_key` */
	DISK_RESERVATION_PREEMPT_ABORT,
	DISK_RESERVATION_RELEASE,
	DISK_RESERVATION_CLEAR,
	DISK_RESERVATION_REPORT,
};

enum disk_reservation_type {
	DISK_NOT_RESERVED,
	DISK_RESERVED_WRITE, /* to the holder */
	DISK_RESERVED_EXCLUSIVE,
	DISK_RESERVED_WRITE_REGISTRANTS, /* to all registrants, one of whom holds it */
	DISK_RESERVED_EXCLUSIVE_REGISTRANTS,
	DISK_RESERVED_WRITE_ALL, /* all registrants hold it */
	DISK_RESERVED_EXCLUSIVE_ALL,
};

#define DISK_REGISTRANTS_MAX 9

struct disk_registrant {
	uint64_t key;
	uint16_t port; /* of the disk's, by which it came */
	bool holds;
};

struct disk_reservation {
	enum disk_reservation_action action;
	enum disk_reservation_type type; /* asked for; a report's answer */
	bool ignore_key;                 /* unregister, replace: whatever one's key is */
	uint64_t key, other_key;         /* one's own is `key` */

	/* A report: of more registrants than fit, the first. */
	uint32_t generation;
	unsigned int registrant_count;
	struct disk_registrant registrants[DISK_REGISTRANTS_MAX];
};

/* A piece of guest memory. */
struct disk_segment {
	uint64_t gpa;
	uint64_t len; /* bytes */
};

/*
 * One request. The caller owns it and what it points at, and changes nothing until done(), which
 * comes on the thread of the loop that it was submitted with, possibly before submit() returns.
 */
struct disk_request {
	enum disk_operation operation;
	bool fua;               /* durable when done; a read: what is durable then */
	uint64_t sector, count; /* in sectors of the disk, inside it */

	/* Read, write, compare: together exactly `count` sectors. Others do not look at them. */
	const struct disk_segment *segments;
	unsigned int segment_count;
	struct disk_reservation *reservation; /* the caller's, too */
	/*
	 * err: 0; -EIO: the medium failed; -EFAULT: the memory is not the guest's RAM; -ENOSPC;
	 * -EROFS; -EBADE: a reservation; -EILSEQ: a comparison found a difference; -ENODEV: the disk
	 * is gone; -ETIMEDOUT and -ECANCELED: worth another try; -EOPNOTSUPP: what the disk does not
	 * know; -ENOMEM.
	 */
	void (*done)(struct disk_request *request, int err);

	/* The disk's, while it has the request. */
	struct disk_request *next;
	struct disk *disk;
	int err;
};

struct disk_info {
	uint64_t sectors;
	uint32_t sector_size;          /* bytes, a power of two: what requests count */
	uint32_t physical_sector_size; /* at least that: 512e has 512 and 4096 */
	bool read_only;
	bool can_unmap;
	bool can_write_zeroes;
	bool can_compare, can_verify;
	bool unmap_reads_zero;
	bool can_reserve;           /* knows DISK_RESERVATION */
	bool emulated;              /* by a processor, which does one request after the other */
	uint32_t unmap_granularity; /* sectors; 0: unknown */
	uint32_t unmap_alignment;   /* sectors */
	uint8_t id[16];             /* never that of another disk; the same after a restart */
	char serial[21];
};

struct disk_ops {
	/* Any thread. */
	void (*get_info)(struct disk *disk, struct disk_info *info);

	/* On the thread of `loop`. */
	void (*submit)(struct disk *disk, struct event_loop *loop, struct disk_request *request);
};

/* Told when disk_info changes. Embedded by the watcher. Called from any thread; must not wait. */
struct disk_watcher {
	void (*changed)(struct disk_watcher *watcher);
	struct disk_watcher *next;
};

/* Embedded by an implementation, which outlives all requests and watchers. */
struct disk {
	const struct disk_ops *ops;
	pthread_mutex_t lock; /* of watchers */
	struct disk_watcher *watchers;
};

void disk_init(struct disk *disk, const struct disk_ops *ops);
void disk_fini(struct disk *disk);
void disk_watch(struct disk *disk, struct disk_watcher *watcher);
void disk_unwatch(struct disk *disk, struct disk_watcher *watcher);

/* For implementations: what get_info() answers has changed. Any thread. */
void disk_changed(struct disk *disk);

/* True when the sectors are in a disk of this size. */
static inline bool disk_range_valid(const struct disk_info *info, uint64_t sector, uint64_t count)
{
	return sector <= info->sectors && count <= info->sectors - sector;
}

#endif
