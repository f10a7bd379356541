#ifndef DEVICES_VMBUS_VMBUS_GPADL_H
#define DEVICES_VMBUS_VMBUS_GPADL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/vmbus/vmbus_gpa.h"

/*
 * GPADLs: buffers of guest pages that a channel's client established, by number. The server's own;
 * everything is called under the server's lock. What a complete GPADL holds does not change until
 * it is freed, so holders of a reference read `list` without the lock.
 */

/* All GPADLs of a server together may take this many bytes: a guest's claim on VTL2's memory. */
#define VMBUS_GPADL_BYTES_MAX (4u << 20)

enum vmbus_gpadl_state {
	VMBUS_GPADL_BUILDING, /* body messages are missing */
	VMBUS_GPADL_READY,
	VMBUS_GPADL_TEARING_DOWN, /* the guest wants it back and waits for the last reference */
	VMBUS_GPADL_ORPHANED,     /* the guest has forgotten it: free with the last reference */
};

struct vmbus_gpadl {
	struct vmbus_gpadl *next;
	uint32_t id;
	enum vmbus_gpadl_state state;
	unsigned int references;
	struct vmbus_gpa_list list;
	uint32_t range_count;
	size_t filled;     /* words */
	size_t word_count; /* words */
	uint64_t words[];
};

struct vmbus_gpadl_set {
	struct vmbus_gpadl *head;
	size_t *bytes_used; /* shared by the sets of a server */
};

struct vmbus_gpadl *vmbus_gpadl_find(const struct vmbus_gpadl_set *set, uint32_t id);

/*
 * Starts a GPADL of range_count ranges in `len` bytes, of which the first `have` are at `data`
 * (at most `len` are used: some clients always send whole messages). Returns it in BUILDING or
 * READY state, or NULL with *err set: -EINVAL, -EEXIST, -ENOMEM.
 */
struct vmbus_gpadl *vmbus_gpadl_add(struct vmbus_gpadl_set *set, uint32_t id, uint32_t range_count,
				    size_t len, const void *data, size_t have, int *err);

/* Adds a body message's bytes. On an error (-EINVAL) the GPADL is gone. */
int vmbus_gpadl_extend(struct vmbus_gpadl_set *set, struct vmbus_gpadl *gpadl, const void *data,
		       size_t have);

/* Frees it. Nobody holds a reference. */
void vmbus_gpadl_remove(struct vmbus_gpadl_set *set, struct vmbus_gpadl *gpadl);

/* The client is gone: frees what nobody refers to, the rest goes with its last reference. */
void vmbus_gpadl_abandon(struct vmbus_gpadl_set *set);

#endif
