/* SPDX-License-Identifier: MIT */
#ifndef TPM_SETUP_EXCHANGE_H
#define TPM_SETUP_EXCHANGE_H

#include "tpm/engine/types.h"
#include "tpm/instance.h"

/* A command to an instance that is switched on, and its response: for who sets a TPM up. */
struct exchange {
	struct instance *in;
	const char *name; /* of the command, for messages */
	struct writer w;
	struct reader r; /* of what comes after the response's header */
	uint8_t cmd[TPM_MAX_COMMAND], rsp[TPM_MAX_COMMAND];
};

/* Parameters are then written to w. */
void exchange_begin(struct exchange *x, uint16_t tag, uint32_t code, const char *name);
/* Up to two handles (0: no second one), of which the first is authorised by an empty password. */
void exchange_begin_auth(struct exchange *x, uint32_t code, const char *name, uint32_t first,
			 uint32_t second);
/* Returns the response code. */
uint32_t exchange_run(struct exchange *x);
/* Startup(CLEAR), Shutdown(CLEAR). */
uint32_t exchange_simple(struct exchange *x, uint32_t code, const char *name);
/*
 * Makes a hierarchy's primary key, with no password, persistent at that handle, and *pub its public area. 0 or the response
 * code of the command that failed.
 */
uint32_t exchange_primary(struct exchange *x, uint32_t hierarchy, uint32_t persistent,
			  const struct public_area *template, struct public_area *pub);
/*
 * All PCRs in these banks, bits by hash_by_index(), and none in others: from the next _TPM_Init on. The response code;
 * *done: the TPM has room for them.
 */
uint32_t exchange_allocate(struct exchange *x, uint8_t banks, bool *done);

#endif
