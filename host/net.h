#ifndef HOST_NET_H
#define HOST_NET_H

/* The network card of the command line: an emulated MANA function on VPCI, with a thread of its own. */

struct host_net;
struct partition;

/* Offers it, when options->net asks for one. On failure logs one line. 0 or -errno. */
int host_net_create(struct partition *partition, struct host_net **net);

/*
 * "up" or "down": the link; "reset": VTL2's function asks its driver to reset it. While the machine runs; any
 * thread. 0; -ENODEV: there is no card; -EINVAL.
 */
int host_net_command(struct host_net *net, const char *what);

/* When VPCI, which owns the function, is about to go: its thread ends. */
void host_net_stop(struct host_net *net);

/* When it is gone. */
void host_net_destroy(struct host_net *net);

#endif
