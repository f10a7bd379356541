/* SPDX-License-Identifier: MIT */
#ifndef TPM_INSTANCE_H
#define TPM_INSTANCE_H

#include "tpm/store.h"
#include "tpm/tpm.h"

/* A TPM with its storage, as vtpmd's protocols handle it. Everything runs on one thread. */
struct instance {
	struct store permanent,
		suspended; /* volatile state kept over a restart of the server; may be no store at all, zeros */
	struct tpm *tpm; /* NULL while it is off */
	bool is_new;     /* made by the last instance_init(): there was no state */
	uint8_t locality;
	bool physical_presence;
	uint8_t *buf; /* TPM_MAX_BLOB bytes */
};

int instance_random(void *buf, size_t len);

/* The stores are open already. 0 or -ENOMEM; instance_close() is owed after success and closes the stores. */
int instance_open(struct instance *in);
void instance_close(struct instance *in);

/*
 * Powers the TPM on, or resets it: a TPM is made from the permanent state, or a new one; volatile state that was
 * stored is taken up again, and removed when drop_volatile is set. 0 or -errno.
 */
int instance_init(struct instance *in, bool drop_volatile);
/* Power off. */
void instance_stop(struct instance *in);
/* Executes one command; with no TPM on the answer is TPM_RC_FAILURE. Returns the length of the response. */
size_t instance_execute(struct instance *in, const uint8_t *cmd, size_t len, uint8_t *rsp);
int instance_store_volatile(struct instance *in);

#endif
