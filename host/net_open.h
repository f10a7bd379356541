#ifndef HOST_NET_OPEN_H
#define HOST_NET_OPEN_H

#include <sys/types.h>

#include "host/net_option.h"

/*
 * Could --net be used now? The ports that are to be forwarded are free, the interface is there and may be
 * opened. If not prints one line to standard error and returns -EINVAL. passt is not looked for.
 */
int net_check(const struct net_option *option);

/* passt's, and what it says there. */
struct net_child {
	pid_t pid; /* 0: there is none */
	int words; /* does not block; the caller's to close */
};

/*
 * A descriptor that does not block: a TAP device (frames with a struct virtio_net_hdr before them, and work left to
 * do in both directions: net_offload.h), an interface's raw packets (which keep their VLAN tags in
 * auxiliary data), or for NET_USER a stream to a process of passt, with QEMU's framing (four bytes of length,
 * big-endian, and the frame). -errno.
 */
int net_open(const struct net_option *option, struct net_child *child);
void net_close(int fd, enum net_kind kind);

/* MTU of what is opened: of the interface, at most NET_MTU_MAX, or as --net says. */
unsigned int net_mtu(const struct net_option *option);

#endif
