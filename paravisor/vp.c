#include "paravisor/vp.h"

#include <errno.h>
#include <limits.h>

#include "core/event_loop.h"
#include "core/log.h"
#include "paravisor/exit.h"
#include "paravisor/machine.h"
#include "paravisor/start_state.h"
#include "vtl/vtl.h"

/* Handlers and the emulator need a few KiB; what is not touched costs nothing. */
#define STACK_SIZE (128u << 10)

/* How often a loop that always finds work runs before VTL0 gets its turn. */
#define MAX_LOOP_RUNS 64

/* How often a VP looks whether its loop is ready and nobody said so: rarely enough to cost nothing. */
#define VISITS_A_LOOK 1024

int vp_init(struct vp *vp, struct machine *machine, unsigned int index)
{
	vp->machine = machine;
	vp->index = index;
	vp->loop = event_loop_create();
	if (!vp->loop)
		return -errno;
	event_loop_share_time(vp->loop);
	return 0;
}

int vp_enter(struct vp *vp)
{
	struct vtl *vtl = vp->machine->vtl;
	int ret = vtl->ops->vp_create(vtl, vp->index, &vp->vtl);

	if (ret)
		return ret;
	return vtl->ops->set_poll_fd(vp->vtl, event_loop_fd(vp->loop));
}

void vp_wake(struct vp *vp)
{
	if (vp->loop)
		event_loop_wake(vp->loop);
}

/*
 * The kernel tells of what becomes ready, not of what still is: so once it has, the loop runs until it
 * finds nothing, or asks for another turn. What it finds need not bring the VP back once more. Until then
 * there is only what the VP has posted to itself.
 */
static void run_loop(struct vp *vp, bool woken)
{
	for (unsigned int i = 0; i < MAX_LOOP_RUNS; i++) {
		woken |= vp->vtl->ops->clear_wake(vp->vtl);
		if ((woken ? event_loop_run_once(vp->loop, 0) : event_loop_run_posts(vp->loop)) <=
		    0)
			return;
	}
	vp_wake(vp);
}

/*
 * A visit that nothing woke asks the kernel nothing, so that everything depends on the kernel's telling: an event that it
 * does not tell of would wait for the next one, if there is any. What is ready at a look, and has still not brought the VP
 * back when VTL0 does, is such an event.
 */
static bool look(struct vp *vp)
{
	bool was_ready = vp->ready;

	vp->ready = ++vp->visits % VISITS_A_LOOK == 0 && event_loop_is_ready(vp->loop);
	if (!was_ready)
		return false;
	if (!vp->vtl->ops->clear_wake(vp->vtl))
		log_limited(LOG_WARN, "VP %u: its loop was ready, and the kernel told nobody",
			    vp->index);
	return true;
}

void vp_run(struct vp *vp)
{
	struct vp_exit exit;
	bool woken;

	run_loop(vp, true);
	while (!machine_has_ended(vp->machine)) {
		int ret = vtl_vp_run(vp->vtl, &exit);

		if (ret) {
			machine_end(vp->machine, HOST_PORT_FAILURE, "cannot run VP %u: errno %d",
				    vp->index, -ret);
			return;
		}
		__atomic_store_n(&vp->exits[exit.kind], vp->exits[exit.kind] + 1, __ATOMIC_RELAXED);
		woken = exit.kind == VP_EXIT_WAKE;
		if (woken) {
			vp->ready = false;
		} else {
			exit_dispatch(vp, &exit);
			woken = look(vp);
		}
		/* What the exit gave this VP to do needs no way through the kernel. */
		if (woken || event_loop_has_posts(vp->loop))
			run_loop(vp, woken);
	}
}

static void *vp_thread(void *arg)
{
	struct vp *vp = arg;
	int ret = vp_enter(vp);

	if (!ret)
		ret = start_state_set_memory_type(vp->vtl, vp->machine->mtrr_def_type);
	if (ret)
		machine_end(vp->machine, HOST_PORT_FAILURE, "cannot start VP %u: errno %d",
			    vp->index, -ret);
	else
		vp_run(vp);
	return NULL;
}

int vp_start(struct vp *vp)
{
	pthread_attr_t attr;
	int ret = pthread_attr_init(&attr);

	if (ret)
		return -ret;
	ret = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!ret)
		ret = pthread_create(&vp->thread, &attr, vp_thread, vp);
	pthread_attr_destroy(&attr);
	return -ret;
}
