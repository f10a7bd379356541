#ifndef DEVICES_STORAGE_STRIPE_H
#define DEVICES_STORAGE_STRIPE_H

#include <stdint.h>

/*
 * Several disks as one: chunks in turn (RAID 0). What a member cannot fill a whole chunk with, at its
 * end, is not used; the smallest member counts for all.
 */

struct disk;
struct stripe;

#define STRIPE_MEMBERS_MAX 64

struct stripe_config {
	struct disk *const *members; /* outlive the stripe; one sector size */
	unsigned int member_count;   /* 1 to STRIPE_MEMBERS_MAX */
	uint32_t chunk_size;         /* bytes, a multiple of the sector size */
	uint8_t id[16];
	char serial[21];
};

/* 0; -EINVAL: the members do not fit together, or the chunk size them; -ENOMEM. */
int stripe_create(const struct stripe_config *config, struct stripe **stripe);

/* With no request under way and no watcher left. */
void stripe_destroy(struct stripe *stripe);

struct disk *stripe_disk(struct stripe *stripe);

#endif
