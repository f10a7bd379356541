/* SPDX-License-Identifier: MIT */
#ifndef TPM_SETUP_MANUFACTURE_H
#define TPM_SETUP_MANUFACTURE_H

#include <stdbool.h>
#include "tpm/instance.h"
#include "tpm/setup/ek.h"
#include "tpm/setup/ek_cert.h"

#define MANUFACTURE_EKS 4

/* What a new TPM is to have. */
struct manufacture {
	const struct ek *eks[MANUFACTURE_EKS]; /* those that are made persistent */
	unsigned int ek_count;
	struct issuer *issuer; /* of their certificates; NULL: none are made */
	struct ek_cert_options cert;
	const char *cert_dir; /* where certificates are left as files too, or NULL */
	bool lock_nv;         /* certificates can no longer be written */
	bool srk, srk_ecc;
	uint8_t banks; /* by hash_by_index(), the PCR banks to allocate; 0: as they are */
};

/*
 * Makes a TPM of an instance that was switched on: does the Startup, then all of it, then the Shutdown, by TPM commands.
 * 0, or -EIO or -errno after a line on standard error that says what failed.
 */
int manufacture(struct instance *in, const struct manufacture *m);
/* PCR banks alone, of a TPM that may have owners. */
int manufacture_banks(struct instance *in, uint8_t banks);

#endif
