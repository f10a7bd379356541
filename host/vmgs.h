#ifndef HOST_VMGS_H
#define HOST_VMGS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The block device for the guest's state that GET serves (proto/get.h), in a file. What is in it is
 * VTL2's affair. Calls wait for the file; one thread.
 */

#define VMGS_SECTOR 512u

struct vmgs;

/* Opens the file, or makes one of 4 MiB of zeroes. NULL with errno set. */
struct vmgs *vmgs_open(const char *path);
void vmgs_close(struct vmgs *vmgs);

uint64_t vmgs_sectors(const struct vmgs *vmgs);

/* Whole sectors: 0; -EINVAL: not inside the device; -EIO. durable: it has reached the medium. */
int vmgs_read(struct vmgs *vmgs, uint64_t sector, uint32_t count, void *buf);
int vmgs_write(struct vmgs *vmgs, uint64_t sector, uint32_t count, const void *buf, bool durable);
int vmgs_flush(struct vmgs *vmgs);

#endif
