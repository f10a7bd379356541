#ifndef CORE_GUEST_ACCESS_H
#define CORE_GUEST_ACCESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Loads and stores that survive a fault. Guest memory that VTL2 has mapped may turn out to be
 * protected or gone when it is touched (SIGSEGV, SIGBUS); these then return -EFAULT instead of
 * ending the process, once guest_access_install_fault_handler() has run.
 *
 * They are also the accesses that no compiler splits, repeats or merges: copies of 1, 2, 4 and 8
 * bytes at naturally aligned addresses are single loads and stores. Any thread. The guest's memory
 * and the local buffer do not overlap.
 */

/*
 * Handles SIGSEGV and SIGBUS for the process; faults elsewhere go on to whatever handled them
 * before. Once, before other threads exist, and after a sanitizer's own handlers. 0 or -errno.
 */
int guest_access_install_fault_handler(void);

/* 0, or -EFAULT with an unknown part of the bytes copied. */
int guest_access_copy(void *dst, const void *src, size_t len);
int guest_access_fill(void *dst, uint8_t byte, size_t len);

/*
 * Compare-and-swap of 1, 2, 4 or 8 bytes at a naturally aligned address; a full memory barrier.
 * *expected receives what was there. 0 swapped, -EAGAIN not equal, -EFAULT, -EINVAL.
 */
int guest_access_cmpxchg(void *dst, uint64_t *expected, uint64_t desired, unsigned int size);

#endif
