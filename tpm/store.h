/* SPDX-License-Identifier: MIT */
#ifndef TPM_STORE_H
#define TPM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One blob, replaced atomically on a device that only knows read, write and sync. Two slots take turns; each carries
 * a sequence number and a checksum of its own, so a write that power cuts short leaves the other slot as the newest
 * whole one. With a key the blob is sealed with AES-256-GCM. docs/vtpm-state.md has the layout.
 */
struct store_device {
	/* Bytes never written read as anything. 0 or -errno. */
	int (*read)(void *ctx, uint64_t offset, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t offset, const void *buf, size_t len);
	/* Returns once everything written is durable. */
	int (*sync)(void *ctx);
	/*
	 * Begins that and returns; of a device that cannot, NULL. sync_result(): how it went: 0, -EBUSY not over, or -errno. A
	 * sync() or a new sync_begin() before that takes its place.
	 */
	int (*sync_begin)(void *ctx);
	int (*sync_result)(void *ctx);
};

#define STORE_HEADER   64
#define STORE_KEY_SIZE 32

struct store {
	const struct store_device *device;
	void *ctx;
	size_t blob_max;
	uint64_t sequence; /* of the newest slot; 0: empty */
	unsigned int newest;
	bool begun; /* the other slot holds a later blob, but may not be durable */
	bool sealed;
	uint8_t key[STORE_KEY_SIZE];
	uint8_t *slot; /* header and blob_max bytes */
	int (*random)(void *buf, size_t len);
};

/* What the device must hold for blobs of up to blob_max bytes. */
uint64_t store_device_size(size_t blob_max);
/* key: STORE_KEY_SIZE bytes or NULL. random fills nonces. 0 or -ENOMEM. store_close() is owed after success. */
int store_open(struct store *s, const struct store_device *device, void *ctx, size_t blob_max,
	       const uint8_t *key, int (*random)(void *buf, size_t len));
void store_close(struct store *s);
/*
 * The newest whole blob: its length, 0 when none was ever saved, -EBADMSG when there is something but nothing whole,
 * -EACCES when it does not open with this key, or the device's error.
 */
long store_load(struct store *s, void *buf, size_t max);
/* Durable when it returns 0. After an error the old blob is still there. */
int store_save(struct store *s, const void *blob, size_t len);
/*
 * Durable soon, the old blob is there until then. -EBUSY: the one before is not yet; other errors are also that one's. A
 * store_save() does not wait for it but replaces it. Where the device cannot, the same as store_save().
 */
int store_save_soon(struct store *s, const void *blob, size_t len);

#endif
