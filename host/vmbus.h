#ifndef HOST_VMBUS_H
#define HOST_VMBUS_H

#include <stddef.h>
#include <stdint.h>

/* The VMBus server toward VTL2 (devices/vmbus), over the partition's SynICs. */

struct event_loop;
struct host_vmbus;
struct partition;

/* loop runs the channels; it outlives the server. NULL when out of memory. */
struct host_vmbus *host_vmbus_create(struct partition *partition, struct event_loop *loop);
void host_vmbus_destroy(struct host_vmbus *vmbus);

/* From VTL2's hypercalls. 0; -ENOENT: no such connection; -EAGAIN: try later; -EINVAL. */
int host_vmbus_message(struct host_vmbus *vmbus, uint32_t connection, uint32_t type,
		       const void *payload, size_t len);
int host_vmbus_signal(struct host_vmbus *vmbus, uint32_t connection, uint16_t flag);

#endif
