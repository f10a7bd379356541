/* SPDX-License-Identifier: MIT */
#ifndef TPM_SETUP_EK_H
#define TPM_SETUP_EK_H

#include <stdint.h>
#include "tpm/engine/types.h"

/* The endorsement keys of TCG's EK Credential Profile 2.4 that we make, and the storage root key. */
struct ek {
	const char *name;  /* of the option and of the certificate's file */
	uint32_t nv_index; /* of its certificate (2.2.1.4, 2.2.1.5) */
	uint32_t handle;   /* where it is made persistent */
	uint16_t type, name_alg, bits, curve, sym_bits;
	bool high_range; /* template of 2.2.1.5.2: policy B, usable with the empty password too */
};

/* The one of that name, or NULL; the n-th one, or NULL. */
const struct ek *ek_find(const char *name);
const struct ek *ek_by_index(unsigned int n);
/* Its default template (annex B.3, B.4). */
void ek_template(const struct ek *ek, struct public_area *pub);

#define SRK_HANDLE 0x81000001
/* The storage root key of TCG's TPM v2.0 Provisioning Guidance, 7.5.1: RSA 2048 or P-256. */
void srk_template(bool ecc, struct public_area *pub);

#endif
