// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include "tpm/crypto/drbg.h"
#include "tpm/crypto/hash.h"
#include "proto/tpm.h"

int drbg_init(struct drbg *rng, int (*get_entropy)(void *arg, unsigned char *out, size_t len),
	      void *arg)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);

	rng->stream = NULL;
	mbedtls_hmac_drbg_init(&rng->ctx);
	if (mbedtls_hmac_drbg_seed(&rng->ctx, md, get_entropy, arg, NULL, 0))
		return -EIO;
	return 0;
}

int drbg_init_seeded(struct drbg *rng, struct span seed, const char *label, struct span context)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	uint8_t key[48];
	int err;

	/* The label and context are folded in first, so that streams for different uses are unrelated. */
	kdf_a(TPM_ALG_SHA256, seed, label, context, SPAN_NONE, sizeof(key) * 8, key);
	rng->stream = NULL;
	mbedtls_hmac_drbg_init(&rng->ctx);
	err = mbedtls_hmac_drbg_seed_buf(&rng->ctx, md, key, sizeof(key));
	mbedtls_platform_zeroize(key, sizeof(key));
	return err ? -EIO : 0;
}

void drbg_init_stream(struct drbg *rng, struct span bytes)
{
	mbedtls_hmac_drbg_init(&rng->ctx);
	rng->stream = bytes.data;
	rng->stream_left = bytes.len;
}

void drbg_free(struct drbg *rng)
{
	mbedtls_hmac_drbg_free(&rng->ctx);
}

int drbg_stir(struct drbg *rng, struct span data)
{
	return mbedtls_hmac_drbg_update(&rng->ctx, data.data, data.len) ? -EIO : 0;
}

int drbg_read(void *rng, unsigned char *out, size_t len)
{
	struct drbg *drbg = rng;

	if (drbg->stream) {
		if (len > drbg->stream_left)
			return -EIO;
		memcpy(out, drbg->stream, len);
		drbg->stream += len;
		drbg->stream_left -= len;
		return 0;
	}
	while (len) {
		size_t n =
			len < MBEDTLS_HMAC_DRBG_MAX_REQUEST ? len : MBEDTLS_HMAC_DRBG_MAX_REQUEST;
		int err = mbedtls_hmac_drbg_random(&drbg->ctx, out, n);

		if (err)
			return err;
		out += n;
		len -= n;
	}
	return 0;
}
