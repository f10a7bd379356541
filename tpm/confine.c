// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include "core/call_filter.h"
#include "tpm/confine.h"

/* Nobody's: owns no file and no other process. */
#define NOBODY 65534

/* Two times what an RSA 4096 key's making takes at most, with stacks and text. */
#define ADDRESS_SPACE (64u << 20)

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

static int limit(int resource, rlim_t value)
{
	const struct rlimit both = { value, value };

	return setrlimit(resource, &both) ? -errno : 0;
}

/* -1 as the first error that is kept, 0 for those that come of having no privileges in the first place. */
static int unless_unprivileged(int ret)
{
	return ret && errno != EPERM ? -errno : 0;
}

static int leave_files(const char *empty)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), ret;

	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		return -errno;
	ret = (int)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
	if (ret)
		return -errno;
	if (!empty)
		return 0;
	ret = unless_unprivileged(chroot(empty));
	return ret ? ret : chdir("/") ? -errno : 0;
}

/* While that is still allowed: what is gone from the bounding set no execve brings back. */
static int drop_bounding_set(void)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL && errno != EPERM)
			return -errno;
	return 0;
}

static int drop_user(void)
{
	int ret = unless_unprivileged(setgroups(0, NULL));

	if (!ret)
		ret = unless_unprivileged(setresgid(NOBODY, NOBODY, NOBODY));
	if (!ret)
		ret = unless_unprivileged(setresuid(NOBODY, NOBODY, NOBODY));
	return ret;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

static int set_limits(void)
{
	int ret = limit(RLIMIT_CORE, 0);

	if (!ret)
		ret = limit(RLIMIT_FSIZE, 0);
	if (!ret)
		ret = limit(RLIMIT_NPROC, 0);
	if (!ret)
		ret = limit(RLIMIT_NOFILE, STDERR_FILENO + 1);
#ifndef ENTRESOL_SAN /* whose shadow is larger than any machine's memory */
	if (!ret)
		ret = limit(RLIMIT_AS, ADDRESS_SPACE);
#endif
	return ret;
}

/* What the engine's allocator, clock and entropy, and the two pipes take. Memory never becomes executable. */
static int filter_calls(void)
{
	static const struct call_rule rules[] = {
		{ .number = SYS_read },
		{ .number = SYS_write },
		{ .number = SYS_getrandom },
		{ .number = SYS_clock_gettime },
		{ .number = SYS_setitimer, .arg = 0, .mask = ~0u, .value = ITIMER_PROF },
		{ .number = SYS_brk },
		{ .number = SYS_munmap },
		{ .number = SYS_mremap },
		{ .number = SYS_madvise },
		{ .number = SYS_mmap, .arg = 2, .mask = PROT_EXEC, .value = 0 },
		{ .number = SYS_mprotect, .arg = 2, .mask = PROT_EXEC, .value = 0 },
		{ .number = SYS_rt_sigreturn },
		{ .number = SYS_restart_syscall },
		{ .number = SYS_exit_group },
	};

	return call_filter_install(rules, sizeof(rules) / sizeof(*rules), CALL_DENIED_KILLS);
}

int confine(const char *empty)
{
	int ret = leave_files(empty);

	/* Before the user changes: locking is a privilege. What is not yet touched is locked when it is. */
	if (!ret)
		ret = unless_unprivileged(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	if (!ret)
		ret = drop_bounding_set();
	if (!ret)
		ret = drop_user();
	if (!ret)
		ret = drop_capabilities();
	if (!ret)
		ret = set_limits();
	if (!ret && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)))
		ret = -errno;
	return ret ? ret : filter_calls();
}
