/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_CMAC_H
#define TPM_CRYPTO_CMAC_H

#include "tpm/crypto/sym.h"

/* A running CMAC (NIST SP 800-38B). It holds no pointers, so it may be copied and saved as bytes. */
struct cmac_ctx {
	uint16_t alg, bits; /* of the block cipher */
	uint16_t have;      /* bytes of the last block that are in `chain` */
	uint8_t key[SYM_MAX_KEY];
	uint8_t chain[SYM_BLOCK]; /* blocks so far enciphered, XORed with the last */
};

/* sym_supported() must know alg with this number of key bits. */
void cmac_start(struct cmac_ctx *ctx, uint16_t alg, unsigned int bits, const uint8_t *key);
void cmac_update(struct cmac_ctx *ctx, const uint8_t *data, size_t len);
/* Writes SYM_BLOCK bytes, returns that number, and wipes the context. */
unsigned int cmac_finish(struct cmac_ctx *ctx, uint8_t *mac);

#endif
