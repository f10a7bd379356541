#ifndef PARAVISOR_VMBUS_UIO_H
#define PARAVISOR_VMBUS_UIO_H

#include <stddef.h>

#include "proto/guid.h"

/*
 * A VMBus channel from the host in message-pipe mode, as its client: the kernel's uio_hv_generic maps
 * the rings into this process and turns interrupts into reads of /dev/uioN. One thread at a time.
 *
 * What the host writes is not believed: a ring that breaks the rules ends the channel with -EPROTO.
 */

struct vmbus_uio;

/*
 * Takes the channel from the kernel, opens it, and waits up to timeout_ms for the host to offer it.
 * 0; -ENOENT: the host does not offer it; -errno. Before the sandbox: needs sysfs and /dev.
 */
int vmbus_uio_open(const struct guid *interface, const struct guid *instance,
		   unsigned int timeout_ms, struct vmbus_uio **uio);

/* Closes the channel, and waits for the host to let go of the rings. */
void vmbus_uio_close(struct vmbus_uio *uio);

/* Readable (EPOLLIN) when the host has signalled. */
int vmbus_uio_fd(const struct vmbus_uio *uio);

/*
 * Takes the next message, at most `size` bytes. Its length; -EAGAIN: there is none now, and the
 * descriptor becomes readable when there is; -EPROTO, also for one that is too long: the channel is
 * dead.
 */
int vmbus_uio_receive(struct vmbus_uio *uio, void *message, size_t size);

/* Sends a message. 0; -EAGAIN: no room, and the descriptor becomes readable; -EMSGSIZE; -EPROTO. */
int vmbus_uio_send(struct vmbus_uio *uio, const void *message, size_t len);

/* Waits for the descriptor to become readable. 0, -ETIMEDOUT or -errno. */
int vmbus_uio_wait(struct vmbus_uio *uio, int timeout_ms);

#endif
