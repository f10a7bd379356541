#ifndef PARAVISOR_GET_H
#define PARAVISOR_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The client of GET, the guest emulation transport (proto/get.h): the host's configuration, and what the
 * host is told of VTL0's end. Before get_start() on the thread that created it, then on the loop's.
 *
 * The host is not trusted to be sane: what is not as the protocol says ends with an error and a line in
 * the log, and the paravisor goes on without GET.
 */

struct event_loop;
struct get;

/*
 * Opens the host's channel and agrees on a version. 0; -ENOENT: the host offers none; -EPROTO: it does
 * not speak our version; -ETIMEDOUT; -errno. Before the sandbox.
 */
int get_create(struct get **get);

/* Lets go of the channel. No loop watches it any more. */
void get_destroy(struct get *get);

/* The device platform settings, a text of *len bytes that the caller frees. 0, -EPROTO, -errno. */
int get_platform_settings(struct get *get, char **text, size_t *len);

/*
 * VMGS: a block device for VTL0's state. Before get_start(). *bytes: its capacity; *sector: bytes of one.
 * 0; -ENODEV: the host has none; -EPROTO, -errno.
 */
int get_vmgs_info(struct get *get, uint64_t *bytes, uint32_t *sector);
/* `len` bytes at `offset`, both whole sectors. Before get_start(). 0, -EIO, -EPROTO, -errno. */
int get_vmgs_read(struct get *get, uint64_t offset, void *buf, size_t len);

/*
 * Writes through: whole sectors, durable when done(token, error) is called, once. Before get_start() that is from within,
 * later on the loop's thread; `data` stays as it is until then. One at a time: -EBUSY as the error of the next.
 */
void get_vmgs_write(struct get *get, uint64_t offset, const void *data, size_t len,
		    void (*done)(void *token, int error), void *token);

/* Called on the loop's thread. */
struct get_handler {
	/*
	 * New VTL2 settings: `text` is the handler's, which frees it. Ends with get_settings_modified(), now or later; more
	 * may come before that.
	 */
	void (*modify_settings)(void *ctx, char *text, size_t len);
	void *ctx;
};

/* Tells the host that new settings are in force, or with `why` that they are not. Loop's thread. */
void get_settings_modified(struct get *get, const char *why);

/* From now on the host's notifications are handled, on `loop`. 0 or -errno. Loop's thread. */
int get_start(struct get *get, struct event_loop *loop, const struct get_handler *handler);

/*
 * What has become of VTL0. `get` may be NULL: nothing happens. What the host has no room for is waited
 * for, for at most a second.
 */
void get_vtl0_started(struct get *get, bool success, const char *why);
void get_power_off(struct get *get);
void get_reset(struct get *get);
void get_triple_fault(struct get *get, uint32_t vp);
/* What VTL0 wrote to its crash MSRs (HV_CRASH_CTL_REG_CONTENTS, P0 to P4). */
void get_vtl_crash(struct get *get, uint32_t vp, uint64_t control, const uint64_t parameters[5]);

#endif
