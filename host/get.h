#ifndef HOST_GET_H
#define HOST_GET_H

#include <stddef.h>
#include <stdint.h>

/*
 * GET, the guest emulation transport, as a host offers it to a paravisor (proto/get.h, docs/get.md):
 * settings, time and state for it, and what it says about the guest.
 */

struct host_get;
struct vmbus_server;
struct vmgs;

/* How VTL2 says that the guest has ended. */
enum host_get_end {
	HOST_GET_POWER_OFF,
	HOST_GET_RESET,
	HOST_GET_CRASH, /* the guest says so itself, and may go on (kdump) */
	HOST_GET_TRIPLE_FAULT,
	HOST_GET_FAILURE, /* VTL0 could not be started */
};

struct host_get_ops {
	/* The reason is one printable line, "" when nothing is known. The channel's loop. */
	void (*ended)(void *ctx, enum host_get_end how, const char *reason);

	/*
	 * What the guest's crash parameters say (TLFS, HV_X64_MSR_CRASH_CTL and P0 to P4), as one line. ended() follows. May
	 * be NULL. The channel's loop.
	 */
	void (*crash_reason)(void *ctx, uint64_t control, const uint64_t parameters[5],
			     char *reason, size_t size);

	/* The partition's reference time, units of 100 ns. */
	uint64_t (*reference_time)(void *ctx);

	/* New VTL2 settings have been applied, or not: then error says why. May be NULL. */
	void (*modified)(void *ctx, const char *error);
};

struct host_get_config {
	const struct host_get_ops *ops;
	void *ctx;
	struct vmbus_server *server;
	const char *settings; /* device platform settings: JSON, not terminated */
	size_t settings_len;
	struct vmgs *vmgs; /* NULL: there is none */
};

/* Copies *config; what it points at outlives the object. 0 or -errno. */
int host_get_create(const struct host_get_config *config, struct host_get **get);

/* When the server has stopped. */
void host_get_destroy(struct host_get *get);

/*
 * Sends VTL2 new VTL2 settings (not platform settings): modified() follows when it has taken them.
 * 0; -ENOTCONN: no VTL2 listens; -ENOMEM. Any thread.
 */
int host_get_modify(struct host_get *get, const char *settings, size_t len);

#endif
