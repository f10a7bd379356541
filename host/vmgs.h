#ifndef HOST_VMGS_H
#define HOST_VMGS_H

#include <stdint.h>

/*
 * The block device for the guest's state that GET serves (proto/get.h), in a file. What is in it is
 * VTL2's affair. One thread calls all of these; only vmgs_sync() does not wait for the file.
 */

#define VMGS_SECTOR 512u

struct vmgs;

/* Opens the file, or makes one of 4 MiB of zeroes. NULL with errno set. */
struct vmgs *vmgs_open(const char *path);
void vmgs_close(struct vmgs *vmgs);

uint64_t vmgs_sectors(const struct vmgs *vmgs);

/* Whole sectors: 0; -EINVAL: not inside the device; -EIO. */
int vmgs_read(struct vmgs *vmgs, uint64_t sector, uint32_t count, void *buf);
int vmgs_write(struct vmgs *vmgs, uint64_t sector, uint32_t count, const void *buf);

/*
 * Has what was written reach the medium, however long that takes: then done(), with 0 or -EIO, on a
 * thread of the device's own. Not before done() of the one before.
 */
void vmgs_sync(struct vmgs *vmgs, void (*done)(void *ctx, int err), void *ctx);

/* Until done() has returned, if it was due. NULL is allowed: of no device there is none. */
void vmgs_wait(struct vmgs *vmgs);

#endif
