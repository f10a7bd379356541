// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include "tpm/store.h"

/* Slot header, little-endian: magic, version, flags, length, sequence (8), nonce (12) and tag (16) or checksum. */
#define MAGIC       0x53565445 /* "ETVS" */
#define VERSION     1
#define FLAG_SEALED 1
#define OFF_MAGIC   0
#define OFF_VERSION 4
#define OFF_FLAGS   8
#define OFF_LENGTH  12
#define OFF_SEQ     16
#define OFF_SUM     24 /* plain: first 32 bytes are SHA-256 of header[0..24) and blob */
#define OFF_NONCE   24
#define OFF_TAG     36
#define NONCE_SIZE  12
#define TAG_SIZE    16

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static size_t slot_size(const struct store *s)
{
	/* Whole sectors, so that writing one slot cannot tear the other. */
	return (STORE_HEADER + s->blob_max + 4095) & ~(size_t)4095;
}

uint64_t store_device_size(size_t blob_max)
{
	struct store s = { .blob_max = blob_max };

	return 2ull * slot_size(&s);
}

int store_open(struct store *s, const struct store_device *device, void *ctx, size_t blob_max,
	       const uint8_t *key, int (*random)(void *buf, size_t len))
{
	memset(s, 0, sizeof(*s));
	s->device = device;
	s->ctx = ctx;
	s->blob_max = blob_max;
	s->random = random;
	s->newest = 1; /* the first save goes to slot 0 */
	if (key) {
		s->sealed = true;
		memcpy(s->key, key, sizeof(s->key));
	}
	s->slot = calloc(1, slot_size(s));
	return s->slot ? 0 : -ENOMEM;
}

void store_close(struct store *s)
{
	if (s->slot)
		mbedtls_platform_zeroize(s->slot, slot_size(s));
	free(s->slot);
	mbedtls_platform_zeroize(s, sizeof(*s));
}

static void checksum(const uint8_t *slot, size_t len, uint8_t sum[32])
{
	mbedtls_sha256_context ctx;

	mbedtls_sha256_init(&ctx);
	(void)mbedtls_sha256_starts(&ctx, 0);
	(void)mbedtls_sha256_update(&ctx, slot, OFF_SUM);
	(void)mbedtls_sha256_update(&ctx, slot + STORE_HEADER, len);
	(void)mbedtls_sha256_finish(&ctx, sum);
}

/* The header up to the nonce is authenticated with the blob. */
static int gcm(const struct store *s, uint8_t *slot, size_t len, bool seal)
{
	mbedtls_gcm_context ctx;
	uint8_t *body = slot + STORE_HEADER;
	int err;

	mbedtls_gcm_init(&ctx);
	err = mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, s->key, STORE_KEY_SIZE * 8);
	if (!err && seal)
		err = mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, len, slot + OFF_NONCE,
						NONCE_SIZE, slot, OFF_NONCE, body, body, TAG_SIZE,
						slot + OFF_TAG);
	else if (!err)
		err = mbedtls_gcm_auth_decrypt(&ctx, len, slot + OFF_NONCE, NONCE_SIZE, slot,
					       OFF_NONCE, slot + OFF_TAG, TAG_SIZE, body, body);
	mbedtls_gcm_free(&ctx);
	return err ? -EACCES : 0;
}

