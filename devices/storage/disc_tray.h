#ifndef DEVICES_STORAGE_DISC_TRAY_H
#define DEVICES_STORAGE_DISC_TRAY_H

/*
 * What a DVD drive reads: a disk of 2,048-byte sectors over one of smaller ones, that may be exchanged or
 * missing. Without a medium it has no sectors, and reads end with -ENODEV. It is read-only.
 */

struct disc_tray;
struct disk;

#define DISC_SECTOR 2048u

struct disc_medium {
	struct disk *disk; /* NULL: none. Sectors of at most 2,048 bytes; outlives released() */
	void (*released)(void *ctx); /* nothing uses the disk any more; any thread; must not wait */
	void *ctx;
};

/* An empty one, or NULL when out of memory. */
struct disc_tray *disc_tray_create(void);

/* With no request under way and no watcher left. The medium's released() comes from within. */
void disc_tray_destroy(struct disc_tray *tray);

/*
 * Another medium. The old one's released() comes when its last request is done, maybe before this returns.
 * Watchers are told. Any thread, one at a time. 0; -EINVAL: its sectors are too large; -ENOMEM.
 */
int disc_tray_load(struct disc_tray *tray, const struct disc_medium *medium);

struct disk *disc_tray_disk(struct disc_tray *tray);

#endif
