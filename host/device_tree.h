#ifndef HOST_DEVICE_TREE_H
#define HOST_DEVICE_TREE_H

#include <stddef.h>

struct partition;

/*
 * Writes the flattened device tree that VTL2 is told about the machine by: processors, memory of
 * both VTLs, VMBus with its MMIO window (docs/boot.md lists the nodes). Returns its size in bytes,
 * or -ENOSPC when it does not fit into len.
 */
int device_tree_build(const struct partition *partition, void *buf, size_t len);

#endif
