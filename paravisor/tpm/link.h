#ifndef PARAVISOR_TPM_LINK_H
#define PARAVISOR_TPM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/vtpm_link.h"

struct device_lock;
struct event_loop;
struct vtpm_state;

/*
 * The paravisor's end of the pipes to the vTPM's process (proto/vtpm_link.h). Requests may come from any thread;
 * packets are read on the loop's thread. `lock` is held in all calls and by all callbacks: it is the vTPM device's.
 */
struct vtpm_link;

struct vtpm_link_config {
	struct event_loop *loop;
	struct device_lock *lock;
	int from, to; /* the pipes; made non-blocking */
	struct vtpm_state *state;
	unsigned int patience_ms; /* with a request, before the log says why it waits; 0: 10 s */
	/* The process has died; again: another one has been started, and is off. The request under way has failed. */
	void (*died)(void *ctx, bool again);
	void *ctx;
};

/* Embedded by its owner, who keeps it until done() is called, once. error: 0 or -errno, -EPIPE for a death. */
struct vtpm_request {
	void (*done)(struct vtpm_request *request, int error, const uint8_t *payload, size_t len);
};

/* 0 or -errno. */
int vtpm_link_create(struct vtpm_link **out, const struct vtpm_link_config *config);

/* Takes it off its loop. NULL is allowed. */
void vtpm_link_destroy(struct vtpm_link *link);

/*
 * Sends a request: `header` begins with a struct vtpm_link_header, whose id is set here. -EBUSY while another one is
 * under way, -EMSGSIZE, or the pipe's error: then done() is not called.
 */
int vtpm_link_send(struct vtpm_link *link, struct vtpm_link_header *header, size_t header_len,
		   const void *payload, size_t len, struct vtpm_request *request);

/* Did the last answer say that the establishment bit is set? */
bool vtpm_link_established(const struct vtpm_link *link);

#endif
