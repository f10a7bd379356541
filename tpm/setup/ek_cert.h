/* SPDX-License-Identifier: MIT */
#ifndef TPM_SETUP_EK_CERT_H
#define TPM_SETUP_EK_CERT_H

#include <stddef.h>
#include <stdint.h>
#include "tpm/engine/types.h"
#include "tpm/setup/issuer.h"

#define EK_CERT_MAX 2048

/* What an EK certificate says of the TPM (EK Credential Profile 2.4, 3.1 and 3.2). */
struct ek_cert_tpm {
	char manufacturer[12]; /* "id:" and the four bytes in hexadecimal */
	char model[32];
	char version[12]; /* "id:" and the firmware version in hexadecimal */
	char family[8];
	uint32_t level, revision;
};

struct ek_cert_options {
	const char *subject; /* common name, or NULL: an empty subject */
	unsigned int days;   /* of validity; 0: without end (RFC 5280, 4.1.2.5) */
};

/*
 * Writes the certificate of the endorsement key `pub`, signed by the issuer, to buf: EK_CERT_MAX bytes. Its length, or
 * -EINVAL (a key of a curve without a name in certificates), -ENOSPC, -EIO (no entropy, or the issuer's key fails).
 */
long ek_cert_write(struct issuer *issuer, const struct public_area *pub,
		   const struct ek_cert_tpm *tpm, const struct ek_cert_options *options,
		   uint8_t *buf);

#endif
