#ifndef HOST_NET_OPTION_H
#define HOST_NET_OPTION_H

#include <stdbool.h>

#define HOST_MAX_FORWARDS 16

#define NET_MTU_DEFAULT 1500u
#define NET_MTU_MAX     9000u

enum net_kind {
	NET_NONE,
	NET_USER,   /* through passt, a process of its own */
	NET_TAP,    /* a TAP device that is there */
	NET_PACKET, /* an interface that becomes the guest's: raw packets */
};

/* --net: strings point into the text. */
struct net_option {
	enum net_kind kind;
	const char *name; /* of the interface */
	bool vf;          /* VTL0 gets a function of its own beside the card */
	bool vf_off;      /* for now it has been taken away: not by an option */
	struct net_forward {
		const char *address; /* of this machine, NULL: any */
		unsigned int host_port, guest_port;
		unsigned int udp;
	} forwards[HOST_MAX_FORWARDS];
	unsigned int forward_count;
	unsigned int mtu; /* of IP packets, 0: the usual; NET_USER */
};

/*
 * "none", "user[,mtu=N][,hostfwd=tcp:[ADDRESS]:PORT-[ADDRESS]:PORT]...", "tap=NAME", "packet=NAME", the latter
 * three also with ",vf". On a mistake prints one line to standard error and returns -EINVAL. The text is changed.
 */
int net_option_parse(char *text, struct net_option *net);

#endif
