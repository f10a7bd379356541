#ifndef CORE_SHA256_BLOCK_H
#define CORE_SHA256_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * SHA-256 of one block (FIPS 180-4, 6.2.2) into the eight words of state, in plain C and by the
 * processor's SHA instructions. mbedTLS gets at them as MBEDTLS_SHA256_PROCESS_ALT; any thread.
 */
void sha256_block_portable(uint32_t state[8], const uint8_t block[64]);
void sha256_block_sha(uint32_t state[8], const uint8_t block[64]);

/* True when this processor has them. */
bool sha256_block_has_sha(void);

#endif
