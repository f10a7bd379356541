#ifndef VTL_HOST_MESSAGE_H
#define VTL_HOST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * SynIC messages between VTL2 and its host, by Linux's /dev/mshv_sint: what is posted goes to the
 * host's connection, what arrives came to SINT 7 of VP 0.
 */

struct host_message;
struct hv_message;

/* Opens the device and lets messages in. 0 or -errno. */
int host_message_create(struct host_message **port);
void host_message_destroy(struct host_message *port);

/* Readable when a message waits. */
int host_message_fd(const struct host_message *port);

/* 0; -EAGAIN when none waits; -errno. One thread. */
int host_message_receive(struct host_message *port, struct hv_message *message);

/*
 * 0; -EAGAIN when the host has no buffer left: try again later; -ENXIO when it has no such
 * connection; -errno. At most 240 bytes. Any thread.
 */
int host_message_post(struct host_message *port, uint32_t connection_id, uint32_t type,
		      const void *payload, size_t len);

#endif
