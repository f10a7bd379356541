#ifndef TESTS_UNIT_DEVICES_STORAGE_DISK_SUITE_H
#define TESTS_UNIT_DEVICES_STORAGE_DISK_SUITE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Random requests against a struct disk, checked against a model of its contents: any size and place,
 * pieces of memory of any alignment, flushes, FUA, unmaps, zeroes; several loops on threads of their
 * own, each with many requests under way. Without a test framework, so that it also runs where there
 * is none.
 */

struct disk;
struct event_loop;

struct disk_suite_config {
	struct disk *disk;
	uint8_t *ram; /* guest RAM at `gpa`, which the disk transfers from and to */
	uint64_t gpa, ram_len;
	unsigned int workers;      /* loops and threads; each has a share of RAM and disk */
	struct event_loop **loops; /* theirs, not running elsewhere */
	unsigned int depth;        /* requests under way, each worker */
	unsigned int requests;     /* each worker */
	uint32_t max_sectors;      /* of one request */
	bool aligned;              /* whole pages only: nothing should be copied */
	bool errors_allowed;       /* requests may fail; what failed writes left is not known */
	unsigned int seed;
	/* Each of a worker's requests is followed by this, if not NULL. Any worker's thread. */
	void (*progress)(void *ctx, unsigned int worker, unsigned int done);
	void *ctx;
};

struct disk_suite_result {
	uint64_t requests, errors, bytes;
	char why[160]; /* of the first failure */
};

/* Returns whether all data was what it had to be. Waits at most a minute for any answer. */
bool disk_suite_run(const struct disk_suite_config *config, struct disk_suite_result *result);

#endif
