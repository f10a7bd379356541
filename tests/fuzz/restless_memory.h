#ifndef TESTS_FUZZ_RESTLESS_MEMORY_H
#define TESTS_FUZZ_RESTLESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * A guest that changes its memory while we look at it: whatever the subject copies out of that memory is changed right
 * behind it, so that a second look sees something else. For targets linked with -Wl,--wrap=guest_access_copy.
 */

/* About every other copy of more than four bytes; seed 0: none. One memory at a time. */
void restless_memory_start(uint8_t *memory, size_t len, uint32_t seed);

#endif
