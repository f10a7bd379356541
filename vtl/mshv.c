#include "vtl/mshv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"
#include "vtl/mshv_private.h"

/* The largest page of the processor that a mapping of VTL0's memory can use. */
#define HUGE_PAGE  (2ull << 20)
#define GIANT_PAGE (1ull << 30)

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return fd;
	log_error("cannot open %s: errno %d", path, err);
	return -err;
}

/*
 * A place in our address space that is as aligned as gpa is, so that the kernel can map huge pages
 * (mshv_vtl_low faults them in by the alignment of the file offset, which is gpa).
 */
static void *reserve_aligned(uint64_t gpa, uint64_t len)
{
	uint64_t align = len >= GIANT_PAGE ? GIANT_PAGE : HUGE_PAGE;
	uint64_t room = len + align, start, base;
	void *p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	start = (uintptr_t)p;
	base = (start & ~(align - 1)) + (gpa & (align - 1));
	if (base < start)
		base += align;
	if (base > start)
		munmap(p, base - start);
	if (base + len < start + room)
		munmap((void *)(uintptr_t)(base + len), start + room - base - len);
	return (void *)(uintptr_t)base;
}

/*
 * MSHV_ADD_VTL0_MEMORY is not used: its struct pages would come out of VTL2's RAM and nothing here
 * pins VTL0's pages by them. docs/vtl.md has the figures and what this asks of the kernel.
 */
static int map_memory(struct vtl *vtl, uint64_t gpa, uint64_t len, void **address)
{
	struct mshv *mshv = (struct mshv *)vtl;
	void *where = reserve_aligned(gpa, len);
	void *p;

	if (!where)
		return -ENOMEM;
	p = mmap(where, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, mshv->memory_fd, gpa);
	if (p == MAP_FAILED) {
		int err = errno;

		munmap(where, len);
		return -err;
	}
	*address = p;
	return 0;
}

static void destroy(struct vtl *vtl)
{
	struct mshv *mshv = (struct mshv *)vtl;

	close(mshv->memory_fd);
	close(mshv->hypercall_fd);
	close(mshv->vtl_fd);
	free(mshv);
}

static const struct vtl_ops mshv_ops = {
	.run = mshv_vp_run,
	.clear_wake = mshv_vp_clear_wake,
	.load = mshv_load,
	.store = mshv_store,
	.get_register = mshv_get_register,
	.set_register = mshv_set_register,
	.get_xmm = mshv_get_xmm,
	.set_xmm = mshv_set_xmm,
	.set_poll_fd = mshv_vp_set_poll_fd,
	.vp_destroy = mshv_vp_destroy,
	.vp_create = mshv_vp_create,
	.assert_interrupt = mshv_assert_interrupt,
	.post_message = mshv_post_message,
	.signal_event = mshv_signal_event,
	.protect = mshv_protect,
	.map_memory = map_memory,
	.destroy = destroy,
};

/* Through /dev/mshv: the VTL's own descriptor, and what the driver can do. */
static int create_vtl(struct mshv *mshv)
{
	uint32_t extension = MSHV_CAP_REGISTER_PAGE, actions = MSHV_CAP_VTL_RETURN_ACTION;
	int fd = open_device("/dev/mshv");
	int ret = 0;

	if (fd < 0)
		return fd;
	mshv->register_page = ioctl(fd, MSHV_CHECK_EXTENSION, &extension) == 1;
	mshv->return_actions = ioctl(fd, MSHV_CHECK_EXTENSION, &actions) == 1;
	mshv->vtl_fd = ioctl(fd, MSHV_CREATE_VTL, NULL);
	if (mshv->vtl_fd < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int mshv_create(struct vtl **vtl)
{
	struct mshv *mshv = calloc(1, sizeof(*mshv));
	int ret;

	if (!mshv)
		return -ENOMEM;
	mshv->vtl.ops = &mshv_ops;
	ret = create_vtl(mshv);
	if (ret)
		goto free_mshv;
	ret = mshv->hypercall_fd = open_device("/dev/mshv_hvcall");
	if (ret < 0)
		goto close_vtl;
	ret = mshv->memory_fd = open_device("/dev/mshv_vtl_low");
	if (ret < 0)
		goto close_hypercall;
	ret = mshv_hypercall_setup(mshv);
	if (ret)
		goto close_memory;
	*vtl = &mshv->vtl;
	return 0;

close_memory:
	close(mshv->memory_fd);
close_hypercall:
	close(mshv->hypercall_fd);
close_vtl:
	close(mshv->vtl_fd);
free_mshv:
	free(mshv);
	return ret;
}
