#include "core/call_filter.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Filters stay: each is tried in a child, whose status says what became of it. */

#define KILLED 0x1000 /* and the signal */

static const struct call_rule rules[] = {
	{ .number = SYS_getpid },
	{ .number = SYS_dup, .arg = 0, .mask = 4, .value = 0 },
	{ .number = SYS_dup, .arg = 0, .mask = ~0u, .value = 77 },
	{ .number = SYS_rt_sigreturn },
	{ .number = SYS_exit_group },
};

static int last_reported;

static void report(int number)
{
	last_reported = number;
}

/* The C library's own way to a call may make others first, to find itself. */
static long call(long number, long arg)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(number), "D"(arg) : "rcx", "r11", "memory");
	return ret;
}

/* The child makes one call; its exit status is 0 when that returned `want`, 1 otherwise. */
static int outcome(enum call_denied denied, long number, long arg, long want)
{
	pid_t pid = fork();
	int status;
	long got;

	assert_true(pid >= 0);
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || call_filter_report(report) ||
		    call_filter_install(rules, sizeof(rules) / sizeof(*rules), denied))
			call(SYS_exit_group, 2);
		got = call(number, arg);
		call(SYS_exit_group,
		     (got < 0 ? -got : 0) != want || (want == ENOSYS && last_reported != number));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_allowed(void **state)
{
	(void)state;
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_getpid, 0, 0), 0);
	/* allowed, and then the kernel's own business */
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_dup, 1000, EBADF), 0);
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_dup, 77, EBADF), 0);
}

static void test_killed(void **state)
{
	(void)state;
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_getppid, 0, 0), KILLED + SIGSYS);
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_dup, 4, 0), KILLED + SIGSYS);
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_dup, 1005, 0), KILLED + SIGSYS);
	assert_int_equal(outcome(CALL_DENIED_KILLS, SYS_getpid | 0x40000000, 0, 0),
			 KILLED + SIGSYS);
}

static void test_refused_and_reported(void **state)
{
	(void)state;
	assert_int_equal(outcome(CALL_DENIED_TRAPS, SYS_getppid, 0, ENOSYS), 0);
	assert_int_equal(outcome(CALL_DENIED_TRAPS, SYS_dup, 4, ENOSYS), 0);
	assert_int_equal(outcome(CALL_DENIED_TRAPS, SYS_getpid, 0, 0), 0);
}

static void test_too_many(void **state)
{
	(void)state;
	assert_int_equal(call_filter_install(rules, 100000, CALL_DENIED_KILLS), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_refused_and_reported),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
