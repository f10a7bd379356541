#ifndef HOST_NET_BACKEND_H
#define HOST_NET_BACKEND_H

struct net_backend;
struct net_option;

/*
 * What --net names, as a network: a TAP device, an interface's raw packets, or a process of passt at
 * the other end of a socket with QEMU's framing (four bytes of length, big-endian, and the frame).
 * On failure logs one line. 0 or -errno.
 */
int host_net_backend_create(const struct net_option *option, struct net_backend **backend);

/* Stopped. Ends passt. */
void host_net_backend_destroy(struct net_backend *backend);

#endif
