/* SPDX-License-Identifier: MIT */
#ifndef TPM_CRYPTO_KDF_H
#define TPM_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

/* A counted piece of read-only memory. */
struct span {
	const uint8_t *data;
	size_t len;
};

#define SPAN_NONE ((struct span){ NULL, 0 })

/*
 * KDFa() of TPM 2.0 Part 1, 11.4.10.2: SP800-108 in counter mode with HMAC. label is a C string; its final zero is
 * part of the input. Writes (bits + 7) / 8 bytes; when bits is no multiple of 8 the unused high bits of the first
 * byte are cleared.
 */
void kdf_a(uint16_t alg, struct span key, const char *label, struct span context_u,
	   struct span context_v, unsigned int bits, uint8_t *out);

/* The same with a label of any bytes; a zero is added unless it ends with one. */
void kdf_a_label(uint16_t alg, struct span key, struct span label, struct span context_u,
		 struct span context_v, unsigned int bits, uint8_t *out);

/* KDFe() of Part 1, 11.4.10.3: SP800-56A's concatenation KDF, for ECDH shared secrets. */
void kdf_e(uint16_t alg, struct span z, const char *label, struct span party_u, struct span party_v,
	   unsigned int bits, uint8_t *out);

/*
 * XORs data in place with the output of KDF2 (ISO/IEC 18033-2, 6.2.3; MGF1 that counts from one), as ECC encryption does
 * (Part 1, annex D).
 */
void kdf_2_xor(uint16_t alg, struct span z, uint8_t *data, size_t len);

/* XORs data in place with the mask of Part 1, 11.4.5.1 CryptXORObfuscation. */
void kdf_xor(uint16_t alg, struct span key, struct span context_u, struct span context_v,
	     uint8_t *data, size_t len);

#endif
