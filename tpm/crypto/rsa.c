// SPDX-License-Identifier: MIT
/* RSA key loading, padding and signatures (TPM 2.0 Part 1, annex B; PKCS #1 v2.2) over mbedTLS. */
#include <errno.h>
#include <string.h>
#include <mbedtls/bignum.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include "proto/tpm.h"
#include "tpm/crypto/hash.h"
#include "tpm/crypto/rsa.h"

static mbedtls_md_type_t md_type(uint16_t hash)
{
	switch (hash) {
	case TPM_ALG_SHA1:
		return MBEDTLS_MD_SHA1;
	case TPM_ALG_SHA256:
		return MBEDTLS_MD_SHA256;
	case TPM_ALG_SHA384:
		return MBEDTLS_MD_SHA384;
	case TPM_ALG_SHA512:
		return MBEDTLS_MD_SHA512;
	default:
		return MBEDTLS_MD_NONE;
	}
}

static void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

int rsa_load_public(struct rsa_key *key, struct span n, uint32_t e)
{
	uint8_t exponent[4];

	put_be32(exponent, e);
	mbedtls_rsa_init(&key->ctx);
	if (mbedtls_rsa_import_raw(&key->ctx, n.data, n.len, NULL, 0, NULL, 0, NULL, 0, exponent,
				   4) ||
	    mbedtls_rsa_complete(&key->ctx)) {
		mbedtls_rsa_free(&key->ctx);
		return -EINVAL;
	}
	return 0;
}

/* q = n / p, or an error when there is a remainder. */
static int other_prime(struct span n, struct span p, uint8_t *q, size_t q_len)
{
	mbedtls_mpi mn, mp, mq, rest;
	int err;

	mbedtls_mpi_init(&mn);
	mbedtls_mpi_init(&mp);
	mbedtls_mpi_init(&mq);
	mbedtls_mpi_init(&rest);
	err = mbedtls_mpi_read_binary(&mn, n.data, n.len);
	if (!err)
		err = mbedtls_mpi_read_binary(&mp, p.data, p.len);
	if (!err)
		err = mbedtls_mpi_div_mpi(&mq, &rest, &mn, &mp);
	if (!err && mbedtls_mpi_cmp_int(&rest, 0))
		err = -EINVAL;
	if (!err)
		err = mbedtls_mpi_write_binary(&mq, q, q_len);
	mbedtls_mpi_free(&mn);
	mbedtls_mpi_free(&mp);
	mbedtls_mpi_free(&mq);
	mbedtls_mpi_free(&rest);
	return err ? -EINVAL : 0;
}

int rsa_load_private(struct rsa_key *key, struct span n, uint32_t e, struct span p)
{
	uint8_t exponent[4], q[RSA_MAX_BYTES / 2];
	int err;

	if (n.len > RSA_MAX_BYTES || p.len != n.len / 2)
		return -EINVAL;
	put_be32(exponent, e);
	err = other_prime(n, p, q, p.len);
	if (err)
		return err;
	mbedtls_rsa_init(&key->ctx);
	if (mbedtls_rsa_import_raw(&key->ctx, n.data, n.len, p.data, p.len, q, p.len, NULL, 0,
				   exponent, 4) ||
	    mbedtls_rsa_complete(&key->ctx)) {
		mbedtls_rsa_free(&key->ctx);
		err = -EINVAL;
	}
	mbedtls_platform_zeroize(q, sizeof(q));
	return err;
}

void rsa_free(struct rsa_key *key)
{
	mbedtls_rsa_free(&key->ctx);
}

int rsa_raw_public(struct rsa_key *key, const uint8_t *in, uint8_t *out)
{
	return mbedtls_rsa_public(&key->ctx, in, out) ? -EINVAL : 0;
}

int rsa_raw_private(struct rsa_key *key, struct drbg *rng, const uint8_t *in, uint8_t *out)
{
	return mbedtls_rsa_private(&key->ctx, drbg_read, rng, in, out) ? -EINVAL : 0;
}

