/* SPDX-License-Identifier: MIT */
#ifndef TPM_TPM_H
#define TPM_TPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The TPM 2.0 engine (TCG Library specification, revision 1.59): command bytes in, response bytes out. One struct tpm
 * belongs to one thread; there are no globals. What it needs from outside is in struct tpm_platform.
 */

struct tpm;

#define TPM_MAX_COMMAND 4096 /* bytes of the largest command and of the largest response */
#define TPM_MAX_BLOB    (320 * 1024)

struct tpm_platform {
	/* Milliseconds from any origin, never backwards. */
	uint64_t (*now_ms)(void *ctx);
	/* Fills buf with entropy. 0 or -errno. */
	int (*random)(void *ctx, void *buf, size_t len);
	/*
	 * Replaces the permanent state atomically and durably: after a crash the old or the new blob is there, whole.
	 * Called before the response that depends on it is returned. 0 or -errno; an error puts the TPM into failure mode.
	 */
	int (*commit)(void *ctx, const void *blob, size_t len);
	/*
	 * Likewise, for a state that no response depends on: it may become durable later, and until then the old blob is the
	 * one that is there after a crash. -EBUSY: the last such one is not durable yet, and the TPM will ask again; other
	 * errors: it never will be. NULL: commit() does it.
	 */
	int (*commit_soon)(void *ctx, const void *blob, size_t len);
	bool (*physical_presence)(void *ctx);
};

/*
 * Makes a TPM from a permanent state blob, or a new one with fresh seeds when len is 0. platform must outlive it.
 * Returns NULL with *err set: -ENOMEM, -EBADMSG (blob damaged or from another version), -EIO (no entropy, commit failed).
 */
struct tpm *tpm_create(const struct tpm_platform *platform, void *ctx, const void *permanent,
		       size_t len, int *err);
/* Wipes and frees. NULL is allowed. */
void tpm_destroy(struct tpm *tpm);

/* _TPM_Init (Part 3, 9.2): power-on or reset. Everything volatile goes; Startup comes next. */
void tpm_reset(struct tpm *tpm);

/*
 * Executes one command and returns the length of the response, which is at least 10 bytes and at most
 * TPM_MAX_COMMAND, whatever the input. rsp may not overlap cmd.
 */
size_t tpm_execute(struct tpm *tpm, unsigned int locality, const uint8_t *cmd, size_t len,
		   uint8_t *rsp);

/* _TPM_Hash_Start, _Data, _End: the hardware-triggered measurement sequence (Part 3, 22.9 to 22.11). */
void tpm_hash_start(struct tpm *tpm);
void tpm_hash_data(struct tpm *tpm, const uint8_t *data, size_t len);
void tpm_hash_end(struct tpm *tpm);

/* Has the establishment bit been set by a _TPM_Hash_Start, and its reset (TIS: tpmEstablished, resetEstablishment). */
bool tpm_established(const struct tpm *tpm);
void tpm_reset_established(struct tpm *tpm);

/*
 * Volatile state, for suspend and resume of the machine around it. Save returns the length or -ENOSPC; load returns 0
 * or -EBADMSG and is to be called on a TPM made from the permanent state of the same moment.
 */
long tpm_save_volatile(struct tpm *tpm, void *buf, size_t max);
int tpm_load_volatile(struct tpm *tpm, const void *buf, size_t len);
/* The permanent state as commit() was last given it. */
long tpm_save_permanent(struct tpm *tpm, void *buf, size_t max);

#endif
