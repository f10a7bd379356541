/* SPDX-License-Identifier: MIT */
#ifndef TPM_SETUP_ISSUER_H
#define TPM_SETUP_ISSUER_H

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

/* Who signs certificates: a CA's certificate and its private key. */
struct issuer {
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
};

/*
 * Reads both, PEM or DER; password may be NULL. The key must be the certificate's, RSA or of a NIST curve, and the
 * certificate that of a CA which may sign others. 0, or -EINVAL after a line on standard error that says what is wrong;
 * issuer_free() is owed in either case.
 */
int issuer_load(struct issuer *issuer, const char *cert_path, const char *key_path,
		const char *password);
void issuer_free(struct issuer *issuer);

/* TPM_ALG_RSASSA or TPM_ALG_ECDSA, and the hash that goes with the key's strength. */
void issuer_scheme(const struct issuer *issuer, uint16_t *scheme, uint16_t *hash);
/* Signs the bytes by that scheme. 0 or -EIO. signature has MBEDTLS_PK_SIGNATURE_MAX_SIZE bytes. */
int issuer_sign(struct issuer *issuer, const void *data, size_t len, uint8_t *signature,
		size_t *signature_len);

/* Entropy for mbedTLS. */
int issuer_random(void *ctx, unsigned char *buf, size_t len);

#endif
