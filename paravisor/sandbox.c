#include "paravisor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/call_filter.h"
#include "core/log.h"

/* Descriptors that may still be opened are numbered below this: /proc/meminfo, and no leak. */
#define SPARE_FILES 1024

/* All sets are empty but for `kept`, and the bounding set too: nothing an execve could bring back. */
static int drop_capabilities(uint32_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { { .effective = kept,
									   .permitted = kept } };

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL)
			return -errno;
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

static int limit(int resource, rlim_t value)
{
	const struct rlimit both = { value, value };

	return setrlimit(resource, &both) ? -errno : 0;
}

/*
 * What VP threads, event loops, devices and drivers do once VTL0 runs. No process is started, no program, no socket; no
 * memory becomes executable; nothing is made, changed or removed by name. ioctl() is what VTL0 runs by: to look at its
 * arguments would cost each exit, and which ioctls there are, the open descriptors say.
 */
static const struct call_rule allowed[] = {
	/* VPs and events */
	{ .number = SYS_ioctl },
	{ .number = SYS_epoll_pwait },
	{ .number = SYS_epoll_wait },
	{ .number = SYS_epoll_ctl },
	{ .number = SYS_epoll_create1 },
	{ .number = SYS_eventfd2 },
	{ .number = SYS_timerfd_create },
	{ .number = SYS_timerfd_settime },
	{ .number = SYS_poll },
	{ .number = SYS_ppoll },
	{ .number = SYS_read },
	{ .number = SYS_write },
	{ .number = SYS_readv },
	{ .number = SYS_writev },
	{ .number = SYS_pread64 },
	{ .number = SYS_pwrite64 },
	{ .number = SYS_preadv },
	{ .number = SYS_pwritev },
	/* files: device nodes, /proc/meminfo, sysfs; nothing new */
	{ .number = SYS_open, .arg = 1, .mask = O_CREAT | O_TRUNC | O_APPEND, .value = 0 },
	{ .number = SYS_openat, .arg = 2, .mask = O_CREAT | O_TRUNC | O_APPEND, .value = 0 },
	{ .number = SYS_close },
	{ .number = SYS_lseek },
	{ .number = SYS_fstat },
	{ .number = SYS_stat },
	{ .number = SYS_newfstatat },
	{ .number = SYS_readlink },
	{ .number = SYS_readlinkat },
	{ .number = SYS_getdents64 },
	{ .number = SYS_fcntl },
	/* threads */
	{ .number = SYS_clone,
	  .arg = 0,
	  .mask = CLONE_THREAD | CLONE_VM,
	  .value = CLONE_THREAD | CLONE_VM },
	{ .number = SYS_futex },
	{ .number = SYS_set_robust_list },
	{ .number = SYS_set_tid_address },
	{ .number = SYS_membarrier },
	{ .number = SYS_sched_yield },
	{ .number = SYS_sched_setaffinity },
	{ .number = SYS_sched_getaffinity },
	{ .number = SYS_gettid },
	{ .number = SYS_getpid },
	{ .number = SYS_exit },
	{ .number = SYS_exit_group },
	/* memory */
	{ .number = SYS_mmap, .arg = 2, .mask = PROT_EXEC, .value = 0 },
	{ .number = SYS_mprotect, .arg = 2, .mask = PROT_EXEC, .value = 0 },
	{ .number = SYS_munmap },
	{ .number = SYS_mremap },
	{ .number = SYS_madvise },
	{ .number = SYS_mlock },
	{ .number = SYS_munlock },
	{ .number = SYS_brk },
	/* time, signals, entropy */
	{ .number = SYS_clock_gettime },
	{ .number = SYS_clock_nanosleep },
	{ .number = SYS_nanosleep },
	{ .number = SYS_getrandom },
	{ .number = SYS_rt_sigprocmask },
	{ .number = SYS_rt_sigreturn },
	{ .number = SYS_restart_syscall },
	{ .number = SYS_pause },
	/* abort(): in musl, of the calling thread */
	{ .number = SYS_tkill },
};

/* What finding, binding and opening a function is made of. */
static const struct call_rule allowed_opener[] = {
	{ .number = SYS_read },
	{ .number = SYS_write },
	{ .number = SYS_open, .arg = 1, .mask = O_CREAT | O_TRUNC | O_APPEND, .value = 0 },
	{ .number = SYS_openat, .arg = 2, .mask = O_CREAT | O_TRUNC | O_APPEND, .value = 0 },
	{ .number = SYS_close },
	{ .number = SYS_ioctl },
	{ .number = SYS_fstat },
	{ .number = SYS_fcntl },
	{ .number = SYS_readlink },
	{ .number = SYS_getdents64 },
	{ .number = SYS_nanosleep },
	{ .number = SYS_clock_nanosleep },
	{ .number = SYS_mmap, .arg = 2, .mask = PROT_EXEC, .value = 0 },
	{ .number = SYS_munmap },
	{ .number = SYS_brk },
	{ .number = SYS_rt_sigreturn },
	{ .number = SYS_exit_group },
};

/* Every thread's, and in its place: what a bug of ours asks for is refused, and said. */
static void report_call(int number)
{
	log_limited(LOG_ERROR, "system call %d is not allowed to the paravisor", number);
}

static int filter_calls(const struct call_rule *rules, size_t count)
{
	int ret = call_filter_report(report_call);

	return ret ? ret : call_filter_install(rules, count, CALL_DENIED_TRAPS);
}

static int confine(uint32_t capabilities, const struct call_rule *rules, size_t count)
{
	int ret;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	ret = limit(RLIMIT_CORE, 0);
	if (!ret)
		ret = limit(RLIMIT_NOFILE, SPARE_FILES);
	if (!ret)
		ret = drop_capabilities(capabilities);
	return ret ? ret : filter_calls(rules, count);
}

int sandbox_enter(void)
{
	return confine(0, allowed, sizeof(allowed) / sizeof(*allowed));
}

int sandbox_enter_opener(void)
{
	return confine(1u << CAP_SYS_RAWIO, allowed_opener,
		       sizeof(allowed_opener) / sizeof(*allowed_opener));
}
