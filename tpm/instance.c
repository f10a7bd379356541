// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/instance.h"

int instance_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static uint64_t now_ms(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int random_bytes(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	return instance_random(buf, len);
}

static int commit(void *ctx, const void *blob, size_t len)
{
	struct instance *in = ctx;

	return store_save(&in->permanent, blob, len);
}

static int commit_soon(void *ctx, const void *blob, size_t len)
{
	struct instance *in = ctx;

	return store_save_soon(&in->permanent, blob, len);
}

static bool physical_presence(void *ctx)
{
	struct instance *in = ctx;

	return in->physical_presence;
}

static const struct tpm_platform platform = {
	.now_ms = now_ms,
	.random = random_bytes,
	.commit = commit,
	.commit_soon = commit_soon,
	.physical_presence = physical_presence,
};

int instance_open(struct instance *in)
{
	in->buf = malloc(TPM_MAX_BLOB);
	return in->buf ? 0 : -ENOMEM;
}

void instance_close(struct instance *in)
{
	instance_stop(in);
	free(in->buf);
	store_close(&in->permanent);
	store_close(&in->suspended);
}

static int resume_volatile(struct instance *in, bool drop)
{
	long len;
	int err = 0;

	if (!in->suspended.device)
		return 0;
	len = store_load(&in->suspended, in->buf, TPM_MAX_BLOB);
	if (len > 1)
		err = tpm_load_volatile(in->tpm, in->buf, (size_t)len);
	if (len > 1 && drop)
		err = store_save(&in->suspended, "", 1); /* one byte stands for none */
	mbedtls_platform_zeroize(in->buf, len > 0 ? (size_t)len : 0);
	return len < 0 ? (int)len : err;
}

int instance_init(struct instance *in, bool drop_volatile)
{
	long len;
	int err;

	if (in->tpm) {
		in->is_new = false;
		tpm_reset(in->tpm);
		return 0;
	}
	len = store_load(&in->permanent, in->buf, TPM_MAX_BLOB);
	if (len < 0)
		return (int)len;
	in->is_new = !len;
	in->tpm = tpm_create(&platform, in, in->buf, (size_t)len, &err);
	mbedtls_platform_zeroize(in->buf, (size_t)len);
	if (!in->tpm)
		return err;
	return resume_volatile(in, drop_volatile);
}

void instance_stop(struct instance *in)
{
	tpm_destroy(in->tpm);
	in->tpm = NULL;
}

size_t instance_execute(struct instance *in, const uint8_t *cmd, size_t len, uint8_t *rsp)
{
	static const uint8_t off[] = {
		0x80, 0x01, 0, 0, 0, 10, 0, 0, TPM_RC_FAILURE >> 8, TPM_RC_FAILURE & 0xFF
	};

	if (in->tpm)
		return tpm_execute(in->tpm, in->locality, cmd, len, rsp);
	memcpy(rsp, off, sizeof(off));
	return sizeof(off);
}

int instance_store_volatile(struct instance *in)
{
	long len;
	int err;

	if (!in->tpm)
		return -EINVAL;
	len = tpm_save_volatile(in->tpm, in->buf, TPM_MAX_BLOB);
	if (len < 0)
		return (int)len;
	err = store_save(&in->suspended, in->buf, (size_t)len);
	mbedtls_platform_zeroize(in->buf, (size_t)len);
	return err;
}
