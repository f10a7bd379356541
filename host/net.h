#ifndef HOST_NET_H
#define HOST_NET_H

/* The network card of the command line: an emulated MANA function on VPCI, with a thread of its own. */

struct host_net;
struct partition;

/* Offers it, when options->net asks for one. On failure logs one line. 0 or -errno. */
int host_net_create(struct partition *partition, struct host_net **net);

/* When VPCI, which owns the function, is about to go: its thread ends. */
void host_net_stop(struct host_net *net);

/* When it is gone. */
void host_net_destroy(struct host_net *net);

#endif
