/* SPDX-License-Identifier: MIT */
#ifndef TPM_MSSIM_H
#define TPM_MSSIM_H

#include "tpm/instance.h"

/*
 * The reference simulator's protocol: a command port and a platform port, all integers big-endian. docs/vtpmd.md.
 * Sizes as in ctrl_message_size().
 */
long mssim_message_size(const uint8_t *msg, size_t len);
/* Answers into out (TPM_MAX_COMMAND + 16 bytes): its length, or -1 when the connection is to be closed. */
long mssim_handle(struct instance *in, bool platform, const uint8_t *msg, size_t len, uint8_t *out,
		  bool *terminate);

#endif
