#ifndef HOST_VMBUS_H
#define HOST_VMBUS_H

#include <stddef.h>
#include <stdint.h>

/* The VMBus server toward VTL2 (devices/vmbus), over the partition's SynICs. */

struct guest_memory;
struct host_vmbus;
struct partition;
struct vmbus_server;

/* Starts the thread that runs the channels. NULL when out of memory. */
struct host_vmbus *host_vmbus_create(struct partition *partition);

/*
 * When no VP runs any more: closes every channel and ends the thread. What was offered may be
 * destroyed between the two.
 */
void host_vmbus_stop(struct host_vmbus *vmbus);
void host_vmbus_destroy(struct host_vmbus *vmbus);

/* For what offers channels; and all memory of the partition, as VTL2 sees it. */
struct vmbus_server *host_vmbus_server(struct host_vmbus *vmbus);
const struct guest_memory *host_vmbus_memory(struct host_vmbus *vmbus);

/* A VP's SynIC has room for messages again. VP threads, without locks of the SynIC. */
void host_vmbus_message_slot_free(struct host_vmbus *vmbus);

/* From VTL2's hypercalls. 0; -ENOENT: no such connection; -EAGAIN: try later; -EINVAL. */
int host_vmbus_message(struct host_vmbus *vmbus, uint32_t connection, uint32_t type,
		       const void *payload, size_t len);
int host_vmbus_signal(struct host_vmbus *vmbus, uint32_t connection, uint16_t flag);

#endif