/* Reads slot n into s->slot and checks it. Its sequence number, 0 for an empty one, or an error. */
static int read_slot(struct store *s, unsigned int n, uint64_t *sequence, size_t *len)
{
	uint64_t base = (uint64_t)n * slot_size(s);
	uint8_t sum[32];
	int err = s->device->read(s->ctx, base, s->slot, STORE_HEADER);

	*sequence = 0;
	*len = 0;
	if (err)
		return err;
	if (get32(s->slot + OFF_MAGIC) == 0)
		return 0;
	if (get32(s->slot + OFF_MAGIC) != MAGIC || get32(s->slot + OFF_VERSION) != VERSION ||
	    get32(s->slot + OFF_LENGTH) > s->blob_max || !get64(s->slot + OFF_SEQ))
		return -EBADMSG;
	*len = get32(s->slot + OFF_LENGTH);
	err = s->device->read(s->ctx, base + STORE_HEADER, s->slot + STORE_HEADER, *len);
	if (err)
		return err;
	if (get32(s->slot + OFF_FLAGS) & FLAG_SEALED) {
		err = s->sealed ? gcm(s, s->slot, *len, false) : -EACCES;
	} else {
		checksum(s->slot, *len, sum);
		err = memcmp(sum, s->slot + OFF_SUM, sizeof(sum)) ? -EBADMSG : 0;
		/* A plain blob where a sealed one belongs is somebody else's. */
		if (!err && s->sealed)
			err = -EACCES;
	}
	if (!err)
		*sequence = get64(s->slot + OFF_SEQ);
	return err;
}

long store_load(struct store *s, void *buf, size_t max)
{
	uint64_t sequence[2];
	size_t len[2];
	int err[2];

	s->begun = false;
	for (unsigned int i = 0; i < 2; i++) {
		err[i] = read_slot(s, i, &sequence[i], &len[i]);
		if (err[i] && err[i] != -EBADMSG && err[i] != -EACCES)
			return err[i];
	}
	s->newest = sequence[1] > sequence[0];
	s->sequence = sequence[s->newest];
	if (!s->sequence) {
		s->newest = 1;
		/* A wrong key is worth telling from damage; and the very first save may have been cut short. */
		if (err[0] == -EACCES || err[1] == -EACCES)
			return -EACCES;
		return err[0] && err[1] ? -EBADMSG : 0;
	}
	err[0] = read_slot(s, s->newest, &sequence[0], &len[0]);
	if (err[0])
		return err[0];
	if (len[0] > max)
		return -ENOSPC;
	memcpy(buf, s->slot + STORE_HEADER, len[0]);
	mbedtls_platform_zeroize(s->slot + STORE_HEADER, len[0]);
	return (long)len[0];
}

/* Into the slot that does not hold the newest durable blob. */
static int write_slot(struct store *s, const void *blob, size_t len)
{
	int err = 0;

	if (len > s->blob_max)
		return -ENOSPC;
	memset(s->slot, 0, STORE_HEADER);
	put32(s->slot + OFF_MAGIC, MAGIC);
	put32(s->slot + OFF_VERSION, VERSION);
	put32(s->slot + OFF_FLAGS, s->sealed ? FLAG_SEALED : 0);
	put32(s->slot + OFF_LENGTH, (uint32_t)len);
	put64(s->slot + OFF_SEQ, s->sequence + 1);
	memcpy(s->slot + STORE_HEADER, blob, len);
	if (s->sealed) {
		err = s->random(s->slot + OFF_NONCE, NONCE_SIZE);
		if (!err)
			err = gcm(s, s->slot, len, true);
	} else {
		checksum(s->slot, len, s->slot + OFF_SUM);
	}
	if (!err)
		err = s->device->write(s->ctx, (uint64_t)!s->newest * slot_size(s), s->slot,
				       STORE_HEADER + len);
	mbedtls_platform_zeroize(s->slot + STORE_HEADER, len);
	return err;
}

static void turn(struct store *s)
{
	s->newest = !s->newest;
	s->sequence++;
}

/* One that was begun is written over: it is in the slot that is not the newest durable one. */
int store_save(struct store *s, const void *blob, size_t len)
{
	int err = write_slot(s, blob, len);

	if (!err)
		err = s->device->sync(s->ctx);
	s->begun = false;
	if (!err)
		turn(s);
	return err;
}

int store_save_soon(struct store *s, const void *blob, size_t len)
{
	int err = s->begun ? s->device->sync_result(s->ctx) : 0;

	if (!s->device->sync_begin)
		return store_save(s, blob, len);
	if (err == -EBUSY)
		return err;
	if (s->begun && !err)
		turn(s);
	s->begun = false;
	if (!err)
		err = write_slot(s, blob, len);
	if (!err)
		err = s->device->sync_begin(s->ctx);
	s->begun = !err;
	return err;
}
