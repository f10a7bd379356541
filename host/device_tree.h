#ifndef HOST_DEVICE_TREE_H
#define HOST_DEVICE_TREE_H

#include <stddef.h>

struct host_payloads;
struct partition;

/*
 * The tree that a Hyper-V host gives an image (IGVM_VHT_DEVICE_TREE): processors, memory by IGVM's
 * types, the VMBus roots of both VTLs with their MMIO windows; and where VTL0's files lie that are
 * not in the image (docs/shim.md). Returns its size in bytes, or -ENOSPC when it does not fit into len.
 */
int device_tree_build(const struct partition *partition, const struct host_payloads *payloads,
		      void *buf, size_t len);

#endif
