/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_SYM_H
#define TPM_CRYPTO_SYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYM_BLOCK   16
#define SYM_MAX_KEY 32

/* Does this block cipher exist here with this key size? */
bool sym_supported(uint16_t alg, unsigned int key_bits);

/*
 * Encrypts or decrypts len bytes in mode TPM_ALG_CTR/OFB/CBC/CFB/ECB; in and out may be the same. iv (SYM_BLOCK bytes,
 * unused for ECB) is replaced by the value that continues the stream (ISO/IEC 10116). 0, or -EINVAL when the mode
 * needs whole blocks and len is not, or the algorithm is unknown.
 */
int sym_crypt(uint16_t alg, unsigned int key_bits, const uint8_t *key, uint16_t mode, bool encrypt,
	      uint8_t *iv, const uint8_t *in, uint8_t *out, size_t len);

/* CFB with a zero IV unless iv is given, in place: what the TPM uses to protect its own structures. */
void sym_cfb(uint16_t alg, unsigned int key_bits, const uint8_t *key, bool encrypt,
	     const uint8_t *iv, uint8_t *data, size_t len);

#endif
