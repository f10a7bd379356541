#ifndef HOST_NET_SPLIT_H
#define HOST_NET_SPLIT_H

#include <stdbool.h>

struct net_backend;

/*
 * One network with two cards of one address: VTL2's function and the one that VTL0 has for itself.
 * Either may send; frames from the network go to one of them, VTL2's at first.
 */

struct net_split;

/* The network outlives the split. NULL when out of memory. */
struct net_split *net_split_create(struct net_backend *backend);

/* Both ends have stopped. NULL is allowed. */
void net_split_destroy(struct net_split *split);

/* Each for one function, both on the same loop. */
struct net_backend *net_split_vtl2(struct net_split *split);
struct net_backend *net_split_vtl0(struct net_split *split);

/* Where frames go from now on. Any thread. */
void net_split_steer(struct net_split *split, bool to_vtl0);

#endif
