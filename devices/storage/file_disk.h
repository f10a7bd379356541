#ifndef DEVICES_STORAGE_FILE_DISK_H
#define DEVICES_STORAGE_FILE_DISK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A disk in a file, for tests of what sits in front of a disk: it works on the calling thread and
 * answers through the event loop, so that completions come later, as from hardware.
 */

struct disk;
struct file_disk;
struct guest_memory;

struct file_disk_config {
	int fd; /* the caller's; its size, cut to whole sectors, is the disk's */
	const struct guest_memory *memory;
	uint32_t sector_size;
	uint32_t physical_sector_size;
	bool read_only;
	bool emulated; /* what disk_info says */
	uint8_t id[16];
	char serial[21];
};

/* NULL with errno set. */
struct file_disk *file_disk_create(const struct file_disk_config *config);
void file_disk_destroy(struct file_disk *file);
struct disk *file_disk_disk(struct file_disk *file);

/* Takes the file's size anew, after somebody changed it. Any thread. 0 or -errno. */
int file_disk_resized(struct file_disk *file);

/* The next requests fail with this error, until 0 is set. Any thread. */
void file_disk_inject(struct file_disk *file, int err);

#endif
