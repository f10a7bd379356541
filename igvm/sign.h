#ifndef IGVM_SIGN_H
#define IGVM_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "igvm/measure.h"

/*
 * Signatures of an image: an SNP ID block (SEV-SNP firmware ABI, section 8.18 and chapter 10) or a VBS
 * measurement, by ECDSA P-384 with SHA-384 and without randomness (RFC 6979): the same
 * key and image give the same bytes.
 */

struct igvm_sign_options {
	const char *key;                     /* text of a PEM file: the ID key, or VBS's */
	const char *author_key;              /* of SNP; may be NULL */
	uint8_t family_id[16], image_id[16]; /* of SNP */
	uint32_t svn;
};

/*
 * Writes `file` anew with its signature, in place of one that it may have had. `*signed_file` belongs
 * to the caller. 0; -ENOENT: neither for SNP nor for VSM; -EINVAL: a header that cannot be measured (`error`),
 * or a key that is not a P-384 private key (`error->reason` says so too); -ENOMEM.
 */
int igvm_sign(const struct igvm_file *file, const struct igvm_sign_options *options,
	      uint8_t **signed_file, size_t *len, struct igvm_error *error);

#endif