static int encrypt_raw(struct rsa_key *key, struct span in, uint8_t *out)
{
	size_t size = mbedtls_rsa_get_len(&key->ctx);
	uint8_t block[RSA_MAX_BYTES] = { 0 };
	int err;

	if (in.len > size)
		return -EINVAL;
	memcpy(block + size - in.len, in.data, in.len);
	err = rsa_raw_public(key, block, out);
	mbedtls_platform_zeroize(block, sizeof(block));
	return err;
}

int rsa_encrypt(struct rsa_key *key, struct drbg *rng, uint16_t scheme, uint16_t hash,
		struct span label, struct span in, uint8_t *out)
{
	int err;

	switch (scheme) {
	case TPM_ALG_NULL:
		return encrypt_raw(key, in, out);
	case TPM_ALG_RSAES:
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
		err = mbedtls_rsa_rsaes_pkcs1_v15_encrypt(&key->ctx, drbg_read, rng, in.len,
							  in.data, out);
		break;
	case TPM_ALG_OAEP:
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V21, md_type(hash));
		err = mbedtls_rsa_rsaes_oaep_encrypt(&key->ctx, drbg_read, rng, label.data,
						     label.len, in.len, in.data, out);
		break;
	default:
		return -EINVAL;
	}
	return err ? -EINVAL : 0;
}

int rsa_decrypt(struct rsa_key *key, struct drbg *rng, uint16_t scheme, uint16_t hash,
		struct span label, const uint8_t *in, uint8_t *out, size_t *out_len)
{
	int err;

	switch (scheme) {
	case TPM_ALG_NULL:
		*out_len = mbedtls_rsa_get_len(&key->ctx);
		return rsa_raw_private(key, rng, in, out);
	case TPM_ALG_RSAES:
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
		err = mbedtls_rsa_rsaes_pkcs1_v15_decrypt(&key->ctx, drbg_read, rng, out_len, in,
							  out, RSA_MAX_BYTES);
		break;
	case TPM_ALG_OAEP:
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V21, md_type(hash));
		err = mbedtls_rsa_rsaes_oaep_decrypt(&key->ctx, drbg_read, rng, label.data,
						     label.len, out_len, in, out, RSA_MAX_BYTES);
		break;
	default:
		return -EINVAL;
	}
	return err ? -EINVAL : 0;
}

int rsa_sign(struct rsa_key *key, struct drbg *rng, uint16_t scheme, uint16_t hash,
	     const uint8_t *digest, uint8_t *signature)
{
	int err;

	if (scheme == TPM_ALG_RSASSA) {
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
		err = mbedtls_rsa_rsassa_pkcs1_v15_sign(&key->ctx, drbg_read, rng, md_type(hash),
							hash_size(hash), digest, signature);
	} else if (scheme == TPM_ALG_RSAPSS) {
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V21, md_type(hash));
		err = mbedtls_rsa_rsassa_pss_sign(&key->ctx, drbg_read, rng, md_type(hash),
						  hash_size(hash), digest, signature);
	} else {
		return -EINVAL;
	}
	return err ? -EINVAL : 0;
}

int rsa_verify(struct rsa_key *key, uint16_t scheme, uint16_t hash, const uint8_t *digest,
	       struct span signature)
{
	int err;

	if (signature.len != mbedtls_rsa_get_len(&key->ctx))
		return -EINVAL;
	if (scheme == TPM_ALG_RSASSA) {
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
		err = mbedtls_rsa_rsassa_pkcs1_v15_verify(&key->ctx, md_type(hash), hash_size(hash),
							  digest, signature.data);
	} else if (scheme == TPM_ALG_RSAPSS) {
		mbedtls_rsa_set_padding(&key->ctx, MBEDTLS_RSA_PKCS_V21, md_type(hash));
		err = mbedtls_rsa_rsassa_pss_verify_ext(&key->ctx, md_type(hash), hash_size(hash),
							digest, md_type(hash),
							MBEDTLS_RSA_SALT_LEN_ANY, signature.data);
	} else {
		return -EINVAL;
	}
	return err ? -EINVAL : 0;
}
