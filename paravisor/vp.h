#ifndef PARAVISOR_VP_H
#define PARAVISOR_VP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/hv_register.h"
#include "vtl/vp_exit.h"

/*
 * One virtual processor of VTL0: a thread pinned to its processor, which runs VTL0, handles its
 * exits and, in between, an event loop.
 */

struct event_loop;
struct machine;
struct vtl_vp;

struct vp {
	struct machine *machine;
	struct vtl_vp *vtl; /* the VP's thread only */
	struct event_loop *loop;
	unsigned int index;
	union hv_deliverability_notifications_register
		wanted;        /* asked for, not come. VP's thread */
	uint16_t slots_wanted; /* SINTs with messages that wait, a bit each. Any thread, atomic */
	pthread_t thread;
	uint64_t exits[VP_EXIT_KIND_COUNT]; /* written by the VP's thread, read by any */
	unsigned int visits;                /* that nothing woke. VP's thread */
	bool ready;                         /* the loop was, at a look for itself. VP's thread */
};

/* Creates the VP's loop. Before its thread exists. 0 or -errno. */
int vp_init(struct vp *vp, struct machine *machine, unsigned int index);

/* The calling thread becomes the VP's: pins it and creates what belongs to it. 0 or -errno. */
int vp_enter(struct vp *vp);

/* Runs VTL0 until the machine has ended. */
void vp_run(struct vp *vp);

/* Starts a thread that enters and runs the VP. 0 or -errno. */
int vp_start(struct vp *vp);

/* Any thread: brings the VP back from VTL0. */
void vp_wake(struct vp *vp);

#endif
