// SPDX-License-Identifier: MIT
#include <err.h>
#include <errno.h>
#include <string.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include "proto/tpm.h"
#include "tpm/crypto/hash.h"
#include "tpm/instance.h"
#include "tpm/setup/issuer.h"

int issuer_random(void *ctx, unsigned char *buf, size_t len)
{
	(void)ctx;
	return instance_random(buf, len) ? MBEDTLS_ERR_ENTROPY_SOURCE_FAILED : 0;
}

static int failed(const char *path, int error)
{
	char text[160];

	mbedtls_strerror(error, text, sizeof(text));
	warnx("%s: %s", path, text);
	return -EINVAL;
}

static bool known_key(mbedtls_pk_context *key)
{
	if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA))
		return true;
	if (!mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA))
		return false;
	switch (mbedtls_pk_get_bitlen(key)) {
	case 256:
	case 384:
	case 521:
		return true;
	default:
		return false;
	}
}

static int check(struct issuer *issuer, const char *cert_path, const char *key_path)
{
	if (!known_key(&issuer->key)) {
		warnx("%s: not an RSA key, and not one of P-256, P-384 or P-521", key_path);
		return -EINVAL;
	}
	if (mbedtls_pk_check_pair(&issuer->cert.pk, &issuer->key, issuer_random, NULL)) {
		warnx("%s is not the key of %s", key_path, cert_path);
		return -EINVAL;
	}
	if (mbedtls_x509_crt_get_ca_istrue(&issuer->cert) != 1 ||
	    mbedtls_x509_crt_check_key_usage(&issuer->cert, MBEDTLS_X509_KU_KEY_CERT_SIGN)) {
		warnx("%s: not a CA's certificate (basic constraints, key usage)", cert_path);
		return -EINVAL;
	}
	return 0;
}

int issuer_load(struct issuer *issuer, const char *cert_path, const char *key_path,
		const char *password)
{
	int ret;

	mbedtls_x509_crt_init(&issuer->cert);
	mbedtls_pk_init(&issuer->key);
	/* Positive: some of the file's certificates could not be read. The first is the issuer's. */
	ret = mbedtls_x509_crt_parse_file(&issuer->cert, cert_path);
	if (ret)
		return ret < 0 ? failed(cert_path, ret)
			       : failed(cert_path, MBEDTLS_ERR_X509_INVALID_FORMAT);
	ret = mbedtls_pk_parse_keyfile(&issuer->key, key_path, password, issuer_random, NULL);
	return ret ? failed(key_path, ret) : check(issuer, cert_path, key_path);
}

void issuer_free(struct issuer *issuer)
{
	mbedtls_x509_crt_free(&issuer->cert);
	mbedtls_pk_free(&issuer->key);
}

void issuer_scheme(const struct issuer *issuer, uint16_t *scheme, uint16_t *hash)
{
	size_t bits = mbedtls_pk_get_bitlen(&issuer->key);
	bool rsa = mbedtls_pk_can_do(&issuer->key, MBEDTLS_PK_RSA);

	*scheme = rsa ? TPM_ALG_RSASSA : TPM_ALG_ECDSA;
	*hash = rsa || bits == 256 ? TPM_ALG_SHA256 : bits == 384 ? TPM_ALG_SHA384 : TPM_ALG_SHA512;
}

int issuer_sign(struct issuer *issuer, const void *data, size_t len, uint8_t *signature,
		size_t *signature_len)
{
	uint8_t digest[HASH_MAX_SIZE];
	uint16_t scheme, hash;
	mbedtls_md_type_t md;
	unsigned int size;

	issuer_scheme(issuer, &scheme, &hash);
	size = hash_buf(hash, data, len, digest);
	md = hash == TPM_ALG_SHA256   ? MBEDTLS_MD_SHA256
	     : hash == TPM_ALG_SHA384 ? MBEDTLS_MD_SHA384
				      : MBEDTLS_MD_SHA512;
	return mbedtls_pk_sign(&issuer->key, md, digest, size, signature,
			       MBEDTLS_PK_SIGNATURE_MAX_SIZE, signature_len, issuer_random, NULL)
		       ? -EIO
		       : 0;
}
