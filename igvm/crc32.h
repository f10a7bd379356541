#ifndef IGVM_CRC32_H
#define IGVM_CRC32_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32 as in IEEE 802.3 (reflected, polynomial EDB88320h): the CRC of what gave `crc` (0: of
 * nothing) followed by `len` bytes more.
 */
uint32_t crc32_update(uint32_t crc, const void *data, size_t len);

#endif
