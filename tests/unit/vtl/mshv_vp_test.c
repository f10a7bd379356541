#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/hv_cpuid.h"
#include "vtl/mshv_private.h"

/*
 * The driver by --wrap=ioctl: VP 0, whose pages are those of a file. What it enters VTL0 for is the
 * test's to say.
 */
static struct mshv mshv;
static struct vtl_vp *vp;
static struct mshv_run_page *run;
static bool cancelled; /* the driver looked at run->cancel and found it set */

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct mshv_vp_registers *args;
	va_list list;

	va_start(list, request);
	args = va_arg(list, void *);
	va_end(list);
	assert_int_equal(fd, mshv.vtl_fd);
	if (request == MSHV_GET_VP_REGISTERS) {
		((struct hv_register_assoc *)(uintptr_t)args->regs_ptr)->value.reg64 = 0;
		return 0;
	}
	assert_int_equal(request, MSHV_RETURN_TO_LOWER_VTL);
	cancelled = run->cancel;
	if (cancelled) {
		errno = EINTR;
		return -1;
	}
	run->vtl_return_action_size = 0;
	return 0;
}

static int setup(void **state)
{
	struct vtl *vtl = &mshv.vtl;

	(void)state;
	mshv = (struct mshv){ .return_actions = true };
	mshv.vtl_fd = memfd_create("pages", 0);
	if (mshv.vtl_fd < 0 || ftruncate(mshv.vtl_fd, HV_PAGE_SIZE))
		return -1;
	if (mshv_vp_create(vtl, 0, &vp))
		return -1;
	run = ((struct mshv_vp *)vp)->run;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mshv_vp_destroy(vp);
	return close(mshv.vtl_fd);
}

static void events_go_with_the_return(void **state)
{
	const struct hv_vtl_return_action *actions = (void *)run->vtl_return_actions;
	struct vp_exit exit;

	(void)state;
	for (uint16_t i = 0; i < HV_VTL_RETURN_ACTIONS_MAX; i++)
		assert_true(mshv_vp_signal_at_return(&mshv, 0, 2, (uint16_t)(300 + i)));
	assert_false(mshv_vp_signal_at_return(&mshv, 0, 2, 1));
	assert_int_equal(run->vtl_return_action_size, 256);
	for (unsigned int i = 0; i < HV_VTL_RETURN_ACTIONS_MAX; i++) {
		assert_int_equal(actions[i].type, HV_VTL_RETURN_ACTION_SIGNAL_EVENT);
		assert_int_equal(actions[i].target_vp, 0);
		assert_int_equal(actions[i].target_vtl, 0);
		assert_int_equal(actions[i].target_sint, 2);
		assert_int_equal(actions[i].flag_number, 300 + i);
	}
	assert_int_equal(mshv_vp_run(vp, &exit), 0);
	assert_true(mshv_vp_signal_at_return(&mshv, 0, 3, 7));
	assert_int_equal(run->vtl_return_action_size, 16);
	assert_int_equal(actions[0].target_sint, 3);
	assert_int_equal(actions[0].flag_number, 7);
}

static void *signal_elsewhere(void *result)
{
	*(bool *)result = mshv_vp_signal_at_return(&mshv, 0, 2, 1);
	return NULL;
}

/* They would come late, or race with the VP's own thread. */
static void others_events_do_not(void **state)
{
	pthread_t thread;
	bool queued = true;

	(void)state;
	assert_false(mshv_vp_signal_at_return(&mshv, 1, 2, 1));
	assert_int_equal(pthread_create(&thread, NULL, signal_elsewhere, &queued), 0);
	pthread_join(thread, NULL);
	assert_false(queued);
	mshv.return_actions = false;
	assert_false(mshv_vp_signal_at_return(&mshv, 0, 2, 1));
	assert_int_equal(run->vtl_return_action_size, 0);
}

static void a_wake_lasts_until_it_is_cleared(void **state)
{
	struct vp_exit exit = { 0 };

	(void)state;
	run->cancel = 1;
	assert_int_equal(mshv_vp_run(vp, &exit), 0);
	assert_int_equal(exit.kind, VP_EXIT_WAKE);
	exit.kind = 0;
	assert_int_equal(mshv_vp_run(vp, &exit), 0);
	assert_int_equal(exit.kind, VP_EXIT_WAKE);
	assert_true(cancelled);
	assert_true(mshv_vp_clear_wake(vp));
	assert_false(mshv_vp_clear_wake(vp));
	assert_int_equal(run->cancel, 0);
	assert_int_equal(mshv_vp_run(vp, &exit), 0);
	assert_false(cancelled);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(events_go_with_the_return),
		test(others_events_do_not),
		test(a_wake_lasts_until_it_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
