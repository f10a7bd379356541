#include "vtl/mshv_private.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "proto/hv_cpuid.h"
#include "vtl/mshv_decode.h"

/* The VP whose thread this is, for what depends on it. */
static __thread struct mshv_vp *current_vp;

static void *map_page(const struct mshv *mshv, enum mshv_vtl_page kind, unsigned int cpu)
{
	void *p = mmap(NULL, HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mshv->vtl_fd,
		       MSHV_VTL_PAGE_OFFSET(kind, cpu));

	return p == MAP_FAILED ? NULL : p;
}

/* The driver's per-processor pages and registers are those of the processor that asks. */
static int pin_to_cpu(unsigned int cpu)
{
	cpu_set_t *set = CPU_ALLOC(cpu + 1);
	size_t size = CPU_ALLOC_SIZE(cpu + 1);
	int ret = 0;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	if (sched_setaffinity(0, size, set))
		ret = -errno;
	CPU_FREE(set);
	return ret;
}

/*
 * Linux numbers processors in the order of the device tree, which is that of the VPs. Believe the
 * hypervisor rather than that.
 */
static int check_index(struct vtl_vp *vp)
{
	union hv_register_value value;
	int ret = mshv_get_register(vp, HV_REGISTER_VP_INDEX, &value);

	if (ret)
		return ret;
	return value.reg64 == vp->index ? 0 : -ENXIO;
}

int mshv_vp_create(struct vtl *vtl, unsigned int index, struct vtl_vp **out)
{
	struct mshv *mshv = (struct mshv *)vtl;
	struct mshv_vp *vp = calloc(1, sizeof(*vp));
	int ret;

	if (!vp)
		return -ENOMEM;
	vp->vp = (struct vtl_vp){ .ops = vtl->ops, .vtl = vtl, .index = index };
	vp->mshv = mshv;
	vp->cpu = index;
	ret = pin_to_cpu(vp->cpu);
	if (ret)
		goto free_vp;
	ret = check_index(&vp->vp);
	if (ret)
		goto free_vp;
	ret = -ENOMEM;
	vp->run = map_page(mshv, MSHV_VTL_RUN_PAGE, vp->cpu);
	if (!vp->run)
		goto free_vp;
	if (mshv->register_page) {
		vp->page = map_page(mshv, MSHV_VTL_REGISTER_PAGE, vp->cpu);
		if (!vp->page)
			goto unmap_run;
	}
	current_vp = vp;
	*out = &vp->vp;
	return 0;

unmap_run:
	munmap(vp->run, HV_PAGE_SIZE);
free_vp:
	free(vp);
	return ret;
}

void mshv_vp_destroy(struct vtl_vp *v)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;

	if (vp->page)
		munmap(vp->page, HV_PAGE_SIZE);
	munmap(vp->run, HV_PAGE_SIZE);
	if (current_vp == vp)
		current_vp = NULL;
	free(vp);
}

int mshv_vp_run(struct vtl_vp *v, struct vp_exit *exit)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;
	struct hv_message message;

	if (ioctl(vp->mshv->vtl_fd, MSHV_RETURN_TO_LOWER_VTL) == 0) {
		memcpy(&message, vp->run->exit_message, sizeof(message));
		mshv_decode_message(&message, exit);
		return 0;
	}
	if (errno != EINTR)
		return -errno;
	*exit = (struct vp_exit){ .kind = VP_EXIT_WAKE };
	return 0;
}

/* What becomes ready after the caller's look, which comes after this, sets it again. */
bool mshv_vp_clear_wake(struct vtl_vp *v)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;

	return __atomic_exchange_n(&vp->run->cancel, 0, __ATOMIC_SEQ_CST);
}

bool mshv_vp_signal_at_return(const struct mshv *mshv, uint32_t vp, uint8_t sint, uint16_t flag)
{
	struct hv_vtl_return_action action = {
		.type = HV_VTL_RETURN_ACTION_SIGNAL_EVENT,
		.target_vp = vp,
		.target_sint = sint,
		.flag_number = flag,
	};
	struct mshv_run_page *run;
	uint32_t size;

	if (!mshv->return_actions || !current_vp || current_vp->vp.index != vp)
		return false;
	run = current_vp->run;
	size = run->vtl_return_action_size; /* the driver sets it to 0 when it has taken them */
	if (size >= HV_VTL_RETURN_ACTIONS_MAX * sizeof(action))
		return false;
	memcpy(run->vtl_return_actions + size, &action, sizeof(action));
	run->vtl_return_action_size = size + (uint32_t)sizeof(action);
	return true;
}

int mshv_vp_set_poll_fd(struct vtl_vp *v, int fd)
{
	struct mshv_vp *vp = (struct mshv_vp *)v;
	struct mshv_vtl_set_poll_file input = { .cpu = vp->cpu, .fd = fd };

	return ioctl(vp->mshv->vtl_fd, MSHV_SET_POLL_FILE, &input) ? -errno : 0;
}
