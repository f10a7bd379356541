/* SPDX-License-Identifier: MIT */
#ifndef TPM_SETUP_OPTIONS_H
#define TPM_SETUP_OPTIONS_H

#include <stdbool.h>
#include "tpm/setup/manufacture.h"

/* vtpm-setup's command line, checked. Strings point into argv. */
struct setup_options {
	const char *dir, *file, *key_file, *ca_cert, *ca_key, *ca_password_file, *banks;
	bool create_ek, create_cert, ecc, overwrite, keep, reconfigure, display;
	unsigned int rsa_bits;
	struct manufacture m;
};

/*
 * Fills *o, which is zeros: 0, or -EINVAL after a line on standard error. --help and --print-capabilities end the
 * program. m.issuer is the caller's to fill.
 */
int setup_options_parse(struct setup_options *o, int argc, char **argv);

#endif
